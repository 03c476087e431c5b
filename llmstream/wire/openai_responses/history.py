"""The conversation as a flat list of Responses input items, rendered and parsed.

An assistant turn is its messages, reasoning, calls and results one after the other, in the order of its parts; parsing
joins neighbouring ones to one Message again. Only what this format made goes back verbatim (see `request.py`).

OpenAI lets `"type": "message"` be left out. llama.cpp refuses an assistant's message without it, so each has it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from llmstream.cache_marks import BREAKPOINT, CONTROL, mark, parse_cache
from llmstream.checks import require
from llmstream.media import data_url, file_name, parse_media
from llmstream.messages import (
    File,
    ImagePart,
    Message,
    Part,
    ProviderPart,
    ReasoningPart,
    RefusalPart,
    Source,
    TextPart,
    ToolCall,
    ToolResult,
    parse_arguments,
    sequence_of,
)
from llmstream.wire.fitting.history import is_plain
from llmstream.wire.inbound import check_unicode, items_at
from llmstream.wire.json_fields import present
from llmstream.wire.openai_responses.items import (
    FORMAT,
    compact,
    is_provider_call,
    is_provider_result,
    parse_call,
    parse_result,
)
from llmstream.wire.outbound import MESSAGE_MEMBERS, own_data

_INPUT_PARTS = frozenset({"input_text", "input_image", "input_file"})
_ROLES = ("system", "developer", "user", "assistant")
_OUTPUTS = frozenset({"function_call_output", "custom_tool_call_output"})
_MARKS = frozenset({"cache", CONTROL, BREAKPOINT})
_OF_ITEM = frozenset({"type", "id", "status", *_MARKS})
_OF_MESSAGE = _OF_ITEM | {"role", "content", "phase"}
_OF_TEXT = _MARKS | {"type", "text", "logprobs"}
_OF_IMAGE = _MARKS | {"type", "image_url", "detail"}
_OF_FILE = _MARKS | {"type", "file_id", "filename", "file_data", "file_url"}
_OF_REASONING = _OF_ITEM | {"summary", "content", "encrypted_content"}
_OF_CALL = _OF_ITEM | {"call_id", "name", "arguments", "input"}
_OF_OUTPUT = _OF_ITEM | {"call_id", "output"}
"""What is read of each, and what of it means nothing on the way back."""
_OF_CALL_AND_OUTPUT = ("namespace", "caller")
"""Fields of a call that its output has, too."""


# --- out --------------------------------------------------------------------------------------------------


class InputItems:
    """The input items of a fitted history, as they are rendered."""

    __slots__ = ("_cache", "_calls", "_refusals", "items", "named")

    def __init__(self, *, refusals: bool = True, cache: str | None = None) -> None:
        self._refusals = refusals
        self._cache = cache
        self._calls: dict[str, dict[str, Any]] = {}  # what calls had beside the usual, by their ids
        self.items: list[dict[str, Any]] = []
        self.named = False  # a message had a name, which is lost

    def add(self, message: Message) -> None:
        """Append one message's items."""
        role = "user" if message.role == "tool" else message.role
        self.named = self.named or message.name is not None
        if is_plain(message):
            self.items.append({"type": "message", "role": role, "content": message.text})
            return
        content = _Content(role, {} if role == "assistant" else _beside_texts(message))
        for part in message.parts:
            item = self._item(part)
            if item is not None:
                self.items += content.take()
                self.items.append(item)
                continue
            if isinstance(part, Source):
                content.annotate(_own(part).get("annotation"))
                continue
            begins_another = role == "assistant" and type(part) is TextPart
            beside = _beside_content(part) if begins_another else content.beside
            if beside != content.beside:
                self.items += content.take()
                content.beside = beside
            said = self._said(part) if role == "assistant" else self._given(part)
            if said is not None:
                content.add(said)
        self.items += content.take()

    def _said(self, part: Part) -> dict[str, Any] | None:
        """Content of an assistant's message."""
        if isinstance(part, RefusalPart) and self._refusals:
            return {"type": "refusal", "refusal": part.text}
        if isinstance(part, TextPart | RefusalPart):
            return {"type": "output_text", "text": part.text, **_beside_text(part)}
        return None

    def _given(self, part: Part) -> dict[str, Any] | None:
        """Content of a message that isn't the assistant's, or of a tool's result."""
        if isinstance(part, ProviderPart):
            return part.data
        render = _GIVEN.get(type(part))
        if render is None:
            return None
        return mark(render(part), getattr(part, "cache", None), self._cache)

    def _item(self, part: Part) -> dict[str, Any] | None:
        """The item that a part is on its own; None for content of a message."""
        render = self._ITEMS.get(type(part))
        return None if render is None else render(self, part)

    def _reasoning(self, part: ReasoningPart) -> dict[str, Any]:
        summary = [{"type": "summary_text", "text": part.text}] if part.text else []
        encrypted = {"encrypted_content": part.signature}
        read = {"type": "reasoning", "summary": summary, **encrypted, **present(id=part.id)}
        return {**read, **_own(part)}

    def _opaque(self, part: ProviderPart) -> dict[str, Any] | None:
        return None if _is_content(part.data) else part.data

    def _call(self, call: ToolCall) -> dict[str, Any]:
        extra = _own(call)
        if call.executed_by == "provider":
            item: dict[str, Any] = extra["item"]
            return item
        self._calls[call.id] = extra
        named = {"type": "function_call", "call_id": call.id, "name": call.name, **extra}
        field = "input" if named["type"] == "custom_tool_call" else "arguments"
        return {**named, field: call.arguments}

    def _result(self, result: ToolResult) -> dict[str, Any] | None:
        own = _own(result)
        item: dict[str, Any] | None = own.get("item")
        if item is not None or result.executed_by == "provider":
            return item  # None: the call's item holds the outcome
        extra = self._calls.get(result.tool_call_id, {})
        is_custom = extra.get("type") == "custom_tool_call"
        return {
            "type": "custom_tool_call_output" if is_custom else "function_call_output",
            "call_id": result.tool_call_id,
            "output": self._output(result),
            **{name: extra[name] for name in _OF_CALL_AND_OUTPUT if name in extra},
            **own,
        }

    def _output(self, result: ToolResult) -> Any:
        if result.shown is not None:
            given = [self._given(part) for part in result.shown]
            output: Any = [part for part in given if part is not None]
        elif _is_output(result.content):
            output = result.content
        else:
            output = compact(result.content)
        if result.cache is None or self._cache is None:
            return output
        parts = [{"type": "input_text", "text": output}] if isinstance(output, str) else output
        return [*parts[:-1], mark(parts[-1], result.cache, self._cache)]

    _ITEMS: ClassVar[Mapping[type[Any], Callable[[Any, Any], dict[str, Any] | None]]] = {
        ToolCall: _call,
        ToolResult: _result,
        ReasoningPart: _reasoning,
        ProviderPart: _opaque,
    }


