"""What every format's decoder has in common: it never raises, knows its end, and takes what gateways send."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from llmstream import wire
from llmstream.errors import ConfigurationError, ErrorInfo
from llmstream.events.types import EventType
from llmstream.messages import FinishReason
from llmstream.wire.framing.event_stream import EventStream
from tests import strategies
from tests.grammar_check import check_calls, check_stream
from tests.recordings import bytewise, decode, random_cuts, two_way

FORMATS = sorted(wire.FORMATS)
each_format = pytest.mark.parametrize("format", FORMATS)
over_sse = pytest.mark.parametrize(
    "format", [name for name in FORMATS if isinstance(wire.FORMATS[name].framing, wire.SSE)]
)
"""What only server-sent events have: names of events, other fields, `[DONE]`."""


def frame(payload, event=None):
    head = f"event: {event}\n" if event else ""
    return f"{head}data: {json.dumps(payload, ensure_ascii=False)}\n\n".encode()


def chat(text="hi"):
    return frame({"id": "c1", "model": "m", "choices": [{"index": 0, "delta": {"content": text}}]})


def responses(text="hi"):
    item = {"type": "message", "id": "i1", "role": "assistant", "content": []}
    return b"".join(
        [
            frame(
                {
                    "type": "response.created",
                    "response": {"id": "c1", "model": "m", "status": "in_progress"},
                }
            ),
            frame({"type": "response.output_item.added", "output_index": 0, "item": item}),
            frame(
                {
                    "type": "response.output_text.delta",
                    "output_index": 0,
                    "content_index": 0,
                    "delta": text,
                }
            ),
        ]
    )


def messages(text="hi"):
    start = {
        "id": "c1",
        "model": "m",
        "role": "assistant",
        "content": [],
        "usage": {"input_tokens": 1},
    }
    return b"".join(
        [
            frame({"type": "message_start", "message": start}),
            frame(
                {
                    "type": "content_block_start",
                    "index": 0,
                    "content_block": {"type": "text", "text": ""},
                }
            ),
            frame(
                {
                    "type": "content_block_delta",
                    "index": 0,
                    "delta": {"type": "text_delta", "text": text},
                }
            ),
        ]
    )


def converse(text="hi"):
    delta = {"contentBlockIndex": 0, "delta": {"text": text}}
    return b"".join(
        [
            EventStream().frame(b'{"role": "assistant"}', "messageStart"),
            EventStream().frame(json.dumps(delta).encode(), "contentBlockDelta"),
        ]
    )


def gemini(text="hi"):
    content = {"parts": [{"text": text}], "role": "model"}
    chunk = {"candidates": [{"content": content, "index": 0}]}
    return frame({**chunk, "modelVersion": "m", "responseId": "c1"})


def ollama(text="hi", **more):
    payload = {"id": "c1", "model": "m", "message": {"role": "assistant", "content": text}}
    return json.dumps({**payload, "done": False, **more}, ensure_ascii=False).encode() + b"\n"


def cohere(text="hi"):
    def said(kind, content, **more):
        return frame({**more, "type": kind, "delta": {"message": {"content": content}}})

    return (
        said("message-start", [], id="c1", model="m")
        + said("content-start", {"type": "text", "text": ""}, index=0)
        + said("content-delta", {"text": text}, index=0)
    )


def interaction(kind, **said):
    return frame({"event_type": f"interaction.{kind}", "interaction": {"id": "c1", **said}})


def step(kind, **said):
    return frame({"event_type": f"step.{kind}", "index": 0, **said})


def interactions(text="hi"):
    return (
        interaction("created", model="m", status="in_progress")
        + step("start", step={"type": "model_output"})
        + step("delta", delta={"type": "text", "text": text})
    )


def framed(format, data):
    """A frame with these bytes."""
    return wire.FORMATS[format].framing.frame(data)


OPENINGS = {
    "openai-chat": chat,
    "openai-responses": responses,
    "anthropic-messages": messages,
    "bedrock-converse": converse,
    "gemini-generate": gemini,
    "gemini-interactions": interactions,
    "ollama-native": ollama,
    "cohere-v2": cohere,
}
ENDS = {
    "bedrock-converse": EventStream().frame(b'{"stopReason": "end_turn"}', "messageStop"),
    "openai-chat": b"data: [DONE]\n\n",
    "openai-responses": frame(
        {"type": "response.completed", "response": {"id": "c1", "status": "completed"}}
    ),
    "anthropic-messages": frame({"type": "message_delta", "delta": {"stop_reason": "end_turn"}})
    + frame({"type": "message_stop"}),
    "gemini-generate": frame({"candidates": [{"finishReason": "STOP", "index": 0}]}),
    "gemini-interactions": interaction("completed", status="completed"),
    "ollama-native": ollama("", done=True, done_reason="stop"),
    "cohere-v2": frame({"type": "message-end", "delta": {"finish_reason": "COMPLETE"}}),
}
NAMELESS = ("bedrock-converse",)
"""Formats whose answers have no id, and don't name their model."""
BODY_ENDS = ("bedrock-converse",)
"""Formats whose own end is that of the body, after the finish reason."""
DOCUMENTS = {
    "bedrock-converse": {
        "output": {"message": {"role": "assistant", "content": [{"text": "hi"}]}},
        "stopReason": "end_turn",
        "usage": {"inputTokens": 3, "outputTokens": 1},
    },
    "openai-chat": {
        "id": "c1",
        "model": "m",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}
        ],
        "usage": {"prompt_tokens": 3, "completion_tokens": 1},
    },
    "openai-responses": {
        "id": "c1",
        "object": "response",
        "model": "m",
        "status": "completed",
        "output": [
            {
                "type": "message",
                "id": "i1",
                "role": "assistant",
                "content": [{"type": "output_text", "text": "hi"}],
            }
        ],
        "usage": {"input_tokens": 3, "output_tokens": 1},
    },
    "anthropic-messages": {
        "id": "c1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [{"type": "text", "text": "hi"}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 3, "output_tokens": 1},
    },
    "gemini-generate": {
        "candidates": [
            {"content": {"parts": [{"text": "hi"}], "role": "model"}, "finishReason": "STOP"}
        ],
        "modelVersion": "m",
        "responseId": "c1",
        "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 1},
    },
    "gemini-interactions": {
        "id": "c1",
        "object": "interaction",
        "model": "m",
        "status": "completed",
        "steps": [{"type": "model_output", "content": [{"type": "text", "text": "hi"}]}],
        "usage": {"total_input_tokens": 3, "total_output_tokens": 1},
    },
    "ollama-native": {
        "id": "c1",
        "model": "m",
        "message": {"role": "assistant", "content": "hi"},
        "done": True,
        "done_reason": "stop",
        "prompt_eval_count": 3,
        "eval_count": 1,
    },
    "cohere-v2": {
        "id": "c1",
        "model": "m",
        "finish_reason": "COMPLETE",
        "message": {"role": "assistant", "content": [{"type": "text", "text": "hi"}]},
        "usage": {"tokens": {"input_tokens": 3, "output_tokens": 1}},
    },
}


