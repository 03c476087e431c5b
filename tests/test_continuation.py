"""How a cut answer is asked for and fitted together: pure."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmstream.continuation import CHANCE, WINDOW, Overlap, continue_request, obstacle
from llmstream.messages import (
    ChatRequest,
    Message,
    ReasoningPart,
    RefusalPart,
    ResponseFormat,
    TextPart,
    ToolCall,
)

REQUEST = ChatRequest([Message("user", [TextPart("count")])], "m")


def fitted(shown: str, *pieces: str, prefill: bool = False) -> str:
    overlap = Overlap(shown, prefill=prefill)
    return "".join([*(overlap.feed(piece) for piece in pieces), overlap.finish()])


@pytest.mark.parametrize(
    ("shown", "said", "fresh"),
    [
        ("The quick bro", "brown fox", "wn fox"),
        ("The quick brown fo", "fox jumps", "fox jumps"),  # two letters may be chance
        ("The quick brown", " fox jumps", " fox jumps"),
        ("The quick brown fox ", "brown fox jumps", "jumps"),
        ("The quick brown", "The quick brown fox", " fox"),
        ("book", "keeper", "keeper"),
        ("A sentence. Another sent", "Another sentence.", "ence."),
        ("one two three", "one two three", ""),
        ("one two three", "one two three four", " four"),
        ("print(f(g(x)", ")", ")"),
        ("Para one.\n", "\nPara two.", "\nPara two."),
        ("[[1, 2]", "]", "]"),
        ("**bold*", "*", "*"),
        ("-", "-flag", "-flag"),
        ("na na na ", "na na batman", "na na batman"),
        ("1, 0, ", "0, 1", "0, 1"),
        ("--------", "--------", "--------"),
        ("one two", "", ""),
        ("1, 2, 3", ", 4", ", 4"),
        ("line\n", "\nnext", "\nnext"),
        ("", "anything", "anything"),
        (
            "你好世界今天天气很好",
            "今天天气很好吗",
            "今天天气很好吗",
        ),  # six characters within a word may be chance
        ("我说你好世界今天天气很好", "你好世界今天天气很好吗", "吗"),
    ],
)
def test_what_a_continuation_repeats_is_taken_out(shown: str, said: str, fresh: str) -> None:
    assert fitted(shown, said) == fresh
    assert fitted(shown, *said) == fresh


def test_what_is_cut_while_it_still_repeats_is_no_text_of_its_own() -> None:
    for said in ("Once upon a", "there was", "O"):
        overlap = Overlap("Once upon a time there was")
        assert overlap.feed(said) == ""
        assert overlap.finish(cut=True) == ""
    overlap = Overlap("Once upon a time there was")
    assert overlap.feed("Once upon a") == ""
    assert overlap.finish() == "", "begun anew, and over before anything new came"


def test_an_answer_begun_anew_is_taken_out_whole_however_long() -> None:
    shown = " ".join(str(number) for number in range(WINDOW))
    assert (
        fitted(shown, *(f"{shown} and so on"[i : i + 7] for i in range(0, len(shown) + 10, 7)))
        == " and so on"
    )


def test_after_a_prefill_only_white_space_can_be_double() -> None:
    assert fitted("Hello ", " world", prefill=True) == "world"
    assert fitted("Hello \n", " \nworld", prefill=True) == "world"
    assert fitted("Hello", " world", prefill=True) == " world"
    assert fitted("ha", "ha", prefill=True) == "ha"
    assert fitted("the the ", "the end", prefill=True) == "the end"


@given(
    st.text(alphabet="ab \n", max_size=40),
    st.text(alphabet="ab \n", max_size=40),
    st.integers(1, 5),
)
def test_pieces_don_t_matter_and_only_a_repetition_is_lost(
    shown: str, said: str, size: int
) -> None:
    whole = fitted(shown, said)
    assert fitted(shown, *(said[i : i + size] for i in range(0, len(said), size))) == whole
    assert said.endswith(whole)
    lost = said[: len(said) - len(whole)]
    assert shown.endswith(lost)


@given(st.text(max_size=60), st.text(max_size=60))
def test_nothing_is_held_that_can_t_be_a_repetition(shown: str, said: str) -> None:
    overlap = Overlap(shown)
    held = ""
    for character in said:
        if overlap.done:
            assert overlap.feed(character) == character
        else:
            held += character
            if overlap.feed(character):
                held = ""
            elif not overlap.done:
                assert held in shown


def test_a_chance_overlap_within_a_word_is_kept() -> None:
    word = "abcdefghijkl"
    assert fitted("x" + word[:CHANCE], word[: CHANCE - 1] + "zz") == word[: CHANCE - 1] + "zz"


def test_the_request_shows_the_text_alone_and_asks_for_the_rest() -> None:
    partial = Message(
        "assistant", [ReasoningPart("hm"), TextPart("one two "), ToolCall("c", "f", complete=False)]
    )
    request = continue_request(REQUEST, partial, prefill=False)
    assert [message.role for message in request.messages] == ["user", "assistant", "user"]
    assert request.messages[1].parts == [TextPart("one two ")]
    assert "do not repeat" in request.messages[2].text
    assert len(REQUEST.messages) == 1


def test_a_prefill_is_the_text_without_the_white_space_at_its_end() -> None:
    request = continue_request(
        REQUEST, Message("assistant", [TextPart("one two \n")]), prefill=True
    )
    assert [message.role for message in request.messages] == ["user", "assistant"]
    assert request.messages[1].text == "one two"


@pytest.mark.parametrize("parts", [[], [TextPart(" \n")], [ReasoningPart("hm")]])
def test_without_text_the_request_is_the_same(parts: list[TextPart]) -> None:
    assert continue_request(REQUEST, Message("assistant", [*parts]), prefill=True) is REQUEST


def test_what_can_t_be_continued_says_why() -> None:
    partial = Message("assistant", [TextPart("one")])
    assert obstacle(REQUEST, partial) is None
    reasons = [
        obstacle(REQUEST, None),
        obstacle(REQUEST, Message("assistant", [RefusalPart("no")])),
        obstacle(ChatRequest([], "m", response_format=ResponseFormat()), partial),
    ]
    assert all(reasons)
    assert all(one != other for one, other in pairwise(reasons))
