"""Requests of Gemini's generateContent, rendered and parsed."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmstream.arguments import build_request
from llmstream.messages import (
    ChatRequest,
    File,
    HostedTool,
    ImagePart,
    Message,
    ProviderPart,
    ReasoningPart,
    ResponseFormat,
    Source,
    TextPart,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Usage,
)
from llmstream.wire import decoder
from llmstream.wire.formats import find_format
from llmstream.wire.gemini_generate.history import UNSIGNED
from llmstream.wire.gemini_generate.request import (
    GenerateVariant,
    parse_request,
    render_request,
)
from tests import strategies
from tests.example_counts import examples
from tests.loopback import Loopback, answer, refuse
from tests.recordings import decode, recordings
from tests.wire.vendor_types import check_gemini

FORMAT = "gemini-generate"
MODEL = "gemini-3.8-flash"
USER = Message("user", "hi")
PNG = b"\x89PNG\r\n\x1a\n123"


def request(*messages, model=MODEL, **options):
    return ChatRequest(list(messages), model, **options)


def contents(*messages, **options):
    return render_request(request(*messages, **options)).body["contents"]


def warnings(*messages, **options):
    return render_request(request(*(messages or [USER]), **options)).warnings


# --- out and in again --------------------------------------------------------------------------------------

some = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
said = some.filter(str.strip)
signatures = st.sampled_from(["YQ==", "c2lnbmVk"])
inputs = st.dictionaries(some, some | st.integers(0, 9), max_size=2)


def compact(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


@st.composite
def calls(draw):
    given_ = draw(inputs)
    return ToolCall(
        "",
        draw(strategies.names),
        compact(given_) if given_ else "",
        input=given_,
        provider_data={"format": FORMAT, "thoughtSignature": draw(signatures)},
    )


user_parts = (
    said.map(TextPart)
    | st.builds(ImagePart, data=st.just(PNG))
    | st.builds(ImagePart, url=strategies.urls, media_type=st.just("image/png"))
    | st.builds(File, data=st.binary(min_size=1).map(b"%PDF-".__add__))
    | st.builds(File, data=some.map(str.encode), media_type=st.just("text/plain"))
    | st.builds(File, url=strategies.urls, media_type=st.just("video/mp4"))
)
ran = st.just(
    [
        ToolCall(
            "e1",
            "code_execution",
            '{"language":"PYTHON","code":"1"}',
            input={"language": "PYTHON", "code": "1"},
            executed_by="provider",
            provider_data={"format": FORMAT, "type": "executableCode", "id": "e1"},
        ),
        ToolResult(
            "e1",
            "1",
            "code_execution",
            executed_by="provider",
            provider_data={
                "format": FORMAT,
                "type": "codeExecutionResult",
                "id": "e1",
                "outcome": "OUTCOME_OK",
            },
        ),
    ]
)
assistant_parts = (
    said.map(lambda words: [TextPart(words)])
    | calls().map(lambda made: [made])
    | ran
    | st.builds(
        lambda words, signed: [ReasoningPart(words, signed, format=FORMAT)],
        st.just("") | some,
        signatures,
    )
    | st.just([ProviderPart(FORMAT, {"hologram": {"x": 1}})])
)
users = st.lists(user_parts, min_size=1, max_size=3).map(lambda parts: [Message("user", parts)])


@st.composite
def turns(draw):
    """What a user says, and an assistant's turn with the answers to its calls."""
    parts = [part for each in draw(st.lists(assistant_parts, max_size=3)) for part in each]
    answers = []
    for number, part in enumerate(parts):
        if isinstance(part, ToolCall) and part.executed_by == "caller":
            id = f"call_{draw(st.uuids())}"
            parts[number] = replace(part, id=id)
            content = draw(strategies.text | strategies.json_values)
            answers.append(ToolResult(id, content, part.name, is_error=draw(st.booleans())))
    turn = [*draw(users), Message("assistant", [*parts, TextPart(draw(said))])]
    return [*turn, Message("tool", answers)] if answers else turn


schemas = st.just({"type": "object", "properties": {"a_b": {"type": "string"}}})
functions = st.builds(Tool, strategies.names, schemas, st.none() | some)
hosted = st.sampled_from([HostedTool({"googleSearch": {}}), HostedTool({"urlContext": {}})])


