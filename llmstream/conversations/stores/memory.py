"""MemoryStore: conversations for as long as the program runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from llmstream.conversations.errors import AccessError, ConversationBusyError
from llmstream.conversations.records import ConversationRecord, Owner, SessionRecord, Turn
from llmstream.conversations.stores.limits import (
    Kept,
    StoreLimits,
    Total,
    check_ttl,
    is_question,
    size_of,
)
from llmstream.conversations.stores.protocol import (
    BUSY,
    find_rest,
    parse,
    parse_turns,
    render,
    render_turns,
    takes_without_lease,
)


@dataclass(slots=True)
class _StoredSession:
    owner: Owner
    record: str
    begun: float


@dataclass(slots=True)
class _StoredConversation:
    id: str
    owner: Owner
    record: str
    turns: list[str]
    used: float
    size: int = 0
    lease: str | None = None
    renewed: float = 0.0
    seconds: float = 0.0

    def __post_init__(self) -> None:
        self.size = size_of(self.record) + sum(map(size_of, self.turns))

    def kept(self, more: int = 0) -> Kept:
        """As limits count it, with so many bytes more."""
        return Kept(self.id, self.used, self.size + more, bool(self.turns))


@dataclass(slots=True)
class _OfOwner:
    """The ids of what an owner has, in the order in which they were begun."""

    sessions: dict[str, None] = field(default_factory=dict)
    conversations: dict[str, None] = field(default_factory=dict)


class MemoryStore:
    """For tests, and for programs that may forget. It keeps JSON, as every store does.

    `ttl` and `limits` are told in `llmstream.conversations.stores.limits`; they may be set anew at any
    time. `now` gives the seconds of a clock that never goes back; leases and ages run by it. One
    process, one thread.
    """

    def __init__(
        self,
        *,
        ttl: float | None = None,
        limits: StoreLimits = StoreLimits(),  # noqa: B008  # frozen
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.ttl = check_ttl(ttl)
        self.limits = limits
        self._now = now
        # Each in order: sessions as they were begun, conversations as they were used.
        self._sessions: dict[str, _StoredSession] = {}
        self._conversations: dict[str, _StoredConversation] = {}
        self._owners: dict[Owner, _OfOwner] = {}
        self._size = 0

    async def add_session(self, session: SessionRecord) -> None:
        """Keep a new session. Raises StoreFullError."""
        self._forget_old()
        limit, mine = self.limits.sessions, self._of(session.owner).sessions
        surplus = 0 if limit is None else max(0, len(mine) + 1 - limit)
        self.limits.check_sessions(len(self._sessions) - surplus)
        for id in [*mine][:surplus]:
            self._drop_session(id)
        stored = _StoredSession(session.owner, render(session), self._now())
        self._sessions[session.id] = stored
        self._owners.setdefault(session.owner, _OfOwner()).sessions[session.id] = None

    async def session(self, session_id: str) -> SessionRecord | None:
        """The session of this id, if there is one."""
        self._forget_old()
        stored = self._sessions.get(session_id)
        return None if stored is None else parse(SessionRecord, stored.record)

    async def add_conversation(
        self, conversation: ConversationRecord, turns: Sequence[Turn] = ()
    ) -> None:
        """Keep a new conversation and its turns. Raises ConversationLimitError or StoreFullError."""
        owner, texts = conversation.owner, await render_turns(turns)
        self._forget_old()
        stored = _StoredConversation(
            conversation.id, owner, render(conversation), texts, self._now()
        )
        self.limits.check_question(len(texts) - 1, 0)
        self._make_room(owner, stored.kept())
        self._drop(conversation.id)
        self._conversations[conversation.id] = stored
        self._owners.setdefault(owner, _OfOwner()).conversations[conversation.id] = None
        self._size += stored.size

    async def conversation(self, conversation_id: str) -> ConversationRecord | None:
        """The conversation of this id, if there is one."""
        stored = self._find(conversation_id)
        return None if stored is None else parse(ConversationRecord, stored.record)

    async def conversations(self, owner: Owner) -> list[ConversationRecord]:
        """All of one owner's, oldest first."""
        self._forget_old()
        ids = self._of(owner).conversations
        return [parse(ConversationRecord, self._conversations[id].record) for id in ids]

    async def delete_conversation(self, conversation_id: str) -> None:
        """Forget it with all its turns."""
        self._drop(conversation_id)

    async def delete_owner(self, owner: Owner) -> int:
        """Forget all sessions and conversations of an owner."""
        mine = self._of(owner)
        for id in [*mine.sessions]:
            self._drop_session(id)
        ids = [*mine.conversations]
        for id in ids:
            self._drop(id)
        return len(ids)

    async def turns(self, conversation_id: str) -> list[Turn]:
        """All turns in order."""
        stored = self._find(conversation_id)
        return [] if stored is None else await parse_turns(stored.turns)

    async def acquire(self, conversation_id: str, lease: str, seconds: float) -> list[Turn]:
        """Take the lease, and give all turns."""
        stored = self._find(conversation_id)
        if stored is None:
            raise AccessError
        now = self._now()
        rest = find_rest(now, stored.renewed, stored.seconds)
        if stored.lease is not None and rest > 0:
            raise ConversationBusyError(BUSY, rest)
        stored.lease, stored.renewed, stored.seconds = lease, now, seconds
        self._use(stored)
        return await self.turns(conversation_id)

    async def renew(self, conversation_id: str, lease: str, seconds: float) -> bool:
        """Hold the lease on."""
        stored = self._held(conversation_id, lease)
        if stored is None:
            return False
        stored.renewed, stored.seconds = self._now(), seconds
        self._use(stored)
        return True

    async def write(
        self, conversation_id: str, lease: str, position: int, turn: Turn, *, release: bool
    ) -> bool:
        """Store the turn, if the lease is held. Raises ConversationLimitError or StoreFullError."""
        (text,) = await render_turns([turn])
        stored = self._find(conversation_id)
        if stored is None:
            return False
        if stored.lease != lease:
            last = parse(Turn, stored.turns[-1]) if stored.turns else None
            free = stored.lease is None
            if not free or not takes_without_lease(len(stored.turns), last, position, turn):
                return False
        before = stored.turns[position : position + 1]
        more = size_of(text) - sum(map(size_of, before))
        if is_question(turn):
            self.limits.check_question(position, size_of(text))
            self._make_room(stored.owner, stored.kept(more))
        stored.turns[position : position + 1] = [text]
        stored.size += more
        self._size += more
        if release:
            stored.lease = None
        self._use(stored)
        return True

    async def release(self, conversation_id: str, lease: str) -> None:
        """Let the lease go."""
        stored = self._held(conversation_id, lease)
        if stored is not None:
            stored.lease = None

    async def aclose(self) -> None:
        """Nothing to close: what is kept stays."""

    # --- inside ------------------------------------------------------------------------------------------

    def _find(self, conversation_id: str) -> _StoredConversation | None:
        self._forget_old()
        return self._conversations.get(conversation_id)

    def _held(self, conversation_id: str, lease: str) -> _StoredConversation | None:
        stored = self._find(conversation_id)
        return stored if stored is not None and stored.lease == lease else None

    def _of(self, owner: Owner) -> _OfOwner:
        return self._owners.get(owner) or _OfOwner()

    def _use(self, stored: _StoredConversation) -> None:
        """Put a conversation last in the order of use."""
        stored.used = self._now()
        self._conversations[stored.id] = self._conversations.pop(stored.id)

    def _make_room(self, owner: Owner, new: Kept) -> None:
        """Forget what goes for `new`. Raises ConversationLimitError or StoreFullError."""
        if not self.limits.count_conversations:
            return
        mine = [self._conversations[id].kept() for id in self._of(owner).conversations]
        total = Total(len(self._conversations), self._size)
        for kept in self.limits.make_room(mine, total, new):
            self._drop(kept.id)

    def _forget_old(self) -> None:
        """Forget what is older than `ttl`. The oldest stand first."""
        if self.ttl is None:
            return
        oldest = self._now() - self.ttl
        while self._sessions:
            id, session = next(iter(self._sessions.items()))
            if session.begun > oldest:
                break
            self._drop_session(id)
        while self._conversations:
            conversation = next(iter(self._conversations.values()))
            if conversation.used > oldest:
                break
            self._drop(conversation.id)

    def _drop_session(self, session_id: str) -> None:
        stored = self._sessions.pop(session_id)
        mine = self._owners[stored.owner]
        del mine.sessions[session_id]
        self._drop_if_empty(stored.owner, mine)

    def _drop(self, conversation_id: str) -> None:
        stored = self._conversations.pop(conversation_id, None)
        if stored is None:
            return
        self._size -= stored.size
        mine = self._owners[stored.owner]
        del mine.conversations[conversation_id]
        self._drop_if_empty(stored.owner, mine)

    def _drop_if_empty(self, owner: Owner, mine: _OfOwner) -> None:
        if not mine.sessions and not mine.conversations:
            del self._owners[owner]
