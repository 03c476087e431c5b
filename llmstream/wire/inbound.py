"""The inbound side that every format shares: a request's body, its turns, and what none of our names stands for."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from llmstream.checks import (
    as_text,
    check_unicode,
    ensure_json,
    items_at,
    require,
    require_type,
    require_value,
    sequence_of,
)
from llmstream.messages import ChatRequest, Message, Part, Role, ToolResult
from llmstream.wire.json_fields import compact


def model_of(body: Mapping[str, Any]) -> str:
    """The model that a body names. Raises ValueError if it names none."""
    return required_text(body.get("model"), "model: name the model as a string")


def required_text(value: Any, problem: str) -> str:
    """A string that isn't empty. Raises ValueError with these words for anything else."""
    return require_value(as_text(value), problem)


def text_at(value: Any, where: str) -> str:
    """A string, which may be empty. Raises TypeError or ValueError that name its place."""
    return check_unicode(require_type(value, str, f"{where} must be a string"), where)


def texts_at(value: Any, where: str) -> list[str]:
    """A list of strings, none of which is empty; nothing for None. Raises TypeError that names its place."""
    texts = list(sequence_of(value or (), where))
    are_whole = all(map(as_text, texts))
    require(are_whole, f"{where} must be a list of non-empty strings", TypeError)
    return texts


def object_at(value: Any, where: str) -> dict[str, Any]:
    """A copy of an object. Raises TypeError that names its place."""
    is_object = isinstance(value, Mapping)
    require(is_object, f"{where} must be an object, not {type(value).__name__}", TypeError)
    return dict(value)


def object_in(body: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A copy of a body's member that is an object; an empty one where there is none. Raises TypeError."""
    return object_at(body.get(name) or {}, name)


def conversation_of(
    system: list[Part], messages: Any, read_turn: Callable[[Any, str], Iterable[Message]]
) -> list[Message]:
    """The messages of a body whose system message stands apart. Raises TypeError, or ValueError if there are none.

    `read_turn` takes an item of `messages` and its place.
    """
    require(messages, "messages is empty: give at least one message")
    turns = [read_turn(*item) for item in items_at(messages, "messages")]
    spoken = [Message("system", system)] if system else []
    return [*spoken, *chain.from_iterable(turns)]


def turn_of(role: Role, parts: Sequence[Part]) -> Iterator[Message]:
    """What one side says, as messages: a user's turn may hold results, which are a tool's message before it."""
    if role != "user":
        yield Message(role, list(parts))
        return
    results: list[Part] = [part for part in parts if isinstance(part, ToolResult)]
    others: list[Part] = [part for part in parts if not isinstance(part, ToolResult)]
    if results:
        yield Message("tool", results)
    if others or not results:
        yield Message(role, others)


def arguments_of(given: Mapping[str, Any]) -> str:
    """A call's input as the text of its arguments; an empty one as no text."""
    return compact(given) if given else ""


def rest_of(body: Mapping[str, Any], known: Container[str]) -> dict[str, Any]:
    """The members that have a value and no name of ours."""
    return {key: value for key, value in body.items() if key not in known and value is not None}


def keep_rest(request: ChatRequest, rest: dict[str, Any], format: str) -> None:
    """Keep those members as `format_options`. Raises ValueError if they aren't JSON."""
    if rest:
        ensure_json(rest, "the body")
        request.format_options = {format: rest}
