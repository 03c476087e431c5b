"""Anthropic Messages: bytes to events.

Format: https://docs.anthropic.com/en/api/messages-streaming. What real streams add to it, all seen in recordings or
public reports:

- `message_delta.usage` overlays `message_start.usage`, field by field; it is cumulative. Through gateways the first may
  be zeros or nulls. Cached input is not inside `input_tokens`: ours is the sum.
- A tool's input in pieces, whole in its block's start, both, as a string, or not at all; a whole block in
  `message_start.content`, which may come again. A block that starts twice.
- Blocks of tools that the provider runs (server tools, MCP, advisor): the call like a tool's, the result whole in its
  block's start. Blocks of unknown types (compaction, fallback …) are kept to be sent back.
- Thinking without text but with a signature; redacted thinking.
- `event: data` with `[DONE]` at the end, from a gateway. `message_start`, `content_block_start` or `_stop` missing;
  `message_start` twice. Indices that don't agree. Only a call can't do without its start: nobody knows what to call.
- Proxies that pass on an SDK's own events: `content_block_stop` and `message_stop` bring the whole again.

The end is `message_stop`, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from llmstream.wire.anthropic_messages import members
from llmstream.wire.anthropic_messages.blocks import (
    CALLS,
    FORMAT,
    Echo,
    OpenBlock,
    add_to_item,
    as_arguments,
    as_word,
    blocks_of,
    call_data,
    parse_citation,
    parse_image,
    parse_result,
    repeats,
    text_of,
)
from llmstream.wire.anthropic_messages.usage import UsageCounts
from llmstream.wire.error_body import carries_error, is_error, parse_error
from llmstream.wire.event_decoder import Decoder
from llmstream.wire.framing.sse import SSE
from llmstream.wire.json_fields import as_string
from llmstream.wire.open_calls import NO_NAMES, OpenCall, content_of
from llmstream.wire.text_record import TextRecord


class MessagesDecoder(Decoder):
    """One Messages answer."""

    format = FORMAT
    framing = SSE("text")

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._blocks: dict[int, OpenBlock] = {}
        # All but calls, which end at the latest when the next begins.
        self._loose: dict[int, None] = {}
        self._last: dict[str, OpenBlock] = {}  # the last open block of each type
        self._last_index = -1  # of the block that began last: events may lack theirs
        self._last_kind = ""  # the type of the block that began last
        self._opening: list[dict[str, Any]] = []  # the content of `message_start`
        self._texts: list[TextRecord] = []  # of the text blocks, in order
        self._first_calls: dict[str, OpenCall] = {}  # by the id that the server gave
        self._told_calls: set[tuple[str, str]] = set()
        self._counts = UsageCounts()

    def parse_frame(self, payload: dict[str, Any], event: str) -> None:
        """One event; `ping` and its like mean nothing to us."""
        kind = payload.get("type") or event
        handler = self._HANDLERS.get(kind)
        if carries_error(payload):
            self._fail(parse_error(payload))
        elif handler is not None:
            self._is_known = True
            handler(self, payload)
            if not payload.keys() <= members.EVENT:
                self._unread.look_over(f"{kind}.", payload, members.EVENT)
        elif kind == "error" or is_error(payload):
            self._fail(parse_error(payload))
        elif kind not in members.EMPTY_EVENTS:
            self._unread.note(str(kind), members.without_names(payload))

    def parse_document(self, payload: dict[str, Any]) -> bool:
        """A whole message."""
        if payload.get("type") != "message" or not isinstance(payload.get("content"), (list, str)):
            return False
        self._parse_message(payload)
        self._flush_opening()
        self._complete()
        return True

    def _complete(self) -> None:
        self._flush_opening()
        for block in self._blocks.values():
            self._add_opening_input(block)
        self._count_anew(ended=True)
        super()._complete()

    # --- the message as a whole ----------------------------------------------------------------------------

    def _parse_start(self, payload: dict[str, Any]) -> None:
        self._parse_message(payload["message"])

    def _parse_message(self, message: dict[str, Any]) -> None:
        self._counts.begin(message.get("usage"), has_content=bool(message.get("content")))
        self._count_anew()
        self._unread.look_over("message.", message, members.MESSAGE)
        self._parse_stop(message)
        if self._started:
            return  # a second `message_start`
        self.start.usage = self._counts.prompt()
        self.start.id = as_word(message.get("id")) or self.start.id
        self.start.model = as_word(message.get("model")) or self.start.model
        self._opening = self._opening or blocks_of(message.get("content"))

    def _parse_message_delta(self, payload: dict[str, Any]) -> None:
        self._flush_opening()
        self._end_blocks()
        self._counts.overlay(payload.get("usage"))
        self._count_anew()
        delta = payload.get("delta") or {}
        if carries_error(delta):
            self._fail(parse_error(delta))
        else:
            self._unread.look_over("message_delta.", delta, members.MESSAGE)
            self._parse_snapshot(delta)
            self._parse_stop(delta)

    def _parse_message_stop(self, payload: dict[str, Any]) -> None:
        self._flush_opening()
        self._end_blocks()
        if isinstance(message := payload.get("message"), dict):
            self._unread.look_over("message.", message, members.MESSAGE)
            self._parse_snapshot(message)
        self._complete()

    def _parse_stop(self, stop: dict[str, Any]) -> None:
        if reason := stop.get("stop_reason"):
            self._finish_word(as_string(reason))

    def _count_anew(self, *, ended: bool = False) -> None:
        self._usage = self._counts.usage(ended=ended)

    def _flush_opening(self) -> None:
        """The content of `message_start` doesn't come again."""
        blocks, self._opening = self._opening, []
        for index, block in enumerate(blocks):
            self._begin_block(-1 - index, block)
            self._end_block(-1 - index)

    def _parse_snapshot(self, message: dict[str, Any]) -> None:
        """The whole message at its end: what its blocks didn't bring."""
        self._counts.overlay(message.get("usage"))
        blocks = blocks_of(message.get("content"))
        if not blocks:
            return
        rest: str | None = "".join(text_of(block) for block in blocks)
        for record in self._texts:
            rest = None if rest is None else record.rest(rest)
        self._text(rest or "")
        for index, block in enumerate(blocks):
            if block.get("type") in CALLS and not self._has_told(block):
                self._begin_block(-1 - index, block)
                self._end_block(-1 - index)

    def _has_told(self, block: dict[str, Any]) -> bool:
        content = content_of(as_word(block.get("name")), as_arguments(block.get("input")))
        return as_word(block.get("id")) in self._first_calls or content in self._told_calls

    # --- blocks --------------------------------------------------------------------------------------------

    def _parse_block_start(self, payload: dict[str, Any]) -> None:
        index, start = payload.get("index"), payload["content_block"]
        if index is None:
            index = self._last_index + 1
        self._last_index = index
        if self._opening and repeats(self._opening[0], start, index):
            self._opening = []
        self._flush_opening()
        self._begin_block(index, start)

    def _begin_block(self, index: int, start: dict[str, Any]) -> None:
        kind, id = as_string(start["type"]), as_word(start.get("id"))
        self._unread.look_over(f"content.{kind}.", start, members.BLOCKS.get(kind, start))
        block = self._blocks.get(index)
        if block is not None and block.type == kind and (not id or id == block.id or not block.id):
            self._add_start(block, start)  # it starts twice
            return
        self._end_blocks()
        self._end_block(index)
        if kind == "text" == self._last_kind:
            self._opaque(phase=None, understood=False)  # cited and uncited text go back apart
        self._last_kind = kind
        block = self._blocks[index] = self._last[kind] = OpenBlock(kind, id)
        self._loose[index] = None
        if kind in CALLS:
            self._loose.pop(index)
            self._begin_call(block, start)
        elif kind.endswith("_tool_result"):
            self._tool_result(parse_result(start))
        elif kind in ("text", "thinking"):
            self._begin_text(block)
            self._add_start(block, start)
        elif kind == "image" and (image := parse_image(start)) is not None:
            self._file(image)
        else:
            block.item = dict(start)
            if kind not in members.OPAQUE_BLOCKS:
                self._unread.note(f"content.{kind}", members.without_names(start))

    def _begin_text(self, block: OpenBlock) -> None:
        if block.type == "text":
            self._texts.append(block.record)

    def _add_start(self, block: OpenBlock, start: dict[str, Any]) -> None:
        """What the start of a block says, as far as it wasn't told."""
        if block.call is not None:
            self._add_call_start(block, start)
        elif block.type == "text":
            for citation in start.get("citations") or ():  # before their text, as in a stream
                self._source(parse_citation(citation))
            self._record_text(block.record)
            self._text(block.record.rest(start.get("text") or "") or "")
            block.echo = Echo(text_of(start)) if text_of(start) else None
        elif block.type == "thinking":
            begun = start.get("thinking") or ""
            self._think(block, block.record.rest(begun) or "")
            block.echo = Echo(begun) if begun else None
            block.signature = [as_word(start.get("signature"))]

    def _think(self, block: OpenBlock, content: str) -> None:
        if told := self._reasoning(content):
            block.record.chunks.append(told)

    # --- calls ---------------------------------------------------------------------------------------------

    def _begin_call(self, block: OpenBlock, start: dict[str, Any]) -> None:
        call = block.call = self._open_call(block.id, "", by_provider=block.type != "tool_use")
        first = self._first_calls.get(block.id)
        if first is not None and call.executed_by == "caller":
            call.original = first
        elif block.id:
            self._first_calls[block.id] = call
        self._add_call_start(block, start)

    def _add_call_start(self, block: OpenBlock, start: dict[str, Any]) -> None:
        call = block.call
        if call is None:
            return
        name = as_word(start.get("name"))
        if call.index is None or call.executed_by == "provider":
            call.name = call.name if name in NO_NAMES else name
            block.id = block.id or as_word(start.get("id"))
            call.id = call.id or block.id
        call.provider_data = call_data(start) or call.provider_data
        block.input = start.get("input") or block.input
        if call.index is None:
            self._call_delta(call, "", named=True)

    def _add_opening_input(self, block: OpenBlock) -> None:
        """No deltas brought the input: that of the block's start counts."""
        if block.call is not None and block.input and not block.call.has_begun:
            self._call_delta(block.call, as_arguments(block.input))

    def _parse_input(self, index: int, piece: Any) -> None:
        block = self._blocks.get(index)
        if block is None or block.call is None:
            block = self._last_call() or self._nameless(index)
        if block.call is not None:
            self._call_delta(block.call, as_arguments(piece))

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

    def _parse_delta(self, payload: dict[str, Any]) -> None:
        index, delta = payload.get("index"), payload["delta"]
        if index is None:
            index = max(self._last_index, 0)
        kind = delta["type"]
        if self._opening:
            self._flush_opening()
        if kind == "text_delta":
            self._parse_text(index, delta["text"])
        elif kind == "thinking_delta":
            thinking, words = self._thinking_block(index), delta["thinking"]
            echo = thinking.echo
            self._think(thinking, words if echo is None else echo.rest(words))
        elif kind == "citations_delta":
            self._source(parse_citation(delta["citation"]))
        elif kind == "signature_delta":
            self._thinking_block(index).signature.append(as_word(delta.get("signature")))
        elif kind == "input_json_delta":
            if piece := delta.get("partial_json"):
                self._parse_input(index, piece)
        elif (block := self._blocks.get(index)) is not None and block.item is not None:
            add_to_item(block, delta)
        elif carries_error(delta):
            self._fail(parse_error(delta))
        else:
            self._unread.note(f"delta.{kind}", members.without_names(delta))
        if not delta.keys() <= members.DELTA and kind in members.DELTAS:
            self._unread.look_over("delta.", delta, members.DELTA)

    def _parse_text(self, index: int, text: str) -> None:
        block = self._blocks.get(index)
        if block is None or block.type != "text":
            block = self._last.get("text")
        if block is None:
            block = self._last["text"] = OpenBlock("text")
            self._begin_text(block)
        self._record_text(block.record)
        if block.echo is None:
            self._plain_text(text)
        else:
            self._text(block.echo.rest(text))

    def _thinking_block(self, index: int) -> OpenBlock:
        """The thinking that goes on; the index may be wrong, and the start missing."""
        block = self._blocks.get(index)
        if block is not None and block.type == "thinking":
            return block
        last = self._last.get("thinking")
        if last is not None:
            return last
        block = OpenBlock("thinking")
        if index not in self._blocks:
            self._blocks[index] = self._last["thinking"] = block
            self._loose[index] = None
        return block

    # --- the end of blocks ---------------------------------------------------------------------------------

    def _parse_block_stop(self, payload: dict[str, Any]) -> None:
        index, whole = payload.get("index"), payload.get("content_block")
        if index is None:
            index = max(self._last_index, 0)
        block = self._blocks.get(index)
        if block is not None and isinstance(whole, dict) and whole.get("type") == block.type:
            self._add_whole(block, whole)
        self._end_block(index)

    def _add_whole(self, block: OpenBlock, whole: dict[str, Any]) -> None:
        """The block again, as a whole: what its deltas didn't bring."""
        if block.type == "text":
            self._record_text(block.record)
            self._text(block.record.rest(text_of(whole)) or "")
        elif block.type == "thinking":
            self._think(block, block.record.rest(whole.get("thinking") or "") or "")
            block.signature = block.signature or [as_word(whole.get("signature"))]
        elif block.call is not None:
            block.input = whole.get("input") or block.input

    def _end_blocks(self) -> None:
        """End what has no `content_block_stop`: a lost signature would spoil the next request."""
        loose, self._loose = self._loose, {}
        for index in loose:
            self._end_block(index)

    def _end_block(self, index: int) -> None:
        block = self._blocks.pop(index, None)
        self._loose.pop(index, None)
        if block is None:
            return
        if self._last.get(block.type) is block:
            del self._last[block.type]
        if block.call is not None:
            self._add_opening_input(block)
            self._told_calls.add(content_of(block.call.name, block.call.arguments))
            block.call.done = bool(block.call.name)
        elif signature := "".join(block.signature):
            self._opaque(signature=signature)
        elif block.item is not None:
            for key, pieces in block.pieces.items():
                begun = block.item.get(key)
                block.item[key] = "".join([begun if isinstance(begun, str) else "", *pieces])
            self._opaque(item=block.item, understood=block.type in members.OPAQUE_BLOCKS)

    _HANDLERS: ClassVar[dict[Any, Callable[[Any, dict[str, Any]], None]]] = {
        "message_start": _parse_start,
        "content_block_start": _parse_block_start,
        "content_block_delta": _parse_delta,
        "content_block_stop": _parse_block_stop,
        "message_delta": _parse_message_delta,
        "message_stop": _parse_message_stop,
    }
