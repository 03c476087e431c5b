"""Grapheme clusters: what a reader takes for one character, and where a text may be cut between two.

The rules are those of https://www.unicode.org/reports/tr29/#Grapheme_Cluster_Boundary_Rules, with
the properties that Python's `unicodedata` has. Each boundary depends on the characters before it and
on the one behind it.
"""

from __future__ import annotations

import re
from functools import lru_cache
from unicodedata import category

ZWJ = "\u200d"
_EXTENDS = re.compile(
    "[\u200c\u200d\uff9e\uff9f\u0e33\u0eb3\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]"
)
"""What belongs to the character before it, though it isn't a mark: joiners, skin tones, tags, two vowels."""
_PREPENDED = frozenset(
    "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\u0d4e\U000110bd\U000110cd"
)
"""Signs that belong to the character behind them."""
_HALF_FLAG = re.compile(
    "(?<![\U0001f1e6-\U0001f1ff])(?:[\U0001f1e6-\U0001f1ff]{2})*[\U0001f1e6-\U0001f1ff]\\Z"
)
"""An odd number of regional indicators at an end: two are a flag."""
_PICTURE = re.compile(
    "[©®\u203c\u2049\u2122\u2139\u2194-\u21aa\u231a-\u23ff\u24c2\u25aa-\u27bf\u2934\u2935"
    "\u2b05-\u2b55\u3030\u303d\u3297\u3299\U0001f000-\U0001f1e5\U0001f200-\U0001f3fa\U0001f400-\U0001faff]"
)
_JOINED_PICTURE = re.compile(
    f"{_PICTURE.pattern}[\u0300-\u036f\ufe0f\U0001f3fb-\U0001f3ff]*{ZWJ}\\Z"
)
_CONSONANT = re.compile(
    "[\u0915-\u0939\u0958-\u095f\u0978-\u097f\u0995-\u09b9\u09dc-\u09df\u0a95-\u0ab9"
    "\u0b15-\u0b39\u0c15-\u0c39\u0d15-\u0d3a]"
)
_JOINERS = "\u200d\u093c\u09bc\u0abc\u0b3c"
_CONJUNCT = re.compile(
    f"{_CONSONANT.pattern}[{_JOINERS}]*[\u094d\u09cd\u0acd\u0b4d\u0c4d\u0d4d]"
    f"[\u094d\u09cd\u0acd\u0b4d\u0c4d\u0d4d{_JOINERS}]*\\Z"
)
"""An Indic consonant and the sign by which it joins the next, at an end."""
_CONTROLS = frozenset({"Cc", "Zl", "Zp"})
"""Categories of characters that stand alone."""
_REACH = 64
"""Characters before a place that are looked at: flags and joined pictures."""


@lru_cache(4096)
def is_mark(character: str) -> bool:
    """Whether a character belongs to the one before it, whatever that is."""
    if character < "\u0300":
        return False
    return category(character)[0] == "M" or _EXTENDS.match(character) is not None


def is_boundary(text: str, at: int) -> bool:
    """Whether a cluster ends at this place, which has characters on both sides."""
    before, behind = text[at - 1], text[at]
    if before < "\u0300" and behind < "\u0300":
        return before != "\r" or behind != "\n"
    if not _CONTROLS.isdisjoint((category(before), category(behind))):
        return True
    if is_mark(behind) or before in _PREPENDED:
        return False
    start = max(0, at - _REACH)
    if before == ZWJ and _PICTURE.match(behind):
        return _JOINED_PICTURE.search(text, start, at) is None
    if _CONSONANT.match(behind):
        return _CONJUNCT.search(text, start, at) is None
    if "\U0001f1e6" <= behind <= "\U0001f1ff":
        return _HALF_FLAG.search(text, start, at) is None
    return not _joins_syllable(before, behind)


def last_boundary(text: str) -> int:
    """Where the last cluster begins, which may still grow; 0 where all is one."""
    at = len(text) - 1
    while at > 0 and not is_boundary(text, at):
        at -= 1
    return max(at, 0)


def _joins_syllable(before: str, behind: str) -> bool:
    """Whether two Korean letters are of one syllable."""
    if behind < "\u1100":
        return False
    kind = _syllable_part(before)
    next_kind = _syllable_part(behind)
    return next_kind in _FOLLOWS.get(kind, ())


_FOLLOWS = {
    "L": ("L", "V", "LV", "LVT"),
    "V": ("V", "T"),
    "LV": ("V", "T"),
    "T": ("T",),
    "LVT": ("T",),
}


_SYLLABLE_PART = re.compile(
    "(?P<L>[\u1100-\u115f\ua960-\ua97c])|(?P<V>[\u1160-\u11a7\ud7b0-\ud7c6])"
    "|(?P<T>[\u11a8-\u11ff\ud7cb-\ud7fb])|(?P<LVT>[\uac00-\ud7a3])"
)


def _syllable_part(character: str) -> str:
    found = _SYLLABLE_PART.match(character)
    if found is None or found.lastgroup is None:
        return ""
    has_no_final = found.lastgroup == "LVT" and (ord(character) - 0xAC00) % 28 == 0
    return "LV" if has_no_final else found.lastgroup
