"""Anthropic Messages: bytes to events.

Format: https://docs.anthropic.com/en/api/messages-streaming. What real streams add to it, all seen in recordings:

- `message_delta.usage` overlays `message_start.usage`, field by field; it is cumulative. Through gateways the first may
  be zeros or nulls. Cached input is not inside `input_tokens`: ours is the sum.
- A tool's input in pieces, whole in its block's start, or not at all; a whole block in `message_start.content`.
- Blocks of tools that the provider runs (server tools, MCP, advisor): the call like a tool's, the result whole in its
  block's start. Blocks of unknown types (compaction, fallback …) are kept to be sent back.
- Thinking without text but with a signature; redacted thinking.
- `event: data` with `[DONE]` at the end, from a gateway. `message_start`, `content_block_start` or `_stop` missing;
  `message_start` twice. Only a call can't do without its start: then nobody knows what to call.

The end is `message_stop`, and nothing else.
"""

from __future__ import annotations

import json
from typing import Any

from llmstream.messages import Source, ToolResult, Usage
from llmstream.wire.error_body import carries_error, is_error, parse_error
from llmstream.wire.event_decoder import Decoder
from llmstream.wire.framing.sse import SSE
from llmstream.wire.json_fields import as_count, as_string
from llmstream.wire.open_calls import OpenCall

FORMAT = "anthropic-messages"

_INPUTS = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
_COUNTS = frozenset({*_INPUTS, "output_tokens", "output_tokens_details"})
CALLS = frozenset({"tool_use", "server_tool_use", "mcp_tool_use"})


class _OpenBlock:
    """A content block that has begun."""

    __slots__ = ("call", "item", "pieces", "signature", "type")

    def __init__(self, type: str) -> None:
        self.type = type
        self.call: OpenCall | None = None
        self.signature: list[str] = []
        self.item: dict[str, Any] | None = None
        self.pieces: dict[str, list[str]] = {}  # what deltas add to the item's strings, joined once


