"""Streams as the client and `run_tools` make them: legal by the grammar, whatever stands in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

from hypothesis import strategies as st

from llmstream.events.types import EventType, Retry, Status, StreamEvent, ToolCallDelta, error
from llmstream.messages import FinishReason, ToolCall, ToolResult, parse_arguments
from tests import strategies as s

_TEXT = (EventType.TEXT_DELTA, EventType.REFUSAL_DELTA)


@dataclass
class Legal:
    """A stream, and what of it a client must end up with."""

    events: list[StreamEvent]
    text: str
    """Of what was not taken back: the answer's and a refusal's words."""
    lost: bool
    """Something shown was taken back."""
    torn: bool
    """A call was cut, and the answer went on."""


@st.composite
def legal_streams(draw: st.DrawFn) -> Legal:
    """Attempts and rounds, joined by RETRY and step, with one end."""
    ids = (f"call-{number}" for number in count())
    events: list[StreamEvent] = [
        StreamEvent(EventType.RETRY, retry=r) for r in draw(_retries(discard=False))
    ]
    legal = Legal(events, "", lost=False, torn=False)
    kept = ""  # of the rounds that are over
    here = ""  # of the attempt, and those it goes on from
    while True:
        attempt = draw(_attempts(ids))
        events += attempt
        here += "".join(_words(event) for event in attempt)
        how = draw(st.sampled_from(["complete", "complete", "error", "discard", "go on", "step"]))
        if how == "complete":
            events.append(draw(_completes))
        elif how == "error":
            events.append(error(draw(s.errors)))
        elif how == "step":
            events += _results(attempt)
            events.append(
                StreamEvent(EventType.STATUS, status=Status("step", "one more", {"round": 1}))
            )
            kept, here = kept + here, ""
            continue
        else:
            if any(event.tool_call is not None for event in attempt):
                continue  # who acted on a call can't take it back: another attempt may not follow
            if how == "go on" and draw(st.booleans()):
                events.append(
                    StreamEvent(
                        EventType.TOOL_CALL_DELTA, tool_call_delta=ToolCallDelta(0, next(ids), "t")
                    )
                )
                legal.torn = True
            legal.lost = legal.lost or how == "discard"
            here = "" if how == "discard" else here
            events.append(
                StreamEvent(
                    EventType.RETRY, retry=draw(_retries(discard=how == "discard", min_size=1))[0]
                )
            )
            continue
        legal.text = kept + here
        return legal


def _words(event: StreamEvent) -> str:
    value: Any = event.text_delta or event.refusal_delta
    return value.content if event.type in _TEXT else ""


def _retries(*, discard: bool, min_size: int = 0) -> Any:
    return st.lists(
        st.builds(
            Retry,
            st.just(2),
            st.just(3),
            s.seconds,
            s.text,
            st.just("overloaded"),
            discard=st.just(discard),
        ),
        min_size=min_size,
        max_size=1,
    )


_completes = st.builds(
    StreamEvent,
    st.just(EventType.MESSAGE_COMPLETE),
    start=s.or_none(s.starts),
    finish_reason=st.sampled_from(FinishReason),
    raw_finish_reason=s.or_none(s.text),
    usage=s.or_none(s.usages),
)
_opaque = st.fixed_dictionaries({"format": s.formats, "signature": s.some}) | st.fixed_dictionaries(
    {"format": s.formats, "item": st.just({"type": "redacted_thinking", "data": "x"})}
)
_plain = st.one_of(
    s.text_events,
    s.text_events,
    s.event(EventType.REASONING_DELTA, reasoning_delta=st.builds(s.ReasoningDelta, s.some)),
    s.event(EventType.REFUSAL_DELTA, refusal_delta=st.builds(s.RefusalDelta, s.some)),
    s.event(EventType.SOURCE, source=s.sources),
    s.event(EventType.FILE, file=s.files),
    s.event(EventType.TOOL_RESULT, tool_result=s.results),
    s.event(
        EventType.STATUS,
        status=st.builds(Status, st.just("progress"), s.text, s.or_none(s.objects)),
    ),
    s.event(EventType.STATUS, status=st.builds(Status, st.just("opaque"), data=_opaque)),
)


@st.composite
def _attempts(draw: st.DrawFn, ids: Iterator[str]) -> list[StreamEvent]:
    events = [StreamEvent(EventType.MESSAGE_START, start=draw(s.starts))]
    if draw(st.booleans()):
        events.insert(0, StreamEvent(EventType.STATUS, status=Status("opaque", data=draw(_opaque))))
    index = 0
    for item in draw(st.lists(_plain | st.just("call"), max_size=5)):
        if not isinstance(item, StreamEvent):
            events += draw(_calls(index, next(ids)))
            index += 1
        else:
            events.append(item)
    return events


@st.composite
def _calls(draw: st.DrawFn, index: int, id: str) -> list[StreamEvent]:
    arguments = draw(st.sampled_from(["", "{}", '{"a":"ü🙂"}', '{"a": 1, "b": [2]}', '{"cut']))
    executed_by = draw(st.sampled_from(["caller", "caller", "provider"]))
    parsed = parse_arguments(arguments)
    call = ToolCall(id, draw(s.names), arguments, parsed, parsed is not None, executed_by)
    whole = StreamEvent(EventType.TOOL_CALL, tool_call=call)
    if executed_by == "provider" or draw(st.booleans()):
        return [whole]
    cut = draw(st.integers(0, len(arguments)))
    deltas = [ToolCallDelta(index, id, call.name), ToolCallDelta(index, arguments=arguments[:cut])]
    deltas.append(ToolCallDelta(index, arguments=arguments[cut:]))
    return [
        *(StreamEvent(EventType.TOOL_CALL_DELTA, tool_call_delta=delta) for delta in deltas),
        whole,
    ]


def _results(events: list[StreamEvent]) -> list[StreamEvent]:
    calls = [event.tool_call for event in events if event.tool_call is not None]
    return [
        StreamEvent(EventType.TOOL_RESULT, tool_result=ToolResult(call.id, "done", call.name))
        for call in calls
        if call.executed_by == "caller"
    ]
