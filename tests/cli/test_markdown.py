"""The splitter: nothing lost, nothing unbounded, and pieces that render as the whole would."""

from __future__ import annotations

import io
import random
import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmstream.cli.markdown import LIMIT, LINES, Splitter
from llmstream.cli.markdown_blocks import Piece
from llmstream.cli.painter import Renderer

WORD = st.integers(0, 10**6).map(lambda number: f"w{number}")
LINE = st.one_of(
    st.just(""),
    st.sampled_from(
        [
            "```",
            "```py",
            "~~~",
            "````md",
            "---",
            "===",
            "***",
            "- - -",
            "|---|---|",
            ">",
            "-",
            "1.",
            "\t",
        ]
    ),
    st.builds(
        "{}{}{}".format,
        st.sampled_from(["", " ", "  ", "   ", "    ", "      ", "\t"]),
        st.sampled_from(
            [
                "",
                "- ",
                "* ",
                "+  ",
                "1. ",
                "7) ",
                "> ",
                ">",
                "# ",
                "#### ",
                "| ",
                "- > ",
                "- ```",
                "> ```",
            ]
        ),
        st.lists(WORD, max_size=4).map(" ".join),
    ),
    st.builds("| {} | {} |".format, WORD, WORD),
    st.builds("**{} `{}` [{}](http://x.y)**".format, WORD, WORD, WORD),
)
DOCUMENT = st.lists(st.tuples(LINE, st.sampled_from(["\n", "\n", "\r\n"])), max_size=80).map(
    lambda lines: "".join(line + end for line, end in lines)
)


def split(text: str, *cuts: int) -> list[Piece]:
    splitter = Splitter()
    pieces = []
    edges = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    for start, end in pairwise(edges):
        pieces += splitter.feed(text[start:end])
    return pieces + splitter.finish()


def rendered(pieces: list[Piece], width: int = 80) -> str:
    renderer = Renderer(io.StringIO())
    renderer._size = (width, 24)
    text = "".join(renderer.freeze(piece) for piece in pieces) + renderer.flush()
    return re.sub(r"\x1b\[[0-9;]*m", "", text).replace("\r\n", "\n")


@given(DOCUMENT, st.lists(st.integers(0, 5000), max_size=30))
def test_the_pieces_are_the_text(text: str, cuts: list[int]) -> None:
    assert "".join(piece.text for piece in split(text, *cuts)) == text


@given(
    st.text(alphabet="ab \n\r\t`~#>-*|_=1.[]\\", max_size=400),
    st.lists(st.integers(0, 400), max_size=30),
)
def test_the_pieces_are_any_text(text: str, cuts: list[int]) -> None:
    assert "".join(piece.text for piece in split(text, *cuts)) == text


@given(DOCUMENT, st.lists(st.integers(0, 5000), max_size=30))
def test_how_the_text_is_cut_into_deltas_changes_nothing(text: str, cuts: list[int]) -> None:
    whole = split(text)
    if all(len(piece.text) < LIMIT / 2 for piece in whole):
        assert split(text, *cuts) == whole


@given(DOCUMENT)
def test_every_word_is_rendered_in_order(text: str) -> None:
    said = re.sub(r"(?:`{3,}|~{3,}).*", "", text)  # a fence's language is not shown
    shown = rendered(split(text), 500)
    position = 0
    for word in re.findall(r"w\d+", said):
        position = shown.find(word, position)
        assert position >= 0, (word, shown)


@given(DOCUMENT)
def test_what_is_open_is_bounded(text: str) -> None:
    splitter = Splitter()
    for start in range(0, len(text) * 5, 7):
        splitter.feed((text * 5)[start : start + 7])
        assert len(splitter.tail.text) <= LIMIT + 7
        assert splitter.tail.text.count("\n") <= LINES + 1


GIANTS = {
    "paragraph": "word " * 20_000,
    "paragraph of lines": "some words in a line\n" * 5_000,
    "paragraph without spaces": "漢字" * 50_000,
    "fence": "```py\n" + "x = 1  # a comment\n" * 1_000 + "```\n",
    "fence never closed": "~~~js\n" + "let x = 1;\n" * 2_000,
    "line of code": "```\n" + "x" * 100_000 + "\n```\n",
    "list": "- an item of the list\n" * 5_000,
    "list with numbers": "".join(f"{n}. an item\n" for n in range(1, 7_000)),
    "item with a fence": "- see:\n  ```py\n" + "  x = 1\n" * 2_000 + "  ```\n- next\n",
    "item of many lines": "- see\n" + "  more of it\n" * 8_000,
    "item of one line": "- " + "word " * 20_000 + "\n- next\n",
    "table": "| a | b |\n|---|---|\n" + "| one | two |\n" * 1_500,
    "row of a table": "| a | b |\n|---|---|\n| " + "one " * 25_000 + "|\n",
    "quote": "> quoted words\n" * 7_000,
    "quote with a fence": "> ```py\n" + "> x = 1\n" * 2_000 + "> ```\n",
    "quote of one line": "> " + "word " * 20_000,
    "heading": "# " + "word " * 20_000,
    "blank lines": "\n" * 100_000,
    "nested lists": "- a\n" + "  - b\n    - c\n" * 7_000,
    "one block after another": "# Title\n\nA paragraph.\n\n- item\n\n" * 3_000,
}


