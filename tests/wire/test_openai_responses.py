"""The OpenAI Responses format: bytes to events, events to bytes, requests both ways."""

import json
import random
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmstream.errors import ErrorInfo
from llmstream.events.types import (
    EventType,
    Start,
    Status,
    StreamEvent,
    TextDelta,
    ToolCallDelta,
    error,
    opaque,
    reasoning_delta,
    refusal_delta,
    text_delta,
)
from llmstream.messages import (
    ChatRequest,
    File,
    FinishReason,
    HostedTool,
    ImagePart,
    Message,
    ProviderPart,
    ReasoningPart,
    RefusalPart,
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
from llmstream.provider_data import own_members
from llmstream.wire.fitting.tools import names_of
from llmstream.wire.openai_responses.decode import ResponsesDecoder
from llmstream.wire.openai_responses.encode import ResponsesEncoder
from llmstream.wire.openai_responses.items import FORMAT, parse_call, parse_result
from llmstream.wire.openai_responses.request import ResponsesVariant, parse_request, render_request
from tests.example_counts import examples
from tests.recordings import each_count, recordings, sampled, sizes, unpriced

RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "model": "m",
    "status": "in_progress",
    "output": [],
}
CREATED = {"type": "response.created", "response": RESPONSE}
COMPLETED = {"type": "response.completed", "response": {**RESPONSE, "status": "completed"}}


def sse(*payloads, names=True, first=0):
    frames = []
    for number, payload in enumerate(payloads, first):
        name = f"event: {payload['type']}\n" if names else ""
        frames.append(
            f"{name}data: {json.dumps({'sequence_number': number, **payload}, ensure_ascii=False)}\n\n"
        )
    return "".join(frames).encode()


def decode(*pieces, **options):
    decoder = ResponsesDecoder(**options)
    events = [event for piece in pieces for event in decoder.feed(piece)]
    return events + decoder.finish()


def encode(events, **options):
    encoder = ResponsesEncoder(**options)
    return b"".join([encoder.feed(event) for event in events])


def frames_of(data):
    return [json.loads(line[6:]) for line in data.decode().split("\n") if line.startswith("data: ")]


def added(index, item):
    return {"type": "response.output_item.added", "output_index": index, "item": item}


def done(index, item):
    return {"type": "response.output_item.done", "output_index": index, "item": item}


def delta(kind, content, index=0, **more):
    return {"type": f"response.{kind}.delta", "output_index": index, "delta": content, **more}


def text_item(text, **more):
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "content": [{"type": "output_text", "text": text}],
    } | more


ANSWER = sse(
    CREATED,
    added(0, {"id": "rs_1", "type": "reasoning", "summary": []}),
    delta("reasoning_summary_text", "Thin", summary_index=0),
    delta("reasoning_summary_text", "king", summary_index=0),
    done(
        0,
        {
            "id": "rs_1",
            "type": "reasoning",
            "encrypted_content": "sig",
            "summary": [{"text": "Thinking"}],
        },
    ),
    added(1, {"id": "msg_1", "type": "message", "content": []}),
    delta("output_text", "Grüß", 1, content_index=0),
    delta("output_text", " \u2028dich", 1, content_index=0),
    done(1, text_item("Grüß \u2028dich")),
    added(
        2,
        {
            "id": "fc_1",
            "type": "function_call",
            "call_id": "call_1",
            "name": "add",
            "arguments": "",
        },
    ),
    delta("function_call_arguments", '{"a"', 2),
    delta("function_call_arguments", ":1}", 2),
    done(
        2,
        {
            "id": "fc_1",
            "type": "function_call",
            "call_id": "call_1",
            "name": "add",
            "arguments": '{"a":1}',
        },
    ),
    {
        "type": "response.completed",
        "response": {
            **RESPONSE,
            "status": "completed",
            "usage": {
                "input_tokens": 7,
                "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 0},
                "output_tokens": 5,
                "output_tokens_details": {"reasoning_tokens": 2},
            },
        },
    },
)


# --- decoding ---------------------------------------------------------------------------------------------


def test_an_answer_with_reasoning_text_and_a_call():
    events = decode(ANSWER)
    assert [event.type for event in events] == [
        EventType.MESSAGE_START,
        *[EventType.REASONING_DELTA] * 2,
        EventType.STATUS,
        *[EventType.TEXT_DELTA] * 2,
        *[EventType.TOOL_CALL_DELTA] * 3,
        EventType.TOOL_CALL,
        EventType.MESSAGE_COMPLETE,
    ]
    end = events[-1]
    assert end.finish_reason is FinishReason.TOOL_CALLS
    assert end.raw_finish_reason == "completed"
    assert end.usage == Usage(7, 5, 3, 0, 2)
    assert end.start == Start("resp_1", "m")
    assert end.message.parts == [
        ReasoningPart("Thinking", "sig", "rs_1", FORMAT),
        TextPart("Grüß \u2028dich"),
        ToolCall("call_1", "add", '{"a":1}', {"a": 1}),
    ]


def test_event_lines_may_be_absent_and_unknown_events_are_ignored():
    more = [{"type": "keepalive"}, {"type": "response.from.the.future", "x": 1}]
    plain = sse(CREATED, *more, delta("output_text", "hi", content_index=0), COMPLETED, names=False)
    assert decode(plain + b"data: [DONE]\n\n")[-1].message.text == "hi"


def test_text_that_comes_only_in_done_is_counted_once():
    part = {"type": "output_text", "text": "whole"}
    place = {"output_index": 0, "content_index": 0}
    payloads = [
        CREATED,
        added(0, {"id": "a", "type": "message", "content": []}),
        {"type": "response.output_text.done", **place, "text": "whole"},
        {"type": "response.content_part.done", **place, "part": part},
        done(0, text_item("whole")),
        {
            "type": "response.completed",
            "response": {**RESPONSE, "status": "completed", "output": [text_item("whole")]},
        },
    ]
    assert decode(sse(*payloads))[-1].message.text == "whole"
    for left_out in ({2}, {2, 3}, {2, 3, 4}, {1, 2, 3, 4}):
        kept = [payload for number, payload in enumerate(payloads) if number not in left_out]
        assert decode(sse(*kept))[-1].message.text == "whole", left_out


def test_ids_may_change_and_content_indexes_may_not_fit():
    payloads = [CREATED, added(0, {"id": "a", "type": "message"})]
    payloads += [delta("output_text", char, content_index=1, item_id=f"id{char}") for char in "abc"]
    payloads += [done(0, text_item("abc", id="z")), COMPLETED]
    assert decode(sse(*payloads))[-1].message.text == "abc"


def test_done_without_output_index_is_the_last_item():
    payloads = [CREATED]
    for index, text in enumerate(("First", "Second")):
        payloads += [
            added(index, {"type": "message"}),
            delta("output_text", text, index, content_index=0),
        ]
        payloads.append({"type": "response.output_item.done", "item": text_item(text)})
    assert decode(sse(*payloads, COMPLETED))[-1].message.text == "FirstSecond"


