"""Messages as the steps of an interaction, and back.

Format: google-genai's Step and Content. The system's words stand apart, as one text. What the model said goes back as
the steps that it made: thoughts with their signatures, calls, tools that Google ran.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import groupby
from typing import Any, ClassVar

from llmstream.checks import as_text, ensure_json, items_at, require
from llmstream.media import parse_media
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
)
from llmstream.provider_data import keep, own_members, own_notes
from llmstream.wire.fitting.system import is_system
from llmstream.wire.gemini_interactions import members
from llmstream.wire.gemini_interactions.steps import (
    CALL,
    CONTINUATION,
    FORMAT,
    MEDIA,
    OTHER,
    OUTPUT,
    RAN,
    RESULT,
    THOUGHT,
    TOLD,
    family_of,
    own_step,
    parse_ran,
    parse_result,
    render_media,
)
from llmstream.wire.inbound import arguments_of, object_at, required_text, rest_of, text_at
from llmstream.wire.json_fields import compact, listed, objects_in, present
from llmstream.wire.outbound import input_of, warn_once

_INPUT = "user_input"
_CONTENTS = frozenset({"text"}) | MEDIA
_RESOLUTIONS = frozenset({"low", "high"})
"""How closely an image is looked at, in words that both know."""
_BETWEEN = "\n\n"
"""What parts the texts of the system."""
_SIGNATURE = "signature"


class RenderedSteps:
    """Takes the messages of a fitted history one by one."""

    def __init__(self, warnings: list[str]) -> None:
        self._warnings = warnings
        self._names: dict[str, str] = {}  # of functions, by the id of their call
        self.system: list[str] = []
        self.steps: list[dict[str, Any]] = []

    def add(self, message: Message) -> None:
        """The next message."""
        if message.name is not None:
            warn_once(self._warnings, "name: not supported by Gemini; dropped")
        if is_system(message) and not self.steps:
            self.system.append(message.text)
            return
        kind = OUTPUT if message.role == "assistant" else _INPUT
        for is_said, parts in groupby(message.parts, lambda part: type(part) in self._CONTENTS):
            if is_said:
                content = [self._content(part) for part in parts]
                self.steps.append({"type": kind, "content": content})
            else:
                self.steps += filter(None, map(self._step, parts))

    # --- contents ------------------------------------------------------------------------------------------

    def _content(self, part: Any) -> dict[str, Any]:
        return self._CONTENTS[type(part)](self, part)

    def _text(self, part: TextPart | RefusalPart) -> dict[str, Any]:
        return {"type": "text", "text": part.text, **own_members(part.provider_data, FORMAT)}

    def _image(self, image: ImagePart) -> dict[str, Any]:
        content = render_media(image.data, image.url, image.media_type, image.provider_data)
        content["type"] = "image"
        if image.detail in _RESOLUTIONS:
            return {**content, "resolution": image.detail}
        if image.detail is not None:
            warn_once(self._warnings, f"image detail: Gemini has no {image.detail!r}; dropped")
        return content

    def _file(self, file: File) -> dict[str, Any]:
        if file.name is not None:
            warn_once(self._warnings, "file: Gemini has no names for files; dropped")
        return render_media(file.data, file.url or file.id, file.media_type, file.provider_data)

    # --- steps ---------------------------------------------------------------------------------------------

    def _step(self, part: Part) -> dict[str, Any] | None:
        render = self._STEPS.get(type(part))
        return None if render is None else render(self, part)

    def _reasoning(self, part: ReasoningPart) -> dict[str, Any] | None:
        """What was signed goes back."""
        if part.signature is None:
            return None
        summary = [{"type": "text", "text": part.text}] if part.text else None
        return {"type": THOUGHT, **present(summary=summary), _SIGNATURE: part.signature}

    def _opaque(self, part: ProviderPart) -> dict[str, Any] | None:
        return None if CONTINUATION in part.data else dict(part.data)

    def _call(self, call: ToolCall) -> dict[str, Any] | None:
        if call.executed_by == "provider":
            return own_step(call)
        self._names[call.id] = call.name
        step = {"type": CALL, "id": call.id, "name": call.name, "arguments": input_of(call) or {}}
        signature = as_text(own_notes(call.provider_data, FORMAT).get(_SIGNATURE))
        return {**step, **present(signature=signature), **own_members(call.provider_data, FORMAT)}

    def _result(self, result: ToolResult) -> dict[str, Any] | None:
        if result.executed_by == "provider":
            return own_step(result)
        step: dict[str, Any] = {"type": RESULT, "call_id": result.tool_call_id}
        step |= present(name=result.name or self._names.get(result.tool_call_id))
        if result.is_error:
            step["is_error"] = True
        return {**step, "result": self._said(result), **own_members(result.provider_data, FORMAT)}

    def _said(self, result: ToolResult) -> Any:
        """What a tool says: text, an object, or contents."""
        content = result.content
        if result.shown is not None:
            return [self._shown(part) for part in result.shown]
        return content if isinstance(content, str | dict) else compact(content)

    def _shown(self, part: Any) -> dict[str, Any]:
        return dict(part.data) if isinstance(part, ProviderPart) else self._content(part)

    _CONTENTS: ClassVar[Mapping[type[Any], Callable[[Any, Any], dict[str, Any]]]] = {
        TextPart: _text,
        RefusalPart: _text,
        ImagePart: _image,
        File: _file,
    }
    _STEPS: ClassVar[Mapping[type[Any], Callable[[Any, Any], dict[str, Any] | None]]] = {
        ToolCall: _call,
        ToolResult: _result,
        ReasoningPart: _reasoning,
        ProviderPart: _opaque,
    }


def system_text(texts: list[str]) -> str | None:
    """The system's words as the one text that the format has for them."""
    return _BETWEEN.join(texts) or None


