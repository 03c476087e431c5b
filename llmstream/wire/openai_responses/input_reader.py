"""The messages that Responses input items mean: neighbouring items of the assistant are one Message."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmstream.cache_marks import BREAKPOINT, CONTROL, further_members, parse_cache
from llmstream.checks import items_at, require, require_mapping, sequence_of
from llmstream.media import parse_media
from llmstream.messages import (
    File,
    ImagePart,
    Message,
    Part,
    ProviderPart,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCall,
    ToolResult,
    parse_arguments,
)
from llmstream.provider_data import MESSAGE_MEMBERS, REASONING_NOTES, keep
from llmstream.wire.inbound import required_text, text_at
from llmstream.wire.openai_responses.items import (
    FORMAT,
    is_provider_call,
    is_provider_result,
    parse_call,
    parse_result,
    summary_of,
)

_ROLES = ("system", "developer", "user", "assistant")
_SHOWN = frozenset({"input_text", "output_text", "text", "input_image", "input_file"})
_OUTPUTS = frozenset({"function_call_output", "custom_tool_call_output"})
_MARKS = frozenset({"cache", CONTROL, BREAKPOINT})
_OF_ITEM = frozenset({"type", "id", "status", *_MARKS})
_OF_MESSAGE = _OF_ITEM | {"role", "content"}
_OF_TEXT = _MARKS | {"type", "text", "logprobs"}
_OF_REFUSAL = _MARKS | {"type", "refusal"}
_OF_IMAGE = _MARKS | {"type", "image_url", "detail"}
_OF_FILE = _MARKS | {"type", "file_id", "filename", "file_data", "file_url"}
_OF_REASONING = _OF_ITEM | {"summary", "content", "encrypted_content"}
_OF_CALL = _OF_ITEM | {"call_id", "name", "arguments", "input"}
_OF_OUTPUT = _OF_ITEM | {"call_id", "output"}
"""What is read of each, and what of it means nothing on the way back."""

_CALL_NOTES = ("namespace", "caller", "type")
"""Further members of which our own code reads the values."""


def parse_input(value: Any) -> list[Message]:
    """The messages that `input` means: a string, or items. Raises TypeError or ValueError that name the place."""
    if isinstance(value, str):
        return [Message("user", [TextPart(value)])]
    problem = f"input must be a string or a list of items, not {type(value).__name__}"
    require(isinstance(value, (list, tuple)), problem, TypeError)
    reader = _InputReader()
    for item, where in items_at(value, "input"):
        reader.add(item, where)
    return reader.messages


class _InputReader:
    """Joins neighbouring items of one side to messages."""

    __slots__ = ("custom", "messages")

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.custom: set[str] = set()

    def add(self, item: Any, where: str) -> None:
        require_mapping(item, where)
        kind = item.get("type", "message")
        text_at(kind, f"{where}.type")
        if kind == "message":
            self._add_message(item, where)
        elif kind in _OUTPUTS:
            self._turn("tool").append(self._parse_result(item, where))
        else:
            self._turn("assistant").extend(self._parse_item(kind, item, where))

    def _turn(self, role: Any) -> list[Part]:
        """The parts of the last message if it is this role's, else of a new one."""
        if not self.messages or self.messages[-1].role != role:
            self.messages.append(Message(role))
        return self.messages[-1].parts

    def _add_message(self, item: Mapping[str, Any], where: str) -> None:
        role: Any = item.get("role")
        problem = f"{where}.role must be one of {', '.join(_ROLES)}, not {role!r}"
        require(role in _ROLES, problem)
        content = item.get("content")
        if isinstance(content, str):
            parts: list[Part] = [TextPart(text_at(content, f"{where}.content"))]
        elif isinstance(content, (list, tuple)):
            parts = [_parse_part(*item) for item in items_at(content, f"{where}.content")]
        else:
            raise TypeError(
                f"{where}.content must be a string or a list of parts, not {type(content).__name__}"
            )
        further = _further(item, _OF_MESSAGE)
        if role == "assistant":
            self._turn(role).extend(_with_message_members(parts, further))
        else:
            said = parts or [TextPart("")] if further else parts
            self.messages.append(Message(role, said, provider_data=keep(FORMAT, further)))

    def _parse_item(self, kind: str, item: Mapping[str, Any], where: str) -> list[Part]:
        if kind in ("function_call", "custom_tool_call"):
            return [self._parse_call(kind, item, where)]
        if kind == "reasoning":
            return [_parse_reasoning(item, where)]
        if is_provider_call(kind):
            return [part for part in parse_call(dict(item)) if part is not None]
        if is_provider_result(kind):
            return [parse_result(dict(item))]
        return [ProviderPart(FORMAT, dict(item))]

    def _parse_call(self, kind: str, item: Mapping[str, Any], where: str) -> ToolCall:
        id = _name(item.get("call_id"), f"{where}.call_id")
        name = _name(item.get("name"), f"{where}.name")
        further = _further(item, _OF_CALL)
        if kind == "custom_tool_call":
            self.custom.add(id)
            text = text_at(item.get("input"), f"{where}.input")
            return ToolCall(
                id,
                name,
                text,
                parse_arguments(text),
                provider_data=keep(FORMAT, {**further, "type": kind}, _CALL_NOTES),
            )
        text = text_at(item.get("arguments"), f"{where}.arguments")
        parsed = parse_arguments(text)
        return ToolCall(
            id,
            name,
            text,
            parsed,
            parsed is not None,
            provider_data=keep(FORMAT, further, _CALL_NOTES),
        )

    def _parse_result(self, item: Mapping[str, Any], where: str) -> ToolResult:
        id = _name(item.get("call_id"), f"{where}.call_id")
        further = _further(item, _OF_OUTPUT)
        output = _parse_output(item.get("output"), f"{where}.output")
        result = ToolResult(id, output, provider_data=keep(FORMAT, further, _CALL_NOTES))
        if item["type"] == "custom_tool_call_output" and id not in self.custom:
            result.provider_data = {"format": FORMAT, "item": dict(item)}
        return result