def run(format, data, **options):
    """The events of `data`, which must be the same whole and byte by byte, and legal."""
    whole = decode(lambda: wire.decoder(format, **options), [data])
    assert decode(lambda: wire.decoder(format, **options), bytewise(data)) == whole
    check_stream(whole, keep_message=options.get("keep_message", True))
    return whole


def failure(events):
    assert events[-1].type is EventType.ERROR
    return events[-1].error_info


@each_format
def test_an_answer_with_its_end_completes(format):
    """Text and the provider's own end make MESSAGE_START, the text, MESSAGE_COMPLETE."""
    start, *deltas, last = run(format, OPENINGS[format]() + ENDS[format])
    named = (None, None) if format in NAMELESS else ("c1", "m")
    assert (start.type, start.start.id, start.start.model) == (EventType.MESSAGE_START, *named)
    assert [event.text for event in deltas] == ["hi"]
    assert last.type is EventType.MESSAGE_COMPLETE
    assert last.message.text == "hi"


@each_format
def test_an_answer_without_its_end_is_truncated(format):
    """The same bytes without the end make ERROR(truncated), after the text."""
    events = run(format, OPENINGS[format]())
    assert [event.text for event in events if event.text] == ["hi"]
    assert failure(events).kind == "truncated"
    assert failure(events).partial.text == "hi"


