"""Neighbours of the reports in Ollama's own API, a few for each kind."""

from __future__ import annotations

import json
from typing import Any

from tests.wire.wild.row import CALL, EQUAL, JSON, TWO, WHOLE, Frame, Row, called, frames

MODEL, LINES = "ollama:m", "application/x-ndjson"
HELLO = {"text": "Hello", "finish": "stop"}
NOTHING = {"error": "protocol", "code": "not_understood"}
COUNTS = {"prompt_eval_count": 10, "eval_count": 5}
COUNTED = {"usage": {"input_tokens": 10, "output_tokens": 5}}
PICTURE = "iVBORw0KGgo="
TIME = "2026-08-04T19:58:20.563117Z"


def line(message: Any = None, **more: Any) -> Frame:
    """A line of the stream."""
    said = {} if message is None else {"message": message}
    return {"model": "m", "created_at": TIME, **said, "done": False, **more}


def say(text: Any, **more: Any) -> Frame:
    """A line with a text."""
    return line({"role": "assistant", "content": text, **more})


def entry(arguments: Any = None, name: Any = "get", index: Any = None, **more: Any) -> Frame:
    """An entry of `tool_calls`."""
    given = {} if arguments is None else {"arguments": arguments}
    place = {} if index is None else {"index": index}
    return {"function": {"name": name, **place, **given}, **more}


def asks(*entries: Any, **more: Any) -> Frame:
    """A line with calls."""
    return say("", tool_calls=list(entries), **more)


def last(message: Any = None, reason: Any = "stop", **more: Any) -> Frame:
    """The last line."""
    given = {"role": "assistant", "content": ""} if message is None else message
    return line(given, **{"done": True, "done_reason": reason, **more})


def written(*payloads: Any) -> bytes:
    """The bytes of lines."""
    return b"".join(json.dumps(payload).encode() + b"\n" for payload in payloads)


def ollama(name: str, *payloads: Frame, end: Frame | None = None, **expect: Any) -> Row:
    """An answer: these lines, and the last one."""
    return Row(name, MODEL, written(*payloads, end or last()), expect, LINES)


def body(name: str, data: bytes, *, content_type: str = LINES, **expect: Any) -> Row:
    """An answer of just these bytes."""
    return Row(name, MODEL, data, expect, content_type)


