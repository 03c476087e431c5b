"""What Redis does to those who keep things in it: it evicts, fails over, changes its clock, refuses."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import asynccontextmanager

import pytest
from redis import exceptions
from redis.asyncio import Redis

from llmstream import LLMClient
from llmstream.conversations import (
    AccessError,
    ConversationBusyError,
    ConversationClient,
    RedisStore,
    StoreError,
    TurnError,
)
from llmstream.conversations.records import ConversationRecord, Owner, SessionRecord, Turn
from llmstream.conversations.stores.redis_errors import explain
from llmstream.messages import Message, TextPart
from llmstream.testing import ScriptedProvider
from tests.conversations.conftest import find_port, run_redis
from tests.conversations.talk import enter
from tests.conversations.test_turns import Slow, read

pytestmark = pytest.mark.services
OWNER = Owner("i", "u", "p")


def turn(id, text="hi", state="complete"):
    return Turn(id, [Message("user", [TextPart(text)])], state)


async def begin(store, id="c", turns=()):
    await store.add_conversation(ConversationRecord(id, OWNER), turns)


# --- eviction -----------------------------------------------------------------------------------------------


async def found(store, id):
    """How many turns a question would be asked with; None where the conversation is gone."""
    try:
        return len(await store.acquire(id, "l", 30))
    except AccessError:
        return None


async def test_a_full_server_forgets_a_conversation_whole_or_not_at_all(redis, caplog):
    """No question is answered without the turns before it, and the log says why some are gone."""
    store = RedisStore(redis)
    used = (await redis.info("memory"))["used_memory"]
    await redis.config_set("maxmemory-policy", "allkeys-random")
    await redis.config_set("maxmemory", used + (2 << 20))
    try:
        for number in range(300):
            await begin(store, f"c{number}", [turn(f"t{n}", "x" * 5000) for n in range(3)])
        assert (await redis.info("stats"))["evicted_keys"] > 0
        counts = [await found(store, f"c{number}") for number in range(300)]
        assert set(counts) == {3, None}
        with caplog.at_level(logging.WARNING):
            await begin(store, "last")
            await store.conversations(OWNER)
    finally:
        await redis.config_set("maxmemory", 0)
        await redis.config_set("maxmemory-policy", "noeviction")


async def test_the_log_says_that_a_conversation_is_gone(redis, caplog):
    """It was listed, and nobody deleted it."""
    store = RedisStore(redis)
    await begin(store)
    await redis.delete("llmstream:conversation:c")
    with caplog.at_level(logging.WARNING, "llmstream.conversations"):
        assert await store.conversations(OWNER) == []
    assert "maxmemory-policy to noeviction" in caplog.text


@pytest.mark.parametrize("gone", ["0", "1", "count"])
async def test_turns_that_are_missing_are_an_error_that_names_the_policy(redis, gone):
    """Whatever took them: nobody is answered without a memory."""
    store = RedisStore(redis)
    await begin(store, turns=[turn("a"), turn("b")])
    await redis.hdel("llmstream:conversation:c", gone)
    for reads in (store.turns("c"), store.acquire("c", "l", 30)):
        with pytest.raises(StoreError, match="noeviction"):
            await reads


async def test_a_turn_behind_a_gap_is_not_stored(redis):
    """Its writer knows of turns that the server has lost."""
    store = RedisStore(redis)
    await begin(store)
    await store.acquire("c", "l", 30)
    with pytest.raises(StoreError, match="noeviction"):
        await store.write("c", "l", 2, turn("a"), release=True)
    assert await store.turns("c") == []


async def test_a_list_that_is_gone_fills_again(redis):
    """With each conversation that is used."""
    store = RedisStore(redis)
    await begin(store, "a")
    await begin(store, "b")
    await redis.delete(store._owner_key(OWNER))
    await store.conversation("b")
    assert [record.id for record in await store.conversations(OWNER)] == ["b"]


# --- clocks -------------------------------------------------------------------------------------------------

JUMP = 7_200_000
"""Two hours in milliseconds: how far the server's clock jumps from its own marks."""


async def refused(store, lease="other"):
    """The seconds after which one may ask again."""
    with pytest.raises(ConversationBusyError) as busy:
        await store.acquire("c", lease, 30)
    return busy.value.retry_after


