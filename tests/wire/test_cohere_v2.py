"""Cohere's `/v2/chat`: bytes to events, events to bytes, requests both ways."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from llmstream.errors import ErrorInfo
from llmstream.events.types import (
    EventType,
    Start,
    Status,
    StreamEvent,
    ToolCallDelta,
    error,
    opaque,
    reasoning_delta,
    text_delta,
)
from llmstream.messages import (
    ChatRequest,
    File,
    FinishReason,
    HostedTool,
    ImagePart,
    Message,
    ReasoningPart,
    ResponseFormat,
    Source,
    TextPart,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Usage,
    parse_arguments,
)
from llmstream.testing import FaultServer
from llmstream.testing.reply import ANSWER
from llmstream.wire.cohere_v2.decode import CohereDecoder
from llmstream.wire.cohere_v2.encode import CohereEncoder
from llmstream.wire.cohere_v2.request import parse_request, render_request
from tests import loopback, recordings, strategies
from tests.grammar_check import add_up, check_calls, check_stream
from tests.loopback import Loopback
from tests.recordings import Recording
from tests.wire.legal_answer import legal_answer, message_of
from tests.wire.vendor_types import check_cohere

RECORDED = recordings.recordings("cohere-v2")


def decode(*pieces: bytes) -> list[StreamEvent]:
    return recordings.decode(CohereDecoder, pieces)


def said(kind: str, index: int | None = None, **message: Any) -> dict[str, Any]:
    place = {} if index is None else {"index": index}
    return {"type": kind, **place, **({"delta": {"message": message}} if message else {})}


START = {**said("message-start", role="assistant", content=[]), "id": "c1"}


def end(reason: str | None = "COMPLETE", **more: Any) -> dict[str, Any]:
    return {"type": "message-end", "delta": {"finish_reason": reason, **more}}


def text(*pieces: str, index: int = 0) -> list[dict[str, Any]]:
    begun = said("content-start", index, content={"type": "text", "text": ""})
    return [begun, *(said("content-delta", index, content={"text": each}) for each in pieces)]


def call_start(index: int | None, arguments: Any = "", name: str = "add", **more: Any) -> Any:
    function = {"name": name, "arguments": arguments}
    return said("tool-call-start", index, tool_calls={**more, "function": function})


def sse(*payloads: dict[str, Any]) -> bytes:
    return b"".join(
        b"event: %s\ndata: %s\n\n" % (each["type"].encode(), json.dumps(each).encode())
        for each in payloads
    )


def answer(*payloads: dict[str, Any]) -> list[StreamEvent]:
    return legal_answer(CohereDecoder, sse(START, *payloads))


def message(*payloads: dict[str, Any]) -> Message:
    return message_of(answer(*payloads))


# --- the recordings ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("recording", RECORDED)
def test_a_recording_means_what_it_says(recording: Recording) -> None:
    """Each decodes to its text, reasoning or plan, calls, citations, usage and reason, however it is cut."""
    body, expect = recording.body, recording.expect
    events = decode(body)
    assert decode(*recordings.bytewise(body)) == events
    for seed in range(5):
        assert decode(*recordings.random_cuts(body, seed)) == events
    last = check_stream(events)
    check_calls(events)
    got = last.message
    assert got is not None
    assert got.text == expect["text"]
    assert got.reasoning == (expect["reasoning"] or expect.get("tool_plan") or "")
    assert [(call.name, call.input) for call in got.tool_calls] == [
        (name, value or {}) for name, value in recording.calls
    ]
    assert [call.id for call in got.tool_calls] == [made["id"] for made in expect["tool_calls"]]
    assert [call.arguments for call in got.tool_calls] == [
        made["arguments"] for made in expect["tool_calls"]
    ]
    assert len(got.sources) == expect["citations_count"]
    assert last.raw_finish_reason == expect["finish_reason_raw"]
    usage = expect["usage_raw"]
    tokens = usage["tokens"]
    counts = (tokens["input_tokens"], tokens["output_tokens"], usage.get("cached_tokens"))
    assert last.usage == Usage(*counts)
    assert not any(event.status for event in events)


@recordings.each_count
@pytest.mark.parametrize("recording", recordings.sampled(RECORDED))
def test_a_recording_cut_before_its_end_is_truncated(recording: Recording, count: int) -> None:
    body = recording.body
    limit = body.index(b"message-end", body.rindex(b'"message-end"') - 300)
    whole = "".join(event.text for event in decode(body))
    for size in recordings.sizes(limit, count):
        events = decode(body[:size])
        check_stream(events)
        info = events[-1].error_info
        assert info is not None
        assert info.kind == "truncated"
        assert whole.startswith("".join(event.text for event in events))


# --- events --------------------------------------------------------------------------------------------------


def test_billed_tokens_count_where_there_are_no_others() -> None:
    billed = {"billed_units": {"input_tokens": 3.0, "output_tokens": 2}}
    last = answer(*text("a"), end(usage=billed))[-1]
    assert last.usage == Usage(3, 2)
    assert answer(*text("a"), end(usage=None))[-1].usage is None


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("COMPLETE", FinishReason.STOP),
        ("STOP_SEQUENCE", FinishReason.STOP),
        ("MAX_TOKENS", FinishReason.LENGTH),
        ("TOOL_CALL", FinishReason.TOOL_CALLS),
        ("NOVELTY", FinishReason.OTHER),
        (None, FinishReason.UNKNOWN),
    ],
)
def test_each_reason_has_its_meaning(word: str | None, reason: FinishReason) -> None:
    last = answer(*text("a"), end(word))[-1]
    assert (last.finish_reason, last.raw_finish_reason) == (reason, word)


@pytest.mark.parametrize("word", ["ERROR", "TIMEOUT"])
def test_a_reason_may_be_a_failure(word: str) -> None:
    last = answer(*text("a"), end(word))[-1]
    assert last.error_info is not None
    assert (last.error_info.kind, last.error_info.code) == ("server", word)


def test_the_end_may_have_an_error_in_words() -> None:
    last = answer(*text("a"), end("ERROR", error="the service is overloaded"))[-1]
    assert last.error_info is not None
    assert (last.error_info.kind, last.error_info.message) == (
        "overloaded",
        "the service is overloaded",
    )


def test_an_error_in_place_of_events_is_one() -> None:
    body = {"id": "x", "message": "invalid api token"}
    for data in (b"data: %s\n\n" % json.dumps(body).encode(), json.dumps(body, indent=1).encode()):
        (last,) = decode(data)
        assert last.error_info is not None
        assert last.error_info.message == "invalid api token"


@pytest.mark.parametrize(
    ("pieces", "arguments"),
    [
        ([call_start(0, id="a"), said("tool-call-end", 0)], ""),
        ([call_start(0, '{"x": 1}', id="a"), said("tool-call-end", 0)], '{"x": 1}'),
        ([call_start(0, None, id="a"), said("tool-call-end", 0)], ""),
        (
            [
                call_start(None, '{"x"', id="a"),
                said("tool-call-delta", tool_calls={"function": {"arguments": ": 1}"}}),
            ],
            '{"x": 1}',
        ),
        (
            [
                call_start(0, "", id="a"),
                said("tool-call-delta", 0, tool_calls=[{"function": {"arguments": '{"x": 1}'}}]),
                call_start(0, "", id="a"),
            ],
            '{"x": 1}',
        ),
    ],
)
def test_arguments_come_in_pieces_whole_or_not_at_all(pieces: Any, arguments: str) -> None:
    (call,) = message(*pieces, end("TOOL_CALL")).tool_calls
    assert (call.id, call.name, call.arguments) == ("a", "add", arguments)
    assert call.input == (parse_arguments(arguments) or {})


def test_calls_are_told_apart_by_place_and_id() -> None:
    piece = {"function": {"arguments": '{"y": 2}'}}
    events = [
        call_start(0, '{"x": 1}', id="a"),
        call_start(1, "", id="b"),
        said("tool-call-delta", 1, tool_calls=piece),
        call_start(1, "{}", id="c"),
        call_start(2, "{}"),
    ]
    calls = message(*events, end("TOOL_CALL")).tool_calls
    assert [call.arguments for call in calls] == ['{"x": 1}', '{"y": 2}', "{}", "{}"]
    assert [call.id for call in calls] == ["a", "b", "c", "call_c1_3"]


def test_a_call_leaves_when_its_end_came_and_another_begins() -> None:
    decoder = CohereDecoder()
    events = decoder.feed(sse(START, call_start(0, "", id="a"), said("tool-call-end", 0)))
    events += decoder.feed(sse(call_start(1, "", id="b")))
    assert [event.tool_call.id for event in events if event.tool_call] == ["a"]


CITED = {"start": 0, "end": 1, "sources": [{"type": "document", "id": "d"}]}


@pytest.mark.parametrize(
    ("citation", "places"),
    [
        (CITED, [(4, 5)]),  # of the last text
        ({**CITED, "content_index": 0}, [(0, 1)]),
        ({**CITED, "content_index": 7}, [(4, 5)]),
        ({**CITED, "type": "PLAN"}, [(None, None)]),
        ({**CITED, "type": "THINKING_CONTENT"}, [(None, None)]),
        ({**CITED, "start": None}, [(None, 5)]),
        ({**CITED, "sources": [{"id": "d"}, {"id": "e"}]}, [(4, 5), (4, 5)]),
        ({"start": 0, "end": 1}, [(4, 5)]),
    ],
)
def test_a_citation_says_where_in_the_whole_text(citation: Any, places: Any) -> None:
    got = message(
        *text("One."),
        said("content-end", 0),
        *text("Two.", index=1),
        said("citation-start", 0, citations=citation),
        said("citation-end", 0),
        end(),
    )
    assert [(source.start, source.end) for source in got.sources] == places


@pytest.mark.parametrize(
    "broken",
    [
        said("content-delta", 0, content=5),
        said("content-delta", 0, content={"text": 5}),
        said("content-delta", 0, content={"thinking": 5}),
        {"type": "content-delta", "index": 0, "delta": 5},
        {"type": "content-delta", "index": 0, "delta": {"message": 5}},
        said("tool-call-start", 0, tool_calls=5),
        call_start(0, "", name=5, id="a"),  # type: ignore[arg-type]
        call_start(0, "", id=5),
        said("tool-plan-delta", tool_plan=5),
        end(5),  # type: ignore[arg-type]
        {"type": "message-end", "delta": {"error": [1]}},
    ],
)
def test_a_member_of_another_type_is_a_protocol_error(broken: dict[str, Any]) -> None:
    last = answer(*text("a"), broken)[-1]
    assert last.error_info is not None
    assert last.error_info.kind == "protocol"


@pytest.mark.parametrize("kind", ["content-start", "content-delta", "tool-plan-delta"])
@pytest.mark.parametrize("delta", [None, {}, {"message": None}, {"message": {}}])
def test_an_event_may_say_nothing(kind: str, delta: Any) -> None:
    empty = {"type": kind, "index": 0, "delta": delta}
    assert (
        message(*text("a"), empty, said("content-delta", 0, content={"text": "b"}), end()).text
        == "ab"
    )


def test_what_is_not_understood_is_named() -> None:
    events = answer(
        *text("a"),
        {"type": "novelty", "words": "x"},
        said("content-start", 5, content={"type": "hologram", "light": "x"}),
        {"type": "debug", "prompt": "<BOS>hi"},
        end(),
    )
    (status,) = [event.status for event in events if event.status]
    assert status.message.endswith("weren't understood: novelty, content.light")


@pytest.mark.parametrize("whole", [[{"type": "text", "text": "ab"}], "ab", {"text": "ab"}])
def test_a_whole_answer_has_its_text_in_any_form(whole: Any) -> None:
    body = {"id": "x", "finish_reason": "COMPLETE", "message": {"content": whole}}
    last = check_stream(decode(json.dumps(body).encode()))
    assert last.message is not None
    assert last.message.text == "ab"


def test_the_beginning_may_be_the_whole_message() -> None:
    begun = {"type": "message-start", "delta": {"message": {"content": [{"text": "ab"}]}}}
    last = check_stream(decode(sse(begun, end())))
    assert last.message is not None
    assert last.message.text == "ab"


# --- there and back ------------------------------------------------------------------------------------------

objects = st.dictionaries(strategies.text, strategies.json_values, min_size=1, max_size=3)
citations = st.builds(
    Source,
    id=st.none() | strategies.some,
    title=st.none() | strategies.some,
    url=st.none() | strategies.some,
    excerpt=st.none() | strategies.some,
)
plain = (
    st.builds(text_delta, strategies.some)
    | st.builds(reasoning_delta, strategies.some)
    | st.builds(lambda source: StreamEvent(EventType.SOURCE, source=source), citations)
)
whole_usages = st.builds(Usage, strategies.counts, strategies.counts, st.none() | strategies.counts)


def call_events(index: int, id: str, name: str, whole: str) -> list[StreamEvent]:
    """A call as the decoder gives it, with its arguments in two pieces."""
    cut = len(whole) // 2 + 1  # more than a placeholder
    kind = EventType.TOOL_CALL_DELTA
    deltas = [ToolCallDelta(index, id, name, whole[:cut])]
    deltas += [ToolCallDelta(index, arguments=whole[cut:])] if whole[cut:] else []
    call = ToolCall(id, name, whole, input=parse_arguments(whole))
    told = [StreamEvent(kind, tool_call_delta=delta) for delta in deltas]
    return [*told, StreamEvent(EventType.TOOL_CALL, tool_call=call)]


@st.composite
def streams(draw: Any) -> list[StreamEvent]:
    """Any answer that the format can express."""
    events: list[StreamEvent] = []
    ids: list[str] = []
    for _ in range(draw(st.integers(0, 6))):
        if draw(st.booleans()):
            events.append(draw(plain))
        else:
            ids.append(draw(strategies.names.filter(lambda name: name not in ids)))
            whole = json.dumps(draw(objects))
            events += call_events(len(ids) - 1, ids[-1], draw(strategies.names), whole)
    start = Start(draw(st.none() | strategies.some), draw(st.none() | strategies.some))
    words = {"COMPLETE": FinishReason.STOP, "MAX_TOKENS": FinishReason.LENGTH}
    word = draw(st.sampled_from([*words, "NOVELTY"]))
    reason = words.get(word, FinishReason.OTHER)
    if reason is FinishReason.STOP and ids:
        reason = FinishReason.TOOL_CALLS
    usage = draw(st.none() | whole_usages)
    parts = add_up(events)
    whole_message = Message("assistant", parts, None, start.id, start.model, None, reason, usage)
    last = StreamEvent(EventType.MESSAGE_COMPLETE, start=start, message=whole_message, usage=usage)
    last.finish_reason, last.raw_finish_reason = reason, word
    return [StreamEvent(EventType.MESSAGE_START, start=start), *events, last]


def encode(events: list[StreamEvent]) -> bytes:
    encoder = CohereEncoder()
    return b"".join([encoder.feed(event) for event in events])


@given(streams())
def test_events_survive_the_wire(events: list[StreamEvent]) -> None:
    """Encoded and decoded, every stream that the format can express is the same."""
    check_stream(events)
    assert decode(encode(events)) == events


@given(streams())
def test_a_whole_message_encodes_as_an_answer(events: list[StreamEvent]) -> None:
    again = decode(encode(events[-1:]))
    check_stream(again)
    got, wanted = again[-1].message, events[-1].message
    assert got is not None
    assert wanted is not None
    assert (got.text, got.reasoning, got.sources) == (wanted.text, wanted.reasoning, wanted.sources)
    assert got.tool_calls == wanted.tool_calls
    assert again[-1].finish_reason == events[-1].finish_reason


@pytest.mark.parametrize("kind", strategies.KINDS)
@pytest.mark.parametrize("code", [None, "some_code"])
def test_an_error_survives_the_wire(kind: Any, code: str | None) -> None:
    (last,) = decode(encode([error(ErrorInfo(kind, "what happened", code=code))]))
    assert last.error_info is not None
    ours = ("timeout", "protocol", "invalid_output", "frame_too_large", "wrong_body", "redirect")
    if kind in ("truncated", "connection"):
        assert last.error_info.kind == "truncated"
        return
    assert last.error_info.message == "what happened"
    assert kind in (*ours, "internal") or last.error_info.kind == kind


def test_what_the_format_has_no_place_for_is_left_out() -> None:
    own = ToolCall("a", "search", "{}", executed_by="provider")
    for event in (
        StreamEvent(EventType.STATUS, status=Status("queued", "third")),
        StreamEvent(EventType.FILE, file=File(name="x")),
        StreamEvent(EventType.TOOL_CALL, tool_call=own),
        opaque("anthropic-messages", signature="s"),
    ):
        assert encode([event]) == b""


# --- requests ------------------------------------------------------------------------------------------------


def ask(*messages: Message, **options: Any) -> ChatRequest:
    return ChatRequest(list(messages) or [Message("user", "hi")], "m", **options)


def test_a_request_is_rendered_as_documented() -> None:
    asked = ask(
        max_tokens=5,
        stop=["x"],
        temperature=0.5,
        top_p=0.9,
        top_k=40,
        seed=7,
        reasoning_effort="none",
        response_format=ResponseFormat({"type": "object"}),
        tools=[Tool("f", {"type": "object"}, "does f", strict=True)],
        tool_choice=ToolChoice("required"),
        provider_options={"cohere": {"citation_options": {"mode": "FAST"}}},
    )
    rendered = render_request(asked)
    function = {"name": "f", "description": "does f", "parameters": {"type": "object"}}
    assert rendered.warnings == []
    assert rendered.body == {
        "model": "m",
        "messages": [{"role": "user", "content": "hi"}],
        "stream": True,
        "temperature": 0.5,
        "p": 0.9,
        "k": 40,
        "max_tokens": 5,
        "seed": 7,
        "stop_sequences": ["x"],
        "tools": [{"type": "function", "function": function}],
        "strict_tools": True,
        "tool_choice": "REQUIRED",
        "thinking": {"type": "disabled"},
        "response_format": {"type": "json_object", "json_schema": {"type": "object"}},
        "citation_options": {"mode": "FAST"},
    }


@pytest.mark.parametrize("model", ["command-a-03-2025", "command-a-reasoning-08-2025"])
def test_a_history_is_rendered_as_documented(model: str) -> None:
    """A plan goes back as one; a model that reasons gets its thinking back. Citations go back as they came."""
    citation = {"start": 0, "end": 1, "sources": []}
    cited = Source(id="d", provider_data={"format": "cohere-v2", "citation": citation})
    call = ToolCall("c1", "look", '{"at": "it"}', {"at": "it"})
    asked = ChatRequest(
        [
            Message("developer", "Be brief."),
            Message("user", [TextPart("What is it?"), ImagePart("https://a.example/x.png")]),
            Message("assistant", [ReasoningPart("I look."), call]),
            Message("tool", [ToolResult("c1", {"seen": True})]),
            Message("assistant", [TextPart("A cat."), cited]),
        ],
        model,
    )
    thinks = "reasoning" in model
    plan = {"content": [{"type": "thinking", "thinking": "I look."}]}
    function = {"name": "look", "arguments": '{"at": "it"}'}
    assert render_request(asked).body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What is it?"},
                {"type": "image_url", "image_url": {"url": "https://a.example/x.png"}},
            ],
        },
        {
            "role": "assistant",
            **(plan if thinks else {"tool_plan": "I look."}),
            "tool_calls": [{"id": "c1", "type": "function", "function": function}],
        },
        {"role": "tool", "tool_call_id": "c1", "content": '{"seen":true}'},
        {"role": "assistant", "content": "A cat.", "citations": [citation]},
    ]


def test_a_document_goes_beside_the_messages() -> None:
    """Cohere cites what stands there."""
    file = File(name="a.csv", media_type="text/csv", data=b"a,b")
    given = {"cohere": {"documents": [{"id": "own", "data": {"text": "x"}}]}}
    rendered = render_request(
        ask(Message("user", [file, TextPart("Sum?")]), provider_options=given)
    )
    assert rendered.warnings == []
    assert rendered.body["documents"] == [
        {"id": "own", "data": {"text": "x"}},
        {"id": "doc_0", "data": {"title": "a.csv", "text": "a,b"}},
    ]
    (sent,) = rendered.body["messages"]
    assert sent["content"][0] == {"type": "text", "text": "[Document: a.csv]"}


@pytest.mark.parametrize(
    ("options", "warning"),
    [
        ({"tool_choice": ToolChoice("tool", "f"), "tools": [Tool("f")]}, "tool_choice"),
        ({"tool_choice": ToolChoice("required")}, "tool_choice"),
        ({"parallel_tool_calls": False}, "parallel_tool_calls"),
        ({"verbosity": "low"}, "verbosity"),
        ({"service_tier": "flex"}, "service_tier"),
        ({"metadata": {"a": "b"}}, "metadata"),
        ({"reasoning_effort": "low"}, "reasoning_effort"),
        ({"presence_penalty": -1.0}, "presence_penalty"),
        ({"top_k": -1}, "top_k"),
        ({"tools": [Tool("f", strict=True), Tool("g")]}, "strict"),
        ({"tools": [HostedTool({"type": "web_search_20250305"})]}, "tools"),
    ],
)
def test_what_cohere_lacks_is_said(options: dict[str, Any], warning: str) -> None:
    rendered = render_request(ask(**options))
    assert [each.partition(":")[0] for each in rendered.warnings] == [warning]


@st.composite
def rounds(draw: Any) -> list[Message]:
    """An assistant's turn in the order that the format gives it, and the answers to its calls."""
    words = strategies.some.filter(str.strip)
    calls: list[Any] = []
    answers = []
    for name, value in draw(st.lists(st.tuples(strategies.names, objects), max_size=2)):
        id = f"call_{draw(st.uuids())}"
        calls.append(ToolCall(id, name, json.dumps(value), input=value))
        answers.append(Message("tool", [ToolResult(id, draw(strategies.text))]))
    parts: list[Any] = [ReasoningPart(each) for each in draw(st.lists(words, max_size=1)) if calls]
    parts += [TextPart(each) for each in draw(st.lists(words, max_size=1))]
    return [Message("assistant", [*parts, *calls] or [TextPart("ok")]), *answers]


