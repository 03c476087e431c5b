"""Neighbours in Gemini's generateContent: how frames come, and what isn't text."""

from __future__ import annotations

import json
from typing import Any

from tests.wire.wild.gemini_rows import (
    ERROR,
    HELLO,
    PICTURE,
    STOP,
    body,
    chunk,
    gemini,
    say,
)
from tests.wire.wild.row import JSON, Frame, Row, called, frames


def around() -> list[Row]:
    """How frames come: line ends, marks, arrays, documents, errors."""
    said, end = frames([say("Hello")]), frames([STOP])
    failed = json.dumps(ERROR).encode()
    limited = {"error": "rate_limit"}
    cut = limited | {"text": "Hello"}
    answer = [say("Hel"), say("lo"), STOP]
    array = json.dumps(answer).encode()
    lines = b"\n".join(json.dumps(each).encode() for each in answer)
    whole = chunk({"text": "Hello"}, finish="STOP")

    def crlf(data: bytes) -> bytes:
        return data.replace(b"\n", b"\r\n")

    return [
        body("CRLF", crlf(said + end), **HELLO),
        body("CR", (said + end).replace(b"\n", b"\r"), **HELLO),
        body("a byte order mark", b"\xef\xbb\xbf" + said + end, **HELLO),
        body("[DONE]", said + end + b"data: [DONE]\n\n", **HELLO),
        body("[DONE] in quotes", said + end + b'data: "[DONE]"\n\n', **HELLO),
        body("[DONE] without an end", said + b"data: [DONE]\n\n", error="truncated", text="Hello"),
        body("an empty event", b"data: \n\n" + said + b"data:\n\n" + end, **HELLO),
        body("one line end per frame", (said + end).replace(b"\n\n", b"\n"), **HELLO),
        body("no line end at the end", (said + end).strip(), **HELLO),
        body("an array", array, content_type=JSON, **HELLO),
        body("an array with a mark", b"\xef\xbb\xbf" + array, content_type=JSON, **HELLO),
        body(
            "an array with CRLF",
            crlf(json.dumps(answer, indent=2).encode()),
            content_type=JSON,
            **HELLO,
        ),
        body("an array without its end", array[:-1], content_type=JSON, **HELLO),
        body(
            "an array that is cut", array[:-9], content_type=JSON, error="truncated", text="Hello"
        ),
        body("an empty array", b"[]", content_type=JSON, error="truncated"),
        body("objects on bare lines", lines, content_type=JSON, **HELLO),
        body("whole", json.dumps(whole).encode(), content_type=JSON, **HELLO),
        body("whole, indented", json.dumps(whole, indent=2).encode(), content_type=JSON, **HELLO),
        body(
            "whole, with a mark",
            b"\xef\xbb\xbf" + json.dumps(whole).encode(),
            content_type=JSON,
            **HELLO,
        ),
        body(
            "whole, without an end",
            json.dumps(say("Hello")).encode(),
            content_type=JSON,
            text="Hello",
        ),
        body(
            "whole, blocked",
            json.dumps({"promptFeedback": {"blockReason": "OTHER"}}).encode(),
            content_type=JSON,
            text="",
            finish="content_filter",
        ),
        body("an error alone", b"data: " + failed + b"\n\n", **limited),
        body("an error behind text", said + b"data: " + failed + b"\n\n", **cut),
        body("an error behind the end", said + end + b"data: " + failed + b"\n\n", **cut),
        body("an error in a list", said + b"data: [" + failed + b"]\n\n", **cut),
        body("an error by its name", said + b"event: error\ndata: " + failed + b"\n\n", **cut),
        body("a bare error behind text", said + failed, **cut),
        body("a bare error in a list", said + b"[" + failed + b"]", **cut),
        body("a bare error behind the end", said + end + failed, **cut),
        body(
            "an error in an array",
            b"[" + json.dumps(say("Hello")).encode() + b",\n" + failed + b"]",
            content_type=JSON,
            **cut,
        ),
        body("an error in place of an answer", failed, content_type=JSON, **limited),
        body(
            "an error listed in place of an answer",
            b"[" + failed + b"]",
            content_type=JSON,
            **limited,
        ),
        body("an error in a wrapped frame", frames([{"response": ERROR}]), **limited),
        body("an error beside candidates", frames([{**say("Hello"), **ERROR}]), **limited),
        body("an error in a text", frames([{"error": "Rate limit exceeded"}]), **limited),
        body("an error without its key", frames([ERROR["error"]]), **limited),
        body(
            "an error in capitals",
            frames([{"Message": "Rate exceeded", "Code": "Throttling"}]),
            **limited,
        ),
        body("an error that is null", frames([{**say("Hello"), "error": None}]) + end, **HELLO),
        body(
            "names with underscores",
            frames(
                [
                    {
                        "candidates": [
                            {
                                "content": {
                                    "parts": [
                                        {
                                            "function_call": {
                                                "name": "get",
                                                "args": {"snake_case": 1},
                                            }
                                        }
                                    ]
                                },
                                "finish_reason": "STOP",
                            }
                        ]
                    }
                ]
            ),
            **called(("get", {"snake_case": 1})),
        ),
        body(
            "a frame wrapped in a response",
            frames([{"response": say("Hello")}, {"response": STOP}]),
            **HELLO,
        ),
    ]


