"""Every client against a running `llmstream serve`, before a provider of OpenAI's and one of Anthropic's format.

Text, tools (two at once), reasoning, usage, errors, leaving, bad input: whatever the client, whatever the provider.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import anthropic
import openai
import pytest
import pytest_asyncio

from tests.web.dialects.node import require_node
from tests.web.dialects.served import CALLS, TEXT, Served, served
from tests.web.serving import Client, fetch

pytestmark = [
    pytest.mark.sdk,
    pytest.mark.asyncio(loop_scope="module"),  # one program for all clients
]

HI: list[Any] = [{"role": "user", "content": "hi"}]
PLAYED = (
    "text",
    "tools",
    "reasoning",
    "length",
    "empty-answer",
    "midway",
    "refused",
    "stall",
    "after",
    "nobody",
)
INPUTS = [call.input for call in CALLS]
TOLD = "Too many requests just now."
BUSY = "The model is overloaded just now."
UNKNOWN = "There is no model "


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["openai", "anthropic"])
async def at(request: pytest.FixtureRequest) -> AsyncIterator[Served]:
    async with served(request.param) as program:
        yield program


def openai_client(at: Served, key: str = "k") -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(api_key=key, base_url=f"{at.url}/v1", max_retries=0)


def check_calls_went_up(served: Served) -> None:
    """The tool arrived in the provider's own words."""
    tool = served.upstream.bodies("tools")[-1]["tools"][0]
    assert (tool.get("function") or tool)["name"] == "weather"


async def test_openai_python(at: Served) -> None:
    tool: Any = {
        "type": "function",
        "function": {"name": "weather", "parameters": {"type": "object"}},
    }
    async with openai_client(at) as client:

        async def read(scenario: str, messages: list[Any] = HI) -> Any:
            options: Any = {"tools": [tool], "stream_options": {"include_usage": True}}
            async with client.chat.completions.stream(
                model=at.model(scenario), messages=messages, **options
            ) as stream:
                return await stream.get_final_completion()

        answer = await read("text")
        assert answer.choices[0].message.content == TEXT
        assert (
            answer.usage.prompt_tokens,
            answer.usage.completion_tokens,
            answer.usage.total_tokens,
        ) == (7, 3, 10)
        assert answer.usage.prompt_tokens_details.cached_tokens == 2
        whole = await client.chat.completions.create(model=at.model("text"), messages=HI)
        assert whole.choices[0].message.content == TEXT
        assert whole.usage == answer.usage

        said = (await read("tools")).choices[0]
        assert said.finish_reason == "tool_calls"
        assert [json.loads(call.function.arguments) for call in said.message.tool_calls] == INPUTS
        check_calls_went_up(at)
        results = [
            {"role": "tool", "tool_call_id": call.id, "content": "blue"}
            for call in said.message.tool_calls
        ]
        assert (await read("text", [*HI, said.message.model_dump(), *results])).choices[
            0
        ].message.content == TEXT
        check_results(at.provider, at.upstream.bodies("text")[-1]["messages"])

        thought = (await read("reasoning")).choices[0].message
        assert (thought.reasoning_content, thought.content) == ("Hm, thinking", "Yes.")
        await read("text", [*HI, thought.model_dump(), *HI])
        sent = at.upstream.bodies("text")[-1]["messages"][1]
        if at.provider == "anthropic":
            assert sent["content"][0] == {
                "type": "thinking",
                "thinking": "Hm, thinking",
                "signature": "c2ln",
            }
        else:
            assert sent["reasoning_details"][0]["signature"] == "c2ln"
        with pytest.raises(openai.LengthFinishReasonError):
            await read("length")
        assert (await read("empty-answer")).choices[0].finish_reason == "stop"
        with pytest.raises(openai.APIError, match=BUSY):
            await read("midway")
        with pytest.raises(openai.RateLimitError, match=TOLD):
            await read("refused")
        with pytest.raises(openai.NotFoundError, match=UNKNOWN):
            await read("nobody")
        with pytest.raises(openai.BadRequestError, match="messages is empty"):
            await read("text", [])

        stream = await client.chat.completions.create(
            model=at.model("stall"), messages=HI, stream=True
        )
        await anext(aiter(stream))
        await at.upstream.server.busy()
        await stream.close()
        await at.upstream.server.idle()
        waiting = asyncio.create_task(
            client.chat.completions.create(model=at.model("stall"), messages=HI)
        )
        await at.upstream.server.busy()
        waiting.cancel()
        await at.upstream.server.idle()