@st.composite
def chat_requests(draw):
    system = draw(st.lists(said, max_size=2))
    head = [Message("system", [TextPart(words) for words in system])] if system else []
    body = [message for turn in draw(st.lists(turns(), max_size=3)) for message in turn]
    offered = [*draw(st.lists(functions, max_size=2)), *draw(st.lists(hosted, max_size=1))]
    named = [ToolChoice("tool", tool.name) for tool in offered if isinstance(tool, Tool)]
    modes = [ToolChoice(mode) for mode in ("auto", "none", "required")]
    model = draw(st.sampled_from([MODEL, "gemini-2.5-flash", "gemini-3-pro-preview"]))
    efforts = {"gemini-2.5-flash": ["none", "minimal", "low", "medium", "high"]}
    share = st.none() | st.floats(0, 1)
    return ChatRequest(
        messages=[*head, *body, *draw(users)],
        model=model,
        tools=offered,
        tool_choice=draw(st.none() | st.sampled_from([*modes, *named])) if offered else None,
        response_format=draw(
            st.none() | st.builds(ResponseFormat, schemas) | st.builds(ResponseFormat)
        ),
        temperature=draw(share),
        top_p=draw(share),
        top_k=draw(st.none() | st.integers(1, 100)),
        frequency_penalty=draw(share),
        presence_penalty=draw(share),
        service_tier=draw(st.sampled_from([None, "default", "flex"])),
        max_tokens=draw(st.none() | st.integers(1, 10**5)),
        stop=draw(st.lists(some, max_size=2)),
        seed=draw(st.none() | st.integers(0, 100)),
        reasoning_effort=draw(st.sampled_from([None, *efforts.get(model, ["low", "high"])])),
        format_options=draw(
            st.just({})
            | st.just(
                {
                    FORMAT: {
                        "safetySettings": [{"category": "X"}],
                        "generationConfig": {"candidateCount": 1, "responseModalities": ["TEXT"]},
                        "toolConfig": {"retrievalConfig": {"languageCode": "de"}},
                    }
                }
            )
        ),
    )


@given(chat_requests())
@examples(200)
def test_parsing_what_was_rendered_gives_the_same_request(asked):
    rendered = render_request(asked)
    assert rendered.warnings == []
    assert parse_request(json.loads(json.dumps(rendered.body))) == asked


