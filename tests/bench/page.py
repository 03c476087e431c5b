"""The page that the benchmark writes, and its plots."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import plots
import tables
from adapters import ADAPTERS
from tables import ANTHROPIC, CHAT, RESPONSES, Results

COMMAND = "python tests/bench/run.py --write docs/benchmarks.md"
HEAD = f"""# What a stream costs

    {COMMAND}

writes this page. Every sample is a cold process that talks to one server process over loopback (HTTP/1.1, no TLS);
rounds are interleaved over the libraries, ratios are taken within a round, and the median of the rounds is shown. CPU
is user and system time of the client's process. The first request of a process warms it up and is not counted; nothing
else is taken off. A sample whose text is not exactly what was sent fails. Every library runs as its documentation says,
with its default settings; llmstream's are all its guarantees. Absolute numbers are this machine's: **compare ratios**.

★ keeps the aim, ✓ the limit, ✗ misses it.
"""
GROWTH = """## What it grows with

A chunk costs the same in an answer of 500 and of 50,000 (what a request costs by itself is taken off here). One frame
of 10 MB and a tool call of 10 MB in small deltas cost as much per KiB as small ones: that is also tested without a
clock, by counting the bytes that pass from function to function (`tests/bench/growth.py`).
"""
MEANING = """## What was measured

- **flood**: an answer of 5,000 text deltas, each in a frame and an HTTP chunk of its own, sent as fast as it is read.
- **paced**: the same, each frame a millisecond after the last: an idle loop that wakes for every event.
- **request**: an answer of one delta, for 1, 50 and 400 messages of about 350 characters.
- **first token**: from the call to the first text, on a warm connection.
- **50, 500 streams**: at once, of 100 and of 20 deltas each; the connections are made by a wave before.
- **load**: 500 or 2,000 streams of 20 deltas a second for two seconds, all begun at once on fresh connections. Memory
  is the most that was resident meanwhile, less what was before, by the number of streams; lag is how much later than
  asked the loop wakes. The SDKs' own pool stops at 1,000 connections.
- **import**: a process that imports and ends, less one that only ends.
- **a process's first answer**: a process that imports, makes a client, asks for 20 deltas and ends, less one that only
  ends.

The flood's CPU can be checked on a machine that others use too: `python tests/bench/instructions.py` counts
instructions per chunk under valgrind, which come out the same within one per cent each time.

With `LogObserver`, which writes its line at the end of a call, a chunk takes as many:

| instructions per chunk | without | with the log |
| --- | --- | --- |
| llmstream-openai-httpx2 | 37,087 | 37,144 (+0.2 %) |
| llmstream-openai-aiohttp | 37,707 | 37,795 (+0.2 %) |
| llmstream-openai-responses-httpx2 | 40,935 | 41,024 (+0.2 %) |
| llmstream-anthropic-httpx2 | 33,293 | 33,360 (+0.2 %) |

A call at a `LocalLimiter` with all its limits costs some 20 µs besides, and some 45 µs where two hundred
wait (`tests/test_limits.py` holds it to 50).

What a gateway adds is measured by a program of its own: `python tests/bench/gateway.py --write docs/benchmarks.md`
puts its section into this page, and the command above keeps it.

Not measured: TLS, HTTP/2, other event loops, tool calls over the network. The frames have every field that the vendors
send, but for `obfuscation`, which OpenAI pads its chunks with unless asked not to.
"""


GATEWAY = "## What a gateway adds"
GATEWAY_MEANING = """One process each, before one server: streams of 64 pieces, one every 20 ms, and requests of one
piece. *pass-through* is a bare Starlette route on uvicorn (httptools, uvloop) that passes aiohttp's bytes on: the floor
in Python. The ratios in brackets are to it, within a round. CPU is the gateway process's own; first piece and gaps are
what the clients see.
"""


def write(results: Results, path: Path) -> None:
    """The page, and the plots beside it. The gateways' section is the one that was there."""
    picture = path.with_suffix(".svg")
    picture.write_text(plots.svg(panels(results)))
    kept = _sections(path.read_text())[GATEWAY] if path.exists() else ""
    path.write_text(_with_section(render(results, picture.name), kept))


def write_gateways(table: str, path: Path) -> None:
    """Put this table into the page, in place of an earlier one."""
    section = f"{GATEWAY}\n\n{GATEWAY_MEANING}\n{table}\n\n"
    path.write_text(_with_section(path.read_text() if path.exists() else "", section))


def _with_section(page: str, section: str) -> str:
    """The page with this section of the gateways, before its last two."""
    sections = _sections(page)
    sections.pop(GATEWAY, None)
    texts = list(sections.values())
    return "".join([*texts[:-2], section, *texts[-2:]])


