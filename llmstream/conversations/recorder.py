"""Recorder: the messages that an answer has come to so far, for when nobody waits for its end."""

from __future__ import annotations

from llmstream.events.builder import MessageBuilder
from llmstream.events.grammar import is_step
from llmstream.events.types import EventType, Start, StreamEvent
from llmstream.messages import Message, ToolResult


class Recorder:
    """Takes the events of a stream, with or without tool rounds."""

    def __init__(self) -> None:
        self._done: list[Message] = []
        self._begin()

    def add(self, event: StreamEvent) -> None:
        """Take the next event."""
        if event.retry is not None:
            if event.retry.discard:
                self._builder = MessageBuilder()
            else:
                self._builder.interrupt()
        elif event.type is EventType.MESSAGE_START:
            self._start = event.start or Start()
        elif is_step(event):
            self._done += [event.message] if event.message is not None else []
            self._done += self._result_message()
            self._begin()
        elif event.tool_result is not None and event.tool_result.executed_by == "caller":
            self._results.append(event.tool_result)
        else:
            self._builder.add(event)

    def messages(self) -> list[Message]:
        """All that came, the unfinished answer last."""
        start = self._start
        partial = self._builder.partial(id=start.id, model=start.model, provider=start.provider)
        return [*self._done, *([partial] if partial.parts else []), *self._result_message()]

    def _begin(self) -> None:
        self._builder = MessageBuilder()
        self._results: list[ToolResult] = []
        self._start = Start()

    def _result_message(self) -> list[Message]:
        return [Message("tool", [*self._results])] if self._results else []
