"""Messages, parts and usage: plain values that survive storage."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmstream.checks import ensure_json, sequence_of
from llmstream.messages import (
    FinishReason,
    Message,
    ReasoningPart,
    RefusalPart,
    Source,
    TextPart,
    ToolCall,
    Usage,
    parse_arguments,
)
from llmstream.parts import dump_part, load_part
from tests import strategies


@given(strategies.messages)
def test_a_message_survives_json(message):
    """`from_dict(json(to_dict()))` is the same message, part by part."""
    assert Message.from_dict(json.loads(json.dumps(message.to_dict()))) == message


@given(strategies.parts)
def test_a_part_survives_json(part):
    """Every part says its type and comes back as what it was."""
    data = json.loads(json.dumps(dump_part(part)))
    assert data["type"] == part.type
    assert load_part(data) == part


@given(strategies.summed_usages)
def test_usage_survives_json(usage):
    """Counts and attempts come back; what was not reported stays None."""
    assert Usage.from_dict(json.loads(json.dumps(usage.to_dict()))) == usage


def test_a_message_is_read_by_its_properties():
    """Text, reasoning, refusal, calls and sources are gathered from the parts, in order."""
    own = ToolCall("2", "search", executed_by="provider")
    call = ToolCall("1", "f", "{}", input={})
    source = Source(url="https://a.example")
    parts = [ReasoningPart("r"), TextPart("a"), source, call, own, TextPart("b"), RefusalPart("no")]
    message = Message("assistant", parts)
    assert (message.text, message.reasoning, message.refusal) == ("ab", "r", "no")
    assert message.tool_calls == [call]
    assert message.sources == [source]


def test_a_string_is_one_text_part():
    """`Message(role, "…")` is the short form."""
    assert Message("user", "hi") == Message("user", [TextPart("hi")])


def test_the_json_form_names_only_what_is_set():
    """A message's dict has its role and parts, and whatever else is known."""
    assert Message("user", "hi").to_dict() == {
        "role": "user",
        "parts": [{"type": "text", "text": "hi"}],
    }
    done = Message("assistant", [], finish_reason=FinishReason.STOP, usage=Usage(0))
    assert done.to_dict() == {
        "role": "assistant",
        "parts": [],
        "finish_reason": "stop",
        "usage": {"input_tokens": 0},
    }


def test_fields_of_a_newer_version_are_ignored():
    """A stored message of a later version can be read; an unknown part can't be guessed."""
    data = {"role": "user", "parts": [{"type": "text", "text": "hi", "new": 1}], "newer": 2}
    assert Message.from_dict(data) == Message("user", "hi")
    with pytest.raises(ValueError, match="smell"):
        Message.from_dict({"role": "user", "parts": [{"type": "smell"}]})


@pytest.mark.parametrize(
    ("usage", "total"),
    [(Usage(), None), (Usage(3), 3), (Usage(None, 4), 4), (Usage(3, 4), 7), (Usage(0, 0), 0)],
)
def test_usage_adds_up_what_was_reported(usage, total):
    """`total_tokens` is None only when nothing was reported; OpenAI's names read the same counts."""
    assert usage.total_tokens == total
    assert (usage.prompt_tokens, usage.completion_tokens) == (
        usage.input_tokens,
        usage.output_tokens,
    )


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        ("", {}),
        (" \n", {}),
        ("{}", {}),
        ('{"x": [1]}', {"x": [1]}),
        ("[1]", None),
        ("1", None),
        ("null", None),
        ('{"x"', None),
        ("[" * 100_000, None),
        ('{"x": ' + "9" * 10_000 + "}", None),
    ],
    ids=lambda value: repr(value)[:12],
)
def test_arguments_are_an_object_or_nothing(arguments, value):
    """Empty means no arguments; anything that is no JSON object is None, however hostile."""
    assert parse_arguments(arguments) == value


@given(st.text())
def test_arguments_never_raise(arguments):
    """Whatever a model writes, the outcome is a dict or None."""
    assert isinstance(parse_arguments(arguments), dict | None)


@pytest.mark.parametrize("value", [{1, 2}, object(), float("nan"), {"x": b"y"}])
def test_what_is_not_json_is_refused(value):
    """`ensure_json` names what can't be written."""
    with pytest.raises(TypeError, match="the thing can't be written as JSON"):
        ensure_json(value, "the thing")


def test_a_circular_value_is_refused():
    """A value that holds itself is a TypeError, not a crash."""
    value = {}
    value["x"] = value
    with pytest.raises(TypeError, match="the thing"):
        ensure_json(value, "the thing")


def test_a_sequence_is_a_list_or_tuple():
    """A string is no list, although it could be iterated."""
    assert sequence_of((1,), "it") == (1,)
    for value in ("ab", {"a": 1}, 5, None):
        with pytest.raises(TypeError, match="it must be a list"):
            sequence_of(value, "it")


@pytest.mark.parametrize(
    "arguments", ['{"x": NaN}', '{"x": [-Infinity]}', '{"x": 1e999}', "[1]", "null", "{"]
)
def test_arguments_that_could_not_be_sent_back_are_no_object(arguments):
    assert parse_arguments(arguments) is None


def test_arguments_are_an_object_or_empty():
    assert parse_arguments(' {"x": 1.5e3} ') == {"x": 1500.0}
    assert parse_arguments(" ") == {}