# --- in ---------------------------------------------------------------------------------------------------


def parse_history(system: Any, given: Any) -> list[Message]:
    """Messages from `system_instruction` and `input` of a body. Raises TypeError or ValueError with the place."""
    said: list[Message] = []
    if system:
        said.append(Message("system", [TextPart(text_at(system, "system_instruction"))]))
    require(given, "input is empty: give a text, contents or steps")
    listed = [{"type": "text", "text": given}] if isinstance(given, str) else given
    listed = [listed] if isinstance(listed, Mapping) else listed
    reader = _InputSteps()
    read = [reader.read(*item) for item in items_at(listed, "input")]
    for role, steps in groupby(read, _speaker):
        parts = [part for _, found in steps for part in found]
        said.append(Message(role, parts))
    return said


def _speaker(read: tuple[Role, list[Part]]) -> Role:
    return read[0]


class _InputSteps:
    """Reads steps in their order: a result without an id is of the last call that Google ran."""

    def __init__(self) -> None:
        self._count = 0
        self._ran = ""

    def read(self, step: Any, where: str) -> tuple[Role, list[Part]]:
        """Who speaks in a step, and the parts of what is said. A content by itself is the user's."""
        require(isinstance(step, Mapping), f"{where} must be an object", TypeError)
        ensure_json(step, where)
        kind = as_text(step.get("type")) or "text"
        known = kind in self._READERS
        parts = self._READERS[kind if known else family_of(kind)](self, step, where)
        return _SPEAKERS.get(kind, "assistant"), parts

    def _contents(self, step: Mapping[str, Any], where: str) -> list[Part]:
        given = listed(step.get("content"))
        return [_parse_content(*item) for item in items_at(given, f"{where}.content")]

    def _content(self, step: Mapping[str, Any], where: str) -> list[Part]:
        return [_parse_content(step, where)]

    def _thought(self, step: Mapping[str, Any], where: str) -> list[Part]:
        return [_parse_thought(step)]

    def _result(self, step: Mapping[str, Any], where: str) -> list[Part]:
        return [_parse_tool_result(step, where)]

    def _ran_call(self, step: Mapping[str, Any], where: str) -> list[Part]:
        self._ran = self._id_of(step)
        return [parse_ran(step, self._ran)]

    def _ran_result(self, step: Mapping[str, Any], where: str) -> list[Part]:
        return [parse_result(step, as_text(step.get("call_id")) or self._ran)]

    def _unknown(self, step: Mapping[str, Any], where: str) -> list[Part]:
        return [ProviderPart(FORMAT, dict(step))]

    def _call(self, step: Mapping[str, Any], where: str) -> list[Part]:
        name = required_text(step.get("name"), f"{where} needs a name")
        given = object_at(step.get("arguments") or {}, f"{where}.arguments")
        data = keep(FORMAT, rest_of(step, _OF_CALL), (_SIGNATURE,))
        text = arguments_of(given)
        return [ToolCall(self._id_of(step), name, text, input=given, provider_data=data)]

    def _id_of(self, step: Mapping[str, Any]) -> str:
        """The id of a call. One without gets one of ours."""
        self._count += 1
        return as_text(step.get("id")) or f"call_{self._count}"

    _READERS: ClassVar[Mapping[str, Callable[[Any, Mapping[str, Any], str], list[Part]]]] = {
        **dict.fromkeys(_CONTENTS, _content),
        _INPUT: _contents,
        OUTPUT: _contents,
        THOUGHT: _thought,
        CALL: _call,
        RESULT: _result,
        RAN: _ran_call,
        TOLD: _ran_result,
        OTHER: _unknown,
    }


