"""Conversation: one conversation, for code that holds it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from llmstream.checks import require
from llmstream.conversations.errors import TurnError
from llmstream.conversations.export import render_export
from llmstream.conversations.models import (
    ChatContext,
    ChatResponse,
    StreamingChatRequest,
    StreamingChunk,
)
from llmstream.conversations.records import ConversationRecord, Turn
from llmstream.events.any_event import AnyEvent
from llmstream.messages import File, ImagePart, Message

if TYPE_CHECKING:
    from llmstream.conversations.client import ConversationClient


class Conversation:
    """A conversation of one session; ConversationClient makes it. Each call shows the session's token again.

    Where a question is asked, `options` are the other fields of StreamingChatRequest: `context`, `model` …
    """

    def __init__(
        self, client: ConversationClient, context: ChatContext, record: ConversationRecord
    ) -> None:
        self._client = client
        self._context = context
        self._record = record

    def __repr__(self) -> str:
        return f"Conversation({self.conversation_id!r}, title={self.title!r})"

    @property
    def conversation_id(self) -> str:
        """For a ChatContext, wherever the conversation goes on."""
        return self._record.id

    @property
    def title(self) -> str | None:
        """As it was begun."""
        return self._record.title

    @property
    def system(self) -> str | None:
        """The system prompt."""
        return self._record.system

    @property
    def metadata(self) -> dict[str, Any]:
        """The application's own."""
        return self._record.metadata

    @property
    def parent_id(self) -> str | None:
        """The conversation that it was forked from."""
        return self._record.parent_id

    def chat_stream(self, query: str, **options: Any) -> AsyncGenerator[StreamingChunk, None]:
        """As `ConversationClient.chat_stream`."""
        return self._client.chat_stream(self._context, StreamingChatRequest(query=query, **options))

    async def chat(self, query: str, **options: Any) -> ChatResponse:
        """As `ConversationClient.chat`."""
        return await self._client.chat(self._context, StreamingChatRequest(query=query, **options))

    def events(self, query: str, **options: Any) -> AsyncGenerator[AnyEvent, None]:
        """As `ConversationClient.events`."""
        return self._client.events(self._context, StreamingChatRequest(query=query, **options))

    async def retry(self, **options: Any) -> AsyncGenerator[StreamingChunk, None]:
        """Ask the last turn again, with its documents, which failed or was left. Raises TurnError if it didn't."""
        turns = await self.turns()
        require(
            turns and turns[-1].state != "complete",
            "there is no failed turn to retry: the last one was answered",
            TurnError,
        )
        turn = turns[-1]
        attachments = [part for part in turn.question.parts if isinstance(part, ImagePart | File)]
        asked = {
            "attachments": attachments,
            "context": turn.documents,
            "turn_id": turn.id,
            **options,
        }
        async with aclosing(self.chat_stream(turn.question.text, **asked)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def turns(self) -> list[Turn]:
        """All turns in order, with their states; see `llmstream.conversations.records`."""
        return await self._client.turns(self._context)

    async def history(self) -> list[Message]:
        """All messages in order, partial answers too."""
        return [message for turn in await self.turns() for message in turn.messages]

    async def fork(self, at: int | str | None = None) -> Conversation:
        """A new conversation of the same user with this one's beginning: what comes after is nobody else's.

        `at`: the number of turns to take, or the id of the last turn to take; None: all but one being answered.
        Raises TurnError where there are no such turns.
        """
        turns = await self.turns()
        taken = [turn for turn in turns[: _count(turns, at)] if turn.state != "open"]
        return await self._client._fork(self._context, taken)  # noqa: SLF001  # its other half

    async def export(self) -> dict[str, Any]:
        """The conversation as JSON values, for `ConversationClient.import_conversation`: whose it is, is not in it."""
        return render_export(self._record, await self.turns())


def _count(turns: list[Turn], at: int | str | None) -> int:
    if at is None:
        return len(turns)
    if isinstance(at, str):
        ids = [turn.id for turn in turns]
        require(at in ids, f"this conversation has no turn {at!r}", TurnError)
        return ids.index(at) + 1
    require(
        isinstance(at, int) and not isinstance(at, bool),
        f"at must be a number of turns or a turn's id, not {at!r}",
        TypeError,
    )
    require(
        0 <= at <= len(turns),
        f"this conversation has {len(turns)} turns; at={at} is not from 0 to {len(turns)}",
        TurnError,
    )
    return at
