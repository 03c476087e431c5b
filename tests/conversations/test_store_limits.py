"""Limits of count, size and age: what goes, what is refused, and what is left; the same in every store."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis

from llmstream.conversations import (
    ConversationLimitError,
    MemoryStore,
    RedisStore,
    SQLiteStore,
    StoreFullError,
    StoreLimits,
    Turn,
)
from llmstream.conversations.records import ConversationRecord, Owner, SessionRecord
from llmstream.conversations.stores import sqlite_file
from llmstream.conversations.stores.protocol import render
from llmstream.messages import Message, TextPart
from tests.conversations.talk import ALICE, BOB, begin, enter, scripted
from tests.example_counts import examples
from tests.patience import PATIENCE

ANN, BEN = Owner("i", "ann", "p"), Owner("i", "bén", "p")
Make = Callable[..., Any]


@pytest.fixture(params=["memory", "sqlite", pytest.param("redis", marks=pytest.mark.services)])
async def make(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Make]:
    """Makes a store with these limits. All that one test makes are of the same place."""
    kind, opened, clients = request.param, [], []
    if kind == "redis":
        client = Redis(port=request.getfixturevalue("redis_port"))
        clients.append(client)
        await client.flushdb()

    def made(*, ttl: float | None = None, **limits: int) -> Any:
        bounds = StoreLimits(**limits)
        if kind == "memory":
            return MemoryStore(ttl=ttl, limits=bounds)
        if kind == "redis":
            return RedisStore(clients[0], ttl=ttl, limits=bounds)
        opened.append(SQLiteStore(tmp_path / "c.db", ttl=ttl, limits=bounds))
        return opened[-1]

    yield made
    for store in opened:
        await store.aclose()
    for client in clients:
        await client.aclose()


def question(id: str, text: str = "hi") -> Turn:
    return Turn(id, [Message("user", [TextPart(text)])], created=1.5)


def answered(id: str, text: str = "hi", answer: str = "yes") -> Turn:
    messages = [Message("user", [TextPart(text)]), Message("assistant", [TextPart(answer)])]
    return Turn(id, messages, "complete", created=1.5)


async def talk(store: Any, id: str, owner: Owner = ANN, *turns: Turn) -> None:
    """A conversation, used later than all before it."""
    await asyncio.sleep(0.002)  # Redis counts milliseconds
    await store.add_conversation(ConversationRecord(id, owner, created=time.time()), turns)


async def ask(store: Any, id: str, turn: Turn, position: int = 0, answer: str = "yes") -> None:
    """Write a question, and its answer."""
    await asyncio.sleep(0.002)
    await store.acquire(id, "l", 30)
    try:
        assert await store.write(id, "l", position, turn, release=False)
    except BaseException:
        await store.release(id, "l")
        raise
    done = answered(turn.id, turn.question.text, answer)
    assert await store.write(id, "l", position, done, release=True)


async def ids(store: Any, owner: Owner = ANN) -> list[str]:
    return [record.id for record in await store.conversations(owner)]


# --- one owner ----------------------------------------------------------------------------------------------


async def test_of_an_owner_s_conversations_the_unused_go_first_then_the_oldest(make: Make) -> None:
    """Nobody else's go, however old."""
    store = make(conversations=3)
    await talk(store, "other", BEN)
    await talk(store, "a", ANN, answered("1"))
    await talk(store, "b", ANN, answered("1"))
    await talk(store, "empty")
    await talk(store, "c", ANN, answered("1"))
    assert await ids(store) == ["a", "b", "c"]
    await ask(store, "a", question("2"), position=1)
    await talk(store, "d")
    assert await ids(store) == ["a", "c", "d"]
    assert await store.turns("b") == []
    assert await ids(store, BEN) == ["other"]


