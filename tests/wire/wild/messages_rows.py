"""Neighbours of the reports in the Messages format, a few for each kind."""

from __future__ import annotations

from typing import Any

from tests.wire.wild.row import CALL, TWO, WHOLE, Frame, Row, called, frames

START = {
    "type": "message_start",
    "message": {
        "id": "msg_1",
        "model": "m",
        "content": [],
        "usage": {"input_tokens": 10, "output_tokens": 1},
    },
}


def begin(index: int, **block: Any) -> Frame:
    """A block's start."""
    return {"type": "content_block_start", "index": index, "content_block": block}


def tool(index: int = 0, **more: Any) -> Frame:
    """The start of a call's block."""
    return begin(index, **{"type": "tool_use", "id": "t", "name": "get", "input": {}, **more})


def add(index: int, kind: str, content: Any) -> Frame:
    """A delta."""
    name = {"input_json": "partial_json"}.get(kind, kind)
    return {
        "type": "content_block_delta",
        "index": index,
        "delta": {"type": f"{kind}_delta", name: content},
    }


def stop(index: int, **more: Any) -> Frame:
    """A block's end."""
    return {"type": "content_block_stop", "index": index, **more}


def message_end(reason: str | None = "end_turn", **more: Any) -> list[Frame]:
    """How a message ends."""
    delta = {
        "type": "message_delta",
        "delta": {"stop_reason": reason},
        "usage": {"output_tokens": 5},
    }
    return [delta, {"type": "message_stop", **more}]


def messages_answer(*blocks: Frame) -> bytes:
    """A plain answer with these blocks, each whole in its start."""
    shown = [frame for i, block in enumerate(blocks) for frame in (begin(i, **block), stop(i))]
    return frames([START, *shown, *message_end()])


def messages(name: str, *payloads: Frame, reason: str = "end_turn", **expect: Any) -> Row:
    """An answer of the Messages API: these events, and their end."""
    return Row(name, "anthropic:m", frames([START, *payloads, *message_end(reason)]), expect)


