"""Gemini's API: paths with a model in them, keys in a query, streams of two kinds, and Google's own client."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import re
from contextlib import aclosing
from typing import Any

import pytest
from hypothesis import given

from llmstream import LLMClient, RetryPolicy, Usage
from llmstream.errors import ErrorInfo
from llmstream.events.types import EventType, Start, StreamEvent, opaque, text_delta
from llmstream.messages import FinishReason, ReasoningPart, Source, TextPart, ToolCall
from llmstream.router import Candidate
from llmstream.testing import ScriptedProvider
from llmstream.web import Access, AuditLog, create_app
from llmstream.web.dialects import GeminiGenerate, GeminiStream
from llmstream.web.path_table import PathTable
from llmstream.wire import decoder
from llmstream.wire.formats import FORMATS
from tests.example_counts import examples
from tests.patience import PATIENCE
from tests.web.dialects.grid import PNG, SCHEMA
from tests.web.dialects.legal import Legal, legal_streams
from tests.web.dialects.served import CALLS, TEXT, served
from tests.web.dialects.test_grid import before
from tests.web.serving import fetch, serving

HI = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
BODY = {"model": "m", **HI}
NAME = "a/model:7"
"""A name with all that may stand in one."""
FILE_OF_ACCOUNT = {"fileData": {"fileUri": "gs://bucket/a.pdf", "mimeType": "application/pdf"}}
KEY = "a-key-of-a-client"


def app_of(*attempts: Any, **options: Any) -> Any:
    provider = ScriptedProvider(*attempts)
    client = LLMClient("scripted:m", provider=provider, retry=RetryPolicy(max_attempts=1))
    return create_app(client, models={NAME: "scripted:script"}, **options)


async def ask(end: str, *attempts: Any, body: Any = HI, **headers: str) -> Any:
    """The status, the head and the body of one request to an app whose model plays these attempts."""
    path = end if end.startswith("/") else f"/v1beta/models/{NAME}:{end}"
    async with serving(app_of(*attempts)) as port:
        data = json.dumps(body).encode()
        return await fetch(port, path, "POST", data, content_type="application/json", **headers)


def text_of(chunks: list[dict[str, Any]]) -> str:
    parts = [
        part
        for chunk in chunks
        for part in chunk["candidates"][0].get("content", {}).get("parts", ())
    ]
    return "".join(part["text"] for part in parts)


def events_of(body: bytes) -> list[dict[str, Any]]:
    return [json.loads(frame.removeprefix(b"data: ")) for frame in body.split(b"\n\n") if frame]


# --- answers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["v1beta", "v1"])
async def test_a_stream_is_events_or_an_array_and_a_whole_answer_one_document(version: str) -> None:
    script = ["Hel", "lo", Usage(7, 3)]
    begin = f"/{version}/models/{NAME}"
    status, head, said = await ask(f"{begin}:streamGenerateContent?alt=sse", script)
    assert (status, head["content-type"]) == (200, "text/event-stream")
    assert text_of(events_of(said)) == "Hello"
    status, head, said = await ask(f"{begin}:streamGenerateContent", script)
    assert (status, head["content-type"]) == (200, "application/json")
    assert text_of(json.loads(said)) == "Hello"
    status, _, said = await ask(f"{begin}:generateContent", script)
    document = json.loads(said)
    assert document["candidates"] == [
        {
            "content": {"parts": [{"text": "Hello"}], "role": "model"},
            "index": 0,
            "finishReason": "STOP",
        }
    ]
    assert document["modelVersion"] == NAME
    assert document["usageMetadata"]["promptTokenCount"] == 7


async def test_a_failure_in_the_middle_is_an_error_of_google_s() -> None:
    script = ["Half an ", ErrorInfo("overloaded", "secret")]
    for query, read in (("?alt=sse", events_of), ("", json.loads)):
        _, _, said = await ask(f"streamGenerateContent{query}", script)
        last = read(said)[-1]
        assert (last["error"]["status"], last["error"]["code"]) == ("UNAVAILABLE", 503)
        assert b"finishReason" not in said
        assert b"secret" not in said


@pytest.mark.parametrize(
    ("end", "body", "status", "word"),
    [
        ("generateContent", {}, 400, "INVALID_ARGUMENT"),
        ("generateContent", [], 400, "INVALID_ARGUMENT"),
        ("generateContent", {"contents": [7]}, 400, "INVALID_ARGUMENT"),
        (
            "generateContent",
            {**HI, "generationConfig": {"candidateCount": 2}},
            400,
            "INVALID_ARGUMENT",
        ),
        (
            "generateContent",
            {**HI, "generation_config": {"candidate_count": 2}},
            400,
            "INVALID_ARGUMENT",
        ),
        ("generateContent", {**HI, "generationConfig": 7}, 400, "INVALID_ARGUMENT"),
        ("embedContent", HI, 405, "INVALID_ARGUMENT"),
        ("/v1beta/models/nobody:generateContent", HI, 404, "NOT_FOUND"),
        ("/v1/models/nobody:generateContent", HI, 404, "NOT_FOUND"),
        ("/v1beta/files", HI, 404, "NOT_FOUND"),
    ],
)
async def test_a_refusal_is_in_google_s_words(end: str, body: Any, status: int, word: str) -> None:
    got, _, said = await ask(end, ["Hello"], body=body)
    error = json.loads(said)["error"]
    assert (got, error["code"], error["status"]) == (status, status, word)


async def test_a_refusal_of_the_provider_s_has_google_s_status() -> None:
    got, head, said = await ask(
        "generateContent", [ErrorInfo("rate_limit", "secret", retry_after=7)]
    )
    error = json.loads(said)["error"]
    assert (got, error["status"], head["retry-after"]) == (429, "RESOURCE_EXHAUSTED", "7")
    assert error["details"][-1]["requestId"] == head["x-request-id"]


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"tools": [{"googleSearch": {}}]}, "google_search"),
        ({"tools": [{"code_execution": {}}]}, "code_execution"),
        ({"contents": [{"parts": [FILE_OF_ACCOUNT]}]}, "files"),
        ({"serviceTier": "priority"}, "priority"),
    ],
)
async def test_what_works_on_the_operator_s_account_is_refused(members: Any, words: str) -> None:
    status, _, said = await ask("generateContent", ["Hello"], body={**HI, **members})
    error = json.loads(said)["error"]
    assert (status, error["status"]) == (400, "INVALID_ARGUMENT")
    assert f"--hosted-tool {words}" in error["message"]


async def test_a_cache_of_the_operator_s_account_stays_here() -> None:
    body = {**HI, "cachedContent": "cachedContents/of-somebody-else", "labels": {"a": "b"}}
    _, head, _ = await ask("generateContent", ["Hello"], body=body)
    assert "cachedContent: not handed on by this server" in head["x-llmstream-warnings"]


async def test_audits_name_the_api_wherever_the_model_stands() -> None:
    written = io.StringIO()
    async with serving(app_of(["Hello"], observers=[AuditLog(written)])) as port:
        for path, body in (
            (f"/v1beta/models/{NAME}:generateContent", HI),
            ("/v1/models/nobody:streamGenerateContent", HI),
            ("/v1beta/models/m:embedContent", HI),
            ("/api/chat", {"model": "nobody", "messages": [{"role": "user", "content": "hi"}]}),
            ("/api/chat", {}),
        ):
            data = json.dumps(body).encode()
            await fetch(port, path, "POST", data, content_type="application/json")
    assert re.findall(r"api=(\S+) status=(\d+)", written.getvalue()) == [
        ("gemini-generate", "200"),
        ("gemini-generate", "404"),
        ("other", "405"),
        ("ollama-native", "404"),
        ("api-chat", "400"),
    ]


@pytest.mark.parametrize("reason", FinishReason)
def test_only_a_whole_answer_ends_in_stop(reason: FinishReason) -> None:
    dialect = GeminiGenerate()
    end = StreamEvent(EventType.MESSAGE_COMPLETE, finish_reason=reason, raw_finish_reason="STOP")
    (candidate,) = dialect.document(dialect.parse(BODY), end)["candidates"]
    is_whole = reason in ("stop", "tool_calls", "other", "unknown")
    assert (candidate["finishReason"] == "STOP") == is_whole


def test_a_pause_keeps_its_token_or_is_an_answer_that_was_cut() -> None:
    end = StreamEvent(EventType.MESSAGE_COMPLETE, finish_reason=FinishReason.PAUSE)
    token = opaque("gemini-generate", item={"continuationToken": "t"})
    begin = [StreamEvent(EventType.MESSAGE_START, start=Start("i", "m")), text_delta("Half")]
    for events, word in (([*begin, token, end], "CONTINUATION"), ([*begin, end], "MAX_TOKENS")):
        dialect = GeminiStream()
        encoder = dialect.encoder(dialect.parse({**BODY, "alt": "sse"}))
        last = events_of(b"".join(map(encoder.feed, events)))[-1]["candidates"][0]
        assert last["finishReason"] == word
        assert last.get("continuationToken") == ("t" if word == "CONTINUATION" else None)


def test_half_a_call_is_no_call() -> None:
    events = [
        StreamEvent(EventType.MESSAGE_START, start=Start("i", "m")),
        StreamEvent(EventType.TOOL_CALL, tool_call=ToolCall("c", "t", '{"cut', None, False)),
        StreamEvent(EventType.MESSAGE_COMPLETE, finish_reason=FinishReason.TOOL_CALLS),
    ]
    dialect = GeminiStream()
    tools = [{"functionDeclarations": [{"name": "t"}]}]
    encoder = dialect.encoder(dialect.parse({**BODY, "alt": "sse", "tools": tools}))
    data = b"".join(map(encoder.feed, events))
    assert b"functionCall" not in data
    assert events_of(data)[-1]["candidates"][0]["finishReason"] == "MALFORMED_FUNCTION_CALL"


async def test_the_sources_of_a_whole_answer_are_numbered_through() -> None:
    sources = [Source(url=f"https://example.org/{n}", start=0, end=n) for n in (1, 2)]
    _, _, said = await ask("generateContent", ["Paris", *sources])
    told = json.loads(said)["candidates"][0]["groundingMetadata"]
    assert [each["groundingChunkIndices"] for each in told["groundingSupports"]] == [[0], [1]]
    assert [each["web"]["uri"] for each in told["groundingChunks"]] == [
        each.url for each in sources
    ]


@pytest.mark.parametrize("alt", ["sse", pytest.param(None, marks=pytest.mark.slow)])
@given(legal=legal_streams())
@examples(40)
def test_whatever_is_said_a_client_of_the_format_reads(alt: str | None, legal: Legal) -> None:
    ask = GeminiStream().parse({**BODY, "alt": alt})
    encoder = (ask.dialect or GeminiStream()).encoder(ask)
    data = b"".join(encoder.feed(event) for event in legal.events)
    reader = decoder("gemini-generate")
    read = [*reader.feed(data), *reader.finish()]
    if alt is None:
        json.loads(data)
    is_broken = legal.events[-1].type is EventType.ERROR or legal.torn or legal.lost
    if is_broken:
        assert read[-1].type is EventType.ERROR
    elif read[-1].type is not EventType.ERROR:  # a call that was cut ends in Google's word for it
        assert read[-1].message is not None
        assert read[-1].message.text == legal.text
    else:
        assert b"MALFORMED_FUNCTION_CALL" in data


# --- beside the answers -----------------------------------------------------------------------------------------


async def test_models_and_counts_are_told() -> None:
    client = LLMClient("scripted:m", provider=ScriptedProvider(["Hi"]))
    known = Candidate("scripted:m", context=4096)
    async with serving(create_app(client, models={NAME: known})) as port:
        listed = json.loads((await fetch(port, "/v1beta/models?pageSize=5"))[2])["models"]
        one = json.loads((await fetch(port, f"/v1beta/models/{NAME}"))[2])
        assert listed == [one]
        assert (one["name"], one["inputTokenLimit"]) == (f"models/{NAME}", 4096)
        status, _, said = await fetch(port, "/v1beta/models/other")
        assert (status, json.loads(said)["error"]["status"]) == (404, "NOT_FOUND")
        shared = json.loads((await fetch(port, "/v1/models"))[2])  # OpenAI's list, too
        assert shared["models"] == listed
        assert shared["data"][0]["id"] == NAME
        assert one.items() <= json.loads((await fetch(port, f"/v1/models/{NAME}"))[2]).items()
        counts = []
        for body in (HI, {"generateContentRequest": {"model": f"models/{NAME}", **HI}}):
            data = json.dumps(body).encode()
            path = f"/v1beta/models/{NAME}:countTokens"
            _, head, said = await fetch(port, path, "POST", data, content_type="application/json")
            assert head["x-llmstream-counted-by"] == "estimate"
            counts.append(json.loads(said)["totalTokens"])
        assert counts[0] == counts[1] > 0


@pytest.mark.parametrize("end", ["generateContent", "countTokens"])
@pytest.mark.parametrize("version", ["v1beta", pytest.param("v1", marks=pytest.mark.slow)])
async def test_a_key_comes_in_a_header_or_in_the_query_and_in_no_log(
    version: str, end: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    app = app_of(*[["Hi"]] * 3, access=Access(keys=[KEY]))
    path = f"/{version}/models/{NAME}:{end}"
    async with serving(app) as port:

        async def status(query: str = "", **headers: str) -> int:
            data = json.dumps(HI).encode()
            kind = "application/json"
            got = await fetch(port, f"{path}{query}", "POST", data, content_type=kind, **headers)
            return int(got[0])

        assert await status() == 401
        assert await status("?key=a-key-of-nobody-here") == 401
        assert await status(x_goog_api_key=KEY) == 200
        assert await status(f"?key={KEY}") == 200
        assert await status(f"?alt=sse&%6bey={KEY.replace('-', '%2d')}&x=1") == 200
        assert (await fetch(port, f"/chat?key={KEY}"))[0] == 401  # nobody else's clients do
    assert KEY not in caplog.text
    assert "nobody-here" not in caplog.text


async def test_uvicorn_s_own_log_doesn_t_have_it(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(logging.getLogger("uvicorn.access"), "propagate", True)
    app = app_of(["Hi"], access=Access(keys=[KEY]))
    logged = {"access_log": True, "log_config": None, "log_level": "info"}
    async with serving(app, **logged) as port:
        path = f"/v1beta/models/{NAME}:generateContent?x=1&key={KEY}"
        await fetch(port, path, "POST", json.dumps(HI).encode(), content_type="application/json")
    lines = [each.getMessage() for each in caplog.records if each.name == "uvicorn.access"]
    assert lines
    assert all("?x=1 " in line for line in lines)
    assert KEY not in caplog.text


async def test_a_key_in_place_of_a_model_is_in_no_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    key = "AIzaSyCanary0123456789"
    written = io.StringIO()
    async with serving(app_of(["Hi"], observers=[AuditLog(written)])) as port:
        for path in (f"/v1beta/models/{key}:generateContent", f"/v1/models/{key}:countTokens"):
            data = json.dumps(HI).encode()
            await fetch(port, path, "POST", data, content_type="application/json")
        await fetch(port, f"/v1beta/models/{key}")
    assert "generateContent" in written.getvalue()
    assert key not in written.getvalue()
    assert key not in caplog.text


async def test_a_thinking_budget_is_lowered() -> None:
    config = {"thinkingConfig": {"thinkingBudget": 10_000_000}}
    _, head, _ = await ask("generateContent", ["Hi"], body={**HI, "generationConfig": config})
    assert (
        "thinkingConfig.thinkingBudget: this server allows no more" in head["x-llmstream-warnings"]
    )


def test_what_another_provider_signed_comes_back_from_a_history_of_chunks() -> None:
    dialect = GeminiStream()
    encoder = dialect.encoder(dialect.parse({**BODY, "alt": "sse"}))
    events = [
        StreamEvent(EventType.MESSAGE_START, start=Start("i", "m")),
        StreamEvent(EventType.REASONING_DELTA, reasoning_delta=_thought("Hm, ")),
        StreamEvent(EventType.REASONING_DELTA, reasoning_delta=_thought("so.")),
        opaque("anthropic-messages", signature="c2ln"),
        text_delta("Yes."),
    ]
    chunks = events_of(b"".join(map(encoder.feed, events)))
    contents = [chunk["candidates"][0]["content"] for chunk in chunks]
    for content in contents:  # as Google's Python client writes it
        for part in content["parts"]:
            if "thoughtSignature" in part:
                signature = part["thoughtSignature"].replace("+", "-").replace("/", "_")
                part["thoughtSignature"] = signature
    read = dialect.parse({**BODY, "contents": [*HI["contents"], *contents, *HI["contents"]]})
    assert [message.role for message in read.request.messages] == ["user", "assistant", "user"]
    assert not any(part == TextPart("") for part in read.request.messages[1].parts)
    thoughts = [part for part in read.request.messages[1].parts if isinstance(part, ReasoningPart)]
    signed = [part for part in thoughts if part.signature]
    assert [(part.text, part.signature, part.format) for part in signed] == [
        ("Hm, so.", "c2ln", "anthropic-messages")
    ]


def _thought(text: str) -> Any:
    from llmstream.events.types import ReasoningDelta

    return ReasoningDelta(text)


def test_a_path_is_found_whole_then_by_its_pattern_then_by_its_beginning() -> None:
    table = PathTable({"/a": 1, "/m/{model}:x": 2}, [("/m/", 3), ("/", 4)])
    found = {path: table.find(path) for path in ("/a", "/m/a/b:c:x", "/m/:x", "/m/y", "/b", "c")}
    assert found == {"/a": 1, "/m/a/b:c:x": 2, "/m/:x": 3, "/m/y": 3, "/b": 4, "c": None}


# --- Google's client --------------------------------------------------------------------------------------------


@pytest.mark.sdk
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("format", FORMATS)
async def test_google_s_client_before_every_format(format: str) -> None:
    genai = pytest.importorskip("google.genai")
    types = genai.types
    async with before(format) as (port, behind):
        client = genai.Client(api_key="k", http_options={"base_url": f"http://127.0.0.1:{port}"})
        models = client.aio.models

        async def in_chunks(model: str, contents: Any = "hi", **config: Any) -> list[Any]:
            stream = await models.generate_content_stream(
                model=model, contents=contents, config=config
            )
            return [chunk async for chunk in stream]

        async def read(model: str, contents: Any = "hi", **config: Any) -> list[Any]:
            """The answers of both modes: the whole one, and the chunks."""
            whole = await models.generate_content(model=model, contents=contents, config=config)
            return [whole, await in_chunks(model, contents, **config)]

        whole, chunks = await read("text")
        assert whole.text == "".join(chunk.text or "" for chunk in chunks) == "Hello, wörld 🙂"
        assert whole.candidates[0].finish_reason == chunks[-1].candidates[0].finish_reason == "STOP"
        assert whole.usage_metadata.prompt_token_count == 7
        listed = [model.name async for model in await models.list()]
        assert "models/text" in listed
        assert (await models.get(model="text")).name == "models/text"
        assert (await models.count_tokens(model="text", contents="hi")).total_tokens > 0

        schema = {"type": "object", "properties": {"city": {"type": "string"}}}
        declared = types.FunctionDeclaration(name="weather", parameters_json_schema=schema)
        tools = [types.Tool(function_declarations=[declared])]
        whole, chunks = await read("tools", tools=tools)
        contents = [types.UserContent("hi"), whole.candidates[0].content]
        for calls in (whole.function_calls, [c for ch in chunks for c in ch.function_calls or ()]):
            assert [call.args for call in calls] == [call.input for call in CALLS]
        results = [
            types.Part(
                function_response=types.FunctionResponse(
                    id=call.id, name=call.name, response={"result": "sunny"}
                )
            )
            for call in whole.function_calls
        ]
        await read("tools", [*contents, types.UserContent(results)], tools=tools)
        assert str(behind.server.requests[-1].body).count("sunny") == 2

        picture = {"inline_data": {"data": PNG, "mime_type": "image/png"}}
        await read("text", [types.UserContent([{"text": "What?"}, picture])])
        assert PNG in str(behind.server.requests[-1].body)
        config = {"response_mime_type": "application/json", "response_json_schema": SCHEMA}
        whole, _ = await read("schema", **config)
        assert json.loads(whole.text) == {"n": 5}

        chat = client.aio.chats.create(model="reasoning")
        async for _chunk in await chat.send_message_stream("Think."):
            pass
        await chat.send_message("Go on.")
        is_back = "c2lnbmVk" in str(behind.server.requests[-1].body)
        assert is_back or format in ("ollama-native", "cohere-v2")

        with pytest.raises(genai.errors.ClientError) as refused:
            await models.generate_content(model="refused", contents="hi")
        assert (refused.value.code, refused.value.status) == (429, "RESOURCE_EXHAUSTED")
        with pytest.raises(genai.errors.APIError, match="overloaded"):  # of the whole answer
            await models.generate_content(model="midway", contents="hi")
        with pytest.raises(genai.errors.APIError, match="overloaded"):
            await in_chunks("midway")
        async with aclosing(
            await models.generate_content_stream(model="stall", contents="hi")
        ) as stalled:
            async for chunk in stalled:
                if chunk.text:
                    break
        await client.aio.aclose()
        async with asyncio.timeout(PATIENCE):
            await behind.left.wait()


@pytest.mark.sdk
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("provider", ["openai", "anthropic", "gemini"])
async def test_google_s_client_before_the_served_program(provider: str) -> None:
    genai = pytest.importorskip("google.genai")
    async with served(provider) as at:
        client = genai.Client(api_key="k", http_options={"base_url": at.url})
        answer = await client.aio.models.generate_content(model=at.model("text"), contents="hi")
        await client.aio.aclose()
        assert answer.text == TEXT
