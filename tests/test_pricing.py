"""What answers cost: invoices made by hand, over retries, fallbacks, tools; and the list of prices."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from llmstream import EventType, LLMClient, RetryPolicy, StreamEvent, Usage, catalogue
from llmstream.catalogue import ModelFacts
from llmstream.errors import ConfigurationError, ErrorInfo
from llmstream.messages import FinishReason, ToolCall
from llmstream.pricing import ListedPrices, Prices, listed_prices
from llmstream.providers import ProviderTraits
from llmstream.testing import ScriptedProvider
from llmstream.tools import run_tools
from llmstream.wire.formats import FORMATS

QUESTION = [{"role": "user", "content": "hi"}]
AT_ONCE = RetryPolicy(max_attempts=3, base_delay=0, max_delay=0)


@pytest.fixture
def priced(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The scripted model at 2 dollars in, 10 out, 0.2 for cached reads, 2.5 for writes."""
    monkeypatch.setattr(catalogue, "_registered", {})
    prices = Prices("2", "10", cache_read="0.2", cache_write="2.5")
    catalogue.register("scripted:script", ModelFacts(prices=prices, context=1000))
    catalogue.register("scripted:small", ModelFacts(prices=Prices("0.5", "1")))
    return


INVOICES = {
    "plain": (Usage(1000, 100), "0.003"),
    "cached": (Usage(1000, 100, cache_read_tokens=600), "0.00192"),
    "written": (Usage(1000, 100, cache_write_tokens=600), "0.0033"),
    "both": (Usage(1000, 100, cache_read_tokens=300, cache_write_tokens=300), "0.00261"),
    "reasoning is part of the answer": (Usage(1000, 100, reasoning_tokens=90), "0.003"),
    "an estimate": (Usage(1000, 100, estimated=True), "0.003"),
    "nothing": (Usage(0, 0), "0"),
    "pictures and sounds": (
        Usage(1000, 100, input_by_modality={"audio": 400}, output_by_modality={"image": 90}),
        "0.0109",
    ),
    "a sound that was cached": (
        Usage(
            1000,
            100,
            cache_read_tokens=600,
            input_by_modality={"audio": 400},
            cache_read_by_modality={"audio": 300},
        ),
        "0.00232",
    ),
    "more by modality than in all": (
        Usage(10, 0, input_by_modality={"audio": 400, "video": 7}),
        "0.00006",
    ),
    "more cached than read": (Usage(100, 0, cache_read_tokens=200), "0.00004"),
}


@pytest.mark.parametrize("name", INVOICES)
def test_an_invoice_made_by_hand(name: str) -> None:
    usage, dollars = INVOICES[name]
    prices = Prices(
        "2",
        "10",
        cache_read="0.2",
        cache_write="2.5",
        input_by_modality={"audio": "6"},
        output_by_modality={"image": "80"},
    )
    assert prices.cost(usage) == Decimal(dollars)


@pytest.mark.parametrize("usage", [Usage(), Usage(10), Usage(None, 10)])
def test_tokens_that_nobody_reported_have_no_cost(usage: Usage) -> None:
    assert Prices("2", "10").cost(usage) is None


@pytest.mark.parametrize("given", ["a dollar", "-1", float("nan"), float("inf")])
def test_a_price_is_a_number_from_0_on(given: Any) -> None:
    with pytest.raises(ValueError, match="output must be US dollars for a million tokens"):
        Prices("1", given)


def test_a_price_by_modality_is_a_number_too() -> None:
    with pytest.raises(ValueError, match=r"output_by_modality\['image'\] must be US dollars"):
        Prices("1", "2", output_by_modality={"image": "-1"})


async def cost(provider: ScriptedProvider, **options: Any) -> Usage:
    async with LLMClient(provider=provider, retry=AT_ONCE, **options) as client:
        events = [event async for event in client.stream(QUESTION)]
    usage = events[-1].usage
    assert usage is not None
    if events[-1].message is not None:
        assert events[-1].message.usage == usage
    return usage


@pytest.mark.usefixtures("priced")
async def test_an_answer_says_what_it_cost() -> None:
    usage = await cost(ScriptedProvider(["Hello", Usage(1000, 100)]))
    assert usage.cost == Decimal("0.003")


