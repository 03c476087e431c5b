"""Markdown in pieces: text goes in as it comes, and comes out in blocks that no later text can change.

Pure: no terminal, no rich. Three rules make it safe to print a piece and forget it:

1. The `text` of all pieces, in order, is the text that was fed. Nothing is lost, moved or repeated.
2. A piece is a whole block of CommonMark (a paragraph, a fence, one item of a list, a quote, a table), and renders on
   its own as it would in its place.
3. What is still open is never longer than about LIMIT characters or LINES lines, so that rendering it again costs the
   same however long the answer is. A block that grows beyond is cut: code at a line, a table at a row (its head is
   repeated), a paragraph at a space; `join` says how the rest follows.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence

from llmstream.cli.markdown_blocks import (
    ITEM,
    QUOTE,
    TABLE_RULE,
    UNDERLINE,
    Block,
    Join,
    Kind,
    Piece,
    closes,
    continues,
    indent,
    inside_item,
    is_lazy,
    item_offset,
    kind_of,
    track_fence,
)

LIMIT = 800
"""Characters that an open block may have: what fits on a small terminal."""
LINES = 20
"""Lines that an open block may have; twice as many in a table, and where a cut would split a string or comment."""

_JOINER = "\u200d"
_JOINED = "\u200d\ufe0e\ufe0f"
_PARTS = re.compile(r"[^\n]*\n|[^\n]+")


class Splitter:
    """`feed` text, get pieces; `tail` is what is still open, `finish` ends it."""

    def __init__(self) -> None:
        self._block: Block | None = None
        self._line = ""
        self._inset = 0
        self._after_item = False
        self._pieces: list[Piece] = []

    def feed(self, text: str) -> list[Piece]:
        """The pieces that this text finishes."""
        for start in range(0, len(text), LIMIT):
            for part in _PARTS.findall(text[start : start + LIMIT]):
                self._line += part
                if part.endswith("\n"):
                    line, self._line = self._line, ""
                    self._take(line)
                while self._too_large():
                    self._cut()
        return self._taken()

    def finish(self) -> list[Piece]:
        """End the text: the pieces that were still open. The splitter can then be fed another text."""
        if self._line:
            line, self._line = self._line, ""
            self._take(line)
        self._close()
        self._inset, self._after_item = 0, False
        return self._taken()

    @property
    def tail(self) -> Piece:
        """The open block, as it would render if the text ended here."""
        block = self._block
        if block is not None:
            shown = self._line if block.mid_line else self._dedented(self._line)
            return block.piece(block.text + self._line, block.shown + shown)
        line = self._dedented(self._line)
        join: Join = "line" if self._after_item and ITEM.match(line) else "block"
        return Piece(self._line, line if line.strip() else "", kind_of(line), join, self._inset)

    # --- whole lines ---------------------------------------------------------------------------------------

    def _take(self, line: str) -> None:
        block = self._block
        if block is not None and block.mid_line:
            block.add(line, line)
            if block.kind == "heading":
                self._close()
            return
        shown = self._dedented(line)
        if self._leaves_item(block, line):
            self._close()
            self._inset, self._after_item = 0, True
        elif block is not None and not continues(block, shown):
            self._close()
        if self._block is None:
            self._start(line, shown)
        else:
            self._add(self._block, line, shown)

    def _leaves_item(self, block: Block | None, line: str) -> bool:
        """Whether a line ends the list item whose columns are cut from its lines."""
        if not self._inset or not line.strip() or indent(line) >= self._inset:
            return False
        return ITEM.match(line) is not None or not is_lazy(block, line)

    def _add(self, block: Block, line: str, shown: str) -> None:
        block.add(line, shown)
        if _IS_OVER[block.kind](block, shown):
            self._close()

    def _start(self, line: str, shown: str) -> None:
        if not shown.strip():
            self._pieces.append(Piece(line, ""))
            return
        self._block = self._opened(shown)
        self._add(self._block, line, shown)

    def _opened(self, shown: str) -> Block:
        """A block that this line begins."""
        kind = kind_of(shown)
        block = Block(kind, inset=self._inset)
        if kind == "fence":
            block.fence = shown
        elif kind == "item":
            block.join = "line" if self._after_item else "block"
            block.offset = item_offset(shown)
        elif kind == "code":
            block.offset = 4
        return block

    def _close(self) -> None:
        block, self._block = self._block, None
        if block is None:
            return
        self._after_item = block.kind == "item"
        if block.text:
            self._pieces.append(block.piece(block.text, block.shown))

    # --- blocks that grow without end ----------------------------------------------------------------------

    def _too_large(self) -> bool:
        block = self._block
        if block is None:
            return len(self._line) > LIMIT
        if len(block.shown) + len(self._line) > LIMIT or block.lines > 2 * LINES:
            return True
        if block.lines <= LINES or block.kind == "table":
            return False
        return not block.fence or not _inside_quotes(block.shown)

    def _cut(self) -> None:
        block = self._block
        if block is None or not block.lines:
            self._cut_line(block)
        else:
            self._pieces.append(block.piece(block.text, block.shown, cut=block.kind == "paragraph"))
            self._block = self._rest(block, inside_line=False)

    def _cut_line(self, block: Block | None) -> None:
        """One line fills the block: the part that stands goes, the rest of the line stays."""
        if block is None:
            block = self._opened(self._dedented(self._line))
        hidden = 0 if block.mid_line else len(self._line) - len(self._dedented(self._line))
        end = _cut_at(self._line)
        text, self._line = self._line[:end], self._line[end:]
        is_row_cut = block.kind in ("paragraph", "item")
        self._pieces.append(block.piece(text, text[hidden:], cut=is_row_cut))
        self._block = self._rest(block, inside_line=True, spaced=text[-1:].isspace())

    def _rest(self, block: Block, *, inside_line: bool, spaced: bool = True) -> Block:
        """The block that goes on where `block` was cut."""
        rest = Block(
            block.kind,
            "line",
            block.inset,
            offset=block.offset,
            fence=block.fence,
            mid_line=inside_line,
        )
        match block.kind:
            case "paragraph":
                _continue_row(rest, spaced=spaced)
            case "item":
                rest.inset = self._inset = block.inset + block.offset + indent(block.fence)
                if inside_line:
                    _continue_row(rest, spaced=spaced)
                else:
                    _continue_item(rest)
            case "fence":
                rest.opening = _line(block.fence)
            case "quote":
                fence = f"> {_line(block.fence)}" if block.fence else ""
                rest.opening = f"{fence}> " if inside_line else fence
            case "table":
                head = block.shown.splitlines(keepends=True)[:2]
                rest.opening = block.opening or "".join(head)
        return rest

    # --- small things --------------------------------------------------------------------------------------

    def _taken(self) -> list[Piece]:
        pieces, self._pieces = self._pieces, []
        return pieces

    def _dedented(self, line: str) -> str:
        """The line without the columns of the list item that it stands in."""
        return line[min(self._inset, indent(line)) :] if self._inset else line


def _ends_fence(block: Block, shown: str) -> bool:
    is_first = block.lines == 1
    is_code = not is_first or bool(block.opening)  # else the line opens the fence
    if not is_code or not closes(block.fence, shown):
        return False
    if is_first:
        block.shown = ""  # the part before was the last one with code
    return True


def _ends_quote(block: Block, shown: str) -> bool:
    track_fence(block, QUOTE.sub("", shown, count=1))
    return block.blank


def _ends_item(block: Block, shown: str) -> bool:
    track_fence(block, inside_item(block, shown))
    return False


def _ends_paragraph(block: Block, shown: str) -> bool:
    if block.lines == 2 and _is_table_rule(block, shown):
        block.kind = "table"
        return block.blank
    is_underlined = block.lines > 1 and UNDERLINE.match(shown) is not None
    return block.blank or is_underlined


_IS_OVER: Mapping[Kind, Callable[[Block, str], bool]] = {
    "heading": lambda *_: True,
    "fence": _ends_fence,
    "quote": _ends_quote,
    "item": _ends_item,
    "paragraph": _ends_paragraph,
    "table": lambda block, _: block.blank,
    "code": lambda *_: False,
}
"""Takes note of a line that was added to a block of this kind. Returns whether it is the block's last."""