class MessagesDecoder(Decoder):
    """One Messages answer."""

    format = FORMAT
    framing = SSE("text")

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._blocks: dict[int, _OpenBlock] = {}
        # All but calls, which end at the latest when the next begins.
        self._loose: dict[int, None] = {}
        self._counts: dict[str, Any] = {}  # usage as the provider names it, overlaid

    def parse_frame(self, payload: dict[str, Any], event: str) -> None:
        """One event; unknown ones (`ping` among them) mean nothing to us."""
        kind = payload.get("type") or event
        if kind == "content_block_delta":
            self._parse_delta(payload["index"], payload["delta"])
        elif kind == "content_block_start":
            self._begin_block(payload["index"], payload["content_block"])
        elif kind == "content_block_stop":
            self._end_block(payload["index"])
        elif carries_error(payload):
            self._fail(parse_error(payload))
        elif kind == "message_delta":
            self._end_blocks()
            self._parse_usage(payload.get("usage"))
            self._parse_stop(payload.get("delta") or {})
        elif kind == "message_start":
            self._parse_message(payload["message"])
        elif kind == "message_stop":
            self._end_blocks()
            self._complete()
        elif kind == "error" or is_error(payload):
            self._fail(parse_error(payload))

    def parse_document(self, payload: dict[str, Any]) -> bool:
        """A whole message."""
        if payload.get("type") != "message" or not isinstance(payload.get("content"), list):
            return False
        self._parse_message(payload)
        self._complete()
        return True

    def _parse_message(self, message: dict[str, Any]) -> None:
        self._parse_usage(message.get("usage"))
        self._parse_stop(message)
        if self._started:
            return  # a second `message_start`
        self.start.id = _word(message.get("id")) or self.start.id
        self.start.model = _word(message.get("model")) or self.start.model
        for index, block in enumerate(message.get("content") or ()):
            self._begin_block(-1 - index, block)
            self._end_block(-1 - index)

    def _parse_stop(self, stop: dict[str, Any]) -> None:
        if reason := stop.get("stop_reason"):
            self._finish_word(as_string(reason))

    def _parse_usage(self, usage: dict[str, Any] | None) -> None:
        given = {key: value for key, value in (usage or {}).items() if value is not None}
        if not any(map(given.get, _INPUTS)):  # a prompt of no tokens: a gateway's placeholder
            given = {
                key: value
                for key, value in given.items()
                if key not in _INPUTS or key not in self._counts
            }
        counts = self._counts
        counts.update((key, given[key]) for key in _COUNTS & given.keys())
        if not counts:
            return
        fresh, read, written = (as_count(counts.get(name)) for name in _INPUTS)
        details = counts.get("output_tokens_details") or {}
        self._usage = Usage(
            input_tokens=None if fresh is None else fresh + (read or 0) + (written or 0),
            output_tokens=as_count(counts.get("output_tokens")),
            cache_read_tokens=read,
            cache_write_tokens=written,
            reasoning_tokens=as_count(details.get("thinking_tokens")),
        )

    def _begin_block(self, index: int, start: dict[str, Any]) -> None:
        self._end_blocks()
        block = self._blocks[index] = _OpenBlock(start["type"])
        self._loose[index] = None
        if block.type == "text":
            self._text(start.get("text") or "")
            for citation in start.get("citations") or ():
                self._source(_parse_citation(citation))
        elif block.type == "thinking":
            self._reasoning(start.get("thinking") or "")
            block.signature.append(_word(start.get("signature")))
        elif block.type in CALLS:
            self._begin_call(index, block, start)
        elif block.type.endswith("_tool_result"):
            self._tool_result(parse_result(start))
        else:
            block.item = dict(start)

    def _begin_call(self, index: int, block: _OpenBlock, start: dict[str, Any]) -> None:
        by_provider = block.type != "tool_use"
        self._loose.pop(index, None)
        call = block.call = self._open_call(
            _word(start.get("id")), _word(start.get("name")), by_provider=by_provider
        )
        extra = {key: start[key] for key in start if key not in ("id", "name", "input")}
        if extra != {"type": "tool_use"}:
            call.provider_data = {"format": FORMAT, **extra}
        whole = start.get("input")
        self._call_delta(
            call,
            json.dumps(whole, ensure_ascii=False, separators=(",", ":")) if whole else "",
            first=True,
        )

    def _parse_delta(self, index: int, delta: dict[str, Any]) -> None:
        kind = delta["type"]
        if kind == "text_delta":
            self._plain_text(delta["text"])
        elif kind == "thinking_delta":
            self._reasoning(delta["thinking"])
        elif kind == "citations_delta":
            self._source(_parse_citation(delta["citation"]))
        elif kind == "signature_delta":
            self._parse_signature(index, _word(delta.get("signature")))
        elif kind == "input_json_delta":
            if piece := delta.get("partial_json"):
                self._parse_input(index, piece)
        elif (block := self._blocks.get(index)) is not None and block.item is not None:
            for key in delta.keys() - {"type"}:
                if isinstance(delta[key], str):
                    block.pieces.setdefault(key, []).append(delta[key])
                else:
                    block.item[key] = delta[key]

    def _parse_signature(self, index: int, piece: str) -> None:
        block = self._blocks.get(index)
        if block is None:
            block = self._blocks[index] = _OpenBlock("thinking")
            self._loose[index] = None
        block.signature.append(piece)

    def _parse_input(self, index: int, piece: str) -> None:
        block = self._blocks.get(index)
        if block is None or block.call is None:
            raise ValueError("the arguments of a call that never began")
        self._call_delta(block.call, piece)

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
        if block.call is not None:
            block.call.done = True
        elif signature := "".join(block.signature):
            self._opaque(signature=signature)
        elif block.item is not None:
            for key, pieces in block.pieces.items():
                begun = block.item.get(key)
                block.item[key] = "".join([begun if isinstance(begun, str) else "", *pieces])
            self._opaque(item=block.item)


def _word(value: Any) -> str:
    """An id or name; TypeError makes the frame a bad one."""
    if value is not None and not isinstance(value, str):
        raise TypeError
    return value or ""


def parse_result(block: dict[str, Any]) -> ToolResult:
    """The result block of a tool that the provider ran."""
    content = block.get("content")
    failed = block.get("is_error") or (
        isinstance(content, dict) and str(content.get("type", "")).endswith("_tool_result_error")
    )
    rest = {key: block[key] for key in block if key not in ("tool_use_id", "content")}
    return ToolResult(
        _word(block.get("tool_use_id")),
        content,
        name=block["type"].removesuffix("_tool_result"),
        is_error=bool(failed),
        executed_by="provider",
        provider_data={"format": FORMAT, **rest},
    )


def render_call_data(data: dict[str, Any] | None) -> dict[str, Any]:
    """What this format had put into a call's or result's `provider_data`; nothing if another one did."""
    if data is None or data.get("format") != FORMAT:
        return {}
    return {key: value for key, value in data.items() if key != "format"}


def _parse_citation(citation: dict[str, Any]) -> Source:
    start = next((citation[key] for key in _STARTS if citation.get(key) is not None), None)
    end = next((citation[key] for key in _ENDS if citation.get(key) is not None), None)
    return Source(
        id=citation.get("file_id"),
        title=citation.get("title") or citation.get("document_title"),
        url=citation.get("url") or citation.get("source"),
        excerpt=citation.get("cited_text"),
        start=start,
        end=end,
    )


_STARTS = ("start_char_index", "start_page_number", "start_block_index")
_ENDS = ("end_char_index", "end_page_number", "end_block_index")
