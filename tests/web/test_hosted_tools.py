"""Clients have functions alone: what works on the operator's account is refused, in each client's own words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llmstream import ConfigurationError, LLMClient
from llmstream.messages import ChatRequest, HostedTool, Message, Tool
from llmstream.testing import FaultServer, ScriptedProvider
from llmstream.web import create_app
from llmstream.web.errors import RefusedError
from llmstream.web.hosted_tools import HostedTools, family
from tests.web.serving import fetch, serving

HI = [{"role": "user", "content": "hi"}]
CHAT: dict[str, Any] = {"messages": HI}
RESPONSES: dict[str, Any] = {"input": "hi", "store": False}
MESSAGES: dict[str, Any] = {"messages": HI, "max_tokens": 9}
AGUI: dict[str, Any] = {
    "threadId": "t",
    "runId": "r",
    "messages": [{"id": "m", "role": "user", "content": "hi"}],
}
FUNCTION = {"type": "function", "name": "f", "parameters": {"type": "object"}}
MCP = {"type": "mcp", "server_label": "x", "server_url": "https://attacker.example/sse"}
SEARCH = {"type": "file_search", "vector_store_ids": ["vs_of_somebody_else"]}


def tools(*given: dict[str, Any], **body: Any) -> dict[str, Any]:
    return {**body, "tools": [*given]}


def user(*content: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [*content]}]


def in_namespace(tool: dict[str, Any], depth: int = 1) -> dict[str, Any]:
    for _ in range(depth):
        tool = {"type": "namespace", "name": "n", "tools": [FUNCTION, tool]}
    return tool


PDF_BY_ID = {"type": "document", "source": {"type": "file", "file_id": "file_1"}}
IMAGE_BY_ID = {"type": "image", "source": {"type": "file", "file_id": "file_1"}}
REFERENCE = {"type": "item_reference", "id": "msg_of_somebody_else"}
OWN = {"format": "openai-responses"}
CALL = {"type": "tool_call", "id": "c", "name": "n", "arguments": "{}", "input": {}}
LISTED = {
    "type": "mcp_list_tools",
    "id": "l",
    "server_label": "x",
    "tools": [{"name": "a", "input_schema": {"type": "object"}, "annotations": None}],
}
OPAQUE: list[dict[str, Any]] = [
    {"type": "provider", **OWN, "data": {"fileData": {"fileUri": "gs://bucket/a.pdf"}}},
    {"type": "provider", **OWN, "data": {"s3Location": {"uri": "s3://bucket/a.pdf"}}},
    {"type": "provider", **OWN, "data": REFERENCE},
    {"type": "provider", **OWN, "data": {"type": "x", "deep": [{"file_id": "file-1"}]}},
    {"type": "text", "text": "t", "provider_data": {**OWN, "members": {"file_id": "file-1"}}},
    {"type": "reasoning", "text": "t", "provider_data": {**OWN, "members": REFERENCE}},
    {**CALL, "provider_data": {**OWN, **REFERENCE}},
    {**CALL, "executed_by": "provider", "provider_data": {**OWN, "item": REFERENCE}},
]
"""Parts as our own messages have them, which name something of the operator's account."""
PLACES = (
    "s3://bucket-of-the-operator/a.pdf",
    "gs://bucket-of-the-operator/a.pdf",
    "https://generativelanguage.googleapis.com/v1beta/files/abc",
    "HTTPS://user@GenerativeLanguage.googleapis.com.:443/v1beta/files/abc",
)
"""Addresses that providers read with the operator's rights."""
UNTYPED: list[tuple[dict[str, Any], str]] = [
    ({"googleSearch": {}}, "google_search"),
    ({"google_search": {}}, "google_search"),
    ({"urlContext": {}}, "url_context"),
    (
        {"mcpServers": [{"name": "x", "streamableHttpTransport": {"url": "https://a.example"}}]},
        "mcp",
    ),
    ({"functionDeclarations": [], "codeExecution": {}}, "code_execution"),
    ({"type": "computer", "googleSearch": {}}, "google_search"),
    ({"type": "googleSearch", "mcpServers": []}, "google_search"),
    ({"systemTool": {"name": "nova_grounding"}}, "system_tool"),
    ({"toolOfTomorrow": {}}, "tool_of_tomorrow"),
]
"""Tools without a type, as Google and Amazon have them, and those that hide one behind a type."""
REFUSED: list[tuple[str, dict[str, Any], str]] = [
    *(
        (path, tools(tool, **body), name)
        for path, body in (
            ("/v1/chat/completions", CHAT),
            ("/v1/responses", RESPONSES),
            ("/agui", AGUI),
            ("/chat", {"prompt": "hi"}),
        )
        for tool, name in UNTYPED
    ),
    *(
        ("/v1/chat/completions", {"messages": user(part)}, "files")
        for place in PLACES
        for part in (
            {"type": "image_url", "image_url": {"url": place}},
            {"type": "image", "source": {"type": "url", "url": place}},
        )
    ),
    ("/v1/responses", {"input": user({"type": "input_image", "image_url": PLACES[0]})}, "files"),
    ("/v1/responses", {"input": user({"type": "input_file", "file_url": PLACES[1]})}, "files"),
    (
        "/v1/messages",
        {
            **MESSAGES,
            "messages": user({"type": "document", "source": {"type": "url", "url": PLACES[0]}}),
        },
        "files",
    ),
    ("/v1/chat/completions", {**CHAT, "web_search_options": {}}, "web_search"),
    ("/v1/chat/completions", tools(MCP, **CHAT), "mcp"),
    ("/v1/chat/completions", tools({"type": "browser_search"}, **CHAT), "browser_search"),
    ("/v1/chat/completions", tools({"type": "openrouter:web_search"}, **CHAT), "openrouter:web_s"),
    ("/v1/chat/completions", {**CHAT, "service_tier": "priority"}, "priority"),
    (
        "/v1/chat/completions",
        {"messages": user({"type": "file", "file": {"file_id": "file-1"}})},
        "files",
    ),
    ("/v1/chat/completions", tools(SEARCH, **RESPONSES), "file_search"),
    ("/v1/responses", tools(SEARCH, **RESPONSES), "file_search"),
    ("/v1/responses", tools(MCP, **RESPONSES), "mcp"),
    ("/v1/responses", tools(FUNCTION, in_namespace(MCP), **RESPONSES), "mcp"),
    ("/v1/responses", tools(in_namespace(SEARCH, 40), **RESPONSES), "file_search"),
    ("/v1/responses", tools({"type": "web_search"}, **RESPONSES), "web_search"),
    (
        "/v1/responses",
        tools(FUNCTION, {"type": "web_search"}, tool_choice={"type": "web_search"}, **RESPONSES),
        "web_search",
    ),
    (
        "/v1/responses",
        tools(FUNCTION, {"type": "web_search"}, tool_choice="required", **RESPONSES),
        "web_search",
    ),
    (
        "/v1/responses",
        tools({"type": "code_interpreter", "container": "cntr_1"}, **RESPONSES),
        "code_interpreter",
    ),
    ("/v1/responses", tools({"type": "image_generation"}, **RESPONSES), "image_generation"),
    (
        "/v1/responses",
        tools({"type": "shell", "environment": {"type": "container_auto"}}, **RESPONSES),
        "shell",
    ),
    ("/v1/responses", tools({"type": "shell"}, **RESPONSES), "shell"),
    ("/v1/responses", tools({"type": "tool_search"}, **RESPONSES), "tool_search"),
    ("/v1/responses", tools({"type": "of tomorrow"}, **RESPONSES), "of tomorrow"),
    ("/v1/responses", {**RESPONSES, "service_tier": "fast"}, "priority"),
    ("/v1/responses", {"input": user({"type": "input_file", "file_id": "file-1"})}, "files"),
    ("/v1/responses", {"input": user({"type": "input_image", "file_id": "file-1"})}, "files"),
    *(
        ("/v1/responses", {"input": [*HI, {**item, "tools": [FUNCTION, MCP]}, *HI]}, "mcp")
        for item in (
            {"type": "tool_search_output", "call_id": "c", "execution": "client"},
            {"type": "additional_tools"},
            {"type": "of_tomorrow"},
        )
    ),
    ("/v1/responses/compact", tools(MCP, **RESPONSES), "mcp"),
    ("/v1/messages", tools({"type": "web_search_20250305", "name": "s"}, **MESSAGES), "web_search"),
    ("/v1/messages", tools({"type": "web_fetch_20260209", "name": "s"}, **MESSAGES), "web_fetch"),
    (
        "/v1/messages",
        tools({"type": "code_execution_20250825", "name": "s"}, **MESSAGES),
        "code_execution",
    ),
    ("/v1/messages", tools({"type": "mcp_toolset", "mcp_server_name": "x"}, **MESSAGES), "mcp"),
    ("/v1/messages", {**MESSAGES, "speed": "fast"}, "priority"),
    ("/v1/messages", {**MESSAGES, "messages": user(PDF_BY_ID)}, "files"),
    ("/v1/messages", {**MESSAGES, "messages": user(IMAGE_BY_ID)}, "files"),
    (
        "/v1/messages",
        {**MESSAGES, "messages": user({"type": "container_upload", "file_id": "file_1"})},
        "files",
    ),
    (
        "/v1/messages/count_tokens",
        tools({"type": "web_search_20250305", "name": "s"}, **MESSAGES),
        "web_search",
    ),
    ("/agui", tools({"type": "web_search"}, **AGUI), "web_search"),
    ("/chat", tools({"type": "web_search"}, prompt="hi"), "web_search"),
    ("/chat", {"prompt": "hi", "service_tier": "priority"}, "priority"),
    (
        "/chat",
        {"messages": user({"type": "file", "file": {"file_id": "file-1"}})},
        "files",
    ),
    *(
        (path, {"messages": [*HI, {"role": "assistant", "parts": [part]}, *HI]}, "files")
        for path in ("/chat", "/v1/chat/completions")
        for part in OPAQUE
    ),
]
"""A path, a body, and the name that its operator would have to allow."""