images = st.just(ImagePart(data="iVBORw0KGgo=")) | st.just(ImagePart("https://a.example/x.png"))
speakers = st.builds(
    lambda role, words, shown: [Message(role, [TextPart(words), *shown])],
    st.sampled_from(["system", "user"]),
    strategies.some,
    st.lists(images, max_size=2),
)
tools = st.builds(Tool, strategies.names, objects, description=st.none() | strategies.some)
requests = st.builds(
    ChatRequest,
    messages=st.lists(speakers | rounds(), min_size=1, max_size=4).map(
        lambda turns: [each for turn in turns for each in turn]
    ),
    model=strategies.some,
    tools=st.lists(tools, max_size=2),
    tool_choice=st.none() | st.builds(ToolChoice, st.sampled_from(["none", "required"])),
    response_format=st.none() | st.builds(ResponseFormat, st.none() | objects),
    temperature=st.none() | st.floats(0, 1),
    top_p=st.none() | st.floats(0.01, 0.99),
    top_k=st.none() | st.integers(0, 500),
    frequency_penalty=st.none() | st.floats(0, 1),
    presence_penalty=st.none() | st.floats(0, 1),
    max_tokens=st.none() | st.integers(1, 10**6),
    stop=st.lists(strategies.some, max_size=3),
    seed=st.none() | st.integers(0, 2**31),
    reasoning_effort=st.none() | st.just("none"),
    format_options=st.just({}) | st.just({"cohere-v2": {"priority": 5, "safety_mode": "NONE"}}),
)


