"""Ollama's own API: bytes to events, events to bytes, requests both ways."""

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
)
from llmstream.testing import FaultServer
from llmstream.testing.reply import ANSWER
from llmstream.wire.framing.ndjson import NDJSONFramer
from llmstream.wire.ollama_native.decode import OllamaDecoder
from llmstream.wire.ollama_native.encode import OllamaEncoder
from llmstream.wire.ollama_native.request import parse_request, render_request
from tests import loopback, recordings, strategies
from tests.grammar_check import add_up, check_calls, check_stream
from tests.loopback import Loopback
from tests.recordings import Recording
from tests.wire.legal_answer import legal_answer, message_of
from tests.wire.vendor_types import check_ollama

RECORDED = [*recordings.recordings("ollama-native"), *recordings.recordings("ollama-generate")]
HEAD = {"model": "m", "created_at": "2026-08-04T19:58:20.563117Z"}
END = {"done": True, "done_reason": "stop", "prompt_eval_count": 7, "eval_count": 3}


def decode(*pieces: bytes) -> list[StreamEvent]:
    return recordings.decode(OllamaDecoder, pieces)


def line(message: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    said = {} if message is None else {"message": {"role": "assistant", **message}}
    return {**HEAD, **said, "done": False, **more}


def lines(*payloads: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(each, ensure_ascii=False).encode() + b"\n" for each in payloads)


def answer(*payloads: dict[str, Any]) -> list[StreamEvent]:
    return legal_answer(OllamaDecoder, lines(*payloads))


def message(*payloads: dict[str, Any]) -> Message:
    return message_of(answer(*payloads))


def unread(events: list[StreamEvent]) -> list[str]:
    return [
        event.status.message for event in events if event.status and event.status.kind == "unread"
    ]


def tool(name: str = "add", arguments: Any = None, index: int | None = None, **more: Any) -> Any:
    place = {} if index is None else {"index": index}
    return {**more, "function": {**place, "name": name, "arguments": arguments}}


# --- the recordings ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("recording", recordings.sampled(RECORDED, 3))
def test_a_recording_means_what_it_says(recording: Recording) -> None:
    """Every recorded answer decodes to its text, reasoning, calls, usage and reason, however it is cut."""
    body, expect = recording.body, recording.expect
    events = decode(body)
    if len(body) < 60_000:
        assert decode(*recordings.bytewise(body)) == events
    for seed in range(5):
        assert decode(*recordings.random_cuts(body, seed)) == events
    last = check_stream(events)
    check_calls(events)
    assert last.type is EventType.MESSAGE_COMPLETE
    got = last.message
    assert got is not None
    assert got.text == (expect["text"] or "")
    assert got.reasoning == (expect["reasoning"] or "")
    assert [(call.name, call.input) for call in got.tool_calls] == recording.calls
    ids = [made["id"] for made in expect["tool_calls"]]
    assert all(
        call.id == id for call, id in zip(got.tool_calls, ids, strict=True) if id is not None
    )
    assert last.raw_finish_reason == expect["finish_reason_raw"]
    counts = expect["usage_raw"]
    assert last.usage is not None
    assert last.usage.input_tokens == counts.get("prompt_eval_count")
    assert last.usage.output_tokens == counts.get("eval_count")
    assert got.model == expect["model"]
    assert unread(events) == []


@recordings.each_count
@pytest.mark.parametrize("recording", recordings.sampled(RECORDED))
def test_a_recording_cut_before_its_end_is_truncated(recording: Recording, count: int) -> None:
    body = recording.body
    first = body.index(b"\n")
    end = len(body.rstrip())
    whole = "".join(event.text for event in decode(body))
    for size in [*recordings.sizes(end, count), *([first] if first < end else [])]:
        events = decode(body[:size])
        check_stream(events)
        info = events[-1].error_info
        assert info is not None
        assert info.kind == "truncated"
        assert whole.startswith("".join(event.text for event in events))


# --- lines ---------------------------------------------------------------------------------------------------


def test_lines_of_text_are_learned() -> None:
    """After the first line of text the framer knows those like it, whatever their time."""
    times = ["2026-08-04T19:58:20.56Z", "2026-08-04T19:58:20.563117Z", "2026-08-04T21:58:21+02:00"]
    framer = OllamaDecoder.framing.framer()
    assert isinstance(framer, NDJSONFramer)
    texts = []
    for at, time in enumerate(times):
        payload = {
            "model": "m",
            "created_at": time,
            "message": {"role": "assistant", "content": f"w{at}"},
        }
        for frame in framer.feed(lines({**payload, "done": False})):
            if isinstance(frame, str):
                texts.append(frame)
            else:
                framer.learn(frame, f"w{at}")
    assert texts == ["w1", "w2"]


def test_what_is_not_like_a_learned_line_is_parsed() -> None:
    """Reasoning, calls, an error and the end are never taken for text."""
    plain = [line({"content": "a"}) for _ in range(3)]
    thought = line({"content": "", "thinking": "hm"})
    called = line({"content": "", "tool_calls": [tool(arguments={"content": "b"})]})
    got = message(*plain, thought, *plain, called, line({"content": "x"}, **END))
    assert (got.text, got.reasoning) == ("aaaaaax", "hm")
    assert got.tool_calls[0].input == {"content": "b"}
    *_, last = answer(*plain, {"error": "content"})
    assert last.error_info.message == "content"


def test_an_answer_of_generate_is_read() -> None:
    got = answer(
        {**HEAD, "response": "", "thinking": "hm", "done": False},
        {**HEAD, "response": "Hi", "done": False},
        {**HEAD, "response": " you", "context": [1, 2], **END},
    )
    assert got[-1].message is not None
    assert (got[-1].message.text, got[-1].message.reasoning) == ("Hi you", "hm")
    assert unread(got) == []


def test_a_whole_answer_is_one_line() -> None:
    """`"stream": false`, with a line end or without."""
    whole = {**HEAD, "message": {"role": "assistant", "content": "Hi", "thinking": "hm"}, **END}
    for body in (lines(whole), json.dumps(whole).encode(), json.dumps(whole, indent=1).encode()):
        last = check_stream(decode(body))
        assert last.message is not None
        assert (last.message.text, last.message.reasoning) == ("Hi", "hm")
        assert last.usage == Usage(7, 3)


def test_an_answer_without_a_reason_is_complete() -> None:
    """As versions before 2024 sent it."""
    last = answer(line({"content": "Hi"}), {**HEAD, "done": True})[-1]
    assert (last.type, last.finish_reason) == (EventType.MESSAGE_COMPLETE, FinishReason.UNKNOWN)
    assert last.usage is None


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("stop", FinishReason.STOP),
        ("length", FinishReason.LENGTH),
        ("load", FinishReason.STOP),
        ("unload", FinishReason.STOP),
        ("novelty", FinishReason.OTHER),
    ],
)
def test_each_reason_has_its_meaning(word: str, reason: FinishReason) -> None:
    last = answer(line({"content": "Hi"}), line(**{**END, "done_reason": word}))[-1]
    assert (last.finish_reason, last.raw_finish_reason) == (reason, word)


