"""Neighbours of the reports in Cohere's `/v2/chat`, a few for each kind."""

from __future__ import annotations

import json
from typing import Any

from tests.wire.wild.row import CALL, JSON, WHOLE, Frame, Row, frames

MODEL = "cohere:m"
HELLO = {"text": "Hello", "finish": "stop"}
NOTHING = {"error": "protocol", "code": "not_understood"}
USAGE = {"tokens": {"input_tokens": 10, "output_tokens": 5}}
COUNTED = {"usage": {"input_tokens": 10, "output_tokens": 5}}
START = {"type": "message-start", "id": "c1", "delta": {"message": {"role": "assistant"}}}


def event(kind: str, index: Any = None, **message: Any) -> Frame:
    """One event."""
    place = {} if index is None else {"index": index}
    return {"type": kind, **place, "delta": {"message": message}}


def begin(index: Any = 0, **content: Any) -> Frame:
    """A block's start."""
    return event("content-start", index, content={"type": "text", "text": "", **content})


def add(text: Any, index: Any = 0, member: str = "text") -> Frame:
    """A block's delta."""
    return event("content-delta", index, content={member: text})


def stop(index: Any = 0) -> Frame:
    """A block's end."""
    return {"type": "content-end", "index": index}


def tool(arguments: Any = "", index: Any = 0, *, name: Any = "get", id: Any = "x") -> Frame:
    """A call's start."""
    given = {} if id == "none" else {"id": id}
    function = {"name": name, "arguments": arguments}
    return event(
        "tool-call-start", index, tool_calls={**given, "type": "function", "function": function}
    )


def piece(arguments: Any, index: Any = 0, **more: Any) -> Frame:
    """A call's delta."""
    return event(
        "tool-call-delta", index, tool_calls={"function": {"arguments": arguments, **more}}
    )


def over(index: Any = 0) -> Frame:
    """A call's end."""
    return {"type": "tool-call-end", "index": index}


def last(reason: Any = "COMPLETE", **more: Any) -> Frame:
    """The end of a message."""
    return {"type": "message-end", "delta": {"finish_reason": reason, **more}}


SAID = (begin(), add("Hel"), add("lo"), stop())


def cohere(name: str, *payloads: Frame, end: Frame | None = None, **expect: Any) -> Row:
    """An answer: these events, and their end."""
    return Row(name, MODEL, frames([START, *payloads, end or last()]), expect)


def body(name: str, data: bytes, *, content_type: str = "text/event-stream", **expect: Any) -> Row:
    """An answer of just these bytes."""
    return Row(name, MODEL, data, expect, content_type)


