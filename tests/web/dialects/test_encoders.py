"""Whatever a legal stream holds, each dialect's bytes are what its official types and clients accept."""

from __future__ import annotations

import asyncio
import json
import math
from dataclasses import replace
from typing import Any

import pytest
from ag_ui.core import Event
from anthropic.types import Message as AnthropicAnswer
from anthropic.types import RawMessageStreamEvent
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import TypeAdapter

from llmstream.errors import ErrorInfo
from llmstream.events.builder import MessageBuilder
from llmstream.events.types import (
    EventType,
    Start,
    StreamEvent,
    ToolCallDelta,
    error,
    reasoning_delta,
    text_delta,
)
from llmstream.events.unfold import unfold_stream
from llmstream.messages import (
    File,
    FinishReason,
    Message,
    Part,
    ProviderPart,
    ReasoningPart,
    RefusalPart,
    Source,
    TextPart,
    ToolCall,
    ToolResult,
)
from llmstream.web.dialects import (
    AgUi,
    AiSdk,
    AnthropicMessages,
    Ask,
    Dialect,
    GeminiGenerate,
    GeminiStream,
    OllamaChat,
    OllamaGenerate,
    OpenAIChat,
    OpenAIResponses,
    SharedChat,
    all_dialects,
)
from llmstream.wire import decoder
from llmstream.wire.error_body import parse_error
from tests import strategies as s
from tests.example_counts import examples
from tests.web.dialects.legal import Legal, legal_streams
from tests.web.dialects.node import check_streams

RAW = TypeAdapter(RawMessageStreamEvent)
AGUI = TypeAdapter(Event)
HI = [{"role": "user", "content": "hi"}]
BODIES: dict[type, Any] = {
    OpenAIChat: {
        "model": "m",
        "messages": HI,
        "stream": True,
        "stream_options": {"include_usage": True},
    },
    OpenAIResponses: {"model": "m", "input": "hi", "stream": True},
    AnthropicMessages: {"model": "m", "messages": HI, "stream": True},
    GeminiGenerate: {"model": "m", "contents": "hi"},
    GeminiStream: {"model": "m", "contents": "hi", "alt": "sse"},
    OllamaChat: {"model": "m", "messages": HI},
    OllamaGenerate: {"model": "m", "prompt": "hi"},
    AiSdk: {
        "model": "m",
        "messages": [{"role": "user", "parts": [{"type": "text", "text": "hi"}]}],
    },
    AgUi: {"threadId": "t", "runId": "r", "messages": [{"id": "1", **HI[0]}]},
}


BODIES[SharedChat] = BODIES[AiSdk]
TWINS = (GeminiGenerate, OllamaGenerate, SharedChat)
"""Dialects whose encoders are those of another one."""
dialects = pytest.mark.parametrize(
    "dialect",
    [
        pytest.param(each, marks=[pytest.mark.slow] if type(each) in TWINS else [])
        for each in all_dialects()
    ],
    ids=lambda dialect: type(dialect).__name__,
)


def encode(dialect: Dialect, events: list[StreamEvent], **body: Any) -> tuple[Ask, bytes]:
    ask = dialect.parse({**BODIES[type(dialect)], **body})
    encoder = dialect.encoder(ask)
    return ask, b"".join(encoder.feed(event) for event in events)


def payloads(data: bytes, **options: Any) -> list[Any]:
    """The JSON of every frame; [DONE] as None."""
    if not data.startswith((b"data: ", b"event: ")):
        return [json.loads(line, **options) for line in data.splitlines()]
    frames = [frame.split(b"data: ", 1)[1] for frame in data.split(b"\n\n") if frame]
    return [None if frame == b"[DONE]" else json.loads(frame, **options) for frame in frames]


def broke_off(legal: Legal, *, takes_back: bool = False) -> bool:
    last = legal.events[-1].type is EventType.ERROR
    return last or legal.torn or (legal.lost and not takes_back)


