"""Requests of Google's Interactions, rendered and parsed."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmstream.arguments import build_request
from llmstream.client import LLMClient
from llmstream.errors import ErrorInfo
from llmstream.events.types import EventType, Start, StreamEvent, opaque, text_delta
from llmstream.messages import (
    ChatRequest,
    File,
    FinishReason,
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
from llmstream.providers.timeouts import Timeouts
from llmstream.tools import run_tools
from llmstream.wire.formats import find_format
from llmstream.wire.gemini_interactions.encode import InteractionsEncoder
from llmstream.wire.gemini_interactions.request import parse_request, render_request
from llmstream.wire.json_fields import compact
from tests import strategies
from tests.example_counts import examples
from tests.loopback import Loopback, Reply, answer, refuse
from tests.wire.vendor_types import check_interactions

FORMAT = "gemini-interactions"
MODEL = "gemini-3.8-flash"
USER = Message("user", "hi")
PNG = b"\x89PNG\r\n\x1a\n123"


def request(*messages: Message, model: str = MODEL, **options: Any) -> ChatRequest:
    return ChatRequest(list(messages or [USER]), model, **options)


def body(*messages: Message, **options: Any) -> dict[str, Any]:
    return render_request(request(*messages, **options)).body


def warnings(*messages: Message, **options: Any) -> list[str]:
    return render_request(request(*messages, **options)).warnings


# --- there and back ------------------------------------------------------------------------------------------

some = strategies.some
said = some.filter(str.strip)
signatures = st.text("abcd", min_size=4, max_size=4)
inputs = st.dictionaries(strategies.names, strategies.json_values, max_size=2)


@st.composite
def calls(draw: Any) -> ToolCall:
    given_ = draw(inputs)
    signature = draw(st.none() | signatures)
    data = {"format": FORMAT, "signature": signature} if signature else None
    arguments = compact(given_) if given_ else ""
    return ToolCall("", draw(strategies.names), arguments, given_, provider_data=data)


user_parts = (
    said.map(TextPart)
    | st.builds(ImagePart, data=st.just(PNG), detail=st.sampled_from([None, "low", "high"]))
    | st.builds(ImagePart, url=strategies.urls, media_type=st.just("image/png"))
    | st.builds(File, data=st.binary(min_size=1).map(b"%PDF-".__add__))
    | st.builds(File, url=strategies.urls, media_type=st.just("video/mp4"))
    | st.builds(
        File,
        url=strategies.urls,
        media_type=st.just("audio/wav"),
        provider_data=st.just({"format": FORMAT, "members": {"channels": 2}}),
    )
)
SEARCH = {
    "type": "google_search_call",
    "id": "e1",
    "arguments": {"queries": ["q"]},
    "signature": "S",
}
FOUND = {"type": "google_search_result", "call_id": "e1", "result": [], "signature": "T"}
ran = st.just(
    [
        ToolCall(
            "e1",
            "google_search",
            '{"queries":["q"]}',
            {"queries": ["q"]},
            executed_by="provider",
            provider_data={"format": FORMAT, "step": SEARCH},
        ),
        ToolResult(
            "e1",
            [],
            "google_search",
            executed_by="provider",
            provider_data={"format": FORMAT, "step": FOUND},
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
    | st.just([ProviderPart(FORMAT, {"type": "hologram", "x": 1})])
)
users = st.lists(user_parts, min_size=1, max_size=3).map(lambda parts: [Message("user", parts)])


@st.composite
def turns(draw: Any) -> list[Message]:
    """What a user says, and an assistant's turn with the answers to its calls."""
    parts = [part for each in draw(st.lists(assistant_parts, max_size=3)) for part in each]
    answers: list[Any] = []
    for number, part in enumerate(parts):
        if isinstance(part, ToolCall) and part.executed_by == "caller":
            id = f"call_{draw(st.uuids())}"
            parts[number] = replace(part, id=id)
            content = draw(strategies.text | strategies.objects)
            answers.append(ToolResult(id, content, part.name, is_error=draw(st.booleans())))
    turn = [*draw(users), Message("assistant", [*parts, TextPart(draw(said))])]
    return [*turn, Message("tool", answers)] if answers else turn


