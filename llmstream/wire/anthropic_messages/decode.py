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
- Proxies that pass on an SDK's own events: `content_block_stop` and `message_stop` bring the whole again, or alone.
- A name in pieces, as further starts of its block. So a call is announced when its input begins.

The end is `message_stop`, and nothing else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, ClassVar

from llmstream.wire.anthropic_messages import members
from llmstream.wire.anthropic_messages.block_decoder import BlockDecoder
from llmstream.wire.anthropic_messages.blocks import (
    CALLS,
    FORMAT,
    as_arguments,
    as_word,
    blocks_of,
    call_data,
)
from llmstream.wire.anthropic_messages.told_blocks import PROSE, Untold, key_of, take, words_of
from llmstream.wire.anthropic_messages.usage import UsageCounts
from llmstream.wire.error_body import carries_error, is_error, parse_error
from llmstream.wire.event_decoder import KEEP_ALIVES
from llmstream.wire.framing.sse import SSE
from llmstream.wire.json_fields import as_string
from llmstream.wire.open_calls import OpenCall


class MessagesDecoder(BlockDecoder):
    """One Messages answer."""

    format = FORMAT
    framing = SSE("text")

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._counts = UsageCounts()
        self._echoes: dict[str, Any] = {}  # events that tell nothing new, unless nothing else comes

    def parse_frame(self, payload: dict[str, Any], event: str) -> None:
        """One event; `ping` and its like mean nothing to us."""
        kind = payload.get("type") or event
        handler = self._HANDLERS.get(kind)
        if carries_error(payload):
            self._fail(parse_error(payload))
        elif handler is not None:
            self._is_known = True
            handler(self, payload)
            known = members.EVENTS[kind]
            if not payload.keys() <= known:
                self._unread.look_over(f"{kind}.", payload, known)
        elif kind == "error" or is_error(payload):
            self._fail(parse_error(payload))
        elif kind in members.EMPTY_EVENTS:
            self._echoes[kind] = members.without_names(payload)
        elif kind not in KEEP_ALIVES:
            self._unread.note(str(kind), members.without_names(payload))

    def parse_document(self, payload: dict[str, Any]) -> bool:
        """A whole message."""
        is_message = payload.get("type", payload.get("role")) in ("message", "assistant")
        if not is_message or not isinstance(payload.get("content"), (list, str, dict)):
            return False
        self._parse_whole(payload)
        self._complete()
        return True

    def _complete(self) -> None:
        if self.ended:
            return
        self._flush_opening()
        self._end_all_blocks()
        self._tell_untold(self._told.untold(self._repeated))
        if self._is_empty:
            for kind, words in self._echoes.items():
                self._unread.note(kind, words)
        self._count_anew(ended=True)
        super()._complete()

    # --- the message as a whole ----------------------------------------------------------------------------

    def _parse_start(self, payload: dict[str, Any]) -> None:
        message = payload["message"]
        has_begun = self._started or bool(self._opening)
        self._parse_head(message)
        blocks = blocks_of(message.get("content"))
        if has_begun:  # a second `message_start`
            self._repeated += blocks
            return
        self._opening = blocks

    def _parse_whole(self, payload: dict[str, Any]) -> None:
        """The message itself, in place of events or after them."""
        self._flush_opening()
        self._end_blocks()
        self._parse_head(payload)
        self._parse_snapshot(payload.get("content"))
        if payload.get("stop_reason"):
            self._complete()

    def _parse_head(self, message: dict[str, Any]) -> None:
        self._counts.begin(message.get("usage"), has_content=bool(message.get("content")))
        self._count_anew()
        self._unread.look_over("message.", message, members.MESSAGE)
        self._parse_stop(message)
        if not self._started:
            self.start.usage = self._counts.prompt()
            self.start.id = as_word(message.get("id")) or self.start.id
            self.start.model = as_word(message.get("model")) or self.start.model

    def _parse_message_delta(self, payload: dict[str, Any]) -> None:
        self._flush_opening()
        self._end_blocks()
        for place in ("delta", "message", ""):
            if not self.ended:
                self._parse_end(place, payload.get(place) if place else payload)

    def _parse_message_stop(self, payload: dict[str, Any]) -> None:
        self._parse_message_delta(payload)
        self._complete()

    def _parse_end(self, place: str, said: Any) -> None:
        """What the end of a message says: how it ended, its usage, and perhaps all of its content."""
        if not isinstance(said, dict):
            self._unread.note(place, said)
            return
        if carries_error(said):
            self._fail(parse_error(said))
            return
        if place:
            name = "message_delta" if place == "delta" else place
            self._unread.look_over(f"{name}.", said, members.MESSAGE)
        self._counts.overlay(said.get("usage"))
        self._count_anew()
        self._parse_snapshot(said.get("content"))
        self._parse_stop(said)

    def _parse_stop(self, stop: dict[str, Any]) -> None:
        if reason := stop.get("stop_reason"):
            self._finish_word(as_string(reason))
        details = stop.get("stop_details")
        if isinstance(details, dict):
            self._stop_details = details
        else:
            self._unread.note("stop_details", details)

    def _count_anew(self, *, ended: bool = False) -> None:
        self._usage = self._counts.usage(ended=ended)

    def _parse_snapshot(self, content: Any) -> None:
        """The whole message at its end: what its blocks didn't bring."""
        if not content:
            return
        self._end_all_blocks()
        blocks = blocks_of(content)
        for kind in PROSE:
            if self._told.size(kind, blocks) is None:
                words = [words_of(block) for block in blocks if block.get("type") == kind]
                self._unread.note(f"content.{kind}", words)
        for block in blocks:
            call = self._told.calls.get(as_word(block.get("id")))
            if call is not None and block.get("type") in CALLS:
                self._note_call(call, call_data(block) or {})
        self._tell_untold(self._told.untold(blocks))

    def _tell_untold(self, untold: list[Untold]) -> None:
        cited = self._told.cited.copy()
        for each in untold:
            if each.call is not None:
                self._add_late_input(each.call, each.block)
            elif each.told:
                self._go_on_with(each, cited)
            elif self._says_more(each.block):
                self._tell_blocks([each.block])

    def _says_more(self, block: dict[str, Any]) -> bool:
        """Whether a block has words, or is another one than words."""
        signature = as_word(block.get("signature"))
        is_signed = bool(signature) and signature not in self._told.signatures
        return block.get("type") not in PROSE or bool(words_of(block)) or is_signed

    def _go_on_with(self, untold: Untold, cited: Counter[int]) -> None:
        """Words of which some were told, or all."""
        block = untold.block
        kind, rest = block["type"], words_of(block)[untold.told :]
        record = self._told.records[kind][-1]
        if kind == "text":
            self._record_text(record)
            self._text(rest)
            self._cite_again(block, cited)
            return
        record.chunks.append(self._reasoning(rest))
        signature = as_word(block.get("signature"))
        if signature and signature not in self._told.signatures:
            start = self._reasoned - len(words_of(block)) if rest else untold.start
            self._sign(signature, (start, start + len(words_of(block))))

    def _cite_again(self, block: dict[str, Any], cited: Counter[int]) -> None:
        """The citations of a text that was told, without those that were. What is found in `cited` is taken."""
        found = block.get("citations") or ()
        untold = [citation for citation in found if not take(cited, key_of(citation))]
        self._cite({"citations": untold}, Counter())

    def _add_late_input(self, call: OpenCall, block: dict[str, Any]) -> None:
        """A call again, under its id: with its input, or with another one, which comes too late."""
        is_open = call in self._calls
        if not (is_open and self._complete_input(call, block.get("input"))):
            self._unread.note(f"content.{block['type']}.input", as_arguments(block.get("input")))

    _HANDLERS: ClassVar[dict[Any, Callable[[Any, dict[str, Any]], None]]] = {
        "message_start": _parse_start,
        "content_block_start": BlockDecoder.parse_block_start,
        "content_block_delta": BlockDecoder.parse_delta,
        "content_block_stop": BlockDecoder.parse_block_stop,
        "message_delta": _parse_message_delta,
        "message_stop": _parse_message_stop,
        "message": _parse_whole,
    }
