"""ItemReader: whole output items, which come when they begin, when they end, and in snapshots of the response.

Whatever has streamed of an item isn't told again. What an item has beyond that is told.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmstream.messages import parse_arguments
from llmstream.wire.open_calls import content_of
from llmstream.wire.openai_responses import members
from llmstream.wire.openai_responses.item_content import ItemContent, read_content
from llmstream.wire.openai_responses.item_forms import (
    CALLS,
    as_words,
    item_of,
    items_of,
    parts_of,
    words_of,
)
from llmstream.wire.openai_responses.item_match import fit_of, is_call
from llmstream.wire.openai_responses.item_table import Fit, Item, ItemTable, family_of
from llmstream.wire.openai_responses.item_writer import ItemWriter
from llmstream.wire.openai_responses.items import is_provider_call, is_provider_result, parse_result

_OUTPUT_TEXTS = ("output_text", "text")
"""Members of a response that may hold the text of all its messages. `text` is documented as an object of options."""
_TEXTS = frozenset({"message", "reasoning"})
"""Families of items whose beginning is told when it comes."""
_OVER = frozenset({None, "", "completed"})
"""States of items to which nothing will be added."""


class ItemReader(ItemWriter):
    """The part of the decoder that knows which item a whole one is."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._items = ItemTable()
        self._claimed: dict[Item, None] = {}  # the items that the snapshot names by an id
        self._asked: set[tuple[str, str]] = set()  # what finished calls ask for
        self._is_resumed = False  # the stream begins after its own beginning

    # --- one item ------------------------------------------------------------------------------------------

    def parse_added(self, payload: dict[str, Any]) -> None:
        """An item begins."""
        item = item_of(payload["item"])
        read = read_content(item, self._unread)
        state = self._items.same_start(payload, item, family_of(read.type))
        if state is None:
            state = self._new_item(item, payload.get("output_index"), whole=True)
        self._learn_phase(state, read.phase)
        state.opening = item
        self._begin_item(state, item, read)

    def parse_item_done(self, payload: dict[str, Any]) -> None:
        """An item is over: this is all of it."""
        item = item_of(payload["item"])
        read = read_content(item, self._unread)
        state = self._find(item, payload, read)
        if state is None:
            is_whole = not self._is_resumed or read.type in CALLS
            state = self._new_item(item, payload.get("output_index"), whole=is_whole)
        self._end_item(item, state, read)

    def _new_item(self, item: Mapping[str, Any], index: Any, *, whole: bool) -> Item:
        state = Item(family_of(as_words(item.get("type"))), whole=whole)
        self._items.add(state, index, as_words(item.get("id")), as_words(item.get("call_id")))
        return state

    def _item(self, payload: dict[str, Any], family: str) -> Item:
        """The item that a delta belongs to. One that never began begins with it."""
        item = self._items.place(payload, family)
        if item is None:
            item = Item(family, whole=not self._is_resumed)
            self._items.add(item, payload.get("output_index"), as_words(payload.get("item_id")))
        return item

    def _find(
        self, item: Mapping[str, Any], payload: Mapping[str, Any], read: ItemContent
    ) -> Item | None:
        """The known item that a finished one is."""
        grown = self._grown_call(item, read)
        if grown is not None:
            return grown
        numbers = {"item_id": payload.get("item_id"), "output_index": payload.get("output_index")}
        family = family_of(read.type)
        known = self._items.match(
            {**numbers, **item}, family, read.key, lambda state: self._fit(state, item, read)
        )
        if known is None and family == "reasoning" and not read.reasoning:
            return self._items.at(payload.get("output_index"), family)
        if known is None or known.call is None or is_call(known, read):
            return known
        return None

    def _grown_call(self, item: Mapping[str, Any], read: ItemContent) -> Item | None:
        """The open call under one of these ids, of whose name only the beginning has come."""
        for known in self._items.named(item):
            call = known.call
            if call is not None and not known.done and read.name.startswith(call.name):
                return known
        return None

    def _fit(self, state: Item, item: Mapping[str, Any], read: ItemContent) -> Fit:
        """How an open item fits the finished one. In the snapshot another one may have its id."""
        is_anothers = state in self._claimed and state not in self._items.named(item)
        return "" if is_anothers else fit_of(state, read)

    def _end_item(self, item: dict[str, Any], state: Item, read: ItemContent) -> None:
        kind = read.type
        state.is_cut = read.is_cut
        if state.done:
            self._add_to_done(item, state, read)
            return
        self._items.finish(state, read.key)
        self._texts.end(state)
        self._tool_items[kind] += 1
        if kind == "message":
            self._end_message(state, read)
        elif kind == "reasoning":
            self._end_reasoning(item, state, read)
        elif kind in CALLS:
            self._asked |= {content_of(name, read.arguments) for name in (read.name, "")}
            self._end_call(item, state, read)
        elif is_provider_call(kind):
            self._provider_call(item)
        elif is_provider_result(kind):
            self._tool_result(parse_result(item))
        else:
            self._keep_item(item)

    def _keep_item(self, item: dict[str, Any]) -> None:
        """An item that only the provider understands, or nobody."""
        kind = item["type"]
        is_known = kind in members.OPAQUE_ITEMS
        if not is_known:
            self._unread.note(f"output.{kind}", members.without_names(item))
        self._opaque(item=item, understood=is_known)

    # --- all of them ---------------------------------------------------------------------------------------

    def _parse_output(self, output: Any) -> None:
        """The items of the terminal event: those that weren't told before."""
        self._end_begun_calls()
        items = items_of(output)
        read = [read_content(item, self._unread) for item in items]
        told = self._take_told(items, read)
        self._claimed = {state: None for item in items for state in self._items.named(item)}
        for index, item in enumerate(items):
            state = told[index]
            if state is None:
                self._items.forget_told()
                self._parse_snapshot(item, index, read[index])
            else:
                state.is_cut = read[index].is_cut
                self._add_to_done(item, state, read[index])
        self._end_begun_items()

    def _take_told(self, items: list[dict[str, Any]], read: list[ItemContent]) -> list[Item | None]:
        """The items that were finished with what a snapshot says: by their ids first, then by content alone."""
        pairs = [*zip(items, read, strict=True)]
        keys = [(family_of(one.type), one.key) for one in read]
        named = [
            self._items.take_named(item, *key) for (item, _), key in zip(pairs, keys, strict=True)
        ]
        return [
            state or self._items.take_told(*key) for state, key in zip(named, keys, strict=True)
        ]

    def _end_begun_calls(self) -> None:
        """Calls whose arguments stand in their beginning alone."""
        for state in self._items.going_on():
            is_whole = state.call is not None and (
                state.call.freeform or parse_arguments(state.begun)
            )
            if is_whole and state.begun and state.opening is not None:
                self._end_item(state.opening, state, read_content(state.opening, self._unread))

    def _end_begun_items(self) -> None:
        """Items that were never finished, and of which their beginning says all that there is."""
        for state in self._items.going_on():
            opening = state.opening
            if opening is None or state.family in _TEXTS:
                continue
            if is_provider_call(state.family) and opening.get("status") not in _OVER:
                self._unread.note(f"output.{state.family}", members.without_names(opening))
            elif state.begun or (state.call is None and opening.get("status") in _OVER):
                self._end_item(opening, state, read_content(opening, self._unread))

    def _parse_snapshot(self, item: dict[str, Any], index: int, read: ItemContent) -> None:
        if read.type == "message" and self._tells_again(read.text):
            return
        known = self._find(item, {"output_index": index, **item}, read)
        if known is not None:
            self._end_item(item, known, read)
        elif not self._is_resumed:
            self._end_item(item, self._new_item(item, None, whole=True), read)

    def _tells_again(self, text: str) -> bool:
        """Whether one message of the snapshot is what several messages have told."""
        if self._rest_of_all(text) != "":
            return False
        return sum(1 for item in self._items.of("message") if item.text) > 1

    def _parse_output_text(self, response: Mapping[str, Any]) -> None:
        """The text of all messages, which some servers give here alone."""
        for name in _OUTPUT_TEXTS:
            value = response.get(name)
            is_options = name == "text" and isinstance(value, dict) and not words_of(value)
            if not value or is_options:
                continue
            parts = parts_of(value, "output_text")
            whole = words_of(value) or "".join(words_of(part.get("text")) for part in parts)
            rest = self._rest_of_all(whole)
            told = [item for item in self._items.of("message") if item.text]
            if not whole:
                self._unread.note(f"response.{name}", value)
            elif rest and not self._is_resumed:
                self._tell("text", rest, told[-1] if told else self._item({}, "message"))

    def _rest_of_all(self, whole: str) -> str | None:
        """What a text adds to that of all messages; None if they say something else."""
        for item in self._items.of("message"):
            rest = item.text.rest(whole) if item.text else whole
            if rest is None:
                return None
            whole = rest
        return whole
