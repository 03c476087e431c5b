"""A history as its target takes it. See `rules.py` for what a target can say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from operator import is_

from llmstream.messages import Message, Source, TextPart, ToolResult
from llmstream.wire.fitting.answers import Arrangement, is_tidy
from llmstream.wire.fitting.assistant import fit_assistant
from llmstream.wire.fitting.call_ids import CallIds
from llmstream.wire.fitting.parts import PartFitting
from llmstream.wire.fitting.rules import HistoryRules
from llmstream.wire.fitting.system import open_with_user, place_system, shows_files, system_in_text


@dataclass(slots=True)
class FittedHistory:
    """The messages to render, one by one, and a sentence for each thing that was lost or changed."""

    messages: list[Message]
    warnings: list[str] = field(default_factory=list)


def fit_history(history: Sequence[Message], rules: HistoryRules) -> FittedHistory:
    """The history as the target takes it. It leaves the caller's messages as they are."""
    warnings: list[str] = []
    fitted = []
    system_shows = False
    for message in history:
        if _fits(message, rules):
            fitted.append(message)
            continue
        each = _fit_message(message, rules, warnings)
        if each is not None:
            fitted.append(each)
            system_shows = system_shows or shows_files(each)
    if system_shows and not rules.system_files:
        fitted = system_in_text(fitted, rules, warnings)
    if not is_tidy(fitted, rules.ids):
        ids = CallIds(rules.ids)
        arranged = Arrangement(fitted, ids, warnings, keeps_orphans=rules.keeps_orphans)
        fitted = list(arranged.messages())
    placed = place_system(fitted, rules, warnings)
    return FittedHistory(open_with_user(placed) if rules.user_first else placed, warnings)


def is_plain(message: Message) -> bool:
    """Whether a message is one text and nothing else: the usual case, which has a short way of its own."""
    if len(message.parts) != 1 or message.name is not None or message.provider_data is not None:
        return False
    part = message.parts[0]
    return type(part) is TextPart and part.cache is None and part.provider_data is None


def _fits(message: Message, rules: HistoryRules) -> bool:
    """Whether it surely fits as it is: most messages are one text or one result, and histories are long."""
    if len(message.parts) != 1 or message.provider_data is not None:
        return False
    part = message.parts[0]
    if type(part) is TextPart and part.provider_data is None:
        has_rules = rules.owed is not None or rules.trims_last_text
        is_free = message.role != "assistant" or not has_rules
        return is_free and bool(part.text) and not part.text.isspace()
    if type(part) is ToolResult and type(part.content) is str:
        return part.executed_by == "caller" and part.provider_data is None
    return False


def _fit_message(message: Message, rules: HistoryRules, warnings: list[str]) -> Message | None:
    """The message with the parts that the target takes; None if nothing is left of it."""
    is_assistant = message.role == "assistant"
    parts = PartFitting(message, rules, warnings).parts()
    if is_assistant:
        parts = fit_assistant(parts, rules, warnings)
    if all(isinstance(part, Source) for part in parts):
        was_empty = not message.parts and not is_assistant
        return message if was_empty else None
    is_same = len(parts) == len(message.parts) and all(map(is_, parts, message.parts))
    return message if is_same else replace(message, parts=parts)