async def test_anthropic_python(at: Served) -> None:
    tool: Any = {"name": "weather", "input_schema": {"type": "object"}}
    async with anthropic.AsyncAnthropic(api_key="k", base_url=at.url, max_retries=0) as client:

        async def read(scenario: str, messages: list[Any] = HI) -> Any:
            options: Any = {"max_tokens": 100, "tools": [tool], "messages": messages}
            async with client.messages.stream(model=at.model(scenario), **options) as stream:
                return await stream.get_final_message()

        answer = await read("text")
        assert answer.content[0].text == TEXT
        assert (answer.usage.input_tokens, answer.usage.cache_read_input_tokens) == (5, 2)
        assert answer.usage.output_tokens == 3
        whole = await client.messages.create(model=at.model("text"), max_tokens=100, messages=HI)
        assert [block.model_dump() for block in whole.content] == [
            {"citations": None, "text": TEXT, "type": "text"},
        ]

        said = await read("tools")
        calls = [block for block in said.content if block.type == "tool_use"]
        assert said.stop_reason == "tool_use"
        assert [call.input for call in calls] == INPUTS
        check_calls_went_up(at)
        results = [
            {"type": "tool_result", "tool_use_id": call.id, "content": "blue"} for call in calls
        ]
        history = [
            *HI,
            {"role": "assistant", "content": said.content},
            {"role": "user", "content": results},
        ]
        assert (await read("text", history)).content[0].text == TEXT
        check_results(at.provider, at.upstream.bodies("text")[-1]["messages"])

        thought = await read("reasoning")
        assert [block.type for block in thought.content] == ["thinking", "text"]
        assert thought.content[0].thinking == "Hm, thinking"
        await read("text", [*HI, {"role": "assistant", "content": thought.content}, *HI])
        sent = json.dumps(at.upstream.bodies("text")[-1]["messages"])
        assert '"signature": "c2ln"' in sent  # sealed on the way, where it isn't Anthropic's
        assert (await read("length")).stop_reason == "max_tokens"
        assert (await read("empty-answer")).content == []
        with pytest.raises(anthropic.APIStatusError, match=BUSY):
            await read("midway")
        with pytest.raises(anthropic.RateLimitError, match=TOLD):
            await read("refused")
        with pytest.raises(anthropic.NotFoundError, match=UNKNOWN):
            await read("nobody")
        with pytest.raises(anthropic.BadRequestError, match="messages is empty"):
            await read("text", [])

        stream = await client.messages.create(
            model=at.model("stall"), max_tokens=9, messages=HI, stream=True
        )
        await anext(aiter(stream))
        await at.upstream.server.busy()
        await stream.close()
        await at.upstream.server.idle()


def check_results(provider: str, messages: list[Any], told: str = "blue") -> None:
    """Two calls and their results, as the provider wants them."""
    _, said, *results = messages
    if provider == "openai":
        assert [json.loads(call["function"]["arguments"]) for call in said["tool_calls"]] == INPUTS
        assert [(each["role"], each["content"]) for each in results] == [("tool", told)] * 2
    else:
        assert [
            block["input"] for block in said["content"] if block["type"] == "tool_use"
        ] == INPUTS
        (turn,) = results
        assert [(block["type"], block["content"]) for block in turn["content"]] == [
            ("tool_result", told)
        ] * 2


