"""progress: report now and then how far the answer has come."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable

from llmstream.checks import require
from llmstream.clock import Clock, LoopClock
from llmstream.events.any_event import AnyEvent, narrow
from llmstream.events.flow import Flow, Upstream
from llmstream.events.transcript import Standing
from llmstream.events.types import TEXTS, EventType, Status, StreamEvent, content


def progress(
    events: AsyncIterable[StreamEvent], *, seconds: float = 1.0, clock: Clock | None = None
) -> Flow[AnyEvent]:
    """Add a STATUS of kind "progress" after a delta, at most once every `seconds`; all else passes as it is.

    Its `data`: `chars` and `deltas` that have come of text, reasoning and refusals (without what a RETRY discarded),
    `seconds` since the first step, `first_after` (seconds until the first delta). A source that is silent is not
    reported on: there is nothing new to say, and its own clocks watch it. Raises ValueError for negative `seconds`.
    """
    require(seconds >= 0, f"seconds must be 0 or more, not {seconds}")
    source = Upstream(events)
    return Flow(_progress(source, seconds, clock or LoopClock()), source)


@narrow
async def _progress(
    source: Upstream, seconds: float, clock: Clock
) -> AsyncGenerator[StreamEvent, None]:
    begun = reported = clock.time()
    first: float | None = None
    count: Standing[tuple[int, int]] = Standing((0, 0))  # characters, deltas
    async with source as events:
        async for event in events:
            yield event
            if event.type not in TEXTS:
                count.add(event)
                continue
            chars, deltas = count.value
            count.value = (chars + len(content(event)), deltas + 1)
            now = clock.time()
            first = now - begun if first is None else first
            if now - reported >= seconds:
                reported = now
                yield _status(*count.value, seconds=now - begun, first_after=first)


def _status(chars: int, deltas: int, *, seconds: float, first_after: float) -> StreamEvent:
    data = {"chars": chars, "deltas": deltas, "seconds": seconds, "first_after": first_after}
    message = f"{chars} characters in {seconds:.1f} s"
    return StreamEvent(EventType.STATUS, status=Status("progress", message, data))