def told(path: str, answer: dict[str, Any]) -> tuple[str, str]:
    """The kind of an error and its words, where this path's clients look for them."""
    if path == "/agui":
        return answer["code"], answer["message"]
    if path == "/chat":
        return answer["error_info"]["kind"], answer["error"]
    if path.startswith("/v1/messages"):
        assert answer["type"] == "error"
    error = answer["error"]
    return error["type"].removesuffix("_error"), error["message"]


async def post(port: int, path: str, body: dict[str, Any]) -> tuple[int, dict[str, str], Any]:
    data = json.dumps({"model": "scripted:script", **body} if path != "/agui" else body)
    status, headers, answer = await fetch(
        port, path, "POST", data.encode(), content_type="application/json"
    )
    return status, headers, json.loads(answer) if answer.startswith(b"{") else answer


async def test_what_works_on_the_operator_s_account_is_refused_in_each_client_s_words() -> None:
    """Nobody is asked, and the client hears what to do."""
    provider = ScriptedProvider(["never"])
    async with serving(create_app(LLMClient(provider=provider))) as port:
        for path, body, name in REFUSED:
            where = (path, body)
            # Every other one as a stream: nothing is answered before it is refused.
            stream = {"stream": True} if len(str(body)) % 2 else {}
            status, _, answer = await post(port, path, {**body, **stream})
            assert status == 400, where
            kind, words = told(path, answer)
            assert kind == "invalid_request", where
            assert "leave it out, or ask its operator" in words, where
            assert f"--hosted-tool {name}" in words, where
    assert provider.requests == []


