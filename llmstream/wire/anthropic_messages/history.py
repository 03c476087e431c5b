"""Messages as Anthropic's `system` and turns, and back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

from llmstream.cache_marks import CONTROL, further_members, mark, parse_cache
from llmstream.checks import as_object, as_text, check_unicode, items_at, require, sequence_of
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
    Source,
    TextPart,
    ToolCall,
    ToolResult,
)
from llmstream.parts import SHOWN
from llmstream.provider_data import keep, own_data, own_members, own_notes
from llmstream.wire.anthropic_messages.blocks import CALLS, FORMAT, call_data, parse_result
from llmstream.wire.fitting.history import is_plain
from llmstream.wire.fitting.labelled_text import text_of
from llmstream.wire.fitting.system import is_system
from llmstream.wire.inbound import arguments_of, conversation_of, turn_of
from llmstream.wire.outbound import content_text, input_of, warn_once
from llmstream.wire.part_rules import kind_of

_ROLES = ("user", "assistant", "system")
_MARKS = (CONTROL, "cache")
_DEFAULT_CALLER = {"type": "direct"}
"""Left out of a call: hosts with older schemas refuse the field."""


class RenderedTurns:
    """Takes the messages of a fitted history one by one, and joins neighbours of one role."""

    def __init__(self, warnings: list[str]) -> None:
        self._warnings = warnings
        self._system: list[dict[str, Any]] = []
        self.turns: list[dict[str, Any]] = []

    def add(self, message: Message) -> None:
        """The next message."""
        if message.name is not None:
            warn_once(self._warnings, "name: not supported by Anthropic Messages; dropped")
        if is_system(message) and not self.turns:
            self._system += self._blocks(message)
            return
        role = "user" if message.role == "tool" else message.role
        content = message.parts[0].text if is_plain(message) else self._blocks(message)  # type: ignore[union-attr]
        if not content:
            return
        if not self.turns or self.turns[-1]["role"] != role:
            self.turns.append({"role": role, "content": content})
            return
        turn = self.turns[-1]
        turn["content"] = _as_blocks(turn["content"])
        turn["content"] += _as_blocks(content)

    @property
    def system(self) -> Any:
        """What stands apart from the turns: one text as a string, others as blocks; None if there is nothing."""
        if not self._system:
            return None
        if len(self._system) == 1 and self._system[0].keys() == {"type", "text"}:
            return self._system[0]["text"]
        return self._system

    @property
    def blocks(self) -> Iterator[dict[str, Any]]:
        """All blocks, in the order of the prompt."""
        yield from self._system
        for turn in self.turns:
            for block in turn["content"] if isinstance(turn["content"], list) else ():
                inside = block.get("content")
                if block.get("type") == "tool_result" and isinstance(inside, list):
                    yield from inside
                yield block

    def _blocks(self, message: Message) -> list[dict[str, Any]]:
        blocks: list[dict[str, Any]] = []
        cited: list[dict[str, Any]] = []  # they come before the text that they belong to
        for part in message.parts:
            if isinstance(part, Source):
                cited += _citations(part)
                continue
            block = self._block(part)
            if block is None:
                continue
            blocks.append(block)
            if cited and block["type"] == "text":
                block["citations"], cited = cited, []
        if cited:
            _cite_last(blocks, cited)
        return blocks

    def _block(self, part: Part) -> dict[str, Any] | None:
        render = self._RENDERERS.get(type(part))
        return None if render is None else render(self, part)

    def _text(self, part: TextPart) -> dict[str, Any]:
        block = {"type": "text", "text": part.text, **own_members(part.provider_data, FORMAT)}
        return mark(block, part.cache, CONTROL)

    def _refusal(self, part: RefusalPart) -> dict[str, Any]:
        return {"type": "text", "text": part.text}

    def _opaque(self, part: ProviderPart) -> dict[str, Any]:
        return dict(part.data)

    def _thinking(self, part: ReasoningPart) -> dict[str, Any]:
        further = own_members(part.provider_data, FORMAT)
        block = {"type": "thinking", "thinking": part.text, **further}
        return block if part.signature is None else {**block, "signature": part.signature}

    def _call(self, call: ToolCall) -> dict[str, Any]:
        extra = own_data(call.provider_data, FORMAT)
        if extra.get("caller") == _DEFAULT_CALLER:
            del extra["caller"]
        given = input_of(call) or {}
        block = {"type": "tool_use", "id": call.id, "name": call.name, "input": given}
        return mark({**block, **extra}, call.cache, CONTROL)

    def _result(self, result: ToolResult) -> dict[str, Any]:
        if result.executed_by == "provider":
            own = own_data(result.provider_data, FORMAT)
            return {**own, "tool_use_id": result.tool_call_id, "content": result.content}
        block: dict[str, Any] = {
            "type": "tool_result",
            "tool_use_id": result.tool_call_id,
            "content": self._result_content(result),
            **own_members(result.provider_data, FORMAT),
        }
        if result.is_error:
            block["is_error"] = True
        return mark(block, result.cache, CONTROL)

    def _result_content(self, result: ToolResult) -> Any:
        if result.shown is None:
            return content_text(result.content)
        return [block for block in map(self._block, result.shown) if block is not None]

    def _image(self, image: ImagePart) -> dict[str, Any]:
        if image.detail is not None:
            warn_once(self._warnings, "image detail: not supported by Anthropic Messages; dropped")
        return mark({"type": "image", "source": _source(image)}, image.cache, CONTROL)

    def _file(self, file: File) -> dict[str, Any]:
        is_image = kind_of(file) == "image"
        block = {"type": "image" if is_image else "document", "source": self._file_source(file)}
        if file.name is not None and not is_image:
            block["title"] = file.name
        return mark(block, file.cache, CONTROL)

    def _file_source(self, file: File) -> dict[str, Any]:
        if file.id is not None:
            return {"type": "file", "file_id": file.id}
        if file.data is None or _is_pdf(file):
            return _source(file)
        if file.media_type != "text/plain":
            warn_once(
                self._warnings,
                f"file: Anthropic Messages take {file.media_type} as text/plain; sent so",
            )
        text = text_of(file)
        if "\ufffd" in text:
            warn_once(
                self._warnings,
                "file: Anthropic Messages take text in UTF-8; what isn't was replaced",
            )
        return {"type": "text", "media_type": "text/plain", "data": text}

    _RENDERERS: ClassVar[Mapping[type[Any], Callable[[Any, Any], dict[str, Any] | None]]] = {
        TextPart: _text,
        RefusalPart: _refusal,
        ImagePart: _image,
        File: _file,
        ToolCall: _call,
        ToolResult: _result,
        ReasoningPart: _thinking,
        ProviderPart: _opaque,
    }


def _is_pdf(file: File) -> bool:
    return essence(file.media_type) == "application/pdf"


def _cite_last(blocks: list[dict[str, Any]], cited: list[dict[str, Any]]) -> None:
    """Give citations that no text follows to the last text."""
    texts = [block for block in blocks if block["type"] == "text"]
    if texts:
        texts[-1].setdefault("citations", cited)


def _citations(source: Source) -> list[dict[str, Any]]:
    """The citation as this format's own, if it was one."""
    citation = own_notes(source.provider_data, FORMAT).get("citation")
    return [] if citation is None else [citation]


