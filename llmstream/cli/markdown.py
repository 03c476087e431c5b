"""Markdown in pieces: text goes in as it comes, and comes out in blocks that no later text can change.

Pure: no terminal, no rich. Three rules make it safe to print a piece and forget it:

1. The `text` of all pieces, in order, is the text that was fed. Nothing is lost, moved or repeated.
2. A piece is a whole block of CommonMark (a paragraph, a fence, one item of a list, a quote, a table), and renders on
   its own as it would in its place.
3. What is still open is never longer than about LIMIT characters or LINES lines, so that rendering it anew costs the
   same however long the answer is. A block that grows beyond is cut: code at a line, a table at a row (its head is
   repeated), a paragraph at a space; `join` says how the rest follows.
"""

from __future__ import annotations

import re
import unicodedata

from llmstream.cli.markdown_blocks import (
    ITEM,
    QUOTE,
    TABLE_RULE,
    UNDERLINE,
    Block,
    Join,
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
        """What was still open. The splitter can then be fed anew."""
        if self._line:
            line, self._line = self._line, ""
            self._take(line)
        self._close()
        self._inset, self._after_item = 0, False
        return self._taken()

    @property
    def tail(self) -> Piece:
        """What is open, as it would render if the text ended here."""
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
        if (
            self._inset
            and line.strip()
            and indent(line) < self._inset
            and (ITEM.match(line) or not is_lazy(block, line))
        ):
            self._close()
            self._inset, self._after_item, block = 0, True, None
        if block is not None and not continues(block, shown):
            self._close()
            block = None
        if block is None:
            self._start(line, shown)
        else:
            self._add(block, line, shown)

    def _add(self, block: Block, line: str, shown: str) -> None:
        began = block.lines == 0
        block.add(line, shown)
        if block.kind == "fence":
            if (block.opening or not began) and closes(block.fence, shown):
                block.shown = "" if began else block.shown
                self._close()
        elif block.kind in ("item", "quote"):
            track_fence(
                block,
                QUOTE.sub("", shown, count=1)
                if block.kind == "quote"
                else inside_item(block, shown),
            )
            if block.kind == "quote" and block.blank:
                self._close()
        elif block.kind in ("paragraph", "table"):
            if block.lines == 2 and "|" in shown and TABLE_RULE.match(shown) and not block.opening:
                block.kind = "table"
            if block.blank or (block.kind == "paragraph" and not began and UNDERLINE.match(shown)):
                self._close()
        elif block.kind == "heading":
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
        return (
            block.lines > LINES
            and block.kind != "table"
            and not (block.fence and _inside_quotes(block.shown))
        )

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
        self._pieces.append(
            block.piece(text, text[hidden:], cut=block.kind in ("paragraph", "item"))
        )
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
        if block.kind == "paragraph" or (block.kind == "item" and inside_line):
            rest.kind, rest.join, rest.opening = "paragraph", "row", " " if spaced else ""
        elif block.kind == "fence":
            rest.opening = _line(block.fence)
        elif block.kind == "quote":
            rest.opening = ("> " + _line(block.fence) if block.fence else "") + (
                "> " if inside_line else ""
            )
        elif block.kind == "table":
            rest.opening = block.opening or "".join(block.shown.splitlines(keepends=True)[:2])
        if block.kind == "item":
            rest.inset = self._inset = block.inset + block.offset + indent(block.fence)
            if not inside_line:
                rest.kind, rest.fence = (
                    ("fence" if block.fence else "paragraph"),
                    block.fence.lstrip(),
                )
                rest.opening = _line(rest.fence) if rest.fence else ""
        return rest

    # --- small things --------------------------------------------------------------------------------------

    def _taken(self) -> list[Piece]:
        pieces, self._pieces = self._pieces, []
        return pieces

    def _dedented(self, line: str) -> str:
        """The line without the columns of the list item that it stands in."""
        return line[min(self._inset, indent(line)) :] if self._inset else line


def _line(text: str) -> str:
    return text.rstrip("\r\n") + "\n"


def _cut_at(text: str) -> int:
    """Where to cut a line longer than LIMIT: after a space outside of inline marks, if there is one near."""
    ends = [space.end() for space in re.finditer(r"[ \t]+", text[LIMIT // 2 : LIMIT])][-50:]
    for end in reversed(ends):
        head = text[: LIMIT // 2 + end]
        if not (head.count("`") % 2 or head.count("**") % 2 or head.count("[") > head.count("]")):
            return len(head)
    if ends:
        return LIMIT // 2 + ends[-1]
    end = LIMIT
    while end > LIMIT - 50 and (text[end - 1] == "\u200d" or _joins(text[end])):
        end -= 1
    return end


def _inside_quotes(code: str) -> bool:
    """Whether code may end inside a string or comment of several lines: the next part would get the wrong colours."""
    return any(code.count(mark) % 2 for mark in ('"""', "'''")) or code.count("/*") > code.count(
        "*/"
    )


def _joins(char: str) -> bool:
    """Whether a character is drawn together with the one before it."""
    return (
        char in "\u200d\ufe0e\ufe0f"
        or unicodedata.combining(char) != 0
        or "\U0001f3fb" <= char <= "\U0001f3ff"
    )
