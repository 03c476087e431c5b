"""ToldBlocks: what the blocks of an answer have told, so that a message that comes whole tells nothing again.

A call is known by its id, or by what it asks for; a result by its call's id. Words are known whatever blocks they came
in, and other blocks by all that they say.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from llmstream.wire.anthropic_messages.blocks import CALLS, as_arguments, as_word
from llmstream.wire.open_calls import OpenCall, as_name, content_of
from llmstream.wire.text_record import TextRecord, told_by

PROSE = ("text", "thinking")
"""The types of blocks that are told in words, which stand in a member of that name."""
_MOST = 64
"""Blocks of words that one is compared with."""
_BESIDE = frozenset({"cache_control", "index"})
"""Members of a block that don't tell it from another."""


@dataclass(slots=True)
class Untold:
    """A block of a whole message that wasn't told, or not all of it."""

    block: dict[str, Any]
    told: int = 0
    """Characters of its words that were told."""
    start: int = 0
    """Characters of words of this kind before them."""
    call: OpenCall | None = None
    """The call with its id, which asked for something else or for nothing yet."""


class ToldBlocks:
    """The blocks of one answer."""

    def __init__(self) -> None:
        self.records: dict[str, list[TextRecord]] = {kind: [] for kind in PROSE}
        """Those of the blocks of words, in order, by type."""
        self.calls: dict[str, OpenCall] = {}
        """The first call with each id that the server gave."""
        self._asked: Counter[tuple[str, str]] = Counter()  # what the calls ask for
        self._names: set[str] = set()  # of the calls
        self._others: Counter[int] = Counter()  # hashes of all else
        self.cited: Counter[int] = Counter()
        """The citations."""
        self.signatures: set[str] = set()
        """Those of thinking."""

    def add_call(self, call: OpenCall) -> None:
        """A call is whole."""
        self._asked[content_of(call.name, call.arguments)] += 1
        self._names.add(call.name)

    def add(self, block: Mapping[str, Any]) -> None:
        """Another block than a call or words."""
        self._others[key_of(block)] += 1

    def has_words(self, kind: str, words: str) -> bool:
        """Whether one block told these words."""
        return any(record.rest(words) == "" for record in self.records[kind][-_MOST:])

    def size(self, kind: str, blocks: Iterable[Mapping[str, Any]]) -> int | None:
        """How many characters of these words were told; None if other words were."""
        whole = "".join(words_of(block) for block in blocks if block.get("type") == kind)
        return told_by(self.records[kind], whole)

    def untold(self, blocks: list[dict[str, Any]]) -> list[Untold]:
        """The blocks of a whole message that weren't told, and all those of words, unless other words were told."""
        sizes = {kind: self.size(kind, blocks) for kind in PROSE}
        others, asked = self._others.copy(), self._asked.copy()
        known = (self._call_of(block) for block in blocks)
        asked.subtract(content_of(call.name, call.arguments) for call in known if call is not None)
        starts = dict.fromkeys(PROSE, 0)
        found = []
        for block in blocks:
            kind = str(block.get("type"))
            size = sizes.get(kind, 0)
            if size is None:
                continue  # other words were told
            if kind in PROSE:
                start, length = starts[kind], len(words_of(block))
                starts[kind] = start + length
                told = min(max(size - start, 0), length)
                found.append(Untold(block, told=told, start=start))
            elif kind in CALLS:
                found += self._untold_call(block, asked)
            elif not take(others, key_of(block)):
                found.append(Untold(block))
        return found

    def _untold_call(self, block: dict[str, Any], asked: Counter[tuple[str, str]]) -> list[Untold]:
        call, content = self._call_of(block), _content_of(block)
        is_known = call is not None and content == content_of(call.name, call.arguments)
        if is_known or take(asked, content) or self._is_placeholder(block):
            return []
        return [Untold(block, call=call)]

    def _call_of(self, block: Mapping[str, Any]) -> OpenCall | None:
        """The call with the id of a block."""
        return self.calls.get(as_word(block.get("id"))) if block.get("type") in CALLS else None

    def _is_placeholder(self, block: Mapping[str, Any]) -> bool:
        """Whether it is a call without id and input, of which others of its name may have told."""
        return not (block.get("id") or block.get("input")) and block.get("name") in self._names


def _content_of(block: Mapping[str, Any]) -> tuple[str, str]:
    """What a call's block asks for."""
    return content_of(as_name(block.get("name")), as_arguments(block.get("input")))


def words_of(block: Mapping[str, Any]) -> str:
    """What a block of words says; empty for others."""
    kind = block.get("type")
    words = block.get(kind) if kind in PROSE else None
    return words if isinstance(words, str) else ""


def take(counter: Counter[Any], key: Any) -> bool:
    """Whether one of these is left, which is taken."""
    is_left = counter[key] > 0
    counter[key] -= is_left
    return is_left


def key_of(value: Mapping[str, Any]) -> int:
    """The same for blocks, or citations, that say the same."""
    if of := value.get("tool_use_id"):
        return hash((value.get("type"), str(of)))
    said = {name: value[name] for name in value if name not in _BESIDE}
    return hash(json.dumps(said, sort_keys=True))
