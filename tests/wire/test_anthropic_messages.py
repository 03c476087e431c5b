"""Anthropic Messages, decoded, encoded, rendered and parsed."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmstream.errors import ErrorInfo
from llmstream.events.types import (
    EventType,
    Start,
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
from llmstream.wire.anthropic_messages.decode import MessagesDecoder
from llmstream.wire.anthropic_messages.encode import MessagesEncoder
from llmstream.wire.anthropic_messages.request import parse_request, render_request
from llmstream.wire.fitting.tools import names_of
from tests import strategies
from tests.example_counts import examples
from tests.grammar_check import check_calls, check_stream
from tests.recordings import (
    bytewise,
    decode,
    each_count,
    random_cuts,
    recordings,
    sizes,
    two_way,
)

FORMAT = "anthropic-messages"
START = {
    "type": "message_start",
    "message": {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-x",
        "content": [],
        "usage": {
            "input_tokens": 10,
            "cache_read_input_tokens": 5,
            "cache_creation_input_tokens": 2,
            "output_tokens": 1,
        },
    },
}
STOP = {"type": "message_stop"}


def begin(index, **block):
    return {"type": "content_block_start", "index": index, "content_block": block}


def delta(index, **fields):
    return {"type": "content_block_delta", "index": index, "delta": fields}


def end(index):
    return {"type": "content_block_stop", "index": index}


def ending(reason="end_turn", **usage):
    return {
        "type": "message_delta",
        "delta": {"stop_reason": reason, "stop_sequence": None},
        "usage": usage,
    }


def sse(*payloads):
    return b"".join(
        b"event: %s\ndata: %s\n\n" % (p["type"].encode(), json.dumps(p).encode()) for p in payloads
    )


def events_of(*payloads):
    return decode(MessagesDecoder, [sse(*payloads)])


def written(events):
    encoder = MessagesEncoder()
    return b"".join(encoder.feed(event) for event in events)


TEXT = (
    begin(0, type="text", text=""),
    delta(0, type="text_delta", text="Hel"),
    delta(0, type="text_delta", text="lo"),
)
CALL = (
    begin(1, type="tool_use", id="toolu_1", name="weather", input={}),
    delta(1, type="input_json_delta", partial_json=""),
    delta(1, type="input_json_delta", partial_json='{"city": '),
    delta(1, type="input_json_delta", partial_json='"Oslo"}'),
    end(1),
)
ANSWER = sse(
    START, *TEXT, end(0), {"type": "ping"}, *CALL, ending("tool_use", output_tokens=9), STOP
)


def test_text_a_call_and_the_usage_of_both_ends():
    events = decode(MessagesDecoder, [ANSWER])
    last = check_stream(events)
    check_calls(events)
    assert last.message.text == "Hello"
    assert [(c.id, c.name, c.input) for c in last.message.tool_calls] == [
        ("toolu_1", "weather", {"city": "Oslo"})
    ]
    assert (last.finish_reason, last.raw_finish_reason) == (FinishReason.TOOL_CALLS, "tool_use")
    assert last.usage == Usage(17, 9, cache_read_tokens=5, cache_write_tokens=2)
    prompt = Usage(17, cache_read_tokens=5, cache_write_tokens=2)
    assert last.start == Start("msg_1", "claude-x", usage=prompt)


def test_every_chunking_gives_the_same_events():
    whole = decode(MessagesDecoder, [ANSWER])
    assert decode(MessagesDecoder, bytewise(ANSWER)) == whole
    for pieces in two_way(ANSWER):
        assert decode(MessagesDecoder, pieces) == whole


def test_every_prefix_is_truncated_with_all_complete_text():
    texts = set()
    for size in range(len(ANSWER.rstrip(b"\n"))):
        last = check_stream(decode(MessagesDecoder, [ANSWER[:size]]))
        assert last.error_info.kind == "truncated"
        texts.add(last.error_info.partial.text if last.error_info.partial else "")
    assert texts == {"", "Hel", "Hello"}


def test_a_call_cut_by_the_network_is_only_in_the_partial():
    events = events_of(START, *CALL[:3])
    assert not any(event.tool_call for event in events)
    assert events[-1].error_info.partial.tool_calls == [
        ToolCall("toolu_1", "weather", '{"city": ', complete=False),
    ]


@pytest.mark.parametrize(
    ("arguments", "complete"), [('{"city": "O', False), ("", False), ('{"city": "Oslo"}', True)]
)
def test_a_call_at_the_token_limit_is_complete_only_with_whole_arguments(arguments, complete):
    block = begin(0, type="tool_use", id="t", name="f", input={})
    events = events_of(
        START,
        block,
        delta(0, type="input_json_delta", partial_json=arguments),
        end(0),
        ending("max_tokens"),
        STOP,
    )
    call = events[-1].message.parts[0]
    assert (call.complete, call.input is not None) == (complete, complete)
    assert events[-1].finish_reason is FinishReason.LENGTH


def test_a_call_without_arguments_has_empty_ones():
    block = begin(0, type="tool_use", id="t", name="now", input={})
    call = events_of(START, block, end(0), ending("tool_use"), STOP)[-1].message.tool_calls[0]
    assert (call.arguments, call.input, call.complete) == ("", {}, True)


def test_input_may_come_whole_in_the_blocks_start_or_in_the_messages():
    block = {
        "type": "tool_use",
        "id": "t",
        "name": "f",
        "input": {"a": 1},
        "caller": {"type": "direct"},
    }
    message = {**START["message"], "content": [block], "stop_reason": "tool_use"}
    for payloads in (
        (START, begin(0, **block), end(0), ending("tool_use"), STOP),
        ({"type": "message_start", "message": message}, STOP),
    ):
        last = check_stream(events_of(*payloads))
        call = last.message.tool_calls[0]
        assert (call.arguments, call.input) == ('{"a":1}', {"a": 1})
        assert call.provider_data == {
            "format": FORMAT,
            "type": "tool_use",
            "caller": {"type": "direct"},
        }
        assert last.raw_finish_reason == "tool_use"


def test_reasoning_is_signed_even_without_text():
    events = events_of(
        START,
        begin(0, type="thinking", thinking="", signature=""),
        delta(0, type="thinking_delta", thinking="Hm"),
        delta(0, type="signature_delta", signature="si"),
        delta(0, type="signature_delta", signature="g1"),
        end(0),
        begin(1, type="thinking", thinking="", signature=""),
        delta(1, type="signature_delta", signature="sig2"),
        end(1),
        begin(2, type="redacted_thinking", data="secret"),
        end(2),
        begin(3, type="text", text="Yes"),
        end(3),
        ending(),
        STOP,
    )
    assert check_stream(events).message.parts == [
        ReasoningPart("Hm", "sig1", format=FORMAT),
        ReasoningPart("", "sig2", format=FORMAT),
        ProviderPart(FORMAT, {"type": "redacted_thinking", "data": "secret"}),
        TextPart("Yes"),
    ]


def test_tools_that_the_provider_runs_are_marked_so_and_have_results():
    result = [
        {
            "type": "web_search_result",
            "url": "https://a.example",
            "title": "A",
            "encrypted_content": "x",
        }
    ]
    events = events_of(
        START,
        begin(0, type="server_tool_use", id="srv_1", name="web_search", input={}),
        delta(0, type="input_json_delta", partial_json='{"query": "a"}'),
        end(0),
        begin(1, type="web_search_tool_result", tool_use_id="srv_1", content=result),
        end(1),
        begin(2, type="mcp_tool_use", id="mcp_1", name="echo", server_name="s", input={}),
        end(2),
        begin(3, type="mcp_tool_result", tool_use_id="mcp_1", is_error=True, content=[]),
        end(3),
        ending(),
        STOP,
    )
    last = check_stream(events)
    search, found, echo, failed = last.message.parts
    assert (search.executed_by, search.input, search.complete) == ("provider", {"query": "a"}, True)
    assert (found.content, found.name, found.tool_call_id, found.executed_by) == (
        result,
        "web_search",
        "srv_1",
        "provider",
    )
    assert echo.provider_data["server_name"] == "s"
    assert failed.is_error
    assert last.message.tool_calls == []
    assert last.finish_reason is FinishReason.STOP
    assert not any(event.tool_call_delta for event in events)


def test_citations_become_sources():
    web = {
        "type": "web_search_result_location",
        "url": "https://a.example",
        "title": "A",
        "cited_text": "quote",
        "encrypted_index": "x",
    }
    page = {
        "type": "page_location",
        "document_title": "D",
        "start_page_number": 1,
        "end_page_number": 2,
    }
    cite = [delta(0, type="citations_delta", citation=citation) for citation in (web, page)]
    last = check_stream(events_of(START, *TEXT, *cite, end(0), ending(), STOP))
    assert last.message.sources == [
        Source(title="A", url="https://a.example", excerpt="quote"),
        Source(title="D", start=1, end=2),
    ]
    (said,) = render_request(request(USER, last.message)).body["messages"][1]["content"]
    assert said == {"type": "text", "text": "Hello", "citations": [web, page]}


def test_unknown_blocks_are_kept_to_be_sent_back():
    events = events_of(
        START,
        begin(0, type="compaction", content=None),
        delta(0, type="compaction_delta", content="Summary"),
        end(0),
        *[{**payload, "index": 1} for payload in TEXT],
        end(1),
        ending(),
        STOP,
    )
    assert check_stream(events).message.parts == [
        ProviderPart(FORMAT, {"type": "compaction", "content": "Summary"}),
        TextPart("Hello"),
    ]


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("refusal", "refusal"),
        ("pause_turn", "pause"),
        ("compaction", "pause"),
        ("something_new", "other"),
        (None, "unknown"),
    ],
)
def test_finish_reasons(word, reason):
    last = check_stream(events_of(START, *TEXT, end(0), ending(word), STOP))
    assert (last.finish_reason, last.raw_finish_reason) == (reason, word)


def test_a_gateways_done_marker_and_missing_beginnings_are_no_error():
    body = sse(*TEXT[1:], ending(output_tokens=2), STOP) + b"event: data\ndata: [DONE]\n\n"
    last = check_stream(decode(MessagesDecoder, [body]))
    assert last.message.text == "Hello"
    assert last.usage == Usage(None, 2)


def test_zeros_and_nulls_at_the_start_are_overlaid():
    start = {
        **START,
        "message": {**START["message"], "usage": {"input_tokens": 0, "output_tokens": None}},
    }
    last = events_of(start, *TEXT, end(0), ending(input_tokens=11, output_tokens=3), STOP)[-1]
    assert last.usage == Usage(11, 3)


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        ("overloaded", "overloaded_error"),
        ("rate_limit", "rate_limit_error"),
        ("server", "api_error"),
        ("invalid_request", "invalid_request_error"),
    ],
)
@pytest.mark.parametrize("before", [(), (START,), (START, *TEXT)])
def test_an_error_event_ends_the_stream(kind, word, before):
    payload = {"type": "error", "error": {"type": word, "message": "sorry"}}
    last = check_stream(events_of(*before, payload, *TEXT, STOP))
    assert (last.error_info.kind, last.error_info.message, last.error_info.status_code) == (
        kind,
        "sorry",
        None,
    )


def test_a_whole_message_is_an_answer():
    content = [
        {"type": "text", "text": "Hello"},
        {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}},
    ]
    document = {**START["message"], "content": content, "stop_reason": "tool_use"}
    last = check_stream(decode(MessagesDecoder, bytewise(json.dumps(document, indent=1).encode())))
    assert (last.message.text, last.message.tool_calls[0].input) == ("Hello", {"a": 1})


def test_a_frame_of_the_wrong_shape_is_a_protocol_error():
    for payload in (
        begin(0),
        begin(0, type="tool_use", id=[1], name="f"),
        {"type": "content_block_delta", "index": 0},
        delta(0, type="text_delta", text=7),
    ):
        last = check_stream(events_of(START, payload, STOP))
        assert last.error_info.kind == "protocol"


def test_blocks_without_a_stop_are_still_ended():
    last = check_stream(
        events_of(
            START,
            begin(0, type="thinking", thinking="Hm", signature=""),
            delta(0, type="signature_delta", signature="sig"),
            begin(1, type="redacted_thinking", data="x"),
            begin(2, type="text", text="Hi"),
            begin(3, type="compaction", content="s"),
            ending(),
            STOP,
        )
    )
    assert last.message.parts == [
        ReasoningPart("Hm", "sig", format=FORMAT),
        ProviderPart(FORMAT, {"type": "redacted_thinking", "data": "x"}),
        TextPart("Hi"),
        ProviderPart(FORMAT, {"type": "compaction", "content": "s"}),
    ]


def test_thinking_that_never_began_keeps_its_signature():
    pieces = (
        delta(0, type="thinking_delta", thinking="Hm"),
        delta(0, type="signature_delta", signature="sig"),
    )
    last = check_stream(events_of(START, *pieces, end(0), ending(), STOP))
    assert last.message.parts == [ReasoningPart("Hm", "sig", format=FORMAT)]


def test_arguments_of_a_call_that_never_began_are_no_answer():
    events = events_of(
        START, delta(0, type="input_json_delta", partial_json="{}"), ending("tool_use"), STOP
    )
    assert check_stream(events).error_info.kind == "invalid_output"


def test_a_second_message_start_changes_nothing():
    content = [{"type": "text", "text": "Hi"}]
    again = {**START, "message": {"content": content}}
    last = check_stream(
        events_of(
            {**START, "message": {**START["message"], "content": content}}, again, ending(), STOP
        )
    )
    assert (last.message.text, last.start.id, last.start.model) == ("Hi", "msg_1", "claude-x")


def test_a_prompt_of_no_tokens_at_the_end_overlays_nothing():
    last = events_of(START, *TEXT, end(0), ending(input_tokens=0, output_tokens=3), STOP)[-1]
    assert last.usage == Usage(17, 3, cache_read_tokens=5, cache_write_tokens=2)


SCALAR = st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=3)
JSON = st.recursive(
    SCALAR, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner)
)
TYPES = st.sampled_from(
    [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "ping",
        "error",
    ]
)
FIELDS = ["index", "delta", "content_block", "message", "usage", "error"]
INNER = st.dictionaries(
    st.sampled_from(["type", "text", "id", "input", "content", "signature", "citation"]), JSON
)


@given(
    st.lists(st.tuples(TYPES, st.dictionaries(st.sampled_from(FIELDS), JSON | INNER)), max_size=8)
)
def test_frames_of_any_content_never_raise(frames):
    check_stream(events_of(*({"type": kind, **fields} for kind, fields in frames)))


@given(
    st.binary(max_size=200)
    | st.lists(st.sampled_from(ANSWER.split(b",")), max_size=20).map(b",".join)
)
def test_any_bytes_never_raise(data):
    check_stream(decode(MessagesDecoder, [data]))


# --- the encoder ------------------------------------------------------------------------------------------

some = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
said = some.filter(str.strip)  # blank text is not sent
signatures = st.text("abcXYZ=", min_size=1, max_size=8)
counts = st.integers(0, 10**6)


@st.composite
def blocks(draw):
    """The events of one block."""
    kind = draw(st.sampled_from(["text", "thinking", "call", "server", "opaque"]))
    if kind == "text":
        return [text_delta(t) for t in draw(st.lists(some, min_size=1, max_size=3))]
    if kind == "thinking":
        thoughts = draw(st.lists(some, max_size=3))
        return [*map(reasoning_delta, thoughts), opaque(FORMAT, signature=draw(signatures))]
    if kind == "opaque":
        return [opaque(FORMAT, item={"type": "redacted_thinking", "data": draw(some)})]
    return [kind, draw(st.dictionaries(some, some, min_size=1, max_size=2))]


def numbered(drawn):
    """Calls get their index and id, in order."""
    events, calls = [], 0
    for block in drawn:
        if block[0] not in ("call", "server"):
            events += block
            continue
        arguments = json.dumps(block[1], ensure_ascii=False)
        call = ToolCall(f"t{len(events)}", "f", arguments, input=block[1])
        if block[0] == "server":
            call.executed_by = "provider"
            call.provider_data = {"format": FORMAT, "type": "server_tool_use"}
        else:
            half = len(arguments) // 2
            deltas = [
                ToolCallDelta(calls, call.id, "f"),
                *(ToolCallDelta(calls, arguments=a) for a in (arguments[:half], arguments[half:])),
            ]
            events += [StreamEvent(EventType.TOOL_CALL_DELTA, tool_call_delta=d) for d in deltas]
            calls += 1
        events.append(StreamEvent(EventType.TOOL_CALL, tool_call=call))
    return events


@st.composite
def answers(draw):
    """The events of an answer as the decoder gives them."""
    drawn = draw(st.lists(blocks(), max_size=5))
    pieces = numbered(drawn)
    start = Start(draw(st.none() | some), draw(st.none() | some))
    usage = draw(
        st.none()
        | st.builds(
            lambda fresh, read, wrote, out, thought: Usage(
                fresh + (read or 0) + (wrote or 0), out, read, wrote, thought
            ),
            counts,
            st.none() | counts,
            st.none() | counts,
            counts,
            st.none() | counts,
        )
    )
    called = any(e.tool_call and e.tool_call.executed_by == "caller" for e in pieces)
    reason = ("tool_use", FinishReason.TOOL_CALLS) if called else ("end_turn", FinishReason.STOP)
    decoder_like = [*pieces, (reason, usage)]
    return start, decoder_like


def as_stream(drawn):
    """With MESSAGE_START where the commit point is, and the end."""
    from llmstream.events.grammar import Guard

    start, (*pieces, (reason, usage)) = drawn
    guard = Guard()
    events = []
    given_events = [
        StreamEvent(EventType.MESSAGE_START, start=start),
        *pieces,
        StreamEvent(
            EventType.MESSAGE_COMPLETE,
            finish_reason=reason[1],
            raw_finish_reason=reason[0],
            usage=usage,
        ),
    ]
    for event in given_events:
        events += guard.feed(event)
    return events


@given(answers())
@examples(200)
def test_decoding_what_was_encoded_gives_the_same_events(drawn):
    events = as_stream(drawn)
    assert decode(MessagesDecoder, [written(events)]) == events


@given(answers())
def test_a_batch_event_comes_out_as_if_it_had_been_streamed(drawn):
    last = as_stream(drawn)[-1]
    again = check_stream(decode(MessagesDecoder, [written([last])]))
    assert again.message == last.message


@pytest.mark.parametrize(
    "kind",
    [
        "authentication",
        "permission",
        "not_found",
        "invalid_request",
        "quota",
        "rate_limit",
        "overloaded",
        "server",
    ],
)
def test_the_kind_of_an_error_survives(kind):
    last = decode(MessagesDecoder, [written([error(ErrorInfo(kind, "because"))])])[-1]
    assert (last.error_info.kind, last.error_info.message) == (kind, "because")


@pytest.mark.parametrize("kind", ["truncated", "connection"])
def test_a_cut_is_written_as_one(kind):
    events = [*decode(MessagesDecoder, [ANSWER])[:3], error(ErrorInfo(kind))]
    assert decode(MessagesDecoder, [written(events)])[-1].error_info.kind == "truncated"


def test_an_error_keeps_its_request_id():
    last = decode(
        MessagesDecoder, [written([error(ErrorInfo("overloaded", "busy", request_id="req_1"))])]
    )[-1]
    assert last.error_info.request_id == "req_1"


def test_usage_written_is_never_negative():
    last = StreamEvent(
        EventType.MESSAGE_COMPLETE, finish_reason=FinishReason.STOP, usage=Usage(5, 6, 100)
    )
    assert b'"input_tokens":0' in written([last])


async def test_the_vendors_sdk_reads_what_is_written():
    import anthropic

    from tests.loopback import Loopback

    async def handler(request, reply):
        await reply.head()
        await reply.send(written(decode(MessagesDecoder, [ANSWER])))
        await reply.end()

    question = [{"role": "user", "content": "hi"}]
    async with (
        Loopback(handler) as server,
        anthropic.AsyncAnthropic(api_key="k", base_url=server.url("anthropic")) as sdk,
        sdk.messages.stream(model="m", max_tokens=9, messages=question) as stream,
    ):
        message = await stream.get_final_message()
    assert [block.type for block in message.content] == ["text", "tool_use"]
    assert (message.content[0].text, message.content[1].input) == ("Hello", {"city": "Oslo"})
    assert (message.stop_reason, message.usage.output_tokens) == ("tool_use", 9)


# --- requests ---------------------------------------------------------------------------------------------


def compact(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


inputs = st.dictionaries(some, some | counts, max_size=2)
calls = st.builds(
    lambda call_id, name, given: ToolCall(
        call_id, name, compact(given) if given else "", input=given
    ),
    some,
    some,
    inputs,
)
user_parts = (
    said.map(TextPart)
    | st.builds(ImagePart, url=strategies.urls)
    | st.builds(ImagePart, data=strategies.pictures)
    | st.builds(File, id=some, name=st.none() | some)
    | st.builds(File, data=st.binary(min_size=1).map(b"%PDF-".__add__))
    | st.builds(File, data=some.map(str.encode), media_type=st.just("text/plain"))
)
assistant_parts = (
    said.map(TextPart)
    | calls
    | st.builds(ReasoningPart, some, signatures, format=st.just(FORMAT))
    | st.builds(
        lambda data: ProviderPart(FORMAT, {"type": "redacted_thinking", "data": data}), some
    )
)
users = st.lists(user_parts, min_size=1, max_size=3).map(lambda parts: [Message("user", parts)])


@st.composite
def turns(draw):
    """What a user says, and an assistant's turn with the answers to its calls."""
    parts = draw(st.lists(assistant_parts, max_size=3))
    answers = []
    for number, part in enumerate(parts):
        if isinstance(part, ToolCall):
            id = f"toolu_{draw(st.uuids())}"
            parts[number] = replace(part, id=id)
            answers.append(ToolResult(id, draw(strategies.text), is_error=draw(st.booleans())))
    turn = [*draw(users), Message("assistant", [*parts, TextPart(draw(said))])]
    return [*turn, Message("tool", answers)] if answers else turn


