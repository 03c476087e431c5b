"""The shared part of reading requests: a body checked, the call that it stands for, and an answer that came whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from llmstream.checks import check_type, require, require_type
from llmstream.events.transcript import Transcript
from llmstream.events.types import StreamEvent
from llmstream.messages import ChatRequest
from llmstream.plain_values import amended
from llmstream.web.dialects.base import Ask
from llmstream.wire.pass_through import PASSED


def object_of(body: Any, what: str = "the body") -> Mapping[str, Any]:
    """`body` if it is a JSON object, else TypeError."""
    if type(body) is dict:  # nearly always
        return body
    problem = f"{what} must be a JSON object, not {type(body).__name__}"
    require(isinstance(body, Mapping), problem, TypeError)
    given: Mapping[str, Any] = body
    return given


def text_of(value: Any, where: str) -> str:
    """`value` if it is a string, else TypeError."""
    return require_type(value, str, f"{where} must be a string")


def role_of(message: Mapping[str, Any], roles: Sequence[str], where: str) -> str:
    """The message's role if it is one of these, else ValueError."""
    role = message.get("role")
    require(role in roles, f"{where}.role must be one of {', '.join(roles)}, not {role!r}")
    return str(role)


def ask_for(
    request: ChatRequest,
    *,
    model: str | None,
    stream: Any,
    reply: Any = None,
    warnings: Sequence[str] = (),
    notes: Sequence[str] = (),
) -> Ask:
    """The call that a request stands for. Raises TypeError for a wrong `stream`."""
    check_type(stream, bool, "stream must be true or false")
    return Ask(request, model, bool(stream), reply, tuple(warnings), tuple(notes))


def keep_listed(request: ChatRequest, format: str) -> list[str]:
    """Let only the listed members of this format through to a provider. Returns a warning for each of the others.

    They may name models to fall back to, or change the shape of the answer.
    """
    kept: dict[str, Any] = {}
    dropped: list[str] = []
    listed = PASSED[format]
    for name, value in request.format_options.get(format, {}).items():
        if name in listed:
            kept[name] = value
        elif isinstance(value, Mapping):
            inner = {key: each for key, each in value.items() if f"{name}.{key}" in listed}
            kept |= {name: inner} if inner else {}
            dropped += [f"{name}.{key}" for key in value if key not in inner]
        else:
            dropped.append(name)
    request.format_options = {format: kept} if kept else {}
    return [f"{name}: not handed on by this server" for name in dropped]


def whole(event: StreamEvent) -> StreamEvent:
    """A MESSAGE_COMPLETE with its message, also from a client that keeps none."""
    if event.message is not None:
        return event
    transcript = Transcript()
    transcript.add(event)
    return amended(event, message=transcript.message())