def snake(value: Any) -> Any:
    """A body in Google's other spelling."""
    words = {
        "systemInstruction": "system_instruction",
        "generationConfig": "generation_config",
        "functionDeclarations": "function_declarations",
        "inlineData": "inline_data",
        "mimeType": "mime_type",
        "functionCall": "function_call",
        "functionResponse": "function_response",
        "maxOutputTokens": "max_output_tokens",
        "thoughtSignature": "thought_signature",
        "parametersJsonSchema": "parameters_json_schema",
    }
    if isinstance(value, list):
        return [snake(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {words.get(name, name): snake(each) for name, each in value.items()}


def test_both_spellings_are_read():
    asked = request(
        Message("system", "Be brief."),
        Message("user", [TextPart("hi"), ImagePart(data=PNG)]),
        Message("assistant", [ToolCall("c", "f", '{"a_b":1}', input={"a_b": 1})]),
        Message("tool", [ToolResult("c", {"c_d": 2}, "f")]),
        tools=[Tool("f", {"type": "object", "properties": {"a_b": {"type": "integer"}}})],
        max_tokens=9,
    )
    body = render_request(asked).body
    assert parse_request(snake(body)) == parse_request(body)
    assert parse_request(body).messages[2].tool_calls[0].input == {"a_b": 1}


# --- what goes out ----------------------------------------------------------------------------------------


def test_a_rendered_request():
    call = ToolCall("t", "f", '{"a": 1}', input={"a": 1})
    body = render_request(
        request(
            Message("system", "Be brief."),
            USER,
            Message("assistant", [TextPart("Let me see."), call]),
            Message("tool", [ToolResult("t", {"b": 2})]),
            Message("user", "And?"),
            tools=[Tool("f"), HostedTool({"googleSearch": {}})],
            tool_choice=ToolChoice("tool", "f"),
            response_format=ResponseFormat({"type": "object"}),
            max_tokens=9,
            stop=["END"],
            reasoning_effort="low",
            provider_options={"gemini": {"generationConfig": {"candidateCount": 1}, "x": 1}},
        )
    ).body
    called = {"id": "t", "name": "f", "args": {"a": 1}}
    told = {"id": "t", "name": "f", "response": {"b": 2}}
    assert body == {
        "model": MODEL,
        "stream": True,
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "contents": [
            {"role": "user", "parts": [{"text": "hi"}]},
            {
                "role": "model",
                "parts": [
                    {"text": "Let me see."},
                    {"functionCall": called, "thoughtSignature": UNSIGNED},
                ],
            },
            {"role": "user", "parts": [{"functionResponse": told}, {"text": "And?"}]},
        ],
        "tools": [
            {
                "functionDeclarations": [
                    {
                        "name": "f",
                        "parametersJsonSchema": {"type": "object", "properties": {}},
                    }
                ]
            },
            {"googleSearch": {}},
        ],
        "toolConfig": {
            "functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]},
            "includeServerSideToolInvocations": True,
        },
        "generationConfig": {
            "maxOutputTokens": 9,
            "stopSequences": ["END"],
            "responseMimeType": "application/json",
            "responseJsonSchema": {"type": "object"},
            "thinkingConfig": {"includeThoughts": True, "thinkingLevel": "LOW"},
            "candidateCount": 1,
        },
        "x": 1,
    }


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"verbosity": "low"}, "verbosity"),
        ({"parallel_tool_calls": False}, "parallel_tool_calls"),
        ({"metadata": {"a": "b"}}, "metadata"),
        ({"service_tier": "scale"}, "service_tier"),
        ({"tools": [Tool("f", strict=True)]}, "tools"),
        ({"tools": [HostedTool({"type": "web_search"})]}, "tools"),
        ({"response_format": ResponseFormat({"type": "object"}, strict=False)}, "response_format"),
        ({"response_format": ResponseFormat({}, description="x")}, "response_format"),
        ({"reasoning_effort": "none"}, "reasoning_effort"),
        ({"reasoning_effort": "max"}, "reasoning_effort"),
    ],
)
def test_what_the_api_lacks_is_named(options, word):
    (warning,) = warnings(**options)
    assert warning.startswith(f"{word}: ")


@pytest.mark.parametrize(
    ("model", "effort", "config"),
    [
        ("gemini-2.5-flash", "none", {"thinkingBudget": 0}),
        ("gemini-2.5-flash", "high", {"includeThoughts": True, "thinkingBudget": 24576}),
        ("gemini-2.5-pro", "none", {"includeThoughts": True, "thinkingBudget": 512}),
        ("gemini-3-pro-preview", "medium", {"includeThoughts": True, "thinkingLevel": "LOW"}),
        ("gemini-3.1-pro", "medium", {"includeThoughts": True, "thinkingLevel": "MEDIUM"}),
        ("gemini-3-flash", "none", {"includeThoughts": True, "thinkingLevel": "MINIMAL"}),
        ("gemini-flash-latest", "minimal", {"includeThoughts": True, "thinkingLevel": "MINIMAL"}),
        ("gemini-2.0-flash", "high", None),
        ("gemma-3-27b", "high", None),
    ],
)
def test_an_effort_is_a_level_or_a_budget(model, effort, config):
    body = render_request(request(USER, model=model, reasoning_effort=effort)).body
    assert body.get("generationConfig", {}).get("thinkingConfig") == config


def test_a_thinking_that_no_effort_says_stays():
    config = {"thinkingConfig": {"thinkingBudget": 777}, "temperature": 1}
    body = {"model": "gemini-2.5-flash", "contents": "hi", "generationConfig": config}
    asked = parse_request(body)
    assert (asked.reasoning_effort, asked.temperature) == (None, 1)
    assert render_request(asked).body["generationConfig"] == config


def test_vertex_has_labels():
    asked = request(USER, metadata={"team": "a"})
    assert render_request(asked, GenerateVariant("vertex", labels=True)).body["labels"] == {
        "team": "a"
    }


