"""Store: what conversations need of a database. Small, so that another one is an afternoon's work.

1. Records go in and come out by value: changing one afterwards changes nothing that is stored.
2. A turn is written under the conversation's lease. `acquire` gives it to one caller at a time, for
   some seconds; its holder may `renew` it. A lease that ran out can be acquired by another, and
   while that one holds it the first one's writes are refused: this keeps turns in order between
   processes, and lets others go on when one dies. Where nobody holds the lease, a turn that still
   fits is stored (`takes_without_lease`): a database may lose a lease, and an answer is worth more.
3. A lease runs out by time that passed, never because a machine's date was changed: a clock that
   jumps neither ends a lease nor prolongs it.
4. When `write` returns True, the turn is stored as safely as the database stores anything.
5. Every method may raise StoreError, and leaves things as they were then. Nobody is identified
   here: that a caller may see a conversation is checked before.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from typing import Protocol, TypeVar

from llmstream.conversations.errors import StoreError
from llmstream.conversations.records import ConversationRecord, Owner, SessionRecord, Turn
from llmstream.thread import in_thread

Record = TypeVar("Record", SessionRecord, ConversationRecord, Turn)

BUSY = "another turn of this conversation is being answered"
"""What a ConversationBusyError says in every store."""
_LITTLE = 256 * 1024
"""Bytes that take some milliseconds to parse or to write: less than it is worth to change threads for."""
_FEW = 20
"""Turns that are written as quickly, if they are of a usual size."""
_LONG = ("text", "arguments", "content", "data")
"""The fields of parts that may be large."""


class Store(Protocol):
    """Keeps sessions, conversations and turns. The five rules are in this module's docstring."""

    async def add_session(self, session: SessionRecord) -> None:
        """Keep a new session."""

    async def session(self, session_id: str) -> SessionRecord | None:
        """The session of this id, if there is one."""
        ...

    async def add_conversation(
        self, conversation: ConversationRecord, turns: Sequence[Turn] = ()
    ) -> None:
        """Keep a new conversation, with all of `turns` or not at all."""

    async def conversation(self, conversation_id: str) -> ConversationRecord | None:
        """The conversation of this id, if there is one."""
        ...

    async def conversations(self, owner: Owner) -> list[ConversationRecord]:
        """All of one owner's, oldest first."""
        ...

    async def delete_conversation(self, conversation_id: str) -> None:
        """Forget it with all its turns; nothing happens where there is none. A turn under way can't be stored then."""

    async def delete_owner(self, owner: Owner) -> int:
        """Forget all sessions and conversations of an owner; returns how many conversations there were."""
        ...

    async def turns(self, conversation_id: str) -> list[Turn]:
        """All turns of a conversation, in order. The list is empty if the conversation doesn't exist."""
        ...

    async def acquire(self, conversation_id: str, lease: str, seconds: float) -> list[Turn]:
        """Take the lease under the name `lease` for `seconds`, and give all turns as they are now.

        Raises ConversationBusyError while another holds it, AccessError where there is no such conversation.
        """
        ...

    async def renew(self, conversation_id: str, lease: str, seconds: float) -> bool:
        """Hold the lease for `seconds` from now. False: another has it, or had it meanwhile."""
        ...

    async def write(
        self, conversation_id: str, lease: str, position: int, turn: Turn, *, release: bool
    ) -> bool:
        """Store the turn at `position` (from 0), and let the lease go if `release`.

        It takes the place of the turn there, or follows the last one. False: another has the lease,
        or had it meanwhile and wrote; nothing was stored.
        """
        ...

    async def release(self, conversation_id: str, lease: str) -> None:
        """Let the lease go, if it is still held under this name."""

    async def aclose(self) -> None:
        """Close what the store itself opened; using it afterwards opens it again."""


def find_rest(now: float, renewed: float, seconds: float) -> float:
    """How many seconds a lease still has, by a clock that counts from the machine's start.

    A lease that was renewed after `now` is of an earlier start, and its program is gone: 0.
    """
    passed = now - renewed
    return seconds - passed if 0 <= passed < seconds else 0.0


def takes_without_lease(count: int, last: Turn | None, position: int, turn: Turn) -> bool:
    """Whether a turn is stored though its writer's lease is gone, where nobody else has one.

    `count` turns are stored, and `last` is the last of them. The turn follows it, or is that very
    turn and nobody has answered it meanwhile.
    """
    if position == count:
        return True
    return (
        position == count - 1
        and last is not None
        and last.id == turn.id
        and last.state != "complete"
    )


def render(record: SessionRecord | ConversationRecord | Turn) -> str:
    """A record as the one line of JSON that every store here keeps.

    NaN and the infinities, which some servers and models write, become null, as in JavaScript: JSON has none.
    """
    data = record.to_dict()
    try:
        return json.dumps(data, separators=(",", ":"), allow_nan=False)
    except ValueError:
        finite = json.loads(json.dumps(data), parse_constant=lambda _: None)
        return json.dumps(finite, separators=(",", ":"), allow_nan=False)


def parse(kind: type[Record], text: str | bytes) -> Record:
    """The record that `render` wrote. Raises StoreError for anything else that is found in its place."""
    try:
        return kind.from_dict(json.loads(text))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as problem:
        raise StoreError(
            f"a stored {kind.__name__} can't be read ({type(problem).__name__}: {problem}): if it is damaged, restore "
            "a backup; if a newer llmstream wrote it, upgrade this one"
        ) from None


async def parse_turns(texts: Sequence[str | bytes]) -> list[Turn]:
    """The turns that `render` wrote; in a thread where they are large, so that others go on meanwhile."""
    parse_all = partial(_parse_turns, list(texts))
    return parse_all() if sum(map(len, texts)) <= _LITTLE else await in_thread(parse_all)


def _parse_turns(texts: Sequence[str | bytes]) -> list[Turn]:
    return [parse(Turn, text) for text in texts]


async def render_turns(turns: Sequence[Turn]) -> list[str]:
    """Render each turn as JSON, in a thread where they are large or many."""
    render_all = partial(_render_turns, list(turns))
    is_little = len(turns) <= _FEW and sum(map(_length_of, turns)) <= _LITTLE
    return render_all() if is_little else await in_thread(render_all)


def _render_turns(turns: Sequence[Turn]) -> list[str]:
    return [render(turn) for turn in turns]


def _length_of(turn: Turn) -> int:
    """Characters of the texts and media in a turn: a rough measure of its size, which is quick."""
    parts = [part for message in turn.messages for part in message.parts]
    values = [getattr(part, name, None) for part in parts for name in _LONG]
    values += [document.get("content") for document in turn.documents]
    return sum(len(value) for value in values if isinstance(value, str | bytes))
