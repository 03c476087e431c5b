"""The requirements of a call on its model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llmstream.client_arguments import CallOptions
from llmstream.message_reader import parse_messages
from llmstream.messages import File, ImagePart, Message
from llmstream.token_estimate import estimate_tokens, estimate_tools
from llmstream.tool_reader import parse_tools


@dataclass(frozen=True, slots=True)
class Needs:
    """The needs of a request: inputs that a model must take, and room for so many tokens, by estimate."""

    tools: bool = False
    images: bool = False
    files: bool = False
    schemas: bool = False
    tokens: int = 0

    def names(self) -> list[str]:
        """The capabilities, by the names they have on a Candidate."""
        return [name for name in ("tools", "images", "files", "schemas") if getattr(self, name)]


def needs_of(messages: Sequence[Message | Mapping[str, Any]], options: CallOptions) -> Needs:
    """The needs of a call with these messages and options. Raises TypeError or ValueError as `chat_completion` does."""
    parsed = parse_messages(messages)
    parts = [part for message in parsed for part in message.parts]
    tools = parse_tools(options.get("tools"))
    answer = options.get("max_tokens") or 0
    return Needs(
        tools=bool(tools),
        images=any(isinstance(part, ImagePart) for part in parts),
        files=any(isinstance(part, File) for part in parts),
        schemas=options.get("response_format") is not None,
        tokens=sum(map(estimate_tokens, parsed)) + estimate_tools(tools) + answer,
    )
