"""Usage where a provider didn't report it, or couldn't: the answer was cut, cancelled or left. Counted by us."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import ceil

from llmstream.messages import ChatRequest, Part, ReasoningPart, Usage
from llmstream.token_estimate import estimate_answer, estimate_tokens, estimate_tools

_SILENT = (None, "none")
"""Efforts with which nobody asked for reasoning."""


class UsageEstimate:
    """Fills in what one attempt's provider left open.

    `reasons`: whether the model is known to reason. `before`: the parts of the answer that it goes on from.
    """

    def __init__(
        self, request: ChatRequest, *, reasons: bool = False, before: Sequence[Part] = ()
    ) -> None:
        self._request = request
        self._reasons = reasons or request.reasoning_effort not in _SILENT
        self._before = estimate_answer(before)

    @property
    def input_tokens(self) -> int:
        """About what the prompt takes."""
        return estimate_prompt(self._request)

    def complete(self, reported: Usage | None, parts: Sequence[Part], tokens: float) -> Usage:
        """The usage of an answer that came to its end: what was reported stands."""
        known = reported or Usage()
        if known.input_tokens is not None and known.output_tokens is not None:
            return known
        return self._filled(known, known.output_tokens, parts, tokens)

    def cut(self, reported: Usage | None, parts: Sequence[Part], tokens: float) -> Usage:
        """The usage of an answer that was cut. What was reported on the way may be too little by now."""
        known = reported or Usage()
        output = known.output_tokens
        if output is not None and output < self._count(tokens):
            output = None
        return self._filled(known, output, parts, tokens)

    # --- inside --------------------------------------------------------------------------------------------

    def _count(self, tokens: float) -> int:
        return max(0, ceil(tokens - self._before))

    def _filled(
        self, known: Usage, output: int | None, parts: Sequence[Part], tokens: float
    ) -> Usage:
        is_counted = output is None
        is_whole = known.input_tokens is not None and not is_counted
        if is_whole:
            return known
        return replace(
            known,
            input_tokens=self.input_tokens if known.input_tokens is None else known.input_tokens,
            output_tokens=self._count(tokens) if output is None else output,
            estimated=True,
            lacks_reasoning=is_counted and self._hides_reasoning(parts),
        )

    def _hides_reasoning(self, parts: Sequence[Part]) -> bool:
        """Whether it reasoned, or may have, without showing all of it."""
        shown = [part for part in parts if isinstance(part, ReasoningPart)]
        return any(map(_is_summary, shown)) if shown else self._reasons


def estimate_prompt(request: ChatRequest) -> int:
    """About how many tokens a request's messages and tools take."""
    return sum(map(estimate_tokens, request.messages)) + estimate_tools(request.tools or ())


def _is_summary(part: ReasoningPart) -> bool:
    """Whether its text may be less than what was thought: vendors sign what they don't show."""
    return not part.text or part.signature is not None or part.provider_data is not None
