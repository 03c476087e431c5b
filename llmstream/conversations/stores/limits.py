"""StoreLimits: how much a store keeps, of one conversation, of one owner and in all.

The rules of every store:

1. A question that is too large, or one too many in its conversation, is refused (ConversationLimitError). An answer is
   always stored: it was paid for, and the next question is refused instead.
2. What is too much of one owner's goes, for the new to have room: the sessions that were begun first; the conversations
   in which nothing was said, then those that were used longest ago. Nobody loses anything to another owner.
3. Where the whole store is full, new sessions, conversations and questions are refused (StoreFullError).
4. `ttl` is a store's own: seconds after its last turn at which a conversation is forgotten, and after its beginning a
   session.

Sizes are bytes of the records as JSON. In Redis an owner's surplus goes right after the new was written.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Final, NamedTuple

from llmstream.checks import is_count, require
from llmstream.conversations.errors import ConversationLimitError, StoreFullError
from llmstream.conversations.records import Turn

MONTH: Final = 30 * 86_400.0
"""The `ttl`, in seconds, of what `llmstream serve` and `create_app` keep."""
_FULL = "the store keeps as many {} as it may: raise {}, or delete some"


@dataclass(frozen=True, slots=True)
class StoreLimits:
    """The bounds of a store. None means no limit. Raises ValueError unless a bound is a whole number from 1 on."""

    turns: int | None = None
    """Turns of one conversation."""
    turn_bytes: int | None = None
    """Bytes of a question, with its documents and attachments."""
    conversations: int | None = None
    """Conversations of one owner."""
    owner_bytes: int | None = None
    """Bytes of all conversations of one owner."""
    sessions: int | None = None
    """Sessions of one owner."""
    all_conversations: int | None = None
    all_bytes: int | None = None
    """Bytes of all conversations."""
    all_sessions: int | None = None

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            problem = f"{each.name} must be a whole number from 1 on, or None, not {value!r}"
            require(value is None or is_count(value), problem)

    @property
    def count_conversations(self) -> bool:
        """Whether conversations are counted at all."""
        return self.count_owner or self.count_all

    @property
    def count_owner(self) -> bool:
        """Whether those of each owner are."""
        return self.conversations is not None or self.owner_bytes is not None

    @property
    def count_all(self) -> bool:
        """Whether those of all owners are."""
        return self.all_conversations is not None or self.all_bytes is not None

    def check_question(self, position: int, size: int) -> None:
        """Raise ConversationLimitError for a question of `size` bytes at `position` that is too much."""
        require(
            within(position + 1, self.turns),
            f"the conversation has {self.turns} turns, and may have no more: begin another",
            ConversationLimitError,
        )
        require(
            within(size, self.turn_bytes),
            f"the question takes {size} bytes, of {self.turn_bytes} that it may: send less with it",
            ConversationLimitError,
        )

    def make_room(self, of_owner: Iterable[Kept], total: Total, new: Kept) -> list[Kept]:
        """The conversations of an owner that go for `new`, which has all its bytes, to have room.

        `of_owner` and `total` are what is stored now. Raises ConversationLimitError or StoreFullError, and then nothing
        is to go.
        """
        mine = [*of_owner]
        self.check_size(new.size)
        gone = self.surplus(mine, new)
        replaced = [*gone, *(kept for kept in mine if kept.id == new.id)]
        rest = total.without(replaced)
        self.check_total(Total(rest.number + 1, rest.size + new.size))
        return gone

    def check_size(self, size: int) -> None:
        """Raise ConversationLimitError for a conversation that alone is too much for its owner."""
        require(
            within(size, self.owner_bytes),
            f"the conversation takes {size} bytes, of {self.owner_bytes} that its owner has: begin another",
            ConversationLimitError,
        )

    def surplus(self, of_owner: Iterable[Kept], new: Kept) -> list[Kept]:
        """The conversations of an owner that go, so that `new` and the rest are within the limits."""
        mine = sorted(of_owner, key=lambda kept: (kept.is_used, kept.used, kept.id), reverse=True)
        others = [kept for kept in mine if kept.id != new.id]
        size = new.size + sum(kept.size for kept in others)
        gone = []
        while others and not self._owner_has_room(len(others) + 1, size):
            gone.append(others.pop())
            size -= gone[-1].size
        return gone

    def _owner_has_room(self, count: int, size: int) -> bool:
        return within(count, self.conversations) and within(size, self.owner_bytes)

    def check_total(self, total: Total) -> None:
        """Raise StoreFullError where a store may not keep as much."""
        many = _FULL.format("conversations", "all_conversations")
        require(within(total.number, self.all_conversations), many, StoreFullError)
        large = _FULL.format("bytes", "all_bytes")
        require(within(total.size, self.all_bytes), large, StoreFullError)

    def check_sessions(self, count: int) -> None:
        """Raise StoreFullError where a store with `count` sessions may have no more."""
        full = _FULL.format("sessions", "all_sessions")
        require(within(count + 1, self.all_sessions), full, StoreFullError)


SERVED: Final = StoreLimits(
    turns=1_000,
    turn_bytes=8 << 20,
    conversations=1_000,
    owner_bytes=64 << 20,
    sessions=1_000,
    all_conversations=20_000,
    all_bytes=256 << 20,
    all_sessions=20_000,
)
"""The limits of what `llmstream serve` and `create_app` keep.

A question may be as large as a request's body. 256 MB are what a small machine has to spare.
"""


class Kept(NamedTuple):
    """A conversation, as limits count it."""

    id: str
    used: float
    """Seconds since some moment; the larger, the later."""
    size: int
    """Bytes."""
    is_used: bool
    """Whether anything was said in it."""


class Total(NamedTuple):
    """A number of conversations, and their bytes."""

    number: int
    size: int

    def without(self, some: Sequence[Kept]) -> Total:
        """The total without some conversations."""
        return Total(self.number - len(some), self.size - sum(kept.size for kept in some))


def within(number: int, limit: int | None) -> bool:
    """Whether the number is within the limit; None is none."""
    return limit is None or number <= limit


def size_of(text: str) -> int:
    """The bytes of a record as JSON, which is ASCII."""
    return len(text)


def is_question(turn: Turn) -> bool:
    """Whether a turn is stored because it is about to be answered."""
    return turn.state == "open"


def check_ttl(ttl: float | None) -> float | None:
    """The `ttl`. Raises ValueError for what isn't a time above 0, or None for no end."""
    problem = f"ttl must be seconds, or None for no end, not {ttl!r}"
    require(ttl is None or 0 < ttl < math.inf, problem)
    return ttl
