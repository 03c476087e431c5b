"""A fitted history as Ollama's messages, and back.

What the format has no place for: names, citations, files, where an image stands among the texts, and whether a tool's
result is an error (its text says so). Images are base64; no server fetches one by its URL.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from llmstream.checks import (
    as_object,
    as_text,
    items_at,
    require,
)
from llmstream.media import parse_media
from llmstream.messages import (
    ROLES,
    ImagePart,
    Message,
    Part,
    ReasoningPart,
    TextPart,
    ToolCall,
    ToolResult,
)
from llmstream.wire.fitting.history import is_plain
from llmstream.wire.inbound import arguments_of, object_at, required_text, text_at
from llmstream.wire.json_fields import present
from llmstream.wire.outbound import content_text, input_of, warn_once

_BETWEEN = "\n\n"
"""What parts the texts of one message."""


class OllamaMessages:
    """The messages of one request, as they are rendered."""

    def __init__(self, warnings: list[str]) -> None:
        self._warnings = warnings
        self._names: dict[str, str] = {}  # the tools that were called, by the call's id
        self.messages: list[dict[str, Any]] = []

    def add(self, message: Message) -> None:
        """The next message of a fitted history."""
        role = "system" if message.role == "developer" else message.role
        if message.name is not None:
            warn_once(self._warnings, "name: Ollama's messages have none; left out")
        if is_plain(message):
            text: Any = message.parts[0]
            self.messages.append({"role": role, "content": text.text})
        elif role == "assistant":
            self.messages.append(self._assistant(message))
        else:
            self._add_spoken(message, role)

    def _add_spoken(self, message: Message, role: str) -> None:
        """What a user, a tool or the application says."""
        results = [part for part in message.parts if isinstance(part, ToolResult)]
        self.messages += map(self._result, results)
        others = [part for part in message.parts if not isinstance(part, ToolResult)]
        if others or not message.parts:
            speaker = "user" if role == "tool" else role
            self.messages.append({"role": speaker, **self._said(others)})

    def _assistant(self, message: Message) -> dict[str, Any]:
        beside = {
            "thinking": message.reasoning,
            "tool_calls": [self._call(call) for call in message.tool_calls],
        }
        said = {name: value for name, value in beside.items() if value}
        return {"role": "assistant", "content": message.text + message.refusal, **said}

    def _call(self, call: ToolCall) -> dict[str, Any]:
        self._names[call.id] = call.name
        given = input_of(call) or {}
        return {"id": call.id, "function": {"name": call.name, "arguments": given}}

    def _result(self, result: ToolResult) -> dict[str, Any]:
        name = self._names.get(result.tool_call_id, result.name)
        shown = result.shown
        said = {"content": content_text(result.content)} if shown is None else self._said(shown)
        return {"role": "tool", **said, **present(tool_name=name, tool_call_id=result.tool_call_id)}

    def _said(self, parts: Iterable[Any]) -> dict[str, Any]:
        """The texts as one, and the images behind them."""
        parts = list(parts)
        texts = [part.text for part in parts if isinstance(part, TextPart)]
        images = [part for part in parts if isinstance(part, ImagePart)]
        details = [image.detail for image in images if image.detail is not None]
        if details:
            warn_once(self._warnings, "image detail: Ollama has none; dropped")
        shown = [image.data for image in images]
        return {"content": _BETWEEN.join(texts), **({"images": shown} if shown else {})}


# --- in ---------------------------------------------------------------------------------------------------


def parse_history(body: Mapping[str, Any]) -> list[Message]:
    """The messages of a body of `/api/chat`, or the prompt of `/api/generate`."""
    if "messages" not in body and "prompt" in body:
        return list(_parse_prompt(body))
    require(body.get("messages"), "messages is empty: give at least one message")
    reader = _Reader()
    return [reader.read(*item) for item in items_at(body["messages"], "messages")]


def _parse_prompt(body: Mapping[str, Any]) -> Iterator[Message]:
    if system := body.get("system"):
        yield Message("system", [TextPart(text_at(system, "system"))])
    asked: list[Part] = [TextPart(text_at(body["prompt"], "prompt"))]
    yield Message("user", [*asked, *_parse_images(body.get("images"), "images")])


class _Reader:
    """Reads message by message. A result that names no call answers the first open one of its tool."""

    def __init__(self) -> None:
        self._open: list[ToolCall] = []
        self._count = 0

    def read(self, message: Any, where: str) -> Message:
        """One message. Raises TypeError or ValueError that name the place."""
        given = as_object(message)
        role: Any = given.get("role")
        require(role in ROLES, f"{where}.role must be one of {', '.join(ROLES)}, not {role!r}")
        text = text_at(given.get("content") or "", f"{where}.content")
        images = _parse_images(given.get("images"), f"{where}.images")
        if role == "tool":
            return Message("tool", [self._result(given, text, images)])
        parts: list[Part] = []
        if thinking := as_text(given.get("thinking")):
            parts.append(ReasoningPart(thinking))
        calls = [
            self._call(*item)
            for item in items_at(given.get("tool_calls") or (), f"{where}.tool_calls")
        ]
        if text or not (parts or images or calls):
            parts.append(TextPart(text))
        return Message(role, [*parts, *images, *calls])

    def _call(self, call: Any, where: str) -> ToolCall:
        function = as_object(as_object(call).get("function"))
        name = required_text(function.get("name"), f"{where} needs a function with a name")
        given = object_at(function.get("arguments") or {}, f"{where}.function.arguments")
        id = as_text(as_object(call).get("id")) or f"call_{self._count}"
        self._count += 1
        read = ToolCall(id, name, arguments_of(given), input=given)
        self._open.append(read)
        return read

    def _result(self, given: Mapping[str, Any], text: str, images: list[ImagePart]) -> ToolResult:
        name, id = as_text(given.get("tool_name")), as_text(given.get("tool_call_id"))
        answered = [
            call
            for call in self._open
            if (call.id == id if id is not None else name in (None, call.name))
        ]
        if answered:
            self._open.remove(answered[0])
            id, name = answered[0].id, None  # the call says it
        content: Any = [TextPart(text), *images] if images else text
        return ToolResult(id or "call_unknown", content, name)


def _parse_images(images: Any, where: str) -> list[ImagePart]:
    given = items_at(images or (), where)
    return [parse_media(ImagePart, place, data=image) for image, place in given]
