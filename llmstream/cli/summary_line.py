"""The closing line: who answered, how many tokens, how fast. Pure: times come from outside."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from llmstream.messages import Usage

_SHORTEST = 0.001
"""Seconds from which on a rate can be said."""


@dataclass(slots=True)
class Timing:
    """Seconds on one clock; `first` is None until a piece of the answer came."""

    began: float
    first: float | None = None
    ended: float | None = None

    def to_first(self) -> float | None:
        """Seconds from the question to the first piece."""
        return None if self.first is None else self.first - self.began

    def rate(self, tokens: int | None) -> float | None:
        """Tokens per second from the first piece to the end; None where that can't be said."""
        if tokens is None or self.first is None or self.ended is None:
            return None
        seconds = self.ended - self.first
        return None if seconds < _SHORTEST else tokens / seconds


def closing_line(model: str, usage: Usage | None, timing: Timing) -> str:
    """Such as `openai:gpt-5-mini · 12 tokens in, 345 out · first token after 0.42 s · 87 tokens/s`."""
    usage = usage or Usage()
    parts = [model, _tokens(usage)]
    if usage.cost is not None:
        parts.append(_dollars(usage.cost))
    first = timing.to_first()
    if first is not None:
        parts.append(f"first token after {first:.2f} s")
    elif timing.ended is not None:
        parts.append(f"{timing.ended - timing.began:.2f} s")
    rate = timing.rate(usage.output_tokens)
    if rate is not None:
        parts.append(f"{rate:.0f} tokens/s" if rate >= 10 else f"{rate:.1f} tokens/s")
    return " · ".join(filter(None, parts))


def _dollars(cost: Decimal) -> str:
    """Two digits that count, and cents where there are any."""
    if not cost:
        return "$0"
    digits = max(2, 1 - cost.adjusted())
    return f"${cost:.{digits}f}"


def _tokens(usage: Usage) -> str:
    if usage.total_tokens is None:
        return "tokens not reported"
    counted = ((usage.input_tokens, "in"), (usage.output_tokens, "out"))
    told = [f"{count} {way}" for count, way in counted if count is not None]
    told[0] = told[0].replace(" ", " tokens ", 1)
    if usage.reasoning_tokens:
        told[-1] += f" ({usage.reasoning_tokens} reasoning)"
    counts = ", ".join(told)
    return f"about {counts} (estimated)" if usage.estimated else counts
