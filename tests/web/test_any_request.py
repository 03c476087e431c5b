"""Whatever is asked of any operation of the app's own OpenAPI document: no 500, and nothing unforeseen in a stream.

A request begins as one that is good, since one made of chance is refused at its first member.
"""

from __future__ import annotations

import base64
import copy
import json
from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmstream import LLMClient, RetryPolicy
from llmstream.web import create_app
from llmstream.web.errors import TABLE
from tests.example_counts import examples
from tests.loopback import Loopback, answer
from tests.web.heavy_bodies import ASKING, PIXEL, calls, deep, image, schema, tool
from tests.web.serving import Client, fetch, serving

FORMATS = {
    "openai": "openai-chat",
    "openai-responses": "openai-responses",
    "anthropic": "anthropic-messages",
}
NAMING = ("/v1", "/chat", "/ollama", "/api")
"""How the paths begin whose bodies may name a model."""
UNFORESEEN = TABLE["internal"].text.encode()
texts = st.text(st.characters(exclude_categories=()), max_size=5) | st.sampled_from(
    [
        "",
        "user",
        "assistant",
        "tool",
        "system",
        "text",
        "null",
        "1",
        "\ud800",
        "\x00",
        "data:,",
        "-",
    ]
)
numbers = st.integers() | st.floats() | st.sampled_from([10**400, -1, 0, 1e308])
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


PICTURE = base64.b64encode(PIXEL).decode()
GOOGLE: dict[str, Any] = {
    "contents": [
        {
            "role": "user",
            "parts": [{"text": "x"}, {"inlineData": {"mimeType": "image/png", "data": PICTURE}}],
        },
        {
            "role": "model",
            "parts": [
                {"text": "Hm", "thought": True, "thoughtSignature": "c2ln"},
                {"functionCall": {"id": "c", "name": "f", "args": {"a": [1]}}},
                {"executableCode": {"language": "PYTHON", "code": "1"}},
            ],
        },
        {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"result": 1}}}]},
    ],
    "systemInstruction": {"parts": [{"text": "x"}]},
    "tools": [{"functionDeclarations": [{"name": "f", "parameters": {"type": "OBJECT"}}]}],
    "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}},
    "generationConfig": {
        "temperature": 0.5,
        "stopSequences": ["x"],
        "responseMimeType": "application/json",
        "responseSchema": {"type": "OBJECT", "nullable": True},
        "thinkingConfig": {"thinkingBudget": 5, "includeThoughts": True},
    },
    "safetySettings": [{"category": "c", "threshold": "t"}],
}
OLLAMA: dict[str, Any] = {
    "messages": [
        {"role": "system", "content": "x"},
        {"role": "user", "content": "x", "images": [PICTURE]},
        {
            "role": "assistant",
            "content": "",
            "thinking": "Hm",
            "tool_calls": [{"function": {"name": "f", "arguments": {"a": [1]}}}],
        },
        {"role": "tool", "tool_name": "f", "content": "x"},
    ],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
    "options": {"temperature": 0.5, "stop": ["x"], "num_predict": -1, "min_p": 0.1},
    "format": {"type": "object"},
    "think": True,
    "keep_alive": "5m",
}
PROMPT: dict[str, Any] = {
    "prompt": "x",
    "system": "x",
    "images": [PICTURE],
    "suffix": "",
    "context": [],
    "options": {"seed": 1},
}


def good_bodies(path: str) -> list[dict[str, Any]]:
    """Requests that each have much of what such a request may have."""
    if path.endswith(("Content", ":countTokens")):
        return [GOOGLE, {"generateContentRequest": GOOGLE}]
    if path == "/ollama/api/chat":
        return [OLLAMA]
    if path.endswith("/api/generate"):
        return [PROMPT]
    if path.endswith("/api/show"):
        return [{"model": "m"}]
    if path == "/ai/chat":
        path = "/api/chat"
    if path == "/api/chat":
        return [OLLAMA, *_good_bodies(path)]
    return _good_bodies(path)


def _good_bodies(path: str) -> list[dict[str, Any]]:
    if path == "/streaming_chat":
        return [{"request": "hi"}]
    ask = ASKING.get(path.removesuffix("/compact"))
    if ask is None:
        return [{}]
    path = path.removesuffix("/compact")
    parts = [{"type": "text", "text": "x"}, image(path, PIXEL)]
    told = {"tools": [tool(path, 0, schema(2)), tool(path, 1, deep(2))], "tool_choice": "auto"}
    options = {
        "temperature": 0.5,
        "stop": ["x"],
        "metadata": {"a": "b"},
        "response_format": {"type": "json_object"},
        "reasoning": {"effort": "low"},
        "text": {"format": {"type": "json_object"}},
        "thinking": {"type": "enabled", "budget_tokens": 2_000},
        "system": [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}],
    }
    if path == "/chat":
        options = {name: options[name] for name in ("temperature", "stop", "response_format")}
    if path == "/api/chat":
        told = {}
    return [ask(parts, **told), calls(path, 2, '{"a": {"b": [1]}}'), ask("hi", **options)]