schemas = st.just({"type": "object", "properties": {"a": {"type": "string"}}})
tools = st.builds(Tool, some, schemas, st.none() | some, st.none() | st.booleans()) | st.just(
    HostedTool({"type": "web_search_20250305", "name": "web_search"})
)


def choices(offered):
    named = [ToolChoice("tool", name) for tool in offered for name in sorted(names_of(tool))]
    return st.sampled_from([ToolChoice("auto"), ToolChoice("required"), *named])


@st.composite
def chat_requests(draw):
    system = draw(st.lists(said, max_size=2))
    head = [Message("system", [TextPart(t) for t in system])] if system else []
    body = [message for turn in draw(st.lists(turns(), max_size=3)) for message in turn]
    last = draw(users)
    offered = draw(st.lists(tools, max_size=2))
    choice = draw(st.none() | choices(offered)) if offered else None
    model = draw(st.sampled_from(["claude-x", "claude-opus-4-6"]))
    effort = draw(st.sampled_from([None, "none", "low", "medium", "high", "max"]))
    sampled = model == "claude-opus-4-6" and effort in (None, "none")
    share = st.none() | st.floats(0, 1)
    pairs = st.tuples(share, st.none()) | st.tuples(st.none(), share)  # the two exclude each other
    temperature, top_p = draw(pairs) if sampled else (None, None)
    return ChatRequest(
        messages=[*head, *body, *last],
        model=model,
        tools=offered,
        tool_choice=choice,
        parallel_tool_calls=None if choice is None else draw(st.none() | st.booleans()),
        response_format=draw(st.none() | st.builds(ResponseFormat, schemas)),
        temperature=temperature,
        top_p=top_p,
        top_k=draw(st.none() | st.integers(1, 100)) if sampled else None,
        service_tier=draw(st.sampled_from([None, "auto", "default"])),
        max_tokens=draw(st.integers(1, 10**5)),
        stop=draw(st.lists(some, max_size=2)),
        reasoning_effort=effort,
        metadata=draw(st.just({}) | st.builds(lambda v: {"user_id": v}, some)),
        format_options=draw(
            st.just({}) | st.just({FORMAT: {"inference_geo": "us", "container": "c"}})
        ),
    )


