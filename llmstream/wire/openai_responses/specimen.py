"""Responses where they don't stream an answer."""

from __future__ import annotations

from typing import Any

from llmstream.wire.specimen import Specimen


def _document(text: str) -> dict[str, Any]:
    part = {"type": "output_text", "text": text, "annotations": []}
    item = {"id": "item-1", "type": "message", "role": "assistant", "content": [part]}
    return {
        "id": "msg-1",
        "object": "response",
        "model": "m-1",
        "status": "completed",
        "output": [item],
    }


_UNKNOWN = {"output_index": 7, "item": {"id": "n", "type": "hologram"}}

SPECIMEN = Specimen(
    document=_document,
    opening=b"response.created",
    text_member="delta",
    unknown=(
        {"type": "response.output_item.added", **_UNKNOWN},
        {"type": "response.hologram.delta", "output_index": 7, "delta": "x"},
        {"type": "response.output_item.done", **_UNKNOWN},
    ),
    broken={"type": "response.output_item.done", "output_index": 0, "item": 5},
)
