"""What a stream must look like (DESIGN.md, section 2), checked independently of the code that makes it so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from llmstream.events.types import EventType, StreamEvent
from llmstream.messages import (
    FinishReason,
    Message,
    Part,
    ProviderPart,
    ReasoningPart,
    RefusalPart,
    Source,
    TextPart,
    ToolCall,
)

VALUES = {
    EventType.TEXT_DELTA: "text_delta",
    EventType.REASONING_DELTA: "reasoning_delta",
    EventType.REFUSAL_DELTA: "refusal_delta",
    EventType.TOOL_CALL_DELTA: "tool_call_delta",
    EventType.TOOL_CALL: "tool_call",
    EventType.TOOL_RESULT: "tool_result",
    EventType.SOURCE: "source",
    EventType.FILE: "file",
    EventType.STATUS: "status",
    EventType.RETRY: "retry",
    EventType.MESSAGE_START: "start",
}
PIECES = frozenset(VALUES) - {EventType.STATUS, EventType.RETRY, EventType.MESSAGE_START}
TEXTS: dict[EventType, type[Any]] = {
    EventType.TEXT_DELTA: TextPart,
    EventType.REASONING_DELTA: ReasoningPart,
    EventType.REFUSAL_DELTA: RefusalPart,
}
TERMINAL = (EventType.MESSAGE_COMPLETE, EventType.ERROR)


def check_stream(
    events: Sequence[StreamEvent], *, keep_message: bool = True, going_on: bool = False
) -> StreamEvent:
    """Assert that `events` are a legal streamed answer; gives the terminal event. `going_on`: it may be continued."""
    assert events, "a stream has at least its terminal event"
    last = events[-1]
    assert last.type in TERMINAL, f"ends in {last!r}"
    opened = False  # a MESSAGE_START stands, whose attempt goes on
    shown = False  # something of the message has been shown since the last RETRY that discards
    attempt, asked = 1, None
    for event, following in pairwise(events):
        assert event.type not in TERMINAL, f"goes on after {event!r}"
        assert getattr(event, VALUES[event.type]) is not None, f"{event!r} lacks its value"
        if event.type is EventType.MESSAGE_START:
            assert not opened, "a second MESSAGE_START in one attempt"
            assert following.type in PIECES or following.type is EventType.MESSAGE_COMPLETE, (
                "not held back"
            )
            opened = shown = True
        elif event.type in PIECES:
            assert opened, f"{event!r} outside an attempt"
            if event.type in TEXTS:
                content = getattr(event, VALUES[event.type]).content
                assert isinstance(content, str)
                assert content, "an empty delta"
        elif event.retry is not None:
            retry = event.retry
            if (retry.provider, retry.model) in (asked, (None, None)):
                assert retry.attempt >= attempt
                assert retry.attempt > attempt or not retry.delay
            attempt, asked = retry.attempt, (retry.provider, retry.model)
            assert not retry.discard or shown, "nothing to discard"
            assert retry.discard or not shown or going_on, "what was shown is dropped"
            opened, shown = False, shown and not retry.discard
    check_terminal(last, opened=opened)
    parts = add_up(events[:-1])
    if last.type is EventType.MESSAGE_COMPLETE:
        check_message(last.message, parts, last, keep_message=keep_message)
    else:
        check_partial(last, parts, keep_message=keep_message)
    return last


def check_terminal(event: StreamEvent, *, opened: bool) -> None:
    """Assert what holds for a terminal event on its own."""
    if event.type is EventType.MESSAGE_COMPLETE:
        assert opened, "an answer without MESSAGE_START"
        assert event.text_delta is None
        assert event.start is not None
        assert isinstance(event.finish_reason, FinishReason)
        assert event.error is None
        assert event.error_info is None
    else:
        assert event.error_info is not None
        assert event.error == str(event.error_info)
        assert isinstance(event.error_info.retryable, bool)
        assert event.error_info.status_code != 200
        assert event.message is None


def check_message(
    message: Message | None, parts: list[Part], last: StreamEvent, *, keep_message: bool
) -> None:
    """Assert rule 3: the deltas add up to the message, part by part."""
    if not keep_message:
        assert message is None
        return
    assert message is not None
    assert message.role == "assistant"
    assert message.parts == parts
    assert message.finish_reason == last.finish_reason
    if last.messages is None:  # else it sums up several rounds
        assert message.usage == last.usage
    assert last.start is not None
    assert (message.id, message.model) == (last.start.id, last.start.model)


def check_partial(last: StreamEvent, parts: list[Part], *, keep_message: bool) -> None:
    """Assert that an ERROR holds what had come, and after it at most cut calls and what was still held back."""
    assert last.error_info is not None
    partial = last.error_info.partial
    if not keep_message:
        assert partial is None
        return
    if partial is None:
        assert not parts
        return
    assert partial.parts[: len(parts)] == parts
    for part in partial.parts[len(parts) :]:
        if isinstance(part, ToolCall):
            assert not part.complete
        else:  # opaque, and still held back: nothing that anybody reads
            assert isinstance(part, ProviderPart) or part == ReasoningPart(
                "", part.signature, part.id, part.format, part.provider_data
            )


def add_up(events: Sequence[StreamEvent]) -> list[Part]:
    """The parts that the events since the last RETRY that discards make."""
    parts: list[Part] = []
    growing: tuple[EventType, int] | None = None  # the kind and number of the text that may go on
    turns = _Turns()
    phase: dict[str, Any] | None = None  # of the texts that follow
    for event in events:
        kind = event.type
        if event.retry is not None:
            if event.retry.discard:
                parts, growing, phase, turns = [], None, None, _Turns()
            else:
                over = growing and growing[0] is EventType.REASONING_DELTA
                growing = None if over or turns.kinds else growing
                turns.named.clear()
                turns.kinds.clear()
        elif kind in TEXTS:
            delta = getattr(event, VALUES[kind])
            key = (kind, delta.part)
            if delta.part:
                turns.kinds.add(kind)
            if growing != key and (kind not in turns.kinds or key not in turns.named):
                turns.named[key] = TEXTS[kind]("")
                parts.append(turns.named[key])
                if kind is EventType.TEXT_DELTA:
                    parts[-1].provider_data = phase  # type: ignore[union-attr]
            turns.named.setdefault(key, parts[-1])
            turns.add(kind, turns.named[key], delta.content)
            growing = key
        elif kind in PIECES and kind is not EventType.TOOL_CALL_DELTA:
            parts.append(getattr(event, VALUES[kind]))
            growing = None
        elif event.status is not None and event.status.kind == "opaque" and event.status.data:
            if "phases" in event.status.data and turns.came_by_turns:
                turns.phase(event.status.data)
            elif "phases" in event.status.data:
                turns.named.clear()
                parts = _with_phases(parts, event.status.data)
                phase = _phase_at_end(event.status.data) or phase
                turns.came = [part for part in parts if part.type == "text" for _ in part.text]
            elif "span" in event.status.data:
                parts = _with_seal(parts, event.status.data)
            elif "call" in event.status.data:
                parts = _with_note(parts, event.status.data)
            elif "phase" in event.status.data:
                phase = event.status.data if event.status.data["phase"] is not None else None
            else:
                signs_last = growing == (EventType.REASONING_DELTA, 0)
                _add_opaque(parts, event.status.data, signs_last=signs_last)
            growing = None
    return turns.moved(parts) if turns.came_by_turns else parts


class _Turns:
    """Texts that come by turns, character by character."""

    def __init__(self) -> None:
        self.named: dict[tuple[EventType, int], Any] = {}
        self.kinds: set[EventType] = set()
        self.came: list[Any] = []  # for each character of text, the part that it is of
        self.came_by_turns = False

    def add(self, kind: EventType, part: Any, content: str) -> None:
        part.text += content
        self.came_by_turns = self.came_by_turns or bool(self.kinds)
        if kind is EventType.TEXT_DELTA:
            self.came += [part] * len(content)

    def phase(self, data: dict[str, Any]) -> None:
        for phase, since, until in data["phases"]:
            for part in self.came[len(self.came) - since : len(self.came) - until]:
                part.provider_data = {"format": data["format"], "phase": phase}

    def moved(self, parts: list[Part]) -> list[Part]:
        """The parts, with citations that count the characters of the message."""
        return [self._moved(part, parts) if isinstance(part, Source) else part for part in parts]

    def _moved(self, source: Source, parts: list[Part]) -> Source:
        if source.start is None or source.end is None or source.end <= source.start:
            return source
        start, end = self._place(source.start, parts), self._place(source.end - 1, parts) + 1
        return replace(source, start=start, end=end)

    def _place(self, at: int, parts: list[Part]) -> int:
        texts = [part for part in parts if isinstance(part, TextPart)]
        index = next(i for i, part in enumerate(texts) if part is self.came[at])
        before = sum(len(part.text) for part in texts[:index])
        return before + sum(part is self.came[at] for part in self.came[:at])


def _with_phases(parts: list[Part], data: dict[str, Any]) -> list[Part]:
    """The parts, with their texts cut where another phase begins. Each character is looked at by itself."""
    left = sum(len(part.text) for part in parts if isinstance(part, TextPart))
    found: list[Part] = []
    for part in parts:
        if not isinstance(part, TextPart):
            found.append(part)
            continue
        before: Any = "nothing"
        for character in part.text:
            spans = (span for span in data["phases"] if span[2] < left <= span[1])
            span = next(spans, None)
            if span is not before:
                own = {"format": data["format"], "phase": span[0]} if span else part.provider_data
                found.append(TextPart("", provider_data=own))
            found[-1].text += character  # type: ignore[union-attr]
            before, left = span, left - 1
    return found


def _with_seal(parts: list[Part], data: dict[str, Any]) -> list[Part]:
    """The parts, with the reasoning of a span cut out and signed. Each character is looked at by itself."""
    left = sum(len(part.text) for part in parts if isinstance(part, ReasoningPart))
    since, until = data["span"]
    found: list[Part] = []
    for part in parts:
        if not isinstance(part, ReasoningPart) or not part.text:
            found.append(part)
            continue
        before: bool | None = None
        for character in part.text:
            is_inside = until < left <= since
            if is_inside is not before:
                found.append(replace(part, text=""))
            found[-1].text += character  # type: ignore[union-attr]
            if is_inside:
                _add_opaque(found, data, signs_last=True)
            before, left = is_inside, left - 1
    return found


def _with_note(parts: list[Part], data: dict[str, Any]) -> list[Part]:
    """The parts, with what goes back with a call."""
    return [
        replace(part, provider_data=data["provider_data"])
        if isinstance(part, ToolCall) and part.id == data["call"]
        else part
        for part in parts
    ]


def _phase_at_end(data: dict[str, Any]) -> dict[str, Any] | None:
    ends = (span[0] for span in data["phases"] if span[2] == 0)
    phase = next(ends, None)
    return None if phase is None else {"format": data["format"], "phase": phase}


def _add_opaque(parts: list[Part], data: dict[str, Any], *, signs_last: bool) -> None:
    if not isinstance(data.get("format"), str):
        return
    if "item" in data:
        parts.append(ProviderPart(data["format"], data["item"]))
        return
    text = ""
    if signs_last:
        text = parts.pop().text  # type: ignore[union-attr]
    format = None if data.get("readable") else data["format"]
    kept = (data.get("signature"), data.get("id"), format, data.get("provider_data"))
    parts.append(ReasoningPart(text, *kept))


def check_calls(events: Sequence[StreamEvent]) -> None:
    """Assert rule 5 for one attempt: calls are announced in order, and their deltas add up to the TOOL_CALL."""
    arguments: dict[int, str] = {}
    ids: list[str] = []
    for event in events:
        if (delta := event.tool_call_delta) is not None:
            if delta.index not in arguments:
                assert delta.index == len(arguments), "indexes count from 0"
                assert delta.id, "a call is announced with its id"
                arguments[delta.index] = ""
                ids.append(delta.id)
            else:
                assert delta.arguments, "an empty delta"
            arguments[delta.index] += delta.arguments
        elif (call := event.tool_call) is not None:
            assert call.id
            if call.complete and call.provider_data is None:
                assert isinstance(call.input, dict)
            if not call.complete:
                assert call.input is None
            if call.id in ids:
                assert arguments[ids.index(call.id)] == call.arguments
    assert len(set(ids)) == len(ids), "every call has an id of its own"
