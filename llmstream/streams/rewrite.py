"""Changes to an answer's text wherever it stands: in the deltas and in the message they add up to."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from dataclasses import replace
from zlib import crc32

from llmstream.events.any_event import AnyEvent, narrow
from llmstream.events.flow import Flow, Upstream
from llmstream.events.grammar import TERMINAL
from llmstream.events.types import BESIDE_REASONING, TEXTS, EventType, StreamEvent, content, part_of
from llmstream.messages import Usage
from llmstream.streams.message_start import HeldStart, is_notice
from llmstream.streams.rewritten_message import RewrittenMessage
from llmstream.streams.transformer import Halt, Transformer


def rewrite(source: Upstream, rewriter: TextRewriter) -> Flow[AnyEvent]:
    """The source's events as the rewriter leaves them; closed before the ERROR of a Halt is handed out."""
    return Flow(_rewrite(source, rewriter), source)


@narrow
async def _rewrite(source: Upstream, rewriter: TextRewriter) -> AsyncGenerator[StreamEvent, None]:
    async with source as events:
        try:
            async for event in events:
                left = rewriter.feed(event)
                if rewriter.halted:
                    await source.aclose()
                for each in left:
                    yield each
                if rewriter.halted:
                    return
        except Exception:
            for each in rewriter.finish():
                yield each
            raise
        for each in rewriter.finish():
            yield each


class TextRewriter:
    """Feed it a stream's events; what it returns may leave. Every run of text of these kinds gets a Transformer."""

    def __init__(
        self, make: Callable[[], Transformer], kinds: Collection[EventType], *, keep_message: bool
    ) -> None:
        self._make, self._kinds = make, kinds
        self._message = RewrittenMessage(make, kinds, keep_message=keep_message)
        self._start = HeldStart()
        self._run: Transformer | None = None
        self._kind = EventType.TEXT_DELTA  # of the run
        self._part = 0  # likewise
        self._reasoning = _Comparison()  # of the run
        self._answer = _Comparison()  # of all text so far
        self._thoughts = _Comparison()  # of all reasoning so far
        self.halted = False

    def feed(self, event: StreamEvent) -> Sequence[StreamEvent]:
        """Take the next event."""
        left: list[StreamEvent] = []
        try:
            self._take(event if event.raw is None else replace(event, raw=None), left)
        except Halt as halt:
            self._halt(halt, left, event.usage)
        except BaseException:
            self._run = None  # it may be in any state
            raise
        return left

    def finish(self) -> Sequence[StreamEvent]:
        """The source stopped, or failed, without a terminal event: what was kept back."""
        left: list[StreamEvent] = []
        try:
            self._end_run(left)
        except Halt as halt:
            self._halt(halt, left)
        return left

    def _halt(self, halt: Halt, left: list[StreamEvent], usage: Usage | None = None) -> None:
        self._emit(halt.text, left)
        self.halted = True
        left.append(self._message.halted(halt.info, usage))

    def _take(self, event: StreamEvent, left: list[StreamEvent]) -> None:
        kind = event.type
        if kind in TEXTS and kind in self._kinds:
            self._text(kind, event, left)
        elif kind is EventType.STATUS:
            self._status(event, left)
        elif kind is EventType.MESSAGE_START:
            self._message.add(event)
            self._start.hold(event)
        elif kind is EventType.RETRY:
            self._retry(event, left)
        else:
            self._end_run(left)
            if kind is not EventType.ERROR:
                left += self._start.release()
            if kind in TERMINAL:
                event = self._message.last(event)
            else:
                self._message.add(event)
            self._reasoning = _Comparison()
            left.append(event)

    def _text(self, kind: EventType, event: StreamEvent, left: list[StreamEvent]) -> None:
        text, part = content(event), part_of(event)
        if self._run is None or self._kind is not kind or self._part != part:
            self._end_run(left)
            self._run = self._make()
            self._kind, self._part = kind, part
            self._reasoning = _Comparison()
        out = self._run.feed(text)
        if kind is EventType.REASONING_DELTA:
            self._reasoning.came(text)
            self._thoughts.came(text)
        elif kind is EventType.TEXT_DELTA:
            self._answer.came(text)
        self._emit(out, left)

    def _emit(self, text: str, left: list[StreamEvent]) -> None:
        if not text:
            return
        event = TEXTS[self._kind](text, self._part)
        if self._kind is EventType.REASONING_DELTA:
            self._reasoning.left(text)
            self._thoughts.left(text)
        elif self._kind is EventType.TEXT_DELTA:
            self._answer.left(text)
        self._message.add(event)
        left += (*self._start.release(), event)

    def _end_run(self, left: list[StreamEvent]) -> None:
        if self._run is not None:
            run, self._run = self._run, None
            self._emit(run.finish(), left)

    def _status(self, event: StreamEvent, left: list[StreamEvent]) -> None:
        if is_notice(event):
            left.append(event)  # ahead of the text held back: it must not cut a word in two
            return
        self._end_run(left)
        if event.ends_round:
            left += self._start.step(self._message.step(event))
            return
        data = (event.status and event.status.data) or {}
        if "phases" in data and self._answer.is_changed:
            return  # they name places of the text as it came
        if "span" in data and self._thoughts.is_changed:
            return
        if self._reasoning.is_changed and BESIDE_REASONING.isdisjoint(data):
            return  # this is the signature of the reasoning, and no provider would take it
        self._message.add(event)
        left.append(event)

    def _retry(self, event: StreamEvent, left: list[StreamEvent]) -> None:
        if event.discards:
            self._run = None
        elif self._kind is EventType.REASONING_DELTA:
            self._end_run(left)  # what the next attempt reasons stands apart
        self._message.add(event)
        left.append(self._start.retry(event))


class _Comparison:
    """Whether a run's text left as it came. Keeps a checksum of each instead of the texts."""

    def __init__(self) -> None:
        self._came = self._left = 0

    def came(self, text: str) -> None:
        self._came = crc32(text.encode("utf-8", "surrogatepass"), self._came)

    def left(self, text: str) -> None:
        self._left = crc32(text.encode("utf-8", "surrogatepass"), self._left)

    @property
    def is_changed(self) -> bool:
        return self._came != self._left
