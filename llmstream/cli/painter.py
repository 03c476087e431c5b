"""Markdown as it streams, with rich: what is finished is printed once, only the open block is drawn again."""

from __future__ import annotations

import re
from typing import Any, ClassVar, TextIO

from markdown_it import MarkdownIt
from rich.cells import cell_len
from rich.console import Console, ConsoleDimensions, ConsoleOptions, JustifyMethod, RenderResult
from rich.markdown import CodeBlock, Heading, ListElement, Markdown, TableElement
from rich.syntax import Syntax
from rich.table import Table

from llmstream.cli.markdown import Splitter
from llmstream.cli.markdown_blocks import Piece
from llmstream.cli.screen import Region, size
from llmstream.cli.show import Show

_JOINER = "\u2060"
_STYLE = re.compile(r"\x1b\[[0-9;]*m")


class MarkdownShow(Show):
    """Draws at most once a tick. `rendered` counts the characters given to rich: it grows with the answer's length."""

    def __init__(
        self, out: TextIO, err: TextIO, *, reasoning: bool = False, seen: set[str] | None = None
    ) -> None:
        super().__init__(out, err, reasoning=reasoning, seen=seen)
        self._region = Region(out)
        self._splitter = Splitter()
        self._renderer = Renderer(out)
        self._finished: list[Piece] = []
        self._stale = False

    @property
    def rendered(self) -> int:
        """Characters of Markdown given to rich so far."""
        return self._renderer.rendered

    def text(self, text: str) -> None:
        """A piece of the answer. The first is drawn at once, the rest with the next tick."""
        first = not self._out_open
        self._quiet(self.out)
        if self._harmless is not None:
            text = self._harmless.feed(text)
        self._finished += self._splitter.feed(text)
        self._out_open = self._stale = True
        if first:
            self._paint()

    def tick(self) -> None:
        """Draw what came since the last tick, and again when the terminal's size changed."""
        super().tick()
        if self._out_open and (self._stale or self._renderer.resize()):
            self._paint()

    def pause(self) -> None:
        """Leave the terminal to others for a while; the next tick draws again."""
        super().pause()
        self._region.clear()
        self._stale = True

    def _quiet(self, stream: TextIO | None) -> None:
        if self._out_open and stream is not self.out:
            self._finished += self._splitter.finish()
            self._print(last=True)
            self._out_open = False
        super()._quiet(stream)

    def _paint(self) -> None:
        self._renderer.resize()
        above = self._above()
        rows = self._renderer.rows(self._splitter.tail)
        self._region.draw(rows, above=above)
        self._stale = False

    def _print(self, *, last: bool) -> None:
        self._renderer.resize()
        above = self._above()
        if last:
            above += self._renderer.flush()
        self._region.clear(above=above)

    def _above(self) -> str:
        pieces, self._finished = self._finished, []
        return "".join(self._renderer.freeze(piece) for piece in pieces)


class Renderer:
    """Pieces to terminal rows. A paragraph that was cut keeps its last row back, so that the rest can go on in it."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._console = Console(
            file=out, highlight=False, legacy_windows=False, force_terminal=True
        )
        self._size = (0, 0)
        self._carried = ""
        self._begun = False
        self.rendered = 0
        self.resize()

    def resize(self) -> bool:
        """Take the terminal's size; whether it changed."""
        now = size(self._out)
        if now == self._size:
            return False
        self._size = now
        self._console.size = ConsoleDimensions(*now)
        return True

    def freeze(self, piece: Piece) -> str:
        """Whole lines to print for good."""
        if not piece.markdown:
            return ""
        rows = self.rows(piece)
        self._begun = True
        self._carried = rows.pop() if piece.cut and rows else ""
        return "".join(row + "\r\n" for row in rows)

    def flush(self) -> str:
        """The row that was kept back; nothing goes on in it."""
        row, self._carried = self._carried, ""
        return row + "\r\n" if row else ""

    def rows(self, piece: Piece) -> list[str]:
        """A piece as rows of the terminal, with the blank row before it."""
        carried = [self._carried] if self._carried else []
        if not piece.markdown:
            return carried
        match piece.join:
            case "row" if carried:
                return self._joined(piece)
            case "row":
                # A word joiner keeps the rest of a paragraph from being read as a heading, a list …
                first, *others = self._render(_JOINER + piece.markdown.lstrip(), piece)
                return [first.replace(_JOINER, "", 1), *others]
            case "block" if self._begun:
                return [*carried, "", *self._render(piece.markdown, piece)]
        return carried + self._render(piece.markdown, piece)

    def _joined(self, piece: Piece) -> list[str]:
        """The rest of a paragraph, behind the row that was kept back. Letters stand in for that row while wrapping."""
        pad = _margin(piece)
        cells = cell_len(_plain(self._carried)) - pad
        if not 0 < cells < self._size[0] - pad:
            first, self._carried = self._carried, ""
            rows = self.rows(piece)
            self._carried = first
            return [first, *rows]
        rows = self._render("x" * cells + piece.markdown, piece)
        return [self._carried + rows[0][pad + cells :], *rows[1:]]

    def _render(self, markdown: str, piece: Piece) -> list[str]:
        self.rendered += len(markdown)
        if piece.kind == "table":
            markdown = _with_all_cells(markdown)
        pad = _margin(piece)
        width = max(8, self._size[0] - pad)
        with self._console.capture() as capture:
            self._console.print(RenderedMarkdown(markdown), width=width, end="")
        rows = [row.rstrip(" ") for row in capture.get().split("\n")]
        is_code = piece.kind in ("fence", "code")
        rows = _without_end(rows) if is_code else _without_blank_rows(rows)
        return [" " * pad + row for row in rows]


