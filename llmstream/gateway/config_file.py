"""The configuration file of `llmstream serve`: read whole, and all that is wrong in it is named with its line.

[models.fast]
model = "openai:gpt-5-mini"
key_env = ["OPENAI_KEY_1", "OPENAI_KEY_2"]  # the names of environment variables; asked in turn
fallbacks = ["good"]

[models.good]
model = "anthropic:claude-sonnet-4-5"

[aliases]
"gpt-4o" = "fast"

[keys.ann]
sha256 = "2c26…"  # of a client's key, as `llmstream keys new ann` prints it
models = ["fast"]
rate = { requests = 60 }

[limits]
per_client = 8
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from llmstream.gateway.config_flaws import ConfigFileError, Flaw, describe_type
from llmstream.gateway.config_keys import ConfiguredKeys, read_keys_table
from llmstream.gateway.config_models import ModelReader
from llmstream.gateway.config_values import ConfigValues
from llmstream.gateway.model_pools import ModelPool
from llmstream.gateway.toml_lines import TomlLines, syntax_flaw
from llmstream.limits import Rate

if TYPE_CHECKING:
    from llmstream.router import Candidate

TABLES: Final = ("models", "aliases", "keys", "limits", "http", "rate", "clients", "kept")
CLIENT_KEYS: Final = ("hosted_tools",)
_HOSTED = 'names of providers\' tools, such as ["web_search"]'


@dataclass(slots=True)
class FileConfig:
    """A file's contents, with providers that are ready to be asked."""

    pools: dict[str, ModelPool] = field(default_factory=dict)
    rates: dict[str, Rate] = field(default_factory=dict)
    """By the names of models that have a rate of their own."""
    facts: dict[str, Candidate] = field(default_factory=dict)
    """Context length and abilities of some models, by their names."""
    aliases: dict[str, str] = field(default_factory=dict)
    limits: dict[str, Any] = field(default_factory=dict)
    http: dict[str, Any] = field(default_factory=dict)
    rate: dict[str, Any] = field(default_factory=dict)
    keys: ConfiguredKeys = field(default_factory=ConfiguredKeys)
    hosted_tools: tuple[str, ...] = ()
    kept: dict[str, Any] = field(default_factory=dict)


def read_text(path: str) -> str:
    """The text of a file. Raises ConfigFileError."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123  # errors name the path as it was given
            data = file.read()
    except (OSError, ValueError) as problem:
        why = getattr(problem, "strerror", None) or problem
        raise ConfigFileError(path, [Flaw(0, f"can't be read: {why}")]) from None
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as problem:
        line = data.count(b"\n", 0, problem.start) + 1
        raise ConfigFileError(path, [Flaw(line, "this isn't UTF-8: save the file as it")]) from None


def parse_config(text: str, name: str, workers: int = 1) -> FileConfig:
    """Read a file; `name` is its name in errors. Raises ConfigFileError with all that is wrong.

    Its limits must be large enough to be divided among the `workers`.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        line, words = syntax_flaw(problem, text)
        raise ConfigFileError(name, [Flaw(line, _explain(words))]) from None
    except RecursionError:
        raise ConfigFileError(name, [Flaw(0, "its values are nested too deeply")]) from None
    values = ConfigValues(TomlLines(text), workers)
    config = _read(document, values)
    if values.flaws:
        raise ConfigFileError(name, values.flaws)
    return config


def _read(document: dict[str, Any], values: ConfigValues) -> FileConfig:
    values.check_keys((), document, TABLES)
    models = values.table(("models",), document)
    reader = ModelReader(values, models or {})
    if models is not None:
        reader.read()
    aliases = values.table(("aliases",), document) or {}
    for alias, name in aliases.items():
        _check_alias(alias, name, models or {}, values)
    limits, http = values.limits(document), values.http(document)
    rate = values.rate(("rate",), document)
    keys = read_keys_table(document, values, {*(models or {}), *aliases})
    clients = values.table(("clients",), document) or {}
    values.check_keys(("clients",), clients, CLIENT_KEYS)
    tools = values.texts(("clients", "hosted_tools"), clients, _HOSTED)
    return FileConfig(
        reader.pools,
        reader.rates,
        reader.facts,
        aliases,
        limits,
        http,
        rate,
        keys,
        (*tools,),
        values.kept(document),
    )


def _check_alias(alias: str, name: object, models: dict[str, Any], values: ConfigValues) -> None:
    path = ("aliases", alias)
    values.check_name(path, "an alias")
    if alias in models:
        values.refuse(path, f"{alias} is the name of a model already")
    if isinstance(name, str):
        values.check_model(path, name, models)
    else:
        words = f"an alias is the name of a model of this file, not {describe_type(name)}"
        values.refuse(path, f'{words}: write "{alias}" = "fast"')


def _explain(words: str) -> str:
    hint = '; a text stands in quotes: model = "openai:gpt-5-mini"'
    return f"this isn't TOML: {words}{hint if words == 'Invalid value' else ''}"
