"""Models that never stop: a server's answer ends in an error, and the provider's connection is closed."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from urllib.parse import urlencode

import pytest
import websockets

from llmstream import LLMClient
from llmstream.conversations import ConversationClient
from llmstream.events.types import text_delta
from llmstream.providers.provider import MAX_ANSWER
from llmstream.web import Limits, create_app
from llmstream.web.dialects import GeminiGenerate
from tests.loopback import Loopback, pieces
from tests.patience import PATIENCE
from tests.web.dialects.test_encoders import BODIES
from tests.web.serving import fetch, serving
from tests.web.test_app import app_with, post

MOST = 20_000
FORMATS = {
    "openai": "openai-chat",
    "openai-responses": "openai-responses",
    "anthropic": "anthropic-messages",
}
over_formats = pytest.mark.parametrize(
    "provider",
    [
        "openai",
        *(pytest.param(each, marks=pytest.mark.slow) for each in FORMATS if each != "openai"),
    ],
)
STREAMS = {
    **{each().path: body for each, body in BODIES.items() if each is not GeminiGenerate},
    "/chat": {"prompt": "hi", "stream": True},
    "/chat?forms=ndjson": {"prompt": "hi", "stream": True},
    "/streaming_chat": {"request": "hi"},
}
WHOLE = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "hi"}]},
    "/v1/responses": {"input": "hi"},
    "/v1/messages": {"messages": [{"role": "user", "content": "hi"}]},
    "/chat": {"prompt": "hi"},
    GeminiGenerate().path: BODIES[GeminiGenerate],
}
ENDS = (b"longer than is allowed", b"more at once than is allowed")


@asynccontextmanager
async def endless(provider: str, what: str = "text"):
    """A server whose provider never stops: the port, and the provider that counts its open connections."""
    opening, *_, word, _ = pieces(FORMATS[provider], "one two three")
    forever = word if what == "text" else b": nothing\n\n"

    async def answer(request, reply) -> None:
        await reply.head()
        await reply.send(opening)
        while True:
            await reply.send(forever * 10)

    async with Loopback(answer) as loopback:
        client = LLMClient(
            f"{provider}:m", api_key="llmstream-canary-max", base_url=loopback.url(provider)
        )
        conversations = ConversationClient(client)
        app = create_app(
            client,
            models={"m": f"{provider}:m"},
            limits=Limits(max_answer=MOST),
            conversations=conversations,
        )
        async with serving(app) as port:
            yield port, loopback
            await closed(loopback)
            assert len(loopback.requests) == 1  # nobody asks such a model again
        await conversations.aclose()
        await client.aclose()


async def closed(loopback) -> None:
    async with asyncio.timeout(PATIENCE):
        while loopback.open:
            await asyncio.sleep(0.005)


def named(path: str, body: dict) -> dict:
    return {**body, "model": "m"} if path.startswith(("/v1", "/chat")) else body


@over_formats
@pytest.mark.parametrize("path", STREAMS)
async def test_a_stream_ends_in_an_error(provider, path) -> None:
    async with endless(provider) as (port, loopback):
        if path == "/streaming_chat":  # text can say it by a cut alone
            with pytest.raises(asyncio.IncompleteReadError):
                await post(port, path, STREAMS[path])
        else:
            status, _, body = await post(
                port, path.replace("{model}", "m"), named(path, STREAMS[path])
            )
            assert status == 200
            assert any(words in body[-2_000:] for words in ENDS), body[-2_000:]
            assert MOST / 8 < len(body) < 12 * MOST
        await closed(loopback)


@over_formats
@pytest.mark.parametrize("path", WHOLE)
async def test_a_whole_answer_is_an_error_instead(provider, path) -> None:
    async with endless(provider) as (port, loopback):
        status, _, body = await post(port, path.replace("{model}", "m"), named(path, WHOLE[path]))
        assert (status, ENDS[1] in body) == (502, True), body
        await closed(loopback)


@over_formats
async def test_bytes_without_an_answer_count_too(provider) -> None:
    async with endless(provider, "nothing") as (port, loopback):
        _, _, body = await post(port, "/chat", {"prompt": "hi", "stream": True})
        assert ENDS[1] in body
        await closed(loopback)


@over_formats
async def test_conversations_end_in_an_error(provider) -> None:
    for way in ("http", "websocket", "stream", "whole"):
        async with endless(provider) as (port, loopback):
            _, _, ids = await post(port, "/api/chat/session", {})
            asked = json.loads(ids)
            if way == "http":
                query = urlencode({**asked, "query": "hi"})
                _, _, body = await fetch(port, f"/api/chat/stream-http?{query}")
            elif way == "websocket":
                async with websockets.connect(f"ws://127.0.0.1:{port}/api/chat/stream") as socket:
                    await socket.send(json.dumps({**asked, "query": "hi"}))
                    body = "\n".join([message async for message in socket]).encode()
            else:
                stream = way == "stream"
                _, _, body = await post(port, "/chat", {**asked, "prompt": "hi", "stream": stream})
            assert any(words in body[-2_000:] for words in ENDS), body[-2_000:]
            await closed(loopback)


@over_formats
async def test_over_the_socket_of_responses_an_answer_ends_and_the_connection_goes_on(
    provider,
) -> None:
    async with (
        endless(provider) as (port, loopback),
        websockets.connect(f"ws://127.0.0.1:{port}/v1/responses") as socket,
    ):
        await socket.send(json.dumps({"type": "response.create", "input": "hi", "model": "m"}))
        kinds = []
        while not kinds or kinds[-1] not in ("response.failed", "error"):
            kinds.append(json.loads(await asyncio.wait_for(socket.recv(), PATIENCE))["type"])
        await closed(loopback)
        await socket.send(json.dumps({"type": "response.create", "model": "m", "generate": False}))
        while "response.completed" not in await asyncio.wait_for(socket.recv(), PATIENCE):
            pass


class Chatterbox:
    """A provider of an application's own."""

    name = "chatterbox"

    def __init__(self) -> None:
        self.closed = asyncio.Event()

    async def stream(self, request, call):
        assert MAX_ANSWER.get() == MOST
        try:
            while True:
                yield text_delta("and so on ")
        finally:
            self.closed.set()

    async def aclose(self) -> None:
        """Nothing is held."""


