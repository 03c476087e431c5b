"""A history as its target takes it. See `rules.py` for what a target can say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from operator import is_

from llmstream.messages import Message, TextPart
from llmstream.wire.fitting.answers import Arrangement
from llmstream.wire.fitting.assistant import fit_assistant
from llmstream.wire.fitting.call_ids import CallIds
from llmstream.wire.fitting.parts import PartFitting
from llmstream.wire.fitting.rules import Blank, HistoryRules
from llmstream.wire.fitting.system import place_system


@dataclass(slots=True)
class FittedHistory:
    """The messages to render, one by one, and a sentence for each thing that was lost or changed."""

    messages: list[Message]
    warnings: list[str] = field(default_factory=list)


def fit_history(history: Sequence[Message], rules: HistoryRules) -> FittedHistory:
    """The history as the target takes it. It leaves the caller's messages as they are."""
    warnings: list[str] = []
    fitted = []
    for message in history:
        each = _fit_message(message, rules, warnings)
        if each is not None:
            fitted.append(each)
    ids = CallIds(rules.ids)
    arranged = Arrangement(fitted, ids, warnings, keeps_orphans=rules.keeps_orphans)
    placed = place_system(list(arranged.messages()), rules, warnings)
    return FittedHistory(placed, warnings)


def is_plain(message: Message) -> bool:
    """Whether a message is one text and nothing else: the usual case, which has a short way of its own."""
    if len(message.parts) != 1 or message.name is not None:
        return False
    part = message.parts[0]
    return type(part) is TextPart and part.cache is None and part.provider_data is None


def _fit_message(message: Message, rules: HistoryRules, warnings: list[str]) -> Message | None:
    """The message with the parts that the target takes; None if nothing is left of it."""
    is_assistant = message.role == "assistant"
    has_rules = is_assistant and (rules.owed is not None or rules.trims_last_text)
    if is_plain(message) and not has_rules:
        return None if _is_left_out(message, rules) else message
    parts = PartFitting(message, rules, warnings).parts()
    if is_assistant:
        parts = fit_assistant(parts, rules, warnings)
    if not parts:
        was_empty = not message.parts and not is_assistant
        return message if was_empty else None
    is_same = len(parts) == len(message.parts) and all(map(is_, parts, message.parts))
    return message if is_same else replace(message, parts=parts)


def _is_left_out(message: Message, rules: HistoryRules) -> bool:
    """Whether a plain message says nothing. A user's empty one stays where the target takes it."""
    if message.text and not message.text.isspace():
        return False
    return message.role == "assistant" or rules.blank is Blank.SPACE