class _Content:
    """The content of one message item, as far as it has come."""

    __slots__ = ("_is_annotated", "beside", "parts", "role")

    def __init__(self, role: str, beside: dict[str, Any]) -> None:
        self.role = role
        self.beside = beside  # its phase, and members that have no name here
        self.parts: list[dict[str, Any]] = []
        self._is_annotated = False

    def add(self, part: dict[str, Any]) -> None:
        """The next part. The text around annotations is one part: they say where in it they belong."""
        if self._is_annotated and part["type"] == "output_text":
            self.parts[-1]["text"] += part["text"]
        else:
            self.parts.append(part)
        self._is_annotated = False

    def annotate(self, annotation: dict[str, Any] | None) -> None:
        """An annotation of the last text."""
        if annotation is None or not self.parts or self.parts[-1]["type"] != "output_text":
            return
        annotated = self.parts[-1]
        annotated["annotations"] = [*annotated.get("annotations", ()), annotation]
        self._is_annotated = True

    def take(self) -> list[dict[str, Any]]:
        """The item, if there is something in it; the next content begins."""
        parts, self.parts = self.parts, []
        self._is_annotated = False
        if not parts:
            return []
        content: Any = parts
        if len(parts) == 1 and parts[0].keys() == {"type", "text"}:
            content = parts[0]["text"]
        return [{"type": "message", "role": self.role, "content": content, **self.beside}]


def _own(part: Part) -> dict[str, Any]:
    """What this format had put into a part's `provider_data`; nothing if another one did."""
    return own_data(getattr(part, "provider_data", None), FORMAT)


def _is_output(content: Any) -> bool:
    """Whether a result can be sent as it is: text, or a list of input parts."""
    if isinstance(content, str):
        return True
    if not isinstance(content, list) or not content:
        return False
    return all(isinstance(part, dict) and part.get("type") in _INPUT_PARTS for part in content)


def _is_content(data: Mapping[str, Any]) -> bool:
    """Whether opaque data is a part of a message's content rather than an item."""
    return str(data.get("type")).startswith("input_")


def _text(part: TextPart | RefusalPart) -> dict[str, Any]:
    return {"type": "input_text", "text": part.text, **_beside_text(part)}


def _beside_text(part: TextPart | RefusalPart) -> dict[str, Any]:
    """What a text has of its own."""
    own = _own(part).items()
    return {name: value for name, value in own if name not in ("phase", MESSAGE_MEMBERS)}


def _beside_content(part: Part) -> dict[str, Any]:
    """What the message of a text had beside its content."""
    own = _own(part)
    return {**present(phase=own.get("phase")), **own.get(MESSAGE_MEMBERS, {})}


def _beside_texts(message: Message) -> dict[str, Any]:
    """The same of a message that is one item. Its first text keeps it."""
    texts = (part for part in message.parts if type(part) is TextPart)
    return next(map(_beside_content, texts), {})


def _image(part: ImagePart) -> dict[str, Any]:
    url = part.url or data_url(part)
    return {"type": "input_image", "image_url": url, **present(detail=part.detail)}


def _file(part: File) -> dict[str, Any]:
    fields = {"file_id": part.id, "filename": part.name, "file_url": part.url}
    if part.data is not None:
        fields |= {"filename": file_name(part), "file_data": data_url(part)}
    return {"type": "input_file", **present(**fields)}


_GIVEN: Mapping[type[Any], Callable[[Any], dict[str, Any]]] = {
    TextPart: _text,
    RefusalPart: _text,
    ImagePart: _image,
    File: _file,
}


# --- in ---------------------------------------------------------------------------------------------------


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