async def test_openai_javascript(at: Served) -> None:
    require_node()
    seen = await at.play("openai.mjs", *PLAYED, "empty", "models")
    text = seen["text"]
    assert (text["text"], text["finish"], text["usage"]["total_tokens"]) == (TEXT, "stop", 10)
    assert text["added"]["content"] == text["whole"]["content"] == TEXT
    for answer in (seen["tools"]["added"], seen["tools"]["whole"]):
        assert [
            json.loads(call["function"]["arguments"]) for call in answer["tool_calls"]
        ] == INPUTS
    assert (seen["reasoning"]["reasoning"], seen["reasoning"]["text"]) == ("Hm, thinking", "Yes.")
    assert (seen["length"]["finish"], seen["empty-answer"]["finish"]) == ("length", "stop")
    assert (seen["midway"]["text"], BUSY in seen["midway"]["error"]["message"]) == (
        "Half an ",
        True,
    )
    # The provider sends two pieces; the client leaves at its first text, with one or both of them read.
    assert seen["stall"]["text"] in ("Half", "Half an ")
    assert seen["after"]["text"] == "After."
    assert at.model("text") in seen["models"]["ids"]
    check_errors(seen, "RateLimitError", "NotFoundError", "BadRequestError")


async def test_anthropic_javascript(at: Served) -> None:
    require_node()
    seen = await at.play("anthropic.mjs", *PLAYED, "empty")
    assert seen["text"]["text"] == seen["text"]["whole"]["content"][0]["text"] == TEXT
    assert seen["text"]["added"]["usage"]["input_tokens"] == 5
    for answer in (seen["tools"]["added"], seen["tools"]["whole"]):
        assert [
            block["input"] for block in answer["content"] if block["type"] == "tool_use"
        ] == INPUTS
        assert answer["stop_reason"] == "tool_use"
    thought = seen["reasoning"]["added"]["content"][0]
    assert thought["thinking"] == "Hm, thinking"
    sealed = "c2ln" if at.provider == "anthropic" else "llmstream:"
    assert thought["signature"].startswith(sealed)
    assert seen["length"]["added"]["stop_reason"] == "max_tokens"
    assert seen["empty-answer"]["whole"]["content"] == []
    assert (seen["midway"]["text"], BUSY in seen["midway"]["error"]["message"]) == (
        "Half an ",
        True,
    )
    assert (seen["stall"]["error"]["name"], seen["after"]["text"]) == (
        "APIUserAbortError",
        "After.",
    )
    check_errors(seen, "RateLimitError", "NotFoundError", "BadRequestError")


@pytest.mark.parametrize("package", ["ai-v6", "ai-v7"])
async def test_the_ai_sdk(at: Served, package: str) -> None:
    require_node()
    seen = await at.play("ai.mjs", *PLAYED, "empty", "converse", "resume", AI=package)
    parts = {name: each["message"]["parts"] for name, each in seen.items() if "message" in each}
    assert [part["text"] for part in parts["text"] if part["type"] == "text"] == [TEXT]
    assert seen["text"]["message"]["metadata"]["usage"]["totalTokens"] == 10
    assert [part["input"] for part in parts["tools"] if part["type"] == "tool-weather"] == INPUTS
    assert [(part["type"], part.get("text")) for part in parts["reasoning"]][1:] == [
        ("reasoning", "Hm, thinking"),
        ("text", "Yes."),
    ]
    assert seen["length"]["chunks"][-1]["finishReason"] == "length"
    assert seen["empty-answer"]["chunks"][-1]["finishReason"] == "stop"
    assert (parts["midway"][-1]["text"], BUSY in seen["midway"]["error"]["message"]) == (
        "Half an ",
        True,
    )
    assert "aborted" in seen["stall"]["error"]["message"]
    assert parts["after"][-1]["text"] == "After."
    assert [part["type"] for part in seen["converse"]["messages"][1]["parts"]].count(
        "tool-weather"
    ) == 2
    check_results(
        at.provider, at.upstream.bodies("reasoning")[-1]["messages"][:-2], '{"sky":"blue"}'
    )
    assert seen["resume"] == {"resumed": None}
    check_errors(seen)