def test_signatures_go_back_to_whom_they_are_from():
    signed = {"format": FORMAT, "thoughtSignature": "c2ln"}
    answer = Message(
        "assistant",
        [
            ReasoningPart("Hm"),
            ReasoningPart("Why", "YQ==", format=FORMAT),
            TextPart("So"),
            ReasoningPart("", "Yg==", format=FORMAT),
            ToolCall("c", "f", "{}", input={}, provider_data=signed),
            File(media_type="image/png", data=PNG, provider_data=signed),
            Source(url="https://a"),
        ],
        provider="gemini",
    )
    parts = contents(USER, answer)[1]["parts"]
    assert parts[:4] == [
        {"text": "Why", "thought": True, "thoughtSignature": "YQ=="},
        {"text": "So"},
        {"text": "", "thoughtSignature": "Yg=="},
        {"functionCall": {"id": "c", "name": "f", "args": {}}, "thoughtSignature": "c2ln"},
    ]
    assert parts[4].keys() == {"inlineData", "thoughtSignature"}
    answer.provider = "vertex"
    rendered = render_request(request(USER, answer))
    assert rendered.body["contents"][1]["parts"] == [
        {"text": "So"},
        {"functionCall": {"id": "c", "name": "f", "args": {}}, "thoughtSignature": UNSIGNED},
    ]
    assert len(rendered.warnings) == 3


def test_older_models_need_no_signature():
    call = Message("assistant", [ToolCall("c", "f", "{}", input={})])
    parts = contents(USER, call, model="gemini-2.5-pro")[1]["parts"]
    assert parts == [{"functionCall": {"id": "c", "name": "f", "args": {}}}]


def test_only_the_first_call_of_a_step_must_be_signed():
    made = [ToolCall(f"c{n}", "f", "{}", input={}) for n in range(2)]
    parts = contents(USER, Message("assistant", made))[1]["parts"]
    assert ["thoughtSignature" in part for part in parts] == [True, False]


@pytest.mark.parametrize(
    ("content", "is_error", "response"),
    [
        ("ok", False, {"result": "ok"}),
        ("no", True, {"error": "no"}),
        ({"a": 1}, False, {"a": 1}),
        ({"a": 1}, True, {"error": {"a": 1}}),
        ([1, 2], False, {"result": [1, 2]}),
        ({"result": 1}, False, {"result": {"result": 1}}),
        ({}, False, {"result": {}}),
        (None, False, {"result": None}),
    ],
)
def test_a_result_is_an_object(content, is_error, response):
    call = Message("assistant", [ToolCall("c", "f", "{}", input={})])
    told = Message("tool", [ToolResult("c", content, is_error=is_error)])
    body = render_request(request(USER, call, told)).body
    assert body["contents"][2]["parts"][0]["functionResponse"]["response"] == response
    again = parse_request(body).messages[2].parts[0]
    assert (again.content, again.is_error) == (content, is_error)


def test_what_a_result_shows_stands_in_it_or_behind_it():
    call = Message("assistant", [ToolCall("c", "f", "{}", input={})])
    shown = Message("tool", [ToolResult("c", [TextPart("see"), ImagePart(data=PNG)])])
    new = contents(USER, call, shown)[2]["parts"]
    assert new[0]["functionResponse"]["response"] == {"result": "see"}
    assert [list(part) for part in new[0]["functionResponse"]["parts"]] == [["inlineData"]]
    old = contents(USER, call, shown, model="gemini-2.5-pro")[2]["parts"]
    assert [list(part) for part in old] == [["functionResponse"], ["inlineData"]]


def test_a_paused_answer_goes_on_by_its_token():
    def paused(token, words):
        parts = [TextPart(words), ProviderPart(FORMAT, {"continuationToken": token})]
        return Message("assistant", parts, provider="gemini")

    first = render_request(request(USER)).body
    going_on = render_request(request(USER, paused("a", "x"), paused("b", "y")))
    assert going_on.body == {**first, "continuationToken": "b"}
    assert going_on.warnings == []
    later = render_request(request(USER, paused("a", "x"), Message("user", "go on")))
    assert "continuationToken" not in later.body
    assert later.body["contents"][1] == {"role": "model", "parts": [{"text": "x"}]}
    other = replace(paused("a", "x"), provider="vertex")
    assert "continuationToken" not in render_request(request(USER, other)).body


def test_files_that_cant_go_are_named():
    told = warnings(Message("user", [TextPart("x"), File(name="a.zip", data=b"PK\x03\x04")]))
    assert told == ["file: application/zip can't go to Gemini (gemini); left out"]
    parts = contents(Message("user", [File(name="a.json", data=b"{}")]))[0]["parts"]
    assert parts[0]["inlineData"]["mimeType"] == "text/plain"


