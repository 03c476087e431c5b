"""The part of a stream that still stands, folded once for everybody who keeps, counts or shows it.

An event may change what the events before it are worth:

- RETRY(discard=True) voids all that came since the last step, or since the beginning.
- RETRY(discard=False) cuts an attempt whose text stands. Its unfinished tool calls are void, and its reasoning is over.
- STATUS(kind="step") ends a round of `run_tools`: its answer and the results of its tools stand for good.
- STATUS(kind="opaque") belongs to the message; no reader sees it. Any other STATUS changes nothing.
- MESSAGE_COMPLETE of batch mode brings the whole answer, which no piece brought before.

`Transcript` folds the message itself. `Standing` and `Gathered` fold what else a consumer makes of the events: a number
or a list. A consumer that only asks about one event has `event.discards`, `event.ends_round` and `event.is_internal`.
"""

from __future__ import annotations

from typing import Generic, TypeVar

from llmstream.events.builder import MessageBuilder
from llmstream.events.types import EventType, Start, StreamEvent
from llmstream.events.unfold import unfold_answer
from llmstream.messages import Message, Part, RefusalPart, Source, TextPart, ToolResult, Usage

T = TypeVar("T")


class Transcript(MessageBuilder):
    """Feed `add` every event of a stream, tool rounds and retries included; ask at any time what stands.

    `message()` and `partial()` are the answer of the round that goes on, with the results of its tools. It extends
    MessageBuilder, so that a text delta costs what it costs there.
    """

    __slots__ = ("_earlier", "_rounds", "start", "usage")

    def __init__(self) -> None:
        super().__init__()
        self._earlier: list[Part] = []
        self._rounds: list[Message] = []
        self.start = Start()
        """Who answers in this round; empty until MESSAGE_START."""
        self.usage: Usage | None = None
        """What the last answer that ended reported."""

    @property
    def parts(self) -> list[Part]:
        """All parts that stand, those of earlier rounds first. Unfinished tool calls aren't among them."""
        return [*self._earlier, *self.message().parts]

    @property
    def text(self) -> str:
        """All that a person reads as the answer: its text, and the words of refusals."""
        return "".join(part.text for part in self.parts if isinstance(part, TextPart | RefusalPart))

    @property
    def sources(self) -> list[Source]:
        """All that is cited."""
        return [part for part in self.parts if isinstance(part, Source)]

    def messages(self) -> list[Message]:
        """All that came, as messages for a history; the unfinished answer is the last, with its cut calls."""
        start = self.start
        answer = self.partial(id=start.id, model=start.model, provider=start.provider)
        results = _results(answer)
        answer.parts = [part for part in answer.parts if not _is_result(part)]
        return [*self._rounds, *([answer] if answer.parts else []), *results]

    def _add_other(self, event: StreamEvent) -> None:
        kind = event.type
        if kind is EventType.RETRY:
            self._retry(event)
        elif kind is EventType.MESSAGE_START:
            self.start = event.start or Start()
        elif kind is EventType.MESSAGE_COMPLETE:
            self._complete(event)
        elif kind is EventType.ERROR:
            self.usage = event.usage
        elif event.ends_round:
            self._end_round(event)
        else:
            super()._add_other(event)

    def _retry(self, event: StreamEvent) -> None:
        if event.discards:
            self.clear()
        else:
            self.interrupt()

    def _end_round(self, event: StreamEvent) -> None:
        answer = self.message()
        self._earlier += answer.parts
        if event.message is not None:
            self._rounds.append(event.message)
        self._rounds += _results(answer)
        self.usage = event.usage
        self.start = Start()
        self.clear()

    def _complete(self, event: StreamEvent) -> None:
        self.usage = event.usage
        self.start = event.start or self.start
        if self.is_empty:
            for piece in unfold_answer(event):
                self.add(piece)


class Standing(Generic[T]):
    """A value that a consumer makes of a stream's events, for instance a count; a RETRY sets it back.

    Set `value` as events come, to a new one each time, and feed `add` the events that may change what stands.
    """

    __slots__ = ("_settled", "value")

    def __init__(self, value: T) -> None:
        self.value = self._settled = value

    @property
    def is_revocable(self) -> bool:
        """Whether something came that a RETRY could still void."""
        return self.value != self._settled

    def add(self, event: StreamEvent) -> None:
        """Take note of an event: a RETRY that discards, or a step."""
        if event.discards:
            self.value = self._settled
        elif event.ends_round:
            self._settled = self.value


class Gathered(Generic[T]):
    """Items that a consumer collects from a stream's events. Append to `items`, and feed `add` the other events."""

    __slots__ = ("_settled", "items")

    def __init__(self) -> None:
        self.items: list[T] = []
        self._settled = 0

    def add(self, event: StreamEvent) -> None:
        """Take note of an event: a RETRY that discards, or a step."""
        if event.discards:
            del self.items[self._settled :]
        elif event.ends_round:
            self._settled = len(self.items)


def _results(answer: Message) -> list[Message]:
    """The results of the caller's tools, in the message of their own that a history has for them; none without."""
    results = [part for part in answer.parts if _is_result(part)]
    return [Message("tool", results)] if results else []


def _is_result(part: Part) -> bool:
    return isinstance(part, ToolResult) and part.executed_by == "caller"
