"""What the samples say: medians, ratios within a round, and whether they keep to the limits."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Values = dict[str, float]
Ours = tuple[str, str]

CHAT = ("llmstream-openai-httpx2", "llmstream-openai-aiohttp")
RESPONSES = ("llmstream-openai-responses-httpx2", "llmstream-openai-responses-aiohttp")
ANTHROPIC = ("llmstream-anthropic-httpx2", "llmstream-anthropic-aiohttp")


@dataclass
class Results:
    """`samples[measure][adapter][round]`; a round that failed is None. `versions[adapter]`, of what was measured."""

    samples: dict[str, dict[str, list[Values | None]]] = field(default_factory=dict)
    versions: dict[str, dict[str, str]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    machine: str = ""

    def rounds(self, measure: str, adapter: str, key: str) -> list[float | None]:
        return [
            None if v is None else v.get(key)
            for v in self.samples.get(measure, {}).get(adapter, [])
        ]

    def rounds_made(self) -> int:
        """The most of any measure."""
        return max(
            (len(found) for taken in self.samples.values() for found in taken.values()), default=0
        )

    def median(self, measure: str, adapter: str, key: str) -> float | None:
        found = [value for value in self.rounds(measure, adapter, key) if value is not None]
        return statistics.median(found) if found else None

    def ratio(self, measure: str, adapter: str, base: str, key: str) -> float | None:
        """Within each round, then the median of the rounds."""
        pairs = zip(
            self.rounds(measure, adapter, key), self.rounds(measure, base, key), strict=False
        )
        found = [ours / theirs for ours, theirs in pairs if ours is not None and theirs]
        return statistics.median(found) if found else None


@dataclass(frozen=True)
class Goal:
    """A ratio with its limits, for httpx2 and for aiohttp. `more`: the larger, the better."""

    title: str
    measure: str
    key: str
    ours: Ours
    base: str
    must: tuple[float, float]
    aim: tuple[float, float]
    more: bool = False

    def keeps(self, ratio: float, limit: float) -> bool:
        return ratio >= limit if self.more else ratio <= limit


GOALS = (
    Goal(
        "CPU per chunk, OpenAI flood",
        "flood",
        "us_per_chunk",
        CHAT,
        "openai",
        (0.13, 0.045),
        (0.09, 0.03),
    ),
    Goal(
        "CPU per chunk, OpenAI flood",
        "flood",
        "us_per_chunk",
        CHAT,
        "raw-httpx2",
        (1.7, 0.55),
        (1.3, 0.4),
    ),
    Goal(
        "CPU per chunk, Anthropic flood",
        "flood",
        "us_per_chunk",
        ANTHROPIC,
        "anthropic",
        (0.45, 0.13),
        (0.33, 0.08),
    ),
    Goal(
        "CPU per chunk, Responses flood",
        "flood",
        "us_per_chunk",
        RESPONSES,
        "openai-responses",
        (0.15, 0.06),
        (0.11, 0.04),
    ),
    Goal(
        "CPU per event, paced", "paced", "us_per_event", CHAT, "openai", (0.80, 0.48), (0.68, 0.38)
    ),
    Goal(
        "chunks per CPU second, 50 streams",
        "streams50",
        "chunks_per_cpu_s",
        CHAT,
        "openai",
        (6, 18),
        (8, 25),
        True,
    ),
    Goal(
        "chunks per CPU second, 500 streams",
        "streams500",
        "chunks_per_cpu_s",
        CHAT,
        "openai",
        (1.6, 7),
        (2, 10),
        True,
    ),
    Goal(
        "CPU per request, 400 messages",
        "request",
        "ms_400",
        CHAT,
        "openai",
        (0.04, 0.04),
        (0.025, 0.025),
    ),
    Goal(
        "CPU to the first token, 1 message", "first", "ms", CHAT, "openai", (0.95, 0.65), (0.8, 0.5)
    ),
    Goal(
        "memory per stream, 500 streams",
        "load500",
        "kib_per_stream",
        CHAT,
        "openai",
        (1.1, 1.2),
        (0.9, 0.9),
    ),
    Goal(
        "CPU of `import`", "import", "ms", (CHAT[0], CHAT[0]), "openai", (0.08, 0.08), (0.04, 0.04)
    ),
    Goal(
        "CPU of a process's first answer",
        "fresh",
        "ms",
        CHAT,
        "openai",
        (0.45, 0.45),
        (0.35, 0.38),
    ),
    Goal(
        "CPU of a process's first answer",
        "fresh",
        "ms",
        ANTHROPIC,
        "anthropic",
        (0.3, 0.3),
        (0.2, 0.22),
    ),
)

UNITS: dict[tuple[str, str], str] = {
    ("flood", "us_per_chunk"): "flood: µs per chunk",
    ("paced", "us_per_event"): "paced: µs per event",
    ("request", "ms_1"): "request, 1 message: ms",
    ("request", "ms_50"): "50 messages: ms",
    ("request", "ms_400"): "400 messages: ms",
    ("first", "ms"): "first token: ms",
    ("streams50", "chunks_per_cpu_s"): "50 streams: chunks per CPU s",
    ("streams500", "chunks_per_cpu_s"): "500 streams: chunks per CPU s",
    ("import", "ms"): "import: ms",
    ("fresh", "ms"): "a process's first answer: ms",
}
LOAD = {
    "kib_per_stream": "KiB per stream",
    "lag_p50_ms": "lag p50, ms",
    "lag_p99_ms": "lag p99, ms",
    "cpu_s": "CPU s",
}


def goals(results: Results) -> list[str]:
    """The table of limits, for the goals that were measured."""
    rows = []
    for goal in GOALS:
        ratios = [results.ratio(goal.measure, ours, goal.base, goal.key) for ours in goal.ours]
        if all(ratio is None for ratio in ratios):
            continue
        cells = [_judged(goal, ratio, i) for i, ratio in enumerate(ratios)]
        medians = [results.median(goal.measure, name, goal.key) for name in (*goal.ours, goal.base)]
        sign = "≥" if goal.more else "≤"
        must, aim = (f"{sign} {_pair(pair)}" for pair in (goal.must, goal.aim))
        rows.append(
            [f"{goal.title}, vs {goal.base}", *cells, must, aim, " / ".join(map(number, medians))]
        )
    head = ["measure", "httpx2", "aiohttp", "must", "aim", "measured: httpx2 / aiohttp / theirs"]
    return table(head, rows)


def comparison(results: Results, adapters: list[str]) -> list[str]:
    """Everything absolute, one row per library."""
    keys = [key for key in UNITS if key[0] in results.samples]
    return _absolute(results, adapters, [(*key, UNITS[key]) for key in keys])


def load(results: Results, adapters: list[str], measure: str) -> list[str]:
    """Memory and the loop's lag."""
    return _absolute(results, adapters, [(measure, key, title) for key, title in LOAD.items()])