def test_a_resumed_stream_does_not_repeat_what_it_had_sent_before():
    payloads = [
        delta("output_text", " world", content_index=0),
        {
            "type": "response.output_text.done",
            "output_index": 0,
            "content_index": 0,
            "text": "hello world",
        },
        done(0, text_item("hello world")),
        {
            "type": "response.completed",
            "response": {**RESPONSE, "status": "completed", "output": [text_item("hello world")]},
        },
    ]
    assert decode(sse(*payloads, first=5))[-1].message.text == " world"
    events = decode(sse(*payloads[1:], first=6))
    assert events[-1].message.text == ""
    call = {
        "type": "function_call",
        "call_id": "c",
        "name": "f",
        "arguments": "{}",
        "status": "completed",
    }
    assert decode(sse(delta("function_call_arguments", "}"), done(0, call), COMPLETED))[
        -1
    ].message.tool_calls == [ToolCall("c", "f", "{}", {})]


@pytest.mark.parametrize("where", ["arguments.done", "item.done", "terminal"])
def test_arguments_without_deltas(where):
    call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": '{"x":1}'}
    payloads = [CREATED, added(0, {**call, "arguments": ""})]
    output = []
    if where == "arguments.done":
        payloads.append(
            {
                "type": "response.function_call_arguments.done",
                "output_index": 0,
                "arguments": '{"x":1}',
            }
        )
    elif where == "item.done":
        payloads.append(done(0, call))
    else:
        output = [call]
    end = {
        "type": "response.completed",
        "response": {**RESPONSE, "status": "completed", "output": output},
    }
    assert decode(sse(*payloads, end))[-1].message.tool_calls == [
        ToolCall("c", "f", '{"x":1}', {"x": 1})
    ]


def test_interleaved_calls_keep_their_arguments_apart():
    payloads = [
        CREATED,
        *(
            added(index, {"type": "function_call", "call_id": f"c{index}", "name": "f"})
            for index in (0, 1)
        ),
        *(delta("function_call_arguments", char, index) for char in "{}" for index in (0, 1)),
    ]
    calls = decode(sse(*payloads, COMPLETED))[-1].message.tool_calls
    assert [(call.id, call.arguments, call.complete) for call in calls] == [
        ("c0", "{}", True),
        ("c1", "{}", True),
    ]


def test_a_call_cut_by_the_token_limit_is_not_complete():
    call = {"type": "function_call", "call_id": "c", "name": "f", "status": "incomplete"}
    for arguments in ('{"x":48', ""):
        events = decode(
            sse(
                CREATED,
                added(0, {**call, "arguments": ""}),
                *([delta("function_call_arguments", arguments)] if arguments else []),
                done(0, {**call, "arguments": arguments}),
                {
                    "type": "response.incomplete",
                    "response": {
                        **RESPONSE,
                        "status": "incomplete",
                        "incomplete_details": {"reason": "max_output_tokens"},
                    },
                },
            )
        )
        assert events[-1].finish_reason is FinishReason.LENGTH
        assert events[-1].raw_finish_reason == "incomplete:max_output_tokens"
        assert events[-1].message.tool_calls == [
            ToolCall("c", "f", arguments, None, complete=False)
        ]


def test_a_custom_tools_input_is_whole_although_it_is_no_json():
    item = {"type": "custom_tool_call", "id": "ctc", "call_id": "c", "name": "sql", "input": ""}
    pieces = [delta("custom_tool_call_input", piece) for piece in ("SELECT ", "1")]
    events = decode(
        sse(CREATED, added(0, item), *pieces, done(0, {**item, "input": "SELECT 1"}), COMPLETED)
    )
    call = events[-1].message.tool_calls[0]
    assert (call.arguments, call.input, call.complete) == ("SELECT 1", None, True)
    for custom in ((), ("sql",)):
        data = encode(events, custom_tools=custom)
        assert decode(data) == events
        assert frames_of(data)[-1]["response"]["output"][0]["type"] == "custom_tool_call"
    assert b"response.custom_tool_call_input.delta" in encode(events, custom_tools=["sql"])
    cut = sse(
        CREATED,
        added(0, item),
        *pieces,
        {**COMPLETED, "response": {**RESPONSE, "status": "incomplete"}},
    )
    assert decode(cut)[-1].message.tool_calls[0].complete is False


def test_refusals():
    for payloads in (
        [delta("refusal", "No.", content_index=0)],
        [
            {
                "type": "response.refusal.done",
                "output_index": 0,
                "content_index": 0,
                "refusal": "No.",
            }
        ],
        [done(0, {"type": "message", "content": [{"type": "refusal", "refusal": "No."}]})],
    ):
        end = decode(sse(CREATED, added(0, {"type": "message"}), *payloads, COMPLETED))[-1]
        assert (end.finish_reason, end.message.parts) == (
            FinishReason.REFUSAL,
            [RefusalPart("No.")],
        )


def test_reasoning_parts_are_joined_and_signed():
    item = {"id": "rs", "type": "reasoning"}
    whole = {**item, "summary": [{"text": "a"}, {"text": "b"}], "encrypted_content": "s"}
    streamed = [
        delta("reasoning_summary_text", "a", summary_index=0),
        {"type": "response.reasoning_summary_part.done", "output_index": 0, "part": {"text": "a"}},
        delta("reasoning_summary_text", "b", summary_index=1),
    ]
    expected = [ReasoningPart("a\n\nb", "s", "rs", FORMAT)]
    for pieces in (streamed, []):
        assert (
            decode(sse(CREATED, added(0, item), *pieces, done(0, whole), COMPLETED))[
                -1
            ].message.parts
            == expected
        )
    raw = {**item, "summary": [], "content": [{"type": "reasoning_text", "text": "deep"}]}
    for pieces in ([delta("reasoning_text", "deep", content_index=0)], []):
        end = decode(sse(CREATED, added(0, item), *pieces, done(0, raw), COMPLETED))[-1]
        assert end.message.parts == [ReasoningPart("deep")]
    empty = decode(
        sse(CREATED, added(0, item), done(0, {**item, "encrypted_content": "s"}), COMPLETED)
    )
    assert [event.type for event in empty] == [
        EventType.STATUS,
        EventType.MESSAGE_START,
        EventType.MESSAGE_COMPLETE,
    ]
    assert empty[-1].message.parts == [ReasoningPart("", "s", "rs", FORMAT)]


def test_annotations_become_sources_once():
    url = {
        "type": "url_citation",
        "url": "https://a",
        "title": "A",
        "start_index": 1,
        "end_index": 2,
    }
    file = {"type": "file_citation", "file_id": "f", "filename": "f.pdf", "index": 3}
    box = {
        "type": "container_file_citation",
        "file_id": "g",
        "filename": "g",
        "start_index": 4,
        "end_index": 5,
    }
    path = {"type": "file_path", "file_id": "h", "index": 6}
    annotations = [url, file, box, path, {"type": "new"}]
    part = {"type": "output_text", "text": "x", "annotations": annotations}
    streamed = [
        {
            "type": "response.output_text.annotation.added",
            "output_index": 0,
            "content_index": 0,
            "annotation": one,
        }
        for one in annotations
    ]
    expected = [
        Source(title="A", url="https://a", start=1, end=2),
        Source(id="f", title="f.pdf", start=3),
        Source(id="g", title="g", start=4, end=5),
        Source(id="h", start=6),
    ]
    begin = [CREATED, added(0, {"type": "message"}), delta("output_text", "x", content_index=0)]
    part_done = {
        "type": "response.content_part.done",
        "output_index": 0,
        "content_index": 0,
        "part": part,
    }
    item_done = done(0, {"type": "message", "content": [part]})
    for pieces in (
        [*streamed, part_done, item_done],
        [part_done, item_done],
        [item_done],
        [*streamed[:2], item_done],
    ):
        events = decode(sse(*begin, *pieces, COMPLETED))
        assert events[-1].message.sources == expected
        assert decode(encode(events)) == events


