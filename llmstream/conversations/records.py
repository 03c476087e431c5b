"""The records in a store: sessions, conversations and their turns, each with one JSON form.

A conversation is a list of turns. A turn begins with what the user said and holds every message that came of it, so
that a tool call is never parted from its result, and an answer never from its question.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple, Self

from llmstream.errors import ErrorInfo
from llmstream.messages import Message
from llmstream.plain_values import dump, load

State = Literal["open", "complete", "partial"]
STATES = ("open", "complete", "partial")


class Owner(NamedTuple):
    """Whose a session or conversation is: all three must match."""

    instance_id: str
    user_id: str
    project_id: str

    @property
    def key(self) -> str:
        """One text that no other owner has."""
        return json.dumps(self)


@dataclass(slots=True)
class SessionRecord:
    """A session. Its token is not here, only the token's hash."""

    id: str
    owner: Owner
    token_hash: str = field(repr=False)
    created: float = field(default_factory=time.time)

    def to_dict(self) -> dict[str, Any]:
        """JSON values; the inverse is `from_dict`."""
        return {**dump(self), "owner": list(self.owner), "created": self.created}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read `to_dict`'s form."""
        record: Self = load(cls, data)
        record.owner = Owner(*data["owner"])
        return record


@dataclass(slots=True)
class ConversationRecord:
    """A conversation without its turns."""

    id: str
    owner: Owner
    title: str | None = None
    system: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    """The application's own; any JSON."""
    parent_id: str | None = None
    """The conversation that it was forked from."""
    created: float = field(default_factory=time.time)
    """Seconds since 1970."""

    def to_dict(self) -> dict[str, Any]:
        """JSON values; the inverse is `from_dict`."""
        return {**dump(self), "owner": list(self.owner), "created": self.created}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read `to_dict`'s form."""
        record: Self = load(cls, data)
        record.owner = Owner(*data["owner"])
        return record


@dataclass(slots=True)
class Turn:
    """The user's message, and all that came of it.

    `open`: being answered, or its program died meanwhile. `complete`: answered to the provider's own end. `partial`:
    the answer failed (`error` says how) or its reader left; `messages` then hold what had arrived, if anything.
    """

    id: str
    messages: list[Message]
    """The user's message first."""
    state: State = "open"
    documents: list[dict[str, Any]] = field(default_factory=list)
    """What the application gave with the question, as `Document.model_dump` writes it."""
    error: ErrorInfo | None = None
    created: float = field(default_factory=time.time)
    """Seconds since 1970."""

    @property
    def question(self) -> Message:
        """The user's message."""
        return self.messages[0]

    @property
    def answered(self) -> bool:
        """Whether anything came of it."""
        return len(self.messages) > 1

    def abandoned(self) -> Turn:
        """As an open turn is stored once its program is gone."""
        return replace(
            self, state="partial", error=ErrorInfo("internal", "the program died", code="abandoned")
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON values; the inverse is `from_dict`."""
        data = {**dump(self), "state": self.state, "created": self.created}
        data["messages"] = [message.to_dict() for message in self.messages]
        if self.error is not None:
            data["error"] = replace(self.error, partial=None).to_dict()
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read `to_dict`'s form."""
        turn: Self = load(cls, data)
        turn.messages = [Message.from_dict(message) for message in data["messages"]]
        if turn.error is not None:
            turn.error = ErrorInfo.from_dict(data["error"])
        return turn
