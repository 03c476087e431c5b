"""Cohere's `/v2/chat` where it doesn't stream an answer."""

from __future__ import annotations

from typing import Any

from llmstream.wire.specimen import Specimen


def _document(text: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": [{"type": "text", "text": text}]}
    return {"id": "msg-1", "model": "m-1", "finish_reason": "COMPLETE", "message": message}


def _refusal(error: dict[str, Any]) -> dict[str, Any]:
    """No member around it: a text, and a type where there is one."""
    return {"message": error["message"], "error_type": error.get("code", error.get("type"))}


SPECIMEN = Specimen(
    document=_document,
    refusal=_refusal,
    opening=b"message-start",
    text_member="text",
    unknown=(
        {
            "type": "content-start",
            "index": 7,
            "delta": {"message": {"content": {"type": "hologram", "x": 1}}},
        },
        {"type": "content-end", "index": 7},
    ),
    broken={"type": "content-delta", "index": 0, "delta": 5},
)
