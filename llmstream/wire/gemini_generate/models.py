"""Gemini's models by their names: how they think, and which of them want signatures.

Sources: https://ai.google.dev/gemini-api/docs/thinking (levels from Gemini 3 on, budgets of 2.5, its table of ranges),
https://ai.google.dev/gemini-api/docs/openai (the budgets that an effort means) and
https://ai.google.dev/gemini-api/docs/thought-signatures.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from llmstream.wire.efforts import fit_effort
from llmstream.wire.json_fields import present
from llmstream.wire.outbound import Rendered

_NUMBERED = re.compile(r"gemini-(\d+)(?:\.(\d+))?")
_NEWEST = (99, 0)
_FIRST_TO_REASON, _FIRST_WITH_LEVELS, _FIRST_WITH_MEDIUM = (2, 5), (3, 0), (3, 1)
_OTHERS = re.compile(r"gemma|learnlm|-tts|-image|embedding")
"""Models of the same API that have no levels."""
_LEVELS = ("minimal", "low", "medium", "high")
_PRO_LEVELS = {False: ("low", "high"), True: ("low", "medium", "high")}
"""Those of a Pro: before `_FIRST_WITH_MEDIUM`, and from then on. It can't be told not to think."""
_BUDGETS = {"none": 0, "minimal": 512, "low": 1024, "medium": 8192, "high": 24_576}
_CONFIG = "thinkingConfig"


def generation(model: str) -> tuple[int, int]:
    """The numbers in a Gemini's name. A name without any is a new one's."""
    found = _NUMBERED.search(model.lower())
    return (int(found[1]), int(found[2] or 0)) if found else _NEWEST


def wants_signatures(model: str) -> bool:
    """Whether each step of calls must begin with a signature: 400 `Function call is missing a thought_signature`."""
    return "gemini" in model.lower() and generation(model) >= _FIRST_WITH_LEVELS


def takes_files_in_results(model: str) -> bool:
    """Whether a result may show something: from Gemini 3 on."""
    return generation(model) >= _FIRST_WITH_LEVELS


def render_thinking(effort: str, rendered: Rendered) -> None:
    """Put an effort into the body, as its model takes it; the thoughts come in words, then."""
    body = rendered.body
    model = str(body["model"])
    born = generation(model)
    has_levels = born >= _FIRST_WITH_LEVELS
    word = fit_effort(effort, _words_of(model), model, rendered.warnings)
    if word is None:
        return
    if has_levels:
        said: dict[str, Any] = {"thinkingLevel": word.upper()}
    else:
        said = {"thinkingBudget": _BUDGETS[word]}
    thoughts = {} if word == "none" else {"includeThoughts": True}
    config = body.setdefault("generationConfig", {})
    config[_CONFIG] = {**thoughts, **said}


def _words_of(model: str) -> tuple[str, ...]:
    name, born = model.lower(), generation(model)
    if born < _FIRST_TO_REASON or _OTHERS.search(name):
        return ()
    is_pro = "pro" in name
    if born >= _FIRST_WITH_LEVELS:
        return _PRO_LEVELS[born >= _FIRST_WITH_MEDIUM] if is_pro else _LEVELS
    return tuple(word for word in _BUDGETS if word != "none") if is_pro else tuple(_BUDGETS)


def parse_thinking(config: dict[str, Any]) -> str | None:
    """The effort that a `generationConfig` asks for. What it can't say stays in the config."""
    thinking = config.get(_CONFIG)
    if not isinstance(thinking, Mapping):
        return None
    level, budget = thinking.get("thinkingLevel"), thinking.get("thinkingBudget")
    effort: str | None = None
    if isinstance(level, str) and level.lower() in _LEVELS:
        effort = level.lower()
    elif budget in _BUDGETS.values() and not isinstance(budget, bool):
        effort = next(word for word, tokens in _BUDGETS.items() if tokens == budget)
    if effort is not None and _is_plain(thinking, effort):
        del config[_CONFIG]
        return effort
    return None


def _is_plain(thinking: Mapping[str, Any], effort: str) -> bool:
    """Whether it says what an effort of ours says, and no more."""
    said = present(**thinking)
    wants_thoughts = said.pop("includeThoughts", False)
    return len(said) == 1 and wants_thoughts == (effort != "none")