@given(chat_requests())
@examples(200)
def test_parsing_what_was_rendered_gives_the_same_request(request):
    rendered = render_request(request)
    assert rendered.warnings == []
    assert parse_request(json.loads(json.dumps(rendered.body))) == request


@given(chat_requests())
@examples(40)
def test_the_vendors_types_accept_what_is_rendered(request):
    from anthropic.types import MessageCreateParams
    from pydantic import TypeAdapter

    body = render_request(request).body
    if any(
        isinstance(m["content"], list)
        and any(b.get("source", {}).get("type") == "file" for b in m["content"])
        for m in body["messages"]
    ):
        return  # files by id are of the beta API
    TypeAdapter(MessageCreateParams).validate_python(body)


def request(*messages, **options):
    return ChatRequest(list(messages), "claude-x", **options)


USER = Message("user", "hi")


def test_a_rendered_request():
    call = ToolCall("t", "f", '{"a": 1}', input={"a": 1})
    body = render_request(
        request(
            Message("system", "Be brief."),
            USER,
            Message("assistant", [TextPart("Let me see."), call]),
            Message("tool", [ToolResult("t", {"b": 2})]),
            Message("user", "And?"),
            tools=[Tool("f")],
            parallel_tool_calls=False,
            stop=["END"],
        )
    ).body
    assert body == {
        "model": "claude-x",
        "max_tokens": 16384,
        "stream": True,
        "system": "Be brief.",
        "stop_sequences": ["END"],
        "tools": [{"name": "f", "input_schema": {"type": "object", "properties": {}}}],
        "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
        "messages": [
            {"role": "user", "content": "hi"},
            {
                "role": "assistant",
                "content": [
                    {"type": "text", "text": "Let me see."},
                    {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "t", "content": '{"b":2}'},
                    {"type": "text", "text": "And?"},
                ],
            },
        ],
    }


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"seed": 1}, "seed"),
        ({"response_format": ResponseFormat()}, "response_format"),
        ({"response_format": ResponseFormat({"type": "object"}, strict=False)}, "response_format"),
        (
            {"response_format": ResponseFormat({"type": "object"}, description="d")},
            "response_format",
        ),
        ({"metadata": {"team": "blue"}}, "metadata"),
        ({"reasoning_effort": "minimal"}, "reasoning_effort"),
        ({"parallel_tool_calls": False}, "parallel_tool_calls"),
        (
            {"parallel_tool_calls": False, "tools": [Tool("f")], "tool_choice": ToolChoice("none")},
            "parallel_tool_calls",
        ),
    ],
)
def test_what_the_api_lacks_is_named(options, name):
    assert [w.partition(":")[0] for w in render_request(request(USER, **options)).warnings] == [
        name
    ]


