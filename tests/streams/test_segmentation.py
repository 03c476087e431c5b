# ruff: noqa: RUF001  # many scripts
"""Sentences, words and characters of every script, the same however the text came."""

from __future__ import annotations

import asyncio
import unicodedata
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmstream.events.types import text_delta
from llmstream.streams import coalesce
from llmstream.streams.graphemes import is_boundary, is_mark
from tests.streams.sources import Feed


def extracts(name):
    """Text and boundaries of each case in the extract of Unicode's tests."""
    lines = Path(__file__).with_name("unicode_breaks.txt").read_text("utf-8").split("\n@ ")
    part = next(part for part in lines if part.startswith(name))
    for line in part.splitlines()[1:]:
        text, places = "", []
        for token in line.split():
            if token == "÷":
                places.append(len(text))
            elif token != "×":  # as Unicode writes it
                text += chr(int(token, 16))
        if text:
            yield text, places


def cut(text, by, size, **options):
    """The deltas of a text that comes in pieces of this size."""
    pieces = [text_delta(text[at : at + size]) for at in range(0, len(text), size)]

    async def run():
        return [each.text async for each in coalesce(Feed(pieces), by, **options) if each.text]

    return asyncio.run(run())


def places(pieces):
    found = [0]
    for piece in pieces:
        found.append(found[-1] + len(piece))
    return found


def test_sentences_end_where_unicode_says():
    """But in an address: `/a?b` goes on."""
    for text, expected in extracts("Sentence"):
        for size in (1, 2, 100):
            assert places(cut(text, "sentence", size)) == expected, ascii(text)


def test_characters_end_where_unicode_says():
    """But for the conjuncts of Myanmar, Khmer and Balinese, which Unicode 17 joins."""
    for text, expected in extracts("Grapheme"):
        inside = [at for at in range(1, len(text)) if is_boundary(text, at)]
        assert [0, *inside, len(text)] == expected, ascii(text)


def test_no_word_is_torn_where_unicode_has_none():
    """A word has the space after it, so not every boundary of Unicode's is one."""
    for text, expected in extracts("Word"):
        for size in (1, 2, 100):
            assert set(places(cut(text, "word", size))) <= set(expected), ascii(text)


SENTENCES = [
    ["「はい。」", "と言った。", "そう？！", "はい。"],
    ["他说：“好。”", "然后走了！", "真的？"],
    ["네. ", "안녕하세요? ", "좋아요!"],
    ["هل؟ ", "نعم. ", "لا۔ ", "جی؟"],
    ["नमस्ते। ", "कैसे हो? ", "ठीक॥"],
    ["Բարեւ։ ", "Այո։"],
    ["ሰላም። ", "ደህና፧ ", "አዎ።"],
    ["သူ။ ", "မလာ။"],
    ["សួស្តី។ ", "បាទ។"],
    ["ｱｲ｡", "ｳｴ｡"],
    ["Да. ", "Нет! ", "В т.е. случае г. Москва."],
    ["Ναι. ", "Όχι! ", "Καλά."],
    ["שלום. ", "מה? ", "טוב!"],
    ["Dr. Smith and J. R. Hartley came at 6 p.m. on Monday. ", "He left."],
    ["1. First\n", "2. Second one. ", "Done."],
    ["Am 3. Mai kam er. ", "Am 4. war es. ", "Ja."],
    ["Mr. T. said (yes.) ", "No! ", '"Quoted." ', "Next"],
    ["See https://a.b/c?d=e!f. ", "Then v3.14 of file.txt goes on."],
    ["A\r\n", "B\r\n", "\r\n"],
    ["Er sagte: „Ja.“ ", "Dann ging er."],
    ["Il a dit « Oui. » ", "Puis non."],
    ["»Nein.« ", "»Doch!« ", "So."],
    ["¿Qué? ", "¡Sí! ", "Bien."],
    ["Wait… ", "What?! ", "No…maybe."],
    ["It works etc. and so on, e.g. this. ", "Fine."],
    ["**Bold.** ", "_Next._ ", "End."],
    ["Is it? ", "No. ", "See No. 5 and Fig. 3, p. 4. ", "The 21st. ", "Then Jan. 5."],
    ["By the sea: el mar. ", "Luego. ", "Prof. Dr. Müller sagte z.B. Hallo. ", "Ja."],
    ["A. One option.\n", "B. Another.\n", "C. None. ", "Choose!"],
    ["Good. ", "👍🏽 Yes."],
    ["We met at 6 p.m. ", "He left. ", "It was 9 a.m. Eastern. ", "Then 5 p.m. ", "Then on."],
    ["I take Vitamin C. ", "It helps. ", "See Plan B. ", "The other is Plan C."],
    [
        "Apple Inc. is big. ",
        "So is Foo Ltd. ",
        "We know Bar Corp. Europe. ",
        "Martin Jr. ",
        "He left.",
    ],
    [
        "J.R.R. Tolkien met J. K. Rowling. ",
        "The U.S. Senate met. ",
        "He left the U.S. ",
        "They stayed.",
    ],
    ["Das ist z. B. so, d. h. gut. ", "Im 19. Jahrhundert war es so. ", "Es waren 30. ", "Ja."],
    ["И т. д. ", "Потом. ", "Solve for x. ", "Then y."],
    ["Smith et al. 2020 said c. 1850. ", "Smith et al. ", "They said so."],
    ["I like .NET and .NET. ", "It runs .NET Core. ", "Yes."],
]


