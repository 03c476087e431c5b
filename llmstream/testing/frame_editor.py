"""Changes of a frame's data, for faults and mutations."""

from __future__ import annotations

from collections.abc import Callable

from llmstream.wire.framing.event_stream import EventStream
from llmstream.wire.framing.framer import Framing


def edit_frame(framing: Framing, frame: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """The frame with its data changed. A frame of text is changed as a whole; a message gets new lengths and CRCs."""
    if not isinstance(framing, EventStream):
        return change(frame)
    return framing.reframe(frame, change(framing.unframe(frame)))