def calls() -> list[Row]:
    """Ids, names and arguments that are missing, odd, or told again."""
    one, two = entry({"a": 1}), entry({"a": 2})
    same = entry({"a": 1}, id="x")
    grown = called(("get", {"a": 1, "b": 2}))
    again = {"content": "", "tool_calls": [one]}
    return [
        ollama("two calls in one line", asks(one, two), **TWO),
        ollama("two calls in two lines", asks(one), asks(two), **TWO),
        ollama("equal calls in one line", asks(one, one), **EQUAL),
        ollama("equal calls in two lines", asks(one), asks(one), **EQUAL),
        ollama("a call told again by its id", asks(same), asks(same), **CALL),
        ollama("a call told again by its place", *[asks(entry({"a": 1}, index=0))] * 2, **CALL),
        ollama("a call told again at the end", asks(one), end=last(again), **CALL),
        ollama(
            "a call at the end alone", say("Hello"), end=last(again), **CALL | {"text": "Hello"}
        ),
        ollama(
            "an id late",
            asks(entry({"a": 1}, index=0)),
            asks(entry({"a": 1}, index=0, id="x")),
            **CALL,
        ),
        ollama("calls that are told from the first on", asks(one), asks(one, two), **TWO),
        ollama("one id, other arguments", asks(same), asks(entry({"a": 2}, id="x")), **TWO),
        ollama("one id, in one line", asks(same, entry({"a": 2}, id="x")), **TWO),
        ollama("a placeholder, by its id", asks(entry({}, id="x")), asks(same), **CALL),
        ollama(
            "a placeholder, by its place",
            asks(entry({}, index=0)),
            asks(entry({"a": 1}, index=0)),
            **CALL,
        ),
        ollama(
            "a call that grows, by its id",
            asks(same),
            asks(entry({"a": 1, "b": 2}, id="x")),
            **grown,
        ),
        ollama(
            "a call that grows, by its place",
            asks(entry({"a": 1}, index=0)),
            asks(entry({"a": 1, "b": 2}, index=0)),
            **grown,
        ),
        ollama(
            "a text in arguments that grows",
            *(asks(entry({"a": "xyz"[:n]}, id="x")) for n in (1, 2, 3)),
            **called(("get", {"a": "xyz"})),
        ),
        ollama("arguments as JSON text", asks(entry(WHOLE)), **CALL),
        ollama("arguments twice encoded", asks(entry(json.dumps(WHOLE))), **CALL),
        ollama(
            "arguments that are null",
            asks({"function": {"name": "get", "arguments": None}}),
            **called(("get", {})),
        ),
        ollama("no arguments", asks({"function": {"name": "get"}}), **called(("get", {}))),
        ollama('arguments that are ""', asks(entry("")), **called(("get", {}))),
        ollama(
            "arguments that are a list",
            asks(entry([1])),
            calls=[{"name": "get", "arguments": "[1]", "complete": False}],
        ),
        ollama(
            "arguments that are no JSON",
            asks(entry("oops")),
            calls=[{"name": "get", "arguments": "oops", "complete": False}],
        ),
        ollama("an id that is null", asks(entry({"a": 1}, id=None)), **CALL),
        ollama("ids that are empty", asks(entry({"a": 1}, id=""), entry({"a": 2}, id="")), **TWO),
        ollama(
            "one place for two calls",
            asks(entry({"a": 1}, index=0), entry({"a": 2}, index=0)),
            **TWO,
        ),
        ollama(
            "one place in two lines",
            asks(entry({"a": 1}, index=0)),
            asks(entry({"a": 2}, index=0)),
            **TWO,
        ),
        ollama(
            "a call without a name",
            say("Hello"),
            asks(entry({"a": 1}, name=None)),
            calls=[],
            **HELLO,
        ),
        ollama(
            'a call named "null" and nothing else',
            asks(entry({"a": 1}, name="null")),
            error="invalid_output",
        ),
        ollama("an empty entry", say("Hello"), asks({}), calls=[], **HELLO),
        ollama("an entry that is null", say("Hello"), asks(None), calls=[], **HELLO),
        ollama(
            "a call that is null", say("Hello", tool_calls=[{"function": None}]), calls=[], **HELLO
        ),
        ollama("calls that are null", say("Hello", tool_calls=None), calls=[], **HELLO),
        ollama("no calls", say("Hello", tool_calls=[]), calls=[], **HELLO),
        ollama("one call, not in a list", say("", tool_calls=one), **CALL),
        ollama("a call without its function", asks({"name": "get", "arguments": {"a": 1}}), **CALL),
        ollama(
            "a call of chat's",
            asks(
                {
                    "id": "x",
                    "type": "function",
                    "index": 0,
                    "function": {"name": "get", "arguments": WHOLE},
                }
            ),
            **CALL,
        ),
        ollama("a call before text", asks(one), say("Hello"), **CALL | {"text": "Hello"}),
        ollama("a call beside text", say("Hello", tool_calls=[one]), **CALL | {"text": "Hello"}),
        ollama("a call beside thinking", asks(one, thinking="hm"), **CALL | {"reasoning": "hm"}),
        ollama(
            "a call at the limit",
            asks(one),
            end=last(reason="length"),
            calls=[{"name": "get", "complete": True}],
            finish="length",
        ),
        ollama(
            "a function_call",
            say("", function_call={"name": "get", "arguments": {"a": 1}}),
            error="protocol",
            code="not_understood",
        ),
    ]


