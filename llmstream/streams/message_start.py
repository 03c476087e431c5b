"""MESSAGE_START in operators that hold text back: when it leaves, and what may pass ahead of text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from llmstream.events.transcript import Standing
from llmstream.events.types import EventType, StreamEvent


def is_notice(event: StreamEvent) -> bool:
    """Whether the event isn't part of the answer, so that it may pass ahead of text held back."""
    return event.type is EventType.STATUS and not event.is_internal and not event.ends_round


class HeldStart:
    """Keeps MESSAGE_START until the first piece leaves, which may be later than it came.

    An attempt whose text was all held back, and then discarded, leaves no trace that way.
    """

    __slots__ = ("_is_due", "_shown", "_start")

    def __init__(self) -> None:
        self._start: StreamEvent | None = None
        self._is_due = False  # the start hasn't left
        self._shown = Standing(0)  # how many pieces have left

    def hold(self, start: StreamEvent) -> None:
        """Keep a MESSAGE_START."""
        self._start = start
        self._is_due = True

    def release(self) -> Sequence[StreamEvent]:
        """A piece leaves: return what has to leave before it."""
        self._shown.value += 1
        if not self._is_due or self._start is None:
            return ()
        self._is_due = False
        return (self._start,)

    def step(self, event: StreamEvent) -> Sequence[StreamEvent]:
        """The message is over and stands, and another follows: return what leaves, the step last."""
        before = self.release()
        self._shown.add(event)
        self._start = None
        return (*before, event)

    def retry(self, event: StreamEvent) -> StreamEvent:
        """The RETRY as it may leave: it asks to discard only what was shown."""
        if event.retry is None or not event.discards:
            # Text that is held back until after the RETRY needs its start again.
            self._is_due = self._start is not None
            return event
        self._is_due = False
        was_shown = self._shown.is_revocable
        self._shown.add(event)
        if was_shown:
            return event
        return replace(event, retry=replace(event.retry, discard=False))