@each_format
def test_an_empty_body_is_truncated(format):
    """No byte at all, or blank lines and comments, is no answer."""
    alive = wire.FORMATS[format].framing.keep_alive
    for data in (b"", b"\n\n\n", alive * 2, b"\xef\xbb\xbf"):
        assert failure(run(format, data)).kind == "truncated"


@each_format
def test_a_bare_json_error_is_that_error(format):
    """An error object in place of the stream, over several lines, alone or in a list, is read as what it is."""
    body = b'{\n "error": {\n  "code": 400,\n  "message": "API key not valid",\n  "status": "INVALID_ARGUMENT"\n }\n}\n'
    for data in (body, b"[" + body + b"]", body.replace(b"\n", b"\r\n")):
        info = failure(run(format, data))
        assert (info.kind, info.message, info.status_code) == (
            "authentication",
            "API key not valid",
            None,
        )


@each_format
def test_a_bare_json_error_after_events_is_that_error(format):
    """The same in the middle of an answer: the text stays, the error is the provider's."""
    error = {"error": {"message": "The operation was cancelled."}}
    indent = 1 if isinstance(wire.FORMATS[format].framing, wire.SSE) else None  # lines are frames
    events = run(format, OPENINGS[format]() + json.dumps(error, indent=indent).encode() + b"\n")
    assert [event.text for event in events if event.text] == ["hi"]
    assert failure(events).message == "The operation was cancelled."


@over_sse
def test_an_error_line_is_that_error(format):
    """A field named `error` with JSON or text (GPUStack) ends the answer at once."""
    for line in (
        b'error: {"error": {"message": "failed to decode"}}\n',
        b"error: failed to decode\n",
    ):
        decoder = wire.decoder(format)
        events = [*decoder.feed(OPENINGS[format]()), *decoder.feed(line)]
        assert decoder.ended
        assert failure(events).message == "failed to decode"


@over_sse
def test_an_error_event_is_an_error(format):
    """`event: error` is one, whatever its data."""
    for data in (b'{"error": {"message": "oops"}}', b'"oops"', b"oops"):
        assert (
            "oops"
            in failure(
                run(format, OPENINGS[format]() + b"event: error\ndata: " + data + b"\n\n")
            ).message
        )


@each_format
def test_a_page_is_a_wrong_body(format):
    """HTML, or any text that is no stream, says so with its own words."""
    info = failure(run(format, b"<html><body>502 Bad Gateway</body></html>"))
    assert info.kind == "wrong_body"
    assert "502 Bad Gateway" in info.message
    assert failure(run(format, b"upstream is asleep\n")).kind == "wrong_body"


@each_format
def test_other_json_is_a_wrong_body(format):
    """A JSON document that is no answer, and a list or a word of JSON, are no answers."""
    assert failure(run(format, b'{"status": "ok"}')).kind == "wrong_body"
    assert failure(run(format, b"[1, 2]")).kind == "wrong_body"


@each_format
def test_cut_json_is_truncated(format):
    """A JSON document that ends too soon was cut."""
    data = json.dumps(DOCUMENTS[format], indent=1).encode()
    for size in range(1, len(data)):
        assert failure(decode(lambda: wire.decoder(format), [data[:size]])).kind == "truncated"


