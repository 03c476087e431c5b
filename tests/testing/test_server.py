"""FaultServer as users have it: what it answers, what it remembers, what it refuses."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any

import pytest

from llmstream import EventType, LLMClient, RetryPolicy, Timeouts
from llmstream.testing import FAULTS, FaultServer, Reply
from llmstream.testing.faults.catalogue import describe
from llmstream.testing.reply import ANSWER
from llmstream.wire import FORMATS

QUESTION = [{"role": "user", "content": "hi"}]
APIS = [row.provider for row in FORMATS.values()]

api = pytest.mark.parametrize("api", APIS)


def connect(server: FaultServer, api: str, **options: Any) -> LLMClient:
    retry = RetryPolicy(base_delay=0.001)
    return LLMClient(
        f"{api}:m", api_key="a-test-key", base_url=server.url(api), retry=retry, **options
    )


async def ask(client: LLMClient) -> list[Any]:
    return [event async for event in client.chat_completion(QUESTION)]


@api
async def test_faults_are_played_in_turn_and_the_last_ever_after(api: str) -> None:
    async with (
        FaultServer("status-529", "ok", "status-401") as server,
        connect(server, api) as client,
    ):
        events = await ask(client)
        assert [event.type for event in events[:1]] == [EventType.RETRY]
        assert "".join(event.text for event in events) == ANSWER
        for _ in range(2):
            assert (await ask(client))[-1].error_info.kind == "authentication"
    assert server.played == len(server.requests) == 4


async def test_one_server_speaks_all_apis() -> None:
    async with FaultServer() as server:
        for name in APIS:
            async with connect(server, name) as client:
                assert (await ask(client))[-1].message.text == ANSWER
    paths = [row.base_path + row.path.format(model="m") for row in FORMATS.values()]
    assert [request.path.partition("?")[0] for request in server.requests] == paths


async def test_it_remembers_what_was_asked() -> None:
    async with FaultServer("ok") as server, connect(server, "openai") as client:
        await ask(client)
        await ask(client)
        assert (server.connections, server.open) == (1, 1)
    request = server.requests[0]
    assert request.headers["authorization"] == "Bearer a-test-key"
    assert request.body["messages"] == QUESTION
    assert [request.connection for request in server.requests] == [1, 1]


async def test_it_tells_when_the_client_left() -> None:
    async with (
        FaultServer("stall") as server,
        connect(server, "openai", timeouts=Timeouts(idle=0.1)) as client,
    ):
        task = asyncio.create_task(ask(client))
        await server.busy()
        with pytest.raises(TimeoutError):
            await server.left(0.01)
        await server.idle(2)
        assert (await task)[-1].error_info.code == "idle"
        assert await server.left(2) < 1
    assert server.open == 0


async def test_a_fault_of_ones_own() -> None:
    async def two_words(reply: Reply) -> None:
        assert reply.request is not None
        await reply.stream(*reply.script(f"hello, {reply.request.body['model']}"))

    async with FaultServer(two_words) as server, connect(server, "anthropic") as client:
        assert (await ask(client))[-1].message.text == "hello, m"


async def test_another_fault_from_now_on() -> None:
    async with FaultServer("status-401") as server, connect(server, "openai") as client:
        assert (await ask(client))[-1].error_info.kind == "authentication"
        server.play("ok")
        assert (await ask(client))[-1].type is EventType.MESSAGE_COMPLETE
        with pytest.raises(ValueError, match="when the server is made"):
            server.play("refused")
        with pytest.raises(ValueError, match="when the server is made"):
            server.play("tls")


async def test_each_piece_is_sent_at_once() -> None:
    """Nagle's algorithm would hold it until the client has acknowledged the one before."""
    at_once = []

    async def play(reply: Reply) -> None:
        with reply._socket() as own:
            at_once.append(own.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0)
        await reply.stream()

    async with FaultServer(play) as server, connect(server, "openai") as client:
        await client.complete(QUESTION)
    assert at_once == [True]


async def test_leaving_the_block_ends_everything() -> None:
    async with FaultServer("no-head") as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        body = json.dumps({"model": "m"}).encode()
        writer.write(
            b"POST /v1/messages HTTP/1.1\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)
        )
        await server.busy()
    assert await reader.read() == b""
    writer.close()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", server.port)) != 0
    assert (server.open, server.playing) == (0, 0)


async def test_a_path_that_no_api_has_is_not_answered() -> None:
    async with FaultServer() as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        assert await reader.read() == b""
        writer.close()
    assert server.requests == []


def test_what_does_not_exist_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="no fault 'stalll'"):
        FaultServer("ok", "stalll")
    with pytest.raises(ValueError, match="can't stand beside"):
        FaultServer("refused", "ok")
    with pytest.raises(ValueError, match="api must be one of"):
        FaultServer().url("mistral")
    with pytest.raises(KeyError):
        describe("stalll")


def test_faults_that_need_tls_bring_it() -> None:
    server = FaultServer("tls")
    server.port = 1
    assert server.url("openai") == "https://127.0.0.1:1/v1"


def test_describe_says_what_a_right_client_makes_of_it() -> None:
    assert describe("stall") == "stall: Three words, then silence → timeout"
    told = describe("finish-then-fin")
    assert "→ openai: complete, openai-responses: truncated, anthropic: truncated" in told
    assert "bedrock: complete" in told
    assert "ollama: truncated" in told
    assert all(describe(name) for name in FAULTS)