def _as_blocks(content: Any) -> list[dict[str, Any]]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _source(part: ImagePart | File) -> dict[str, Any]:
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
    spoken = _parse_texts(system, "system") if system else []
    return conversation_of(spoken, messages, _parse_turn)


def _parse_turn(message: Any, where: str) -> Iterator[Message]:
    role: Any = as_object(message).get("role")
    require(role in _ROLES, f"{where}.role must be user, assistant or system")
    content = message.get("content")
    if isinstance(content, str) or role == "system":
        return turn_of(role, _parse_texts(content, f"{where}.content"))
    blocks = items_at(content, f"{where}.content")
    return turn_of(role, [_parse_block(*item) for item in blocks])


def _parse_texts(content: Any, where: str) -> list[Part]:
    if isinstance(content, str):
        content = [{"text": content}]
    return [_parse_text(block, where) for block in sequence_of(content, where)]


def _parse_text(block: Any, where: str) -> TextPart:
    text = _string_of(block, where)
    return TextPart(text, parse_cache(block, where), _further(block, "type", "text"))


def _further(block: Mapping[str, Any], *known: str) -> dict[str, Any] | None:
    """What a block says that has no name here, in its own words, to go back to this format."""
    names = [name for name in block if name not in (*known, *_MARKS)]
    said = {name: block[name] for name in names if block[name] not in (None, [])}
    said |= further_members(block, CONTROL)
    return keep(FORMAT, said)


def _string_of(block: Any, where: str) -> str:
    text: Any = as_object(block).get("text")
    require(isinstance(text, str), f"{where}: a text block needs its text as a string", TypeError)
    return check_unicode(text, where)


