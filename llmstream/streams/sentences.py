"""Sentences: where one ends, as far as a stream can know.

The rules are those of https://www.unicode.org/reports/tr29/#Sentence_Boundary_Rules. Where they leave
it to the language, these hold: an abbreviation, a number that counts a list or a day, and the initial
of a name end no sentence; nor does a mark inside an address (`/a?b=1`). An opening bracket begins the
next sentence.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from unicodedata import category

from llmstream.streams.graphemes import is_mark

# Sentence_Terminal, https://www.unicode.org/Public/16.0.0/ucd/PropList.txt, and the ellipsis.
_FULL_STOPS = ".․﹒．"  # noqa: RUF001
_ENDERS = (
    "!?…։؝؞؟۔܀܁܂߹࠷࠹࠽࠾।॥၊။።፧፨᙮᜵᜶‼‽⁇⁈⁉⸮⸼。꓿꘎꘏﹖﹗！？｡"  # noqa: RUF001
    "។៕᠃᠉᥄᥅᪨᪩᪪᪫᭚᭛᭞᭟᭽᭾᰻᰼᱾᱿꛳꛷꡶꡷꣎꣏꤯꧈꧉꩝꩞꩟꫰꫱꯫"  # noqa: RUF001
)
_BREAKS = "\n\r\x85\u2028\u2029"
_STOPS = frozenset(_FULL_STOPS)
_MARKS = frozenset(_FULL_STOPS + _ENDERS + _BREAKS)
_MARK = re.compile(f"[{re.escape(_FULL_STOPS + _ENDERS + _BREAKS)}]")
_GOES_ON = frozenset(",-:;՝،؍߸᠂᠈–—、︐︑︓︱︲﹐﹑﹕﹘﹣，－：､;︔﹔；")  # noqa: RUF001
_NO_BEGINNING = _GOES_ON.union(_FULL_STOPS, _ENDERS)
"""No sentence begins with one of them."""
_EMPHASIS = "*_~`"
_ASCII_WORD = re.compile(r"[A-Za-z0-9=&/%_+-]")

_ABBREVIATION_WORDS = """
dr mr mrs ms prof sr st mt messrs mme mlle hr fr frl hrn gen col maj capt lt sgt cmdr adm gov
sen rep rev hon pres supt ed eds vs cf approx dept est e.g i.e viz
bzw ca d.h u.a z.b z.t evtl ggf inkl vgl geb gest sog p.ej sra srta ud uds dra avda sig.ra dott
art.n т.е т.д г ул см им проф
"""  # noqa: RUF001  # Cyrillic
ABBREVIATIONS = frozenset(_ABBREVIATION_WORDS.split())
"""They stand before a name or a number, or within a sentence; those of the languages that have most.

