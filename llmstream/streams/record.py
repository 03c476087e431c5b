"""record: keep a stream, with its timing, in a file that `replay` plays again.

A recording is JSON Lines. The first line is `{"llmstream": "recording", "version": 1}`; each of the others one event,
`{"at": seconds since the first step, "event": event.to_dict()}`. It holds what the stream held: never the request, a
header or a key.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncGenerator, AsyncIterable
from typing import Any, TextIO

from llmstream.clock import Clock, LoopClock
from llmstream.events.any_event import AnyEvent, narrow
from llmstream.events.flow import Flow, Upstream
from llmstream.events.types import StreamEvent

VERSION = 1
HEADER = {"llmstream": "recording", "version": VERSION}


def record(
    events: AsyncIterable[StreamEvent],
    file: str | os.PathLike[str] | TextIO,
    *,
    raw: bool = False,
    clock: Clock | None = None,
) -> Flow[AnyEvent]:
    """Pass the events on, each after its line is in the file: a crash costs at most the line being written.

    A path is opened at the first event, a new file for the owner only, and closed with the stream; what stood there is
    replaced. A file object is flushed and stays open. `raw=True` keeps the provider's own frames too (where the client
    has `include_raw`). `at` includes the time that the consumer takes. An OSError of the file reaches the consumer.
    """
    source = Upstream(events)
    return Flow(_record(source, _RecordingFile(file, raw=raw), clock or LoopClock()), source)


@narrow
async def _record(
    source: Upstream, recording: _RecordingFile, clock: Clock
) -> AsyncGenerator[StreamEvent, None]:
    begun = clock.time()
    try:
        async with source as events:
            async for event in events:
                recording.add(clock.time() - begun, event)
                yield event
    finally:
        recording.close()


class _RecordingFile:
    """The file, once there is something to write."""

    def __init__(self, file: str | os.PathLike[str] | TextIO, *, raw: bool) -> None:
        self._path = file if isinstance(file, (str, os.PathLike)) else None
        self._file = file if not isinstance(file, (str, os.PathLike)) else None
        self._raw = raw
        self._begun = False

    def add(self, at: float, event: StreamEvent) -> None:
        if not self._begun:
            self._begun = True
            if self._path is not None:
                self._file = open(  # noqa: SIM115  # `close` does
                    self._path, "w", encoding="ascii", newline="\n", opener=_private
                )
            self._write(HEADER)
        data = event.to_dict()
        if not self._raw:
            data.pop("raw", None)
        self._write({"at": round(at, 6), "event": data})

    def close(self) -> None:
        if self._path is not None and self._file is not None:
            self._file.close()

    def _write(self, value: dict[str, Any]) -> None:
        if self._file is not None:
            self._file.write(_ENCODER.encode(value) + "\n")
            self._file.flush()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _described(value: object) -> str:
    """In place of what is no JSON, which a third party may have put into `data` or `raw`."""
    try:
        return str(value)
    except Exception:  # noqa: BLE001  # it must not cost anybody the stream
        return f"<{type(value).__name__}>"


_ENCODER = json.JSONEncoder(default=_described, skipkeys=True, separators=(",", ":"))
"""ASCII, so that no cut can fall inside a character."""
