"""Transcript, Standing, Gathered: what stands of a stream after retries and steps."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmstream.errors import ErrorInfo
from llmstream.events.builder import MessageBuilder
from llmstream.events.transcript import Gathered, Standing, Transcript
from llmstream.events.types import (
    EventType,
    RefusalDelta,
    Retry,
    Start,
    Status,
    StreamEvent,
    TextDelta,
    ToolCallDelta,
    error,
    opaque,
    reasoning_delta,
    refusal_delta,
    text_delta,
)
from llmstream.messages import (
    File,
    Message,
    ProviderPart,
    ReasoningPart,
    RefusalPart,
    Source,
    TextPart,
    ToolCall,
    ToolResult,
    Usage,
)
from tests import strategies
from tests.events.transcript_cases import CASES, standing
from tests.grammar_check import add_up

CALL = ToolCall("1", "look_up", "{}", input={})
RESULT = ToolResult("1", "sunny")
SOURCE = Source(url="https://example.org")


def read(*events):
    transcript = Transcript()
    for event in copy.deepcopy(events):
        transcript.add(event)
    return transcript


def retry(*, discard):
    return StreamEvent(EventType.RETRY, retry=Retry(2, 3, 0.0, "cut", "truncated", discard=discard))


def step(message=None, **fields):
    return StreamEvent(EventType.STATUS, status=Status("step"), message=message, **fields)


def start(model):
    return StreamEvent(EventType.MESSAGE_START, start=Start("id", model, "p"))


def complete(**fields):
    return StreamEvent(EventType.MESSAGE_COMPLETE, **fields)


retries = st.booleans().map(lambda discard: retry(discard=discard))
streams = st.lists(strategies.pieces | strategies.status_events | retries, max_size=12)
rounds = st.lists(streams, min_size=1, max_size=3)


@given(streams)
def test_what_stands_is_what_the_rules_say(events):
    """Whatever comes in whatever order, the parts are those of the rules, told independently."""
    assert read(*events).parts == add_up(copy.deepcopy(events))


@given(rounds)
def test_rounds_that_ended_stand(courses):
    """A RETRY takes back what came since the last step, and nothing before it."""
    expected = [part for course in courses for part in add_up(copy.deepcopy(course))]
    events = [event for course in courses for event in (*course, step())][:-1]
    transcript = read(*events)
    assert transcript.parts == expected
    assert transcript.message().parts == add_up(copy.deepcopy(courses[-1]))
    transcript.add(retry(discard=True))
    stands = [part for course in courses[:-1] for part in add_up(copy.deepcopy(course))]
    assert transcript.parts == stands


@given(streams)
def test_text_and_sources_are_those_of_the_parts(events):
    """Each view shows the same parts."""
    transcript = read(*events)
    texts = [part.text for part in transcript.parts if isinstance(part, TextPart | RefusalPart)]
    assert transcript.text == "".join(texts)
    assert transcript.sources == [part for part in transcript.parts if isinstance(part, Source)]


@given(st.lists(strategies.pieces | strategies.status_events))
def test_one_attempt_is_what_a_builder_makes_of_it(events):
    """Without a retry or a step there is nothing to fold."""
    builder = MessageBuilder()
    for event in copy.deepcopy(events):
        builder.add(event)
    transcript = read(*events)
    assert transcript.message() == builder.message()
    assert transcript.partial() == builder.partial()


PIECES = {
    EventType.TEXT_DELTA: (text_delta("a"), TextPart("a")),
    EventType.REASONING_DELTA: (reasoning_delta("a"), ReasoningPart("a")),
    EventType.REFUSAL_DELTA: (refusal_delta("a"), RefusalPart("a")),
    EventType.TOOL_CALL_DELTA: (
        StreamEvent(EventType.TOOL_CALL_DELTA, tool_call_delta=ToolCallDelta(0, "1", "f", "{")),
        ToolCall("1", "f", "{", complete=False),
    ),
    EventType.TOOL_CALL: (StreamEvent(EventType.TOOL_CALL, tool_call=CALL), CALL),
    EventType.TOOL_RESULT: (StreamEvent(EventType.TOOL_RESULT, tool_result=RESULT), RESULT),
    EventType.SOURCE: (StreamEvent(EventType.SOURCE, source=SOURCE), SOURCE),
    EventType.FILE: (StreamEvent(EventType.FILE, file=File("1")), File("1")),
    EventType.STATUS: (opaque("f", item={"a": 1}), ProviderPart("f", {"a": 1})),
}


@pytest.mark.parametrize("kind", PIECES)
def test_every_piece_is_kept_voided_and_settled(kind):
    """Each kind of piece stands, until a RETRY voids it, or a step makes it stand for good."""
    event, part = PIECES[kind]
    assert read(event).partial().parts == [part]
    assert read(event, retry(discard=True)).partial().parts == []
    cut_call = kind is EventType.TOOL_CALL_DELTA
    assert read(event, retry(discard=False)).partial().parts == ([] if cut_call else [part])
    settled = read(event, step(), retry(discard=True))
    assert settled.partial().parts == []
    assert settled.parts == ([] if cut_call else [part])


def test_the_lifecycle_is_kept_beside_the_parts():
    """Start and usage are those of the round that goes on; a step and the end report usage."""
    transcript = read(start("m"), text_delta("a"))
    assert transcript.start.model == "m"
    assert transcript.usage is None
    transcript.add(step(usage=Usage(1, 2)))
    assert transcript.start == Start()
    assert transcript.usage == Usage(1, 2)
    transcript.add(start("n"))
    assert read(complete(start=Start(model="x"), usage=Usage(3))).start.model == "x"
    transcript.add(error(ErrorInfo("server")))
    assert transcript.start.model == "n"
    assert transcript.usage is None


def test_a_notice_changes_nothing():
    """STATUS that is neither opaque nor a step may be ignored."""
    notice = StreamEvent(EventType.STATUS, status=Status("progress", "half", {"format": "f"}))
    assert read(reasoning_delta("a"), notice, reasoning_delta("b")).parts == [ReasoningPart("ab")]


def test_the_answer_of_batch_mode_is_read_from_its_one_event():
    """With the message, all its parts; without, the words of the event."""
    message = Message("assistant", [ReasoningPart("r"), TextPart("a"), CALL, SOURCE])
    assert read(complete(text_delta=TextDelta("a"), message=message)).parts == message.parts
    words = complete(text_delta=TextDelta("a"), refusal_delta=RefusalDelta("b"))
    assert read(words).parts == [TextPart("a"), RefusalPart("b")]


def test_the_end_of_a_stream_repeats_nothing():
    """MESSAGE_COMPLETE has the message that the pieces were."""
    message = Message("assistant", [TextPart("a")])
    assert read(text_delta("a"), complete(message=message)).parts == [TextPart("a")]


def test_messages_are_those_of_a_history():
    """Rounds as their steps gave them, results in messages of their own, the unfinished answer last."""
    answer = Message("assistant", [CALL], model="m")
    transcript = read(
        start("m"),
        StreamEvent(EventType.TOOL_CALL, tool_call=CALL),
        StreamEvent(EventType.TOOL_RESULT, tool_result=RESULT),
        step(answer),
        start("n"),
        text_delta("half"),
    )
    half = Message("assistant", [TextPart("half")], id="id", model="n", provider="p")
    assert transcript.messages() == [answer, Message("tool", [RESULT]), half]
    transcript.add(StreamEvent(EventType.TOOL_RESULT, tool_result=RESULT))
    assert transcript.messages()[2:] == [half, Message("tool", [RESULT])]


@given(rounds)
def test_values_and_items_follow_the_same_rules(courses):
    """A count and a list, folded by a consumer, say what the transcript says."""
    count, words, transcript = Standing(0), Gathered(), Transcript()
    for event in [event for course in courses for event in (*course, step())][:-1]:
        if event.type is EventType.TEXT_DELTA:
            count.value += len(event.text)
            words.items.append(event.text)
        count.add(event)
        words.add(event)
        transcript.add(event)
    text = "".join(part.text for part in transcript.parts if isinstance(part, TextPart))
    assert "".join(words.items) == text
    assert count.value == len(text)
    assert count.is_revocable == bool(transcript.message().text)


def test_an_event_says_what_it_does():
    """The three rules that a consumer may ask one event for."""
    told = {
        "discards": [retry(discard=True)],
        "ends_round": [step()],
        "is_internal": [opaque("f", item={})],
    }
    others = [retry(discard=False), text_delta("a"), complete(), start("m")]
    for name, events in told.items():
        assert all(getattr(event, name) for event in events)
        wrong = [each for other, found in told.items() if other != name for each in found]
        assert not any(getattr(event, name) for event in (*others, *wrong))


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_the_cases_that_the_page_runs_too(case):
    """tests/web/page/test_transcript.py gives them to the page's own fold."""
    assert standing(case["events"]) == case["stands"]


def test_the_cases_have_every_type_of_event():
    """So that neither twin can forget one."""
    types = {event["type"] for case in CASES for event in case["events"]}
    assert types == set(EventType)