async def test_of_an_owner_s_bytes_the_oldest_conversations_go_for_a_new_question(
    make: Make,
) -> None:
    store = make(owner_bytes=5_000)
    await talk(store, "a", ANN, answered("1", "x" * 2_000))
    await talk(store, "b", ANN, answered("1", "x" * 2_000))
    await talk(store, "c")
    await ask(store, "c", question("1", "y" * 1_500))
    assert await ids(store) == ["b", "c"]
    assert len(await store.turns("c")) == 1


async def test_a_conversation_that_alone_is_too_large_is_refused_its_next_question(
    make: Make,
) -> None:
    """Its answer is stored, however large: it was paid for. Nothing else goes for it."""
    store = make(owner_bytes=5_000)
    await talk(store, "other", ANN, answered("1"))
    await talk(store, "a")
    await ask(store, "a", question("1"), answer="z" * 9_000)
    assert (await store.turns("a"))[0].state == "complete"
    with pytest.raises(ConversationLimitError, match="of 5000 that its owner has: begin another"):
        await ask(store, "a", question("2"), position=1)
    assert len(await store.turns("a")) == 1
    assert await ids(store) == ["other", "a"]
    await ask(store, "other", question("2"), position=1)
    assert await ids(store) == ["other"]


async def test_questions_that_are_too_many_or_too_large_are_refused(make: Make) -> None:
    """The conversation can still be read, and asked for less."""
    store = make(turns=2, turn_bytes=1_000)
    await talk(store, "a")
    with pytest.raises(ConversationLimitError, match="of 1000 that it may: send less"):
        await ask(store, "a", question("1", "x" * 1_000))
    await ask(store, "a", question("1"), answer="z" * 2_000)
    await ask(store, "a", question("2"), position=1)
    with pytest.raises(ConversationLimitError, match="has 2 turns, and may have no more"):
        await ask(store, "a", question("3"), position=2)
    assert len(await store.turns("a")) == 2
    with pytest.raises(ConversationLimitError, match="has 2 turns"):
        await talk(store, "b", ANN, *map(answered, "123"))
    assert await ids(store) == ["a"]


async def test_of_an_owner_s_sessions_the_oldest_goes(make: Make) -> None:
    store = make(sessions=2)
    for number in range(4):
        await asyncio.sleep(0.002)
        await store.add_session(SessionRecord(f"s{number}", ANN, "0" * 64))
    await store.add_session(SessionRecord("other", BEN, "0" * 64))
    found = [await store.session(f"s{number}") is not None for number in range(4)]
    assert found == [False, False, True, True]
    assert await store.session("other") is not None


# --- the whole store ----------------------------------------------------------------------------------------


async def test_a_store_that_is_full_refuses_what_is_new_and_loses_nothing(make: Make) -> None:
    """An owner's own surplus makes room, and so does what is deleted."""
    store = make(conversations=2, all_conversations=3)
    for id in "ab":
        await talk(store, id)
    await talk(store, "c", BEN)
    await talk(store, "d")
    assert await ids(store) == ["b", "d"]
    with pytest.raises(StoreFullError, match="raise all_conversations, or delete some"):
        await talk(store, "e", BEN)
    assert (await ids(store), await ids(store, BEN)) == (["b", "d"], ["c"])
    await store.delete_conversation("b")
    await talk(store, "e", BEN)
    assert await ids(store, BEN) == ["c", "e"]


async def test_a_store_whose_bytes_are_full_refuses_questions_and_stores_answers(
    make: Make,
) -> None:
    store = make(all_bytes=4_000)
    await talk(store, "a")
    await talk(store, "b", BEN)
    await ask(store, "a", question("1"), answer="z" * 3_900)
    with pytest.raises(StoreFullError, match="raise all_bytes"):
        await ask(store, "b", question("1"))
    assert (await store.turns("a"))[0].state == "complete"
    await store.delete_conversation("a")
    await ask(store, "b", question("1"))


async def test_a_store_that_is_full_of_sessions_refuses_more(make: Make) -> None:
    store = make(sessions=1, all_sessions=2)
    for number in range(5):
        await store.add_session(SessionRecord(f"s{number}", ANN, "0" * 64))
    await store.add_session(SessionRecord("other", BEN, "0" * 64))
    with pytest.raises(StoreFullError, match="raise all_sessions"):
        await store.add_session(SessionRecord("third", Owner("i", "c", "p"), "0" * 64))
    await store.delete_owner(BEN)
    await store.add_session(SessionRecord("third", Owner("i", "c", "p"), "0" * 64))


