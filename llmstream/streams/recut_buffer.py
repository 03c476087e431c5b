"""The text that `coalesce` holds, and the rules for letting it go."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from llmstream.events.types import TEXTS, EventType, StreamEvent, content
from llmstream.streams.message_start import HeldStart, is_notice

Unit = Literal["word", "line", "sentence"]

_ALONE = "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
"""Kana and Chinese characters, which are written without spaces."""
ENDS = {
    "word": re.compile(rf"[^\s{_ALONE}]\s|[{_ALONE}]|[^\s{_ALONE}](?=[{_ALONE}])"),
    "line": re.compile(r"\n"),
    "sentence": re.compile(r"[.!?…][\"'”’»)\]]{0,4}\s|[。！？\n]"),  # noqa: RUF001  # meant
}
_REACH = 8
"""No end is longer than this, so a search may begin so far before what is new."""
CHARS = {None: 4_000, "word": 80, "line": 4_000, "sentence": 1_000}


class RecutBuffer:
    """Feed it a stream's events; what it returns may leave. Times are seconds of one clock."""

    def __init__(self, by: Unit | None, seconds: float | None, chars: int) -> None:
        self._end = ENDS[by] if by is not None else None
        self._seconds = seconds
        self._chars = chars
        self._start = HeldStart()
        self._kind = EventType.TEXT_DELTA
        self._text = ""
        self._left: float | None = None  # when something left last
        self.due: float | None = None
        """When what is held has to leave; None if nothing is, or it may wait."""

    def feed(self, event: StreamEvent, now: float) -> Sequence[StreamEvent]:
        """What may leave now that this has come."""
        kind = event.type
        if kind in TEXTS:
            turned = self.flush(now) if kind is not self._kind else ()
            self._kind = kind
            return (*turned, *self._add(content(event), now))
        if kind is EventType.MESSAGE_START:
            self._start.hold(event)
            return ()
        if kind is EventType.RETRY:
            if event.discards:
                self._text, self.due = "", None
            return (*self.flush(now), self._start.retry(event))
        if is_notice(event):
            return (event,)
        if event.ends_round:
            return (*self.flush(now), *self._start.step(event))
        if kind in (EventType.STATUS, EventType.ERROR):
            return (*self.flush(now), event)
        return (*self.flush(now), *self._start.release(), event)

    def flush(self, now: float) -> Sequence[StreamEvent]:
        """All that is held."""
        text, self._text, self.due = self._text, "", None
        return self._leave(text, now) if text else ()

    def _add(self, text: str, now: float) -> Sequence[StreamEvent]:
        scanned = max(0, len(self._text) - _REACH)
        self._text += text
        units = self._units(scanned, now) if self._end is not None else ()
        if len(self._text) >= self._chars:
            return (*units, *self.flush(now))
        if self._seconds is not None and self._text and self.due is None:
            self.due = now + (
                self._seconds if self._end is not None else self._rest(now, self._seconds)
            )
        return units

    def _rest(self, now: float, seconds: float) -> float:
        """How long until a delta may leave again."""
        return 0.0 if self._left is None else max(0.0, self._left + seconds - now)

    def _units(self, scanned: int, now: float) -> Sequence[StreamEvent]:
        units: list[StreamEvent] = []
        cut = 0
        for match in self._end.finditer(self._text, scanned):  # type: ignore[union-attr]  # the caller has looked
            units += self._leave(self._text[cut : match.end()], now)
            cut = match.end()
        if cut:
            self._text, self.due = self._text[cut:], None
        return units

    def _leave(self, text: str, now: float) -> Sequence[StreamEvent]:
        self._left = now
        return (*self._start.release(), TEXTS[self._kind](text))
