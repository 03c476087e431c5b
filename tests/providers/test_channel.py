"""A provider of one's own over `Channel`: the model in the path, a signed body, and nothing of the rest to write."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import pytest

from llmstream import ConfigurationError, EventType, LLMClient, RetryPolicy
from llmstream.messages import ChatRequest
from llmstream.providers import ProviderConfig
from llmstream.providers.api import API
from llmstream.providers.channel import Channel
from llmstream.providers.config import TRANSPORTS
from llmstream.providers.exchange import Outbound
from llmstream.providers.http.exchange import HTTPRequest
from llmstream.providers.http_provider import HTTPProvider
from llmstream.providers.provider import Call
from llmstream.testing import check_provider
from llmstream.wire.outbound import Rendered
from tests.loopback import Loopback, answer, refuse

QUESTION = [{"role": "user", "content": "hi"}]
SECRET = "sk-canary-1234567890"
FEW = ("ok", "stall", "no-head", "clean-end-without-an-end", "status-500", "closed-between-chunks")

over = pytest.mark.parametrize("transport", TRANSPORTS)


class ToyProvider(HTTPProvider):
    """Answers as chat completions do, at a place of the model's own, if the body is signed."""

    api = API(
        url="https://toy.example/v1",
        keys=("TOY_KEY",),
        key_header="X-Toy-Key",
        key_form="{}",
        headers={"X-Toy-Version": "1"},
    )
    format = "openai-chat"

    def render(self, request: ChatRequest, given: Mapping[str, str]) -> Rendered:
        return Rendered({"say": [message.text for message in request.messages]})

    def outbound(self, request: ChatRequest, rendered: Rendered) -> Outbound:
        return Outbound(f"/models/{quote(request.model, safe='')}/chat/completions", rendered.body)

    def sign(self, request: HTTPRequest) -> None:
        request.headers["X-Signature"] = signature(request.content)


def signature(content: bytes) -> str:
    return hmac.new(SECRET.encode(), content, hashlib.sha256).hexdigest()


def config(url: str, transport: str, **options: Any) -> ProviderConfig:
    return ProviderConfig("toy", SECRET, url, transport=transport, **options)


@over
async def test_it_passes_the_check_of_providers(transport: str) -> None:
    await check_provider(lambda url: ToyProvider(config(url, transport)), "openai-chat", faults=FEW)


@over
async def test_the_model_is_in_the_path_and_the_body_signed(transport: str) -> None:
    async with Loopback(answer("openai-chat")) as server:
        provider = ToyProvider(config(server.url("openai"), transport, headers={"X-Mine": "1"}))
        async with LLMClient(provider=provider, model="a/b c") as client:
            assert (await client.complete(QUESTION)).text == "Hello, world!"
            with pytest.raises(ConfigurationError, match="not built on a vendor's SDK"):
                client.get_client()
    (request,) = server.requests
    assert request.path == "/v1/models/a%2Fb%20c/chat/completions"
    assert request.body == {"say": ["hi"]}
    assert request.headers["x-signature"] == signature(b'{"say":["hi"]}')
    named = {name: request.headers[name] for name in ("x-toy-key", "x-toy-version", "x-mine")}
    assert named == {"x-toy-key": SECRET, "x-toy-version": "1", "x-mine": "1"}


@over
async def test_a_request_that_is_sent_again_is_signed_again(transport: str) -> None:
    async def dies(request: Any, reply: Any) -> None:
        await answer("openai-chat")(request, reply)
        await reply.reader.readuntil(b"\r\n\r\n")
        reply.writer.transport.abort()

    signed: list[str] = []

    class Counting(ToyProvider):
        def sign(self, request: HTTPRequest) -> None:
            signed.append(request.url)

    async with Loopback(dies, answer("openai-chat")) as server:
        provider = Counting(config(server.url("openai"), transport))
        once = RetryPolicy(max_attempts=1)
        async with LLMClient(provider=provider, model="m", retry=once) as client:
            for _ in range(2):
                await client.complete(QUESTION)
    assert len(signed) == 3


@over
async def test_a_signature_that_can_t_be_made_is_an_error(transport: str) -> None:
    class Failing(ToyProvider):
        def sign(self, request: HTTPRequest) -> None:
            raise ValueError("no credentials")

    async with Loopback(answer("openai-chat")) as server:
        provider = Failing(config(server.url("openai"), transport))
        async with LLMClient(provider=provider, model="m") as client:
            (event,) = [event async for event in client.chat_completion(QUESTION)]
    assert event.type is EventType.ERROR
    assert event.error_info is not None
    assert event.error_info.kind == "invalid_request"
    assert "can't be sent: no credentials" in event.error_info.message
    assert server.requests == []


# --- the channel itself ---------------------------------------------------------------------------------------


async def fetch(channel: Channel, outbound: Outbound) -> bytes:
    exchange = channel.exchange(Call())
    try:
        response = await exchange.send(outbound)
        return b"".join([data async for data in response.body()])
    finally:
        await exchange.aclose()


@over
async def test_other_methods_bodies_and_whole_urls(transport: str) -> None:
    """Keys and headers go to the channel's own host alone."""
    async with Loopback(refuse(200, b"done")) as server, Loopback(refuse(200, b"else")) as other:
        channel = Channel(config(server.url("openai"), transport), ToyProvider.api)
        get = Outbound("/files", method="GET", accept="application/json")
        assert await fetch(channel, get) == b"done"
        raw = Outbound(f"{server.url('openai')}/up?part=1", b"[1]", content_type="text/json")
        assert await fetch(channel, raw) == b"done"
        assert await fetch(channel, Outbound(f"{other.url('openai')}/bucket", b"[1]")) == b"else"
        with pytest.raises(ConfigurationError, match="plain http"):
            await fetch(channel, Outbound("http://elsewhere.example/x", b"[1]"))
        await channel.aclose()
    first, second = server.requests
    assert (first.path, first.body, first.headers["accept"]) == (
        "/v1/files",
        None,
        "application/json",
    )
    assert "content-type" not in first.headers
    assert (second.path, second.body) == ("/v1/up?part=1", [1])
    assert second.headers["content-type"] == "text/json"
    assert {request.headers["x-toy-key"] for request in server.requests} == {SECRET}
    assert "canary" not in str(other.requests[0].headers)
    assert SECRET not in repr(channel)
