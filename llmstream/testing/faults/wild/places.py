"""Answers in unusual places: the wrong member, another choice, a picture beside the text."""

from __future__ import annotations

from llmstream.messages import FinishReason
from llmstream.testing.faults.wild.rows import CHAT, DONE, call, chat, frames, wild

_STOP, _CALLS = FinishReason.STOP, FinishReason.TOOL_CALLS
_IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
_SAID = {"role": "assistant", "content": "one two"}
_ASKED = {"role": "assistant", **call('{"a":1}', name="get", id="x", index=None)}

wild(
    "message-in-place-of-delta",
    "One event has the whole answer in `message`, in place of `delta`",
    {CHAT: frames({"choices": [{"index": 0, "message": _SAID, "finish_reason": "stop"}]}) + DONE},
    text="one two",
    finish_reason=_STOP,
)
wild(
    "two-choices-without-an-index",
    "Text in one choice and a call in the next, neither with an index",
    {
        CHAT: {
            "id": "c",
            "choices": [
                {"message": _SAID, "finish_reason": "tool_calls"},
                {"message": _ASKED, "finish_reason": "tool_calls"},
            ],
        }
    },
    text="one two",
    calls=(("get", {"a": 1}),),
    finish_reason=_CALLS,
)
wild(
    "two-answers",
    "Two choices of different index are two answers: the first one counts",
    {
        CHAT: frames(
            {"choices": [{"index": 0, "delta": {"content": "one two"}}]},
            {"choices": [{"index": 1, "delta": {"content": "another"}}]},
            {"choices": [{"index": 1, "delta": {}, "finish_reason": "length"}]},
            {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        )
        + DONE
    },
    text="one two",
    finish_reason=_STOP,
)
wild(
    "picture-in-the-delta",
    "A picture in `delta.images`",
    {CHAT: chat({"content": "one two", "images": [_IMAGE]})},
    text="one two",
    files=1,
)
wild(
    "picture-as-a-part",
    "A picture as a part of the content",
    {CHAT: chat({"content": [{"type": "text", "text": "one two"}, _IMAGE]})},
    text="one two",
    files=1,
)
wild(
    "reasoning-text",
    "Reasoning in `reasoning_text`, sealed by `reasoning_opaque` (Copilot)",
    {CHAT: chat({"reasoning_text": "hm"}, {"reasoning_opaque": "s"}, {"content": "one two"})},
    text="one two",
    reasoning="hm",
)
