"""The message that a rewritten stream adds up to."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

from llmstream.errors import ErrorInfo
from llmstream.events.transcript import Transcript
from llmstream.events.types import EventType, RefusalDelta, StreamEvent, TextDelta, error
from llmstream.messages import Message, ToolResult, Usage
from llmstream.streams.transformer import Transformer, transform_message, transform_text


class RewrittenMessage:
    """Builds it from what left, so that the deltas still add up to it; in batch mode, from the message that came."""

    def __init__(
        self, make: Callable[[], Transformer], kinds: Collection[EventType], *, keep_message: bool
    ) -> None:
        self._make, self._kinds = make, kinds
        self._keep = keep_message
        self._transcript = Transcript()
        self._is_streamed = False
        """A MESSAGE_START has come, so pieces come; in batch mode none do."""

    def add(self, event: StreamEvent) -> None:
        """A piece has left; or a MESSAGE_START or a RETRY has come."""
        if event.type is EventType.MESSAGE_START:
            self._is_streamed = True
        elif not self._keep:
            return
        self._transcript.add(event)

    def step(self, event: StreamEvent) -> StreamEvent:
        """The end of a round with what was made of its text; another message follows."""
        message, came = self._rewritten(event.message), event.message
        if message is not None and came is not None:  # not what the tools gave after it
            parts = [
                part
                for part in message.parts
                if not isinstance(part, ToolResult) or part in came.parts
            ]
            message = replace(message, parts=parts)
        step = replace(event, message=message)
        self._transcript.add(step)
        return step

    def last(self, event: StreamEvent) -> StreamEvent:
        """The terminal event, with what was made of the text."""
        message, info = event.message, event.error_info
        new = self._rewritten(message)
        if info is not None and info.partial is not None:
            partial = self._rewritten(info.partial, cut=True)
            info = replace(info, partial=partial if partial is not None and partial.parts else None)
        text = refusal = ""
        if event.text_delta is not None:
            text = new.text if new is not None else transform_text(event.text, self._make)
        if event.refusal_delta is not None:
            refusal = new.refusal if new is not None else self._refusal(event.refusal_delta)
        messages = event.messages
        if messages is not None:
            messages = [
                new if new is not None and each == message else self._whole(each)
                for each in messages
            ]
        return replace(
            event,
            message=new,
            text_delta=TextDelta(text) if text else None,
            refusal_delta=RefusalDelta(refusal) if refusal else None,
            messages=messages,
            error_info=info,
        )

    def halted(self, info: ErrorInfo, usage: Usage | None) -> StreamEvent:
        """The ERROR of a stream that was stopped here."""
        start = self._transcript.start
        partial = self._transcript.partial(id=start.id, model=start.model, provider=start.provider)
        failed = error(
            replace(info, provider=start.provider, partial=partial if partial.parts else None)
        )
        failed.usage = usage
        return failed

    def _rewritten(self, message: Message | None, *, cut: bool = False) -> Message | None:
        if message is None or not self._keep:
            return None
        if not self._is_streamed:
            return self._whole(message)
        built = self._transcript.partial() if cut else self._transcript.message()
        return replace(message, parts=built.parts)

    def _refusal(self, delta: RefusalDelta) -> str:
        kept = EventType.REFUSAL_DELTA not in self._kinds
        return delta.content if kept else transform_text(delta.content, self._make)

    def _whole(self, message: Message) -> Message:
        return (
            transform_message(message, self._make, self._kinds)
            if message.role == "assistant"
            else message
        )
