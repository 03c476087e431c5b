"""Messages as Anthropic's `system` and turns, and back."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from llmstream.media import parse_media
from llmstream.media_types import essence
from llmstream.messages import (
    File,
    ImagePart,
    Message,
    Part,
    ProviderPart,
    ReasoningPart,
    RefusalPart,
    Role,
    TextPart,
    ToolCall,
    ToolResult,
    parse_arguments,
    sequence_of,
)
from llmstream.wire.anthropic_messages.decode import CALLS, FORMAT, parse_result, render_call_data
from llmstream.wire.json_fields import as_text
from llmstream.wire.reasoning import BLANK, Owed

_TEXT_TYPES = frozenset(
    {"application/json", "application/xml", "application/yaml", "application/x-yaml"}
)
"""Text, though their names don't begin with `text/`."""


class RenderedTurns:
    """Takes messages one by one, joins neighbours of one role, and keeps the system messages apart."""

    def __init__(self, *, unsigned_thinking: bool = False, owed: Owed | None = None) -> None:
        self._unsigned_thinking = unsigned_thinking
        self._owed = owed
        self.system: list[str] = []
        self.turns: list[dict[str, Any]] = []
        self.warnings: list[str] = []

    def add(self, message: Message) -> None:
        """The next message."""
        if message.name is not None:
            self._warn("name: not supported by Anthropic Messages; dropped")
        if message.role in ("system", "developer"):
            if self.turns:
                self._warn(
                    "system: Anthropic Messages take it only before the conversation; moved there"
                )
            self.system.extend(
                part.text
                for part in message.parts
                if isinstance(part, TextPart) and part.text.strip()
            )
            return
        role = "assistant" if message.role == "assistant" else "user"
        parts = message.parts
        if len(parts) == 1 and type(parts[0]) is TextPart and parts[0].text.strip():
            content: Any = parts[0].text
        else:
            content = [block for part in parts if (block := self._block(part, role)) is not None]
            if not content:
                return
        if role == "assistant" and self._owes_thinking(content):
            content = [{"type": "thinking", "thinking": BLANK}, *_blocks(content)]
        if not self.turns or self.turns[-1]["role"] != role:
            self.turns.append({"role": role, "content": content})
            return
        blocks = self.turns[-1]["content"] = _blocks(self.turns[-1]["content"])
        if message.role == "tool" and blocks[-1]["type"] != "tool_result":
            first = next(i for i, block in enumerate(blocks) if block["type"] != "tool_result")
            # Results must come before whatever else the turn says.
            blocks[first:first] = _blocks(content)
        else:
            blocks.extend(_blocks(content))

    def rendered_system(self) -> Any:
        """One text as a string, several as blocks."""
        if len(self.system) == 1:
            return self.system[0]
        return [{"type": "text", "text": text} for text in self.system]

    def _warn(self, warning: str) -> None:
        if warning not in self.warnings:
            self.warnings.append(warning)

    def _block(self, part: Part, role: str) -> dict[str, Any] | None:
        if isinstance(part, TextPart | RefusalPart):
            return {"type": "text", "text": part.text} if part.text.strip() else None
        if isinstance(part, ToolCall):
            return self._call(part)
        if isinstance(part, ToolResult):
            return _render_result(part)
        if isinstance(part, ReasoningPart):
            return self._thinking(part)
        if isinstance(part, ProviderPart):
            return part.data if part.format == FORMAT else None
        if isinstance(part, ImagePart | File) and role == "assistant":
            self._warn("file: Anthropic Messages take none from the assistant; left out")
        elif isinstance(part, ImagePart):
            return self._image(part)
        elif isinstance(part, File):
            return self._file(part)
        return None

    def _owes_thinking(self, content: Any) -> bool:
        kinds = (
            {block.get("type") for block in _blocks(content)} if self._owed is not None else set()
        )
        if "thinking" in kinds:
            return False
        return self._owed == "always" or (self._owed == "calls" and "tool_use" in kinds)

    def _thinking(self, part: ReasoningPart) -> dict[str, Any] | None:
        if part.signature is not None:
            signed = {"type": "thinking", "thinking": part.text, "signature": part.signature}
            return signed if part.format == FORMAT else None
        if (
            not self._unsigned_thinking
            or part.format not in (None, FORMAT)
            or not part.text.strip()
        ):
            return None
        return {"type": "thinking", "thinking": part.text}

    def _call(self, call: ToolCall) -> dict[str, Any] | None:
        extra = render_call_data(call.provider_data)
        if call.executed_by == "provider" and "type" not in extra:
            return None
        given = parse_arguments(call.arguments) if call.input is None else call.input
        if given is None:
            self._warn("tool call: arguments that are no JSON object are not accepted; sent as {}")
        return {"type": "tool_use", "id": call.id, "name": call.name, "input": given or {}, **extra}

    def _image(self, image: ImagePart) -> dict[str, Any]:
        if image.detail is not None:
            self._warn("image detail: not supported by Anthropic Messages; dropped")
        return {"type": "image", "source": _render_source(image)}

    def _file(self, file: File) -> dict[str, Any] | None:
        kind = essence(file.media_type)
        if file.id is not None:
            source: dict[str, Any] = {"type": "file", "file_id": file.id}
        elif file.data is None or kind == "application/pdf":
            source = _render_source(file)
        elif kind.startswith("text/") or kind in _TEXT_TYPES:
            source = {"type": "text", "media_type": "text/plain", "data": self._decode(file.data)}
            if file.media_type != "text/plain":
                self._warn(
                    f"file: Anthropic Messages take {file.media_type} as text/plain; sent so"
                )
        else:
            self._warn(
                f"file: Anthropic Messages take PDF and text, not {file.media_type}; left out"
            )
            return None
        block = {"type": "document", "source": source}
        return block if file.name is None else {**block, "title": file.name}

    def _decode(self, data: str) -> str:
        raw = base64.b64decode(data)
        try:
            return raw.decode()
        except UnicodeDecodeError:
            self._warn("file: Anthropic Messages take text in UTF-8; what isn't was replaced")
            return raw.decode(errors="replace")


