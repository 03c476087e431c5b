"""Gemini's models by their names: how they think, which of them want signatures, and which see what a result shows.

Sources: https://ai.google.dev/gemini-api/docs/thinking (levels from Gemini 3 on, budgets of 2.5) and
https://ai.google.dev/gemini-api/docs/thought-signatures.
"""

from __future__ import annotations

import re

_NUMBERED = re.compile(r"gemini-(\d+)(?:\.(\d+))?")
_NEWEST = (99, 0)
_FIRST_TO_REASON, _FIRST_WITH_LEVELS, _FIRST_WITH_MEDIUM = (2, 5), (3, 0), (3, 1)
_OTHERS = re.compile(r"gemma|learnlm|-tts|-image|embedding")
"""Models of the same API that have no levels."""
LEVELS = ("minimal", "low", "medium", "high")
_PRO_LEVELS = {False: ("low", "high"), True: ("low", "medium", "high")}
"""Those of a Pro: before `_FIRST_WITH_MEDIUM`, and from then on. It can't be told not to think."""


def generation(model: str) -> tuple[int, int]:
    """The numbers in a Gemini's name. A name without any is a new one's."""
    found = _NUMBERED.search(model.lower())
    return (int(found[1]), int(found[2] or 0)) if found else _NEWEST


def has_levels(model: str) -> bool:
    """Whether it is told a level of thinking, not a budget: from Gemini 3 on."""
    return generation(model) >= _FIRST_WITH_LEVELS


def wants_signatures(model: str) -> bool:
    """Whether each step of calls must begin with a signature: 400 `Function call is missing a thought_signature`."""
    return "gemini" in model.lower() and has_levels(model)


def takes_files_in_results(model: str) -> bool:
    """Whether a result may show something: from Gemini 3 on."""
    return has_levels(model)


def levels_of(model: str) -> tuple[str, ...]:
    """The levels of thinking that a model knows; none, if it doesn't think."""
    name, born = model.lower(), generation(model)
    if born < _FIRST_TO_REASON or _OTHERS.search(name):
        return ()
    return _PRO_LEVELS[born >= _FIRST_WITH_MEDIUM] if is_pro(model) else LEVELS


def is_pro(model: str) -> bool:
    """Whether it is one that can't be told not to think."""
    return "pro" in model.lower()