def test_a_system_message_in_the_middle_is_moved_and_named():
    history = [USER, Message("developer", "Now rhyme."), Message("user", "Go")]
    rendered = render_request(ChatRequest(history, "claude-sonnet-4-5"))
    assert rendered.body["system"] == "Now rhyme."
    assert [m["role"] for m in rendered.body["messages"]] == ["user"]
    assert rendered.warnings[0].startswith("system:")


def test_older_models_get_a_budget_instead_of_an_effort():
    for model in (
        "claude-sonnet-4-5",
        "claude-opus-4-20250514",
        "claude-3-7-sonnet-latest",
        "claude-sonnet-4-5@20250929",
        "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    ):
        body = render_request(ChatRequest([USER], model, reasoning_effort="medium")).body
        assert body["thinking"] == {"type": "enabled", "budget_tokens": 4096}
    rendered = render_request(
        ChatRequest([USER], "claude-sonnet-4-5", reasoning_effort="low", max_tokens=100)
    )
    assert "thinking" not in rendered.body
    assert rendered.warnings[0].startswith("reasoning_effort:")


def test_a_tools_use_that_began_without_reasoning_goes_on_without():
    """The API refuses a budget then, and says so: "Expected `thinking` …, but found `tool_use`"."""
    call, result = ToolCall("t", "f", "{}", {}), Message("tool", [ToolResult("t", "5")])
    signed = ReasoningPart("because", "sig", format="anthropic-messages")
    foreign = ReasoningPart("because", "sig", format="openai-responses")

    def asked(*messages, model="claude-sonnet-4-5"):
        rendered = render_request(ChatRequest([USER, *messages], model, reasoning_effort="low"))
        told = [warning.partition(":")[0] for warning in rendered.warnings]
        return "thinking" in rendered.body, [name for name in told if name != "reasoning"]

    dropped = (False, ["reasoning_effort"])
    assert asked(Message("assistant", [call]), result) == dropped
    assert asked(Message("assistant", [foreign, call]), result) == dropped
    assert asked(Message("assistant", [TextPart("Let me look."), call]), result) == dropped
    assert (
        asked(Message("assistant", [call]), result, Message("assistant", [signed, call]), result)
        == dropped
    )
    assert asked(Message("assistant", [call]), result, model="claude-opus-4-6") == (True, [])
    whole = (True, [])
    assert asked() == whole
    assert asked(Message("assistant", [signed, call]), result) == whole
    assert (
        asked(Message("assistant", [signed, call]), result, Message("assistant", [call]), result)
        == whole
    )
    redacted = ProviderPart("anthropic-messages", {"type": "redacted_thinking", "data": "x"})
    assert asked(Message("assistant", [redacted, call]), result) == whole
    assert (
        asked(Message("assistant", [call]), result, Message("assistant", [TextPart("5")]), USER)
        == whole
    )
    assert asked(Message("assistant", "Hello"), USER) == whole


def test_only_what_this_format_made_goes_back():
    foreign = [
        ReasoningPart("because", "sig", format="openai-responses"),
        ReasoningPart("unsigned"),
        ProviderPart("openai-responses", {"type": "x"}),
        ToolCall(
            "c", "search", executed_by="provider", provider_data={"format": "openai-responses"}
        ),
        ToolResult("c", [], executed_by="provider", provider_data={"format": "openai-responses"}),
        TextPart(""),
        TextPart("Yes"),
    ]
    body = render_request(request(USER, Message("assistant", foreign), USER)).body
    assert body["messages"][1]["content"] == "Yes"


def content_of(*messages):
    return [turn["content"] for turn in render_request(request(*messages)).body["messages"]]


def test_a_call_that_has_only_its_text_keeps_its_arguments():
    message = Message("assistant", [ToolCall("t", "f", '{"a": 1}')])
    assert content_of(USER, message)[1][0]["input"] == {"a": 1}
    cut = render_request(
        request(USER, Message("assistant", [ToolCall("t", "f", '{"a": ', complete=False)]))
    )
    assert cut.body["messages"][1]["content"][0]["input"] == {}
    assert cut.warnings[0].startswith("tool call:")


def test_results_come_first_in_their_turn():
    call = Message("assistant", [ToolCall("t", "f"), ToolCall("u", "f")])
    results = [Message("tool", [ToolResult(name, name)]) for name in ("t", "u")]
    said = [results[0], Message("user", "Wait"), results[1], Message("user", "Go")]
    turn = content_of(USER, call, *said)[2]
    assert [block.get("tool_use_id") or block["text"] for block in turn] == ["t", "u", "Wait", "Go"]


def test_blank_text_is_left_out():
    call = ToolCall("t", "f")
    turns = content_of(
        Message("system", " "),
        USER,
        Message("assistant", [TextPart("\n\n"), call]),
        Message("user", " "),
    )
    assert [len(turn) for turn in turns[1:]] == [1]
    assert turns[1][0]["type"] == "tool_use"


def test_an_image_in_a_data_url_is_sent_as_data():
    (content,) = content_of(Message("user", [ImagePart("data:image/gif;base64,AA==")]))
    assert content[0]["source"] == {"type": "base64", "media_type": "image/gif", "data": "AA=="}


def test_files_of_other_types_are_named_and_left_out():
    rendered = render_request(
        request(Message("user", [File(data="AA==", media_type="application/zip")]))
    )
    assert rendered.warnings[0].startswith("file:")
    assert rendered.body["messages"] == []


def test_no_output_at_all_may_be_asked_for():
    assert render_request(request(USER, max_tokens=0)).body["max_tokens"] == 0


def test_joining_many_turns_is_linear():
    shared = [ImagePart("https://a.example")]
    messages = [Message("user", shared) for _ in range(20_000)]
    assert len(content_of(*messages)[0]) == 20_000
    assert len(shared) == 1


@pytest.mark.parametrize(
    "block",
    [
        {"type": "image", "source": {"type": "file", "file_id": "f"}},
        {
            "type": "document",
            "source": {"type": "content", "content": [{"type": "text", "text": "a"}]},
        },
        {"type": "search_result", "source": "s", "title": "t", "content": []},
    ],
)
def test_blocks_we_have_no_part_for_go_through(block):
    body = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": [block]}]}
    assert render_request(parse_request(body)).body["messages"] == body["messages"]


def test_a_system_turn_is_understood():
    body = {
        "model": "m",
        "messages": [{"role": "user", "content": "a"}, {"role": "system", "content": "b"}],
    }
    assert parse_request(body).messages == [Message("user", "a"), Message("system", "b")]


def test_a_tool_whose_type_is_null_is_an_ordinary_one():
    tool = {"name": "f", "type": None, "input_schema": {"type": "object"}}
    body = {"model": "m", "messages": [{"role": "user", "content": "a"}], "tools": [tool]}
    assert parse_request(body).tools == [Tool("f", {"type": "object"})]


def test_an_answers_message_can_be_sent_back():
    message = decode(MessagesDecoder, [ANSWER])[-1].message
    turn = render_request(request(USER, message)).body["messages"][1]
    assert [block["type"] for block in turn["content"]] == ["text", "tool_use"]


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({}, "model"),
        ({"model": "m", "messages": []}, "messages"),
        ({"model": "m", "messages": [{"role": "tool", "content": "x"}]}, r"messages\[0\]\.role"),
        (
            {"model": "m", "messages": [{"role": "user", "content": "\ud800"}]},
            r"messages\[0\]\.content",
        ),
        ({"model": "m", "messages": [{"role": "user", "content": 7}]}, r"messages\[0\]\.content"),
        (
            {"model": "m", "messages": [{"role": "user", "content": [{}]}]},
            r"messages\[0\]\.content\[0\]\.type",
        ),
        (
            {
                "model": "m",
                "messages": [{"role": "user", "content": "x"}],
                "tools": [{"name": "f"}],
            },
            r"tools\[0\]",
        ),
    ],
)
def test_bad_requests_name_the_place(body, place):
    with pytest.raises((TypeError, ValueError), match=place):
        parse_request(body)


