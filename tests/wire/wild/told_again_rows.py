"""Neighbours of the reports, in every format: what is told again, in part, as a whole, or in another place."""

from __future__ import annotations

import json
from typing import Any

from tests.wire.wild.chat_rows import DONE, chat, chunk, entry, piece
from tests.wire.wild.messages_rows import add, begin, messages, stop
from tests.wire.wild.responses_rows import asked, completed, event, responses, said
from tests.wire.wild.row import CALL, JSON, TWO, WHOLE, Frame, Row, frames

RESPONSE = {"object": "response", "id": "resp_1", "output": []}


def shown(**message: Any) -> Frame:
    """A chunk with the message so far, in place of a delta or beside one."""
    return {"choices": [{"index": 0, "message": message}]}


def document(name: str, model: str, payload: Frame, **expect: Any) -> Row:
    """An answer that comes as one JSON document."""
    return Row(name, model, json.dumps(payload).encode(), expect, JSON)


def completion(name: str, reason: str = "stop", *, message: Frame, **expect: Any) -> Row:
    """A whole chat completion."""
    choice = {"index": 0, "message": message, "finish_reason": reason}
    payload = {"id": "c1", "object": "chat.completion", "model": "m", "choices": [choice]}
    return document(name, "openai:m", payload, **expect)


def chat_messages() -> list[Row]:
    """Messages beside deltas, or in place of them."""
    call = entry(WHOLE, None, id="x", name="get")
    other = entry('{"a":2}', None, id="y", name="get")
    audio = {"transcript": "Hi", "data": "AAA="}
    return [
        chat(
            "the message has more than its deltas",
            chunk({"content": "Hel"}),
            shown(content="Hello"),
            text="Hello",
        ),
        chat(
            "the message says other words than its deltas",
            chunk({"content": "Hello "}),
            shown(content="Good bye"),
            text="Hello ",
            unread=["message.content"],
        ),
        chat(
            "reasoning that grows in messages",
            shown(reasoning_content="h"),
            shown(reasoning_content="hm", content="Hi"),
            text="Hi",
            reasoning="hm",
        ),
        chat(
            "a call that grows in messages",
            shown(tool_calls=[entry('{"a"', 0, id="x", name="get")]),
            shown(tool_calls=[entry(WHOLE, 0, id="x", name="get")]),
            **CALL,
        ),
        chat(
            "a call of messages that begins with a placeholder",
            shown(tool_calls=[entry("{}", 0, id="x", name="get")]),
            shown(tool_calls=[entry(WHOLE, 0, id="x", name="get")]),
            **CALL,
        ),
        chat(
            "the message has a second call",
            piece(WHOLE, id="x", name="get"),
            shown(tool_calls=[call, other]),
            **TWO,
        ),
        chat(
            "the message has its call with blanks and without an id",
            piece(WHOLE, id="x", name="get"),
            shown(tool_calls=[entry('{"a": 1}', None, name="get")]),
            **CALL,
        ),
        chat("a refusal again", chunk({"refusal": "No"}), shown(refusal="No"), refusal="No"),
        chat("speech again", chunk({"audio": audio}), shown(audio=audio), text="Hi", files=1),
        chat(
            "a message with the whole of a character that came in half",
            shown(content="a\ud83d"),
            shown(content="a😀b"),
            text="a😀b",
        ),
        chat(
            "halves in reasoning_details",
            chunk({"reasoning_details": [{"type": "reasoning.text", "text": "\ud83d"}]}),
            chunk({"reasoning_details": [{"type": "reasoning.text", "text": "\ude00"}]}),
            chunk({"content": "Hi"}),
            text="Hi",
            reasoning="😀",
        ),
    ]