def test_a_model_that_was_only_loaded_says_nothing() -> None:
    last = answer(
        {
            **HEAD,
            "message": {"role": "assistant", "content": ""},
            "done": True,
            "done_reason": "load",
        }
    )[-1]
    assert (last.finish_reason, last.message and last.message.parts) == (FinishReason.STOP, [])


def test_a_prompt_from_the_cache_is_not_counted() -> None:
    """The count of the prompt is left out then: not reported, not 0."""
    last = answer(
        line({"content": "a"}), {**HEAD, "done": True, "done_reason": "stop", "eval_count": 3}
    )[-1]
    assert last.usage == Usage(output_tokens=3)


# --- calls ---------------------------------------------------------------------------------------------------


def test_calls_leave_with_what_follows_and_mean_tool_calls() -> None:
    decoder = OllamaDecoder()
    events = decoder.feed(lines(line({"content": "", "tool_calls": [tool(arguments={"x": 1})]})))
    assert [event.type for event in events] == [
        EventType.MESSAGE_START,
        EventType.TOOL_CALL_DELTA,
    ]
    call, last = decoder.feed(lines(line({"content": ""}, **END)))
    assert call.type is EventType.TOOL_CALL
    assert (last.finish_reason, last.raw_finish_reason) == (FinishReason.TOOL_CALLS, "stop")