SERVER_ITEMS = [
    (
        {"type": "web_search_call", "id": "ws", "status": "completed", "action": {"query": "q"}},
        {"query": "q"},
        None,
    ),
    (
        {"type": "web_search_call", "id": "ws", "call_id": "", "arguments": '{"query":"q"}'},
        {"query": "q"},
        None,
    ),
    ({"type": "web_search_call", "id": "ws", "action": {"sources": [1]}}, {"sources": [1]}, [1]),
    (
        {"type": "file_search_call", "id": "fs", "queries": ["q"], "results": None},
        {"queries": ["q"]},
        None,
    ),
    (
        {"type": "file_search_call", "id": "fs", "queries": ["q"], "results": [{"t": 1}]},
        {"queries": ["q"]},
        [{"t": 1}],
    ),
    ({"type": "code_interpreter_call", "id": "ci", "code": "1", "outputs": []}, {"code": "1"}, []),
    ({"type": "mcp_call", "id": "m", "arguments": "{}", "output": "ok", "error": None}, {}, "ok"),
    ({"type": "mcp_call", "id": "m", "arguments": "{}", "output": None, "error": "bad"}, {}, "bad"),
    (
        {"type": "mcp_list_tools", "id": "l", "server_label": "z", "tools": [{"n": 1}]},
        {"server_label": "z"},
        [{"n": 1}],
    ),
    (
        {"type": "mcp_approval_request", "id": "r", "arguments": '{"a":1}', "name": "f"},
        {"a": 1},
        None,
    ),
    (
        {"type": "local_shell_call", "id": "i", "call_id": "c", "action": {"command": ["ls"]}},
        {"command": ["ls"]},
        None,
    ),
    (
        {"type": "shell_call", "id": "i", "call_id": "c", "action": {"commands": ["ls"]}},
        {"commands": ["ls"]},
        None,
    ),
    (
        {"type": "apply_patch_call", "id": "i", "call_id": "c", "operation": {"path": "p"}},
        {"path": "p"},
        None,
    ),
    ({"type": "tool_of_tomorrow_call", "id": "t"}, {}, None),
]


@pytest.mark.parametrize(("item", "arguments", "outcome"), SERVER_ITEMS)
def test_tools_that_the_provider_runs(item, arguments, outcome):
    events = decode(
        sse(
            CREATED,
            added(0, item),
            done(0, item),
            delta("output_text", "x", 1, content_index=0),
            COMPLETED,
        )
    )
    end = events[-1]
    call = end.message.parts[0]
    assert call == ToolCall(
        item.get("call_id") or item["id"],
        item["type"],
        call.arguments,
        arguments,
        executed_by="provider",
        provider_data={"format": FORMAT, "item": item},
    )
    results = [part for part in end.message.parts if isinstance(part, ToolResult)]
    assert [(one.tool_call_id, one.content) for one in results] == (
        [] if outcome is None else [(call.id, outcome)]
    )
    assert [one.is_error for one in results] == (
        [] if outcome is None else [bool(item.get("error"))]
    )
    assert end.finish_reason is FinishReason.STOP
    assert decode(encode(events)) == events


def test_an_image_is_a_file_and_partial_images_are_previews():
    item = {
        "type": "image_generation_call",
        "id": "ig",
        "output_format": "webp",
        "result": "QUJD",
        "prompt": "p",
    }
    partial = {
        "type": "response.image_generation_call.partial_image",
        "output_index": 0,
        "partial_image_b64": "QQ==",
    }
    events = decode(
        sse(CREATED, added(0, {**item, "result": None}), partial, done(0, item), COMPLETED)
    )
    kinds = [event.type for event in events]
    assert kinds == [
        EventType.STATUS,
        EventType.MESSAGE_START,
        EventType.TOOL_CALL,
        EventType.FILE,
        EventType.MESSAGE_COMPLETE,
    ]
    assert events[3].file == File("ig", media_type="image/webp", data="QUJD")
    assert decode(encode(events)) == events


def test_an_output_item_is_the_result_of_its_call_and_unknown_items_are_opaque():
    output = {"type": "shell_call_output", "id": "o", "call_id": "c", "output": [{"stdout": "x"}]}
    compaction = {"type": "compaction", "id": "k", "encrypted_content": "zzz"}
    events = decode(sse(CREATED, added(0, output), done(0, output), done(1, compaction), COMPLETED))
    assert events[-1].message.parts == [parse_result(output), ProviderPart(FORMAT, compaction)]
    assert events[-1].message.parts[0].tool_call_id == "c"
    assert decode(encode(events)) == events


def test_phases_that_come_late_survive_the_round_trip():
    """Those of open messages, and those of finished ones, which stand in the snapshot alone."""
    first = {"type": "message", "id": "m1", "role": "assistant", "content": []}
    second = {**first, "id": "m2"}
    part = {"type": "output_text", "text": "Hm", "annotations": []}
    call = {"type": "function_call", "id": "f", "call_id": "c", "name": "get", "arguments": "{}"}
    items = [
        {**first, "phase": "commentary", "content": [part]},
        call,
        {**second, "phase": "final_answer", "content": [{**part, "text": "Hello"}]},
    ]
    spoken = [
        added(0, first),
        delta("output_text", "Hm"),
        done(1, call),
        added(2, second),
        delta("output_text", "Hello", 2),
    ]
    ends = [done(2, items[2]), {**COMPLETED, "response": {**RESPONSE, "output": items}}]
    for end in (ends, ends[1:]):
        events = decode(sse(CREATED, *spoken, *end))
        message = events[-1].message
        assert [part.provider_data and part.provider_data["phase"] for part in message.parts] == [
            "commentary",
            None,
            "final_answer",
        ]
        assert decode(encode(events))[-1].message == message


def test_phases_of_a_providers_tool_are_progress():
    phases = [
        {"type": f"response.web_search_call.{name}", "item_id": "ws"}
        for name in ("in_progress", "searching")
    ]
    item = {"type": "web_search_call", "id": "ws", "status": "completed", "action": {"query": "q"}}
    events = decode(sse(CREATED, added(0, item), *phases, done(0, item), COMPLETED))
    assert [event.status.message for event in events[:2]] == [
        "web_search_call in_progress",
        "web_search_call searching",
    ]
    data = encode(events)
    assert decode(data) == events
    kinds = [frame["type"] for frame in frames_of(data)]
    assert kinds[2:6] == [
        "response.output_item.added",
        *(p["type"] for p in phases),
        "response.output_item.done",
    ]


# --- ends -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "reason", "expected"),
    [
        ("completed", None, FinishReason.STOP),
        ("incomplete", "max_output_tokens", FinishReason.LENGTH),
        ("incomplete", "content_filter", FinishReason.CONTENT_FILTER),
        ("incomplete", "max_messages", FinishReason.LENGTH),
        ("incomplete", "max_tokens", FinishReason.LENGTH),
        ("incomplete", "steered", FinishReason.PAUSE),
        ("incomplete", "a word of nobody", FinishReason.OTHER),
        ("incomplete", None, FinishReason.LENGTH),
    ],
)
def test_finish_reasons(status, reason, expected):
    response = {**RESPONSE, "status": status, "incomplete_details": reason and {"reason": reason}}
    events = decode(sse(CREATED, {"type": f"response.{status}", "response": response}))
    assert events[-1].finish_reason is expected
    assert events[-1].raw_finish_reason == (f"{status}:{reason}" if reason else status)
    assert decode(encode(events)) == events


