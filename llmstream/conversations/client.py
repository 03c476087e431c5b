"""ConversationClient: sessions, conversations, and turns that are answered, remembered and never doubled."""

from __future__ import annotations

import hashlib
import hmac
import math
import os
import secrets
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from llmstream.checks import require
from llmstream.client import LLMClient
from llmstream.conversations.chunks import stream_chunks, whole_answer
from llmstream.conversations.context import ContextPolicy
from llmstream.conversations.conversation import Conversation
from llmstream.conversations.errors import AccessError
from llmstream.conversations.export import read_export
from llmstream.conversations.models import (
    ChatContext,
    ChatResponse,
    ConversationRequest,
    Session,
    SessionContext,
    StartConversation,
    StreamingChunk,
)
from llmstream.conversations.records import ConversationRecord, Owner, SessionRecord, Turn
from llmstream.conversations.stores.memory import MemoryStore
from llmstream.conversations.stores.protocol import Store
from llmstream.conversations.stores.redis import MAKE
from llmstream.conversations.turn import Settings, TurnRun
from llmstream.errors import ConfigurationError
from llmstream.events.any_event import AnyEvent

if TYPE_CHECKING:
    from llmstream.tools import Confirm


class ConversationClient:
    """Conversations with any model, kept in `store`. One per application; any number of turns at once.

    `client` answers (None: an `LLMClient()` of its own, closed with this). `store` is a Store, a path (SQLiteStore), or
    None for a MemoryStore of its own, which nobody else sees: an endpoint that makes a client for each request needs a
    path, or one Store for all. `policy` says how much of a conversation is sent. `tools` are what
    `llmstream.tools.run_tools` takes; the model may call them in every turn, with `confirm` and `max_rounds` as there.

    One turn of a conversation is answered at a time, across all programs that share the store; order in it is that of
    the answers' beginnings. Another one meanwhile waits for `wait` seconds and is then refused: by default at once,
    since whoever asked it had not seen the answer. `lease`: seconds after which a turn is given up whose program died.

    Every call on a conversation needs the token of a session of the same instance, user and project; anything else is
    an AccessError that doesn't say what is wrong.
    """

    def __init__(
        self,
        client: LLMClient | None = None,
        *,
        store: Store | str | os.PathLike[str] | None = None,
        policy: ContextPolicy = ContextPolicy(),  # noqa: B008  # frozen
        tools: Sequence[Callable[..., Any] | Any] = (),
        confirm: Confirm | None = None,
        max_rounds: int = 10,
        wait: float = 0.0,
        lease: float = 30.0,
    ) -> None:
        require(
            wait >= 0 and 0 < lease < math.inf,
            f"wait must be seconds from 0 on, and lease above 0, not {wait!r} and {lease!r}",
        )
        self._own_client = LLMClient() if client is None else None
        client = client or self._own_client
        if not isinstance(client, LLMClient):
            raise TypeError(f"client must be an LLMClient, not {type(client).__name__}")
        require(  # it would only fail after the first answer
            client.keep_message,
            "conversations keep the answers: make the client without keep_message=False",
            ConfigurationError,
        )
        self._own_store: Store | None = None
        if store is None or isinstance(store, str | os.PathLike):
            store = self._own_store = _own(store)
        self._store = store
        self._hint = _OWN_MEMORY if isinstance(self._own_store, MemoryStore) else ""
        self._settings = Settings(client, store, policy, tools, confirm, max_rounds, lease, wait)

    async def session(self, context: SessionContext) -> Session:
        """Begin a session for a user whom the caller has identified. The token is in the answer and nowhere else."""
        owner = _owner_of(context)
        session = Session(session_id=secrets.token_urlsafe(16), token=secrets.token_urlsafe(32))
        await self._store.add_session(
            SessionRecord(session.session_id, owner, _hash(session.token))
        )
        return session

    async def start_conversation(
        self, context: ChatContext, request: StartConversation | Mapping[str, Any] | None = None
    ) -> Conversation:
        """Begin a conversation; `request` is a StartConversation or such a dict, `{"title": …}`."""
        if not isinstance(request, StartConversation):
            request = StartConversation.model_validate(
                dict(request) if isinstance(request, Mapping) else request or {}
            )
        return await self._add(context, self._new_record(await self._owner(context), request), ())

    async def conversation(self, context: ChatContext) -> Conversation:
        """The conversation that `context` names."""
        return self._conversation(context, await self._open(context))

    async def conversations(self, context: ChatContext) -> list[Conversation]:
        """All conversations of the session's user, in the same instance and project, oldest first."""
        records = await self._store.conversations(await self._owner(context))
        return [self._conversation(context, record) for record in records]

    async def chat_stream(
        self, context: ChatContext, request: ConversationRequest
    ) -> AsyncGenerator[StreamingChunk, None]:
        """Answer a turn in chunks; what they hold is in `llmstream.conversations.chunks`.

        A failure of the model is a chunk that says so, then LLMError. ConversationError and wrong options are raised
        at the first step. Closing it stops the model at once, and keeps what had come as a partial answer.
        """
        run = await self._run(context, request)
        async with aclosing(stream_chunks(run, stream=getattr(request, "stream", True))) as chunks:
            async for chunk in chunks:
                yield chunk

    async def chat(self, context: ChatContext, request: ConversationRequest) -> ChatResponse:
        """Answer a turn, whole. Raises LLMError, ConversationError, and for wrong options what `LLMClient` raises."""
        return await whole_answer(await self._run(context, request))

    async def events(
        self, context: ChatContext, request: ConversationRequest
    ) -> AsyncGenerator[AnyEvent, None]:
        """Answer a turn as StreamEvents, which the operators of `llmstream.streams` take. An ERROR is an event here."""
        run = await self._run(context, request)
        async with aclosing(run.events(stream=getattr(request, "stream", True))) as events:
            async for event in events:
                yield event

    async def turns(self, context: ChatContext) -> list[Turn]:
        """All turns of a conversation, in order, the failed ones too."""
        return await self._store.turns((await self._open(context)).id)

    async def import_conversation(
        self,
        context: ChatContext,
        data: Mapping[str, Any] | str,
        *,
        system: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Conversation:
        """Make a new conversation of what `Conversation.export` gave, or its JSON.

        The document may come from anywhere, so its turns and its title are taken, and nothing else: `system` and
        `metadata` are yours. It is read in a thread, and may have 16 MB and 100,000 values. Raises ImportFormatError
        that names the place, ConversationLimitError or StoreFullError.
        """
        owner = await self._owner(context)
        given = {"system": system, "metadata": {} if metadata is None else dict(metadata)}
        request = StartConversation.model_validate(given)
        imported = await read_export(data)
        request.title = imported.title
        return await self._add(context, self._new_record(owner, request), imported.turns)

    async def delete_conversation(self, context: ChatContext) -> None:
        """Forget a conversation for good."""
        await self._store.delete_conversation((await self._open(context)).id)

    async def delete_owner(self, owner: SessionContext) -> int:
        """Forget all sessions and conversations of a user in an instance and project: the tokens open nothing more.

        Returns how many conversations there were. A turn that is being answered can't be stored then.
        """
        return await self._store.delete_owner(_owner_of(owner))

    async def aclose(self) -> None:
        """Wait for what is being stored, and close the client and the store that were not given from outside."""
        await self._settings.background.aclose()
        if self._own_client is not None:
            await self._own_client.aclose()
        if self._own_store is not None:
            await self._own_store.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    # --- inside --------------------------------------------------------------------------------------------

    async def _run(self, context: ChatContext, request: ConversationRequest) -> TurnRun:
        if not isinstance(request, ConversationRequest):
            raise TypeError(
                f"request must be a StreamingChatRequest(query=…), not {type(request).__name__}"
            )
        return TurnRun(self._settings, await self._open(context), request)

    async def _owner(self, context: ChatContext) -> Owner:
        """Whose session it is. Raises AccessError unless the token is the session's."""
        if not isinstance(context, ChatContext):
            raise TypeError(f"context must be a ChatContext, not {type(context).__name__}")
        session = await self._store.session(context.session_id)
        # Hashed and compared even where there is no session, so that time doesn't tell.
        known = hmac.compare_digest(
            _hash(context.token), session.token_hash if session is not None else _NO_HASH
        )
        if session is None or not known:
            raise AccessError(self._hint)
        return session.owner

    async def _open(self, context: ChatContext) -> ConversationRecord:
        """The conversation, if this session may have it. Raises AccessError."""
        owner = await self._owner(context)
        if context.conversation_id is None:
            raise ValueError(
                "the ChatContext has no conversation_id: give that of start_conversation()"
            )
        record = await self._store.conversation(context.conversation_id)
        if record is None or record.owner != owner:
            raise AccessError(self._hint)
        return record

    async def _fork(self, context: ChatContext, turns: Sequence[Turn]) -> Conversation:
        origin = await self._open(context)
        record = replace(
            origin, id=secrets.token_urlsafe(16), parent_id=origin.id, created=time.time()
        )
        return await self._add(context, record, turns)

    async def _add(
        self, context: ChatContext, record: ConversationRecord, turns: Sequence[Turn]
    ) -> Conversation:
        await self._store.add_conversation(record, turns)
        return self._conversation(context, record)

    def _new_record(self, owner: Owner, request: StartConversation) -> ConversationRecord:
        return ConversationRecord(
            secrets.token_urlsafe(16), owner, request.title, request.system, request.metadata
        )

    def _conversation(self, context: ChatContext, record: ConversationRecord) -> Conversation:
        return Conversation(self, context.model_copy(update={"conversation_id": record.id}), record)


def _owner_of(context: SessionContext) -> Owner:
    problem = f"context must be a SessionContext, not {type(context).__name__}"
    require(isinstance(context, SessionContext), problem, TypeError)
    return Owner(context.instance_id, context.user_id, context.project_id)


_NO_HASH = "0" * 64
_OWN_MEMORY = (
    "; this ConversationClient keeps them in its own memory: one that is made for each request needs "
    'store="chats.db", or another store that all share'
)


def _hash(token: str) -> str:
    """The hash that is stored of a token. A fast one will do: 256 random bits can't be guessed."""
    return hashlib.sha256(token.encode()).hexdigest()


def _own(path: str | os.PathLike[str] | None) -> Store:
    if path is None:
        return MemoryStore()
    if isinstance(path, str) and "://" in path:  # which may hold a password: not repeated
        raise ConfigurationError(
            f"store must be a Store or the path of a file, not a URL; for Redis {MAKE}"
        )
    from llmstream.conversations.stores.sqlite import SQLiteStore

    return SQLiteStore(path)