@pytest.mark.parametrize("jump", [JUMP, -JUMP])
async def test_a_clock_that_is_set_ends_no_lease_and_prolongs_none(redis, jump):
    """The mark of a question is as far away then as the clock was set."""
    store = RedisStore(redis)
    await begin(store)
    await store.acquire("c", "mine", 30)
    assert 29 < await refused(store) <= 30
    for _ in range(3):
        await redis.hincrby("llmstream:conversation:c", "seen", jump)
        assert 25 < await refused(store) <= 30
    assert await store.renew("c", "mine", 30)
    assert 29 < await refused(store) <= 30
    assert await store.write("c", "mine", 0, turn("a"), release=True)
    assert [each.id for each in await store.turns("c")] == ["a"]


async def test_a_dead_program_s_lease_is_free_after_its_length(redis):
    """From the first question on, whichever process asks then."""
    first, second = RedisStore(redis), RedisStore(redis)
    await begin(first)
    await first.acquire("c", "dead", 0.2)
    begun = time.monotonic()
    rest = await refused(first)
    assert 0 < rest <= 0.2
    await asyncio.sleep(rest)
    assert await second.acquire("c", "next", 30) == []
    assert time.monotonic() - begun >= 0.2


async def test_one_that_is_renewed_never_is(redis):
    """However often it is asked for."""
    store = RedisStore(redis)
    await begin(store)
    await store.acquire("c", "alive", 0.3)
    until = time.monotonic() + 1
    while time.monotonic() < until:
        await refused(store)
        await asyncio.sleep(0.05)
        assert await store.renew("c", "alive", 0.3)


# --- failover -----------------------------------------------------------------------------------------------


@asynccontextmanager
async def two_servers():
    """A primary, its replica, a client that talks to them through one address, and what fails over."""
    with run_redis() as first, run_redis("--replicaof", "127.0.0.1", str(first)) as second:
        target = [first]
        open_pipes = set()

        async def pipe(reader, writer):
            while data := await reader.read(1 << 16):
                writer.write(data)
            writer.close()

        async def serve(reader, writer):
            open_pipes.add(writer)
            from_server, to_server = await asyncio.open_connection("127.0.0.1", target[0])
            open_pipes.add(to_server)
            await asyncio.gather(pipe(reader, to_server), pipe(from_server, writer))

        async with (
            await asyncio.start_server(serve, "127.0.0.1") as proxy,
            Redis(port=first) as primary,
            Redis(port=second) as replica,
            Redis(port=proxy.sockets[0].getsockname()[1]) as redis,
        ):
            while (await replica.info("replication"))["master_link_status"] != "up":
                await asyncio.sleep(0.05)

            async def cut():
                """From now on the replica hears of nothing: what is written is lost in the failover."""
                await primary.wait(1, 5000)
                await replica.replicaof("NO", "ONE")

            async def fail_over():
                target[0] = second
                for writer in list(open_pipes):
                    writer.close()

            yield redis, cut, fail_over


async def talk(redis, *answers):
    provider = ScriptedProvider(*answers)
    client = ConversationClient(LLMClient(provider=provider), store=RedisStore(redis))
    context = await enter(client)
    return provider, await client.start_conversation(context)


async def test_after_a_failover_nobody_waits_for_a_lease_of_this_program():
    """The server acknowledged that it was let go, and its successor never heard of it."""
    async with two_servers() as (redis, cut, fail_over):
        _, conversation = await talk(redis, ["one"], ["two"], ["three"])
        await conversation.chat("1?")
        stream = conversation.chat_stream("2?")
        await anext(stream)
        await cut()
        await read(stream)
        await fail_over()
        await conversation.chat("3?")
        assert [each.state for each in await conversation.turns()] == [
            "complete",
            "partial",
            "complete",
        ]


async def test_after_a_failover_an_answer_is_stored_whose_lease_is_lost():
    """Its successor has no lease and no question; both come with the answer."""
    async with two_servers() as (redis, cut, fail_over):
        slow = Slow()
        client = ConversationClient(LLMClient(provider=slow), store=RedisStore(redis))
        context = await enter(client)
        conversation = await client.start_conversation(context)
        await cut()
        answering = asyncio.ensure_future(conversation.chat("1?"))
        await slow.asked.wait()
        await fail_over()
        slow.go_on.set()
        await answering
        (only,) = await conversation.turns()
        assert (only.state, only.question.text) == ("complete", "1?")


async def test_a_lease_that_is_lost_and_taken_keeps_the_late_answer_out(redis):
    """Somebody else answers by now."""
    store = RedisStore(redis)
    slow = Slow()
    client = ConversationClient(LLMClient(provider=slow), store=store)
    conversation = await client.start_conversation(await enter(client))
    answering = asyncio.ensure_future(conversation.chat("1?"))
    await slow.asked.wait()
    await redis.hdel(store._key(conversation.conversation_id), "lease", "seen")
    await store.acquire(conversation.conversation_id, "other", 30)
    slow.go_on.set()
    with pytest.raises(TurnError) as late:
        await answering
    assert late.value.unsaved.state == "complete"


