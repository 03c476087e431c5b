"""Footnotes: whether a number in brackets stands for a source, or is the answer."""

from __future__ import annotations

import re
from enum import IntEnum

IS = "is|are|be|es|son|est|sont|ist|sind|é|são|è|sono"
"""What says in English, Spanish, French, German, Portuguese and Italian that a value follows."""
MARKS = re.compile(r"(?:```\w*|~~~\w*|[>*_`#|]|[+-](?=\s)|\d+[.)](?=\s)|\s)*")
"""Markdown before a value on its line: a fence, a quote, a heading, a list, emphasis, a table."""
_LEADS_ON = re.compile(rf"(?:[:：=→]|\b(?:{IS}))[\s*_`]*$", re.IGNORECASE)  # noqa: RUF001
_HEADINGS = (
    "sources?|references?|citations?|footnotes?|bibliography|works cited|quellen?|fu(?:ß|ss)noten?"
    "|literatur|fuentes?|referencias?|sources consultées|références?|fontes?|referências?|font[ei]"
    "|riferimenti|bronnen|kaynak(?:ça|lar)?|źródła|источники?|джерела|nguồn|sumber|المصادر|مصادر"
    "|المراجع|مراجع|מקורות|מקור|स्रोत|แหล่งที่มา|อ้างอิง|参考(?:文献|资料|資料)?|参照|來源|来源|出典|引用"
    "|注釈|脚注|출처|참고(?: ?문헌)?|각주"
)
"""What stands above a list of sources."""
_NAMES_SOURCES = re.compile(
    rf"(?:\b(?:{_HEADINGS}|see|refs?|cf|cites?|notes?)|[参參]见|参照)(?: used| cited)?[.]?[:：]?[\s*_`]*$",  # noqa: RUF001
    re.IGNORECASE,
)
_HEADS_SOURCES = re.compile(rf"\b(?:{_HEADINGS})(?: used| cited)?[:：]?[\s*_`]*$", re.IGNORECASE)  # noqa: RUF001
_SOURCE_ITEM = re.compile(r"[\s>*+-]*\[\d{1,3}\]")
_NUMBERS = re.compile(r"\[\s*(?:\d{1,3}(?P<more>\s*,\s*\d{1,3})*)?\s*\]|\{\s*\}")
_FENCE = re.compile(r"\s*(?:```|~~~)\s*")
_BLANK = " \t\r`*_~.,!;。|$"
_AFTER = r"[ \t\r`*_~.!;。|$]*+"
_REMARK = r"(?P<remark>\([^()]*\))"
_SOURCES = r"(?:\[\d{1,3}\]\s*+)*+"
_ENDS = re.compile(rf"(?!,\s*\[),?{_AFTER}(?:{_REMARK}|{_SOURCES}){_AFTER}")
"""Nothing follows on the line but the numbers of sources, or a remark."""
_NEAR = 200
"""Characters before and after a value that say what it is."""


class Rank(IntEnum):
    """How likely a value is the answer."""

    THOUGHT = 0
    FOOTNOTE = 1
    MENTIONED = 2
    SAID = 3


def rank_of(text: str, start: int, end: int) -> Rank:
    """The rank of a value that was said: only one that looks like the number of a source may be that."""
    numbers = _NUMBERS.fullmatch(text, start, end)
    if numbers is None:
        return Rank.SAID
    near = max(0, start - _NEAR)
    line = text.rfind("\n", near, start) + 1 or near
    before = text[line:start]
    after = text[end : end + _NEAR].partition("\n")[0]
    if _NAMES_SOURCES.search(before[-40:]) or _is_in_list(text[near:line], before):
        return Rank.FOOTNOTE
    leads_on = _LEADS_ON.search(before[-40:])
    ends = _ENDS.fullmatch(after)
    if leads_on:
        return Rank.SAID if ends else Rank.MENTIONED
    closes_fence = _FENCE.fullmatch(before) and not _FENCE.search(after)
    if closes_fence or not MARKS.fullmatch(before):  # words of a sentence stand before it
        return Rank.MENTIONED if numbers["more"] else Rank.FOOTNOTE
    if ends is None:
        return Rank.FOOTNOTE
    # "[1] (Smith)" is a footnote, "[1] [2]" perhaps.
    if numbers["more"] or not after.strip(_BLANK):
        return Rank.SAID
    return Rank.FOOTNOTE if ends["remark"] else Rank.MENTIONED


def _is_in_list(above: str, before: str) -> bool:
    """Whether a heading above says that these are sources."""
    if not _SOURCE_ITEM.match(f"{before}[1]"):
        return False
    for line in reversed(above.split("\n")):
        if line.strip() and not _SOURCE_ITEM.match(line):
            return _HEADS_SOURCES.search(line[-40:]) is not None
    return False
