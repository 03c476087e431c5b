"""Responses in the wild: indices, ids and snapshots that don't agree."""

from __future__ import annotations

from llmstream.messages import FinishReason
from llmstream.testing.faults.wild.rows import (
    RESPONSES,
    added,
    call_item,
    completed,
    event,
    frames,
    message_item,
    wild,
)

_CALLS, _STOP = FinishReason.TOOL_CALLS, FinishReason.STOP
_GET = (("get", {"a": 1}),)
_TEXT = message_item("one two")
_BEGUN = {"type": "message", "id": "msg_1", "role": "assistant", "content": []}
_CALL = call_item('{"a":1}')
_CALL_BEGUN = {**_CALL, "arguments": "", "status": "in_progress"}
_THOUGHT = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]}


wild(
    "content-index-of-each-delta",
    "Each delta has the next `content_index`, and the dones have others",
    {
        RESPONSES: frames(
            added(_BEGUN),
            event("output_text.delta", content_index=1, item_id="m", delta="one"),
            event("output_text.delta", content_index=2, item_id="m", delta=" two"),
            event("output_text.done", content_index=3, item_id="m", text="one two"),
            event("content_part.done", content_index=4, item_id="m", part=_TEXT["content"][0]),
            event("output_item.done", item={**_TEXT, "id": "m"}),
            completed({**_TEXT, "id": "m"}),
        )
    },
    text="one two",
    finish_reason=_STOP,
)
wild(
    "dones-without-an-index",
    "Deltas have a `content_index`, the dones have none, and the ids are null",
    {
        RESPONSES: frames(
            added({**_BEGUN, "id": None}),
            event("output_text.delta", content_index=0, item_id=None, delta="one two"),
            event("output_text.done", item_id=None, text="one two"),
            event("content_part.done", part=_TEXT["content"][0]),
            event("output_item.done", item={**_TEXT, "id": None}),
            completed({**_TEXT, "id": "new"}),
        )
    },
    text="one two",
    finish_reason=_STOP,
)
wild(
    "dones-one-item-later",
    "A call's dones come one `output_index` later, under another id",
    {
        RESPONSES: frames(
            added(_CALL_BEGUN, 1),
            event("function_call_arguments.delta", 1, item_id="fc_1", delta='{"a"'),
            event("function_call_arguments.delta", 1, item_id="fc_1", delta=":1}"),
            event("function_call_arguments.done", 2, item_id="fc_1", arguments='{"a":1}'),
            event("output_item.done", 2, item={**_CALL, "id": None, "call_id": "other"}),
            completed({**_CALL, "id": "fc_9", "call_id": "call_9"}),
        )
    },
    calls=_GET,
    finish_reason=_CALLS,
)
wild(
    "item-added-twice",
    "`output_item.added` comes twice for one message",
    {
        RESPONSES: frames(
            added(_BEGUN),
            added(_BEGUN),
            event("output_text.delta", content_index=0, item_id="msg_1", delta="one two"),
            event("output_item.done", item=_TEXT),
            completed(_TEXT),
        )
    },
    text="one two",
    finish_reason=_STOP,
)
wild(
    "item-whole-without-a-done",
    "`output_item.added` has the whole call, and no done comes",
    {RESPONSES: frames(added(_CALL), completed())},
    calls=_GET,
    finish_reason=_CALLS,
)
wild(
    "reasoning-again-at-the-end",
    "Reasoning streamed, and its item comes at the end under another index",
    {
        RESPONSES: frames(
            added({**_THOUGHT, "summary": []}),
            event("reasoning_summary_text.delta", summary_index=0, item_id="rs_1", delta="hm"),
            event("output_text.delta", 1, item_id="msg_1", delta="one two"),
            event("output_item.done", 2, item=_THOUGHT),
            completed(_TEXT, _THOUGHT),
        )
    },
    text="one two",
    reasoning="hm",
    finish_reason=_STOP,
)
wild(
    "call-in-the-snapshot-only",
    "Text streams, and a call stands in the terminal snapshot only",
    {
        RESPONSES: frames(
            added(_BEGUN),
            event("output_text.delta", content_index=0, item_id="msg_1", delta="one two"),
            event("output_item.done", item=_TEXT),
            completed(_TEXT, _CALL),
        )
    },
    text="one two",
    calls=_GET,
    finish_reason=_CALLS,
)
wild(
    "text-in-the-snapshot-only",
    "A call streams, and the text stands in the terminal snapshot only",
    {
        RESPONSES: frames(
            added(_CALL_BEGUN),
            event("function_call_arguments.delta", item_id="fc_1", delta='{"a":1}'),
            event("output_item.done", item=_CALL),
            completed(_CALL, _TEXT),
        )
    },
    text="one two",
    calls=_GET,
    finish_reason=_CALLS,
)
wild(
    "text-part-in-the-snapshot",
    'The snapshot has parts of the type "text"',
    {
        RESPONSES: frames(
            completed({**_TEXT, "content": [{"type": "text", "text": "one two"}]}),
        )
    },
    text="one two",
    finish_reason=_STOP,
)
wild(
    "phases",
    "A message with the phase `commentary` comes before the final answer",
    {
        RESPONSES: frames(
            added({**_BEGUN, "phase": "commentary"}),
            event("output_text.delta", content_index=0, item_id="msg_1", delta="one"),
            event("output_item.done", item={**message_item("one"), "phase": "commentary"}),
            added({**_BEGUN, "id": "msg_2", "phase": "final_answer"}, 1),
            event("output_text.delta", 1, content_index=0, item_id="msg_2", delta=" two"),
            event("output_item.done", 1, item={**message_item(" two"), "phase": "final_answer"}),
            completed(),
        )
    },
    text="one two",
    finish_reason=_STOP,
)
