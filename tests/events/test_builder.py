"""MessageBuilder: the message that events add up to."""

from __future__ import annotations

import copy

from hypothesis import given
from hypothesis import strategies as st

from llmstream.events.builder import MessageBuilder
from llmstream.events.types import (
    EventType,
    StreamEvent,
    ToolCallDelta,
    opaque,
    reasoning_delta,
    refusal_delta,
    text_delta,
)
from llmstream.events.unfold import unfold
from llmstream.messages import (
    Message,
    ProviderPart,
    ReasoningPart,
    RefusalPart,
    Source,
    TextPart,
    ToolCall,
)
from tests import strategies
from tests.grammar_check import add_up


def build(*events):
    builder = MessageBuilder()
    for event in events:
        builder.add(event)
    return builder


def call_delta(index, arguments="", id="", name=""):
    return StreamEvent(
        EventType.TOOL_CALL_DELTA, tool_call_delta=ToolCallDelta(index, id, name, arguments)
    )


@given(st.lists(strategies.pieces | strategies.status_events))
def test_deltas_add_up_part_by_part(events):
    """Any pieces in any order make the parts that the rules say."""
    expected = add_up(copy.deepcopy(events))
    assert build(*events).message().parts == expected


_PHASES = st.lists(
    st.tuples(
        st.sampled_from(["commentary", "final_answer"]), st.integers(1, 9), st.integers(0, 9)
    ),
    max_size=3,
)


@st.composite
def late_phases(draw):
    """The phases of texts that have come, which don't overlap."""
    after, spans = 0, []
    for phase, size, gap in draw(_PHASES):
        spans.append([phase, after + gap + size, after + gap])
        after += gap + size
    return opaque("openai-responses", phases=draw(st.permutations(spans)))


@given(st.lists(strategies.pieces | st.builds(text_delta, st.text(min_size=1)) | late_phases()))
def test_phases_that_come_after_their_texts_are_theirs(events):
    """They cut a text where another phase begins, and nothing else is changed."""
    expected = add_up(copy.deepcopy(events))
    assert build(*events).message().parts == expected


@given(st.lists(strategies.pieces | strategies.status_events))
def test_what_is_unfolded_adds_up_again(events):
    """unfold gives back the events of a message, but for how its text was cut."""
    message = build(*events).message()
    assert build(*unfold(message)).message() == message


def test_runs_of_one_kind_are_one_part():
    """Neighbouring deltas of a kind join; another kind begins a part."""
    events = [
        reasoning_delta("a"),
        reasoning_delta("b"),
        text_delta("c"),
        text_delta("d"),
        refusal_delta("e"),
    ]
    assert build(*events).message().parts == [ReasoningPart("ab"), TextPart("cd"), RefusalPart("e")]


def test_the_message_takes_its_attributes():
    """Id, model and the like are set on the message."""
    assert build(text_delta("a")).message(id="1", model="m") == Message(
        "assistant", [TextPart("a")], id="1", model="m"
    )


def test_the_builder_goes_on_after_a_message():
    """Asking for the message so far does not close the part that is growing."""
    builder = build(text_delta("a"))
    assert builder.message().text == "a"
    builder.add(text_delta("b"))
    assert builder.message().parts == [TextPart("ab")]


def test_a_call_counts_once_it_is_whole():
    """Deltas of a call are no part; its TOOL_CALL is."""
    whole = ToolCall("1", "f", "{}", input={})
    events = [call_delta(0, id="1", name="f"), call_delta(0, "{}")]
    assert build(*events).message().parts == []
    done = StreamEvent(EventType.TOOL_CALL, tool_call=whole)
    assert build(*events, done).message().parts == [whole]
    assert build(*events, done).partial().parts == [whole]


def test_a_partial_message_ends_in_the_calls_that_were_cut():
    """A call whose TOOL_CALL never came is in `partial` alone, marked incomplete, with what came of its arguments."""
    builder = build(
        text_delta("a"),
        call_delta(0, id="1", name="f"),
        call_delta(0, '{"x'),
        call_delta(0, '": 1'),
    )
    assert builder.partial().parts == [TextPart("a"), ToolCall("1", "f", '{"x": 1', complete=False)]


def test_text_around_a_source_is_two_parts():
    """A citation stands where it came."""
    source = Source(url="https://example.org")
    events = [text_delta("a"), StreamEvent(EventType.SOURCE, source=source), text_delta("b")]
    assert build(*events).message().parts == [TextPart("a"), source, TextPart("b")]


def test_a_signature_belongs_to_the_reasoning_before_it():
    """An opaque signature closes the reasoning that it signs; without any it stands on an empty one."""
    signed = opaque("openai-chat", signature="s", id="r1")
    assert build(reasoning_delta("a"), signed, reasoning_delta("b")).message().parts == [
        ReasoningPart("a", "s", "r1", "openai-chat"),
        ReasoningPart("b"),
    ]
    assert build(text_delta("a"), signed).message().parts == [
        TextPart("a"),
        ReasoningPart("", "s", "r1", "openai-chat"),
    ]


def test_an_opaque_item_is_kept_whole():
    """What only its provider understands becomes a ProviderPart."""
    assert build(opaque("anthropic-messages", item={"type": "x"})).message().parts == [
        ProviderPart("anthropic-messages", {"type": "x"})
    ]
