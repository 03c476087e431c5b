"""replay: a recording as a stream again."""

from __future__ import annotations

import json
import math
import os
from collections.abc import AsyncGenerator, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from llmstream.checks import as_object, as_text, require
from llmstream.clock import Clock, LoopClock
from llmstream.errors import ConfigurationError, ErrorInfo
from llmstream.events.any_event import AnyEvent, narrow
from llmstream.events.flow import Flow
from llmstream.events.grammar import TERMINAL
from llmstream.events.transcript import Transcript
from llmstream.events.types import TEXTS, StreamEvent, content, error
from llmstream.streams.record import VERSION

_Lines = Iterable[str | bytes]


def replay(
    file: str | os.PathLike[str] | _Lines, *, speed: float = 1.0, clock: Clock | None = None
) -> Flow[AnyEvent]:
    """Yield the events of a recording again, at the times they came at; `speed=2` twice as fast, `math.inf` at once.

    A path is opened at the first step and closed with the stream; open files and other lines are read as they are.
    At the first step it raises OSError if the file can't be read, and ConfigurationError if the file isn't a recording,
    or has an unknown version. What is wrong further on is an ERROR, after all events before it: kind "truncated" where
    the recording was cut, "protocol" where a line is corrupt, with the code "recording". Raises ValueError unless speed
    is above 0.
    """
    require(speed > 0, f"speed must be above 0, not {speed}")
    lines = _RecordedLines(file)
    return Flow(_replay(lines, speed, clock or LoopClock()), lines)


@narrow
async def _replay(
    lines: _RecordedLines, speed: float, clock: Clock
) -> AsyncGenerator[StreamEvent, None]:
    transcript = Transcript()
    async with lines:
        lines.open()
        begun = clock.time()
        try:
            for at, event in lines.events():
                ahead = begun + at / speed - clock.time()
                if ahead > 0:
                    await clock.sleep(ahead)
                transcript.add(event)
                yield event
                if event.type in TERMINAL:
                    return
            info = ErrorInfo(
                "truncated", "the recording stops without the stream's end", code="recording"
            )
        except _CorruptError as problem:
            info = problem.info
    partial = transcript.partial()
    info.partial = partial if partial.parts else None
    yield error(info)


class _CorruptError(Exception):
    """A line that no `record` wrote, or not wholly."""

    def __init__(self, info: ErrorInfo) -> None:
        super().__init__(info)
        self.info = info


class _RecordedLines:
    """The lines of a recording, and the file they are from."""

    def __init__(self, file: str | os.PathLike[str] | _Lines) -> None:
        self._path = Path(file) if isinstance(file, (str, os.PathLike)) else None
        self._given = () if isinstance(file, (str, os.PathLike)) else file
        self._lines: Iterator[str | bytes] = iter(())
        self._opened: BinaryIO | None = None

    async def __aenter__(self) -> None:
        return None

    async def __aexit__(self, *exception: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the file that was opened here."""
        if self._opened is not None:
            self._opened.close()

    def open(self) -> None:
        """Read the header. Bytes, because a bad one must cost its own line, not those buffered with it."""
        if self._path is None:
            self._lines = iter(self._given)
        else:
            self._lines = self._opened = self._path.open("rb")
        name = self._path or "this"
        try:
            header = as_object(json.loads(next(self._lines, "")))
        except (ValueError, RecursionError):
            header = {}
        require(
            header.get("llmstream") == "recording",
            f"{name} isn't a recording of llmstream: it doesn't begin with the header of one",
            ConfigurationError,
        )
        require(
            header.get("version") == VERSION,
            f"{name} is a recording of version {header.get('version')!r}; this llmstream reads version {VERSION}",
            ConfigurationError,
        )

    def events(self) -> Iterator[tuple[float, StreamEvent]]:
        """When each event came, and the event."""
        for number, line in enumerate(self._lines, 2):
            try:
                parsed = _parse(json.loads(line))
            except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as problem:
                whole = line[-1:] in ("\n", b"\n") or next(self._lines, None) is not None
                message = f"line {number} of the recording is {'corrupt' if whole else 'cut'}: {problem!r}"
                raise _CorruptError(
                    ErrorInfo("protocol" if whole else "truncated", message, code="recording")
                ) from None
            yield parsed


def _parse(value: dict[str, Any]) -> tuple[float, StreamEvent]:
    at = value["at"]
    require(math.isfinite(at) and at >= 0, f"at is {at}")
    event = StreamEvent.from_dict(value["event"])
    has_text = event.type not in TEXTS or as_text(content(event)) is not None
    require(has_text, f"a {event.type} event without its text")
    return at, event