@each_format
def test_a_whole_document_is_an_answer(format):
    """A gateway that ignores `stream` is understood: one delta with everything, then the end."""
    for indent in (None, 2):
        *_, piece, last = run(format, json.dumps(DOCUMENTS[format], indent=indent).encode())
        assert piece.text == "hi"
        assert last.finish_reason is FinishReason.STOP
        assert (last.usage.input_tokens, last.usage.output_tokens) == (3, 1)
        named = (None, None) if format in NAMELESS else ("c1", "m")
        assert (last.start.id, last.start.model) == named


@over_sse
def test_done_is_never_taken_for_json(format):
    """`[DONE]` with or without a space or a name is no broken frame in any format."""
    for done in (
        b"data: [DONE]\n\n",
        b"data:[DONE]\n\n",
        b"event: data\ndata: [DONE]\n\n",
        b"data: [DONE] \n\n",
    ):
        last = run(format, OPENINGS[format]() + done)[-1]
        assert (
            last.type is EventType.MESSAGE_COMPLETE
            if format == "openai-chat"
            else last.error_info.kind == "truncated"
        )


@pytest.mark.parametrize("format", sorted(set(FORMATS) - set(BODY_ENDS)))
def test_nothing_follows_the_end(format):
    """Bytes after the end, in the same piece or later, change nothing; nor does finishing or aborting."""
    data = OPENINGS[format]() + ENDS[format]
    if format == "gemini-generate":
        data += b"data: [DONE]\n\n"  # else its answers go on up to the end of the body
    expected = run(format, data)
    assert run(format, data + OPENINGS[format]() + ENDS[format] + b"junk") == expected
    decoder = wire.decoder(format)
    decoder.feed(data)
    assert decoder.ended
    assert (
        decoder.feed(OPENINGS[format]())
        == decoder.finish()
        == decoder.abort(ErrorInfo("timeout"))
        == []
    )


@each_format
def test_an_oversized_frame_is_an_error(format):
    """A frame over the limit, or a body without any frame, ends the answer as `frame_too_large`, with what came."""
    junks = [b"data: " + b"x" * 5000, b"x" * 5000]
    if isinstance(wire.FORMATS[format].framing, wire.SSE):
        junks.append(b"xxxxxxx\n" * 700)  # lines that are no fields
    for junk in junks:
        decoder = wire.decoder(format, max_frame=4000)
        events = decoder.feed(OPENINGS[format]())
        events += [event for piece in bytewise(junk) for event in decoder.feed(piece)]
        check_stream(events)
        assert failure(events).kind == "frame_too_large"
        assert failure(events).partial.text == "hi"
        assert not failure(events).retryable


@each_format
def test_a_frame_that_cant_be_read_is_a_protocol_error(format):
    """Broken JSON, JSON that is no object, and fields of the wrong type are named, never skipped or raised."""
    for data in (b"{oops", b"5", b"nonsense"):
        assert failure(run(format, OPENINGS[format]() + framed(format, data))).kind == "protocol"


@each_format
def test_a_last_frame_that_was_cut_is_truncation(format):
    """The unterminated last frame: half of it is truncation, not a protocol error."""
    data = OPENINGS[format]() + ENDS[format].rstrip(b"\n")
    for size in range(len(OPENINGS[format]()), len(data)):
        events = decode(lambda: wire.decoder(format), [data[:size]])
        assert events[-1].type is EventType.MESSAGE_COMPLETE or failure(events).kind == "truncated"
    assert run(format, data)[-1].type is EventType.MESSAGE_COMPLETE


@each_format
def test_without_keep_message_nothing_is_kept(format):
    """`keep_message=False` leaves `message` and `partial` to somebody else."""
    assert run(format, OPENINGS[format]() + ENDS[format], keep_message=False)[-1].message is None
    assert failure(run(format, OPENINGS[format](), keep_message=False)).partial is None
    assert wire.decoder(format, keep_message=False).partial is None


