"""The shared part of reading requests: a body checked, the call that it stands for, and an answer that came whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from llmstream.arguments import check_type
from llmstream.events.transcript import Transcript
from llmstream.events.types import StreamEvent
from llmstream.messages import ChatRequest
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


def whole(event: StreamEvent) -> StreamEvent:
    """A MESSAGE_COMPLETE with its message, also from a client that keeps none."""
    if event.message is not None:
        return event
    transcript = Transcript()
    transcript.add(event)
    return replace(event, message=transcript.message())
