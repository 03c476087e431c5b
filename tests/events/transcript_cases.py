"""Cases for everything that folds a stream, and what of them stands in a form that Python and the page can both say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from llmstream.events.transcript import Transcript
from llmstream.events.types import StreamEvent
from llmstream.messages import (
    File,
    ReasoningPart,
    RefusalPart,
    Source,
    TextPart,
    ToolCall,
    ToolResult,
)

CASES: list[dict[str, Any]] = json.loads(
    Path(__file__).with_suffix(".json").read_text(encoding="utf-8")
)
"""Each has a `name`, `events` in their JSON form, and `stands`: those of `summary`'s values that aren't empty."""


def standing(events: list[dict[str, Any]]) -> dict[str, Any]:
    """What the transcript says of these events, as `stands` has it."""
    transcript = Transcript()
    for event in events:
        transcript.add(StreamEvent.from_dict(event))
    return {name: value for name, value in summary(transcript).items() if value}


def summary(transcript: Transcript) -> dict[str, Any]:
    """What both twins can say of an answer."""
    parts, usage = transcript.parts, transcript.usage
    return {
        "text": "".join(part.text for part in parts if isinstance(part, TextPart)),
        "reasoning": "".join(part.text for part in parts if isinstance(part, ReasoningPart)),
        "refusal": "".join(part.text for part in parts if isinstance(part, RefusalPart)),
        "calls": [part.id for part in parts if isinstance(part, ToolCall) and part.complete],
        "results": [part.tool_call_id for part in parts if isinstance(part, ToolResult)],
        "sources": [part.url for part in parts if isinstance(part, Source)],
        "files": [part.name for part in parts if isinstance(part, File)],
        "model": transcript.start.model,
        "usage": usage.output_tokens if usage is not None else None,
    }
