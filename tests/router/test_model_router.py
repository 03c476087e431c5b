"""ModelRouter: the model that suits, what stands in for it, and conversations that stay."""

from __future__ import annotations

import asyncio

import pytest

from llmstream import (
    ConfigurationError,
    ErrorInfo,
    EventType,
    LLMClient,
    Message,
    RetryPolicy,
    TextPart,
)
from llmstream.messages import File, ImagePart, ToolCall, ToolResult
from llmstream.providers import ProviderTraits, registry
from llmstream.router import Candidate, ModelRouter
from llmstream.testing import ScriptedProvider, VirtualClock
from tests.grammar_check import check_stream
from tests.router.routes import read

HI = [{"role": "user", "content": "hi"}]
TOOL = {
    "type": "function",
    "function": {"name": "f", "parameters": {"type": "object", "properties": {}}},
}
CHEAP = Candidate("one:cheap", cost=0.1, speed=50, tools=False, context=1_000)
FAST = Candidate("two:fast", cost=1, speed=300, images=True, context=10_000)
STRONG = Candidate("one:strong", cost=10, speed=20, images=True, files=True, context=100_000)
ALL = [STRONG, CHEAP, FAST]


@pytest.fixture
def scripts(monkeypatch):
    """Two vendors, `one` and `two`: the attempts that each will make, to be filled in."""
    monkeypatch.setattr(registry, "_registered", dict(registry._registered))
    providers = {}
    for name in ("one", "two"):
        providers[name] = ScriptedProvider()
        providers[name].name = name
        registry.register(name, lambda config: providers[config.name])
    return providers


def play(scripts, **attempts):
    for name, script in attempts.items():
        scripts[name]._attempts += script


def router_of(candidates=ALL, **options):
    client = LLMClient("simulator", retry=RetryPolicy(max_attempts=1), clock=VirtualClock())
    return ModelRouter(client, candidates, **options)


@pytest.fixture
def router(scripts):
    return router_of()


def say(*parts):
    return [Message("user", list(parts))]


# --- choosing -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("messages", "options", "models"),
    [
        (HI, {}, [CHEAP, FAST, STRONG]),
        (HI, {"prefer": "speed"}, [FAST, CHEAP, STRONG]),
        (HI, {"prefer": lambda candidate: len(candidate.model)}, [FAST, CHEAP, STRONG]),
        (HI, {"tools": [TOOL]}, [FAST, STRONG]),
        (say(ImagePart(url="https://example.com/a.png")), {}, [FAST, STRONG]),
        (say(TextPart("x"), File(id="f")), {}, [STRONG]),
        (say(TextPart("x" * 4_000)), {}, [FAST, STRONG]),
        (say(TextPart("字" * 4_000)), {}, [FAST, STRONG]),
        (say(TextPart("字" * 11_000)), {}, [STRONG]),
        (HI, {"max_tokens": 2_000}, [FAST, STRONG]),
        (HI, {"tools": [{**TOOL["function"], "description": "x" * 40_000}]}, [STRONG]),
        (say(ToolResult("c", {"rows": ["x" * 40_000]})), {}, [STRONG]),
        ([Message("assistant", [ToolCall("c", "f", "x" * 40_000)])], {}, [STRONG]),
        (
            say(TextPart("x" * 10**6)),
            {},
            [STRONG],
        ),  # nobody has the room, by estimate: the roomiest is tried
    ],
)
def test_the_best_of_those_that_suit_comes_first(router, messages, options, models):
    assert router.choose(messages, **options) == models


def test_a_schema_needs_a_model_that_takes_one(scripts):
    plain = Candidate("two:plain", schemas=False)
    assert router_of([plain, STRONG]).choose(HI, response_format="json") == [STRONG]


def test_the_order_given_decides_among_equals_and_the_unknown_comes_last(scripts):
    candidates = [
        Candidate("one:a"),
        Candidate("one:b", cost=2),
        Candidate("two:c", cost=2),
        Candidate("two:d"),
    ]
    models = [candidate.model for candidate in router_of(candidates).choose(HI)]
    assert models == ["one:b", "two:c", "one:a", "two:d"]
    assert router_of(candidates, prefer="speed").choose(HI) == candidates


async def test_what_nobody_can_do_is_an_error_before_any_network(scripts):
    play(scripts, one=[["never"]])
    asked = router_of([CHEAP]).chat_completion(
        say(ImagePart(url="https://example.com/a.png")), tools=[TOOL]
    )
    with pytest.raises(
        ConfigurationError, match="no candidate takes tools and images: add one that does"
    ):
        await anext(asked)
    assert not scripts["one"].requests


# --- asking -------------------------------------------------------------------------------------------------


async def test_the_status_says_who_is_asked_and_the_stream_follows(scripts, router):
    play(scripts, one=[["hel", "lo"]])
    first, *rest = events = await read(router.chat_completion(HI, temperature=0.5))
    assert (first.status.kind, first.status.message) == ("routed", "asking one:cheap")
    assert first.status.data == {
        "model": "one:cheap",
        "fallbacks": ["two:fast", "one:strong"],
        "sticky": False,
    }
    assert check_stream(events).message.text == "hello"
    (request,) = scripts["one"].requests
    assert (request.model, request.temperature) == ("cheap", 0.5)
    assert rest[0].start.provider == "one"