@pytest.mark.parametrize(
    ("type", "status", "expected"),
    [
        ("response.completed", "requires_action", FinishReason.TOOL_CALLS),
        ("response.requires_action", "requires_action", FinishReason.TOOL_CALLS),
        ("response.done", "completed", FinishReason.STOP),
        ("response.done", "incomplete", FinishReason.LENGTH),
        ("response.completed", "in_progress", FinishReason.STOP),
        ("response.incomplete", "queued", FinishReason.LENGTH),
    ],
)
def test_ends_of_other_servers(type, status, expected):
    """Realtime's `response.done`, calls that wait, and a status that the server forgot to change."""
    last = decode(sse(CREATED, {"type": type, "response": {**RESPONSE, "status": status}}))[-1]
    assert last.finish_reason is expected


FLAT = {"type": "error", "code": "rate_limit_exceeded", "message": "slow down", "param": None}
NESTED = {
    "type": "error",
    "error": {"type": "insufficient_quota", "code": "insufficient_quota", "message": "no money"},
}
FAILED = {
    "type": "response.failed",
    "response": {
        **RESPONSE,
        "status": "failed",
        "error": {"code": "server_error", "message": "broke"},
        "usage": {"input_tokens": 1},
    },
}
CANCELLED = {"type": "response.cancelled", "response": {**RESPONSE, "status": "cancelled"}}


@pytest.mark.parametrize(
    ("payloads", "kind", "message"),
    [
        ([FLAT], "rate_limit", "slow down"),
        ([FLAT, FAILED], "rate_limit", "slow down"),
        ([NESTED, FAILED], "quota", "no money"),
        ([FAILED], "server", "broke"),
        ([CANCELLED], "server", "cancelled"),
        ([{"type": "response.failed", "response": {"status": "failed"}}], "server", "failed"),
    ],
)
@pytest.mark.parametrize("text", ["", "half"])
def test_errors_come_once(payloads, kind, message, text):
    begin = [CREATED, *([delta("output_text", text, content_index=0)] if text else [])]
    events = decode(sse(*begin, *payloads))
    failed = events[-1]
    assert [event.type for event in events].count(EventType.ERROR) == 1
    assert failed.error_info.kind == kind
    assert message in failed.error
    assert (failed.error_info.partial.text if text else failed.error_info.partial) == (text or None)
    assert failed.usage == (Usage(1) if payloads == [FAILED] else None)
    assert failed.error_info.retryable is (
        kind in ("rate_limit", "server") and payloads != [CANCELLED]
    )
    again = decode(encode(events))
    assert (again[-1].error_info.kind, again[-1].error_info.message) == (
        kind,
        failed.error_info.message,
    )
    assert again[:-1] == events[:-1]


def test_a_bare_error_and_an_html_page():
    assert (
        decode(b'{"error":{"message":"bad key","code":"invalid_api_key"}}')[-1].error_info.kind
        == "authentication"
    )
    assert decode(b"<html>login</html>")[-1].error_info.kind == "wrong_body"
    assert (
        decode(b'event: error\ndata: {"error":{"message":"x","code":"server_error"}}\n\n')[
            -1
        ].error_info.kind
        == "server"
    )
    assert decode(b"")[-1].error_info.kind == "truncated"


def test_a_whole_document_is_an_answer():
    call = {
        "type": "function_call",
        "call_id": "c",
        "name": "f",
        "arguments": "{}",
        "status": "completed",
    }
    reasoning = {"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "s"}
    document = {
        **RESPONSE,
        "status": "completed",
        "error": None,
        "output": [reasoning, text_item("hi"), call],
    }
    end = decode(json.dumps(document, indent=1).encode())[-1]
    assert end.finish_reason is FinishReason.TOOL_CALLS
    assert end.message.parts == [
        ReasoningPart("", "s", "rs", FORMAT),
        TextPart("hi"),
        ToolCall("c", "f", "{}", {}),
    ]
    assert end.start == Start(
        "resp_1", "m", warnings=("stream: the provider answered with one whole document",)
    )
    failed = {
        **document,
        "status": "failed",
        "error": {"code": "rate_limit_exceeded", "message": "m"},
    }
    assert decode(json.dumps(failed).encode())[-1].error_info.kind == "rate_limit"
    assert decode(json.dumps(RESPONSE).encode())[-1].error_info.kind == "wrong_body"
    assert decode(b'{"hello": 1}')[-1].error_info.kind == "wrong_body"


# --- every cut, every chunking, any bytes ------------------------------------------------------------------


def assert_prefixes(data, count):
    """No prefix completes before the provider's end; each delivers what was whole in it."""
    whole = decode(data)
    end = data.rindex(b"}") + 1
    for size in sizes(end, count):
        events = decode(data[:size])
        assert events[-1].type is EventType.ERROR, size
        assert events[-1].error_info.kind == "truncated", size
        body = [event for event in events[:-1] if event.type is not EventType.MESSAGE_START]
        assert (
            body
            == [event for event in whole if event.type is not EventType.MESSAGE_START][: len(body)]
        ), size
        text = "".join(event.text for event in body)
        partial = events[-1].error_info.partial
        assert (partial.text if partial else "") == text
    assert decode(data[:end])[-1].type is EventType.MESSAGE_COMPLETE


def test_every_prefix_is_truncated():
    assert_prefixes(ANSWER, len(ANSWER))


def test_a_cut_call_is_only_in_the_partial_message():
    cut = ANSWER[: ANSWER.index(b'":1}') - 40]
    events = decode(cut)
    assert EventType.TOOL_CALL not in [event.type for event in events]
    assert events[-1].error_info.partial.tool_calls[0].complete is False


@given(st.lists(st.integers(0, len(ANSWER)), max_size=20))
def test_chunking_changes_nothing(cuts):
    places = [0, *sorted(cuts), len(ANSWER)]
    assert decode(*(ANSWER[a:b] for a, b in pairwise(places))) == decode(ANSWER)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=5)
    | st.sampled_from(["message", "reasoning", "x_call"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "type",
                    "item",
                    "delta",
                    "id",
                    "content",
                    "text",
                    "output_index",
                    "arguments",
                    "name",
                ]
            ),
            inner,
        )
    ),
    max_leaves=8,
)
TYPES = st.sampled_from([*ResponsesDecoder._HANDLERS, "response.web_search_call.searching", "x"])
FIELDS = [
    "item",
    "delta",
    "response",
    "output_index",
    "content_index",
    "part",
    "annotation",
    "text",
    "arguments",
    "error",
]


@given(st.lists(st.tuples(TYPES, st.dictionaries(st.sampled_from(FIELDS), JSON)), max_size=8))
@settings(deadline=None)
def test_frames_of_any_content_never_raise(frames):
    events = decode(sse(*[{"type": kind, **fields} for kind, fields in frames]))
    assert events[-1].type in (EventType.MESSAGE_COMPLETE, EventType.ERROR)


@given(
    st.binary(max_size=300)
    | st.lists(st.sampled_from(ANSWER.split(b",")), max_size=20).map(b",".join)
)
def test_any_bytes_never_raise(data):
    events = decode(data)
    assert [event.type in (EventType.MESSAGE_COMPLETE, EventType.ERROR) for event in events].count(
        True
    ) == 1