@each_format
def test_raw_frames_come_on_request(format):
    """With `include_raw` the parsed frame is on the first event that it caused; otherwise on none."""
    data = OPENINGS[format]() + ENDS[format]
    with_raw = run(format, data, include_raw=True)
    assert with_raw == run(format, data)
    assert all(
        isinstance(event.raw, dict) for event in with_raw if event.type is EventType.MESSAGE_START
    )
    assert all(event.raw is None for event in run(format, data))


@each_format
def test_abort_names_our_own_reason(format):
    """A clock of ours that runs out ends the answer as that error, with what had come."""
    decoder = wire.decoder(format)
    decoder.feed(OPENINGS[format]())
    (last,) = decoder.abort(ErrorInfo("timeout", "no end", code="idle"))
    assert (last.error_info.kind, last.error_info.code) == ("timeout", "idle")
    assert last.error_info.partial.text == "hi"


@each_format
def test_partial_is_what_has_come(format):
    """`partial` can be asked for at any time."""
    decoder = wire.decoder(format)
    assert decoder.partial.parts == []
    decoder.feed(OPENINGS[format]())
    assert decoder.partial.text == "hi"


@each_format
def test_a_multibyte_character_may_be_cut_anywhere(format):
    """Text outside ASCII arrives whole, at every two-way cut of the body."""
    data = OPENINGS[format]("é€😀\u2028\u0085") + ENDS[format]
    expected = run(format, data)
    assert expected[-1].message.text == "é€😀\u2028\u0085"
    assert all(decode(lambda: wire.decoder(format), pieces) == expected for pieces in two_way(data))


def test_an_unknown_format_names_those_there_are():
    """A format that is not built is a ConfigurationError."""
    with pytest.raises(ConfigurationError, match="openai-chat"):
        wire.decoder("smoke-signals")
    with pytest.raises(ConfigurationError, match="openai-chat"):
        wire.encoder("smoke-signals")


# --- whatever comes ------------------------------------------------------------------------------------------


def never_raises(format, pieces, **options):
    decoder = wire.decoder(format, **options)
    events = [event for piece in pieces for event in decoder.feed(piece)]
    events += decoder.finish()
    assert decoder.ended
    assert decoder.feed(b"data: [DONE]\n\n") == decoder.finish() == []
    check_stream(events)
    check_calls(events)
    return events


grains = st.sampled_from(
    [
        b"data: ",
        b"event: error\n",
        b"error: ",
        b"\n\n",
        b"\r\n",
        b"{",
        b"}",
        b'{"error":',
        b"[DONE]",
        b"<p>",
        b"\xff",
        b'{"choices":[{"delta":{"content":"x"}}]}',
        b'{"type":"message_stop"}',
        b'{"type":"response.completed"}',
        b'{"message":{"content":"x"},"done":true}',
        b"null",
    ]
)


@each_format
@given(pieces=st.lists(grains | st.binary(max_size=5), max_size=12))
def test_any_bytes_give_a_legal_stream(format, pieces):
    """Whatever the bytes: no exception, a legal stream, nothing after its end, and the same in other pieces."""
    events = never_raises(format, pieces)
    data = b"".join(pieces)
    assert decode(lambda: wire.decoder(format), [data]) == events
    assert decode(lambda: wire.decoder(format), bytewise(data)) == events


