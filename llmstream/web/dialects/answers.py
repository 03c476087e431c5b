"""The shared part of all dialects' encoders: an answer's end, and for those of UIs, its steps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, TypeAlias

from llmstream.errors import ErrorInfo
from llmstream.events.types import (
    BESIDE_REASONING,
    EventType,
    ReasoningDelta,
    RefusalDelta,
    Retry,
    Status,
    StreamEvent,
    TextDelta,
    ToolCallDelta,
    failure_of,
)
from llmstream.events.unfold import unfold_stream
from llmstream.messages import File, Source, ToolCall, ToolResult
from llmstream.web.dialects.base import Ask
from llmstream.web.dialects.foreign_tool_calls import Withheld
from llmstream.web.dialects.frames import render_frame
from llmstream.web.dialects.interruption import Ending
from llmstream.wire.event_encoder import EventEncoder, Writer

Frames: TypeAlias = Iterator[dict[str, Any]]
CUT_CALL = "The arguments of this call are cut or no JSON object; it was not run."


class AnswerEncoder(ABC):
    """One streamed answer. `takes_back`: the format has a word for "drop what you showed"."""

    def __init__(self, *, takes_back: bool = False) -> None:
        self._ending = Ending(takes_back=takes_back)

    @property
    def ended(self) -> bool:
        """Nothing that follows will be sent."""
        return self._ending.ended

    def feed(self, event: StreamEvent) -> bytes:
        """The bytes for one event; empty for those that the format has no place for."""
        admitted = self._ending.admit(event)
        return b"" if admitted is None else self._encode(admitted)

    @abstractmethod
    def _encode(self, event: StreamEvent) -> bytes:
        """The bytes for an event of which every one is wanted."""


class ProviderAnswer(AnswerEncoder):
    """An answer in a provider's own format, whose clients know neither attempts nor rounds nor the server's tools."""

    def __init__(self, ask: Ask) -> None:
        super().__init__()
        self._withheld = Withheld(ask)
        self._begun = False

    def _encode(self, event: StreamEvent) -> bytes:
        if event.type is EventType.MESSAGE_START:
            if self._begun:
                return b""  # one answer to the client, however many attempts and rounds it took
            self._begun = True
        return b"".join(map(self._render, self._withheld.sift(event)))

    @abstractmethod
    def _render(self, event: StreamEvent) -> bytes:
        """The bytes for an event that the client may see."""


class StepAnswer(AnswerEncoder, EventEncoder):
    """An answer to a UI: JSON frames, in as many steps as it takes rounds."""

    def __init__(self, *, takes_back: bool = False) -> None:
        super().__init__(takes_back=takes_back)
        self._started = False
        self._in_step = False
        self._early: list[dict[str, Any]] = []  # opaque data that came before its step
        self._indexes: dict[int, str] = {}  # announced calls: index to id
        self._known: set[str] = set()  # the ids of calls that the client has seen

    def _encode(self, event: StreamEvent) -> bytes:
        return b"".join(map(render_frame, self._frames(event)))

    def _frames(self, event: StreamEvent) -> Frames:
        if not self._started:
            self._started = True
            yield self._start()
        yield from super()._frames(event)

    def _text_delta(self, delta: TextDelta) -> Frames:
        return self._write("text", delta.content, delta.part)

    def _reasoning_delta(self, delta: ReasoningDelta) -> Frames:
        return self._write("reasoning", delta.content, delta.part)

    def _refusal_delta(self, delta: RefusalDelta) -> Frames:
        return self._write("refusal", delta.content, delta.part)

    def _begin(self, event: StreamEvent) -> Frames:
        return self._begin_step()

    def _error(self, event: StreamEvent) -> Frames:
        yield from self._fail(failure_of(event), event)

    def _begin_step(self) -> Frames:
        if not self._in_step:  # it is still open where an answer goes on
            self._in_step = True
            yield self._step_start()
        for data in self._early:
            yield from self._opaque(data)
        self._early.clear()

    def _end_step(self) -> Frames:
        yield from self._close()
        if self._in_step:
            yield self._step_end()
        self._in_step = False
        self._indexes.clear()

    def _complete(self, event: StreamEvent) -> Frames:
        if not self._in_step:
            for each in unfold_stream(event):
                yield from self._frames(each)
        yield from self._end_step()
        yield self._finish(event)

    def _status(self, status: Status) -> Frames:
        if status.kind == "step":
            yield from self._end_step()
        elif status.kind != "opaque":
            yield self._notice(status)
        elif not BESIDE_REASONING.isdisjoint(status.data or {}):
            return  # these formats have no place for that
        elif self._in_step:
            yield from self._opaque(status.data or {})
        else:
            self._early.append(status.data or {})

    # --- what a format says -----------------------------------------------------------------------------------

    @abstractmethod
    def _start(self) -> dict[str, Any]:
        """The first frame."""

    @abstractmethod
    def _step_start(self) -> dict[str, Any]:
        """A step begins."""

    @abstractmethod
    def _step_end(self) -> dict[str, Any]:
        """A step ends."""

    @abstractmethod
    def _finish(self, event: StreamEvent) -> dict[str, Any]:
        """The answer is complete."""

    @abstractmethod
    def _fail(self, info: ErrorInfo, event: StreamEvent) -> Frames:
        """The answer failed."""

    @abstractmethod
    def _notice(self, status: Status) -> dict[str, Any]:
        """A STATUS that a person may want to see."""

    @abstractmethod
    def _retry(self, retry: Retry) -> Frames:
        """The answer goes on, or begins again."""

    @abstractmethod
    def _write(self, kind: str, content: str, number: int) -> Frames:
        """Words of the answer: "text", "reasoning" or "refusal". `number` tells those apart that go on at once."""

    @abstractmethod
    def _close(self) -> Frames:
        """The end of the words that are open, if any are."""

    @abstractmethod
    def _opaque(self, data: dict[str, Any]) -> Frames:
        """The data that a provider wants sent back."""

    @abstractmethod
    def _call_delta(self, delta: ToolCallDelta) -> Frames:
        """A part of a call."""

    @abstractmethod
    def _call(self, call: ToolCall) -> Frames:
        """A whole call."""

    @abstractmethod
    def _result(self, result: ToolResult) -> Frames:
        """A tool's result."""

    @abstractmethod
    def _source(self, source: Source) -> Frames:
        """A source."""

    @abstractmethod
    def _file(self, file: File) -> Frames:
        """A file."""

    _WRITERS: ClassVar[Mapping[EventType, Writer]] = {
        EventType.TEXT_DELTA: _text_delta,
        EventType.REASONING_DELTA: _reasoning_delta,
        EventType.REFUSAL_DELTA: _refusal_delta,
        EventType.TOOL_CALL_DELTA: _call_delta,
        EventType.TOOL_CALL: _call,
        EventType.TOOL_RESULT: _result,
        EventType.SOURCE: _source,
        EventType.FILE: _file,
        EventType.STATUS: _status,
        EventType.RETRY: _retry,
        EventType.MESSAGE_START: _begin,
        EventType.MESSAGE_COMPLETE: _complete,
        EventType.ERROR: _error,
    }
