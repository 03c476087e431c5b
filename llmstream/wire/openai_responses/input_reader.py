"""The messages that Responses input items mean: neighbouring items of the assistant are one Message."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmstream.cache_marks import BREAKPOINT, CONTROL, parse_cache
from llmstream.checks import check_unicode, items_at, require, sequence_of
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
from llmstream.wire.json_fields import present
from llmstream.wire.openai_responses.items import (
    FORMAT,
    is_provider_call,
    is_provider_result,
    parse_call,
    parse_result,
)
from llmstream.wire.outbound import MESSAGE_MEMBERS, own_data

_ROLES = ("system", "developer", "user", "assistant")
_OUTPUTS = frozenset({"function_call_output", "custom_tool_call_output"})
_MARKS = frozenset({"cache", CONTROL, BREAKPOINT})
_OF_ITEM = frozenset({"type", "id", "status", *_MARKS})
_OF_MESSAGE = _OF_ITEM | {"role", "content", "phase"}
_OF_TEXT = _MARKS | {"type", "text", "logprobs", MESSAGE_MEMBERS}
_OF_IMAGE = _MARKS | {"type", "image_url", "detail"}
_OF_FILE = _MARKS | {"type", "file_id", "filename", "file_data", "file_url"}
_OF_REASONING = _OF_ITEM | {"summary", "content", "encrypted_content"}
_OF_CALL = _OF_ITEM | {"call_id", "name", "arguments", "input"}
_OF_OUTPUT = _OF_ITEM | {"call_id", "output"}
"""What is read of each, and what of it means nothing on the way back."""


def parse_input(value: Any) -> list[Message]:
    """The messages that `input` means: a string, or items. Raises TypeError or ValueError that name the place."""
    if isinstance(value, str):
        return [Message("user", [TextPart(value)])]
    if not isinstance(value, (list, tuple)):
        raise TypeError(f"input must be a string or a list of items, not {type(value).__name__}")
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
        _check_dict(item, where)
        kind = item.get("type", "message")
        if not isinstance(kind, str):
            raise TypeError(f"{where}.type must be a string, not {type(kind).__name__}")
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
        role = item.get("role")
        if role not in _ROLES:
            raise ValueError(f"{where}.role must be one of {', '.join(_ROLES)}, not {role!r}")
        content = item.get("content")
        if isinstance(content, str):
            parts: list[Part] = [TextPart(_string(content, f"{where}.content"))]
        elif isinstance(content, (list, tuple)):
            parts = [_parse_part(*item) for item in items_at(content, f"{where}.content")]
        else:
            raise TypeError(
                f"{where}.content must be a string or a list of parts, not {type(content).__name__}"
            )
        _note_message(parts, item)
        if role == "assistant":
            self._turn(role).extend(parts)
        else:
            self.messages.append(Message(role, parts))

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
        data = _further(item, _OF_CALL) or {}
        if kind == "custom_tool_call":
            self.custom.add(id)
            text = _string(item.get("input"), f"{where}.input")
            return ToolCall(
                id,
                name,
                text,
                parse_arguments(text),
                provider_data={"format": FORMAT, **data, "type": kind},
            )
        text = _string(item.get("arguments"), f"{where}.arguments")
        parsed = parse_arguments(text)
        return ToolCall(
            id,
            name,
            text,
            parsed,
            parsed is not None,
            provider_data={"format": FORMAT, **data} if data else None,
        )

    def _parse_result(self, item: Mapping[str, Any], where: str) -> ToolResult:
        id = _name(item.get("call_id"), f"{where}.call_id")
        output = item.get("output")
        if not isinstance(output, str):
            for part, place in items_at(output, f"{where}.output"):
                _check_dict(part, place)
        result = ToolResult(id, output, provider_data=_further(item, _OF_OUTPUT))
        if item["type"] == "custom_tool_call_output" and id not in self.custom:
            result.provider_data = {"format": FORMAT, "item": dict(item)}
        return result


def _parse_reasoning(item: Mapping[str, Any], where: str) -> ReasoningPart:
    parts = [
        *sequence_of(item.get("summary") or (), f"{where}.summary"),
        *sequence_of(item.get("content") or (), f"{where}.content"),
    ]
    require(
        all(isinstance(part, Mapping) for part in parts),
        f"{where}: the parts of reasoning must be dicts with a text",
        TypeError,
    )
    text = "\n\n".join(_string(part.get("text"), where) for part in parts)
    encrypted = item.get("encrypted_content") or None  # llama.cpp says ""
    data = _further(item, _OF_REASONING)
    return ReasoningPart(text, encrypted, item.get("id"), FORMAT, data)


def _parse_part(part: Any, where: str) -> Part:
    kind = part.get("type") if isinstance(part, Mapping) else None
    if kind in ("input_text", "output_text", "text"):
        return _parse_text(part, where)
    if kind == "refusal":
        return RefusalPart(_string(part.get("refusal"), f"{where}.refusal"))
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
    cache = parse_cache(part, where)
    image = parse_media(ImagePart, where, url=url, detail=detail, cache=cache)
    return image if _further(part, _OF_IMAGE) is None else _opaque_media(part)


def _parse_file(part: Mapping[str, Any], where: str) -> Part:
    id, name, data, url = (
        part.get(key) or None for key in ("file_id", "filename", "file_data", "file_url")
    )
    cache = parse_cache(part, where)
    file = parse_media(File, where, id=id, name=name, data=data, url=url, cache=cache)
    return file if _further(part, _OF_FILE) is None else _opaque_media(part)


def _opaque_media(part: Mapping[str, Any]) -> ProviderPart:
    """A picture or a file as it is: it says more than our parts can. Marks in other formats' words don't belong."""
    foreign = ("cache", CONTROL)
    return ProviderPart(FORMAT, {name: part[name] for name in part if name not in foreign})


def _parse_text(part: Mapping[str, Any], where: str) -> TextPart:
    data = _further(part, _OF_TEXT)
    return TextPart(_string(part.get("text"), f"{where}.text"), parse_cache(part, where), data)


def _further(given: Mapping[str, Any], known: frozenset[str]) -> dict[str, Any] | None:
    """What a part or an item says that has no name here, in its own words, to go back to this format."""
    names = [name for name in given if name not in known]
    said = {name: given[name] for name in names if given[name] not in (None, [])}
    return {"format": FORMAT, **said} if said else None


def _note_message(parts: list[Part], item: Mapping[str, Any]) -> None:
    """Keep with each text what its message says beside the content: whether it was commentary, and what is new."""
    phase = item.get("phase")
    further = own_data(_further(item, _OF_MESSAGE), FORMAT)
    kept = present(phase=phase if isinstance(phase, str) else None)
    if further:
        kept[MESSAGE_MEMBERS] = further
    if not kept:
        return
    for part in parts:
        if isinstance(part, TextPart):
            part.provider_data = {"format": FORMAT, **(part.provider_data or {}), **kept}


def _string(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{where} must be a string, not {type(value).__name__}")
    return check_unicode(value, where)


def _check_dict(value: Any, where: str) -> None:
    if not isinstance(value, Mapping):
        raise TypeError(f"{where} must be a dict, not {type(value).__name__}")


def _name(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{where} is missing")
    return value
