"""The rules for an assistant's message as a whole: what it must hold, and what may not be its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from llmstream.messages import Part, ProviderPart, ReasoningPart, RefusalPart, Source, TextPart
from llmstream.wire.fitting.answers import is_call
from llmstream.wire.fitting.rules import HistoryRules
from llmstream.wire.outbound import warn_once
from llmstream.wire.reasoning import BLANK

_REDACTED = frozenset({"redacted_thinking", "reasoningContent"})
"""Types of blocks with reasoning that only its provider can read; those of Converse are a block's one member."""


def fit_assistant(parts: list[Part], rules: HistoryRules, warnings: list[str]) -> list[Part]:
    """The parts of an assistant's message, each of which fits. Nothing, if they say and do nothing."""
    if rules.reasoning_leads:
        parts = _without_dangling(parts, rules, warnings)
    if not any(map(_says_something, parts)):
        return []
    if rules.trims_last_text:
        parts = _trimmed(parts)
    return [ReasoningPart(BLANK), *parts] if _owes_reasoning(parts, rules) else parts


def _without_dangling(
    parts: Sequence[Part], rules: HistoryRules, warnings: list[str]
) -> list[Part]:
    """Leave out reasoning that no item follows. What stood between two of them was empty, and is lost."""
    kept: list[Part] = []
    follower: Part | None = None
    for part in reversed(parts):
        if _is_thinking(part) and _dangles(follower, rules):
            warn_once(warnings, "reasoning: nothing follows it; left out")
            continue
        kept.append(part)
        if not isinstance(part, Source):
            follower = part
    kept.reverse()
    return kept


def _dangles(follower: Part | None, rules: HistoryRules) -> bool:
    """Whether reasoning before this part is refused."""
    return follower is None or (rules.reasoning_pairs and _is_thinking(follower))


def _is_thinking(part: Part) -> bool:
    """Whether it is reasoning, be it readable or not."""
    if isinstance(part, ProviderPart):
        return not _REDACTED.isdisjoint((part.data.get("type"), *part.data))
    return isinstance(part, ReasoningPart)


def _says_something(part: Part) -> bool:
    """Whether a message with this part is worth sending: the hosts refuse one that says and does nothing."""
    if isinstance(part, TextPart | RefusalPart):
        return bool(part.text.strip())
    return not isinstance(part, Source)


def _trimmed(parts: list[Part]) -> list[Part]:
    """The parts without white space at the end of the last one, if that is text."""
    last = parts[-1]
    if not isinstance(last, TextPart) or last.text == last.text.rstrip():
        return parts
    return [*parts[:-1], replace(last, text=last.text.rstrip())]


def _owes_reasoning(parts: Sequence[Part], rules: HistoryRules) -> bool:
    if rules.owed is None or any(map(_is_readable, parts)):
        return False
    return rules.owed == "always" or any(map(is_call, parts))


def _is_readable(part: Part) -> bool:
    return isinstance(part, ReasoningPart) and not part.signature and bool(part.text.strip())