async def test_what_is_allowed_by_its_name_is_handed_on() -> None:
    """Each of those that are refused otherwise, under the name that the refusal gives."""
    provider = ScriptedProvider(*[["Yes."]] * len(REFUSED))
    names = {"mcp", "of tomorrow", "openrouter:web_search", *(name for *_, name in REFUSED)}
    async with serving(create_app(LLMClient(provider=provider), hosted_tools=names)) as port:
        for path, body, _ in REFUSED:
            status, _, answer = await post(port, path, body)
            assert status == 200, (path, body, answer)
    given = [tool for request in provider.requests for tool in request.tools]
    assert [tool for tool in given if isinstance(tool, HostedTool)]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", tools({"type": "custom", "custom": {"name": "c"}}, **CHAT)),
        ("/v1/responses", tools({"type": "custom", "name": "c"}, **RESPONSES)),
        ("/v1/responses", tools({"type": "local_shell"}, **RESPONSES)),
        ("/v1/responses", tools({"type": "apply_patch"}, **RESPONSES)),
        ("/v1/responses", tools({"type": "computer_use_preview"}, **RESPONSES)),
        (
            "/v1/responses",
            tools({"type": "shell", "environment": {"type": "local"}}, **RESPONSES),
        ),
        ("/v1/responses", tools({"type": "tool_search", "execution": "client"}, **RESPONSES)),
        ("/v1/responses", tools(in_namespace(FUNCTION), **RESPONSES)),
        ("/v1/responses", {"input": [*HI, LISTED, *HI]}),
        (
            "/v1/responses",
            {"input": [*HI, {"type": "tool_search_output", "tools": [FUNCTION]}, *HI]},
        ),
        ("/v1/messages", tools({"type": "bash_20250124", "name": "bash"}, **MESSAGES)),
        ("/v1/messages", tools({"type": "text_editor_20250728", "name": "e"}, **MESSAGES)),
        ("/v1/messages", tools({"type": "memory_20250818", "name": "m"}, **MESSAGES)),
        ("/v1/messages", {**MESSAGES, "speed": "standard", "service_tier": "auto"}),
        ("/v1/responses", tools({"name": "f", "parameters": {}}, **RESPONSES)),
        ("/v1/chat/completions", tools({"functionDeclarations": []}, **CHAT)),
        (
            "/v1/chat/completions",
            {"messages": user({"type": "image_url", "image_url": {"url": "https://x.example/a"}})},
        ),
        (
            "/v1/chat/completions",
            {
                "messages": user(
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,QQ=="}}
                )
            },
        ),
    ],
)
async def test_tools_that_the_client_runs_itself_need_no_name(path, body) -> None:
    provider = ScriptedProvider(["Yes."])
    async with serving(create_app(LLMClient(provider=provider))) as port:
        assert (await post(port, path, body))[0] == 200
    assert len(provider.requests) == 1


