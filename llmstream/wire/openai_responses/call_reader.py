"""CallReader: the arguments of calls, in deltas and as a whole, and which call each of them belongs to."""

from __future__ import annotations

from typing import Any

from llmstream.messages import parse_arguments
from llmstream.wire.open_calls import as_name, content_of
from llmstream.wire.openai_responses.item_forms import arguments_in, as_arguments, as_words
from llmstream.wire.openai_responses.item_match import has_name
from llmstream.wire.openai_responses.item_reader import ItemReader
from llmstream.wire.openai_responses.item_table import Item


class CallReader(ItemReader):
    """The part of the decoder that knows the events of calls."""

    def parse_arguments(self, payload: dict[str, Any]) -> None:
        """The next characters of a call's arguments."""
        state = self._item(payload, "call")
        call = state.call
        if call is None:  # one that never began gets its name later
            call = state.call = self._open_call(None, "")
        delta = as_arguments(payload.get("delta")) or arguments_in(payload)
        if state.begun and delta:
            delta = _after_beginning(state, delta)
        call.name = call.name or as_name(payload.get("name"))
        self._call_delta(call, delta)

    def parse_arguments_done(self, payload: dict[str, Any]) -> None:
        """All of a call's arguments."""
        whole = arguments_in(payload) or as_arguments(payload.get("delta"))
        name = as_name(payload.get("name"))
        state = self._items.place_arguments(payload, whole)
        if state is None or not self._may_ask(state, payload, name, whole):
            state = self._begin_asked(payload, name, whole)
        if state is None or state.call is None:
            return
        if state.done:
            self._add_late(state.call, whole)
            return
        state.asked = state.call.freeform or bool(parse_arguments(whole))  # else a placeholder
        state.call.done = state.call.freeform
        state.call.name = state.call.name or name
        self._add_arguments(state.call, whole)

    def _end_free_input(self) -> None:
        """The response is complete: so is the input of custom tools, of which no other sign says so."""
        for state in self._items.going_on():
            if state.call is not None and state.call.freeform:
                state.call.done = True

    def _may_ask(self, state: Item, payload: dict[str, Any], name: str, whole: str) -> bool:
        """Whether whole arguments may be those of an item. One that has its own takes no others by mere position."""
        call = state.call
        if call is None:
            return True
        if not has_name(call, name):
            return False
        is_free = not state.asked or content_of("", whole) == content_of("", call.arguments)
        return is_free or self._items.is_numbered(state, payload)

    def _begin_asked(self, payload: dict[str, Any], name: str, whole: str) -> Item | None:
        """A call that begins with its whole arguments; None if a finished one asked for the same."""
        is_empty = not (name or whole)
        if is_empty or self._is_resumed or content_of(name, whole) in self._asked:
            return None
        state = Item("call", whole=True)
        ids = as_words(payload.get("item_id")), as_words(payload.get("call_id"))
        self._items.add(state, payload.get("output_index"), *ids)
        state.call = self._open_call(ids[1] or ids[0], name)
        return state


def _after_beginning(state: Item, delta: str) -> str:
    """The first delta of a call that began with arguments: it goes on with them, tells them again, or replaces them."""
    begun, state.begun = state.begun, ""
    tells_again = begun.startswith(delta) or delta.startswith(begun)
    if tells_again or parse_arguments(begun) is not None:
        return delta
    return begun + delta