@pytest.mark.parametrize(
    ("given", "text", "input"),
    [
        ({"x": 1}, '{"x":1}', {"x": 1}),
        ({}, "{}", {}),
        (None, "{}", {}),
        ('{"x": 1}', '{"x": 1}', {"x": 1}),
        ("", "", {}),
        ({"ü": "日"}, '{"ü":"日"}', {"ü": "日"}),
        ([1], "[1]", None),
        ('{"x": ', '{"x": ', None),
    ],
)
def test_arguments_of_any_type_are_read(given: Any, text: str, input: Any) -> None:
    (call,) = message(line({"tool_calls": [tool(arguments=given)]}), line(**END)).tool_calls
    assert (call.arguments, call.input, call.complete) == (text, input, input is not None)


def test_a_call_may_stand_without_its_function() -> None:
    """As some proxies flatten it."""
    flat = {"name": "add", "arguments": {"x": 1}}
    (call,) = message(line({"tool_calls": [flat]}), line(**END)).tool_calls
    assert (call.name, call.input) == ("add", {"x": 1})
    (lone,) = message(line({"tool_calls": tool(arguments={"x": 1})}), line(**END)).tool_calls
    assert (lone.name, lone.input) == ("add", {"x": 1})


def test_a_proxy_may_send_the_lines_as_events() -> None:
    body = lines(line({"content": "a"}), line({"content": "b"}), line({"content": ""}, **END))
    data = b"".join(b"data: %s\n\n" % each for each in body.splitlines()) + b"data: [DONE]\n\n"
    last = check_stream(decode(data))
    assert last.message is not None
    assert last.message.text == "ab"


def test_calls_without_ids_get_some_that_differ_from_answer_to_answer() -> None:
    """By the time of the answer, for Ollama's answers have no id."""
    calls = [line({"tool_calls": [tool(arguments={"x": 1})]}), line(**END)]
    (call,) = message(*calls).tool_calls
    later = [{**each, "created_at": "2026-08-04T19:58:21Z"} for each in calls]
    (other,) = message(*later).tool_calls
    assert call.id == "call_20260804195820563117_0"
    assert other.id != call.id
    assert message(*calls).tool_calls == [call]


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ([[tool(arguments={"x": 1}), tool(arguments={"x": 1})]], 2),  # the model asks twice
        ([[tool(arguments={"x": 1})], [tool(arguments={"x": 1})]], 2),
        ([[tool(arguments={"x": 1}, id="a")], [tool(arguments={"x": 1}, id="b")]], 2),
        ([[tool(arguments={"x": 1}, id="a")], [tool(arguments={"x": 1}, id="a")]], 1),
        ([[tool(arguments={"x": 1}, id="a")], [tool(arguments={"x": 2}, id="a")]], 2),
        ([[tool(arguments={"x": 1}, index=0)], [tool(arguments={"x": 1}, index=0)]], 1),
        ([[tool(arguments={"x": 1}, index=0)], [tool(arguments={"x": 1}, index=1)]], 2),
        ([[tool(arguments={"x": 1})], [tool(arguments={"x": 1}), tool("sub")]], 2),  # growing
        ([[tool("sub")], [tool(arguments={"x": 1}), tool("sub")]], 3),
        ([[tool("")]], 0),
    ],
)
def test_a_call_that_is_told_again_is_one_call(sent: Any, meant: int) -> None:
    last = answer(
        line({"content": "a"}), *(line({"tool_calls": calls}) for calls in sent), line(**END)
    )[-1]
    assert last.message is not None
    assert len(last.message.tool_calls) == meant
    assert len({call.id for call in last.message.tool_calls}) == meant


def test_the_last_line_may_tell_all_of_it_again() -> None:
    calls = [tool(arguments={"x": 1})]
    whole = {"content": "ab", "thinking": "hm", "tool_calls": calls}
    got = message(
        line({"content": "", "thinking": "h"}),
        line({"content": "", "thinking": "m"}),
        line({"content": "a"}),
        line({"content": "b"}),
        line({"content": "", "tool_calls": calls}),
        line(whole, **END),
    )
    assert (got.text, got.reasoning, len(got.tool_calls)) == ("ab", "hm", 1)


