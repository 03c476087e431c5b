"""Answers of Responses that are called whole and aren't, and arguments that come in another form each time."""

from __future__ import annotations

import json

from tests.wire.wild.chat_rows import chat, piece
from tests.wire.wild.messages_rows import START, add, begin, messages, stop, tool
from tests.wire.wild.responses_rows import asked, completed, event, responses, said, text_pieces
from tests.wire.wild.row import CALL, RESPONSES, TWO, WHOLE, Row, called, frames

ADDED, DONE = "output_item.added", "output_item.done"
QUOTED = json.dumps(WHOLE)
GROWN = '{"a":1,"b":2}'
GREW = called(("get", {"a": 1, "b": 2}))
HALF = {"text": "Hello", "finish": "length", "unread": []}
HI = {"text": "Hello", "finish": "stop"}


def hosted() -> list[Row]:
    """Calls of the provider's tools that began and never ended."""
    code = {"type": "code_interpreter_call", "id": "ci_1", "status": "in_progress", "code": ""}
    begun = event(ADDED, 0, item=code)
    pieces = [
        event("code_interpreter_call_code.delta", 0, item_id="ci_1", delta=text)
        for text in ("print(", "1)")
    ]
    search = {"type": "web_search_call", "id": "ws_1", "status": "in_progress"}
    named = event(ADDED, 0, item={**search, "action": {"type": "search", "query": "x"}})
    mcp = event("mcp_call_arguments.done", 0, item_id="mcp_1", arguments=WHOLE)
    ended = event(DONE, 0, item={**code, "status": "completed", "code": "print(1)"})
    renamed = event(DONE, 0, item={**code, "id": "ci_9", "status": "completed", "code": "print(1)"})
    text = text_pieces("Hello", index=1)
    unread = ["response.code_interpreter_call_code.delta"]
    return [
        responses("code that never ends", begun, *pieces, *text, unread=unread, **HI),
        responses("code without an item", *pieces, *text, unread=unread, **HI),
        responses("code alone, without an item", *pieces, error="protocol", code="not_understood"),
        responses(
            "a search that never ends", named, *text, unread=["output.web_search_call"], **HI
        ),
        responses("a search without words", event(ADDED, 0, item=search), *text, unread=[], **HI),
        responses(
            "arguments of a server's tool without an item",
            mcp,
            *text,
            unread=["response.mcp_call_arguments.done"],
            **HI,
        ),
        responses("code that ends", begun, *pieces, ended, *text, unread=[], **HI),
        responses(
            "code that ends under another id", begun, *pieces, renamed, *text, unread=[], **HI
        ),
        responses(
            "code that ends in the snapshot",
            begun,
            *pieces,
            *text,
            completed(ended["item"], said()),
            unread=[],
            **HI,
        ),
    ]


def halves() -> list[Row]:
    """Items that are incomplete in a response that is completed; phases that are no words."""
    half = said(status="incomplete")
    streamed = text_pieces("Hello")
    whole = {"object": "response", "id": "r", "status": "completed", "output": [half]}
    body = json.dumps(whole).encode()
    document = Row("whole: a half message", "openai-responses:m", body, HALF, "application/json")
    assert document.format == RESPONSES
    return [
        responses("a half message, done", *streamed, event(DONE, 0, item=half), **HALF),
        responses("a half message in the snapshot", *streamed, completed(half), **HALF),
        responses(
            "a half message that is whole in the snapshot",
            event(DONE, 0, item=half),
            completed(said(status="completed")),
            **HI,
        ),
        responses(
            "a half call",
            event(DONE, 0, item=asked('{"a":', status="incomplete")),
            calls=[{"name": "get", "complete": False}],
            finish="length",
        ),
        document,
        responses(
            "a phase that is a list",
            event(DONE, 0, item=said(phase=["final_answer"])),
            unread=["output.message.phase"],
            **HI,
        ),
        responses("a phase that is a number", event(DONE, 0, item=said(phase=1)), unread=[], **HI),
    ]