odd = strategies.json_values
call = st.fixed_dictionaries(
    {},
    optional={
        "id": odd | st.sampled_from(["a", "b"]),
        "index": odd | st.integers(0, 2),
        "function": odd
        | st.fixed_dictionaries(
            {}, optional={"name": odd | st.just("f"), "arguments": odd | st.just('{"x":1}')}
        ),
    },
)
delta = st.fixed_dictionaries(
    {},
    optional={
        "content": odd
        | st.lists(st.fixed_dictionaries({}, optional={"type": odd, "text": odd, "thinking": odd})),
        "reasoning_content": odd,
        "reasoning_details": odd
        | st.lists(st.fixed_dictionaries({}, optional={"text": odd, "signature": odd})),
        "refusal": odd,
        "tool_calls": odd | st.lists(call, max_size=3),
        "annotations": odd,
    },
)
choice = st.fixed_dictionaries(
    {},
    optional={
        "delta": odd | delta,
        "message": odd | delta,
        "finish_reason": odd | st.just("stop"),
        "usage": odd,
    },
)
chat_chunks = st.fixed_dictionaries(
    {},
    optional={
        "id": odd,
        "model": odd,
        "choices": odd | st.lists(choice, min_size=1, max_size=2),
        "usage": odd
        | st.fixed_dictionaries({}, optional={"prompt_tokens": odd, "prompt_tokens_details": odd}),
        "x_groq": odd,
        "citations": odd,
        "error": odd,
    },
)
items = st.fixed_dictionaries(
    {"type": st.sampled_from(["message", "function_call", "reasoning", "web_search_call", "odd"])},
    optional={
        "id": odd,
        "call_id": odd,
        "name": odd,
        "arguments": odd,
        "content": odd,
        "summary": odd,
        "status": odd,
    },
)
RESPONSES = [
    "response.created",
    "response.output_item.added",
    "response.output_text.delta",
    "response.refusal.delta",
    "response.function_call_arguments.delta",
    "response.function_call_arguments.done",
    "response.output_item.done",
    "response.reasoning_summary_text.delta",
    "response.completed",
    "response.incomplete",
    "response.failed",
    "error",
]
response_events = st.fixed_dictionaries(
    {"type": st.sampled_from(RESPONSES)},
    optional={
        "output_index": odd | st.integers(0, 1),
        "item": odd | items,
        "item_id": odd,
        "delta": odd,
        "arguments": odd,
        "response": odd
        | st.fixed_dictionaries(
            {}, optional={"id": odd, "output": odd | st.lists(items), "usage": odd}
        ),
        "error": odd,
    },
)
blocks = st.fixed_dictionaries(
    {
        "type": st.sampled_from(
            ["text", "thinking", "tool_use", "server_tool_use", "redacted_thinking", "odd"]
        )
    },
    optional={
        "id": odd,
        "name": odd,
        "text": odd,
        "input": odd,
        "data": odd,
        "thinking": odd,
        "citations": odd,
    },
)
MESSAGES = "message_start content_block_start content_block_delta content_block_stop message_delta message_stop error"
message_events = st.fixed_dictionaries(
    {"type": st.sampled_from(MESSAGES.split())},
    optional={
        "index": odd | st.integers(0, 1),
        "message": odd
        | st.fixed_dictionaries(
            {}, optional={"id": odd, "content": odd | st.lists(blocks), "usage": odd}
        ),
        "content_block": odd | blocks,
        "delta": odd
        | st.fixed_dictionaries(
            {
                "type": st.sampled_from(
                    ["text_delta", "input_json_delta", "thinking_delta", "signature_delta", "odd"]
                )
            },
            optional={
                "text": odd,
                "partial_json": odd,
                "thinking": odd,
                "signature": odd,
                "stop_reason": odd,
            },
        ),
        "usage": odd,
        "error": odd,
    },
)
bedrock_events = st.fixed_dictionaries(
    {},
    optional={
        "role": odd,
        "contentBlockIndex": odd | st.integers(0, 1),
        "start": odd
        | st.fixed_dictionaries(
            {},
            optional={
                "toolUse": odd
                | st.fixed_dictionaries({}, optional={"toolUseId": odd, "name": odd, "type": odd}),
                "toolResult": odd | st.fixed_dictionaries({}, optional={"type": odd}),
                "image": odd | st.fixed_dictionaries({}, optional={"format": odd}),
            },
        ),
        "delta": odd
        | st.fixed_dictionaries(
            {},
            optional={
                "text": odd,
                "toolUse": odd | st.fixed_dictionaries({}, optional={"input": odd}),
                "toolResult": odd | st.lists(odd, max_size=2),
                "reasoningContent": odd
                | st.fixed_dictionaries(
                    {}, optional={"text": odd, "signature": odd, "redactedContent": odd}
                ),
                "citation": odd
                | st.fixed_dictionaries({}, optional={"location": odd, "sourceContent": odd}),
                "image": odd | st.fixed_dictionaries({}, optional={"source": odd, "error": odd}),
            },
        ),
        "stopReason": odd | st.just("end_turn"),
        "usage": odd | st.fixed_dictionaries({}, optional={"inputTokens": odd}),
        "trace": odd | st.fixed_dictionaries({}, optional={"promptRouter": odd}),
        "error": odd,
    },
)
generate_parts = st.fixed_dictionaries(
    {},
    optional={
        "text": odd,
        "thought": odd,
        "thoughtSignature": odd,
        "functionCall": odd
        | st.fixed_dictionaries(
            {}, optional={"id": odd, "name": odd, "args": odd, "willContinue": odd}
        ),
        "executableCode": odd,
        "codeExecutionResult": odd,
        "inlineData": odd,
    },
)
generate_candidates = st.fixed_dictionaries(
    {},
    optional={
        "content": odd | st.builds(lambda parts: {"parts": parts}, st.lists(generate_parts)),
        "finishReason": odd,
        "index": odd,
        "groundingMetadata": odd,
    },
)
generate_chunks = st.fixed_dictionaries(
    {},
    optional={
        "candidates": odd | st.lists(generate_candidates),
        "usageMetadata": odd,
        "promptFeedback": odd,
        "responseId": odd,
        "error": odd,
    },
)
ollama_lines = st.fixed_dictionaries(
    {},
    optional={
        "model": odd,
        "created_at": odd,
        "message": odd
        | st.fixed_dictionaries(
            {},
            optional={
                "content": odd,
                "thinking": odd,
                "images": odd,
                "tool_calls": odd | st.lists(call, max_size=3),
            },
        ),
        "response": odd,
        "done": odd,
        "done_reason": odd | st.just("stop"),
        "eval_count": odd,
        "total": odd,
        "image": odd,
        "error": odd,
    },
)
cohere_events = st.fixed_dictionaries(
    {
        "type": st.sampled_from(
            [
                "message-start",
                "content-start",
                "content-delta",
                "tool-plan-delta",
                "tool-call-start",
                "tool-call-delta",
                "tool-call-end",
                "citation-start",
                "message-end",
                "odd",
            ]
        )
    },
    optional={
        "index": odd | st.integers(0, 1),
        "delta": odd
        | st.fixed_dictionaries(
            {},
            optional={
                "message": odd
                | st.fixed_dictionaries(
                    {},
                    optional={
                        "content": odd
                        | st.fixed_dictionaries({}, optional={"text": odd, "thinking": odd}),
                        "tool_plan": odd,
                        "tool_calls": odd | call | st.lists(call, max_size=2),
                        "citations": odd
                        | st.fixed_dictionaries(
                            {}, optional={"start": odd, "sources": odd, "content_index": odd}
                        ),
                    },
                ),
                "finish_reason": odd | st.just("COMPLETE"),
                "usage": odd,
                "error": odd,
            },
        ),
    },
)
interaction_contents = odd | st.fixed_dictionaries(
    {},
    optional={
        "type": odd | st.sampled_from(["text", "image", "audio"]),
        "text": odd,
        "annotations": odd | st.lists(odd | st.fixed_dictionaries({"end_index": odd}), max_size=2),
        "data": odd,
        "uri": odd,
    },
)
interaction_steps = st.fixed_dictionaries(
    {
        "type": odd
        | st.sampled_from(
            [
                *("model_output", "thought", "function_call", "function_result", "user_input"),
                *("google_search_call", "google_search_result", "odd"),
            ]
        )
    },
    optional={
        "content": odd | interaction_contents | st.lists(interaction_contents, max_size=2),
        "summary": odd | st.lists(interaction_contents, max_size=2),
        "signature": odd,
        "id": odd,
        "name": odd,
        "arguments": odd,
        "result": odd,
        "call_id": odd,
        "error": odd,
    },
)
interaction_deltas = st.fixed_dictionaries(
    {},
    optional={
        "type": odd
        | st.sampled_from(
            [
                *("text", "text_annotation_delta", "arguments_delta", "function_call", "image"),
                *("audio", "thought_summary", "thought_signature", "google_search_call", "odd"),
            ]
        ),
        "text": odd,
        "arguments": odd,
        "annotations": odd | st.lists(odd, max_size=2),
        "content": odd | interaction_contents,
        "signature": odd,
        "data": odd,
    },
)
interaction_events = st.fixed_dictionaries(
    {
        "event_type": odd
        | st.sampled_from(
            [
                *("interaction.created", "interaction.status_update", "interaction.completed"),
                *("step.start", "step.delta", "step.stop", "error", "odd"),
            ]
        )
    },
    optional={
        "index": odd | st.integers(0, 1),
        "step": odd | interaction_steps,
        "delta": odd | interaction_deltas,
        "status": odd | st.sampled_from(["completed", "failed", "requires_action"]),
        "usage": odd,
        "metadata": odd,
        "event_id": odd,
        "interaction": odd
        | st.fixed_dictionaries(
            {},
            optional={
                "id": odd,
                "model": odd,
                "status": odd | st.sampled_from(["completed", "failed", "in_progress"]),
                "steps": odd | st.lists(interaction_steps, max_size=2),
                "errors": odd,
                "usage": odd,
                "output_text": odd,
            },
        ),
    },
)
PAYLOADS = {
    "bedrock-converse": st.lists(bedrock_events, max_size=5),
    "openai-chat": st.lists(chat_chunks, max_size=4),
    "openai-responses": st.lists(response_events, max_size=5),
    "anthropic-messages": st.lists(message_events, max_size=5),
    "gemini-generate": st.lists(generate_chunks, max_size=4),
    "gemini-interactions": st.lists(interaction_events, max_size=5),
    "ollama-native": st.lists(ollama_lines, max_size=5),
    "cohere-v2": st.lists(cohere_events, max_size=5),
}


