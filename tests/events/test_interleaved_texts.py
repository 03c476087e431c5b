"""Texts that come in turns: each delta names its part, and each text stays whole, in every format that can do so."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmstream import EventType, StreamEvent
from llmstream.events.builder import MessageBuilder
from llmstream.events.types import part_of, text_delta
from llmstream.messages import Source, TextPart
from llmstream.streams import coalesce
from llmstream.web.dialects.ag_ui import AgUi
from llmstream.web.dialects.ai_sdk import AiSdk
from llmstream.web.native_encoders import NdjsonEncoder, SseEncoder
from llmstream.wire import decoder
from llmstream.wire.formats import find_format
from llmstream.wire.framing.event_stream import StreamMessage, encode_message

TURNS = ((0, "Hel"), (1, "Bon"), (0, "lo"), (1, "jour"))


def sse(*payloads: dict[str, Any]) -> bytes:
    return b"".join(
        f"event: {payload.get('type', '')}\ndata: {json.dumps(payload)}\n\n".encode()
        for payload in payloads
    )


def responses() -> bytes:
    def item(index: int, **more: Any) -> dict[str, Any]:
        return {"type": "message", "id": f"msg_{index}", "role": "assistant", "content": [], **more}

    begun = [
        {"type": "response.output_item.added", "output_index": index, "item": item(index)}
        for index in (0, 1)
    ]
    deltas = [
        {
            "type": "response.output_text.delta",
            "item_id": f"msg_{index}",
            "output_index": index,
            "content_index": 0,
            "delta": text,
        }
        for index, text in TURNS
    ]
    ended = [
        {
            "type": "response.output_item.done",
            "output_index": index,
            "item": item(index, content=[{"type": "output_text", "text": text}]),
        }
        for index, text in ((0, "Hello"), (1, "Bonjour"))
    ]
    end = {"type": "response.completed", "response": {"id": "r", "status": "completed"}}
    return sse(*begun, *deltas, *ended, end)


def messages() -> bytes:
    begun = [
        {
            "type": "content_block_start",
            "index": index,
            "content_block": {"type": "text", "text": ""},
        }
        for index in (0, 1)
    ]
    deltas = [
        {
            "type": "content_block_delta",
            "index": index,
            "delta": {"type": "text_delta", "text": text},
        }
        for index, text in TURNS
    ]
    ended = [{"type": "content_block_stop", "index": index} for index in (0, 1)]
    start = {"type": "message_start", "message": {"id": "m", "role": "assistant", "content": []}}
    stop = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}
    return sse(start, *begun, *deltas, *ended, stop, {"type": "message_stop"})


def interactions() -> bytes:
    begun = [
        {"event_type": "step.start", "index": index, "step": {"type": "model_output"}}
        for index in (0, 1)
    ]
    deltas = [
        {
            "event_type": "step.delta",
            "index": index,
            "delta": {"type": "text", "text": text},
        }
        for index, text in TURNS
    ]
    ended = [{"event_type": "step.stop", "index": index} for index in (0, 1)]
    end = {"event_type": "interaction.completed", "interaction": {"id": "i", "status": "completed"}}
    return sse(*begun, *deltas, *ended, end)


def cohere() -> bytes:
    def said(kind: str, index: int, text: str) -> dict[str, Any]:
        content = {"type": "text", "text": text}
        return {"type": kind, "index": index, "delta": {"message": {"content": content}}}

    begun = [said("content-start", index, "") for index in (0, 1)]
    deltas = [said("content-delta", index, text) for index, text in TURNS]
    ended = [{"type": "content-end", "index": index} for index in (0, 1)]
    end = {"type": "message-end", "delta": {"finish_reason": "COMPLETE"}}
    return sse({"type": "message-start", "id": "m"}, *begun, *deltas, *ended, end)


def converse() -> bytes:
    def frame(kind: str, payload: dict[str, Any]) -> bytes:
        headers = {":event-type": kind, ":message-type": "event"}
        return encode_message(StreamMessage(headers, json.dumps(payload).encode()))

    deltas = [
        frame("contentBlockDelta", {"contentBlockIndex": index, "delta": {"text": text}})
        for index, text in TURNS
    ]
    ended = [frame("contentBlockStop", {"contentBlockIndex": index}) for index in (0, 1)]
    return b"".join(
        [
            frame("messageStart", {"role": "assistant"}),
            *deltas,
            *ended,
            frame("messageStop", {"stopReason": "end_turn"}),
        ]
    )


ANSWERS = {
    "openai-responses": responses,
    "anthropic-messages": messages,
    "gemini-interactions": interactions,
    "cohere-v2": cohere,
    "bedrock-converse": converse,
}


def decoded(format: str) -> list[StreamEvent]:
    made = decoder(format)
    return [*made.feed(ANSWERS[format]()), *made.finish()]


@pytest.mark.parametrize("format", ANSWERS)
def test_texts_that_come_in_turns_stay_two(format: str) -> None:
    events = decoded(format)
    deltas = [event for event in events if event.type is EventType.TEXT_DELTA]
    assert [(part_of(event), event.text) for event in deltas] == [*TURNS]
    message = events[-1].message
    assert message is not None
    texts = [part.text for part in message.parts if isinstance(part, TextPart)]
    assert texts == ["Hello", "Bonjour"]
    kept = [StreamEvent.from_dict(json.loads(json.dumps(event.to_dict()))) for event in deltas]
    assert kept == deltas


def test_a_part_of_0_is_not_written() -> None:
    assert text_delta("a").to_dict()["text_delta"] == {"content": "a"}
    assert text_delta("a", 1).to_dict()["text_delta"] == {"content": "a", "part": 1}


@given(st.lists(st.tuples(st.integers(0, 3), st.text("ab ", min_size=1, max_size=4)), max_size=20))
def test_each_part_of_a_message_is_the_sum_of_its_deltas(turns: list[tuple[int, str]]) -> None:
    """Whatever the turns: the texts stand in the order in which they begin."""
    builder = MessageBuilder()
    expected: dict[int, str] = {}
    for part, text in turns:
        builder.add(text_delta(text, part))
        expected[part] = expected.get(part, "") + text
    assert [part.text for part in builder.message().parts] == [*expected.values()]  # type: ignore[union-attr]


@given(
    st.lists(st.tuples(st.integers(0, 2), st.text("abc", min_size=1, max_size=3)), min_size=1),
    st.data(),
)
def test_a_citation_counts_the_message_s_characters(turns: Any, data: st.DataObject) -> None:
    """Its characters say in the message what they said as they came."""
    builder = MessageBuilder()
    for part, text in turns:
        builder.add(text_delta(text, part))
    came = "".join(text for _, text in turns)
    at = data.draw(st.integers(0, len(came) - 1))
    cited = Source(start=at, end=at + 1)
    builder.add(StreamEvent(EventType.SOURCE, source=cited))
    message = builder.message()
    (found,) = message.sources
    assert found.start is not None
    assert found.end is not None
    assert message.text[found.start : found.end] == came[at]


async def test_coalesce_keeps_them_apart() -> None:
    async def source():
        for part, text in TURNS:
            yield text_delta(text, part)

    merged = [event async for event in coalesce(source(), chars=100)]
    assert [(part_of(event), event.text) for event in merged] == [*TURNS]


@pytest.mark.parametrize(
    "format", ["openai-responses", "anthropic-messages", "gemini-interactions"]
)
def test_what_is_written_is_read_back(format: str) -> None:
    """Formats with an index for each block keep texts apart that come in turns."""
    encoder = find_format(format).make_encoder()
    events = decoded(format)
    body = b"".join(encoder.feed(event) for event in events)
    made = decoder(format)
    again = [*made.feed(body), *made.finish()]
    deltas = [event for event in again if event.type is EventType.TEXT_DELTA]
    assert [(part_of(event), event.text) for event in deltas] == [*TURNS]
    assert [part.text for part in again[-1].message.parts] == ["Hello", "Bonjour"]  # type: ignore[union-attr]


def frames_of(data: bytes) -> list[dict[str, Any]]:
    lines = [line[6:] for line in data.decode().split("\n") if line.startswith("data: {")]
    return [json.loads(line) for line in lines]


def test_the_ai_sdk_gets_an_id_for_each_text() -> None:
    asked = {"messages": [{"id": "1", "role": "user", "parts": [{"type": "text", "text": "x"}]}]}
    answer = AiSdk().encoder(AiSdk().parse(asked))
    frames = frames_of(b"".join(answer.feed(event) for event in decoded("openai-responses")))
    texts = [(f["type"], f["id"], f.get("delta")) for f in frames if f["type"].startswith("text-")]
    first, second = texts[0][1], texts[2][1]
    assert texts == [
        ("text-start", first, None),
        ("text-delta", first, "Hel"),
        ("text-start", second, None),
        ("text-delta", second, "Bon"),
        ("text-delta", first, "lo"),
        ("text-delta", second, "jour"),
        ("text-end", first, None),
        ("text-end", second, None),
    ]


def test_native_frames_name_the_part() -> None:
    for encoder in (SseEncoder(), NdjsonEncoder()):
        data = b"".join(encoder.feed(text_delta(text, part)) for part, text in TURNS)
        lines = [line.removeprefix("data: ") for line in data.decode().split("\n")]
        events = [StreamEvent.from_dict(json.loads(line)) for line in lines if line[:1] == "{"]
        assert [(part_of(event), event.text) for event in events] == [*TURNS]


def test_ag_ui_has_a_message_for_each_text() -> None:
    body = {
        "threadId": "t",
        "runId": "r",
        "messages": [{"id": "1", "role": "user", "content": "x"}],
        "tools": [],
        "context": [],
        "state": {},
        "forwardedProps": {},
    }
    dialect = AgUi()
    answer = dialect.encoder(dialect.parse(body))
    frames = frames_of(b"".join(answer.feed(event) for event in decoded("cohere-v2")))
    said: dict[str, str] = {}
    for frame in frames:
        if frame["type"] == "TEXT_MESSAGE_CONTENT":
            said[frame["messageId"]] = said.get(frame["messageId"], "") + frame["delta"]
    assert [*said.values()] == ["Hello", "Bonjour"]
    ended = [frame["messageId"] for frame in frames if frame["type"] == "TEXT_MESSAGE_END"]
    assert sorted(ended) == sorted(said)
