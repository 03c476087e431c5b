"""The JSON schema of a type, and the form of it that vendors follow strictly.

OpenAI (https://platform.openai.com/docs/guides/structured-outputs) and Anthropic
(https://docs.anthropic.com/en/docs/build-with-claude/structured-outputs) hold a model to a schema only if it keeps to a
subset: every object closed, every property required. `strict_schema` rewrites a schema so. What follows the result and
keeps the limits follows the original too; what the subset can't say (limits, patterns, defaults) moves into the
description, where the model reads it, and is checked when the answer has come.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from llmstream.structured.check import resolve

_KEPT = frozenset({"type", "description", "enum", "const", "properties", "items", "anyOf", "$ref", "$defs"})
_FORMATS = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"})
_TOLD = (
    *("default", "format", "pattern", "minLength", "maxLength", "minItems", "maxItems", "uniqueItems"),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "examples"),
)
_SILENT = frozenset({"title", "required", "additionalProperties", "discriminator", "$schema", "$id", "deprecated"})


class NotStrictError(ValueError):
    """The schema says something that strict mode has no words for."""


def strict_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """`schema` in the subset that vendors enforce; the original stays as it is. Raises NotStrictError."""
    definitions = schema.get("$defs", {})
    root = {**resolve(schema, schema)}
    strict = _strict(root, definitions, ())
    if definitions:
        strict["$defs"] = {name: _strict(inner, definitions, (name,)) for name, inner in definitions.items()}
    if strict.get("type") != "object":
        raise NotStrictError("the root must be an object")
    return strict


def is_recursive(schema: Mapping[str, Any]) -> bool:
    """Whether some definition contains itself."""
    definitions = schema.get("$defs", {})
    uses = {name: _references(inner) for name, inner in definitions.items()}
    for name in uses:
        reached, front = set[str](), {name}
        while front:
            front = {used for one in front for used in uses.get(one, ())} - reached
            reached |= front
        if name in reached:
            return True
    return "#" in _references(schema)


def _references(schema: Any) -> set[str]:
    if isinstance(schema, Mapping):
        own = {str(schema["$ref"]).removeprefix("#/$defs/")} if "$ref" in schema else set[str]()
        return own.union(*(_references(value) for key, value in schema.items() if key != "$defs"))
    if isinstance(schema, list):
        return set[str]().union(*map(_references, schema))
    return set()


def _strict(schema: Any, definitions: Mapping[str, Any], inside: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(schema, Mapping):
        raise NotStrictError(f"a schema that is {schema!r} has no strict form")
    if "oneOf" in schema:
        schema = {**{key: value for key, value in schema.items() if key != "oneOf"}, "anyOf": schema["oneOf"]}
    if len(schema.get("allOf", ())) == 1:
        schema = {**{key: value for key, value in schema.items() if key != "allOf"}, **schema["allOf"][0]}
    if "$ref" in schema:
        return _strict_reference(schema, definitions, inside)
    types = schema.get("type", "")
    types = [types] if isinstance(types, str) else types
    if unknown := sorted(schema.keys() - _KEPT - _SILENT - {*_TOLD}):
        raise NotStrictError(f"{', '.join(unknown)}: has no strict form")
    strict = {key: value for key, value in schema.items() if key in _KEPT and key != "$defs"}
    if schema.get("format") in _FORMATS:
        strict["format"] = schema["format"]
    if told := [f"{key}: {_json(schema[key])}" for key in _TOLD if key in schema and key not in strict]:
        strict["description"] = "\n".join(filter(None, (schema.get("description"), "; ".join(told))))
    if "anyOf" in strict:
        strict["anyOf"] = [_strict(inner, definitions, inside) for inner in strict["anyOf"]]
    elif "object" in types:
        _close(strict, schema, definitions, inside)
    elif "array" in types:
        strict["items"] = _strict(schema.get("items"), definitions, inside)
    elif not strict.keys() & {"type", "enum", "const"}:
        raise NotStrictError("a value of any type has no strict form")
    return strict


def _close(
    strict: dict[str, Any], schema: Mapping[str, Any], definitions: Mapping[str, Any], inside: tuple[str, ...]
) -> None:
    """An object with these properties and no others."""
    properties = schema.get("properties")
    if schema.get("additionalProperties") or properties is None:
        raise NotStrictError("an object whose keys are not known has no strict form")
    strict["properties"] = {name: _strict(inner, definitions, inside) for name, inner in properties.items()}
    strict["required"] = list(properties)
    strict["additionalProperties"] = False


def _strict_reference(
    schema: Mapping[str, Any], definitions: Mapping[str, Any], inside: tuple[str, ...]
) -> dict[str, Any]:
    """A reference stands alone; what stood next to it is merged into a copy of what it names."""
    name = str(schema["$ref"]).removeprefix("#/$defs/")
    siblings = {key: value for key, value in schema.items() if key not in ("$ref", "$defs")}
    if name not in definitions:
        raise NotStrictError(f"$ref {schema['$ref']!r}: only definitions in $defs have a strict form")
    if siblings and name not in inside:
        return _strict({**definitions[name], **siblings}, definitions, (*inside, name))
    return {"$ref": schema["$ref"]}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
