"""Frames that are known by their likeness mean what they mean when they are parsed."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from llmstream import wire
from llmstream.wire.event_decoder import Decoder
from llmstream.wire.framing.text_frames import PATIENCE, TextTemplate

FORMATS = ("openai-chat", "openai-responses", "anthropic-messages")

texts = st.one_of(
    st.sampled_from(
        [
            "a",
            " hello",
            "delta",
            "content",
            "text",
            "x",
            'say "hi"',
            "\\",
            "line\n",
            "\t",
            "ü",
            "日本",
            "\u2028",
            "",
            "m-1",
        ]
    ),
    st.text(max_size=8),
)


def chat(text: str, more: str) -> dict[str, Any]:
    choice: dict[str, Any] = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    payload = {"id": "x", "model": "m-1", "choices": [choice]}
    if more == "number":
        payload["created"] = len(text)
    elif more == "padding":
        payload["obfuscation"] = "xY3"[: len(text)]
    elif more == "usage":
        payload["usage"] = {"prompt_tokens": 3, "completion_tokens": len(text), "total_tokens": 3}
    elif more == "reason":
        choice["finish_reason"] = "stop"
    elif more == "twice":
        choice["delta"]["reasoning_content"] = text
    elif more == "same":
        payload["content"] = text
    elif more == "other choice":
        choice["index"] = 1
    return payload


def responses(text: str, more: str) -> dict[str, Any]:
    payload = {
        "type": "response.output_text.delta",
        "sequence_number": len(more),
        "item_id": "i",
        "content_index": 0,
    }
    payload |= {"output_index": 0, "delta": text}
    if more == "number":
        payload["sequence_number"] = -7
    elif more == "padding":
        payload["obfuscation"] = "x y" if len(text) % 2 else "Ab9"
    elif more == "usage":
        return {
            "type": "response.output_item.done",
            "output_index": 0,
            "item": {"type": "message", "id": "i"},
        }
    elif more == "reason":
        payload["content_index"] = 1
    elif more == "twice":
        payload["logprobs"] = [{"delta": text}]
    elif more == "same":
        payload["type"] = "response.refusal.delta"
    elif more == "other choice":
        payload["type"] = "response.reasoning_text.delta"
    return payload


def messages(text: str, more: str) -> dict[str, Any]:
    delta = {"type": "text_delta", "text": text}
    payload = {"type": "content_block_delta", "index": 0, "delta": delta}
    if more == "number":
        payload["index"] = len(text)
    elif more == "usage":
        return {
            "type": "message_delta",
            "delta": {"stop_reason": None},
            "usage": {"output_tokens": len(text)},
        }
    elif more == "reason":
        return {"type": "content_block_stop", "index": 0}
    elif more == "twice":
        return {
            "type": "content_block_start",
            "index": 0,
            "content_block": {"type": "text", "text": text},
        }
    elif more == "same":
        payload["text"] = text
    elif more == "other choice":
        return {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "thinking_delta", "thinking": text},
        }
    return payload


PAYLOADS = dict(zip(FORMATS, (chat, responses, messages), strict=True))
kinds = st.sampled_from(
    ["", "", "", "", "", "number", "padding", "usage", "reason", "twice", "same", "other choice"]
)
frames = st.lists(st.tuples(texts, kinds, st.booleans(), st.booleans()), max_size=12)


def body(format: str, parts: list[tuple[str, str, bool, bool]]) -> list[bytes]:
    made = []
    for text, more, escaped, spaced in parts:
        payload = PAYLOADS[format](text, more)
        separators = (", ", ": ") if spaced else (",", ":")
        data = json.dumps(payload, ensure_ascii=escaped, separators=separators).encode(
            "utf-8", "surrogatepass"
        )
        name = b"event: %s\n" % payload["type"].encode() if "type" in payload else b""
        made.append(name + b"data: " + data + b"\n\n")
    return made


def decode(format: str, reads: list[bytes], *, template: bool, **options: Any) -> list[Any]:
    decoder: Any = wire.decoder(format)
    decoder = type(decoder)(keep_message=False, **options)
    if not template:
        decoder._framer._template = None
    return [event.to_dict() for data in reads for event in decoder.feed(data)] + [
        event.to_dict() for event in decoder.finish()
    ]


def test_what_comes_in_between_may_give_the_same_frame_another_sense() -> None:
    """Servers that name neither events nor items: whose text it is tells what came before."""
    payloads = []
    for item in ("1", "2"):
        text = [f"{piece}{item}" for piece in "abc"]
        payloads.append({"type": "response.output_item.added", "item": {"type": "message"}})
        payloads += [{"type": "response.output_text.delta", "delta": piece} for piece in text]
        payloads.append({"type": "response.output_text.done", "text": "".join(text)})
        payloads.append({"type": "response.output_item.done", "item": {"type": "message"}})
    reads = [b"data: %s\n\n" % json.dumps(payload).encode() for payload in payloads]
    for chunks in (reads, [b"".join(reads)]):
        events = decode("openai-responses", chunks, template=True)
        assert events == decode("openai-responses", chunks, template=False)
        assert (
            "".join(event["text_delta"]["content"] for event in events if "text_delta" in event)
            == "a1b1c1a2b2c2"
        )


@pytest.mark.parametrize("format", FORMATS)
@given(frames, st.integers(1, 5), st.lists(st.integers(0, 3000), max_size=4))
@example([("a", "", False, False), ("b", "", False, False)] * 3, 1, [])
@example([("a", "same", False, False), ("b", "same", False, False)] * 3, 1, [])
@example([("m-1", "", False, False), ("x", "", False, False)] * 3, 1, [])
def test_a_frame_that_is_like_another_means_what_it_says(
    format: str, parts: list[tuple[str, str, bool, bool]], a_read: int, cuts: list[int]
) -> None:
    made = body(format, parts)
    reads = [b"".join(made[at : at + a_read]) for at in range(0, len(made), a_read)]
    assert decode(format, reads, template=True) == decode(format, reads, template=False)
    whole = b"".join(made)
    places = [0, *sorted(cut % (len(whole) + 1) for cut in cuts), len(whole)]
    pieces = [whole[a:b] for a, b in pairwise(places)]
    assert decode(format, pieces, template=True) == decode(format, pieces, template=False)


@pytest.mark.parametrize("format", FORMATS)
def test_it_is_used(format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a long text, hardly a frame is parsed, whatever its padding."""
    parsed = 0
    decoder: Any = wire.decoder(format)
    parse = type(decoder).parse_frame

    def count(self: Decoder, payload: dict[str, Any], event: str) -> None:
        nonlocal parsed
        parsed += 1
        parse(self, payload, event)

    monkeypatch.setattr(type(decoder), "parse_frame", count)
    words = [f"word-{number} " for number in range(200)]
    more = "" if format == "anthropic-messages" else "padding"
    events = [
        event
        for data in body(format, [(word, more, False, False) for word in words])
        for event in decoder.feed(data)
    ]
    assert "".join(event.text for event in events) == "".join(words)
    assert parsed < 5