@given(requests)
def test_a_request_survives_the_wire(request: ChatRequest) -> None:
    """Rendered, sent as JSON and parsed, every request that the format can express is the same."""
    rendered = render_request(request)
    assume(not rendered.warnings)
    assert parse_request(json.loads(json.dumps(rendered.body))) == request


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({"messages": [{"role": "user", "content": "hi"}]}, "model"),
        ({"model": "m"}, "messages is empty"),
        ({"model": "m", "messages": [{"role": "judge", "content": ""}]}, r"messages\[0\].role"),
        (
            {"model": "m", "messages": [{"role": "user", "content": "a"}, {"role": "tool"}]},
            r"messages\[1\].tool_call_id is missing",
        ),
        (
            {"model": "m", "messages": [{"role": "user", "content": "a"}], "tool_choice": "f"},
            "tool_choice must be 'REQUIRED' or 'NONE'",
        ),
        ({"model": "m", "messages": [{"role": "user", "content": "a"}], "k": "x"}, "top_k"),
    ],
)
def test_a_bad_request_names_the_place(body: dict[str, Any], problem: str) -> None:
    with pytest.raises((TypeError, ValueError), match=problem):
        parse_request(body)


def test_a_request_of_a_client_is_read() -> None:
    """Thinking, plans, documents as results, strict tools, a budget."""
    asked = parse_request(
        {
            "model": "m",
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "hi"}]},
                {
                    "role": "assistant",
                    "tool_plan": "Look.",
                    "content": [{"type": "thinking", "thinking": "Hm."}],
                    "tool_calls": [
                        {
                            "id": "a",
                            "type": "function",
                            "function": {"name": "f", "arguments": "{}"},
                        }
                    ],
                },
                {
                    "role": "tool",
                    "tool_call_id": "a",
                    "content": [{"type": "document", "document": {"data": {"x": 1}}}],
                },
            ],
            "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}],
            "strict_tools": True,
            "thinking": {"type": "enabled", "token_budget": 100},
        }
    )
    assert asked.messages[1].reasoning == "Look.Hm."
    assert asked.messages[2].parts == [ToolResult("a", '{"x": 1}')]
    assert asked.tools == [Tool("f", {}, strict=True)]
    assert asked.reasoning_effort == "medium"
    assert asked.format_options == {
        "cohere-v2": {"thinking": {"type": "enabled", "token_budget": 100}}
    }


