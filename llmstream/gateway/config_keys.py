"""Keys of a configuration file: their hashes, and what each may ask for."""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import dataclass, field
from typing import Any, Final

from llmstream.gateway.config_values import ConfigValues
from llmstream.gateway.toml_lines import Path
from llmstream.limits import Rate, SpendLimit
from llmstream.web import KeyLimits, KeyRing
from llmstream.web.key_limits import EVERYBODY
from llmstream.web.keys import is_key_name

KEY_FIELDS: Final = ("sha256", "models", "rate", "spend_limit", "metrics")
_SPEND_FIELDS: Final = ("max_cost", "per", "warn_at")
_SHA256 = re.compile("[0-9a-fA-F]{64}")
_HASHES = 'what stands behind the colon in the line of `llmstream keys new NAME`, such as "2c26…"'
_MODELS = 'a list of names of this file, such as ["fast"]'


@dataclass(slots=True)
class ConfiguredKeys:
    """The keys that a file has itself, and the limits of these and of others, by name."""

    ring: KeyRing = field(default_factory=KeyRing)
    limits: dict[str, KeyLimits] = field(default_factory=dict)
    metrics: list[str] = field(default_factory=list)
    """Names of those that may read `/metrics`."""


def read_keys_table(
    document: dict[str, Any], values: ConfigValues, models: Container[str]
) -> ConfiguredKeys:
    """Read the table `keys`; `models` are the names that may be asked for."""
    names: dict[str, str] = {}
    found = ConfiguredKeys()
    tables = values.table(("keys",), document) or {}
    for name in tables:
        path = ("keys", name)
        table = values.table(path, tables)
        if table is None or not _has_name(name, values):
            continue
        values.check_keys(path, table, KEY_FIELDS)
        for digest in _hashes(name, table, values):
            if names.setdefault(digest, name) != name:
                told = f"{names[digest]} has the same key: give each a key of its own"
                values.refuse((*path, "sha256"), told)
        found.limits[name] = _limits(name, table, values, models)
        if values.truth((*path, "metrics"), table):
            found.metrics.append(name)
    found.ring = KeyRing(f"{name}:{digest}" for digest, name in names.items())
    return found


def _has_name(name: str, values: ConfigValues) -> bool:
    is_name = name == EVERYBODY or is_key_name(name)
    if not is_name:
        told = f'a key\'s name has letters, digits, dots, dashes, underscores and @, or is "{EVERYBODY}" for all others'
        values.refuse(("keys", name), told)
    return is_name


def _hashes(name: str, table: dict[str, Any], values: ConfigValues) -> list[str]:
    path = ("keys", name, "sha256")
    hashes = values.texts(path, table, _HASHES)
    if hashes and name == EVERYBODY:
        values.refuse(path, f'"{EVERYBODY}" stands for the others, so it has no key of its own')
        return []
    if not all(map(_SHA256.fullmatch, hashes)):
        values.refuse(path, f"sha256 must be {_HASHES}, not something else")
        return []
    return [each.lower() for each in hashes]


def _limits(
    name: str, table: dict[str, Any], values: ConfigValues, models: Container[str]
) -> KeyLimits:
    path = ("keys", name, "models")
    allowed = values.texts(path, table, _MODELS)
    for model in allowed:
        if model not in models:
            values.refuse(path, f"there is no model or alias {model!r} in this file")
    rate = values.rate(("keys", name, "rate"), table)
    spend_limit = _spend_limit(("keys", name, "spend_limit"), table, values)
    return KeyLimits(allowed or None, Rate(**rate) if rate else None, spend_limit)


def _spend_limit(path: Path, parent: dict[str, Any], values: ConfigValues) -> SpendLimit | None:
    """The money of a key; None without a limit, or where it's wrong."""
    count = len(values.flaws)
    table = values.table(path, parent) or {}
    values.check_keys(path, table, _SPEND_FIELDS)
    if "spend_limit" not in parent or len(values.flaws) > count:
        return None
    given = {name: table[name] for name in _SPEND_FIELDS if name in table}
    try:
        return SpendLimit(**{"max_cost": None, **given})
    except (TypeError, ValueError) as problem:
        values.refuse(path, str(problem).removeprefix("SpendLimit: "))
        return None
