"""System messages at the places where the target takes them, and a user's message before the assistant's first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby, takewhile

from llmstream.cache_marks import Cache
from llmstream.messages import File, ImagePart, Message, Part, TextPart
from llmstream.provider_data import own_members
from llmstream.wire.fitting.rules import HistoryRules, SystemPlace
from llmstream.wire.outbound import warn_once

OPENING = "[The assistant begins.]"
"""What the user is made to say before an assistant's first message, where the target wants the user to begin."""
_BETWEEN = "\n\n"
"""What parts the texts of several system messages."""


def is_system(message: Message) -> bool:
    """Whether it speaks for the application. Developer is OpenAI's newer word for it."""
    return message.role in ("system", "developer")


def place_system(
    messages: list[Message], rules: HistoryRules, warnings: list[str]
) -> list[Message]:
    """The messages in the order that the target takes. Moving one from amid the turns to the front gives a warning."""
    if rules.system is SystemPlace.ANYWHERE or not any(map(is_system, messages)):
        return messages
    leading = len(list(takewhile(is_system, messages)))
    later = messages[leading:]
    amid = any(map(is_system, later))
    if rules.system is SystemPlace.AFTER_USER:
        return [*messages[:leading], *_behind_users(later, warnings)] if amid else messages
    if amid:
        warnings.append(f"system: {rules.label} take it only before the conversation; moved there")
    spoken = [message for message in messages if is_system(message)]
    turns = [message for message in later if not is_system(message)]
    if rules.system is SystemPlace.FRONT:
        spoken = [_merged(spoken, rules, warnings)]
    return [*spoken, *turns]


def system_in_text(
    messages: list[Message], rules: HistoryRules, warnings: list[str]
) -> list[Message]:
    """The messages, with what system messages show in a message of the user's behind them."""
    warn_once(warnings, f"system: its pictures and files go to {rules.label} as the user's")
    placed: list[Message] = []
    for is_spoken, run in groupby(messages, is_system):
        said = list(run)
        placed += map(_without_files, said) if is_spoken else said
        shown: list[Part] = [part for message in said for part in message.parts if _is_file(part)]
        if is_spoken and shown:
            placed.append(Message("user", shown))
    return [message for message in placed if message.parts]


def _is_file(part: Part) -> bool:
    """Whether it is shown, not said."""
    return isinstance(part, ImagePart | File)


def shows_files(message: Message) -> bool:
    """Whether it is a system message with pictures or files."""
    return is_system(message) and any(map(_is_file, message.parts))


def _without_files(message: Message) -> Message:
    texts = [part for part in message.parts if not _is_file(part)]
    return replace(message, parts=texts) if shows_files(message) else message


def open_with_user(messages: list[Message]) -> list[Message]:
    """The messages with one of the user's before the assistant's, if the assistant begins. Nothing is lost by it."""
    leading = len(list(takewhile(is_system, messages)))
    turns = messages[leading:]
    if not turns or turns[0].role != "assistant":
        return messages
    return [*messages[:leading], Message("user", [TextPart(OPENING)]), *turns]


def _merged(spoken: Sequence[Message], rules: HistoryRules, warnings: list[str]) -> Message:
    """Several system messages as one. It is one text, because many templates can't read a list of parts."""
    if len(spoken) == 1:
        return spoken[0]
    parts = [part for message in spoken for part in message.parts]
    beside = [message.provider_data for message in spoken]
    texts = [part for part in parts if isinstance(part, TextPart)]
    if len(texts) == len(parts):
        parts = [_joined(texts)]
        beside += [part.provider_data for part in texts]
    lost = {name for data in beside for name in own_members(data, rules.format)}
    if lost:
        names = ", ".join(sorted(lost))
        warn_once(warnings, f"system: {rules.label} take one; sent as one, without {names}")
    return replace(spoken[0], parts=parts, provider_data=None)


def _joined(texts: Sequence[TextPart]) -> TextPart:
    last: Cache | None = None
    for part in texts:
        last = part.cache or last
    return TextPart(_BETWEEN.join(part.text for part in texts), last)


def _behind_users(messages: Sequence[Message], warnings: list[str]) -> list[Message]:
    """Each turn's system messages as one, behind what the user says in that turn."""
    placed: list[Message] = []
    said: list[Message] = []
    for message in messages:
        if message.role == "assistant":
            placed += [*_turn(said, warnings), message]
            said = []
        else:
            said.append(message)
    return [*placed, *_turn(said, warnings)]


def _turn(said: Sequence[Message], warnings: list[str]) -> list[Message]:
    """What stands between two of the assistant's messages."""
    spoken = [message for message in said if is_system(message)]
    others = [message for message in said if not is_system(message)]
    if not spoken:
        return others
    parts: list[Part] = [part for message in spoken for part in message.parts]
    if others:
        return [*others, replace(spoken[0], role="system", parts=parts, name=None)]
    warning = "system: it follows no user's turn; sent as the user's"
    warn_once(warnings, warning)
    return [Message("user", parts)]
