"""Neighbours of the reports in Gemini's generateContent, a few for each kind."""

from __future__ import annotations

from typing import Any

from tests.wire.wild.row import CALL, Frame, Row, frames

MODEL = "gemini:m"
HELLO = {"text": "Hello", "finish": "stop"}
COUNTS = {"promptTokenCount": 10, "candidatesTokenCount": 5, "thoughtsTokenCount": 2}
COUNTED = {"usage": {"input_tokens": 10, "output_tokens": 7, "reasoning_tokens": 2}}
SIGNATURE = "c2lnbmF0dXJl"
PICTURE = {"mimeType": "image/png", "data": "iVBORw0KGgo="}
ERROR = {"error": {"code": 429, "message": "Slow down", "status": "RESOURCE_EXHAUSTED"}}
NOTHING = {"error": "protocol", "code": "not_understood"}
THOUGHT = {"text": "hm", "thought": True}


def candidate(*parts: Any, finish: Any = None, **more: Any) -> Frame:
    """One candidate with these parts."""
    content = {"content": {"role": "model", "parts": list(parts)}} if parts else {}
    return {**content, **({"finishReason": finish} if finish else {}), **more}


def chunk(*parts: Any, finish: Any = None, **more: Any) -> Frame:
    """A frame with one candidate."""
    return {"candidates": [candidate(*parts, finish=finish)], "modelVersion": "m", **more}


def say(text: str, **more: Any) -> Frame:
    """A frame with a text."""
    return chunk({"text": text, **more})


def call(args: Any = None, name: Any = "get", **more: Any) -> Frame:
    """The part of a call."""
    given = {} if args is None else {"args": args}
    return {"functionCall": {"name": name, **given, **more}}


def piece(path: str, *, more: bool = True, **value: Any) -> Frame:
    """A call's part that brings one piece of the arguments."""
    going = {"willContinue": True} if more else {}
    return {"functionCall": {"partialArgs": [{"jsonPath": path, **value}], **going}}


STOP = chunk(finish="STOP")


def gemini(name: str, *payloads: Frame, end: str | None = "STOP", **expect: Any) -> Row:
    """An answer: these frames, and their end."""
    last = [chunk(finish=end)] if end else []
    return Row(name, MODEL, frames([*payloads, *last]), expect)


def body(name: str, data: bytes, *, content_type: str = "text/event-stream", **expect: Any) -> Row:
    """An answer of just these bytes."""
    return Row(name, MODEL, data, expect, content_type)


def counts() -> list[Row]:
    """Usage late, in part, or odd."""
    hello = say("Hello")

    def used(**usage: Any) -> Frame:
        return {"usageMetadata": usage}

    return [
        gemini("usage behind the end", hello, STOP, used(**COUNTS), end=None, **HELLO, **COUNTED),
        gemini(
            "usage in parts",
            used(promptTokenCount=10),
            hello,
            used(candidatesTokenCount=5),
            used(thoughtsTokenCount=2),
            **HELLO,
            **COUNTED,
        ),
        gemini(
            "usage that becomes null",
            used(**COUNTS),
            hello,
            used(**dict.fromkeys(COUNTS)),
            **HELLO,
            **COUNTED,
        ),
        gemini("usage that is null", {**hello, "usageMetadata": None}, **HELLO),
        gemini("usage that is empty", {**hello, "usageMetadata": {}}, **HELLO),
        gemini(
            "negative counts",
            used(**COUNTS),
            hello,
            used(**dict.fromkeys(COUNTS, -1)),
            **HELLO,
            **COUNTED,
        ),
        gemini(
            "whole floats",
            hello,
            used(**{name: float(count) for name, count in COUNTS.items()}),
            **HELLO,
            **COUNTED,
        ),
        gemini(
            "words for counts",
            hello,
            used(promptTokenCount="ten", candidatesTokenCount=5),
            usage={"input_tokens": None, "output_tokens": 5},
            **HELLO,
        ),
        gemini(
            "usage in a frame of null candidates",
            hello,
            {**used(**COUNTS), "candidates": None},
            **HELLO,
            **COUNTED,
        ),
        gemini(
            "usage in a frame of no candidates",
            hello,
            {**used(**COUNTS), "candidates": []},
            **HELLO,
            **COUNTED,
        ),
        gemini(
            "a cut after a count",
            used(**COUNTS),
            hello,
            end=None,
            error="truncated",
            text="Hello",
            **COUNTED,
        ),
        gemini("words for a usage", {**hello, "usageMetadata": "many"}, **HELLO),
    ]


