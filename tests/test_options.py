"""The one list of options: every place is held against it."""

from __future__ import annotations

import inspect
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmstream import ConfigurationError, LLMClient
from llmstream.arguments import build_request
from llmstream.client_arguments import CallOptions
from llmstream.conversations.models import NOT_FOR_A_TURN, ConversationRequest, StreamingChatRequest
from llmstream.messages import ChatRequest
from llmstream.options import BY_NAME, NAMES, OF_THE_CALL, OPTIONS
from llmstream.providers.compatible import VENDORS
from llmstream.testing import FaultServer, ScriptedProvider
from llmstream.web.dialects import AnthropicMessages, OpenAIChat, OpenAIResponses
from llmstream.web.endpoints import NOT_FOR_STRANGERS, ChatBody
from llmstream.wire.anthropic_messages import request as anthropic
from llmstream.wire.bedrock_converse import request as bedrock
from llmstream.wire.cohere_v2 import request as cohere
from llmstream.wire.gemini_interactions import request as interactions
from llmstream.wire.ollama_native import request as ollama
from llmstream.wire.openai_chat import request as chat
from llmstream.wire.openai_responses import request as responses
from llmstream.wire.pass_through import SAMPLING
from llmstream.wire.refused_options import NESTED, OPTIONAL
from tests import options_page
from tests.loopback import APIS
from tests.option_values import GIVEN, PLAIN, READ

HI = [{"role": "user", "content": "hi"}]


def names_of(function: Any) -> tuple[str, ...]:
    kinds = inspect.signature(function).parameters.values()
    return tuple(each.name for each in kinds if each.kind is inspect.Parameter.KEYWORD_ONLY)


# --- each place has each option, in the list's order ---------------------------------------------------------


def test_the_signature_has_each_option_in_order():
    assert names_of(LLMClient.chat_completion) == ("model", *NAMES, *OF_THE_CALL)


def test_the_typed_dict_has_each_option_with_the_types_of_the_signature():
    """A checker sees the same for `stream(…)` and `complete(…)` as for `chat_completion(…)`."""
    assert tuple(CallOptions.__annotations__) == ("model", *NAMES, *OF_THE_CALL)
    signature = inspect.signature(LLMClient.chat_completion).parameters
    typed = {name: str(kind) for name, kind in inspect.get_annotations(CallOptions).items()}
    for name, kind in typed.items():
        assert signature[name].annotation in kind
        assert signature[name].default is None


def test_the_request_has_each_option_in_order():
    own = [each.name for each in fields(ChatRequest)]
    assert tuple(name for name in own if name in NAMES) == NAMES
    assert set(own) - set(NAMES) == {"messages", "model", "format_options", "checked"}


def test_a_request_without_options_leaves_all_of_them_to_the_provider():
    request = build_request(HI, "m")
    assert all(getattr(request, name) in (None, [], {}) for name in NAMES)


def test_there_is_a_value_here_for_each_option():
    """Else the tests below would pass over a new one."""
    assert tuple(GIVEN) == NAMES == tuple(READ)


@pytest.mark.parametrize("name", NAMES)
def test_each_option_is_read(name):
    assert getattr(build_request(HI, "m", **{name: GIVEN[name]}), name) == READ[name]


@pytest.mark.parametrize("name", NAMES)
async def test_each_option_reaches_the_provider(name):
    """From the signature, over `complete` too."""
    provider = ScriptedProvider(["a"], ["b"])
    client = LLMClient(provider=provider)
    await client.complete(HI, **{name: GIVEN[name]})
    async for _ in client.chat_completion(HI, **{name: GIVEN[name]}):
        pass
    assert [getattr(request, name) for request in provider.requests] == [READ[name]] * 2


@pytest.mark.parametrize(
    "format",
    [chat, responses, anthropic, bedrock, ollama, cohere, interactions],
    ids=["chat", "responses", "anthropic", "bedrock", "ollama", "cohere", "interactions"],
)
@pytest.mark.parametrize("name", [name for name in NAMES if name != "provider_options"])
def test_each_format_renders_each_option_or_says_that_it_dropped_it(format, name):
    """Never silently: the body differs, or a warning names the option."""
    tools = GIVEN["tools"] if name in ("tool_choice", "parallel_tool_calls") else None
    before = format.render_request(build_request(HI, "claude-opus-4-6", tools=tools))
    options = {"tools": tools, name: GIVEN[name]} if tools else {name: GIVEN[name]}
    after = format.render_request(build_request(HI, "claude-opus-4-6", **options))
    warned = [warning for warning in after.warnings if warning.startswith(f"{name}:")]
    # Chat's user_id has a field of its own, Cohere has bounds and a switch: both are said.
    both_are_said = {
        (chat, "metadata"),
        (cohere, "presence_penalty"),
        (cohere, "reasoning_effort"),
        (interactions, "tools"),  # without their strictness
    }
    moved = (format, name) in both_are_said
    assert (after.body != before.body) != (bool(warned) and not moved)


