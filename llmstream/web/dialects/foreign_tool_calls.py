"""Calls of tools that the client didn't offer. Perhaps the server runs them itself.

Formats without a word for "somebody else answers this call" would make the client run it. So such
calls wait. At a step it is clear that the server ran them: they are dropped. At the end of the
answer they leave, since the model made them up and the client should know.
"""

from __future__ import annotations

from collections.abc import Sequence

from llmstream.events.transcript import Transcript
from llmstream.events.types import EventType, StreamEvent, ToolCallDelta
from llmstream.messages import ToolCall
from llmstream.web.dialects.base import Ask
from llmstream.wire.fitting.tools import names_of


class Withheld:
    """The foreign calls of one answer."""

    def __init__(self, ask: Ask) -> None:
        # A hosted tool may be the client's to run, too: Anthropic's bash, its text editor …
        self._offered = {name for tool in ask.request.tools for name in names_of(tool)}
        self._foreign: set[int] = set()  # the indexes of such calls, as their deltas have them
        self._calls: Transcript | None = None  # of the foreign calls alone, once there is one

    def sift(self, event: StreamEvent) -> Sequence[StreamEvent]:
        """The events that may be encoded now. A foreign call's deltas never are: the call repeats them."""
        if event.type is EventType.MESSAGE_COMPLETE:
            return (*self._held_calls(), event)
        if event.retry is not None or event.ends_round:
            if self._calls is not None:
                self._calls.add(event)
            self._foreign.clear()
        elif event.tool_call is not None and self._is_foreign(event.tool_call):
            self._calls = self._calls or Transcript()
            self._calls.add(event)
            return ()
        elif event.tool_call_delta is not None and self._is_foreign_delta(event.tool_call_delta):
            return ()
        return (event,)

    def _held_calls(self) -> Sequence[StreamEvent]:
        if self._calls is None:
            return ()
        calls = self._calls.message().tool_calls
        return [StreamEvent(EventType.TOOL_CALL, tool_call=call) for call in calls]

    def _is_foreign(self, call: ToolCall) -> bool:
        return call.executed_by == "caller" and call.name not in self._offered

    def _is_foreign_delta(self, delta: ToolCallDelta) -> bool:
        """Only a call's first delta has its id and name."""
        if delta.id and delta.name not in self._offered:
            self._foreign.add(delta.index)
        elif delta.id:
            self._foreign.discard(delta.index)
        return delta.index in self._foreign