schemas = st.just({"type": "object", "properties": {"a_b": {"type": "string"}}})
functions = st.builds(Tool, strategies.names, schemas, st.none() | some)
hosted = st.sampled_from(
    [HostedTool({"type": "google_search"}), HostedTool({"type": "url_context"})]
)
KEPT = {
    "previous_interaction_id": "v1_p",
    "generation_config": {"speech_config": {"voice": "x"}},
    "safety_settings": [{"category": "X"}],
}


@st.composite
def chat_requests(draw: Any) -> ChatRequest:
    system = draw(st.none() | said)
    head = [Message("system", [TextPart(system)])] if system else []
    history = [message for turn in draw(st.lists(turns(), max_size=3)) for message in turn]
    offered = [*draw(st.lists(functions, max_size=2)), *draw(st.lists(hosted, max_size=1))]
    named = [ToolChoice("tool", tool.name) for tool in offered if isinstance(tool, Tool)]
    modes = [ToolChoice("auto"), ToolChoice("none"), ToolChoice("required")]
    formats = st.builds(ResponseFormat, schemas) | st.builds(ResponseFormat)
    share = st.none() | st.floats(0, 1)
    return ChatRequest(
        messages=[*head, *history, *draw(users)],
        model=draw(st.sampled_from([MODEL, "gemini-3-pro-preview"])),
        tools=offered,
        tool_choice=draw(st.none() | st.sampled_from([*modes, *named])) if offered else None,
        response_format=draw(st.none() | formats),
        temperature=draw(share),
        top_p=draw(share),
        service_tier=draw(st.sampled_from([None, "default", "flex", "deferred"])),
        max_tokens=draw(st.none() | st.integers(1, 10**5)),
        metadata=draw(st.sampled_from([{}, {"team": "blue"}])),
        stop=draw(st.lists(some, max_size=2)),
        seed=draw(st.none() | st.integers(0, 100)),
        reasoning_effort=draw(st.sampled_from([None, "low", "high"])),
        format_options=draw(st.sampled_from([{}, {FORMAT: KEPT}])),
    )


@given(chat_requests())
@examples(60)
def test_parsing_what_was_rendered_gives_the_same_request(asked: ChatRequest) -> None:
    rendered = render_request(asked)
    assert rendered.warnings == []
    assert parse_request(json.loads(json.dumps(rendered.body))) == asked


# --- out -----------------------------------------------------------------------------------------------------


def test_a_rendered_request() -> None:
    """Everything at once, as the documentation has it."""
    call = ToolCall("c1", "look", '{"at": "it"}', {"at": "it"})
    history = [
        Message("system", "Be brief."),
        Message("user", [TextPart("hi"), ImagePart(data=PNG, detail="low")]),
        Message("assistant", [ReasoningPart("Hm.", "U2ln", format=FORMAT), TextPart("Ok."), call]),
        Message("tool", [ToolResult("c1", {"seen": True})]),
    ]
    made = body(
        *history,
        tools=[Tool("look", {"type": "object"}, "Looks."), HostedTool({"type": "google_search"})],
        tool_choice=ToolChoice("tool", "look"),
        response_format=ResponseFormat({"type": "object"}),
        temperature=0.5,
        max_tokens=9,
        stop=["x"],
        seed=4,
        reasoning_effort="low",
        service_tier="flex",
        metadata={"a": "b"},
    )
    image = {
        "type": "image",
        "mime_type": "image/png",
        "data": "iVBORw0KGgoxMjM=",
        "resolution": "low",
    }
    assert made == {
        "model": MODEL,
        "stream": True,
        "store": False,
        "system_instruction": "Be brief.",
        "input": [
            {"type": "user_input", "content": [{"type": "text", "text": "hi"}, image]},
            {
                "type": "thought",
                "summary": [{"type": "text", "text": "Hm."}],
                "signature": "U2ln",
            },
            {"type": "model_output", "content": [{"type": "text", "text": "Ok."}]},
            {"type": "function_call", "id": "c1", "name": "look", "arguments": {"at": "it"}},
            {"type": "function_result", "call_id": "c1", "name": "look", "result": {"seen": True}},
        ],
        "tools": [
            {
                "type": "function",
                "name": "look",
                "description": "Looks.",
                "parameters": {"type": "object"},
            },
            {"type": "google_search"},
        ],
        "generation_config": {
            "temperature": 0.5,
            "max_output_tokens": 9,
            "stop_sequences": ["x"],
            "seed": 4,
            "tool_choice": {"allowed_tools": {"mode": "any", "tools": ["look"]}},
            "thinking_level": "low",
            "thinking_summaries": "auto",
        },
        "response_format": {
            "type": "text",
            "mime_type": "application/json",
            "schema": {"type": "object"},
        },
        "service_tier": "flex",
        "labels": {"a": "b"},
    }


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"top_k": 4}, "top_k"),
        ({"frequency_penalty": 1}, "frequency_penalty"),
        ({"parallel_tool_calls": False}, "parallel_tool_calls"),
        ({"verbosity": "low"}, "verbosity"),
        ({"service_tier": "scale"}, "service_tier"),
        ({"response_format": ResponseFormat(strict=False)}, "response_format"),
        ({"response_format": ResponseFormat(description="x")}, "response_format"),
        ({"tools": [Tool("f", strict=True)]}, "tools"),
        ({"tools": [HostedTool({"googleSearch": {}})]}, "tools"),
        ({"tools": [HostedTool({"type": "web_search_20250305"})]}, "tools"),
        ({"reasoning_effort": "xhigh"}, "reasoning_effort"),
        ({"reasoning_effort": "none"}, "reasoning_effort"),
        ({"model": "gemini-2.0-flash", "reasoning_effort": "low"}, "reasoning_effort"),
        ({"format_options": {"gemini-generate": {"safetySettings": []}}}, "safetySettings"),
    ],
)
def test_what_the_api_lacks_is_named(options: dict[str, Any], word: str) -> None:
    (warning,) = warnings(**options)
    assert warning.startswith(f"{word}:")


