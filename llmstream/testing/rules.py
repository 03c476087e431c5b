"""The grammar of one attempt, said as rules that can be broken: what a provider or a decoder may yield."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, takewhile
from typing import Any, get_args

from llmstream.checks import as_text
from llmstream.errors import ErrorKind
from llmstream.events.types import (
    PAYLOADS,
    PIECES,
    TEXTS,
    EventType,
    StreamEvent,
    ToolCallDelta,
)
from llmstream.messages import FinishReason, Message, ToolCall

_TERMINAL = (EventType.MESSAGE_COMPLETE, EventType.ERROR)
_NEVER_EMPTY = frozenset({*PIECES, EventType.STATUS, EventType.MESSAGE_START})
"""Types whose payload a provider must set."""
_KINDS = frozenset(get_args(ErrorKind))


def broken_rules(events: Sequence[Any]) -> list[str]:
    """The rules that the events of one attempt break, in plain words; empty if they break none."""
    if not events:
        return ["nothing was yielded: a stream has at least its terminal event"]
    foreign = [event for event in events if not isinstance(event, StreamEvent)]
    if foreign:
        return [f"a {type(foreign[0]).__name__} was yielded, not a StreamEvent"]
    kinds = [event.type for event in events]
    ends = [place for place, kind in enumerate(kinds) if kind in _TERMINAL]
    broken: list[str] = []
    if not ends:
        broken.append(f"no terminal event: the last is {kinds[-1]}")
    elif ends[0] != len(events) - 1:
        broken.append(f"{kinds[ends[0] + 1]} follows the terminal event {kinds[ends[0]]}")
    broken += _order(kinds)
    broken += chain.from_iterable(map(_value, events))
    broken += _Calls().check(events)
    if ends:
        broken += _end(events[ends[0]], events[: ends[0]])
    return list(dict.fromkeys(broken))


def _order(kinds: Sequence[EventType]) -> list[str]:
    broken = _found(
        ("a RETRY: it is the client's to announce", EventType.RETRY in kinds),
        ("more than one MESSAGE_START", kinds.count(EventType.MESSAGE_START) > 1),
    )
    pieces = [kind for kind in kinds if kind in PIECES]
    before = [*takewhile(lambda kind: kind is not EventType.MESSAGE_START, kinds)]
    if pieces and pieces[0] in before:
        broken.append(f"{pieces[0]} comes before MESSAGE_START")
    return broken


def _value(event: StreamEvent) -> list[str]:
    if event.type not in _NEVER_EMPTY:
        return []
    name = PAYLOADS[event.type].field
    value: Any = getattr(event, name)
    if value is None:
        return [f"{event.type} without its value {name}"]
    if event.type in TEXTS and as_text(value.content) is None:
        return [
            f"{event.type} whose content is {value.content!r}: it must be a string, and not empty"
        ]
    return []


class _Calls:
    """The deltas of tool calls, held against the calls that they become."""

    def __init__(self) -> None:
        self._arguments: dict[int, str] = {}
        self._indexes: dict[str, int] = {}

    def check(self, events: Sequence[StreamEvent]) -> list[str]:
        """The rules that the calls among these events break."""
        broken: list[str] = []
        for event in events:
            if event.tool_call_delta is not None:
                broken += self._delta(event.tool_call_delta)
            elif event.tool_call is not None:
                broken += self._call(event.tool_call)
        return broken

    def _delta(self, delta: ToolCallDelta) -> list[str]:
        is_new = delta.index not in self._arguments
        self._arguments[delta.index] = self._arguments.get(delta.index, "") + delta.arguments
        if not is_new:
            return []
        has_own_id = bool(delta.id) and delta.id not in self._indexes
        self._indexes[delta.id] = delta.index
        return [] if has_own_id else ["a tool call is announced without an id of its own"]

    def _call(self, call: ToolCall) -> list[str]:
        index = self._indexes.get(call.id)
        announced = call.arguments if index is None else self._arguments[index]
        has_input = call.input is not None
        return _found(
            ("TOOL_CALL without an id", not call.id),
            (
                "the deltas of a tool call don't add up to its arguments",
                announced != call.arguments,
            ),
            (
                "TOOL_CALL with complete=False and an input all the same",
                has_input and not call.complete,
            ),
        )


def _end(last: StreamEvent, before: Sequence[StreamEvent]) -> list[str]:
    return _complete(last, before) if last.type is EventType.MESSAGE_COMPLETE else _error(last)


def _complete(last: StreamEvent, before: Sequence[StreamEvent]) -> list[str]:
    broken = _found(
        (
            f"MESSAGE_COMPLETE whose finish_reason is {last.finish_reason!r}",
            not isinstance(last.finish_reason, FinishReason),
        ),
        (
            "MESSAGE_COMPLETE with a text_delta: batch mode is the client's",
            last.text_delta is not None,
        ),
        ("MESSAGE_COMPLETE with an error", (last.error, last.error_info) != (None, None)),
    )
    return broken if last.message is None else broken + _sum(last.message, before)


def _error(last: StreamEvent) -> list[str]:
    info = last.error_info
    if info is None:
        return ["ERROR without error_info"]
    return _found(
        (f"ERROR of kind {info.kind!r}, which is none of the closed list", info.kind not in _KINDS),
        ("ERROR whose error is not str(error_info)", last.error != str(info)),
        (
            f"ERROR with the status of a success, {info.status_code}",
            200 <= (info.status_code or 0) < 300,
        ),
    )


def _found(*rules: tuple[str, bool]) -> list[str]:
    """The words of those rules that are broken."""
    return [words for words, is_broken in rules if is_broken]


def _text(before: Sequence[StreamEvent], whole: str) -> str:
    """The text as it must be. Of texts by turns only the characters are compared: the message has them apart."""
    deltas = [event.text_delta for event in before if event.text_delta is not None]
    said = "".join(delta.content for delta in deltas)
    is_by_turns = any(delta.part for delta in deltas)
    return whole if is_by_turns and sorted(said) == sorted(whole) else said


def _sum(message: Message, before: Sequence[StreamEvent]) -> list[str]:
    """Whether the pieces add up to the message."""
    said: dict[str, Any] = {
        "text": _text(before, message.text),
        "reasoning": "".join(
            event.reasoning_delta.content for event in before if event.reasoning_delta is not None
        ),
        "tool_calls": [
            event.tool_call
            for event in before
            if event.tool_call is not None and event.tool_call.executed_by == "caller"
        ],
        "sources": [event.source for event in before if event.source is not None],
    }
    return [
        f"the events' {name} is not the message's"
        for name, value in said.items()
        if list(getattr(message, name)) != list(value)
    ]
