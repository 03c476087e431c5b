"""A turn that was answered before, told again as a stream; nobody is asked."""

from __future__ import annotations

from collections.abc import Iterator

from llmstream.conversations.records import Turn
from llmstream.events.types import EventType, Start, Status, StreamEvent
from llmstream.events.unfold import as_batch, unfold
from llmstream.messages import Message


def replay_turn(turn: Turn, *, stream: bool) -> Iterator[StreamEvent]:
    """The events of its last answer, after STATUS(kind="replayed"). With `stream=False` only the terminal one."""
    answers = [message for message in turn.messages[1:] if message.role == "assistant"]
    message = answers[-1] if answers else Message("assistant")
    start = Start(message.id, message.model, message.provider)
    if stream:
        yield StreamEvent(EventType.STATUS, status=Status("replayed", "this turn was answered before"))
        yield StreamEvent(EventType.MESSAGE_START, start=start)
        yield from unfold(message)
    last = StreamEvent(
        EventType.MESSAGE_COMPLETE,
        start=start,
        message=message,
        messages=turn.messages[1:],
        finish_reason=message.finish_reason,
        usage=message.usage,
    )
    yield last if stream else as_batch(last, message)