@given(legal_streams())
def test_chat_chunks_are_the_official_ones(legal: Legal) -> None:
    _, data = encode(OpenAIChat(), legal.events)
    *chunks, end = payloads(data)
    for chunk in chunks:
        if "error" not in chunk:
            ChatCompletionChunk.model_validate(chunk, strict=True)
    reader = decoder("openai-chat")
    read = [*reader.feed(data), *reader.finish()]
    if broke_off(legal):
        assert end is not None
        assert end["error"]["message"] is not None
        assert read[-1].type is EventType.ERROR
        assert all(
            choice["finish_reason"] is None for chunk in chunks for choice in chunk["choices"]
        )
    else:
        assert end is None
        assert read[-1].message is not None
        assert read[-1].message.text + read[-1].message.refusal == _rearranged(
            legal, read[-1].message
        )
        assert (
            sum(bool(choice["finish_reason"]) for chunk in chunks for choice in chunk["choices"])
            == 1
        )


def _rearranged(legal: Legal, message: Message) -> str:
    """The text and the refusal come apart in a message; both must add up to what was said."""
    assert sorted(message.text + message.refusal) == sorted(legal.text)
    return message.text + message.refusal


@given(legal_streams())
def test_messages_frames_are_the_official_ones(legal: Legal) -> None:
    _, data = encode(AnthropicMessages(), legal.events)
    frames = payloads(data)
    for frame in frames:
        if frame["type"] != "error" and "server_tool_use" not in json.dumps(frame):
            RAW.validate_python(frame)  # (the SDK lists the names of Anthropic's own server tools)
    kinds = [frame["type"] for frame in frames]
    assert kinds.count("message_start") <= 1
    reader = decoder("anthropic-messages")
    read = [*reader.feed(data), *reader.finish()]
    if broke_off(legal):
        assert kinds[-1] == "error"
        assert "message_stop" not in kinds
        assert read[-1].type is EventType.ERROR
    else:
        assert kinds[-2:] == ["message_delta", "message_stop"]
        assert kinds.count("content_block_start") == kinds.count("content_block_stop")
        assert read[-1].message is not None
        assert read[-1].message.text == legal.text


@given(legal_streams(), st.booleans())
def test_ui_parts_add_up_to_the_text_and_end_once(legal: Legal, resets: bool) -> None:  # noqa: FBT001
    _, data = encode(AiSdk(), legal.events, resetStep=resets)
    *parts, end = payloads(data)
    kinds = [part["type"] for part in parts]
    assert end is None
    assert kinds[0] == "start"
    assert (kinds[-1], "finish" in kinds) == (
        ("error", False) if broke_off(legal, takes_back=resets) else ("finish", True)
    )
    if kinds[-1] == "finish":
        assert _shown(parts) == legal.text


def _shown(parts: list[dict[str, Any]]) -> str:
    shown = here = ""
    for part in parts:
        if part["type"] == "text-delta":
            here += part["delta"]
        elif part["type"] == "reset-step":
            here = ""
        elif part["type"] in ("finish-step", "start-step"):
            shown, here = shown + here, ""
    return shown + here


@given(legal_streams())
def test_ag_ui_events_are_the_official_ones(legal: Legal) -> None:
    _, data = encode(AgUi(), legal.events)
    events = payloads(data)
    for event in events:
        AGUI.validate_python(event)
    kinds = [event["type"] for event in events]
    assert kinds[0] == "RUN_STARTED"
    assert kinds[-1] == ("RUN_ERROR" if broke_off(legal) else "RUN_FINISHED")
    assert kinds.count("RUN_FINISHED") + kinds.count("RUN_ERROR") == 1
    if not broke_off(legal):
        assert (
            "".join(e["delta"] for e in events if e["type"] == "TEXT_MESSAGE_CONTENT") == legal.text
        )


@pytest.mark.sdk
def test_the_npm_clients_accept_every_legal_stream() -> None:
    """The clients check order as well as shape, so 200 streams go through each of them."""
    streams: list[dict[str, str]] = []

    @examples(200)
    @given(legal_streams())
    def gather(legal: Legal) -> None:
        streams.append(
            {
                "ai-v6": encode(AiSdk(), legal.events, resetStep=False)[1].decode(),
                "ai-v7": encode(AiSdk(), legal.events)[1].decode(),
                "ag-ui": encode(AgUi(), legal.events)[1].decode(),
            }
        )

    gather()
    verdicts = asyncio.run(check_streams(streams))
    assert len(verdicts) == len(streams)
    for stream, verdict in zip(streams, verdicts, strict=True):
        for client, problem in verdict.items():
            assert problem is None, (client, problem, stream[client])


