"""Counts in the wild: under other names, on several chunks, as placeholders, below zero."""

from __future__ import annotations

from typing import Any

from llmstream.testing.faults.wild.rows import (
    CHAT,
    DONE,
    MESSAGES,
    chat,
    chunk,
    frames,
    said,
    start,
    stopped,
    wild,
)

_HI = chunk({"content": "Hi"})
_COUNTS: dict[str, Any] = {"input_tokens": 11, "output_tokens": 5}


def _counted(*usages: dict[str, object]) -> bytes:
    """An answer with several usage objects."""
    counted = ({"choices": [], "usage": usage} for usage in usages)
    return frames(_HI, chunk({}, "stop"), *counted) + DONE


wild(
    "usage-by-other-names",
    "Usage is named `input_tokens` and `output_tokens` in chat",
    {CHAT: chat({"content": "Hi"}, usage=_COUNTS)},
    text="Hi",
    **_COUNTS,
)
wild(
    "usage-on-two-chunks",
    "Prompt and completion are counted on different chunks",
    {CHAT: _counted({"prompt_tokens": 11}, {"completion_tokens": 5})},
    text="Hi",
    **_COUNTS,
)
wild(
    "usage-of-nulls-after-counts",
    "A usage object of nulls comes after the counts",
    {
        CHAT: _counted(
            {"prompt_tokens": 11, "completion_tokens": 5},
            {"prompt_tokens": None, "completion_tokens": None},
        ),
        MESSAGES: frames(
            start(input_tokens=11),
            *said("Hi"),
            *stopped("end_turn", input_tokens=None),
        ),
    },
    text="Hi",
    **_COUNTS,
)
wild(
    "usage-in-floats",
    "Counts are whole numbers with a point",
    {CHAT: _counted({"prompt_tokens": 11.0, "completion_tokens": 5.0})},
    text="Hi",
    **_COUNTS,
)
wild(
    "usage-below-zero",
    "A count is negative: it is none",
    {CHAT: _counted({"prompt_tokens": 11, "completion_tokens": 5}, {"completion_tokens": -1})},
    text="Hi",
    **_COUNTS,
)
wild(
    "usage-without-the-reasoning",
    "`completion_tokens` leaves out the reasoning that the total counts (xAI)",
    {
        CHAT: _counted(
            {
                "prompt_tokens": 11,
                "completion_tokens": 2,
                "total_tokens": 16,
                "completion_tokens_details": {"reasoning_tokens": 3},
            }
        )
    },
    text="Hi",
    **_COUNTS,
)
wild(
    "usage-placeholder-in-a-cut-answer",
    "The answer is cut after Anthropic's placeholder of one output token",
    {MESSAGES: frames(start(), *said("Hi"))},
    "truncated",
    text=None,
    shown=True,
    no_output_tokens=True,
)