def test_googles_own_tools_need_no_type():
    asked = build_request([{"role": "user", "content": "x"}], MODEL, tools=[{"googleSearch": {}}])
    assert asked.tools == [HostedTool({"googleSearch": {}})]
    with pytest.raises(ValueError, match="needs a name"):
        build_request([{"role": "user", "content": "x"}], MODEL, tools=[{"parameters": {}}])


def test_other_formats_leave_googles_tools_out():
    from llmstream.wire import FORMATS

    for name in ("openai-chat", "openai-responses", "anthropic-messages"):
        asked = ChatRequest([USER], "m", tools=[HostedTool({"googleSearch": {}})])
        rendered = FORMATS[name].render_request(asked)
        assert not rendered.body.get("tools")
        assert "googleSearch" in rendered.warnings[0]


# --- what comes in ----------------------------------------------------------------------------------------


def test_calls_without_ids_get_some_and_their_results_find_them():
    body = {
        "model": MODEL,
        "contents": [
            {"parts": [{"text": "hi"}]},
            {
                "role": "model",
                "parts": [
                    {"functionCall": {"name": "f", "args": {"a": 1}}},
                    {"functionCall": {"name": "g"}},
                    {"functionCall": {"name": "f", "args": {"a": 2}}},
                ],
            },
            {
                "role": "function",
                "parts": [
                    {"functionResponse": {"name": "f", "response": {"result": "1"}}},
                    {"functionResponse": {"name": "g", "response": {"result": "2"}}},
                    {"functionResponse": {"name": "f", "response": {"result": "3"}}},
                ],
            },
        ],
    }
    _, called, told = parse_request(body).messages
    ids = [call.id for call in called.tool_calls]
    assert [result.tool_call_id for result in told.parts] == ids
    assert len(set(ids)) == 3


def test_googles_dialect_of_schemas_is_read():
    parameters = {
        "type": "OBJECT",
        "properties": {
            "a_b": {"type": "STRING", "nullable": True},
            "c": {"type": "ARRAY", "items": {"type": "INTEGER"}},
        },
    }
    declared = {"functionDeclarations": [{"name": "f", "parameters": parameters}]}
    config = {"responseMimeType": "application/json", "responseSchema": {"type": "OBJECT"}}
    body = {"model": MODEL, "contents": "x", "tools": [declared], "generationConfig": config}
    asked = parse_request(body)
    assert asked.tools[0].parameters == {
        "type": "object",
        "properties": {
            "a_b": {"type": ["string", "null"]},
            "c": {"type": "array", "items": {"type": "integer"}},
        },
    }
    assert asked.response_format == ResponseFormat({"type": "object"})


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({}, "contents is empty"),
        ({"contents": 5}, "contents must be a list"),
        ({"contents": [{"role": "owl", "parts": []}]}, r"contents\[0\].role"),
        ({"contents": [{"parts": [5]}]}, r"contents\[0\].parts\[0\]"),
        ({"contents": [{"parts": [{"text": 5}]}]}, r"contents\[0\].parts\[0\].text"),
        ({"contents": [{"parts": [{"functionCall": {}}]}]}, "needs a name"),
        ({"contents": [{"parts": [{"functionResponse": {"name": "f"}}]}]}, "needs an id"),
        (
            {"contents": [{"parts": [{"inlineData": {"mimeType": "image/png", "data": "?"}}]}]},
            "base64",
        ),
        ({"contents": "x", "tools": [5]}, r"tools\[0\]"),
        ({"contents": "x", "tools": [{"functionDeclarations": [{}]}]}, "needs a name"),
        ({"contents": "x", "generationConfig": 5}, "generationConfig must be an object"),
        ({"contents": "x", "generationConfig": {"temperature": "hot"}}, "temperature"),
    ],
)
def test_bad_requests_name_the_place(body, place):
    with pytest.raises((TypeError, ValueError), match=place):
        parse_request({"model": MODEL, **body})


FILLED = st.recursive(
    strategies.json_values,
    lambda inner: st.dictionaries(
        st.sampled_from(
            [
                *("role", "parts", "text", "thought", "functionCall", "name", "args", "id"),
                *("functionResponse", "response", "inlineData", "data", "mimeType"),
                *("executableCode", "toolCall"),
            ]
        ),
        inner | st.lists(inner, max_size=2),
        max_size=4,
    ),
    max_leaves=10,
)


