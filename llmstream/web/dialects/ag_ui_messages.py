"""AG-UI's messages and context, parsed.

There, what one answer said, thought and called may stand in several messages, one after the other: they are joined,
because providers want a call and its results side by side. Activity messages are only for the eye and left out, as
are calls that nobody answered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from llmstream.checks import as_text, items_at, require
from llmstream.media import parse_media
from llmstream.messages import (
    File,
    ImagePart,
    Message,
    Part,
    TextPart,
    ToolCall,
    ToolResult,
    parse_arguments,
)
from llmstream.web.dialects.provider_data import call_data_of, reasoning_of
from llmstream.web.dialects.request_checks import object_of, role_of, text_of

_ROLES = ("developer", "system", "assistant", "user", "tool", "activity", "reasoning")
_SOURCES: Mapping[str, str] = {"url": "url", "data": "data", "file": "id"}
"""The kinds of sources, and our names for what they hold."""
_CONTEXT = ("description", "value")
_MEDIA = ("image", "audio", "video", "document")


def parse_context(value: Any) -> list[Message]:
    """The app's own description of itself, as one system message."""
    lines = []
    for item, where in items_at(value or (), "context"):
        entry = object_of(item, where)
        described = [text_of(entry.get(name), f"{where}.{name}") for name in _CONTEXT]
        lines.append(": ".join(described))
    if not lines:
        return []
    text = "\n".join(("Context of the application:", *lines))
    return [Message("system", [TextPart(text)])]


def parse_messages(value: Any) -> list[Message]:
    """Our messages. Raises TypeError or ValueError that name the place."""
    given = [object_of(*item) for item in items_at(value, "messages")]
    answered = {item.get("toolCallId") for item in given if item.get("role") == "tool"}
    messages: list[Message] = []
    for index, item in enumerate(given):
        parsed = _parse_message(item, f"messages[{index}]")
        if parsed is None:
            continue
        parsed.parts = [part for part in parsed.parts if not _is_unanswered(part, answered)]
        if parsed.parts:
            _join(messages, parsed)
    require(messages, "messages is empty: give at least one message")
    return messages


def _is_unanswered(part: Part, answered: set[Any]) -> bool:
    return isinstance(part, ToolCall) and part.id not in answered


def _join(messages: list[Message], message: Message) -> None:
    """Add a message, or its parts to the last one, if both are of one answer."""
    is_answer = message.role in ("assistant", "tool")
    if is_answer and messages and messages[-1].role == message.role:
        messages[-1].parts += message.parts
    else:
        messages.append(message)


def _parse_message(message: Mapping[str, Any], where: str) -> Message | None:
    parse = _PARSERS.get(role_of(message, _ROLES, where))
    return None if parse is None else parse(message, where)


def _parse_answered(message: Mapping[str, Any], where: str) -> Message:
    return Message("tool", [_parse_result(message, where)])


def _parse_reasoning(message: Mapping[str, Any], where: str) -> Message:
    text = text_of(message.get("content") or "", f"{where}.content")
    return Message("assistant", [reasoning_of(text, _decrypted(message))])


def _parse_answer(message: Mapping[str, Any], where: str) -> Message:
    content = message.get("content")
    said: list[Part] = [TextPart(text_of(content, f"{where}.content"))] if content else []
    calls = items_at(message.get("toolCalls") or (), f"{where}.toolCalls")
    said += [_parse_call(*call) for call in calls]
    return Message("assistant", said)


def _parse_prompt(message: Mapping[str, Any], where: str) -> Message:
    return Message(message["role"], _parse_content(message.get("content"), f"{where}.content"))


_PARSERS: Mapping[str, Callable[[Mapping[str, Any], str], Message]] = {
    "tool": _parse_answered,
    "reasoning": _parse_reasoning,
    "assistant": _parse_answer,
    "user": _parse_prompt,
    "system": _parse_prompt,
    "developer": _parse_prompt,
}
"""The roles that a model hears of."""


def _parse_content(content: Any, where: str) -> list[Part]:
    if isinstance(content, str):
        return [TextPart(content)]
    return [_parse_part(object_of(*item), item[1]) for item in items_at(content, where)]


def _parse_part(part: Mapping[str, Any], where: str) -> Part:
    kind = part.get("type")
    if kind == "text":
        return TextPart(text_of(part.get("text"), f"{where}.text"))
    if kind == "binary":
        return _parse_binary(part, where)
    require(kind in _MEDIA, f"{where}.type must be text, {', '.join(_MEDIA)}, not {kind!r}")
    source = object_of(part.get("source"), f"{where}.source")
    value = text_of(source.get("value"), f"{where}.source.value")
    media_type = as_text(source.get("mimeType"))
    member = _SOURCES.get(str(source.get("type")))
    given: dict[str, Any] = {} if member is None else {member: value}
    type = ImagePart if kind == "image" and member != "id" else File
    return parse_media(type, f"{where}.source", media_type=media_type, **given)


def _parse_binary(part: Mapping[str, Any], where: str) -> Part:
    """Read the one kind of part that clients before AG-UI 1.0 send for all media."""
    media_type = text_of(part.get("mimeType"), f"{where}.mimeType")
    given = {name: as_text(part.get(name)) for name in ("data", "url", "id")}
    if media_type.lower().startswith("image/") and given["id"] is None:
        return parse_media(
            ImagePart, where, url=given["url"], data=given["data"], media_type=media_type
        )
    return parse_media(
        File, where, media_type=media_type, name=as_text(part.get("filename")), **given
    )


def _parse_call(call: Any, where: str) -> ToolCall:
    given = object_of(call, where)
    function = object_of(given.get("function"), f"{where}.function")
    id = text_of(given.get("id"), f"{where}.id")
    name = text_of(function.get("name"), f"{where}.function.name")
    arguments = text_of(function.get("arguments") or "", f"{where}.function.arguments")
    parsed = parse_arguments(arguments)
    return ToolCall(
        id,
        name,
        arguments,
        input=parsed,
        complete=parsed is not None,
        provider_data=call_data_of(_decrypted(given)),
    )


def _parse_result(message: Mapping[str, Any], where: str) -> ToolResult:
    id = text_of(message.get("toolCallId"), f"{where}.toolCallId")
    error = as_text(message.get("error"))
    parts = _parse_content(message.get("content"), f"{where}.content")
    text = "".join(part.text for part in parts if isinstance(part, TextPart))
    return ToolResult(id, text or error or "", is_error=error is not None)


def _decrypted(holder: Mapping[str, Any]) -> dict[str, Any]:
    value = holder.get("encryptedValue")
    return (parse_arguments(value) or {}) if isinstance(value, str) else {}
