"""Messages where they don't stream an answer."""

from __future__ import annotations

from typing import Any

from llmstream.wire.specimen import Specimen


def _document(text: str) -> dict[str, Any]:
    head = {"id": "msg-1", "type": "message", "role": "assistant", "model": "m-1"}
    return {**head, "content": [{"type": "text", "text": text}], "stop_reason": "end_turn"}


def _refusal(error: dict[str, Any]) -> dict[str, Any]:
    return {"type": "error", "error": error}


SPECIMEN = Specimen(
    document=_document,
    refusal=_refusal,
    quota=("rate_limit_error", "enforced_spend_limit_reached"),
    opening=b"message_start",
    text_member="text",
    unknown=(
        {
            "type": "content_block_start",
            "index": 7,
            "content_block": {"type": "hologram", "x": 1},
        },
        {
            "type": "content_block_delta",
            "index": 7,
            "delta": {"type": "hologram_delta", "y": "z"},
        },
        {"type": "content_block_stop", "index": 7},
    ),
    broken={"type": "content_block_delta", "index": 0, "delta": 5},
)
