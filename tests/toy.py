"""A whole wire format, and a provider for it: what docs/extending.md walks through.

Each line of an answer is a JSON object: `{"id", "model"}` opens it, `{"text"}` and `{"call"}` are its pieces, and
`{"done", "usage"}` ends it; `{"error"}` may come at any time.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

from llmstream.checks import as_text
from llmstream.errors import ErrorInfo
from llmstream.events.types import EventType, StreamEvent
from llmstream.messages import ChatRequest, Usage
from llmstream.providers import API, HTTPProvider, HTTPRequest, Outbound
from llmstream.wire import NDJSON, Decoder, Format, Rendered, Specimen, parse_error
from llmstream.wire.json_fields import as_count
from llmstream.wire.outbound import encode_json


class ToyDecoder(Decoder):
    format = "toy"
    framing = NDJSON()

    def parse_frame(self, payload: dict[str, Any], event: str) -> None:
        if payload.get("error"):
            self._fail(parse_error(payload))
            return
        self.start.id = self.start.id or as_text(payload.get("id"))
        self.start.model = self.start.model or as_text(payload.get("model"))
        self._text(payload.get("text") or "")
        if call := payload.get("call"):
            opened = self._open_call(call.get("id"), call.get("name"))
            self._call_delta(opened, call.get("arguments") or "", first=True)
            opened.done = True
        if usage := payload.get("usage"):
            self._usage = Usage(as_count(usage.get("in_tokens")), as_count(usage.get("out_tokens")))
        if reason := payload.get("done"):
            self._finish_word(reason)
            self._complete()

    def parse_document(self, payload: dict[str, Any]) -> bool:
        self.parse_frame(payload, "")
        return self.ended


class ToyEncoder:
    def feed(self, event: StreamEvent) -> bytes:
        payload = self._payload(event)
        text = json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
        return encode_json(text) + b"\n" if payload else b""

    def _payload(self, event: StreamEvent) -> dict[str, Any]:
        if event.start is not None and event.type is EventType.MESSAGE_START:
            return {"id": event.start.id, "model": event.start.model}
        if event.type is EventType.TEXT_DELTA:
            return {"text": event.text}
        if (call := event.tool_call) is not None:
            return {"call": {"id": call.id, "name": call.name, "arguments": call.arguments}}
        if event.error_info is not None:
            return render_error(event.error_info)
        if event.type is EventType.MESSAGE_COMPLETE:
            usage = event.usage or Usage()
            counts = {"in_tokens": usage.input_tokens, "out_tokens": usage.output_tokens}
            return {"done": "stop", "usage": counts}
        return {}


def render_error(info: ErrorInfo) -> dict[str, Any]:
    return {"error": {"type": f"{info.kind}_error", "message": info.message}}


SPECIMEN = Specimen(
    document=lambda text: {"id": "msg-1", "model": "m-1", "text": text, "done": "stop"},
    opening=b'"id":"msg-1"',
    text_member="text",
    broken={"call": 5},
)
TOY = Format(
    name="toy",
    decoder="tests.toy:ToyDecoder",
    encoder="tests.toy:ToyEncoder",
    specimen="tests.toy:SPECIMEN",
    provider="toy",
    path="/models/{model}/stream",
)


class ToyProvider(HTTPProvider):
    api = API(keys=("TOY_API_KEY",), key_header="x-toy-key", key_form="{}")
    format = "toy"

    def render(self, request: ChatRequest, given: Mapping[str, str]) -> Rendered:
        turns = [{"role": message.role, "text": message.text} for message in request.messages]
        return Rendered({"messages": turns})

    def outbound(self, request: ChatRequest, rendered: Rendered) -> Outbound:
        path = TOY.path.format(model=request.model)
        return Outbound(path, rendered.body, accept=NDJSON().content_type)

    def sign(self, request: HTTPRequest) -> None:
        digest = hmac.new(b"toy", request.content, hashlib.sha256)
        request.headers["x-signature"] = digest.hexdigest()
