"""JSON within an answer: models put fences, prose, drafts and footnotes around it, though asked not to.

The last value that fits is the answer: a draft comes before it. Two things come last and aren't it:
what the model only thought, and a number in brackets that stands for a source.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import IntEnum

# A brace or bracket of prose isn't tried: nothing that JSON has follows it.
_NEXT = re.compile(
    r"""
    \[ (?= \s* (?: [\[\]{"\d\-tfnNI] | \Z ) )
    | \{ (?= \s* (?: ["}] | \Z ) )
    | < (?P<end>/?) (?: think | thinking | thought | reasoning | reflection | scratchpad ) >
    """,
    re.IGNORECASE | re.VERBOSE,
)
_BRACKETS = re.compile(r'[{\[]|[}\]]|"(?:[^"\\\n]|\\.)*"')
_LITERALS = ("true", "false", "null", "NaN", "Infinity", "-Infinity")
_SCALAR = re.compile(r'-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null|"(?:[^"\\]|\\.)*"')
_LINE_START = re.compile(r"^[ \t]*([{\[])", re.MULTILINE)

_MARKS = re.compile(r"(?:```\w*|~~~\w*|[>*_`#]|[+-](?=\s)|\d+[.)](?=\s)|\s)*")
"""Markdown before a value on its line: a fence, a quote, a heading, a list, emphasis."""
_LEADS_ON = re.compile(r"(?:[:：=→]|\b(?:is|are|be))[\s*_`]*$", re.IGNORECASE)  # noqa: RUF001
_NAMES_SOURCES = re.compile(
    r"\b(?:sources?|see|refs?|references?|cf|citations?|cites?|notes?|footnotes?)[.]?[:：]?[\s*_`]*$",  # noqa: RUF001
    re.IGNORECASE,
)
_AFTER = " \t\r`*_~.,;!。"
"""What may follow a value on its line."""
_AROUND_WORD = _AFTER + "'\""
_FOOTNOTE = re.compile(r"\[\s*(?:\d{1,3}(?:\s*,\s*\d{1,3})*)?\s*\]|\{\s*\}")
_SOURCE_NUMBERS = re.compile(r"(?:\s*\[\d{1,3}\])+\s*\Z")
_SAYS = re.compile(r"\b(?:is|are|be)\s+", re.IGNORECASE)
_MOST = 100
"""Values that are tried."""
_MOST_BROKEN = 1000
"""Broken values that are passed over: Python counts the lines before each."""
_MOST_BRACKETS = 50_000
"""Brackets that are looked at to find the ends of broken values."""
_NEAR = 200
"""Characters before and after a value that say what it is."""


class _Rank(IntEnum):
    THOUGHT = 0
    FOOTNOTE = 1
    SAID = 2


@dataclass(frozen=True, slots=True)
class _Found:
    start: int
    end: int
    rank: _Rank


def json_texts(text: str, *, scalars: bool = True) -> Iterator[str]:
    """The texts that may be meant, best first; at last what only begins like JSON, or all of it.

    `scalars`: numbers, words and strings count too where they stand alone on a line.
    """
    found = _Finder(text).find()
    if scalars:
        found += _find_scalars(text, found)
    found.sort(key=lambda each: (each.rank, each.start), reverse=True)
    for each in found[:_MOST]:
        yield text[each.start : each.end]
    if not found:
        start = _LINE_START.search(text)
        brace = text.find("{")
        at = start.start(1) if start is not None else max(brace, 0)
        yield text[at:].strip()


def bare_words(text: str) -> Iterator[str]:
    """What may be the answer where that is a word or a phrase, best first."""
    said = text.rpartition("</think>")[2]
    yield said.strip(_AROUND_WORD + "\n")
    for line in reversed(said.split("\n")[-_MOST:]):
        end = len(line.rstrip(_AFTER))
        for start in _starts(line):
            yield line[start:end].strip(_AROUND_WORD)


class _Finder:
    """Finds the objects and lists of a text, none inside another. Linear in the text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._decoder = json.JSONDecoder()
        self._brackets = _MOST_BRACKETS
        self._broken = 0
        self._found: list[_Found] = []
        self._thinking_from = 0
        self._thoughts: list[tuple[int, int]] = []

    def find(self) -> list[_Found]:
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

    def _found_with_thoughts(self) -> list[_Found]:
        marked = []
        thoughts = iter(self._thoughts)
        thought = next(thoughts, None)
        for each in self._found:
            while thought is not None and thought[1] <= each.start:
                thought = next(thoughts, None)
            inside = thought is not None and thought[0] <= each.start
            marked.append(replace(each, rank=_Rank.THOUGHT) if inside else each)
        return marked

    def _take_tag(self, tag: re.Match[str]) -> None:
        if not tag["end"]:
            self._thinking_from = tag.start()
            return
        # Without an opening tag all before it was thought: some templates put that into the prompt.
        self._thoughts.append((self._thinking_from, tag.start()))
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
        self._found.append(_Found(start, end, _rank(self._text, start, end)))
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
            if token[0] in "{[":
                depth += 1
            elif token[0] in "}]":
                depth -= 1
            if depth == 0:
                return token.end()
        return broken_at


def _rank(text: str, start: int, end: int) -> _Rank:
    if _FOOTNOTE.fullmatch(text, start, end) is None:
        return _Rank.SAID
    near = max(0, start - _NEAR)
    line = text.rfind("\n", near, start) + 1
    before = text[line or near : start]
    after = text[end : end + _NEAR].partition("\n")[0]
    after = _SOURCE_NUMBERS.sub("", after)
    if after.strip(_AFTER) or _NAMES_SOURCES.search(before[-40:]):
        return _Rank.FOOTNOTE
    stands = _MARKS.fullmatch(before) is not None or _LEADS_ON.search(before[-40:]) is not None
    return _Rank.SAID if stands else _Rank.FOOTNOTE


def _find_scalars(text: str, found: list[_Found]) -> list[_Found]:
    """Values without braces that stand alone on their line, or behind a colon at its end."""
    scalars: list[_Found] = []
    spans = iter(found)
    span = next(spans, None)
    thought_until = text.rfind("</think>")
    start = 0
    for line in text.split("\n"):
        while span is not None and span.end <= start:
            span = next(spans, None)
        end = start + len(line)
        if span is None or span.start >= end:
            place = _scalar_in(line)
            if place is not None:
                rank = _Rank.THOUGHT if start < thought_until else _Rank.SAID
                scalars.append(_Found(start + place[0], start + place[1], rank))
        start = end + 1
    return scalars


def _scalar_in(line: str) -> tuple[int, int] | None:
    end = len(line.rstrip(_AFTER))
    for start in _starts(line):
        begun = end - len(line[start:end].lstrip(_AFTER))
        if _SCALAR.fullmatch(line, begun, end):
            return begun, end
    return None


def _starts(line: str) -> Iterator[int]:
    """Where a value may begin on its line: behind marks, a colon, or "is"."""
    marks = _MARKS.match(line)
    yield 0 if marks is None else marks.end()
    for at in (line.find(":"), line.rfind(":"), line.rfind("=")):
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