def _blocks(content: Any) -> list[dict[str, Any]]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _render_result(result: ToolResult) -> dict[str, Any] | None:
    if result.executed_by == "provider":
        extra = render_call_data(result.provider_data)
        return (
            {**extra, "tool_use_id": result.tool_call_id, "content": result.content}
            if "type" in extra
            else None
        )
    content = result.content
    if not isinstance(content, str):
        content = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    block: dict[str, Any] = {
        "type": "tool_result",
        "tool_use_id": result.tool_call_id,
        "content": content,
    }
    if result.is_error:
        block["is_error"] = True
    return block


def _render_source(part: ImagePart | File) -> dict[str, Any]:
    if part.data is None:
        return {"type": "url", "url": part.url}
    return {"type": "base64", "media_type": part.media_type, "data": part.data}


# --- in ---------------------------------------------------------------------------------------------------

_SOURCES: dict[str, dict[Any, str]] = {
    "image": {"url": "url", "base64": "data"},
    "document": {"url": "url", "base64": "data", "text": "data", "file": "file_id"},
}
"""Source types that an ImagePart or a File can say, and the field that holds them; others are kept as they are."""


def parse_history(system: Any, messages: Any) -> list[Message]:
    """Messages from `system` and `messages` of a body."""
    parsed = []
    if system:
        parsed.append(Message("system", _parse_texts(system, "system")))
    if not messages:
        raise ValueError("messages is empty: give at least one message")
    for index, message in enumerate(sequence_of(messages, "messages")):
        parsed.extend(_parse_turn(message, f"messages[{index}]"))
    return parsed


def _parse_turn(message: Any, where: str) -> Iterator[Message]:
    role: Role | None = message.get("role") if isinstance(message, Mapping) else None
    if role not in ("user", "assistant", "system"):
        raise ValueError(f"{where}.role must be user, assistant or system")
    content = message.get("content")
    if isinstance(content, str) or role == "system":
        yield Message(role, _parse_texts(content, f"{where}.content"))
        return
    blocks = sequence_of(content, f"{where}.content")
    parts: list[Part] = [
        _parse_block(block, f"{where}.content[{index}]") for index, block in enumerate(blocks)
    ]
    results: list[Part] = []
    if role == "user":
        results = [part for part in parts if isinstance(part, ToolResult)]
        parts = [part for part in parts if not isinstance(part, ToolResult)]
        parts[:0] = _shown_by_results(blocks, f"{where}.content")
    if results:
        yield Message("tool", results)
    if parts or not results:
        yield Message(role, parts)


