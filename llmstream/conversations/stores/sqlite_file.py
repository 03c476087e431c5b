"""The file of SQLiteStore: how it is opened, brought up to date, and what is said when it can't be."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from contextlib import suppress
from pathlib import Path

from llmstream.conversations.errors import StoreError
from llmstream.conversations.records import Owner

APPLICATION_ID = 0x4C4C4D43
"""`LLMC` in the file's header, so that another program's file is never written to (sqlite.org/pragma.html)."""

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        "CREATE TABLE session (id TEXT PRIMARY KEY, data TEXT NOT NULL)",
        (
            "CREATE TABLE conversation (id TEXT PRIMARY KEY, owner TEXT NOT NULL, created REAL NOT NULL,"
            " data TEXT NOT NULL, lease TEXT, renewed REAL NOT NULL DEFAULT 0,"
            " seconds REAL NOT NULL DEFAULT 0)"
        ),
        "CREATE INDEX conversation_owner ON conversation (owner, created)",
        (
            "CREATE TABLE turn (conversation_id TEXT NOT NULL REFERENCES conversation (id) ON DELETE CASCADE,"
            " position INTEGER NOT NULL, id TEXT NOT NULL, data TEXT NOT NULL,"
            " PRIMARY KEY (conversation_id, position), UNIQUE (conversation_id, id))"
        ),
    ),
    (
        # Whose a session is, and how old; a conversation's last use, and its bytes.
        "ALTER TABLE session ADD COLUMN owner TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE session ADD COLUMN begun REAL NOT NULL DEFAULT 0",
        "UPDATE session SET owner = owner_key(data), begun = json_extract(data, '$.created')",
        "CREATE INDEX session_owner ON session (owner, begun)",
        "CREATE INDEX session_begun ON session (begun)",
        "ALTER TABLE conversation ADD COLUMN used REAL NOT NULL DEFAULT 0",
        "ALTER TABLE conversation ADD COLUMN size INTEGER NOT NULL DEFAULT 0",
        (
            "UPDATE conversation SET"
            " used = coalesce((SELECT max(json_extract(data, '$.created')) FROM turn"
            "  WHERE conversation_id = conversation.id), created),"
            " size = length(data) + coalesce((SELECT sum(length(data)) FROM turn"
            "  WHERE conversation_id = conversation.id), 0)"
        ),
        "CREATE INDEX conversation_used ON conversation (used)",
        "CREATE INDEX conversation_size ON conversation (owner, used, size)",
    ),
)
"""What brings a file from each version to the next; `user_version` counts those done. Never change one: add one."""


LOG_SIZE = 4 << 20
"""Bytes that the write-ahead log keeps on the disk once it was copied into the file."""


def open_file(path: Path, busy_timeout: float) -> sqlite3.Connection:
    """Open or make the file, and bring it up to date. Raises StoreError or sqlite3.Error."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # the WAL gets the same mode
    except (OSError, ValueError) as error:  # ValueError: no path can have such a character
        reason = error.strerror if isinstance(error, OSError) else error
        told = f"{str(path)!r} can't be opened for writing ({reason}): choose another path"
        raise StoreError(told) from None
    # Whoever forks closes it, in whatever thread; a lock sees to it that one uses it at a time.
    db = sqlite3.connect(path, timeout=busy_timeout, isolation_level=None, check_same_thread=False)
    try:
        _check(db, path)
        _use_wal(db, busy_timeout)
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA foreign_keys = ON")
        # Python's own build overwrites what is deleted, others don't.
        db.execute("PRAGMA secure_delete = ON")
        db.execute(f"PRAGMA journal_size_limit = {LOG_SIZE}")
        _migrate(db, path)
    except BaseException:
        db.close()
        raise
    return db


def empty_log(db: sqlite3.Connection) -> None:
    """Copy the log into the file and cut it to nothing: it still has the text that was deleted.

    Where somebody reads at this moment, the text is overwritten later, with the log.
    """
    with suppress(sqlite3.OperationalError):
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def identify(path: Path) -> tuple[int, int] | None:
    """Which file is at `path`, however often it changes; None if there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


_STATE = """
SELECT (SELECT user_version FROM pragma_user_version), (SELECT application_id FROM pragma_application_id),
    (SELECT count(*) FROM sqlite_master)
"""
"""Asked for at once: between two questions another process may make the tables."""


def _check(db: sqlite3.Connection, path: Path) -> int:
    """The file's version. Raises StoreError for a file that is another program's, or newer than this release."""
    version, mark, tables = db.execute(_STATE).fetchone()
    if mark != APPLICATION_ID and (version or mark or tables):
        raise StoreError(
            f"{path} is another program's SQLite file; nothing was changed: choose another path"
        )
    if version > len(MIGRATIONS):
        raise StoreError(
            f"{path} has version {version}, written by a newer llmstream (this one knows {len(MIGRATIONS)}); nothing "
            "was changed: upgrade llmstream, or choose another path"
        )
    return int(version)


def _use_wal(db: sqlite3.Connection, busy_timeout: float) -> None:
    """WAL stays with the file. Switching to it ignores the busy timeout, so we wait ourselves."""
    until = time.monotonic() + busy_timeout
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.01)
        else:
            return


def _migrate(db: sqlite3.Connection, path: Path) -> None:
    if _check(db, path) == len(MIGRATIONS):
        return
    db.create_function("owner_key", 1, _owner_key, deterministic=True)
    db.execute("BEGIN IMMEDIATE")
    try:
        # Checked again, since another process may have been quicker.
        for version in range(_check(db, path), len(MIGRATIONS)):
            for statement in MIGRATIONS[version]:
                db.execute(statement)
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _owner_key(data: str) -> str:
    """The key of the owner in a session's record."""
    return Owner(*json.loads(data)["owner"]).key


def explain(error: sqlite3.Error, path: Path) -> StoreError:
    """The error in words: what happened, and what to do."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        advice = "the file is damaged or is no SQLite file: restore a backup, or move it away and begin anew"
    elif code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        advice = "another program holds the file for longer than busy_timeout: try again, or find that program"
    elif code == sqlite3.SQLITE_FULL:
        advice = "the disk is full: make room and try again"
    elif code in (
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_PERM,
    ):
        advice = (
            "the file can't be read or written: check the disk and the permissions of its folder"
        )
    else:
        advice = "this is unexpected"
    return StoreError(f"{path}: {error}; {advice}")
