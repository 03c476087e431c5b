"""Write docs/terminal.svg: the real program on a pseudo-terminal, answered by the real local model.

    python tests/cli/picture.py ["question"]

The bytes go through a terminal emulator; its last screen becomes text in an SVG that needs no font from outside.
"""

from __future__ import annotations

import shlex
import sys
from html import escape
from itertools import groupby
from pathlib import Path
from typing import Any

import pyte

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.cli.terminal import Terminal

QUESTION = "Write a Python function that tells whether a number is even, and explain it."
COLUMNS, ROWS = 100, 44
WIDTH, HEIGHT, MARGIN, BAR = 8.4, 19, 16, 34
COLOURS = {
    "default": "#d8dee9", "black": "#7f8794", "red": "#e06c75", "green": "#98c379", "brown": "#e5c07b",
    "blue": "#61afef", "magenta": "#c678dd", "cyan": "#56b6c2", "white": "#d8dee9",
}  # fmt: skip


def main() -> None:
    question = sys.argv[1] if len(sys.argv) > 1 else QUESTION
    terminal = Terminal("-m", "local", question, columns=COLUMNS, rows=ROWS)
    code = terminal.end(120)
    if code:
        sys.exit(f"exit code {code}\n{terminal.text()}")
    screen = pyte.Screen(COLUMNS, ROWS)
    pyte.Stream(screen).feed(
        terminal.raw.decode().replace("\x1b[2m", "\x1b[90m")
    )  # pyte knows no faint text
    lines = [
        [Cell.typed(char) for char in f"$ llmstream -m local {shlex.quote(question)}"],
        *(
            [Cell.shown(screen.buffer[row][column]) for column in range(COLUMNS)]
            for row in range(len(terminal.rows()))
        ),
    ]
    target = Path(__file__).parents[2] / "docs" / "terminal.svg"
    target.parent.mkdir(exist_ok=True)
    target.write_text(svg(lines), encoding="utf-8")
    sys.stdout.write(terminal.text() + f"\n{target}\n")


class Cell(tuple[str, str]):
    """One character, and how it looks."""

    __slots__ = ()

    @classmethod
    def typed(cls, char: str) -> Cell:
        return cls((char, f'fill="{COLOURS["default"]}" font-weight="bold"'))

    @classmethod
    def shown(cls, char: Any) -> Cell:
        colour = COLOURS.get(
            char.fg.removeprefix("bright"), f"#{char.fg}" if len(char.fg) == 6 else None
        )
        style = f'fill="{colour or COLOURS["default"]}"'
        style += ' font-weight="bold"' if char.bold else ""
        style += ' font-style="italic"' if char.italics else ""
        style += ' text-decoration="underline"' if char.underscore else ""
        return cls((char.data, style))


def svg(lines: list[list[Cell]]) -> str:
    width, height = COLUMNS * WIDTH + 2 * MARGIN, len(lines) * HEIGHT + BAR + MARGIN
    texts = []
    for number, line in enumerate(lines):
        column = 0
        for style, run in groupby(line, key=lambda cell: cell[1]):
            text = "".join(cell[0] for cell in run)
            if text.strip():
                bare = text.lstrip(" ")
                x = MARGIN + (column + len(text) - len(bare)) * WIDTH
                bare = bare.rstrip(" ")
                place = f'x="{x:.1f}" y="{BAR + number * HEIGHT + 14}" textLength="{len(bare) * WIDTH:.1f}"'
                texts.append(
                    f'<text {place} lengthAdjust="spacingAndGlyphs" {style} xml:space="preserve">{escape(bare)}</text>'
                )
            column += len(text)
    dots = "".join(
        f'<circle cx="{MARGIN + 4 + n * 18}" cy="16" r="5.5" fill="{colour}"/>'
        for n, colour in enumerate(("#e06c75", "#e5c07b", "#98c379"))
    )
    fonts = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
        f'font-family="{fonts}" font-size="14">\n'
        f'<title>llmstream in a terminal</title>\n<rect width="100%" height="100%" rx="8" fill="#1e222a"/>{dots}\n'
        + "\n".join(texts)
        + "\n</svg>\n"
    )


if __name__ == "__main__":
    main()
