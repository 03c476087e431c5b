"""Neighbours of the reports in Bedrock's Converse: how events come, documents, exceptions."""

from __future__ import annotations

import json
from typing import Any

from tests.wire.wild.converse_rows import (
    COUNTED,
    HELLO,
    PICTURE,
    SAID,
    SIGNATURE,
    START,
    USAGE,
    body,
    counted,
    exception,
    last,
    written,
)
from tests.wire.wild.row import CALL, EQUAL, JSON, WHOLE, Row


def converse_frame_rows() -> list[Row]:
    """How events come: names lost, wrapped, in other framings, as a document; errors."""
    events = (START, *SAID, last(), counted())
    said, answer = written(START, *SAID), written(*events)
    throttled = exception("throttlingException", message="Slow down")
    limited = {"error": "rate_limit"}
    cut = limited | {"text": "Hello"}
    text = {"text": "Hello"}

    def whole(*content: Any, **more: Any) -> bytes:
        message = {"role": "assistant", "content": list(content)}
        return json.dumps(
            {"output": {"message": message}, "stopReason": "end_turn", "usage": USAGE, **more}
        ).encode()

    def sse(*ways: str) -> bytes:
        out = b""
        for name, payload in events:
            data = json.dumps({name: payload} if "wrapped" in ways else payload).encode()
            out += (
                (b"event: %s\n" % name.encode() if "named" in ways else b"")
                + b"data: "
                + data
                + b"\n\n"
            )
        return out

    call = {"toolUse": {"toolUseId": "x", "name": "get", "input": {"a": 1}}}
    failed = {"message": "Slow down", "__type": "ThrottlingException"}
    return [
        body("names lost", written(*(("", payload) for _, payload in events)), **HELLO, **COUNTED),
        body(
            "names lost and wrapped",
            written(*(("", {name: payload}) for name, payload in events)),
            **HELLO,
            **COUNTED,
        ),
        body(
            "wrapped in a chunk",
            written(*(("chunk", {name: payload}) for name, payload in events)),
            **HELLO,
            **COUNTED,
        ),
        body(
            "named and wrapped",
            written(*((name, {name: payload}) for name, payload in events)),
            **HELLO,
            **COUNTED,
        ),
        body(
            "server-sent events",
            sse("named"),
            content_type="text/event-stream",
            **HELLO,
            **COUNTED,
        ),
        body(
            "server-sent events, wrapped",
            sse("wrapped"),
            content_type="text/event-stream",
            **HELLO,
            **COUNTED,
        ),
        body(
            "server-sent events without names",
            sse(),
            content_type="text/event-stream",
            **HELLO,
            **COUNTED,
        ),
        body(
            "server-sent events with [DONE]",
            sse("wrapped") + b"data: [DONE]\n\n",
            content_type="text/event-stream",
            **HELLO,
            **COUNTED,
        ),
        body(
            "server-sent events with CRLF and a mark",
            b"\xef\xbb\xbf" + sse("named").replace(b"\n", b"\r\n"),
            content_type="text/event-stream",
            **HELLO,
            **COUNTED,
        ),
        body(
            "objects on lines",
            b"\n".join(json.dumps({name: payload}).encode() for name, payload in events),
            content_type="text/event-stream",
            **HELLO,
            **COUNTED,
        ),
        body("a ping", said + written(("ping", {}), last(), counted()), **HELLO),
        body("cut within a message", answer[:-9], **HELLO),
        body("cut before the end", said + written(last())[:-9], error="truncated", text="Hello"),
        body("bytes behind the last message", answer + b"\x00", **HELLO),
        body("an empty body", b"", error="truncated"),
        body("whole", whole(text), content_type=JSON, **HELLO, **COUNTED),
        body(
            "whole, indented",
            json.dumps(json.loads(whole(text)), indent=2).encode(),
            content_type=JSON,
            **HELLO,
        ),
        body("whole, with a mark", b"\xef\xbb\xbf" + whole(text), content_type=JSON, **HELLO),
        body("whole, with a call", whole(text, call), content_type=JSON, **CALL | text),
        body(
            "whole, with equal calls without ids",
            whole(*[{"toolUse": {"name": "get", "input": {"a": 1}}}] * 2),
            content_type=JSON,
            **EQUAL,
        ),
        body(
            "whole, input as JSON text",
            whole({"toolUse": {"toolUseId": "x", "name": "get", "input": WHOLE}}),
            content_type=JSON,
            **CALL,
        ),
        body(
            "whole, with reasoning",
            whole(
                {"reasoningContent": {"reasoningText": {"text": "hm", "signature": SIGNATURE}}},
                text,
            ),
            content_type=JSON,
            reasoning="hm",
            signatures=[SIGNATURE],
            **HELLO,
        ),
        body(
            "whole, with redacted reasoning",
            whole({"reasoningContent": {"redactedContent": "eA=="}}, text),
            content_type=JSON,
            sealed=1,
            **HELLO,
        ),
        body(
            "whole, with a picture",
            whole({"image": {"format": "png", "source": {"bytes": PICTURE}}}),
            content_type=JSON,
            files=1,
        ),
        body(
            "whole, with nulls",
            whole(None, {"text": None}, {"toolUse": None}, text, usage=None, trace=None),
            content_type=JSON,
            **HELLO,
        ),
        body(
            "whole, with an unknown block",
            whole(text, {"hologram": {"shows": "me"}}),
            content_type=JSON,
            **HELLO,
        ),
        body(
            "whole, without a reason",
            whole(text, stopReason=None),
            content_type=JSON,
            text="Hello",
            finish="unknown",
        ),
        body(
            "whole, one block",
            json.dumps(
                {"output": {"message": {"content": text}}, "stopReason": "end_turn"}
            ).encode(),
            content_type=JSON,
            **HELLO,
        ),
        body("an exception alone", throttled, **limited),
        body("an exception behind text", said + throttled, **cut),
        body("an exception behind the end", said + written(last()) + throttled, **cut),
        body("an exception behind all", answer + throttled, **HELLO),
        body("an exception without words", said + exception("throttlingException"), **cut),
        body(
            "an exception as an event",
            said + written(("throttlingException", {"message": "Slow down"})),
            **cut,
        ),
        body(
            "an exception as a member",
            said + written(("", {"throttlingException": {"message": "Slow down"}})),
            **cut,
        ),
        body(
            "an exception of the model's",
            said
            + exception(
                "modelStreamErrorException",
                message="m",
                originalStatusCode=429,
                originalMessage="Slow down",
            ),
            **cut,
        ),
        body(
            "an error with its key",
            said + written(("", {"error": {"code": 429, "message": "m"}})),
            **cut,
        ),
        body(
            "an error by its name",
            said + written(("error", {"message": "Rate limit exceeded"})),
            **cut,
        ),
        body(
            "an error in a server-sent event",
            sse("named")[:200].rpartition(b"event:")[0]
            + b"event: error\ndata: "
            + json.dumps(failed).encode()
            + b"\n\n",
            **limited,
        ),
        body(
            "an error in capitals",
            json.dumps({"Message": "Rate exceeded", "Code": "Throttling"}).encode(),
            content_type=JSON,
            **limited,
        ),
        body(
            "an error in place of an answer",
            json.dumps(failed).encode(),
            content_type=JSON,
            **limited,
        ),
    ]
