"""A small SVG writer: bars and lines in panels, no library."""

from __future__ import annotations

import math
from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 440, 300
LEFT, RIGHT, TOP, BOTTOM = 56, 142, 48, 40
BLUE, GREEN, ORANGE, GREY = "#1d4ed8", "#0f766e", "#ea580c", "#9ca3af"
COLOURS = {"llmstream": BLUE, "frame": BLUE, "arguments": GREEN, "openai": ORANGE, "raw": GREY}
OTHERS = "#c4b5a5"
STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#374151} .title{font-weight:600;font-size:14px;fill:#111827}"
    " .small{font-size:11px;fill:#6b7280} .grid{stroke:#e5e7eb} .line{fill:none;stroke-width:2}"
)


@dataclass
class Bars:
    """A value for each name, in one unit, from zero: a bar half as long is half as much."""

    title: str
    note: str
    values: list[tuple[str, float]]

    def draw(self) -> list[str]:
        left, right = 172, 56
        most = max(value for _, value in self.values)
        step = min(24.0, (HEIGHT - TOP - 12) / len(self.values))
        parts = []
        for i, (name, value) in enumerate(self.values):
            y, length = TOP + i * step, value / most * (WIDTH - left - right)
            parts.append(_text(left - 8, y + step * 0.65, name, anchor="end"))
            parts.append(
                f'<rect x="{left}" y="{y + 2:.1f}" width="{max(length, 1):.1f}" height="{step - 5:.1f}" '
                f'fill="{colour(name)}"{_light(name)}/>'
            )
            parts.append(_text(left + length + 6, y + step * 0.65, figure(value)))
        return parts


@dataclass
class Lines:
    """Growth: both axes logarithmic, so that in proportion is a slope of one and a constant cost is flat."""

    title: str
    note: str
    lines: dict[str, list[tuple[float, float]]]
    x: str

    def draw(self) -> list[str]:
        points = [point for line in self.lines.values() for point in line]
        self._x = _Scale([x for x, _ in points], LEFT, WIDTH - RIGHT)
        self._y = _Scale([y for _, y in points], HEIGHT - BOTTOM, TOP)
        self._y.widen()
        parts = []
        for power in self._y.powers():
            y = self._y(power)
            parts.append(
                f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            )
            parts.append(_text(LEFT - 6, y + 4, figure(power), anchor="end", kind="small"))
        parts += [
            _text(self._x(x), HEIGHT - BOTTOM + 16, figure(x), anchor="middle", kind="small")
            for x in sorted({x for x, _ in points})
        ]
        parts.append(
            _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, self.x, anchor="middle", kind="small")
        )
        ends = self._ends()
        for name, line in self.lines.items():
            path = " ".join(f"{self._x(x):.1f},{self._y(y):.1f}" for x, y in line)
            parts.append(
                f'<polyline class="line" stroke="{colour(name)}"{_light(name)} points="{path}"/>'
            )
            parts.append(_text(WIDTH - RIGHT + 8, ends[name] + 4, name, kind="small"))
        return parts

    def _ends(self) -> dict[str, float]:
        """Where the names stand: beside the lines' ends, without touching each other."""
        placed: dict[str, float] = {}
        last = -math.inf
        for name, line in sorted(self.lines.items(), key=lambda item: self._y(item[1][-1][1])):
            last = placed[name] = max(self._y(line[-1][1]), last + 14)
        over = max(0.0, last - (HEIGHT - BOTTOM))
        return {name: y - over for name, y in placed.items()}


class _Scale:
    def __init__(self, values: list[float], start: float, end: float) -> None:
        self._low, self._high = math.log10(min(values)), math.log10(max(values))
        self._start, self._end = start, end

    def widen(self) -> None:
        """To whole powers of ten."""
        self._low, self._high = (
            math.floor(self._low),
            max(math.ceil(self._high), math.floor(self._low) + 1),
        )

    def powers(self) -> list[float]:
        return [10.0**power for power in range(int(self._low), int(self._high) + 1)]

    def __call__(self, value: float) -> float:
        span = self._high - self._low
        return self._start + (math.log10(value) - self._low) / (span or 1) * (
            self._end - self._start
        )


def svg(panels: list[Bars | Lines]) -> str:
    """All panels, two side by side."""
    rows = math.ceil(len(panels) / 2)
    width, height = 2 * WIDTH, rows * HEIGHT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">',
        f"<style>{STYLE}</style>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    for i, panel in enumerate(panels):
        parts.append(f'<g transform="translate({i % 2 * WIDTH},{i // 2 * HEIGHT})">')
        parts += [_text(16, 20, panel.title, kind="title"), _text(16, 36, panel.note, kind="small")]
        parts += [*panel.draw(), "</g>"]
    return "\n".join([*parts, "</svg>", ""])


def colour(name: str) -> str:
    return next((shade for start, shade in COLOURS.items() if name.startswith(start)), OTHERS)


def figure(value: float) -> str:
    """Short: 1.2, 120, 12k."""
    if value >= 10_000:
        return f"{value / 1000:,.0f}k"
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"


def _light(name: str) -> str:
    """aiohttp beside httpx2."""
    return ' opacity="0.55"' if name.endswith("aiohttp") else ""


def _text(x: float, y: float, text: str, *, anchor: str = "start", kind: str = "") -> str:
    classed = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{classed}>{escape(text)}</text>'
