"""Every row of the vendor table against a loopback server that answers in the vendor's recorded dialect.

Where nothing is recorded the server answers in plain chat completions, and the test's name says so.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from llmstream import (
    ConfigurationError,
    EventType,
    LLMClient,
    RetryPolicy,
    StreamEvent,
    Tool,
    Usage,
)
from llmstream.messages import ChatRequest, Message, TextPart, ToolChoice
from llmstream.providers import registry
from llmstream.providers.compatible import VENDORS, CompatibleProvider
from llmstream.providers.config import ProviderConfig
from llmstream.providers.url_checks import check_base_url
from llmstream.wire.openai_chat.request import render_request
from tests.loopback import Handler, Loopback, Reply, Request, answer
from tests.providers import page
from tests.recordings import FOLDER, NO_FOLDER, Recording

RECORDED = {
    "alibaba": "alibaba-chat",
    "azure": "azure-openai-chat",
    "cerebras": "cerebras-chat",
    "cloudflare": "cloudflare-chat",
    "crusoe": "crusoe-chat",
    "databricks": "databricks-chat",
    "deepseek": "deepseek-chat",
    "doubleword": "doubleword-chat",
    "groq": "groq-chat",
    "huggingface": "huggingface-router-chat",
    "llamacpp": "llamacpp-chat",
    "mistral": "mistral-chat",
    "moonshot": "moonshotai-chat",
    "ollama-compatible": "ollama-v1-chat",
    "ollama-cloud": "ollama-cloud-chat",
    "openrouter": "openrouter-chat",
    "perplexity": "perplexity-chat",
    "snowflake": "snowflake-chat",
    "together": "together-chat",
    "venice": "venice-chat",
    "vllm": "vllm-chat",
    "writer": "writer-chat",
    "xai": "xai-chat",
    "zai": "zai-chat",
}
"""Which folder of the recordings holds a vendor's dialect."""

WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}}
REQUEST: dict[str, Any] = {
    "tools": [Tool("weather", WEATHER, "Tell the weather.", strict=True)],
    "tool_choice": "required",
    "parallel_tool_calls": False,
    "response_format": {
        "type": "json_schema",
        "json_schema": {"name": "city", "schema": WEATHER, "strict": True},
    },
    "temperature": 0.5,
    "top_p": 0.9,
    "max_tokens": 64,
    "stop": ["END"],
    "seed": 7,
    "reasoning_effort": "low",
    "metadata": {"run": "1"},
}
MESSAGES = [Message("developer", "Be brief."), {"role": "user", "content": "Oslo?"}]

