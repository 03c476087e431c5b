"""What a gateway says of its models, and what a prompt would take: a provider's count, or an estimate that says so."""

from __future__ import annotations

import json
from typing import Any

import anthropic
import openai
import pytest

from llmstream import LLMClient, Usage
from llmstream.router import Candidate
from llmstream.testing import FaultServer
from llmstream.web import create_app
from tests.loopback import Loopback, Reply, Request
from tests.web.serving import fetch, serving

HI: list[Any] = [{"role": "user", "content": "How many tokens are these?"}]
TOOL: Any = {"name": "weather", "input_schema": {"type": "object", "properties": {}}}
PATHS = {"anthropic": "/v1/messages/count_tokens", "openai-responses": "/responses/input_tokens"}


def claude(server: Loopback) -> LLMClient:
    return LLMClient("anthropic:m", api_key="k", base_url=server.url("anthropic"))


def counting(status: int = 200) -> Loopback:
    """A provider that counts."""

    async def handler(request: Request, reply: Reply) -> None:
        await reply.whole(status, {"input_tokens": 41})

    return Loopback(handler)


async def test_anthropic_counts_its_own_prompts():
    async with counting() as server, claude(server) as client:
        counted = await client.count_tokens(HI, tools=[TOOL], temperature=0.5, max_tokens=9)
    assert counted == Usage(input_tokens=41)
    (asked,) = server.requests
    assert asked.path == PATHS["anthropic"]
    assert asked.body.keys() == {"model", "messages", "tools"}
    assert "anthropic-version" in asked.headers


@pytest.mark.parametrize("status", [404, 500, 429])
async def test_where_the_provider_can_t_count_it_is_an_estimate(status):
    async with counting(status) as server, claude(server) as client:
        counted = await client.count_tokens(HI)
    assert counted.estimated
    assert 5 < (counted.input_tokens or 0) < 30
    assert len(server.requests) == 1


async def test_a_server_that_only_speaks_openai_s_format_isn_t_asked_for_a_count():
    async with FaultServer("ok") as server:
        url = server.url("openai-responses")
        async with LLMClient("openai-responses:m", api_key="k", base_url=url) as client:
            assert (await client.count_tokens(HI)).estimated
        assert server.requests == []


async def test_a_prompt_with_tools_takes_more():
    async with LLMClient("simulator:m") as client:
        alone, more = await client.count_tokens(HI), await client.count_tokens(HI, tools=[TOOL])
        assert (alone.input_tokens or 0) < (more.input_tokens or 0)
        with pytest.raises(TypeError, match="colour"):
            await client.count_tokens(HI, colour="red")


@pytest.mark.parametrize(("status", "by"), [(200, "provider"), (500, "estimate")])
async def test_an_anthropic_client_counts_through_the_gateway(status, by):
    async with counting(status) as server:
        own = claude(server)
        async with own, serving(create_app(own, models={"claude": "anthropic:m"})) as port:
            url = f"http://127.0.0.1:{port}"
            async with anthropic.AsyncAnthropic(api_key="k", base_url=url) as client:
                answer = await client.messages.with_raw_response.count_tokens(
                    model="claude", messages=HI, tools=[TOOL]
                )
    assert answer.headers["x-llmstream-counted-by"] == by
    counted = (await answer.parse()).input_tokens
    assert counted == 41 if by == "provider" else counted > 5


async def test_a_wrong_request_for_a_count_is_told_in_anthropic_s_words():
    body = json.dumps({"model": "claude", "messages": "hi"}).encode()
    async with serving(
        create_app(LLMClient("simulator:m"), models={"claude": "simulator:m"})
    ) as port:
        status, _, said = await fetch(
            port, PATHS["anthropic"], "POST", body, content_type="application/json"
        )
    assert (status, json.loads(said)["error"]["type"]) == (400, "invalid_request_error")


async def test_under_strict_a_count_tells_what_would_be_left_out():
    url = "http://127.0.0.1:9/v1"
    client = LLMClient("openai-responses:m", api_key="k", base_url=url, strict=True)
    body = json.dumps({"model": "m", "messages": HI, "top_k": 5}).encode()
    async with client, serving(create_app(client, models={"m": "openai-responses:m"})) as port:
        status, _, said = await fetch(
            port, PATHS["anthropic"], "POST", body, content_type="application/json"
        )
    assert (status, "top_k" in json.loads(said)["error"]["message"]) == (400, True)


async def test_the_list_of_models_tells_the_context():
    pytest.importorskip("genai_prices")
    client = LLMClient("openai:gpt-5-mini", api_key="k")
    async with client, serving(create_app(client, models={"m": "openai:gpt-5-mini"})) as port:
        _, _, said = await fetch(port, "/v1/models/m")
    assert json.loads(said)["context_length"] == 400_000


async def test_what_is_known_of_a_model_is_told_to_both_kinds_of_client():
    known = Candidate("simulator:m", context=8192, images=True, schemas=False)
    app = create_app(LLMClient("simulator:m"), models={"known": known, "unknown": "simulator:n"})
    async with serving(app) as port:
        url = f"http://127.0.0.1:{port}"
        async with anthropic.AsyncAnthropic(api_key="k", base_url=url) as client:
            info = await client.models.retrieve("known")
            unknown = await client.models.retrieve("unknown")
        async with openai.AsyncOpenAI(api_key="k", base_url=f"{url}/v1") as other:
            model = await other.models.retrieve("known")
    assert info.max_input_tokens == 8192
    assert info.capabilities is not None
    assert info.capabilities.image_input.supported
    assert not info.capabilities.structured_outputs.supported
    assert (unknown.max_input_tokens, unknown.capabilities) == (None, None)
    assert (model.id, model.object, model.context_length) == ("known", "model", 8192)
