"""Interactions where it doesn't stream an answer."""

from __future__ import annotations

from typing import Any

from llmstream.wire.specimen import Specimen


def _document(text: str) -> dict[str, Any]:
    step = {"type": "model_output", "content": [{"type": "text", "text": text}]}
    head = {"id": "msg-1", "object": "interaction", "model": "m-1", "status": "completed"}
    return {**head, "steps": [step]}


def _delta(delta: dict[str, Any], index: int) -> dict[str, Any]:
    return {"index": index, "delta": delta, "event_type": "step.delta"}


SPECIMEN = Specimen(
    document=_document,
    quota=("payment_required", "payment_required"),
    opening=b"interaction.created",
    text_member="text",
    unknown=(_delta({"type": "hologram", "x": "y"}, 7),),
    broken={"index": 0, "delta": 5, "event_type": "step.delta"},
)
