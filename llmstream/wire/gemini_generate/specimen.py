"""GenerateContent where it doesn't stream an answer."""

from __future__ import annotations

from typing import Any

from llmstream.wire.specimen import Specimen


def _document(text: str) -> dict[str, Any]:
    content = {"parts": [{"text": text}], "role": "model"}
    candidate = {"content": content, "finishReason": "STOP", "index": 0}
    return {"candidates": [candidate], "modelVersion": "m-1", "responseId": "msg-1"}


def _unknown(part: dict[str, Any]) -> dict[str, Any]:
    return {"candidates": [{"content": {"parts": [part], "role": "model"}, "index": 0}]}


SPECIMEN = Specimen(
    document=_document,
    opening=b'"parts":[{"text":""}]',
    text_member="text",
    unknown=(_unknown({"hologram": {"x": "y"}}),),
    broken={"candidates": 5},
    reason_ends=True,
    own_end=False,
)