def test_the_last_line_may_tell_the_rest() -> None:
    assert message(line({"content": "a"}), line({"content": "b"}, **END)).text == "ab"


# --- what else a line may hold -------------------------------------------------------------------------------

PICTURE = "iVBORw0KGgo="


def test_pictures_are_files_and_their_progress_is_told() -> None:
    events = answer(
        {**HEAD, "completed": 1, "total": 4, "done": False},
        {**HEAD, "image": PICTURE, "done": True, "done_reason": "stop"},
    )
    told = [event.status for event in events if event.status]
    assert [(each.kind, each.data) for each in told] == [("progress", {"completed": 1, "total": 4})]
    last = events[-1]
    assert last.message is not None
    assert last.message.parts == [File(media_type="image/png", data=PICTURE)]
    twice = message(line({"images": [PICTURE]}), line({"images": [PICTURE]}, **END))
    assert len(twice.parts) == 1


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ("model 'x' not found", "not_found"),
        ("an error was encountered while running the model: unexpected EOF", "server"),
        ("unauthorized", "authentication"),
        ("prompt too long; exceeded max context length by 4 tokens", "context_length"),
    ],
)
def test_an_error_line_is_that_error_at_any_time(error: str, kind: str) -> None:
    """With no other member, and HTTP 200."""
    for before in ([], [line({"content": "a"})], [line({"tool_calls": [tool()]})]):
        last = answer(*before, {"error": error})[-1]
        assert last.error_info is not None
        assert (last.error_info.kind, last.error_info.message) == (kind, error)
    last = answer({"error": error, "done": True, "message": {"role": "assistant", "content": ""}})[
        -1
    ]
    assert last.error_info.message == error


@pytest.mark.parametrize(
    "null", ["content", "thinking", "tool_calls", "images", "role", "tool_name"]
)
def test_members_may_be_null(null: str) -> None:
    got = message(line({"content": "a", null: None}), line({"content": "b", null: None}, **END))
    assert got.text == ("b" if null == "content" else "ab") or null == "content"


@pytest.mark.parametrize(
    "name", ["model", "created_at", "done_reason", "eval_count", "error", "id"]
)
def test_members_of_a_line_may_be_null(name: str) -> None:
    end = {**HEAD, "done": True, "done_reason": "stop", name: None}
    assert message(line({"content": "a"}, **{name: None}), end).text == "a"


@pytest.mark.parametrize(
    "broken",
    [
        {"message": 5},
        {"message": {"content": 5}},
        {"message": {"thinking": [1]}},
        {"message": {"tool_calls": 5}},
        {"message": {"tool_calls": [5]}},
        {"message": {"tool_calls": [{"id": 5, "function": {"name": "a"}}]}},
        {"message": {"tool_calls": [{"function": {"name": 5}}]}},
        {"response": 5},
        {"done_reason": 5, "done": True},
    ],
)
def test_a_member_of_another_type_is_a_protocol_error(broken: dict[str, Any]) -> None:
    last = answer(line({"content": "a"}), {**HEAD, "done": False, **broken})[-1]
    assert last.error_info is not None
    assert last.error_info.kind == "protocol"


def test_what_is_not_understood_is_named() -> None:
    events = answer(line({"content": "a", "hologram": "x"}, novelty="y"), line(**END))
    assert unread(events) == [
        "members of the answer that weren't understood: message.hologram, novelty"
    ]
    last = answer(line({"hologram": "x"}), line(**END))[-1]
    assert last.error_info is not None
    assert last.error_info.code == "not_understood"


# --- there and back ------------------------------------------------------------------------------------------

objects = st.dictionaries(strategies.text, strategies.json_values, max_size=3)
whole_usages = st.builds(Usage, strategies.counts, strategies.counts)
pieces = st.builds(text_delta, strategies.some) | st.builds(reasoning_delta, strategies.some)


