"""Answers whose words stand in members where nobody expects them, in every format."""

from __future__ import annotations

from typing import Any

from tests.wire.wild.chat_rows import chat, chunk
from tests.wire.wild.messages_rows import START, add, begin, message_end, messages, stop, tool
from tests.wire.wild.responses_rows import asked, completed, event, responses, said, text_pieces
from tests.wire.wild.row import CALL, EQUAL, TWO, WHOLE, Frame, Row, called, frames
from tests.wire.wild.told_again_rows import RESPONSE, document

HELLO = {"text": "Hello"}
EMPTY_CALL = {"calls": [{"name": "get", "input": {}, "complete": True}], "finish": "tool_calls"}
NOTHING = {"error": "protocol", "code": "not_understood"}


def responses_places() -> list[Row]:
    """Responses: members of the response, of items and of parts."""
    item_done = "output_item.done"
    whole = {**RESPONSE, "status": "completed"}
    valued = {"type": "output_text", "text": {"value": "Hello", "annotations": []}}
    pieces = text_pieces("Hel", "lo", item_id="m1")
    odd = {"type": "output_text", "text": "", "words": "Hello"}
    return [
        responses("output_text alone", completed(output_text="Hello"), **HELLO),
        responses("output_text after deltas", *pieces, completed(output_text="Hello"), **HELLO),
        responses(
            "output_text has more", *pieces, completed(output_text="Hello you"), text="Hello you"
        ),
        responses("output_text beside items", completed(said(), output_text="Hello"), **HELLO),
        responses(
            "output_text of two messages",
            completed(said("Hel"), said("lo"), output_text="Hello"),
            **HELLO,
        ),
        responses("output_text beside a call", completed(asked(), output_text=""), **CALL),
        responses("output_text of an item", completed(said("", output_text="Hello")), **HELLO),
        responses(
            "text of an item", event(item_done, 0, item={**said(""), "text": "Hello"}), **HELLO
        ),
        responses("a text with a value", completed(said("", content=[valued])), **HELLO),
        responses("the answer in another member", completed(answer="Hello"), **NOTHING),
        responses(
            "the answer in another member of an item", completed(said("", words="Hi")), **NOTHING
        ),
        responses(
            "the answer in another member of a part", completed(said("", content=[odd])), **NOTHING
        ),
        responses("output_text as a list", completed(output_text=["Hel", "lo"]), **HELLO),
        responses(
            "another member beside the text",
            completed(said(mood="glad"), weather="fine"),
            unread=["output.message.mood", "response.weather"],
            **HELLO,
        ),
        responses(
            "another member of a call",
            completed(asked(mood="glad")),
            unread=["output.function_call.mood"],
            **CALL,
        ),
        document(
            "whole: output_text", "openai-responses:m", {**whole, "output_text": "Hello"}, **HELLO
        ),
        document(
            "whole: another member", "openai-responses:m", {**whole, "answer": "Hello"}, **NOTHING
        ),
    ]


def responses_calls() -> list[Row]:
    """Responses: calls whose arguments come alone or late."""
    args, item_done = "function_call_arguments", "output_item.done"
    named = {"name": "get", "item_id": "f1"}
    whole = event(f"{args}.done", 0, arguments=WHOLE, **named)
    nameless = event(f"{args}.done", 3, arguments=WHOLE)
    other = event(f"{args}.done", 1, arguments='{"a":2}', name="get", item_id="f2")
    put = event(f"{args}.done", 1, arguments="{}", name="put", item_id="f2")
    known = asked(id="f1", call_id="c1")
    begun = event("output_item.added", 0, item={**known, "arguments": ""})

    def done(arguments: str) -> Frame:
        return event(item_done, 0, item={**known, "arguments": arguments})

    rows = [
        responses("a call in arguments.done alone", whole, **CALL),
        responses("arguments.done of no name", nameless, error="invalid_output"),
        responses("arguments.done of no name, after its item", done(WHOLE), nameless, **CALL),
        responses("arguments.done, the name at last", nameless, completed(known), **CALL),
        responses("a call in arguments.done twice", whole, whole, **CALL),
        responses("a call in arguments.done and its item", whole, done(WHOLE), **CALL),
        responses("a call in arguments.done and the snapshot", whole, completed(known), **CALL),
        responses("a call in arguments.done after its item", done(WHOLE), whole, **CALL),
        responses(
            "a call in arguments.done beside an item of other ids",
            event(item_done, 5, item=asked(id="x", call_id="y")),
            event(f"{args}.done", 6, arguments=WHOLE, name="get", item_id="z"),
            **CALL,
        ),
        responses("two calls in arguments.done alone", whole, other, **TWO),
        responses(
            "arguments.done of another name than the open call's",
            begun,
            put,
            done(WHOLE),
            **called(("get", {"a": 1}), ("put", {})),
        ),
    ]
    for early in ("", "{}"):
        pieces = [event(f"{args}.delta", 0, delta=text, item_id="f1") for text in ('{"a"', ":1}")]
        late = {"arguments.done": [whole], "deltas": pieces, "the snapshot": [completed(known)]}
        late["deltas and arguments.done"] = [*pieces, whole]
        late["everything"] = [*pieces, whole, done(WHOLE), completed(known)]
        rows += [
            responses(f"item.done with {early!r}, then {name}", begun, done(early), *then, **CALL)
            for name, then in late.items()
        ]
    return rows


