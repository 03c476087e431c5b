"""ContextPolicy: which part of a conversation is sent.

1. System messages are always sent.
2. So is the newest turn: everything from the last user message on. If that and the system messages are too long by
   themselves, ContextTooLongError is raised, before anything is sent.
3. Of the older turns, the newest that fit are sent, with no gap: a turn goes whole or not at all. A turn that a later
   one refers to (a tool result whose call stands in it) is one with it, so no call is parted from its result.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from llmstream.conversations.errors import ContextTooLongError
from llmstream.media_types import essence
from llmstream.messages import File, ImagePart, Message, ToolCall, ToolResult, dump_part

CountTokens: TypeAlias = Callable[[Message], int]

_PER_MESSAGE = 4
_PER_IMAGE = 1500
_BYTES_PER_TOKEN = 3


def estimate_tokens(message: Message) -> int:
    """About how many tokens a message takes, without any vendor's tokenizer; mostly too many rather than too few.

    One for every 3 bytes of UTF-8 of all its parts, 4 for the message, 1,500 for an image or a file that isn't text.
    On 22 recorded answers that is 1.4 times the vendor's own count (median; 0.6 to 2.0): leave a margin where the
    budget is the model's limit, or give a real tokenizer's count.
    """
    tokens = _PER_MESSAGE
    for part in message.parts:
        if isinstance(part, ImagePart) or (isinstance(part, File) and not _is_text(part)):
            tokens += _PER_IMAGE
            continue
        text = getattr(part, "text", None)
        if not isinstance(text, str):
            text = json.dumps(dump_part(part), ensure_ascii=False, default=str)
        tokens += -(-len(text.encode(errors="replace")) // _BYTES_PER_TOKEN)
    return tokens


def _is_text(file: File) -> bool:
    return essence(file.media_type).startswith("text/")


@dataclass(frozen=True, slots=True)
class ContextPolicy:
    """How much of a conversation is sent: at most `max_tokens` (None: all of it), as `count(message)` counts them.

    The budget is that of the messages. Leave room in it for the answer and the descriptions of the tools.
    """

    max_tokens: int | None = None
    count: CountTokens = estimate_tokens

    def __post_init__(self) -> None:
        limit = self.max_tokens
        if limit is not None and (
            not isinstance(limit, int) or isinstance(limit, bool) or limit < 1
        ):
            raise ValueError(f"max_tokens must be a whole number from 1 on, or None, not {limit!r}")

    def trim(self, messages: Sequence[Message]) -> list[Message]:
        """The messages that are sent, in their order. Raises ContextTooLongError."""
        if self.max_tokens is None:
            return list(messages)
        system = [
            index
            for index, message in enumerate(messages)
            if message.role in ("system", "developer")
        ]
        kept = set(system)
        spent = sum(self.count(messages[index]) for index in system)
        for age, turn in enumerate(
            reversed(_turns(messages) or [[]])
        ):  # the system prompt alone may be too long
            cost = sum(self.count(messages[index]) for index in turn)
            if spent + cost > self.max_tokens:
                if age == 0:
                    raise ContextTooLongError(
                        f"the newest turn and the system prompt take about {spent + cost} tokens, more than the "
                        f"{self.max_tokens} of ContextPolicy(max_tokens=…): shorten it, give "
                        "fewer documents, or allow more"
                    )
                break
            spent += cost
            kept.update(turn)
        return [message for index, message in enumerate(messages) if index in kept]


def _turns(messages: Sequence[Message]) -> list[list[int]]:
    """The places of the messages that belong together, system messages left out."""
    turns: list[list[int]] = []
    made: dict[str, int] = {}  # the turn of each call
    for index, message in enumerate(messages):
        if message.role in ("system", "developer"):
            continue
        if message.role == "user" or not turns:
            turns.append([])
        turns[-1].append(index)
        for part in message.parts:
            if (
                isinstance(part, ToolResult)
                and (first := made.get(part.tool_call_id, len(turns))) < len(turns) - 1
            ):
                turns[first:] = [[place for turn in turns[first:] for place in turn]]
                made = {id: min(turn, first) for id, turn in made.items()}
            elif isinstance(part, ToolCall):
                made[part.id] = len(turns) - 1
    return turns
