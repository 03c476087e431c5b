"""Thinking in a `generationConfig`: a level from Gemini 3 on, a budget before.

Sources: https://ai.google.dev/gemini-api/docs/thinking (its table of ranges) and
https://ai.google.dev/gemini-api/docs/openai (the budgets that an effort means).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmstream.wire.efforts import fit_effort
from llmstream.wire.gemini_models import LEVELS, has_levels, is_pro, levels_of
from llmstream.wire.json_fields import present
from llmstream.wire.outbound import Rendered

_BUDGETS = {"none": 0, "minimal": 512, "low": 1024, "medium": 8192, "high": 24_576}
_CONFIG = "thinkingConfig"


def render_thinking(effort: str, rendered: Rendered) -> None:
    """Put an effort into the body, as its model takes it; the thoughts come in words, then."""
    body = rendered.body
    model = str(body["model"])
    word = fit_effort(effort, _words_of(model), model, rendered.warnings)
    if word is None:
        return
    if has_levels(model):
        said: dict[str, Any] = {"thinkingLevel": word.upper()}
    else:
        said = {"thinkingBudget": _BUDGETS[word]}
    thoughts = {} if word == "none" else {"includeThoughts": True}
    config = body.setdefault("generationConfig", {})
    config[_CONFIG] = {**thoughts, **said}


def _words_of(model: str) -> tuple[str, ...]:
    levels = levels_of(model)
    if has_levels(model) or not levels:
        return levels
    return tuple(word for word in _BUDGETS if word != "none") if is_pro(model) else tuple(_BUDGETS)


def parse_thinking(config: dict[str, Any]) -> str | None:
    """The effort that a `generationConfig` asks for. What it can't say stays in the config."""
    thinking = config.get(_CONFIG)
    if not isinstance(thinking, Mapping):
        return None
    level, budget = thinking.get("thinkingLevel"), thinking.get("thinkingBudget")
    effort: str | None = None
    if isinstance(level, str) and level.lower() in LEVELS:
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