# --- age ----------------------------------------------------------------------------------------------------


async def gone(look: Callable[[], Any]) -> None:
    """Wait until there is nothing."""
    async with asyncio.timeout(PATIENCE):
        while await look():
            await asyncio.sleep(0.005)


async def test_what_is_older_than_its_ttl_is_forgotten_and_gives_its_room_back(make: Make) -> None:
    store = make(ttl=0.05, all_conversations=1, all_bytes=10_000, all_sessions=1)
    await store.add_session(SessionRecord("s", ANN, "0" * 64))
    await talk(store, "a", ANN, answered("1", "x" * 9_000))
    await gone(lambda: store.session("s"))
    await gone(lambda: store.conversation("a"))
    assert (await ids(store), await store.turns("a")) == ([], [])
    await store.add_session(SessionRecord("t", BEN, "0" * 64))
    await talk(store, "b", BEN, answered("1", "x" * 9_000))


async def test_a_turn_makes_a_conversation_young_again(tmp_path: Path) -> None:
    """And nothing makes a session so. In Redis the server counts, whose keys test_stores.py looks at."""
    now = [1000.0]
    for store in (
        MemoryStore(ttl=10, now=lambda: now[0]),
        SQLiteStore(tmp_path / "c.db", ttl=10, today=lambda: now[0]),
    ):
        await store.add_session(SessionRecord("s", ANN, "0" * 64))
        for id in ("used", "unused", "leased"):
            await store.add_conversation(ConversationRecord(id, ANN))
        await store.acquire("leased", "l", 30)
        for passed in (6.0, 3.5):
            now[0] += passed
            await ask(store, "used", question(str(passed)), position=int(passed < 6))
            assert await store.renew("leased", "l", 30)
        assert await store.session("s") is not None
        now[0] += 0.5
        assert await store.session("s") is None
        assert await ids(store) == ["used", "leased"]
        store.ttl = None
        now[0] += 10_000
        assert await ids(store) == ["used", "leased"]
        await store.aclose()


async def test_what_is_forgotten_is_in_no_file(tmp_path: Path) -> None:
    """By age, and for room."""
    now = [1000.0]
    limits = StoreLimits(conversations=1)
    path = tmp_path / "c.db"
    store = SQLiteStore(path, ttl=10, limits=limits, today=lambda: now[0])
    await talk(store, "a", ANN, answered("1", "first words " * 500))
    assert b"first words" in on_the_disk(tmp_path)
    await talk(store, "b", ANN, answered("1", "second words " * 500))
    assert b"first words" not in on_the_disk(tmp_path)
    now[0] += 11
    assert await store.conversation("x") is None
    assert b"second words" not in on_the_disk(tmp_path)
    await store.aclose()


def on_the_disk(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir())


# --- one owner's wish ---------------------------------------------------------------------------------------


async def test_of_an_owner_who_is_deleted_nothing_is_left(make: Make, tmp_path: Path) -> None:
    """Sessions, conversations, words: neither in a file nor in its log, nor in a key. Others lose nothing."""
    store = make()
    for owner, name in ((ANN, "ann"), (BEN, "ben")):
        await store.add_session(SessionRecord(f"s-{name}", owner, "0" * 64))
        for id in ("1", "2"):
            turns = [answered("t", f"{name} said so " * 300)]
            record = ConversationRecord(f"{name}-{id}", owner, title=f"{name} has titles")
            await store.add_conversation(record, turns)
    assert await store.delete_owner(ANN) == 2
    assert await store.session("s-ann") is None
    assert (await ids(store), await store.turns("ann-1")) == ([], [])
    assert await store.delete_owner(ANN) == 0
    kept = await everything(store, tmp_path)
    assert b"ann" not in kept
    assert b"ben said so" in kept or isinstance(store, MemoryStore)
    assert await ids(store, BEN) == ["ben-1", "ben-2"]
    assert await store.session("s-ben") is not None


