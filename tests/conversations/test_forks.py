"""A process forks while it has stores: parent and children go on, each with its own connection and locks."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import multiprocessing
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from llmstream.conversations import SQLiteStore
from llmstream.conversations.records import Owner, SessionRecord
from tests.forks import fork, main, run_program, wait

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")


async def add(store, *names):
    """Write and read what was written."""
    for name in names:
        await store.add_session(SessionRecord(name, Owner("i", "u", "p"), "hash"))
        assert (await store.session(name)).id == name


def names(path):
    """What a program that never forked finds, in a file that is whole."""
    ask = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
print(*db.execute("PRAGMA integrity_check").fetchone())
print(*(row[0] for row in db.execute("SELECT id FROM session")))
"""
    done = subprocess.run(
        [sys.executable, "-c", ask, path], capture_output=True, text=True, check=True
    )
    whole, found = done.stdout.splitlines()
    assert whole == "ok"
    return set(found.split())


def locks():
    """The locks that this process holds on files, as the system knows them."""
    lines = Path("/proc/locks").read_text("ascii").splitlines()
    return [line for line in lines if f" {os.getpid()} " in line]


def children_and_theirs(path):
    """Children, a child of a child, and the parent, all at work with one store."""
    store = SQLiteStore(path)
    asyncio.run(add(store, "before"))

    def younger():
        asyncio.run(add(store, "grandchild"))

    def older(name):
        wait(fork(younger)) if name == "child0" else None
        asyncio.run(add(store, name))
        wait(fork(lambda: asyncio.run(add(store, f"{name}-younger"))))
        asyncio.run(add(store, f"{name}-again"))
        asyncio.run(store.aclose())
        gc.collect()

    children = [fork(lambda i=i: older(f"child{i}")) for i in range(3)]
    asyncio.run(add(store, *(f"parent{i}" for i in range(20))))
    wait(*children)
    asyncio.run(add(store, "after"))
    asyncio.run(store.aclose())
    made = {f"child{i}{end}" for i in range(3) for end in ("", "-younger", "-again")}
    assert names(path) == {
        "before",
        "after",
        "grandchild",
        *made,
        *(f"parent{i}" for i in range(20)),
    }


def at_work(path):
    """Forks at any moment of the parent's work, from another thread than that of its loop."""
    store = SQLiteStore(path)
    ended = threading.Event()

    async def write():
        i = 0
        while not ended.is_set():
            await asyncio.gather(*(add(store, f"parent{i}-{j}") for j in range(3)))
            i += 1
        await store.aclose()

    writer = threading.Thread(target=asyncio.run, args=(write(),))
    writer.start()
    children = [fork(lambda i=i: asyncio.run(add(store, f"child{i}"))) for i in range(25)]
    wait(*children)
    ended.set()
    writer.join()
    assert {f"child{i}" for i in range(25)} < names(path)


def its_own_locks(path):
    """What SQLite does in the child is protected: it holds locks, and the parent's stay when the child ends."""
    store = SQLiteStore(path)

    async def hold(inside):
        await add(store, f"{os.getpid()}")
        inside()
        await add(store, f"{os.getpid()}-again")

    def child():
        assert not locks()
        asyncio.run(hold(lambda: locks() or sys.exit("no locks")))
        asyncio.run(store.aclose())
        assert not locks()

    asyncio.run(add(store, "before"))
    wait(fork(child))
    asyncio.run(hold(lambda: wait(fork(child), fork(child))))
    asyncio.run(add(store, "parent"))
    assert locks()


def inside_a_loop(path):
    """A fork in a coroutine, while other work waits; the child may only close."""
    store = SQLiteStore(path)

    async def main():
        await add(store, "parent")
        waiting = asyncio.ensure_future(add(store, *(f"waiting{i}" for i in range(9))))
        await asyncio.sleep(0)
        child = fork(lambda: asyncio.run(add(store, "child")))
        closes = fork(lambda: asyncio.run(store.aclose()))
        await waiting
        wait(child, closes)
        await store.aclose()
        await add(store, "after")
        await store.aclose()

    asyncio.run(main())
    assert names(path) == {"parent", "child", "after", *(f"waiting{i}" for i in range(9))}