@pytest.mark.parametrize(
    "name",
    [
        "model",
        "messages",
        "system",
        "tools",
        "tool_choice",
        "metadata",
        "output_config",
        "thinking",
        "stop_sequences",
        "temperature",
        "top_p",
        "max_tokens",
    ],
)
@given(
    value=JSON
    | st.dictionaries(st.sampled_from(["type", "format", "name", "user_id", "budget_tokens"]), JSON)
)
@examples(50)
def test_a_field_of_any_content_is_taken_or_refused(name, value):
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}], name: value}
    try:
        parse_request(body)
    except (TypeError, ValueError) as error:
        assert name.partition(".")[0] in str(error) or "format" in str(error)  # noqa: PT017


KINDS = [
    "text",
    "image",
    "document",
    "tool_use",
    "tool_result",
    "thinking",
    "server_tool_use",
    "x_tool_result",
    "redacted_thinking",
]
FILLED = st.fixed_dictionaries(
    {"type": st.sampled_from(KINDS)},
    optional={
        name: JSON | st.dictionaries(st.sampled_from(["type", "url", "data", "text"]), JSON)
        for name in (
            "text",
            "source",
            "content",
            "id",
            "name",
            "input",
            "tool_use_id",
            "thinking",
            "title",
        )
    },
)


