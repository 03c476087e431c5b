"""Thoughts: the stretches of reasoning of one answer, and which of them late details belong to."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from llmstream.wire.openai_chat.reasoning_seals import ReasoningSeals
from llmstream.wire.text_record import TextRecord, told_by
from llmstream.wire.unread import Unread

_MOST = 64
"""Stretches that a text is compared with."""


class Thought:
    """One stretch of reasoning."""

    __slots__ = ("by_name", "end", "last_named", "record", "seals", "start")

    def __init__(self, start: int, unread: Unread) -> None:
        self.record = TextRecord()
        self.by_name = False
        """It came by another name than `reasoning_details`."""
        self.last_named = ""
        """Its last piece that did."""
        self.start = self.end = start
        """Where it stands in all reasoning of the answer, in characters."""
        self.seals = ReasoningSeals(unread)

    @property
    def place(self) -> tuple[int, int] | None:
        """From character to character; None if it has no words."""
        return (self.start, self.end) if self.end > self.start else None

    def unsaid(self, text: str) -> str:
        """The text of details, without what the same reasoning said by another name."""
        rest = self.record.rest(text) if self.by_name else None
        if rest is None and self.last_named.endswith(text):
            return ""  # a part of it is signed
        return text if rest is None else rest


class Thoughts:
    """Those of one answer."""

    def __init__(self, unread: Unread) -> None:
        self._unread = unread
        self._all: list[Thought] = []

    @property
    def last(self) -> Thought | None:
        """The one that goes on, or that was the last to do so."""
        return self._all[-1] if self._all else None

    @property
    def have_words(self) -> bool:
        """Whether any reasoning was told."""
        return any(thought.record for thought in self._all)

    @property
    def are_sealed(self) -> bool:
        """Whether any of them is sealed."""
        return any(thought.seals.have_come for thought in self._all)

    def begin(self, start: int) -> Thought:
        """A new stretch begins after so many characters."""
        self._all.append(Thought(start, self._unread))
        return self._all[-1]

    def that_told(self, text: str, besides: Collection[Thought] = ()) -> Thought | None:
        """The first stretch that told these words and isn't sealed, or else the last that told them."""
        found = [each for each in self._all[-_MOST:] if each.place and each.record.rest(text) == ""]
        found = [each for each in found if each not in besides] or found
        unsealed = (each for each in found if not each.seals.have_come)
        return next(unsealed, found[-1] if found else None)

    def owners_of(self, texts: Sequence[str]) -> list[Thought]:
        """The stretch that told each of these texts; none, if one of them is new. An empty one is its neighbour's."""
        if self.told_all(texts):
            return list(self._by_place(texts))
        owners: list[Thought] = []
        for text in texts:
            owner = self.that_told(text, owners) if text else (owners or self._all)[-1]
            if owner is None:
                return []
            owners.append(owner)
        return owners

    def _by_place(self, texts: Iterable[str]) -> Iterator[Thought]:
        thoughts = iter([thought for thought in self._all if thought.place])
        thought = next(thoughts)
        at, end = 0, thought.record.size
        for text in texts:
            while text and at >= end:
                thought = next(thoughts)
                end += thought.record.size
            yield thought
            at += len(text)

    def told_all(self, texts: Sequence[str]) -> bool:
        """Whether several stretches together told these words."""
        if len(self._all) < 2:
            return False
        whole = "".join(texts)
        return told_by((thought.record for thought in self._all), whole) == len(whole)
