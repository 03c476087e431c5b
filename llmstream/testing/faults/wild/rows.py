"""Rows of the wild: what the server sends in each format, and what is right."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeAlias

from llmstream.checks import as_object, as_text
from llmstream.testing.faults.catalogue import Fault, enter_fault
from llmstream.testing.faults.expectation import Expected
from llmstream.testing.reply import Reply

CHAT, RESPONSES, MESSAGES = "openai-chat", "openai-responses", "anthropic-messages"
DONE = b"data: [DONE]\n\n"
Answers: TypeAlias = Mapping[str, bytes | dict[str, Any]]
"""By format: the bytes of a stream, or a whole JSON document."""


def wild(
    name: str,
    description: str,
    answers: Answers,
    outcome: str = "complete",
    *,
    text: str | None = "",
    words: int = 0,
    shown: bool = False,
    delay: tuple[float, float] | None = None,
    **expected: Any,
) -> None:
    """Enter a row that answers with 200.

    `words` of a proper answer come first. `text` is that of a whole answer (None: any); `expected` are the members of
    Expected. `shown`: something of `answers` is shown before a failure.
    """

    async def play(reply: Reply) -> None:
        answer = answers[reply.format.name]
        if isinstance(answer, bytes):
            await reply.stream(reply.words(0, words) if words else b"", answer)
        else:
            await reply.whole(200, answer)

    _enter(
        name,
        description,
        play,
        outcome,
        formats=tuple(answers),
        text=text,
        words=words,
        shown=shown,
        delay=delay,
        expected=Expected(**expected),
    )


def refused(
    name: str,
    description: str,
    status: int,
    body: Any,
    outcome: str,
    *,
    headers: Mapping[str, str] | None = None,
    retried: bool | None = None,
    delay: tuple[float, float] | None = None,
    **expected: Any,
) -> None:
    """Enter a row that answers with an HTTP error, in every format; under 200 in those that have such bodies.

    `body` is bytes or JSON.
    """

    async def play(reply: Reply) -> None:
        await reply.whole(status, body, headers)

    _enter(
        name,
        description,
        play,
        outcome,
        formats=(CHAT, RESPONSES, MESSAGES) if status == 200 else (),
        retried=retried,
        delay=delay,
        expected=Expected(**expected),
    )


def _enter(name: str, description: str, play: Any, outcome: str, **rest: Any) -> None:
    enter_fault(Fault(f"wild-{name}", "wild", description, play, (outcome,), **rest))


def frame(payload: Any, event: str = "") -> bytes:
    """One server-sent event; named by the payload's type, if it has one."""
    name = event or as_text(as_object(payload).get("type"))
    data = payload if isinstance(payload, str) else json.dumps(payload)
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {data}\n\n".encode()


def frames(*payloads: Any) -> bytes:
    """Server-sent events."""
    return b"".join(map(frame, payloads))


# --- chat completions --------------------------------------------------------------------------------------------


def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
    """One chunk with one choice."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {
        "id": "c1",
        "object": "chat.completion.chunk",
        "model": "m",
        "choices": [choice],
        **more,
    }


def chat(*deltas: dict[str, Any], finish: str = "stop", **more: Any) -> bytes:
    """A whole answer of these deltas; `more` stands on its last chunk."""
    begun = map(chunk, deltas)
    return frames(*begun, chunk({}, finish, **more)) + DONE


def call(
    arguments: Any = None, *, name: Any = None, id: Any = None, index: int | None = 0
) -> dict[str, Any]:
    """A delta with one piece of one call; what is None isn't sent."""
    given = {"name": name, "arguments": arguments}
    piece = {
        "index": index,
        "id": id,
        "function": {key: value for key, value in given.items() if value is not None},
    }
    return {"tool_calls": [{key: value for key, value in piece.items() if value is not None}]}


def calls_chat(*deltas: dict[str, Any]) -> bytes:
    """A whole answer that ends in tool calls."""
    return chat(*deltas, finish="tool_calls")


# --- Responses ---------------------------------------------------------------------------------------------------


def message_item(text: str, **more: Any) -> dict[str, Any]:
    """A finished message."""
    part = {"type": "output_text", "text": text, "annotations": []}
    item = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed"}
    return {**item, "content": [part], **more}


def call_item(arguments: str, **more: Any) -> dict[str, Any]:
    """A finished call."""
    item = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "get"}
    return {**item, "arguments": arguments, "status": "completed", **more}


def event(type: str, index: int | None = 0, **more: Any) -> dict[str, Any]:
    """One event; `index` is its `output_index`."""
    place = {} if index is None else {"output_index": index}
    return {"type": f"response.{type}", **place, **more}


def added(item: dict[str, Any], index: int = 0) -> dict[str, Any]:
    """The event that begins an item."""
    return event("output_item.added", index, item=item)


def completed(*output: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The terminal event with its snapshot."""
    usage = {"input_tokens": 10, "output_tokens": 5}
    response = {"id": "resp_1", "model": "m", "status": "completed", "output": [*output]}
    return {"type": "response.completed", "response": {**response, "usage": usage, **more}}


# --- Messages ----------------------------------------------------------------------------------------------------


def start(**usage: Any) -> dict[str, Any]:
    """The event that begins a message."""
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": []}
    counts = {"input_tokens": 10, "output_tokens": 1, **usage}
    return {"type": "message_start", "message": {**message, "usage": counts}}


def block(index: int, begun: dict[str, Any], *deltas: dict[str, Any]) -> list[dict[str, Any]]:
    """A content block and its deltas."""
    return [
        {"type": "content_block_start", "index": index, "content_block": begun},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def said(text: str, index: int = 0) -> list[dict[str, Any]]:
    """A block of text."""
    return block(index, {"type": "text", "text": ""}, {"type": "text_delta", "text": text})


def tool_use(input: Any, *pieces: str, id: str = "toolu_1") -> list[dict[str, Any]]:
    """A call whose block begins with `input`, and goes on with pieces of JSON."""
    begun = {"type": "tool_use", "id": id, "name": "get", "input": input}
    deltas = ({"type": "input_json_delta", "partial_json": piece} for piece in pieces)
    return block(0, begun, *deltas)


def stopped(reason: str, **usage: Any) -> list[dict[str, Any]]:
    """The two events that end a message."""
    counts = {"output_tokens": 5, **usage}
    delta = {"stop_reason": reason, "stop_sequence": None}
    return [{"type": "message_delta", "delta": delta, "usage": counts}, {"type": "message_stop"}]
