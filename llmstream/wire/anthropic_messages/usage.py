"""The usage of a Messages answer: what `message_start` says, overlaid by each `message_delta`."""

from __future__ import annotations

from typing import Any

from llmstream.checks import as_object
from llmstream.messages import Usage
from llmstream.wire.json_fields import as_count
from llmstream.wire.usage_counts import with_cached

_INPUTS = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
_OUTPUT = "output_tokens"
_COUNTS = frozenset({*_INPUTS, _OUTPUT})

_OTHER_NAMES = {"input_tokens": "prompt_tokens", _OUTPUT: "completion_tokens"}
"""OpenAI's names, which proxies write here, too."""


class UsageCounts:
    """Counts as the provider names them; per field the last one counts."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._reasoning: int | None = None
        self._placeholder: int | None = None  # of the output, before there is any

    def begin(self, usage: Any, *, has_content: bool) -> None:
        """What `message_start` says. Its output tokens count nothing yet, unless it has the content."""
        self.overlay(usage)
        if not has_content:
            self._placeholder = self._counts.pop(_OUTPUT, None)

    def overlay(self, usage: Any) -> None:
        """Later counts. A prompt of no tokens is a gateway's placeholder."""
        usage = as_object(usage)
        given = {name: as_count(usage.get(name)) for name in _COUNTS}
        for name, other in _OTHER_NAMES.items():
            if given[name] is None:
                given[name] = as_count(usage.get(other))
        if not any(given[name] for name in _INPUTS):
            given |= {name: None for name in _INPUTS if name in self._counts}
        self._counts |= {name: count for name, count in given.items() if count is not None}
        details = as_object(usage.get("output_tokens_details"))
        thinking = as_count(details.get("thinking_tokens"))
        self._reasoning = self._reasoning if thinking is None else thinking

    def usage(self, *, ended: bool) -> Usage | None:
        """The counts so far. The placeholder counts only in an answer that has ended without a better one."""
        counts = self._counts
        output = counts.get(_OUTPUT)
        if output is None and ended:
            output = self._placeholder
        if not counts and output is None:
            return None
        usage = self._of_prompt()
        usage.output_tokens = output
        usage.reasoning_tokens = self._reasoning
        return usage

    def prompt(self) -> Usage | None:
        """What the prompt takes; None while nobody has counted it."""
        is_counted = any(self._counts.get(name) for name in _INPUTS)
        return self._of_prompt() if is_counted else None

    def _of_prompt(self) -> Usage:
        fresh, read, written = (self._counts.get(name) for name in _INPUTS)
        return Usage(
            input_tokens=with_cached(fresh, read, written),
            cache_read_tokens=read,
            cache_write_tokens=written,
        )