@pytest.mark.sdk
def test_the_npm_clients_object_to_what_is_wrong() -> None:
    reset = 'data: {"type":"start-step"}\n\ndata: {"type":"reset-step"}\n\n'
    late = 'data: {"type":"text-end","id":"1"}\n\n'
    unopened = 'data: {"type":"TEXT_MESSAGE_END","messageId":"1"}\n\n'
    wrong = [{"ai-v6": reset, "ai-v7": reset}, {"ai-v6": late, "ai-v7": late, "ag-ui": unopened}]
    first, second = asyncio.run(check_streams(wrong))
    assert first["ai-v6"] is not None
    assert first["ai-v7"] is None
    assert None not in second.values()


@given(s.messages, st.sampled_from(list(s.FinishReason)), s.or_none(s.usages))
def test_documents_are_the_official_ones(message: Message, reason: Any, usage: Any) -> None:
    message.parts = [part for part in message.parts if part.type not in ("provider", "tool_result")]
    for part in message.parts:
        if part.type == "tool_call":  # (the SDK lists the names of Anthropic's own server tools)
            part.executed_by = "caller"
        if part.type == "reasoning":
            part.format = None
    event = StreamEvent(
        EventType.MESSAGE_COMPLETE, message=message, finish_reason=reason, usage=usage
    )
    chat, messages = OpenAIChat(), AnthropicMessages()
    answer = ChatCompletion.model_validate(chat.document(chat.parse(BODIES[OpenAIChat]), event))
    assert (answer.choices[0].message.content or "") == message.text
    assert (answer.choices[0].message.refusal or "") == message.refusal
    wanted = {call.id for call in message.tool_calls}
    assert {call.id for call in answer.choices[0].message.tool_calls or ()} == wanted
    document = messages.document(messages.parse(BODIES[AnthropicMessages]), event)
    said = AnthropicAnswer.model_validate(document)
    spoken = "".join(part.text for part in message.parts if part.type in ("text", "refusal"))
    assert "".join(block.text for block in said.content if block.type == "text") == spoken


def test_a_client_that_keeps_no_message_still_answers() -> None:
    event = StreamEvent(EventType.MESSAGE_COMPLETE, text_delta=text_delta("hi").text_delta)
    chat, messages = OpenAIChat(), AnthropicMessages()
    document = chat.document(chat.parse(BODIES[OpenAIChat]), event)
    assert document["choices"][0]["message"]["content"] == "hi"
    assert messages.document(messages.parse(BODIES[AnthropicMessages]), event)["content"] == [
        {"citations": None, "type": "text", "text": "hi"}
    ]


@given(s.errors)
def test_an_error_keeps_its_kind_in_openais_and_anthropics_words(info: ErrorInfo) -> None:
    shown = ErrorInfo(info.kind, "It did not work.", code=None)
    chat = OpenAIChat().error(shown, "req-1")
    assert {"message", "type", "param", "code", "request_id"} == chat["error"].keys()
    for body, unsaid in (
        (chat, ()),
        (AnthropicMessages().error(shown, "req-1"), ("content_filter",)),
    ):
        read = parse_error(body).kind
        if shown.kind in (
            "invalid_output",
            "redirect",
            "wrong_body",
            "frame_too_large",
            "internal",
            *unsaid,
        ):
            assert read in ("server", "invalid_request")
        elif read != shown.kind:  # words of the transport, which no API has
            assert (shown.kind, read) in {
                (kind, "server") for kind in ("timeout", "protocol", *_CUTS, "tool_use_failed")
            }


_CUTS = ("truncated", "connection")


@dialects
def test_nothing_follows_the_end(dialect: Dialect) -> None:
    ask = dialect.parse(BODIES[type(dialect)])
    for last in (
        error(ErrorInfo("overloaded", "Overloaded.")),
        StreamEvent(EventType.MESSAGE_COMPLETE),
    ):
        encoder = dialect.encoder(ask)
        assert not encoder.ended
        assert encoder.feed(last)
        assert encoder.ended
        assert encoder.feed(text_delta("more")) == b""
        assert encoder.feed(last) == b""