def call_events(index: int, id: str, name: str, value: dict[str, Any]) -> list[StreamEvent]:
    """A call as the decoder gives it: announced with its arguments, and whole."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    delta = ToolCallDelta(index, id, name, text)
    call = ToolCall(id, name, text, input=value)
    deltas = [delta]
    if text == "{}":  # it may be a placeholder's
        deltas = [ToolCallDelta(index, id, name), ToolCallDelta(index, arguments=text)]
    kind = EventType.TOOL_CALL_DELTA
    told = [StreamEvent(kind, tool_call_delta=each) for each in deltas]
    return [*told, StreamEvent(EventType.TOOL_CALL, tool_call=call)]


@st.composite
def streams(draw: Any) -> list[StreamEvent]:
    """Any answer that the format can express."""
    events: list[StreamEvent] = []
    ids: list[str] = []
    for _ in range(draw(st.integers(0, 6))):
        if draw(st.booleans()):
            events.append(draw(pieces))
        else:
            ids.append(draw(strategies.names.filter(lambda name: name not in ids)))
            events += call_events(len(ids) - 1, ids[-1], draw(strategies.names), draw(objects))
    start = Start(draw(st.none() | strategies.some), draw(st.none() | strategies.some))
    word = draw(st.sampled_from(["stop", "length", "novelty"]))
    meaning = {"stop": FinishReason.STOP, "length": FinishReason.LENGTH}
    reason = meaning.get(word, FinishReason.OTHER)
    if reason is FinishReason.STOP and ids:
        reason = FinishReason.TOOL_CALLS
    usage = draw(st.none() | whole_usages)
    parts = add_up(events)
    whole = Message("assistant", parts, None, start.id, start.model, None, reason, usage)
    end = StreamEvent(EventType.MESSAGE_COMPLETE, start=start, message=whole, usage=usage)
    end.finish_reason, end.raw_finish_reason = reason, word
    return [StreamEvent(EventType.MESSAGE_START, start=start), *events, end]


def encode(events: list[StreamEvent]) -> bytes:
    encoder = OllamaEncoder()
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
    assert (got.text, got.reasoning) == (wanted.text, wanted.reasoning)
    assert got.tool_calls == wanted.tool_calls
    assert again[-1].finish_reason == events[-1].finish_reason


@pytest.mark.parametrize("kind", strategies.KINDS)
@pytest.mark.parametrize("code", [None, "some_code"])
def test_an_error_survives_the_wire(kind: Any, code: str | None) -> None:
    """Every kind that providers name arrives as itself, beside a text under `error`; a cut arrives as a cut."""
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
    cut = ToolCall("b", "f", '{"x": ', complete=False)
    for event in (
        StreamEvent(EventType.STATUS, status=Status("queued", "third")),
        StreamEvent(EventType.FILE, file=File(name="x")),
        StreamEvent(EventType.SOURCE, source=Source(url="https://a")),
        StreamEvent(EventType.TOOL_CALL, tool_call=own),
        StreamEvent(EventType.TOOL_CALL, tool_call=cut),
        opaque("anthropic-messages", signature="s"),
    ):
        assert encode([event]) == b""


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        (FinishReason.STOP, "stop"),
        (FinishReason.TOOL_CALLS, "stop"),
        (FinishReason.LENGTH, "length"),
        (FinishReason.PAUSE, "length"),  # it isn't the whole answer
        (FinishReason.UNKNOWN, None),
    ],
)
def test_each_reason_is_said(reason: FinishReason, word: str | None) -> None:
    end = StreamEvent(EventType.MESSAGE_COMPLETE, start=Start(), finish_reason=reason)
    last = json.loads(encode([end]).splitlines()[-1])
    assert (last["done"], last.get("done_reason")) == (True, word)


# --- requests ------------------------------------------------------------------------------------------------


def ask(*messages: Message, **options: Any) -> ChatRequest:
    return ChatRequest(list(messages) or [Message("user", "hi")], "m", **options)


def test_a_request_is_rendered_as_documented() -> None:
    asked = ask(
        max_tokens=5,
        stop=["x"],
        temperature=0.5,
        top_k=40,
        seed=7,
        reasoning_effort="low",
        response_format=ResponseFormat({"type": "object"}),
        tools=[Tool("f", {"type": "object"}, "does f")],
        provider_options={"ollama": {"keep_alive": "5m", "options": {"num_ctx": 8192}}},
    )
    rendered = render_request(asked)
    function = {"name": "f", "description": "does f", "parameters": {"type": "object"}}
    assert rendered.warnings == []
    assert rendered.body == {
        "model": "m",
        "messages": [{"role": "user", "content": "hi"}],
        "stream": True,
        "options": {
            "temperature": 0.5,
            "top_k": 40,
            "seed": 7,
            "num_predict": 5,
            "stop": ["x"],
            "num_ctx": 8192,
        },
        "tools": [{"type": "function", "function": function}],
        "think": "low",
        "format": {"type": "object"},
        "keep_alive": "5m",
    }


def test_a_history_is_rendered_as_documented() -> None:
    picture = ImagePart(data=PICTURE)
    call = ToolCall("c1", "look", '{"at":"it"}', {"at": "it"})
    asked = ask(
        Message("developer", "Be brief."),
        Message("user", [TextPart("What is"), picture, TextPart("this?")]),
        Message("assistant", [ReasoningPart("Hm."), TextPart("I look."), call]),
        Message("tool", [ToolResult("c1", {"seen": True})]),
        Message("assistant", "A cat."),
    )
    assert render_request(asked).body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What is\n\nthis?", "images": [PICTURE]},
        {
            "role": "assistant",
            "content": "I look.",
            "thinking": "Hm.",
            "tool_calls": [{"id": "c1", "function": {"name": "look", "arguments": {"at": "it"}}}],
        },
        {"role": "tool", "content": '{"seen":true}', "tool_name": "look", "tool_call_id": "c1"},
        {"role": "assistant", "content": "A cat."},
    ]


@pytest.mark.parametrize(
    ("effort", "model", "think", "warned"),
    [
        ("none", "qwen3", False, False),
        ("low", "qwen3", "low", False),
        ("max", "qwen3", "high", True),
        ("minimal", "gpt-oss:20b", "low", True),
        ("none", "gpt-oss:20b", "low", True),
        ("default", "qwen3", None, False),
    ],
)
def test_an_effort_is_said_in_ollamas_words(
    effort: str, model: str, think: Any, *, warned: bool
) -> None:
    asked = ChatRequest([Message("user", "hi")], model, reasoning_effort=effort)
    rendered = render_request(asked)
    assert rendered.body.get("think") == think
    assert bool(rendered.warnings) is warned


@pytest.mark.parametrize(
    ("options", "warning"),
    [
        ({"tool_choice": ToolChoice("required")}, "tool_choice"),
        ({"tool_choice": ToolChoice("tool", "f")}, "tool_choice"),
        ({"parallel_tool_calls": False}, "parallel_tool_calls"),
        ({"verbosity": "low"}, "verbosity"),
        ({"service_tier": "flex"}, "service_tier"),
        ({"metadata": {"a": "b"}}, "metadata"),
        ({"tools": [Tool("f", strict=True)]}, "strict"),
        ({"tools": [HostedTool({"type": "web_search_20250305"})]}, "tools"),
    ],
)
def test_what_ollama_lacks_is_said(options: dict[str, Any], warning: str) -> None:
    rendered = render_request(ask(**options))
    assert [each.partition(":")[0] for each in rendered.warnings] == [warning]


def test_without_tools_none_is_called() -> None:
    asked = ask(tools=[Tool("f")], tool_choice=ToolChoice("none"))
    rendered = render_request(asked)
    assert "tools" not in rendered.body
    assert rendered.warnings == []


@pytest.mark.parametrize(
    ("part", "warning"),
    [
        (
            ImagePart("https://a.example/x.png"),
            "image: image/png can't go to Ollama's messages",
        ),
        (
            File(data="JVBERi0=", media_type="application/pdf"),
            "file: application/pdf can't go to Ollama's messages",
        ),
        (
            File(url="https://a.example/x.pdf"),
            "file: application/pdf can't go to Ollama's messages",
        ),
        (ImagePart(data=PICTURE, detail="low"), "image detail: Ollama has none"),
    ],
)
def test_media_that_ollama_lacks_are_left_out(part: Any, warning: str) -> None:
    for message in (
        Message("user", [TextPart("See."), part]),
        Message("tool", [ToolResult("c", [TextPart("See."), part])]),
    ):
        called = Message("assistant", [ToolCall("c", "f", "{}", {})])
        history = [Message("user", "hi"), called, message] if message.role == "tool" else [message]
        rendered = render_request(ask(*history))
        assert [each[: len(warning)] for each in rendered.warnings] == [warning]
        assert rendered.body["messages"][-1]["content"] == "See."


def test_a_document_of_text_goes_as_text() -> None:
    file = File(name="a.csv", media_type="text/csv", data=b"a,b")
    (message,) = render_request(ask(Message("user", [file]))).body["messages"]
    assert message["content"] == "[Document: a.csv]\na,b"


@st.composite
def rounds(draw: Any) -> list[Message]:
    """An assistant's turn in the order that the format gives it, and the answers to its calls."""
    said = strategies.some.filter(str.strip)
    parts: list[Any] = [ReasoningPart(text) for text in draw(st.lists(said, max_size=1))]
    parts += [TextPart(text) for text in draw(st.lists(said, max_size=1))]
    answers = []
    for name, value in draw(st.lists(st.tuples(strategies.names, objects), max_size=2)):
        id = f"call_{draw(st.uuids())}"
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":")) if value else ""
        parts.append(ToolCall(id, name, text, input=value))
        answers.append(Message("tool", [ToolResult(id, draw(strategies.text))]))
    spoken = any(not isinstance(part, ReasoningPart) for part in parts)
    return [Message("assistant", parts if spoken else [*parts, TextPart("ok")]), *answers]


