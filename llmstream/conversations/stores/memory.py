"""MemoryStore: conversations for as long as the program runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from llmstream.conversations.errors import AccessError, ConversationBusyError
from llmstream.conversations.records import ConversationRecord, Owner, SessionRecord, Turn
from llmstream.conversations.stores.protocol import (
    BUSY,
    find_rest,
    parse,
    parse_turns,
    render,
    takes_without_lease,
)


@dataclass(slots=True)
class _Kept:
    owner: Owner
    record: str
    turns: list[str] = field(default_factory=list)
    lease: str | None = None
    renewed: float = 0.0
    seconds: float = 0.0


class MemoryStore:
    """For tests, and for programs that may forget. It keeps JSON, as every store does.

    `now` gives the seconds of a clock that never goes back; leases run by it. One process, one
    thread.
    """

    def __init__(self, *, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._sessions: dict[str, str] = {}
        self._conversations: dict[str, _Kept] = {}

    async def add_session(self, session: SessionRecord) -> None:
        """Keep a new session."""
        self._sessions[session.id] = render(session)

    async def session(self, session_id: str) -> SessionRecord | None:
        """The session of this id, if there is one."""
        kept = self._sessions.get(session_id)
        return None if kept is None else parse(SessionRecord, kept)

    async def add_conversation(
        self, conversation: ConversationRecord, turns: Sequence[Turn] = ()
    ) -> None:
        """Keep a new conversation and its turns."""
        kept = _Kept(conversation.owner, render(conversation), [render(turn) for turn in turns])
        self._conversations[conversation.id] = kept

    async def conversation(self, conversation_id: str) -> ConversationRecord | None:
        """The conversation of this id, if there is one."""
        kept = self._conversations.get(conversation_id)
        return None if kept is None else parse(ConversationRecord, kept.record)

    async def conversations(self, owner: Owner) -> list[ConversationRecord]:
        """All of one owner's, oldest first."""
        kept = [kept for kept in self._conversations.values() if kept.owner == owner]
        return [parse(ConversationRecord, each.record) for each in kept]

    async def delete_conversation(self, conversation_id: str) -> None:
        """Forget it with all its turns."""
        self._conversations.pop(conversation_id, None)

    async def turns(self, conversation_id: str) -> list[Turn]:
        """All turns in order."""
        kept = self._conversations.get(conversation_id)
        return [] if kept is None else await parse_turns(kept.turns)

    async def acquire(self, conversation_id: str, lease: str, seconds: float) -> list[Turn]:
        """Take the lease, and give all turns."""
        kept = self._conversations.get(conversation_id)
        if kept is None:
            raise AccessError
        now = self._now()
        rest = find_rest(now, kept.renewed, kept.seconds)
        if kept.lease is not None and rest > 0:
            raise ConversationBusyError(BUSY, rest)
        kept.lease, kept.renewed, kept.seconds = lease, now, seconds
        return await self.turns(conversation_id)

    async def renew(self, conversation_id: str, lease: str, seconds: float) -> bool:
        """Hold the lease on."""
        kept = self._held(conversation_id, lease)
        if kept is None:
            return False
        kept.renewed, kept.seconds = self._now(), seconds
        return True

    async def write(
        self, conversation_id: str, lease: str, position: int, turn: Turn, *, release: bool
    ) -> bool:
        """Store the turn, if the lease is held."""
        kept = self._conversations.get(conversation_id)
        if kept is None:
            return False
        if kept.lease != lease:
            last = parse(Turn, kept.turns[-1]) if kept.turns else None
            free = kept.lease is None
            if not free or not takes_without_lease(len(kept.turns), last, position, turn):
                return False
        kept.turns[position : position + 1] = [render(turn)]
        if release:
            kept.lease = None
        return True

    async def release(self, conversation_id: str, lease: str) -> None:
        """Let the lease go."""
        kept = self._held(conversation_id, lease)
        if kept is not None:
            kept.lease = None

    async def aclose(self) -> None:
        """Nothing to close: what is kept stays."""

    def _held(self, conversation_id: str, lease: str) -> _Kept | None:
        kept = self._conversations.get(conversation_id)
        return kept if kept is not None and kept.lease == lease else None
