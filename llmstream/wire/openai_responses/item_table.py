"""ItemTable: the output item that an event belongs to. Servers disagree about numbering: content counts.

An item is known by its id, then by its `output_index`, as long as its type and its content fit. A finished item that
fits none of the open ones may be one that was finished before, under another number.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any, Literal, TypeAlias

from llmstream.checks import as_text
from llmstream.wire.open_calls import OpenCall
from llmstream.wire.openai_responses.item_forms import CALLS
from llmstream.wire.streamed_text import StreamedText

Fit: TypeAlias = Literal["", "begins", "same"]
"""How what an item has told fits a finished one: not, as its beginning, or it is the same."""
_MOST = 64
"""Open items that are compared where neither id nor index tells which it is."""


class Item:
    """What is known of one output item."""

    __slots__ = (
        "asked",
        "begun",
        "call",
        "done",
        "family",
        "files",
        "is_cut",
        "opening",
        "phase",
        "reasoning",
        "refusal",
        "signature",
        "sources",
        "spans",
        "starts",
        "text",
        "thought",
        "whole",
    )

    def __init__(self, family: str, *, whole: bool) -> None:
        self.family = family
        """Its type; "call" for both types of the caller's calls."""
        self.whole = whole
        """Its start was seen."""
        self.done = False
        self.call: OpenCall | None = None
        self.asked = False
        """The arguments came as a whole."""
        self.begun = ""
        """The arguments with which the call began, until others come."""
        self.text, self.refusal, self.reasoning = StreamedText(), StreamedText(), StreamedText()
        self.sources: Counter[str] = Counter()
        """The citations that were told."""
        self.files: set[str] = set()
        """The files that were told."""
        self.phase: str | None = None
        self.spans: list[tuple[int, int]] = []
        """The stretches of the answer's text that are this message's: from character to character."""
        self.thought: tuple[int, int] | None = None
        """Where its reasoning stands in that of the answer: from character to character."""
        self.signature = ""
        self.is_cut = False
        """It was finished, and isn't whole."""
        self.starts: dict[Any, int] = {}
        """Where in the answer's text each of its parts began, by the part's index."""
        self.opening: dict[str, Any] | None = None
        """How it began."""


