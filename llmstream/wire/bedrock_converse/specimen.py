"""Converse where it doesn't stream an answer."""

from __future__ import annotations

from typing import Any

from llmstream.events.types import EventType, StreamEvent
from llmstream.messages import FinishReason, Message, TextPart
from llmstream.wire.bedrock_converse.whole_answer import render_answer
from llmstream.wire.specimen import Specimen


def _document(text: str) -> dict[str, Any]:
    message = Message("assistant", [TextPart(text)])
    reason = FinishReason.STOP
    return render_answer(
        StreamEvent(EventType.MESSAGE_COMPLETE, message=message, finish_reason=reason)
    )


def _refusal(error: dict[str, Any]) -> dict[str, Any]:
    return {"__type": error.get("code") or error.get("type"), **error}


SPECIMEN = Specimen(
    document=_document,
    refusal=_refusal,
    quota=("ServiceQuotaExceededException", "ServiceQuotaExceededException"),
    opening=b"messageStart",
    text_member="text",
    unknown=(
        {"contentBlockIndex": 7, "start": {"hologram": {"x": 1}}},
        {"contentBlockIndex": 7, "delta": {"hologram": {"y": 1}}},
        {"contentBlockIndex": 7},
    ),
    broken={"contentBlockIndex": 0, "delta": 5},
    reason_ends=True,
)
