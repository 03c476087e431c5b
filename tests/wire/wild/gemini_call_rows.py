"""Neighbours in Gemini's generateContent: calls, their pieces, and thoughts."""

from __future__ import annotations

import json
from typing import Any

from tests.wire.wild.gemini_rows import (
    COUNTS,
    HELLO,
    SIGNATURE,
    STOP,
    THOUGHT,
    call,
    chunk,
    gemini,
    piece,
    say,
)
from tests.wire.wild.row import CALL, EQUAL, TWO, Frame, Row, called


def calls() -> list[Row]:
    """Ids, names and arguments that are missing, odd, or told again."""
    one, two = call({"a": 1}), call({"a": 2})
    named = {"id": "x"}
    return [
        gemini("two calls without ids", chunk(one, two), **TWO),
        gemini("two calls without ids, apart", chunk(one), chunk(two), **TWO),
        gemini("equal calls without ids", chunk(one, one), **EQUAL),
        gemini(
            "a call told again by its id",
            chunk(call({"a": 1}, **named)),
            chunk(call({"a": 1}, **named)),
            **CALL,
        ),
        gemini(
            "one id, other arguments",
            chunk(call({"a": 1}, **named), call({"a": 2}, **named)),
            **TWO,
        ),
        gemini(
            "a call told again at its end",
            chunk(call({"a": 1}, **named)),
            say("Hello"),
            chunk(call({"a": 1}, **named), finish="STOP"),
            **CALL | {"text": "Hello"},
        ),
        gemini(
            "a placeholder, then the arguments",
            chunk(call({}, **named)),
            chunk(call({"a": 1}, **named)),
            **CALL,
        ),
        gemini(
            "no arguments, then the arguments",
            chunk(call(**named)),
            chunk(call({"a": 1}, **named)),
            **CALL,
        ),
        gemini(
            "a call that grows",
            chunk(call({"a": 1}, **named)),
            chunk(call({"a": 1, "b": 2}, **named)),
            **called(("get", {"a": 1, "b": 2})),
        ),
        gemini(
            "a text in arguments that grows",
            *(chunk(call({"a": "xyz"[:n]}, **named)) for n in (1, 2, 3)),
            **called(("get", {"a": "xyz"})),
        ),
        gemini(
            "a name late",
            chunk(call({"a": 1}, name="", id="x")),
            chunk(call(id="x")),
            **CALL,
        ),
        gemini(
            "a name again without arguments",
            *[chunk(each) for each in (call({"a": 1}, id="x"), call(id="x"))],
            **CALL,
        ),
        gemini(
            "a signature within the call",
            chunk(call({"a": 1}, thoughtSignature=SIGNATURE)),
            noted=1,
            unread=[],
            **CALL,
        ),
        gemini("arguments as JSON text", chunk(call('{"a":1}')), **CALL),
        gemini("arguments twice encoded", chunk(call(json.dumps('{"a":1}'))), **CALL),
        gemini(
            "arguments that are null",
            chunk({"functionCall": {"name": "get", "args": None}}),
            **called(("get", {})),
        ),
        gemini(
            "arguments that are a list",
            chunk(call([1])),
            calls=[{"name": "get", "arguments": "[1]", "input": None, "complete": False}],
        ),
        gemini(
            "arguments that are no JSON",
            chunk(call("oops")),
            calls=[{"name": "get", "arguments": "oops", "complete": False}],
        ),
        gemini("an id that is null", chunk(call({"a": 1}, id=None)), **CALL),
        gemini(
            'an id that is ""', chunk(call({"a": 1}, id="")), chunk(call({"a": 2}, id="")), **TWO
        ),
        gemini(
            "a call without a name",
            say("Hello"),
            chunk(call({"a": 1}, name=None)),
            calls=[],
            **HELLO,
        ),
        gemini(
            'a call named "null" and nothing else',
            chunk(call({"a": 1}, name="null")),
            error="invalid_output",
        ),
        gemini("an empty call", say("Hello"), chunk({"functionCall": {}}), calls=[], **HELLO),
        gemini(
            "an empty call and nothing else", chunk({"functionCall": {}}), error="invalid_output"
        ),
        gemini(
            "a call that is null", chunk({"text": "Hello", "functionCall": None}), calls=[], **HELLO
        ),
        gemini(
            "a call beside a text in one part",
            chunk({"text": "Hello", **one}),
            **CALL | {"text": "Hello"},
        ),
        gemini(
            "calls in a list",
            chunk({"functionCall": [one["functionCall"], two["functionCall"]]}),
            **TWO,
        ),
        gemini("a call, then text", chunk(one), say("Hello"), **CALL | {"text": "Hello"}),
        gemini("a call behind the end", say("Hello"), STOP, chunk(one), **CALL | {"text": "Hello"}),
        gemini(
            "a call at the limit",
            chunk(one),
            end="MAX_TOKENS",
            calls=[{"name": "get", "input": {"a": 1}, "complete": True}],
        ),
        gemini(
            "an empty call at the limit",
            chunk(call()),
            end="MAX_TOKENS",
            calls=[{"name": "get", "complete": False}],
        ),
        gemini(
            "a result among the parts",
            chunk({"functionResponse": {"name": "get", "response": {"a": "x"}}}),
            say("Hello"),
            **HELLO,
            unread=["parts.functionResponse"],
        ),
    ]


