"""An answer's events read as a value: partial objects while it comes, the checked one at its end."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterable
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Generic, TypeVar, cast, overload

from llmstream.errors import ErrorInfo, InvalidOutputError, TruncatedError
from llmstream.events.flow import Flow, Upstream
from llmstream.events.grammar import TERMINAL
from llmstream.events.types import EventType, StreamEvent, ToolCallDelta
from llmstream.messages import FinishReason, ToolCall, Usage
from llmstream.structured.answer_type import AnswerType, MismatchError
from llmstream.structured.growth import FieldComplete, Growing
from llmstream.structured.json_in_prose import bare_words, json_texts

T = TypeVar("T")

_MOST_VALUES = 100
"""Values of an answer that are shown while they grow; the last one is found at the end in any case."""
_TOLD = 5  # problems that a message lists
_STOPPED: dict[FinishReason | None, str] = {
    FinishReason.LENGTH: "it was cut at max_tokens; ",
    FinishReason.CONTENT_FILTER: "it ended with content_filter; ",
    FinishReason.REFUSAL: "it ended with refusal; ",
}
"""Ends that the model didn't choose, as a message tells them."""


class ValidationFailedError(InvalidOutputError):
    """The answer is not what was asked for. `text` is all of it; `problems` say where and why.

    `info.partial` is the message, `info.code` is "validation". A repair round is the caller's to ask for.
    """

    def __init__(
        self, info: ErrorInfo, text: str, problems: list[tuple[tuple[str | int, ...], str]]
    ) -> None:
        super().__init__(info)
        self.text = text
        self.problems = problems
        """A path and what is wrong there, each."""
        self.usage: Usage | None = None
        """The tokens and the cost of the answer."""


@dataclass(slots=True)
class Partial(Generic[T]):
    """The value that is being written, as far as it has come."""

    completed: list[FieldComplete] = field(default_factory=list)
    """The parts that became whole just now; each has been checked."""
    result: T | None = None
    """The whole value, checked: on the last one only."""
    usage: Usage | None = field(default=None, repr=False)
    """The tokens and the cost of all that was asked: on the last one only, as on the terminal event."""
    _growing: Growing | None = field(default=None, repr=False, compare=False)

    @property
    def value(self) -> T:
        """The value so far, as its own type: what has not come is None, and nothing but `completed` is checked.

        It is the same object each time and grows in place; copy it to keep a state. Reading it costs the length of
        the string that is being written, no more.
        """
        return cast("T", self.result if self._growing is None else self._growing.value)


@overload
def objects(events: AsyncIterable[StreamEvent], into: type[T]) -> Flow[Partial[T]]: ...
@overload
def objects(events: AsyncIterable[StreamEvent], into: Any) -> Flow[Partial[Any]]: ...
def objects(events: AsyncIterable[StreamEvent], into: Any) -> Flow[Partial[Any]]:
    """The value that an answer's `events` write, as it grows; at last one with `result`.

    `events` are those of any stream whose answer is the value as JSON: `structured.ask(...)`, or `chat_completion` with
    a `response_format`. `into` is a pydantic model, a dataclass, a TypedDict, another type or a JSON schema (then the
    parts are dicts and lists). One `Partial` for each event that brought something, none before there is a value. After
    a RETRY that discards, the value begins again. Code fences and text around the JSON are passed over. Linear in the
    answer, but for a very long string, whose every state is a string of its own where it is looked at.

    Raises TypeError for a type without a schema, at once; LLMError where the stream has an ERROR, and
    ValidationFailedError for an answer that is not the value. Closed as all operators are, and its source with it.
    """
    answer_type: AnswerType[Any] = AnswerType(into)
    source = Upstream(events)
    return Flow(_objects(source, answer_type), source)


async def _objects(
    source: Upstream, answer_type: AnswerType[T]
) -> AsyncGenerator[Partial[T], None]:
    value = _ValueText(answer_type)
    async with source as events:
        async for event in events:
            if event.type in TERMINAL:
                event.raise_for_error()
                yield Partial(result=finish(event, answer_type, value.text), usage=event.usage)
                return
            completed = value.feed(event)
            if completed is not None and value.growing.begun:
                yield Partial(completed, _growing=value.growing)
    raise TruncatedError(ErrorInfo("truncated", "the events stopped before the answer's end"))


