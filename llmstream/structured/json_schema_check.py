"""A check of values against JSON schemas, for schemas that came as JSON, without a Python type.

Specification: https://json-schema.org/draft/2020-12. Checked are the keywords that models are given: `type`, `enum`,
`const`, `properties`, `patternProperties`, `required`, `additionalProperties`, `items`, `prefixItems`, `anyOf`,
`oneOf`, `allOf`, `$ref` inside the document, and the limits of numbers, strings and lists. Others (`format`, `not`,
`if` …) are not, and a keyword whose value makes no sense limits nothing.

The value comes from a model and the schema often from a stranger, and both are checked in the event loop. So the work
is bounded: see MAX_STEPS and `llmstream.structured.pattern`.
"""

from __future__ import annotations

import json
import reprlib
from collections.abc import (
    Callable,
    Collection,
    Generator,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import closing
from fractions import Fraction
from itertools import islice, takewhile
from time import thread_time
from typing import Any, ClassVar, NamedTuple, TypeAlias

from llmstream.checks import as_object
from llmstream.structured.pattern import Pattern, compile_pattern

Problem: TypeAlias = tuple[tuple[str | int, ...], str]
"""The path of what is wrong, and what is."""
Problems: TypeAlias = Generator[Problem, None, None]
Path: TypeAlias = tuple[str | int, ...]
_Schema: TypeAlias = Mapping[str, Any]
_Find: TypeAlias = Callable[[Any, Any, Any, _Schema, Path], Iterable[Problem]]

MAX_STEPS = 200_000
"""What one check may cost: a step is one value held against one schema. All of them take about half a second."""
MAX_PROBLEMS = 100
"""More are not looked for."""
_MAX_REFS = 50  # a reference to itself describes nothing

_TYPES: dict[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "integer": lambda value: type(value) is int or (type(value) is float and value.is_integer()),
}
_VALUES: dict[str, Callable[[Any], bool]] = {
    **_TYPES,
    "any": lambda _: True,
    "nothing": lambda _: False,
}
"""What a keyword may speak of."""
_NO_SCHEMAS = frozenset({"enum", "const", "default", "examples"})
"""Keywords that hold values."""
_NAMES = 32
"""Names that can be looked up within a step."""
_CHARS = 256
"""Characters that can be compared within a step."""
_STATES = 50
"""States of a pattern, times bytes of the text, that can be looked at within a step."""

_STEP = 0.5 / MAX_STEPS
"""Seconds of a step. To compile a pattern takes up to 0.2 s, and counts as many steps as it takes."""
_FRACTION = 5
"""Steps that exact division takes."""
_BEFOREHAND = 0.5
"""Seconds of work for the patterns of a schema before it is used."""

_shown = reprlib.Repr()
_shown.maxlist = _shown.maxtuple = _shown.maxdict = 50
_shown.maxstring = _shown.maxother = _shown.maxlong = 200


def check(value: Any, schema: Mapping[str, Any]) -> list[Problem]:
    """The problems of `value`, at most MAX_PROBLEMS; empty if there are none.

    Raises ValueError for a `$ref` that leads nowhere, `properties` that are no object, and for what can't be checked:
    what is nested too deeply, or takes more than MAX_STEPS.
    """
    try:
        return list(islice(_Check(schema).problems(value, schema, ()), MAX_PROBLEMS))
    except RecursionError:
        raise ValueError("nested too deeply to be checked") from None
    except _CheckTooLongError:
        raise ValueError("too large or too complex to be checked: make it smaller") from None


def compile_patterns(schema: Mapping[str, Any]) -> None:
    """Prepare the patterns of a schema, so that the log says now which of them can't be checked."""
    found = (
        pattern
        for inner in walk(schema, _NO_SCHEMAS)
        for pattern in (inner.get("pattern"), *as_object(inner.get("patternProperties")))
        if isinstance(pattern, str)
    )
    end = thread_time() + _BEFOREHAND
    for pattern in takewhile(lambda _: thread_time() < end, found):
        compile_pattern(pattern)


def walk(schema: Any, passed_over: Collection[str]) -> Iterator[Mapping[str, Any]]:
    """All objects in a schema, itself first, but for what stands under the keys `passed_over`."""
    waiting: list[Any] = [schema]
    while waiting:
        found = waiting.pop()
        if isinstance(found, list):
            waiting += found
        elif isinstance(found, Mapping):
            yield found
            waiting += [inner for name, inner in found.items() if name not in passed_over]


def resolve(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema that a `$ref` names, with what stands next to the reference; others as they are."""
    for _ in range(_MAX_REFS):
        if "$ref" not in schema:
            return schema
        siblings = {key: value for key, value in schema.items() if key != "$ref"}
        schema = {**_find(schema["$ref"], root), **siblings}
    raise ValueError(f"$ref {schema['$ref']!r} leads to itself")


def _find(reference: Any, root: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Any = root
    head, *steps = reference.split("/") if isinstance(reference, str) else [reference]
    for step in steps:
        name = step.replace("~1", "/").replace("~0", "~")
        found = as_object(found).get(name)
    if head != "#" or not isinstance(found, Mapping):
        raise ValueError(f"$ref {reference!r} names nothing in the schema")
    return found


class _Keyword(NamedTuple):
    """A keyword of schemas."""

    of: str
    """The values that it speaks of: a key of _VALUES."""
    find: _Find


def _limit(keyword: str, type: str, holds: Callable[[Any, Any, Any], bool]) -> _Keyword:
    """A keyword that limits values of one type."""

    def find(check: Any, value: Any, limit: Any, _: _Schema, path: Path) -> Sequence[Problem]:
        try:
            broken = not holds(check, value, limit)
        except (TypeError, ValueError, ArithmeticError):
            return ()  # a limit that makes no sense limits nothing
        return [(path, f"breaks {keyword}: {_shown.repr(limit)}")] if broken else ()

    return _Keyword(type, find)


def _is_unique(check: Any, value: list[Any], wanted: Any) -> bool:
    return wanted is not True or len(set(map(check.key, value))) == len(value)


class _CheckTooLongError(Exception):
    """The check would take too long."""


class _Check:
    """One check of one value: what it may still cost, and what it knows already.

    Problems are looked for only as far as somebody asks for the next one.
    """

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._left = MAX_STEPS
        self._resolved: dict[int, Mapping[str, Any]] = {}  # by the identity of the schema
        # By the identities of value and schema. Without it a recursive schema with two choices doubles the work with
        # each level. Both outlive the check: they are parts of its value and of its schema.
        self._fitting: set[tuple[int, int]] = set()
        self._misfits: set[tuple[int, int]] = set()
        self._patterns: dict[str, Pattern | None] = {}
        self._keys: dict[int, str] = {}  # of lists and objects, by identity

    def problems(self, value: Any, schema: Any, path: Path) -> Problems:
        """The problems of one part of the value."""
        self.spend(1)
        if not isinstance(schema, Mapping):
            if schema is False:
                yield path, "is not allowed"
            return
        pair = (id(value), id(schema))
        if pair in self._fitting:
            return
        if "$ref" in schema:
            schema = self._resolve(schema)
        if not self._is_of(value, schema.get("type")):
            yield path, f"must be {_types(schema['type'])}"
            return
        fits = True
        for keyword, limit in schema.items():
            known = self._KEYWORDS.get(keyword, self._UNKNOWN)
            if not _VALUES[known.of](value):
                continue
            for problem in known.find(self, value, limit, schema, path):
                fits = False
                yield problem
        if fits and isinstance(value, dict | list):
            self._fitting.add(pair)

    def spend(self, steps: int) -> None:
        """Count what is done next. Raises _CheckTooLongError."""
        self._left -= steps
        if self._left < 0:
            raise _CheckTooLongError

    def fits(self, value: Any, schema: Any) -> bool:
        """Whether nothing is wrong."""
        pair = (id(value), id(schema))
        if pair in self._misfits:
            return False
        with closing(self.problems(value, schema, ())) as problems:
            fits = next(problems, None) is None
        if not fits and isinstance(value, dict | list) and isinstance(schema, Mapping):
            self._misfits.add(pair)
        return fits

    def matches(self, text: str, source: Any) -> bool | None:
        """Whether the pattern occurs in the text; None for one that can't be checked."""
        pattern = self._compile(source) if isinstance(source, str) else None
        if pattern is None:
            return None
        data = text.encode("utf-8", "replace")
        self.spend(pattern.states * len(data) // _STATES)
        return pattern.occurs(data)

    def equals(self, value: Any, other: Any) -> bool:
        """Whether JSON values are the same. Each list and object is gone through once, however often it is compared."""
        if not isinstance(value, dict | list):
            return bool(value == other) and isinstance(value, bool) == isinstance(other, bool)
        if type(value) is not type(other) or len(value) != len(other):
            return False
        mine, theirs = self._key_of(value), self._key_of(other)
        self.spend(min(len(mine), len(theirs)) // _CHARS)
        return mine == theirs

    def divides(self, value: Any, factor: Any) -> bool:
        """Whether a number is a multiple of another, both as they were written."""
        self.spend(_FRACTION)
        return _exact(value) % _exact(factor) == 0

    def key(self, value: Any) -> str:
        """The same text for equal values alone: numbers' hashes could be made to collide, texts' can't."""
        self.spend(1)
        if isinstance(value, dict):
            pairs = (f"{json.dumps(name)}:{self.key(value[name])}" for name in sorted(value))
            return f"{{{','.join(pairs)}}}"
        if isinstance(value, list):
            return f"[{','.join(map(self.key, value))}]"
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        text = json.dumps(value)
        self.spend(len(text) // _CHARS)
        return text

    def _key_of(self, value: Any) -> str:
        found = self._keys.get(id(value))
        if found is None:
            found = self._keys[id(value)] = self.key(value)
        return found

    def _compile(self, source: str) -> Pattern | None:
        if source not in self._patterns:
            began = thread_time()
            self._patterns[source] = compile_pattern(source)
            self.spend(int((thread_time() - began) / _STEP))
        return self._patterns[source]

    def _resolve(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        found = self._resolved.get(id(schema))
        if found is None:
            found = self._resolved[id(schema)] = resolve(schema, self._root)
        self.spend(len(found) // _NAMES)
        return found

    def _is_of(self, value: Any, types: Any) -> bool:
        if isinstance(types, str):
            return _TYPES.get(types, _VALUES["nothing"])(value)
        names = _list(types)
        self.spend(len(names) // _NAMES)
        return not names or any(self._is_of(value, name) for name in names if isinstance(name, str))

    # --- keywords: what each finds wrong, given what it says and the schema in which it stands -------------------

    def _enum(self, value: Any, limit: Any, schema: _Schema, path: Path) -> Problems:
        allowed = _list(limit)
        if isinstance(value, str):
            self.spend(len(allowed) // _NAMES)
            found = value in allowed
        else:
            self.spend(len(allowed))
            found = any(self.equals(value, each) for each in allowed)
        if allowed and not found:
            yield path, f"must be one of {_shown.repr(allowed)}"

    def _const(self, value: Any, limit: Any, schema: _Schema, path: Path) -> Problems:
        if not self.equals(value, limit):
            yield path, f"must be {_shown.repr(limit)}"

    def _all_of(self, value: Any, limit: Any, schema: _Schema, path: Path) -> Problems:
        for part in _list(limit):
            yield from self.problems(value, part, path)

    def _any_of(self, value: Any, limit: Any, schema: _Schema, path: Path) -> Problems:
        parts = _list(limit)
        if parts and not any(self.fits(value, part) for part in parts):
            yield path, "fits none of anyOf"

    def _one_of(self, value: Any, limit: Any, schema: _Schema, path: Path) -> Problems:
        parts = _list(limit)
        fitting = list(islice((part for part in parts if self.fits(value, part)), 2))
        if parts and not fitting:
            yield path, "fits none of oneOf"
        elif len(fitting) > 1:
            yield path, "fits more than one of oneOf"

    def _required(self, value: Any, limit: Any, schema: _Schema, path: Path) -> Problems:
        names = _list(limit)
        self.spend(len(names) // _NAMES)
        for name in names:
            if isinstance(name, str) and name not in value:
                yield (*path, name), "is missing"

    def _properties(self, value: Any, limit: Any, schema: _Schema, path: Path) -> Problems:
        if not isinstance(limit, Mapping):
            raise ValueError(f"properties must be an object, not {_shown.repr(limit)}")
        if not isinstance(value, dict):
            return
        self.spend(len(value) // _NAMES)
        for name, item in value.items():
            if name in limit:
                yield from self.problems(item, limit[name], (*path, name))

    def _pattern_properties(self, value: Any, limit: Any, schema: _Schema, path: Path) -> Problems:
        for source, part in as_object(limit).items():
            self.spend(len(value))
            for name, item in value.items():
                if self.matches(name, source):
                    yield from self.problems(item, part, (*path, name))

    def _additional(self, value: Any, limit: Any, schema: _Schema, path: Path) -> Problems:
        known = as_object(schema.get("properties"))
        patterns = as_object(schema.get("patternProperties"))
        self.spend(len(value) * (1 + len(patterns)) // _NAMES)
        for name, item in value.items():
            if name in known:
                continue
            # A name that may match a pattern which can't be checked isn't additional for sure.
            if all(self.matches(name, source) is False for source in patterns):
                yield from self.problems(item, limit, (*path, name))

    def _prefix_items(self, value: Any, limit: Any, schema: _Schema, path: Path) -> Problems:
        for index, (item, part) in enumerate(zip(value, _list(limit), strict=False)):
            yield from self.problems(item, part, (*path, index))

    def _items(self, value: Any, limit: Any, schema: _Schema, path: Path) -> Problems:
        first = len(_list(schema.get("prefixItems")))
        for index, item in enumerate(islice(value, first, None), first):
            yield from self.problems(item, limit, (*path, index))

    _KEYWORDS: ClassVar[dict[str, _Keyword]] = {
        "enum": _Keyword("any", _enum),
        "const": _Keyword("any", _const),
        "minimum": _limit("minimum", "number", lambda _, value, limit: value >= limit),
        "maximum": _limit("maximum", "number", lambda _, value, limit: value <= limit),
        "exclusiveMinimum": _limit(
            "exclusiveMinimum", "number", lambda _, value, limit: value > limit
        ),
        "exclusiveMaximum": _limit(
            "exclusiveMaximum", "number", lambda _, value, limit: value < limit
        ),
        "multipleOf": _limit(
            "multipleOf", "number", lambda check, value, limit: check.divides(value, limit)
        ),
        "minLength": _limit("minLength", "string", lambda _, value, limit: len(value) >= limit),
        "maxLength": _limit("maxLength", "string", lambda _, value, limit: len(value) <= limit),
        "pattern": _limit(
            "pattern",
            "string",
            lambda check, value, limit: check.matches(value, limit) is not False,
        ),
        "minItems": _limit("minItems", "array", lambda _, value, limit: len(value) >= limit),
        "maxItems": _limit("maxItems", "array", lambda _, value, limit: len(value) <= limit),
        "uniqueItems": _limit("uniqueItems", "array", _is_unique),
        "allOf": _Keyword("any", _all_of),
        "anyOf": _Keyword("any", _any_of),
        "oneOf": _Keyword("any", _one_of),
        "required": _Keyword("object", _required),
        "properties": _Keyword("any", _properties),
        "patternProperties": _Keyword("object", _pattern_properties),
        "additionalProperties": _Keyword("object", _additional),
        "prefixItems": _Keyword("array", _prefix_items),
        "items": _Keyword("array", _items),
    }
    _UNKNOWN: ClassVar = _Keyword("nothing", _const)


def _list(limit: Any) -> Sequence[Any]:
    return limit if isinstance(limit, list | tuple) else ()


def _types(limit: Any) -> str:
    return limit if isinstance(limit, str) else " or ".join(map(str, limit))


def _exact(number: Any) -> Fraction:
    """The number as it was written: 0.3 is three times 0.1."""
    return Fraction(number if isinstance(number, int) else repr(number))


def describe(problems: list[Problem]) -> str:
    """The problems in one line each: where, and what."""
    return "\n".join(
        f"{'.'.join(map(str, path)) or 'the value'}: {problem}" for path, problem in problems
    )
