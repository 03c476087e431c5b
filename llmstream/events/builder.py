"""MessageBuilder: events in, the message they add up to out."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

from llmstream.checks import as_object
from llmstream.events.interleaved_texts import InterleavedTexts
from llmstream.events.late_notes import LateNotes, sign
from llmstream.events.types import EventType, StreamEvent, ToolCallDelta
from llmstream.messages import (
    Message,
    Part,
    ProviderPart,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCall,
)

# Looked up once: in Python 3.11 that takes 50 ns, which every event would pay.
_TEXT = EventType.TEXT_DELTA
_OPEN: dict[EventType, type[Any]] = {
    EventType.TEXT_DELTA: TextPart,
    EventType.REASONING_DELTA: ReasoningPart,
    EventType.REFUSAL_DELTA: RefusalPart,
}


class MessageBuilder:
    """Adds up one attempt's events. Constant work per event; the text is joined once, in `message()`."""

    __slots__ = (
        "_calls",
        "_chunks",
        "_indexes",
        "_late",
        "_numbered",
        "_open",
        "_part",
        "_parts",
        "_place",
        "_places",
        "_reasoned",
        "_since",
        "_text_data",
        "_turns",
    )

    def __init__(self) -> None:
        self._parts: list[Part] = []
        self._open: EventType | None = None
        self._chunks: list[str] = []
        self._part = 0  # the number of the one that goes on
        self._place: int | None = None  # where it stands, if it was left and goes on
        self._since = 0  # the chunks that it had then
        self._places: dict[tuple[EventType, int], int] = {}  # of those that are left
        self._numbered: set[EventType] = set()  # the kinds of text that come in turns
        self._turns: InterleavedTexts | None = None  # from the first that has a number
        self._text_data: dict[str, Any] | None = None  # `provider_data` of the texts that follow
        self._calls: dict[int, tuple[ToolCall, list[str]]] = {}  # announced, not yet whole
        self._indexes: dict[str, list[int]] = {}  # theirs, by id
        self._late = LateNotes()
        self._reasoned = 0  # characters of the reasoning that is over

    def add(self, event: StreamEvent) -> None:
        """Take the next event. Lifecycle events add nothing."""
        kind = event.type
        delta: Any
        if kind is _TEXT:
            delta = event.text_delta
        elif kind is EventType.REASONING_DELTA:
            delta = event.reasoning_delta
        elif kind is EventType.REFUSAL_DELTA:
            delta = event.refusal_delta
        elif event.tool_call_delta is not None:
            self._add_call_delta(event.tool_call_delta)
            return
        else:
            self._add_other(event)
            return
        if kind is not self._open or delta.part != self._part:
            self._turn_to(kind, delta.part)
        self._chunks.append(delta.content)

    def message(self, **attributes: Any) -> Message:
        """The message so far, with `attributes` (id, model, usage …) set on it; the builder can go on."""
        parts = [*self._parts]
        if self._open is not None and self._place is None:
            parts.append(self._open_part())
        if self._turns is not None:
            parts = self._turns.apply(parts)
        return Message("assistant", self._late.apply(parts), **attributes)

    def partial(self, **attributes: Any) -> Message:
        """As `message()`, and at its end the tool calls that were cut, marked `complete=False`."""
        message = self.message(**attributes)
        for call, chunks in self._calls.values():
            message.parts.append(replace(call, arguments="".join(chunks)))
        return message

    @property
    def is_empty(self) -> bool:
        """Whether no part has come, not even the first piece of one."""
        return not self._parts and self._open is None

    def clear(self) -> None:
        """Forget all that came: it is void, or another message begins."""
        self._parts = []
        self._open = None
        self._chunks = []
        self._forget_turns()
        self._text_data = None
        self._calls.clear()
        self._indexes.clear()
        self._late.clear()
        self._reasoned = 0

    def interrupt(self) -> None:
        """The attempt was cut, and another goes on with its text: its unfinished calls never become any.

        Its reasoning is over too: what the next attempt reasons is signed apart.
        """
        self._calls.clear()
        self._indexes.clear()
        if self._open is EventType.REASONING_DELTA or self._turns is not None:
            self._close()
        self._places.clear()  # the next attempt numbers its own
        self._numbered.clear()

    def _forget_turns(self) -> None:
        self._part, self._place, self._turns = 0, None, None
        self._places.clear()
        self._numbered.clear()

    def _turn_to(self, kind: EventType, part: int) -> None:
        """Another part begins, or one that was left goes on: which of both, its number says."""
        self._close()
        self._open, self._part = kind, part
        if part:
            self._numbered.add(kind)
            self._turns = self._turns or InterleavedTexts(self._parts)
        place = self._places.get((kind, part)) if kind in self._numbered else None
        if place is not None and self._turns is not None:
            begun: Any = self._parts[place]
            self._place, self._chunks = place, self._turns.chunks_at(place, begun.text)
            self._since = len(self._chunks)

    def _close(self) -> None:
        if self._open is None:
            return
        place = len(self._parts) if self._place is None else self._place
        since = 0 if self._place is None else self._since
        characters = sum(map(len, self._chunks[since:]))
        if self._open is EventType.REASONING_DELTA:
            self._reasoned += characters
        if self._open is _TEXT and self._turns is not None:
            self._turns.add_stretch(place, characters)
        if self._place is None:
            self._parts.append(self._open_part())
            self._places[self._open, self._part] = place
        self._chunks = []
        self._open = self._place = None

    def _open_part(self) -> Part:
        """The text that goes on, as a part."""
        kind = self._open or _TEXT
        part: Part = _OPEN[kind]("".join(self._chunks))
        if isinstance(part, TextPart) and self._text_data is not None:
            part.provider_data = {**self._text_data}
        return part

    def _add_other(self, event: StreamEvent) -> None:
        """Take an event that is not a delta."""
        if event.is_internal:
            self._add_opaque(event)
            return
        part = event.tool_call or event.tool_result or event.source or event.file
        if part is None:
            return
        self._close()
        self._parts.append(part)
        if event.tool_call is not None:
            self._end_call(event.tool_call.id)

    def _add_call_delta(self, delta: ToolCallDelta) -> None:
        if delta.index not in self._calls:
            self._calls[delta.index] = (ToolCall(delta.id, delta.name, complete=False), [])
            self._indexes.setdefault(delta.id, []).append(delta.index)
        self._calls[delta.index][1].append(delta.arguments)

    def _end_call(self, id: str) -> None:
        indexes = self._indexes.get(id)
        if indexes is None:
            return
        del self._calls[indexes.pop()]
        if not indexes:
            del self._indexes[id]

    def _add_opaque(self, event: StreamEvent) -> None:
        data = as_object(event.status and event.status.data)
        if "format" not in data:
            return
        signs_last = self._open is EventType.REASONING_DELTA
        self._close()
        if "phases" in data:
            self._add_phases(data["format"], data["phases"])
            return
        if "phase" in data:
            self._text_data = _text_data(data["format"], data["phase"])
            return
        if "span" in data:
            since, until = data["span"]
            self._late.seal(self._reasoned - since, self._reasoned - until, data)
            return
        if "call" in data:
            self._late.note_call(data["call"], data["provider_data"])
            return
        if "item" in data:
            self._parts.append(ProviderPart(data["format"], data["item"]))
            return
        if not signs_last:
            self._parts.append(ReasoningPart())
        sign(cast(ReasoningPart, self._parts[-1]), data)

    def _add_phases(self, format: str, phases: list[tuple[str, int, int]]) -> None:
        """Texts that have come get their phases. Constant work per part after the first of these texts."""
        if self._turns is not None:
            self._phase_turns(self._turns, format, phases)
            return
        spans = deque(sorted(phases, key=lambda span: span[2]))
        if spans and spans[0][2] == 0:
            self._text_data = _text_data(format, spans[0][0])
        phased: list[Part] = []  # the last part first
        after = 0
        while self._parts and spans:
            part = self._parts.pop()
            if not isinstance(part, TextPart):
                phased.append(part)
                continue
            for text, phase in _cut(part.text, after, spans):
                data = part.provider_data if phase is None else _text_data(format, phase)
                phased.append(replace(part, text=text, provider_data=data))
            after += len(part.text)
        self._parts += reversed(phased)
        self._places.clear()  # they have moved

    def _phase_turns(
        self, turns: InterleavedTexts, format: str, phases: list[tuple[str, int, int]]
    ) -> None:
        """As `_add_phases`, where each text stands in one part, however it came."""
        size = turns.size
        for phase, since, until in phases:
            for place in turns.places_of(size - since, size - until):
                part = self._parts[place]
                if isinstance(part, TextPart):
                    data = _text_data(format, phase)
                    self._parts[place] = replace(part, provider_data=data)


def _cut(
    text: str, after: int, spans: deque[tuple[str, int, int]]
) -> Iterator[tuple[str, str | None]]:
    """The stretches of a text that `after` characters follow, each with its phase, the last one first."""
    while text:
        while spans and spans[0][1] <= after:
            spans.popleft()
        phase, since, until = spans[0] if spans else (None, after + len(text), after)
        is_after = until > after  # no phase is known of the end of the text
        size = min(len(text), (until if is_after else since) - after)
        yield text[-size:], None if is_after else phase
        text = text[:-size]
        after += size


def _text_data(format: str, phase: str | None) -> dict[str, Any] | None:
    return None if phase is None else {"format": format, "phase": phase}