def _absolute(
    results: Results, adapters: list[str], columns: list[tuple[str, str, str]]
) -> list[str]:
    rows = []
    for name in adapters:
        values = [results.median(measure, name, key) for measure, key, _ in columns]
        if any(value is not None for value in values):
            rows.append([name, *map(number, values)])
    return table(["", *(title for _, _, title in columns)], rows)


def growth(
    results: Results, measure: str, adapters: list[str], *, prefix: str = ""
) -> dict[str, list[tuple[float, float]]]:
    """By adapter: the medians over the number that each key ends in."""
    lines = {}
    for name in adapters:
        sampled = [values for values in results.samples.get(measure, {}).get(name, []) if values]
        keys = [key for key in sampled[0] if key.startswith(prefix)] if sampled else []
        points = [
            (float(key.rpartition("_")[2]), results.median(measure, name, key)) for key in keys
        ]
        lines[name] = [(x, y) for x, y in points if y is not None]
    return {name: points for name, points in lines.items() if points}


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    """Markdown."""
    return ["| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *rows)]


def number(value: float | None) -> str:
    """Three figures."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def failures(results: Results) -> list[str]:
    """The goals whose musts are not kept."""
    return [row for row in goals(results) if "✗" in row]


def _pair(pair: tuple[float, float]) -> str:
    return f"{pair[0]:g}" if pair[0] == pair[1] else f"{pair[0]:g} / {pair[1]:g}"


def _judged(goal: Goal, ratio: float | None, transport: int) -> str:
    if ratio is None:
        return "-"
    kept = goal.keeps(ratio, goal.must[transport])
    mark = "★" if goal.keeps(ratio, goal.aim[transport]) else "✓" if kept else "✗"
    return f"{number(ratio)} {mark}"


def as_json(results: Results) -> Mapping[str, Any]:
    """What `Results(**…)` takes."""
    return vars(results)