@pytest.mark.parametrize("name", GIANTS)
def test_a_block_without_end_is_bounded_and_whole(name: str) -> None:
    text = GIANTS[name]
    splitter, pieces = Splitter(), []
    for start in range(0, len(text), 50):
        pieces += splitter.feed(text[start : start + 50])
        assert len(splitter.tail.markdown) <= LIMIT + 200
    pieces += splitter.finish()
    assert "".join(piece.text for piece in pieces) == text
    assert max(len(piece.markdown) for piece in pieces) <= LIMIT + 200
    # What is given to the renderer grows with the text, not with its square.
    assert sum(len(piece.markdown) for piece in pieces) <= 2 * len(text) + 1000
    words = len(re.findall(r"\bword\b|x = 1|one\b", text))
    if words and name != "row of a table":
        assert len(re.findall(r"\bword\b|x = 1|one\b", rendered(pieces))) == words


def test_a_cut_paragraph_wraps_as_if_it_were_whole() -> None:
    words = random.Random(1)
    text = " ".join("x" * words.randint(1, 12) for _ in range(3_000))
    for width in (40, 77, 120):
        assert rendered(split(text), width) == rendered([Piece(text, text)], width)


def test_a_cut_paragraph_of_a_list_item_stays_in_it() -> None:
    text = "1. " + "word " * 2_000 + "\n2. next\n"
    rows = rendered(split(text), 60).splitlines()
    assert rows[0].startswith("  1 word")
    assert all(row.startswith("    word") for row in rows[1:-1])
    assert {len(row) for row in rows[1:-2]} == {58}
    assert rows[-1] == "  2 next"


def test_a_cut_fence_keeps_its_language_and_its_blank_lines() -> None:
    code = "".join(f"x{n} = {n}\n\n" for n in range(100))
    pieces = split(f"```py\n{code}```\nafter\n")
    assert len(pieces) > 3
    assert all(piece.markdown.startswith("```py\n") for piece in pieces[:-1] if piece.markdown)
    shown = [row.strip() for row in rendered(pieces).splitlines()]
    assert shown[:200] == code.splitlines()
    assert shown[200:] == ["", "after"]


def test_a_longer_fence_holds_a_shorter_one() -> None:
    text = "````md\n```py\nx\n```\n- no list\n````\n\nafter"
    assert [piece.kind for piece in split(text) if piece.markdown] == ["fence", "paragraph"]


def test_a_fence_in_a_list_item_is_the_items() -> None:
    text = "1. do\n   ```sh\n   ls\n\n   ls\n   ```\n2. then\n\nend\n"
    assert [(piece.kind, piece.join) for piece in split(text)] == [
        ("item", "block"),
        ("item", "line"),
        ("paragraph", "block"),
    ]


def test_long_tables_repeat_their_head() -> None:
    text = "| name | n |\n|---|---|\n" + "".join(f"| row | {n} |\n" for n in range(100)) + "\nend"
    shown = rendered(split(text))
    assert shown.count("name") == 3
    assert [int(n) for n in re.findall(r"row +(\d+)", shown)] == list(range(100))


def test_html_and_link_definitions_are_shown() -> None:
    shown = rendered(
        split(
            "Use List<int> and <b>x</b>.\n\n<div>in</div>\n\n[ref]: http://a.b\n\n[t](http://c.d)\n"
        )
    )
    for part in ("List<int>", "<b>x</b>", "<div>in</div>", "[ref]: http://a.b", "t (http://c.d)"):
        assert part in shown


def test_numbers_of_one_digit_and_of_two_stand_in_line() -> None:
    rows = rendered(split("".join(f"{n}. item\n" for n in range(8, 12)))).splitlines()
    assert rows == ["  8 item", "  9 item", " 10 item", " 11 item"]


def test_a_table_loses_no_cell_and_no_end_of_a_word() -> None:
    word = "a_very_long_name_in_a_narrow_column"
    shown = rendered(split(f"| {word} | {word} |\n|---|---|\n| one | two | three |\n\nend\n"), 40)
    assert "".join(re.findall(r"[a-z_]+", shown)).count("three") == 1
    assert "…" not in shown
    assert shown.endswith("\n\nend\n")
    assert not shown.endswith("\n\n\nend\n")