def test_include_raw_is_on_the_first_event_of_a_frame():
    events = decode(ANSWER, include_raw=True)
    assert events[0].raw["type"] == "response.reasoning_summary_text.delta"
    assert events == decode(ANSWER)


# --- encoding ---------------------------------------------------------------------------------------------

words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
arguments = st.dictionaries(words, st.integers() | words, min_size=1, max_size=3).map(json.dumps)
usages = st.builds(Usage, *[st.none() | st.integers(0, 10**6)] * 5).filter(
    lambda usage: usage != Usage()
)
server_items = st.sampled_from([item for item, _, _ in SERVER_ITEMS])


def call_events(index, id, name, pieces):
    text = "".join(pieces)
    yield StreamEvent(EventType.TOOL_CALL_DELTA, tool_call_delta=ToolCallDelta(index, id, name))
    for piece in pieces:
        yield StreamEvent(
            EventType.TOOL_CALL_DELTA, tool_call_delta=ToolCallDelta(index, arguments=piece)
        )
    parsed = parse_arguments(text)
    yield StreamEvent(
        EventType.TOOL_CALL, tool_call=ToolCall(id, name, text, parsed, parsed is not None)
    )


def provider_events(item):
    if item["type"].endswith("_output"):
        yield StreamEvent(EventType.TOOL_RESULT, tool_result=parse_result(item))
        return
    call, result, _ = parse_call(item)
    yield StreamEvent(EventType.TOOL_CALL, tool_call=call)
    if result is not None:
        yield StreamEvent(EventType.TOOL_RESULT, tool_result=result)


@st.composite
def answers(draw):
    """Streams as a decoder of this format can give them."""
    events, calls = [], 0
    for kind in draw(
        st.lists(
            st.sampled_from(["text", "refusal", "reasoning", "source", "call", "item", "opaque"])
        )
    ):
        if kind == "text":
            events += map(text_delta, draw(st.lists(words, min_size=1, max_size=3)))
        elif kind == "refusal":
            events.append(refusal_delta(draw(words)))
        elif kind == "reasoning":
            events += map(reasoning_delta, draw(st.lists(words, max_size=3)))
            if draw(st.booleans()):
                events.append(opaque(FORMAT, signature=draw(words), id=draw(st.none() | words)))
        elif kind == "source":
            source = draw(
                st.builds(
                    Source, url=words, title=st.none() | words, start=st.none() | st.integers(0, 9)
                )
                | st.builds(
                    Source,
                    id=words,
                    title=words,
                    start=st.integers(0, 9),
                    end=st.none() | st.integers(0, 9),
                )
            )
            events.append(StreamEvent(EventType.SOURCE, source=source))
        elif kind == "call":
            text = draw(arguments | st.just("{oops"))
            cut = draw(st.integers(0, len(text)))
            pieces = [piece for piece in (text[:cut], text[cut:]) if piece]
            events += call_events(calls, f"call_{calls}", draw(words), pieces)
            calls += 1
        elif kind == "item":
            events += provider_events(draw(server_items))
        else:
            events.append(opaque(FORMAT, item={"type": "compaction", "id": draw(words)}))
    start = StreamEvent(
        EventType.MESSAGE_START, start=Start(draw(st.none() | words), draw(st.none() | words))
    )
    pieces = [number for number, event in enumerate(events) if event.type is not EventType.STATUS]
    first = pieces[0] if pieces else len(events)
    raw = draw(st.sampled_from(["completed", "incomplete:max_output_tokens", "incomplete:new"]))
    details = {"reason": raw.partition(":")[2]}
    # The library's own decoder writes the terminal event: it sums up what came before.
    response = {
        "status": raw.partition(":")[0],
        "incomplete_details": details if details["reason"] else None,
    }
    body = encode([*events[:first], start, *events[first:]])
    usage = draw(st.none() | usages)
    decoder = ResponsesDecoder()
    decoded = decoder.feed(body)
    assert (
        decoded
        == [*events[:first], *([start] if pieces else []), *events[first : len(decoded)]][
            : len(decoded)
        ]
    )
    end = sse({"type": "response.completed", "response": response})
    terminal = decoder.feed(end)[-1]
    terminal.usage = terminal.message.usage = usage
    return [*events[:first], start, *events[first:], terminal]


@given(answers())
@examples(300)
def test_decoding_what_was_encoded_gives_the_same_events(events):
    assert decode(encode(events)) == events


def test_no_text_breaks_a_frame():
    """Not half a surrogate pair, which UTF-8 has no bytes for, and no end of a line that some readers know."""
    said = "a\ud83d\u2028\u2029\x85\r\nb"
    lines = ResponsesEncoder().feed(text_delta(said)).decode().splitlines()
    found = [json.loads(line[6:]) for line in lines if line.startswith("data: ")]
    assert [frame["delta"] for frame in found if frame["type"] == "response.output_text.delta"] == [
        said
    ]
    assert {line[:6] for line in lines} == {"event:", "data: ", ""}


@given(answers())
@examples(100)
def test_a_batch_event_comes_out_as_if_it_had_been_streamed(events):
    end = events[-1]
    whole = replace(end, text_delta=TextDelta(end.message.text) if end.message.text else None)
    again = decode(ResponsesEncoder().feed(whole))[-1]
    if all(call.complete or call.arguments for call in end.message.tool_calls):
        assert again == end


def test_a_batch_event_without_a_message_has_its_text():
    event = StreamEvent(
        EventType.MESSAGE_COMPLETE, text_delta=TextDelta("hi"), finish_reason=FinishReason.STOP
    )
    assert decode(ResponsesEncoder().feed(event))[-1].message.text == "hi"


def test_numbers_run_and_the_end_repeats_the_answer():
    frames = frames_of(encode(decode(ANSWER)))
    assert [frame["sequence_number"] for frame in frames] == list(range(len(frames)))
    assert [item["type"] for item in frames[-1]["response"]["output"]] == [
        "reasoning",
        "message",
        "function_call",
    ]
    assert (
        decode(json.dumps(frames[-1]["response"]).encode())[-1].message
        == decode(ANSWER)[-1].message
    )


def test_each_event_is_written_at_once():
    encoder = ResponsesEncoder()
    encoder.feed(StreamEvent(EventType.MESSAGE_START, start=Start("a", "b")))
    assert b"one" in encoder.feed(text_delta("one"))
    assert b'"delta":"two"' in encoder.feed(text_delta("two"))


def test_other_vendors_tools_are_shown_but_not_to_be_run():
    call = ToolCall(
        "srv", "web_search", "{}", {}, executed_by="provider", provider_data={"format": "other"}
    )
    result = ToolResult("srv", [1], executed_by="provider", provider_data={"format": "other"})
    announced = StreamEvent(
        EventType.TOOL_CALL_DELTA, tool_call_delta=ToolCallDelta(0, "srv", "web_search")
    )
    for before in ([], [announced]):
        events = [
            StreamEvent(EventType.MESSAGE_START, start=Start("a", "b")),
            *before,
            StreamEvent(EventType.TOOL_CALL, tool_call=call),
            StreamEvent(EventType.TOOL_RESULT, tool_result=result),
            opaque("other", signature="s"),
            opaque("other", item={"type": "redacted"}),
            StreamEvent(EventType.STATUS, status=Status("queued")),
            StreamEvent(EventType.FILE, file=File(media_type="image/png", data="QQ==")),
            StreamEvent(EventType.FILE, file=File(media_type="text/plain", data="QQ==")),
            StreamEvent(
                EventType.MESSAGE_COMPLETE,
                finish_reason=FinishReason.STOP,
                raw_finish_reason="end_turn",
            ),
        ]
        output = frames_of(encode(events))[-1]["response"]["output"]
        assert [item["type"] for item in output] == ["mcp_call", "image_generation_call"]


