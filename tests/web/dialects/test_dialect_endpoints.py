"""A dialect in an app: what stands beside its one answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator

import anthropic
import openai
import pytest

from llmstream import ErrorInfo, LLMClient, RetryPolicy, StreamEvent
from llmstream.events.types import Start, error, text_delta
from llmstream.messages import ChatRequest
from llmstream.providers import ProviderTraits
from llmstream.providers.provider import Call
from llmstream.testing import FaultServer, ScriptedProvider, VirtualClock
from llmstream.web import create_app
from tests.patience import PATIENCE
from tests.web.serving import fetch, serving

HI = [{"role": "user", "content": "hi"}]
UI = {
    "messages": [{"id": "1", "role": "user", "parts": [{"type": "text", "text": "hi"}]}],
    "resetStep": False,
}


class Restarting:
    """A provider whose first attempt breaks off, and whose second never ends."""

    name = "restarting"
    traits = ProviderTraits(default_model=name)

    def __init__(self) -> None:
        self.attempts = 0
        self.closed = asyncio.Event()

    async def stream(self, request: ChatRequest, call: Call) -> AsyncGenerator[StreamEvent, None]:
        self.attempts += 1
        yield StreamEvent("message_start", start=Start("i", request.model))
        yield text_delta("Half an ")
        if self.attempts == 1:
            yield error(ErrorInfo("overloaded", "No.", retryable=True))
            return
        try:
            await asyncio.sleep(60)
        finally:
            self.closed.set()

    async def aclose(self) -> None:
        """Nothing is held."""


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (
            "/v1/chat/completions",
            {"model": "restarting:restarting", "messages": HI, "stream": True},
        ),
        ("/v1/responses", {"model": "restarting:restarting", "input": HI, "stream": True}),
        ("/v1/messages", {"model": "restarting:restarting", "messages": HI, "stream": True}),
        ("/api/chat", UI),
        ("/agui", {"threadId": "t", "runId": "r", "messages": HI}),
    ],
)
async def test_an_answer_that_ended_in_an_error_asks_the_model_for_no_more(path, body) -> None:
    provider = Restarting()
    client = LLMClient(
        provider=provider, retry=RetryPolicy(2, base_delay=0), on_interrupt="restart"
    )
    async with serving(create_app(client)) as port:
        data = json.dumps(body).encode()
        async with asyncio.timeout(PATIENCE):
            status, _, answer = await fetch(
                port, path, "POST", data, content_type="application/json"
            )
        assert (status, b"interrupted" in answer) == (200, True)
        assert provider.attempts == 1 or provider.closed.is_set()


async def test_the_ai_sdk_hears_that_there_is_nothing_to_resume() -> None:
    async with serving(create_app(LLMClient(provider=ScriptedProvider()))) as port:
        status, _, body = await fetch(port, "/api/chat/some-chat/stream")
        assert (status, body) == (204, b"")


async def test_options_with_a_name_of_ours_reach_every_provider_or_are_named() -> None:
    """Each provider gets its own words; what it has none for is dropped by the client, which knows."""
    body = {"messages": HI, "top_k": 5, "presence_penalty": 1, "service_tier": "default"}
    async with FaultServer() as upstream:
        for provider, sent in (
            ("vllm", {"top_k": 5, "presence_penalty": 1, "service_tier": "default"}),
            ("groq", {"top_k": 5, "presence_penalty": 1, "service_tier": "on_demand"}),
            ("anthropic", {"top_k": 5, "service_tier": "standard_only"}),
        ):
            url = upstream.url("anthropic" if provider == "anthropic" else "openai")
            async with (
                LLMClient(f"{provider}:claude-opus-4-6", api_key="k", base_url=url) as client,
                serving(create_app(client)) as port,
            ):
                data = json.dumps({**body, "model": f"{provider}:claude-opus-4-6"}).encode()
                status, _, _ = await fetch(port, "/v1/chat/completions", "POST", data)
                assert status == 200
            got = upstream.requests[-1].body
            assert {name: got[name] for name in body if name in got and name != "messages"} == sent


async def test_options_without_a_name_of_ours_reach_whoever_speaks_the_format() -> None:
    body = {
        "messages": HI,
        "logit_bias": {"1": 2},
        "extra_headers": {"x": "y"},
    }
    async with FaultServer() as upstream:
        for provider, kept in (("groq", {"1": 2}), ("openai", {"1": 2}), ("anthropic", None)):
            url = upstream.url("anthropic" if provider == "anthropic" else "openai")
            async with (
                LLMClient(f"{provider}:m", api_key="k", base_url=url) as client,
                serving(create_app(client)) as port,
            ):
                data = json.dumps({**body, "model": f"{provider}:m"}).encode()
                status, _, _ = await fetch(port, "/v1/chat/completions", "POST", data)
                assert status == 200
            sent = upstream.requests[-1].body
            assert sent.get("logit_bias") == kept
            assert "extra_headers" not in sent


@pytest.mark.parametrize(
    ("info", "asked"),
    [
        (
            ErrorInfo("authentication", "No.", retryable=False),
            1,
        ),  # 502: the server's own key is wrong
        (ErrorInfo("quota", "No.", retryable=False), 1),
        (ErrorInfo("server", "No.", retryable=True), 2),
    ],
)
async def test_clients_that_retry_do_so_where_it_helps(info, asked) -> None:
    provider = ScriptedProvider(*[[info]] * 4)
    app = create_app(LLMClient(provider=provider, retry=RetryPolicy(1), clock=VirtualClock()))
    async with serving(app) as port:
        url = f"http://127.0.0.1:{port}"
        async with openai.AsyncOpenAI(api_key="k", base_url=f"{url}/v1", max_retries=1) as client:
            with pytest.raises(openai.APIStatusError):
                await client.chat.completions.create(model="scripted:script", messages=HI)
        assert len(provider.requests) == asked
        async with anthropic.AsyncAnthropic(api_key="k", base_url=url, max_retries=1) as other:
            with pytest.raises(anthropic.APIStatusError):
                await other.messages.create(model="scripted:script", messages=HI, max_tokens=9)
        assert len(provider.requests) == 2 * asked