def messages_places() -> list[Row]:
    """Messages: members of the message, of its delta and of blocks."""
    text = {"type": "text", "text": "Hello"}
    block = [begin(0, type="text", text=""), add(0, "text", "Hello"), stop(0)]

    def ended(name: str, *payloads: Frame, **expect: Any) -> Row:
        return Row(name, "anthropic:m", frames(payloads), expect)

    def begun(**more: Any) -> Frame:
        return {**START, "message": {**START["message"], **more}}

    def delta(**more: Any) -> list[Frame]:
        first, last = message_end()
        return [{**first, "delta": {**first["delta"], **more}}, last]

    return [
        ended("content as a text", begun(content="Hello"), *message_end(), **HELLO),
        ended("content as a block", begun(content=text), *message_end(), **HELLO),
        ended("content in the delta", START, *delta(content=[text]), **HELLO),
        ended("content as a text in the delta", START, *delta(content="Hello"), **HELLO),
        ended("content again in the delta", START, *block, *delta(content=[text]), **HELLO),
        ended("content at the end", START, *message_end(message={"content": "Hello"}), **HELLO),
        ended("another member of the message", begun(answer="Hello"), *message_end(), **NOTHING),
        ended("another member of the delta", START, *delta(answer="Hello"), **NOTHING),
        ended(
            "another member at the end", START, *message_end(message={"answer": "Hi"}), **NOTHING
        ),
        ended(
            "other members beside the text",
            begun(mood="glad"),
            *block,
            *delta(weather="fine"),
            unread=["message.mood", "message_delta.weather"],
            **HELLO,
        ),
        messages(
            "another member of a block",
            begin(0, type="text", text="Hello", mood="glad"),
            stop(0),
            unread=["content.text.mood"],
            **HELLO,
        ),
        document("whole: a text", "anthropic:m", {"type": "message", "content": "Hello"}, **HELLO),
    ]


def messages_indices() -> list[Row]:
    """Messages: events without an index, and errors inside of a delta."""

    def without(*payloads: Frame) -> list[Frame]:
        return [{name: frame[name] for name in frame if name != "index"} for frame in payloads]

    text = without(begin(0, type="text", text=""), add(0, "text", "Hello"), stop(0))
    call = without(tool(), add(0, "input_json", WHOLE), stop(0))
    other = without(tool(id="u"), add(0, "input_json", '{"a":2}'), stop(0))
    error = {"type": "overloaded_error", "message": "Overloaded"}
    failed = {"type": "content_block_delta", "index": 0, "delta": {"type": "error", "error": error}}
    return [
        messages("no indices: a text", *text, **HELLO),
        messages("no indices: a call", *call, **CALL),
        messages("no indices: two calls", *call, *other, **TWO),
        messages("no indices: a text, then a call", *text, *call, **CALL | HELLO),
        messages("no indices: deltas alone", *text[1:2], **HELLO),
        messages(
            "no indices after one", begin(0, type="text", text=""), *text[1:], *call, **CALL | HELLO
        ),
        messages("null for an index", *({**frame, "index": None} for frame in call), **CALL),
        messages("an error in a block's delta", failed, error="overloaded"),
        messages(
            "an error in the message's delta",
            *text,
            {"type": "message_delta", "delta": {"stop_reason": None, "error": error}},
            error="overloaded",
        ),
    ]


