"""Neighbours of the reports in Bedrock's Converse, a few for each kind."""

from __future__ import annotations

import json
from typing import Any

from llmstream.wire.framing.event_stream import EventStream
from tests.wire.wild.row import CALL, WHOLE, Frame, Row

MODEL, STREAM = "bedrock:m", "application/vnd.amazon.eventstream"
FRAMING = EventStream()
HELLO = {"text": "Hello", "finish": "stop"}
NOTHING = {"error": "protocol", "code": "not_understood"}
COUNTED = {"usage": {"input_tokens": 10, "output_tokens": 5}}
USAGE = {"inputTokens": 10, "outputTokens": 5, "totalTokens": 15}
SIGNATURE = "c2lnbmF0dXJl"
PICTURE = "iVBORw0KGgo="
Event = tuple[str, Frame]
START: Event = ("messageStart", {"role": "assistant"})


def begin(index: Any = 0, **start: Any) -> Event:
    """A block's start."""
    return ("contentBlockStart", {"contentBlockIndex": index, "start": start})


def tool(index: Any = 0, *, id: Any = "x", name: Any = "get", **more: Any) -> Event:
    """A call's start."""
    return begin(index, toolUse={"toolUseId": id, "name": name, **more})


def add(index: Any = 0, **delta: Any) -> Event:
    """A delta."""
    return ("contentBlockDelta", {"contentBlockIndex": index, "delta": delta})


def piece(text: Any, index: Any = 0) -> Event:
    """A delta of a call."""
    return add(index, toolUse={"input": text})


def think(text: Any = None, index: Any = 0, **more: Any) -> Event:
    """A delta of reasoning."""
    given = {} if text is None else {"text": text}
    return add(index, reasoningContent={**given, **more})


def stop(index: Any = 0) -> Event:
    """A block's end."""
    return ("contentBlockStop", {"contentBlockIndex": index})


def last(reason: Any = "end_turn", **more: Any) -> Event:
    """The end of a message."""
    return ("messageStop", {"stopReason": reason, **more})


def counted(**more: Any) -> Event:
    """What follows the end."""
    return ("metadata", {"usage": USAGE, "metrics": {"latencyMs": 1}, **more})


def exception(name: str, **said: Any) -> bytes:
    """An exception in place of an event."""
    return FRAMING.exception(json.dumps(said).encode(), name)


def written(*events: Any) -> bytes:
    """The bytes of events."""
    return b"".join(
        event
        if isinstance(event, bytes)
        else FRAMING.frame(json.dumps(event[1]).encode(), event[0])
        for event in events
    )


SAID = (add(text="Hel"), add(text="lo"), stop())


def converse(name: str, *events: Any, end: Event | None = None, **expect: Any) -> Row:
    """An answer: these events, and their end."""
    return Row(name, MODEL, written(START, *events, end or last(), counted()), expect, STREAM)


def body(name: str, data: bytes, *, content_type: str = STREAM, **expect: Any) -> Row:
    """An answer of just these bytes."""
    return Row(name, MODEL, data, expect, content_type)


