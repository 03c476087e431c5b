"""JSON within an answer: models put fences, prose, drafts and footnotes around it, though asked not to.

The last value that fits is the answer: a draft comes before it. Two things come last and aren't it:
what the model only thought, and a number in brackets that stands for a source.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

from llmstream.structured.footnotes import IS, MARKS, Rank, rank_of

Span: TypeAlias = tuple[int, int]
"""The place of a part of a text: where it begins, and the place behind it."""

# A brace or bracket of prose isn't tried: nothing that JSON has follows it.
_NEXT = re.compile(
    r"""
    [<\[◁] (?P<end>/?)
    (?: think | thinking | thought | thoughts | reasoning | reflection | analysis | scratchpad | seed:think )
    (?: \s [^<>\n]{0,80} )? [>\]▷]
    | \[ (?= \s* (?: [\[\]{"\d\-tfnNI] | \Z ) )
    | \{ (?= \s* (?: ["}] | \Z ) )
    """,
    re.IGNORECASE | re.VERBOSE,
)
_BRACKETS = re.compile(r'[{\[]|[}\]]|"(?:[^"\\\n]|\\.)*"')
_DEPTHS = {"{": 1, "[": 1, "}": -1, "]": -1}
_WORDS = {"true": "true", "false": "false", "null": "null", "none": "null"}
"""As models write them in words of another language, and in JSON."""
_LITERALS = ("true", "false", "null", "NaN", "Infinity", "-Infinity")
_SCALAR = re.compile(
    r'-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|(?i:true|false|null)|None|"(?:[^"\\]|\\.)*"'
)
_LINE_START = re.compile(r"^[ \t]*([{\[])", re.MULTILINE)

_BEFORE = " \t`*_~$“«„≈"
"""What may stand before a value on its line."""
_AFTER = " \t\r`*_~.,;!。$”»"
"""What may follow a value on its line."""
_AROUND_WORD = _BEFORE + _AFTER + "'\""
_CLOSING = re.compile(r"(?:\[\^?\d{1,3}\]|\s\([^()]*\))\Z")
"""The number of a source, or a remark, behind a value."""
_MOST_CLOSING = 5
_WRAPPED = re.compile(r"<(\w{1,20})>(?P<tagged>[^<>]*)</\1>|\\boxed\{(?P<boxed>[^{}]*)\}")
_SAYS = re.compile(rf"\b(?:{IS})\s+|[是为]\s*", re.IGNORECASE)
_MOST = 100
"""Values that are tried."""
_MOST_BROKEN = 1000
"""Broken values that are passed over: Python counts the lines before each."""
_MOST_BRACKETS = 50_000
"""Brackets that are looked at to find the ends of broken values."""
_NEAR = 200
"""Characters at the end of a line that say where its value is."""


@dataclass(frozen=True, slots=True)
class _FoundValue:
    start: int
    end: int
    rank: Rank


def json_texts(text: str, *, scalars: bool = True) -> Iterator[str]:
    """The texts that may be meant, best first; at last what only begins like JSON, or all of it.

    `scalars`: numbers, words and strings count too where they stand alone on a line.
    """
    finder = _Finder(text)
    found = finder.find()
    if scalars:
        found += _find_scalars(text, found, finder.thoughts)
    found.sort(key=lambda each: (each.rank, each.start), reverse=True)
    for each in found[:_MOST]:
        value = text[each.start : each.end]
        yield _WORDS.get(value.lower(), value)
    if not found:
        start = _LINE_START.search(text)
        brace = text.find("{")
        at = start.start(1) if start is not None else max(brace, 0)
        yield text[at:].strip()


def bare_words(text: str) -> Iterator[str]:
    """The texts that may be an answer of one word or phrase, best first."""
    said = _drop_thoughts(text)
    yield said.strip(_AROUND_WORD + "\n")
    for line in reversed(said.split("\n")[-_MOST:]):
        for start, end in _places(line):
            yield line[start:end].strip(_AROUND_WORD)


def _drop_thoughts(text: str) -> str:
    finder = _Finder(text)
    finder.find()
    kept: list[str] = []
    at = 0
    for start, end in finder.thoughts:
        kept.append(text[at:start])
        at = end
    return "".join([*kept, text[at:]])


class _Finder:
    """Finds the objects and lists of a text, none inside another. Linear in the text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._decoder = json.JSONDecoder()
        self._brackets = _MOST_BRACKETS
        self._broken = 0
        self._found: list[_FoundValue] = []
        self._thinking_from = 0
        self.thoughts: list[Span] = []
        """The places of what was only thought, with its tags, in order."""

    def find(self) -> list[_FoundValue]:
        """All of them, in order."""
        at: int | None = 0
        while at is not None:
            mark = _NEXT.search(self._text, at)
            if mark is None:
                break
            if mark["end"] is None:
                at = self._take(mark.start())
                continue
            self._take_tag(mark)
            at = mark.end()
        return self._found_with_thoughts()

    def _found_with_thoughts(self) -> list[_FoundValue]:
        thought = _Spans(self.thoughts)
        return [
            replace(each, rank=Rank.THOUGHT) if thought.has_any(each.start, each.end) else each
            for each in self._found
        ]

    def _take_tag(self, tag: re.Match[str]) -> None:
        if not tag["end"]:
            self._thinking_from = tag.start()
            return
        # Without an opening tag all before it was thought: some templates put that into the prompt.
        self.thoughts.append((self._thinking_from, tag.end()))
        self._thinking_from = tag.end()

    def _take(self, start: int) -> int | None:
        """Read the value that may begin here. Gives where to go on; None: it goes on to the end."""
        try:
            _, end = self._decoder.raw_decode(self._text, start)
        except json.JSONDecodeError as error:
            if self._is_cut(error):
                return None  # its parts are half an answer, and no answer
            self._broken += 1
            if self._broken > _MOST_BROKEN:
                return None
            return self._skip(start, error.pos)
        except RecursionError:
            return None
        self._found.append(_FoundValue(start, end, rank_of(self._text, start, end)))
        return end

    def _is_cut(self, error: json.JSONDecodeError) -> bool:
        rest = self._text[error.pos : error.pos + 20].strip()
        if not rest or error.msg.startswith("Unterminated"):
            return True
        if any(word.startswith(rest) for word in _LITERALS):
            return True
        return error.msg.startswith("Invalid \\") and error.pos + 6 >= len(self._text)

    def _skip(self, start: int, broken_at: int) -> int:
        """Go past a value that isn't JSON, since its parts aren't the answer; past a brace in prose."""
        if broken_at <= start + 1:
            return start + 1
        depth = 0
        for token in _BRACKETS.finditer(self._text, start):
            self._brackets -= 1
            if self._brackets < 0:
                break
            depth += _DEPTHS.get(token[0], 0)
            if depth == 0:
                return token.end()
        return broken_at


def _find_scalars(text: str, found: list[_FoundValue], thoughts: list[Span]) -> list[_FoundValue]:
    """Values without braces that stand alone on their line, or behind a colon at its end."""
    scalars: list[_FoundValue] = []
    taken = _Spans([(each.start, each.end) for each in found])
    thought = _Spans(thoughts)
    start = 0
    for line in text.split("\n"):
        place = _scalar_in(line)
        if place is not None and not taken.has_any(start + place[0], start + place[1]):
            rank = Rank.THOUGHT if thought.has_any(start, start + len(line)) else Rank.SAID
            scalars.append(_FoundValue(start + place[0], start + place[1], rank))
        start += len(line) + 1
    return scalars


class _Spans:
    """Parts of a text, in order. Asked about places in order, it is linear in all."""

    def __init__(self, spans: list[Span]) -> None:
        self._spans = iter(spans)
        self._span = next(self._spans, None)

    def has_any(self, start: int, end: int) -> bool:
        """Whether one of the parts has some of this place."""
        while self._span is not None and self._span[1] <= start:
            self._span = next(self._spans, None)
        return self._span is not None and self._span[0] < end


def _scalar_in(line: str) -> Span | None:
    return next((place for place in _places(line) if _SCALAR.fullmatch(line, *place)), None)


def _places(line: str) -> Iterator[Span]:
    """Where a value may stand on its line: in a tag, behind marks, a colon, or "is"."""
    wrapped = _WRAPPED.search(line)
    if wrapped is not None:
        yield _trim(line, *wrapped.span("boxed" if wrapped["tagged"] is None else "tagged"))
    end = len(line.rstrip(_AFTER))
    for _ in range(_MOST_CLOSING):
        closing = _CLOSING.search(line, max(0, end - _NEAR), end)
        if closing is None:
            break
        end = len(line[: closing.start()].rstrip(_AFTER))
    for start in _starts(line):
        yield _trim(line, start, end)


def _trim(line: str, start: int, end: int) -> Span:
    end = start + len(line[start:end].rstrip(_AFTER))
    return end - len(line[start:end].lstrip(_BEFORE)), end


def _starts(line: str) -> Iterator[int]:
    """Behind marks, a colon, or "is"."""
    marks = MARKS.match(line)
    yield 0 if marks is None else marks.end()
    for at in (line.find(":"), *(line.rfind(mark) for mark in ":：=≈")):  # noqa: RUF001
        if at >= 0:
            yield at + 1
    says = list(_SAYS.finditer(line, max(0, len(line) - _NEAR)))
    if says:
        yield says[-1].end()


class Preamble:
    """Drops what stands before the JSON, as it comes.

    It begins with a brace or, among `lists`, a bracket, where that begins a line or follows a colon.
    """

    def __init__(self, *, lists: bool = True) -> None:
        self._begin = "{[" if lists else "{"
        self._blank = True  # nothing but blanks since the line began, or since a colon
        self.over = False
        """The JSON has begun."""

    def feed(self, text: str) -> str:
        """The part of `text` that belongs to the JSON."""
        if self.over:
            return text
        for token in _PREAMBLE.finditer(text):
            kind = token.lastgroup
            if kind == "blank":
                continue
            if kind == "begin" and self._blank and token[0] in self._begin:
                self.over = True
                return text[token.start() :]
            self._blank = kind == "fresh"
        return ""


_PREAMBLE = re.compile(
    r"(?P<blank>[ \t\r]+)|(?P<fresh>[\n:：])|(?P<begin>[{\[])|(?P<other>[^ \t\r\n:：{\[]+)"  # noqa: RUF001
)
