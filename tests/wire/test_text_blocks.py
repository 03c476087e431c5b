"""Two texts of an answer stay two for a client whose format has blocks, however the answer came."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llmstream.events.builder import MessageBuilder
from llmstream.events.types import EventType, Start, StreamEvent
from llmstream.events.unfold import unfold, unfold_stream
from llmstream.messages import FinishReason, Message, RefusalPart, Source, TextPart, ToolCall
from llmstream.web.dialects import AnthropicMessages
from llmstream.wire import decoder
from llmstream.wire.anthropic_messages.encode import MessagesEncoder
from llmstream.wire.openai_responses.encode import ResponsesEncoder

CITATION = {"type": "web_search_result_location", "encrypted_index": "x", "url": "https://a"}
CITED = Source(
    url="https://a", provider_data={"format": "anthropic-messages", "citation": CITATION}
)
CALL = ToolCall("t", "f", "{}", {})
ANSWERS: dict[str, list[Any]] = {
    "two texts": [TextPart("a"), TextPart("b")],
    "three": [TextPart("a"), TextPart("b"), TextPart("c")],
    "a cited one between": [TextPart("See "), CITED, TextPart("this"), TextPart(".")],
    "each cited": [CITED, TextPart("a"), CITED, CITED, TextPart("b")],
    "around a call": [TextPart("a"), TextPart("b"), CALL, TextPart("c"), TextPart("d")],
    "one of a phase": [
        TextPart("a", provider_data={"format": "openai-responses", "phase": "commentary"}),
        TextPart("b"),
        TextPart("c"),
    ],
}


def events_of(parts: list[Any], *, as_stream: bool) -> list[StreamEvent]:
    end = StreamEvent(
        EventType.MESSAGE_COMPLETE,
        message=Message("assistant", parts),
        start=Start("m", "m"),
        finish_reason=FinishReason.STOP,
    )
    return [*unfold_stream(end), end] if as_stream else [end]


def texts(parts: list[Any]) -> list[Any]:
    return [part.text if isinstance(part, TextPart) else part for part in parts]


@pytest.mark.parametrize("as_stream", [True, False])
@pytest.mark.parametrize("parts", ANSWERS.values(), ids=list(ANSWERS))
def test_texts_stay_apart_in_anthropic_s_format(parts: list[Any], *, as_stream: bool) -> None:
    encoder, reader = MessagesEncoder(), decoder("anthropic-messages")
    data = b"".join(map(encoder.feed, events_of(parts, as_stream=as_stream)))
    answer = [*reader.feed(data), *reader.finish()][-1].message
    assert answer is not None
    assert texts(answer.parts) == texts(parts)
    blocks = data.count(b'"content_block":{"type":"text"')
    assert blocks == len([part for part in parts if isinstance(part, TextPart)])


@pytest.mark.parametrize("parts", ANSWERS.values(), ids=list(ANSWERS))
def test_so_they_do_in_a_gateway_s_document(parts: list[Any]) -> None:
    dialect = AnthropicMessages()
    asked = [{"role": "user", "content": "q"}]
    ask = dialect.parse({"model": "m", "max_tokens": 9, "messages": asked})
    (end,) = events_of(parts, as_stream=False)
    document = dialect.document(ask, end)
    said = [block["text"] for block in document["content"] if block["type"] == "text"]
    assert said == [part.text for part in parts if isinstance(part, TextPart)]


@pytest.mark.parametrize("as_stream", [True, False])
@pytest.mark.parametrize("parts", ANSWERS.values(), ids=list(ANSWERS))
def test_so_they_do_in_responses_items(parts: list[Any], *, as_stream: bool) -> None:
    encoder = ResponsesEncoder()
    data = b"".join(map(encoder.feed, events_of(parts, as_stream=as_stream)))
    done = data.count(b"event: response.output_text.done")
    cited = any(isinstance(part, Source) for part in parts)
    apart = [part for part in parts if isinstance(part, TextPart)]
    # Annotations say where in their text they belong: the text around one is one.
    assert done == len(apart) or (cited and done < len(apart))


@pytest.mark.parametrize("parts", ANSWERS.values(), ids=list(ANSWERS))
def test_what_is_unfolded_adds_up_to_the_same_parts(parts: list[Any]) -> None:
    builder = MessageBuilder()
    for event in unfold(Message("assistant", [*parts, RefusalPart("no")])):
        builder.add(event)
    assert builder.message().parts == [*parts, RefusalPart("no")]


@pytest.mark.parametrize("end", ["message_stop", "message_delta"])
def test_equal_citations_of_two_texts_are_two_and_a_snapshot_tells_none_again(end: str) -> None:
    blocks = [{"type": "text", "text": text, "citations": [CITATION] * 2} for text in ("a", "b")]
    start = {"type": "message_start", "message": {"id": "m", "content": []}}
    events: list[dict[str, Any]] = [start]
    for index, block in enumerate(blocks):
        deltas = [{"type": "citations_delta", "citation": CITATION}] * 2
        deltas.append({"type": "text_delta", "text": block["text"]})
        begun = {"type": "text", "text": ""}
        events.append({"type": "content_block_start", "index": index, "content_block": begun})
        events += [{"type": "content_block_delta", "index": index, "delta": d} for d in deltas]
        events.append({"type": "content_block_stop", "index": index, "content_block": block})
    events.append({"type": "message_delta", "delta": {"stop_reason": "end_turn"}})
    events.append({"type": "message_stop"})
    told = next(event for event in events if event["type"] == end)
    told["message"] = {"content": blocks}
    reader = decoder("anthropic-messages")
    lines = [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events]
    answer = [*reader.feed("".join(lines).encode()), *reader.finish()][-1].message
    assert answer is not None
    assert len(answer.sources) == 4
    assert answer.text == "ab"