@pytest.mark.parametrize("strict", [False, True])
async def test_codex_s_unasked_web_search_is_left_out_and_named(strict) -> None:
    """It has one in each request. Under strict, what is left out is refused as everywhere."""
    provider = ScriptedProvider(["Yes."])
    client = LLMClient(provider=provider, strict=strict)
    search = {"type": "web_search", "external_web_access": True}
    async with serving(create_app(client)) as port:
        status, headers, answer = await post(
            port, "/v1/responses", tools(FUNCTION, search, tool_choice="auto", **RESPONSES)
        )
    named = "tools: this server lets clients use no web_search; left out"
    if strict:
        assert (status, provider.requests) == (400, [])
        assert named in answer["error"]["message"]
        return
    assert (status, headers["x-llmstream-warnings"].split(" | ")[0]) == (200, named)
    assert provider.requests[0].tools == [Tool("f", {"type": "object"})]


def test_a_function_that_calls_itself_hosted_stays_a_function() -> None:
    """Members beside a function's own don't become its type."""
    from llmstream.wire.anthropic_messages.request import parse_request as messages
    from llmstream.wire.anthropic_messages.request import render_request

    body = {**MESSAGES, "model": "m", "tools": [{"name": "f", "input_schema": {}, "x": "mcp"}]}
    request = messages(body)
    HostedTools().apply(request)
    assert isinstance(request.tools[0], Tool)
    assert "type" not in render_request(request).body["tools"][0]


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("web_search", "web_search"),
        ("web_search_20250305", "web_search"),
        ("web_search_preview", "web_search"),
        ("web_search_preview_2025_03_11", "web_search"),
        ("mcp_toolset", "mcp"),
        ("tool_search_tool_bm25_20251119", "tool_search_tool_bm25"),
    ],
)
def test_a_name_stands_for_all_versions(kind, name) -> None:
    assert family(kind) == name
    request = ChatRequest([Message("user", [])], "m", tools=[HostedTool({"type": kind})])
    with pytest.raises(RefusedError, match=f"--hosted-tool {name}"):
        HostedTools().apply(request)
    for allowed in (kind, name):
        assert HostedTools([allowed]).apply(request) == []


@pytest.mark.parametrize("item", [None, [REFERENCE], "x", 5])
async def test_a_call_whose_data_was_broken_is_no_mistake_of_the_server(item) -> None:
    data = {**OWN, "item": item}
    parts = [{**CALL, "executed_by": "provider", "provider_data": data}]
    messages = [*HI, {"role": "assistant", "parts": parts}, *HI]
    async with FaultServer() as upstream:
        url = upstream.url("openai-responses")
        client = LLMClient("openai-responses:m", api_key="k" * 20, base_url=url)
        async with serving(create_app(client)) as port:
            body = {"messages": messages, "model": "openai-responses:m"}
            assert (await post(port, "/chat", body))[0] == 200
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("names", ["web_search", [""], [" "], [5], [None], ["a\nb"]])
def test_what_is_no_list_of_names_is_refused(names) -> None:
    with pytest.raises(ConfigurationError, match="hosted_tools must be a list of names"):
        create_app(LLMClient("simulator"), hosted_tools=names)