@pytest.mark.parametrize(
    "kind",
    [
        "authentication",
        "permission",
        "not_found",
        "invalid_request",
        "context_length",
        "content_filter",
        "quota",
        "rate_limit",
        "overloaded",
        "server",
        "tool_use_failed",
        "truncated",
    ],
)
@pytest.mark.parametrize("started", [True, False])
def test_the_kind_of_an_error_survives(kind, started):
    begin = (
        [StreamEvent(EventType.MESSAGE_START, start=Start("a", "b")), text_delta("x")]
        if started
        else []
    )
    secret = error(
        ErrorInfo(kind, "it broke", request_id="secret", partial=Message("assistant", "secret"))
    )
    data = encode([*begin, secret])
    assert decode(data)[-1].error_info.kind == kind
    assert b"secret" not in data


def test_the_sdk_reads_what_is_written():
    responses = pytest.importorskip("openai.types.responses")
    pydantic = pytest.importorskip("pydantic")
    adapter = pydantic.TypeAdapter(responses.ResponseStreamEvent)
    events = [
        *decode(ANSWER)[:-1],
        StreamEvent(EventType.SOURCE, source=Source(title="t", url="https://a", start=0, end=1)),
        refusal_delta("no"),
        decode(ANSWER)[-1],
    ]
    for frame in frames_of(encode(events)) + frames_of(
        encode([error(ErrorInfo("rate_limit", "slow"))])
    ):
        adapter.validate_python(frame)


# --- requests ---------------------------------------------------------------------------------------------

names = st.from_regex(r"[a-z_]{1,12}", fullmatch=True)
urls = names.map("https://example.org/{}".format)
images = st.builds(ImagePart, url=urls, detail=st.none() | st.just("low")) | st.builds(
    ImagePart, data=st.just("QUJD"), media_type=st.sampled_from(["image/png", "image/webp"])
)
files = (
    st.builds(File, id=names)
    | st.builds(File, url=urls)
    | st.builds(File, name=names, media_type=st.just("application/pdf"), data=st.just("QUJD"))
)
audio = st.just(
    ProviderPart(FORMAT, {"type": "input_audio", "input_audio": {"data": "QQ==", "format": "mp3"}})
)
text_parts = st.builds(TextPart, words)
input_messages = st.builds(
    Message,
    st.sampled_from(["user", "system", "developer"]),
    st.lists(text_parts | images | files | audio, min_size=1, max_size=3),
)
reasonings = st.builds(
    ReasoningPart, st.just("") | words, words, st.none() | names, st.just(FORMAT)
)
opaques = st.builds(
    ProviderPart,
    st.just(FORMAT),
    st.fixed_dictionaries({"type": st.just("compaction"), "id": names}),
)
contents = words | st.lists(st.builds(TextPart, words), min_size=1, max_size=2)
schemas = st.fixed_dictionaries(
    {"type": st.just("object"), "properties": st.dictionaries(names, st.just({}))}
)


@st.composite
def turns(draw):
    """An assistant's turn and the answers to its calls."""
    parts, results = [], []
    for kind in draw(
        st.lists(st.sampled_from(["text", "call", "custom", "item"]), min_size=1, max_size=4)
    ):
        if kind == "text":
            parts.append(draw(text_parts | st.builds(RefusalPart, words) | reasonings | opaques))
        elif kind == "item":
            item = draw(
                server_items | st.just({"type": "shell_call_output", "call_id": "c", "output": []})
            )
            whole = [parse_result(item)] if item["type"].endswith("_output") else parse_call(item)
            parts += [part for part in whole if part is not None]
        else:
            id = f"call_{draw(st.uuids())}"
            if kind == "custom":
                text = draw(words)
                data = {"format": FORMAT, "type": "custom_tool_call"}
                call = ToolCall(id, draw(names), text, parse_arguments(text), provider_data=data)
            else:
                text = draw(arguments)
                call = ToolCall(id, draw(names), text, parse_arguments(text))
            parts.append(call)
            results.append(ToolResult(id, draw(contents)))
    parts.append(draw(text_parts))  # the item that reasoning must not lack
    turn = [Message("assistant", _parted(parts))]
    if results:
        turn.append(Message("tool", results))
    return turn


def _parted(parts):
    """Each piece of reasoning with something behind it, as answers have it."""
    parted = []
    for part in parts:
        if parted and isinstance(parted[-1], ReasoningPart) and isinstance(part, ReasoningPart):
            parted.append(TextPart("So."))
        parted.append(part)
    return parted


conversations = st.lists(
    st.tuples(st.lists(input_messages, min_size=1, max_size=2), turns()), max_size=3
).map(lambda rounds: [message for before, turn in rounds for message in (*before, *turn)])
tools = st.builds(Tool, names, schemas, st.none() | words, st.booleans()) | st.builds(
    HostedTool,
    st.fixed_dictionaries({"type": st.sampled_from(["web_search", "custom", "mcp"]), "x": words}),
)
formats = st.just(ResponseFormat()) | st.builds(
    ResponseFormat, schemas, names, st.none() | st.booleans(), st.none() | words
)
choices = st.sampled_from([ToolChoice(mode) for mode in ("auto", "none", "required")]) | st.builds(
    ToolChoice, st.just("tool"), names
)
options = st.fixed_dictionaries(
    {},
    optional={
        "text": st.just({"stop": "x"}),
        "reasoning": st.just({"summary": "auto"}),
        "store": st.just(True),
        "include": st.just(["message.output_text.logprobs"]),
        "truncation": st.just("auto"),
        "previous_response_id": names,
    },
)
requests = st.builds(
    ChatRequest,
    messages=conversations.filter(bool),
    model=st.sampled_from(["gpt-5", "o3", "gpt-4o", "openai/gpt-4.1", "grok-4"]),
    tools=st.lists(tools, max_size=2),
    tool_choice=st.none() | choices,
    parallel_tool_calls=st.none() | st.booleans(),
    response_format=st.none() | formats,
    temperature=st.none() | st.floats(0, 2),
    top_p=st.none() | st.floats(0, 1),
    verbosity=st.none() | st.sampled_from(["low", "high"]),
    service_tier=st.none() | st.sampled_from(["auto", "default", "flex", "priority"]),
    max_tokens=st.none() | st.integers(1, 10**6),
    reasoning_effort=st.none() | st.sampled_from(["low", "high"]),
    metadata=st.dictionaries(names, words, max_size=2),
    format_options=options.map(lambda given: {FORMAT: given} if given else {}),
)


def as_openai_takes_it(request):
    """A choice of tools only beside tools, sampling options only for models that don't reason."""
    if not request.tools:
        request = replace(request, tool_choice=None, parallel_tool_calls=None)
    choice = request.tool_choice
    if choice is not None and choice.mode == "tool":
        named = [name for tool in request.tools for name in sorted(names_of(tool))]
        request.tool_choice = replace(choice, name=named[0]) if named else None
    if request.model in ("gpt-5", "o3"):
        request = replace(request, temperature=None, top_p=None)
    if "gpt-4" in request.model:
        request = replace(request, reasoning_effort=None)
    return request


