"""A server that answers before it has the whole request is heard, over each transport."""

from __future__ import annotations

import asyncio
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from llmstream import LLMClient, Timeouts
from llmstream.providers.config import TRANSPORTS
from llmstream.testing.certificates import ca_file, certificates, server_context

QUESTION = [{"role": "user", "content": "x" * 8_000_000}]
BODY = b'{"error": {"message": "at most 1 MB"}}'
REFUSAL = (
    b"HTTP/1.1 413 Too Large\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s"
    % (
        len(BODY),
        BODY,
    )
)


@asynccontextmanager
async def serving(
    context: ssl.SSLContext | None, *, patient: bool
) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Refuses each request when it has its head; its URL, and the heads. A `patient` one hangs up only later."""
    heads: list[bytes] = []
    running: list[Any] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        running.append(asyncio.current_task())
        with suppress(ConnectionError):
            heads.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(REFUSAL)
            await writer.drain()
            await asyncio.sleep(0.1 if patient else 0)
        writer.transport.abort()  # with much of the request unread: the connection is reset

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield (
            f"http{'s' if context else ''}://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1",
            heads,
        )
    finally:
        server.close()
        await asyncio.gather(*running)


async def check(transport: str, context: ssl.SSLContext | None, *, patient: bool) -> None:
    async with (
        serving(context, patient=patient) as (url, heads),
        LLMClient(
            "openai:m", api_key="k", base_url=url, transport=transport, timeouts=Timeouts(total=10)
        ) as client,
    ):
        info: Any = [event async for event in client.chat_completion(QUESTION)][-1].error_info
    assert (info.kind, info.status_code, info.message) == ("context_length", 413, "at most 1 MB")
    assert len(heads) == 1  # nothing to be gained by asking again


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("patient", [False, True], ids=["hangs up", "waits"])
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_refusal_in_the_middle_of_the_request_is_told(
    transport: str, monkeypatch: pytest.MonkeyPatch, *, tls: bool, patient: bool
) -> None:
    context = None
    if tls:
        monkeypatch.setenv("SSL_CERT_FILE", str(ca_file(certificates())))
        context = server_context("trusted")
    await check(transport, context, patient=patient)


@pytest.mark.skipif(sys.platform == "win32", reason="uvloop is not made for it")
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_it_is_told_on_uvloop_too(transport: str) -> None:
    uvloop = pytest.importorskip("uvloop", reason="uvloop is not installed")

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(check(transport, None, patient=False))
