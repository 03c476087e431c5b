"""Invoices computed by hand, for what vendors' own bytes report and for calls of several requests."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from llmstream import ErrorInfo, LLMClient, RetryPolicy, Usage, catalogue
from llmstream.catalogue import ModelFacts
from llmstream.conversations import ConversationClient
from llmstream.messages import FinishReason
from llmstream.pricing import Prices, listed_prices
from llmstream.testing import ScriptedProvider
from llmstream.tools import run_tools
from tests.conversations.talk import begin
from tests.loopback import Loopback, Reply, Request

HI = [{"role": "user", "content": "hi"}]
GEMINI = "https://generativelanguage.googleapis.com/v1beta"


@pytest.fixture(autouse=True)
def priced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "_registered", {})
    three = Prices("3", "15", cache_read="0.3", cache_write="3.75")
    catalogue.register("anthropic:m-1", ModelFacts(prices=three))
    catalogue.register("scripted:script", ModelFacts(prices=three))
    small = Prices("0.25", "2", cache_read="0.025")
    catalogue.register("openai:m-1", ModelFacts(prices=small))
    catalogue.register("openai-responses:m-1", ModelFacts(prices=Prices("1.25", "10")))


def sse(*events: dict[str, Any]) -> bytes:
    named = [(f"event: {event['type']}\n" if "type" in event else "", event) for event in events]
    return "".join(f"{name}data: {json.dumps(event)}\n\n" for name, event in named).encode()


def claude(stop: str = "end_turn") -> bytes:
    prompt = {
        "input_tokens": 100,
        "cache_creation_input_tokens": 2000,
        "cache_read_input_tokens": 5000,
        "output_tokens": 1,
    }
    message = {"id": "m", "model": "m-1", "role": "assistant", "content": [], "usage": prompt}
    block = {"type": "text", "text": ""}
    return sse(
        {"type": "message_start", "message": {"type": "message", **message}},
        {"type": "content_block_start", "index": 0, "content_block": block},
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "text_delta", "text": "Hello"},
        },
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": stop}, "usage": {"output_tokens": 300}},
        {"type": "message_stop"},
    )


def chat() -> bytes:
    usage = {
        "prompt_tokens": 1000,
        "completion_tokens": 100,
        "prompt_tokens_details": {"cached_tokens": 600},
        "completion_tokens_details": {"reasoning_tokens": 64},
    }
    delta = {"index": 0, "delta": {"content": "Hello"}, "finish_reason": "stop"}
    chunk = {"id": "c", "object": "chat.completion.chunk", "model": "m-1"}
    body = sse({**chunk, "choices": [delta]}, {**chunk, "choices": [], "usage": usage})
    return body + b"data: [DONE]\n\n"


def response() -> bytes:
    usage = {
        "input_tokens": 1000,
        "output_tokens": 500,
        "output_tokens_details": {"reasoning_tokens": 384},
    }
    text = {"type": "output_text", "text": "Hello", "annotations": []}
    item = {"type": "message", "id": "i", "role": "assistant", "content": [text]}
    whole = {"id": "r", "model": "m-1", "output": [item], "usage": usage, "status": "completed"}
    place = {"item_id": "i", "output_index": 0, "content_index": 0}
    return sse(
        {"type": "response.created", "response": {"id": "r", "model": "m-1"}},
        {"type": "response.output_text.delta", **place, "delta": "Hello"},
        {"type": "response.completed", "response": whole},
    )


def gemini(prompt: int) -> bytes:
    usage = {"promptTokenCount": prompt, "candidatesTokenCount": 1000, "thoughtsTokenCount": 2000}
    content = {"role": "model", "parts": [{"text": "Hello"}]}
    candidate = {"content": content, "finishReason": "STOP", "index": 0}
    return sse({"candidates": [candidate], "usageMetadata": usage, "responseId": "g"})


INVOICES = {
    # 100 x 3 + 2,000 x 3.75 into the cache + 5,000 x 0.30 from it + 300 x 15, for a million
    "a cache that is written and read": ("anthropic", claude(), "0.0138"),
    # 400 x 0.25 + 600 x 0.025 from the cache + 100 x 2, of which reasoning is a part
    "a cached prompt, and reasoning": ("openai", chat(), "0.000315"),
    # 1,000 x 1.25 + 500 x 10, of which 384 are reasoning
    "reasoning that nobody sees": ("openai-responses", response(), "0.00625"),
}


async def bill(provider: str, *bodies: bytes, **options: Any) -> Usage:
    """The usage of one call that is answered with these bodies."""
    answers = iter(bodies)

    async def handler(request: Request, reply: Reply) -> None:
        await reply.head()
        await reply.send(next(answers))
        await reply.end()

    async with (
        Loopback(handler) as server,
        LLMClient(
            f"{provider}:m-1", api_key="k", base_url=server.url(provider), **options
        ) as client,
    ):
        usage = (await client.complete(HI)).usage
    assert usage is not None
    assert not usage.estimated
    return usage


@pytest.mark.parametrize("name", INVOICES)
async def test_what_a_vendor_reports_is_billed_as_by_hand(name: str) -> None:
    provider, body, dollars = INVOICES[name]
    assert (await bill(provider, body)).cost == Decimal(dollars)


async def test_a_long_prompt_is_billed_at_the_tier_of_long_prompts() -> None:
    """Gemini 2.5 Pro: 1.25 and 10 dollars up to 200,000 tokens, beyond that 2.50 and 15; thoughts are output."""
    pytest.importorskip("genai_prices")
    prices = listed_prices(GEMINI, "gemini-2.5-pro")
    catalogue.register("gemini:m-1", ModelFacts(prices=prices))
    assert (await bill("gemini", gemini(1000))).cost == Decimal("0.03125")
    assert (await bill("gemini", gemini(250_000))).cost == Decimal("0.67")


async def test_a_pause_s_hops_are_on_one_bill() -> None:
    """100 x 3 + 10 x 15, then 110 x 3 + 20 x 15, for a million."""
    provider = ScriptedProvider(
        ["It is ", Usage(100, 10), FinishReason.PAUSE], ["noon", Usage(110, 20)]
    )
    async with LLMClient(provider=provider) as client:
        last = [event async for event in run_tools(client, HI, tools=[])][-1]
    assert len(provider.requests) == 2
    assert last.usage is not None
    assert last.usage.cost == Decimal("0.00045") + Decimal("0.00063")


async def test_each_turn_of_a_conversation_has_its_own_bill() -> None:
    """With 900 of 1,000 tokens from the cache: 100 x 3 + 900 x 0.30 + 100 x 15, for a million."""
    turns = [Usage(1000, 100, cache_write_tokens=900), Usage(1000, 100, cache_read_tokens=900)]
    provider = ScriptedProvider(*(["Hello", usage] for usage in turns))
    async with ConversationClient(LLMClient(provider=provider)) as chats:
        conversation = await begin(chats)
        costs = [(await conversation.chat("hi")).message.usage.cost for _ in turns]
    assert costs == [Decimal("0.005175"), Decimal("0.00207")]


@pytest.mark.parametrize("stream", [True, False])
async def test_an_answer_that_was_cut_is_on_the_bill_of_the_next_attempt(*, stream: bool) -> None:
    """By an estimate: 5 x 3 + 2 x 15 for "hi" and "over there"; then 20 x 3 + 10 x 15, for a million."""
    provider = ScriptedProvider(
        ["over there", ErrorInfo("truncated")], [" and here", Usage(20, 10)]
    )
    at_once = RetryPolicy(base_delay=0, max_delay=0)
    async with LLMClient(provider=provider, on_interrupt="continue", retry=at_once) as client:
        usage = [event async for event in client.chat_completion(HI, stream)][-1].usage
    assert usage is not None
    costs = [attempt.cost for attempt in usage.attempts]
    assert costs == [Decimal("0.000045"), Decimal("0.00021")]
    assert usage.cost == Decimal("0.000255")
