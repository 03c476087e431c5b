"""The text that `coalesce` holds, and the rules for letting it go."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

from llmstream.events.types import TEXTS, EventType, StreamEvent, content, part_of
from llmstream.streams.graphemes import is_boundary, last_boundary
from llmstream.streams.message_start import HeldStart, is_notice
from llmstream.streams.sentences import sentence_ends

Unit = Literal["word", "line", "sentence"]

_ALONE = "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
"""Kana and Chinese characters, which are written without spaces."""
_VARIATIONS = "\ufe00-\ufe0f\U000e0100-\U000e01ef"
_WORD_END = re.compile(
    rf"(?<=[^\s{_ALONE}])(?:\r\n|\s)|[{_ALONE}][{_VARIATIONS}]*|[^\s{_ALONE}](?=[{_ALONE}])"
)
Find: TypeAlias = Callable[[str, int, bool], tuple[list[int], int]]


def _find_words(text: str, start: int, whole: bool) -> tuple[list[int], int]:  # noqa: FBT001
    ends: list[int] = []
    for match in _WORD_END.finditer(text, start):
        end = match.end()
        if end < len(text):
            if is_boundary(text, end):
                ends.append(end)
        elif not whole:
            return ends, match.start()  # a mark may come that belongs to it
    return ends, max(start, len(text) - 1)  # what comes may say that the last character is an end


_NEWLINE = re.compile("\n")

ENDS: dict[Unit, Find] = {
    "word": _find_words,
    "line": lambda text, start, _: (
        [match.end() for match in _NEWLINE.finditer(text, start)],
        len(text),
    ),
    "sentence": lambda text, start, whole: sentence_ends(text, start, whole=whole),
}
"""Where units end in a text, from a place on, and where to look on from. The flag: no more text comes."""
CHARS = {None: 4_000, "word": 80, "line": 4_000, "sentence": 1_000}


class RecutBuffer:
    """Feed it a stream's events; what it returns may leave. Times are seconds of one clock."""

    def __init__(self, by: Unit | None, seconds: float | None, chars: int) -> None:
        self._find = ENDS[by] if by is not None else None
        self._from = 0
        """Where to look for the next end."""
        self._before = "\n"
        """The character before the text, which says where a line begins."""
        self._seconds = seconds
        self._chars = chars
        self._start = HeldStart()
        self._kind = EventType.TEXT_DELTA
        self._part = 0
        self._text = ""
        self._left: float | None = None  # when something left last
        self.due: float | None = None
        """When what is held has to leave; None if nothing is, or it may wait."""

    def feed(self, event: StreamEvent, now: float) -> Sequence[StreamEvent]:
        """Take an event; return those that may leave now."""
        kind = event.type
        if kind in TEXTS:
            turned: Sequence[StreamEvent] = ()
            part = part_of(event)
            if kind is not self._kind or part != self._part:
                turned = self.flush(now)
                self._before = "\n"
            self._kind, self._part = kind, part
            return (*turned, *self._add(content(event), now))
        if kind is EventType.MESSAGE_START:
            self._start.hold(event)
            return ()
        if kind is EventType.RETRY:
            if event.discards:
                self._take_all()
                self._before = "\n"
            return (*self.flush(now), self._start.retry(event))
        if is_notice(event):
            return (event,)
        if event.ends_round:
            return (*self.flush(now), *self._start.step(event))
        if kind in (EventType.STATUS, EventType.ERROR):
            return (*self.flush(now), event)
        return (*self.flush(now), *self._start.release(), event)

    def flush(self, now: float) -> Sequence[StreamEvent]:
        """All that is held, unit by unit."""
        units = self._units(now, whole=True)
        text = self._take_all()
        return (*units, *self._leave(text, now)) if text else units

    def _take_all(self) -> str:
        text = self._text
        self._drop(len(text))
        return text

    def _add(self, text: str, now: float) -> Sequence[StreamEvent]:
        self._text += text
        units = (*self._units(now, whole=False), *self._overflow(now))
        if self._seconds is not None and self._text and self.due is None:
            self.due = now + (
                self._seconds if self._find is not None else self._rest(now, self._seconds)
            )
        return units

    def _rest(self, now: float, seconds: float) -> float:
        """How long until a delta may leave again."""
        return 0.0 if self._left is None else max(0.0, self._left + seconds - now)

    def _units(self, now: float, *, whole: bool) -> Sequence[StreamEvent]:
        if self._find is None:
            return ()
        units: list[StreamEvent] = []
        ends, seen = self._find(self._before + self._text, self._from + 1, whole)
        self._from = max(0, seen - 1)
        cut = 0
        for end in ends:
            units += self._leave(self._text[cut : end - 1], now)
            cut = end - 1
        self._drop(cut)
        return units

    def _overflow(self, now: float) -> Sequence[StreamEvent]:
        """Release the held text where it is too much, but for a last character that may still grow."""
        text = self._text
        if len(text) < self._chars:
            return ()
        end = len(text)
        if self._find is not None or not text[-1].isascii():
            end = last_boundary(text) or end
        if self._find is not None and len(text) == self._chars:
            return ()  # the next character says whether the last one is whole
        self._drop(end)
        return self._leave(text[:end], now)

    def _drop(self, end: int) -> None:
        if end:
            self._before = self._text[end - 1]
            self._text, self.due = self._text[end:], None
            self._from = max(0, self._from - end)

    def _leave(self, text: str, now: float) -> Sequence[StreamEvent]:
        self._left = now
        return (*self._start.release(), TEXTS[self._kind](text, self._part))