async def test_ag_ui(at: Served) -> None:
    require_node()
    seen = await at.play("agui.mjs", *PLAYED, "empty", "converse")
    assert seen["text"]["messages"][-1]["content"] == TEXT
    assert seen["text"]["events"][-1]["usage"][0]["totalTokens"] == 10
    calls = seen["tools"]["messages"][-1]["toolCalls"]
    assert [json.loads(call["function"]["arguments"]) for call in calls] == INPUTS
    assert seen["tools"]["events"][-1]["outcome"]["pendingToolCallIds"] == [
        call.id for call in CALLS
    ]
    assert [message["content"] for message in seen["reasoning"]["messages"][1:]] == [
        "Hm, thinking",
        "Yes.",
    ]
    assert seen["length"]["result"]["result"] == {"finishReason": "length"}
    assert seen["empty-answer"]["error"] is None
    assert seen["midway"]["events"][-1]["type"] == "RUN_ERROR"
    assert (
        seen["midway"]["messages"][-1]["content"],
        BUSY in seen["midway"]["events"][-1]["message"],
    ) == (
        "Half an ",
        True,
    )
    assert seen["stall"]["events"][-1]["code"] == "abort"
    assert seen["after"]["messages"][-1]["content"] == "After."
    assert seen["converse"]["error"] is None
    system, *messages = at.upstream.bodies("reasoning")[-1]["messages"]
    check_results(at.provider, messages if at.provider == "openai" else [system, *messages])
    check_errors(seen)


def check_errors(seen: dict[str, Any], *names: str) -> None:
    """A limit, a model that nobody knows, and no message at all: told as such, and no word of the provider's."""
    told = {"refused": TOLD, "nobody": UNKNOWN, "empty": "messages is empty"}
    for number, (scenario, text) in enumerate(told.items()):
        assert text in json.dumps(seen[scenario])
        if names:
            assert seen[scenario]["error"]["name"] == names[number]
    assert "secret" not in json.dumps(seen)


# --- bad input, in every client's own shape -----------------------------------------------------------------

GOOGLE_HI = [{"role": "user", "parts": [{"text": "hi"}]}]
STATUSES = {"INVALID_ARGUMENT": "invalid_request", "UNAUTHENTICATED": "authentication"}
UI = [{"id": "1", "role": "user", "parts": [{"type": "text", "text": "hi"}]}]
ENDPOINTS: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"model": "openai:text", "messages": HI},
    "/v1/responses": {"model": "openai:text", "input": HI},
    "/v1/messages": {"model": "openai:text", "max_tokens": 9, "messages": HI},
    "/ai/chat": {"model": "openai:text", "messages": UI},
    "/ollama/api/chat": {"model": "openai:text", "messages": HI},
    "/v1beta/models/openai:text:generateContent": {"contents": GOOGLE_HI},
    "/agui": {
        "threadId": "t",
        "runId": "r",
        "messages": HI,
        "forwardedProps": {"model": "openai:text"},
    },
}


def told_by(path: str, body: bytes) -> tuple[str, str | None]:
    """The text and the kind of an error, from where this path's clients read it."""
    said = json.loads(body)
    if path.startswith("/v1beta/"):
        return said["error"]["message"], STATUSES.get(said["error"]["status"])
    if path.startswith("/v1/"):
        assert said["error"]["message"]
        assert (said.get("type") == "error") == (path == "/v1/messages")
        return said["error"]["message"], said["error"]["type"]
    return said["message" if path == "/agui" else "error"], said["code"]


