"""Chat completions where they don't stream an answer."""

from __future__ import annotations

from typing import Any

from llmstream.wire.specimen import Specimen


def _document(text: str) -> dict[str, Any]:
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text},
        "finish_reason": "stop",
    }
    return {"id": "msg-1", "object": "chat.completion", "model": "m-1", "choices": [choice]}


SPECIMEN = Specimen(
    document=_document,
    opening=b'"role"',
    text_member="content",
    unknown=({"choices": [{"index": 0, "delta": {"hologram": {"x": 1}}}]},),
    broken={"choices": 5},
    reason_ends=True,
    done_marker=True,
)
