"""Lease: one turn at a time, whatever process asks for the next."""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from contextlib import suppress
from typing import Self

from llmstream.clock import Clock
from llmstream.conversations.errors import (
    AccessError,
    ConversationBusyError,
    ConversationError,
    StoreError,
    TurnError,
)
from llmstream.conversations.records import Turn
from llmstream.conversations.shielded_tasks import Background
from llmstream.conversations.stores.protocol import Store

_FIRST_PAUSE, _LAST_PAUSE = 0.01, 0.25
_LEAVING = 0.05
"""Seconds that a stream which was left by `break` has to close: the event loop does that, some turns later."""


class OldLeases:
    """The leases that this program has let go lately.

    A database that fails over may have forgotten that they were: then they are this program's own,
    and nobody has to wait until they run out.
    """

    def __init__(self) -> None:
        self._names: dict[str, list[str]] = {}
        self._oldest: deque[tuple[float, str, str]] = deque()

    def add(self, conversation_id: str, name: str, now: float, seconds: float) -> None:
        """Remember one for as long as it could still run. Forgets those that have run out."""
        while self._oldest and self._oldest[0][0] <= now:
            _, id, old = self._oldest.popleft()
            names = self._names.get(id, [])
            if old in names:
                names.remove(old)
            if not names:
                self._names.pop(id, None)
        self._oldest.append((now + seconds, conversation_id, name))
        self._names.setdefault(conversation_id, []).append(name)

    def take(self, conversation_id: str) -> list[str]:
        """Those of a conversation, which are forgotten with that."""
        return self._names.pop(conversation_id, [])


class Lease:
    """`async with Lease(…) as lease`: the conversation's turns are ours to write, until the block ends.

    It is renewed every third of its `seconds`, and others may have the conversation that long after this program dies.
    Entering waits for up to `wait` seconds while another turn is being answered, 50 ms at least (it may have been left
    and be closing), and raises ConversationBusyError then. `old` is shared by all leases of a program.
    """

    def __init__(
        self,
        store: Store,
        conversation_id: str,
        clock: Clock,
        background: Background,
        old: OldLeases,
        *,
        seconds: float,
        wait: float,
    ) -> None:
        self._store, self._conversation_id, self._clock = store, conversation_id, clock
        self._background, self._old = background, old
        self._seconds, self._wait = seconds, wait
        self._name = secrets.token_hex(16)
        self._held = False
        self._renewing: asyncio.Task[None] | None = None
        self.turns: list[Turn] = []
        """All turns as they were when we entered."""

    async def __aenter__(self) -> Self:
        self._held = True  # for all we know: a reply that never reached us may have given it to us
        try:
            self.turns = await self._acquire()
        except (ConversationBusyError, AccessError):
            raise
        except BaseException:
            await self._let_go()
            raise
        self._renewing = asyncio.create_task(self._renew(), name="llmstream.conversations.lease")
        return self

    async def __aexit__(self, *exception: object) -> None:
        if self._renewing is not None:
            self._renewing.cancel()
        await self._let_go()

    async def write(self, position: int, turn: Turn, *, last: bool = False) -> None:
        """Store a turn; `last` lets the conversation go with it. Raises TurnError where another has it by now."""
        if last:
            # Also where we are cancelled now: letting go must not overtake the write.
            self._held = False
        try:
            stored = await self._background.run(self._write(position, turn, last=last))
        except Exception as problem:
            self._held = True  # it took nothing, so it let nothing go
            if isinstance(problem, ConversationError):
                problem.unsaved = turn
            raise
        if not stored:
            self._held = False
            refused = TurnError(
                "this program was held up for longer than its lease, or the conversation was deleted, and what it has "
                "since then is not stored: read the conversation again and ask again"
            )
            refused.unsaved = turn
            raise refused

    async def _write(self, position: int, turn: Turn, *, last: bool) -> bool:
        try:
            return await self._store.write(
                self._conversation_id, self._name, position, turn, release=last
            )
        finally:
            if last:
                self._remember()

    def _remember(self) -> None:
        """We are done with this lease, whatever the database has heard of that."""
        self._old.add(self._conversation_id, self._name, self._clock.time(), self._seconds)

    async def _release(self, name: str) -> None:
        with suppress(StoreError):  # it runs out by itself
            await self._store.release(self._conversation_id, name)

    async def _acquire(self) -> list[Turn]:
        until = self._clock.time() + max(self._wait, _LEAVING)
        pause = _FIRST_PAUSE
        while True:
            try:
                return await self._store.acquire(self._conversation_id, self._name, self._seconds)
            except ConversationBusyError as busy:
                old = self._old.take(self._conversation_id)
                for name in old:
                    await self._release(name)
                if old:
                    continue
                left = until - self._clock.time()
                if left <= 0:
                    told = f"{busy}: ask again when it is over (wait= waits in line); if you left it, close its stream"
                    raise ConversationBusyError(told, busy.retry_after) from None
            await self._clock.sleep(min(pause, left))
            pause = min(pause * 2, _LAST_PAUSE)

    async def _let_go(self) -> None:
        if self._held:
            self._held = False
            await self._background.run(self._release(self._name))
            self._remember()

    async def _renew(self) -> None:
        while True:
            await self._clock.sleep(self._seconds / 3)
            with suppress(StoreError):  # the store may be back before the lease runs out
                if not await self._store.renew(self._conversation_id, self._name, self._seconds):
                    return  # the next write says so
