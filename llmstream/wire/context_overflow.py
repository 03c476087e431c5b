"""Context overflows: the numbers in a vendor's refusal, and the refusal in the words that each vendor's clients know.

Clients look for words: LangChain, LiteLLM, pydantic-ai and Claude Code shorten the conversation when they find them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Overflow:
    """How many tokens there were, and how many there may be. None: nobody said."""

    prompt: int | None = None
    limit: int | None = None
    answer: int | None = None
    """The `max_tokens` that was asked for, where the prompt alone would have had room."""


@dataclass(frozen=True, slots=True)
class Wording:
    """One way to say it. The groups of `pattern` are `prompt`, `limit`, `answer`."""

    source: str
    pattern: str


WORDINGS = (
    Wording(
        "docs.claude.com/en/api/errors: prompt is too long: 210000 tokens > 200000 maximum",
        r"too long[^:]*: (?P<prompt>\d+) tokens > (?P<limit>\d+) maximum",
    ),
    Wording(
        "docs.claude.com/en/docs/build-with-claude/context-windows: "
        "input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000",
        r"exceed context limit: (?P<prompt>\d+) \+ (?P<answer>\d+) > (?P<limit>\d+)",
    ),
    Wording(
        "OpenAI: This model's maximum context length is 128000 tokens. However, you requested 130000 tokens "
        "(120000 in the messages, 10000 in the completion).",
        r"context length is (?P<limit>\d+) tokens.*?"
        r"\((?P<prompt>\d+) in the messages.*?(?P<answer>\d+) in the completion",
    ),
    Wording(
        "OpenAI: This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens",
        r"context length is (?P<limit>\d+) tokens.*?(?:resulted in|you requested) (?P<prompt>\d+) tokens",
    ),
    Wording(
        "vLLM: This model's maximum context length is 4096 tokens. However, you requested 500 output tokens and your "
        "prompt contains at least 4097 input tokens",
        r"context length is (?P<limit>\d+) tokens.*?(?P<answer>\d+) output tokens.*?(?P<prompt>\d+) input tokens",
    ),
    Wording(
        "llama.cpp: request (4187 tokens) exceeds the available context size (4096 tokens)",
        r"request \((?P<prompt>\d+) tokens\) exceeds the available context size \((?P<limit>\d+) tokens",
    ),
    Wording(
        "ai.google.dev: The input token count (1048577) exceeds the maximum number of tokens allowed (1048576).",
        r"input token count \(?(?P<prompt>\d+)\)? exceeds the maximum number of tokens allowed \(?(?P<limit>\d+)",
    ),
    Wording(
        "docs.x.ai: This model's maximum prompt length is 131072 but the request contains 537812 tokens.",
        r"maximum prompt length is (?P<limit>\d+) but the request contains (?P<prompt>\d+) tokens",
    ),
    Wording(
        "docs.mistral.ai: Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum "
        "context length",
        r"prompt contains (?P<prompt>\d+) tokens.*?model with (?P<limit>\d+) maximum context length",
    ),
)
"""Each source is an example, which a test holds the pattern against."""


def parse_overflow(text: str) -> Overflow:
    """The numbers in a refusal."""
    for wording in WORDINGS:
        found = re.search(wording.pattern, text[:2000], re.I | re.S)
        if found is not None:
            return _overflow(**{name: int(number) for name, number in found.groupdict().items()})
    return Overflow()


def _overflow(prompt: int, limit: int, answer: int | None = None) -> Overflow:
    """Where the prompt alone is too long, a smaller answer doesn't help."""
    return Overflow(prompt, limit, answer if prompt < limit else None)


def plain_words(overflow: Overflow) -> str:
    """In words of our own, which `parse_overflow` reads too."""
    prompt, limit, answer = overflow.prompt, overflow.limit, overflow.answer
    if prompt is None or limit is None:
        return "The conversation is too long for this model."
    if answer is not None:
        return (
            f"The conversation and max_tokens exceed context limit: {prompt} + {answer} > {limit}"
        )
    return f"The conversation is too long for this model: {prompt} tokens > {limit} maximum"


def anthropic_words(overflow: Overflow) -> str:
    """As Anthropic says it. Without numbers, by the token that its gateway protocol names."""
    prompt, limit, answer = overflow.prompt, overflow.limit, overflow.answer
    if prompt is None or limit is None:
        return "prompt is too long (capability_rejected: prompt_too_long)"
    if answer is not None:
        return (
            f"input length and `max_tokens` exceed context limit: {prompt} + {answer} > {limit}, "
            "decrease input length or `max_tokens` and try again"
        )
    return f"prompt is too long: {prompt} tokens > {limit} maximum"


def openai_words(overflow: Overflow) -> str:
    """As OpenAI says it."""
    prompt, limit, answer = overflow.prompt, overflow.limit, overflow.answer
    shorten = "Please reduce the length of the messages."
    if prompt is None or limit is None:
        return f"This model's maximum context length is exceeded. {shorten}"
    known = f"This model's maximum context length is {limit} tokens. However, "
    if answer is None:
        return f"{known}your messages resulted in {prompt} tokens. {shorten}"
    return (
        f"{known}you requested {prompt + answer} tokens ({prompt} in the messages, {answer} in the completion). "
        "Please reduce the length of the messages or completion."
    )