def _without_end(rows: list[str]) -> list[str]:
    """Rows of code without the last one, which is empty; blank lines of the code stay."""
    return rows[:-1] if rows[-1] == "" else rows


def _without_blank_rows(rows: list[str]) -> list[str]:
    """The rows from the first to the last that show something."""
    shown = [place for place, row in enumerate(rows) if _plain(row).strip()]
    return rows[shown[0] : shown[-1] + 1] if shown else []


def _margin(piece: Piece) -> int:
    """Columns that rich gives to the list item that a piece stands in: three for a bullet, four for a number."""
    return piece.inset + (piece.inset + 1) // 3


def _plain(row: str) -> str:
    return _STYLE.sub("", row)


def _with_all_cells(table: str) -> str:
    """The table with the cells that Markdown drops, where a row has more than the head, put into its last column."""
    head, *rows = table.splitlines(keepends=True)
    columns = len(_cells(head))
    for number, row in enumerate(rows):
        cells = _cells(row)
        if len(cells) > columns:
            rows[number] = (
                "|" + "|".join([*cells[: columns - 1], r"\|".join(cells[columns - 1 :])]) + "|\n"
            )
    return head + "".join(rows)


def _cells(row: str) -> list[str]:
    return re.split(r"(?<!\\)\|", re.sub(r"(?<!\\)\|$", "", row.strip()).removeprefix("|"))


class _Code(CodeBlock):
    """Code without blank rows around it, so that its parts join, and in the terminal's own colours.

    A background would fill the rows to the right margin, and a terminal made narrower would break every one of them.
    """

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        code = str(self.text).removesuffix("\n")
        yield Syntax(code, self.lexer_name, theme=self.theme, word_wrap=True, padding=(0, 0, 0, 2))


class _Heading(Heading):
    """A heading at the left margin, where a narrower terminal shows it too."""

    LEVEL_ALIGN: ClassVar[dict[str, JustifyMethod]] = {}


class _List(ListElement):
    """A list whose numbers take two digits at least, because its items are rendered one at a time."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if self.list_type == "bullet_list_open":
            yield from super().__rich_console__(console, options)
            return
        first = 1 if self.list_start is None else self.list_start
        for number, item in enumerate(self.items, first):
            yield from item.render_number(console, options, number, max(99, number))


class _Table(TableElement):
    """A table that breaks a word too long for its column, where rich would cut it off."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for table in super().__rich_console__(console, options):
            if isinstance(table, Table):
                for column in table.columns:
                    column.overflow = "fold"
            yield table


class RenderedMarkdown(Markdown):
    """rich's Markdown, with nothing left out: HTML and link definitions are shown as text, links with their address."""

    elements: ClassVar[dict[str, Any]] = {
        **Markdown.elements,
        "heading_open": _Heading,
        "fence": _Code,
        "code_block": _Code,
        "bullet_list_open": _List,
        "ordered_list_open": _List,
        "table_open": _Table,
    }

    def __init__(self, markup: str) -> None:
        super().__init__("", code_theme="ansi_dark", hyperlinks=False)
        parser = (
            MarkdownIt("commonmark", {"html": False})
            .enable(["strikethrough", "table"])
            .disable("reference")
        )
        self.parsed = parser.parse(markup)
