"""The grammar of one attempt, said as rules that can be broken: what a provider or a decoder may yield."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

from llmstream.errors import ErrorKind
from llmstream.events.types import PAYLOADS, PIECES, TEXTS, EventType, StreamEvent
from llmstream.messages import FinishReason, Message

_TERMINAL = (EventType.MESSAGE_COMPLETE, EventType.ERROR)
_ALWAYS_SET = (EventType.STATUS, EventType.MESSAGE_START)
"""Types beside the pieces whose payload a provider must set."""
_KINDS = frozenset(get_args(ErrorKind))


def broken_rules(events: Sequence[Any]) -> list[str]:
    """What is wrong with the events of one attempt, in plain words; empty if nothing is."""
    if not events:
        return ["nothing was yielded: a stream has at least its terminal event"]
    foreign = [event for event in events if not isinstance(event, StreamEvent)]
    if foreign:
        return [f"a {type(foreign[0]).__name__} was yielded, not a StreamEvent"]
    broken: list[str] = []
    terminal = [place for place, event in enumerate(events) if event.type in _TERMINAL]
    if not terminal:
        broken.append(f"no terminal event: the last is {events[-1].type}")
    elif terminal[0] != len(events) - 1:
        broken.append(
            f"{events[terminal[0] + 1].type} follows the terminal event {events[terminal[0]].type}"
        )
    broken += _order(events)
    for event in events:
        broken += _value(event)
    broken += _calls(events)
    if terminal:
        broken += _end(events[terminal[0]], events[: terminal[0]])
    return list(dict.fromkeys(broken))


def _order(events: Sequence[StreamEvent]) -> list[str]:
    kinds = [event.type for event in events]
    broken = []
    if EventType.RETRY in kinds:
        broken.append("a RETRY: it is the client's to announce")
    if kinds.count(EventType.MESSAGE_START) > 1:
        broken.append("more than one MESSAGE_START")
    pieces = [at for at, kind in enumerate(kinds) if kind in PIECES]
    begun = kinds.index(EventType.MESSAGE_START) if EventType.MESSAGE_START in kinds else len(kinds)
    if pieces and pieces[0] < begun:
        broken.append(f"{kinds[pieces[0]]} comes before MESSAGE_START")
    return broken


def _value(event: StreamEvent) -> list[str]:
    if event.type not in PIECES and event.type not in _ALWAYS_SET:
        return []
    name = PAYLOADS[event.type].field
    value: Any = getattr(event, name)
    if value is None:
        return [f"{event.type} without its value {name}"]
    if event.type in TEXTS and not (isinstance(value.content, str) and value.content):
        return [
            f"{event.type} whose content is {value.content!r}: it must be a string, and not empty"
        ]
    return []


def _calls(events: Sequence[StreamEvent]) -> list[str]:
    broken = []
    arguments: dict[int, str] = {}
    ids: dict[str, int] = {}
    for event in events:
        if (delta := event.tool_call_delta) is not None:
            if delta.index not in arguments:
                arguments[delta.index] = ""
                if not delta.id or delta.id in ids:
                    broken.append("a tool call is announced without an id of its own")
                ids[delta.id] = delta.index
            arguments[delta.index] += delta.arguments
        elif (call := event.tool_call) is not None:
            if not call.id:
                broken.append("TOOL_CALL without an id")
            if call.id in ids and arguments[ids[call.id]] != call.arguments:
                broken.append("the deltas of a tool call don't add up to its arguments")
            if not call.complete and call.input is not None:
                broken.append("TOOL_CALL with complete=False and an input all the same")
    return broken


def _end(last: StreamEvent, before: Sequence[StreamEvent]) -> list[str]:
    if last.type is EventType.MESSAGE_COMPLETE:
        broken = []
        if not isinstance(last.finish_reason, FinishReason):
            broken.append(f"MESSAGE_COMPLETE whose finish_reason is {last.finish_reason!r}")
        if last.text_delta is not None:
            broken.append("MESSAGE_COMPLETE with a text_delta: batch mode is the client's")
        if last.error is not None or last.error_info is not None:
            broken.append("MESSAGE_COMPLETE with an error")
        return broken + (_sum(last.message, before) if last.message is not None else [])
    info = last.error_info
    if info is None:
        return ["ERROR without error_info"]
    broken = (
        []
        if info.kind in _KINDS
        else [f"ERROR of kind {info.kind!r}, which is none of the closed list"]
    )
    if last.error != str(info):
        broken.append("ERROR whose error is not str(error_info)")
    if info.status_code is not None and 200 <= info.status_code < 300:
        broken.append(f"ERROR with the status of a success, {info.status_code}")
    return broken


def _sum(message: Message, before: Sequence[StreamEvent]) -> list[str]:
    """Whether the pieces add up to the message."""
    said = {
        "text": "".join(event.text for event in before),
        "reasoning": "".join(
            event.reasoning_delta.content for event in before if event.reasoning_delta is not None
        ),
        "tool_calls": [
            call for event in before if (call := event.tool_call) and call.executed_by == "caller"
        ],
        "sources": [event.source for event in before if event.source is not None],
    }
    return [
        f"the events' {name} is not the message's"
        for name, value in said.items()
        if list(getattr(message, name)) != list(value)
    ]