class _ValueText:
    """The text of the value in an answer's events: its text, or the arguments of the tool that stands for it."""

    def __init__(self, answer_type: AnswerType[Any]) -> None:
        self._answer_type = answer_type
        self._begin()

    def _begin(self) -> None:
        self.growing = Growing(self._answer_type)
        self._later: Growing | None = None  # may become the value, as a draft's successor does
        self._restarts = 0
        self._chunks: list[str] = []
        self._call: int | None = None
        """The index of the tool's call, once it has been announced."""

    @property
    def text(self) -> str:
        """All of it so far."""
        return "".join(self._chunks)

    def feed(self, event: StreamEvent) -> list[FieldComplete] | None:
        """The parts that became whole; None if the event brought nothing of the value."""
        delta = event.tool_call_delta
        if delta is not None:
            return self._take_call(delta)
        if event.text_delta is not None:
            return self._take(event.text_delta.content) if self._call is None else None
        # A call that was cut is void even where the text before it stands.
        cuts_call = event.type is EventType.RETRY and self._call is not None
        if event.discards or event.ends_round or cuts_call:
            self._begin()
        return None

    def _take_call(self, delta: ToolCallDelta) -> list[FieldComplete] | None:
        if self._call is None and delta.name == self._answer_type.name:
            self._begin()
            self._call = delta.index
        is_ours = delta.index == self._call and bool(delta.arguments)
        return self._take(delta.arguments) if is_ours else None

    def _take(self, text: str) -> list[FieldComplete]:
        self._chunks.append(text)
        completed = self.growing.feed(text)
        rest = self.growing.rest
        while rest and self._restarts < _MOST_VALUES:
            later = self._later or Growing(self._answer_type)
            found = later.feed(rest)
            rest = later.rest
            self._later = later
            if later.begun:
                self.growing, self._later, completed = later, None, found
                self._restarts += 1
            elif rest:
                self._later = None
                self._restarts += 1
        return completed


def finish(event: StreamEvent, answer_type: AnswerType[T], text: str = "") -> T:
    """The value of an answer that has ended. Raises ValidationFailedError."""
    call = _call_of(event, answer_type)
    if call is not None:
        text = call.arguments
    elif event.message is not None:
        text = event.message.text
    text = text or event.text
    failed: MismatchError | None = None
    candidates = list(json_texts(text, scalars=answer_type.wrapped))
    for candidate in candidates:
        try:
            return answer_type.parse(candidate)
        except MismatchError as error:
            failed = failed or error
    word = answer_type.find_word(chain(candidates, bare_words(text)))
    if word is not None:
        return answer_type.parse(json.dumps(word))
    raise _failure(event, answer_type, text, failed or MismatchError([((), "nothing came")]))


def _call_of(event: StreamEvent, answer_type: AnswerType[Any]) -> ToolCall | None:
    calls = event.message.tool_calls if event.message is not None else []
    return next((call for call in calls if call.name == answer_type.name), None)


def _failure(
    event: StreamEvent, answer_type: AnswerType[Any], text: str, failed: MismatchError
) -> ValidationFailedError:
    lines = str(failed).split("\n")
    told = "; ".join(lines[:_TOLD])
    if len(lines) > _TOLD:
        told += f"; and {len(lines) - _TOLD} more"
    told = (
        "the model refused" if _is_refusal(event) else _STOPPED.get(event.finish_reason, "") + told
    )
    message = f"the answer is no {answer_type.name}: {told}"
    # Asking again may cure what the model got wrong, not what stopped it.
    info = ErrorInfo(
        "invalid_output", message, repairable(event), code="validation", partial=event.message
    )
    if event.start is not None:
        info.provider = event.start.provider
    failure = ValidationFailedError(info, text, failed.problems)
    failure.usage = event.usage
    return failure


def repairable(event: StreamEvent) -> bool:
    """Whether the answer ended of itself."""
    return not _is_refusal(event) and event.finish_reason not in _STOPPED


def _is_refusal(event: StreamEvent) -> bool:
    return event.message is not None and bool(event.message.refusal)
