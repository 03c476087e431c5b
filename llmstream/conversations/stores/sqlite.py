"""SQLiteStore: conversations in one file, shared by any number of processes of one machine."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from llmstream.conversations.errors import AccessError, ConversationBusyError
from llmstream.conversations.records import ConversationRecord, Owner, SessionRecord, Turn
from llmstream.conversations.stores.protocol import (
    BUSY,
    find_rest,
    parse,
    render,
    takes_without_lease,
)
from llmstream.conversations.stores.sqlite_file import empty_log
from llmstream.conversations.stores.sqlite_thread import SQLiteThread

T = TypeVar("T")


class SQLiteStore:
    """The embedded store: a file at `path`, made when first used, readable by its owner alone.

    Crash-safe: a turn that was acknowledged survives kill -9 and a power cut (WAL with
    synchronous=FULL: one fsync per write, well under a millisecond on an SSD, where an answer takes
    seconds). Not for network file systems, where WAL doesn't work. What is deleted is overwritten in
    the file and in its log, so no tool finds it there; backups and the disk's own spare blocks are
    yours. `busy_timeout`: seconds that a write waits for those of other processes. `now`: seconds of
    the clock that leases run by. It is the same for all processes of the machine and never set, so a
    changed date ends no turn. The file has a version: an older one is brought up to date at once, a
    newer one is refused.

    All work is done by one thread, so the event loop never waits for the disk. A process may fork at
    any time, and both go on with the store: its file is closed for the moment of the fork, which
    waits for the work that runs.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        busy_timeout: float = 10.0,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = Path(path).absolute()  # ":memory:" is a file here, too
        self._now = now
        self._thread = SQLiteThread(self._path, busy_timeout)

    def __repr__(self) -> str:
        return f"SQLiteStore({str(self._path)!r})"

    async def add_session(self, session: SessionRecord) -> None:
        """Keep a new session."""
        kept = (session.id, render(session))
        await self._run(lambda db: db.execute("INSERT INTO session (id, data) VALUES (?, ?)", kept))

    async def session(self, session_id: str) -> SessionRecord | None:
        """The session of this id, if there is one."""
        row = await self._run(
            lambda db: _one(db, "SELECT data FROM session WHERE id = ?", session_id)
        )
        return None if row is None else parse(SessionRecord, row[0])

    async def add_conversation(
        self, conversation: ConversationRecord, turns: Sequence[Turn] = ()
    ) -> None:
        """Keep a new conversation and its turns."""
        kept = (conversation.id, conversation.owner.key, conversation.created, render(conversation))
        rows = [
            (conversation.id, position, turn.id, render(turn))
            for position, turn in enumerate(turns)
        ]

        def add(db: sqlite3.Connection) -> None:
            with _transaction(db):
                db.execute(
                    "INSERT INTO conversation (id, owner, created, data) VALUES (?, ?, ?, ?)", kept
                )
                db.executemany(
                    "INSERT INTO turn (conversation_id, position, id, data) VALUES (?, ?, ?, ?)",
                    rows,
                )

        await self._run(add)

    async def conversation(self, conversation_id: str) -> ConversationRecord | None:
        """The conversation of this id, if there is one."""
        row = await self._run(
            lambda db: _one(db, "SELECT data FROM conversation WHERE id = ?", conversation_id)
        )
        return None if row is None else parse(ConversationRecord, row[0])

    async def conversations(self, owner: Owner) -> list[ConversationRecord]:
        """All of one owner's, oldest first."""
        ask = "SELECT data FROM conversation WHERE owner = ? ORDER BY created, rowid"
        rows = await self._run(lambda db: db.execute(ask, (owner.key,)).fetchall())
        return [parse(ConversationRecord, row[0]) for row in rows]

    async def delete_conversation(self, conversation_id: str) -> None:
        """Forget it with all its turns, and leave none of its text in the file or its log."""

        def delete(db: sqlite3.Connection) -> None:
            gone = db.execute("DELETE FROM conversation WHERE id = ?", (conversation_id,)).rowcount
            if gone:
                empty_log(db)

        await self._run(delete)

    async def turns(self, conversation_id: str) -> list[Turn]:
        """All turns in order."""
        return await self._run(lambda db: _turns(db, conversation_id))

    async def acquire(self, conversation_id: str, lease: str, seconds: float) -> list[Turn]:
        """Take the lease, and give all turns."""

        def take(db: sqlite3.Connection) -> list[Turn]:
            with _transaction(db):
                ask = "SELECT lease, renewed, seconds FROM conversation WHERE id = ?"
                rows = db.execute(ask, (conversation_id,)).fetchall()
                if not rows:
                    raise AccessError
                holder, renewed, length = rows[0]
                now = self._now()
                rest = find_rest(now, renewed, length)
                if holder is not None and rest > 0:
                    raise ConversationBusyError(BUSY, rest)
                ask = "UPDATE conversation SET lease = ?, renewed = ?, seconds = ? WHERE id = ?"
                db.execute(ask, (lease, now, seconds, conversation_id))
            return _turns(db, conversation_id)  # nobody else writes them now

        return await self._run(take)

    async def renew(self, conversation_id: str, lease: str, seconds: float) -> bool:
        """Hold the lease on."""
        ask = "UPDATE conversation SET renewed = ?, seconds = ? WHERE id = ? AND lease = ?"
        values = (self._now(), seconds, conversation_id, lease)
        return await self._run(lambda db: db.execute(ask, values).rowcount == 1)

    async def write(
        self, conversation_id: str, lease: str, position: int, turn: Turn, *, release: bool
    ) -> bool:
        """Store the turn, if the lease is held."""
        row = (conversation_id, position, turn.id, render(turn))

        def put(db: sqlite3.Connection) -> bool:
            with _transaction(db):
                found = _one(db, "SELECT lease FROM conversation WHERE id = ?", conversation_id)
                if found is None:
                    return False
                holder = found[0]
                if holder != lease:
                    free = holder is None
                    if not free or not _takes_without_lease(db, conversation_id, position, turn):
                        return False
                db.execute(
                    "INSERT INTO turn (conversation_id, position, id, data) VALUES (?, ?, ?, ?)"
                    " ON CONFLICT (conversation_id, position)"
                    " DO UPDATE SET id = excluded.id, data = excluded.data",
                    row,
                )
                if release:
                    db.execute(
                        "UPDATE conversation SET lease = NULL WHERE id = ?", (conversation_id,)
                    )
                return True

        return await self._run(put)

    async def release(self, conversation_id: str, lease: str) -> None:
        """Let the lease go."""
        ask = "UPDATE conversation SET lease = NULL WHERE id = ? AND lease = ?"
        await self._run(lambda db: db.execute(ask, (conversation_id, lease)))

    async def aclose(self) -> None:
        """Close the file and end the thread."""
        await self._thread.aclose()

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return await self._thread.run(work)


def _one(db: sqlite3.Connection, ask: str, key: str) -> tuple[str] | None:
    rows: list[tuple[str]] = db.execute(ask, (key,)).fetchall()  # all, so that none is left to read
    return rows[0] if rows else None


def _takes_without_lease(
    db: sqlite3.Connection, conversation_id: str, position: int, turn: Turn
) -> bool:
    ask = "SELECT position, data FROM turn WHERE conversation_id = ? ORDER BY position DESC LIMIT 1"
    rows = db.execute(ask, (conversation_id,)).fetchall()
    if not rows:
        return takes_without_lease(0, None, position, turn)
    last, text = rows[0]
    return takes_without_lease(last + 1, parse(Turn, text), position, turn)


def _turns(db: sqlite3.Connection, conversation_id: str) -> list[Turn]:
    ask = "SELECT data FROM turn WHERE conversation_id = ? ORDER BY position"
    return [parse(Turn, row[0]) for row in db.execute(ask, (conversation_id,)).fetchall()]


@contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    """All or nothing, and nobody else writes meanwhile."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:  # some failures have ended it
            db.execute("ROLLBACK")
        raise