def words() -> list[Row]:
    """Text and reasoning that begin twice or in odd places, that are null or nobody's."""
    signed = {"reasoning": "hm", "signatures": [SIGNATURE]}
    late = (add(1, text="Hel"), add(1, text="lo"), stop(1))
    citation = {
        "title": "A",
        "location": {"web": {"url": "https://a.example/"}},
        "sourceContent": [{"text": "c"}],
    }
    return [
        converse("a text with a start", begin(0, text=""), *SAID, **HELLO),
        converse("a start that says nothing", begin(0), *SAID, **HELLO),
        converse(
            "a start that is null",
            ("contentBlockStart", {"contentBlockIndex": 0, "start": None}),
            *SAID,
            **HELLO,
        ),
        converse("a text in its start", begin(0, text="Hello"), stop(), **HELLO),
        converse(
            "the beginning of a text in its start",
            begin(0, text="Hel"),
            add(text="lo"),
            stop(),
            **HELLO,
        ),
        converse(
            "reasoning in its start",
            begin(0, reasoningContent={"text": "hm"}),
            stop(),
            *late,
            reasoning="hm",
            **HELLO,
        ),
        converse("no indices", add(None, text="Hel"), add(None, text="lo"), stop(None), **HELLO),
        converse("no ends", add(text="Hel"), add(text="lo"), **HELLO),
        converse("an end twice", *SAID, stop(), **HELLO),
        converse("a text that is null", add(text=None), *SAID, **HELLO),
        converse("a delta that says nothing", add(), *SAID, **HELLO),
        converse(
            "a delta that is null",
            ("contentBlockDelta", {"contentBlockIndex": 0, "delta": None}),
            *SAID,
            **HELLO,
        ),
        converse("reasoning after text", *SAID, think("hm", 1), stop(1), reasoning="hm", **HELLO),
        converse("reasoning and text at one index", think("hm"), *SAID, reasoning="hm", **HELLO),
        converse(
            "reasoning and text in one delta",
            add(reasoningContent={"text": "hm"}, text="Hello"),
            reasoning="hm",
            **HELLO,
        ),
        converse(
            "reasoning that is a text", add(reasoningContent="hm"), *late, reasoning="hm", **HELLO
        ),
        converse(
            "reasoning in a reasoningText",
            add(reasoningContent={"reasoningText": {"text": "hm", "signature": SIGNATURE}}),
            stop(),
            *late,
            **signed,
            **HELLO,
        ),
        converse("reasoning that is null", add(reasoningContent=None), *SAID, **HELLO),
        converse(
            "a signature", think("hm"), think(signature=SIGNATURE), stop(), *late, **signed, **HELLO
        ),
        converse(
            "a signature in pieces",
            think("hm"),
            think(signature=SIGNATURE[:5]),
            think(signature=SIGNATURE[5:]),
            stop(),
            *late,
            **signed,
            **HELLO,
        ),
        converse(
            "a signature beside its words",
            think("hm", signature=SIGNATURE),
            stop(),
            *late,
            **signed,
            **HELLO,
        ),
        converse(
            "a signature behind the end of its block",
            think("hm"),
            stop(),
            think(signature=SIGNATURE),
            stop(),
            *late,
            **signed,
            **HELLO,
        ),
        converse(
            "a signature behind the text",
            think("hm"),
            *late,
            think(signature=SIGNATURE),
            stop(),
            **signed,
            **HELLO,
        ),
        converse(
            "a signature that is null",
            think("hm", signature=None),
            stop(),
            *late,
            signatures=[],
            reasoning="hm",
            **HELLO,
        ),
        converse(
            "reasoning that goes on behind the text",
            think("hm"),
            think(signature=SIGNATURE),
            add(1, text="Hello"),
            think("!"),
            think(signature=SIGNATURE),
            reasoning="hm!",
            signatures=[SIGNATURE, SIGNATURE],
            **HELLO,
        ),
        converse(
            "redacted reasoning", think(redactedContent="eA=="), stop(), *late, sealed=1, **HELLO
        ),
        converse(
            "redacted reasoning in pieces",
            think(redactedContent="eA=="),
            think(redactedContent="eQ=="),
            stop(),
            *late,
            sealed=1,
            **HELLO,
        ),
        converse("halves of a character", add(text="\ud83d"), add(text="\ude00"), text="😀"),
        converse(
            "halves in reasoning",
            think("\ud83d"),
            think("\ude00"),
            stop(),
            *late,
            reasoning="😀",
            **HELLO,
        ),
        converse(
            "halves around a ping", add(text="\ud83d"), ("ping", {}), add(text="\ude00"), text="😀"
        ),
        converse("no start of the message", *SAID, **HELLO),
        converse("the message starts twice", START, *SAID, **HELLO),
        converse("a citation", *SAID[:2], add(citation=citation), stop(), sources=1, **HELLO),
        converse(
            "a citation that is null", *SAID[:2], add(citation=None), stop(), sources=0, **HELLO
        ),
        converse(
            "a citation of nulls",
            *SAID[:2],
            add(citation=dict.fromkeys(citation)),
            stop(),
            sources=1,
            **HELLO,
        ),
        converse(
            "a citation with nulls in it",
            *SAID[:2],
            add(citation={**citation, "sourceContent": [None], "location": {"web": None}}),
            stop(),
            sources=1,
            **HELLO,
        ),
        converse(
            "a citation in a list", *SAID[:2], add(citation=[citation]), stop(), sources=1, **HELLO
        ),
        converse(
            "a picture",
            begin(0, image={"format": "png"}),
            add(image={"source": {"bytes": PICTURE}}),
            stop(),
            files=1,
        ),
        converse(
            "a picture without a start", add(image={"source": {"bytes": PICTURE}}), stop(), files=1
        ),
        converse(
            "a picture in its start",
            begin(0, image={"format": "png", "source": {"bytes": PICTURE}}),
            stop(),
            files=1,
        ),
        converse(
            "a picture without bytes",
            *SAID,
            begin(1, image={"format": "png"}),
            stop(1),
            files=0,
            **HELLO,
        ),
        converse(
            "a delta that nobody knows",
            *SAID,
            add(1, smell={"of": "rose"}),
            unread=["delta.smell"],
            **HELLO,
        ),
        converse(
            "a start that nobody knows",
            *SAID,
            begin(1, hologram={"shows": "me"}),
            unread=["start.hologram"],
            **HELLO,
        ),
        converse(
            "an event that nobody knows",
            *SAID,
            ("messageMood", {"mood": "good"}),
            unread=["messageMood"],
            **HELLO,
        ),
        converse(
            "a member that nobody knows",
            (
                "contentBlockDelta",
                {"contentBlockIndex": 0, "delta": {"text": "Hello"}, "mood": "good"},
            ),
            unread=["contentBlockDelta.mood"],
            **HELLO,
        ),
        converse(
            "a reasoning's member that nobody knows",
            think("hm", mood="good"),
            stop(),
            *late,
            unread=["reasoningContent.mood"],
            reasoning="hm",
            **HELLO,
        ),
        converse(
            "a call's member that nobody knows",
            tool(mood="good"),
            piece(WHOLE),
            stop(),
            unread=["toolUse.mood"],
            **CALL,
        ),
        converse(
            "nothing but an event that nobody knows", ("hologram", {"shows": "me"}), **NOTHING
        ),
    ]