@pytest.mark.parametrize("path", [path for path in STREAMS if path != "/streaming_chat"])
async def test_what_another_provider_sends_is_counted_on_its_way_out(path) -> None:
    provider = Chatterbox()
    client = LLMClient("m", provider=provider)
    app = create_app(client, limits=Limits(max_answer=MOST))
    body = {**STREAMS[path]}
    body.pop("model", None)
    if path.startswith(("/v1", "/ollama", "/api/generate")):
        body["model"] = "chatterbox:m"
    async with serving(app) as port:
        status, _, answer = await post(port, path.replace("{model}", "chatterbox:m"), body)
        assert (status, ENDS[0] in answer[-2_000:]) == (200, True), answer[-2_000:]
        assert MOST < len(answer) < 2 * MOST + 5_000
        await asyncio.wait_for(provider.closed.wait(), PATIENCE)


async def test_an_answer_that_is_as_long_as_it_may_be_is_whole() -> None:
    asked = {"prompt": "hi", "stream": True}
    app, _ = app_with(["word "] * 50)
    async with serving(app) as port:
        _, _, whole = await post(port, "/chat", asked, x_request_id="one")
    for most, is_whole in ((len(whole), True), (len(whole) // 2, False)):
        app, _ = app_with(["word "] * 50, limits=Limits(max_answer=most))
        async with serving(app) as port:
            _, _, body = await post(port, "/chat", asked, x_request_id="one")
        assert (ENDS[0] not in body) == is_whole
