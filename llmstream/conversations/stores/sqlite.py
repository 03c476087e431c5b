"""SQLiteStore: conversations in one file, shared by any number of processes of one machine."""

from __future__ import annotations

import math
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

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
    yours. `ttl` and `limits` are told in `llmstream.conversations.stores.limits`; they may be set anew
    at any time, and ages count by the machine's date. `busy_timeout`: seconds that a write waits for
    those of other processes. `now`: seconds of the clock that leases run by. It is the same for all
    processes of the machine and never set, so a changed date ends no turn. `today`: seconds since 1970.
    The file has a version: an older one is brought up to date at once, a newer one is refused.

    All work is done by one thread, so the event loop never waits for the disk. A process may fork at
    any time, and both go on with the store: its file is closed for the moment of the fork, which
    waits for the work that runs.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        ttl: float | None = None,
        limits: StoreLimits = StoreLimits(),  # noqa: B008  # frozen
        busy_timeout: float = 10.0,
        now: Callable[[], float] = time.monotonic,
        today: Callable[[], float] = time.time,
    ) -> None:
        self.ttl = check_ttl(ttl)
        self.limits = limits
        self._path = Path(path).absolute()  # ":memory:" is a file here, too
        self._now, self._today = now, today
        self._thread = SQLiteThread(self._path, busy_timeout)

    def __repr__(self) -> str:
        return f"SQLiteStore({str(self._path)!r})"

    async def add_session(self, session: SessionRecord) -> None:
        """Keep a new session. Raises StoreFullError."""
        owner, limits, today = session.owner.key, self.limits, self._today()
        row = (session.id, render(session), owner, today)

        def add(db: sqlite3.Connection) -> None:
            with _transaction(db):
                surplus = _surplus_sessions(db, owner, limits)
                limits.check_sessions(_count_sessions(db, limits) - len(surplus))
                db.executemany("DELETE FROM session WHERE id = ?", surplus)
                put = "INSERT INTO session (id, data, owner, begun) VALUES (?, ?, ?, ?)"
                db.execute(put, row)

        await self._run(add)

    async def session(self, session_id: str) -> SessionRecord | None:
        """The session of this id, if there is one."""
        row = await self._run(
            lambda db: _one(db, "SELECT data FROM session WHERE id = ?", session_id)
        )
        return None if row is None else parse(SessionRecord, row[0])

    async def add_conversation(
        self, conversation: ConversationRecord, turns: Sequence[Turn] = ()
    ) -> None:
        """Keep a new conversation and its turns. Raises ConversationLimitError or StoreFullError."""
        id, owner, limits, today = (
            conversation.id,
            conversation.owner.key,
            self.limits,
            self._today(),
        )

        def add(db: sqlite3.Connection) -> None:
            record, texts = render(conversation), [render(turn) for turn in turns]
            size = size_of(record) + sum(map(size_of, texts))
            rows = [(id, place, turns[place].id, text) for place, text in enumerate(texts)]
            limits.check_question(len(turns) - 1, 0)
            with _transaction(db):
                gone = _make_room(db, owner, limits, Kept(id, today, size, bool(turns)))
                db.execute(
                    "INSERT INTO conversation (id, owner, created, data, used, size)"
                    " VALUES (?, ?, ?, ?, ?, ?)",
                    (id, owner, conversation.created, record, today, size),
                )
                db.executemany(
                    "INSERT INTO turn (conversation_id, position, id, data) VALUES (?, ?, ?, ?)",
                    rows,
                )
            if gone:
                empty_log(db)

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

    async def delete_owner(self, owner: Owner) -> int:
        """Forget all sessions and conversations of an owner, and leave none of it in the file or its log."""

        def delete(db: sqlite3.Connection) -> int:
            with _transaction(db):
                db.execute("DELETE FROM session WHERE owner = ?", (owner.key,))
                ask = "DELETE FROM conversation WHERE owner = ?"
                count = db.execute(ask, (owner.key,)).rowcount
            empty_log(db)
            return count

        return await self._run(delete)

    async def turns(self, conversation_id: str) -> list[Turn]:
        """All turns in order."""
        return await self._run(lambda db: _turns(db, conversation_id))

    async def acquire(self, conversation_id: str, lease: str, seconds: float) -> list[Turn]:
        """Take the lease, and give all turns."""
        today = self._today()

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
                db.execute(
                    "UPDATE conversation SET lease = ?, renewed = ?, seconds = ?, used = ? WHERE id = ?",
                    (lease, now, seconds, today, conversation_id),
                )
            return _turns(db, conversation_id)  # nobody else writes them now

        return await self._run(take)

    async def renew(self, conversation_id: str, lease: str, seconds: float) -> bool:
        """Hold the lease on."""
        ask = (
            "UPDATE conversation SET renewed = ?, seconds = ?, used = ? WHERE id = ? AND lease = ?"
        )
        values = (self._now(), seconds, self._today(), conversation_id, lease)
        return await self._run(lambda db: db.execute(ask, values).rowcount == 1)

    async def write(
        self, conversation_id: str, lease: str, position: int, turn: Turn, *, release: bool
    ) -> bool:
        """Store the turn, if the lease is held. Raises ConversationLimitError or StoreFullError."""
        limits, today = self.limits, self._today()

        def put(db: sqlite3.Connection) -> bool:
            text = render(turn)
            gone = False
            with _transaction(db):
                ask = "SELECT lease, owner, size FROM conversation WHERE id = ?"
                found = _one(db, ask, conversation_id)
                if found is None:
                    return False
                holder, owner, size = found
                if holder != lease:
                    free = holder is None
                    if not free or not _takes_without_lease(db, conversation_id, position, turn):
                        return False
                more = size_of(text) - _size_at(db, conversation_id, position)
                if is_question(turn):
                    limits.check_question(position, size_of(text))
                    new = Kept(conversation_id, today, size + more, is_used=True)
                    gone = _make_room(db, owner, limits, new)
                db.execute(
                    "INSERT INTO turn (conversation_id, position, id, data) VALUES (?, ?, ?, ?)"
                    " ON CONFLICT (conversation_id, position)"
                    " DO UPDATE SET id = excluded.id, data = excluded.data",
                    (conversation_id, position, turn.id, text),
                )
                db.execute(
                    "UPDATE conversation SET used = ?, size = size + ?,"
                    " lease = iif(?, NULL, lease) WHERE id = ?",
                    (today, more, release, conversation_id),
                )
            if gone:
                empty_log(db)
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
        oldest = -math.inf if self.ttl is None else self._today() - self.ttl

        def work_on_the_young(db: sqlite3.Connection) -> T:
            _forget_old(db, oldest)
            return work(db)

        return await self._thread.run(work_on_the_young)


