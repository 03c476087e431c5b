"""SOCKS proxies of the environment's, and what is missing for them is said."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from llmstream import ConfigurationError, EventType, LLMClient, RetryPolicy
from tests.loopback import CutError, Loopback, answer

QUESTION = [{"role": "user", "content": "hi"}]
ONCE = RetryPolicy(max_attempts=1)


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.delenv(variable.lower(), raising=False)


@asynccontextmanager
async def socks() -> AsyncIterator[str]:
    """A SOCKS5 proxy (RFC 1928) without authentication; its URL."""

    async def pass_on(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await source.read(65536):
                sink.write(data)
        sink.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, methods = await reader.readexactly(2)
        await reader.readexactly(methods)
        writer.write(b"\5\0")
        *_, kind = await reader.readexactly(4)
        size = 4 if kind == 1 else (await reader.readexactly(1))[0]
        name = await reader.readexactly(size)
        host = ".".join(map(str, name)) if kind == 1 else name.decode()
        port = int.from_bytes(await reader.readexactly(2), "big")
        there, back = await asyncio.open_connection(host, port)
        writer.write(b"\5\0\0\1\0\0\0\0\0\0")
        await asyncio.gather(pass_on(reader, back), pass_on(there, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"socks5://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


def connect(server: Loopback, **options: Any) -> LLMClient:
    return LLMClient("openai:m", api_key="k", base_url=server.url("openai"), retry=ONCE, **options)


async def last(client: LLMClient) -> Any:
    return [event async for event in client.chat_completion(QUESTION)][-1]


async def test_httpx2_goes_through_one_and_a_fresh_connection_that_dies_is_no_dead_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def dies(request: Any, reply: Any) -> None:
        raise CutError

    async with socks() as proxy, Loopback(answer("openai-chat"), dies) as server:
        monkeypatch.setenv("ALL_PROXY", proxy)
        async with connect(server, transport="httpx2") as client:
            assert (await last(client)).type is EventType.MESSAGE_COMPLETE
        async with connect(server, transport="httpx2") as client:
            assert (await last(client)).error_info.kind == "connection"
    assert len(server.requests) == 2


async def test_aiohttp_says_that_it_knows_none_where_it_would_be_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with socks() as proxy, Loopback(answer("openai-chat")) as server:
        monkeypatch.setenv("ALL_PROXY", proxy)
        async with connect(server, transport="aiohttp") as client:
            event = await last(client)
        assert event.error_info.kind == "invalid_request"
        assert 'use transport="httpx2"' in event.error
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        async with connect(server, transport="aiohttp") as client:
            assert (await last(client)).type is EventType.MESSAGE_COMPLETE


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1")
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "socksio" else name
    )
    with pytest.raises(
        ConfigurationError, match=r"the SOCKS proxy set in the environment needs .*socksio"
    ):
        LLMClient("openai:m", api_key="k", transport="httpx2")
