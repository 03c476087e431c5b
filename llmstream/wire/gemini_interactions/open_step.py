"""OpenStep: a step of an interaction while its events are read."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from heapq import heappop, heappush
from math import inf
from typing import Any

from llmstream.wire.byte_places import bytes_of, characters_in
from llmstream.wire.gemini_interactions.citations import end_of
from llmstream.wire.gemini_interactions.steps import family_of
from llmstream.wire.json_fields import compact
from llmstream.wire.open_calls import OpenCall
from llmstream.wire.text_record import TextRecord

_BLOCK = 4096
"""Characters that are looked through for one place."""


class KeptText(TextRecord):
    """The text of one step, all of which is kept, since annotations count its bytes. A place is found in few steps."""

    __slots__ = ("_blocks", "_bytes", "_characters")

    def __init__(self) -> None:
        super().__init__()
        self._blocks: list[str] = []
        self._bytes = [0]  # before each block, and of all
        self._characters = [0]  # likewise

    def fold(self) -> None:
        """As the base does."""
        text = "".join(self.chunks)
        for start in range(0, len(text), _BLOCK):
            block = text[start : start + _BLOCK]
            self._blocks.append(block)
            self._bytes.append(self._bytes[-1] + bytes_of(block, len(block)))
            self._characters.append(self._characters[-1] + len(block))
        super().fold()

    @property
    def size_in_bytes(self) -> int:
        """Bytes that have streamed."""
        self.fold()
        return self._bytes[-1]

    def characters(self, size: int) -> int:
        """How many characters its first bytes are. Places beyond its end are those of text that comes."""
        self.fold()
        block = bisect_right(self._bytes, size) - 1
        rest = size - self._bytes[block]
        inside = characters_in(self._blocks[block], rest) if block < len(self._blocks) else rest
        return self._characters[block] + inside


class OpenStep:
    """One step. It knows what of it was told, so that nothing is told twice."""

    __slots__ = (
        "_cited",
        "_early",
        "before",
        "begun",
        "body",
        "call",
        "done",
        "family",
        "kind",
        "record",
        "signature",
        "thinks",
    )

    def __init__(self, kind: str, body: Mapping[str, Any]) -> None:
        self.kind = kind
        self.family = family_of(kind)
        self.body = dict(body)
        """The step as it began, and all that its deltas add, for tools of Google's."""
        self.record = KeptText()
        self.before = 0
        """Characters of the answer before its text."""
        self.signature = ""
        self.thinks = False
        """It has words of reasoning."""
        self.call: OpenCall | None = None
        self.begun = ""
        """Arguments that the step began with. Those that stream take their place."""
        self.done = False
        self._early: list[tuple[int, int, Mapping[str, Any]]] = []  # their stretch hasn't come
        self._cited: set[str] = set()

    def place_of(self, size: int) -> int:
        """Where in the answer's text its text is, behind so many of its bytes."""
        return self.before + self.record.characters(size)

    def annotate(self, annotations: list[dict[str, Any]]) -> Iterator[Mapping[str, Any]]:
        """Add annotations. Returns those whose stretch has come, each once, in the order in which they end."""
        for annotation in annotations:
            key = compact(annotation)
            if key not in self._cited:
                self._cited.add(key)
                heappush(self._early, (end_of(annotation), len(self._cited), annotation))
        return self._take(self.record.size_in_bytes)

    def take_annotations(self) -> Iterator[Mapping[str, Any]]:
        """Those whose stretch never came."""
        return self._take(inf)

    def _take(self, size: float) -> Iterator[Mapping[str, Any]]:
        while self._early and self._early[0][0] <= size:
            yield heappop(self._early)[2]

    def add_arguments(self, piece: Any) -> None:
        """The next piece of the arguments of a call that Google runs."""
        known = self.body.get("arguments")
        before = known if isinstance(known, str) else ""
        self.body["arguments"] = before + piece if isinstance(piece, str) else piece or known

    def add(self, delta: Mapping[str, Any]) -> None:
        """What a delta adds to the step of a tool: lists and texts grow, all else is replaced."""
        for name, value in delta.items():
            known = self.body.get(name)
            if name == "type" or value is None or value == known:
                continue
            self.body[name] = _joined(name, known, value)


def _joined(name: str, known: Any, value: Any) -> Any:
    if isinstance(known, dict) and isinstance(value, dict):
        return {**known, **value}
    if isinstance(known, list) and isinstance(value, list):
        return [*known, *value]
    if name == "result" and isinstance(known, str) and isinstance(value, str):
        return f"{known}{value}"
    return value