def ends() -> list[Row]:
    """Counts late, in part or odd; ends that come twice, too early, or with a word that nobody knows."""
    reasons = {
        "END_TURN": "stop",
        "stop_sequence": "stop",
        "stop": "stop",
        "max_tokens": "length",
        "length": "length",
        "tool_use": "tool_calls",
        "guardrail_intervened": "content_filter",
        "shiny_new": "other",
    }

    def answer(name: str, *events: Any, **expect: Any) -> Row:
        return Row(name, MODEL, written(START, *SAID, *events), {"text": "Hello", **expect}, STREAM)

    stopped = {"finish": "stop"}
    return [
        *(
            answer(f"the end {word!r}", last(word), counted(), finish=reason)
            for word, reason in reasons.items()
        ),
        answer("an end without a reason", last(None), counted(), finish="unknown"),
        answer("an end that says nothing", ("messageStop", {}), counted(), finish="unknown"),
        answer("a failure", last("malformed_model_output"), counted(), error="invalid_output"),
        answer("counts before the end", counted(), last(), **stopped, **COUNTED),
        answer("counts beside the end", last(usage=USAGE), **stopped, **COUNTED),
        answer("no counts", last(), **stopped),
        answer(
            "counts that are null",
            last(),
            ("metadata", {"usage": dict.fromkeys(USAGE), "metrics": None}),
            **stopped,
        ),
        answer(
            "counts that become null",
            counted(),
            last(),
            ("metadata", {"usage": dict.fromkeys(USAGE)}),
            **stopped,
            **COUNTED,
        ),
        answer(
            "negative counts",
            counted(),
            last(),
            ("metadata", {"usage": dict.fromkeys(USAGE, -1)}),
            **stopped,
            **COUNTED,
        ),
        answer(
            "whole floats",
            last(),
            ("metadata", {"usage": {name: float(count) for name, count in USAGE.items()}}),
            **stopped,
            **COUNTED,
        ),
        answer(
            "one count",
            last(),
            ("metadata", {"usage": {"outputTokens": 5}}),
            usage={"input_tokens": None, "output_tokens": 5},
            **stopped,
        ),
        answer("words for a usage", last(), ("metadata", {"usage": "many"}), **stopped),
        answer("a usage that is null", last(), ("metadata", {"usage": None}), **stopped),
        answer("an end twice", last(), last(), counted(), **stopped, **COUNTED),
        answer("counts twice", last(), counted(), counted(), **stopped, **COUNTED),
        answer("no end", error="truncated"),
        answer("counts and no end", counted(), error="truncated", **COUNTED),
        Row(
            "text behind the end",
            MODEL,
            written(START, add(text="Hel"), last(), add(text="lo"), counted()),
            HELLO,
            STREAM,
        ),
        Row(
            "nothing but an end",
            MODEL,
            written(START, last(), counted()),
            {"text": "", "finish": "stop"},
            STREAM,
        ),
    ]


def converse_rows() -> list[Row]:
    """All of them."""
    return [*words(), *ends()]
