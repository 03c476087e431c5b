"""The conversation as a flat list of Responses input items, rendered and parsed.

An assistant turn is its messages, reasoning, calls and results one after the other, in the order of its parts; parsing
joins neighbouring ones to one Message again. Only what this format made goes back verbatim (see `request.py`).

OpenAI lets `"type": "message"` be left out. llama.cpp refuses an assistant's message without it, so each has it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmstream.media import data_url, file_name, parse_media
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
    sequence_of,
)
from llmstream.wire.json_fields import present
from llmstream.wire.openai_responses.items import (
    FORMAT,
    compact,
    is_provider_call,
    is_provider_result,
    parse_call,
    parse_result,
)

_INPUT_PARTS = frozenset({"input_text", "input_image", "input_file"})
_ROLES = ("system", "developer", "user", "assistant")
_OUTPUTS = frozenset({"function_call_output", "custom_tool_call_output"})


# --- out --------------------------------------------------------------------------------------------------


class InputItems:
    """The input items of a conversation, as they are rendered."""

    __slots__ = ("custom", "items", "named", "refusals")

    def __init__(self, *, refusals: bool = True) -> None:
        self.refusals = refusals
        self.items: list[dict[str, Any]] = []
        self.custom: set[str] = set()  # ids of calls whose answer is a custom_tool_call_output
        self.named = False  # a message had a name, which is lost

    def add(self, message: Message) -> None:
        """Append one message's items."""
        role, parts = message.role, message.parts
        self.named = self.named or message.name is not None
        if len(parts) == 1 and type(parts[0]) is TextPart and role != "tool":
            self.items.append({"type": "message", "role": role, "content": parts[0].text})
            return
        content: list[dict[str, Any]] = []
        render = self._render_output if role == "assistant" else _render_input
        for part in parts:
            if (item := self._render_item(part)) is not None:
                self._flush(role, content)
                content = []
                self.items.append(item)
            elif (rendered := render(part)) is not None:
                content.append(rendered)
        self._flush(role, content)

    def _flush(self, role: str, content: list[dict[str, Any]]) -> None:
        if not content:
            return
        if role == "assistant" and len(content) == 1 and content[0]["type"] == "output_text":
            self.items.append({"type": "message", "role": role, "content": content[0]["text"]})
        else:
            self.items.append(
                {"type": "message", "role": "user" if role == "tool" else role, "content": content}
            )

    def _render_output(self, part: Part) -> dict[str, Any] | None:
        if isinstance(part, RefusalPart) and self.refusals:
            return {"type": "refusal", "refusal": part.text}
        if isinstance(part, TextPart | RefusalPart):
            return {"type": "output_text", "text": part.text}
        return None

    def _render_item(self, part: Part) -> dict[str, Any] | None:
        """The item that a part is on its own; None for content, and for what only another format understands."""
        if isinstance(part, ToolCall):
            return self._render_call(part)
        if isinstance(part, ToolResult):
            return self._render_result(part)
        if isinstance(part, ReasoningPart):
            return _render_reasoning(part)
        if isinstance(part, ProviderPart) and part.format == FORMAT and not _is_content(part.data):
            return part.data
        return None

    def _render_call(self, call: ToolCall) -> dict[str, Any] | None:
        data = call.provider_data or {}
        ours = data.get("format") == FORMAT
        if call.executed_by == "provider":
            return data.get("item") if ours else None
        item = {"type": "function_call", "call_id": call.id, "name": call.name}
        if ours:
            item |= {key: value for key, value in data.items() if key != "format"}
        if item["type"] == "custom_tool_call":
            self.custom.add(call.id)
            return {**item, "input": call.arguments}
        return {**item, "arguments": call.arguments or "{}"}

    def _render_result(self, result: ToolResult) -> dict[str, Any] | None:
        data = result.provider_data or {}
        if data.get("format") == FORMAT and "item" in data:
            item: dict[str, Any] = data["item"]
            return item
        if result.executed_by == "provider":
            return None
        custom = result.tool_call_id in self.custom
        kind = "custom_tool_call_output" if custom else "function_call_output"
        output = result.content if _is_output(result.content) else compact(result.content)
        return {"type": kind, "call_id": result.tool_call_id, "output": output}


def _is_output(content: Any) -> bool:
    """Whether a result can be sent as it is: text, or a list of input parts."""
    return isinstance(content, str) or (
        isinstance(content, list)
        and bool(content)
        and all(isinstance(part, dict) and part.get("type") in _INPUT_PARTS for part in content)
    )