def places_in(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    children = value.items() if isinstance(value, dict) else ()
    children = enumerate(value) if isinstance(value, list) else children
    return [path, *(place for key, child in children for place in places_in(child, (*path, key)))]


def at(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


@st.composite
def bodies(draw: st.DrawFn, path: str) -> Any:
    """A good request in which a few members were replaced, dropped, moved, or have another name."""
    body = copy.deepcopy(draw(st.sampled_from(good_bodies(path))))
    body |= {"stream": draw(st.booleans()), "model": "m"} if path.startswith(NAMING) else {}
    for _ in range(draw(st.integers(1, 3))):
        places = places_in(body)
        *parents, key = draw(st.sampled_from(places)) or (None,)
        if key is None:
            continue
        place = at(body, tuple(parents))
        act = draw(st.sampled_from(["replace", "replace", "drop", "move", "rename"]))
        if act == "drop":
            del place[key]
        elif act == "rename" and isinstance(place, dict):
            place[draw(texts)] = place.pop(key)
        elif act == "move":
            place[key] = copy.deepcopy(at(body, draw(st.sampled_from(places))))
        else:
            place[key] = draw(values)
    return body


@st.composite
def requests(draw: st.DrawFn, document: dict[str, Any]) -> tuple[str, str, Any, dict[str, str]]:
    """An operation's method, path with its query, body and headers."""
    paths = document["paths"]
    asking = [path for path in paths if "requestBody" in paths[path].get("post", ())]
    path = draw(st.sampled_from([*sorted(paths), *asking, *asking]))
    method = draw(st.sampled_from(sorted(document["paths"][path])))
    operation = document["paths"][path][method]
    given: dict[str, dict[str, str]] = {"path": {}, "query": {}, "header": {}}
    for parameter in operation.get("parameters", ()):
        if parameter.get("required") or draw(st.booleans()):
            value = draw(texts | st.just("m") if parameter["name"] == "model" else texts)
            given[parameter["in"]][parameter["name"]] = value
    for name, value in given["path"].items():
        path = path.replace(f"{{{name}}}", quote(value.encode("utf-8", "replace"), safe=""))
    body = draw(bodies(path)) if "requestBody" in operation else None
    query = urlencode(
        {name: each.encode("utf-8", "replace") for name, each in given["query"].items()}
    )
    headers = {
        name.replace("-", "_"): "".join(
            filter(str.isprintable, value.encode("latin-1", "replace").decode("latin-1"))
        )
        for name, value in given["header"].items()
    }
    return method.upper(), f"{path}?{query}", body, headers


async def ask(
    port: int, method: str, path: str, body: Any, headers: dict[str, str]
) -> tuple[int, bytes]:
    data = b"" if body is None else json.dumps(body).encode()
    client = await Client.ask(port, path, method, data, content_type="application/json", **headers)
    try:
        return await client.head(), await client.reader.read()
    finally:
        client.leave()


@pytest.mark.parametrize(
    "provider",
    [
        "openai",
        *(pytest.param(each, marks=pytest.mark.slow) for each in FORMATS if each != "openai"),
    ],
)
@given(data=st.data())
@settings(examples(4), suppress_health_check=list(HealthCheck))
async def test_nothing_that_is_asked_is_a_500(provider, data) -> None:
    async with AsyncExitStack() as stack:  # what is drawn may end an example anywhere
        loopback = await stack.enter_async_context(Loopback(answer(FORMATS[provider])))
        client = LLMClient(
            f"{provider}:m",
            api_key="llmstream-canary-any",
            base_url=loopback.url(provider),
            retry=RetryPolicy(max_attempts=1),
        )
        await stack.enter_async_context(client)
        app = create_app(client, models={"m": f"{provider}:m"})
        port = await stack.enter_async_context(serving(app))
        document = json.loads((await fetch(port, "/openapi.json"))[2])
        for _ in range(40):
            asked = data.draw(requests(document))
            status, answered = await ask(port, *asked)
            assert status < 500, (asked, answered)
            assert UNFORESEEN not in answered, (asked, answered)