def _parse_texts(content: Any, where: str) -> list[Part]:
    if isinstance(content, str):
        content = [{"text": content}]
    return [TextPart(_text(block, where)) for block in sequence_of(content, where)]


def _text(block: Any, where: str) -> str:
    text = block.get("text") if isinstance(block, Mapping) else None
    if not isinstance(text, str):
        raise TypeError(f"{where}: a text block needs its text as a string")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{where}: not valid Unicode (a lone surrogate at {error.start})"
        ) from None
    return text


def _parse_block(block: Any, where: str) -> Part:
    kind = block.get("type") if isinstance(block, Mapping) else None
    if not isinstance(kind, str):
        raise ValueError(f"{where}.type is missing")
    if kind == "text":
        return TextPart(_text(block, where))
    if kind == "thinking":
        # A gateway sends an empty one with another vendor's reasoning.
        signature = as_text(block.get("signature")) or None
        return ReasoningPart(as_text(block.get("thinking")) or "", signature, format=FORMAT)
    if kind in CALLS:
        return _parse_call(block, kind, where)
    if kind == "tool_result":
        return _parse_result(block, where)
    if kind.endswith("_tool_result"):
        return parse_result(dict(block))
    if kind in ("image", "document"):
        source = block.get("source")
        if not isinstance(source, Mapping):
            raise ValueError(f"{where}.source is missing")
        known = _SOURCES[kind].get(source.get("type"))
        if known is not None and isinstance(source.get(known), str):
            given = {"media_type": source.get("media_type"), known: source[known]}
            if kind == "image":
                return parse_media(ImagePart, f"{where}.source", **given)
            return _parse_file(given, source, block.get("title"), f"{where}.source")
    return ProviderPart(FORMAT, dict(block))


def _parse_call(block: Mapping[str, Any], kind: str, where: str) -> ToolCall:
    given = block.get("input") or {}
    if not isinstance(given, dict) or not block.get("id") or not block.get("name"):
        raise ValueError(f"{where} needs an id, a name and an input that is an object")
    extra = {key: value for key, value in block.items() if key not in ("id", "name", "input")}
    return ToolCall(
        block["id"],
        block["name"],
        json.dumps(given, ensure_ascii=False, separators=(",", ":")) if given else "",
        input=given,
        executed_by="caller" if kind == "tool_use" else "provider",
        provider_data=None if extra == {"type": "tool_use"} else {"format": FORMAT, **extra},
    )


def _parse_result(block: Mapping[str, Any], where: str) -> ToolResult:
    if not isinstance(block.get("tool_use_id"), str):
        raise ValueError(f"{where}.tool_use_id is missing")
    content = block.get("content") or ""
    if not isinstance(content, str):
        content = "".join(
            _result_texts(sequence_of(content, f"{where}.content"), f"{where}.content")
        )
    return ToolResult(block["tool_use_id"], content, is_error=bool(block.get("is_error")))


def _result_texts(blocks: Sequence[Any], where: str) -> Iterator[str]:
    for block in blocks:
        if not isinstance(block, Mapping):
            raise TypeError(f"{where}: a block must be an object, not {type(block).__name__}")
        if block.get("type") == "text":
            yield _text(block, where)


def _shown_by_results(blocks: Sequence[Any], where: str) -> Iterator[Part]:
    """Images and documents in results: a result of ours is text, so they follow it as the user's."""
    for index, block in enumerate(blocks):
        inside = block.get("content") if block.get("type") == "tool_result" else None
        for number, item in enumerate(inside if isinstance(inside, list) else ()):
            if item.get("type") in _SOURCES:
                yield _parse_block(item, f"{where}[{index}].content[{number}]")


def _parse_file(given: dict[str, Any], source: Mapping[str, Any], title: Any, where: str) -> File:
    if "file_id" in given:
        return parse_media(File, where, id=given["file_id"], name=title)
    if source["type"] == "text":
        given = {"media_type": "text/plain", "data": _text({"text": given["data"]}, where).encode()}
    return parse_media(File, where, name=title, **given)