def _is_table_rule(block: Block, shown: str) -> bool:
    return "|" in shown and not block.opening and TABLE_RULE.match(shown) is not None


def _continue_row(rest: Block, *, spaced: bool) -> None:
    """Go on in the same row, after a cut inside a line or a paragraph."""
    rest.kind, rest.join = "paragraph", "row"
    rest.opening = " " if spaced else ""


def _continue_item(rest: Block) -> None:
    """Go on inside a list item, after a cut between two of its lines."""
    rest.kind = "fence" if rest.fence else "paragraph"
    rest.fence = rest.fence.lstrip()
    rest.opening = _line(rest.fence) if rest.fence else ""


def _line(text: str) -> str:
    return text.rstrip("\r\n") + "\n"


def _cut_at(text: str) -> int:
    """Where to cut a line longer than LIMIT: after a space outside of inline marks, if there is one near."""
    half = LIMIT // 2
    spaces = [half + space.end() for space in re.finditer(r"[ \t]+", text[half:LIMIT])][-50:]
    for end in reversed(spaces):
        if not _has_open_mark(text[:end]):
            return end
    if spaces:
        return spaces[-1]
    end = LIMIT
    while end > LIMIT - 50 and _joins(text[end - 1 : end], text[end]):
        end -= 1
    return end


def _has_open_mark(text: str) -> bool:
    """Whether code, bold text or a link may go on after `text`."""
    return _is_unbalanced(text, ("`", "**"), "[", "]")


def _inside_quotes(code: str) -> bool:
    """Whether code may end inside a string or comment of several lines: the next part would get the wrong colours."""
    return _is_unbalanced(code, ('"""', "'''"), "/*", "*/")


def _is_unbalanced(text: str, marks: Sequence[str], opening: str, closing: str) -> bool:
    """Whether a mark that comes in pairs has no partner, or more is opened than closed."""
    is_odd = any(text.count(mark) % 2 for mark in marks)
    return is_odd or text.count(opening) > text.count(closing)


def _joins(before: str, char: str) -> bool:
    """Whether a character is drawn together with the one before it."""
    if before == _JOINER or char in _JOINED:
        return True
    return unicodedata.combining(char) != 0 or "\U0001f3fb" <= char <= "\U0001f3ff"