def _parse_block(block: Any, where: str) -> Part:
    kind: Any = as_object(block).get("type")
    require(isinstance(kind, str), f"{where}.type is missing")
    parse = _PARSERS.get(kind)
    if parse is not None:
        return parse(block, where)
    if kind.endswith("_tool_result"):
        return parse_result(dict(block))
    return ProviderPart(FORMAT, dict(block))


def _parse_thinking(block: Mapping[str, Any], where: str) -> ReasoningPart:  # noqa: ARG001  # as the others
    # A gateway sends an empty one with another vendor's reasoning.
    signature = as_text(block.get("signature"))
    data = _further(block, "type", "thinking", "signature")
    return ReasoningPart(as_text(block.get("thinking")) or "", signature, None, FORMAT, data)


def _parse_media(block: Mapping[str, Any], where: str) -> Part:
    """An image or a document; as it is, if one of our parts can't say all that the block says."""
    return _parse_known_media(block, where) or ProviderPart(FORMAT, dict(block))


def _parse_known_media(block: Mapping[str, Any], where: str) -> ImagePart | File | None:
    kind = block["type"]
    source: Any = block.get("source")
    require(isinstance(source, Mapping), f"{where}.source is missing")
    known = _SOURCES[kind].get(source.get("type"))
    if known is None or not isinstance(source.get(known), str):
        return None
    said = {name for name, value in block.items() if value is not None}
    if said - {"type", "source", "title", "cache_control"} or further_members(block, CONTROL):
        return None
    cache = parse_cache(block, where)
    given = {"media_type": source.get("media_type"), known: source[known], "cache": cache}
    if kind == "image":
        return parse_media(ImagePart, f"{where}.source", **given)
    return _parse_file(given, source, block.get("title"), f"{where}.source")


def _parse_call(block: Mapping[str, Any], where: str) -> ToolCall:
    given = block.get("input") or {}
    is_whole = isinstance(given, dict) and block.get("id") and block.get("name")
    require(is_whole, f"{where} needs an id, a name and an input that is an object")
    return ToolCall(
        block["id"],
        block["name"],
        arguments_of(given),
        input=given,
        executed_by="caller" if block["type"] == "tool_use" else "provider",
        provider_data=call_data(block),
        cache=parse_cache(block, where),
    )


def _parse_result(block: Mapping[str, Any], where: str) -> ToolResult:
    require(isinstance(block.get("tool_use_id"), str), f"{where}.tool_use_id is missing")
    result = ToolResult(
        block["tool_use_id"],
        block.get("content") or "",
        is_error=bool(block.get("is_error")),
        cache=parse_cache(block, where),
        provider_data=_further(block, "type", "tool_use_id", "content", "is_error"),
    )
    if not isinstance(result.content, str):
        _parse_result_blocks(result, f"{where}.content")
    return result


def _parse_result_blocks(result: ToolResult, where: str) -> None:
    """A result's blocks as parts. A lone text is a string."""
    parts: list[Part] = []
    for block, place in items_at(result.content, where):
        is_block = isinstance(block, Mapping)
        problem = f"{where}: a block must be an object, not {type(block).__name__}"
        require(is_block, problem, TypeError)
        parts.append(_parse_shown(block, place))
    result.content = parts or ""
    lone = parts[0] if len(parts) == 1 else None
    if isinstance(lone, TextPart) and lone == TextPart(lone.text):
        result.content = lone.text


def _parse_shown(block: Mapping[str, Any], where: str) -> Part:
    """A block of a result as a part; as it is, if none of ours can stand in a result for it."""
    part = _parse_block(block, where)
    return part if isinstance(part, SHOWN) else ProviderPart(FORMAT, dict(block))


def _parse_file(given: dict[str, Any], source: Mapping[str, Any], title: Any, where: str) -> File:
    if "file_id" in given:
        return parse_media(File, where, id=given["file_id"], name=title, cache=given["cache"])
    if source["type"] == "text":
        text = _string_of({"text": given["data"]}, where)
        given = {**given, "media_type": "text/plain", "data": text.encode()}
    return parse_media(File, where, name=title, **given)


_PARSERS: Mapping[str, Callable[[Any, str], Part]] = {
    "text": _parse_text,
    "thinking": _parse_thinking,
    "tool_result": _parse_result,
    **dict.fromkeys(CALLS, _parse_call),
    **dict.fromkeys(_SOURCES, _parse_media),
}
"""How a block of each type is read; others are only for their provider."""
