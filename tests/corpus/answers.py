"""The corpus: answers in every wire format, and what each of them means.

The bytes are our own, written after the published shapes of the APIs, so that the strongest tests of formats run for
everybody. Each file `<format>/<name>.txt` is one case; to add a case is to add a file. It has three parts:

    {"shows": "Text in two pieces.", "text": "Hello", "finish_reason": "stop"}
    =====
    data: {"choices": [{"delta": {"content": "Hel"}}]}

First stands a JSON object of what the answer means, in the words of `meaning`. What it leaves out must not be in the
answer. Then comes a line of `=====`, and all bytes after it are the body, as they are. Where frames are binary
messages, each line stands for one: its name, a space, and its data.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import groupby
from pathlib import Path
from typing import Any

from llmstream.errors import ErrorInfo
from llmstream.events.types import StreamEvent
from llmstream.messages import File, Message, Source, ToolCall, ToolResult, parse_arguments
from llmstream.wire.formats import FORMATS, find_format
from llmstream.wire.framing.event_stream import EventStream

FOLDER = Path(__file__).parent
CUT = b"\n=====\n"


@dataclass(frozen=True)
class Answer:
    """One case: an answer's bytes and what they mean."""

    format: str
    name: str
    shows: str
    """One sentence: what is special about it."""
    means: dict[str, Any]
    """As `meaning` says it."""
    body: bytes

    @property
    def calls(self) -> list[tuple[str, Any]]:
        """The calls for the caller: the name, and the arguments as a dict (None: no JSON object)."""
        return [
            (call["name"], parse_arguments(call.get("arguments", "")))
            for call in self.means.get("calls", ())
            if "executed_by" not in call
        ]

    @property
    def content_type(self) -> str:
        """The media type that a server gives it."""
        try:
            json.loads(self.body)
        except ValueError:
            return find_format(self.format).framing.content_type
        return "application/json"


def read(path: Path) -> Answer:
    """The case in a file. ValueError names what is wrong with the file."""
    head, cut, body = path.read_bytes().partition(CUT)
    if not cut:
        raise ValueError(f"{path} has no line ===== between what the answer means and its bytes")
    means = json.loads(head)
    format = path.parent.name
    if isinstance(FORMATS.get(format) and FORMATS[format].framing, EventStream):
        body = messages(body)
    return Answer(format, path.stem, means.pop("shows"), means, body)


def messages(lines: bytes) -> bytes:
    """The body of an AWS event stream that these lines stand for; a document as it is."""
    if lines.startswith(b"{"):
        return lines
    named = (line.split(b" ", 1) for line in lines.splitlines())
    return b"".join(
        _WRITERS[name.endswith(b"Exception")](EventStream(), data, name.decode())
        for name, data in named
    )


_WRITERS = {False: EventStream.frame, True: EventStream.exception}


def answers(format: str | None = None) -> list[Answer]:
    """All cases, or those of one format."""
    return [read(path) for path in sorted(FOLDER.glob(f"{format or '*'}/*.txt"))]


# --- what events mean ---------------------------------------------------------------------------------------


def meaning(events: Sequence[StreamEvent]) -> dict[str, Any]:
    """An attempt's events in short, as JSON. What isn't there is left out.

    - `order`: the types of the events, each once for a run of it.
    - `id`, `model`: of the message, or of what came before an ERROR.
    - `text`, `reasoning`, `refusal`, `calls`, `results`, `sources`, `files` (media types): likewise.
    - `kept`: how many signatures and opaque items go back to the provider.
    - `finish_reason`, `raw_finish_reason`, `usage`, `error`: of the end.
    """
    last = events[-1]
    info = last.error_info
    said = last.message or (info.partial if info else None) or Message("assistant")
    found = {
        "order": " ".join(kind for kind, _ in groupby(event.type.value for event in events)),
        "id": said.id,
        "model": said.model,
        "text": said.text,
        "reasoning": said.reasoning,
        "refusal": said.refusal,
        "calls": [_shown(part) for part in said.parts if isinstance(part, ToolCall)],
        "results": [_shown(part) for part in said.parts if isinstance(part, ToolResult)],
        "sources": [_shown(part) for part in said.parts if isinstance(part, Source)],
        "files": [part.media_type for part in said.parts if isinstance(part, File)],
        "kept": sum(event.is_internal for event in events),
        "finish_reason": last.finish_reason,
        "raw_finish_reason": last.raw_finish_reason,
        "usage": last.usage.to_dict() if last.usage else None,
        "error": _error(info) if info else None,
    }
    return {name: value for name, value in found.items() if value}


def _shown(part: Any) -> dict[str, Any]:
    """The fields that aren't at their default, without what is opaque or follows from another field."""
    hidden = ("input", "provider_data")
    named = [field for field in fields(part) if field.name not in hidden]
    return {
        field.name: value
        for field in named
        if (value := getattr(part, field.name)) != field.default
    }


def _error(info: ErrorInfo) -> dict[str, Any]:
    found = {"kind": info.kind, "code": info.code, "status": info.status_code}
    return {name: value for name, value in found.items() if value is not None}