@pytest.mark.usefixtures("priced")
async def test_a_failed_attempt_is_on_the_bill() -> None:
    failed = [Usage(1000, 0), ErrorInfo("server")]
    usage = await cost(ScriptedProvider(failed, ["Hello", Usage(1000, 100)]))
    assert [attempt.cost for attempt in usage.attempts] == [Decimal("0.002"), Decimal("0.003")]
    assert usage.cost == Decimal("0.005")
    assert (usage.input_tokens, usage.output_tokens) == (1000, 100)


@pytest.mark.usefixtures("priced")
async def test_an_error_says_what_it_cost() -> None:
    usage = await cost(ScriptedProvider(*[[Usage(1000, 0), ErrorInfo("server")]] * 3))
    assert usage.cost == Decimal("0.006")


@pytest.mark.usefixtures("priced")
async def test_a_fallback_is_billed_at_its_own_prices() -> None:
    small = ScriptedProvider(["Hello", Usage(1000, 100)])
    small.traits = ProviderTraits(default_model="small")
    provider = ScriptedProvider([Usage(1000, 0), ErrorInfo("overloaded")])
    once = RetryPolicy(max_attempts=1)
    async with LLMClient(provider=provider, retry=once, fallbacks=[small]) as client:
        answer = await client.complete(QUESTION)
    assert answer.usage is not None
    assert answer.usage.cost == Decimal("0.002") + Decimal("0.0006")


@pytest.mark.usefixtures("priced")
async def test_an_unpriced_attempt_leaves_the_bill_unknown() -> None:
    unpriced = ScriptedProvider(["Hello", Usage(1000, 100)])
    unpriced.traits = ProviderTraits(default_model="unknown")
    failed = ScriptedProvider([Usage(1000), ErrorInfo("server", retryable=False)])
    usage = await cost(failed, fallbacks=[unpriced])
    assert usage.attempts[0].cost == Decimal("0.002")
    assert usage.cost is None


async def test_without_prices_nothing_is_said() -> None:
    usage = await cost(ScriptedProvider(["Hello", Usage(1000, 100)]))
    assert usage.cost is None
    assert "cost" not in usage.to_dict()


@pytest.mark.usefixtures("priced")
async def test_rounds_of_tools_are_on_one_bill() -> None:
    def now() -> str:
        """The time."""
        return "noon"

    call = ToolCall("c1", "now", "{}")
    provider = ScriptedProvider(
        [call, Usage(1000, 100), FinishReason.TOOL_CALLS], ["Noon", Usage(2000, 100)]
    )
    async with LLMClient(provider=provider) as client:
        events = [event async for event in run_tools(client, QUESTION, tools=[now])]
    assert events[-1].type is EventType.MESSAGE_COMPLETE
    assert events[-1].usage is not None
    assert events[-1].usage.cost == Decimal("0.003") + Decimal("0.005")


def test_a_cost_survives_json() -> None:
    usage = Usage(1000, 100, attempts=(Usage(1, 2, cost=Decimal("1E-7")),), cost=Decimal("0.003"))
    said = json.loads(json.dumps(usage.to_dict()))
    assert said["cost"] == "0.003"
    assert said["attempts"][0]["cost"] == "0.0000001"
    assert Usage.from_dict(said) == usage
    event = StreamEvent(EventType.MESSAGE_COMPLETE, usage=usage)
    assert StreamEvent.from_dict(json.loads(json.dumps(event.to_dict()))).usage == usage


TOLD = {
    "xAI": ({"cost_in_usd_ticks": 37_756_000}, "0.0037756"),
    "Azure's xAI": ({"cost_in_usd_ticks": 0}, None),
    "OpenRouter": ({"cost": 7.159e-05, "cost_details": {}}, "0.00007159"),
    "OpenRouter, free": ({"cost": 0, "cost_details": None}, "0"),
    "OpenRouter, a key of one's own": (
        {"cost": 0.01, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.2}},
        "0.21",
    ),
    "OpenRouter, a key of one's own and no word of the other bill": (
        {"cost": 0.01, "is_byok": True, "cost_details": {"upstream_inference_cost": None}},
        None,
    ),
    "Perplexity": ({"cost": {"input_tokens_cost": 0.00001, "total_cost": 0.00501}}, "0.00501"),
    "Venice": ({"cost": {"diem": 0, "usd": 0.0005813}}, "0.0005813"),
    "a number in who knows which money": ({"cost": 3.5}, None),
    "no number": ({"cost": "much", "cost_details": {}}, None),
    "less than nothing": ({"cost": -1, "cost_details": {}}, None),
    "yes": ({"cost": True, "cost_details": {}}, None),
}