Chosen from https://github.com/unicode-org/cldr/tree/main/common/segments (suppressions).
"""
_LAST_WORDS = "jr sr inc ltd co corp bros a.m p.m ph.d"
LAST = frozenset(_LAST_WORDS.split())
"""They stand within a sentence or at its end, as the initial of a name does."""
_BEGINNING_WORDS = """
he she it we you they this that these those there the his her its our your their my what when
where why how who then but and so if
"""
_BEGINNINGS = frozenset(_BEGINNING_WORDS.split())
"""Behind what may be the last word of a sentence, these begin the next: "at 6 p.m. He", "Vitamin C. It"."""
_NUMBERED_WORDS = """
no nos nr vol vols fig figs eq eqs ch sec p pp art abs bd núm pág págs стр рис jan feb mar apr
jun jul aug sep sept oct nov dec mon tue tues wed thu thur thurs fri c al
"""  # Cyrillic
NUMBERED = frozenset(_NUMBERED_WORDS.split())
"""They are abbreviations where a number follows: "No. 5", but "No. Never"."""
_MONTH_WORDS = """
januar jänner februar märz april mai juni juli august september oktober november dezember jan
feb apr jun jul aug sep okt nov dez januari februari mars maj juni augusti oktober december
ledna února března dubna května června července srpna září října listopadu prosince stycznia
lutego marca kwietnia maja czerwca lipca sierpnia września października listopada grudnia
tammikuuta helmikuuta maaliskuuta huhtikuuta toukokuuta kesäkuuta heinäkuuta elokuuta syyskuuta
lokakuuta marraskuuta joulukuuta jahrhundert jahrhunderts jahrtausend weltkrieg weltkriegs
"""
_MONTHS = frozenset(_MONTH_WORDS.split())
"""Of the languages that write a day as `3.`, and what they count like that."""
_WORD_BEFORE = re.compile(r"(?<![\w.])(?:[^\W\d_]+\.)*[^\W\d_]+\Z")
_INITIALS = re.compile(r"(?!I\Z)(?:[^\W\d_]\.)*[^\W\d_]")
_NUMBER_BEFORE = re.compile(r"(?:^|(?<=[\s(\[*_#>-]))\d{1,3}\Z")
_LIST_BEFORE = re.compile(r"^[ \t>*_#-]*(?:\d{1,3}|[A-Za-z])\Z", re.MULTILINE)
_WORD_BEHIND = re.compile(r"[^\W\d_]+")
_REACH = 40
"""Characters before and behind a full stop that are looked at."""


def sentence_ends(text: str, start: int, *, whole: bool) -> tuple[list[int], int]:
    """The places where sentences end, from `start` on; and where to look on from.

    An end that depends on what may still come isn't one yet, unless the text is `whole`.
    """
    ends: list[int] = []
    at = start
    while True:
        mark = _MARK.search(text, at)
        if mark is None:
            return ends, len(text)
        end = _Mark(text, mark.start(), whole=whole).end()
        if end is None and not whole:
            return ends, mark.start()
        if end:
            ends.append(end)
        at = end or mark.end()


class _Mark:
    """A mark that may end a sentence, at its place."""

    def __init__(self, text: str, at: int, *, whole: bool) -> None:
        self._text = text
        self._at = at
        self._whole = whole

    def end(self) -> int | None:
        """Where the sentence ends; 0: it goes on; None: that depends on what comes."""
        text = self._text
        if text[self._at] in _BREAKS:
            return self._break_end(self._at)
        closed, spaced = self._skip_closing()
        if spaced == len(text):
            return None
        if text[spaced] in _BREAKS:
            return self._break_end(spaced)
        behind = text[spaced]
        if behind in _NO_BEGINNING:
            return 0
        is_at_once = spaced == self._skip(self._at + 1, lambda _: False)
        if text[self._at] not in _FULL_STOPS:
            in_address = is_at_once and _ASCII_WORD.match(behind) and text[self._at] in "!?…"
            return 0 if in_address else spaced
        if is_at_once and self._is_inside_word(behind):
            return 0
        is_bare = closed == self._at + 1 and spaced > closed
        known = _FullStop(text, self._at, spaced, whole=self._whole).goes_on() if is_bare else False
        if known is False:
            return self._end_by_next_letter(spaced)
        return None if known is None else 0

    def _break_end(self, at: int) -> int | None:
        if self._text[at] != "\r":
            return at + 1
        if at + 1 == len(self._text):
            return None
        return at + 2 if self._text[at + 1] == "\n" else at + 1

    def _skip_closing(self) -> tuple[int, int]:
        """The place behind all that closes the sentence, and behind the spaces after that.

        Whether a bracket behind a space, emphasis, or a quotation mark that languages use either way
        closes or opens is said by what follows it. What isn't known yet counts as the text's end.
        """
        text = self._text
        closed = self._skip(self._at + 1, _is_closing)
        spaced = self._skip(closed, _is_space)
        while spaced < len(text):
            kind = category(text[spaced])
            is_either = kind == "Pi" or text[spaced] in _EMPHASIS
            if kind not in ("Pf", "Pe") and (not is_either or spaced > closed):
                break
            if spaced + 1 == len(text) and not self._whole:
                return closed, len(text)
            if text[spaced + 1 : spaced + 2].isalnum():
                break
            closed = self._skip(spaced + 1, _is_closing)
            spaced = self._skip(closed, _is_space)
        return closed, spaced

    def _skip(self, at: int, wanted: Callable[[str], bool]) -> int:
        """The place behind all characters of a kind, with the marks that belong to them."""
        text = self._text
        while at < len(text) and (_is_transparent(text[at]) or wanted(text[at])):
            at += 1
        return at

    def _is_inside_word(self, behind: str) -> bool:
        """As in `3.14`, `U.S` and `.NET`."""
        if behind.isdecimal():
            return True
        at = self._at
        is_alone = self._text[max(0, at - 1) : at].isspace()
        if is_alone and self._text[at + 1].isalpha():
            return True
        while at and _is_transparent(self._text[at - 1]):
            at -= 1
        before = self._text[at - 1 : at]
        is_cased = before.isalpha() and before.lower() != before.upper()
        return is_cased and behind.isupper()

    def _end_by_next_letter(self, spaced: int) -> int | None:
        """A sentence goes on where the next letter is small."""
        text = self._text
        for at in range(spaced, min(len(text), spaced + _REACH)):
            character = text[at]
            if character in _MARKS:
                return spaced
            if character.isalpha():
                return 0 if character.islower() else spaced
        return spaced if self._whole or len(text) >= spaced + _REACH else None


class _FullStop:
    """A full stop with a space behind it, and the words on both sides. "" stands for none."""

    def __init__(self, text: str, at: int, spaced: int, *, whole: bool) -> None:
        self._text = text
        self._spaced = spaced
        self._before = text[max(0, at - _REACH) : at]
        word = _WORD_BEFORE.search(self._before)
        self._word = "" if word is None else word[0]
        behind = _WORD_BEHIND.match(text, spaced)
        self._next = "" if behind is None else behind[0]
        self._behind_next = spaced + len(self._next)
        self._may_grow = bool(self._next) and self._behind_next == len(text) and not whole

    def goes_on(self) -> bool | None:
        """Whether the sentence goes on behind it; None: that depends on what comes."""
        checks = (self._is_abbreviation, self._is_list_item, self._is_last, self._is_day)
        answers = (check() for check in checks)
        return next((known for known in answers if known is not False), False)

    def _is_abbreviation(self) -> bool | None:
        """Whether the word before is one; None: what has come of the next word may make it one."""
        said = self._word.lower()
        is_numbered = said in NUMBERED and self._text[self._spaced].isdecimal()
        if said in ABBREVIATIONS or is_numbered:
            return True
        # The first half of one with two, such as "z. B."
        is_half = len(self._word) == len(self._next) == 1 and self._word.islower()
        if is_half and self._may_grow:
            return None
        return is_half and self._text[self._behind_next : self._behind_next + 1] in _STOPS

    def _is_list_item(self) -> bool:
        return _LIST_BEFORE.search(self._before) is not None

    def _is_last(self) -> bool | None:
        """Whether a sentence goes on behind what may be its last word; None: as for a day."""
        is_initial = self._word.isupper() and _INITIALS.fullmatch(self._word) is not None
        if not is_initial and self._word.lower() not in LAST:
            return False
        begins = self._next_is_of(_BEGINNINGS)
        if begins:
            return self._next[0].islower()
        return None if begins is None else True

    def _is_day(self) -> bool | None:
        """Whether a month follows a number; None: what has come of the next word may become one."""
        is_number = _NUMBER_BEFORE.search(self._before) is not None
        return is_number and self._next_is_of(_MONTHS)

    def _next_is_of(self, words: frozenset[str]) -> bool | None:
        """Whether the next word is one of these; None: it may become one."""
        said = self._next.lower()
        if not self._may_grow:
            return said in words
        return None if any(word.startswith(said) for word in words) else False


def _is_transparent(character: str) -> bool:
    if character < "\xad":
        return False
    return is_mark(character) or category(character) == "Cf"


def _is_closing(character: str) -> bool:
    return character in "\"'’" or category(character) in ("Pe", "Pf")  # noqa: RUF001


def _is_space(character: str) -> bool:
    return character in " \t\v\f" or (
        character > "\x85" and character.isspace() and character not in _BREAKS
    )
