"""rules: keywords and patterns."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Protocol, TypeAlias
from unicodedata import normalize

from llmstream.router.decision import Strategy
from llmstream.router.routes import R, Routes

_SPACED = r"[^\W\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]"
"""A character of a word; kana and Chinese characters are written without spaces, so they bound nothing."""


class Searchable(Protocol):
    """A compiled pattern, of `re` or of another engine such as re2."""

    def search(self, string: str, /) -> object | None:
        """Something if it occurs."""


Rule: TypeAlias = str | Searchable


def rules(table: Mapping[R, Sequence[Rule]]) -> Strategy[R]:
    r"""A strategy: the first route of `table` of which one keyword or pattern occurs in the text, else no decision.

    A keyword is a string, found as whole words, in either case, whatever the spaces between its words; the time it
    takes is linear in the text. A compiled pattern is asked as it is: `re` can take exponential time for one with
    nested repetitions such as `(a+)+`, and would block the loop; give one of `re2` where that may happen.

    Raises TypeError or ValueError, at once, for a rule that can't be.
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
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise TypeError(
            f"the rules of {route!r} must be a list of keywords and compiled patterns, not {given!r}"
        )
    keywords: list[list[str]] = []
    patterns: list[Searchable] = []
    for each in given:
        if isinstance(each, str):
            keywords.append(_fold(each).split())
        elif hasattr(each, "search"):
            patterns.append(each)
        else:
            raise TypeError(
                f"a rule of {route!r} must be a keyword or a compiled pattern, not {each!r}"
            )
    if not all(keywords):
        raise ValueError(f"a keyword of {route!r} is empty")
    return _any_of(keywords), patterns


def _any_of(keywords: list[list[str]]) -> re.Pattern[str]:
    """One pattern for all keywords.

    It has bounds only where a keyword itself has a letter: "C++" is followed by anything. The bound
    before is looked at once for all of them, which is twenty times as fast as once for each.
    """
    bound: list[str] = []
    free: list[str] = []
    for words in keywords:
        has_bound = re.match(_SPACED, words[0]) is not None
        (bound if has_bound else free).append(_pattern(words))
    if bound:
        free.insert(0, rf"(?<!{_SPACED})(?:{'|'.join(bound)})")
    return re.compile("|".join(free) or r"(?!)")


def _pattern(words: list[str]) -> str:
    after = rf"(?!{_SPACED})" if re.search(rf"{_SPACED}\Z", words[-1]) else ""
    return r"\s+".join(map(re.escape, words)) + after


def _fold(text: str) -> str:
    """Without differences of case and of how a character is composed."""
    return normalize("NFKC", text).casefold()