def chat_calls() -> list[Row]:
    """Calls that are told again, and what isn't one."""
    return [
        chat("arguments again, no id", piece(WHOLE, id="x", name="get"), piece(WHOLE), **CALL),
        chat(
            "one id at two indices, no name, in pieces",
            piece(WHOLE, 0, id="x", name="get"),
            piece('{"a"', 1, id="x"),
            piece(":1}", 1),
            **CALL,
        ),
        chat(
            "one id at two indices, the arguments at the second",
            piece("", 0, id="x", name="get"),
            piece('{"a"', 1, id="x", name="get"),
            piece(":1}", 1),
            **CALL,
        ),
        chat(
            "one id at two indices, no arguments at the second",
            piece(WHOLE, 0, id="x", name="get"),
            piece("", 1, id="x", name="get"),
            **CALL,
        ),
        chat(
            "null for a call", chunk({"content": "Hi", "tool_calls": [None]}), text="Hi", calls=[]
        ),
        chat(
            "one call without a list",
            chunk({"tool_calls": entry(WHOLE, id="x", name="get")}),
            **CALL,
        ),
        chat(
            "arguments by another name",
            chunk({"tool_calls": [{"function": {"name": "get", "parameters": {"a": 1}}}]}),
            **CALL,
        ),
        chat(
            "input in a function",
            chunk({"tool_calls": [{"function": {"name": "get", "input": WHOLE}}]}),
            **CALL,
        ),
        completion(
            "whole: one id, no arguments at the second",
            "tool_calls",
            message={
                "tool_calls": [
                    entry(WHOLE, None, id="x", name="get"),
                    entry("", None, id="x", name="get"),
                ]
            },
            **CALL,
        ),
    ]


def chat_others() -> list[Row]:
    """Reasoning by other names, errors in other places, and what means nothing."""
    blocks = [{"type": "thinking", "thinking": "hm", "signature": None}]
    kept = {"provider_specific_fields": {"thinking_blocks": blocks}}
    hm = {"text": "Hi", "reasoning": "hm"}
    return [
        chat("reasoning in blocks", chunk({"thinking_blocks": blocks}), chunk("Hi"), **hm),
        chat(
            "reasoning and its blocks",
            chunk({"reasoning_content": "hm", "thinking_blocks": blocks, **kept}),
            chunk("Hi"),
            unread=[],
            **hm,
        ),
        chat("reasoning as an object", chunk({"reasoning": {"text": "hm"}}), chunk("Hi"), **hm),
        chat(
            "reasoning as a list",
            chunk({"reasoning_content": [{"type": "text", "text": "hm"}]}),
            chunk("Hi"),
            **hm,
        ),
        chat(
            "base_resp of success",
            chunk({"content": "Hi"}, base_resp={"status_code": 0, "status_msg": "success"}),
            text="Hi",
            unread=[],
        ),
        chat(
            "an error beside a choice without one",
            {"choices": [{"index": 0, "delta": {"error": "boom"}}, {"index": 0, "delta": {}}]},
            error="server",
        ),
        completion(
            "whole: an error in the message",
            "error",
            message={"content": "", "error": {"message": "busy", "code": 503}},
            error="overloaded",
        ),
        completion(
            "whole: nothing understood",
            message={"answer": "Hello"},
            error="protocol",
            code="not_understood",
        ),
    ]


def chat_frames() -> list[Row]:
    """Frames of one word, or of none."""
    said, end = frames([chunk({"content": "Hi"})]), frames([chunk({}, "stop")])
    hi = {"text": "Hi", "finish": "stop", "unread": []}
    between = {
        "ping without a name": b"data: ping\n\n",
        "[PING]": b"data: [PING]\n\n",
        "an object that is a ping": b'data: {"type": "ping"}\n\n',
    }
    ends = {"[done]": b"data: [done]\n\n", "DONE": b"data: DONE\n\n", "eof": b"event: eof\n\n"}
    lines = said + b'event: ping\ndata: {"type": "ping"}\n\n' + end
    return [
        *(Row(name, "openai:m", said + data + end + DONE, hi) for name, data in between.items()),
        *(Row(name, "openai:m", said + end + data, hi) for name, data in ends.items()),
        Row(
            "one line end per frame, a ping among them",
            "openai:m",
            lines.replace(b"\n\n", b"\n"),
            {"text": "Hi", "finish": "stop"},
        ),
    ]