def pieces() -> list[Row]:
    """Arguments in pieces."""
    start = {"functionCall": {"name": "get", "willContinue": True}}
    end: Frame = {"functionCall": {}}
    number = piece("$.a", numberValue=1)

    def by_id(id: str, part: Frame, **more: Any) -> Frame:
        return chunk({"functionCall": {**part["functionCall"], "id": id, **more}})

    return [
        gemini("pieces", chunk(start), chunk(number), chunk(end), **CALL),
        gemini(
            "pieces named each time",
            chunk(start),
            chunk({"functionCall": {**number["functionCall"], "name": "get"}}),
            chunk(end),
            **CALL,
        ),
        gemini(
            "pieces that never end",
            chunk(start),
            chunk(number),
            calls=[{"name": "get", "arguments": '{"a":1', "complete": False}],
        ),
        gemini(
            "pieces whose end is said with the last",
            chunk(start),
            chunk(piece("$.a", more=False, numberValue=1)),
            **CALL,
        ),
        gemini(
            "pieces and their whole", chunk(start), chunk(number), chunk(call({"a": 1})), **CALL
        ),
        gemini(
            "pieces and their whole, by its id",
            by_id("x", start),
            by_id("x", number),
            chunk(call({"a": 1}, id="x")),
            **CALL,
        ),
        gemini(
            "pieces that end twice", chunk(start), chunk(number), chunk(end), chunk(end), **CALL
        ),
        gemini(
            "pieces around a text",
            chunk(start),
            say("Hello"),
            chunk(number),
            chunk(end),
            **CALL | {"text": "Hello"},
        ),
        gemini(
            "pieces around a thought",
            chunk(start),
            chunk(THOUGHT),
            chunk(number),
            chunk(end),
            **CALL | {"reasoning": "hm"},
        ),
        gemini(
            "two calls in pieces by turns",
            by_id("x", start),
            by_id("y", start),
            by_id("x", number),
            by_id("y", piece("$.a", numberValue=2)),
            by_id("x", end),
            by_id("y", end),
            **TWO,
        ),
        gemini(
            "two calls in pieces by turns, no ends",
            by_id("x", start),
            by_id("y", start),
            by_id("x", number),
            by_id("y", number),
            calls=[{"name": "get", "complete": True}, {"name": "get", "complete": False}],
        ),
        gemini(
            "pieces under the id of a call that has left",
            chunk(call({}, id="x")),
            say("Hello"),
            by_id("x", start),
            by_id("x", number),
            by_id("x", end),
            text="Hello",
            calls=[{"name": "get", "input": {}}, {"name": "get", "input": {"a": 1}}],
        ),
        gemini(
            "pieces whose name comes late",
            by_id("x", number),
            by_id("x", start),
            by_id("x", end),
            **CALL,
        ),
        gemini(
            "a half character in pieces",
            chunk(start),
            chunk(piece("$.a", stringValue="\ud83d", willContinue=True)),
            chunk(piece("$.a", stringValue="\ude00")),
            chunk(end),
            **called(("get", {"a": "😀"})),
        ),
        gemini(
            "pieces that tell again",
            chunk(start),
            *(chunk(piece("$.a", stringValue="xyz"[:n], willContinue=True)) for n in (1, 2, 3)),
            chunk(end),
            **called(("get", {"a": "xxyxyz"})),
        ),
        gemini(
            "pieces of null",
            chunk(start),
            chunk(piece("$.a", nullValue="NULL_VALUE")),
            chunk(piece("$.b", nullValue=None)),
            chunk(end),
            **called(("get", {"a": None, "b": None})),
        ),
        gemini(
            "pieces that are null",
            chunk(
                {
                    "functionCall": {
                        "name": "get",
                        "args": {"a": 1},
                        "partialArgs": None,
                        "willContinue": None,
                    }
                }
            ),
            **CALL,
        ),
        gemini(
            "a signature behind the pieces",
            chunk(start),
            chunk(number),
            chunk({**end, "thoughtSignature": SIGNATURE}),
            noted=1,
            **CALL,
        ),
        gemini(
            "pieces cut by the limit",
            chunk(start),
            chunk(piece("$.a", stringValue="x", willContinue=True)),
            end="MAX_TOKENS",
            calls=[{"name": "get", "arguments": '{"a":"x', "complete": False}],
        ),
    ]


