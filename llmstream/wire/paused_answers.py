"""Answers that stopped at the limit of one request: the same request with a token goes on.

Sources: https://ai.google.dev/api/generate-content (`continuationToken`) and google-genai's CreateModelInteraction
(`continuation_token`).
"""

from __future__ import annotations

from collections.abc import Sequence

from llmstream.checks import as_text
from llmstream.messages import Message, ProviderPart


def without_pause(
    history: Sequence[Message], host: str, format: str, member: str
) -> tuple[Sequence[Message], str | None]:
    """The history without the paused answers at its end, and the token with which the last of them goes on.

    `member` is the format's name for the token.
    """
    token: str | None = None
    end = len(history)
    while end and (found := _token_of(history[end - 1], host, format, member)) is not None:
        token = token or found
        end -= 1
    return history[:end], token


def _token_of(message: Message, host: str, format: str, member: str) -> str | None:
    last = message.parts[-1] if message.parts else None
    if message.role != "assistant" or message.provider not in (None, host):
        return None
    if not isinstance(last, ProviderPart) or last.format != format:
        return None
    return as_text(last.data.get(member))