def _one(db: sqlite3.Connection, ask: str, *keys: Any) -> Any:
    rows = db.execute(ask, keys).fetchall()  # all, so that none is left to read
    return rows[0] if rows else None


# --- limits --------------------------------------------------------------------------------------------------


def _forget_old(db: sqlite3.Connection, oldest: float) -> None:
    """Forget what is older than that, and leave none of it in the file or its log."""
    found = _one(
        db,
        "SELECT EXISTS (SELECT 1 FROM session WHERE begun <= ?),"
        " EXISTS (SELECT 1 FROM conversation WHERE used <= ?)",
        oldest,
        oldest,
    )
    if not any(found):
        return
    with _transaction(db):
        db.execute("DELETE FROM session WHERE begun <= ?", (oldest,))
        db.execute("DELETE FROM conversation WHERE used <= ?", (oldest,))
    empty_log(db)


def _surplus_sessions(db: sqlite3.Connection, owner: str, limits: StoreLimits) -> list[tuple[str]]:
    """The oldest sessions of an owner, which go for one more."""
    if limits.sessions is None:
        return []
    ask = "SELECT id FROM session WHERE owner = ? ORDER BY begun DESC, rowid DESC LIMIT -1 OFFSET ?"
    return db.execute(ask, (owner, limits.sessions - 1)).fetchall()


def _count_sessions(db: sqlite3.Connection, limits: StoreLimits) -> int:
    is_counted = limits.all_sessions is not None
    return int(_one(db, "SELECT count(*) FROM session")[0]) if is_counted else 0


def _make_room(db: sqlite3.Connection, owner: str, limits: StoreLimits, new: Kept) -> bool:
    """Forget what goes for `new`; returns whether anything did. Raises ConversationLimitError or StoreFullError."""
    if not limits.count_conversations:
        return False
    ask = (
        "SELECT id, used, size, EXISTS (SELECT 1 FROM turn WHERE conversation_id = conversation.id)"
        " FROM conversation WHERE owner = ?"
    )
    mine = [Kept(*row) for row in db.execute(ask, (owner,)).fetchall()]
    ask = "SELECT count(*), coalesce(sum(size), 0) FROM conversation"
    gone = limits.make_room(mine, Total(*_one(db, ask)), new)
    db.executemany("DELETE FROM conversation WHERE id = ?", [(kept.id,) for kept in gone])
    return bool(gone)


def _size_at(db: sqlite3.Connection, conversation_id: str, position: int) -> int:
    """The bytes of the turn there, if there is one."""
    ask = "SELECT length(data) FROM turn WHERE conversation_id = ? AND position = ?"
    found = _one(db, ask, conversation_id, position)
    return 0 if found is None else int(found[0])


# --- turns ---------------------------------------------------------------------------------------------------


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