def test_nothing_is_kept_there_unless_the_caller_wants_it() -> None:
    def stored(**own: Any) -> Any:
        return body(provider_options={FORMAT: own}).get("store", "unsaid")

    assert stored() is False
    assert stored(store=True) is True
    assert stored(background=True) == "unsaid"
    assert stored(previous_interaction_id="v1_p") is False


def test_the_server_may_have_the_beginning() -> None:
    """Results of calls that it has go along, and no user need speak first."""
    own = {FORMAT: {"previous_interaction_id": "v1_p"}}
    result = Message("tool", [ToolResult("c1", "fine", "look")])
    made = body(result, provider_options=own)
    (step,) = made["input"]
    assert step == {"type": "function_result", "call_id": "c1", "name": "look", "result": "fine"}
    assert warnings(result, provider_options=own) == []


def test_an_agent_takes_the_models_place() -> None:
    made = body(provider_options={FORMAT: {"agent": "deep-research-preview-04-2026"}})
    assert "model" not in made
    assert parse_request(made).model == "deep-research-preview-04-2026"


def test_a_paused_answer_goes_on_by_its_token() -> None:
    """The same request with the token, and without what it has brought. Another host's token goes nowhere."""
    pause = ProviderPart(FORMAT, {"continuation_token": "tok"})
    paused = Message("assistant", [TextPart("Half"), pause], provider=FORMAT)
    made = body(USER, paused)
    assert made["continuation_token"] == "tok"
    assert made["input"] == body(USER)["input"]
    later = body(USER, paused, Message("user", "and?"))
    assert "continuation_token" not in later
    assert [step["type"] for step in later["input"]] == ["user_input", "model_output", "user_input"]
    elsewhere = body(USER, replace(paused, provider="other"))
    assert "continuation_token" not in elsewhere


def look() -> str:
    """A tool."""
    return "x"


async def test_a_pause_goes_on_by_itself_where_tools_run() -> None:
    """Over a real socket: both halves are one answer, and the tokens of both are billed."""
    end = StreamEvent(
        EventType.MESSAGE_COMPLETE, finish_reason=FinishReason.PAUSE, usage=Usage(5, 2)
    )
    half = [
        StreamEvent(EventType.MESSAGE_START, start=Start()),
        text_delta("Half "),
        opaque(FORMAT, item={"continuation_token": "tok"}),
        end,
    ]
    encoder = InteractionsEncoder()
    told = b"".join(encoder.feed(event) for event in half)

    async def pause(_: Any, reply: Reply) -> None:
        await reply.head()
        await reply.send(told)
        await reply.end()

    async with (
        Loopback(pause, answer(FORMAT, "done.", Usage(6, 3))) as server,
        LLMClient(f"{FORMAT}:m", api_key="k", base_url=server.url(FORMAT)) as client,
    ):
        events = [event async for event in run_tools(client, [USER], [look])]
    assert "".join(event.text for event in events) == "Half done."
    assert [request.body.get("continuation_token") for request in server.requests] == [None, "tok"]
    assert server.requests[0].body["input"] == server.requests[1].body["input"]