# --- Cohere's own client -------------------------------------------------------------------------------------


@pytest.mark.sdk
@given(requests)
def test_coheres_types_take_our_requests(request: ChatRequest) -> None:
    check_cohere(render_request(request).body)


@pytest.mark.sdk
async def test_coheres_client_reads_our_answers() -> None:
    """Streamed."""
    cohere = pytest.importorskip("cohere")
    call = ToolCall("c1", "look", '{"at": "it"}', {"at": "it"})
    source = Source(id="d", title="A", url="https://a.example", start=0, end=5)
    items = (ReasoningPart("Hm."), "Grüße aus 日本.", source, call, Usage(7, 3))
    httpx = pytest.importorskip("httpx")
    async with (
        Loopback(loopback.answer("cohere-v2", *items)) as server,
        httpx.AsyncClient() as http,
    ):
        url = server.url("cohere")
        client = cohere.AsyncClientV2(api_key="k", base_url=url, httpx_client=http)
        told = [each async for each in client.chat_stream(model="m-1", messages=[])]
    content = [each.delta.message.content for each in told if each.type == "content-delta"]
    assert "".join(each.text or "" for each in content) == "Grüße aus 日本."
    assert "".join(each.thinking or "" for each in content) == "Hm."
    (cited,) = [each for each in told if each.type == "citation-start"]
    assert (cited.delta.message.citations.start, cited.delta.message.citations.end) == (0, 5)
    (begun,) = [each for each in told if each.type == "tool-call-start"]
    assert begun.delta.message.tool_calls.function.name == "look"
    last = told[-1]
    assert (last.type, last.delta.finish_reason) == ("message-end", "TOOL_CALL")
    assert (last.delta.usage.tokens.input_tokens, last.delta.usage.tokens.output_tokens) == (7, 3)


@pytest.mark.sdk
async def test_coheres_client_reads_our_errors_and_whole_answers() -> None:
    cohere = pytest.importorskip("cohere")
    httpx = pytest.importorskip("httpx")
    async with (
        FaultServer("error-after-words", "json-document", "status-404") as server,
        httpx.AsyncClient() as http,
    ):
        url = server.url("cohere")
        client = cohere.AsyncClientV2(api_key="k", base_url=url, httpx_client=http)
        told = [each async for each in client.chat_stream(model="m-1", messages=[])]
        assert (told[-1].delta.finish_reason, told[-1].delta.error) == ("ERROR", "no capacity")
        whole = await client.chat(model="m-1", messages=[])
        assert (whole.message.content[0].text, whole.finish_reason) == (ANSWER, "COMPLETE")
        with pytest.raises(cohere.NotFoundError, match="no such model"):
            await client.chat(model="m-1", messages=[], request_options={"max_retries": 0})