pictures = st.just(ImagePart(data=PICTURE))
speakers = st.builds(
    lambda role, text, images: [Message(role, [TextPart(text), *images])],
    st.sampled_from(["system", "user"]),
    strategies.some,
    st.lists(pictures, max_size=2),
)
tools = st.builds(Tool, strategies.names, objects, description=st.none() | strategies.some)
requests = st.builds(
    ChatRequest,
    messages=st.lists(speakers | rounds(), min_size=1, max_size=4).map(
        lambda turns: [message for turn in turns for message in turn]
    ),
    model=strategies.some,
    tools=st.lists(tools, max_size=2),
    response_format=st.none() | st.builds(ResponseFormat, st.none() | objects.filter(bool)),
    temperature=st.none() | st.floats(0, 2),
    top_p=st.none() | st.floats(0, 1),
    top_k=st.none() | st.integers(-1, 100),
    frequency_penalty=st.none() | st.floats(-2, 2),
    presence_penalty=st.none() | st.floats(-2, 2),
    max_tokens=st.none() | st.integers(1, 10**6),
    stop=st.lists(strategies.some, max_size=3),
    seed=st.none() | st.integers(0, 2**31),
    reasoning_effort=st.none() | st.sampled_from(["none", "low", "medium", "high"]),
    format_options=st.just({})
    | st.just({"ollama-native": {"keep_alive": 5, "options": {"num_ctx": 9}}}),
)