_SPEAKERS: Mapping[str, Role] = {**dict.fromkeys(_CONTENTS, "user"), _INPUT: "user", RESULT: "tool"}
_OF_CALL = members.CALL_STEP - {_SIGNATURE}
_OF_RESULT = frozenset({"type", "call_id", "name", "result", "is_error"})


def _parse_content(content: Any, where: str) -> Part:
    if isinstance(content, str):
        return TextPart(text_at(content, where))
    require(isinstance(content, Mapping), f"{where} must be an object", TypeError)
    kind = as_text(content.get("type")) or "text"
    if kind == "text":
        data = keep(FORMAT, rest_of(content, members.TEXT))
        return TextPart(text_at(content.get("text"), f"{where}.text"), provider_data=data)
    if kind in MEDIA:
        return _parse_file(kind, content, where)
    return ProviderPart(FORMAT, dict(content))


def _parse_file(kind: str, content: Mapping[str, Any], where: str) -> Part:
    rest = rest_of(content, members.MEDIA)
    given: dict[str, Any] = {"media_type": as_text(content.get("mime_type"))}
    given |= present(data=content.get("data"), url=content.get("uri"))
    if kind != "image":
        named = {"name": as_text(content.get("name")), "provider_data": keep(FORMAT, rest)}
        return parse_media(File, where, **named, **given)
    if rest.get("resolution") in _RESOLUTIONS:
        given["detail"] = rest.pop("resolution")
    return parse_media(ImagePart, where, provider_data=keep(FORMAT, rest), **given)


def _parse_thought(step: Mapping[str, Any]) -> Part:
    """A thought. Drafts in pictures go back as they came."""
    contents = objects_in(step.get("summary"))
    texts = [as_text(content.get("text")) or "" for content in contents]
    signature = as_text(step.get(_SIGNATURE))
    if any(content.get("type") in MEDIA for content in contents):
        return ProviderPart(FORMAT, dict(step))
    return ReasoningPart("".join(texts), signature, format=FORMAT if signature else None)


def _parse_tool_result(step: Mapping[str, Any], where: str) -> Part:
    call_id = required_text(step.get("call_id"), f"{where} needs a call_id")
    given = step.get("result")
    content: Any = "" if given is None else given
    if isinstance(given, list):
        content = [_parse_content(*item) for item in items_at(given, f"{where}.result")]
    return ToolResult(
        call_id,
        content,
        name=as_text(step.get("name")),
        is_error=step.get("is_error") is True,
        provider_data=keep(FORMAT, rest_of(step, _OF_RESULT)),
    )
