"""The shared part of reading requests: a body checked, the call that it stands for, and an answer that came whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from llmstream.arguments import check_type
from llmstream.events.types import EventType, StreamEvent
from llmstream.events.unfold import unfold
from llmstream.messages import ChatRequest, Message, Part, RefusalPart, TextPart
from llmstream.web.dialects.base import Ask


def object_of(body: Any, what: str = "the body") -> Mapping[str, Any]:
    """`body` if it is a JSON object, else TypeError."""
    if not isinstance(body, Mapping):
        raise TypeError(f"{what} must be a JSON object, not {type(body).__name__}")
    return body


def ask_for(request: ChatRequest, *, model: str | None, stream: Any, reply: Any = None) -> Ask:
    """The call that a request stands for. Raises TypeError for a wrong `stream`."""
    check_type(stream, bool, "stream must be true or false")
    return Ask(request, model, bool(stream), reply)


def keep_options(request: ChatRequest, name: str, known: frozenset[str]) -> None:
    """Let only these of the format's own options through to the provider.

    The others may name models to fall back to, or change the shape of the answer.
    """
    given = request.provider_options.get(name, {})
    rest = {key: value for key, value in given.items() if key in known and value is not None}
    request.provider_options = {name: rest} if rest else {}


def pieces_of(event: StreamEvent) -> Iterator[StreamEvent]:
    """What would have come before a MESSAGE_COMPLETE that came alone, for formats that know streams only."""
    yield StreamEvent(EventType.MESSAGE_START, start=event.start)
    if event.message is not None:
        yield from unfold(event.message)


def whole(event: StreamEvent) -> StreamEvent:
    """A MESSAGE_COMPLETE with its message; a client that keeps none still gives the text and the refusal."""
    if event.message is not None:
        return event
    parts: list[Part] = [TextPart(event.text)] if event.text else []
    if event.refusal_delta is not None:
        parts.append(RefusalPart(event.refusal_delta.content))
    return replace(event, message=Message("assistant", parts))