@pytest.mark.parametrize(
    "format",
    [chat, responses, anthropic, bedrock, ollama, cohere, interactions],
    ids=["chat", "responses", "anthropic", "bedrock", "ollama", "cohere", "interactions"],
)
@pytest.mark.parametrize("name", [name for name in NAMES if name != "provider_options"])
def test_each_format_reads_back_what_it_renders(format, name):
    tools = GIVEN["tools"] if name == "tool_choice" else None
    options = {"tools": tools, name: GIVEN[name]} if tools else {name: GIVEN[name]}
    asked = build_request(HI, "claude-opus-4-6", **options)
    rendered = format.render_request(asked)
    if not rendered.warnings and name != "parallel_tool_calls":
        wanted = getattr(asked, name)
        if format in (ollama, cohere) and name == "tools":
            wanted = [
                replace(tool, strict=None) for tool in wanted
            ]  # none says that it isn't strict
        if (format, name) == (interactions, "service_tier"):
            wanted = "default"  # "standard" is Google's word for both
        assert getattr(format.parse_request(rendered.body), name) == wanted


def test_a_turn_of_a_conversation_takes_the_options_that_are_its_own():
    taken = set(StreamingChatRequest.model_fields)
    assert taken >= set(NAMES) - NOT_FOR_A_TURN
    assert not taken & NOT_FOR_A_TURN
    asked = {name: value for name, value in PLAIN.items() if name not in NOT_FOR_A_TURN}
    assert ConversationRequest(query="hi", **asked).options() == asked


def test_the_chat_endpoint_takes_the_options_that_strangers_may_set():
    taken = set(ChatBody.model_fields)
    assert taken >= set(NAMES) - NOT_FOR_STRANGERS
    assert not taken & NOT_FOR_STRANGERS


def test_the_dialects_read_each_option_of_their_format():
    """An option that the format has reaches the ChatRequest, and not as one that nobody has a name for."""
    for dialect, format in (
        (OpenAIChat(), chat),
        (OpenAIResponses(), responses),
        (AnthropicMessages(), anthropic),
    ):
        for name in NAMES:
            if name in ("provider_options", "parallel_tool_calls"):
                continue
            tools = {"tools": GIVEN["tools"]} if name == "tool_choice" else {}
            asked = build_request(HI, "claude-opus-4-6", **tools, **{name: GIVEN[name]})
            rendered = format.render_request(asked)
            if rendered.warnings:
                continue
            request = dialect.parse({**rendered.body, "stream": True}).request
            assert getattr(request, name) == getattr(asked, name), (dialect, name)
            assert request.provider_options == request.format_options == {}


def test_what_may_be_left_out_of_a_refused_request_follows_from_the_list():
    droppable = {option.name for option in OPTIONS if option.droppable}
    not_ours = {"stream_options", "reasoning", "think", "p", "k"}
    assert droppable | not_ours | SAMPLING == OPTIONAL
    assert {place.option for place in NESTED.values()} <= droppable


def test_the_page_is_up_to_date():
    page = options_page.PATH.read_text("utf-8")
    assert page == options_page.render(), "run: python tests/options_page.py"


# --- values ---------------------------------------------------------------------------------------------------


@given(
    st.sampled_from(OPTIONS), st.none() | st.booleans() | st.integers() | st.floats() | st.text()
)
def test_a_plain_value_is_taken_as_it_is_or_refused_by_its_name(option, value):
    if option.kind == "shape":
        return
    try:
        assert option.check(value) is value
    except (TypeError, ValueError) as problem:
        told = str(problem)
        assert told.startswith(
            f"{option.name} must be {option.wanted}, not "
        )  # either type is right
        return
    if isinstance(value, bool):
        assert option.kind == "flag"
    elif isinstance(value, int | float):
        assert value >= option.low
        assert abs(value) != float("inf")
        assert value <= option.high


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("top_k", -2),
        ("top_k", 1.5),
        ("top_k", True),
        ("frequency_penalty", 2.1),
        ("frequency_penalty", "much"),
        ("presence_penalty", float("nan")),
        ("verbosity", 3),
        ("service_tier", ["flex"]),
    ],
)
async def test_a_wrong_value_raises_before_any_network(name, value):
    async with FaultServer() as server:
        async with LLMClient("openai:m", api_key="k", base_url=server.url("openai")) as client:
            with pytest.raises(
                (TypeError, ValueError), match=f"{name} must be {BY_NAME[name].wanted}"
            ):
                await client.complete(HI, **{name: value})
        assert server.requests == []


def test_an_option_that_nobody_knows_is_named():
    with pytest.raises(
        TypeError, match="there is no option 'tempreature'; did you mean 'temperature'"
    ):
        build_request(HI, "m", tempreature=1)


# --- the vendors' own names and bounds ------------------------------------------------------------------------


