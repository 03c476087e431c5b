"""Calls in the wild: names that come late, placeholders, calls without a name, ids used twice."""

from __future__ import annotations

from llmstream.messages import FinishReason
from llmstream.testing.faults.wild.rows import (
    CHAT,
    MESSAGES,
    RESPONSES,
    block,
    call,
    call_item,
    calls_chat,
    chat,
    completed,
    frames,
    start,
    stopped,
    tool_use,
    wild,
)

_CALLS, _STOP = FinishReason.TOOL_CALLS, FinishReason.STOP
_GET = (("get", {"a": 1}),)
_WHOLE = '{"a":1}'

# --- names -------------------------------------------------------------------------------------------------------

wild(
    "name-after-arguments",
    "A call's id and first arguments come before its name",
    {CHAT: calls_chat(call('{"a"', id="x"), call(":1}", name="get"))},
    calls=_GET,
    finish_reason=_CALLS,
)
wild(
    "name-in-pieces",
    "A call's name comes in two pieces",
    {CHAT: calls_chat(call("", name="ge", id="x"), call("", name="t"), call(_WHOLE))},
    calls=_GET,
    finish_reason=_CALLS,
)
wild(
    "name-on-every-piece",
    "Name and id stand on every piece of a call",
    {CHAT: calls_chat(*(call(p, name="get", id="x") for p in ("", '{"a"', ":1}")))},
    calls=_GET,
    finish_reason=_CALLS,
)
wild(
    "name-again-before-arguments",
    "The whole name stands on the next piece too, without the id",
    {CHAT: calls_chat(call("", name="get", id="x"), call(_WHOLE, name="get"))},
    calls=_GET,
    finish_reason=_CALLS,
)
wild(
    "name-empty-at-first",
    "The name is an empty string at first",
    {CHAT: calls_chat(call("", name="", id="x"), call(_WHOLE, name="get"))},
    calls=_GET,
    finish_reason=_CALLS,
)
wild(
    "name-null-in-words",
    'Later pieces have the name "null"',
    {CHAT: calls_chat(call("", name="get", id="x"), call(_WHOLE, name="null"))},
    calls=_GET,
    finish_reason=_CALLS,
)

# --- placeholders ------------------------------------------------------------------------------------------------

wild(
    "arguments-begin-with-a-placeholder",
    "The arguments begin with `{}`, and then come",
    {
        CHAT: calls_chat(call("{}", name="get", id="x"), call('{"a"'), call(":1}")),
        MESSAGES: frames(start(), *tool_use({}, "{}", '{"a"', ":1}"), *stopped("tool_use")),
    },
    calls=_GET,
    finish_reason=_CALLS,
)
wild(
    "input-at-the-start-and-again",
    "A block begins with its whole input, and deltas repeat it",
    {MESSAGES: frames(start(), *tool_use({"a": 1}, '{"a"', ":1}"), *stopped("tool_use"))},
    calls=_GET,
    finish_reason=_CALLS,
)
wild(
    "input-as-a-string",
    "A block's input is JSON in a string",
    {MESSAGES: frames(start(), *tool_use(_WHOLE), *stopped("tool_use"))},
    calls=_GET,
    finish_reason=_CALLS,
)
wild(
    "block-starts-twice",
    "The block of a call starts twice",
    {
        MESSAGES: frames(
            start(), tool_use({})[0], *tool_use({}, '{"a"', ":1}"), *stopped("tool_use")
        )
    },
    calls=_GET,
    finish_reason=_CALLS,
)

# --- calls that are none -----------------------------------------------------------------------------------------

_NAMELESS = {"type": "function_call", "id": "fc", "call_id": "c", "name": "", "arguments": ""}
_EMPTY_BLOCK = {"type": "tool_use", "id": "", "name": "", "input": {}}

wild(
    "empty-function-call",
    "Text has an empty `function_call` beside it",
    {CHAT: chat({"content": "Hi", "function_call": {"name": "", "arguments": ""}})},
    text="Hi",
    calls=(),
    finish_reason=_STOP,
)
wild(
    "empty-tool-calls",
    "Text has a tool call without name, id and arguments beside it",
    {
        CHAT: chat({"content": "Hi", "tool_calls": [{"index": 0, "function": {}}]}),
        RESPONSES: frames(
            {"type": "response.output_text.delta", "output_index": 0, "delta": "Hi"},
            {"type": "response.output_item.done", "output_index": 1, "item": _NAMELESS},
            completed(),
        ),
        MESSAGES: frames(
            start(),
            *block(0, {"type": "text"}, {"type": "text_delta", "text": "Hi"}),
            *block(1, _EMPTY_BLOCK),
            *stopped("end_turn"),
        ),
    },
    text="Hi",
    calls=(),
    finish_reason=_STOP,
)
wild(
    "nothing-but-a-nameless-call",
    "The model calls a tool, and the server doesn't say which",
    {CHAT: calls_chat(call(_WHOLE, id="x"))},
    "invalid_output",
)
wild(
    "custom-tool",
    "A custom tool's call, whose input is text in two pieces",
    {
        CHAT: calls_chat(
            {
                "tool_calls": [
                    {
                        "index": 0,
                        "id": "x",
                        "type": "custom",
                        "custom": {"name": "py", "input": "print("},
                    }
                ]
            },
            {"tool_calls": [{"index": 0, "custom": {"input": "1)"}}]},
        )
    },
    calls=(("py", "print(1)"),),
    finish_reason=_CALLS,
)

# --- ids ---------------------------------------------------------------------------------------------------------

_SAME = {"function": {"name": "get", "arguments": _WHOLE}}

wild(
    "equal-calls-without-ids",
    "Two equal calls without ids in one list",
    {CHAT: calls_chat({"tool_calls": [_SAME, _SAME]})},
    calls=_GET * 2,
    finish_reason=_CALLS,
)
wild(
    "one-id-at-two-indices",
    "The same call, name and arguments included, at two indices",
    {CHAT: calls_chat(*(call(_WHOLE, name="get", id="x", index=index) for index in (0, 1)))},
    calls=_GET,
    finish_reason=_CALLS,
)
wild(
    "one-id-in-two-calls",
    "Two calls with other arguments under one id",
    {CHAT: calls_chat(*(call(f'{{"a":{n}}}', name="get", id="x", index=n - 1) for n in (1, 2)))},
    calls=(("get", {"a": 1}), ("get", {"a": 2})),
    finish_reason=_CALLS,
)
wild(
    "arguments-as-an-object",
    "The arguments are an object, not its text",
    {
        CHAT: calls_chat(call({"a": 1}, name="get", id="x")),
        RESPONSES: frames(
            {
                "type": "response.output_item.done",
                "output_index": 0,
                "item": {**call_item(_WHOLE), "arguments": {"a": 1}},
            },
            completed(),
        ),
    },
    calls=_GET,
    finish_reason=_CALLS,
)
