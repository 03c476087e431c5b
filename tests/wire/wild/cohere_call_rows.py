"""Neighbours of the reports in Cohere's `/v2/chat`: calls."""

from __future__ import annotations

import json

from tests.wire.wild.cohere_rows import (
    HELLO,
    SAID,
    cohere,
    event,
    last,
    over,
    piece,
    tool,
)
from tests.wire.wild.row import CALL, EQUAL, TWO, WHOLE, Row, called, frames


def cohere_call_rows() -> list[Row]:
    """Ids, names, indices and arguments that are missing, odd, or told again."""
    pieces = (piece('{"a"'), piece(":1}"))
    growing = [piece(WHOLE[:end]) for end in range(1, len(WHOLE) + 1)]
    other = [tool(index=1, id="y"), piece('{"a":2}', 1), over(1)]
    bare = {"function": {"name": "get", "arguments": WHOLE}}
    return [
        cohere("arguments in pieces", tool(), *pieces, over(), **CALL),
        cohere("arguments in the start", tool(WHOLE), over(), **CALL),
        cohere("arguments in the start and in pieces", tool(WHOLE), *pieces, over(), **CALL),
        cohere("arguments as an object", tool({"a": 1}), over(), **CALL),
        cohere("a delta that is an object", tool(), piece({"a": 1}), over(), **CALL),
        cohere("arguments that are null", tool(None), *pieces, over(), **CALL),
        cohere("a delta that is null", tool(), pieces[0], piece(None), pieces[1], over(), **CALL),
        cohere("a placeholder in the start", tool("{}"), *pieces, over(), **CALL),
        cohere("a placeholder in a delta", tool(), piece("{}"), *pieces, over(), **CALL),
        cohere("no arguments", tool(), over(), **called(("get", {}))),
        cohere("arguments that grow", tool(), *growing, over(), **CALL),
        cohere(
            "arguments that grow, the whole twice", tool(), *growing, growing[-1], over(), **CALL
        ),
        cohere(
            "arguments that are the whole, which grows",
            tool(),
            piece(WHOLE),
            piece('{"a":1,"b":2}'),
            over(),
            **called(("get", {"a": 1, "b": 2})),
        ),
        cohere("arguments twice encoded", tool(json.dumps(WHOLE)), over(), **CALL),
        cohere(
            "arguments twice encoded, in pieces",
            tool(),
            piece('"{\\"a'),
            piece('\\":1}"'),
            over(),
            **CALL,
        ),
        cohere(
            "halves in arguments",
            tool(),
            piece('{"a":"\ud83d'),
            piece('\ude00"}'),
            over(),
            **called(("get", {"a": "😀"})),
        ),
        cohere(
            "arguments cut by the limit",
            tool(),
            pieces[0],
            end=last("MAX_TOKENS"),
            calls=[{"name": "get", "complete": False}],
            finish="length",
        ),
        cohere("a call that starts twice", tool(), tool(), *pieces, over(), **CALL),
        cohere("a call that starts twice, whole", tool(WHOLE), tool(WHOLE), over(), **CALL),
        cohere("a call told twice", tool(WHOLE), over(), tool(WHOLE, 1), over(1), **CALL),
        cohere("one id, other arguments", tool(WHOLE), over(), tool('{"a":2}', 1), over(1), **TWO),
        cohere("equal calls", tool(WHOLE), over(), tool(WHOLE, 1, id="y"), over(1), **EQUAL),
        cohere(
            "equal calls without ids",
            tool(WHOLE, id="none"),
            over(),
            tool(WHOLE, 1, id="none"),
            over(1),
            **EQUAL,
        ),
        cohere("an id that is null", tool(WHOLE, id=None), over(), **CALL),
        cohere('an id that is ""', tool(id=""), *pieces, over(), **CALL),
        cohere(
            "an id late",
            tool(id=""),
            event("tool-call-delta", 0, tool_calls={"id": "x", "function": {"arguments": WHOLE}}),
            over(),
            **CALL,
        ),
        cohere(
            "an id that changes",
            tool(),
            event("tool-call-delta", 0, tool_calls={"id": "z", "function": {"arguments": WHOLE}}),
            over(),
            **CALL,
        ),
        Row(
            "a cut behind a whole start",
            "cohere:m",
            frames([{"type": "message-start"}, tool(WHOLE)]),
            {"error": "truncated", "calls": [{"name": "get", "complete": False}]},
        ),
        cohere("a name late", tool(name=""), piece(WHOLE, name="get"), over(), **CALL),
        cohere("a name late, in a second start", tool(name=""), tool(), *pieces, over(), **CALL),
        cohere("a name in pieces", tool(name="g"), piece("", name="et"), *pieces, over(), **CALL),
        cohere(
            "a name each time",
            tool(),
            *(piece(text, name="get") for text in ('{"a"', ":1}")),
            over(),
            **CALL,
        ),
        cohere(
            'a name that is "null"', tool(name="null"), piece(WHOLE, name="get"), over(), **CALL
        ),
        cohere("a call without a name", *SAID, tool(WHOLE, name=None), over(), calls=[], **HELLO),
        cohere(
            "nothing but a call without a name",
            tool(WHOLE, name=""),
            over(),
            error="invalid_output",
        ),
        cohere(
            "an empty call",
            *SAID,
            event("tool-call-start", 0, tool_calls={}),
            over(),
            calls=[],
            **HELLO,
        ),
        cohere(
            "calls that are null",
            *SAID,
            event("tool-call-start", 0, tool_calls=None),
            calls=[],
            **HELLO,
        ),
        cohere("arguments before the start", *pieces, tool(), over(), **CALL),
        cohere("a call without its end", tool(), *pieces, **CALL),
        cohere("a call's end twice", tool(), *pieces, over(), over(), **CALL),
        cohere(
            "two calls by turns",
            tool(),
            tool(index=1, id="y"),
            pieces[0],
            piece('{"a":2}', 1),
            pieces[1],
            over(1),
            over(),
            **TWO,
        ),
        cohere(
            "no indices",
            tool(index=None),
            piece(WHOLE, None),
            over(None),
            tool(index=None, id="y"),
            piece('{"a":2}', None),
            over(None),
            **TWO,
        ),
        cohere(
            "one index for two calls", tool(WHOLE), over(), tool('{"a":2}', id="y"), over(), **TWO
        ),
        cohere(
            "one index for two calls without ids",
            tool(WHOLE, id="none"),
            over(),
            tool('{"a":2}', id="none"),
            over(),
            **TWO,
        ),
        cohere(
            "deltas at another index",
            tool(index=3),
            *(piece(text, 0) for text in ('{"a"', ":1}")),
            over(3),
            **CALL,
        ),
        cohere(
            "calls in a list",
            event("tool-call-start", 0, tool_calls=[{"id": "x", **bare}]),
            over(),
            **CALL,
        ),
        cohere(
            "two calls in a list",
            event(
                "tool-call-start",
                0,
                tool_calls=[
                    {"id": "x", **bare},
                    {"id": "y", "function": {"name": "get", "arguments": '{"a":2}'}},
                ],
            ),
            over(),
            **TWO,
        ),
        cohere(
            "two calls without ids in a list",
            event(
                "tool-call-start",
                0,
                tool_calls=[bare, {"function": {"name": "get", "arguments": '{"a":2}'}}],
            ),
            over(),
            **TWO,
        ),
        cohere(
            "a call without its function",
            event("tool-call-start", 0, tool_calls={"id": "x", "name": "get", "arguments": WHOLE}),
            over(),
            **CALL,
        ),
        cohere("the end COMPLETE", tool(), *pieces, over(), *other, **TWO),
        cohere("a call, then text", tool(WHOLE), over(), *SAID, **CALL | {"text": "Hello"}),
        cohere(
            "a plan and a call",
            event("tool-plan-delta", tool_plan="hm"),
            tool(WHOLE),
            over(),
            end=last("TOOL_CALL"),
            **CALL | {"reasoning": "hm"},
        ),
    ]