@given(requests.map(as_openai_takes_it))
@examples(200)
def test_parsing_what_was_rendered_gives_the_same_request(request):
    rendered = render_request(request)
    assert rendered.warnings == []
    assert rendered.body["stream"] is True
    assert parse_request(json.loads(json.dumps(rendered.body))) == request


def test_reasoning_whose_signature_is_empty_has_none():
    """llama.cpp makes it so, and refuses it."""
    item = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": ""}
    content = [{"type": "reasoning_text", "text": "Hm."}]
    request = parse_request({"model": "m", "input": [{**item, "content": content}]})
    data = {"format": FORMAT, "summary": [], "content": content}
    part = ReasoningPart("Hm.", None, "rs_1", FORMAT, data)
    assert request.messages == [Message("assistant", [part])]
    assert render_request(request).body["input"] == []


@given(conversations)
def test_every_item_names_its_type(history):
    """llama.cpp answers 400 to an assistant's message that doesn't, although OpenAI lets it be left out."""
    assert all(item["type"] for item in render_request(ChatRequest(history, "m")).body["input"])


def test_a_rendered_request():
    request = ChatRequest(
        [
            Message("system", "Be brief."),
            Message(
                "user",
                [TextPart("Look"), ImagePart(data="QQ==", media_type="image/png", detail="low")],
            ),
            Message(
                "assistant",
                [
                    ReasoningPart("r", "sig", "rs_1", FORMAT),
                    TextPart("a"),
                    Source(url="https://a"),
                    TextPart("b"),
                    ToolCall("c", "f", "", {}),
                ],
            ),
            Message("tool", [ToolResult("c", {"ok": True})]),
        ],
        "gpt-5",
        tools=[Tool("f")],
        tool_choice=ToolChoice("tool", "f"),
        response_format=ResponseFormat({"type": "object"}, "n", strict=True),
        reasoning_effort="low",
        max_tokens=9,
    )
    assert render_request(request).body == {
        "model": "gpt-5",
        "input": [
            {"type": "message", "role": "system", "content": "Be brief."},
            {
                "type": "message",
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "Look"},
                    {
                        "type": "input_image",
                        "image_url": "data:image/png;base64,QQ==",
                        "detail": "low",
                    },
                ],
            },
            {
                "type": "reasoning",
                "summary": [{"type": "summary_text", "text": "r"}],
                "encrypted_content": "sig",
                "id": "rs_1",
            },
            {
                "type": "message",
                "role": "assistant",
                "content": [
                    {"type": "output_text", "text": "a"},
                    {"type": "output_text", "text": "b"},
                ],
            },
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": '{"ok":true}'},
        ],
        "stream": True,
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "max_output_tokens": 9,
        "tools": [
            {
                "type": "function",
                "name": "f",
                "parameters": {"type": "object", "properties": {}},
                "strict": False,
            }
        ],
        "tool_choice": {"type": "function", "name": "f"},
        "text": {
            "format": {
                "type": "json_schema",
                "name": "n",
                "schema": {"type": "object"},
                "strict": True,
            }
        },
        "reasoning": {"effort": "low"},
    }


def test_what_the_api_lacks_is_named():
    request = ChatRequest([Message("user", "hi", name="Ann")], "m", stop=["x"], seed=1)
    rendered = render_request(request)
    assert [warning.partition(":")[0] for warning in rendered.warnings] == ["stop", "seed", "name"]
    assert not {"stop", "seed"} & rendered.body.keys()


def test_only_what_this_format_made_goes_back():
    item = {"type": "web_search_call", "id": "ws"}
    parts = [
        ReasoningPart("unsigned"),
        ReasoningPart("foreign", "s", "i", "anthropic-messages"),
        ProviderPart("anthropic-messages", {"type": "redacted_thinking"}),
        ToolCall(
            "s",
            "web_search",
            executed_by="provider",
            provider_data={"format": "anthropic-messages"},
        ),
        ToolResult("s", [], executed_by="provider", provider_data={"format": "anthropic-messages"}),
        TextPart("answer"),
        ToolCall(
            "ws",
            "web_search_call",
            executed_by="provider",
            provider_data={"format": FORMAT, "item": item},
        ),
        ToolResult("ws", [], executed_by="provider", provider_data={"format": FORMAT}),
    ]
    body = render_request(ChatRequest([Message("assistant", parts)], "m")).body
    assert body["input"] == [{"type": "message", "role": "assistant", "content": "answer"}, item]
    assert body["input"][1] is item


def test_a_result_may_be_any_item_of_this_format():
    approval = {"type": "mcp_approval_response", "approval_request_id": "r", "approve": True}
    result = ToolResult("r", "yes", provider_data={"format": FORMAT, "item": approval})
    assert render_request(ChatRequest([Message("tool", [result])], "m")).body["input"] == [approval]


def test_encrypted_reasoning_is_asked_for_only_where_it_is_understood():
    def include(model):
        return render_request(ChatRequest([], model)).body.get("include")

    for model in (
        "gpt-4o",
        "gpt-4.1-mini",
        "openai/gpt-4o",
        "chatgpt-4o-latest",
        "gpt-5-chat-latest",
        "gpt-3.5-turbo",
    ):
        assert include(model) is None
    for model in ("gpt-5", "gpt-5.4-mini", "o4-mini", "grok-4.3", "my-deployment"):
        assert include(model) == ["reasoning.encrypted_content"]
    body = render_request(
        ChatRequest([], "gpt-5"), ResponsesVariant("lmstudio", stateless=False)
    ).body
    assert not {"store", "include"} & body.keys()


def test_an_answers_message_can_be_sent_back():
    message = decode(ANSWER)[-1].message
    body = render_request(ChatRequest([message], "m")).body
    assert [item.get("type", "message") for item in body["input"]] == [
        "reasoning",
        "message",
        "function_call",
    ]
    parsed = parse_request(body).messages[0]
    assert parsed.parts == message.parts


