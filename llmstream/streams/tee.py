"""tee: one stream, several consumers."""

from __future__ import annotations

from collections.abc import AsyncIterable

from llmstream.checks import require
from llmstream.clock import Clock
from llmstream.events.any_event import AnyEvent
from llmstream.events.flow import Flow
from llmstream.events.types import StreamEvent
from llmstream.streams.read_ahead import Branch, Pump, flow


def tee(
    events: AsyncIterable[StreamEvent],
    count: int = 2,
    *,
    limit: int = 64,
    clock: Clock | None = None,
) -> tuple[Flow[AnyEvent], ...]:
    """`count` streams that each give every event, each at its own speed: one to show, one to store.

    The source runs at most `limit` events ahead of the slowest, so who stops reading holds the
    others up until it is closed or dropped, which frees them at once. One whose task failed or was
    cancelled is given up as soon as it holds others up; one whose task has returned, or that nobody
    has begun to read, when it has held them up for 30 seconds. Reading it then is a RuntimeError.

    The source is read in a task of its own, so a consumer that is cancelled takes nothing from the
    others, and closed with the last of them. The events are shared: don't change them.
    Raises ValueError unless count and limit are 1 or more.
    """
    require(
        count >= 1 and limit >= 1,
        f"count and limit must be 1 or more, not count={count}, limit={limit}",
    )
    pump = Pump(events, high=limit, low=limit - 1, clock=clock)
    return tuple([flow(Branch(pump)) for _ in range(count)])