@pytest.mark.parametrize(
    ("dialect", "place"),
    [
        (OpenAIChat(), ("error", "request_id")),
        (OpenAIResponses(), ("error", "request_id")),
        (AnthropicMessages(), ("request_id",)),
        (AiSdk(), ("messageMetadata", "requestId")),
        (AgUi(), ("metadata", "requestId")),
    ],
)
def test_a_failure_says_by_what_id_the_servers_log_can_be_searched(
    dialect: Dialect, place: tuple[str, ...]
) -> None:
    start = StreamEvent(EventType.MESSAGE_START, start=Start("i", "m"))
    failure = error(ErrorInfo("overloaded", "Busy.", request_id="req-7"))
    found = payloads(encode(dialect, [start, text_delta("Half"), failure])[1])
    for name in place:
        found = [value[name] for value in found if isinstance(value, dict) and name in value]
    assert found == ["req-7"]


@dialects
@given(legal=legal_streams())
def test_a_run_of_text_is_written_as_its_pieces_are(dialect: Dialect, legal: Legal) -> None:
    """The short way for the second and later texts of a run gives the same bytes as the long way."""
    ask = dialect.parse(BODIES[type(dialect)])
    short, long = dialect.encoder(ask), dialect.encoder(ask)._answer
    for event in legal.events:
        for each in [event] * 3 if event.type is EventType.TEXT_DELTA else [event]:
            assert short.feed(each) == long.feed(each)


@dialects
def test_a_whole_answer_may_be_streamed(dialect: Dialect) -> None:
    """A batch's only event, to a client that asked for a stream."""
    message = Message("assistant", [TextPart("all of it")])
    data = encode(dialect, [StreamEvent(EventType.MESSAGE_COMPLETE, message=message)])[1]
    assert b"all of it" in data


@dialects
def test_what_is_no_json_and_no_utf8_breaks_nothing(dialect: Dialect) -> None:
    half = "half a character: \ud83d"
    status = s.Status("progress", half, {"at": object(), "loss": math.nan})
    call = ToolCall("c", "t", "{}", {})
    events = [
        StreamEvent(EventType.STATUS, status=status),
        StreamEvent(EventType.MESSAGE_START, start=Start("i", "m")),
        reasoning_delta(half),
        text_delta(half),
        text_delta(half),
        StreamEvent(EventType.TOOL_CALL, tool_call=call),
        StreamEvent(
            EventType.TOOL_RESULT, tool_result=ToolResult("c", {"far": math.inf, "near": half})
        ),
        StreamEvent(EventType.MESSAGE_COMPLETE),
    ]
    data = encode(dialect, events)[1].decode()
    read = [each for each in payloads(data.encode(), parse_constant=_refuse) if each is not None]
    assert len(read) > 4
    assert data.count("half a character: \\ud83d") >= 3


@dialects
def test_no_text_cuts_a_line_in_two(dialect: Dialect) -> None:
    """For readers that cut lines as Python's str.splitlines does, oftener than JSON or SSE would have it."""
    odd = "a\u2028b\u2029c\x85d\x0be\x0cf\x1cg\x1dh\x1ei\r\nj"
    start = StreamEvent(EventType.MESSAGE_START, start=Start("i", "m"))
    call = StreamEvent(
        EventType.TOOL_CALL, tool_call=ToolCall("c", "t", json.dumps({"q": odd}), {"q": odd})
    )
    end = StreamEvent(EventType.MESSAGE_COMPLETE)
    data = encode(dialect, [start, reasoning_delta(odd), *[text_delta(odd)] * 3, call, end])[
        1
    ].decode()
    said = [
        line.removeprefix("data: ")
        for line in data.splitlines()
        if line and not line.startswith("event: ")
    ]
    read = [json.loads(line) for line in said if line != "[DONE]"]
    assert json.dumps(read).count(json.dumps(odd)) >= 3
    assert read == [payload for payload in payloads(data.encode()) if payload is not None]


def _refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