def words() -> list[Row]:
    """Blocks that begin twice or never, that are null or nobody's, and messages told again."""
    text = {"type": "text", "text": "Hello"}
    whole = {"role": "assistant", "content": [text]}
    thought = {"type": "thinking", "thinking": "hm"}
    call = {"id": "x", "type": "function", "function": {"name": "get", "arguments": WHOLE}}
    full = {"role": "assistant", "content": [thought, text], "tool_calls": [call]}
    expected = CALL | {"text": "Hello", "reasoning": "hm"}
    return [
        cohere("deltas without a start", add("Hel"), add("lo"), **HELLO),
        cohere("deltas without an index", begin(None), add("Hel", None), add("lo", None), **HELLO),
        cohere("a block that starts twice", begin(), begin(), add("Hello"), stop(), **HELLO),
        cohere("a text in its start", begin(text="Hello"), stop(), **HELLO),
        cohere(
            "a text in its start, and again",
            begin(text="Hello"),
            begin(text="Hello"),
            stop(),
            **HELLO,
        ),
        cohere("a text that is null", begin(text=None), add("Hel"), add(None), add("lo"), **HELLO),
        cohere("a content that is null", *SAID, event("content-delta", 0, content=None), **HELLO),
        cohere("a content that is a text", event("content-delta", 0, content="Hello"), **HELLO),
        cohere(
            "a content in a list",
            event("content-delta", 0, content=[{"text": "Hel"}, {"text": "lo"}]),
            **HELLO,
        ),
        cohere(
            "a block that is null",
            event("content-delta", 0, content=[None, {"text": "Hello"}]),
            **HELLO,
        ),
        cohere("thinking after text", *SAID, add("hm", 1, "thinking"), reasoning="hm", **HELLO),
        cohere(
            "thinking in its start",
            begin(0, type="thinking", thinking="hm", text=None),
            *(add(t, 1) for t in ("Hel", "lo")),
            reasoning="hm",
            **HELLO,
        ),
        cohere(
            "thinking and text in one block",
            event("content-delta", 0, content={"thinking": "hm", "text": "Hello"}),
            reasoning="hm",
            **HELLO,
        ),
        cohere(
            "a plan after text",
            *SAID,
            event("tool-plan-delta", tool_plan="hm"),
            reasoning="hm",
            **HELLO,
        ),
        cohere("a plan that is null", event("tool-plan-delta", tool_plan=None), *SAID, **HELLO),
        cohere("halves of a character", begin(), add("\ud83d"), add("\ude00"), text="😀"),
        cohere(
            "halves in thinking",
            add("\ud83d", 0, "thinking"),
            add("\ude00", 0, "thinking"),
            *(add(t, 1) for t in ("Hel", "lo")),
            reasoning="😀",
            **HELLO,
        ),
        cohere(
            "halves around another event",
            begin(),
            add("\ud83d"),
            {"type": "debug", "prompt": "p"},
            add("\ude00"),
            text="😀",
        ),
        cohere("the message at its start", {**START, "delta": {"message": full}}, **expected),
        cohere(
            "the message at its start, and again",
            {**START, "delta": {"message": whole}},
            *SAID,
            **HELLO,
        ),
        cohere("the message at its end", end=last(message=full), **expected),
        cohere("the message again at its end", *SAID, end=last(message=whole), unread=[], **HELLO),
        cohere("the text alone at its end", end=last(message={"content": "Hello"}), **HELLO),
        cohere("the text again at its end", *SAID, end=last(message={"content": "Hello"}), **HELLO),
        cohere(
            "a call at the end",
            *SAID,
            end=last(message={"tool_calls": [call]}),
            **CALL | {"text": "Hello"},
        ),
        cohere(
            "a call again at the end",
            tool(WHOLE),
            over(),
            end=last(message={"tool_calls": [call]}),
            **CALL,
        ),
        cohere("the end has more words", begin(), add("Hel"), end=last(message=whole), **HELLO),
        cohere("the message starts twice", START, *SAID, **HELLO),
        cohere("an error's words at the end", *SAID, end=last(message="fine"), **HELLO),
        cohere("no message in the start", {"type": "message-start"}, *SAID, **HELLO),
        cohere(
            "a delta that is null",
            *SAID,
            {"type": "content-delta", "index": 0, "delta": None},
            **HELLO,
        ),
        cohere(
            "a citation that is null",
            *SAID,
            event("citation-start", 0, citations=None),
            sources=0,
            **HELLO,
        ),
        cohere(
            "a citation without sources",
            *SAID,
            event(
                "citation-start", 0, citations={"start": 0, "end": 2, "text": "He", "sources": None}
            ),
            sources=1,
            **HELLO,
        ),
        cohere(
            "a source that is null",
            *SAID,
            event("citation-start", 0, citations={"start": 0, "end": 2, "sources": [None]}),
            **HELLO,
        ),
        cohere(
            "citations in a list",
            *SAID,
            event(
                "citation-start", 0, citations=[{"start": 0, "end": 2, "sources": [{"id": "d"}]}]
            ),
            sources=1,
            **HELLO,
        ),
        cohere(
            "a citation before its text",
            event("citation-start", 0, citations={"start": 0, "end": 2, "sources": [{"id": "d"}]}),
            *SAID,
            sources=1,
            **HELLO,
        ),
        cohere(
            "a block's member that nobody knows",
            event("content-delta", 0, content={"text": "Hello", "mood": "good"}),
            unread=["content.mood"],
            **HELLO,
        ),
        cohere(
            "a delta's member that nobody knows",
            {
                "type": "content-delta",
                "index": 0,
                "delta": {
                    "message": {"content": {"text": "Hello"}, "mood": "good"},
                    "smell": "rose",
                },
            },
            unread=["delta.smell", "message.mood"],
            **HELLO,
        ),
        cohere(
            "an event's member that nobody knows",
            {**add("Hello"), "mood": "good"},
            unread=["content-delta.mood"],
            **HELLO,
        ),
        cohere(
            "an event that nobody knows",
            *SAID,
            {"type": "message-mood", "mood": "good"},
            unread=["message-mood"],
            **HELLO,
        ),
        cohere(
            "nothing but an event that nobody knows", {"type": "hologram", "shows": "me"}, **NOTHING
        ),
        cohere(
            "log probabilities", {**add("Hello"), "logprobs": {"text": "Hello"}}, unread=[], **HELLO
        ),
        cohere(
            "log probabilities in the delta",
            {
                "type": "content-delta",
                "index": 0,
                "delta": {"message": {"content": {"text": "Hello"}}, "logprobs": {"text": "Hello"}},
            },
            unread=[],
            **HELLO,
        ),
    ]