@pytest.mark.parametrize("silent", [False, True], ids=["cut", "silent"])
async def test_a_stored_answer_that_is_cut_can_be_resumed(*, silent: bool) -> None:
    """Whether the server is gone or says nothing more: the program hears after which event to go on."""
    begun = {"event_type": "step.start", "index": 0, "step": {"type": "model_output"}}
    said = {"event_type": "step.delta", "index": 0, "delta": {"type": "text", "text": "Half"}}
    head = {"event_type": "interaction.created", "interaction": {"id": "v1_x", "model": "m"}}
    frames = [{**each, "event_id": f"e{number}"} for number, each in enumerate((head, begun, said))]
    told = b"".join(b"data: %s\n\n" % json.dumps(frame).encode() for frame in frames)

    async def cut(_: Any, reply: Reply) -> None:
        await reply.head()
        await reply.send(told)
        if silent:
            await reply.client_left()
        else:
            reply.writer.close()

    limits = Timeouts(idle=0.2) if silent else Timeouts()
    async with (
        Loopback(cut) as server,
        LLMClient(
            f"{FORMAT}:m", api_key="k", base_url=server.url(FORMAT), timeouts=limits
        ) as client,
    ):
        events = [event async for event in client.chat_completion([USER])]
    assert events[-1].error_info is not None
    assert events[-1].error_info.kind == ("timeout" if silent else "truncated")
    (status,) = [event.status for event in events if event.status is not None]
    assert (status.kind, status.data) == (
        "resumable",
        {"format": FORMAT, "interaction_id": "v1_x", "event_id": "e2"},
    )


@pytest.mark.parametrize(
    ("content", "is_error", "told"),
    [
        ("fine", False, "fine"),
        ("", False, ""),
        ({"a": 1}, False, {"a": 1}),
        ([1, 2], False, "[1,2]"),
        (5, True, "5"),
        (None, False, "null"),
        ([TextPart("see")], False, [{"type": "text", "text": "see"}]),
    ],
)
def test_a_result_is_text_an_object_or_contents(content: Any, is_error: Any, told: Any) -> None:
    call = ToolCall("c1", "f", "{}", {})
    result = ToolResult("c1", content, is_error=is_error)
    step = body(USER, Message("assistant", [call]), Message("tool", [result]))["input"][-1]
    assert step["result"] == told
    assert step.get("is_error", False) is is_error


def test_signatures_go_back_to_whom_they_are_from() -> None:
    """Its own, but not another provider's of the same format, and not another format's."""
    own = ReasoningPart("Hm.", "S", format=FORMAT)
    call = ToolCall("c1", "f", "{}", {}, provider_data={"format": FORMAT, "signature": "C"})
    parts = [own, call]
    told = Message("tool", [ToolResult("c1", "x")])
    assert '"S"' in json.dumps(body(USER, Message("assistant", parts, provider=FORMAT), told))
    for made in (
        body(USER, Message("assistant", parts, provider="elsewhere"), told),
        body(USER, Message("assistant", [ReasoningPart("Hm.", "S", format="gemini-generate")])),
    ):
        assert '"S"' not in json.dumps(made)
        assert '"C"' not in json.dumps(made)


def test_another_providers_history_is_made_fit() -> None:
    """Hosted tools and sources of others are left out, texts of files go labelled, the system's later words move."""
    searched = ToolCall("w1", "web_search_call", "{}", {}, executed_by="provider")
    history = [
        USER,
        Message("assistant", [searched, TextPart("Ok."), Source(url="https://a.example")]),
        Message("system", "Be brief."),
        Message("user", [File(data=b"a,b", name="a.csv", media_type="text/csv")]),
    ]
    made = body(*history)
    assert made["system_instruction"] == "Be brief."
    assert [step["type"] for step in made["input"]] == ["user_input", "model_output", "user_input"]
    assert made["input"][-1]["content"] == [{"type": "text", "text": "[Document: a.csv]\na,b"}]
    assert warnings(*history)