async def test_bad_input_is_refused_in_every_clients_own_shape_and_the_server_goes_on() -> None:
    async with served() as at:
        for path, good in ENDPOINTS.items():

            async def refused(
                data: Any, path: str = path, **headers: str
            ) -> tuple[int, str, str | None]:
                body = data if isinstance(data, bytes) else json.dumps(data).encode()
                headers = {"content_type": "application/json", **headers}
                status, _, answer = await fetch(at.port, path, "POST", body, **headers)
                return status, *told_by(path, answer)

            name = next(each for each in ("input", "contents", "messages") if each in good)
            unknown = json.loads(json.dumps(good).replace("openai:text", "openai:other"))
            is_ollama = path == "/ollama/api/chat"  # to which it means: load the model
            for data, status, text in (
                (b"{nonsense", 400, "JSON"),
                (b"\xff\xfe", 400, "JSON"),
                (b"[" * 100_000, 400, "JSON"),
                ([], 400, "the body"),
                ("hi", 400, "the body"),
                *([] if is_ollama else [({**good, name: []}, 400, f"{name} is empty")]),
                ({**good, name: 7}, 400, name),
                ({**good, name: [7]}, 400, f"{name}[0]"),
                ({**good, name: good[name] * 1001}, 413, "1001 messages"),
                *([(unknown, 404, UNKNOWN)] if "model" in json.dumps(good) else []),
            ):
                got, said, kind = await refused(data)
                assert (got, text in said) == (status, True), (
                    path,
                    data[:50] if isinstance(data, bytes) else said,
                )
                assert kind in (
                    "invalid_request",
                    "invalid_request_error",
                    "not_found",
                    "not_found_error",
                    "request_too_large",
                )
            got, said, _ = await refused(good, origin="https://elsewhere.example")
            assert (got, "elsewhere" in said) == (403, True)
            await check_too_large(at.port, path)
            status, _, _ = await fetch(at.port, path, "POST", json.dumps(good).encode())
            assert status == 200


async def check_too_large(port: int, path: str) -> None:
    client = await Client.ask(
        port, path, "POST", content_length=str(9 * 2**20), content_type="application/json"
    )
    assert await client.head() == 413
    assert "too large" in told_by(path, await client.body())[0]
    client.leave()


async def test_a_key_is_asked_for_in_every_clients_own_shape() -> None:
    async with served(LLMSTREAM_SERVE_KEYS="sesame-open-sesame") as at:
        for path, good in ENDPOINTS.items():
            body = json.dumps(good).encode()
            status, headers, answer = await fetch(at.port, path, "POST", body)
            assert (status, headers["www-authenticate"]) == (401, "Bearer")
            assert told_by(path, answer)[1] in ("authentication", "authentication_error")
            assert (
                await fetch(at.port, path, "POST", body, authorization="Bearer sesame-open-sesame")
            )[0] == 200
        async with (
            openai_client(at, "guess") as stranger,
            openai_client(at, "sesame-open-sesame") as friend,
            anthropic.AsyncAnthropic(api_key="sesame-open-sesame", base_url=at.url) as other,
        ):
            with pytest.raises(openai.AuthenticationError):
                await stranger.models.list()
            listed = [model.id async for model in friend.models.list()]
            assert listed == [model.id async for model in other.models.list()]
            answer = await other.messages.create(model="openai:text", max_tokens=9, messages=HI)
            assert answer.stop_reason == "end_turn"


AT_ONCE = 60 // len(ENDPOINTS)
"""Requests to each, below the 64 that one client may have under way."""


async def test_many_clients_of_every_kind_at_once() -> None:
    """Nothing of one answer shows up in another."""
    async with served() as at:

        async def ask(path: str, body: dict[str, Any]) -> bytes:
            return (
                await fetch(at.port, path, "POST", json.dumps({**body, "stream": True}).encode())
            )[2]

        answers = await asyncio.gather(
            *(ask(path, body) for path, body in ENDPOINTS.items() for _ in range(AT_ONCE))
        )
        told_again = {"/v1/responses": 5}  # in each event that ends a part of the answer
        for path, answer in zip(
            [path for path in ENDPOINTS for _ in range(AT_ONCE)], answers, strict=True
        ):
            assert answer.count("wörld".encode()) == told_again.get(path, 1)