# --- advice -------------------------------------------------------------------------------------------------


async def told(store):
    """What a write's failure says."""
    with pytest.raises(StoreError) as failed:
        await store.add_session(SessionRecord("s", OWNER, "hash"))
    return str(failed.value)


async def test_another_program_s_keys_are_said(redis):
    await redis.set("llmstream:conversation:c", "theirs")
    store = RedisStore(redis)
    for asks in (store.turns("c"), store.conversation("c"), store.acquire("c", "l", 30)):
        with pytest.raises(StoreError, match=r"WRONGTYPE.*another prefix="):
            await asks


async def test_a_full_server_is_said(redis):
    await redis.config_set("maxmemory", 1)
    try:
        assert "memory is full: raise maxmemory" in await told(RedisStore(redis))
    finally:
        await redis.config_set("maxmemory", 0)


async def test_a_replica_is_said(redis_port):
    with run_redis("--replicaof", "127.0.0.1", str(redis_port)) as port:
        async with Redis(port=port) as replica:
            while (await replica.info("replication"))["master_link_status"] != "up":
                await asyncio.sleep(0.05)
            assert "connect to the primary" in await told(RedisStore(replica))


async def test_a_node_of_a_cluster_is_said():
    bus = str(find_port())
    with run_redis("--cluster-enabled", "yes", "--cluster-port", bus) as port:
        async with Redis(port=port) as node:
            assert "CLUSTER INFO" in await told(RedisStore(node))
            await node.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 1)
            assert "CLUSTER INFO" in await told(RedisStore(node))


async def test_passwords_and_permissions_are_said(redis, redis_port):
    await redis.acl_setuser("little", enabled=True, passwords=["+p"], commands=["+get"], keys=["*"])
    async with Redis(port=redis_port, username="little", password="p") as little:
        assert "EVALSHA" in await told(RedisStore(little))
    async with Redis(port=redis_port, username="little", password="wrong") as wrong:
        assert "password" in await told(RedisStore(wrong))
    with run_redis("--requirepass", "p") as port:
        async with Redis(port=port) as nobody:
            assert "password" in await told(RedisStore(nobody))


async def test_too_many_connections_are_said(redis_port):
    async with Redis(port=redis_port, max_connections=1) as redis:
        store = RedisStore(redis)
        async with redis.pubsub() as other:
            await other.subscribe("x")
            assert "share one client" in await told(store)


async def test_a_server_that_is_gone_is_said():
    with run_redis() as port:
        pass
    async with Redis(port=port, retry=None) as redis:
        assert "can it be reached" in await told(RedisStore(redis))


async def test_an_id_that_is_no_text_is_said(redis):
    """Half a surrogate pair, from a client's JSON."""
    with pytest.raises(StoreError, match="surrogates"):
        await RedisStore(redis).session("\ud800")


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (exceptions.MovedError("866 127.0.0.1:7001"), "RedisCluster"),
        (exceptions.ResponseError("MOVED 866 127.0.0.1:7001"), "RedisCluster"),
        (exceptions.ReadOnlyError("You can't write against a read only replica."), "primary"),
        (exceptions.BusyLoadingError("Redis is loading the dataset in memory"), "in a moment"),
        (exceptions.ResponseError("MISCONF Redis is configured to save RDB snapshots"), "disk"),
        (exceptions.ResponseError("NOREPLICAS Not enough good replicas to write."), "replicas"),
        (exceptions.ResponseError("BUSY Redis is busy running a script."), "SCRIPT KILL"),
        (exceptions.RedisClusterException("no nodes"), "CLUSTER INFO"),
        (
            exceptions.ResponseError("ERR Error running script: -OOM command not allowed"),
            "maxmemory",
        ),
        (exceptions.ConnectionError("max number of clients reached"), "share one client"),
        (exceptions.ResponseError("ERR unknown command 'EVALSHA'"), "EVAL"),
        (exceptions.InvalidResponse("Protocol Error: b'H'"), "unexpected"),
        (exceptions.TimeoutError("Timeout reading"), "can it be reached"),
        (ConnectionResetError(104, "reset"), "can it be reached"),
    ],
)
def test_each_failure_has_its_own_advice(error, advice):
    """Those that take more than one server to cause, as redis-py raises them."""
    assert advice in str(explain(error)).partition("; ")[2]
