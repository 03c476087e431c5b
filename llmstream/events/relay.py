"""Relay: the guard of a stream that somebody else made, with its retries, rounds and whole answers.

A provider's attempt has one guard, and the client announces what follows it. A stream that a
handler or a middleware passes on has all that in it already: RETRY begins the next attempt, a step
the next round, and an answer may come in one MESSAGE_COMPLETE, as in batch mode.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from llmstream.errors import ErrorInfo
from llmstream.events.grammar import TERMINAL, Guard
from llmstream.events.types import EventType, Retry, Start, StreamEvent, error
from llmstream.events.unfold import unfold_stream
from llmstream.messages import Message


class Relay:
    """Makes such a stream follow the grammar: what `feed` returns may leave. Ask `flaw` first.

    `final_calls`: a tool call that left can't be taken back by a RETRY. `on_first_piece` is called
    with the `start` of each attempt when its first piece leaves.
    """

    def __init__(
        self,
        *,
        keep_message: bool = True,
        final_calls: bool = True,
        on_first_piece: Callable[[Start], None] | None = None,
    ) -> None:
        self._keep_message = keep_message
        self._final_calls = final_calls
        self._on_first_piece = on_first_piece
        self._guard = self._new_guard()
        self._asked: tuple[str | None, str | None] = (None, None)  # by the last RETRY
        self._attempt = 1
        self.ended = False
        """The terminal event was made: whatever follows is dropped."""

    @property
    def shown(self) -> bool:
        """Whether something of the answer has left, in this round, and still stands."""
        return self._guard.shown

    def flaw(self, item: object) -> str | None:
        """The flaw of an item, in words for its author; None: `feed` takes it."""
        if not isinstance(item, StreamEvent):
            return f"{type(item).__name__}: only StreamEvents can be passed on"
        if not isinstance(item.type, EventType):
            return "a StreamEvent whose type is no EventType"
        if item.type is not EventType.RETRY:
            return None
        if self._final_calls and self._guard.called:
            return "a RETRY after a tool call"
        if not isinstance(item.retry, Retry):
            return "a RETRY without its value"
        return None

    def feed(self, event: StreamEvent) -> Sequence[StreamEvent]:
        """The events that may leave now. Raises where values deep inside an event are of a wrong type."""
        if self.ended:
            return ()
        if event.retry is not None and event.type is EventType.RETRY:
            return (self._retry(event.retry),)
        is_whole = event.type is EventType.MESSAGE_COMPLETE and not self._guard.shown
        events = self._unfold(event) if is_whole else self._guard.feed(event)
        if events and events[-1].type in TERMINAL:
            self.ended = True
            _keep_last_usage(events[-1], event)
        elif event.ends_round:
            self._guard = self._new_guard()
        return events

    def fail(self, info: ErrorInfo) -> Sequence[StreamEvent]:
        """The ERROR that ends the stream, with what was shown; nothing if it has ended."""
        if self.ended:
            return ()
        self.ended = True
        failed = error(info)
        try:
            left = self._guard.feed(failed)
        except Exception:  # noqa: BLE001  # odd events came before, which the guard can't add up
            left = ()
        return left or (failed,)

    # --- inside --------------------------------------------------------------------------------------------

    def _new_guard(self) -> Guard:
        guard = Guard(keep_message=self._keep_message)
        guard.on_first_piece = self._on_first_piece
        return guard

    def _retry(self, retry: Retry) -> StreamEvent:
        """The guard begins again, or goes on."""
        retry = replace(retry)  # the guard writes on it
        who = (retry.provider, retry.model)
        if who in (self._asked, (None, None)):
            # The stream may join those of several calls, and each counts its own attempts.
            least = self._attempt + 1 if retry.delay else self._attempt
            retry.attempt = max(retry.attempt, least)
        self._asked, self._attempt = who, retry.attempt
        return self._guard.retry(retry, going_on=self._guard.shown and not retry.discard)

    def _unfold(self, event: StreamEvent) -> Sequence[StreamEvent]:
        """An answer that came in one event, with the events that a stream would have had."""
        pieces = [*unfold_stream(event), event]
        return [left for piece in pieces for left in self._guard.feed(piece)]


def _keep_last_usage(made: StreamEvent, given: StreamEvent) -> None:
    """Where the usage sums up several rounds, the message keeps that of the last, whose message it is."""
    if given.messages is None or made.message is None:
        return
    if isinstance(given.message, Message):
        made.message.usage = given.message.usage