@given(st.lists(FILLED | JSON, max_size=3), st.sampled_from(["user", "assistant"]))
def test_blocks_of_any_content_are_taken_or_refused(content, role):
    with contextlib.suppress(TypeError, ValueError):
        parse_request({"model": "m", "messages": [{"role": role, "content": content}]})


# --- recordings -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("recording", recordings(FORMAT))
def test_a_recording_gives_what_is_expected(recording):
    expect = recording.expect
    events = decode(MessagesDecoder, [recording.body])
    last = check_stream(events)
    check_calls(events)
    assert last.type is EventType.MESSAGE_COMPLETE
    message = last.message
    assert message.text == expect["text"]
    assert message.reasoning == (expect["reasoning"] or "")
    assert [(c.id, c.name) for c in message.tool_calls] == [
        (c["id"], c["name"]) for c in expect["tool_calls"]
    ]
    for call, wanted in zip(message.tool_calls, expect["tool_calls"], strict=True):
        assert call.input == (wanted["arguments_json"] or {})
    assert len(message.sources) == expect["citations_count"]
    assert last.raw_finish_reason == expect["finish_reason_raw"]
    usage = expect["usage_raw"]
    cached = (usage.get("cache_creation_input_tokens") or 0) + (
        usage.get("cache_read_input_tokens") or 0
    )
    assert last.usage.input_tokens == usage["input_tokens"] + cached
    assert last.usage.output_tokens == usage["output_tokens"]
    signed = [p for p in message.parts if isinstance(p, ReasoningPart) and p.signature]
    assert len(signed) == expect.get("signatures_count", len(signed))
    ran = [p.name for p in message.parts if isinstance(p, ToolCall) and p.executed_by == "provider"]
    assert ran == expect.get("server_tool_calls", [])


@pytest.mark.parametrize("recording", recordings(FORMAT))
def test_a_recordings_events_survive_chunking_and_the_round_trip(recording):
    events = decode(MessagesDecoder, [recording.body])
    for seed in range(3):
        assert decode(MessagesDecoder, random_cuts(recording.body, seed)) == events
    if len(recording.body) < 60_000:
        assert decode(MessagesDecoder, bytewise(recording.body)) == events
    assert decode(MessagesDecoder, [written(events)]) == events


@each_count
@pytest.mark.parametrize("recording", recordings(FORMAT))
def test_a_recordings_prefixes_are_truncated(recording, count):
    body = recording.body.rstrip(b"\r\n ")
    own_end = body.rindex(b'"message_stop"')
    text = recording.expect["text"]
    for size in sizes(own_end, count):
        last = check_stream(decode(MessagesDecoder, [body[:size]]))
        assert last.error_info.kind == "truncated"
        if last.error_info.partial is not None:
            assert text.startswith(last.error_info.partial.text)
