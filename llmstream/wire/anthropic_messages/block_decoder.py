"""BlockDecoder: the content blocks of a Messages answer, as events. Of what is around them it knows nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from llmstream.checks import as_object
from llmstream.events.types import EventType, Status, StreamEvent
from llmstream.messages import parse_arguments
from llmstream.wire.anthropic_messages import members
from llmstream.wire.anthropic_messages.blocks import (
    CALLS,
    OpenBlock,
    add_to_item,
    as_arguments,
    as_word,
    call_data,
    forms_of,
    goes_on,
    parse_citation,
    parse_image,
    parse_result,
    repeats,
)
from llmstream.wire.anthropic_messages.told_blocks import PROSE, ToldBlocks, key_of, take, words_of
from llmstream.wire.echo import Echo
from llmstream.wire.error_body import carries_error, parse_error
from llmstream.wire.event_decoder import Decoder
from llmstream.wire.json_fields import as_string, present
from llmstream.wire.open_calls import OpenCall, as_name, content_of

_FALLBACK = "fallback"
_WHOLE = -1
"""The index of blocks that come whole."""
_MISPLACED = -2
"""That of thinking at the index of another block."""


class BlockDecoder(Decoder):
    """Blocks that begin, go on and end, whatever their events lack; and blocks that come whole."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._blocks: dict[int, OpenBlock] = {}
        # All but calls, which end at the latest when the next begins.
        self._loose: dict[int, None] = {}
        self._last: dict[str, OpenBlock] = {}  # the last open block of each type
        self._last_index = -1  # of the block that began last: events may lack theirs
        self._last_kind = ""  # the type of the block that began last
        self._opening: list[dict[str, Any]] = []  # the content of `message_start`
        self._repeated: list[dict[str, Any]] = []  # such content whose blocks come, perhaps all
        self._left: dict[int, OpenBlock] = {}  # texts that another block followed before their end
        self._unsigned: dict[int, OpenBlock] = {}  # thinking that ended without a signature
        self._told = ToldBlocks()

    def _flush_opening(self) -> None:
        """The content of `message_start` doesn't come again."""
        blocks, self._opening = self._opening, []
        self._tell_blocks(blocks)

    def _tell_blocks(self, blocks: Iterable[dict[str, Any]]) -> None:
        """Blocks that came whole."""
        for block in blocks:
            self._begin_block(_WHOLE, block)
            self._texts.end(_WHOLE)
            self._end_block(_WHOLE)

    def _cite(self, block: dict[str, Any], told: Counter[int]) -> None:
        """The citations of a text beyond those that its events have told."""
        left = told.copy()
        for citation in block.get("citations") or ():
            key = key_of(citation)
            if not take(left, key):
                told[key] += 1
                self._tell_citation(citation, key)

    def _tell_citation(self, citation: dict[str, Any], key: int) -> None:
        self._told.cited[key] += 1
        self._source(parse_citation(citation))

    # --- blocks --------------------------------------------------------------------------------------------

    def parse_block_start(self, payload: dict[str, Any]) -> None:
        """A block begins, or begins again."""
        index, start = payload.get("index"), payload["content_block"]
        if index is None:
            index = self._last_index + 1
        self._last_index = index
        if repeats(self._opening, start, index):
            self._repeated += self._opening[index:]
            del self._opening[index:]
        self._flush_opening()
        self._begin_block(index, start)

    def _begin_block(self, index: int, start: dict[str, Any]) -> None:
        kind = as_string(start["type"])
        self._unread.look_over(f"content.{kind}.", start, members.BLOCKS.get(kind, start))
        block = self._blocks.get(index)
        if block is not None and goes_on(block, start):
            self._add_start(block, start)  # it starts twice
            return
        self._end_blocks()
        self._end_block(index)
        self._left.pop(index, None)
        self._texts.end(index)
        if kind == "text" == self._last_kind:
            self._opaque(phase=None, understood=False)  # cited and uncited text go back apart
        self._last_kind = kind
        block = self._keep_block(index, OpenBlock(kind, as_word(start.get("id"))))
        if kind in CALLS:
            self._loose.pop(index)
            self._begin_call(block, start)
        elif kind in PROSE:
            if kind == "text":
                block.record.part = self._texts.begin(index)
            self._add_start(block, start)
        elif kind.endswith("_tool_result") and start.get("content"):
            self._told.add(start)
            self._tool_result(parse_result(start))
        else:
            block.item = dict(start)
            if kind == _FALLBACK:
                self._tell_fallback(start)
            if not members.is_known_item(kind):
                self._unread.note(f"content.{kind}", members.without_names(start))

    def _tell_fallback(self, block: dict[str, Any]) -> None:
        """The provider turned to another model by itself: from here on that one answers."""
        names = {name: as_word(as_object(block.get(name)).get("model")) for name in ("from", "to")}
        if not names["to"]:
            return
        self.start = replace(self.start, model=names["to"])
        told = f"{names['from'] or 'the model'} declined; {names['to']} answers"
        data = {"format": self.format, **names, **present(trigger=block.get("trigger"))}
        self._out.append(StreamEvent(EventType.STATUS, status=Status("routed", told, data)))

    def _keep_block(self, index: int, block: OpenBlock) -> OpenBlock:
        """A block is open."""
        self._blocks[index] = self._last[block.type] = block
        self._loose[index] = None
        if block.type in PROSE:
            self._told.records[block.type].append(block.record)
        return block

    def _add_start(self, block: OpenBlock, start: dict[str, Any]) -> None:
        """What the start of a block says, as far as it wasn't told."""
        begun = words_of(start)
        if block.call is not None:
            self._add_call_start(block, start)
        elif block.type == "text":
            self._cite(start, block.cited)  # before their text, as in a stream
            self._record_text(block.record)
            self._text(block.record.rest(begun) or "")
        elif block.type == "thinking":
            self._think(block, block.record.rest(begun) or "")
            block.add_signature(as_word(start.get("signature")))
        elif block.item is not None:
            block.item |= start
        block.echo = Echo(begun) if begun else None

    def _think(self, block: OpenBlock, content: str) -> None:
        start = self._reasoned
        told = self._reasoning(content)
        if told:
            block.record.chunks.append(told)
            block.thought = (block.thought[0] if block.thought else start, self._reasoned)

    # --- calls ---------------------------------------------------------------------------------------------

    def _begin_call(self, block: OpenBlock, start: dict[str, Any]) -> None:
        call = block.call = self._open_call(block.id, "", by_provider=block.type != "tool_use")
        first = self._told.calls.get(block.id)
        if first is not None and call.executed_by == "caller":
            call.original = first
        elif block.id:
            self._told.calls[block.id] = call
        self._add_call_start(block, start)

    def _add_call_start(self, block: OpenBlock, start: dict[str, Any]) -> None:
        call = block.call
        if call is None:
            return
        if call.index is None or call.executed_by == "provider":
            call.add_name(as_name(start.get("name")))
            block.id = block.id or as_word(start.get("id"))
            call.id = call.id or block.id
        self._note_call(call, call_data(start) or {})
        block.input = start.get("input") or block.input

    def _complete_input(self, call: OpenCall, whole: Any) -> bool:
        """Add what a whole input has beyond its pieces. False if those said something else."""
        begun = call.begun
        if call.grows_to(as_arguments(whole)):
            self._call_delta(call, as_arguments(whole))
            return True
        if begun and parse_arguments(begun) is not None:
            return content_of("", begun) == content_of("", as_arguments(whole))
        for text in forms_of(whole):
            if text.startswith(begun):
                self._call_delta(call, text[len(begun) :])
                return True
        return False

    def _parse_input(self, index: int, piece: Any) -> None:
        """A piece of a call's input. The first one, be it empty, shows that the name is whole."""
        block = self._blocks.get(index)
        if block is None or block.call is None:
            block = self._last_call()
        if block is None and piece:
            block = self._nameless(index)
        if block is not None and block.call is not None:
            self._call_delta(block.call, as_arguments(piece), named=True)

    def _last_call(self) -> OpenBlock | None:
        """The open call that began last: an index may be wrong."""
        for block in reversed(self._blocks.values()):
            if block.call is not None:
                return block
        return None

    def _nameless(self, index: int) -> OpenBlock:
        """A call whose arguments come before its start."""
        block = self._blocks[index] = OpenBlock("tool_use")
        block.call = self._open_call("", "")
        return block

    # --- deltas --------------------------------------------------------------------------------------------

    def parse_delta(self, payload: dict[str, Any]) -> None:
        """A block goes on."""
        index, delta = payload.get("index"), payload["delta"]
        if index is None:
            index = max(self._last_index, 0)
        kind = delta.get("type")
        if self._opening:
            self._flush_opening()
        if kind == "text_delta":
            self._parse_text(index, delta["text"])
        elif kind == "thinking_delta":
            self._parse_thinking(index, delta)
        elif kind == "citations_delta":
            self._parse_citation(index, delta["citation"])
        elif kind == "signature_delta":
            self._parse_signature(index, as_word(delta.get("signature")))
        elif kind == "input_json_delta":
            self._parse_input(index, delta.get("partial_json"))
        else:
            self._parse_other(index, delta)
            return
        known = members.DELTAS[kind]
        if not delta.keys() <= known:
            self._unread.look_over("delta.", delta, known)

    def _parse_other(self, index: int, delta: dict[str, Any]) -> None:
        """A delta of a block that only the provider understands, or one that nobody knows."""
        kind, block = delta.get("type"), self._blocks.get(index)
        untyped = next((kind for name, kind in members.DELTA_KINDS.items() if name in delta), None)
        if carries_error(delta):
            self._fail(parse_error(delta))
        elif kind is None and untyped is not None:
            self.parse_delta({"index": index, "delta": {**delta, "type": untyped}})
        elif block is not None and block.item is not None:
            add_to_item(block, delta)
            if not members.is_known_item(block.type):
                self._unread.note(f"delta.{kind}", members.without_names(delta))
        else:
            self._unread.note(f"delta.{kind}", members.without_names(delta))

    def _parse_text(self, index: int, text: str) -> None:
        block = self._blocks.get(index) or self._left.get(index)
        if block is None or block.type != "text":
            block = self._last.get("text")
        if block is None:
            block = self._last["text"] = OpenBlock("text")
            self._told.records["text"].append(block.record)
        self._record_text(block.record)
        if block.echo is None:
            self._plain_text(text)
        else:
            self._text(block.echo.rest(text))

    def _parse_citation(self, index: int, citation: dict[str, Any]) -> None:
        key, block = key_of(citation), self._blocks.get(index)
        if block is not None:
            block.cited[key] += 1
        self._tell_citation(citation, key)

    def _parse_thinking(self, index: int, delta: dict[str, Any]) -> None:
        block, words = self._thinking_block(index), delta["thinking"]
        self._think(block, words if block.echo is None else block.echo.rest(words))
        block.add_signature(as_word(delta.get("signature")))

    def _parse_signature(self, index: int, piece: str) -> None:
        """A piece of a signature, which may come when its thinking is over."""
        late = self._unsigned.get(index)
        if late is not None and "thinking" not in self._last:
            del self._unsigned[index]
            self._loose[index] = None
            self._blocks[index] = self._last["thinking"] = late
        self._thinking_block(index).add_signature(piece)

    def _thinking_block(self, index: int) -> OpenBlock:
        """The thinking that goes on; the index may be wrong, and the start missing."""
        block = self._blocks.get(index)
        if block is not None and block.type == "thinking":
            return block
        last = self._last.get("thinking")
        if last is not None:
            return last
        place = _MISPLACED if index in self._blocks else index
        return self._keep_block(place, OpenBlock("thinking"))

    # --- the end of blocks ---------------------------------------------------------------------------------

    def parse_block_stop(self, payload: dict[str, Any]) -> None:
        """A block ends, and perhaps comes again as a whole."""
        self._flush_opening()
        index, whole = payload.get("index"), payload.get("content_block")
        if index is None:
            index = max(self._last_index, 0)
        block = self._blocks.get(index)
        if not isinstance(whole, dict):
            self._unread.note("content_block", whole)
        elif block is not None and whole.get("type") == block.type:
            self._add_whole(block, whole)
        elif not self._has_told(whole):
            self._tell_blocks([whole])
        self._end_block(index)
        self._texts.end(index)
        self._left.pop(index, None)

    def _has_told(self, block: dict[str, Any]) -> bool:
        """Whether a block that comes whole at its end was told."""
        kind, words = block.get("type"), words_of(block)
        if kind in PROSE:
            return self._told.has_words(kind, words)
        return not self._told.untold([block])

    def _add_whole(self, block: OpenBlock, whole: dict[str, Any]) -> None:
        """The block again, as a whole: what its deltas didn't bring."""
        rest = block.record.rest(words_of(whole))
        if rest is None:
            self._unread.note(f"content_block.{block.type}", words_of(whole))
        if block.type == "text":
            self._record_text(block.record)
            self._text(rest or "")
            self._cite(whole, block.cited)
        elif block.type == "thinking":
            self._think(block, rest or "")
            if not block.signature:
                block.add_signature(as_word(whole.get("signature")))
        elif block.call is not None:
            self._add_call_start(block, whole)
            self._call_delta(block.call, "", named=True)
            if not self._complete_input(block.call, whole.get("input")):
                self._unread.note("content_block.input", as_arguments(whole.get("input")))
        elif block.item is not None:
            block.pieces.clear()
            block.item |= whole
            if not members.is_known_item(block.type):
                self._unread.note(f"content.{block.type}", members.without_names(whole))

    def _end_blocks(self) -> None:
        """End what has no `content_block_stop`: a lost signature would spoil the next request."""
        loose, self._loose = self._loose, {}
        for index in loose:
            block = self._blocks[index]
            self._end_block(index)
            if block.type == "text":
                self._left[index] = block  # it may go on: texts can come in turns

    def _end_all_blocks(self) -> None:
        for index in list(self._blocks):
            self._end_block(index)

    def _end_block(self, index: int) -> None:
        block = self._blocks.pop(index, None)
        self._loose.pop(index, None)
        if block is None:
            return
        if self._last.get(block.type) is block:
            del self._last[block.type]
        if block.call is not None:
            self._call_delta(block.call, "", named=True)
            self._add_input(block)
            self._told.add_call(block.call)
            block.call.done = bool(block.call.name)
        elif block.signature:
            self._sign("".join(block.signature), block.thought)
        elif block.type == "thinking":
            self._unsigned[index] = block
        elif block.item is not None:
            self._end_item(block.type, block.whole_item())

    def _sign(self, signature: str, thought: tuple[int, int] | None) -> None:
        self._told.signatures.add(signature)
        self._seal(thought, signature=signature)

    def _add_input(self, block: OpenBlock) -> None:
        """What the block's start has of the input, if its deltas brought none."""
        if block.call is not None and block.input:
            self._complete_input(block.call, block.input)

    def _end_item(self, kind: str, item: dict[str, Any]) -> None:
        """A block whose content is whole at its end."""
        self._told.add(item)
        if kind.endswith("_tool_result"):
            self._tool_result(parse_result(item))
        elif kind == "image" and (image := parse_image(item)) is not None:
            self._file(image)
        else:
            if kind == "image":
                self._unread.note("content.image", members.without_names(item))
            self._opaque(item=item, understood=kind in members.OPAQUE_BLOCKS)
