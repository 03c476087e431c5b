"""What every store promises, and what each does with a database that fails it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis

from llmstream import ConfigurationError, ErrorInfo, LLMClient, Message
from llmstream.conversations import (
    AccessError,
    ConversationBusyError,
    ConversationClient,
    MemoryStore,
    RedisStore,
    SQLiteStore,
    StoreError,
    Turn,
)
from llmstream.conversations.records import ConversationRecord, Owner, SessionRecord
from llmstream.conversations.stores import sqlite_file
from llmstream.messages import TextPart
from llmstream.testing import ScriptedProvider
from tests.example_counts import examples
from tests.patience import PATIENCE
from tests.strategies import errors, messages

OWNER = Owner("i", "u", "p")
AT = 1000.5
SECRET_URL = "redis://user:hunter2@127.0.0.1:6379/0"


def turn(id, text="hi", state="open"):
    return Turn(id, [Message("user", [TextPart(text)])], state, created=AT)


async def begin(store, id="c", turns=()):
    record = ConversationRecord(id, OWNER, "T", "S", {"a": [1, None]}, "parent", AT)
    await store.add_conversation(record, turns)
    return record


# --- all stores ---------------------------------------------------------------------------------------------


async def test_records_come_back_as_they_were(store):
    """By value: changing what was given or what came back changes nothing."""
    session = SessionRecord("s", OWNER, "0" * 64, AT)
    await store.add_session(session)
    assert await store.session("s") == session
    assert await store.session("x") is None
    record = await begin(store, turns=[turn("a"), turn("b", state="complete")])
    assert await store.conversation("c") == record
    assert await store.conversation("x") is None
    (await store.turns("c"))[0].messages.clear()
    assert await store.turns("c") == [turn("a"), turn("b", state="complete")]
    assert await store.turns("x") == []


async def test_conversations_are_listed_by_owner(store):
    """Oldest first."""
    for number, id in enumerate("bca"):
        await store.add_conversation(ConversationRecord(id, OWNER, created=AT + number))
    await store.add_conversation(ConversationRecord("z", Owner("i", "u", "p2"), created=AT))
    assert [record.id for record in await store.conversations(OWNER)] == ["b", "c", "a"]
    await store.delete_conversation("c")
    await store.delete_conversation("x")
    assert [record.id for record in await store.conversations(OWNER)] == ["b", "a"]
    assert await store.turns("c") == []


async def test_one_holds_the_lease(store):
    """Nobody else acquires, renews, writes or releases it; let go, the next may have it."""
    await begin(store)
    assert await store.acquire("c", "one", 30) == []
    with pytest.raises(ConversationBusyError) as busy:
        await store.acquire("c", "two", 30)
    assert 0 < busy.value.retry_after <= 30
    assert not await store.renew("c", "two", 30)
    assert not await store.write("c", "two", 0, turn("x"), release=True)
    await store.release("c", "two")
    assert await store.renew("c", "one", 60)
    assert await store.write("c", "one", 0, turn("a"), release=False)
    assert await store.write("c", "one", 0, turn("a", state="complete"), release=True)
    assert not await store.write("c", "one", 0, turn("x"), release=False)
    assert await store.acquire("c", "two", 30) == [turn("a", state="complete")]
    await store.release("c", "two")
    assert len(await store.acquire("c", "three", 30)) == 1


async def test_there_is_no_lease_of_a_conversation_that_is_not_there(store):
    """Never was, or is deleted."""
    with pytest.raises(AccessError):
        await store.acquire("x", "one", 30)
    await begin(store)
    await store.acquire("c", "one", 30)
    await store.delete_conversation("c")
    assert not await store.renew("c", "one", 30)
    assert not await store.write("c", "one", 0, turn("a"), release=True)
    assert await store.turns("c") == []


async def take_over(store, lease):
    """Ask until it is given: a lease without its owner runs out, at the latest after it was asked for."""
    while True:
        try:
            return await store.acquire("c", lease, 30)
        except ConversationBusyError as busy:
            await asyncio.sleep(busy.retry_after)


async def test_a_lease_runs_out(store):
    """Another may have it then, and the first one's writes are refused; until then it can go on."""
    await begin(store)
    await store.acquire("c", "one", 0.001)
    await asyncio.sleep(0.01)
    assert await store.write("c", "one", 0, turn("a"), release=False), "nobody has taken it"
    assert await take_over(store, "two") == [turn("a")]
    assert not await store.write("c", "one", 1, turn("b"), release=True)
    assert not await store.write("c", "one", 0, turn("a", "answered"), release=True)
    assert not await store.renew("c", "one", 30)
    assert await store.turns("c") == [turn("a")]
    assert await store.write("c", "two", 0, turn("a", state="partial"), release=False)
    assert await store.write("c", "two", 1, turn("b", state="complete"), release=True)
    for late in (turn("a", "late"), turn("b", "late"), turn("x")):
        for position in (0, 1, 3):
            assert not await store.write("c", "one", position, late, release=True)
    assert await store.turns("c") == [turn("a", state="partial"), turn("b", state="complete")]


