"""Copies of dataclasses."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmstream.events.types import EventType, Start, StreamEvent, TextDelta
from llmstream.messages import ChatRequest, FinishReason, Message, Usage
from llmstream.plain_values import amended

VALUES = [
    (StreamEvent(EventType.TEXT_DELTA, TextDelta("hi"), raw={"a": 1}), {"raw": None}),
    (
        StreamEvent(EventType.MESSAGE_COMPLETE, usage=Usage(1, 2)),
        {"usage": None, "finish_reason": FinishReason.STOP},
    ),
    (Start("id", "model", warnings=("one",), rate_limits={"a": "1"}), {"rate_limits": {}}),
    (Message("assistant", "text", usage=Usage(1)), {"parts": []}),
    (ChatRequest([], "m", stop=["x"], checked=True), {"model": "other"}),
]


@pytest.mark.parametrize(("value", "changes"), VALUES)
def test_a_copy_is_the_one_that_replace_makes(value, changes):
    before = repr(value)
    copy = amended(value, **changes)
    assert (type(copy), repr(copy)) == (type(value), repr(replace(value, **changes)))
    assert copy == replace(value, **changes)
    assert (copy is not value, repr(value)) == (True, before)


@given(st.lists(st.sampled_from(["a", "b"])), st.booleans())
def test_every_field_goes_along(stop, checked):
    request = ChatRequest([], "m", stop=stop, checked=checked)
    copy = amended(request, model="n")
    assert (copy.stop, copy.checked, copy.model) == (stop, checked, "n")


def test_a_name_that_is_no_field_is_refused():
    with pytest.raises(AttributeError):
        amended(Start(), wrong=1)
