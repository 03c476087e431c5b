"""Whether a finished item is one that has streamed: its content counts, not its numbers."""

from __future__ import annotations

from llmstream.messages import parse_arguments
from llmstream.wire.open_calls import OpenCall
from llmstream.wire.openai_responses.item_content import ItemContent
from llmstream.wire.openai_responses.item_table import Fit, Item


def fit_of(state: Item, read: ItemContent) -> Fit:
    """How an item fits the finished one, by what it has told."""
    if state.call is not None:
        return _call_fit(state.call, read)
    is_reasoning = read.type == "reasoning"
    text = state.reasoning if is_reasoning else state.text
    if not text:
        return "begins"
    forms = read.reasoning_forms if is_reasoning else [read.text]
    rests = [text.rest(form) for form in forms]
    if "" in rests:
        return "same"
    return "begins" if any(rest is not None for rest in rests) else ""


def is_call(state: Item, read: ItemContent) -> bool:
    """Whether a finished call is this one. One that was over with other arguments isn't."""
    call = state.call
    if call is None or not has_name(call, read.name):
        return False
    is_open = not state.done or not parse_arguments(call.arguments)
    return is_open or not parse_arguments(read.arguments) or read.begins_with(call.arguments)


def has_name(call: OpenCall, name: str) -> bool:
    """Whether a call may have this name."""
    return not name or call.name in ("", name)


def _call_fit(call: OpenCall, read: ItemContent) -> Fit:
    if not has_name(call, read.name) or not read.begins_with(call.arguments):
        return ""
    return "same" if call.has_begun and call.arguments == read.arguments else "begins"
