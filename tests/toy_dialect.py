"""A whole dialect: what docs/extending.md walks through. Its clients post a question and read lines of JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from llmstream.arguments import build_request
from llmstream.errors import ErrorInfo
from llmstream.events.types import EventType, StreamEvent
from llmstream.web.dialects import Ask
from llmstream.web.dialects.answers import AnswerEncoder
from llmstream.web.dialects.request_checks import ask_for, object_of


class Lines:
    format = None
    path = "/lines"
    aliases = ()
    content_type = "application/x-ndjson"
    headers: Mapping[str, str] = {}
    keep_alive = b"\n"

    def parse(self, body: Any) -> Ask:
        asked = object_of(body)
        model = asked.get("model")
        request = build_request([{"role": "user", "content": asked.get("question")}], model or "")
        return ask_for(request, model=model, stream=asked.get("stream", True))

    def encoder(self, ask: Ask) -> LinesAnswer:
        return LinesAnswer()

    def document(self, ask: Ask, event: StreamEvent) -> Any:
        return {"text": event.text, "end": event.finish_reason}

    def error(self, info: ErrorInfo, request_id: str) -> Any:
        return {"problem": info.message, "request": request_id}


class LinesAnswer(AnswerEncoder):
    def _encode(self, event: StreamEvent) -> bytes:
        if event.text:
            return line({"text": event.text})
        if event.error_info is not None:
            return line({"problem": event.error_info.message})
        if event.type is EventType.MESSAGE_COMPLETE:
            return line({"end": event.finish_reason})
        return b""


def line(payload: Any) -> bytes:
    return json.dumps(payload).encode() + b"\n"