async def everything(store: Any, folder: Path) -> bytes:
    """All bytes that a store has."""
    if isinstance(store, MemoryStore):
        return repr([*vars(store).values()]).encode()
    if isinstance(store, SQLiteStore):
        return on_the_disk(folder)
    client, found = store._redis, []
    for key in await client.keys():
        found += [key, await client.dump(key)]
    return b"".join(found)


async def test_a_turn_that_is_being_answered_when_its_owner_is_deleted_is_not_stored(
    make: Make,
) -> None:
    store = make(all_bytes=10**6)
    await talk(store, "a")
    await store.acquire("a", "l", 30)
    assert await store.write("a", "l", 0, question("1"), release=False)
    await store.delete_owner(ANN)
    assert not await store.write("a", "l", 0, answered("1"), release=True)
    assert await store.turns("a") == []


async def test_a_user_s_wish_through_the_client() -> None:
    _, client = scripted(["yes"], store=MemoryStore())
    conversation = await begin(client)
    context = await enter(client)
    other = await begin(client, BOB)
    assert await client.delete_owner(ALICE) == 1
    with pytest.raises(Exception, match="no such session"):
        await client.conversations(context)
    with pytest.raises(Exception, match="no such session"):
        await conversation.turns()
    assert await other.turns() == []


async def test_a_question_that_is_refused_asks_nobody() -> None:
    provider, client = scripted(
        ["yes"], store=MemoryStore(limits=StoreLimits(turn_bytes=500, conversations=1))
    )
    conversation = await begin(client)
    with pytest.raises(ConversationLimitError):
        await conversation.chat("x" * 500)
    assert provider.requests == []
    assert (await conversation.chat("hi")).message_content == "yes"


# --- any course ---------------------------------------------------------------------------------------------

steps = st.lists(
    st.tuples(
        st.sampled_from(["begin", "ask", "delete", "forget"]),
        st.sampled_from([ANN, BEN]),
        st.integers(0, 5),
        st.integers(1, 800),
    ),
    max_size=25,
)


@pytest.fixture
async def places(redis_port: int) -> AsyncIterator[Callable[..., list[RedisStore]]]:
    """Makes a store for each of several machines, which share a Redis and these limits."""
    clients: list[Redis] = []

    def made(number: int = 8, *, ttl: float | None = None, **limits: int) -> list[RedisStore]:
        clients.extend(Redis(port=redis_port) for _ in range(number))
        return [RedisStore(each, ttl=ttl, limits=StoreLimits(**limits)) for each in clients]

    async with Redis(port=redis_port) as client:
        await client.flushdb()
        yield made
    for each in clients:
        await each.aclose()


async def counted(attempts: list[Any]) -> tuple[int, int]:
    """How many succeeded, and how many found the store full."""
    ended = await asyncio.gather(*attempts, return_exceptions=True)
    refused = [each for each in ended if isinstance(each, StoreFullError)]
    odd = [each for each in ended if each is not None and each is not True and each not in refused]
    assert odd == []
    return len(ended) - len(refused), len(refused)


@pytest.mark.services
@pytest.mark.parametrize("ttl", [None, 3_600])
async def test_of_many_who_add_at_the_same_moment_no_more_get_in_than_may(places, ttl) -> None:
    stores = places(ttl=ttl, all_conversations=5, all_sessions=7)
    owners = [Owner("i", f"o-{n}", "p") for n in range(48)]
    pairs = [(stores[n % 8], owner) for n, owner in enumerate(owners)]
    added = [
        store.add_conversation(ConversationRecord(owner.user_id, owner, created=1.0))
        for store, owner in pairs
    ]
    assert await counted(added) == (5, 43)
    begun = [
        store.add_session(SessionRecord(owner.user_id, owner, token_hash="h", created=1.0))
        for store, owner in pairs
    ]
    assert await counted(begun) == (7, 41)
    kept = [id for owner in owners for id in await ids(stores[0], owner)]
    assert len(kept) == 5
    await stores[0].delete_conversation(kept[0])
    late = ConversationRecord("late", ANN, created=1.0)
    again = [store.add_conversation(late) for store in stores]
    assert await counted(again) == (8, 0)  # it is one and the same


