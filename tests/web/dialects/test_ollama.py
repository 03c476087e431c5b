"""Ollama's API: whose a request to the shared path is, what stands beside an answer, and its official client."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing, suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmstream import LLMClient, RetryPolicy, Usage
from llmstream.errors import ErrorInfo
from llmstream.events.types import EventType, StreamEvent
from llmstream.messages import FinishReason
from llmstream.router import Candidate
from llmstream.testing import ScriptedProvider
from llmstream.web import create_app
from llmstream.web.dialects import AiSdk, OllamaChat, SharedChat
from llmstream.wire import decoder
from llmstream.wire.formats import FORMATS
from tests.example_counts import examples
from tests.patience import PATIENCE
from tests.web.dialects.gateway import HEARTBEAT
from tests.web.dialects.gateway import serving as serving_scenarios
from tests.web.dialects.grid import PNG, SCHEMA, TOOL
from tests.web.dialects.legal import Legal, legal_streams
from tests.web.dialects.served import CALLS, TEXT, served
from tests.web.dialects.test_grid import before
from tests.web.serving import fetch, serving

HI = [{"role": "user", "content": "hi"}]
PARTS = [{"role": "user", "parts": [{"type": "text", "text": "hi"}]}]
EMPTY = "messages is empty: give at least one message"
BODY = {"model": "scripted:script", "messages": HI}


async def ask(path: str, body: Any, *attempts: Any, method: str = "POST", **options: Any) -> Any:
    """The status, the head and the body of one request to an app whose model plays these attempts."""
    provider = ScriptedProvider(*attempts)
    client = LLMClient("scripted:script", provider=provider, retry=RetryPolicy(max_attempts=1))
    options.setdefault("models", ["scripted:script"])
    async with serving(create_app(client, **options)) as port:
        data = json.dumps(body).encode()
        return await fetch(port, path, method, data, content_type="application/json")


def lines(body: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in body.splitlines()]


# --- one path, two clients --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "dialect"),
    [
        ({"messages": PARTS}, AiSdk),
        ({"id": "c", "model": "m", "messages": PARTS}, AiSdk),
        ({"messages": [{**HI[0], **PARTS[0]}], "model": "m"}, AiSdk),  # versions 4 sent both
        ({"model": "m", "messages": HI}, OllamaChat),
        ({"model": "m", "messages": [*HI, {"role": "assistant", "tool_calls": []}]}, OllamaChat),
        ({"model": "m", "messages": []}, OllamaChat),
        ({"model": "m"}, OllamaChat),
    ],
)
def test_the_body_says_whose_it_is(body: Any, dialect: type) -> None:
    assert type(SharedChat().parse(body).dialect) is dialect


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"messages": []},
        {"messages": HI},  # no model
        {"model": "m", "messages": [{"role": "user"}]},
        {"model": "m", "messages": [7]},
    ],
)
async def test_nobody_s_request_is_refused_in_words_that_both_show(body: Any) -> None:
    status, _, said = await ask("/api/chat", body)
    error = json.loads(said)["error"]
    assert status == 400
    assert "/ai/chat" in error
    assert "/ollama/api/chat" in error


async def test_an_empty_chat_of_the_ai_sdk_is_told_so() -> None:
    status, _, said = await ask("/api/chat", {"id": "c", "model": "m", "messages": []})
    assert (status, json.loads(said)["error"]) == (400, EMPTY)


@pytest.mark.parametrize(("path", "body"), [("/ai/chat", HI), ("/ollama/api/chat", PARTS)])
async def test_the_paths_of_their_own_take_one_kind(path: str, body: Any) -> None:
    status, _, said = await ask(path, {"model": "scripted:script", "messages": body}, ["Hello"])
    if path == "/ai/chat":
        assert status == 400
    else:  # members that nobody knows are no reason to refuse, so the question is empty
        assert (status, len(lines(said))) == (200, 3)


# --- answers ----------------------------------------------------------------------------------------------------


async def test_it_streams_unless_it_is_asked_not_to() -> None:
    script = ["Hel", "lo", Usage(7, 3)]
    status, head, said = await ask("/api/chat", BODY, script)
    *_, last = lines(said)
    assert (status, head["content-type"]) == (200, "application/x-ndjson")
    assert "".join(line["message"]["content"] for line in lines(said)) == "Hello"
    told = {
        name: last[name] for name in ("model", "done_reason", "prompt_eval_count", "eval_count")
    }
    assert list(told.values()) == ["scripted:script", "stop", 7, 3]
    _, head, said = await ask("/api/chat", {**BODY, "stream": False}, script)
    assert head["content-type"] == "application/json"
    (whole,) = lines(said)
    last |= {"created_at": whole["created_at"]}
    assert whole == {**last, "message": {"role": "assistant", "content": "Hello"}}


async def test_a_prompt_is_answered_without_a_message() -> None:
    for path in ("/api/generate", "/ollama/api/generate"):
        body = {"model": "scripted:script", "prompt": "hi", "system": "Be short."}
        _, _, said = await ask(path, body, ["Hel", "lo"])
        assert "".join(line["response"] for line in lines(said)) == "Hello"
        assert not any("message" in line for line in lines(said))
        _, _, said = await ask(path, {**body, "stream": False}, ["Hel", "lo"])
        assert json.loads(said)["response"] == "Hello"


@pytest.mark.parametrize("name", ["raw", "suffix", "template", "context", "logprobs"])
async def test_what_would_be_answered_wrongly_is_refused(name: str) -> None:
    value: Any = {"context": [1, 2], "raw": True, "logprobs": True}.get(name, "x")
    body = {"model": "scripted:script", "prompt": "hi", name: value}
    status, _, said = await ask("/api/generate", body, ["Hello"])
    assert (status, json.loads(said)["error"]) == (400, f"{name} is not supported here")


@pytest.mark.parametrize("path", ["/api/chat", "/api/generate"])
async def test_a_model_is_loaded_already(path: str) -> None:
    _, _, said = await ask(path, {"model": "scripted:script"})
    assert (json.loads(said)["done"], json.loads(said)["done_reason"]) == (True, "load")
    _, _, said = await ask(path, {"model": "scripted:script", "keep_alive": 0})
    assert json.loads(said)["done_reason"] == "unload"
    status, _, said = await ask(path, {"model": "nobody"})
    assert status == 404
    assert "nobody" in json.loads(said)["error"]


async def test_a_failure_in_the_middle_is_a_line() -> None:
    script = ["Half an ", ErrorInfo("overloaded", "secret")]
    status, _, said = await ask("/api/chat", BODY, script)
    assert status == 200
    assert "overloaded" in lines(said)[-1]["error"]
    assert not any(line.get("done") for line in lines(said))
    assert b"secret" not in said


async def test_options_that_take_the_machine_s_memory_stay_here() -> None:
    options = {"num_ctx": 9, "min_p": 0.1, "temperature": 0.5}
    _, head, _ = await ask("/api/chat", {**BODY, "options": options, "keep_alive": -1}, ["Hi"])
    told = head["x-llmstream-warnings"]
    assert "options.num_ctx: not handed on" in told
    assert "keep_alive: not handed on" in told
    assert "temperature" not in told


@pytest.mark.parametrize("reason", FinishReason)
def test_only_a_whole_answer_ends_in_stop(reason: FinishReason) -> None:
    dialect = OllamaChat()
    end = StreamEvent(EventType.MESSAGE_COMPLETE, finish_reason=reason, raw_finish_reason="stop")
    word = dialect.document(dialect.parse({"model": "m", "messages": HI}), end)["done_reason"]
    is_whole = reason in ("stop", "tool_calls", "other", "unknown")
    assert (word == "stop") == is_whole


@given(legal_streams())
@examples(40)
def test_whatever_is_said_a_client_of_the_format_reads(legal: Legal) -> None:
    dialect = OllamaChat()
    encoder = dialect.encoder(dialect.parse({"model": "m", "messages": HI}))
    data = b"".join(encoder.feed(event) for event in legal.events)
    reader = decoder("ollama-native")
    read = [*reader.feed(data), *reader.finish()]
    is_broken = legal.events[-1].type is EventType.ERROR or legal.torn or legal.lost
    if is_broken:
        assert read[-1].type is EventType.ERROR
    else:
        assert read[-1].message is not None
        assert read[-1].message.text == legal.text


@given(st.recursive(st.none() | st.booleans() | st.text(), st.lists, max_leaves=5))
@examples(40)
def test_no_body_is_a_mistake_of_ours(value: Any) -> None:
    for name in ("model", "messages", "prompt", "options", "stream", "think", "format", "tools"):
        for dialect in (SharedChat(), OllamaChat()):
            with suppress(TypeError, ValueError):
                dialect.parse({"model": "m", "messages": HI, name: value})


# --- beside an answer -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("begin", ["", "/ollama"])
async def test_models_and_the_version_are_told(begin: str) -> None:
    known = Candidate("scripted:script", context=4096, tools=True)
    provider = ScriptedProvider(["Hi"])
    client = LLMClient("scripted:script", provider=provider)
    async with serving(
        create_app(client, models={"good": known, "bare": "scripted:script"})
    ) as port:

        async def get(path: str) -> Any:
            return json.loads((await fetch(port, f"{begin}{path}"))[2])

        async def show(**body: Any) -> tuple[int, Any]:
            data = json.dumps(body).encode()
            path = f"{begin}/api/show"
            status, _, said = await fetch(port, path, "POST", data, content_type="application/json")
            return status, json.loads(said)

        assert [model["name"] for model in (await get("/api/tags"))["models"]] == ["good", "bare"]
        assert (await get("/api/version"))["version"]
        status, shown = await show(model="good")
        assert (status, shown["capabilities"]) == (200, ["completion", "tools"])
        assert shown["model_info"]["llmstream.context_length"] == 4096
        assert (await show(name="bare"))[1]["capabilities"] == ["completion"]
        assert (await show(model="other"))[0] == 404
        assert "name the model" in (await show())[1]["error"]
        running = await fetch(port, "/ollama/")
        assert running[2] == b"Ollama is running"
        assert b"<!" in (await fetch(port, "/"))[2]  # the page


async def test_a_heartbeat_breaks_no_line() -> None:
    async with serving_scenarios() as at:
        port = int(at.url.rpartition(":")[2])
        body = json.dumps({"model": "slow", "messages": HI}).encode()
        _, _, said = await fetch(port, "/api/chat", "POST", body, content_type="application/json")
    assert b"\n " in said, HEARTBEAT
    assert b"\n\n" not in said
    assert "".join(line["message"]["content"] for line in lines(said)) == "Half an hour."


# --- the official client ----------------------------------------------------------------------------------------


async def check_text(client: Any, model: str, expected: str) -> None:
    whole = await client.chat(model, HI)
    assert (whole.message.content, whole.done_reason) == (expected, "stop")
    parts = [part async for part in await client.chat(model, HI, stream=True)]
    assert "".join(part.message.content for part in parts) == expected
    assert [part.done for part in parts] == [False] * (len(parts) - 1) + [True]
    assert (parts[-1].prompt_eval_count, parts[-1].eval_count) == (7, 3)
    assert (await client.generate(model, "hi")).response == expected


@pytest.mark.sdk
@pytest.mark.parametrize("format", FORMATS)
async def test_the_official_client_before_every_format(format: str) -> None:
    ollama = pytest.importorskip("ollama")
    tool = {"type": "function", "function": TOOL}
    async with (
        before(format) as (port, behind),
        ollama.AsyncClient(host=f"http://127.0.0.1:{port}") as client,
    ):
        await check_text(client, "text", "Hello, wörld 🙂")
        assert {model.model for model in (await client.list()).models} >= {"text", "tools"}
        assert (await client.show("text")).capabilities == ["completion"]

        for stream in (False, True):
            history: list[Any] = [{"role": "user", "content": "And the weather?"}]
            answer = await client.chat("tools", history, tools=[tool], stream=stream)
            messages = [part.message async for part in answer] if stream else [answer.message]
            calls = [call for message in messages for call in message.tool_calls or ()]
            assert [call.function.arguments for call in calls] == [call.input for call in CALLS]
            history += messages
            history += [
                {"role": "tool", "tool_name": call.function.name, "content": "sunny"}
                for call in calls
            ]
            await client.chat("tools", history, tools=[tool])
            assert str(behind.server.requests[-1].body).count("sunny") == 2

        picture = {"role": "user", "content": "What is this?", "images": [PNG]}
        await client.chat("text", [picture])
        assert PNG in str(behind.server.requests[-1].body)
        number = await client.chat("schema", HI, format=SCHEMA)
        assert json.loads(number.message.content) == {"n": 5}
        with pytest.raises(ollama.ResponseError, match="Too many requests") as refused:
            await client.chat("refused", HI)
        assert refused.value.status_code == 429
        with pytest.raises(ollama.ResponseError, match="overloaded"):
            [part async for part in await client.chat("midway", HI, stream=True)]
        async with aclosing(await client.chat("stall", HI, stream=True)) as stalled:
            async for part in stalled:
                if part.message.content:
                    break
        async with asyncio.timeout(PATIENCE):
            await behind.left.wait()


@pytest.mark.sdk
@pytest.mark.parametrize(("provider", "path"), [("openai", ""), ("cohere", "/ollama")])
async def test_the_official_client_before_the_served_program(provider: str, path: str) -> None:
    ollama = pytest.importorskip("ollama")
    async with served(provider) as at, ollama.AsyncClient(host=f"{at.url}{path}") as client:
        await check_text(client, at.model("text"), TEXT)
