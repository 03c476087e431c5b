"""A fitted history as the messages of OpenAI's chat completions.

What the format has no place for: citations, results of tools that the provider ran, and whether a tool's result is an
error (its text says so). A tool's result is text here. The images and files that a tool shows follow as a user's
message, behind all results of their round.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from llmstream.cache_marks import Cache, mark
from llmstream.messages import (
    File,
    ImagePart,
    Message,
    Part,
    ProviderPart,
    ReasoningPart,
    TextPart,
    ToolCall,
    ToolResult,
)
from llmstream.wire.fitting.history import is_plain
from llmstream.wire.openai_chat.encode import render_signature
from llmstream.wire.openai_chat.media import ChatParts
from llmstream.wire.openai_chat.reasoning_details import with_words
from llmstream.wire.outbound import text_of_result, warn_once

REASONING = "reasoning_content"


@dataclass(slots=True)
class ChatWords:
    """What a host's messages may hold."""

    host: str
    developer_role: bool
    names: bool
    reasoning_text: bool
    """Whether reasoning goes back as `reasoning_content`."""
    reasoning_details: bool
    """Whether what the host signed goes back as `reasoning_details`."""
    cache: str | None
    """The host's word for a cache mark."""
    parts: ChatParts
    """The blocks of images and files."""


class ChatMessages:
    """The messages of one request, as they are rendered."""

    def __init__(self, words: ChatWords, warnings: list[str]) -> None:
        self._words = words
        self._warnings = warnings
        self.messages: list[dict[str, Any]] = []

    def add(self, message: Message) -> None:
        """The next message of a fitted history."""
        role: str = message.role
        if role == "developer" and not self._words.developer_role:
            role = "system"
        if is_plain(message):
            text: Any = message.parts[0]
            self.messages.append({"role": role, "content": text.text})
        elif role == "assistant":
            self._append(message, _assistant(message, self._words))
        else:
            self._add_spoken(message, role)

    def _add_spoken(self, message: Message, role: str) -> None:
        """What a user, a tool or the application says."""
        shown: list[Part] = []
        for part in message.parts:
            if isinstance(part, ToolResult):
                self.messages.append(self._tool_result(part))
                shown += _media_of(part)
        content = self._content([*shown, *message.parts])
        if content or not message.parts:
            speaker = "user" if role == "tool" else role
            self._append(message, {"role": speaker, "content": content or ""})  # [] is refused

    def _append(self, message: Message, rendered: dict[str, Any]) -> None:
        if message.name is not None and self._words.names:
            rendered["name"] = message.name
        elif message.name is not None:
            warn_once(self._warnings, f"name: messages have none at {self._words.host}; left out")
        self.messages.append(rendered)

    def _content(self, parts: Iterable[Part]) -> Any:
        """A lone text as a string, which every host can read; else a list of parts."""
        content = [item for part in parts for item in self._items(part)]
        if len(content) == 1 and content[0].keys() == {"type", "text"}:
            return content[0]["text"]
        return content

    def _items(self, part: Part) -> list[dict[str, Any]]:
        if isinstance(part, ProviderPart):
            return [part.data]
        if isinstance(part, TextPart):
            return [_marked_text(part.text, part.cache, self._words.cache)]
        if not isinstance(part, ImagePart | File):
            return []
        rendered = self._words.parts.render(part, self._warnings)
        return [mark(rendered, part.cache, self._words.cache)]

    def _tool_result(self, result: ToolResult) -> dict[str, Any]:
        text = text_of_result(result)
        content: Any = text
        if result.cache is not None and self._words.cache is not None:
            content = [_marked_text(text, result.cache, self._words.cache)]
        return {"role": "tool", "tool_call_id": result.tool_call_id, "content": content}


def _marked_text(text: str, cache: Cache | None, word: str | None) -> dict[str, Any]:
    return mark({"type": "text", "text": text}, cache, word)


def _media_of(result: ToolResult) -> list[Part]:
    return [part for part in result.shown or () if not isinstance(part, TextPart)]


def _assistant(message: Message, words: ChatWords) -> dict[str, Any]:
    calls = message.tool_calls
    text, refusal = message.text, message.refusal
    content: Any = text if text or not (calls or refusal) else None
    texts = [part for part in message.parts if isinstance(part, TextPart)]
    if words.cache is not None and any(part.cache for part in texts):
        content = [_marked_text(part.text, part.cache, words.cache) for part in texts]
    signed = _signed_reasoning(message.parts) if words.reasoning_details else {}
    beside = {
        "refusal": refusal,
        **signed,
        REASONING: _readable(message.parts) if words.reasoning_text else "",
        "tool_calls": [_call(call) for call in calls],
    }
    said = {name: value for name, value in beside.items() if value or name in signed}
    return {"role": "assistant", "content": content, **said}


def _readable(parts: Iterable[Part]) -> str:
    """The reasoning that goes back as text: what is signed goes back with its signature."""
    return "".join(
        part.text for part in parts if isinstance(part, ReasoningPart) and not part.signature
    )


def _signed_reasoning(parts: Iterable[Part]) -> dict[str, Any]:
    """What this host signed or encrypted, whole and in order."""
    details: list[dict[str, Any]] = []
    blocks: list[dict[str, Any]] = []
    sealed: dict[str, Any] = {}
    for part in parts:
        if isinstance(part, ProviderPart):
            details.append(part.data)
        elif isinstance(part, ReasoningPart):
            data = part.provider_data or {}
            own = data.get("thinking_blocks", [])  # LiteLLM's
            blocks += own
            details += with_words(data.get("reasoning_details"), part.text)
            if part.signature and not (own or data.get("reasoning_details")):
                details.append(render_signature(part.signature, part.id, part.text))
            if "reasoning_opaque" in data:
                sealed["reasoning_opaque"] = data["reasoning_opaque"]
    lists = {"reasoning_details": details, "thinking_blocks": blocks}
    return {**{name: each for name, each in lists.items() if each}, **sealed}


def _call(call: ToolCall) -> dict[str, Any]:
    data = call.provider_data or {}
    if data.get("type") == "custom":
        custom = {"name": call.name, "input": call.arguments}
        rendered: dict[str, Any] = {"id": call.id, "type": "custom", "custom": custom}
    else:
        function = {"name": call.name, "arguments": call.arguments}
        rendered = {"id": call.id, "type": "function", "function": function}
    if "extra_content" in data:
        rendered["extra_content"] = data["extra_content"]
    return rendered
