"""Models that must get the reasoning of earlier turns back, told by their names, in any format.

Specification: https://api-docs.deepseek.com/guides/thinking_mode and
https://platform.moonshot.ai/docs/guide/use-kimi-k2-thinking-model. DeepSeek refuses a history with tools in which any
message of the assistant lacks its reasoning; Kimi, one in which a message with calls does. Where there is none, as in
another vendor's turn, a blank stands for it, for an empty text was refused at times.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from llmstream.checks import as_object

BLANK = " "
Owed = Literal["always", "calls"]

_SAYS_OFF: tuple[tuple[tuple[str, ...], Any], ...] = (
    (("thinking", "type"), "disabled"),
    (("reasoning", "effort"), "none"),
    (("reasoning", "enabled"), False),
    (("chat_template_kwargs", "thinking"), False),  # of vLLM, SGLang and llama.cpp
    (("chat_template_kwargs", "enable_thinking"), False),
    (("enable_thinking",), False),
)
"""Where a body says that the model shall not reason, and in which word."""
_PLACES = frozenset(path[0] for path, _ in _SAYS_OFF)

_KNOWN: tuple[tuple[re.Pattern[str], Owed], ...] = (
    (re.compile(r"deepseek-v([4-9]|[1-9]\d)"), "always"),
    (re.compile(r"kimi-(k2[.p-]?[5-9](?!\d)|k2-thinking|k[3-9]|for-coding)"), "calls"),
)


def owed_to(model: str) -> Owed | None:
    """The assistant's messages that must have it where this model is served; None: none, as far as its name tells."""
    name = model.lower()
    for pattern, owed in _KNOWN:
        if pattern.search(name):
            return owed
    return None


def is_off(body: Mapping[str, Any]) -> bool:
    """Whether a request tells the model not to reason."""
    if _PLACES.isdisjoint(body):
        return False
    found = ((_member(body, path), word) for path, word in _SAYS_OFF)
    return any(value == word and type(value) is type(word) for value, word in found)


def _member(body: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    *outer, name = path
    for each in outer:
        body = as_object(body.get(each))
    return body.get(name)
