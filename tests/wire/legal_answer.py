"""What the tests of a format do with an answer: decode it whole and byte by byte, and check that it is legal."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from llmstream.events.types import EventType, StreamEvent
from llmstream.messages import Message
from llmstream.wire.event_decoder import Decoder
from tests.grammar_check import check_calls, check_stream
from tests.recordings import bytewise, decode


def legal_answer(decoder: Callable[[], Decoder], data: bytes) -> list[StreamEvent]:
    """The events of these bytes, legal and the same whole and byte by byte."""
    events = decode(decoder, [data])
    assert decode(decoder, bytewise(data)) == events
    check_stream(events)
    check_calls(events)
    return events


def message_of(events: Sequence[StreamEvent]) -> Message:
    """The message that a whole answer ends in."""
    last = events[-1]
    assert last.type is EventType.MESSAGE_COMPLETE, last.error
    assert last.message is not None
    return last.message
