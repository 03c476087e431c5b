"""A conversation as one JSON document, that can be kept, sent and read back elsewhere.

    {"format": "llmstream.conversation", "version": 1, "title": …, "system": …, "metadata": …, "turns": […]}

Turns are as `Turn.to_dict` writes them. Sessions, users and tokens are not in it. What is read back is checked, because
it may come from anywhere:

1. It has at most MOST_BYTES and MOST_VALUES, and is parsed in a thread, so that others go on meanwhile.
2. No system message hides among the turns, not in what only a provider understands either (`opaque`), and each turn
   begins with the user.
3. `system` and `metadata` are the application's own, and never taken from a document.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from functools import cache, partial
from sys import float_info
from typing import Any, Final, NamedTuple

from pydantic import TypeAdapter, ValidationError

from llmstream.checks import as_object, as_text, require
from llmstream.conversations.documents import Document
from llmstream.conversations.errors import ImportFormatError
from llmstream.conversations.models import StartConversation
from llmstream.conversations.opaque import check_opaque
from llmstream.conversations.records import STATES, ConversationRecord, Turn
from llmstream.errors import ErrorInfo
from llmstream.json_size import MOST_VALUES, has_more_values
from llmstream.message_reader import parse_messages
from llmstream.messages import Usage
from llmstream.plain_values import dump
from llmstream.thread import in_thread

FORMAT, VERSION = "llmstream.conversation", 1
MOST_BYTES: Final = 16 << 20
"""Bytes of a document's texts as stores count them, pictures among them. No step takes more than some 50 ms."""
_ESCAPED: Final = 6
"""Bytes of a character that isn't ASCII, at most, but for those that take two."""
_ENOUGH: Final = 1_000
"""Characters of a text by which its type is known. Of base64 it is a whole number of groups."""
_TOO_LARGE = f"an exported conversation may have {MOST_BYTES} bytes: import it in parts"
_TOO_MANY = f"an exported conversation may have {MOST_VALUES} values: import it in parts"
_DEEPEST: Final = 100
"""Objects and lists within each other. A tool's arguments have a dozen."""
_TOO_DEEP = f"an exported conversation may be {_DEEPEST} objects deep"
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


class ImportedConversation(NamedTuple):
    """The parts of a document that an import keeps."""

    title: str | None
    turns: list[Turn]


async def read_export(data: Mapping[str, Any] | str) -> ImportedConversation:
    """The conversation in a document, read in a thread. Raises ImportFormatError that names the place."""
    return await in_thread(partial(parse_export, data))


def parse_export(data: Mapping[str, Any] | str) -> ImportedConversation:
    """The conversation in a document. Raises ImportFormatError that names the place."""
    document = _parse_document(data)
    try:
        title = StartConversation.model_validate({"title": document.get("title")}).title
    except ValidationError as error:
        raise ImportFormatError(str(error)) from None
    turns = document.get("turns")
    if not isinstance(turns, list):
        raise ImportFormatError('"turns" must be a list')
    parsed = [_parse_turn(turn, f"turns[{index}]") for index, turn in enumerate(turns)]
    ids = {turn.id for turn in parsed}
    require(len(ids) == len(parsed), '"turns": two turns have one id', ImportFormatError)
    return ImportedConversation(title, parsed)


def _parse_document(data: Mapping[str, Any] | str) -> Mapping[str, Any]:
    """The document as a mapping of this format and version."""
    if isinstance(data, str):
        data = _parse_json(data)
    try:
        _check_values(data)
    except TypeError as error:
        raise ImportFormatError(
            f"an exported conversation can't be written as JSON: {error}"
        ) from None
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


def _parse_json(text: str) -> Any:
    # Counted first: a parser can't be interrupted, and holds up every thread.
    require(len(text) <= MOST_BYTES, _TOO_LARGE, ImportFormatError)
    require(not has_more_values(text, MOST_VALUES), _TOO_MANY, ImportFormatError)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ImportFormatError(f"not JSON: {error}") from None


def _check_values(document: Any) -> None:
    """Check the size and the depth of a document. Raises ImportFormatError, and TypeError for what isn't JSON.

    A value that stands in several places counts each time, so one that stands in itself is too deep.
    """
    waiting: list[tuple[Any, int]] = [(document, 0)]
    size, count = 0, 0
    while waiting:
        value, depth = waiting.pop()
        count += 1
        inner = _values_in(value)
        size += _size_of(value) if isinstance(value, str) else 0
        size += sum(map(_length_of_name, value)) if isinstance(value, Mapping) else 0
        require(count + len(waiting) + len(inner) <= MOST_VALUES, _TOO_MANY, ImportFormatError)
        require(size <= MOST_BYTES, _TOO_LARGE, ImportFormatError)
        require(depth <= _DEEPEST, _TOO_DEEP, ImportFormatError)
        waiting += [(each, depth + 1) for each in inner]


def _values_in(value: Any) -> Collection[Any]:
    """The values in an object or a list. Raises TypeError for what JSON has no form for."""
    if isinstance(value, Mapping):
        return value.values()
    if isinstance(value, list | tuple):
        return value
    is_plain = value is None or isinstance(value, str | int | float)
    require(is_plain, f"{type(value).__name__} has no form there", TypeError)
    is_number = isinstance(value, int | float)
    require(not is_number or abs(value) <= float_info.max, "a number is out of range", TypeError)
    return ()


def _length_of_name(name: Any) -> int:
    require(isinstance(name, str), f"{type(name).__name__} is no name", TypeError)
    return _size_of(name)


def _size_of(text: str) -> int:
    return len(text) if text.isascii() else _ESCAPED * len(text)


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
    short = {name: _shorten(value) for name, value in fields.items()}
    _adapter(kind).validate_json(json.dumps(short), strict=True)


def _shorten(value: Any) -> Any:
    """A value of the same type, which is checked sooner if it is a long text."""
    return value[:_ENOUGH] if isinstance(value, str) else value


def _parse_turn(data: Any, where: str) -> Turn:
    try:
        parse_messages(data["messages"])
        turn = Turn.from_dict(data)
        for document in turn.documents:
            Document.model_validate(document)
        _check_types(turn)
        check_opaque(turn.messages)
    except (AttributeError, LookupError, TypeError, ValueError) as problem:
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