async def test_an_answer_whose_lease_is_lost_is_stored_where_it_fits(store):
    """A database may lose a lease, in a failover or when its memory is full. Nobody else has one."""
    await begin(store, turns=[turn("z", state="complete")])
    assert await store.write("c", "lost", 1, turn("a"), release=False), "it follows the last"
    assert await store.write("c", "lost", 1, turn("a", "whole", "complete"), release=True)
    assert not await store.write("c", "lost", 1, turn("a", "again", "complete"), release=True)
    assert not await store.write("c", "lost", 0, turn("z", "again", "complete"), release=True)
    assert not await store.write("c", "lost", 3, turn("b"), release=False), "one is missing before"
    assert [each.question.text for each in await store.turns("c")] == ["hi", "whole"]


async def test_of_many_at_once_one_gets_it(store):
    """Whoever asks at the same time."""
    await begin(store)
    results = await asyncio.gather(
        *(store.acquire("c", f"l-{n}", 30) for n in range(20)), return_exceptions=True
    )
    assert sorted(type(result).__name__ for result in results) == ["ConversationBusyError"] * 19 + [
        "list"
    ]


@examples(30)
@given(st.lists(messages, min_size=1, max_size=3), st.none() | errors, st.text(max_size=5))
def test_any_turn_survives_every_store(given_messages, error, text):
    """Every part that a message can have, any error; in a file, over again."""
    whole = Turn(
        "t",
        given_messages,
        "partial",
        [{"content": text.encode(errors="replace").decode()}],
        error,
        AT,
    )
    expected = Turn.from_dict(whole.to_dict())
    if error is not None:
        expected.error = ErrorInfo.from_dict({**error.to_dict(), "partial": None})
    assert expected == Turn.from_dict(expected.to_dict())

    async def through(store):
        await begin(store)
        await store.acquire("c", "l", 30)
        assert await store.write("c", "l", 0, whole, release=True)
        await store.aclose()
        return await store.turns("c")

    async def both(path):
        sqlite = SQLiteStore(path)
        assert await through(MemoryStore()) == await through(sqlite) == [expected]
        await sqlite.aclose()

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(both(Path(folder) / "c.db"))


# --- SQLite -------------------------------------------------------------------------------------------------


async def test_a_file_is_its_owners_alone_and_durable(tmp_path):
    """Mode 600, the WAL too; WAL mode, synchronous FULL."""
    store = SQLiteStore(tmp_path / "c.db")
    await begin(store)
    assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()} == {0o600}
    for pragma, value in {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}.items():
        assert await store._run(lambda db, ask=f"PRAGMA {pragma}": db.execute(ask).fetchone()) == (
            value,
        )
    await store.aclose()
    assert [file.name for file in tmp_path.iterdir()] == ["c.db"]
    assert await store.conversation("c") is not None, "using it again opens it again"
    await store.aclose()


async def test_a_file_of_a_newer_release_is_refused(tmp_path):
    """Unchanged; and says what to do."""
    path = tmp_path / "c.db"
    await (await opened(path)).aclose()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"version 99.*newer.*upgrade"):
        await opened(path)
    assert path.read_bytes() == before


async def test_a_file_of_another_program_is_refused(tmp_path):
    """Unchanged."""
    path = tmp_path / "c.db"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE theirs (a)")
    db.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="another program's"):
        await opened(path)
    assert path.read_bytes() == before


