"""The conversation as a flat list of Responses input items, rendered; `input_reader.py` parses it.

An assistant turn is its messages, reasoning, calls and results one after the other, in the order of its parts. Only
what this format made goes back verbatim (see `request.py`).

OpenAI lets `"type": "message"` be left out. llama.cpp refuses an assistant's message without it, so each has it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from llmstream.cache_marks import BREAKPOINT, CONTROL, Cache, cache_of, mark
from llmstream.checks import as_object
from llmstream.media import data_url, file_name
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
)
from llmstream.provider_data import MESSAGE_MEMBERS, own_data, own_members, own_notes
from llmstream.wire.fitting.history import is_plain
from llmstream.wire.json_fields import present
from llmstream.wire.openai_responses.items import FORMAT, summary_of
from llmstream.wire.openai_responses.values import own_annotation
from llmstream.wire.outbound import content_text
from llmstream.wire.part_rules import kind_of

_OF_CALL_AND_OUTPUT = ("namespace", "caller")
"""Fields of a call that its output has, too."""


class InputItems:
    """The input items of a fitted history, as they are rendered."""

    __slots__ = ("_cache", "_calls", "_foreign_marks", "_refusals", "items", "named")

    def __init__(self, *, refusals: bool = True, cache: str | None = None) -> None:
        self._refusals = refusals
        self._cache = cache
        self._foreign_marks = {"cache", CONTROL, BREAKPOINT} - {cache}
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
        content = _Content(role, own_members(message.provider_data, FORMAT))
        told = 0  # characters of the answer's text
        for part in message.parts:
            item = self._item(part)
            if item is not None:
                self.items += content.take()
                self.items.append(item)
                continue
            if isinstance(part, Source):
                content.annotate(own_annotation(part, content.start))
                continue
            if role == "assistant" and isinstance(part, TextPart | RefusalPart):
                self.items += content.begin(_beside_content(part))
            said = self._said(part) if role == "assistant" else self._given(part)
            if said is not None:
                content.add(said, told)
            told += len(part.text) if isinstance(part, TextPart) else 0
        self.items += content.take()

    def _said(self, part: Part) -> dict[str, Any] | None:
        """Content of an assistant's message."""
        if not isinstance(part, TextPart | RefusalPart):
            return None
        further = own_members(part.provider_data, FORMAT)
        further.pop(BREAKPOINT, None)  # an answer's texts take no marks
        if isinstance(part, RefusalPart) and self._refusals:
            return {"type": "refusal", "refusal": part.text, **further}
        return {"type": "output_text", "text": part.text, **further}

    def _given(self, part: Part) -> dict[str, Any] | None:
        """Content of a message that isn't the assistant's, or of a tool's result."""
        if isinstance(part, ProviderPart):
            return self._marked(part.data, cache_of(part.data))
        render = _GIVEN.get(type(part))
        if render is None:
            return None
        further = own_members(getattr(part, "provider_data", None), FORMAT)
        return self._marked({**render(part), **further}, getattr(part, "cache", None))

    def _marked(self, part: Mapping[str, Any], cache: Cache | None) -> dict[str, Any]:
        """The part with its mark in the word of the target alone."""
        unmarked = {name: part[name] for name in part if name not in self._foreign_marks}
        return mark(unmarked, cache, self._cache)

    def _item(self, part: Part) -> dict[str, Any] | None:
        """The item that a part is on its own; None for content of a message."""
        render = self._ITEMS.get(type(part))
        return None if render is None else render(self, part)

    def _reasoning(self, part: ReasoningPart) -> dict[str, Any]:
        encrypted = {"encrypted_content": part.signature}
        summary = {"summary": summary_of(part.text)}
        read = {"type": "reasoning", **summary, **encrypted, **present(id=part.id)}
        return {**read, **own_data(part.provider_data, FORMAT)}

    def _opaque(self, part: ProviderPart) -> dict[str, Any] | None:
        return None if _is_content(part.data) else part.data

    def _call(self, call: ToolCall) -> dict[str, Any] | None:
        if call.executed_by == "provider":
            return _item_of(call)
        extra = own_data(call.provider_data, FORMAT)
        self._calls[call.id] = extra
        named = {"type": "function_call", "call_id": call.id, "name": call.name, **extra}
        field = "input" if named["type"] == "custom_tool_call" else "arguments"
        return {**named, field: call.arguments}

    def _result(self, result: ToolResult) -> dict[str, Any] | None:
        item = _item_of(result)
        if item is not None or result.executed_by == "provider":
            return item  # None: the call's item holds the outcome
        extra = self._calls.get(result.tool_call_id, {})
        is_custom = extra.get("type") == "custom_tool_call"
        return {
            "type": "custom_tool_call_output" if is_custom else "function_call_output",
            "call_id": result.tool_call_id,
            "output": self._output(result),
            **{name: extra[name] for name in _OF_CALL_AND_OUTPUT if name in extra},
            **own_data(result.provider_data, FORMAT),
        }

    def _output(self, result: ToolResult) -> Any:
        if result.shown is None:
            output: Any = content_text(result.content)
        else:
            given = [self._given(part) for part in result.shown]
            output = [part for part in given if part is not None]
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

    __slots__ = ("_is_annotated", "beside", "parts", "role", "start")

    def __init__(self, role: str, beside: dict[str, Any]) -> None:
        self.role = role
        self.beside = beside  # its phase, and members that have no name here
        self.parts: list[dict[str, Any]] = []
        self.start = 0
        """Where in the answer's text the last part begins, in characters."""
        self._is_annotated = False

    def begin(self, beside: dict[str, Any]) -> list[dict[str, Any]]:
        """What the next part's message has beside its content: another message, if that differs. The item so far."""
        if beside == self.beside:
            return []
        items = self.take()
        self.beside = beside
        return items

    def add(self, part: dict[str, Any], start: int) -> None:
        """The next part. The text around annotations is one part: they say where in it they belong."""
        if self._is_annotated and part["type"] == "output_text":
            self.parts[-1]["text"] += part["text"]
        else:
            self.parts.append(part)
            self.start = start
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


def _item_of(part: ToolCall | ToolResult) -> dict[str, Any] | None:
    """The item that a part was, if it has one. A client may have kept the data, and changed it."""
    item = own_notes(part.provider_data, FORMAT).get("item")
    return item if isinstance(item, dict) else None


def _is_content(data: Mapping[str, Any]) -> bool:
    """Whether opaque data is a part of a message's content rather than an item."""
    return str(data.get("type")).startswith("input_")


def _text(part: TextPart | RefusalPart) -> dict[str, Any]:
    return {"type": "input_text", "text": part.text}


def _beside_content(part: TextPart | RefusalPart) -> dict[str, Any]:
    """What the message of an answer's text had beside its content."""
    notes = own_notes(part.provider_data, FORMAT)
    return {**present(phase=notes.get("phase")), **as_object(notes.get(MESSAGE_MEMBERS))}


def _image(part: ImagePart) -> dict[str, Any]:
    url = part.url or data_url(part)
    return {"type": "input_image", "image_url": url, **present(detail=part.detail)}


def _file(part: File) -> dict[str, Any]:
    if kind_of(part) == "image":
        return {"type": "input_image", "file_id": part.id}
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