@given(requests)
def test_a_request_survives_the_wire(request: ChatRequest) -> None:
    """Rendered, sent as JSON and parsed, every request that the format can express is the same."""
    rendered = render_request(request)
    assume(not rendered.warnings)
    assert parse_request(json.loads(json.dumps(rendered.body))) == request


def test_a_history_without_ids_is_read() -> None:
    """As older clients send it: a result names its tool, or nothing."""
    named = [{"function": {"name": name, "arguments": {}}} for name in ("a", "b")]
    body = {
        "model": "m",
        "messages": [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": "", "tool_calls": named},
            {"role": "tool", "content": "of b", "tool_name": "b"},
            {"role": "tool", "content": "of a"},
            {"role": "tool", "content": "of nobody"},
        ],
    }
    _, asked, *results = parse_request(body).messages
    a, b = asked.tool_calls
    assert a.id != b.id
    told = [part for message in results for part in message.parts]
    assert [(part.tool_call_id, part.content) for part in told] == [
        (b.id, "of b"),
        (a.id, "of a"),
        ("call_unknown", "of nobody"),
    ]


def test_a_prompt_of_generate_is_read() -> None:
    asked = parse_request(
        {"model": "m", "prompt": "Why?", "system": "Be brief.", "images": [PICTURE]}
    )
    assert asked.messages == [
        Message("system", "Be brief."),
        Message("user", [TextPart("Why?"), ImagePart(data=PICTURE)]),
    ]


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({"messages": [{"role": "user", "content": "hi"}]}, "model"),
        ({"model": "m"}, "messages is empty"),
        ({"model": "m", "messages": "hi"}, "messages must be a list"),
        ({"model": "m", "messages": [{"role": "judge", "content": ""}]}, r"messages\[0\].role"),
        ({"model": "m", "messages": [{"role": "user", "content": [1]}]}, r"messages\[0\].content"),
        ({"model": "m", "messages": [{"role": "user", "content": "", "images": ["?"]}]}, "images"),
        ({"model": "m", "prompt": 5}, "prompt must be a string"),
        ({"model": "m", "prompt": "a", "options": 5}, "options must be an object"),
        ({"model": "m", "prompt": "a", "options": {"top_k": "x"}}, "top_k"),
        ({"model": "m", "prompt": "a", "think": "fast"}, "reasoning_effort"),
        ({"model": "m", "prompt": "a", "format": 5}, "response_format"),
        (
            {"model": "m", "messages": [{"role": "assistant", "tool_calls": [{"function": {}}]}]},
            r"tool_calls\[0\] needs a function with a name",
        ),
    ],
)
def test_a_bad_request_names_the_place(body: dict[str, Any], problem: str) -> None:
    with pytest.raises((TypeError, ValueError), match=problem):
        parse_request(body)


