"""What most tests of conversations begin with."""

from __future__ import annotations

from typing import Any

from llmstream import ErrorInfo, LLMClient, RetryPolicy
from llmstream.conversations import ChatContext, Conversation, ConversationClient, SessionContext
from llmstream.testing import ScriptedProvider, VirtualClock

ALICE = SessionContext(instance_id="i-1", user_id="alice", project_id="p-1")
BOB = SessionContext(instance_id="i-1", user_id="bob", project_id="p-1")
CUT = ErrorInfo("truncated", "cut off")


def scripted(*attempts: Any, **options: Any) -> tuple[ScriptedProvider, ConversationClient]:
    """A model that says this, and the conversations with it. Each attempt is one: nothing is retried."""
    provider = ScriptedProvider(*attempts)
    client = LLMClient(provider=provider, clock=VirtualClock(), retry=RetryPolicy(max_attempts=1))
    return provider, ConversationClient(client, **options)


async def begin(
    client: ConversationClient, who: SessionContext = ALICE, **request: Any
) -> Conversation:
    """A new session, and a conversation in it."""
    return await client.start_conversation(await enter(client, who), request)


async def enter(client: ConversationClient, who: SessionContext = ALICE) -> ChatContext:
    """The context of a new session."""
    session = await client.session(who)
    return ChatContext(session_id=session.session_id, token=session.token)


async def read(chunks: Any, into: list[Any] | None = None) -> list[Any]:
    """All of them; `into` holds what came, however it ends."""
    came = [] if into is None else into
    async for chunk in chunks:
        came.append(chunk)  # what came before an exception counts
    return came


def said(provider: ScriptedProvider) -> list[str]:
    """What the last request said: role and text of each message."""
    return [f"{message.role}: {message.text}" for message in provider.requests[-1].messages]