def candidates() -> list[Row]:
    """Empty candidates, several, and candidates with odd members."""
    first, second = {"text": "Hello"}, {"text": "Bye"}
    empty: list[tuple[str, Any]] = [
        ("no candidates", {"candidates": []}),
        ("candidates that are null", {"candidates": None}),
        ("an empty candidate", {"candidates": [{}]}),
        ("a candidate that is null", {"candidates": [None]}),
        ("a candidate without parts", {"candidates": [{"content": {"role": "model"}}]}),
        ("a candidate of no parts", {"candidates": [{"content": {"parts": []}}]}),
        ("parts that are null", {"candidates": [{"content": {"parts": None}}]}),
        ("a part that is null", {"candidates": [{"content": {"parts": [None]}}]}),
        ("an empty part", {"candidates": [{"content": {"parts": [{}]}}]}),
        ("a text that is null", {"candidates": [{"content": {"parts": [{"text": None}]}}]}),
        ("a content that is null", {"candidates": [{"content": None}]}),
        ("an empty object", {}),
    ]
    nulls = dict.fromkeys(
        (
            "citationMetadata",
            "groundingMetadata",
            "safetyRatings",
            "finishMessage",
            "index",
            "continuationToken",
        )
    )
    return [
        *(
            gemini(f"{name}, among others", say("Hel"), frame, say("lo"), **HELLO)
            for name, frame in empty
        ),
        *(gemini(f"{name}, first", frame, say("Hello"), **HELLO) for name, frame in empty),
        gemini("nothing but an end", text="", finish="stop"),
        gemini(
            "two candidates",
            {"candidates": [candidate(first, index=0), candidate(second, index=1)]},
            {
                "candidates": [
                    candidate(finish="STOP", index=0),
                    candidate(finish="MAX_TOKENS", index=1),
                ]
            },
            end=None,
            **HELLO,
        ),
        gemini(
            "two candidates, the first index left out",
            {"candidates": [candidate(first), candidate(second, index=1)]},
            **HELLO,
        ),
        gemini(
            "two candidates by turns",
            *(
                {"candidates": [candidate({"text": text}, index=index)]}
                for text, index in (("Hel", 0), ("B", 1), ("lo", 0), ("ye", 1))
            ),
            {"candidates": [candidate(finish="STOP", index=1)]},
            **HELLO,
        ),
        gemini(
            "text and call in two candidates without indices",
            {"candidates": [candidate(first), candidate(call({"a": 1}))]},
            **CALL | {"text": "Hello"},
        ),
        gemini("a candidate that is not in a list", {"candidates": candidate(first)}, **HELLO),
        gemini(
            "another index alone",
            {"candidates": [candidate(first, index=1, finish="STOP")]},
            end=None,
            **HELLO,
        ),
        gemini(
            "members that are null",
            {
                "candidates": [candidate(first, **nulls)],
                "promptFeedback": None,
                "usageMetadata": None,
                "modelVersion": None,
                "responseId": None,
            },
            **HELLO,
        ),
        gemini("a content that is a text", {"candidates": [{"content": "Hello"}]}, **HELLO),
        gemini(
            "parts that are texts", {"candidates": [{"content": {"parts": ["Hel", "lo"]}}]}, **HELLO
        ),
        gemini("one part, not in a list", {"candidates": [{"content": {"parts": first}}]}, **HELLO),
        gemini("parts without a content", {"candidates": [{"parts": [first]}]}, **NOTHING),
        gemini("a text in the candidate", {"candidates": [{"text": "Hello"}]}, **NOTHING),
        gemini(
            "a candidate's member that nobody knows",
            {"candidates": [candidate(first, mood="good")]},
            unread=["candidates.mood"],
            **HELLO,
        ),
        gemini(
            "a member that nobody knows", {**chunk(first), "mood": "good"}, unread=["mood"], **HELLO
        ),
        gemini(
            "a content's member that nobody knows",
            {"candidates": [{"content": {"parts": [first], "mood": "good"}}]},
            unread=["content.mood"],
            **HELLO,
        ),
        gemini(
            "a part's member that nobody knows",
            chunk({**first, "smell": "rose"}),
            unread=["parts.smell"],
            **HELLO,
        ),
        gemini(
            "a part that nobody knows",
            say("Hello"),
            chunk({"hologram": {"shows": "me"}}),
            unread=["parts.hologram"],
            **HELLO,
        ),
        gemini(
            "nothing but a part that nobody knows",
            chunk({"hologram": {"shows": "me"}}),
            **NOTHING,
        ),
        gemini(
            "nothing but a frame that nobody knows",
            {"hologram": {"shows": "me"}},
            end=None,
            **NOTHING,
        ),
    ]