def thoughts() -> list[Row]:
    """Reasoning, and signatures, in odd places."""
    late = {"text": "", "thoughtSignature": SIGNATURE}
    return [
        gemini("a thought after the text", say("Hello"), chunk(THOUGHT), reasoning="hm", **HELLO),
        gemini(
            "a thought whose words are its mark",
            chunk({"thought": "hm"}),
            say("Hello"),
            reasoning="hm",
            unread=[],
            **HELLO,
        ),
        gemini(
            "a thought that isn't one",
            chunk({"text": "Hello", "thought": False}),
            reasoning="",
            **HELLO,
        ),
        gemini(
            "a thought that is null",
            chunk({"text": "Hello", "thought": None}),
            reasoning="",
            **HELLO,
        ),
        gemini(
            "a signed thought",
            chunk({**THOUGHT, "thoughtSignature": SIGNATURE}),
            say("Hello"),
            reasoning="hm",
            signatures=[SIGNATURE],
            **HELLO,
        ),
        gemini(
            "a signature behind its thought",
            chunk(THOUGHT),
            chunk({**late, "thought": True}),
            say("Hello"),
            reasoning="hm",
            signatures=[SIGNATURE],
            **HELLO,
        ),
        gemini(
            "a signature alone, behind all",
            say("Hello"),
            chunk({"thoughtSignature": SIGNATURE}, finish="STOP"),
            end=None,
            signed=1,
            **HELLO,
        ),
        gemini(
            "a signature behind the end",
            say("Hello"),
            STOP,
            chunk(late),
            end=None,
            signed=1,
            **HELLO,
        ),
        gemini(
            "a signature that is null",
            chunk({**call({"a": 1}), "thoughtSignature": None}),
            noted=0,
            **CALL,
        ),
        gemini(
            'a signature that is ""',
            chunk({"text": "Hello", "thoughtSignature": ""}),
            sealed=0,
            **HELLO,
        ),
        gemini(
            "a signature of a told-again call",
            chunk(call({"a": 1}, id="x")),
            chunk({**call({"a": 1}, id="x"), "thoughtSignature": SIGNATURE}),
            noted=1,
            **CALL,
        ),
        gemini("halves of a character", say("\ud83d"), say("\ude00"), text="😀"),
        gemini(
            "halves in a thought",
            say("\ud83d", thought=True),
            say("\ude00", thought=True),
            say("Hello"),
            reasoning="😀",
            **HELLO,
        ),
        gemini(
            "halves around the usage",
            say("\ud83d"),
            {"usageMetadata": COUNTS},
            say("\ude00"),
            text="😀",
        ),
    ]


def gemini_call_rows() -> list[Row]:
    """All of them."""
    return [*calls(), *pieces(), *thoughts()]
