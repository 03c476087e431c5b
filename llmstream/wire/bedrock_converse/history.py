"""Messages as Converse's `system` and turns, and back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, ClassVar

from llmstream.cache_marks import POINT, mark, parse_cache
from llmstream.checks import as_object, as_text, items_at, require
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
from llmstream.wire.bedrock_converse.blocks import (
    CITATION,
    FORMAT,
    FORMATS,
    SERVER_TOOL,
    parse_citation,
    parse_result,
)
from llmstream.wire.bedrock_converse.encode import render_content
from llmstream.wire.bedrock_converse.files import file_block, image_block, parse_block
from llmstream.wire.fitting.system import is_system
from llmstream.wire.inbound import arguments_of, conversation_of, text_at, turn_of
from llmstream.wire.outbound import input_of, warn_once

_ROLES = ("user", "assistant", "system")
_LABEL = "Bedrock's Converse"
BESIDE_DOCUMENT = "[Document]"
"""The text that goes with a document where the user says nothing: a turn with documents must have a text.

docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Message.html: "you must also include a text block".
"""


class ConverseTurns:
    """Takes the messages of a fitted history one by one, and joins neighbours of one role.

    Cache marks stand in their blocks until `finish`. `word`: None, if the model takes none.
    """

    def __init__(self, word: str | None, warnings: list[str]) -> None:
        self._word = word
        self.warnings = warnings
        self._names: set[str] = set()  # of the documents
        self.system: list[dict[str, Any]] = []
        self.turns: list[dict[str, Any]] = []
        self.called: dict[str, bool] = {}
        """The tools that were called, and whether it is Amazon that runs them."""

    def add(self, message: Message) -> None:
        """The next message."""
        if message.name is not None:
            warn_once(self.warnings, f"name: not supported by {_LABEL}; dropped")
        blocks = self._blocks(message)
        if is_system(message) and not self.turns:
            self.system += blocks
            return
        role = "assistant" if message.role == "assistant" else "user"
        if not blocks:
            return
        if not self.turns or self.turns[-1]["role"] != role:
            self.turns.append({"role": role, "content": blocks})
        else:
            self.turns[-1]["content"] += blocks

    @property
    def blocks(self) -> Iterator[dict[str, Any]]:
        """All blocks that may have a mark, in the order of the prompt."""
        yield from self.system
        for turn in self.turns:
            yield from turn["content"]

    def finish(self) -> None:
        """Make each mark a block of its own, and give each turn with documents a text."""
        self.system = split_marks(self.system)
        for turn in self.turns:
            turn["content"] = _with_text(split_marks(turn["content"]))

    def _blocks(self, message: Message) -> list[dict[str, Any]]:
        blocks: list[dict[str, Any]] = []
        for part in message.parts:
            if isinstance(part, Source):
                _cite(blocks, part)
                continue
            block = self._block(part)
            if block is not None:
                cache = getattr(part, "cache", None)
                blocks.append(block if cache is None else mark(block, cache, self._word))
        return blocks

    def _block(self, part: Part) -> dict[str, Any] | None:
        render = self._RENDERERS.get(type(part))
        return None if render is None else render(self, part)

    def _text(self, part: TextPart | RefusalPart) -> dict[str, Any]:
        return {"text": part.text}

    def _opaque(self, part: ProviderPart) -> dict[str, Any]:
        return dict(part.data)

    def _reasoning(self, part: ReasoningPart) -> dict[str, Any]:
        said = {"text": part.text}
        if part.signature is not None:
            said["signature"] = part.signature
        return {"reasoningContent": {"reasoningText": said}}

    def _call(self, call: ToolCall) -> dict[str, Any]:
        block = {"toolUseId": call.id, "name": call.name, "input": input_of(call) or {}}
        is_amazons = call.executed_by == "provider"
        if is_amazons:
            block["type"] = SERVER_TOOL
        self.called[call.name] = is_amazons
        return {"toolUse": block}

    def _result(self, result: ToolResult) -> dict[str, Any]:
        block = {
            "toolUseId": result.tool_call_id,
            "content": self._result_content(result),
            **own_data(result.provider_data, FORMAT),
        }
        if result.is_error:
            block["status"] = "error"
        return {"toolResult": block}

    def _result_content(self, result: ToolResult) -> list[Any]:
        """What a tool says. `json` must be an object: a list is refused."""
        shown = result.shown
        if shown is not None:
            return [block for block in map(self._block, shown) if block is not None]
        content = result.content
        if result.executed_by == "caller" and not isinstance(content, (str, dict)):
            content = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
        return render_content(content)

    def _image(self, image: ImagePart) -> dict[str, Any]:
        if image.detail is not None:
            warn_once(self.warnings, f"image detail: not supported by {_LABEL}; dropped")
        return {"image": image_block(image)}

    def _file(self, file: File) -> dict[str, Any]:
        kind, block = file_block(file, self._names)
        return {kind: {**block, **own_members(file.provider_data, FORMAT)}}

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


def split_marks(blocks: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The blocks, each with its mark behind it."""
    split = []
    for block in blocks:
        if POINT not in block or len(block) == 1:
            split.append(block)
            continue
        rest = dict(block)
        point = rest.pop(POINT)
        split += [rest, {POINT: point}]
    return split


