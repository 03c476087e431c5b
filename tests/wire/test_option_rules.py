"""Options that a model or a host is documented to refuse: left out with a warning; kept where they are taken.

One line for each case of the tables in `llmstream.wire.option_rules` and `llmstream.wire.efforts`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmstream import ConfigurationError, LLMClient
from llmstream.arguments import build_request
from llmstream.options import EFFORTS, LEFT_TO_HOST
from llmstream.providers.compatible import VENDORS
from llmstream.testing import FaultServer
from llmstream.wire.anthropic_messages import request as anthropic
from llmstream.wire.efforts import TABLE, fit_effort
from llmstream.wire.openai_chat import request as chat
from llmstream.wire.openai_responses import request as responses
from llmstream.wire.option_rules import ALL_RULES
from llmstream.wire.outbound import Rendered

HI = [{"role": "user", "content": "hi"}]
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
OPENAI = chat.ChatVariant()


def render(format: Any, model: str, variant: Any = None, **options: Any) -> Rendered:
    request = build_request(HI, model, **options)
    made = format.render_request(request, *(() if variant is None else (variant,)))
    assert isinstance(made, Rendered)
    return made


def named(rendered: Rendered) -> list[str]:
    return sorted({warning.partition(":")[0] for warning in rendered.warnings})


# --- sampling -------------------------------------------------------------------------------------------------

NEVER = [
    "o1",
    "o3-mini",
    "openai/o4-mini-2025-04-16",
    "ft:o4-mini-2025-04-16:me::1",
    "gpt-5",
    "gpt-5-mini",
    "gpt-5-nano-2025-08-07",
    "gpt-5-pro",
    "gpt-5-codex",
    "gpt-5.1-chat-latest",
    "gpt-5.3-chat-latest",
    "gpt-6-astra",
    "gpt-6.1-sol",
]
UNLESS_EFFORT = ["gpt-5.1", "openai/gpt-5.2", "gpt-5.3", "gpt-5.4-mini"]
ONLY_NONE = ["gpt-5.5", "gpt-5.6", "gpt-6-sol", "gpt-6-luna", "gpt-6.1-terra"]
ALWAYS = [
    "gpt-5-chat-latest",
    "gpt-4o",
    "gpt-4.1-mini",
    "openai/gpt-oss-120b",
    "grok-4",
    "qwen3-32b",
]


@pytest.mark.parametrize("format", [chat, responses], ids=["chat", "responses"])
@pytest.mark.parametrize(
    ("models", "efforts"),
    [
        (NEVER, {}),
        (UNLESS_EFFORT, {None, "none"}),
        (ONLY_NONE, {"none"}),
        (ALWAYS, {None, "low"}),
    ],
    ids=["never", "unless an effort", "only with none", "always"],
)
def test_openai_gets_sampling_options_only_where_the_model_takes_them(format, models, efforts):
    for model in models:
        for effort in (None, "none", "low"):
            if models is ALWAYS and effort == "none":
                continue  # some of them lack the word
            made = render(format, model, temperature=0.5, top_p=0.9, reasoning_effort=effort)
            kept = {"temperature", "top_p"} & made.body.keys()
            taken = effort in efforts
            assert kept == ({"temperature", "top_p"} if taken else set()), (model, effort)
            assert {"temperature", "top_p"} - kept <= set(named(made))


@pytest.mark.parametrize("model", ["o3", "gpt-5-mini"])
def test_penalties_are_left_out_where_the_model_takes_none(model):
    made = render(chat, model, frequency_penalty=0.5, presence_penalty=0.5)
    assert named(made) == ["frequency_penalty", "presence_penalty"]
    assert not {"frequency_penalty", "presence_penalty"} & made.body.keys()


@pytest.mark.parametrize(
    ("host", "model", "options", "kept"),
    [
        ("moonshot", "kimi-k2.5", {"temperature": 0.6}, False),
        ("moonshot", "kimi-k2.5", {"temperature": 1}, True),
        ("moonshot", "kimi-k3", {"temperature": 1.0}, True),
        ("moonshot", "kimi-k3", {"top_p": 0.5}, False),
        ("moonshot", "kimi-k2-0905-preview", {"temperature": 0.6}, True),
        ("moonshot", "moonshot-v1-8k", {"temperature": 0.3}, True),
        ("vllm", "moonshotai/kimi-k2.5", {"temperature": 0.6}, True),
        ("deepseek", "deepseek-v4-flash", {"temperature": 0.6}, False),
        ("deepseek", "deepseek-v4-flash", {"presence_penalty": 1}, False),
        ("deepseek", "deepseek-v4-flash", {"temperature": 0.6, "reasoning_effort": "none"}, True),
        ("deepseek", "deepseek-chat", {"temperature": 0.6}, True),
        ("together", "deepseek-ai/deepseek-v4", {"temperature": 0.6}, True),
    ],
)
def test_hosts_that_fix_or_ignore_an_option_don_t_get_it(host, model, options, kept):
    made = render(chat, model, VENDORS[host].variant, **options)
    name = next(iter(options))
    assert (name in made.body) is kept
    assert (name in named(made)) is not kept


def test_what_the_caller_writes_into_provider_options_goes_out():
    own = {"openai": {"temperature": 0.5, "tool_choice": "auto", "metadata": {"a": "b"}}}
    made = render(chat, "gpt-5", provider_options=own)
    assert made.warnings == []
    assert made.body.items() >= own["openai"].items()


# --- tools ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", [chat, responses, anthropic])
@pytest.mark.parametrize("choice", ["auto", "none", "required"])
def test_a_choice_without_tools_is_left_out(format, choice):
    made = render(format, "m", tool_choice=choice, parallel_tool_calls=False)
    assert not {"tool_choice", "parallel_tool_calls"} & made.body.keys()
    assert "tool_choice" in named(made)


@pytest.mark.parametrize("format", [chat, responses, anthropic])
@pytest.mark.parametrize("parallel", [True, False])
def test_whether_calls_are_parallel_is_left_out_without_tools(format, parallel):
    made = render(format, "m", parallel_tool_calls=parallel)
    assert not {"tool_choice", "parallel_tool_calls"} & made.body.keys()
    assert named(made) == ["parallel_tool_calls"]


@pytest.mark.parametrize("format", [chat, responses, anthropic])
def test_a_choice_beside_tools_of_the_caller_s_own_stays(format):
    name = {chat: "openai", responses: "openai-responses", anthropic: "anthropic"}[format]
    own = {name: {"tools": [{"type": "web_search", "name": "web_search"}]}}
    made = render(format, "m", tool_choice="auto", provider_options=own)
    assert "tool_choice" in made.body
    assert made.warnings == []


@pytest.mark.parametrize(
    ("host", "model", "options", "kept"),
    [
        ("deepseek", "deepseek-v4-flash", {}, False),
        ("deepseek", "deepseek-v4-flash", {"reasoning_effort": "high"}, False),
        ("deepseek", "deepseek-v4-flash", {"reasoning_effort": "none"}, True),
        ("deepseek", "deepseek-chat", {}, True),
        ("alibaba", "qwen3-max", {}, True),
        ("alibaba", "qwen3-max", {"reasoning_effort": "high"}, False),
        ("alibaba", "qwen3.5-plus", {}, False),
        ("alibaba", "qwen3.5-plus", {"reasoning_effort": "none"}, True),
        ("alibaba", "qwen3-235b-a22b-thinking-2507", {}, False),
        ("alibaba", "qwen3-235b-a22b-instruct-2507", {}, True),
        ("moonshot", "kimi-k2.5", {}, False),
        ("moonshot", "kimi-k3", {"reasoning_effort": "high"}, False),
        ("cerebras", "gpt-oss-120b", {}, False),
        ("vllm", "deepseek-v4", {}, True),
    ],
)
@pytest.mark.parametrize(
    "choice", ["required", {"type": "function", "function": {"name": "f"}}], ids=["any", "named"]
)
def test_nobody_forces_a_call_of_a_model_that_thinks(host, model, options, kept, choice):
    made = render(chat, model, VENDORS[host].variant, tools=TOOLS, tool_choice=choice, **options)
    assert ("tool_choice" in made.body) is kept
    assert ("tool_choice" in named(made)) is not kept


@pytest.mark.parametrize("format", [chat, responses, anthropic])
@pytest.mark.parametrize("kind", ["web_search_20250305", "web_search", "mcp", "missing"])
def test_a_choice_of_a_tool_that_isn_t_sent_is_left_out(format, kind):
    left_out = [] if kind == "missing" else [{"type": kind, "name": "search"}]
    choice = {"type": "function", "function": {"name": "search"}}
    made = render(format, "m", tools=[*TOOLS, *left_out], tool_choice=choice)
    is_sent = len(made.body["tools"]) > 1
    assert ("tool_choice" in made.body) is is_sent
    assert ("tool_choice" in named(made)) is not is_sent
    made = render(format, "m", tools=[*TOOLS, *left_out], tool_choice=NAMED)
    assert "tool_choice" in made.body


@pytest.mark.parametrize(
    ("model", "options", "kept"),
    [
        ("deepseek-v4-pro", {}, False),
        ("deepseek-v4-pro", {"reasoning_effort": "none"}, True),
        ("kimi-k3", {}, False),
        ("kimi-k2.5", {"reasoning_effort": "none"}, True),
        ("glm-4.7", {}, True),
    ],
)
@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "f"}}])
def test_so_it_is_in_anthropic_s_format(model, options, kept, choice):
    made = render(anthropic, model, tools=TOOLS, tool_choice=choice, **options)
    assert ("tool_choice" in made.body) is kept
    assert ("tool_choice" in named(made)) is not kept


@pytest.mark.parametrize(
    "model", ["claude-4-opus-20250514", "claude-4-sonnet-20250514", "claude-opus-4@20250514"]
)
def test_claude_4_by_its_other_names_thinks_by_a_budget(model):
    made = render(anthropic, model, reasoning_effort="high")
    assert made.body["thinking"] == {"type": "enabled", "budget_tokens": 8192}
    assert "output_config" not in made.body


@pytest.mark.parametrize("model", ["gpt-4o", "openai/gpt-4.1-mini", "gpt-5-chat-latest", "gpt-3.5"])
@pytest.mark.parametrize("format", [chat, responses])
def test_a_model_that_doesn_t_reason_gets_no_effort(format, model):
    made = render(format, model, reasoning_effort="high")
    assert not {"reasoning", "reasoning_effort"} & made.body.keys()
    assert "reasoning_effort" in named(made)
    silent = render(format, model, reasoning_effort="none")
    assert not {"reasoning", "reasoning_effort"} & silent.body.keys()
    assert silent.warnings == []


NAMED = {"type": "function", "function": {"name": "f"}}


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("kimi-k2.5", {"reasoning_effort": "none"}),
        ("kimi-k3", {"reasoning_effort": "none"}),
        ("kimi-k2.6", {"provider_options": {"openai": {"thinking": {"type": "disabled"}}}}),
        ("kimi-k2-0905-preview", {}),
        ("moonshot-v1-8k", {}),
    ],
)
def test_kimi_takes_a_named_tool_while_it_doesn_t_think(model, options):
    host = VENDORS["moonshot"].variant
    made = render(chat, model, host, tools=TOOLS, tool_choice=NAMED, **options)
    assert made.body["tool_choice"] == NAMED
    assert "tool_choice" not in named(made)
    made = render(chat, model, host, tools=TOOLS, tool_choice="required", **options)
    assert "tool_choice" not in made.body
    assert "tool_choice" in named(made)


@pytest.mark.parametrize("choice", ["auto", "none"])
def test_a_choice_that_forces_nothing_stays(choice):
    made = render(
        chat, "deepseek-v4-flash", VENDORS["deepseek"].variant, tools=TOOLS, tool_choice=choice
    )
    assert (made.body["tool_choice"], made.warnings) == (choice, [])


@pytest.mark.parametrize(
    ("model", "options", "thinks"),
    [
        ("claude-sonnet-4-5", {"tool_choice": "required"}, False),
        ("claude-sonnet-4-5", {"tool_choice": "auto"}, True),
        ("claude-opus-4-6", {"tool_choice": "required"}, True),
        ("claude-opus-5-5", {"tool_choice": "required"}, True),
    ],
)
def test_a_claude_with_a_budget_doesn_t_think_when_a_call_is_forced(model, options, thinks):
    made = render(anthropic, model, tools=TOOLS, reasoning_effort="low", **options)
    assert ("thinking" in made.body) is thinks
    assert named(made) == ([] if thinks else ["reasoning_effort"])


@pytest.mark.parametrize(
    ("model", "effort", "sent", "warned"),
    [
        ("gpt-5.4", "high", None, True),
        ("gpt-5.4", None, None, False),
        ("gpt-5.4", "none", "none", False),
        ("gpt-5.6", None, "none", True),
        ("gpt-5.6-sol", "high", "none", True),
        ("gpt-6-luna", "none", "none", False),
        ("gpt-5.2", "high", "high", False),
        ("gpt-4o", None, None, False),
    ],
)
def test_chat_completions_of_openai_call_functions_only_without_reasoning(
    model, effort, sent, warned
):
    made = render(chat, model, tools=TOOLS, reasoning_effort=effort)
    assert made.body.get("reasoning_effort") == sent
    assert named(made) == (["reasoning_effort"] if warned else [])
    assert all("openai-responses:" in warning for warning in made.warnings)
    alone = render(chat, model, reasoning_effort=effort)
    elsewhere = render(
        chat, model, VENDORS["openrouter"].variant, tools=TOOLS, reasoning_effort=effort
    )
    for other in (alone, elsewhere, render(responses, model, tools=TOOLS, reasoning_effort=effort)):
        assert named(other) == []


def test_responses_say_that_a_tool_is_not_strict_unless_it_is():
    strict = [{**TOOLS[0]["function"], "strict": wanted} for wanted in (None, False, True)]
    made = render(responses, "gpt-5", tools=strict)
    assert [tool["strict"] for tool in made.body["tools"]] == [False, False, True]


# --- labels ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["openai", "azure"])
def test_openai_gets_labels_only_beside_store(host):
    variant = replace(OPENAI if host == "openai" else VENDORS[host].variant, name=host)
    alone = render(chat, "m", variant, metadata={"a": "b"})
    assert ("metadata" in alone.body, named(alone)) == (False, ["metadata"])
    own = {host: {"store": True}}
    kept = render(chat, "m", variant, metadata={"a": "b", "user_id": "u"}, provider_options=own)
    assert (kept.body["metadata"], kept.warnings) == ({"a": "b", "user_id": "u"}, [])
    assert render(responses, "gpt-5", metadata={"a": "b"}).body["metadata"] == {"a": "b"}


def test_labels_of_a_client_of_chat_completions_stay_beside_its_store():
    body = {"model": "gpt-4.1", "messages": HI, "metadata": {"a": "b"}, "store": True}
    made = chat.render_request(chat.parse_request(body))
    assert (made.body["metadata"], made.body["store"], made.warnings) == ({"a": "b"}, True, [])


def test_a_user_s_name_goes_where_openai_wants_it():
    made = render(chat, "m", metadata={"user_id": "u", "a": "b"})
    assert made.body["safety_identifier"] == "u"
    assert "metadata" not in made.body
    long = render(chat, "m", metadata={"user_id": "u" * 159})
    assert len(long.body["safety_identifier"]) == 64
    assert "uuu" not in long.body["safety_identifier"] + "".join(long.warnings)


# --- effort ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "model", "effort", "sent"),
    [
        ("openai", "o3", "none", "low"),
        ("openai", "o3", "max", "high"),
        ("openai", "gpt-5", "none", "minimal"),
        ("openai", "gpt-5", "xhigh", "high"),
        ("openai", "gpt-5-pro", "low", "high"),
        ("openai", "gpt-5.1", "minimal", "low"),
        ("openai", "gpt-5.2", "max", "xhigh"),
        ("openai", "gpt-5.6", "max", "max"),
        ("openai", "gpt-5.6", "ultra", "max"),
        ("openai", "gpt-6-sol", "minimal", "low"),
        ("openai", "a-deployment", "max", "max"),
        ("groq", "openai/gpt-oss-120b", "minimal", "low"),
        ("groq", "qwen/qwen3-32b", "default", "default"),
        ("xai", "grok-4.5", "default", None),
        ("xai", "grok-4.5", "xhigh", "high"),
        ("deepseek", "deepseek-v4-flash", "medium", "high"),
        ("deepseek", "deepseek-v4-flash", "xhigh", "high"),
        ("mistral", "magistral-medium-latest", "max", "max"),
        ("vllm", "some-model", "max", "max"),
        ("gemini-compatible", "gemini-3.8-flash", "max", "high"),
        ("openrouter", "some/model", "max", "xhigh"),
    ],
)
def test_an_effort_that_the_model_lacks_becomes_the_nearest(host, model, effort, sent):
    variant = OPENAI if host == "openai" else VENDORS[host].variant
    made = render(chat, model, variant, reasoning_effort=effort)
    found = made.body.get("reasoning_effort", made.body.get("reasoning", {}).get("effort"))
    assert found == sent
    silent = effort == sent or sent is None or host == "deepseek"
    assert named(made) == ([] if silent else ["reasoning_effort"])


@pytest.mark.parametrize(
    ("model", "effort", "sent"),
    [
        ("claude-opus-4-6", "xhigh", "high"),
        ("claude-opus-4-6", "max", "max"),
        ("claude-opus-4-7", "xhigh", "xhigh"),
        ("claude-sonnet-5", "minimal", "low"),
        ("claude-sonnet-5", "ultra", "max"),
    ],
)
def test_a_claude_gets_the_nearest_effort_too(model, effort, sent):
    made = render(anthropic, model, reasoning_effort=effort)
    assert made.body["output_config"] == {"effort": sent}
    assert named(made) == ([] if effort == sent else ["reasoning_effort"])


def test_responses_get_the_nearest_effort_too():
    made = render(responses, "o3", reasoning_effort="xhigh")
    assert (made.body["reasoning"], named(made)) == ({"effort": "high"}, ["reasoning_effort"])


@pytest.mark.parametrize("effort", ["hgih", "", "HIGH", "off", 3])
@pytest.mark.parametrize("host", ["openai", "anthropic", "openai-responses"])
async def test_an_effort_that_nobody_knows_raises_before_any_network(host, effort):
    async with (
        FaultServer() as server,
        LLMClient(f"{host}:m", api_key="k", base_url=server.url(host)) as client,
    ):
        with pytest.raises((ValueError, TypeError), match="reasoning_effort must be one of 'none'"):
            await client.complete(HI, reasoning_effort=effort)
    assert server.requests == []


@given(
    st.sampled_from(EFFORTS),
    st.lists(st.sampled_from(EFFORTS), min_size=2, unique=True).map(tuple),
)
def test_a_model_that_should_think_is_never_told_not_to(effort, known):
    warnings: list[str] = []
    sent = fit_effort(effort, known, "m", warnings)
    assert sent in known
    assert (sent == "none") == (effort == "none" and "none" in known)
    assert bool(warnings) == (sent != effort)
    assert fit_effort(LEFT_TO_HOST, known, "m", warnings) is None


def test_each_rule_says_where_it_is_from():
    for rule in (*ALL_RULES, *TABLE):
        assert len(rule.source) > 10
        assert rule.whom


# --- under `strict` -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("provider", "model", "options", "name"),
    [
        ("openai", "gpt-5", {"temperature": 0.5}, "temperature"),
        ("openai-responses", "gpt-5", {"temperature": 0.5}, "temperature"),
        ("openai", "o3", {"reasoning_effort": "max"}, "reasoning_effort"),
        ("anthropic", "claude-sonnet-5", {"tool_choice": "required"}, "tool_choice"),
        (
            "deepseek",
            "deepseek-v4-flash",
            {"tools": TOOLS, "tool_choice": "required"},
            "tool_choice",
        ),
        ("moonshot", "kimi-k2.5", {"temperature": 0.6}, "temperature"),
    ],
)
async def test_a_strict_client_raises_instead(provider, model, options, name):
    shape = provider if provider in ("anthropic", "openai-responses") else "openai"
    async with (
        FaultServer() as server,
        LLMClient(
            f"{provider}:{model}", api_key="k", base_url=server.url(shape), strict=True
        ) as client,
    ):
        with pytest.raises(ConfigurationError, match=f"strict: {name}"):
            await client.complete(HI, **options)
    assert server.requests == []