async def test_a_file_that_is_no_database_is_refused(tmp_path):
    """Garbage, and a damaged page in the middle."""
    path = tmp_path / "c.db"
    path.write_bytes(b"not a database at all, but long enough to be looked at" * 50)
    with pytest.raises(StoreError, match="restore a backup, or move it away"):
        await opened(path)
    path.unlink()
    store = await opened(path)
    await begin(store, "d", [turn(f"t-{n}", "x" * 500) for n in range(50)])
    await store.aclose()
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    path.write_bytes(data)
    with pytest.raises(StoreError, match="restore a backup, or move it away"):
        await store.turns("d")
    await store.aclose()


async def test_a_path_that_cannot_be_written_is_refused(tmp_path):
    """A folder that isn't there; a folder in the file's place."""
    for path in (tmp_path / "missing" / "c.db", tmp_path):
        with pytest.raises(StoreError, match="choose another path"):
            await opened(path)


async def test_a_file_that_is_held_for_too_long_is_said(tmp_path):
    """By another program's write; afterwards all works again."""
    store = SQLiteStore(tmp_path / "c.db", busy_timeout=0.01)
    await begin(store)
    other = sqlite3.connect(tmp_path / "c.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="busy_timeout"):
        await store.acquire("c", "l", 30)
    other.execute("ROLLBACK")
    other.close()
    assert await store.acquire("c", "l", 30) == []
    await store.aclose()


async def test_a_file_that_went_away_is_said(tmp_path):
    """Nothing is acknowledged that would be nowhere; the next call begins anew."""
    path = tmp_path / "c.db"
    store = await opened(path)
    await begin(store, "d")
    await store.acquire("d", "l", 30)
    path.rename(tmp_path / "away.db")
    with pytest.raises(StoreError, match="moved, deleted or replaced"):
        await store.write("d", "l", 0, turn("a"), release=True)
    assert await store.conversation("d") is None
    await begin(store, "d")
    assert await store.acquire("d", "l", 30) == []
    await store.aclose()


async def test_a_full_disk_is_said_and_leaves_what_there_was(tmp_path):
    """SQLite's own limit of pages stands in for the disk."""
    store = await opened(tmp_path / "c.db")
    await begin(store, "d")
    await store.acquire("d", "l", 30)
    pages = await store._run(lambda db: db.execute("PRAGMA page_count").fetchone()[0])
    await store._run(lambda db: db.execute(f"PRAGMA max_page_count = {pages}"))
    with pytest.raises(StoreError, match="disk is full: make room"):
        await store.write("d", "l", 0, turn("big", "x" * 100_000), release=True)
    await store._run(lambda db: db.execute("PRAGMA max_page_count = 1000000"))
    assert await store.turns("d") == []
    assert await store.write("d", "l", 0, turn("big", "x" * 100_000), release=True)
    await store.aclose()


async def test_an_older_file_is_brought_up_to_date(tmp_path, monkeypatch):
    """Step by step, each once, all or nothing."""
    path = tmp_path / "c.db"
    store = await opened(path)
    await begin(store, "d", [turn("a")])
    await store.aclose()
    known = len(sqlite_file.MIGRATIONS)
    steps = (*sqlite_file.MIGRATIONS, ("ALTER TABLE turn ADD COLUMN mood TEXT",), ("nonsense",))
    monkeypatch.setattr(sqlite_file, "MIGRATIONS", steps)
    with pytest.raises(StoreError, match="syntax error"):
        await opened(path)
    monkeypatch.setattr(sqlite_file, "MIGRATIONS", steps[: known + 1])
    for _ in range(2):
        store = await opened(path)
        assert await store._run(lambda db: db.execute("SELECT id, mood FROM turn").fetchall()) == [
            ("a", None)
        ]
        assert await store._run(lambda db: db.execute("PRAGMA user_version").fetchone()) == (
            known + 1,
        )
        await store.aclose()


async def opened(path):
    store = SQLiteStore(path)
    try:
        await store.conversation("x")
    except BaseException:
        await store.aclose()
        raise
    return store


def on_the_disk(folder, text):
    """The files that have these words in them."""
    return [file.name for file in folder.iterdir() if text.encode() in file.read_bytes()]


async def test_what_is_deleted_is_in_no_file(tmp_path):
    """Not in the database's free pages, nor in its log; whatever SQLite was built with."""
    store = await opened(tmp_path / "c.db")
    for id in ("kept", "gone"):
        await begin(store, id, [turn(f"t-{n}", f"{id} words {n} " * 900) for n in range(5)])
        await store.acquire(id, "l", 30)
        assert await store.write(id, "l", 4, turn("t-4", f"{id} again"), release=True)
    await store._run(lambda db: db.execute("PRAGMA wal_checkpoint").fetchall())
    assert on_the_disk(tmp_path, "gone words")
    await store.delete_conversation("gone")
    assert not on_the_disk(tmp_path, "gone")
    assert on_the_disk(tmp_path, "kept words")
    await store.aclose()
    assert not on_the_disk(tmp_path, "gone")


async def test_the_log_gives_its_room_back(tmp_path):
    """After a large write, with the next that follows its copying."""
    store = await opened(tmp_path / "c.db")
    await begin(store, "d", [turn(f"t-{n}", "x" * 100_000) for n in range(200)])
    log = tmp_path / "c.db-wal"
    assert log.stat().st_size > 20_000_000
    await store._run(lambda db: db.execute("PRAGMA wal_checkpoint").fetchall())
    await store.add_session(SessionRecord("s", OWNER, "0" * 64))
    assert log.stat().st_size <= 4 << 20
    await store.aclose()


@pytest.mark.parametrize("path", ["a\0b", "\ud800"])
async def test_a_path_that_no_file_can_have_is_refused(tmp_path, path):
    store = SQLiteStore(tmp_path / path)
    with pytest.raises(StoreError, match="choose another path"):
        await store.session("s")
    await store.aclose()


async def test_an_id_that_is_no_text_is_said(tmp_path):
    """Half a surrogate pair, from a client's JSON."""
    store = await opened(tmp_path / "c.db")
    with pytest.raises(StoreError, match="UTF-8"):
        await store.session("\ud800")
    await store.aclose()


@pytest.mark.parametrize("jump", [7200, -7200])
async def test_a_date_that_is_set_ends_no_turn_and_prolongs_none(tmp_path, monkeypatch, jump):
    """By NTP, or where a machine was resumed; and a clock that began anew holds nobody up."""
    store = await opened(tmp_path / "c.db")
    await begin(store)
    await store.acquire("c", "mine", 30)
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + jump)
    with pytest.raises(ConversationBusyError) as busy:
        await store.acquire("c", "other", 30)
    assert 0 < busy.value.retry_after <= 30
    assert await store.write("c", "mine", 0, turn("a"), release=False)
    await store.aclose()
    restarted = SQLiteStore(tmp_path / "c.db", now=lambda: 0.5)
    assert await restarted.acquire("c", "other", 30) == [turn("a")]
    await restarted.aclose()


