"""Frames in the wild: names that mean nothing, halves of characters, one line end for two."""

from __future__ import annotations

import json

from llmstream.testing.faults.wild.rows import (
    CHAT,
    DONE,
    MESSAGES,
    RESPONSES,
    chat,
    chunk,
    completed,
    event,
    frame,
    frames,
    said,
    start,
    stopped,
    wild,
)

_ONE = chunk({"content": "one "})
_TWO = chunk({"content": "two"})
_END = chunk({}, "stop")

wild(
    "ping-in-words",
    "`event: ping` and `event: heartbeat` with words and numbers as data",
    {
        CHAT: frame(_ONE)
        + frame("ping", "ping")
        + frame(_TWO)
        + frame("17", "heartbeat")
        + frame(_END)
        + DONE,
        RESPONSES: frame(event("output_text.delta", delta="one two"))
        + frame("ping", "ping")
        + frame(completed()),
        MESSAGES: frames(start())
        + frame("ping", "ping")
        + frames(*said("one two"), *stopped("end_turn")),
    },
    text="one two",
)
wild(
    "end-by-name",
    "`event: end` in place of `[DONE]`",
    {CHAT: frames(_ONE, _TWO, _END) + frame("", "end")},
    text="one two",
)
wild(
    "done-in-quotes",
    '`"[DONE]"` in quotes after the finish reason',
    {CHAT: frames(_ONE, _TWO, _END) + frame('"[DONE]"')},
    text="one two",
)
wild(
    "one-line-end-for-two",
    "Frames end in one line end, not in two",
    {CHAT: "".join(f"data: {json.dumps(p)}\n" for p in (_ONE, _TWO, _END)).encode() + DONE},
    text="one two",
)


def _halves(template: str) -> bytes:
    """Two frames, each with half of the character in place of HALF."""
    return b"".join(frame(template.replace("HALF", half)) for half in (r"\ud83d", r"\ude00"))


wild(
    "character-in-two-halves",
    "An emoji's two halves come in two deltas",
    {
        CHAT: _halves('{"choices":[{"index":0,"delta":{"content":"HALF"}}]}') + frame(_END) + DONE,
        RESPONSES: _halves('{"type":"response.output_text.delta","output_index":0,"delta":"HALF"}')
        + frame(completed()),
        MESSAGES: frames(start())
        + _halves(
            '{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"HALF"}}'
        )
        + frames(*stopped("end_turn")),
    },
    text="\U0001f600",
)
wild(
    "an-empty-error-on-every-chunk",
    "Every chunk has an `error` without content, or a code of success",
    {
        CHAT: chat(
            {"content": "one two"}, error={"code": 0, "message": "ok"}, base_resp={"status_code": 0}
        )
    },
    text="one two",
)
wild(
    "many-open-blocks",
    "Two thousand blocks begin, and end at the end alone",
    {
        MESSAGES: frames(
            start(),
            *(
                {
                    "type": "content_block_start",
                    "index": index,
                    "content_block": {"type": "text", "text": "x"},
                }
                for index in range(2000)
            ),
            *stopped("end_turn"),
        )
    },
    text="x" * 2000,
)
