"""The reasoning of earlier turns, as `reasoning_content` of the assistant's messages."""

from __future__ import annotations

from llmstream.arguments import FORMAT
from llmstream.messages import Message, ReasoningPart

KEY = "reasoning_content"


def readable(message: Message) -> str:
    """The reasoning that anybody may be given: what is signed belongs to who signed it."""
    return "".join(
        part.text
        for part in message.parts
        if isinstance(part, ReasoningPart)
        and part.signature is None
        and part.format in (None, FORMAT)
    )
