"""Calls and their results: each result directly behind its call, each call answered once."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeGuard

from llmstream.messages import Message, Part, TextPart, ToolCall, ToolResult
from llmstream.wire.fitting.call_ids import CallIds
from llmstream.wire.fitting.rules import IdRule
from llmstream.wire.outbound import warn_once

UNANSWERED = "The tool was not run."
"""The answer to a call that nobody answered: every vendor refuses a history in which one lacks."""


class Place(NamedTuple):
    """Where a part stands in a history."""

    message: int
    part: int


@dataclass(slots=True)
class Matches:
    """Which result answers which call."""

    results: dict[Place, Place] = field(default_factory=dict)
    """The place of the result, by the place of its call."""
    answers: set[Place] = field(default_factory=set)
    """The places of results that answer a call."""

    def add(self, call: Place, result: Place) -> None:
        """Note that this result answers this call."""
        self.results[call] = result
        self.answers.add(result)


def is_tidy(history: Sequence[Message], rule: IdRule) -> bool:
    """Whether nothing is to be done: each call has its result right behind it, and ids fit. Nearly every history."""
    taken: set[str] = set()
    waiting: set[str] = set()
    answered = 0
    for message in history:
        parts = message.parts
        if len(parts) == 1 and type(parts[0]) is TextPart:
            if waiting:
                return False
            continue
        called: list[str] = []
        results: list[ToolResult] = []
        for part in parts:
            if is_call(part):
                called.append(part.id)
            elif is_result(part):
                results.append(part)
        if called:
            if waiting or results or not _are_new(called, rule, taken):
                return False
            waiting, answered = set(called), 0
        elif results:
            answered += len(results)
            if len(results) != len(parts) or not _answer(results, waiting):
                return False
        elif waiting:
            return False
    return not (waiting and answered)


def _are_new(ids: Sequence[str], rule: IdRule, taken: set[str]) -> bool:
    """Whether all ids fit, and no call had one of them before."""
    for id in ids:
        if id in taken or rule.pattern.fullmatch(id) is None:
            return False
        taken.add(id)
    return True


def _answer(results: Sequence[ToolResult], waiting: set[str]) -> bool:
    """Whether each result answers a call that waits. What a result shows must stand behind all of its round."""
    for result in results:
        if result.tool_call_id not in waiting or result.shown is not None:
            return False
        waiting.remove(result.tool_call_id)
    return True


def match_results(history: Sequence[Message]) -> Matches:
    """Find the call of each result: the first open one of its id in the latest round that has one.

    A result that comes before any call of its id answers the first such call that nobody else answers.
    """
    matches = Matches()
    open_calls: dict[str, list[deque[Place]]] = {}  # by id: the rounds with open calls
    early: dict[str, deque[Place]] = {}
    for index, message in enumerate(history):
        called: dict[str, deque[Place]] = {}
        for number, part in enumerate(message.parts):
            place = Place(index, number)
            if is_call(part):
                called.setdefault(part.id, deque()).append(place)
            elif is_result(part):
                _match(part.tool_call_id, place, open_calls, early, matches)
        for id, calls in called.items():
            open_calls.setdefault(id, []).append(calls)
    for id, results in early.items():
        waiting = [call for calls in open_calls.get(id, ()) for call in calls]
        for call, result in zip(waiting, results, strict=False):
            matches.add(call, result)
    return matches


def _match(
    id: str,
    place: Place,
    open_calls: dict[str, list[deque[Place]]],
    early: dict[str, deque[Place]],
    matches: Matches,
) -> None:
    rounds = open_calls.get(id)
    if rounds is None:
        early.setdefault(id, deque()).append(place)
        return
    if not rounds:
        return  # all are answered: it repeats a result
    calls = rounds[-1]
    matches.add(calls.popleft(), place)
    if not calls:
        rounds.pop()


def is_call(part: Part) -> TypeGuard[ToolCall]:
    """Whether it is a call that the caller answers."""
    return isinstance(part, ToolCall) and part.executed_by == "caller"


def is_result(part: Part) -> TypeGuard[ToolResult]:
    """Whether it is the caller's answer to a call. An item of one format alone is not: it goes there as it is."""
    if not isinstance(part, ToolResult) or part.executed_by != "caller":
        return False
    return "item" not in (part.provider_data or {})


class Arrangement:
    """A history in which each result stands directly behind its call, under ids that the target takes."""

    def __init__(
        self,
        history: Sequence[Message],
        ids: CallIds,
        warnings: list[str],
        *,
        keeps_orphans: bool = False,
    ) -> None:
        self._history = history
        self._ids = ids
        self._warnings = warnings
        self._keeps_orphans = keeps_orphans
        self._matches = match_results(history)
        self._end = self._last_statement()

    def messages(self) -> Iterator[Message]:
        """The messages, in their order."""
        for index, message in enumerate(self._history):
            calls = [
                Place(index, number) for number, part in enumerate(message.parts) if is_call(part)
            ]
            if calls:
                yield from self._round(message, calls)
                continue
            rest = self._without_results(index, message)
            if rest is not None:
                yield rest

    def _round(self, message: Message, calls: list[Place]) -> Iterator[Message]:
        """A message with calls, and the answers to them."""
        parts = list(message.parts)
        answers: list[tuple[Place, ToolResult]] = []
        open_calls: list[ToolCall] = []
        for place in calls:
            call: ToolCall = parts[place.part]  # type: ignore[assignment]  # calls have these places
            id = self._ids.take(call.id)
            if id != call.id:
                call = parts[place.part] = replace(call, id=id)
            result = self._matches.results.get(place)
            if result is None:
                open_calls.append(call)
            else:
                answers.append((result, self._answer(result, id)))
        rest = [part for part in parts if not is_result(part)]
        yield message if rest == message.parts else replace(message, parts=rest)
        results: list[Part] = [answer for _, answer in sorted(answers, key=_place)]
        if answers or calls[0].message < self._end:
            results += [self._unanswered(call) for call in open_calls]
        if results:
            yield Message("tool", results)

    def _answer(self, place: Place, id: str) -> ToolResult:
        result: ToolResult = self._history[place.message].parts[place.part]  # type: ignore[assignment]
        return result if result.tool_call_id == id else replace(result, tool_call_id=id)

    def _unanswered(self, call: ToolCall) -> ToolResult:
        warn_once(
            self._warnings,
            f"tool call: nobody answered {call.name}; sent with an answer that says so",
        )
        return ToolResult(call.id, UNANSWERED, call.name, is_error=True)

    def _without_results(self, index: int, message: Message) -> Message | None:
        """What a message holds beside results, which stand elsewhere now. None: nothing."""
        rest: list[Part] = []
        for number, part in enumerate(message.parts):
            if not is_result(part):
                rest.append(part)
            elif Place(index, number) in self._matches.answers:
                continue
            elif self._keeps_orphans:
                rest.append(part)
            else:
                warn_once(
                    self._warnings,
                    "tool result: it repeats another, or its call is not there; left out",
                )
        if len(rest) == len(message.parts):
            return message
        return replace(message, parts=rest) if rest else None

    def _last_statement(self) -> int:
        """The index of the last message that is more than results. Calls in it wait for their answers."""
        for index in reversed(range(len(self._history))):
            if not all(map(is_result, self._history[index].parts)):
                return index
        return -1


def _place(answer: tuple[Place, ToolResult]) -> Place:
    return answer[0]
