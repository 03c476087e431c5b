"""The usage object of chat completions, and the family's variants of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmstream.messages import Usage
from llmstream.wire.json_fields import as_count


def parse_usage(usage: Any) -> Usage | None:
    """What it counts; None if it isn't an object."""
    if not isinstance(usage, Mapping):
        return None
    prompt = _details(usage, "prompt_tokens_details", "input_tokens_details")
    completion = _details(usage, "completion_tokens_details", "output_tokens_details")
    reasoning = _first(completion, "reasoning_tokens")
    cached = _first(prompt, "cached_tokens")
    if cached is None:
        cached = _first(usage, "prompt_cache_hit_tokens")  # DeepSeek
    return Usage(
        input_tokens=_first(usage, "prompt_tokens", "input_tokens"),
        output_tokens=_output(usage, reasoning),
        cache_read_tokens=cached,
        cache_write_tokens=_first(prompt, "cache_write_tokens"),
        reasoning_tokens=reasoning,
    )


def _output(usage: Mapping[str, Any], reasoning: int | None) -> int | None:
    """The whole answer's tokens. xAI's `completion_tokens` leave the reasoning out, which its total tells."""
    prompt = _first(usage, "prompt_tokens", "input_tokens")
    output = _first(usage, "completion_tokens", "output_tokens")
    total = _first(usage, "total_tokens")
    if prompt is None or output is None or not reasoning:
        return output
    return output + reasoning if total == prompt + output + reasoning else output


def _details(usage: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    found = (usage.get(name) for name in names)
    return next((details for details in found if isinstance(details, Mapping)), {})


def _first(counts: Mapping[str, Any], *names: str) -> int | None:
    """The first of these members that is a count."""
    found = (as_count(counts.get(name)) for name in names)
    return next((count for count in found if count is not None), None)
