"""Content that comes late, again or in another form: at ends alone, grown each time, encoded twice, after its end."""

from __future__ import annotations

import json

from llmstream.messages import FinishReason
from llmstream.testing.faults.wild.rows import (
    CHAT,
    DONE,
    MESSAGES,
    RESPONSES,
    added,
    block,
    call,
    call_item,
    calls_chat,
    chat,
    completed,
    event,
    frames,
    message_item,
    said,
    start,
    stopped,
    tool_use,
    wild,
)

_STOP, _CALLS = FinishReason.STOP, FinishReason.TOOL_CALLS
_LENGTH = FinishReason.LENGTH
_GET = (("get", {"a": 1}),)
_WHOLE = '{"a":1}'
_TWICE = json.dumps(_WHOLE)
_GROWING = ('{"a"', '{"a":', _WHOLE)
_TEXT = {"type": "text", "text": "one two"}
_HM = "hm, so"

# --- what stands at an end alone ---------------------------------------------------------------------------------

wild(
    "text-at-ends-only",
    "Nothing streams: the text stands in the done of its part, the stop of its block, a last message",
    {
        RESPONSES: frames(
            event("output_text.done", text="one two", content_index=0),
            event("content_part.done", part={"type": "output_text", "text": "one two"}),
            completed(),
        ),
        MESSAGES: frames(
            start(),
            {"type": "content_block_start", "index": 0, "content_block": {**_TEXT, "text": ""}},
            {"type": "content_block_stop", "index": 0, "content_block": _TEXT},
            *stopped("end_turn"),
        ),
        CHAT: frames(
            {
                "id": "c1",
                "choices": [
                    {"index": 0, "message": {"content": "one two"}, "finish_reason": "stop"}
                ],
            }
        )
        + DONE,
    },
    text="one two",
    finish_reason=_STOP,
)

# --- what is told again, with more in it -------------------------------------------------------------------------

wild(
    "arguments-that-grow",
    "Each piece of a call tells all of its arguments so far",
    {
        CHAT: calls_chat(call("", name="get", id="x"), *map(call, _GROWING)),
        MESSAGES: frames(start(), *tool_use({}, *_GROWING), *stopped("tool_use")),
    },
    calls=_GET,
    finish_reason=_CALLS,
)
wild(
    "calls-that-grow",
    "A whole call comes again under its id, with one argument more",
    {CHAT: calls_chat(*(call(text, name="get", id="x") for text in (_WHOLE, '{"a":1,"b":2}')))},
    calls=(("get", {"a": 1, "b": 2}),),
    finish_reason=_CALLS,
)

# --- what has another form ---------------------------------------------------------------------------------------

wild(
    "arguments-encoded-twice",
    "A call's arguments are JSON in a JSON string",
    {
        CHAT: calls_chat(call(_TWICE[:4], name="get", id="x"), call(_TWICE[4:])),
        RESPONSES: frames(event("output_item.done", item=call_item(_TWICE)), completed()),
        MESSAGES: frames(start(), *tool_use({}, _TWICE[:4], _TWICE[4:]), *stopped("tool_use")),
    },
    calls=_GET,
    finish_reason=_CALLS,
)
wild(
    "content-without-a-list",
    "The content is one part, or its text, in place of a list of parts",
    {
        RESPONSES: frames(completed({**message_item(""), "content": "one two"})),
        MESSAGES: {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "m",
            "content": "one two",
            "stop_reason": "end_turn",
        },
        CHAT: chat({"content": _TEXT}),
    },
    text="one two",
    finish_reason=_STOP,
)

# --- what comes when it is over ----------------------------------------------------------------------------------

wild(
    "phase-after-the-text",
    "A message's phase stands in its end alone",
    {
        RESPONSES: frames(
            event("output_text.delta", delta="one two"),
            event("output_item.done", item=message_item("one two", phase="final_answer")),
            completed(),
        )
    },
    text="one two",
    finish_reason=_STOP,
)
_THOUGHT = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": _HM}]}
wild(
    "signature-after-the-text",
    "What signs the reasoning comes when the text has come, with or without the reasoning again",
    {
        CHAT: chat(
            {"reasoning_content": _HM},
            {"content": "one two"},
            {"reasoning_details": [{"type": "reasoning.text", "text": _HM, "signature": "c2ln"}]},
        ),
        RESPONSES: frames(
            event("reasoning_summary_text.delta", delta=_HM),
            event("output_text.delta", 1, delta="one two"),
            completed({**_THOUGHT, "encrypted_content": "c2ln"}, message_item("one two")),
        ),
        MESSAGES: frames(
            start(),
            *block(
                0,
                {"type": "thinking", "thinking": ""},
                {"type": "thinking_delta", "thinking": _HM},
            ),
            *said("one two", 1),
            {
                "type": "content_block_delta",
                "index": 0,
                "delta": {"type": "signature_delta", "signature": "c2lnbmVk"},
            },
            *stopped("end_turn"),
        ),
    },
    text="one two",
    reasoning=_HM,
    finish_reason=_STOP,
)

# --- half answers ------------------------------------------------------------------------------------------------

wild(
    "half-a-message-completed",
    "The response is completed, and its message is incomplete",
    {RESPONSES: frames(completed(message_item("one two", status="incomplete")))},
    text="one two",
    finish_reason=_LENGTH,
)
wild(
    "code-that-never-ends",
    "A tool that the provider runs begins, and its call never ends",
    {
        RESPONSES: frames(
            added({"type": "code_interpreter_call", "id": "ci_1", "status": "in_progress"}),
            event("code_interpreter_call_code.delta", item_id="ci_1", delta="print(1)"),
            event("output_text.delta", 1, delta="one two"),
            completed(),
        )
    },
    text="one two",
    finish_reason=_STOP,
)
