"""StreamEvent: how it is made, shown and stored."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from pydantic import TypeAdapter

from llmstream.errors import ErrorInfo, LLMError, RateLimitError
from llmstream.events.types import (
    EventType,
    Retry,
    Start,
    StreamEvent,
    TextDelta,
    error,
    reasoning_delta,
    refusal_delta,
    text_delta,
)
from llmstream.messages import FinishReason, Message, TextPart, Usage
from tests import strategies


@given(strategies.events | strategies.bare_events)
def test_an_event_survives_json(event):
    """`from_dict(json(to_dict()))` is the same event, whatever it carries."""
    assert StreamEvent.from_dict(json.loads(json.dumps(event.to_dict()))) == event


def test_the_json_form_names_only_what_is_set():
    """Fields that are None, and values' defaults, are left out."""
    assert text_delta("hi").to_dict() == {"type": "text_delta", "text_delta": {"content": "hi"}}
    done = StreamEvent(
        EventType.MESSAGE_COMPLETE,
        start=Start("1"),
        finish_reason=FinishReason.STOP,
        usage=Usage(3, 4),
        message=Message("assistant", "hi"),
    )
    assert done.to_dict() == {
        "type": "message_complete",
        "start": {"id": "1"},
        "finish_reason": "stop",
        "usage": {"input_tokens": 3, "output_tokens": 4},
        "message": {"role": "assistant", "parts": [{"type": "text", "text": "hi"}]},
    }


def test_fields_of_a_newer_version_are_ignored():
    """A recording made by a later version can be read."""
    event = StreamEvent.from_dict(
        {"type": "text_delta", "text_delta": {"content": "hi", "new": 1}, "newer": 2}
    )
    assert event == text_delta("hi")


def test_an_unknown_type_is_refused():
    """A type that we don't know is a ValueError, not a guess."""
    with pytest.raises(ValueError, match="smell_delta"):
        StreamEvent.from_dict({"type": "smell_delta"})


def test_repr_shows_what_is_set():
    """`repr` names the type and the fields that are set, nothing else."""
    assert repr(text_delta("hi")) == "StreamEvent(TEXT_DELTA, text_delta=TextDelta(content='hi'))"
    assert repr(StreamEvent(EventType.MESSAGE_COMPLETE)) == "StreamEvent(MESSAGE_COMPLETE)"


def test_an_event_is_constructed_as_the_readme_spells_it():
    """Keyword construction gives readable attributes."""
    event = StreamEvent(type=EventType.TEXT_DELTA, text_delta=TextDelta(content="hi"))
    assert event.type == EventType.TEXT_DELTA == "text_delta"
    assert event.text_delta.content == event.text == "hi"
    assert event.finish_reason is event.usage is event.error is None


def test_text_is_the_answers_alone():
    """`event.text` is empty for reasoning, refusals and lifecycle events."""
    assert (
        reasoning_delta("a").text
        == refusal_delta("a").text
        == StreamEvent(EventType.MESSAGE_COMPLETE).text
        == ""
    )


def test_raw_does_not_count_for_equality():
    """Two events that say the same are equal, whichever frame they came from."""
    assert StreamEvent(EventType.TEXT_DELTA, TextDelta("a"), raw={"x": 1}) == text_delta("a")


def test_event_types_are_lower_case_strings():
    """Every type reads as its lower-case name, so that it can go on a wire."""
    assert all(kind.value == kind.name.lower() == str(kind) for kind in EventType)


def test_raise_for_error_raises_the_matching_class():
    """ERROR raises its kind's class, with its info; other events do nothing."""
    text_delta("a").raise_for_error()
    info = ErrorInfo("rate_limit", "slow down")
    with pytest.raises(RateLimitError, match="slow down") as caught:
        error(info).raise_for_error()
    assert caught.value.info is info
    with pytest.raises(LLMError, match="odd"):
        StreamEvent(EventType.ERROR, error="odd").raise_for_error()


@pytest.mark.parametrize(
    "event",
    [
        text_delta("hi"),
        error(ErrorInfo("server", "down", status_code=500)),
        StreamEvent(EventType.RETRY, retry=Retry(2, 3, 0.5, "r", "server")),
        StreamEvent(
            EventType.MESSAGE_COMPLETE,
            message=Message("assistant", [TextPart("hi")]),
            finish_reason=FinishReason.STOP,
            usage=Usage(1, 2),
        ),
    ],
    ids=lambda event: str(event.type),
)
def test_pydantic_takes_events(event):
    """`TypeAdapter(StreamEvent)` validates instances, writes JSON, reads it back, and has a schema."""
    adapter = TypeAdapter(StreamEvent)
    assert adapter.validate_python(event) == event
    assert adapter.validate_json(adapter.dump_json(event)) == event
    assert "text_delta" in adapter.json_schema()["properties"]
