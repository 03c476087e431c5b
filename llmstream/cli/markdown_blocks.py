"""The kind of a line of Markdown, and whether it belongs to the block before it, by CommonMark's rules for blocks.

Specified in https://spec.commonmark.org/0.31.2/; tables as in https://github.github.com/gfm/.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Join = Literal["block", "line", "row"]
Kind = Literal["paragraph", "heading", "fence", "item", "quote", "table", "code"]

_FENCE = re.compile(r" {0,3}(`{3,}(?=[^`]*$)|~{3,})")
_HEADING = re.compile(r" {0,3}#{1,6}(?:\s|$)")
_RULE = re.compile(r" {0,3}([-*_])(?:[ \t]*\1){2,}\s*$")
QUOTE = re.compile(r" {0,3}> ?")
ITEM = re.compile(r" {0,3}(?:[-+*]|\d{1,9}[.)])(?=\s)")
_INTERRUPTING_ITEM = re.compile(r" {0,3}(?:[-+*]|1[.)])[ \t]+\S")
_OPENINGS: tuple[tuple[re.Pattern[str], Kind], ...] = (
    (_FENCE, "fence"),
    (_HEADING, "heading"),
    (_RULE, "heading"),
    (QUOTE, "quote"),
    (ITEM, "item"),
)
"""The first that a line matches says what it begins."""
_INTERRUPTING = (_FENCE, _HEADING, _RULE, QUOTE, _INTERRUPTING_ITEM)
"""Lines that end a paragraph without a blank line before them."""
UNDERLINE = re.compile(r" {0,3}(?:=+|-+)\s*$")
# Possessive: spaces that two of these could take were tried in every division between them.
TABLE_RULE = re.compile(r"[ \t]*+\|?[ \t]*+:?-++:?[ \t]*+(?:\|[ \t]*+:?-++:?[ \t]*+)*+\|?\s*+$")


@dataclass(frozen=True, slots=True)
class Piece:
    """Part of an answer that stands. `markdown` renders it; empty: there is nothing to show."""

    text: str
    """What was fed, verbatim."""
    markdown: str
    kind: Kind = "paragraph"
    join: Join = "block"
    """How it follows the piece before: as a new block, on the next line, or in the same row of a paragraph."""
    inset: int = 0
    """Columns of the list item that it stands in, when that item was begun in an earlier piece."""
    cut: bool = False
    """Its last row may go on in the next piece."""


@dataclass(slots=True)
class Block:
    """The block that is being written."""

    kind: Kind = "paragraph"
    join: Join = "block"
    inset: int = 0
    opening: str = ""
    text: str = ""
    shown: str = ""
    lines: int = 0
    offset: int = 0
    """Columns by which a line must be indented to belong to it (items and indented code)."""
    fence: str = ""
    """The line that opened the fence, if one is open."""
    blank: bool = False
    """Its last line was blank."""
    mid_line: bool = False
    """It was cut inside a line whose rest belongs to it, whatever that looks like."""

    def add(self, text: str, shown: str) -> None:
        """One more line, as it was fed and as it renders here."""
        self.text += text
        self.shown += shown
        self.lines += 1
        self.blank = not shown.strip()
        self.mid_line = False

    def piece(self, text: str, shown: str, *, cut: bool = False) -> Piece:
        """The block as a piece, made of `text` that renders as `shown`."""
        is_blank_code = bool(shown) and self.kind in ("fence", "code")
        markdown = self.opening + shown if shown.strip() or is_blank_code else ""
        return Piece(text, markdown, self.kind, self.join, self.inset, cut)


def kind_of(line: str) -> Kind:
    """The kind of block that a line begins, where nothing is open."""
    if indent(line) >= 4:
        return "code"
    for pattern, kind in _OPENINGS:
        if pattern.match(line):
            return kind
    return "paragraph"


def continues(block: Block, line: str) -> bool:
    """Whether a line belongs to the open block."""
    is_blank = not line.strip()
    match block.kind:
        case "fence" | "heading":
            return True
        case "code":
            return is_blank or indent(line) >= block.offset
        case "item" if indent(line) >= block.offset:
            return True
        case "quote" if QUOTE.match(line):
            return True
    return is_blank or is_lazy(block, line)


def is_lazy(block: Block | None, line: str) -> bool:
    """Whether a line goes on with an open paragraph, without the marks of the blocks that it stands in."""
    if block is None or block.blank:
        return False
    match block.kind:
        case "fence":
            return False
        case "item" | "quote" if block.fence or ITEM.match(line):
            return False
        case "paragraph" if block.lines and UNDERLINE.match(line):
            return True
    return not any(pattern.match(line) for pattern in _INTERRUPTING)


def indent(line: str) -> int:
    """Columns of white space that a line begins with."""
    bare = line.lstrip(" ")
    if not bare.startswith("\t"):
        return len(line) - len(bare)
    wide = line.expandtabs(4)
    return len(wide) - len(wide.lstrip(" "))


def item_offset(line: str) -> int:
    """Columns to which an item's further lines are indented."""
    mark = ITEM.match(line)
    width = mark.end() if mark is not None else 0
    space = indent(line[width:])
    return width + (space if line[width:].strip() and space <= 4 else 1)


def inside_item(block: Block, shown: str) -> str:
    """An item's line without the columns of the item."""
    return shown[block.offset :] if block.lines == 1 or indent(shown) >= block.offset else shown


def track_fence(block: Block, line: str) -> None:
    """Remember the fence that is open inside a list item or quote."""
    if block.fence:
        block.fence = "" if closes(block.fence.lstrip(), line.lstrip()) else block.fence
    elif _FENCE.match(line.lstrip()):
        block.fence = line


def closes(fence: str, line: str) -> bool:
    """Whether a line closes a fence."""
    mark = _FENCE.match(fence)
    return (
        mark is not None
        and re.match(rf" {{0,3}}{re.escape(mark[1])}{mark[1][0]}*\s*$", line) is not None
    )
