"""A fitted history as Cohere's messages, and back.

What the format has no place for: names, and whether a tool's result is an error (its text says so). Documents stand
beside the messages, where Cohere cites them. A tool's result is text here; the images that a tool shows follow as a
user's message, behind all results of their round.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from llmstream.checks import as_object, as_text, check_unicode, items_at, require
from llmstream.media import data_url
from llmstream.message_reader import parse_messages
from llmstream.messages import (
    File,
    ImagePart,
    Message,
    ReasoningPart,
    Source,
    TextPart,
    ToolCall,
    ToolResult,
)
from llmstream.wire.cohere_v2.citations import own_citation
from llmstream.wire.fitting.history import is_plain
from llmstream.wire.fitting.labelled_text import text_of
from llmstream.wire.json_fields import present
from llmstream.wire.outbound import text_of_result, warn_once

_BETWEEN = "\n\n"
"""What parts the texts of one tool's result."""


class CohereMessages:
    """The messages of one request, as they are rendered, and the documents that they show."""

    def __init__(self, warnings: list[str], *, thinks: bool) -> None:
        self._warnings = warnings
        self._thinks = thinks
        self.messages: list[dict[str, Any]] = []
        self.documents: list[dict[str, Any]] = []

    def add(self, message: Message) -> None:
        """The next message of a fitted history."""
        role = "system" if message.role == "developer" else message.role
        if message.name is not None:
            warn_once(self._warnings, "name: Cohere's messages have none; left out")
        if is_plain(message):
            text: Any = message.parts[0]
            self.messages.append({"role": role, "content": text.text})
        elif role == "assistant":
            self._add_answer(self._assistant(message))
        else:
            self._add_spoken(message, role)

    def _add_spoken(self, message: Message, role: str) -> None:
        """What a user, a tool or the application says."""
        shown: list[Any] = []
        for part in message.parts:
            if isinstance(part, ToolResult):
                self.messages.append(_result(part))
                media = part.shown or ()
                shown += [each for each in media if not isinstance(each, TextPart)]
            else:
                shown.append(part)
        content = self._content(shown)
        if content or not message.parts:
            speaker = "user" if role == "tool" else role
            self.messages.append({"role": speaker, "content": content or ""})

    def _content(self, parts: list[Any]) -> Any:
        """A lone text as a string, else a list of parts. Documents stand elsewhere."""
        content: list[dict[str, Any]] = []
        for part in parts:
            if isinstance(part, TextPart):
                content.append({"type": "text", "text": part.text})
            elif isinstance(part, ImagePart):
                image = {"url": part.url or data_url(part), **present(detail=part.detail)}
                content.append({"type": "image_url", "image_url": image})
            elif isinstance(part, File):
                content.append(self._document(part))
        if len(content) == 1 and content[0].keys() == {"type", "text"}:
            return content[0]["text"]
        return content

    def _document(self, file: File) -> dict[str, Any]:
        """Put a document beside the messages. What stands in its place names it."""
        id = f"doc_{len(self.documents)}"
        data = {**present(title=file.name), "text": text_of(file)}
        self.documents.append({"id": id, "data": data})
        return {"type": "text", "text": f"[Document: {file.name or id}]"}

    def _add_answer(self, rendered: dict[str, Any]) -> None:
        """An assistant's message, if it says or does something."""
        if rendered.keys() == {"role"}:
            told = "reasoning: this model takes none back but as the plan for a call; left out"
            warn_once(self._warnings, told)
            return
        self.messages.append(rendered)

    def _assistant(self, message: Message) -> dict[str, Any]:
        calls = [_call(call) for call in message.tool_calls]
        text, reasoning = message.text + message.refusal, message.reasoning
        content: Any = text
        if reasoning and self._thinks:
            texts = [{"type": "text", "text": text}] if text else []
            content = [{"type": "thinking", "thinking": reasoning}, *texts]
        has_plan = bool(reasoning and calls and not self._thinks)
        beside = {
            "content": content,
            "tool_plan": reasoning if has_plan else "",
            "tool_calls": calls,
            "citations": _citations(message),
        }
        return {"role": "assistant", **{name: value for name, value in beside.items() if value}}


def _call(call: ToolCall) -> dict[str, Any]:
    function = {"name": call.name, "arguments": call.arguments or "{}"}
    return {"id": call.id, "type": "function", "function": function}


def _result(result: ToolResult) -> dict[str, Any]:
    text = text_of_result(result)
    return {"role": "tool", "tool_call_id": result.tool_call_id, "content": text}


def _citations(message: Message) -> list[dict[str, Any]]:
    """The citations that are Cohere's own, each once."""
    sources = [part for part in message.parts if isinstance(part, Source)]
    return [citation for citation in map(own_citation, sources) if citation is not None]


# --- in ---------------------------------------------------------------------------------------------------


def parse_history(messages: Any) -> list[Message]:
    """The messages of a body. They have the shape of OpenAI's, but for plans, thinking and documents."""
    require(messages, "messages is empty: give at least one message")
    return [_parse_message(*item) for item in items_at(messages, "messages")]


def _parse_message(message: Any, where: str) -> Message:
    given = dict(as_object(message))
    given.pop("citations", None)
    plan = given.pop("tool_plan", None)
    blocks = given.get("content")
    thoughts = _take_thoughts(given, blocks) if isinstance(blocks, list) else []
    if given.get("role") == "tool":
        given["content"] = _text_of_result(blocks, f"{where}.content")
    try:
        (read,) = parse_messages([given])
    except (TypeError, ValueError) as problem:
        raise type(problem)(str(problem).replace("messages[0]", where)) from None
    reasoning = [*([plan] if as_text(plan) else []), *thoughts]
    read.parts = [*map(ReasoningPart, reasoning), *read.parts]
    return read


def _take_thoughts(given: dict[str, Any], blocks: list[Any]) -> list[str]:
    """Take the blocks of thinking out of a message."""
    thoughts = [as_object(block).get("thinking") for block in blocks]
    rest = [block for block in blocks if as_object(block).get("type") != "thinking"]
    given["content"] = rest or None
    return [text for text in thoughts if isinstance(text, str) and text]


def _text_of_result(content: Any, where: str) -> Any:
    """A result as text: documents as JSON, each by itself."""
    if not isinstance(content, list):
        return content
    texts = [_text_of_block(block) for block, _ in items_at(content, where)]
    return check_unicode(_BETWEEN.join(texts), where)


def _text_of_block(block: Any) -> str:
    given = as_object(block)
    if isinstance(given.get("text"), str):
        return str(given["text"])
    document: Mapping[str, Any] = as_object(given.get("document"))
    return json.dumps(document.get("data", document), ensure_ascii=False)