@pytest.mark.services
async def test_bytes_of_many_questions_at_the_same_moment_are_all_counted(places) -> None:
    stores = places(all_bytes=12_000)
    for n in range(8):
        await talk(stores[n], f"c-{n}", Owner("i", f"o-{n}", "p"))
        await stores[n].acquire(f"c-{n}", "l", 30)
    asked = [
        store.write(f"c-{n}", "l", 0, question("q", "x" * 3_000), release=False)
        for n, store in enumerate(stores)
    ]
    written, refused = await counted(asked)
    assert (written, refused) == (3, 5)
    total = int(await stores[0]._redis.get("llmstream:{all}:size"))
    sizes = await stores[0]._redis.hgetall("llmstream:{all}:sizes")
    assert total == sum(map(int, sizes.values())) <= 12_000
    hashes = [
        await stores[0]._redis.hget(f"llmstream:conversation:c-{n}", "size") for n in range(8)
    ]
    assert sorted(map(int, sizes.values())) == sorted(map(int, hashes))


@pytest.mark.services
@pytest.mark.parametrize("limits", [{}, {"all_conversations": 6}])
async def test_of_one_owner_s_who_are_added_at_the_same_moment_the_last_stay(
    places, limits
) -> None:
    stores = places(conversations=4, sessions=3, **limits)
    added = [
        store.add_conversation(ConversationRecord(f"c-{n}", ANN, created=1.0))
        for n, store in enumerate(stores)
    ]
    added_now, refused = await counted(added)  # what isn't written yet can't make room for others
    assert added_now >= (4 if limits else 8), refused
    assert len(await ids(stores[0])) == 4
    begun = [
        store.add_session(SessionRecord(f"s-{n}", ANN, token_hash="h", created=1.0))
        for n, store in enumerate(stores)
    ]
    await asyncio.gather(*begun)
    found = [await stores[0].session(f"s-{n}") for n in range(8)]
    assert len([each for each in found if each is not None]) == 3


@pytest.mark.services
async def test_a_question_that_isn_t_stored_isn_t_counted(places) -> None:
    (store,) = places(1, all_bytes=10_000)
    await talk(store, "a")
    before = await store._redis.get("llmstream:{all}:size")
    assert not await store.write("a", "not-held", 1, question("q", "x" * 500), release=False)
    assert await store._redis.get("llmstream:{all}:size") == before


