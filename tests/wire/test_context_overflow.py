"""Context overflows: the numbers of every vendor's words, in the words that clients look for."""

from __future__ import annotations

import re

import pytest

from llmstream.wire.context_overflow import (
    WORDINGS,
    Overflow,
    anthropic_words,
    openai_words,
    parse_overflow,
    plain_words,
)
from llmstream.wire.error_kinds import classify

CLIENTS = {
    "langchain-anthropic": (anthropic_words, r"prompt is too long"),
    "pydantic-ai (Anthropic)": (anthropic_words, r"prompt is too long"),
    "Claude Code": (anthropic_words, r"prompt is too long: (\d+) tokens > (\d+) maximum"),
    "litellm": (openai_words, r"This model's maximum context length is"),
    "openai": (openai_words, r"maximum context length is \d+ tokens"),
}
"""What clients search for, as their published sources have it."""


@pytest.mark.parametrize("wording", WORDINGS, ids=lambda wording: wording.source[:20])
def test_the_numbers_of_each_wording_are_read(wording) -> None:
    numbers = {int(number) for number in re.findall(r"\d{3,}", wording.source)}
    overflow = parse_overflow(wording.source)
    assert {overflow.prompt, overflow.limit} <= numbers
    assert classify([], wording.source, 400) == "context_length"


@pytest.mark.parametrize("say", [anthropic_words, openai_words, plain_words])
@pytest.mark.parametrize(
    "overflow", [Overflow(210_000, 200_000), Overflow(190_000, 200_000, 21_000)]
)
def test_what_is_said_is_read_again(say, overflow) -> None:
    assert parse_overflow(say(overflow)) == overflow


@pytest.mark.parametrize("name", CLIENTS)
def test_clients_find_the_words_that_they_look_for(name) -> None:
    say, pattern = CLIENTS[name]
    assert re.search(pattern, say(Overflow(210_000, 200_000)))


def test_without_numbers_there_is_still_something_to_recognise() -> None:
    assert "capability_rejected: prompt_too_long" in anthropic_words(Overflow())
    assert "prompt is too long" in anthropic_words(Overflow())
    assert openai_words(Overflow()).startswith("This model's maximum context length is")


def test_a_smaller_answer_is_only_proposed_where_it_helps() -> None:
    told = parse_overflow("exceed context limit: 210000 + 1000 > 200000")
    assert told == Overflow(210_000, 200_000)


def test_other_refusals_have_no_numbers() -> None:
    assert parse_overflow("temperature must be at most 1") == Overflow()
