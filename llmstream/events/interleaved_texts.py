"""InterleavedTexts: texts of one answer that come in turns, each kept whole, and where their characters end up.

Events count characters in the order in which text comes; a message counts those of its parts, one after the other.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from llmstream.messages import Part, Source, TextPart


class InterleavedTexts:
    """The texts that were left and went on, by their places among the parts. Constant work per turn."""

    __slots__ = ("_chunks", "_stretches")

    def __init__(self, parts: Sequence[Part]) -> None:
        self._chunks: dict[int, list[str]] = {}
        self._stretches: list[tuple[int, int]] = []  # (place, characters), as they came
        for place, part in enumerate(parts):
            if isinstance(part, TextPart):
                self._stretches.append((place, len(part.text)))

    def chunks_at(self, place: int, begun: str) -> list[str]:
        """The chunks of the text at a place, to go on with; `begun` is its text so far if it never was left."""
        return self._chunks.setdefault(place, [begun])

    def add_stretch(self, place: int, characters: int) -> None:
        """The next stretch of text that has come."""
        self._stretches.append((place, characters))

    def apply(self, parts: list[Part]) -> list[Part]:
        """The parts with their whole texts, and with citations that count the message's characters."""
        whole = [self._whole(place, part) for place, part in enumerate(parts)]
        starts, ends = self._moves(whole)
        return [_moved(part, starts, ends) if isinstance(part, Source) else part for part in whole]

    def places_of(self, since: int, until: int) -> list[int]:
        """The places of the texts whose characters came between these two, counted from the first that came."""
        found: list[int] = []
        at = 0
        for place, characters in self._stretches:
            begins, at = at, at + characters
            if begins < until and at > since:
                found.append(place)
        return found

    @property
    def size(self) -> int:
        """The characters that have come."""
        return sum(characters for _, characters in self._stretches)

    def _whole(self, place: int, part: Part) -> Part:
        chunks = self._chunks.get(place)
        if chunks is None:
            return part
        has_text: Any = part
        whole: Part = replace(has_text, text="".join(chunks))
        return whole

    def _moves(self, parts: Sequence[Part]) -> tuple[list[int], list[int]]:
        """The first character of each stretch, as it came and in the message."""
        bases: dict[int, int] = {}
        at = 0
        for place, part in enumerate(parts):
            bases[place] = at
            at += len(part.text) if isinstance(part, TextPart) else 0
        arrived: list[int] = []
        placed: list[int] = []
        came = 0
        for place, characters in self._stretches:
            arrived.append(came)
            placed.append(bases[place])
            bases[place] += characters
            came += characters
        return arrived, placed


def _moved(source: Source, arrived: Sequence[int], placed: Sequence[int]) -> Source:
    def move(at: int) -> int:
        index = max(bisect_right(arrived, at) - 1, 0)
        return at - arrived[index] + placed[index]

    if source.start is None or source.end is None or not arrived:
        return source
    # An end is that of the character before it.
    end = move(source.end - 1) + 1 if source.end > source.start else move(source.start)
    return replace(source, start=move(source.start), end=end)
