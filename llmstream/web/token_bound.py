"""The most tokens that a client may ask for in one answer: more is lowered to the bound, with a warning.

Lowered, not refused: agents ask for the largest number that their model knows, and go on with an answer that was cut.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from llmstream.messages import ChatRequest

MOST_TOKENS: Final = 131_072
"""The default bound. Of today's models none writes more in one answer, and Claude Code asks for 128,000 at most."""
_BESIDE: Final = ("min_tokens", "thinking_budget")
"""Members of vLLM's and Qwen's chat completions that are numbers of an answer's tokens, too."""
_BUDGETS: Final = {
    # https://docs.claude.com/en/docs/build-with-claude/extended-thinking
    "thinking": "budget_tokens",
    # https://openrouter.ai/docs/use-cases/reasoning-tokens
    "reasoning": "max_tokens",
    # Templates of vLLM's and SGLang's models, such as Seed-OSS
    "chat_template_kwargs": "thinking_budget",
    # https://ai.google.dev/gemini-api/docs/thinking, in `generationConfig`
    "thinkingConfig": "thinkingBudget",
}
"""Members with a number of tokens for thinking, and where in them it stands."""


def bound_tokens(request: ChatRequest, most: int | None) -> list[str]:
    """Lower what a request asks for beyond `most` tokens. Returns a warning for each number that was lowered."""
    if most is None:
        return []
    warnings = []
    if request.max_tokens is None:
        request.max_tokens = default_tokens(most)
    elif request.max_tokens > most:
        warnings.append(_warning("max_tokens", most))
        request.max_tokens = most
    for members in request.format_options.values():
        warnings += _bound_members(members, most)
    return warnings


def default_tokens(most: int | None) -> int | None:
    """What is sent for a client that names no number: the bound, if its model might write more."""
    return most if most is not None and most < MOST_TOKENS else None


def _bound_members(members: dict[str, Any], most: int) -> list[str]:
    warnings = []
    config = members.get("generationConfig")
    if isinstance(config, dict):
        warnings += _bound_members(config, most)
    for name in _BESIDE:
        if _is_above(members.get(name), most):
            warnings.append(_warning(name, most))
            members[name] = most
    for name, inner in _BUDGETS.items():
        given = members.get(name)
        if isinstance(given, Mapping) and _is_above(given.get(inner), most - 1):
            # Anthropic and OpenRouter refuse a budget that leaves no room for the answer.
            budget = most // 2
            warnings.append(_warning(f"{name}.{inner}", budget))
            members[name] = {**given, inner: budget}
    return warnings


def _is_above(value: object, most: int) -> bool:
    """Whether a number is above the bound, or no number: vLLM reads "1000" as one."""
    if isinstance(value, int | float):
        return value > most
    return value is not None


def _warning(name: str, most: int) -> str:
    return f"{name}: this server allows no more than {most}; lowered"