@examples(40)
@given(
    steps,
    st.none() | st.integers(1, 3),
    st.none() | st.integers(200, 2_000),
    st.none() | st.integers(1, 4),
    st.none() | st.integers(300, 3_000),
)
def test_whatever_happens_both_keep_the_same_within_their_limits(
    course, conversations, owner_bytes, all_conversations, all_bytes
) -> None:
    """In memory and in a file, after every step; beyond the limits only by answers."""
    limits = StoreLimits(
        conversations=conversations,
        owner_bytes=owner_bytes,
        all_conversations=all_conversations,
        all_bytes=all_bytes,
    )
    now = [0.0]

    async def take(store: Any, step: Any, number: int) -> Any:
        kind, owner, which, size = step
        try:
            if kind == "begin":
                await store.add_conversation(ConversationRecord(f"c{number}", owner, created=1.0))
            elif kind == "ask":
                listed = await ids(store, owner)
                if listed:
                    id = listed[which % len(listed)]
                    place = len(await store.turns(id))
                    await store.acquire(id, "l", 30)
                    try:
                        turn = question(f"t{number}", "x" * size)
                        await store.write(id, "l", place, turn, release=False)
                    finally:
                        await store.release(id, "l")
            elif kind == "delete":
                listed = await ids(store, owner)
                if listed:
                    await store.delete_conversation(listed[which % len(listed)])
            else:
                return await store.delete_owner(owner)
        except (ConversationLimitError, StoreFullError) as refused:
            return type(refused), str(refused)
        return None

    async def run(path: Path) -> None:
        memory = MemoryStore(limits=limits, now=lambda: now[0])
        sqlite = SQLiteStore(path, limits=limits, today=lambda: now[0])
        for number, step in enumerate(course):
            now[0] += 1
            assert await take(memory, step, number) == await take(sqlite, step, number)
            kept = {owner: await ids(memory, owner) for owner in (ANN, BEN)}
            assert kept == {owner: await ids(sqlite, owner) for owner in (ANN, BEN)}
            sizes = {owner: await size(memory, owner) for owner in kept}
            assert memory._size == sum(sizes.values()) == await size_in(sqlite)
            assert max(map(len, kept.values())) <= (conversations or 99)
            assert sum(map(len, kept.values())) <= (all_conversations or 99)
            assert max(sizes.values()) <= (owner_bytes or 10**9)
            assert sum(sizes.values()) <= (all_bytes or 10**9)
        await sqlite.aclose()

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(Path(folder) / "c.db"))


async def size(store: Any, owner: Owner) -> int:
    records = await store.conversations(owner)
    turns = [turn for record in records for turn in await store.turns(record.id)]
    return sum(len(render(each)) for each in (*records, *turns))


async def size_in(store: SQLiteStore) -> int:
    ask = "SELECT coalesce(sum(size), 0) FROM conversation"
    return (await store._run(lambda db: db.execute(ask).fetchone()))[0]


# --- what was there before ----------------------------------------------------------------------------------


async def test_an_older_file_is_counted_and_aged_as_a_new_one(tmp_path: Path) -> None:
    path = tmp_path / "c.db"
    db = sqlite3.connect(path)
    for statement in sqlite_file.MIGRATIONS[0]:
        db.execute(statement)
    session = SessionRecord("s", BEN, "0" * 64, created=5.0)
    record = ConversationRecord("c", BEN, created=5.0)
    turn = Turn("t", [Message("user", [TextPart("hé")])], "complete", created=9.0)
    db.execute("INSERT INTO session VALUES ('s', ?)", (render(session),))
    row = ("c", BEN.key, 5.0, render(record))
    db.execute("INSERT INTO conversation (id, owner, created, data) VALUES (?, ?, ?, ?)", row)
    db.execute("INSERT INTO turn VALUES ('c', 0, 't', ?)", (render(turn),))
    db.execute(f"PRAGMA application_id = {sqlite_file.APPLICATION_ID}")
    db.execute("PRAGMA user_version = 1")
    db.commit()
    db.close()
    now = [15.0]
    store = SQLiteStore(path, ttl=11, today=lambda: now[0])
    assert (await store.session("s"), await store.conversation("c")) == (session, record)
    assert await size_in(store) == len(render(record)) + len(render(turn))
    now[0] = 17.0
    assert (await store.session("s"), await store.conversation("c")) == (None, record)
    assert await store.delete_owner(BEN) == 1
    await store.aclose()


@pytest.mark.parametrize("wrong", [0, -1, 1.5, True, "5"])
def test_what_is_no_limit_is_refused(wrong: Any) -> None:
    for name in StoreLimits.__slots__:
        with pytest.raises(ValueError, match=f"{name} must be a whole number from 1 on, or None"):
            StoreLimits(**{name: wrong})


@pytest.mark.parametrize("wrong", [0, -1, float("inf"), float("nan")])
def test_what_is_no_ttl_is_refused(wrong: float, tmp_path: Path) -> None:
    for make in (MemoryStore, lambda ttl: SQLiteStore(tmp_path / "c.db", ttl=ttl)):
        with pytest.raises(ValueError, match="ttl must be seconds, or None for no end"):
            make(ttl=wrong)
