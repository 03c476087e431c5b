"""ConverseBlockDecoder: the content blocks of a Converse answer, as events. Of what is around them it knows nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from llmstream.checks import as_object
from llmstream.wire.bedrock_converse import members
from llmstream.wire.bedrock_converse.blocks import (
    FORMAT,
    FORMATS,
    SERVER_TOOL,
    ConverseBlock,
    add_content,
    join_base64,
    parse_citation,
    parse_file,
    parse_result,
)
from llmstream.wire.event_decoder import Decoder
from llmstream.wire.framing.event_stream import EventStream
from llmstream.wire.json_fields import as_string, listed
from llmstream.wire.open_calls import OpenCall, as_arguments, as_name

_TEXT, _REASONING, _CALL, _RESULT, _IMAGE = (
    "text",
    "reasoningContent",
    "toolUse",
    "toolResult",
    "image",
)


class ConverseBlockDecoder(Decoder):
    """Blocks that begin, go on and end, whatever their events lack; and blocks that come whole."""

    format = FORMAT
    framing = EventStream("text", ("p",))

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._blocks: dict[int, ConverseBlock] = {}
        self._last_index = -1  # of the block that spoke last: events may lack theirs
        self._last_kind = ""  # of the block that began last
        self._first_calls: dict[str, OpenCall] = {}  # by id

    # --- events --------------------------------------------------------------------------------------------

    def parse_block_start(self, payload: Mapping[str, Any]) -> None:
        """A block of another kind than words begins. Some gateways let words begin, too."""
        index = self._index_of(payload, self._last_index + 1)
        for kind, said in _object(payload, "start").items():
            begin = self._STARTS.get(kind) or self._DELTAS.get(kind)
            if begin is None:
                self._unread.note(f"start.{kind}", said)
            elif said is not None:
                begin(self, index, said)

    def parse_delta(self, payload: Mapping[str, Any]) -> None:
        """A block goes on."""
        index = self._index_of(payload, max(self._last_index, 0))
        for kind, said in _object(payload, "delta").items():
            add = self._DELTAS.get(kind)
            if add is None:
                self._unread.note(f"delta.{kind}", said)
            elif said is not None:
                add(self, index, said)

    def parse_block_stop(self, payload: Mapping[str, Any]) -> None:
        """A block ends."""
        self._end_block(self._index_of(payload, self._last_index))

    def _index_of(self, payload: Mapping[str, Any], default: int) -> int:
        index = payload.get("contentBlockIndex")
        if index is None:
            return default
        if type(index) is not int:
            raise TypeError
        self._last_index = index
        return index

    # --- words ---------------------------------------------------------------------------------------------

    def _block_of(self, index: int, kind: str) -> ConverseBlock:
        """The block of this kind that goes on; a new one, if none does."""
        block = self._blocks.get(index)
        if block is not None and block.kind == kind:
            return block
        self._end_block(index)
        if kind == _TEXT == self._last_kind:
            self._opaque(phase=None, understood=False)  # cited and uncited text go back apart
        return self._begin(index, kind)

    def _begin(self, index: int, kind: str) -> ConverseBlock:
        block = self._blocks[index] = ConverseBlock(kind)
        if kind == _TEXT:
            block.part = self._texts.begin(index)
        self._last_kind = kind
        self._last_index = index
        return block

    def _add_text(self, index: int, text: Any) -> None:
        self._part = self._block_of(index, _TEXT).part
        self._plain_text(text)

    def _add_citation(self, index: int, citation: Any) -> None:
        self._block_of(index, _TEXT)
        for each in listed(citation):
            self._source(parse_citation(each))

    def _add_reasoning(self, index: int, said: Any) -> None:
        block = self._block_of(index, _REASONING)
        if isinstance(said, str):
            said = {"text": said}
        said = said.get("reasoningText") or said  # as in a whole answer
        if said.get("text") and block.thought and not self._reasons:
            # Something else came in between: it is another block, whatever its index.
            self._end_block(index)
            block = self._begin(index, _REASONING)
        start = self._reasoned
        if self._reasoning(said.get("text") or ""):
            block.thought = (block.thought[0] if block.thought else start, self._reasoned)
        if said.get("signature"):
            block.signature.append(as_string(said["signature"]))
        if said.get("redactedContent"):
            block.pieces.append(as_string(said["redactedContent"]))
        known = ("text", "signature", "redactedContent")
        self._unread.look_over(f"{_REASONING}.", said, known)

    # --- calls, results, pictures --------------------------------------------------------------------------

    def _begin_call(self, index: int, start: Mapping[str, Any]) -> None:
        block, id = self._blocks.get(index), as_string(start.get("toolUseId") or "")
        self._unread.look_over(f"{_CALL}.", start, members.CALL)
        if block is not None and block.call is not None and block.call.id in ("", id):
            block.call.add_name(as_name(start.get("name")))  # it starts twice
            block.given = as_arguments(start.get("input")) or block.given
            return
        self._end_block(index)
        by_provider = start.get("type") == SERVER_TOOL
        call = self._open_call(id, as_name(start.get("name")), by_provider=by_provider)
        block = self._begin(index, _CALL)
        block.call, block.given = call, as_arguments(start.get("input"))
        if by_provider:
            self._note_call(call, {"type": SERVER_TOOL})
        elif id:
            call.original = self._first_calls.get(id)
            self._first_calls.setdefault(id, call)

    def _add_input(self, index: int, said: Mapping[str, Any]) -> None:
        block = self._blocks.get(index)
        if block is None or block.call is None:
            block = self._last_call() or self._nameless(index)
        if block.call is not None and said.get("input") is not None:
            block.given = ""  # the start told it already
            self._call_delta(block.call, as_arguments(said["input"]), named=True)

    def _last_call(self) -> ConverseBlock | None:
        """The open call that began last: an index may be wrong."""
        calls = (block for block in reversed(self._blocks.values()) if block.call is not None)
        return next(calls, None)

    def _nameless(self, index: int) -> ConverseBlock:
        """A call whose arguments come without its start."""
        self._end_block(index)
        block = self._begin(index, _CALL)
        block.call = self._open_call("", "")
        return block

    def _begin_result(self, index: int, start: Mapping[str, Any]) -> None:
        self._end_block(index)
        self._begin(index, _RESULT).result = {**start, "content": []}

    def _add_result(self, index: int, pieces: Any) -> None:
        block = self._block_of(index, _RESULT)
        add_content(block.result.setdefault("content", []), pieces)

    def _begin_image(self, index: int, start: Mapping[str, Any]) -> None:
        self._end_block(index)
        self._begin(index, _IMAGE).shown = dict(start)

    def _add_image(self, index: int, said: Mapping[str, Any]) -> None:
        block = self._block_of(index, _IMAGE)
        source = as_object(said.get("source"))
        if source.get("bytes"):
            block.pieces.append(as_string(source["bytes"]))
        else:
            block.shown["source"] = source or block.shown.get("source")
        self._unread.note("image.error", said.get("error"))

    # --- the end of blocks ---------------------------------------------------------------------------------

    def _end_blocks(self) -> None:
        """End what has no `contentBlockStop`: a lost signature would spoil the next request."""
        for index in list(self._blocks):
            self._end_block(index)

    def _end_block(self, index: int) -> None:
        block = self._blocks.pop(index, None)
        self._texts.end(index)
        if block is None:
            return
        if block.call is not None:
            self._call_delta(block.call, block.given, named=True)
            block.call.done = bool(block.call.name)
        elif block.kind == _REASONING:
            self._end_reasoning(block)
        elif block.kind == _RESULT:
            self._tool_result(parse_result(block.result))
        elif block.kind == _IMAGE:
            self._end_image(block)

    def _end_reasoning(self, block: ConverseBlock) -> None:
        if block.signature:
            self._seal(block.thought, signature="".join(block.signature))
        if block.pieces:
            redacted = {"redactedContent": join_base64(block.pieces)}
            self._opaque(item={_REASONING: redacted})

    def _end_image(self, block: ConverseBlock) -> None:
        shown = block.shown
        if block.pieces:
            shown = {**shown, "source": {"bytes": join_base64(block.pieces)}}
        self._tell_file(_IMAGE, shown)

    def _tell_file(self, kind: str, block: Mapping[str, Any]) -> None:
        file = parse_file(kind, block)
        if file is not None:
            self._file(file)

    # --- blocks that come whole ----------------------------------------------------------------------------

    def _tell_block(self, block: Mapping[str, Any]) -> None:
        """A block of a whole answer."""
        index = self._last_index + 1
        for kind, said in block.items():
            if said is None:
                continue
            if kind in FORMATS:
                self._tell_file(kind, said)
            elif kind in self._WHOLE:
                self._WHOLE[kind](self, index, said)
            else:
                self._opaque(item={kind: said}, understood=False)
        self._end_block(index)
        self._last_index = index

    def _tell_cited(self, index: int, block: Mapping[str, Any]) -> None:
        for piece in block.get("content") or ():
            self._add_text(index, piece["text"])
        for citation in block.get("citations") or ():
            self._add_citation(index, citation)

    def _tell_call(self, index: int, block: Mapping[str, Any]) -> None:
        self._begin_call(index, block)
        self._add_input(index, block)

    def _tell_result(self, index: int, block: Mapping[str, Any]) -> None:
        self._begin_result(index, {**block, "content": None})
        self._add_result(index, block.get("content") or ())

    _STARTS: ClassVar[Mapping[str, Callable[[Any, int, Any], None]]] = {
        _CALL: _begin_call,
        _RESULT: _begin_result,
        _IMAGE: _begin_image,
    }
    _DELTAS: ClassVar[Mapping[str, Callable[[Any, int, Any], None]]] = {
        _TEXT: _add_text,
        _CALL: _add_input,
        _REASONING: _add_reasoning,
        "citation": _add_citation,
        _RESULT: _add_result,
        _IMAGE: _add_image,
    }
    """By what a delta brings: it is a union, of which one member is there."""
    _WHOLE: ClassVar[Mapping[str, Callable[[Any, int, Any], None]]] = {
        _TEXT: _add_text,
        "citationsContent": _tell_cited,
        _REASONING: _add_reasoning,
        _CALL: _tell_call,
        _RESULT: _tell_result,
    }


def _object(payload: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A member that should be an object; an empty one for null. TypeError makes its frame a bad one."""
    given = payload.get(name)
    if given is not None and not isinstance(given, Mapping):
        raise TypeError
    return given or {}