def responses_items() -> list[Row]:
    """Items that disagree about ids and names, and ends that say why elsewhere."""
    done = [event("output_item.done", 0, item=asked(id="f1", call_id="c1"))]
    both = {"summary": [{"text": "hm"}], "content": [{"text": "hm"}]}
    hm = {"reasoning": "hm", "text": "Hello"}
    failed = {"status": "failed", "last_error": {"code": "rate_limit_exceeded", "message": "x"}}
    limit = {"status": "incomplete", "incomplete_details": "max_output_tokens", "output": [said()]}
    added = event("output_item.added", 0, item=asked("", name="null", id="f1", call_id="c1"))
    return [
        responses(
            "one call_id, other arguments",
            *done,
            event("output_item.done", 1, item=asked('{"a":2}', id="f2", call_id="c1")),
            **TWO,
        ),
        responses(
            "one call_id, the same with blanks",
            *done,
            event("output_item.done", 1, item=asked('{"a": 1}', id="f2", call_id="c1")),
            **CALL,
        ),
        responses(
            "one call_id, other arguments in the snapshot",
            *done,
            completed(asked(call_id="c1"), asked('{"a":2}', call_id="c1")),
            **TWO,
        ),
        responses('a name of "null" at first', added, *done, **CALL),
        responses(
            'a name of "null" alone',
            added,
            event("output_item.done", 0, item=asked(name="null", id="f1", call_id="c1")),
            error="invalid_output",
        ),
        responses(
            "the same as summary and content",
            completed({"type": "reasoning", **both}, said()),
            **hm,
        ),
        responses(
            "a summary of strings",
            completed({"type": "reasoning", "summary": ["hm"]}, said()),
            **hm,
        ),
        responses(
            "reasoning as a text", completed({"type": "reasoning", "text": "hm"}, said()), **hm
        ),
        document(
            "whole: last_error", "openai-responses:m", {**RESPONSE, **failed}, error="rate_limit"
        ),
        document(
            "whole: why in one word", "openai-responses:m", {**RESPONSE, **limit}, finish="length"
        ),
        document(
            "whole: an item that nobody knows",
            "openai-responses:m",
            {**RESPONSE, "status": "completed", "output": [{"type": "hologram", "shows": "me"}]},
            error="protocol",
            code="not_understood",
        ),
    ]


def messages_blocks() -> list[Row]:
    """Blocks whose start tells what their deltas tell again, or a part of it."""
    begun = begin(0, type="text", text="Hello")
    thought = begin(0, type="thinking", thinking="hmm")
    return [
        messages("a text again", begun, add(0, "text", "Hello"), stop(0), text="Hello"),
        messages(
            "a text again in pieces",
            begun,
            *(add(0, "text", text) for text in ("Hel", "lo")),
            stop(0),
            text="Hello",
        ),
        messages(
            "a text again, and more",
            begun,
            *(add(0, "text", text) for text in ("Hel", "lo wor", "ld")),
            stop(0),
            text="Hello world",
        ),
        messages(
            "a text that goes on",
            begun,
            *(add(0, "text", text) for text in (" H", "ello")),
            stop(0),
            text="Hello Hello",
        ),
        messages(
            "a text that goes on much as it began",
            begun,
            *(add(0, "text", text) for text in ("Hel", "p!")),
            stop(0),
            text="HelloHelp!",
        ),
        messages(
            "thinking again in pieces",
            thought,
            *(add(0, "thinking", text) for text in ("h", "mm")),
            stop(0),
            begin(1, type="text", text="Hi"),
            text="Hi",
            reasoning="hmm",
        ),
        document(
            "whole: a block that nobody knows",
            "anthropic:m",
            {"type": "message", "id": "m", "content": [{"type": "hologram", "shows": "me"}]},
            error="protocol",
            code="not_understood",
        ),
    ]


def told_again_rows() -> list[Row]:
    """All of them."""
    return [
        *chat_messages(),
        *chat_calls(),
        *chat_others(),
        *chat_frames(),
        *responses_items(),
        *messages_blocks(),
    ]