def test_files_that_cant_go_are_named() -> None:
    archive = File(data=b"PK\x03\x04", name="a.zip", media_type="application/zip")
    assert any("application/zip" in warning for warning in warnings(Message("user", [archive])))
    table = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    made = body(Message("user", [File(data=b"PK\x03\x04", media_type=table)]))
    assert made["input"][0]["content"][0]["type"] == "document"


# --- in ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given_",
    [
        "hi",
        {"type": "text", "text": "hi"},
        [{"type": "text", "text": "hi"}],
        [{"type": "user_input", "content": "hi"}],
        [{"type": "user_input", "content": [{"type": "text", "text": "hi"}]}],
        [{"type": "user_input", "content": {"type": "text", "text": "hi"}}],
    ],
)
def test_an_input_has_many_forms(given_: Any) -> None:
    assert parse_request({"model": "m", "input": given_}).messages == [USER]


def test_a_result_beside_what_the_user_says() -> None:
    """Contents may stand among steps, and a result wrapped as the documentation's example has it."""
    wrapped = {"content": [{"type": "text", "text": "Sunny"}]}
    given_ = [
        {"type": "function_result", "call_id": "c1", "name": "look", "result": wrapped},
        {"type": "text", "text": "and?"},
    ]
    read = parse_request({"model": "m", "input": given_}).messages
    assert read == [Message("tool", [ToolResult("c1", wrapped, "look")]), Message("user", "and?")]


@pytest.mark.parametrize(
    ("given_", "place"),
    [
        ({"input": "hi"}, "model"),
        ({"model": "m"}, "input"),
        ({"model": "m", "input": 5}, "input"),
        ({"model": "m", "input": [5]}, "input[0]"),
        ({"model": "m", "input": [{"type": "text"}]}, "input[0].text"),
        ({"model": "m", "input": [{"type": "function_call", "id": "c"}]}, "input[0] needs a name"),
        ({"model": "m", "input": [{"type": "function_result"}]}, "input[0] needs a call_id"),
        ({"model": "m", "input": [{"type": "image", "data": "!"}]}, "input[0]"),
        ({"model": "m", "input": "hi", "system_instruction": 5}, "system_instruction"),
        ({"model": "m", "input": "hi", "tools": [{"type": "function"}]}, "tools[0] needs a name"),
        ({"model": "m", "input": "hi", "generation_config": 5}, "generation_config"),
        (
            {"model": "m", "input": "hi", "generation_config": {"stop_sequences": [5]}},
            "stop_sequences",
        ),
    ],
)
def test_bad_requests_name_the_place(given_: dict[str, Any], place: str) -> None:
    with pytest.raises((TypeError, ValueError)) as raised:
        parse_request(given_)
    assert place in str(raised.value)


FIELDS = ["input", "system_instruction", "tools", "generation_config", "response_format", "labels"]


@pytest.mark.slow
@given(st.sampled_from(FIELDS), strategies.json_values)
def test_a_field_of_any_content_is_taken_or_refused(name: str, value: Any) -> None:
    with contextlib.suppress(TypeError, ValueError):
        parse_request({"model": "m", "input": "hi", name: value})


KINDS = [
    "user_input",
    "model_output",
    "thought",
    "function_call",
    "function_result",
    "text",
    "image",
    "odd_call",
]
STEP_FIELDS = [
    "content",
    "summary",
    "signature",
    "id",
    "name",
    "arguments",
    "call_id",
    "result",
    "text",
    "data",
]


@pytest.mark.slow
@given(
    st.sampled_from(KINDS),
    st.dictionaries(st.sampled_from(STEP_FIELDS), strategies.json_values, max_size=4),
)
def test_a_step_of_any_content_is_taken_or_refused(kind: str, fields: dict[str, Any]) -> None:
    """What is taken renders again."""
    try:
        read = parse_request({"model": "m", "input": [{"type": kind, **fields}]})
    except (TypeError, ValueError):
        return
    render_request(read)


# --- Google's own client ---------------------------------------------------------------------------------------


@pytest.mark.sdk
@given(chat_requests())
@examples(40)
def test_the_vendors_types_accept_what_is_rendered(asked: ChatRequest) -> None:
    """Nothing is unknown to them."""
    made = render_request(asked).body
    made["input"] = [step for step in made["input"] if step["type"] != "hologram"]
    made.pop("safety_settings", None)
    made.get("generation_config", {}).pop("speech_config", None)
    check_interactions(made)