def usage_rows() -> list[Row]:
    """Counts under the other format's names, and xAI's, whose output leaves the reasoning out."""
    reasoning = {"reasoning_tokens": 200}
    chats = {"prompt_tokens": 3, "completion_tokens": 4}
    xai = {"input_tokens": 3, "output_tokens": 2, "output_tokens_details": reasoning}
    parts = ({"prompt_tokens": 3}, {"completion_tokens": 2, "completion_tokens_details": reasoning})
    whole = {"input_tokens": 3, "output_tokens": 202, "reasoning_tokens": 200}
    plain = {"input_tokens": 3, "output_tokens": 4}
    return [
        responses("usage under chat's names", completed(said(), usage=chats), usage=plain, **HELLO),
        responses("usage beside the response", {**completed(said()), "usage": chats}, usage=plain),
        responses(
            "xAI's usage",
            completed(said(), usage={**xai, "total_tokens": 205}),
            usage=whole,
        ),
        responses(
            "usage whose output has the reasoning",
            completed(said(), usage={**xai, "output_tokens": 202, "total_tokens": 205}),
            usage=whole,
        ),
        chat(
            "xAI's usage over two chunks",
            chunk({"content": "Hi"}, usage=parts[0]),
            chunk({}, usage={**parts[1], "total_tokens": 205}),
            usage=whole,
        ),
        chat(
            "xAI's usage over three chunks, some with nulls",
            chunk({"content": "Hi"}, usage=parts[0]),
            chunk({}, usage={**parts[1], "prompt_tokens": None}),
            chunk({}, usage={"total_tokens": 205, "completion_tokens": -1}),
            usage=whole,
        ),
    ]


def chat_places() -> list[Row]:
    """Chat: members of entries of `tool_calls`."""
    function = {"name": "get", "arguments": '{"a":1}'}

    def asks(**entry: Any) -> Frame:
        return chunk({"tool_calls": [{"index": 0, **entry}]})

    def legacy(arguments: str, **more: Any) -> Frame:
        return chunk({"function_call": {"arguments": arguments, **more}})

    old = legacy(WHOLE, name="get")
    new = asks(id="x", function=function)
    second = asks(index=1, id="y", function=function)
    another = asks(id="x", function={**function, "arguments": '{"a":2}'})
    old_pieces = [legacy("", name="get"), legacy('{"a"'), legacy(":1}")]
    new_pieces = [
        asks(id="x", function={"name": "get", "arguments": ""}),
        asks(function={"arguments": '{"a"'}),
        asks(function={"arguments": ":1}"}),
    ]
    mixed = [frame for pair in zip(old_pieces, new_pieces, strict=True) for frame in pair]
    reversed_calls = {"calls": TWO["calls"][::-1]}

    def asks_for(**more: Any) -> Frame:
        return asks(id="x", function={**function, **more})

    return [
        chat(
            "another member of a call",
            asks(id="x", function=function, mood="glad"),
            unread=["tool_calls.mood"],
            **CALL,
        ),
        chat(
            "another member of a function",
            asks_for(mood="glad"),
            unread=["tool_calls.function.mood"],
            **CALL,
        ),
        chat("a call in another member", asks(call={"tool": "get"}), **NOTHING),
        chat(
            "arguments null at first",
            asks_for(arguments="null"),
            asks(function={"arguments": WHOLE}),
            **CALL,
        ),
        chat("function_call, then tool_calls", old, new, **CALL),
        chat("tool_calls, then function_call", new, old, **CALL),
        chat("function_call in pieces, then tool_calls", *old_pieces, *new_pieces, **CALL),
        chat("tool_calls in pieces, then function_call", *new_pieces, old, **CALL),
        chat("function_call and tool_calls by turns", *mixed, **CALL),
        chat("function_call, then other tool_calls", old, another, **TWO),
        chat("other tool_calls, then function_call", another, old, **reversed_calls),
        chat("function_call, then two equal calls", old, new, second, **EQUAL),
        chat("two equal calls, then function_call", new, second, old, **EQUAL),
        chat("a call that goes on", asks(type="function", function=function), unread=[], **CALL),
    ]


def unusual_place_rows() -> list[Row]:
    """All of them."""
    return [
        *responses_places(),
        *responses_calls(),
        *messages_places(),
        *messages_indices(),
        *usage_rows(),
        *chat_places(),
    ]