def messages_rows() -> list[Row]:
    """Neighbours in the Messages format."""
    ins, outs = '{"a"', ":1}"
    text = {"type": "text", "text": "Hello"}
    content = {**START["message"], "content": [text]}
    deltas = (add(0, "input_json", ins), add(0, "input_json", outs))
    return [
        messages("input as a JSON string", tool(input=WHOLE), stop(0), **CALL),
        messages("input as a string, and deltas", tool(input=WHOLE), *deltas, stop(0), **CALL),
        messages(
            "input whole, and another in deltas", tool(input={"a": 9}), *deltas, stop(0), **CALL
        ),
        messages("input whole, no stop", tool(input={"a": 1}), **CALL),
        messages(
            "placeholder in deltas", tool(), add(0, "input_json", "{}"), *deltas, stop(0), **CALL
        ),
        messages(
            "a delta that is an object", tool(), add(0, "input_json", {"a": 1}), stop(0), **CALL
        ),
        messages("a call that starts twice", tool(), tool(), *deltas, stop(0), **CALL),
        messages(
            "a call that starts twice, whole",
            tool(input={"a": 1}),
            tool(input={"a": 1}),
            stop(0),
            **CALL,
        ),
        messages(
            "a call told twice", tool(), *deltas, stop(0), tool(1, input={"a": 1}), stop(1), **CALL
        ),
        messages(
            "one id, other arguments",
            tool(),
            *deltas,
            stop(0),
            tool(1, input={"a": 2}),
            stop(1),
            **TWO,
        ),
        messages("a name late", tool(name=""), tool(), *deltas, stop(0), **CALL),
        messages("arguments before the start", *deltas, tool(), stop(0), **CALL),
        messages("arguments at another index", tool(3), *deltas, stop(3), **CALL),
        messages(
            "a text that starts twice", begin(0, **text), begin(0, **text), stop(0), text="Hello"
        ),
        messages(
            "a call without a name",
            begin(0, **text),
            stop(0),
            tool(1, name=""),
            add(1, "input_json", WHOLE),
            stop(1),
            text="Hello",
            calls=[],
            finish="stop",
        ),
        messages(
            "nothing but a call without a name",
            tool(name="null"),
            *deltas,
            stop(0),
            error="invalid_output",
        ),
        messages(
            "a block's end repeats it",
            begin(0, type="text", text=""),
            add(0, "text", "Hello"),
            stop(0, content_block=text),
            text="Hello",
        ),
        messages(
            "a block's end has the rest",
            begin(0, type="text", text=""),
            add(0, "text", "Hel"),
            stop(0, content_block=text),
            text="Hello",
        ),
        messages(
            "a block's end has the input",
            tool(),
            stop(
                0, content_block={"type": "tool_use", "id": "t", "name": "get", "input": {"a": 1}}
            ),
            **CALL,
        ),
        Row(
            "the message again at its end",
            "anthropic:m",
            frames([START, begin(0, **text), stop(0), *message_end(message=content)]),
            {"text": "Hello"},
        ),
        Row(
            "the message at its end alone",
            "anthropic:m",
            frames([START, *message_end(message=content)]),
            {"text": "Hello"},
        ),
        Row(
            "a call at the message's end alone",
            "anthropic:m",
            frames(
                [
                    START,
                    begin(0, **text),
                    stop(0),
                    *message_end(
                        message={
                            **content,
                            "content": [text, tool(input={"a": 1})["content_block"]],
                        }
                    ),
                ]
            ),
            CALL | {"text": "Hello"},
        ),
        Row(
            "the content at the start, and again",
            "anthropic:m",
            frames(
                [
                    {**START, "message": content},
                    begin(0, type="text", text=""),
                    add(0, "text", "Hello"),
                    stop(0),
                    *message_end(),
                ]
            ),
            {"text": "Hello"},
        ),
        Row(
            "the content at the start, and more",
            "anthropic:m",
            frames(
                [
                    {**START, "message": content},
                    begin(1, type="text", text="!"),
                    stop(1),
                    *message_end(),
                ]
            ),
            {"text": "Hello!"},
        ),
        messages(
            "text at an index of nobody",
            begin(0, type="text", text=""),
            add(7, "text", "Hello"),
            stop(0),
            text="Hello",
        ),
        messages(
            "an SDK's own events",
            begin(0, type="text", text=""),
            add(0, "text", "Hello"),
            {"type": "text", "text": "Hello", "snapshot": "Hello"},
            stop(0),
            text="Hello",
            unread=[],
        ),
        messages(
            "a picture",
            begin(
                0,
                type="image",
                source={"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="},
            ),
            stop(0),
            files=1,
        ),
        messages(
            "a block that nobody knows",
            begin(0, type="hologram", shows="me"),
            stop(0),
            error="protocol",
            code="not_understood",
        ),
        messages(
            "a delta that nobody knows",
            begin(0, **text),
            {
                "type": "content_block_delta",
                "index": 0,
                "delta": {"type": "smell_delta", "smell": "rose"},
            },
            text="Hello",
            unread=["delta.smell_delta"],
        ),
        messages(
            "an event that nobody knows",
            begin(0, **text),
            {"type": "message_mood", "mood": "good"},
            text="Hello",
            unread=["message_mood"],
        ),
        messages(
            "halves of a character",
            begin(0, type="text", text=""),
            add(0, "text", "\ud83d"),
            {"type": "ping"},
            add(0, "text", "\ude00"),
            text="😀",
        ),
        messages(
            "halves in thinking",
            begin(0, type="thinking", thinking=""),
            add(0, "thinking", "\ud83d"),
            add(0, "thinking", "\ude00"),
            stop(0),
            begin(1, **text),
            text="Hello",
            reasoning="😀",
        ),
        messages(
            "halves in input",
            tool(),
            add(0, "input_json", '{"a":"\ud83d'),
            add(0, "input_json", '\ude00"}'),
            stop(0),
            **called(("get", {"a": "😀"})),
        ),
        Row(
            "a cut before any count",
            "anthropic:m",
            frames([START, begin(0, **text)]),
            {
                "error": "truncated",
                "text": "Hello",
                "usage": {"input_tokens": 10, "output_tokens": None},
            },
        ),
        Row(
            "an end without a count",
            "anthropic:m",
            frames([START, begin(0, **text), {"type": "message_stop"}]),
            {"text": "Hello", "usage": {"input_tokens": 10, "output_tokens": 1}},
        ),
        Row(
            "negative counts",
            "anthropic:m",
            frames(
                [
                    START,
                    begin(0, **text),
                    {
                        "type": "message_delta",
                        "delta": {"stop_reason": "end_turn"},
                        "usage": {"output_tokens": -1, "input_tokens": -1},
                    },
                    {"type": "message_stop"},
                ]
            ),
            {"usage": {"input_tokens": 10}},
        ),
    ]