def the_parent_closes(path):
    """The last connection deletes the log on its way out: the parent's is not the last while a child has one."""
    store = SQLiteStore(path)
    asyncio.run(add(store, "parent"))
    begun, go_on = os.pipe(), os.pipe()

    def child():
        asyncio.run(add(store, "child"))
        os.write(begun[1], b"x")
        os.read(go_on[0], 1)
        asyncio.run(add(store, *(f"child{i}" for i in range(50))))

    started = fork(child)
    os.read(begun[0], 1)
    asyncio.run(add(store, "again"))
    asyncio.run(store.aclose())
    assert names(path) == {"parent", "child", "again"}
    os.write(go_on[1], b"x")
    wait(started)
    assert names(path) == {"parent", "child", "again", *(f"child{i}" for i in range(50))}


def behind_our_back(path):
    """Something in C forks, and nobody is told before: the parent's connection is left alone."""
    store = SQLiteStore(path)
    asyncio.run(add(store, "parent"))
    libc = ctypes.PyDLL(None)

    def child():
        asyncio.run(add(store, "child"))
        gc.collect()
        asyncio.run(store.aclose())

    wait(fork(child, libc.fork))
    asyncio.run(add(store, "after"))
    assert locks()
    asyncio.run(store.aclose())
    assert names(path) == {"parent", "child", "after"}


def many_stores(path):
    """Several files, one that was never opened, and one that is gone."""
    stores = [SQLiteStore(f"{path}{i}") for i in range(3)]
    unused, gone = SQLiteStore(path), SQLiteStore(f"{path}-gone")
    for store in (*stores, gone):
        asyncio.run(add(store, "parent"))
    del gone
    gc.collect()

    def child():
        for store in (*stores, unused):
            asyncio.run(add(store, "child"))

    wait(fork(child))
    for store in stores:
        asyncio.run(add(store, "after"))
    assert names(path) == {"child"}
    for i in range(3):
        assert names(f"{path}{i}") == {"parent", "child", "after"}


STORE: SQLiteStore | None = None


def _in_pool(name):
    assert STORE is not None
    asyncio.run(add(STORE, name))
    return name


def a_pool(path):
    """`multiprocessing.Pool` and a `Process`, with the store at the level of the module."""
    global STORE  # noqa: PLW0603  # as programs have it
    STORE = SQLiteStore(path)
    asyncio.run(add(STORE, "parent"))
    context = multiprocessing.get_context("fork")
    with context.Pool(4) as pool:
        assert pool.map(_in_pool, [f"child{i}" for i in range(40)]) == [
            f"child{i}" for i in range(40)
        ]
        asyncio.run(add(STORE, "meanwhile"))
    process = context.Process(target=_in_pool, args=("process",))
    process.start()
    process.join()
    assert process.exitcode == 0
    asyncio.run(STORE.aclose())
    assert names(path) == {"parent", "meanwhile", "process", *(f"child{i}" for i in range(40))}


def a_fork_that_fails(path):
    """The parent goes on."""
    import resource

    store = SQLiteStore(path)
    asyncio.run(add(store, "parent"))
    if os.getuid() == 0:
        os.setuid(65534)  # the limit isn't for root
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    try:
        os.fork()
    except BlockingIOError:
        pass
    else:
        raise AssertionError("forked")
    with store._thread._working:
        pass


CASES = [
    children_and_theirs,
    at_work,
    its_own_locks,
    inside_a_loop,
    the_parent_closes,
    behind_our_back,
    many_stores,
    a_pool,
    a_fork_that_fails,
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
async def test_a_store_outlives_a_fork(case, tmp_path):
    """In the child everything hung, `aclose()` too."""
    if case in (its_own_locks, behind_our_back, a_fork_that_fails) and sys.platform != "linux":
        pytest.skip("asks Linux")
    await run_program(case, tmp_path / "store.db")


if __name__ == "__main__":
    main(globals())
