"""buffer: let the source run ahead of a consumer that is slow now and then."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable

from llmstream.checks import require
from llmstream.events.any_event import AnyEvent
from llmstream.events.flow import Flow
from llmstream.events.types import StreamEvent
from llmstream.streams.read_ahead import Branch, Pump, flow


def buffer(
    events: AsyncIterable[StreamEvent],
    *,
    high: int = 64,
    low: int | None = None,
    on_pause: Callable[[], None] | None = None,
    on_resume: Callable[[], None] | None = None,
) -> Flow[AnyEvent]:
    """Read ahead, in a task of its own, up to `high` events; then pause until the consumer has brought it to `low`.

    While paused nothing is read, so the network's own flow control slows the provider down. `low` is half of `high`
    unless given; 0 <= low < high, else ValueError. `on_pause()` and `on_resume()` are told, in turn; what they raise
    reaches the consumer. The task starts with the first step, and ends, its source closed, before `aclose()` returns.
    """
    low = high // 2 if low is None else low
    require(0 <= low < high, f"0 <= low < high is wanted, not low={low}, high={high}")
    return flow(Branch(Pump(events, high=high, low=low, on_pause=on_pause, on_resume=on_resume)))
