"""Expectation: what must be true of an answer beyond its outcome and its text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from llmstream.events.builder import MessageBuilder
from llmstream.events.types import EventType, StreamEvent
from llmstream.messages import File, FinishReason, Message, ToolCall, Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """Where a member is None, anything is right."""

    calls: tuple[tuple[str, Any], ...] | None = None
    """Name and input of each call for the caller, in order; arguments that are no object as their text."""
    finish_reason: FinishReason | None = None
    reasoning: str | None = None
    files: int | None = None
    """How many files the answer has."""
    input_tokens: int | None = None
    output_tokens: int | None = None
    no_output_tokens: bool = False
    """A number of output tokens would be invented."""
    code: str | None = None
    """The code of the ERROR."""

    def differences(self, events: Sequence[StreamEvent]) -> list[str]:
        """The differences of a stream's events, or of a batch call's one, from those expected: a line each."""
        last = events[-1]
        found = _found(events)
        wanted = {name: getattr(self, name) for name in found}
        differ = [
            f"{name} is {found[name]!r}, not {value!r}"
            for name, value in wanted.items()
            if value is not None and found[name] != value
        ]
        usage = last.usage or Usage()
        if self.no_output_tokens and usage.output_tokens and not usage.estimated:
            differ.append(f"{usage.output_tokens} output tokens are invented")
        return differ


def _found(events: Sequence[StreamEvent]) -> dict[str, Any]:
    last = events[-1]
    if last.error_info is not None:
        return {"code": last.error_info.code}
    message = last.message or _message(events)
    usage = last.usage or Usage()
    return {
        "calls": tuple(map(_name_and_input, message.tool_calls)),
        "finish_reason": last.finish_reason,
        "reasoning": message.reasoning,
        "files": sum(isinstance(part, File) for part in message.parts),
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
    }


def _name_and_input(call: ToolCall) -> tuple[str, Any]:
    return call.name, call.arguments if call.input is None else call.input


def _message(events: Sequence[StreamEvent]) -> Message:
    """The message that events add up to, for providers that leave it to the client."""
    builder = MessageBuilder()
    for event in events[:-1]:
        if event.type not in (EventType.STATUS, EventType.RETRY):
            builder.add(event)
    return builder.message()
