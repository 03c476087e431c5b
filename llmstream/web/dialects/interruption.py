"""The end of an answer to a client that can't take back what it was shown.

Half an answer followed by another must never look like one whole answer, nor half a tool call like a call. So an
answer that starts anew after part of it left ends here, in an error; whatever follows is dropped.
"""

from __future__ import annotations

from dataclasses import replace

from llmstream.errors import ErrorInfo
from llmstream.events.types import EventType, StreamEvent, error, failure_of
from llmstream.wire.event_encoder import CUTS


def interrupted() -> StreamEvent:
    """The ERROR of an answer that would have begun again."""
    told = "The answer was interrupted after part of it had been sent. Please ask again."
    return error(ErrorInfo("server", told, retryable=True, code="interrupted"))


class Ending:
    """One per answer. `takes_back`: the dialect has a word for "drop what you showed"."""

    def __init__(self, *, takes_back: bool = False) -> None:
        self._takes_back = takes_back
        self._open: set[int] = set()
        """Calls (their index) whose arguments have begun and not ended."""
        self.ended = False

    def admit(self, event: StreamEvent) -> StreamEvent | None:
        """The event to encode: mostly this one, an ERROR in its place where the answer ends, None after the end."""
        if self.ended:
            return None
        kind = event.type
        if event.tool_call_delta is not None:
            self._open.add(event.tool_call_delta.index)
        elif kind is EventType.TOOL_CALL:
            self._open.clear()  # a call becomes whole before the next begins, or all do at the end
        elif event.retry is not None:
            event = self._retry(event, discard=event.retry.discard)
        elif kind is EventType.ERROR:
            event = _said(event)
        self.ended = event.type is EventType.ERROR or event.type is EventType.MESSAGE_COMPLETE
        return event

    def _retry(self, event: StreamEvent, *, discard: bool) -> StreamEvent:
        if (discard and not self._takes_back) or (self._open and not discard):
            return interrupted()
        self._open.clear()
        return event


def _said(event: StreamEvent) -> StreamEvent:
    info = failure_of(event)
    if info.kind in CUTS:  # most clients take a cut for a proper end
        info = replace(info, kind="server", code=info.code or info.kind)
    return replace(event, error=None, error_info=info)
