"""A conversation's turns: the place of a new one, and the messages that are sent for it.

1. A turn is answered once. Its id given again tells the answer again and asks nobody; if it failed, it is asked again
   in its old place, and its new answer replaces what had come of the old one.
2. The last turn, if it failed or was left, is also meant by the same question without an id: so whoever falls back from
   `chat_stream` to `chat`, or asks once more, doesn't say it twice.
3. A turn that others have followed can't be asked again: fork before it.
4. Sent are all turns that came to something. Of a partial answer, its text and its finished tool rounds go as they
   are, so that "go on" works; its reasoning does not, because it was cut and so has no valid signature. A turn of which
   nothing came is left out. Tool calls that nobody answered are left out everywhere: no provider takes them.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from llmstream.checks import require
from llmstream.conversations.documents import render_documents
from llmstream.conversations.errors import TurnError
from llmstream.conversations.models import ConversationRequest
from llmstream.conversations.records import Turn
from llmstream.events.types import EventType, Start, Status, StreamEvent
from llmstream.events.unfold import as_batch, unfold
from llmstream.messages import (
    File,
    ImagePart,
    Message,
    Part,
    ProviderPart,
    ReasoningPart,
    TextPart,
    ToolCall,
    ToolResult,
)


@dataclass(slots=True)
class TurnPlace:
    """Where a turn goes: after the turns `before`. It is `complete` if it was answered already."""

    turn: Turn
    before: list[Turn]

    @property
    def position(self) -> int:
        """Counted from 0."""
        return len(self.before)


def place_turn(turns: Sequence[Turn], request: ConversationRequest) -> TurnPlace:
    """Find the place of a request's turn among those there are. Raises TurnError."""
    documents = [document.model_dump(exclude_none=True) for document in request.context]
    before = [turn.abandoned() if turn.state == "open" else turn for turn in turns]
    known = _find(before, request)
    if known is None:
        question = Message("user", [*request.attachments, TextPart(request.query)])
        id = request.turn_id or secrets.token_hex(16)
        return TurnPlace(Turn(id, [question], documents=documents), before)
    turn = before[known]
    require(
        _asks(request, turn),
        f"turn {turn.id!r} asked something else: give each question a turn_id of its own, or none",
        TurnError,
    )
    if turn.state == "complete":
        return TurnPlace(turn, before[:known])
    require(
        known == len(before) - 1,
        f"turn {turn.id!r} failed, and others followed it: ask again, or fork before it",
        TurnError,
    )
    turn = replace(turn, state="open", documents=documents, error=None)
    return TurnPlace(turn, before[:known])


def _find(turns: list[Turn], request: ConversationRequest) -> int | None:
    """The place of the turn that is asked again: by its id, or the last one by its question."""
    if request.turn_id is not None:
        places = (place for place, turn in enumerate(turns) if turn.id == request.turn_id)
        return next(places, None)
    if turns and turns[-1].state == "partial" and _asks(request, turns[-1]):
        return len(turns) - 1
    return None


def _asks(request: ConversationRequest, turn: Turn) -> bool:
    """Whether it is this turn's question, which may have been imported in other words than we would store it in."""
    attached = [part for part in turn.question.parts if isinstance(part, ImagePart | File)]
    return (turn.question.text, attached) == (request.query, request.attachments)


def build_messages(system: str | None, place: TurnPlace) -> list[Message]:
    """All that could be sent: the system prompt, the turns before, and the question with its documents."""
    messages = [Message("system", [TextPart(system)])] if system else []
    for turn in place.before:
        messages += sendable(turn)
    question = place.turn.question
    if place.turn.documents:
        documents = render_documents(place.turn.documents)
        question = replace(question, parts=[documents, *question.parts])
    return [*messages, question]


def sendable(turn: Turn) -> list[Message]:
    """The messages of a turn that later requests hold."""
    answers = list(_answers(turn))
    return [turn.question, *answers] if answers else []


def _answers(turn: Turn) -> Iterator[Message]:
    answered: set[str] = set()
    for message in turn.messages:
        results = [part for part in message.parts if isinstance(part, ToolResult)]
        answered.update(result.tool_call_id for result in results)
    last = turn.messages[-1]
    for message in turn.messages[1:]:
        is_cut = message is last and turn.state != "complete"
        parts = [part for part in message.parts if _is_sendable(part, answered, is_cut=is_cut)]
        if parts:
            is_whole = len(parts) == len(message.parts)
            yield message if is_whole else replace(message, parts=parts)


def _is_sendable(part: Part, answered: set[str], *, is_cut: bool) -> bool:
    if isinstance(part, ToolCall):
        ran_at_provider = part.executed_by == "provider" and not is_cut
        return part.id in answered or ran_at_provider
    return not is_cut or not isinstance(part, ReasoningPart | ProviderPart)


def replay_turn(turn: Turn, *, stream: bool) -> Iterator[StreamEvent]:
    """The events of its last answer, after STATUS(kind="replayed"). With `stream=False` only the terminal one."""
    answers = [message for message in turn.messages[1:] if message.role == "assistant"]
    message = answers[-1] if answers else Message("assistant")
    start = Start(message.id, message.model, message.provider)
    if stream:
        yield StreamEvent(
            EventType.STATUS, status=Status("replayed", "this turn was answered before")
        )
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