async def test_a_short_lease_s_owner_does_not_take_a_long_one(tmp_path):
    """Each lease runs for its own length."""
    now = [0.0]
    store = SQLiteStore(tmp_path / "c.db", now=lambda: now[0])
    await begin(store)
    await store.acquire("c", "long", 600)
    now[0] = 599
    with pytest.raises(ConversationBusyError) as busy:
        await store.acquire("c", "short", 5)
    assert busy.value.retry_after == 1
    now[0] = 600
    assert await store.acquire("c", "short", 5) == []
    await store.aclose()


OPEN = """
import asyncio, sys
from llmstream.conversations import SQLiteStore
from llmstream.conversations.records import Owner, SessionRecord
async def main():
    store = SQLiteStore(sys.argv[1])
    sys.stdin.read(1)
    await store.add_session(SessionRecord(sys.argv[2], Owner("i", "u", "p"), "0" * 64))
    await store.aclose()
asyncio.run(main())
"""


def test_many_programs_make_the_file_at_the_same_moment(tmp_path):
    """One of them does; all of them work."""
    path = tmp_path / "c.db"
    programs = [
        subprocess.Popen(
            [sys.executable, "-c", OPEN, path, f"s-{n}"],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for n in range(6)
    ]
    for program in programs:
        program.stdin.write(b"x")
        program.stdin.flush()
    results = [program.communicate(timeout=60) for program in programs]
    assert [program.returncode for program in programs] == [0] * 6, results
    db = sqlite3.connect(path)
    assert db.execute("SELECT id FROM session ORDER BY id").fetchall() == [
        (f"s-{n}",) for n in range(6)
    ]
    db.close()


# --- Redis --------------------------------------------------------------------------------------------------


async def test_redis_forgets_after_its_ttl(redis: Redis):
    """Every key has it, renewed with each turn; what is gone is not listed."""
    store = RedisStore(redis, ttl=60, prefix="x:")
    await store.add_session(SessionRecord("s", OWNER, "0" * 64))
    await begin(store)
    await store.acquire("c", "l", 30)
    await store.write("c", "l", 0, turn("a"), release=False)
    keys = await redis.keys()
    assert len(keys) == 4
    assert all(key.startswith(b"x:") for key in keys)
    for key in keys:
        assert 0 < await redis.pttl(key) <= (120_000 if b"owner" in key else 60_000), key
        await redis.pexpire(key, 1000)
    await store.renew("c", "l", 30)
    assert await redis.pttl("x:conversation:c") > 1000
    await store.conversation("c")
    assert await redis.pttl(store._owner_key(OWNER)) > 1000
    await redis.delete("x:conversation:c")
    assert await store.conversations(OWNER) == []
    assert await redis.exists(store._owner_key(OWNER)) == 0
    with pytest.raises(ValueError, match="ttl"):
        RedisStore(redis, ttl=0)


async def test_redis_keeps_for_ever_without_a_ttl(redis: Redis):
    """No key runs out."""
    store = RedisStore(redis)
    await begin(store, turns=[turn("a")])
    assert {await redis.pttl(key) for key in await redis.keys()} == {-1}


async def test_a_redis_that_decodes_is_as_good(redis_port: int):
    """`decode_responses=True` gives strings."""
    async with Redis(port=redis_port, decode_responses=True) as redis:
        await redis.flushdb()
        store = RedisStore(redis)
        await begin(store)
        assert await store.acquire("c", "l", 30) == []
        assert await store.write("c", "l", 0, turn("a"), release=True)
        assert await store.turns("c") == [turn("a")]
        assert [record.id for record in await store.conversations(OWNER)] == ["c"]


@pytest.mark.parametrize(
    "wrong", [SECRET_URL, None, redis.Redis.from_url(SECRET_URL)], ids=["url", "None", "blocking"]
)
def test_what_is_no_asynchronous_client_of_redis_is_refused(wrong):
    """With what to do, and without the URL."""
    with pytest.raises(TypeError, match=r"redis\.asyncio\.from_url\(") as refused:
        RedisStore(wrong)
    assert "hunter2" not in str(refused.value)


async def test_a_url_is_no_path_of_a_file():
    model = LLMClient(provider=ScriptedProvider())
    with pytest.raises(
        ConfigurationError, match=r"not a URL; for Redis make .*redis\.asyncio\.from_url\("
    ) as refused:
        ConversationClient(model, store=SECRET_URL)
    assert "hunter2" not in str(refused.value)


async def test_a_redis_that_is_down_is_said():
    """As a StoreError, like any other store's failure."""
    async with Redis(port=1, retry=None) as redis:
        store = RedisStore(redis)
        with pytest.raises(StoreError, match="is the server up"):
            await store.turns("c")
        with pytest.raises(StoreError, match="is the server up"):
            await store.acquire("c", "l", 30)


@pytest.mark.filterwarnings(
    "ignore::ResourceWarning"
)  # what the first loop left, and nobody can close any more
def test_a_redis_client_of_another_loop_is_said(redis_port: int):
    """Its connections are of the loop that made them; each fails once."""
    store = RedisStore(Redis(port=redis_port))
    assert asyncio.run(store.turns("nobody")) == []
    with pytest.raises(StoreError, match="a client serves one event loop"):
        asyncio.run(store.turns("nobody"))
    del store
    gc.collect()


@asynccontextmanager
async def breaking(port: int) -> AsyncIterator[tuple[Redis, set[bytes]]]:
    """A Redis whose connection breaks after the server has done what holds one of these words, before its reply."""
    words: set[bytes] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_connection("127.0.0.1", port)
        while asked := await reader.read(1 << 16):
            to_server.write(asked)
            reply = await from_server.read(1 << 16)
            found = {word for word in words if word in asked and not reply.startswith(b"-NOSCRIPT")}
            if found:
                words.difference_update(found)
                break
            writer.write(reply)
        to_server.close()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1")
    async with server, Redis(port=server.sockets[0].getsockname()[1]) as redis:
        yield redis, words


async def test_what_redis_did_though_its_reply_was_lost_is_done_once(redis_port: int, redis: Redis):
    """redis-py sends it again: the lease is ours, the turn is stored, and nothing is there twice."""
    async with breaking(redis_port) as (broken, words):
        store = RedisStore(broken)
        words.add(b"first")
        await begin(store, turns=[turn("first", state="complete")])
        words.add(b"mine")
        assert await store.acquire("c", "mine", 30) == [turn("first", state="complete")]
        words.add(b"hello")
        assert await store.write("c", "mine", 1, turn("a", "hello"), release=False)
        words.add(b"bye")
        assert await store.write("c", "mine", 1, turn("a", "bye", "complete"), release=True)
        assert not words
        assert await store.turns("c") == [
            turn("first", state="complete"),
            turn("a", "bye", "complete"),
        ]
        assert not await store.write("c", "mine", 1, turn("a", "other"), release=True)


async def test_long_conversations_leave_the_loop_free(store):
    """Their turns are parsed elsewhere, and are the same; nor do they wait for what hangs in the loop's pool."""
    turns = [turn(f"t-{number}", state="complete") for number in range(300)]
    await begin(store, turns=turns)
    go_on = threading.Event()
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
    hung = asyncio.ensure_future(asyncio.to_thread(go_on.wait, 30))
    try:
        assert (
            await asyncio.wait_for(store.acquire("c", "l", 30), PATIENCE)
            == await store.turns("c")
            == turns
        )
    finally:
        go_on.set()
        await hung


async def spoil(store, junk):
    """Write it in the place of all records."""
    if isinstance(store, SQLiteStore):
        with contextlib.closing(sqlite3.connect(store._path)) as db, db:
            for table in ("session", "conversation", "turn"):
                db.execute(f"UPDATE {table} SET data = ?", (junk,))
    elif isinstance(store, RedisStore):
        await store._redis.set(store._session_key("s"), junk)
        await store._redis.hset(store._key("c"), mapping={"data": junk, "0": junk})
    else:
        store._sessions["s"].record = store._conversations["c"].record = junk
        store._conversations["c"].turns[:] = [junk]


JUNK = [
    "",
    "{bad",
    "[]",
    "null",
    '"id"',
    "{}",
    "[" * 10_000,
    '{"id": "a", "messages": [{"role": "x"}]}',
    b"\xff",
]


@pytest.mark.parametrize("junk", JUNK, ids=range(len(JUNK)))
async def test_a_record_that_cannot_be_read_is_said(store, junk):
    """Whichever it is, as a StoreError that says what to do."""
    await store.add_session(SessionRecord("s", OWNER, "0" * 64, AT))
    await begin(store, turns=[turn("a", state="complete")])
    await spoil(store, junk)
    for name, record, read in (
        ("SessionRecord", "s", store.session),
        ("ConversationRecord", "c", store.conversation),
        ("ConversationRecord", OWNER, store.conversations),
        ("Turn", "c", store.turns),
    ):
        with pytest.raises(
            StoreError, match=rf"a stored {name} can't be read \(.*restore a backup; .* upgrade"
        ):
            await read(record)
    with pytest.raises(StoreError, match="a stored Turn"):
        await store.acquire("c", "l", 30)


def test_stores_are_loaded_when_asked_for():
    """Conversations in memory need neither sqlite3 nor redis, and `import llmstream` none of it."""
    script = "import sys, llmstream; assert 'pydantic' not in sys.modules; import llmstream.conversations as c; "
    script += "assert not {'sqlite3', 'redis'} & set(sys.modules); c.SQLiteStore; c.RedisStore; "
    script += "assert 'sqlite3' in sys.modules and 'redis' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True)