def ends() -> list[Row]:
    """Counts late, in part or odd; ends that come twice, too early, or with a word that nobody knows."""
    reasons = {
        "complete": "stop",
        "STOP_SEQUENCE": "stop",
        "stop": "stop",
        "max_tokens": "length",
        "length": "length",
        "TOOL_CALL": "tool_calls",
        "ERROR_TOXIC": "content_filter",
        "SHINY_NEW": "other",
    }
    nulls = {"tokens": {"input_tokens": None, "output_tokens": None}, "cached_tokens": None}
    return [
        *(
            cohere(f"the end {word!r}", *SAID, end=last(word), text="Hello", finish=reason)
            for word, reason in reasons.items()
        ),
        cohere("an end without a reason", *SAID, end=last(None), text="Hello", finish="unknown"),
        cohere(
            "an end that says nothing",
            *SAID,
            end={"type": "message-end"},
            text="Hello",
            finish="unknown",
        ),
        cohere(
            "a reason beside the delta",
            *SAID,
            end={"type": "message-end", "finish_reason": "MAX_TOKENS"},
            text="Hello",
            finish="length",
        ),
        cohere("a failure", *SAID, end=last("ERROR"), text="Hello", error="server"),
        cohere(
            "an error at the end",
            *SAID,
            end=last("ERROR", error="Rate limit exceeded"),
            text="Hello",
            error="rate_limit",
        ),
        cohere("an error that is null", *SAID, end=last(error=None), **HELLO),
        cohere("nothing but an end", text="", finish="stop"),
        cohere("counts", *SAID, end=last(usage=USAGE), **HELLO, **COUNTED),
        cohere(
            "counts that are billed alone",
            *SAID,
            end=last(usage={"billed_units": USAGE["tokens"]}),
            **HELLO,
            **COUNTED,
        ),
        cohere(
            "whole floats",
            *SAID,
            end=last(usage={"tokens": {"input_tokens": 10.0, "output_tokens": 5.0}}),
            **HELLO,
            **COUNTED,
        ),
        cohere("counts that are null", *SAID, end=last(usage=nulls), **HELLO),
        cohere(
            "counts that are null beside billed ones",
            *SAID,
            end=last(usage={**nulls, "billed_units": USAGE["tokens"]}),
            **HELLO,
            **COUNTED,
        ),
        cohere(
            "one count",
            *SAID,
            end=last(usage={"tokens": {"output_tokens": 5}}),
            usage={"input_tokens": None, "output_tokens": 5},
            **HELLO,
        ),
        cohere(
            "one count, the other is billed",
            *SAID,
            end=last(
                usage={
                    "tokens": {"output_tokens": 5},
                    "billed_units": {"input_tokens": 10, "output_tokens": 4},
                }
            ),
            **HELLO,
            **COUNTED,
        ),
        cohere(
            "negative counts",
            *SAID,
            end=last(usage={"tokens": {"input_tokens": -1, "output_tokens": 5}}),
            usage={"input_tokens": None, "output_tokens": 5},
            **HELLO,
        ),
        cohere("a usage that is null", *SAID, end=last(usage=None), **HELLO),
        cohere("words for a usage", *SAID, end=last(usage="many"), **HELLO),
        cohere(
            "a usage beside the delta", *SAID, end={**last(), "usage": USAGE}, **HELLO, **COUNTED
        ),
        body("no end", frames([START, *SAID]), error="truncated", text="Hello"),
        body("an end twice", frames([START, *SAID, last(), last()]), **HELLO),
        body("text behind the end", frames([START, *SAID, last(), add("!")]), **HELLO),
    ]