def quoted() -> list[Row]:
    """Arguments that are encoded twice: JSON in a JSON text."""
    call = asked("", id="f1", call_id="c1")
    pieces = [
        event("function_call_arguments.delta", 0, item_id="f1", delta=text)
        for text in (QUOTED[:4], QUOTED[4:])
    ]
    done = event("function_call_arguments.done", 0, item_id="f1", arguments=QUOTED)
    begun = event(ADDED, 0, item=call)
    return [
        responses("twice encoded", event(DONE, 0, item=asked(QUOTED)), **CALL),
        responses("twice encoded, in deltas", begun, *pieces, **CALL),
        responses("twice encoded, in deltas and dones", begun, *pieces, done, **CALL),
        responses("twice encoded, in the snapshot", completed(asked(QUOTED)), **CALL),
        responses(
            "twice encoded in deltas alone",
            begun,
            *pieces,
            event(DONE, 0, item={**call, "arguments": WHOLE}),
            **CALL,
        ),
        chat("twice encoded", piece(QUOTED, id="x", name="get"), **CALL),
        chat(
            "twice encoded, in pieces",
            piece("", id="x", name="get"),
            *map(piece, (QUOTED[:1], QUOTED[1:5], QUOTED[5:])),
            **CALL,
        ),
        chat(
            "thrice encoded",
            piece(json.dumps(QUOTED), id="x", name="get"),
            **CALL,
        ),
        chat(
            "two calls, twice encoded",
            piece(QUOTED, 0, id="x", name="get"),
            piece(json.dumps('{"a":2}'), 1, id="y", name="get"),
            **TWO,
        ),
        chat(
            "arguments that are a text",
            piece('"hello"', id="x", name="get"),
            calls=[{"name": "get", "arguments": '"hello"', "complete": False}],
        ),
        chat(
            "a custom tool's text in quotes",
            piece(None, id="x", custom={"name": "py", "input": QUOTED}, type="custom"),
            calls=[{"name": "py", "arguments": QUOTED}],
        ),
        messages(
            "twice encoded",
            tool(),
            add(0, "input_json", QUOTED[:3]),
            add(0, "input_json", QUOTED[3:]),
            stop(0),
            **CALL,
        ),
        messages("twice encoded, at the start", tool(input=QUOTED), stop(0), **CALL),
    ]


def grown() -> list[Row]:
    """Chat: a call that is told again as a whole, with more in it."""
    begun = piece(WHOLE, id="x", name="get")
    return [
        chat("a call that grows, named", begun, piece(GROWN, id="x", name="get"), **GREW),
        chat("a call that grows, by its id", begun, piece(GROWN, id="x"), **GREW),
        chat("a call that grows, by its index", begun, piece(GROWN), **GREW),
        chat(
            "a call that grows three times",
            begun,
            piece(GROWN, id="x"),
            piece('{"a":1,"b":2,"c":{"d":"e"}}', id="x"),
            piece('{"a":1,"b":2,"c":{"d":"ef"}}', id="x"),
            **called(("get", {"a": 1, "b": 2, "c": {"d": "ef"}})),
        ),
        chat(
            "a text in arguments that grows",
            piece('{"a":"x"}', id="x", name="get"),
            piece('{"a":"xy"}', id="x", name="get"),
            **called(("get", {"a": "xy"})),
        ),
        chat(
            "a call that grows, and is told again",
            begun,
            piece(GROWN, id="x", name="get"),
            piece(GROWN, id="x", name="get"),
            **GREW,
        ),
        chat(
            "another call under that id",
            begun,
            piece('{"a":2}', id="x", name="get"),
            **TWO,
        ),
        chat(
            "two calls that grow",
            piece(WHOLE, 0, id="x", name="get"),
            piece(GROWN, 0, id="x", name="get"),
            piece(WHOLE, 1, id="y", name="get"),
            piece('{"a":1,"c":3}', 1, id="y", name="get"),
            **called(("get", {"a": 1, "b": 2}), ("get", {"a": 1, "c": 3})),
        ),
    ]


