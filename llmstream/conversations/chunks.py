"""StreamEvents as StreamingChunks.

1. `content` is the answer's text, piece by piece. Everything else is in `metadata`, under the key of its kind:

       start      the turn begins: conversation_id, turn_id, model, provider, id, warnings
       retry      attempt, max_attempts, delay (seconds; said before them), reason, kind, provider, model, discard: True
                  means that the content since the last `start` is void and the new answer follows
       status     kind, message, data: queued, step (of several tool rounds), replayed …
       reasoning  a piece of the model's reasoning          refusal      a piece of its refusal
       tool_call  a call, whole                             tool_result  what it gave
       file       a file that the model made
       finish     with the last chunk: finish_reason, usage, model, provider, id, warnings
       error      kind, message, retryable, retry_after, provider, status_code, code, request_id, attempts

   `conversation_id` and `turn_id` stand in the metadata of the first, of the last and of an error's chunk.
2. `sources` come in the last chunk, all of them, also those of earlier tool rounds.
3. The last chunk has `is_complete=True`, and only an answer that is whole and stored has one (`finish_reason` "length"
   is whole, too: it is all that the model was allowed to say).
4. A failure is a chunk with `metadata["error"]`, `is_complete=False` and the sources so far; then LLMError is raised,
   so that a reader who looks at neither isn't left with half an answer. Text that came before stays valid.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import Any, ClassVar

from llmstream.conversations.documents import number_of
from llmstream.conversations.models import ChatResponse, CitationSource, StreamingChunk
from llmstream.conversations.turn import TurnRun
from llmstream.events.types import PAYLOADS, EventType, Start, StreamEvent, content, failure_of
from llmstream.messages import Message
from llmstream.plain_values import dump

_DELTAS = {EventType.REASONING_DELTA: "reasoning", EventType.REFUSAL_DELTA: "refusal"}
_USELESS = "use_openai has no effect here: name the model instead"


async def stream_chunks(run: TurnRun, *, stream: bool) -> AsyncGenerator[StreamingChunk, None]:
    """The chunks of one turn. Raises LLMError after the chunk of an error."""
    projection = _Projection(run)
    async with aclosing(run.events(stream=stream)) as events:
        async for event in events:
            chunk = projection.chunk(event)
            if chunk is not None:
                yield chunk
            event.raise_for_error()


async def whole_answer(run: TurnRun) -> ChatResponse:
    """The whole answer of one turn. Raises LLMError."""
    async with aclosing(run.events(stream=False)) as events:
        async for event in events:  # only one comes
            event.raise_for_error()
            return _Projection(run).response(event)
    raise RuntimeError("a turn ended without an event")


class _Projection:
    def __init__(self, run: TurnRun) -> None:
        self._run = run

    def chunk(self, event: StreamEvent) -> StreamingChunk | None:
        """The chunk that shows an event; None for an event that isn't for readers."""
        show = self._CHUNKS.get(event.type)
        return None if show is None or event.is_internal else show(self, event)

    def response(self, event: StreamEvent) -> ChatResponse:
        """The answer of a turn that was not streamed."""
        message = event.message or Message("assistant")
        ids = self._ids()
        return ChatResponse(
            message_content=message.text,
            sources=self._cited(),
            conversation_id=ids["conversation_id"],
            turn_id=ids["turn_id"],
            finish_reason=event.finish_reason,
            usage=event.usage,
            message=message,
            metadata=self._metadata(event),
        )

    def _text(self, event: StreamEvent) -> StreamingChunk:
        return StreamingChunk(content=event.text)

    def _begun(self, event: StreamEvent) -> StreamingChunk:
        return StreamingChunk(metadata={"start": self._start(event.start), **self._ids()})

    def _delta(self, event: StreamEvent) -> StreamingChunk:
        return StreamingChunk(metadata={_DELTAS[event.type]: content(event)})

    def _whole(self, event: StreamEvent) -> StreamingChunk:
        """An event whose payload stands in the metadata as it is."""
        name = PAYLOADS[event.type].field
        return StreamingChunk(metadata={name: dump(getattr(event, name))})

    def _last(self, event: StreamEvent) -> StreamingChunk:
        return StreamingChunk(
            content=event.text or None,
            sources=self._cited() or None,
            is_complete=True,
            metadata=self._metadata(event),
        )

    def _failed(self, event: StreamEvent) -> StreamingChunk:
        info = failure_of(event)
        said = {**dump(replace(info, partial=None)), "retryable": bool(info.retryable)}
        return StreamingChunk(
            sources=self._cited() or None, metadata={"error": said, **self._ids()}
        )

    def _metadata(self, event: StreamEvent) -> dict[str, Any]:
        finish = self._start(event.start)
        finish["finish_reason"] = event.finish_reason and event.finish_reason.value
        finish["usage"] = event.usage and event.usage.to_dict()
        return {"finish": finish, **self._ids()}

    def _start(self, start: Start | None) -> dict[str, Any]:
        start = start or Start()
        return {**dump(start), "warnings": [*start.warnings, *self._warnings()]}

    def _warnings(self) -> list[str]:
        return [_USELESS] if self._run.request.use_openai is not None else []

    def _cited(self) -> list[CitationSource]:
        """The sources that the turn cites in all its rounds."""
        turn = self._run.turn
        if turn is None:
            return []
        sources = [source for message in turn.messages for source in message.sources]
        return [CitationSource.of(source, number_of(source, turn.documents)) for source in sources]

    def _ids(self) -> dict[str, str]:
        turn = self._run.turn
        return {
            "conversation_id": self._run.conversation.id,
            "turn_id": turn.id if turn is not None else "",
        }

    _CHUNKS: ClassVar[Mapping[EventType, Callable[[Any, StreamEvent], StreamingChunk]]] = {
        EventType.MESSAGE_START: _begun,
        EventType.TEXT_DELTA: _text,
        EventType.REASONING_DELTA: _delta,
        EventType.REFUSAL_DELTA: _delta,
        EventType.STATUS: _whole,
        EventType.RETRY: _whole,
        EventType.TOOL_CALL: _whole,
        EventType.TOOL_RESULT: _whole,
        EventType.FILE: _whole,
        EventType.MESSAGE_COMPLETE: _last,
        EventType.ERROR: _failed,
    }
    """How each type of event is shown. Readers get sources with the last chunk, and no half of a call."""
