"""What operators that hold text back have to know of an answer's beginning and of its kinds of text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from llmstream.events.types import EventType, StreamEvent


def is_notice(event: StreamEvent) -> bool:
    """Whether it stands for nothing in the answer, so that it may pass ahead of text that is held back."""
    return event.type is EventType.STATUS and not event.is_internal and not event.ends_round


class Opening:
    """Keeps MESSAGE_START until the first piece leaves, which may be later than it came.

    So that an attempt of which everything was held back, and then discarded, leaves no trace.
    """

    __slots__ = ("_held", "_start", "shown")

    def __init__(self) -> None:
        self._start: StreamEvent | None = None
        self._held = False
        self.shown = False
        """Something of the message has left since the last RETRY that discards, or step."""

    def hold(self, start: StreamEvent) -> None:
        """Keep a MESSAGE_START."""
        self._start, self._held = start, True

    def release(self) -> Sequence[StreamEvent]:
        """A piece leaves: what has to leave before it."""
        self.shown = True
        if not self._held or self._start is None:
            return ()
        self._held = False
        return (self._start,)

    def step(self) -> Sequence[StreamEvent]:
        """The message is over and stands, and another follows: what has to leave before that is said."""
        left = self.release()
        self._start, self.shown = None, False
        return left

    def retry(self, event: StreamEvent) -> StreamEvent:
        """The RETRY as it may leave: it asks to discard only what was shown."""
        retry = event.retry
        if retry is None or not retry.discard:
            self._held = (
                self._start is not None
            )  # text kept back until after the RETRY needs its start again
            return event
        self._held = False
        shown, self.shown = self.shown, False
        return event if shown else replace(event, retry=replace(retry, discard=False))