FUNCTION = {"name": "weather", "description": "Tell the weather.", "parameters": WEATHER}
LOOSE = [{"type": "function", "function": FUNCTION}]
COMMON: dict[str, Any] = {
    "model": "m-1",
    "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Oslo?"}],
    "stream": True,
    "stream_options": {"include_usage": True},
    "tools": [{"type": "function", "function": {**FUNCTION, "strict": True}}],
    "tool_choice": "required",
    "parallel_tool_calls": False,
    "response_format": {
        "type": "json_schema",
        "json_schema": {"name": "city", "schema": WEATHER, "strict": True},
    },
    "temperature": 0.5,
    "top_p": 0.9,
    "max_tokens": 64,
    "stop": ["END"],
    "seed": 7,
    "reasoning_effort": "low",
    "metadata": {"run": "1"},
}
"""The body that a host without peculiarities gets."""
WITHOUT = object()
ANY_JSON = {"type": "json_object"}
DEVELOPER = [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": "Oslo?"}]
OTHERWISE: dict[str, dict[str, Any]] = {
    "alibaba": {"reasoning_effort": WITHOUT, "enable_thinking": True, "tool_choice": WITHOUT},
    "azure": {
        "messages": DEVELOPER,
        "max_tokens": WITHOUT,
        "max_completion_tokens": 64,
        "metadata": WITHOUT,
    },
    "cerebras": {
        "max_tokens": WITHOUT,
        "max_completion_tokens": 64,
        "tool_choice": WITHOUT,
        "parallel_tool_calls": WITHOUT,
    },
    "cohere-compatible": {"stream_options": WITHOUT},
    "databricks": {"stream_options": WITHOUT},
    "deepseek": {
        "response_format": ANY_JSON,
        "seed": WITHOUT,
        "tool_choice": WITHOUT,
        "temperature": WITHOUT,
        "top_p": WITHOUT,
    },
    "fireworks": {"stream_options": WITHOUT},
    "gemini-compatible": {"metadata": WITHOUT, "seed": WITHOUT},
    "minimax": {"max_tokens": WITHOUT, "max_completion_tokens": 64},
    "mistral": {
        "stream_options": WITHOUT,
        "tool_choice": "any",
        "seed": WITHOUT,
        "random_seed": 7,
        "metadata": WITHOUT,
    },
    "moonshot": {"tool_choice": WITHOUT, "tools": LOOSE, "response_format": ANY_JSON},
    "nvidia": {"tools": LOOSE, "metadata": WITHOUT},
    "ollama-compatible": {"tool_choice": WITHOUT, "parallel_tool_calls": WITHOUT, "tools": LOOSE},
    "ollama-cloud": {"tool_choice": WITHOUT, "parallel_tool_calls": WITHOUT, "tools": LOOSE},
    "openrouter": {
        "stream_options": WITHOUT,
        "reasoning_effort": WITHOUT,
        "reasoning": {"effort": "low"},
    },
    "perplexity": {
        "stream_options": WITHOUT,
        "tools": WITHOUT,
        "tool_choice": WITHOUT,
        "parallel_tool_calls": WITHOUT,
        "seed": WITHOUT,
        "stop": WITHOUT,
    },
    "snowflake": {"max_tokens": WITHOUT, "max_completion_tokens": 64, "tools": LOOSE},
    "together": {"tools": LOOSE},
    "venice": {"messages": DEVELOPER},
    "zai": {
        "reasoning_effort": WITHOUT,
        "thinking": {"type": "enabled"},
        "tool_choice": WITHOUT,
        "response_format": ANY_JSON,
    },
}
"""What differs from `COMMON`."""
WARNED = {
    "alibaba": ["reasoning_effort", "tool_choice"],
    "azure": ["metadata"],
    "cerebras": ["parallel_tool_calls", "tool_choice"],
    "deepseek": ["response_format", "seed", "temperature", "tool_choice", "top_p"],
    "gemini-compatible": ["metadata", "seed"],
    "mistral": ["metadata"],
    "moonshot": ["response_format", "strict", "tool_choice"],
    "nvidia": ["metadata", "strict"],
    "ollama-compatible": ["parallel_tool_calls", "strict", "tool_choice"],
    "ollama-cloud": ["parallel_tool_calls", "strict", "tool_choice"],
    "perplexity": ["parallel_tool_calls", "seed", "stop", "tool_choice", "tools"],
    "snowflake": ["strict"],
    "together": ["strict"],
    "zai": ["reasoning_effort", "response_format", "tool_choice"],
}
"""The options that the start of the answer must name as dropped or changed."""
OFF: dict[str, dict[str, Any]] = {
    "alibaba": {"enable_thinking": False},
    "deepseek": {"thinking": {"type": "disabled"}},
    "moonshot": {"thinking": {"type": "disabled"}},
    "openrouter": {"reasoning": {"effort": "none"}},
    "zai": {"thinking": {"type": "disabled"}},
}
"""How a vendor is told not to reason, other than by `reasoning_effort`."""

every = pytest.mark.parametrize(
    "name",
    [pytest.param(name, id=name if name in RECORDED else f"{name}-unrecorded") for name in VENDORS],
)


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for vendor in VENDORS.values():
        for variable in (*vendor.key, *vendor.placeholders):
            monkeypatch.delenv(variable, raising=False)


def connect(server: Loopback, name: str, **options: Any) -> LLMClient:
    url = server.url("openai")
    return LLMClient(
        f"{name}:m-1",
        api_key="sk-loopback-key",
        base_url=url,
        retry=RetryPolicy(max_attempts=1),
        **options,
    )


async def collect(client: LLMClient, **options: Any) -> list[StreamEvent]:
    return [event async for event in client.chat_completion(MESSAGES, **options)]


def recordings(name: str) -> list[Recording]:
    return [
        Recording(path) for path in sorted(Path(str(FOLDER), RECORDED[name]).glob("*.expect.json"))
    ]


def play(body: bytes) -> Handler:
    async def handler(request: Request, reply: Reply) -> None:
        await reply.head()
        for at in range(0, len(body), 1000):
            await reply.send(body[at : at + 1000])
        await reply.end()

    return handler


@every
async def test_the_request_body_is_what_the_vendor_takes(name: str) -> None:
    async with Loopback(answer("openai-chat")) as server, connect(server, name) as client:
        events = await collect(client, **REQUEST)
    expected = {
        key: value
        for key, value in {**COMMON, **OTHERWISE.get(name, {})}.items()
        if value is not WITHOUT
    }
    sent = server.requests[0].body
    assert {key: sent.get(key) for key in {*expected, *sent}} == expected
    start = events[-1].start
    assert start is not None
    assert start.provider == name
    assert sorted(warning.partition(":")[0] for warning in start.warnings) == WARNED.get(name, [])
    assert server.requests[0].path == "/v1/chat/completions"
    assert server.requests[0].headers["authorization"] == "Bearer sk-loopback-key"


@every
async def test_the_answer_is_understood(name: str) -> None:
    if name not in RECORDED:
        items = ("Hello, world!", Usage(input_tokens=7, output_tokens=3))
        async with (
            Loopback(answer("openai-chat", *items)) as server,
            connect(server, name) as client,
        ):
            last = (await collect(client))[-1]
        assert last.message is not None
        assert (last.message.text, last.usage) == ("Hello, world!", items[1])
        return
    if not FOLDER:
        pytest.skip(str(NO_FOLDER.kwargs["reason"]))
    found = recordings(name)
    assert found
    async with (
        Loopback(*(play(each.body) for each in found)) as server,
        connect(server, name) as client,
    ):
        for recording in found:
            _compare((await collect(client))[-1], recording.expect)


def _counts(usage: dict[str, Any]) -> tuple[int | None, int | None]:
    """Input and output tokens; xAI's `completion_tokens` leave the reasoning out, which its total shows."""
    sent, completed = usage.get("prompt_tokens"), usage.get("completion_tokens")
    thought = (usage.get("completion_tokens_details") or {}).get("reasoning_tokens") or 0
    apart = usage.get("total_tokens") == (sent or 0) + (completed or 0) + thought
    return sent, completed + thought if apart and completed is not None else completed


def _compare(last: StreamEvent, expect: dict[str, Any]) -> None:
    if expect["error"]:
        assert last.type is EventType.ERROR
        return
    assert last.type is EventType.MESSAGE_COMPLETE, last
    assert last.message is not None
    assert (last.message.text, last.message.reasoning) == (
        expect["text"] or "",
        expect["reasoning"] or "",
    )
    called = [(call.name, call.arguments) for call in last.message.tool_calls]
    assert called == [(call["name"], call["arguments"]) for call in expect["tool_calls"]]
    assert last.raw_finish_reason == expect["finish_reason_raw"]
    counts = _counts(expect["usage_raw"] or {})
    told = None if last.usage is None or last.usage.estimated else last.usage
    assert (told and told.input_tokens, told and told.output_tokens) == counts


@every
async def test_with_reasoning_switched_off_the_vendor_is_told(name: str) -> None:
    async with (
        Loopback(answer("openai-chat")) as server,
        connect(server, name, strict=True) as client,
    ):
        await collect(client, reasoning_effort="none")
    told = {
        key: server.requests[0].body.get(key) for key in {"reasoning_effort", *OFF.get(name, {})}
    }
    assert told == (
        {"reasoning_effort": None, **OFF[name]} if name in OFF else {"reasoning_effort": "none"}
    )


async def test_a_named_tool_is_some_tool_where_names_are_not_heard() -> None:
    tools = [Tool("weather", WEATHER)]
    choice = {"type": "function", "function": {"name": "weather"}}
    async with Loopback(answer("openai-chat")) as server:
        for name in ("llamacpp", "groq", "moonshot"):
            async with connect(server, name) as client:
                await collect(client, tools=tools, tool_choice=choice)
    assert [request.body.get("tool_choice") for request in server.requests] == [
        "required",
        choice,
        None,
    ]


@every
async def test_the_address_and_the_key_come_from_the_environment(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    vendor = VENDORS[name]
    for variable in vendor.placeholders:
        with pytest.raises(ConfigurationError, match=variable):
            LLMClient(f"{name}:m-1", api_key="sk-test-key")
        monkeypatch.setenv(variable, "my-place.example.com")
    if vendor.key_needed:
        with pytest.raises(ConfigurationError, match=vendor.key[0]):
            LLMClient(f"{name}:m-1")
    for variable in vendor.key:
        with monkeypatch.context() as scoped:
            scoped.setenv(variable, "sk-from-the-environment")
            client = LLMClient(f"{name}:m-1")
            assert client.get_client().api_key == "sk-from-the-environment"
    monkeypatch.setenv(vendor.key[0], "sk-from-the-environment")
    provider = vendor.create(ProviderConfig(name))
    check_base_url(provider.base_url)
    assert "{" not in provider.base_url
    assert "sk-from" not in repr(provider)
    if not vendor.placeholders:
        assert provider.base_url.rstrip("/") == vendor.url.rstrip("/")


@every
def test_a_row_says_where_its_facts_are_from(name: str) -> None:
    vendor = VENDORS[name]
    assert len(vendor.source) > 10 or not vendor.verified
    assert vendor.source.startswith("recorded: ") == (name in RECORDED)
    if name in RECORDED:
        assert RECORDED[name] in vendor.source


def test_every_recorded_dialect_has_its_row() -> None:
    if not FOLDER:
        pytest.skip(str(NO_FOLDER.kwargs["reason"]))
    other = {
        "openai-chat",
        "openai-compatible-chat",
        "azure-ai-chat",
        "copilot-chat",
        "gpustack-chat",
        "mistralrs-chat",
    }
    assert {path.parent.name for path in Path(FOLDER).glob("*-chat/*.sse")} - other == set(
        RECORDED.values()
    )


async def test_what_openai_s_variables_mean_stays_with_openai(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary-openai")
    monkeypatch.setenv("OPENAI_ADMIN_KEY", "sk-canary-admin")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-canary")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-canary")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Secret: header-canary")
    monkeypatch.setenv("OPENAI_BASE_URL", "https://canary.example.com")
    async with Loopback(answer("openai-chat")) as server:
        async with connect(server, "groq", headers={"X-Mine": "1"}) as client:
            await collect(client)
        async with LLMClient("vllm:m-1", base_url=server.url("openai")) as client:
            await collect(client)
    assert server.requests[0].headers["x-mine"] == "1"
    assert server.requests[1].headers["authorization"] == "Bearer none"
    assert not [
        value
        for request in server.requests
        for value in request.headers.values()
        if "canary" in value
    ]


def test_a_vendor_with_a_key_is_found_without_being_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in (
        "OPENAI_API_KEY",
        "ANTHROPIC_API_KEY",
        "ANTHROPIC_AUTH_TOKEN",
        "LLMSTREAM_MODEL",
    ):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("DATABRICKS_TOKEN", "no host, and no default model")
    monkeypatch.setenv("GROQ_API_KEY", "sk-test-key")
    client = LLMClient()
    assert repr(client) == f"LLMClient(groq:{VENDORS['groq'].default_model})"
    listed = {known.name: known for known in registry.listing()}
    assert listed["groq"].ready
    assert listed["openai"].missing == ("OPENAI_API_KEY",)
    assert listed["databricks"].missing == ("DATABRICKS_HOST",)
    assert listed["ollama"].ready
    assert "sk-test-key" not in repr(listed)


def test_a_message_s_name_is_left_out_where_none_is_taken() -> None:
    named = ChatRequest([Message("user", [TextPart("hi")], name="ann")], "m")
    told = {name: render_request(named, vendor.variant) for name, vendor in VENDORS.items()}
    without = sorted(name for name, each in told.items() if "name" not in each.body["messages"][0])
    assert without == ["databricks", "groq", "mistral"]
    assert all((len(told[name].warnings) == 1) == (name in without) for name in told)


def test_where_tool_choice_is_unknown_no_call_means_no_tools() -> None:
    request = ChatRequest([], "m", tools=[Tool("t")], tool_choice=ToolChoice("none"))
    for name in ("ollama-compatible", "zai"):
        rendered = render_request(request, VENDORS[name].variant)
        assert not {"tools", "tool_choice"} & rendered.body.keys()
        assert rendered.warnings == []


@pytest.mark.parametrize(
    ("name", "variable", "value", "url"),
    [
        (
            "azure",
            "AZURE_OPENAI_ENDPOINT",
            "https://x.openai.azure.com",
            "https://x.openai.azure.com/openai/v1",
        ),
        (
            "azure",
            "AZURE_OPENAI_ENDPOINT",
            "x.openai.azure.com/",
            "https://x.openai.azure.com/openai/v1",
        ),
        (
            "azure",
            "AZURE_OPENAI_ENDPOINT",
            "https://x.azure.com/openai/v1/",
            "https://x.azure.com/openai/v1",
        ),
        (
            "snowflake",
            "SNOWFLAKE_ACCOUNT",
            "abc",
            "https://abc.snowflakecomputing.com/api/v2/cortex/v1",
        ),
        (
            "snowflake",
            "SNOWFLAKE_ACCOUNT",
            "https://abc.snowflakecomputing.com",
            "https://abc.snowflakecomputing.com/api/v2/cortex/v1",
        ),
        ("snowflake", "SNOWFLAKE_ACCOUNT", "evil.example/#", None),
        ("cloudflare", "CLOUDFLARE_ACCOUNT_ID", "../../x", None),
    ],
)
def test_addresses_are_taken_as_users_have_them(
    name: str, variable: str, value: str, url: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    if url is None:
        with pytest.raises(ConfigurationError, match=variable):
            VENDORS[name].base_url()
    else:
        assert VENDORS[name].base_url() == url


def test_a_key_without_a_default_model_is_not_called_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for variable in (
        "OPENAI_API_KEY",
        "ANTHROPIC_API_KEY",
        "ANTHROPIC_AUTH_TOKEN",
        "LLMSTREAM_MODEL",
    ):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("DEEPINFRA_API_KEY", "k")
    with pytest.warns(UserWarning, match="deepinfra has a key but no default model"):
        LLMClient()


def test_a_row_of_one_s_own_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    row = replace(VENDORS["vllm"], name="ours", url="http://127.0.0.1:9000/v1", default_model="m")
    monkeypatch.setattr(registry, "_registered", {})
    registry.register("ours", row.create)
    client = LLMClient("ours")
    assert repr(client) == "LLMClient(ours:m)"
    assert isinstance(client._provider, CompatibleProvider)


def test_the_page_lists_the_table() -> None:
    assert page.PATH.read_text("utf-8") == page.render(), "run: python tests/providers/page.py"
