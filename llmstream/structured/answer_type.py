"""AnswerType: the type or JSON schema of an answer, as the schema that is sent and the check that is made."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Generic, TypeVar, cast

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

from llmstream.checks import as_object
from llmstream.structured.json_schema_check import (
    Problem,
    check,
    compile_patterns,
    describe,
    resolve,
)
from llmstream.structured.schema import NotStrictError, strict_schema

T = TypeVar("T")

WRAPPER = "value"
"""The property that holds an answer which is no object: vendors take only objects at the root."""
_SAYS_WHAT = frozenset({"type", "$ref", "anyOf", "oneOf", "allOf", "enum", "const", "properties"})
"""Keywords of which a schema has at least one."""
_NAME = re.compile(r"[^a-zA-Z0-9_-]+")


class MismatchError(ValueError):
    """A text that is not what was asked for; `problems` say where and why."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__(describe(problems))
        self.problems = problems


class AnswerType(Generic[T]):
    """One type to parse into. Raises TypeError at once for a type that has no JSON schema."""

    def __init__(self, into: type[T] | Mapping[str, Any]) -> None:
        self.into = into
        self.adapter: TypeAdapter[T] | None = None
        if isinstance(into, Mapping):
            self.own_schema = _check_schema(into)
        else:
            self.adapter, self.own_schema = adapt(into, "an answer")
        title = self.own_schema.get("title") or getattr(into, "__name__", None)
        self.name = (
            _NAME.sub("_", title if isinstance(title, str) else "").strip("_")[:64] or "response"
        )
        """For the schema or the tool, in the characters that all vendors take."""
        self.wrapped = resolve(self.own_schema, self.own_schema).get("type") != "object"
        """Whether the answer is an object with `value` alone, because what is asked for is none."""

    @property
    def schema(self) -> dict[str, Any]:
        """The schema that the answer has to follow, with an object at its root."""
        if not self.wrapped:
            return self.own_schema
        inner = {key: value for key, value in self.own_schema.items() if key != "$defs"}
        schema = {"type": "object", "properties": {WRAPPER: inner}, "required": [WRAPPER]}
        return (
            {**schema, "$defs": self.own_schema["$defs"]} if "$defs" in self.own_schema else schema
        )

    def find_word(self, said: Iterable[str]) -> str | None:
        """The first of `said` that is a word of an enumeration which is the whole answer.

        Models write one without its quotes, and as a sentence begins. A text may also be its JSON.
        """
        if not self.wrapped:
            return None
        words = set(_words(self.own_schema, self.own_schema))
        folds = Counter(word.casefold() for word in words)
        known = {word.casefold(): word for word in words if folds[word.casefold()] == 1}
        for each in said:
            text = _string_in(each)
            word = text if text in words else known.get(text.casefold())
            if word is not None:
                return word
        return None

    def strict(self) -> dict[str, Any] | None:
        """`schema` as vendors enforce it; None where it can't be said so."""
        try:
            return strict_schema(self.schema)
        except NotStrictError:
            return None

    def parse(self, text: str) -> T:
        """The value of a whole JSON text. Raises MismatchError."""
        _check_numbers(text)
        if self.wrapped:
            text = _unwrap(text)
        if self.adapter is None:
            return cast("T", self._parse_schema(text))
        try:
            return self.adapter.validate_json(text)
        except ValidationError as error:
            raise MismatchError(problems_of(error)) from None

    def _parse_schema(self, text: str) -> Any:
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise MismatchError([((), f"not JSON: {error}")]) from None
        try:
            problems = check(value, self.own_schema)
        except ValueError as error:
            problems = [((), str(error))]
        if problems:
            raise MismatchError(problems)
        return value


def adapt(model: Any, what: str) -> tuple[TypeAdapter[Any], dict[str, Any]]:
    """A type's adapter and JSON schema. Raises TypeError that says why there is none."""
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(model)
        return adapter, adapter.json_schema()
    except (PydanticUserError, NameError, TypeError) as error:
        reason = str(error).partition("\n")[0]
        raise TypeError(
            f"{what} can't be {model!r}: {reason} Give a pydantic model, a dataclass, a TypedDict, "
            "a type made of str, int, float, bool, list, dict …, or a JSON schema as a dict."
        ) from None


def problems_of(error: ValidationError) -> list[Problem]:
    """Pydantic's errors, without the input (which would repeat the answer) and without links."""
    return [
        (tuple(problem["loc"]), problem["msg"])
        for problem in error.errors(include_url=False, include_input=False)
    ]


def _check_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    if _SAYS_WHAT.isdisjoint(schema):
        raise TypeError(
            f"a JSON schema says what is wanted (type, properties …); this has only {sorted(schema)}"
        )
    try:
        json.dumps(schema, allow_nan=False)
        check({}, schema)
    except (TypeError, ValueError, RecursionError) as error:
        raise TypeError(f"not a JSON schema that can be sent: {error}") from None
    compile_patterns(schema)
    return dict(schema)


_CONSTANT = re.compile("NaN|Infinity")


def _check_numbers(text: str) -> None:
    """JSON has no NaN and no infinity, which pydantic takes for a float."""
    if not _CONSTANT.search(text):
        return
    with suppress(RecursionError):  # refused later
        try:
            json.loads(text, parse_constant=_refuse_constant)
        except ValueError as error:
            raise MismatchError([((), f"not JSON: {error}")]) from None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} isn't a number of JSON")


def _words(schema: Any, root: dict[str, Any], depth: int = 5) -> Iterator[str]:
    found = resolve(as_object(schema), root) if depth else {}
    allowed = (*found.get("enum", ()), found.get("const"))
    yield from (word for word in allowed if isinstance(word, str))
    for choice in (*found.get("anyOf", ()), *found.get("oneOf", ())):
        yield from _words(choice, root, depth - 1)


def _unwrap(text: str) -> str:
    """The JSON within the wrapper; a text that leaves the wrapper out is taken as it is."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return (
        json.dumps(value[WRAPPER])
        if isinstance(value, dict) and value.keys() == {WRAPPER}
        else text
    )


def _string_in(text: str) -> str:
    """The string that a text holds as JSON, with or without the wrapper; else the text itself."""
    try:
        value = json.loads(_unwrap(text))
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, str) else text
