"""The message that a rewritten stream adds up to."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

from llmstream.errors import ErrorInfo
from llmstream.events.transcript import Transcript
from llmstream.events.types import EventType, RefusalDelta, StreamEvent, TextDelta, error
from llmstream.messages import Message, Part, ToolResult, Usage
from llmstream.streams.transformer import Transformer, transform_message, transform_text


class RewrittenMessage:
    """Built from the events that left, so that the deltas still add up to it.

    In batch mode no pieces come; the message is then made from the one that came.
    """

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
        """The end of a round with its rewritten text; another message follows."""
        message, came = self._rewritten(event.message), event.message
        if message is not None and came is not None:
            message = replace(message, parts=_without_results_of_tools(message, came))
        step = replace(event, message=message)
        self._transcript.add(step)
        return step

    def last(self, event: StreamEvent) -> StreamEvent:
        """The terminal event with the rewritten text."""
        new = self._rewritten(event.message)
        text = refusal = ""
        if event.text_delta is not None:
            text = new.text if new is not None else transform_text(event.text, self._make)
        if event.refusal_delta is not None:
            refusal = new.refusal if new is not None else self._refusal(event.refusal_delta)
        return replace(
            event,
            message=new,
            text_delta=TextDelta(text) if text else None,
            refusal_delta=RefusalDelta(refusal) if refusal else None,
            messages=self._all_rounds(event, new),
            error_info=self._with_partial(event.error_info),
        )

    def _all_rounds(self, event: StreamEvent, new: Message | None) -> list[Message] | None:
        if event.messages is None:
            return None
        rounds: list[Message] = []
        for message in event.messages:
            is_this_round = new is not None and message == event.message
            rounds.append(new if new is not None and is_this_round else self._whole(message))
        return rounds

    def _with_partial(self, info: ErrorInfo | None) -> ErrorInfo | None:
        if info is None or info.partial is None:
            return info
        partial = self._rewritten(info.partial, cut=True)
        has_parts = partial is not None and bool(partial.parts)
        return replace(info, partial=partial if has_parts else None)

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
        if message.role != "assistant":
            return message
        return transform_message(message, self._make, self._kinds)


def _without_results_of_tools(message: Message, came: Message) -> list[Part]:
    """The message's parts without the results that tools gave after it, unless it had them itself."""
    return [
        part for part in message.parts if not isinstance(part, ToolResult) or part in came.parts
    ]
