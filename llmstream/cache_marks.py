"""Cache marks: how long a provider should keep the prompt up to the end of a part.

A part of ours has `cache`, "5m" or "1h". Anthropic, OpenAI and Amazon have words of their own for a mark. A vendor that
caches by itself has none and gets none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

Cache = Literal["5m", "1h"]
MOST = 4
"""Marks that one request may have, at Anthropic, at OpenAI and at Amazon."""

CONTROL = "cache_control"
"""Anthropic's word, which OpenRouter takes too: docs.anthropic.com/en/docs/build-with-claude/prompt-caching."""
BREAKPOINT = "prompt_cache_breakpoint"
"""OpenAI's word (openai.types.chat.ChatCompletionContentPartTextParam). Its shortest time is 30 minutes."""
POINT = "cachePoint"
"""Amazon's word: docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html. The mark is a block of its own."""

_WORDS: Mapping[str, Mapping[Cache, Mapping[str, Any]]] = {
    CONTROL: {"5m": {"type": "ephemeral"}, "1h": {"type": "ephemeral", "ttl": "1h"}},
    BREAKPOINT: {"5m": {"mode": "explicit"}, "1h": {"mode": "explicit", "ttl": "12h"}},
    POINT: {"5m": {"type": "default"}, "1h": {"type": "default", "ttl": "1h"}},
}
"""What a mark is in each word."""
_TIMES: Mapping[str, Mapping[Any, Cache]] = {
    CONTROL: {None: "5m", "5m": "5m", "1h": "1h"},
    BREAKPOINT: {None: "5m", "30m": "5m", "12h": "1h"},
    POINT: {None: "5m", "5m": "5m", "1h": "1h"},
}
"""What the `ttl` of each word means."""
_KINDS = {
    CONTROL: ("type", "ephemeral"),
    BREAKPOINT: ("mode", "explicit"),
    POINT: ("type", "default"),
}
"""The field that each word must have."""

_OPENAI_MODEL = re.compile(r"gpt-(\d+)(?:\.(\d+))?")


def check_cache(value: Any, where: str) -> Cache | None:
    """The value of `cache`. Raises ValueError for one that isn't a mark."""
    if value not in (None, "5m", "1h"):
        raise ValueError(f"{where}.cache must be '5m' or '1h', not {value!r}")
    return cast("Cache | None", value)


def parse_cache(block: Mapping[str, Any], where: str) -> Cache | None:
    """The mark on a part, a message, a call or a tool, in our own word or a vendor's. Raises ValueError."""
    for word, times in _TIMES.items():
        value = block.get(word)
        if value is None:
            continue
        field, kind = _KINDS[word]
        if (
            not isinstance(value, Mapping)
            or value.get(field) != kind
            or value.get("ttl") not in times
        ):
            ttls = " or ".join(str(ttl) for ttl in times if ttl)
            raise ValueError(
                f'{where}.{word} must be {{"{field}": "{kind}"}}, with a ttl of {ttls} if you like'
            )
        return times[value.get("ttl")]
    return check_cache(block.get("cache"), where)


def cache_of(block: Mapping[str, Any]) -> Cache | None:
    """The mark on a block that nobody checked; None if it has none that can be read."""
    try:
        return parse_cache(block, "")
    except ValueError:
        return None


def mark(block: dict[str, Any], cache: Cache | None, word: str | None) -> dict[str, Any]:
    """The block with its mark, if the target has a word for it. Further members of one that was read stay."""
    if word is None:
        return block
    further = block.pop(word, {})
    return block if cache is None else {**block, word: {**further, **_WORDS[word][cache]}}


def further_members(block: Mapping[str, Any], word: str) -> dict[str, Any]:
    """A mark's further members, under its word; empty if it has none."""
    value = block.get(word)
    if not isinstance(value, Mapping):
        return {}
    known = {_KINDS[word][0], "ttl"}
    further = {name: each for name, each in value.items() if name not in known}
    return {word: further} if further else {}


def openai_word(model: str) -> str | None:
    """OpenAI's models take explicit breakpoints from gpt-5.6 on."""
    found = _OPENAI_MODEL.search(model.lower())
    if found is None:
        return None
    version = int(found[1]), int(found[2] or 0)
    return BREAKPOINT if version >= (5, 6) else None


def drop_surplus(blocks: Sequence[dict[str, Any]], word: str, warnings: list[str]) -> None:
    """Take all marks but the last ones away, if there are more than a vendor takes."""
    marked = [block for block in blocks if word in block]
    surplus = marked[: max(0, len(marked) - MOST)]
    for block in surplus:
        del block[word]
    if surplus:
        warnings.append(f"cache: a request takes {MOST} marks; only the last {MOST} are sent")