def _parse_output(output: Any, where: str) -> Any:
    """What a tool answered: a text, or the parts that it shows."""
    if isinstance(output, str):
        return text_at(output, where)
    parts = [_parse_shown(*each) for each in items_at(output, where)]
    return parts or ""


def _parse_shown(part: Any, where: str) -> Part:
    """A part of a result; as it is, if nobody here knows its type."""
    require_mapping(part, where)
    is_known = str(part.get("type")) in _SHOWN
    return _parse_part(part, where) if is_known else ProviderPart(FORMAT, dict(part))


def _parse_reasoning(item: Mapping[str, Any], where: str) -> ReasoningPart:
    summary = list(sequence_of(item.get("summary") or (), f"{where}.summary"))
    content = list(sequence_of(item.get("content") or (), f"{where}.content"))
    parts = [*summary, *content]
    require(
        all(isinstance(part, Mapping) for part in parts),
        f"{where}: the parts of reasoning must be dicts with a text",
        TypeError,
    )
    text = "\n\n".join(text_at(part.get("text"), where) for part in parts)
    encrypted = item.get("encrypted_content") or None  # llama.cpp says ""
    said = _further(item, _OF_REASONING)
    if content or summary != summary_of(text):
        said |= {"summary": summary, **({"content": content} if content else {})}
    data = keep(FORMAT, said, REASONING_NOTES)
    return ReasoningPart(text, encrypted, item.get("id"), FORMAT, data)


def _parse_part(part: Any, where: str) -> Part:
    kind = part.get("type") if isinstance(part, Mapping) else None
    if kind in ("input_text", "output_text", "text"):
        return _parse_text(part, where)
    if kind == "refusal":
        refusal = text_at(part.get("refusal"), f"{where}.refusal")
        return RefusalPart(refusal, keep(FORMAT, _further(part, _OF_REFUSAL)))
    if kind == "input_image" and part.get("image_url") is not None:
        return _parse_image(part, where)
    if kind == "input_file":
        return _parse_file(part, where)
    if isinstance(kind, str) and kind.startswith("input_"):
        return ProviderPart(FORMAT, dict(part))
    raise ValueError(
        f"{where}.type must be input_text, output_text, input_image or input_file, not {kind!r}"
    )


def _parse_image(part: Mapping[str, Any], where: str) -> Part:
    url, detail = part["image_url"], part.get("detail")
    beside = _beside(part, _OF_IMAGE, where)
    return parse_media(ImagePart, where, url=url, detail=detail, **beside)


def _parse_file(part: Mapping[str, Any], where: str) -> Part:
    id, name, data, url = (
        part.get(key) or None for key in ("file_id", "filename", "file_data", "file_url")
    )
    beside = _beside(part, _OF_FILE, where)
    return parse_media(File, where, id=id, name=name, data=data, url=url, **beside)


def _parse_text(part: Mapping[str, Any], where: str) -> TextPart:
    return TextPart(text_at(part.get("text"), f"{where}.text"), **_beside(part, _OF_TEXT, where))


def _beside(part: Mapping[str, Any], known: frozenset[str], where: str) -> dict[str, Any]:
    """The mark on a part of content, and its further members."""
    further = _further(part, known)
    return {"cache": parse_cache(part, where), "provider_data": keep(FORMAT, further)}


def _further(given: Mapping[str, Any], known: frozenset[str]) -> dict[str, Any]:
    """What a part or an item says that has no name here, in its own words, to go back to this format."""
    names = [name for name in given if name not in known]
    said = {name: given[name] for name in names if given[name] not in (None, [])}
    return {**said, **further_members(given, BREAKPOINT)}


def _with_message_members(parts: list[Part], further: dict[str, Any]) -> list[Part]:
    """An answer's parts, each with what its message says beside the content: several messages are one of ours."""
    notes: dict[str, Any] = {}
    if isinstance(further.get("phase"), str):
        notes["phase"] = further.pop("phase")
    if further:
        notes[MESSAGE_MEMBERS] = further
    if not notes:
        return parts
    if further and not any(isinstance(part, TextPart | RefusalPart) for part in parts):
        parts = [*parts, TextPart("")]  # it is left out, and a warning names what stood beside it
    for part in parts:
        if isinstance(part, TextPart | RefusalPart):
            part.provider_data = {"format": FORMAT, **(part.provider_data or {}), **notes}
    return parts


def _name(value: Any, where: str) -> str:
    return required_text(value, f"{where} is missing")