@pytest.mark.parametrize(
    ("body", "effort"), [({"think": True}, "medium"), ({"think": False}, "none"), ({}, None)]
)
def test_whether_to_think_is_read(body: dict[str, Any], effort: str | None) -> None:
    assert parse_request({"model": "m", "prompt": "a", **body}).reasoning_effort == effort


def test_an_answer_of_any_length_has_no_limit() -> None:
    """Ollama's -1 and -2."""
    asked = parse_request({"model": "m", "prompt": "a", "options": {"num_predict": -1}})
    assert asked.max_tokens is None


# --- Ollama's own client -------------------------------------------------------------------------------------


@pytest.mark.sdk
@given(requests)
def test_ollamas_types_take_our_requests(request: ChatRequest) -> None:
    check_ollama(render_request(request).body)


@pytest.mark.sdk
async def test_ollamas_client_reads_our_answers() -> None:
    """Streamed and whole."""
    ollama = pytest.importorskip("ollama")
    call = ToolCall("c1", "look", '{"at":"it"}', {"at": "it"})
    items = (ReasoningPart("Hm."), "Grüße aus 日本.", call, Usage(7, 3))
    async with (
        Loopback(loopback.answer("ollama-native", *items)) as server,
        ollama.AsyncClient(host=server.url("ollama")) as client,
    ):
        told = [part async for part in await client.chat("m-1", [], stream=True)]
        text = "".join(part.message.content or "" for part in told)
        thought = "".join(part.message.thinking or "" for part in told)
        calls = [each for part in told for each in part.message.tool_calls or ()]
        assert (text, thought) == ("Grüße aus 日本.", "Hm.")
        assert [(each.function.name, each.function.arguments) for each in calls] == [
            ("look", {"at": "it"})
        ]
        last = told[-1]
        assert (last.done, last.done_reason, last.prompt_eval_count, last.eval_count) == (
            True,
            "stop",
            7,
            3,
        )


@pytest.mark.sdk
async def test_ollamas_client_reads_our_errors_and_whole_answers() -> None:
    ollama = pytest.importorskip("ollama")
    async with (
        FaultServer("error-after-words", "json-document", "status-404") as server,
        ollama.AsyncClient(host=server.url("ollama")) as client,
    ):
        with pytest.raises(ollama.ResponseError, match="no capacity"):
            _ = [part async for part in await client.chat("m-1", [], stream=True)]
        whole = await client.chat("m-1", [])
        assert (whole.message.content, whole.done_reason) == (ANSWER, "stop")
        with pytest.raises(ollama.ResponseError, match="no such model"):
            await client.chat("m-1", [])
