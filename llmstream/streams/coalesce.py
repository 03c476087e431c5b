"""coalesce: fewer, better cut deltas."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable

from llmstream.checks import is_limit, require
from llmstream.clock import Clock, LoopClock, Timer
from llmstream.events.any_event import AnyEvent, narrow
from llmstream.events.flow import Flow, Upstream
from llmstream.events.types import StreamEvent
from llmstream.streams.read_ahead import Branch, Pump
from llmstream.streams.recut_buffer import CHARS, ENDS, RecutBuffer, Unit

_AHEAD = 64


def coalesce(
    events: AsyncIterable[StreamEvent],
    by: Unit | None = None,
    *,
    seconds: float | None = None,
    chars: int | None = None,
    clock: Clock | None = None,
) -> Flow[AnyEvent]:
    """Re-cut text, reasoning and refusals; their text stays the same, and all other events and their order do too.

    `by`: every delta is one whole "word" (with the space after it), "line" or "sentence" (with all that closes it),
    however the text came; a Chinese or Japanese character counts as a word. Whether a unit is whole may depend on the
    character after it. Characters that are written as one (a letter and its accents, a flag) stay together, but where
    `seconds` are over. `seconds`: no text waits longer; without `by`, deltas leave at
    most that often, the first at once. `chars`: so much text leaves without waiting for more. One of them is needed,
    else ValueError. What is held never exceeds `chars`, by default 80 for words, 1,000 for sentences, else 4,000.

    Any other event lets go of the held text before it, but for STATUS, which passes ahead and cuts no word in two; a
    RETRY that discards drops it. MESSAGE_START leaves with the first piece. Merged deltas have no `raw`. `seconds`
    needs a task that reads ahead, at most 64 events.
    """
    require(by is None or by in ENDS, f'by must be "word", "line" or "sentence", not {by!r}')
    require(
        by is not None or seconds is not None or chars is not None,
        "say what to wait for: by=, seconds= or chars=",
    )
    has_room = chars is None or chars >= 1
    require(
        is_limit(seconds) and has_room,
        f"seconds must be above 0 and chars 1 or more, not seconds={seconds}, chars={chars}",
    )
    held = RecutBuffer(by, seconds, CHARS[by] if chars is None else chars)
    if seconds is None:
        source = Upstream(events)
        return Flow(_untimed(source, held), source)
    branch = Branch(Pump(events, high=_AHEAD, low=_AHEAD // 2))
    return Flow(_timed(branch, held, clock or LoopClock()), branch)


@narrow
async def _untimed(source: Upstream, held: RecutBuffer) -> AsyncGenerator[StreamEvent, None]:
    async with source as events:
        try:
            async for event in events:
                for each in held.feed(event, 0.0):
                    yield each
        except Exception:
            for each in held.flush(0.0):
                yield each
            raise
        for each in held.flush(0.0):
            yield each


@narrow
async def _timed(
    branch: Branch, held: RecutBuffer, clock: Clock
) -> AsyncGenerator[StreamEvent, None]:
    alarm = _Alarm(clock, branch)
    async with branch:
        try:
            is_going = True
            while is_going:
                # All that has come, before the clock counts: a slow consumer gets it in one delta.
                while branch.items:
                    for each in held.feed(branch.take(), clock.time()):
                        yield each
                now = clock.time()
                if held.due is not None and held.due <= now:
                    for each in held.flush(now):
                        yield each
                    continue
                if held.due is not None:
                    alarm.set(held.due - now)
                is_going = await branch.wait()
        except Exception:
            for each in held.flush(clock.time()):
                yield each
            raise
        finally:
            alarm.cancel()
        for each in held.flush(clock.time()):
            yield each


class _Alarm:
    """Wakes a branch after some time."""

    def __init__(self, clock: Clock, branch: Branch) -> None:
        self._clock = clock
        self._branch = branch
        self._timer: Timer | None = None

    def set(self, seconds: float) -> None:
        """Ring once, unless it is set already."""
        if self._timer is None:
            self._timer = self._clock.call_later(seconds, self._ring)

    def cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _ring(self) -> None:
        self._timer = None
        self._branch.wake()