@each_format
@given(data=st.data())
def test_any_fields_give_a_legal_stream(format, data):
    """Frames of the right shape with fields of any type: no exception, a legal stream with text that is text."""
    payloads = data.draw(PAYLOADS[format])
    head = data.draw(st.sampled_from([b"", OPENINGS[format]()]))
    tail = data.draw(st.sampled_from([b"", ENDS[format], framed(format, b"[DONE]")]))
    bodies = [
        framed(format, json.dumps(payload, ensure_ascii=False).encode()) for payload in payloads
    ]
    never_raises(format, [head, *bodies, tail])


@each_format
@given(document=strategies.json_values)
def test_any_document_gives_a_legal_stream(format, document):
    """A whole JSON document with fields of any type: no exception, and no answer made up from it."""
    never_raises(format, [json.dumps(document).encode()])


@each_format
@given(
    field=st.sampled_from(
        ["choices", "output", "content", "candidates", "usage", "usageMetadata", "status", "id"]
    ),
    value=strategies.json_values,
)
@example(field="content", value=[{"type": "text", "text": 5}])
@example(field="error", value={"details": 5})
def test_a_document_with_one_odd_field_gives_a_legal_stream(format, field, value):
    """One field of a whole answer replaced by any JSON: no exception, a legal stream."""
    data = json.dumps({**DOCUMENTS[format], field: value}).encode()
    assert never_raises(format, [data]) == never_raises(format, random_cuts(data, 1))