def _is_content(data: Mapping[str, Any]) -> bool:
    """Whether opaque data is a part of a message's content rather than an item."""
    return str(data.get("type")).startswith("input_")


def _render_reasoning(part: ReasoningPart) -> dict[str, Any] | None:
    if not part.signature or part.format != FORMAT:
        return None
    summary = [{"type": "summary_text", "text": part.text}] if part.text else []
    item: dict[str, Any] = {
        "type": "reasoning",
        "summary": summary,
        "encrypted_content": part.signature,
    }
    return item | present(id=part.id)


def _render_input(part: Part) -> dict[str, Any] | None:
    if isinstance(part, TextPart | RefusalPart):
        return {"type": "input_text", "text": part.text}
    if isinstance(part, ImagePart):
        url = part.url or data_url(part)
        return {"type": "input_image", "image_url": url, **present(detail=part.detail)}
    if isinstance(part, File):
        data, name = (data_url(part), file_name(part)) if part.data else (None, part.name)
        fields = {"file_id": part.id, "filename": name, "file_data": data, "file_url": part.url}
        return {
            "type": "input_file",
            **present(**fields),
        }
    if isinstance(part, ProviderPart) and part.format == FORMAT:
        return part.data
    return None


# --- in ---------------------------------------------------------------------------------------------------


def parse_input(value: Any) -> list[Message]:
    """The messages that `input` means: a string, or items. Raises TypeError or ValueError that name the place."""
    if isinstance(value, str):
        return [Message("user", [TextPart(value)])]
    if not isinstance(value, (list, tuple)):
        raise TypeError(f"input must be a string or a list of items, not {type(value).__name__}")
    reader = _InputReader()
    for index, item in enumerate(value):
        reader.add(item, f"input[{index}]")
    return reader.messages


class _InputReader:
    """Joins neighbouring items of one side to messages."""

    __slots__ = ("custom", "messages")

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.custom: set[str] = set()

    def add(self, item: Any, where: str) -> None:
        if not isinstance(item, Mapping):
            raise TypeError(f"{where} must be a dict, not {type(item).__name__}")
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
            parts = [
                _parse_part(part, f"{where}.content[{index}]") for index, part in enumerate(content)
            ]
        else:
            raise TypeError(
                f"{where}.content must be a string or a list of parts, not {type(content).__name__}"
            )
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
        data = {key: item[key] for key in ("namespace", "caller") if item.get(key)}
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
            for index, part in enumerate(sequence_of(output, f"{where}.output")):
                if not isinstance(part, Mapping):
                    raise TypeError(
                        f"{where}.output[{index}] must be a dict, not {type(part).__name__}"
                    )
        result = ToolResult(id, output)
        if item["type"] == "custom_tool_call_output" and id not in self.custom:
            result.provider_data = {"format": FORMAT, "item": dict(item)}
        return result


def _parse_reasoning(item: Mapping[str, Any], where: str) -> ReasoningPart:
    parts = [
        *sequence_of(item.get("summary") or (), f"{where}.summary"),
        *sequence_of(item.get("content") or (), f"{where}.content"),
    ]
    if not all(isinstance(part, Mapping) for part in parts):
        raise TypeError(f"{where}: the parts of reasoning must be dicts with a text")
    text = "\n\n".join(_string(part.get("text"), where) for part in parts)
    encrypted = item.get("encrypted_content") or None  # llama.cpp says ""
    return ReasoningPart(text, encrypted, item.get("id"), FORMAT)


def _parse_part(part: Any, where: str) -> Part:
    kind = part.get("type") if isinstance(part, Mapping) else None
    if kind in ("input_text", "output_text", "text"):
        return TextPart(_string(part.get("text"), f"{where}.text"))
    if kind == "refusal":
        return RefusalPart(_string(part.get("refusal"), f"{where}.refusal"))
    if kind == "input_image" and part.get("image_url") is not None:
        return parse_media(ImagePart, where, url=part["image_url"], detail=part.get("detail"))
    if kind == "input_file":
        id, name, data, url = (
            part.get(key) or None for key in ("file_id", "filename", "file_data", "file_url")
        )
        return parse_media(File, where, id=id, name=name, data=data, url=url)
    if isinstance(kind, str) and kind.startswith("input_"):
        return ProviderPart(FORMAT, dict(part))
    raise ValueError(
        f"{where}.type must be input_text, output_text, input_image or input_file, not {kind!r}"
    )


def _string(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{where} must be a string, not {type(value).__name__}")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise ValueError(
                f"{where}: not valid Unicode (a lone surrogate at {error.start})"
            ) from None
    return value


def _name(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{where} is missing")
    return value
