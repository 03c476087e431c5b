"""Calls of tools that the client did not offer: perhaps the server runs them itself, and then they are not its affair.

Formats without a word for "somebody else answers this call" would make the client run it. So such calls wait: for the
step that shows that the server ran them (they are dropped), or for the end of the answer (they leave: the model made
them up, and the client should know).
"""

from __future__ import annotations

from collections.abc import Sequence

from llmstream.events.types import EventType, StreamEvent
from llmstream.messages import Tool
from llmstream.web.dialects.base import Ask


class Withheld:
    """One per answer."""

    def __init__(self, ask: Ask) -> None:
        tools = ask.request.tools
        # A hosted one may be the client's to run, too: Anthropic's bash, its text editor …
        self._offered = {
            tool.name if isinstance(tool, Tool) else tool.definition.get("name") for tool in tools
        }
        self._others: dict[int, str] = {}  # calls whose deltas wait: index to id
        self._held: dict[int, StreamEvent] = {}  # by place
        self._places: dict[str, list[int]] = {}  # those of each call
        self._next = 0

    def sift(self, event: StreamEvent) -> Sequence[StreamEvent]:
        """The events that may be encoded now."""
        if event.type is EventType.MESSAGE_COMPLETE:
            return (*self._held.values(), event)
        if event.type is EventType.RETRY or event.ends_round:
            self._held.clear()
            self._places.clear()
            self._others.clear()
        if (id := self._waiting(event)) is not None:
            self._held[self._next] = event
            self._places.setdefault(id, []).append(self._next)
            self._next += 1
            return ()
        # The whole call repeats its deltas, and says that the provider runs it.
        if event.tool_call is not None:
            for place in self._places.pop(event.tool_call.id, ()):
                del self._held[place]
        return (event,)

    def _waiting(self, event: StreamEvent) -> str | None:
        """The id of the call that an event waits with."""
        if (delta := event.tool_call_delta) is not None:
            if delta.id and delta.name not in self._offered:
                self._others[delta.index] = delta.id
            elif delta.id:
                self._others.pop(delta.index, None)
            return self._others.get(delta.index)
        call = event.tool_call
        is_other = (
            call is not None and call.executed_by == "caller" and call.name not in self._offered
        )
        return call.id if call is not None and is_other else None
