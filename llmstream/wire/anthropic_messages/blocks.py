"""Content blocks of the Messages format, as values: results, citations, pictures, and a block that goes on."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from llmstream.cache_marks import CONTROL, further_members
from llmstream.messages import File, Source, ToolResult
from llmstream.provider_data import keep
from llmstream.wire.echo import Echo
from llmstream.wire.open_calls import OpenCall, as_name
from llmstream.wire.text_record import TextRecord

FORMAT = "anthropic-messages"
CALLS = frozenset({"tool_use", "server_tool_use", "mcp_tool_use"})
_OF_CALL = frozenset({"id", "name", "input", CONTROL})
_CALL_NOTES = ("type", "caller", "server_name")
_SURE = 8
"""Characters of a signature that no later piece of it repeats by chance."""


class OpenBlock:
    """A content block that has begun."""

    __slots__ = (
        "call",
        "cited",
        "echo",
        "id",
        "input",
        "item",
        "pieces",
        "record",
        "signature",
        "thought",
        "type",
    )

    def __init__(self, type: str, id: str = "") -> None:
        self.type = type
        self.id = id
        self.call: OpenCall | None = None
        self.input: Any = None  # a call's arguments at the block's start, for want of others
        self.record = TextRecord()  # of a text or a thinking block
        self.cited: Counter[int] = Counter()  # the citations of a text block that were told
        self.echo: Echo | None = None  # of what its start told
        self.signature: list[str] = []
        self.thought: tuple[int, int] | None = None  # where its words stand in all reasoning
        self.item: dict[str, Any] | None = None
        self.pieces: dict[str, list[str]] = {}  # what deltas add to the item's strings, joined once

    def add_signature(self, piece: str) -> None:
        """The next piece of a signature. One that begins with what came is the whole again."""
        first = self.signature[0] if self.signature else ""
        if len(first) >= _SURE and piece.startswith(first):
            self.signature.clear()
        if piece:
            self.signature.append(piece)

    def whole_item(self) -> dict[str, Any]:
        """The item with what its deltas brought."""
        item = dict(self.item or {})
        for key, pieces in self.pieces.items():
            begun = item.get(key)
            item[key] = "".join([begun if isinstance(begun, str) else "", *pieces])
        return item


def add_to_item(block: OpenBlock, delta: dict[str, Any]) -> None:
    """A delta of a block that only the provider understands."""
    if block.item is None:
        return
    for key in delta.keys() - {"type"}:
        if isinstance(delta[key], str):
            block.pieces.setdefault(key, []).append(delta[key])
        else:
            block.item[key] = delta[key]


def repeats(opening: Sequence[dict[str, Any]], start: dict[str, Any], index: Any) -> bool:
    """Whether a block that `message_start` has comes again, at its place."""
    if not isinstance(index, int) or not 0 <= index < len(opening):
        return False
    return all(opening[index].get(name) == start.get(name) for name in ("type", "id"))


def goes_on(block: OpenBlock, start: dict[str, Any]) -> bool:
    """Whether a start is that of an open block again. With another name, one of a whole call is another call's."""
    id, call = as_word(start.get("id")), block.call
    if start.get("type") != block.type or (id and block.id and id != block.id):
        return False
    if call is None:
        return True
    name = as_name(start.get("name"))
    if not call.name or name in ("", call.name):
        return True
    has_both = bool(block.input and start.get("input"))
    return not call.begun and (name.startswith(call.name) or not has_both)


def blocks_of(content: Any) -> list[dict[str, Any]]:
    """The blocks of a message's content, which may be a text, and hold texts."""
    blocks = content if isinstance(content, list) else [content]
    return [{"type": "text", "text": b} if isinstance(b, str) else b for b in blocks if b]


def as_arguments(value: Any) -> str:
    """A call's input as text, which it may be already."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")) if value else ""


def forms_of(value: Any) -> Iterator[str]:
    """A call's input as text, in each way in which it may have begun to come."""
    if isinstance(value, str):
        yield value
    elif value:
        for separators in ((",", ":"), (", ", ": ")):
            for is_ascii in (False, True):
                yield json.dumps(value, ensure_ascii=is_ascii, separators=separators)


def parse_image(block: dict[str, Any]) -> File | None:
    """The picture of an image block; None if it has none."""
    source = block.get("source")
    if not isinstance(source, dict):
        return None
    media_type, data, url = (source.get(name) for name in ("media_type", "data", "url"))
    return File(media_type=media_type, data=data, url=url) if data or url else None


def as_word(value: Any) -> str:
    """An id or name; TypeError makes the frame a bad one."""
    if value is not None and not isinstance(value, str):
        raise TypeError
    return value or ""


def call_data(block: Mapping[str, Any]) -> dict[str, Any] | None:
    """The `provider_data` of a call: None for a plain one of the caller's."""
    said = {name: block[name] for name in block if name not in _OF_CALL}
    said |= further_members(block, CONTROL)
    return None if said == {"type": "tool_use"} else keep(FORMAT, said, _CALL_NOTES)


def parse_result(block: dict[str, Any]) -> ToolResult:
    """The result block of a tool that the provider ran."""
    content = block.get("content")
    failed = block.get("is_error") or (
        isinstance(content, dict) and str(content.get("type", "")).endswith("_tool_result_error")
    )
    rest = {key: block[key] for key in block if key not in ("tool_use_id", "content")}
    return ToolResult(
        as_word(block.get("tool_use_id")),
        content,
        name=block["type"].removesuffix("_tool_result"),
        is_error=bool(failed),
        executed_by="provider",
        provider_data=keep(FORMAT, rest, ("type",)),
    )


def parse_citation(citation: dict[str, Any]) -> Source:
    """A citation of any of its types."""
    start = next((citation[key] for key in _STARTS if citation.get(key) is not None), None)
    end = next((citation[key] for key in _ENDS if citation.get(key) is not None), None)
    return Source(
        id=citation.get("file_id"),
        title=citation.get("title") or citation.get("document_title"),
        url=citation.get("url") or citation.get("source"),
        excerpt=citation.get("cited_text"),
        start=start,
        end=end,
        provider_data={"format": FORMAT, "citation": citation},
    )


_STARTS = ("start_char_index", "start_page_number", "start_block_index")
_ENDS = ("end_char_index", "end_page_number", "end_block_index")