def words() -> list[Row]:
    """Text and thinking, told again, in odd places, null."""
    nulls = dict.fromkeys(("thinking", "images", "tool_calls", "tool_name"))
    whole = {"role": "assistant", "content": "Hello"}
    return [
        ollama("the last line tells all again", say("Hel"), say("lo"), end=last(whole), **HELLO),
        ollama("the last line tells all alone", end=last(whole), **HELLO),
        ollama("the last line tells the rest", say("Hel"), end=last({"content": "lo"}), **HELLO),
        ollama(
            "the last line tells the thinking again",
            say("", thinking="hm"),
            say("Hello"),
            end=last({**whole, "thinking": "hm"}),
            reasoning="hm",
            **HELLO,
        ),
        ollama(
            "the last line without a message",
            say("Hello"),
            end={"done": True, "done_reason": "stop"},
            **HELLO,
        ),
        ollama(
            "thinking after text", say("Hello"), say("", thinking="hm"), reasoning="hm", **HELLO
        ),
        ollama("thinking beside text", say("Hello", thinking="hm"), reasoning="hm", **HELLO),
        ollama(
            "reasoning by chat's name",
            say("", reasoning_content="hm"),
            say("Hello"),
            unread=["message.reasoning_content"],
            **HELLO,
        ),
        ollama("members that are null", say("Hello", **nulls), **HELLO),
        ollama("a content that is null", say("Hel"), say(None), say("lo"), **HELLO),
        ollama(
            "a message that is null", say("Hel"), {**line(), "message": None}, say("lo"), **HELLO
        ),
        ollama("an empty message", say("Hel"), line({}), say("lo"), **HELLO),
        ollama("an empty object", say("Hel"), {}, say("lo"), **HELLO),
        ollama("a content in a list", say([{"type": "text", "text": "Hello"}]), error="protocol"),
        ollama("halves of a character", say("\ud83d"), say("\ude00"), text="😀"),
        ollama(
            "halves in thinking",
            say("", thinking="\ud83d"),
            say("", thinking="\ude00"),
            say("Hello"),
            reasoning="😀",
            **HELLO,
        ),
        ollama(
            "halves around a line without text", say("\ud83d"), line({}), say("\ude00"), text="😀"
        ),
        ollama(
            "an answer of generate",
            {"response": "Hel", "done": False},
            {"response": "lo", "done": False},
            end={"response": "", "done": True, "done_reason": "stop"},
            **HELLO,
        ),
        ollama(
            "generate tells all again",
            {"response": "Hel", "done": False},
            {"response": "lo", "done": False},
            end={"response": "Hello", "done": True, "done_reason": "stop"},
            **HELLO,
        ),
        ollama(
            "thinking of generate",
            {"response": "", "thinking": "hm", "done": False},
            {"response": "Hello", "done": False},
            reasoning="hm",
            **HELLO,
        ),
        ollama(
            "a response that is null",
            say(
                "Hello",
            ),
            {"response": None, "done": False},
            **HELLO,
        ),
        ollama("a picture", say("", images=[PICTURE]), files=1),
        ollama(
            "a picture twice", say("", images=[PICTURE]), end=last({"images": [PICTURE]}), files=1
        ),
        ollama("a picture that is null", say("Hello", images=[None]), files=0, **HELLO),
        ollama(
            "a message's member that nobody knows",
            say("Hello", mood="good"),
            unread=["message.mood"],
            **HELLO,
        ),
        ollama(
            "a member that nobody knows", {**say("Hello"), "mood": "good"}, unread=["mood"], **HELLO
        ),
        ollama(
            "a line that nobody knows",
            say("Hello"),
            {"hologram": {"shows": "me"}},
            unread=["hologram"],
            **HELLO,
        ),
        ollama(
            "nothing but a line that nobody knows",
            {"hologram": {"shows": "me"}},
            end={"done": True},
            **NOTHING,
        ),
        ollama(
            "log probabilities",
            {**say("Hello"), "logprobs": [{"token": "Hello", "logprob": -1}]},
            unread=[],
            **HELLO,
        ),
    ]


def ends() -> list[Row]:
    """Counts late, in part or odd; ends that come twice, too early, or with a word that nobody knows."""
    reasons = {
        "STOP": "stop",
        "length": "length",
        "max_tokens": "length",
        "tool_calls": "tool_calls",
        "content_filter": "content_filter",
        "shiny_new": "other",
    }
    hello = say("Hello")

    def counted(**counts: Any) -> Frame:
        return last(**counts)

    return [
        *(
            ollama(f"the end {word!r}", hello, end=last(reason=word), text="Hello", finish=reason)
            for word, reason in reasons.items()
        ),
        ollama(
            "an end without a reason",
            hello,
            end={**last(), "done_reason": None},
            text="Hello",
            finish="unknown",
        ),
        ollama('a reason that is ""', hello, end=last(reason=""), text="Hello", finish="unknown"),
        ollama(
            "a reason before the end",
            {**hello, "done_reason": "length"},
            end={"done": True},
            text="Hello",
            finish="length",
        ),
        ollama("a failure", hello, end=last(reason="error"), text="Hello", error="server"),
        ollama("a done that is null", {**hello, "done": None}, **HELLO),
        body("an end twice", written(hello, last(), last()), **HELLO),
        body("text behind the end", written(hello, last(), say("!")), **HELLO),
        body("no end", written(hello), error="truncated", text="Hello"),
        body("nothing but an end", written(last()), text="", finish="stop"),
        ollama("counts", hello, end=counted(**COUNTS), **HELLO, **COUNTED),
        ollama(
            "counts in each line",
            {**hello, "prompt_eval_count": 10, "eval_count": 1},
            end=counted(**COUNTS),
            **HELLO,
            **COUNTED,
        ),
        ollama(
            "counts that become null",
            {**hello, **COUNTS},
            end=counted(**dict.fromkeys(COUNTS)),
            **HELLO,
            **COUNTED,
        ),
        ollama(
            "negative counts",
            {**hello, **COUNTS},
            end=counted(**dict.fromkeys(COUNTS, -1)),
            **HELLO,
            **COUNTED,
        ),
        ollama(
            "whole floats",
            hello,
            end=counted(prompt_eval_count=10.0, eval_count=5.0),
            **HELLO,
            **COUNTED,
        ),
        ollama(
            "one count",
            hello,
            end=counted(eval_count=5),
            usage={"input_tokens": None, "output_tokens": 5},
            **HELLO,
        ),
        ollama(
            "words for counts",
            hello,
            end=counted(prompt_eval_count="ten", eval_count=5),
            usage={"input_tokens": None, "output_tokens": 5},
            **HELLO,
        ),
        body(
            "a cut after a count",
            written({**hello, **COUNTS}),
            error="truncated",
            text="Hello",
            **COUNTED,
        ),
    ]


