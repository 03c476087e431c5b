"""The guard of streams that somebody else made: retries, rounds and whole answers are in them."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmstream import ErrorInfo, EventType, Message, Retry, Start, StreamEvent, Usage
from llmstream.events.relay import Relay
from llmstream.events.types import error, text_delta
from llmstream.messages import TextPart, ToolCall
from tests import strategies
from tests.grammar_check import check_stream

CALL = StreamEvent(EventType.TOOL_CALL, tool_call=ToolCall("c1", "look", "{}", input={}))
START = StreamEvent(EventType.MESSAGE_START, start=Start("m1", "m", "p"))


def retry(*, discard: bool, attempt: int = 2, delay: float = 1.0) -> StreamEvent:
    value = Retry(attempt, 3, delay, "down", "server", "p", "m", discard=discard)
    return StreamEvent(EventType.RETRY, retry=value)


def complete(**fields: Any) -> StreamEvent:
    return StreamEvent(EventType.MESSAGE_COMPLETE, **fields)


def pass_on(*events: StreamEvent, **options: Any) -> list[StreamEvent]:
    relay = Relay(**options)
    left = []
    for event in events:
        flaw = relay.flaw(event)
        if flaw is not None:
            left += relay.fail(ErrorInfo("internal", flaw))
        else:
            left += relay.feed(event)
    return [*left, *relay.fail(ErrorInfo("truncated"))]


@given(st.lists(strategies.events, max_size=12), st.booleans())
def test_whatever_is_passed_on_the_stream_is_legal(given_events, keep_message):
    left = pass_on(*given_events, keep_message=keep_message)
    rounds = [
        [*each] for is_step, each in groupby(left, lambda event: event.ends_round) if not is_step
    ]
    check_stream(rounds[-1], keep_message=keep_message, going_on=True)


def test_an_answer_that_goes_on_keeps_the_usage_that_its_maker_reported():
    usage = Usage(input_tokens=5, output_tokens=7)
    events = [START, text_delta("a"), retry(discard=False), START, text_delta("b")]
    last = check_stream(pass_on(*events, complete(usage=usage)), going_on=True)
    assert last.usage == usage
    assert last.message.text == "ab"


def test_an_answer_in_one_event_is_unfolded():
    message = Message("assistant", [TextPart("whole"), CALL.tool_call])
    left = pass_on(complete(message=message, start=START.start))
    assert [event.type.name for event in left] == [
        "MESSAGE_START",
        "TEXT_DELTA",
        "TOOL_CALL",
        "MESSAGE_COMPLETE",
    ]
    assert check_stream(left).start.provider == "p"


def test_a_tool_call_that_left_is_taken_back_only_where_nobody_saw_it():
    events = [START, CALL, retry(discard=True), START, text_delta("b"), complete()]
    last = check_stream(pass_on(*events))
    assert "a RETRY after a tool call" in last.error
    last = check_stream(pass_on(*events, final_calls=False))
    assert last.message.parts == [TextPart("b")]


def test_attempts_are_counted_on_where_streams_are_joined():
    events = [
        retry(discard=False, attempt=3),
        retry(discard=False, attempt=2),
        error(ErrorInfo("server")),
    ]
    left = pass_on(*events)
    check_stream(left)
    assert [event.retry.attempt for event in left[:-1]] == [3, 4]
    assert events[1].retry.attempt == 2  # the maker's own event is as it was


@pytest.mark.parametrize(
    "item", [None, "text", b"", 3, {}, StreamEvent("nonsense"), StreamEvent(EventType.RETRY)]
)
def test_what_is_no_event_has_a_flaw(item):
    assert Relay().flaw(item)


def test_the_first_piece_of_each_attempt_is_told_with_who_answers():
    told: list[Start] = []
    events = [START, text_delta("a"), text_delta("b"), retry(discard=True), START, CALL, complete()]
    pass_on(*events, final_calls=False, on_first_piece=told.append)
    assert told == [START.start, START.start]
    pass_on(START, complete(), on_first_piece=told.append)
    assert len(told) == 2  # an empty answer has none