async def test_the_others_that_suit_stand_in(scripts, router):
    play(scripts, two=[[ErrorInfo("overloaded")]], one=[["hello"]])
    events = await read(router.chat_completion(HI, tools=[TOOL]))
    assert check_stream(events).message.text == "hello"
    assert [event.retry.model for event in events if event.retry] == ["strong"]


@pytest.mark.parametrize("cost", [1, 100])
@pytest.mark.parametrize(
    ("name", "model"), [("gpt-5-mini", "gpt-5-mini"), ("openai", "its-own"), ("openai/x", "x")]
)
async def test_a_bare_name_means_one_vendor_whether_it_is_the_best_or_stands_in(
    scripts, cost, name, model
):
    """And not the client's own, whose endpoint may not know it."""
    vendor = scripts["openai"] = ScriptedProvider(["hello"])
    vendor.name, vendor.traits = "openai", ProviderTraits(default_model="its-own")
    registry.register("openai", lambda config: vendor)
    play(scripts, one=[[ErrorInfo("overloaded")]])
    events = await read(
        router_of([STRONG, Candidate(name, cost=cost)]).chat_completion(HI, conversation="c")
    )
    assert check_stream(events).message.text == "hello"
    assert [request.model for request in vendor.requests] == [model]
    assert events[0].status.data["model"] == (name if cost < STRONG.cost else "one:strong")


async def test_a_conversation_stays_with_who_answered(scripts, router):
    play(scripts, two=[[ErrorInfo("overloaded")]], one=[["a"], ["b"], ["c"]])
    await read(router.chat_completion(HI, conversation="c1", tools=[TOOL]))
    events = await read(router.chat_completion(HI, conversation="c1"))
    assert events[0].status.data == {
        "model": "one:strong",
        "fallbacks": ["one:cheap", "two:fast"],
        "sticky": True,
    }
    events = await read(router.chat_completion(HI, conversation="c2"))
    assert events[0].status.data["model"] == "one:cheap"


async def test_it_leaves_a_model_that_no_longer_suits(scripts, router):
    play(scripts, one=[["a"]], two=[["b"], ["c"]])
    for options, model in (({}, "one:cheap"), ({"tools": [TOOL]}, "two:fast"), ({}, "two:fast")):
        events = await read(router.chat_completion(HI, conversation=1, **options))
        assert events[0].status.data["model"] == model


async def test_one_that_failed_is_not_remembered(scripts, router):
    play(scripts, one=[[ErrorInfo("invalid_request")]])
    await read(router.chat_completion(HI, conversation="c"))
    assert not router._answered


async def test_only_so_many_conversations_are_remembered(scripts):
    router = router_of(remember=2)
    play(scripts, one=[["a"]] * 4)
    for conversation in ("a", "b", "a", "c"):
        await read(router.chat_completion(HI, conversation=conversation))
    assert list(router._answered) == ["a", "c"]


async def test_closing_closes_the_model_s_stream(scripts, router):
    play(scripts, one=[["a", "b"]])
    events = router.chat_completion(HI)
    while (await anext(events)).type is not EventType.TEXT_DELTA:
        pass
    await events.aclose()
    assert scripts["one"].closed == 1
    assert asyncio.all_tasks() == {asyncio.current_task()}


# --- wrong arguments ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "problem", "told"),
    [
        (
            {"cost": -1},
            ValueError,
            "cost of simulator:a must be a number from 0 on, or None, not -1",
        ),
        ({"speed": float("nan")}, ValueError, "speed of simulator:a must be a number"),
        ({"context": 0}, ValueError, "context of simulator:a must be tokens"),
    ],
)
def test_a_candidate_that_cannot_be_is_refused(values, problem, told):
    with pytest.raises(problem, match=told):
        Candidate(**{"model": "simulator:a", **values})


@pytest.mark.parametrize(
    ("candidates", "options", "problem", "told"),
    [
        ([], {}, ConfigurationError, "one model or more, each once"),
        ([FAST, Candidate("two:fast")], {}, ConfigurationError, "one model or more, each once"),
        ([Candidate("nobody:m")], {}, ConfigurationError, "unknown provider 'nobody'"),
        ([Candidate("")], {}, ConfigurationError, "model must be a string"),
        (["openai:gpt-5-mini"], {}, TypeError, "candidates must be a list such as"),
        (ALL, {"prefer": "quality"}, ValueError, "prefer must be cost or speed, or a function"),
        (ALL, {"remember": 0}, ValueError, "remember must be 1 or more"),
    ],
)
def test_a_router_that_cannot_be_is_refused(scripts, candidates, options, problem, told):
    with pytest.raises(problem, match=told):
        router_of(candidates, **options)


@pytest.mark.parametrize("own", [{"model": "one:cheap"}, {"fallbacks": []}, {"stream": False}])
async def test_what_is_chosen_here_cannot_be_given(router, own):
    with pytest.raises(TypeError, match="chosen here; leave it out"):
        await anext(router.chat_completion(HI, **own))


async def test_wrong_messages_raise_at_the_first_step(router):
    with pytest.raises(TypeError, match="messages must be a list"):
        await anext(router.chat_completion("hi"))
