"""The size of JSON is counted before it is parsed, in time that its shape doesn't change."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmstream.json_size import MOST_VALUES, has_more_values
from llmstream.messages import parse_arguments

texts = st.text(st.characters(exclude_categories=())) | st.sampled_from(
    [',:[{"\\', "\\\\", '\\"', '"]', "\\\\\\"]
)
values = st.recursive(
    texts | st.integers() | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=8) | st.dictionaries(texts, inner, max_size=8),
)
SIZE = 8 * 1024 * 1024
HOSTILE = {
    "lists": "[]" * (SIZE // 2),
    "strings": '"a",' * (SIZE // 4),
    "empty strings": '"",' * (SIZE // 3),
    "quotes behind commas": "," * MOST_VALUES * 2 + '"' * (SIZE // 2),
    "escaped quotes": "," * MOST_VALUES * 2 + '"' + '\\"' * (SIZE // 3) + '"',
    "backslashes": "," * MOST_VALUES * 2 + "\\" * (SIZE // 2),
    "emojis": '"😀",' * (SIZE // 4),
}


def marks(value) -> int:
    """What stands before values, one by one."""
    if isinstance(value, dict):
        return 1 + 2 * len(value) - bool(value) + sum(map(marks, value.values()))
    if isinstance(value, list):
        return 1 + max(0, len(value) - 1) + sum(map(marks, value))
    return 0


@given(values, st.booleans())
def test_what_stands_in_texts_does_not_count(value, is_ascii) -> None:
    text = json.dumps(value, ensure_ascii=is_ascii)
    number = marks(value)
    assert not has_more_values(text, number)
    if number:
        assert has_more_values(text, number - 1)


@given(st.text(',:[]{}"\\a', max_size=30))
def test_of_what_is_no_json_all_that_a_parser_would_read_counts(text) -> None:
    try:
        value, _ = json.JSONDecoder().raw_decode(text)
    except ValueError:
        return
    assert not marks(value) or has_more_values(text, marks(value) - 1)


@pytest.mark.parametrize("name", HOSTILE)
def test_no_text_takes_long_to_count(name) -> None:
    began = time.process_time()
    has_more_values(HOSTILE[name], MOST_VALUES)
    assert time.process_time() - began < 2  # a fiftieth of it is usual; parsers take seconds


def test_arguments_of_too_many_values_are_none() -> None:
    """A model's, and those in a history: they are JSON in JSON, so no count of the body sees them."""
    many = json.dumps({"a": [[]] * (MOST_VALUES // 2)})
    assert parse_arguments(json.dumps({"a": [[]] * (MOST_VALUES // 4)})) is not None
    assert parse_arguments(json.dumps({"a": ",:[{" * MOST_VALUES})) is not None
    began = time.process_time()
    assert parse_arguments(many * 100) is None
    assert time.process_time() - began < 2