def _sections(page: str) -> defaultdict[str, str]:
    """The page's sections by their first line; what is before them has none."""
    found: defaultdict[str, str] = defaultdict(str)
    title = ""
    for line in page.splitlines(keepends=True):
        title = line.strip() if line.startswith("## ") else title
        found[title] += line
    return found


def render(results: Results, picture: str) -> str:
    """Markdown."""
    names = list(ADAPTERS)
    parts = [
        HEAD,
        "\n".join(tables.goals(results)),
        f"![The comparison, and the growth]({picture})",
    ]
    parts += ["## Each library\n", "\n".join(tables.comparison(results, names))]
    for measure, streams in (("load500", "500"), ("load2000", "2,000")):
        if measure in results.samples:
            parts += [
                f"### {streams} streams in one process\n",
                "\n".join(tables.load(results, names, measure)),
            ]
    if grown := _growth_tables(results):
        parts += [GROWTH, *grown]
    return "\n\n".join(part.strip("\n") for part in [*parts, MEANING, _versions(results)]) + "\n"


def panels(results: Results) -> list[plots.Bars | plots.Lines]:
    """Those of which there are samples."""
    found: list[plots.Bars | plots.Lines | None] = [
        _bars(results, "CPU per chunk, flood", "µs; chat completions", "flood", "us_per_chunk"),
        _bars(results, "CPU per event, paced", "µs; chat completions", "paced", "us_per_event"),
        _lines("CPU per request, by history", "ms", "messages", _by_history(results)),
        _lines(
            "CPU per chunk, by length",
            "µs, beyond the request's own",
            "chunks",
            _grown(results, "chunks"),
        ),
        _lines(
            "Throughput, by streams at once",
            "chunks per CPU second",
            "streams",
            _grown(results, "streams"),
        ),
        _lines("Decoding large answers", "µs per KiB: flat is linear", "KB", _by_size(results)),
        _bars(results, "Memory per stream, at 500", "KiB", "load500", "kib_per_stream"),
        _bars(
            results,
            "Throughput of 500 streams",
            "chunks per CPU second",
            "streams500",
            "chunks_per_cpu_s",
        ),
    ]
    return [panel for panel in found if panel is not None]


def _bars(results: Results, title: str, note: str, measure: str, key: str) -> plots.Bars | None:
    names = [name for name in ADAPTERS if ADAPTERS[name].api == "openai-chat"]
    values = [(name, results.median(measure, name, key)) for name in names]
    known = [
        (name.replace("llmstream-openai", "llmstream"), value)
        for name, value in values
        if value is not None
    ]
    return plots.Bars(title, note, known) if known else None


def _lines(
    title: str, note: str, x: str, lines: dict[str, list[tuple[float, float]]]
) -> plots.Lines | None:
    named = {
        name.replace("llmstream-openai", "llmstream"): points for name, points in lines.items()
    }
    return plots.Lines(title, note, named, x) if named else None


def _grown(results: Results, measure: str) -> dict[str, list[tuple[float, float]]]:
    return tables.growth(results, measure, list(ADAPTERS))


def _by_history(results: Results) -> dict[str, list[tuple[float, float]]]:
    return tables.growth(
        results, "request", [*CHAT, "raw-httpx2", "openai", "pydantic-ai", "litellm"]
    )


def _by_size(results: Results) -> dict[str, list[tuple[float, float]]]:
    apis = {"chat": CHAT[0], "responses": RESPONSES[0], "anthropic": ANTHROPIC[0]}
    lines = {}
    for case in ("frame", "arguments"):
        for api, name in apis.items():
            found = tables.growth(results, "sizes", [name], prefix=f"{case}_")
            lines |= {f"{case}, {api}": points for points in found.values()}
    return lines


def _growth_tables(results: Results) -> list[str]:
    found = []
    for lines, first in (
        (_grown(results, "chunks"), "µs per chunk, of so many chunks"),
        (_grown(results, "streams"), "chunks per CPU second, of so many streams"),
        (_by_size(results), "µs per KiB, of so many KB"),
    ):
        if lines:
            marks = [x for x, _ in max(lines.values(), key=len)]
            rows = [
                [name, *(tables.number(y) for _, y in points)] for name, points in lines.items()
            ]
            found.append("\n".join(tables.table([first, *(f"{x:,.0f}" for x in marks)], rows)))
    return found


def _versions(results: Results) -> str:
    rows = [
        [name, ", ".join(f"{package} {version}" for package, version in packages.items())]
        for name, packages in results.versions.items()
    ]
    rows += [[name, "not installed"] for name in results.missing]
    return "\n".join(
        [
            f"## Versions\n\n{results.machine}; {results.rounds_made()} rounds.\n",
            *tables.table(["", ""], rows),
        ]
    )
