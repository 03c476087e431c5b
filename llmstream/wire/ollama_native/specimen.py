"""Ollama's own API where it doesn't stream an answer."""

from __future__ import annotations

from typing import Any

from llmstream.wire.specimen import Specimen


def _document(text: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    head = {"id": "msg-1", "model": "m-1", "created_at": "1970-01-01T00:00:00Z"}
    return {**head, "message": message, "done": True, "done_reason": "stop"}


def _refusal(error: dict[str, Any]) -> dict[str, Any]:
    """The error is a text; a code, where there is one, stands beside it."""
    code = error.get("code", error.get("type"))
    return {"error": error["message"], "code": code}


SPECIMEN = Specimen(
    document=_document,
    refusal=_refusal,
    opening=b'"id":"msg-1"',
    text_member="content",
    unknown=({"message": {"role": "assistant", "hologram": {"x": 1}}, "done": False},),
    broken={"message": 5},
)
