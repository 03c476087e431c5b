"""A Claude's thinking as a request asks for it: by an effort, by a budget of tokens, or off.

Format: https://docs.anthropic.com/en/docs/build-with-claude/extended-thinking and
https://platform.claude.com/docs/en/build-with-claude/adaptive-thinking. Claude up to 4.5 takes a budget alone, 4.6
either, and later ones an effort alone. Before 3.7 none thinks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Any

from llmstream.wire.efforts import fit_effort, words_of
from llmstream.wire.option_rules import claude, generation
from llmstream.wire.outbound import Rendered

_FIRST_TO_REASON, _FIRST_ADAPTIVE = (3, 7), (4, 6)
_takes_no_budget = claude((4, 7))
"""https://platform.claude.com/docs/en/build-with-claude/adaptive-thinking: `budget_tokens` is a 400 from 4.7 on."""
_BUDGETS = {"low": 2048, "medium": 4096, "high": 8192}
_SMALLEST_BUDGET = 1024
_EFFORTS = ("low", "medium", "high", "xhigh", "max")


def render_reasoning(effort: str, rendered: Rendered) -> None:
    """Put an effort into the body, as its model takes it. What a client of this format said of thinking stays."""
    body, warnings = rendered.body, rendered.warnings
    model = str(body["model"])
    given = body.get("thinking")  # as a client of this format wrote it
    if given is not None and given.get("type") != "adaptive":
        return
    if effort == "none":
        body["thinking"] = {"type": "disabled"}
        return
    if generation(model.lower()) < _FIRST_TO_REASON:
        warnings.append("reasoning_effort: this model does not reason; dropped")
        return
    budgeted = _takes_budget_alone(model)
    known = tuple(_BUDGETS) if budgeted else words_of(model) or _EFFORTS
    word = fit_effort(effort, known, model, warnings)
    if word is None:
        return
    if budgeted:
        _render_budget(word, rendered)
    else:
        rendered.merge({"thinking": {"type": "adaptive"}, "output_config": {"effort": word}})


def _takes_budget_alone(model: str) -> bool:
    """Whether it has no adaptive thinking."""
    return _FIRST_TO_REASON <= generation(model.lower()) < _FIRST_ADAPTIVE


def _render_budget(effort: str, rendered: Rendered) -> None:
    """How a Claude before 4.6 is told to think. The budget is part of `max_tokens`: the answer needs room, too."""
    body, warnings = rendered.body, rendered.warnings
    wanted = _BUDGETS[effort]
    budget = min(wanted, body["max_tokens"] - _SMALLEST_BUDGET)
    if budget < _SMALLEST_BUDGET:
        warnings.append(
            "reasoning_effort: this model needs max_tokens of 2,048 or more to reason; dropped"
        )
        return
    if budget < wanted:
        warnings.append(f"reasoning_effort: {effort!r} is sent as a budget of {budget} tokens")
    given = body.get("thinking") or {}
    body["thinking"] = {**given, "type": "enabled", "budget_tokens": budget}


def fit_thinking(rendered: Rendered) -> None:
    """Thinking with a budget, where the model, the history or a forced call allows none."""
    body, warnings = rendered.body, rendered.warnings
    thinking = body.get("thinking")
    if not isinstance(thinking, Mapping) or thinking.get("type") != "enabled":
        return
    model = str(body["model"])
    if _takes_no_budget(model.lower()):
        _make_adaptive(thinking, rendered)
    elif (body.get("tool_choice") or {}).get("type") in _FORCED and "claude" in model.lower():
        del body["thinking"]
        warnings.append(
            "reasoning_effort: Claude can't be forced to call while it reasons; dropped"
        )
    elif _takes_budget_alone(model) and _lacks_reasoning(body["messages"]):
        del body["thinking"]
        warnings.append(
            "reasoning_effort: this model reasons amid its tool calls only if the reasoning before them is sent back, "
            "which this history lacks; dropped"
        )


_FORCED = ("any", "tool")
"""Kinds of `tool_choice` (https://docs.anthropic.com/en/docs/build-with-claude/extended-thinking, tool use)."""


def _make_adaptive(thinking: Mapping[str, Any], rendered: Rendered) -> None:
    budget = thinking.get("budget_tokens")
    rest = {name: value for name, value in thinking.items() if name != "budget_tokens"}
    rendered.body["thinking"] = {**rest, "type": "adaptive"}
    told = "thinking: this Claude takes no budget_tokens; sent as adaptive"
    config = rendered.body.get("output_config") or {}
    if isinstance(budget, int) and "effort" not in config:
        effort = _effort_for(budget)
        rendered.merge({"output_config": {"effort": effort}})
        told += f" with the effort {effort!r}"
    rendered.warnings.append(told)


def _effort_for(budget: int) -> str:
    return next((word for word, limit in _BUDGETS.items() if budget <= limit), "high")


def _lacks_reasoning(turns: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the last turns are tools being used, begun without (signed) reasoning, as after another provider's call.

    With a budget such a history is a 400: "Expected `thinking` or `redacted_thinking`, but found `tool_use`".
    """
    rounds = takewhile(_uses_tools, reversed(turns))
    said = [turn["content"] for turn in rounds if turn["role"] == "assistant"]
    if not said or turns[-1]["role"] == "assistant":
        return False
    begun = said[-1]
    return isinstance(begun, str) or _kind_of(begun[0]) not in _THOUGHTS


def _uses_tools(turn: Mapping[str, Any]) -> bool:
    """Whether it is the assistant's, or brings results of its calls."""
    blocks = turn["content"]
    if turn["role"] == "assistant":
        return True
    return not isinstance(blocks, str) and any(map(_is_result, blocks))


def _is_result(block: Mapping[str, Any]) -> bool:
    return _kind_of(block) in _RESULTS


_THOUGHTS = frozenset({"thinking", "redacted_thinking", "reasoningContent"})
_RESULTS = frozenset({"tool_result", "toolResult"})


def _kind_of(block: Mapping[str, Any]) -> Any:
    """The type of a block; a block of Converse is an object with one member."""
    return block.get("type") or next(iter(block), None)


def parse_reasoning(thinking: Any, config: dict[str, Any], rest: dict[str, Any]) -> Any:
    """The effort. What it doesn't say, such as a budget of another size, stays in `rest` as it came."""
    if thinking is None:
        return None
    if not isinstance(thinking, Mapping):
        raise TypeError(f"thinking must be an object, not {type(thinking).__name__}")
    kind = thinking.get("type")
    effort, whole = None, False
    if kind == "disabled":
        effort, whole = "none", thinking == {"type": "disabled"}
    elif kind == "adaptive" and "effort" in config:
        effort, whole = config.pop("effort"), thinking == {"type": "adaptive"}
    elif kind == "enabled":
        budget = _number(thinking, "budget_tokens", (int,)) or 0
        effort = _effort_for(budget)
        whole = thinking == {"type": "enabled", "budget_tokens": _BUDGETS[effort]}
    if not whole:
        rest["thinking"] = thinking
    return effort


def _number(body: Mapping[str, Any], name: str, types: tuple[type, ...]) -> Any:
    value = body.get(name)
    if value is not None and (isinstance(value, bool) or not isinstance(value, types)):
        raise TypeError(f"{name} must be a number, not {type(value).__name__}")
    return value