def test_frames_that_always_differ_are_not_learned_from_for_ever() -> None:
    decoder: Any = wire.decoder("openai-chat")
    for number in range(PATIENCE + 2):
        decoder.feed(body("openai-chat", [("x" * number + "y", "number", False, False)])[0])
    assert decoder._framer._template is None


@pytest.mark.parametrize(
    "block",
    [
        b'data: {"a":1,"text":"',  # both ends overlap
        b'data: {"a":1,"text":""}',
        b'data: {"a":1,"text":"x\\"}',
        b'data: {"a":1,"text":"x"y"}',
        b'data: {"a":1,"text":"x\x01"}',
        b'data: {"a":1,"text":"\xff"}',
        b'data: {"a":1,"text":"x"}}',
        b'data: {"a":12345678901234567890x,"text":"x"}',
        b'data: {"a":,"text":"x"}',
        b'event: other\ndata: {"a":1,"text":"x"}',
        b"",
    ],
)
def test_what_is_not_like_it_is_left_to_the_parser(block: bytes) -> None:
    template = TextTemplate("text", ("a",))
    template.learn(b"data: ", b'{"a":1,"text":"hello"}', "hello")
    assert template.text(b'data: {"a":234,"text":"bye"}') == "bye"
    assert template.text(block) is None


def test_it_holds_until_an_event_of_another_name() -> None:
    template = TextTemplate("text")
    template.learn(b"event: delta\ndata: ", b'{"text":"hello"}', "hello")
    assert template.text(b'event: delta\ndata: {"text":"x","y":1}') is None
    assert template.text(b'event: delta\ndata: {"text":"bye"}') == "bye"
    assert template.text(b'event: stop\ndata: {"text":"bye"}') is None
    assert template.text(b'event: delta\ndata: {"text":"bye"}') is None


def test_with_raw_every_frame_is_parsed() -> None:
    made = body("openai-chat", [("a", "", False, False)] * 5)
    events = decode("openai-chat", made, template=True, include_raw=True)
    assert [
        event["raw"]["choices"][0]["delta"]["content"] for event in events if "raw" in event
    ] == ["a"] * 5