def others() -> list[Row]:
    """Files, tools that Google ran, sources."""
    code = {"executableCode": {"language": "PYTHON", "code": "print(1)"}}
    result = {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1\n"}}

    def grounded(**metadata: Any) -> Frame:
        return {"candidates": [{"groundingMetadata": metadata}]}

    web = {"web": {"uri": "https://a.example/", "title": "A"}}
    support = {"segment": {"endIndex": 5}, "groundingChunkIndices": [0]}
    hello = say("Hello")
    return [
        gemini("a picture", chunk({"inlineData": PICTURE}), files=1),
        gemini(
            "a picture with underscores",
            chunk({"inline_data": {"mime_type": "image/png", "data": "iVBORw0KGgo="}}),
            files=1,
        ),
        gemini(
            "a picture without a type",
            hello,
            chunk({"inlineData": {"data": "iVBORw0KGgo="}}),
            files=1,
            **HELLO,
        ),
        gemini(
            "a picture without data",
            hello,
            chunk({"inlineData": {"mimeType": "image/png"}}),
            files=0,
            unread=["parts.inlineData"],
            **HELLO,
        ),
        gemini("a picture that is null", hello, chunk({"inlineData": None}), files=0, **HELLO),
        gemini(
            "a file without an address",
            hello,
            chunk({"fileData": {"mimeType": "image/png"}}),
            files=0,
            unread=["parts.fileData"],
            **HELLO,
        ),
        gemini(
            "code and its result",
            chunk(code),
            chunk(result),
            hello,
            results=1,
            **{"all calls": 1},
            **HELLO,
        ),
        gemini("code without a result", chunk(code), hello, results=0, **{"all calls": 1}, **HELLO),
        gemini("a result without code", chunk(result), hello, results=1, **HELLO),
        gemini("an end beside the code", chunk(code, finish="STOP"), chunk(result), hello, **HELLO),
        gemini(
            "an end beside the code, and a cut",
            chunk(code, finish="STOP"),
            end=None,
            error="truncated",
        ),
        gemini(
            "a limit beside the code",
            chunk(code, finish="MAX_TOKENS"),
            end=None,
            finish="length",
        ),
        gemini("an end behind the code", chunk(code), **{"all calls": 1}),
        gemini(
            "code that is null",
            chunk({"executableCode": {"language": None, "code": None}}),
            hello,
            **HELLO,
        ),
        gemini(
            "a result of nothing",
            chunk(code),
            chunk({"codeExecutionResult": {"outcome": None, "output": None}}),
            hello,
            results=1,
            **HELLO,
        ),
        gemini(
            "a source",
            hello,
            grounded(groundingChunks=[web], groundingSupports=[support]),
            sources=1,
            **HELLO,
        ),
        gemini(
            "a source twice",
            hello,
            *[grounded(groundingChunks=[web], groundingSupports=[support])] * 2,
            sources=1,
            **HELLO,
        ),
        gemini(
            "a source, then its place",
            hello,
            grounded(groundingChunks=[web]),
            grounded(groundingSupports=[support]),
            sources=2,
            **HELLO,
        ),
        gemini(
            "a source of nowhere",
            hello,
            grounded(
                groundingChunks=[web], groundingSupports=[{**support, "groundingChunkIndices": [7]}]
            ),
            sources=1,
            **HELLO,
        ),
        gemini(
            "sources that are null",
            hello,
            grounded(groundingChunks=None, groundingSupports=None),
            sources=0,
            **HELLO,
        ),
        gemini(
            "a source that is null",
            hello,
            grounded(groundingChunks=[None, {"web": None}], groundingSupports=[None]),
            **HELLO,
        ),
        gemini(
            "a place that is null",
            hello,
            grounded(
                groundingChunks=[web],
                groundingSupports=[
                    {"segment": None, "groundingChunkIndices": [0], "confidenceScores": None}
                ],
            ),
            sources=1,
            **HELLO,
        ),
        gemini(
            "indices that are null",
            hello,
            grounded(
                groundingChunks=[web],
                groundingSupports=[{"segment": {}, "groundingChunkIndices": None}],
            ),
            sources=1,
            **HELLO,
        ),
        gemini(
            "citations that are null",
            hello,
            {"candidates": [{"citationMetadata": {"citations": None}}]},
            sources=0,
            **HELLO,
        ),
        gemini(
            "sources behind the end",
            hello,
            STOP,
            grounded(groundingChunks=[web]),
            end=None,
            sources=1,
            **HELLO,
        ),
    ]


def gemini_frame_rows() -> list[Row]:
    """All of them."""
    return [*around(), *others()]