def grown_elsewhere() -> list[Row]:
    """Messages and Responses: arguments that are told again as a whole, with more in them."""
    call = asked("", id="f1", call_id="c1")
    begun = event(ADDED, 0, item=call)
    deltas = [
        event("function_call_arguments.delta", 0, item_id="f1", delta=text)
        for text in (WHOLE, GROWN)
    ]
    whole = event(DONE, 0, item={**call, "arguments": GROWN})
    pieces = [add(0, "input_json", text) for text in (WHOLE, GROWN)]
    block = {"type": "tool_use", "id": "t", "name": "get", "input": json.loads(GROWN)}
    return [
        responses("deltas that are the whole, which grows", begun, *deltas, **GREW),
        responses("deltas that are the whole, and their done", begun, *deltas, whole, **GREW),
        responses("a done that has more", begun, deltas[0], whole, **GREW),
        responses("a snapshot that has more", begun, deltas[0], completed(whole["item"]), **GREW),
        responses(
            "a done with other arguments",
            begun,
            deltas[0],
            event("function_call_arguments.done", 0, item_id="f1", arguments='{"a":9}'),
            unread=["arguments"],
            **CALL,
        ),
        messages("input that is the whole, which grows", tool(), *pieces, stop(0), **GREW),
        messages("a stop that has more", tool(), pieces[0], stop(0, content_block=block), **GREW),
    ]


def refused() -> list[Row]:
    """Messages: what is said of a refusal, in each of its places."""
    details = {"type": "refusal", "category": "cyber", "explanation": "It asks for malware."}
    expect = {"finish": "refusal", "stop_details": details, "unread": []}
    delta = {"stop_reason": "refusal", "stop_details": details}
    usage = {"output_tokens": 5}
    end = {"type": "message_delta", "delta": delta, "usage": usage}
    stopped = {"type": "message_stop"}
    text = (begin(0, type="text", text="I can"), stop(0))
    message = {
        "type": "message",
        "role": "assistant",
        "content": [{"type": "text", "text": "I can"}],
    }
    body = json.dumps({**message, **delta}).encode()
    return [
        Row("a refusal's details", "anthropic:m", frames([START, *text, end, stopped]), expect),
        Row("a refusal's details, alone", "anthropic:m", frames([START, end, stopped]), expect),
        Row(
            "a refusal's details at the top",
            "anthropic:m",
            frames([START, *text, {"type": "message_delta", **delta}, stopped]),
            expect,
        ),
        Row("whole: a refusal's details", "anthropic:m", body, expect, "application/json"),
        Row(
            "a refusal's details that are words",
            "anthropic:m",
            frames([START, *text, {**end, "delta": {**delta, "stop_details": "cyber"}}, stopped]),
            {"finish": "refusal", "unread": ["stop_details"]},
        ),
    ]


def other_names() -> list[Row]:
    """Messages: usage by OpenAI's names. All formats: an error in capitals, as AWS writes it."""
    counts = {"prompt_tokens": 30, "completion_tokens": 4}
    end = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": counts}
    text = (begin(0, type="text", text="Hello"), stop(0))
    read = {"usage": {"input_tokens": 30, "output_tokens": 4}, **HI}
    both = {**end, "usage": {**counts, "input_tokens": 10, "output_tokens": 5}}
    stopped = {"type": "message_stop"}
    return [
        Row("usage by OpenAI's names", "anthropic:m", frames([START, *text, end, stopped]), read),
        Row(
            "usage by both names",
            "anthropic:m",
            frames([START, *text, both, stopped]),
            {"usage": {"input_tokens": 10, "output_tokens": 5}, **HI},
        ),
        *(
            Row(
                "an error in capitals",
                f"{provider}:m",
                frames([{"Message": "Rate exceeded", "Code": "Throttling"}]),
                {"error": "rate_limit"},
            )
            for provider in ("openai", "openai-responses", "anthropic")
        ),
    ]


def unfinished_rows() -> list[Row]:
    """All of them."""
    return [
        *hosted(),
        *halves(),
        *quoted(),
        *grown(),
        *grown_elsewhere(),
        *refused(),
        *other_names(),
    ]
