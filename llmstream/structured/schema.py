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
from graphlib import CycleError, TopologicalSorter
from typing import Any

from llmstream.checks import require, require_value
from llmstream.structured.json_schema_check import resolve, walk

_KEPT = frozenset(
    {"type", "description", "enum", "const", "properties", "items", "anyOf", "$ref", "$defs"}
)
_FORMATS = frozenset(
    {"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"}
)
_TOLD = (
    *(
        "default",
        "format",
        "pattern",
        "minLength",
        "maxLength",
        "minItems",
        "maxItems",
        "uniqueItems",
    ),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "examples"),
)
_SILENT = frozenset(
    {"title", "required", "additionalProperties", "discriminator", "$schema", "$id", "deprecated"}
)


MAX_PARTS = 10_000
"""More than any vendor takes."""


class NotStrictError(ValueError):
    """The schema says something that strict mode has no words for."""


def strict_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """`schema` in the subset that vendors enforce; the original stays as it is. Raises NotStrictError."""
    definitions = schema.get("$defs", {})
    rewriter = _SchemaRewriter(definitions)
    try:
        strict = rewriter.strict({**resolve(schema, schema)}, ())
        if definitions:
            strict["$defs"] = {
                name: rewriter.strict(inner, (name,)) for name, inner in definitions.items()
            }
    except RecursionError:
        raise NotStrictError("the schema is nested too deeply to have a strict form") from None
    require(strict.get("type") == "object", "the root must be an object", NotStrictError)
    return strict


def is_recursive(schema: Mapping[str, Any]) -> bool:
    """Whether some definition contains itself."""
    definitions = schema.get("$defs", {})
    uses = {name: _references(inner) & definitions.keys() for name, inner in definitions.items()}
    try:
        TopologicalSorter(uses).prepare()
    except CycleError:
        return True
    return "#" in _references(schema)


def _references(schema: Any) -> set[str]:
    """The names of the definitions that a schema refers to, and `#` for the whole."""
    references = [inner["$ref"] for inner in walk(schema, ("$defs",)) if "$ref" in inner]
    return {str(reference).removeprefix("#/$defs/") for reference in references}


class _SchemaRewriter:
    """Rewrites one schema. `inside` are the definitions that are being copied."""

    def __init__(self, definitions: Mapping[str, Any]) -> None:
        self._definitions = definitions
        self._left = MAX_PARTS

    def strict(self, schema: Any, inside: tuple[str, ...]) -> dict[str, Any]:
        self._left -= 1  # copies of copies double with each level
        problem = f"a schema of more than {MAX_PARTS} parts has no strict form"
        require(self._left >= 0, problem, NotStrictError)
        if not isinstance(schema, Mapping):
            raise NotStrictError(f"a schema that is {schema!r} has no strict form")
        schema = _with_usual_words(schema)
        if "$ref" in schema:
            return self._reference(schema, inside)
        unknown = sorted(schema.keys() - _KEPT - _SILENT - {*_TOLD})
        require(not unknown, f"{', '.join(unknown)}: has no strict form", NotStrictError)
        strict = {key: value for key, value in schema.items() if key in _KEPT and key != "$defs"}
        if schema.get("format") in _FORMATS:
            strict["format"] = schema["format"]
        _tell_the_rest(strict, schema)
        self._rewrite_inner(strict, schema, inside)
        return strict

    def _rewrite_inner(
        self, strict: dict[str, Any], schema: Mapping[str, Any], inside: tuple[str, ...]
    ) -> None:
        """The schemas that stand inside this one, by its type."""
        types = schema.get("type", "")
        if isinstance(types, str):
            types = [types]
        if "anyOf" in strict:
            strict["anyOf"] = [self.strict(inner, inside) for inner in strict["anyOf"]]
        elif "object" in types:
            self._close(strict, schema, inside)
        elif "array" in types:
            strict["items"] = self.strict(schema.get("items"), inside)
        elif strict.keys().isdisjoint({"type", "enum", "const"}):
            raise NotStrictError("a value of any type has no strict form")

    def _close(
        self, strict: dict[str, Any], schema: Mapping[str, Any], inside: tuple[str, ...]
    ) -> None:
        """An object with these properties and no others."""
        problem = "an object whose keys are not known has no strict form"
        properties = require_value(schema.get("properties"), problem, NotStrictError)
        require(not schema.get("additionalProperties"), problem, NotStrictError)
        strict["properties"] = {
            name: self.strict(inner, inside) for name, inner in properties.items()
        }
        strict["required"] = list(properties)
        strict["additionalProperties"] = False

    def _reference(self, schema: Mapping[str, Any], inside: tuple[str, ...]) -> dict[str, Any]:
        """A reference stands alone; what stood next to it is merged into a copy of what it names."""
        name = str(schema["$ref"]).removeprefix("#/$defs/")
        siblings = {key: value for key, value in schema.items() if key not in ("$ref", "$defs")}
        require(
            name in self._definitions,
            f"$ref {schema['$ref']!r}: only definitions in $defs have a strict form",
            NotStrictError,
        )
        if siblings and name not in inside:
            return self.strict({**self._definitions[name], **siblings}, (*inside, name))
        return {"$ref": schema["$ref"]}


def _with_usual_words(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema with `anyOf` for `oneOf`, and without an `allOf` of one part."""
    if "oneOf" in schema:
        schema = {**schema, "anyOf": schema["oneOf"]}
        del schema["oneOf"]
    if len(schema.get("allOf", ())) == 1:
        (part,) = schema["allOf"]
        schema = {**{key: value for key, value in schema.items() if key != "allOf"}, **part}
    return schema


def _tell_the_rest(strict: dict[str, Any], schema: Mapping[str, Any]) -> None:
    """Put the keywords that the strict form lacks into the description, where the model reads them."""
    told = [key for key in _TOLD if key in schema and key not in strict]
    if told:
        lines = [
            schema.get("description"),
            "; ".join(f"{key}: {_json(schema[key])}" for key in told),
        ]
        strict["description"] = "\n".join(filter(None, lines))


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