@asynccontextmanager
async def client_of(server: Loopback) -> AsyncIterator[Any]:
    """The part of Google's client that asks for interactions."""
    genai = pytest.importorskip("google.genai")
    options = {"base_url": f"http://127.0.0.1:{server.port}"}
    with genai.Client(api_key="k", http_options=options) as client:
        async with client.aio as asynchronous:
            yield asynchronous.interactions


QUIET = pytest.mark.filterwarnings("ignore")


@pytest.mark.sdk
@QUIET
async def test_googles_client_reads_our_streams() -> None:
    """Frames from our encoder, over a real socket."""
    pytest.importorskip("google.genai")
    made = ToolCall("c1", "weather", '{"city":"Oslo"}', input={"city": "Oslo"})
    cited = Source(title="A", url="https://a.example", start=0, end=5)
    items = [
        ReasoningPart("Hm", "U2ln"),
        "Grüß ",
        "Gott",
        cited,
        made,
        Usage(7, 5, reasoning_tokens=2),
    ]
    async with Loopback(answer(FORMAT, *items)) as server, client_of(server) as interactions:
        stream = await interactions.create(model="m", input="hi", stream=True, store=False)
        told = [event async for event in stream]
    assert find_format(FORMAT).is_path(server.requests[0].path)
    assert not [event for event in told if getattr(event, "is_unknown", False)]
    deltas = [event.delta for event in told if event.event_type == "step.delta"]
    assert not [delta for delta in deltas if getattr(delta, "is_unknown", False)]
    assert "".join(each.text for each in deltas if each.type == "text") == "Grüß Gott"
    thoughts = [each.content.text for each in deltas if each.type == "thought_summary"]
    assert "".join(thoughts) == "Hm"
    (annotated,) = [each for each in deltas if each.type == "text_annotation_delta"]
    assert (annotated.annotations[0].start_index, annotated.annotations[0].end_index) == (0, 7)
    arguments = "".join(each.arguments for each in deltas if each.type == "arguments_delta")
    assert json.loads(arguments) == {"city": "Oslo"}
    last = told[-1].interaction
    assert (last.status, last.usage.total_thought_tokens) == ("requires_action", 2)


@pytest.mark.sdk
@QUIET
async def test_googles_client_reads_our_whole_answers_and_errors() -> None:
    pytest.importorskip("google.genai")
    samples = find_format(FORMAT).samples
    document = samples.document("Grüß Gott")
    async with Loopback(refuse(200, document)) as server, client_of(server) as interactions:
        whole = await interactions.create(model="m", input="hi")
        assert (whole.output_text, whole.status) == ("Grüß Gott", "completed")
    failing = answer(FORMAT, "Half", ErrorInfo("rate_limit", "slow down"))
    async with Loopback(failing) as server, client_of(server) as interactions:
        stream = await interactions.create(model="m", input="hi", stream=True, store=False)
        last = [event async for event in stream][-1]
        assert (last.error.code, last.error.message) == ("rate_limit_exceeded", "slow down")


@pytest.mark.sdk
@QUIET
async def test_we_read_what_googles_client_sends() -> None:
    """A history of steps, as its documentation has it."""
    pytest.importorskip("google.genai")
    tool = {"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}}
    steps = [
        {"type": "user_input", "content": [{"type": "text", "text": "hi"}]},
        {"type": "thought", "signature": "U2ln"},
        {"type": "function_call", "id": "c1", "name": "look", "arguments": {}},
        {"type": "function_result", "call_id": "c1", "name": "look", "result": "fine"},
    ]
    async with Loopback(answer(FORMAT, "Ok.")) as server, client_of(server) as interactions:
        stream = await interactions.create(
            model="m",
            input=steps,
            tools=[tool],
            stream=True,
            store=False,
            system_instruction="Be brief.",
        )
        assert [event async for event in stream]
    asked = parse_request(server.requests[0].body)
    wanted = build_request(
        [
            Message("system", "Be brief."),
            USER,
            Message(
                "assistant",
                [ReasoningPart("", "U2ln", format=FORMAT), ToolCall("c1", "look", "", {})],
            ),
            Message("tool", [ToolResult("c1", "fine", "look")]),
        ],
        "m",
        tools=[Tool("look")],
    )
    assert (asked.messages, asked.tools) == (wanted.messages, wanted.tools)
