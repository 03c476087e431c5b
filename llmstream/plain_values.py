"""Dataclasses as plain values for JSON, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any


def dump(value: Any) -> dict[str, Any]:
    """The fields of a dataclass that differ from their default, as they are."""
    data = {}
    for f in fields(value):
        item = getattr(value, f.name)
        if item != (f.default_factory() if f.default_factory is not MISSING else f.default):
            data[f.name] = item
    return data


# Asking a class for its fields costs more than all the rest.
_NAMES: dict[type[Any], tuple[str, ...]] = {}


def load(cls: type[Any], data: Mapping[str, Any]) -> Any:
    """Build a dataclass from `dump`'s form; keys of a newer version are ignored."""
    names = _NAMES.get(cls) or _NAMES.setdefault(cls, tuple(f.name for f in fields(cls)))
    return cls(**{name: data[name] for name in names if name in data})
