"""A request that is copied from the one before it is the one that the SDK would have made."""

from __future__ import annotations

from typing import Any

import pytest

from llmstream import LLMClient, RetryPolicy
from llmstream.providers.config import TRANSPORTS
from llmstream.providers.http import request_template
from tests.loopback import APIS, Loopback, answer

QUESTION = [{"role": "user", "content": 'hi "there"\u2028 ü'}]
ONCE = RetryPolicy(max_attempts=1)

over = pytest.mark.parametrize("transport", TRANSPORTS)
api = pytest.mark.parametrize("provider", list(APIS))


def connect(server: Loopback, provider: str, transport: str, **options: Any) -> LLMClient:
    options = {"api_key": "sk-canary-1234567890", "retry": ONCE, **options}
    return LLMClient(f"{provider}:m-1", base_url=server.url(provider), transport=transport, **options)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The URLs of the requests that were copied."""
    seen: list[bytes] = []
    send = request_template.PreparedRequest.send

    def watch(self: Any, *arguments: Any) -> Any:
        seen.append(self._url)
        return send(self, *arguments)

    monkeypatch.setattr(request_template.PreparedRequest, "send", watch)
    return seen


@over
@api
async def test_it_is_the_same_but_for_its_body(provider: str, transport: str, made: list[bytes]) -> None:
    async with (
        Loopback(answer(APIS[provider])) as server,
        connect(server, provider, transport, headers={"X-Own": "1"}) as client,
    ):
        for _ in range(3):
            await client.complete(QUESTION, temperature=0.5)
        first, *others = [(request.path, request.headers, request.body) for request in server.requests]
        assert others == [first, first]
        await client.complete([{"role": "user", "content": "something longer"}], headers={"X-Call": "2"})
        await client.complete(QUESTION, temperature=0.5)
        assert server.requests[3].headers["x-call"] == "2"
        assert server.requests[3].headers["content-length"] != first[1]["content-length"]
        assert (server.requests[4].path, server.requests[4].headers, server.requests[4].body) == first
    assert len(made) == 4


@over
async def test_cookies_are_those_of_now(transport: str, made: list[bytes]) -> None:
    def setting(cookie: str | None) -> Any:
        async def handler(request: Any, reply: Any) -> None:
            extra = {"set_cookie": cookie} if cookie else {}
            await reply.whole(200, {"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]}, **extra)

        return handler

    handlers = [setting("a=1; Path=/"), setting("a=2; Path=/"), setting(None)]
    async with Loopback(*handlers) as server, connect(server, "openai", transport) as client:
        for _ in range(4):
            await client.complete(QUESTION)
        assert [request.headers.get("cookie") for request in server.requests] == [None, "a=1", "a=2", "a=2"]
    assert len(made) == 3


@over
async def test_whoever_has_the_sdk_s_client_may_change_it(transport: str, made: list[bytes]) -> None:
    async with Loopback(answer("openai-chat")) as server, connect(server, "openai", transport) as client:
        await client.complete(QUESTION)
        await client.complete(QUESTION)
        client.get_client().api_key = "another"
        await client.complete(QUESTION)
        keys = [request.headers["authorization"] for request in server.requests]
    assert keys == ["Bearer sk-canary-1234567890"] * 2 + ["Bearer another"]
    assert len(made) == 1


@over
async def test_what_can_t_be_sent_is_an_error_of_the_same_kind(transport: str) -> None:
    async with Loopback(answer("openai-chat")) as server, connect(server, "openai", transport) as client:
        kinds = []
        for _ in range(2):
            body = {"openai": {"x": float("inf")}}
            with pytest.raises((ValueError, TypeError)) as caught:
                await client.complete(QUESTION, provider_options=body)
            kinds.append(type(caught.value))
            await client.complete(QUESTION)
    assert kinds[0] is kinds[1]


def test_its_repr_has_no_key() -> None:
    import httpx2

    request = request_template.PreparedRequest(httpx2.Request("POST", "http://x", headers={"Authorization": "canary"}))
    assert "canary" not in repr([getattr(request, name) for name in request.__slots__])