def ends() -> list[Row]:
    """Finish words that nobody knows, ends that come twice or too early, blocks and failures."""
    hello = say("Hello")
    blocked = {"promptFeedback": {"blockReason": "SAFETY"}}
    words = {
        "stop": "stop",
        "Stop": "stop",
        "length": "length",
        "max_tokens": "length",
        "tool_calls": "tool_calls",
        "content_filter": "content_filter",
        "SHINY_NEW": "other",
        "FINISH_REASON_UNSPECIFIED": "unknown",
    }
    return [
        *(row_of_finish(word, reason) for word, reason in words.items()),
        gemini(
            "an end that is null",
            {"candidates": [{"content": {"parts": [{"text": "Hello"}]}, "finishReason": None}]},
            **HELLO,
        ),
        gemini(
            'an end that is ""',
            {"candidates": [{"content": {"parts": [{"text": "Hello"}]}, "finishReason": ""}]},
            **HELLO,
        ),
        gemini("an end twice", hello, STOP, STOP, **HELLO),
        gemini("text behind the end", say("Hel"), STOP, say("lo"), end=None, **HELLO),
        Row(
            "text between two ends",
            MODEL,
            frames([say("Hel"), STOP, say("lo"), chunk(finish="MAX_TOKENS")]),
            {"text": "Hello", "finish": "length"},
        ),
        Row("no end", MODEL, frames([hello]), {"text": "Hello", "error": "truncated"}),
        Row(
            "a failure behind text",
            MODEL,
            frames([hello, chunk(finish="MALFORMED_FUNCTION_CALL")]),
            {"text": "Hello", "error": "invalid_output"},
        ),
        Row(
            "a blocked prompt",
            MODEL,
            frames([blocked]),
            {"text": "", "finish": "content_filter", "stop_details": {"blockReason": "SAFETY"}},
        ),
        Row(
            "a blocked prompt with empty candidates",
            MODEL,
            frames([{**blocked, "candidates": []}]),
            {"text": "", "finish": "content_filter"},
        ),
        Row(
            "a blocked prompt, and an end",
            MODEL,
            frames([blocked, STOP]),
            {"text": "", "finish": "content_filter"},
        ),
        Row(
            "a block behind text",
            MODEL,
            frames([hello, blocked]),
            {"text": "Hello", "finish": "content_filter"},
        ),
        gemini("a feedback that is empty", {**hello, "promptFeedback": {}}, **HELLO),
        gemini(
            "a feedback without a reason",
            {**hello, "promptFeedback": {"blockReason": None, "safetyRatings": None}},
            **HELLO,
        ),
    ]


def row_of_finish(word: str, reason: str) -> Row:
    """An answer that ends in this word."""
    return Row(
        f"the end {word!r}",
        MODEL,
        frames([say("Hello"), chunk(finish=word)]),
        {"text": "Hello", "finish": reason},
    )


def gemini_rows() -> list[Row]:
    """Neighbours in counts, candidates and ends."""
    return [*counts(), *candidates(), *ends()]
