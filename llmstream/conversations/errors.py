"""Errors of conversations, apart from the model's own failures.

    LLMStreamError
    └── ConversationError
        ├── AccessError           no such conversation, or not yours: which of the two is never said
        ├── ConversationBusyError another turn is being answered; `retry_after` seconds may help
        ├── TurnError             this turn can't be asked, or asked again
        ├── ContextTooLongError   the newest turn alone is longer than the policy allows
        ├── ConversationLimitError  the question, or its conversation, is larger than the store takes
        ├── ImportFormatError     not an export, or of a version that isn't known
        └── StoreError            the store can't be read or written
            └── StoreFullError    it keeps as much as it may

They are raised at once: those about the caller's arguments before the model is asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmstream.errors import LLMStreamError

if TYPE_CHECKING:
    from llmstream.conversations.records import Turn


class ConversationError(LLMStreamError):
    """Something about a conversation is wrong; the message says what to do."""

    unsaved: Turn | None = None
    """The turn that the store did not take, with the answer if it had come: it is nowhere else."""


class AccessError(ConversationError):
    """The session, its token or the conversation is unknown, or belongs to somebody else.

    One message for all of them: whoever guesses ids learns nothing. `hint` is for the programmer.
    """

    def __init__(self, hint: str = "") -> None:
        super().__init__(
            "no such session or conversation, or the token doesn't open it: start or resume a session"
            + hint
        )


class ConversationBusyError(ConversationError):
    """Another turn of this conversation is being answered. Nothing was stored and nobody was asked."""

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        """Seconds after which the other turn is over, or given up if its program has died."""


class TurnError(ConversationError):
    """The turn can't be asked, or asked again, or stored."""


class ContextTooLongError(ConversationError):
    """The messages that must be sent are longer than `ContextPolicy.max_tokens`; nothing was sent."""


class ConversationLimitError(ConversationError):
    """The question, or its conversation, is larger than the store's limits. Nothing was stored, nobody was asked."""


class ImportFormatError(ConversationError, ValueError):
    """Not an export of a conversation, or of a version that this release doesn't know."""


class StoreError(ConversationError):
    """The store can't be opened, read or written. What was acknowledged before is still in it."""


class StoreFullError(StoreError):
    """The store keeps as much as it may: nothing new was stored. What is in it can still be read."""
