"""The catalogue's facts, and everybody who goes by them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llmstream import (
    ErrorInfo,
    File,
    ImagePart,
    LLMClient,
    Message,
    TextPart,
    catalogue,
)
from llmstream.catalogue import ModelFacts
from llmstream.conversations import ContextPolicy, ConversationClient
from llmstream.messages import ToolResult
from llmstream.pricing import Prices
from llmstream.providers import ProviderTraits, SchemaSupport
from llmstream.router import Candidate, ModelRouter
from llmstream.testing import ScriptedProvider, VirtualClock
from llmstream.web import create_app
from tests.conversations.talk import begin
from tests.web.serving import fetch, serving

HI = [{"role": "user", "content": "hi"}]
IMAGE = ImagePart(url="https://example.com/a.png")
TOOL = {"name": "look", "parameters": {"type": "object", "properties": {}}}


@pytest.fixture(autouse=True)
def _nothing_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "_registered", {})


def say(*parts: Any) -> list[Message]:
    return [Message("user", [TextPart("What is it?"), *parts])]


async def warnings(messages: Any = HI, **options: Any) -> tuple[str, ...]:
    client = LLMClient(provider=ScriptedProvider(["Hello"], ["Hello"]))
    (whole,) = [event async for event in client.chat_completion(messages, False, **options)]
    started = [
        event.start.warnings
        async for event in client.chat_completion(messages, **options)
        if event.type == "message_start"
    ]
    assert started == [whole.start.warnings]
    return started[0]


# --- facts ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "reasons"),
    [
        ("openai:gpt-5-mini", True),
        ("openai:o3", True),
        ("openai:gpt-4o", False),
        ("openrouter:openai/gpt-4o", False),
        ("anthropic:claude-opus-4-8", True),
        ("anthropic:claude-3-5-haiku-latest", None),
        ("groq:llama-3.3-70b", None),
        ("simulator:m", None),
    ],
)
def test_the_table_of_efforts_tells_who_reasons(model: str, reasons: Any) -> None:
    facts = catalogue.lookup(model) or ModelFacts()
    assert facts.reasoning is reasons
    catalogue.register(model, ModelFacts(reasoning=False))
    assert catalogue.lookup(model).reasoning is False


def test_traits_tell_of_schemas_as_far_as_a_vendor_s_do() -> None:
    for native, vendor, format, known in (
        (True, True, "openai-chat", True),
        (False, True, "openai-chat", False),
        (True, False, "openai-chat", True),
        (False, False, "openai-chat", None),
        (False, True, None, None),
    ):
        provider = ScriptedProvider()
        support = SchemaSupport(native=native)
        provider.traits = ProviderTraits(format=format, is_vendor=vendor, schemas=support)
        facts = catalogue.facts_of(provider, "m") or ModelFacts()
        assert facts.schemas is known


async def test_the_list_is_read_once_and_beside_the_loop() -> None:
    await catalogue.list_read()
    await catalogue.list_read()


# --- warnings -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "request_", "names"),
    [
        ({"inputs": frozenset()}, {"messages": say(IMAGE)}, ["image"]),
        ({"inputs": frozenset({"image"})}, {"messages": say(IMAGE)}, []),
        ({"inputs": None}, {"messages": say(IMAGE)}, []),
        ({"inputs": frozenset()}, {"messages": say(File(data=b"%PDF-1.4"))}, ["file"]),
        ({"inputs": frozenset()}, {"messages": say(File(id="file-1"))}, ["file"]),
        (
            {"inputs": frozenset({"file"})},
            {"messages": say(File(data=b"RIFF", media_type="audio/wav"), IMAGE)},
            ["audio", "image"],
        ),
        ({"inputs": frozenset()}, {"messages": say(File(data=b"a", media_type="text/csv"))}, []),
        ({"tools": False}, {"tools": [TOOL]}, ["tools"]),
        ({"tools": True}, {"tools": [TOOL]}, []),
        ({"tools": False}, {}, []),
        ({"schemas": False}, {"response_format": "json"}, ["response_format"]),
        ({"reasoning": False}, {"reasoning_effort": "high"}, ["reasoning_effort"]),
        ({"reasoning": False}, {"reasoning_effort": "none"}, []),
        ({"max_output": 100}, {"max_tokens": 101}, ["max_tokens"]),
        ({"max_output": 100}, {"max_tokens": 100}, []),
        ({"max_output": 100}, {}, []),
    ],
)
async def test_what_a_model_doesn_t_take_is_a_warning(
    facts: Any, request_: Any, names: list[str]
) -> None:
    assert await warnings(**request_) == ()
    catalogue.register("scripted:script", ModelFacts(**facts))
    told = await warnings(**request_)
    assert [each.partition(":")[0] for each in told] == names
    assert all("script takes " in each for each in told)
    catalogue.register("scripted:another", ModelFacts(**facts))


async def test_an_image_in_a_tool_s_result_is_one_too() -> None:
    catalogue.register("scripted:script", ModelFacts(inputs=frozenset()))
    call = Message.from_dict(
        {
            "role": "assistant",
            "parts": [{"type": "tool_call", "id": "c", "name": "look", "arguments": "{}"}],
        }
    )
    result = Message("tool", [ToolResult("c", [TextPart("here"), IMAGE])])
    assert [each[:6] for each in await warnings([*say(), call, result], tools=[TOOL])] == ["image:"]


async def test_a_warning_is_of_the_one_who_answers() -> None:
    first = ScriptedProvider([ErrorInfo("quota")])
    first.name = "first"
    catalogue.register("first:script", ModelFacts(inputs=frozenset()))
    client = LLMClient(provider=first, fallbacks=[ScriptedProvider(["Hello"])])
    (whole,) = [event async for event in client.chat_completion(say(IMAGE), False)]
    assert whole.start.warnings == ()


# --- the router -------------------------------------------------------------------------------------------------


def chosen(candidates: list[Candidate], messages: Any = HI, **options: Any) -> list[str]:
    router = ModelRouter(LLMClient("simulator"), candidates)
    return [each.model for each in router.choose(messages, **options)]


def test_a_router_goes_by_the_catalogue_where_a_candidate_says_nothing() -> None:
    seeing = ModelFacts(inputs=frozenset({"image"}), tools=False, context=100)
    catalogue.register("simulator:seeing", seeing)
    catalogue.register("simulator:wide", ModelFacts(context=10_000, schemas=False))
    models = ["simulator:seeing", "simulator:wide", "simulator:unknown"]
    candidates = [*map(Candidate, models)]
    assert chosen(candidates) == models
    assert chosen(candidates, say(IMAGE)) == ["simulator:seeing"]
    assert chosen(candidates, tools=[TOOL]) == models[1:]
    assert chosen(candidates, response_format="json") == [models[0], models[2]]
    assert chosen(candidates, say(TextPart("x" * 4_000))) == models[1:]
    own = Candidate("simulator:seeing", tools=True, images=False, context=10_000)
    assert chosen([own], tools=[TOOL]) == ["simulator:seeing"]
    assert chosen([own, candidates[2]], say(TextPart("x" * 4_000)))[0] == "simulator:seeing"


def test_by_cost_the_catalogue_s_prices_count_where_no_candidate_has_one() -> None:
    catalogue.register("simulator:dear", ModelFacts(prices=Prices("5", "25")))
    catalogue.register("simulator:cheap", ModelFacts(prices=Prices("1", "2")))
    models = ["simulator:unknown", "simulator:dear", "simulator:cheap"]
    assert chosen([*map(Candidate, models)]) == [*reversed(models)]
    mine = [Candidate("simulator:unknown", cost=3), *map(Candidate, models[1:])]
    assert chosen(mine) == models


def test_a_function_of_a_candidate_is_given_the_facts() -> None:
    catalogue.register("simulator:a", ModelFacts(context=100_000, prices=Prices("1", "5")))
    seen: list[Candidate] = []

    def prefer(candidate: Candidate) -> float:
        seen.append(candidate)
        return 0

    given = [Candidate("simulator:a")]
    assert ModelRouter(LLMClient("simulator"), given, prefer=prefer).choose(HI) == given
    assert (seen[0].context, seen[0].cost) == (100_000, 2.0)


# --- conversations ----------------------------------------------------------------------------------------------


async def sent(
    facts: ModelFacts | None, *, policy: ContextPolicy | None = None, **options: Any
) -> list[int]:
    """The number of messages that each of four turns sends."""
    if facts is not None:
        catalogue.register("scripted:script", facts)
    settings: dict[str, Any] = {} if policy is None else {"policy": policy}
    if "tools" in options:
        settings["tools"] = options.pop("tools")
    provider = ScriptedProvider(*[["word " * 20]] * 4)
    client = LLMClient(provider=provider, clock=VirtualClock())
    async with client, ConversationClient(client, **settings) as conversations:
        conversation = await begin(conversations)
        for number in range(4):
            await conversation.chat(f"question {number} " + "word " * 20, **options)
    return [len(request.messages) for request in provider.requests]


def look(place: str) -> str:
    """Look at a place, and say what is there, in a few words that anybody understands."""
    return place


async def test_a_conversation_sends_what_the_model_is_known_to_take() -> None:
    assert await sent(None) == [1, 3, 5, 7]
    assert await sent(ModelFacts(context=100_000)) == [1, 3, 5, 7]
    small = ModelFacts(context=120)
    assert await sent(small) == [1, 3, 3, 3]
    assert await sent(small, max_tokens=90) == [1, 1, 1, 1]
    assert await sent(small, tools=[look]) == [1, 1, 1, 1]


async def test_a_turn_that_may_be_too_long_is_sent_for_the_estimate_may_be_wrong() -> None:
    assert await sent(ModelFacts(context=5)) == [1, 1, 1, 1]


async def test_a_budget_of_your_own_comes_first() -> None:
    assert await sent(ModelFacts(context=5), policy=ContextPolicy(10_000)) == [1, 3, 5, 7]


# --- servers --------------------------------------------------------------------------------------------------


async def test_each_api_of_a_server_tells_what_is_known() -> None:
    facts = ModelFacts(
        context=9_000,
        max_output=400,
        inputs=frozenset({"image"}),
        tools=True,
        schemas=False,
        reasoning=True,
    )
    catalogue.register("simulator:m", facts)
    client = LLMClient("simulator:m")
    models = {"m": "simulator:m", "mine": Candidate("simulator:m", context=5_000, tools=False)}
    async with client, serving(create_app(client, models=models)) as port:
        told = json.loads((await fetch(port, "/v1/models/m"))[2])
        assert (told["context_length"], told["max_input_tokens"]) == (9_000, 9_000)
        assert told["max_tokens"] == 400
        assert told["capabilities"] == {
            "image_input": {"supported": True},
            "pdf_input": {"supported": False},
            "tool_use": {"supported": True},
            "structured_outputs": {"supported": False},
        }
        mine = json.loads((await fetch(port, "/v1/models/mine"))[2])
        assert mine["context_length"] == 5_000
        assert mine["capabilities"]["tool_use"] == {"supported": False}
        assert mine["capabilities"]["image_input"] == {"supported": True}
        google = json.loads((await fetch(port, "/v1beta/models/m"))[2])
        assert (google["inputTokenLimit"], google["outputTokenLimit"]) == (9_000, 400)
        assert google["thinking"] is True
        body = json.dumps({"model": "m"}).encode()
        shown = json.loads((await fetch(port, "/api/show", "POST", body))[2])
        assert shown["capabilities"] == ["completion", "vision", "tools", "thinking"]
        assert shown["model_info"]["llmstream.context_length"] == 9_000