@pytest.mark.parametrize("sentences", SENTENCES, ids=range(len(SENTENCES)))
def test_sentences_of_many_scripts(sentences):
    """A closing mark stays with its sentence, an opening one begins the next."""
    for size in (1, 2, 3, 7, 1000):
        assert cut("".join(sentences), "sentence", size) == sentences


@pytest.mark.parametrize(
    "words",
    [
        ["か\u3099", "く", " 葛\U000e0100", "飾"],
        ["e\u0301a ", "b\u0308"],
        ["👩\u200d👩\u200d👧 ", "hi ", "🇩🇪🇫🇷 ", "1\ufe0f\u20e3"],
        ["a\r\n", "b"],
        ["ก็ดี ", "ที่ ", "นี่"],
    ],
)
def test_words_keep_their_marks(words):
    for size in (1, 2, 3, 100):
        assert cut("".join(words), "word", size) == words


ALPHABET = "aé .!?。」\"'(“”»\n\r\u0301\u200d\ufe0f👩🇩🇪가\u1100\u1161कि्ไ้1A…"


@given(st.text(ALPHABET, max_size=40), st.sampled_from(["word", "sentence", "line"]))
def test_any_text_is_cut_alike_however_it_came(text, by):
    """Nothing is lost, and no character is torn."""
    whole = cut(text, by, 1000)
    assert "".join(whole) == text
    for size in (1, 2, 5):
        assert cut(text, by, size) == whole
    for before, after in pairwise(whole):
        assert is_boundary(before + after, len(before)), ascii(whole)


@given(st.text(st.sampled_from("กไ้่ีकि्か\u3099e\u0301"), max_size=60), st.integers(2, 9))
def test_too_much_text_is_cut_between_characters(text, chars):
    """Thai has no spaces; its marks stay with their letters where the limit cuts."""
    pieces = cut(text, "word", 1, chars=chars)
    assert "".join(pieces) == text
    for before, after in pairwise(pieces):
        is_long = not any(is_boundary(before, at) for at in range(1, len(before)))
        assert is_boundary(before + after, len(before)) or is_long


def test_every_mark_of_unicode_is_one():
    marks = [
        chr(code) for code in range(0x300, 0x20000) if unicodedata.category(chr(code))[0] == "M"
    ]
    assert all(map(is_mark, marks))
