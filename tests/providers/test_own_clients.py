"""The vendor's SDK beside us: clients of the user's own, with hooks and changing keys, and the one that we use."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from llmstream import LLMClient, RetryPolicy, Timeouts
from llmstream.providers.config import TRANSPORTS
from tests.loopback import APIS, Loopback, answer, pieces, refuse
from tests.patience import PATIENCE

QUESTION = [{"role": "user", "content": "hi"}]
ONCE = RetryPolicy(max_attempts=1)
PATIENT = Timeouts(connect=2, first_token=2, idle=2, total=3)

sdks = pytest.mark.parametrize("provider", ["openai", "anthropic"])
over = pytest.mark.parametrize("transport", TRANSPORTS)


def own(provider: str, server: Loopback, transport: str = "httpx2", **options: Any) -> Any:
    """The SDK's async client, made by the user."""
    import anthropic
    import httpx2
    import openai

    sdk: Any = openai if provider == "openai" else anthropic
    make = sdk.AsyncOpenAI if provider == "openai" else sdk.AsyncAnthropic
    http = httpx2.AsyncClient if transport == "httpx2" else sdk.DefaultAioHttpClient
    options = {"api_key": "sk-canary-0", "base_url": server.url(provider), **options}
    return make(http_client=http(event_hooks=options.pop("hooks", {})), **options)


async def last(client: LLMClient, **options: Any) -> Any:
    return [event async for event in client.chat_completion(QUESTION, **options)][-1]


@sdks
@over
async def test_a_hook_may_read_the_whole_answer(provider: str, transport: str) -> None:
    """The connection belongs to others by then: it is neither waited on nor shut down."""

    async def log(response: Any) -> None:
        await response.aread()

    async def slow(request: Any, reply: Any) -> None:
        await reply.head()
        for data in pieces(APIS[provider], request.body["messages"][0]["content"]):
            await reply.send(data)
            await asyncio.sleep(0.01)
        await reply.end()

    async with (
        Loopback(slow) as server,
        own(provider, server, transport, hooks={"response": [log]}) as sdk,
    ):
        client = LLMClient(f"{provider}:m", sdk_client=sdk, retry=ONCE, timeouts=PATIENT)

        async def ask(name: str) -> str:
            return (await client.complete([{"role": "user", "content": name}])).text

        names = [f"answer for {name}" for name in "abc"]
        async with asyncio.timeout(PATIENCE):
            assert await asyncio.gather(*map(ask, names)) == names
            assert await ask("again") == "again"


@sdks
@over
async def test_the_sdk_client_in_use_raises_the_vendors_own_errors(
    provider: str, transport: str
) -> None:
    import anthropic
    import openai

    sdk: Any = openai if provider == "openai" else anthropic
    limited = refuse(429, {"error": {"type": "rate_limit_error", "message": "slow down"}})
    async with Loopback(limited, limited, answer(APIS[provider])) as server:
        url = server.url(provider)
        async with LLMClient(
            f"{provider}:m", api_key="k", base_url=url, transport=transport, retry=ONCE
        ) as client:
            with pytest.raises(sdk.RateLimitError, match="slow down") as refused:
                await client.get_client().post("/x", body={}, cast_to=object)
            assert refused.value.status_code == 429
            assert (await last(client)).error_info.kind == "rate_limit"
            assert (await client.complete(QUESTION)).text == "Hello, world!"


async def test_a_key_that_changes_does_not_come_through() -> None:
    """What the provider echoes is the key that was sent, which may be another than at the beginning."""
    numbers = iter(range(9))

    async def key() -> str:
        return f"sk-canary-{next(numbers)}"

    async def echo(request: Any, reply: Any) -> None:
        told = request.headers["authorization"]
        if request.connection % 2:
            await refuse(400, {"error": {"message": f"bad key {told}"}})(request, reply)
            return
        await reply.head()
        await reply.send(b'data: {"error": {"message": "bad key %s"}}\n\n' % told.encode())
        await reply.end()

    async with Loopback(echo) as server:
        for _ in range(2):  # refused, and in the stream
            async with own("openai", server, api_key=key) as sdk:
                event = await last(LLMClient("openai:m", sdk_client=sdk, retry=ONCE))
            assert "bad key [key]" in event.error
            assert "canary" not in repr(event)
        async with LLMClient(
            "openai:m", api_key="sk-first-key", base_url=server.url("openai"), retry=ONCE
        ) as client:
            client.get_client().api_key = "sk-canary-changed"
            event = await last(client)
        assert "bad key [key]" in event.error
        assert "canary" not in repr(event)
    assert len(server.requests) == 3
