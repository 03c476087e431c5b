"""A conversation as one JSON document, that can be kept, sent and read back elsewhere.

    {"format": "llmstream.conversation", "version": 1, "title": …, "system": …, "metadata": …, "turns": […]}

Turns are as `Turn.to_dict` writes them. Sessions, users and tokens are not in it. What is read back is checked, because
it may come from anywhere: no system message hides among the turns, and each turn begins with the user.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from llmstream.checks import as_object, as_text, ensure_json, require
from llmstream.conversations.documents import Document
from llmstream.conversations.errors import ImportFormatError
from llmstream.conversations.models import StartConversation
from llmstream.conversations.records import STATES, ConversationRecord, Turn
from llmstream.errors import ErrorInfo
from llmstream.message_reader import parse_messages
from llmstream.messages import Usage
from llmstream.plain_values import dump

FORMAT, VERSION = "llmstream.conversation", 1
_OVER = tuple(state for state in STATES if state != "open")


def render_export(conversation: ConversationRecord, turns: Sequence[Turn]) -> dict[str, Any]:
    """The document. A turn being answered is exported as far as it is stored: its question, not answered."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "title": conversation.title,
        "system": conversation.system,
        "metadata": conversation.metadata,
        "turns": [(turn.abandoned() if turn.state == "open" else turn).to_dict() for turn in turns],
    }


def parse_export(data: Mapping[str, Any] | str) -> tuple[StartConversation, list[Turn]]:
    """The conversation in a document. Raises ImportFormatError that names the place."""
    document = _parse_document(data)
    known = StartConversation.model_fields
    given = {name: document[name] for name in known if document.get(name) is not None}
    try:
        request = StartConversation.model_validate(given)
    except ValidationError as error:
        raise ImportFormatError(str(error)) from None
    turns = document.get("turns")
    if not isinstance(turns, list):
        raise ImportFormatError('"turns" must be a list')
    parsed = [_parse_turn(turn, f"turns[{index}]") for index, turn in enumerate(turns)]
    ids = {turn.id for turn in parsed}
    require(len(ids) == len(parsed), '"turns": two turns have one id', ImportFormatError)
    return request, parsed


def _parse_document(data: Mapping[str, Any] | str) -> Mapping[str, Any]:
    """The document as a mapping of this format and version."""
    if isinstance(data, str):
        try:
            data = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise ImportFormatError(f"not JSON: {error}") from None
    try:
        ensure_json(data, "an exported conversation")
    except TypeError as error:
        raise ImportFormatError(str(error)) from None
    data = as_object(data)
    require(
        data.get("format") == FORMAT,
        f'not an exported conversation: "format" must be "{FORMAT}"',
        ImportFormatError,
    )
    version = data.get("version")
    require(
        version == VERSION,
        f"version {version!r} of an exported conversation; this release knows {VERSION}: "
        "upgrade llmstream",
        ImportFormatError,
    )
    return data


def _check_types(turn: Turn) -> None:
    """Raise ValueError for a field of the wrong type, which would only fail when it is sent."""
    require(isinstance(turn.created, int | float), "created must be a number")
    for message in turn.messages:
        for part in message.parts:
            _check(type(part), dump(part))
        if message.usage is not None:
            _check(Usage, message.usage.to_dict())
        named = (message.name, message.id, message.model, message.provider)
        require(
            all(isinstance(value, str | None) for value in named),
            "a message's name, id, model and provider must be strings",
        )
    if turn.error is not None:
        _check(ErrorInfo, turn.error.to_dict())


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _check(kind: Any, fields: dict[str, Any]) -> None:
    # From JSON, where strict mode takes an object for a dataclass.
    _adapter(kind).validate_json(json.dumps(fields), strict=True)


def _parse_turn(data: Any, where: str) -> Turn:
    try:
        parse_messages(data["messages"])
        turn = Turn.from_dict(data)
        for document in turn.documents:
            Document.model_validate(document)
        _check_types(turn)
    except (AttributeError, KeyError, TypeError, ValueError) as problem:
        raise ImportFormatError(f"{where}: {type(problem).__name__}: {problem}") from None
    require(
        as_text(turn.id) and turn.state in _OVER,
        f"{where}: needs an id, and a state that is complete or partial",
        ImportFormatError,
    )
    first, *rest = (message.role for message in turn.messages)
    require(
        first == "user" and set(rest) <= {"assistant", "tool"},
        f"{where}: must be a user's message and what came of it, not {', '.join([first, *rest])}",
        ImportFormatError,
    )
    return turn