def _with_text(blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The blocks of a turn, with a text if it has documents."""
    has_document = any("document" in block for block in blocks)
    if not has_document or any("text" in block for block in blocks):
        return blocks
    place = next(at for at, block in enumerate(blocks) if "document" in block)
    return [*blocks[:place], {"text": BESIDE_DOCUMENT}, *blocks[place:]]


def _cite(blocks: list[dict[str, Any]], source: Source) -> None:
    """Give a citation of this format to the text before it. The words of others say the same without theirs."""
    citation = own_notes(source.provider_data, FORMAT).get(CITATION)
    if citation is None or not blocks:
        return
    last = blocks[-1]
    if "text" in last:
        text = {"content": [{"text": last.pop("text")}], "citations": []}
        last["citationsContent"] = text
        blocks[-1] = {"citationsContent": text, **last}
    if "citationsContent" in last:
        last["citationsContent"]["citations"].append(citation)


# --- in ---------------------------------------------------------------------------------------------------


def parse_history(system: Any, messages: Any) -> list[Message]:
    """Messages from `system` and `messages` of a body."""
    spoken = _parse_blocks(system, "system") if system else []
    return conversation_of(spoken, messages, _parse_turn)


def _parse_turn(message: Any, where: str) -> Iterator[Message]:
    role: Any = as_object(message).get("role")
    require(role in _ROLES, f"{where}.role must be user, assistant or system")
    return turn_of(role, _parse_blocks(message.get("content"), f"{where}.content"))


def _parse_blocks(blocks: Any, where: str) -> list[Part]:
    parts: list[Part] = []
    for block, place in items_at(blocks, where):
        members = _members_of(block, place)
        if POINT in members:
            _mark_last(parts, members, place)
            continue
        parts += _parse_block(members, place)
    files = [part for part in parts if isinstance(part, File)]
    ours = TextPart(BESIDE_DOCUMENT)
    return [part for part in parts if part != ours] if files else parts


def _members_of(block: Any, where: str) -> dict[str, Any]:
    """The one member of a block that has a value. Raises TypeError or ValueError."""
    require(isinstance(block, Mapping), f"{where} must be an object", TypeError)
    members = {name: value for name, value in block.items() if value is not None}
    require(len(members) == 1, f"{where} must have one member, which says what it is")
    return members


def _mark_last(parts: list[Part], block: Mapping[str, Any], where: str) -> None:
    """A cache point marks the part before it."""
    cache = parse_cache(block, where)
    last = parts[-1] if parts else None
    if last is None or isinstance(last, (Source, ReasoningPart, RefusalPart, ProviderPart)):
        parts.append(ProviderPart(FORMAT, dict(block)))
    else:
        last.cache = cache


def _parse_block(block: Mapping[str, Any], where: str) -> list[Part]:
    ((kind, said),) = block.items()
    if kind == "text":
        return [TextPart(text_at(said, f"{where}.text"))]
    parse = _PARSERS.get(kind)
    if parse is None and kind not in FORMATS:
        return [ProviderPart(FORMAT, dict(block))]
    require(isinstance(said, Mapping), f"{where}.{kind} must be an object", TypeError)
    if parse is not None:
        return parse(said, f"{where}.{kind}")
    part = parse_block(kind, said, f"{where}.{kind}")
    return [ProviderPart(FORMAT, dict(block)) if part is None else part]


def _parse_reasoning(block: Mapping[str, Any], where: str) -> list[Part]:  # noqa: ARG001  # as the others
    said = block.get("reasoningText")
    if not isinstance(said, Mapping):
        return [ProviderPart(FORMAT, {"reasoningContent": dict(block)})]
    signature = as_text(said.get("signature"))
    return [ReasoningPart(as_text(said.get("text")) or "", signature, None, FORMAT)]


def _parse_cited(block: Mapping[str, Any], where: str) -> list[Part]:
    texts = [as_object(piece).get("text") for piece in block.get("content") or ()]
    said = "".join(text for text in texts if isinstance(text, str))
    cited = [
        parse_citation(as_object(citation))
        for citation, _ in items_at(block.get("citations") or (), f"{where}.citations")
    ]
    return [*([TextPart(said)] if said else []), *cited]


def _parse_call(block: Mapping[str, Any], where: str) -> list[Part]:
    given = block.get("input") or {}
    is_whole = isinstance(given, dict) and block.get("toolUseId") and block.get("name")
    require(is_whole, f"{where} needs a toolUseId, a name and an input that is an object")
    by_provider = block.get("type") == SERVER_TOOL
    call = ToolCall(
        block["toolUseId"],
        block["name"],
        arguments_of(given),
        input=given,
        executed_by="provider" if by_provider else "caller",
    )
    if by_provider:
        call.provider_data = keep(FORMAT, {"type": SERVER_TOOL}, ("type",))
    return [call]


def _parse_result(block: Mapping[str, Any], where: str) -> list[Part]:
    require(isinstance(block.get("toolUseId"), str), f"{where}.toolUseId is missing")
    if block.get("type"):
        return [parse_result(block)]
    content = [
        _parse_shown(each, place)
        for each, place in items_at(block.get("content") or (), f"{where}.content")
    ]
    only = content[0] if len(content) == 1 else None
    said: Any = content or ""
    if isinstance(only, TextPart):
        said = only.text
    elif isinstance(only, ProviderPart) and isinstance(only.data.get("json"), dict):
        said = only.data["json"]
    return [ToolResult(block["toolUseId"], said, is_error=block.get("status") == "error")]


def _parse_shown(block: Any, where: str) -> Part:
    """A block of a result as a part; as it is, if none of ours can stand in a result for it."""
    parts = _parse_block(_members_of(block, where), where)
    part = parts[0] if len(parts) == 1 else None
    return part if isinstance(part, SHOWN) else ProviderPart(FORMAT, dict(block))


_PARSERS: Mapping[str, Callable[[Mapping[str, Any], str], list[Part]]] = {
    "reasoningContent": _parse_reasoning,
    "citationsContent": _parse_cited,
    "toolUse": _parse_call,
    "toolResult": _parse_result,
}
"""How a block of each kind is read; others are only for their provider."""
