"""Does a value follow a JSON schema? For schemas that came as JSON, where no Python type could say.

Specification: https://json-schema.org/draft/2020-12. Checked are the keywords that models are given: `type`, `enum`,
`const`, `properties`, `required`, `additionalProperties`, `items`, `prefixItems`, `anyOf`, `oneOf`, `allOf`, `$ref`
inside the document, and the limits of numbers, strings and lists. Others (`format`, `not`, `if` …) are not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

Problem: TypeAlias = tuple[tuple[str | int, ...], str]
"""The path of what is wrong, and what is."""

_TYPES: dict[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "integer": lambda value: type(value) is int or (type(value) is float and value.is_integer()),
}
_NUMBERS: dict[str, Callable[[Any, Any], bool]] = {
    "minimum": lambda value, limit: value >= limit,
    "maximum": lambda value, limit: value <= limit,
    "exclusiveMinimum": lambda value, limit: value > limit,
    "exclusiveMaximum": lambda value, limit: value < limit,
    "multipleOf": lambda value, limit: value / limit == value // limit,
}
_STRINGS: dict[str, Callable[[Any, Any], bool]] = {
    "minLength": lambda value, limit: len(value) >= limit,
    "maxLength": lambda value, limit: len(value) <= limit,
    "pattern": lambda value, limit: re.search(limit, value) is not None,
}
_LISTS: dict[str, Callable[[Any, Any], bool]] = {
    "minItems": lambda value, limit: len(value) >= limit,
    "maxItems": lambda value, limit: len(value) <= limit,
    "uniqueItems": lambda value, wanted: not wanted or len({repr(item) for item in value}) == len(value),
}
_MAX_REFS = 50  # a reference to itself describes nothing


def check(value: Any, schema: Mapping[str, Any]) -> list[Problem]:
    """What is wrong with `value`; empty if nothing is.

    Raises ValueError for a `$ref` that leads nowhere, `properties` that are no object, and what is nested too deeply.
    """
    try:
        return list(_check(value, schema, (), schema))
    except RecursionError:
        raise ValueError("nested too deeply to be checked") from None


def resolve(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema that a `$ref` names, with what stands next to the reference; others as they are."""
    for _ in range(_MAX_REFS):
        if "$ref" not in schema:
            return schema
        siblings = {key: value for key, value in schema.items() if key != "$ref"}
        schema = {**_find(schema["$ref"], root), **siblings}
    raise ValueError(f"$ref {schema['$ref']!r} leads to itself")


def _find(reference: str, root: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Any = root
    head, *steps = reference.split("/")
    for step in steps:
        name = step.replace("~1", "/").replace("~0", "~")
        found = found.get(name) if isinstance(found, Mapping) else None
    if head != "#" or not isinstance(found, Mapping):
        raise ValueError(f"$ref {reference!r} names nothing in the schema")
    return found


def _check(value: Any, schema: Any, path: tuple[str | int, ...], root: Mapping[str, Any]) -> Iterator[Problem]:
    if not isinstance(schema, Mapping):
        if schema is False:
            yield path, "is not allowed"
        return
    schema = resolve(schema, root)
    types = schema.get("type", [])
    types = [types] if isinstance(types, str) else types
    if types and not any(_TYPES[name](value) for name in types if name in _TYPES):
        yield path, f"must be {' or '.join(types)}"
        return
    if "enum" in schema and not any(_same(value, allowed) for allowed in schema["enum"]):
        yield path, f"must be one of {schema['enum']!r}"
    if "const" in schema and not _same(value, schema["const"]):
        yield path, f"must be {schema['const']!r}"
    yield from _check_limits(value, schema, path)
    yield from _check_choices(value, schema, path, root)
    if isinstance(value, dict):
        yield from _check_object(value, schema, path, root)
    elif isinstance(value, list):
        yield from _check_list(value, schema, path, root)


def _check_limits(value: Any, schema: Mapping[str, Any], path: tuple[str | int, ...]) -> Iterator[Problem]:
    limits: dict[str, Callable[[Any, Any], bool]] = {}
    if isinstance(value, str):
        limits = _STRINGS
    elif isinstance(value, list):
        limits = _LISTS
    elif _TYPES["number"](value):
        limits = _NUMBERS
    for name, holds in limits.items():
        if name in schema and not _holds(holds, value, schema[name]):
            yield path, f"breaks {name}: {schema[name]!r}"


def _holds(holds: Callable[[Any, Any], bool], value: Any, limit: Any) -> bool:
    try:
        return holds(value, limit)
    except (TypeError, ValueError, ArithmeticError, re.error):
        return True  # a limit that makes no sense in Python (a pattern of another dialect) limits nothing


def _check_choices(
    value: Any, schema: Mapping[str, Any], path: tuple[str | int, ...], root: Mapping[str, Any]
) -> Iterator[Problem]:
    for part in schema.get("allOf", ()):
        yield from _check(value, part, path, root)
    for name in ("anyOf", "oneOf"):
        if name in schema:
            fits = sum(not any(_check(value, part, path, root)) for part in schema[name])
            if not fits:
                yield path, f"fits none of {name}"
            elif name == "oneOf" and fits > 1:
                yield path, "fits more than one of oneOf"


def _check_object(
    value: dict[str, Any], schema: Mapping[str, Any], path: tuple[str | int, ...], root: Mapping[str, Any]
) -> Iterator[Problem]:
    for name in schema.get("required", ()):
        if name not in value:
            yield (*path, name), "is missing"
    known, rest = schema.get("properties", {}), schema.get("additionalProperties", True)
    if not isinstance(known, Mapping):
        raise ValueError(f"properties must be an object, not {known!r}")
    for name, item in value.items():
        yield from _check(item, known.get(name, rest), (*path, name), root)


def _check_list(
    value: list[Any], schema: Mapping[str, Any], path: tuple[str | int, ...], root: Mapping[str, Any]
) -> Iterator[Problem]:
    first = schema.get("prefixItems", ())
    for index, item in enumerate(value):
        yield from _check(item, first[index] if index < len(first) else schema.get("items"), (*path, index), root)


def _same(a: Any, b: Any) -> bool:
    return a == b and isinstance(a, bool) == isinstance(b, bool)


def describe(problems: list[Problem]) -> str:
    """The problems in one line each: where, and what."""
    return "\n".join(f"{'.'.join(map(str, path)) or 'the value'}: {problem}" for path, problem in problems)
