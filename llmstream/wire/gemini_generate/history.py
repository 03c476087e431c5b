"""Messages as Gemini's `systemInstruction` and `contents`, and back.

Format: https://ai.google.dev/api/caching#Content. A result is a part of the user's turn, under the name of its
function; its content is an object. Files that the model made go back to it.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from llmstream.checks import as_object, as_text, ensure_json, items_at, require
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
    TextPart,
    ToolCall,
    ToolResult,
    parse_arguments,
)
from llmstream.parts import SHOWN, Shown
from llmstream.provider_data import keep
from llmstream.wire.fitting.labelled_text import is_text
from llmstream.wire.fitting.system import is_system
from llmstream.wire.gemini_generate import members
from llmstream.wire.gemini_generate.decode import CONTINUATION
from llmstream.wire.gemini_generate.parts import (
    FORMAT,
    RAN,
    SIGNATURE,
    TOLD,
    beside,
    own_beside,
    parse_result,
    part_data,
    ran_arguments,
    ran_data,
    ran_name,
    render_media,
    render_ran,
    render_result,
)
from llmstream.wire.gemini_models import takes_files_in_results, wants_signatures
from llmstream.wire.inbound import arguments_of, object_at, required_text, text_at, turn_of
from llmstream.wire.json_fields import present
from llmstream.wire.outbound import input_of, warn_once

UNSIGNED = "skip_thought_signature_validator"
"""What stands for the signature of a call that another model made
(https://ai.google.dev/gemini-api/docs/thought-signatures, "transferring a history from a different model")."""
_ROLES = {"user": "user", "function": "user", "model": "assistant"}
_RESULT, _ERROR = "result", "error"
_MEDIA = ("image/", "audio/", "video/", "text/")
_PDF = "application/pdf"


class RenderedContents:
    """Takes the messages of a fitted history one by one, and joins neighbours of one role."""

    def __init__(self, model: str, warnings: list[str]) -> None:
        self._warnings = warnings
        self._wants_signatures = wants_signatures(model)
        self._shows_files = takes_files_in_results(model)
        self._names: dict[str, str] = {}  # of functions, by the id of their call
        self._shown: list[dict[str, Any]] = []  # what results show, for want of a place in them
        self.system: list[dict[str, Any]] = []
        self.contents: list[dict[str, Any]] = []

    def add(self, message: Message) -> None:
        """The next message."""
        if message.name is not None:
            warn_once(self._warnings, "name: not supported by Gemini; dropped")
        parts = [part for each in message.parts for part in self._parts(each)]
        parts += self._shown
        self._shown.clear()
        if is_system(message) and not self.contents:
            self.system += [part for part in parts if part.get("text") != ""]
            return
        role = "model" if message.role == "assistant" else "user"
        if role == "model":
            self._sign(parts)
        if not parts:
            return
        if self.contents and self.contents[-1]["role"] == role:
            self.contents[-1]["parts"] += parts
        else:
            self.contents.append({"role": role, "parts": parts})

    def _sign(self, parts: Sequence[dict[str, Any]]) -> None:
        """The first call of a step has a signature, be it the one that stands for none."""
        first = next((part for part in parts if "functionCall" in part), None)
        if first is not None and self._wants_signatures:
            first.setdefault(SIGNATURE, UNSIGNED)

    def _parts(self, part: Part) -> Iterator[dict[str, Any]]:
        render = self._RENDERERS.get(type(part))
        rendered = None if render is None else render(self, part)
        if rendered is not None:
            yield rendered

    def _text(self, part: TextPart | RefusalPart) -> dict[str, Any]:
        return {"text": part.text, **own_beside(part.provider_data)}

    def _reasoning(self, part: ReasoningPart) -> dict[str, Any] | None:
        """What was signed goes back. A signature alone is that of an empty text."""
        if part.signature is None:
            return None
        thought = {"thought": True} if part.text else {}
        return {"text": part.text, **thought, SIGNATURE: part.signature}

    def _opaque(self, part: ProviderPart) -> dict[str, Any] | None:
        return None if CONTINUATION in part.data else dict(part.data)

    def _image(self, image: ImagePart) -> dict[str, Any]:
        if image.detail is not None:
            warn_once(self._warnings, "image detail: not supported by Gemini; dropped")
        media = render_media(image.data, image.url, image.media_type)
        return {**media, **own_beside(image.provider_data)}

    def _file(self, file: File) -> dict[str, Any]:
        if file.name is not None:
            warn_once(self._warnings, "file: Gemini has no names for files; dropped")
        kind = file.media_type
        if is_text(file) and not essence(kind).startswith("text/"):
            warn_once(self._warnings, f"file: Gemini takes {kind} as text/plain; sent so")
            kind = "text/plain"
        media = render_media(file.data, file.url or file.id, kind)
        return {**media, **own_beside(file.provider_data)}

    def _call(self, call: ToolCall) -> dict[str, Any] | None:
        if call.executed_by == "provider":
            return render_ran(call)
        self._names[call.id] = call.name
        body = {"id": call.id, "name": call.name, "args": input_of(call) or {}}
        return {"functionCall": body, **own_beside(call.provider_data)}

    def _result(self, result: ToolResult) -> dict[str, Any] | None:
        if result.executed_by == "provider":
            return render_result(result)
        name = result.name or self._names.get(result.tool_call_id) or "tool"
        body: dict[str, Any] = {"id": result.tool_call_id, "name": name}
        shown = result.shown
        if shown is None:
            body["response"] = _response_of(result.content, is_error=result.is_error)
        else:
            texts = [part.text for part in shown if isinstance(part, TextPart)]
            body["response"] = _response_of("\n".join(texts), is_error=result.is_error)
            files = [
                part
                for each in shown
                if not isinstance(each, TextPart)
                for part in self._parts(each)
            ]
            if files and self._shows_files:
                body["parts"] = files
            else:
                self._shown += files
        return {"functionResponse": body, **own_beside(result.provider_data)}

    _RENDERERS: ClassVar[Mapping[type[Any], Callable[[Any, Any], dict[str, Any] | None]]] = {
        TextPart: _text,
        RefusalPart: _text,
        ImagePart: _image,
        File: _file,
        ToolCall: _call,
        ToolResult: _result,
        ReasoningPart: _reasoning,
        ProviderPart: _opaque,
    }


def _response_of(content: Any, *, is_error: bool) -> dict[str, Any]:
    """A result as an object. One that could be taken for a wrapped one is wrapped, too."""
    if is_error:
        return {_ERROR: content}
    if isinstance(content, dict) and content and not content.keys() & {_RESULT, _ERROR}:
        return content
    return {_RESULT: content}


# --- in ---------------------------------------------------------------------------------------------------


def parse_history(system: Any, contents: Any) -> list[Message]:
    """Messages from `systemInstruction` and `contents` of a body. Raises TypeError or ValueError with the place."""
    parsed = []
    if system:
        parts = _ContentReader().parts(system, "systemInstruction")
        parsed.append(Message("system", parts))
    require(contents, "contents is empty: give at least one content")
    listed = [{"parts": contents}] if isinstance(contents, str) else contents
    listed = [listed] if isinstance(listed, Mapping) else listed
    reader = _ContentReader()
    for content, where in items_at(listed, "contents"):
        parsed += reader.messages(content, where)
    return parsed


class _ContentReader:
    """Reads contents in their order: a result without an id answers the first open call of its name."""

    def __init__(self) -> None:
        self._count = 0
        self._open: dict[str, deque[str]] = {}  # ids that we gave to calls, by their names
        self._ran: str = ""  # the id of the last call that Google ran

    def messages(self, content: Any, where: str) -> Iterator[Message]:
        """A content as messages: results apart from what else the user says."""
        given = as_object(content).get("role") or "user"
        role: Any = _ROLES.get(str(given))
        require(role, f"{where}.role must be user or model, not {given!r}")
        return turn_of(role, self.parts(content, where))

    def parts(self, content: Any, where: str) -> list[Part]:
        """The parts of one content, which may be a text alone."""
        given = content.get("parts") if isinstance(content, Mapping) else content
        if isinstance(given, str):
            given = [{"text": given}]
        if isinstance(given, Mapping):
            given = [given]
        return [self._part(*item) for item in items_at(given or (), f"{where}.parts")]

    def _part(self, part: Any, where: str) -> Part:
        require(isinstance(part, Mapping), f"{where} must be an object", TypeError)
        ensure_json(part, where)
        kind = next((name for name in self._READERS if part.get(name) is not None), None)
        if kind is None:
            return ProviderPart(FORMAT, dict(part))
        return self._READERS[kind](self, kind, part, where)

    def _text(self, kind: str, part: Mapping[str, Any], where: str) -> Part:
        text = text_at(part[kind], f"{where}.text")
        signature = as_text(part.get(SIGNATURE))
        if part.get("thought") or (signature is not None and not text):
            return ReasoningPart(text, signature, format=FORMAT if signature else None)
        return TextPart(text, provider_data=part_data(part))

    def _call(self, kind: str, part: Mapping[str, Any], where: str) -> Part:
        body = _body_of(part, kind, where)
        name = required_text(body.get("name"), f"{where}.{kind} needs a name")
        given = object_at(body.get("args") or {}, f"{where}.{kind}.args")
        data = {name: value for name, value in beside(part).items() if value != UNSIGNED}
        call_id = as_text(body.get("id")) or self._new_id(name)
        return ToolCall(
            call_id,
            name,
            arguments_of(given),
            input=given,
            provider_data=keep(FORMAT, data, (SIGNATURE,)),
        )

    def _new_id(self, name: str) -> str:
        self._count += 1
        made = f"call_{self._count}"
        self._open.setdefault(name, deque()).append(made)
        return made

    def _result(self, kind: str, part: Mapping[str, Any], where: str) -> Part:
        body = _body_of(part, kind, where)
        name = as_text(body.get("name")) or ""
        waiting = self._open.get(name)
        call_id = as_text(body.get("id")) or (waiting.popleft() if waiting else "")
        require(call_id, f"{where}.{kind} needs an id, or the name of a function that was called")
        content, is_error = _content_of(body.get("response"))
        shown = [
            self._shown_part(*item) for item in items_at(body.get("parts") or (), f"{where}.parts")
        ]
        if shown:
            text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
            content = [*([TextPart(text)] if text else []), *shown]
        return ToolResult(
            call_id, content, name=name or None, is_error=is_error, provider_data=part_data(part)
        )

    def _shown_part(self, part: Any, where: str) -> Shown:
        read = self._part(part, where)
        return read if isinstance(read, SHOWN) else ProviderPart(FORMAT, dict(part))

    def _ran_call(self, kind: str, part: Mapping[str, Any], where: str) -> Part:
        body = _body_of(part, kind, where)
        self._count += 1
        self._ran = as_text(body.get("id")) or f"call_{self._count}"
        arguments = ran_arguments(kind, body)
        return ToolCall(
            self._ran,
            ran_name(kind, body),
            arguments,
            input=parse_arguments(arguments),
            executed_by="provider",
            provider_data=ran_data(kind, part),
        )

    def _ran_result(self, kind: str, part: Mapping[str, Any], where: str) -> Part:
        body = _body_of(part, kind, where)
        return parse_result(kind, part, as_text(body.get("id")) or self._ran)

    def _media(self, kind: str, part: Mapping[str, Any], where: str) -> Part:
        """An image or a file; as it is, if one of our parts can't say all that the part says."""
        body = _body_of(part, kind, where)
        known = members.BLOB if kind == "inlineData" else members.LINK
        media_type = as_text(body.get("mimeType"))
        is_plain = body.keys() <= known and not part.get("thought")
        if not is_plain:
            return ProviderPart(FORMAT, dict(part))
        given: dict[str, Any] = {"media_type": media_type, "provider_data": part_data(part)}
        given |= present(data=body.get("data"), url=body.get("fileUri"))
        is_image = essence(media_type).startswith("image/") and "svg" not in str(media_type)
        if is_image:
            return parse_media(ImagePart, where, **given)
        return parse_media(File, where, name=as_text(body.get("displayName")), **given)

    _READERS: ClassVar[Mapping[str, Callable[[Any, str, Mapping[str, Any], str], Part]]] = {
        "functionCall": _call,
        "functionResponse": _result,
        **dict.fromkeys(RAN, _ran_call),
        **dict.fromkeys(TOLD, _ran_result),
        "inlineData": _media,
        "fileData": _media,
        "text": _text,
    }


def _body_of(part: Mapping[str, Any], kind: str, where: str) -> Mapping[str, Any]:
    return object_at(part[kind], f"{where}.{kind}")


def _content_of(response: Any) -> tuple[Any, bool]:
    """What a result says, and whether it is an error."""
    if not isinstance(response, Mapping):
        return ("" if response is None else response), False
    for name in (_ERROR, _RESULT):
        if response.keys() == {name}:
            return response[name], name == _ERROR
    return dict(response), False