def around() -> list[Row]:
    """How events come: line ends, marks, names, documents, errors."""
    said, end = frames([START, *SAID]), frames([last()])
    answer = said + end
    failed = b'{"message": "Rate limit exceeded", "id": "e1"}'
    limited = {"error": "rate_limit"}
    cut = limited | {"text": "Hello"}
    message = {"role": "assistant", "content": [{"type": "text", "text": "Hello"}]}
    whole = {"id": "c1", "finish_reason": "COMPLETE", "message": message}
    call = {"id": "x", "type": "function", "function": {"name": "get", "arguments": WHOLE}}
    asked = {**whole, "message": {"role": "assistant", "tool_calls": [call], "content": None}}
    unnamed = b"".join(
        b"data: " + json.dumps(each).encode() + b"\n\n" for each in (START, *SAID, last())
    )
    untyped = b"".join(
        b"event: %s\ndata: %s\n\n"
        % (
            each["type"].encode(),
            json.dumps({k: v for k, v in each.items() if k != "type"}).encode(),
        )
        for each in (START, *SAID, last())
    )
    lines = b"\n".join(json.dumps(each).encode() for each in (START, *SAID, last()))
    return [
        body("CRLF", answer.replace(b"\n", b"\r\n"), **HELLO),
        body("CR", answer.replace(b"\n", b"\r"), **HELLO),
        body("a byte order mark", b"\xef\xbb\xbf" + answer, **HELLO),
        body("events without names", unnamed, **HELLO),
        body("names without types", untyped, **HELLO),
        body("one line end per frame", answer.replace(b"\n\n", b"\n"), **HELLO),
        body("no line end at the end", answer.strip(), **HELLO),
        body("[DONE]", answer + b"data: [DONE]\n\n", **HELLO),
        body("[DONE] for an end", said + b"data: [DONE]\n\n", error="truncated", text="Hello"),
        body("a ping", said + b"event: ping\ndata: words\n\n" + end, **HELLO),
        body("objects on bare lines", lines, content_type="application/stream+json", **HELLO),
        body("whole", json.dumps(whole).encode(), content_type=JSON, **HELLO),
        body("whole, indented", json.dumps(whole, indent=2).encode(), content_type=JSON, **HELLO),
        body(
            "whole, with a mark",
            b"\xef\xbb\xbf" + json.dumps(whole).encode(),
            content_type=JSON,
            **HELLO,
        ),
        body("whole, with calls", json.dumps(asked).encode(), content_type=JSON, **CALL),
        body(
            "whole, without a reason",
            json.dumps({**whole, "finish_reason": None}).encode(),
            content_type=JSON,
            text="Hello",
            finish="unknown",
        ),
        body(
            "whole, with null members",
            json.dumps(
                {
                    **whole,
                    "message": {
                        **message,
                        "tool_calls": None,
                        "citations": None,
                        "tool_plan": None,
                    },
                    "usage": None,
                    "logprobs": None,
                }
            ).encode(),
            content_type=JSON,
            **HELLO,
        ),
        body("an error alone", b"data: " + failed + b"\n\n", **limited),
        body("an error behind text", said + b"data: " + failed + b"\n\n", **cut),
        body("an error by its name", said + b"event: error\ndata: " + failed + b"\n\n", **cut),
        body(
            "an error by its type",
            said + b'data: {"type": "error", "message": "Rate limit exceeded"}\n\n',
            **cut,
        ),
        body(
            "an error in a list",
            said + b"data: [" + b'{"error": {"code": 429, "message": "m"}}' + b"]\n\n",
            **cut,
        ),
        body("a bare error behind text", said + failed, **cut),
        body(
            "an error with its key",
            said + b'data: {"error": {"code": 429, "message": "m"}}\n\n',
            **cut,
        ),
        body("an error as a text", said + b'data: {"error": "Rate limit exceeded"}\n\n', **cut),
        body("an error as a detail", said + b'data: {"detail": "Rate limit exceeded"}\n\n', **cut),
        body(
            "an error in capitals",
            frames([{"Message": "Rate exceeded", "Code": "Throttling"}]),
            **limited,
        ),
        body("an error in place of an answer", failed, content_type=JSON, **limited),
        body(
            "an error beside a delta",
            frames([START, {**add("Hello"), "error": "Rate limit exceeded"}]),
            **limited,
        ),
    ]


def cohere_rows() -> list[Row]:
    """All of them."""
    return [*words(), *ends(), *around()]
