"""The reasoning of earlier turns, as `reasoning_content` of the assistant's messages: who gets it back, and who must.

Specification: https://api-docs.deepseek.com/guides/thinking_mode and
https://platform.moonshot.ai/docs/guide/use-kimi-k2-thinking-model. DeepSeek refuses a history with tools in which any
message of the assistant lacks the key; Kimi, one in which a message with calls does. Where there is no reasoning, as in
another vendor's turn, the key stands all the same: its value is a blank, for an empty one was refused at times.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from llmstream.messages import Message, ReasoningPart
from llmstream.wire.openai_chat.arguments import FORMAT

KEY = "reasoning_content"
BLANK = " "
Owed = Literal["always", "calls"]

_KNOWN: tuple[tuple[re.Pattern[str], Owed], ...] = (
    (re.compile(r"deepseek-v([4-9]|[1-9]\d)"), "always"),
    (re.compile(r"kimi-(k2[.p-]?[5-9](?!\d)|k2-thinking|k[3-9])"), "calls"),
)


def owed_to(model: str) -> Owed | None:
    """The messages that must have the key where this model is served; None: none, as far as its name tells."""
    return next((owed for pattern, owed in _KNOWN if pattern.search(model.lower())), None)


def is_off(body: Mapping[str, Any]) -> bool:
    """Whether a request tells the model not to reason."""
    thinking, reasoning = body.get("thinking"), body.get("reasoning")
    if isinstance(thinking, Mapping) and thinking.get("type") == "disabled":
        return True
    if isinstance(reasoning, Mapping) and (reasoning.get("effort") == "none" or reasoning.get("enabled") is False):
        return True
    return body.get("enable_thinking") is False


def readable(message: Message) -> str:
    """The reasoning that anybody may be given: what is signed belongs to who signed it."""
    return "".join(
        part.text
        for part in message.parts
        if isinstance(part, ReasoningPart) and part.signature is None and part.format in (None, FORMAT)
    )