@given(st.lists(FILLED, max_size=3), st.sampled_from(["user", "model"]))
def test_parts_of_any_content_are_taken_or_refused(parts, role):
    body = {"model": MODEL, "contents": [{"role": role, "parts": parts}]}
    try:
        asked = parse_request(body)
    except (TypeError, ValueError):
        return
    render_request(asked)


@given(
    st.sampled_from(
        ["contents", "tools", "toolConfig", "generationConfig", "systemInstruction", "labels"]
    ),
    strategies.json_values | FILLED,
)
def test_a_field_of_any_content_is_taken_or_refused(name, value):
    try:
        asked = parse_request({"model": MODEL, "contents": "x", name: value})
    except (TypeError, ValueError):
        return
    render_request(asked)


# --- the vendor's own types -------------------------------------------------------------------------------


@pytest.mark.sdk
@given(chat_requests())
@examples(40)
def test_the_vendors_types_accept_what_is_rendered(asked):
    body = render_request(asked).body
    for content in body["contents"]:
        content["parts"] = [part for part in content["parts"] if "hologram" not in part]
    check_gemini(body)


@pytest.mark.sdk
@pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")
@pytest.mark.parametrize("streamed", [True, False], ids=["stream", "whole"])
async def test_googles_client_reads_our_answers(streamed):
    """Frames from our encoder, and a document as our fault server writes it, over a real socket."""
    genai = pytest.importorskip("google.genai")
    made = ToolCall("c1", "weather", '{"city":"Oslo"}', input={"city": "Oslo"})
    items = [ReasoningPart("Hm"), "Grüß ", "Gott", made, Usage(7, 5, reasoning_tokens=2)]
    whole = find_format(FORMAT).samples.document("Grüß Gott")
    handler = answer(FORMAT, *items) if streamed else refuse(200, whole)
    async with Loopback(handler) as server:
        options = {"base_url": f"http://127.0.0.1:{server.port}"}
        client = genai.Client(api_key="k", http_options=options)
        if not streamed:
            told = await client.aio.models.generate_content(model="m", contents="hi")
            assert (told.text, told.candidates[0].finish_reason) == ("Grüß Gott", "STOP")
            return
        chunks = [
            chunk
            async for chunk in await client.aio.models.generate_content_stream(
                model="m", contents="hi"
            )
        ]
    contents = [chunk.candidates[0].content for chunk in chunks]
    parts = [part for content in contents if content for part in content.parts or ()]
    assert "".join(part.text or "" for part in parts if not part.thought) == "Grüß Gott"
    assert "".join(part.text or "" for part in parts if part.thought) == "Hm"
    assert [part.function_call.args for part in parts if part.function_call] == [{"city": "Oslo"}]
    assert chunks[-1].usage_metadata.thoughts_token_count == 2
    assert chunks[-1].candidates[0].finish_reason == "STOP"


@pytest.mark.parametrize("recording", recordings("gemini"))
def test_a_recorded_answer_goes_back_as_it_came(recording):
    """Each part that matters, in its order: calls, signatures, code, and what Google's tools did."""
    frames = [json.loads(line[5:]) for line in recording.body.splitlines() if line[:5] == b"data:"]
    last = decode(lambda: decoder(FORMAT), [recording.body])[-1]
    if last.message is None or not last.message.parts:
        return
    came = [
        part
        for frame in frames
        for candidate in frame.get("candidates", ())
        for part in candidate.get("content", {}).get("parts", ())
    ]
    turns = contents(USER, last.message)
    went = turns[1]["parts"] if len(turns) > 1 else []
    for name in ("executableCode", "codeExecutionResult", "toolCall", "toolResponse"):
        assert [p[name] for p in went if name in p] == [p[name] for p in came if name in p]
    signed = [p["thoughtSignature"] for p in went if "thoughtSignature" in p]
    assert [each for each in signed if each != UNSIGNED] == [
        p["thoughtSignature"] for p in came if "thoughtSignature" in p
    ]


def test_a_system_that_says_nothing_is_left_out():
    """400 `Unable to submit request because it has an empty text parameter`."""
    assert "systemInstruction" not in render_request(request(Message("system", ""), USER)).body
