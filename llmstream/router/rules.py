"""rules: keywords and patterns."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Protocol, TypeAlias
from unicodedata import category, normalize

from llmstream.checks import require, require_list
from llmstream.router.decision import Strategy
from llmstream.router.routes import R, Routes

_ALONE = (
    "\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u1950-\u19ff\u1a20-\u1aaf\u1b00-\u1b7f\u3005-\u3007\u3040-\u30ff"
    "\u31f0-\u31ff\u3400-\u9fff\ua980-\ua9ff\uaa60-\uaa7f\uf900-\ufaff\U00020000-\U0003ffff"
)
"""Scripts without spaces between words: Thai, Lao, Tibetan, Burmese, Khmer, Javanese, kana, Chinese …"""
_HANGUL = "\u1100-\u11ff\u3130-\u318f\ua960-\ua97f\uac00-\ud7ff"
"""Korean has spaces, but particles behind each word, and behind foreign ones."""
_UNSEEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff"
    "\U000e0000-\U000e0fff]"
)
"""Characters that nobody sees: soft hyphens, joiners, marks of direction (Default_Ignorable_Code_Point)."""


_OPTIONAL = re.compile(
    "[\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u0640\u064b-\u0652\u0670\u06d6-\u06dc]"
)
"""Hebrew and Arabic vowels, and the line that stretches Arabic words: few people write them."""
_ALIKE = str.maketrans("\u2018\u2019\u02bc\u2010\u2011\u2212", "'''---")
"""Apostrophes and hyphens, which keyboards write one way and programs another."""
_ARTICLES = (
    (
        "[\u0621-\u064a]",
        "[\u0648\u0641]?(?:[\u0628\u0643]?\u0627\u0644|\u0644\u0644)",
        "[\u0648\u0641]?[\u0628\u0643\u0644]|[\u0648\u0641]",
    ),
    (
        "[\u05d0-\u05ea]",
        "[\u05d5\u05e9]?\u05d4",
        "[\u05d5\u05e9]?(?:\u05db\u05e9)?[\u05d1\u05db\u05dc\u05de]|\u05d5?\u05e9|\u05d5",
    ),
)
"""What Arabic and Hebrew write before a word without a space: letters; articles; and, in, to, from.

Articles stand before words from three letters on, the others from four: short words begin like that, too.
"""


class Searchable(Protocol):
    """A compiled pattern, of `re` or of another engine such as re2."""

    def search(self, string: str, /) -> object | None:
        """Something if it occurs."""


Rule: TypeAlias = str | Searchable


def rules(table: Mapping[R, Sequence[Rule]]) -> Strategy[R]:
    r"""A strategy: the first route of `table` of which one keyword or pattern occurs in the text, else no decision.

    A keyword is a string, found as whole words, in either case, whatever the spaces between its words. Scripts without
    spaces have no whole words, so it is found anywhere there; so is what Korean hangs on a word. Arabic and Hebrew
    write articles and prepositions before a word without a space: it is found behind them, with vowels or without.

    The time it takes is linear in the text. A compiled pattern is asked as it is: `re` can take exponential time for
    one with nested repetitions such as `(a+)+`, and would block the loop; give one of `re2` where that may happen.

    Raises TypeError or ValueError, at once, for a rule that can't be, or that no text can match.
    """
    compiled = {route: _compile(route, table[route]) for route in table}

    async def rules(text: str) -> R | None:
        folded = _fold(text)
        for route, (keywords, patterns) in compiled.items():
            if keywords.search(folded) or any(pattern.search(text) for pattern in patterns):
                return route
        return None

    return rules


def _compile(route: Routes, given: Sequence[Rule]) -> tuple[re.Pattern[str], list[Searchable]]:
    require_list(
        given,
        f"the rules of {route!r} must be a list of keywords and compiled patterns, not {given!r}",
    )
    told = f"a rule of {route!r} must be a keyword or a compiled pattern"
    keywords: list[str] = []
    patterns: list[Searchable] = []
    for each in given:
        if isinstance(each, str):
            keywords.append(each)
        elif not hasattr(each, "search"):
            raise TypeError(f"{told}, not {each!r}")
        elif isinstance(getattr(each, "pattern", ""), bytes):
            raise TypeError(f"{told} of text, which bytes never match, not {each!r}")
        else:
            patterns.append(each)
    found = _compile_keywords([_fold(each).split() for each in keywords], f"a keyword of {route!r}")
    for each in keywords:
        require(
            found.search(f" {_fold(each)} "), f"a keyword of {route!r} can never be found: {each!r}"
        )
    return found, patterns


def _compile_keywords(keywords: list[list[str]], what: str) -> re.Pattern[str]:
    require(all(keywords), f"{what} is empty")
    # Bounds only where the keyword itself has a letter: "C++" is followed by anything. The bound before is looked at
    # once for all that have the same, which is twenty times as fast as once for each.
    by_bound: dict[str, list[str]] = {}
    for words in keywords:
        by_bound.setdefault(_bound_before(words[0]), []).append(_pattern(words))
    groups = [f"{bound}(?:{'|'.join(patterns)})" for bound, patterns in by_bound.items()]
    return re.compile("|".join(groups) or r"(?!)")


def _pattern(words: list[str]) -> str:
    return r"\s+".join(map(re.escape, words)) + _bound_after(words[-1][-1])


def _bound_before(word: str) -> str:
    if re.match(f"[{_HANGUL}]", word):
        return f"(?<![{_HANGUL}])"
    if not _is_of_word(word[0]):
        return ""
    return rf"(?<![^\W{_ALONE}{_HANGUL}])(?<![{_marks(alone=False)}]){_prefixes(word)}"


def _prefixes(word: str) -> str:
    """A pattern of what may stand before a word, within its bounds."""
    for letters, articles, others in _ARTICLES:
        length = len(re.findall(letters, word))
        if length == len(word) and length >= 3:
            return f"(?:{articles}|{others})?" if length >= 4 else f"(?:{articles})?"
    return ""


def _bound_after(last: str) -> str:
    within = f"(?![{_marks(alone=True)}])"  # a mark makes another letter of the last one
    return rf"(?![^\W{_ALONE}{_HANGUL}]){within}" if _is_of_word(last) else within


def _is_of_word(character: str) -> bool:
    """Whether it belongs to a word that spaces bound."""
    if re.match(f"[{_ALONE}{_HANGUL}]", character):
        return False
    return character == "_" or character.isalnum() or category(character)[0] == "M"


@cache
def _marks(*, alone: bool) -> str:
    """All combining marks, as a class of a pattern; `alone`: those of scripts without spaces, too."""
    ranges: list[list[int]] = []
    for code in range(0x300, 0x1E950):
        character = chr(code)
        if category(character)[0] != "M" or not (alone or re.match(f"[^{_ALONE}]", character)):
            continue
        if ranges and ranges[-1][1] == code - 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in ranges)


def _fold(text: str) -> str:
    """Without differences of case, of how a character is composed, and of what nobody sees."""
    if text.isascii():
        return text.casefold()
    seen = _OPTIONAL.sub("", _UNSEEN.sub("", text))
    folded = normalize("NFKC", seen.translate(_ALIKE)).casefold()
    # Turkish has an i with a dot in both cases, and one without.
    plain = folded.replace("i\u0307", "i").replace("ı", "i")  # noqa: RUF001
    return normalize("NFKC", plain)
