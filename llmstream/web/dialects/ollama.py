"""Ollama's own API: `/api/chat` and `/api/generate`, for programs that speak nothing else.

Format: https://github.com/ollama/ollama/blob/main/docs/api.md. Requests and lines are those of `wire/ollama_native`;
what is added here is what a client may rely on: the model that it asked for and a time in each line, counts that are
numbers, and an error in the stream where the answer breaks off. An answer streams unless the request says otherwise.

A heartbeat is a space, which JSON allows before a value: these clients fail on an empty line.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from llmstream.checks import require
from llmstream.errors import ErrorInfo
from llmstream.events.types import StreamEvent
from llmstream.messages import ChatRequest, FinishReason
from llmstream.plain_values import amended
from llmstream.web.dialects.answers import ProviderAnswer
from llmstream.web.dialects.base import Answer, Ask
from llmstream.web.dialects.frames import RunsOfText
from llmstream.web.dialects.request_checks import ask_for, keep_listed, object_of, whole
from llmstream.wire.inbound import model_of
from llmstream.wire.ollama_native.decode import FORMAT
from llmstream.wire.ollama_native.encode import OllamaEncoder
from llmstream.wire.ollama_native.request import parse_request
from llmstream.wire.outbound import json_bytes

UNDER = "/ollama"
"""All paths of this API are also below this one, where no other API has a say."""
_FINISH = {FinishReason.OTHER: FinishReason.STOP, FinishReason.UNKNOWN: FinishReason.STOP}
_COUNTS = {"prompt_eval_count": 0, "eval_count": 0}
_REFUSED = {
    "logprobs": (None, False),
    "raw": (None, False),
    "suffix": (None, ""),
    "template": (None, ""),
    "context": (None, []),
}
"""Members that ask for another kind of answer, and the values that don't."""
_LISTS = ("images", "tool_calls")


@dataclass(slots=True)
class OllamaReply:
    """The members of each line that don't depend on the answer."""

    model: str
    created_at: str


@dataclass
class OllamaChat:
    """The dialect of `/api/chat`. `now` gives the time in seconds since 1970."""

    now: Callable[[], float] = time.time
    format: str | None = FORMAT
    path: str = f"{UNDER}/api/chat"
    aliases: tuple[str, ...] = ()
    content_type: str = "application/x-ndjson"
    headers: Mapping[str, str] = field(default_factory=dict)
    keep_alive: bytes = b" "

    def parse(self, body: Any) -> Ask:
        """Read a request's JSON body. Raises ValueError or TypeError that name the place."""
        body = object_of(body)
        for name, harmless in _REFUSED.items():
            value = body.get(name)
            require(value in harmless, f"{name} is not supported here")
        reply = OllamaReply(model_of(body), rfc_3339(self.now()))
        if not body.get(self._asked_in):
            return self._load(body, reply)
        request = parse_request(self._as_asked(body))
        warnings = keep_listed(request, FORMAT)
        stream = body.get("stream")
        return ask_for(
            request,
            model=reply.model,
            stream=True if stream is None else stream,
            reply=reply,
            warnings=warnings,
        )

    def encoder(self, ask: Ask) -> Answer:
        """The encoder of one streamed answer."""
        return RunsOfText(_OllamaAnswer(ask, self._lines(ask.reply)))

    def document(self, ask: Ask, event: StreamEvent) -> Any:
        """The whole answer (a MESSAGE_COMPLETE) as one JSON document."""
        document: dict[str, Any] = {}
        for line in self._lines(ask.reply).lines(whole(event)):
            _fold(document, line)
        return document

    def error(self, info: ErrorInfo, request_id: str) -> Any:
        """The body of an HTTP error."""
        return {"error": info.message, "code": info.kind, "request_id": request_id}

    # --- what `/api/generate` does in another way -----------------------------------------------------------------

    _asked_in = "messages"

    def _as_asked(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        return body

    def _lines(self, reply: OllamaReply) -> OllamaLines:
        return OllamaLines(reply)

    def _load(self, body: Mapping[str, Any], reply: OllamaReply) -> Ask:
        """Say that the model is loaded, or with `keep_alive: 0` unloaded: there is nothing to do."""
        did = "unload" if body.get("keep_alive") in (0, "0") else "load"
        document = {**self._lines(reply).line({"content": ""}), "done": True, "done_reason": did}
        nothing = ChatRequest([], reply.model)
        return Ask(nothing, reply.model, stream=False, reply=reply, ready=document)


@dataclass
class OllamaGenerate(OllamaChat):
    """The dialect of `/api/generate`: a prompt in place of messages."""

    path: str = "/api/generate"
    aliases: tuple[str, ...] = (f"{UNDER}/api/generate",)

    _asked_in = "prompt"

    def _as_asked(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        others = ("messages", "tools")
        return {name: value for name, value in body.items() if name not in others}

    def _lines(self, reply: OllamaReply) -> OllamaLines:
        return _GenerateLines(reply)


class _OllamaAnswer(ProviderAnswer):
    """One streamed answer."""

    def __init__(self, ask: Ask, lines: OllamaLines) -> None:
        super().__init__(ask)
        self._lines = lines

    def _render(self, event: StreamEvent) -> bytes:
        return b"".join(json_bytes(line) + b"\n" for line in self._lines.lines(event))


class OllamaLines(OllamaEncoder):
    """Lines with all that the official clients' types promise."""

    def __init__(self, reply: OllamaReply) -> None:
        super().__init__()
        self._head = {"model": reply.model, "created_at": reply.created_at}

    def lines(self, event: StreamEvent) -> Iterator[dict[str, Any]]:
        """The lines of one event, not yet bytes."""
        for line in self._frames(_official(event)):
            yield {**line, **_COUNTS, **line} if line.get("done") else line

    def line(self, message: dict[str, Any]) -> dict[str, Any]:
        """A line that isn't the last, with this message."""
        return {**self._head, "message": {"role": "assistant", **message}, "done": False}

    def _message(self, message: dict[str, Any], **more: Any) -> dict[str, Any]:
        return self.line(message)


class _GenerateLines(OllamaLines):
    """Lines without a message: its words stand in them. Nobody is offered tools there."""

    def line(self, message: dict[str, Any]) -> dict[str, Any]:
        """A line that isn't the last, with the words of this message."""
        said = {"response": message["content"]}
        if "thinking" in message:
            said["thinking"] = message["thinking"]
        if "images" in message:
            said["image"] = message["images"][0]
        return {**self._head, **said, "done": False}


def rfc_3339(seconds: float) -> str:
    """A time as Ollama writes it. `seconds` are those since 1970."""
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def _official(event: StreamEvent) -> StreamEvent:
    """The end of an answer in the words of this API, whatever its provider's was."""
    if event.finish_reason is None and event.raw_finish_reason is None:
        return event
    reason = event.finish_reason or FinishReason.UNKNOWN
    return amended(event, finish_reason=_FINISH.get(reason, reason), raw_finish_reason=None)


def _fold(document: dict[str, Any], line: dict[str, Any]) -> None:
    """Add a line to the document: texts and lists grow, anything else is replaced."""
    for name, value in line.items():
        if name == "message":
            _fold(document.setdefault(name, {}), value)
        elif name in ("content", "thinking", "response"):
            document[name] = document.get(name, "") + value
        elif name in _LISTS:
            document[name] = [*document.get(name, ()), *value]
        else:
            document[name] = value