@pytest.mark.parametrize("name", TOLD)
async def test_a_cost_that_the_vendor_tells_is_the_cost(name: str) -> None:
    said, dollars = TOLD[name]
    usage = {"prompt_tokens": 10, "completion_tokens": 5, **said}
    chunks = [
        {"choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": "stop"}]},
        {"choices": [], "usage": usage},
    ]
    stream = b"".join(b"data: %b\n\n" % json.dumps(chunk).encode() for chunk in chunks)
    decoder = FORMATS["openai-chat"].make_decoder()
    events = [*decoder.feed(stream + b"data: [DONE]\n\n"), *decoder.finish()]
    assert events[-1].usage is not None
    assert events[-1].usage.cost == (None if dollars is None else Decimal(dollars))


# --- the list ------------------------------------------------------------------------------------------------------

OPENAI = "https://api.openai.com/v1"


def test_the_list_knows_models_by_their_address() -> None:
    pytest.importorskip("genai_prices")
    facts = catalogue.lookup("openai:gpt-5-mini")
    assert facts is not None
    assert facts.context == 400_000
    assert isinstance(facts.prices, ListedPrices)
    assert repr(facts.prices) == "ListedPrices(openai:gpt-5-mini)"
    # 0.25 dollars in, 2 out, 0.025 for cached reads
    assert facts.prices.cost(Usage(1000, 100, cache_read_tokens=400)) == Decimal("0.00036")
    assert listed_prices(OPENAI, "gpt-5-mini-2025-08-07") is not None
    assert listed_prices("https://models.example/v1", "gpt-5-mini") is None
    assert catalogue.lookup("openai:a-model-of-mine") is None


def test_the_list_knows_prices_by_modality() -> None:
    """Of one picture: 1,290 tokens at 30 dollars a million, not at 2.5. Of a sound: 1 dollar, cached 0.1."""
    pytest.importorskip("genai_prices")
    google = "https://generativelanguage.googleapis.com"
    painter = listed_prices(google, "gemini-2.5-flash-image")
    assert painter is not None
    picture = Usage(1000, 1290, output_by_modality={"image": 1290})
    assert painter.cost(picture) == Decimal("0.0390")
    assert painter.cost(Usage(1000, 1290)) == Decimal("0.003525")
    listener = listed_prices(google, "gemini-2.5-flash")
    assert listener is not None
    sound = Usage(
        1000,
        100,
        cache_read_tokens=200,
        input_by_modality={"text": 300, "audio": 700},
        cache_read_by_modality={"text": 50, "audio": 150},
    )
    assert listener.cost(sound) == Decimal("0.0008915")


def test_what_is_priced_otherwise_than_by_tokens_has_no_cost() -> None:
    pytest.importorskip("genai_prices")
    prices = listed_prices(OPENAI, "whisper-1")
    assert prices is not None
    assert prices.cost(Usage(1000, 100)) is None


def test_your_facts_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("genai_prices")
    monkeypatch.setattr(catalogue, "_registered", {})
    mine = Prices("1", "1")
    catalogue.register("openai:gpt-5-mini", ModelFacts(prices=mine, inputs=frozenset({"image"})))
    facts = catalogue.lookup("openai:gpt-5-mini")
    seen = frozenset({"image"})
    assert facts == ModelFacts(context=400_000, inputs=seen, reasoning=True, prices=mine)


def test_names_and_facts_that_are_wrong() -> None:
    with pytest.raises(ValueError, match="such as 'openai:gpt-5'"):
        catalogue.register("gpt-5", ModelFacts())
    with pytest.raises(ValueError, match="context must be tokens"):
        ModelFacts(context=0)
    with pytest.raises(ValueError, match=r"inputs are of audio, .* not \['smell'\]"):
        ModelFacts(inputs=frozenset({"smell"}))
    with pytest.raises(ConfigurationError, match="unknown provider"):
        catalogue.lookup("nobody:gpt-5")