def around() -> list[Row]:
    """How lines come: line ends, marks, events, documents, errors."""
    hello, end = say("Hello"), last()
    said = written(hello)
    answer = said + written(end)
    failed = {"error": "Rate limit exceeded"}
    limited = {"error": "rate_limit"}
    cut = limited | {"text": "Hello"}
    whole = last({"role": "assistant", "content": "Hello"})
    events = frames([hello, end])
    return [
        body("CRLF", answer.replace(b"\n", b"\r\n"), **HELLO),
        body("a byte order mark", b"\xef\xbb\xbf" + answer, **HELLO),
        body("blank lines", b"\n \n" + answer.replace(b"\n", b"\n\n"), **HELLO),
        body("no line end at the end", answer.strip(), **HELLO),
        body("events", events, content_type="text/event-stream", **HELLO),
        body("events with [DONE]", events + b"data: [DONE]\n\n", **HELLO),
        body(
            "events, and [DONE] for an end",
            frames([hello]) + b"data: [DONE]\n\n",
            error="truncated",
            text="Hello",
        ),
        body("events with comments", b": alive\n\n" + events, **HELLO),
        body("events with names", b"event: message\n" + events, **HELLO),
        body("lines and [DONE]", answer + b"[DONE]\n", **HELLO),
        body("an empty body", b"", error="truncated"),
        body("whole", json.dumps(whole).encode(), content_type=JSON, **HELLO),
        body("whole, indented", json.dumps(whole, indent=2).encode(), content_type=JSON, **HELLO),
        body(
            "whole, with a mark",
            b"\xef\xbb\xbf" + json.dumps(whole).encode(),
            content_type=JSON,
            **HELLO,
        ),
        body(
            "whole, with calls",
            json.dumps(last({"content": "", "tool_calls": [entry({"a": 1})]})).encode(),
            content_type=JSON,
            **CALL,
        ),
        body("an error alone", written(failed), **limited),
        body("an error behind text", said + written(failed), **cut),
        body("an error without a line end", said + written(failed).strip(), **cut),
        body("an error behind the end", answer + written(failed), **HELLO),
        body("an error in the last line", said + written({**end, **failed}), **cut),
        body("an error beside a message", written({**hello, **failed}), **limited),
        body(
            "an error in an object",
            said + written({"error": {"message": "Slow down", "code": 429}}),
            **cut,
        ),
        body("an error that is null", written({**hello, "error": None}, end), **HELLO),
        body('an error that is ""', written({**hello, "error": ""}, end), **HELLO),
        body(
            "an error by its name", said + b"event: error\ndata: " + written(failed) + b"\n", **cut
        ),
        body("an error in a list", said + b"[" + written(failed).strip() + b"]\n", **cut),
        body(
            "an error in capitals",
            written({"Message": "Rate exceeded", "Code": "Throttling"}),
            **limited,
        ),
        body("an error as a detail", written({"detail": "Rate limit exceeded"}), **limited),
        body(
            "an error in place of an answer",
            json.dumps(failed).encode(),
            content_type=JSON,
            **limited,
        ),
        body(
            "an error, indented",
            json.dumps(failed, indent=2).encode(),
            content_type=JSON,
            **limited,
        ),
    ]


def ollama_rows() -> list[Row]:
    """All of them."""
    return [*calls(), *words(), *ends(), *around()]