def test_calls_are_numbered_as_they_leave() -> None:
    """One that waits, because its tool was not offered, leaves whole, and no gap in the clients' list of calls."""
    tool = {"type": "function", "function": {"name": "offered", "parameters": {}}}
    events = [StreamEvent(EventType.MESSAGE_START, start=Start("i", "m"))]
    for index, name in enumerate(("made_up", "offered")):
        deltas = ToolCallDelta(index, f"c{index}", name), ToolCallDelta(index, arguments="{}")
        events += [
            StreamEvent(EventType.TOOL_CALL_DELTA, tool_call_delta=delta) for delta in deltas
        ]
        events.append(
            StreamEvent(EventType.TOOL_CALL, tool_call=ToolCall(f"c{index}", name, "{}", {}))
        )
    events.append(StreamEvent(EventType.MESSAGE_COMPLETE, finish_reason=FinishReason.TOOL_CALLS))
    chunks = payloads(encode(OpenAIChat(), events, tools=[tool])[1])[:-1]
    calls = [
        call
        for chunk in chunks
        for choice in chunk["choices"]
        for call in choice["delta"].get("tool_calls", ())
    ]
    assert [(call["index"], call.get("id")) for call in calls] == [
        (0, "c1"),
        (0, None),
        (1, "c0"),  # whole
    ]


@pytest.mark.parametrize(
    ("dialect", "format"),
    [(OpenAIChat(), "openai-chat"), (AnthropicMessages(), "anthropic-messages")],
)
def test_a_call_that_the_provider_runs_is_not_the_clients_though_it_was_seen_coming(
    dialect, format
) -> None:
    events = [StreamEvent(EventType.MESSAGE_START, start=Start("i", "m"))]
    for index, (id, by) in enumerate(
        (("c0", "caller"), ("c1", "provider"))
    ):  # both under names that nobody offered
        deltas = ToolCallDelta(index, id, f"{by}s"), ToolCallDelta(index, arguments="{}")
        events += [
            StreamEvent(EventType.TOOL_CALL_DELTA, tool_call_delta=delta) for delta in deltas
        ]
        events.append(
            StreamEvent(
                EventType.TOOL_CALL, tool_call=ToolCall(id, f"{by}s", "{}", {}, executed_by=by)
            )
        )
    events.append(StreamEvent(EventType.MESSAGE_COMPLETE))
    reader = decoder(format)
    read = [*reader.feed(encode(dialect, events)[1]), *reader.finish()]
    assert [(call.id, call.name) for call in read[-1].message.tool_calls] == [("c0", "callers")]


def test_a_call_of_a_hosted_tool_that_the_client_runs_does_not_wait() -> None:
    tools = [{"type": "bash_20250124", "name": "bash"}]
    ask = AnthropicMessages().parse({**BODIES[AnthropicMessages], "tools": tools})
    encoder = AnthropicMessages().encoder(ask)
    encoder.feed(StreamEvent(EventType.MESSAGE_START, start=Start("i", "m")))
    delta = StreamEvent(EventType.TOOL_CALL_DELTA, tool_call_delta=ToolCallDelta(0, "c", "bash"))
    assert b'"name":"bash"' in encoder.feed(delta)


def test_a_whole_answer_is_shown_as_its_stream_would_be() -> None:
    parts: list[Part] = [
        ReasoningPart("Hm", "s", format="anthropic-messages"),
        ProviderPart("openai-responses", {"type": "reasoning", "id": "i"}),
        TextPart("Paris"),
        Source(url="https://example.org/a"),
        File(url="https://example.org/b.png", media_type="image/png"),
        ToolCall("c", "t", "{}", {}, executed_by="provider"),
        ToolResult("c", "done", executed_by="provider"),
        RefusalPart("No."),
    ]
    whole = StreamEvent(
        EventType.MESSAGE_COMPLETE, start=Start("i", "m"), message=Message("assistant", parts)
    )
    pieces = [*unfold_stream(whole), replace(whole, message=None)]
    builder = MessageBuilder()
    for piece in pieces:
        builder.add(piece)
    assert builder.message().parts == parts
    for dialect in (AiSdk(), AgUi()):
        assert encode(dialect, [whole])[1] == encode(dialect, pieces)[1]
