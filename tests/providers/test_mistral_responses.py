"""Mistral's Responses: the format of OpenAI's, at Mistral's address, without what Mistral refuses."""

from __future__ import annotations

import pytest

from llmstream import LLMClient
from llmstream.messages import ChatRequest, Message, Usage
from llmstream.providers import registry
from llmstream.providers.compatible import MistralResponsesProvider
from llmstream.providers.config import ProviderConfig
from tests.loopback import Loopback, Reply, Request, answer

HI = [{"role": "user", "content": "hi"}]


@pytest.mark.parametrize("transport", ["httpx2", "aiohttp"])
async def test_an_answer_comes_from_responses(
    transport: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is asked to be kept, and nothing that OpenAI's variables say goes along."""
    monkeypatch.setenv("MISTRAL_API_KEY", "of-mistral")
    monkeypatch.setenv("OPENAI_API_KEY", "of-openai")
    monkeypatch.setenv("OPENAI_ORG_ID", "org")
    async with Loopback(answer("openai-responses", "Salut.", Usage(3, 2))) as server:
        model, url = "mistral-responses:m", server.url("openai-responses")
        async with LLMClient(model, base_url=url, transport=transport) as client:
            message = await client.complete(HI, service_tier="flex", reasoning_effort="high")
    assert (message.text, message.usage) == ("Salut.", Usage(3, 2))
    (sent,) = server.requests
    assert sent.path == "/v1/responses"
    assert sent.headers["authorization"] == "Bearer of-mistral"
    assert not {name for name in sent.headers if name.startswith("openai-")}
    unwanted = {"store", "include", "background", "previous_response_id", "service_tier"}
    assert not unwanted & sent.body.keys()
    assert sent.body["reasoning"]["effort"] == "high"


async def test_it_counts_prompts() -> None:
    async def count(request: Request, reply: Reply) -> None:
        await reply.whole(200, {"object": "response.input_tokens", "input_tokens": 11})

    async with Loopback(count) as server:
        url = server.url("openai-responses")
        async with LLMClient("mistral-responses:m", api_key="k", base_url=url) as client:
            usage = await client.count_tokens(HI)
    assert (usage.input_tokens, usage.estimated) == (11, False)
    assert server.requests[0].path == "/v1/responses/input_tokens"


def test_a_key_alone_means_the_chat_completions() -> None:
    listed = [known.name for known in registry.listing() if "MISTRAL_API_KEY" in known.variables]
    assert listed == ["mistral", "mistral-responses"]


def test_a_tier_is_dropped_with_a_warning() -> None:
    provider = MistralResponsesProvider(ProviderConfig("mistral-responses", api_key="k"))
    asked = ChatRequest([Message("user", "hi")], "m", service_tier="flex")
    (warning,) = provider.render(asked, {}).warnings
    assert warning.startswith("service_tier: mistral-responses has no tier 'flex'")
    assert provider.base_url == "https://api.mistral.ai/v1"
