"""Arguments of a call that come in pieces, each with the path of the value that it belongs to, as JSON text.

Format: https://ai.google.dev/api/caching#PartialArg. Pieces of a string at one path join. Values come in the order of
the object, so their text is written while they come. A piece that goes back to a value before it can't be written
there: then `whole` differs from what was written.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from llmstream.wire.json_fields import as_string, halves_of, join_texts
from llmstream.wire.partial_json import PartialJSON

Step: TypeAlias = str | int
"""A member's name, or an item's place."""

_STEP = re.compile(
    r"""\.?([^.\[\]'"]+)|\[(\d{1,9})\]|\['((?:[^'\\]|\\.)*)'\]|\["((?:[^"\\]|\\.)*)"\]""", re.S
)
_ESCAPED = re.compile(r"\\(.)", re.S)
_DEEPEST = 100
"""Steps of a path: Python's own JSON parser stops at about 1,000."""
_WIDEST_GAP = 1000
"""Items of a list that may lack before one that comes."""
_VALUES = ("stringValue", "numberValue", "boolValue")
NULL = "nullValue"
BRACE = "{"


def parse_path(path: str) -> list[Step]:
    """The steps of a JSONPath such as `$.places[0].name`. ValueError for what isn't one."""
    steps: list[Step] = []
    at = 1 if path.startswith("$") else 0
    while at < len(path):
        found = _STEP.match(path, at)
        if found is None or len(steps) == _DEEPEST:
            raise ValueError("a path that can't be read")
        name, place, quoted, double = found.groups()
        if place is not None:
            steps.append(int(place))
        else:
            steps.append(name or _ESCAPED.sub(r"\1", quoted or double or ""))
        at = found.end()
    return steps


class PartialArguments:
    """The arguments of one call. Their text begins with `BRACE`."""

    def __init__(self) -> None:
        self.whole: dict[str, Any] = {}
        """What has come, as an object."""
        self._open: list[Step] = []  # the path of the value that was written last
        self._is_string = False  # that value is a string whose end isn't written
        self._written = False  # some of the text is
        self._in_order = True  # the text says what `whole` does

    def add(self, piece: Mapping[str, Any]) -> str:
        """The JSON text that a piece adds."""
        steps = parse_path(as_string(piece["jsonPath"]))
        value = _value_of(piece)
        if not steps or not isinstance(steps[0], str):
            raise ValueError("a path to nothing")
        is_text = isinstance(value, str)
        joins = is_text and self._is_string and steps == self._open
        self._in_order = self._in_order and (joins or self._follows(steps))
        _put(self.whole, steps, value)
        if not self._in_order:
            return ""
        goes_on = is_text and piece.get("willContinue") is True
        if joins:
            text = _escape(value) + ("" if goes_on else '"')
        else:
            text = "".join(self._lead(steps)) + _begun(value, goes_on=goes_on)
        self._open, self._is_string, self._written = steps, goes_on, True
        return join_texts([text])  # it may end in half a character

    def replace(self, whole: dict[str, Any]) -> None:
        """The arguments came as a whole, too: these count."""
        self._in_order = self._in_order and self.whole == whole
        self.whole = whole

    def end(self) -> str:
        """The text that closes what is open."""
        return "".join(self._close(0)) + "}" if self._in_order else ""

    @property
    def is_in_order(self) -> bool:
        """Whether the text that was written says all that came."""
        return self._in_order

    def _follows(self, steps: list[Step]) -> bool:
        """Whether a value of this path can be written behind the last one."""
        shared = _shared(self._open, steps)
        if any(step != 0 for step in steps[shared + 1 :] if isinstance(step, int)):
            return False
        if not self._written:
            return True
        if shared == min(len(self._open), len(steps)):
            return False
        last, step = self._open[shared], steps[shared]
        if isinstance(step, int):
            return isinstance(last, int) and step == last + 1
        return isinstance(last, str) and not _holds(self.whole, steps[: shared + 1])

    def _lead(self, steps: list[Step]) -> Iterator[str]:
        """The text between the last value and the value of this path."""
        shared = 0
        if self._written:
            shared = _shared(self._open, steps)
            yield from self._close(shared)
            yield ","
        for depth, step in enumerate(steps[shared:], shared):
            if depth > shared:
                yield "{" if isinstance(step, str) else "["
            if isinstance(step, str):
                yield json.dumps(step, ensure_ascii=False) + ":"

    def _close(self, shared: int) -> Iterator[str]:
        """The ends of the last value, and of what is open beyond so many steps."""
        if self._is_string:
            yield '"'
            self._is_string = False
        for step in reversed(self._open[shared + 1 :]):
            yield "}" if isinstance(step, str) else "]"


def _value_of(piece: Mapping[str, Any]) -> Any:
    """The value of a piece. A type that nobody knows makes its frame a bad one."""
    for name in _VALUES:
        if piece.get(name) is not None:
            value = piece[name]
            return as_string(value) if name == "stringValue" else value
    if NULL in piece:
        return None
    if piece.get("willContinue") is not None or piece.keys() <= {"jsonPath"}:
        return ""
    raise ValueError("a piece without a value")


def split_arguments(arguments: str) -> list[dict[str, Any]]:
    """The pieces of arguments that were cut: all that is sure of them."""
    parser = PartialJSON()
    try:
        parser.feed(arguments)
    except ValueError:
        return []  # no JSON at all
    pieces = list(_pieces_of(parser.value, "$")) if isinstance(parser.value, dict) else []
    is_open = parser.text is not None
    if pieces and is_open and "stringValue" in pieces[-1]:
        pieces[-1]["willContinue"] = True
    return pieces


def _pieces_of(value: Any, path: str) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        for name, each in value.items():
            quoted = name.replace("\\", "\\\\").replace("'", "\\'")
            yield from _pieces_of(each, f"{path}['{quoted}']")
    elif isinstance(value, list):
        for place, each in enumerate(value):
            yield from _pieces_of(each, f"{path}[{place}]")
    else:
        yield {"jsonPath": path, **_named(value)}


def _named(value: Any) -> dict[str, Any]:
    """A value under the name of its type."""
    if value is None:
        return {NULL: "NULL_VALUE"}
    if isinstance(value, bool):
        return {"boolValue": value}
    return {"stringValue" if isinstance(value, str) else "numberValue": value}


def _holds(whole: Any, steps: list[Step]) -> bool:
    """Whether there is something at a path of which all but the last step are there."""
    for step in steps[:-1]:
        whole = whole[step]
    return steps[-1] in whole


def _put(whole: Any, steps: list[Step], value: Any) -> None:
    """Set the value at a path; a string is joined with the one that is there."""
    for step, following in itertools.pairwise(steps):
        whole = _enter(whole, step, following)
    last = steps[-1]
    if isinstance(last, int):
        _widen(whole, last)
    known = whole[last] if isinstance(last, int) else whole.get(last)
    is_joined = isinstance(known, str) and isinstance(value, str)
    whole[last] = join_texts([known, value]) if is_joined else value


def _enter(whole: Any, step: Step, following: Step) -> Any:
    """What stands at a step: a new object or list, as the step after it wants."""
    kind: type[Any] = dict if isinstance(following, str) else list
    if isinstance(step, int):
        _widen(whole, step)
        inner = whole[step]
    else:
        inner = whole.get(step)
    if not isinstance(inner, kind):
        inner = whole[step] = kind()
    return inner


def _widen(items: list[Any], place: int) -> None:
    """Fill a list up to a place. ValueError for a place that is far beyond its end."""
    missing = place + 1 - len(items)
    if missing > _WIDEST_GAP:
        raise ValueError("a list with a gap")
    items.extend([None] * missing)


def _shared(one: list[Step], other: list[Step]) -> int:
    """How many steps two paths share."""
    shared = 0
    for left, right in zip(one, other, strict=False):
        if left != right or type(left) is not type(right):
            break
        shared += 1
    return shared


def _escape(text: str) -> str:
    return json.dumps(halves_of(text), ensure_ascii=False)[1:-1]


def _begun(value: Any, *, goes_on: bool) -> str:
    text = json.dumps(halves_of(value) if goes_on else value, ensure_ascii=False)
    return text.removesuffix('"') if goes_on else text