class ItemTable:
    """The items of one answer."""

    def __init__(self) -> None:
        self._by_id: dict[str, Item] = {}
        self._by_index: dict[Any, Item] = {}
        self._open: dict[str, dict[Item, None]] = {}  # those that go on, by family
        self._told: dict[tuple[str, str], dict[Item, None]] = {}  # finished ones, by content
        self._all: dict[str, list[Item]] = {}  # in order, by family

    def add(self, item: Item, index: Any, *ids: str | None) -> None:
        """A new item. One that has this index already keeps it, if it is another's."""
        self._all.setdefault(item.family, []).append(item)
        self._open.setdefault(item.family, {})[item] = None
        if index is not None:
            self._by_index[index] = item
        self.name(item, *ids)

    def name(self, item: Item, *ids: str | None) -> None:
        """Ids by which an item is known from now on."""
        self._by_id |= {id: item for id in ids if id}

    def finish(self, item: Item, content: str) -> None:
        """An item is over."""
        item.done = True
        self._open.get(item.family, {}).pop(item, None)
        self._told.setdefault((item.family, content), {})[item] = None

    def of(self, family: str) -> list[Item]:
        """The items of a family, in the order in which they began."""
        return self._all.get(family, [])

    def are_cut(self) -> bool:
        """Whether an answer or a call is finished, and isn't whole."""
        words = (*self.of("message"), *self.of("call"))
        return any(item.is_cut for item in words)

    def going_on(self) -> Iterator[Item]:
        """The items that were never finished."""
        for items in self._open.values():
            yield from list(items)

    def place(self, payload: Mapping[str, Any], family: str) -> Item | None:
        """The item that a delta belongs to: by its id, by its index, or the one that goes on."""
        for item in self._numbered(payload):
            if item.family == family:
                return item
        going_on = self._open.get(family)
        return next(reversed(going_on)) if going_on else None

    def place_arguments(self, payload: Mapping[str, Any], whole: str) -> Item | None:
        """The call of whole arguments: by its id, by the same arguments in deltas, or as deltas would be placed."""
        item_id = as_text(payload.get("item_id"))
        if item_id is None or item_id not in self._by_id:
            for item in islice(self._open.get("call", {}), _MOST):
                call = item.call
                if (
                    not item.asked
                    and call is not None
                    and call.has_begun
                    and call.arguments == whole
                ):
                    return item
        return self.place(payload, "call")

    def same_start(
        self, payload: Mapping[str, Any], item: Mapping[str, Any], family: str
    ) -> Item | None:
        """The item whose start this repeats."""
        ids = _ids(item)
        for known in self._numbered({"output_index": payload.get("output_index"), **item}):
            is_open = known.family == family and not known.done
            if is_open and (not ids or any(self._by_id.get(id) is known for id in ids)):
                return known
        return None

    def match(
        self, payload: Mapping[str, Any], family: str, content: str, fit: Callable[[Item], Fit]
    ) -> Item | None:
        """The item that a finished one is; None for one that is new."""
        numbered = [item for item in self._numbered(payload) if item.family == family]
        named = [item for item in self.named(payload) if not item.done and fit(item)]
        if named and named[0].family == family:
            return named[0]
        going_on = [*islice(self._open.get(family, {}), _MOST)]
        fits = [(fit(item), item) for item in going_on]
        same = next((item for how, item in fits if how == "same"), None)
        if same is not None:
            return same
        for item in numbered:
            if not item.done and fit(item):
                return item
        first = next((item for how, item in fits if how), None)
        if first is not None:
            return first
        told = self._told.get((family, content))
        if told:
            return next(iter(told))
        known = {self._by_id.get(id) for id in _ids(payload)}
        return next((item for item in numbered if item in known or not item.done), None)

    def at(self, index: Any, family: str) -> Item | None:
        """The item at an index, for what can't be told by its content: Copilot encrypts the same anew each time."""
        item = self._by_index.get(index)
        return item if item is not None and item.family == family else None

    def forget_told(self) -> None:
        """What is finished from now on is new, even if it says what another said."""
        self._told.clear()

    def named(self, item: Mapping[str, Any]) -> list[Item]:
        """The items that are known by one of these ids."""
        found = (self._by_id.get(id) for id in _ids(item))
        return [known for known in found if known is not None]

    def take_named(self, item: Mapping[str, Any], family: str, content: str) -> Item | None:
        """The item under one of these ids that was finished with this content. It is no longer known by it."""
        told = self._told.get((family, content), {})
        for known in self.named(item):
            if known in told:
                del told[known]
                return known
        return None

    def take_told(self, family: str, content: str) -> Item | None:
        """The first item that was finished with this content. It is no longer known by it."""
        told = self._told.get((family, content))
        if not told:
            return None
        first = next(iter(told))
        del told[first]
        return first

    def is_numbered(self, item: Item, payload: Mapping[str, Any]) -> bool:
        """Whether an event names this item by an id or by its index."""
        return item in self._numbered(payload)

    def _numbered(self, payload: Mapping[str, Any]) -> Iterator[Item]:
        for id in _ids(payload):
            if (item := self._by_id.get(id)) is not None:
                yield item
        index = payload.get("output_index")
        if index is not None and (item := self._by_index.get(index)) is not None:
            yield item


def _ids(payload: Mapping[str, Any]) -> list[str]:
    named = (as_text(payload.get(name)) for name in ("call_id", "item_id", "id"))
    return [id for id in named if id]


def family_of(kind: str) -> str:
    """The family of an item's type."""
    return "call" if kind in CALLS else kind