def test_a_request_of_the_vendors_sdk():
    request = parse_request(
        {
            "model": "gpt-5",
            "instructions": "Be brief.",
            "input": "hi",
            "store": True,
            "tool_choice": {"type": "web_search"},
            "tools": [{"type": "web_search"}],
            "text": {"format": {"type": "text"}, "verbosity": "low"},
            "reasoning": None,
        }
    )
    assert request.messages == [Message("system", "Be brief."), Message("user", "hi")]
    assert request.tools == [HostedTool({"type": "web_search"})]
    assert request.verbosity == "low"
    assert request.format_options == {
        FORMAT: {"store": True, "tool_choice": {"type": "web_search"}}
    }


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "model"),
        ({"input": 5}, "input must be"),
        ({"input": [5]}, "input[0] must be a dict"),
        ({"input": [{"type": 5}]}, "input[0].type"),
        ({"input": [{"role": "tool", "content": ""}]}, "input[0].role"),
        ({"input": [{"role": "user"}]}, "input[0].content"),
        ({"input": [{"role": "user", "content": [{"type": "x"}]}]}, "input[0].content[0].type"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_text"}]}]},
            "input[0].content[0].text",
        ),
        ({"input": [{"role": "user", "content": "\ud800"}]}, "input[0].content: not valid Unicode"),
        ({"input": [{"type": "function_call", "name": "f"}]}, "input[0].call_id"),
        ({"input": [{"type": "function_call", "call_id": "c"}]}, "input[0].name"),
        ({"input": [{"type": "function_call", "call_id": "c", "name": "f"}]}, "input[0].arguments"),
        ({"input": [{"type": "function_call_output", "call_id": "c"}]}, "input[0].output"),
        (
            {"input": [{"type": "function_call_output", "call_id": "c", "output": [1]}]},
            "input[0].output[0]",
        ),
        ({"input": [{"type": "reasoning", "summary": 5}]}, "input[0].summary"),
        ({"input": [{"type": "reasoning", "summary": [5]}]}, "input[0]"),
        ({"instructions": 5}, "instructions"),
        ({"tools": 5}, "tools must be"),
        ({"tools": [5]}, "tools[0] must be"),
        ({"tools": [{"type": "function"}]}, "tools[0]: a function tool needs a name"),
        ({"tool_choice": 5}, "tool_choice"),
        ({"text": 5}, "text must be"),
        ({"text": {"format": {"type": "json_schema"}}}, "text.format"),
        ({"reasoning": 5}, "reasoning must be"),
        ({"metadata": 5}, "metadata must be"),
    ],
)
def test_bad_requests_name_the_place(body, words):
    with pytest.raises((TypeError, ValueError)) as caught:
        parse_request(({"model": "m"} if body else {}) | body)
    assert words in str(caught.value)


@given(requests)
@examples(60)
def test_the_sdk_accepts_what_is_rendered(request):
    pydantic = pytest.importorskip("pydantic")
    params = pytest.importorskip("openai.types.responses.response_create_params")
    tool = pytest.importorskip("openai.types.responses.function_tool_param")
    message = pytest.importorskip("openai.types.responses.easy_input_message_param")
    item = pytest.importorskip("openai.types.responses.response_input_item_param")
    body = render_request(request).body
    adapt = pydantic.TypeAdapter
    for one in body["input"]:
        if one.get("type") == "function_call":
            adapt(item.ResponseFunctionToolCallParam).validate_python(one, strict=True)
        elif one.get("type") == "custom_tool_call":
            adapt(item.ResponseCustomToolCallParam).validate_python(one, strict=True)
        elif one.get("type") == "function_call_output":
            adapt(item.FunctionCallOutput).validate_python(one, strict=True)
        elif one.get("type") == "reasoning" and "id" in one:
            adapt(item.ResponseReasoningItemParam).validate_python(one)
        elif "role" in one and isinstance(one["content"], str):
            adapt(message.EasyInputMessageParam).validate_python(one, strict=True)
    for one in body.get("tools", ()):
        if (
            one["type"] == "function"
        ):  # `strict` may be absent from the API, not from the SDK's type
            adapt(tool.FunctionToolParam).validate_python({"strict": None, **one}, strict=True)
    if isinstance(choice := body.get("tool_choice"), dict | str):
        adapt(params.ToolChoice).validate_python(choice)
    if "format" in body.get("text", {}):
        config = pytest.importorskip("openai.types.responses.response_format_text_config_param")
        adapt(config.ResponseFormatTextConfigParam).validate_python(body["text"]["format"])


# --- recordings -------------------------------------------------------------------------------------------


@pytest.fixture(params=sampled(recordings(FORMAT), 6))
def recording(request):
    return request.param.body, request.param.expect


def test_a_recording_gives_what_is_expected(recording):
    data, expect = recording
    events = decode(data)
    end = events[-1]
    assert (end.type is EventType.ERROR) == bool(expect["error"])
    if expect["error"]:
        assert expect["error"]["message"][:900] in end.error
        return
    message = end.message
    assert message.text == (expect["text"] or "")
    assert message.reasoning == (expect["reasoning"] or "")
    assert message.refusal == (expect.get("refusal") or "")
    assert end.raw_finish_reason == expect["finish_reason_raw"]
    assert [(call.id, call.name, call.input) for call in message.tool_calls] == [
        (call["id"], call["name"], call["arguments_json"]) for call in expect["tool_calls"]
    ]
    assert all(call.complete for call in message.tool_calls) == (
        end.finish_reason is not FinishReason.LENGTH
    )
    assert len(message.sources) == (expect.get("citations_count") or 0)
    # The expectations list `shell_call_output` among the calls; it is the result of one.
    ran = [part.name for part in message.parts if getattr(part, "executed_by", None) == "provider"]
    results = [
        part.name
        for part in message.parts
        if isinstance(part, ToolResult) and "item" not in part.provider_data
    ]
    for name in results:
        ran.remove(name)
    assert ran == (expect.get("server_tool_calls") or [])
    usage = expect["usage_raw"]
    assert (end.usage.input_tokens, end.usage.output_tokens) == (
        usage["input_tokens"],
        usage["output_tokens"],
    )
    assert end.usage.reasoning_tokens == usage.get("output_tokens_details", {}).get(
        "reasoning_tokens"
    )
    assert end.usage.cache_read_tokens == usage.get("input_tokens_details", {}).get("cached_tokens")


def goes_back(part):
    if isinstance(part, ReasoningPart):
        return part.signature is not None
    return not isinstance(part, Source | File)


def as_sent(part):
    """A call that was cut goes back with no arguments: hosts refuse what isn't an object."""
    if isinstance(part, ToolCall) and not part.complete:
        return replace(part, arguments="{}", input={}, complete=True)
    return part


def test_a_recordings_events_survive_the_round_trip(recording):
    events = unpriced(decode(recording[0]))
    assert decode(encode(events)) == events
    end = events[-1]
    if end.type is EventType.MESSAGE_COMPLETE:
        assert decode(ResponsesEncoder().feed(end))[-1] == end
        history = [Message("user", "x"), end.message]
        rendered = render_request(ChatRequest(history, "m"))
        sent = parse_request(rendered.body).messages[1:]
        back = [part for message in sent for part in message.parts]
        kept = [as_sent(part) for part in end.message.parts if goes_back(part)]
        while kept and isinstance(kept[-1], ReasoningPart):
            kept.pop()  # reasoning with nothing behind it is refused, so it stays away
        # Texts around a citation are one when they go back.
        assert list(filter(is_no_text, back)) == list(filter(is_no_text, kept))
        assert "".join(message.text for message in sent) == end.message.text
        cited = [note for part in back for note in annotations_of(part)]
        assert cited == [source.provider_data["annotation"] for source in end.message.sources]


def is_no_text(part):
    return not isinstance(part, TextPart | File)


def annotations_of(part):
    data = part.provider_data if isinstance(part, TextPart) else None
    return own_members(data, FORMAT).get("annotations", [])


def test_a_recording_in_any_pieces(recording):
    data = recording[0]
    whole, rng = decode(data), random.Random(1)
    for size in (1, 7, 4096) if len(data) < 100_000 else (7, 4096):
        assert decode(*(data[i : i + size] for i in range(0, len(data), size))) == whole
    cuts = sorted(rng.randrange(len(data)) for _ in range(50))
    assert (
        decode(*(data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True))) == whole
    )


@each_count
def test_a_recordings_prefixes_are_truncated(recording, count):
    data, expect = recording
    if not expect["error"] and b"[DONE]" not in data:
        assert_prefixes(data, count)
