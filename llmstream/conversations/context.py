"""ContextPolicy: which part of a conversation is sent.

1. System messages are always sent.
2. So is the newest turn: everything from the last user message on. If that and the system messages are too long by
   themselves, ContextTooLongError is raised, before anything is sent.
3. Of the older turns, the newest that fit are sent, with no gap: a turn goes whole or not at all. A turn that a later
   one refers to (a tool result whose call stands in it) is one with it, so no call is parted from its result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

from llmstream.checks import is_count, require
from llmstream.conversations.errors import ContextTooLongError
from llmstream.messages import Message, ToolCall, ToolResult
from llmstream.token_estimate import estimate_tokens

CountTokens: TypeAlias = Callable[[Message], int]


@dataclass(frozen=True, slots=True)
class ContextPolicy:
    """How much of a conversation is sent: at most `max_tokens`, as `count(message)` counts them.

    None: as much as the model takes beside the tools and the call's `max_tokens`, where `llmstream.catalogue` knows
    its context; else all of it. A budget of your own is that of the messages: leave room in it for the answer and
    the descriptions of the tools.
    """

    max_tokens: int | None = None
    count: CountTokens = estimate_tokens

    def __post_init__(self) -> None:
        limit = self.max_tokens
        require(
            limit is None or is_count(limit),
            f"max_tokens must be a whole number from 1 on, or None, not {limit!r}",
        )

    def trim(self, messages: Sequence[Message], room: int | None = None) -> list[Message]:
        """The messages that are sent, in their order. `room`: the tokens for which the model has room, if known.

        Raises ContextTooLongError where the newest turn doesn't fit in `max_tokens`. One that doesn't fit in the room
        is sent: the count is an estimate, and the model decides.
        """
        limit = room if self.max_tokens is None else self.max_tokens
        if limit is None:
            return list(messages)
        system = [index for index, message in enumerate(messages) if _is_system(message)]
        newest, *older = reversed(_turns(messages) or [[]])
        kept = {*system, *newest}
        spent = self._cost(messages, kept)
        if self.max_tokens is not None and spent > self.max_tokens:
            raise ContextTooLongError(
                f"the newest turn and the system prompt take about {spent} tokens, more than the "
                f"{self.max_tokens} of ContextPolicy(max_tokens=…): shorten it, give "
                "fewer documents, or allow more"
            )
        for turn in older:
            spent += self._cost(messages, turn)
            if spent > limit:
                break
            kept.update(turn)
        return [message for index, message in enumerate(messages) if index in kept]

    def _cost(self, messages: Sequence[Message], places: Iterable[int]) -> int:
        return sum(self.count(messages[index]) for index in places)


def _is_system(message: Message) -> bool:
    return message.role in ("system", "developer")


def _turns(messages: Sequence[Message]) -> list[list[int]]:
    """The places of the messages that belong together, without system messages."""
    starts: list[int] = []  # where each turn begins
    places: dict[str, int] = {}  # of the calls, by their ids
    for place, message in enumerate(messages):
        if _is_system(message):
            continue
        if message.role == "user" or not starts:
            starts.append(place)
        answered = [part.tool_call_id for part in message.parts if isinstance(part, ToolResult)]
        earliest = min((places[id] for id in answered if id in places), default=place)
        while starts[-1] > earliest:  # the call stands before this turn, which so is one with it
            starts.pop()
        calls = [part.id for part in message.parts if isinstance(part, ToolCall)]
        places |= dict.fromkeys(calls, place)
    return [
        [place for place in range(start, end) if not _is_system(messages[place])]
        for start, end in pairwise([*starts, len(messages)])
    ]
