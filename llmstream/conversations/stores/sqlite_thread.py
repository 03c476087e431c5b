"""The one thread that works on an SQLiteStore's file, before and after a fork.

SQLite forbids a connection to be open while the process forks (https://www.sqlite.org/howtocorrupt.html, section 2.6),
and opening another in the child is no cure: the library's memory, which the child inherits, says that this process
holds the locks of the parent's. The child then takes none, or waits for ever for one that nobody will release. So the
connection is closed before a fork, and either process opens its own with its next call.

Where something forks behind Python's back, so that we aren't told before, the child leaves the parent's connection and
thread alone.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar
from weakref import WeakSet

from llmstream.conversations.errors import StoreError
from llmstream.conversations.stores.sqlite_file import explain, identify, open_file

T = TypeVar("T")


class SQLiteThread:
    """Runs work on the file at `path`, one piece after another, in a thread that is begun when it is first needed."""

    def __init__(self, path: Path, busy_timeout: float) -> None:
        self._path = path
        self._busy_timeout = busy_timeout
        with _forking:
            _all.add(self)
        self._begin()

    def _begin(self) -> None:
        self._process = os.getpid()
        self._working = threading.Lock()  # held while anybody uses the connection
        self._thread: ThreadPoolExecutor | None = None
        self._db: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Return or raise what `work` does; an sqlite3.Error becomes a StoreError."""
        self.leave_parent()
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "llmstream-sqlite")
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._work, work)

    async def aclose(self) -> None:
        """Close the file and end the thread. Both begin again with the next work."""
        self.leave_parent()
        thread, self._thread = self._thread, None
        if thread is not None:
            await asyncio.get_running_loop().run_in_executor(thread, self._close)
            thread.shutdown()

    def _work(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with self._working:
            try:
                if self._db is None:
                    self._db = open_file(self._path, self._busy_timeout)
                    self._file = identify(self._path)
                elif identify(self._path) != self._file:
                    # What is written now would be in a file that nobody finds.
                    self._close_file()
                    told = "was moved, deleted or replaced; the next call opens what is there then"
                    raise StoreError(f"{self._path} {told}")
                return work(self._db)
            except sqlite3.Error as error:
                raise explain(error, self._path) from None
            except UnicodeEncodeError as error:
                told = f"{error.reason}: an id must be text that has a UTF-8 form"
                raise StoreError(f"{self._path}: {told}") from None

    def _close(self) -> None:
        with self._working:
            self._close_file()

    def _close_file(self) -> None:
        db, self._db = self._db, None
        if db is not None:
            db.close()

    # --- around a fork, in the thread that forks -------------------------------------------------------------

    def leave_parent(self) -> None:
        """In a child: begin as if new."""
        if self._process == os.getpid():
            return
        if self._db is not None:
            # Kept, because the collector would close it, and with it the locks that this process takes on the file.
            _left.append(self._db)
        self._begin()

    def pause(self) -> None:
        """Close the connection, and let no work begin."""
        self.leave_parent()
        self._working.acquire()
        self._close_file()

    def resume(self) -> None:
        """Go on, in the parent."""
        self._working.release()


_all: WeakSet[SQLiteThread] = WeakSet()
_forking = threading.Lock()
_paused: list[SQLiteThread] = []
_left: list[sqlite3.Connection] = []


def _before() -> None:
    _forking.acquire()
    for thread in [*_all]:
        thread.pause()
        _paused.append(thread)


def _after_in_parent() -> None:
    for thread in _paused:
        thread.resume()
    _paused.clear()
    _forking.release()


def _after_in_child() -> None:
    global _forking  # noqa: PLW0603  # whoever held it may be a thread that the child doesn't have
    _forking = threading.Lock()
    _paused.clear()
    for thread in [*_all]:
        thread.leave_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child
    )
