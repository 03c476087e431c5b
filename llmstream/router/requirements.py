"""What a call asks of a model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llmstream.arguments import parse_messages, parse_tools
from llmstream.client import CallOptions
from llmstream.messages import (
    File,
    ImagePart,
    Message,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCall,
    ToolResult,
)

_BYTES_PER_TOKEN = 3
"""English has 4 bytes of UTF-8 for a token of today's models, Chinese about 3: estimates err to the larger side."""
_TOKENS_PER_IMAGE = 1_500
"""About the most that OpenAI and Anthropic count for an image that they don't cut into tiles."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What a model must take, and the tokens it must have room for, by estimate."""

    tools: bool = False
    images: bool = False
    files: bool = False
    schemas: bool = False
    tokens: int = 0

    def names(self) -> list[str]:
        """The capabilities, by the names they have on a Candidate."""
        return [name for name in ("tools", "images", "files", "schemas") if getattr(self, name)]


def needs_of(messages: Sequence[Message | Mapping[str, Any]], options: CallOptions) -> Needs:
    """What a call with these messages and options needs. Raises TypeError or ValueError as `chat_completion` does."""
    parts = [part for message in parse_messages(messages) for part in message.parts]
    tools = options.get("tools") or ()
    defined = sum(_bytes(repr(tool)) for tool in parse_tools(tools))
    return Needs(
        tools=bool(tools),
        images=any(isinstance(part, ImagePart) for part in parts),
        files=any(isinstance(part, File) for part in parts),
        schemas=options.get("response_format") is not None,
        tokens=sum(map(_tokens, parts))
        + defined // _BYTES_PER_TOKEN
        + (options.get("max_tokens") or 0),
    )


def _tokens(part: Part) -> int:
    if isinstance(part, ImagePart):
        return _TOKENS_PER_IMAGE
    if isinstance(part, TextPart | ReasoningPart | RefusalPart):
        return _bytes(part.text) // _BYTES_PER_TOKEN + 1
    if isinstance(part, ToolCall):
        return _bytes(part.name + part.arguments) // _BYTES_PER_TOKEN + 1
    if isinstance(part, ToolResult):
        content = (
            part.content
            if isinstance(part.content, str)
            else json.dumps(part.content, ensure_ascii=False)
        )
        return _bytes(content) // _BYTES_PER_TOKEN + 1
    return 0


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))