NEW = {
    "top_k": 40,
    "frequency_penalty": 0.5,
    "presence_penalty": -0.5,
    "verbosity": "low",
    "service_tier": "default",
}


def named(warnings: list[str]) -> list[str]:
    """The options that warnings name."""
    return sorted(warning.partition(":")[0] for warning in warnings)


@pytest.mark.parametrize(
    "variant", [chat.ChatVariant(), VENDORS["azure"].variant], ids=["openai", "azure"]
)
def test_openai_and_azure_know_no_top_k(variant):
    rendered = chat.render_request(build_request(HI, "m", **NEW), variant)
    assert {name: rendered.body.get(name) for name in NEW} == {**NEW, "top_k": None}
    assert named(rendered.warnings) == ["top_k"]


@pytest.mark.parametrize(
    ("provider", "sent", "dropped"),
    [
        ("openai", NEW, []),  # a server of one's own that speaks the format
        ("vllm", NEW, []),
        ("groq", {**NEW, "service_tier": "on_demand"}, []),
        ("cohere-compatible", {**NEW, "presence_penalty": 0}, ["presence_penalty"]),
        (
            "cohere",
            {"k": 40, "frequency_penalty": 0.5, "presence_penalty": 0},
            ["presence_penalty", "service_tier", "verbosity"],
        ),
        (
            "ollama-compatible",
            {**NEW, "top_k": None, "verbosity": None, "service_tier": None},
            ["service_tier", "top_k", "verbosity"],
        ),
        (
            "ollama",
            {"options": {"top_k": 40, "frequency_penalty": 0.5, "presence_penalty": -0.5}},
            ["service_tier", "verbosity"],
        ),
        (
            "cerebras",
            {**NEW, "frequency_penalty": None, "presence_penalty": None},
            ["frequency_penalty", "presence_penalty"],
        ),
        (
            "openai-responses",
            {"text": {"verbosity": "low"}, "service_tier": "default"},
            ["frequency_penalty", "presence_penalty", "top_k"],
        ),
        (
            "gemini-interactions",
            {"service_tier": "standard"},
            ["frequency_penalty", "presence_penalty", "top_k", "verbosity"],
        ),
        (
            "anthropic",
            {"top_k": 40, "service_tier": "standard_only"},
            ["frequency_penalty", "presence_penalty", "verbosity"],
        ),
    ],
)
@pytest.mark.parametrize("transport", ["httpx2", "aiohttp"])
async def test_each_vendor_gets_its_own_words_and_the_start_names_the_rest(
    provider, sent, dropped, transport
):
    shape = provider if provider in APIS else "openai"
    async with FaultServer() as server:
        model, url = f"{provider}:claude-opus-4-6", server.url(shape)
        async with LLMClient(model, api_key="k", base_url=url, transport=transport) as client:
            (last,) = [each async for each in client.chat_completion(HI, stream=False, **NEW)]
        body = server.requests[-1].body
    assert {name: body.get(name) for name in sent} == sent
    assert not (NEW.keys() - sent.keys()) & body.keys()
    assert named(last.start.warnings) == dropped


@pytest.mark.parametrize(
    "provider", ["ollama-compatible", "ollama", "openai-responses", "anthropic"]
)
async def test_a_strict_client_raises_where_an_option_would_be_dropped(provider):
    shape = provider if provider in APIS else "openai"
    async with FaultServer() as server:
        client = LLMClient(
            f"{provider}:claude-opus-4-6", api_key="k", base_url=server.url(shape), strict=True
        )
        async with client:
            with pytest.raises(ConfigurationError, match=r"verbosity|top_k"):
                await client.complete(HI, top_k=0, verbosity="low", frequency_penalty=1)
        assert server.requests == []


@pytest.mark.parametrize(
    ("tier", "openai", "claude", "groq"),
    [
        ("auto", "auto", "auto", "auto"),
        ("default", "default", "standard_only", "on_demand"),
        ("standard_only", "default", "standard_only", "on_demand"),
        ("flex", "flex", None, "flex"),
        ("priority", "priority", None, "performance"),
        ("performance", None, None, "performance"),
        ("turbo", None, None, None),
    ],
)
def test_a_service_tier_goes_out_in_the_hosts_own_word(tier, openai, claude, groq):
    request = build_request(HI, "m", service_tier=tier)
    found = [
        chat.render_request(request),
        responses.render_request(request),
        anthropic.render_request(request),
        chat.render_request(request, VENDORS["groq"].variant),
    ]
    assert [each.body.get("service_tier") for each in found] == [openai, openai, claude, groq]
    for each in found:
        named = [warning for warning in each.warnings if warning.startswith("service_tier:")]
        assert bool(named) == ("service_tier" not in each.body)
    unknown = chat.render_request(request, VENDORS["xai"].variant)
    assert (unknown.body["service_tier"], unknown.warnings) == (tier, [])
