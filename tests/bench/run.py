"""What does a stream cost, here, over bare transports, over the official SDKs, and over the peers that are installed?

    python tests/bench/run.py [measure …] [--rounds 3] [--quick] [--write docs/benchmarks.md]

Every sample is a cold process of its own (`client.py`) that talks to one server process (`server.py`) over loopback;
rounds are interleaved over the libraries, ratios are taken within a round, and the median of the rounds is shown.
Peers that pin other versions of the SDKs can live in another environment: `--python /path/to/its/python`.
`--results FILE` keeps the samples: measures that are in it already are not measured again.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import page
import tables
from adapters import ADAPTERS
from client import MEASURES
from tables import ANTHROPIC, CHAT, RESPONSES, Results

HERE = Path(__file__).parent
LIMIT = 300
"""Seconds for one sample."""
SOME = {
    "import": [name for name in ADAPTERS if not name.startswith("llmstream") or name == CHAT[0]],
    "load2000": [*CHAT, "raw-httpx2", "raw-aiohttp"],
    "chunks": [*CHAT, "openai", "raw-httpx2", "raw-aiohttp"],
    "streams": [*CHAT, "openai", "raw-httpx2", "raw-aiohttp"],
    "sizes": [ours[0] for ours in (CHAT, RESPONSES, ANTHROPIC)],
}
"""Measures that not all take part in."""


@contextmanager
def serving() -> Iterator[str]:
    """The server's address, while it runs."""
    with subprocess.Popen(
        [sys.executable, HERE / "server.py"], stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        finally:
            server.kill()


def sample(python: str, adapter: str, measure: str, root: str, *, quick: bool) -> dict[str, Any]:
    """What one cold process found; {"failed": why} if it did not."""
    command = [
        python,
        str(HERE / "client.py"),
        adapter,
        measure,
        root,
        *(["--quick"] if quick else []),
    ]
    environment = {
        name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")
    }
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=LIMIT, check=True, env=environment
        )
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except subprocess.TimeoutExpired:
        return {"failed": f"took over {LIMIT} s"}
    except subprocess.CalledProcessError as problem:
        return {"failed": (problem.stderr.strip().splitlines() or ["no word"])[-1]}
    return found


def find(names: list[str], pythons: list[str], results: Results) -> dict[str, str]:
    """Which interpreter has which adapter's packages."""
    found = {}
    for name in names:
        results.missing.pop(name, None)
        for python in pythons:
            there = sample(python, name, "versions", "", quick=True)
            if "versions" in there:
                found[name] = python
                results.versions[name] = there["versions"]
                break
        else:
            results.missing[name] = there.get("missing", there.get("failed", ""))
    return found


def measure_all(
    measures: list[str],
    found: dict[str, str],
    root: str,
    results: Results,
    *,
    rounds: int,
    quick: bool,
) -> None:
    for measure in measures:
        taken = results.samples[measure] = {
            name: [] for name in SOME.get(measure, ADAPTERS) if name in found
        }
        for turn in range(rounds):
            names = list(taken)
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                got = sample(found[name], name, measure, root, quick=quick)
                if "failed" in got:
                    print(f"{measure} {name}: {got['failed']}", file=sys.stderr)
                taken[name].append(got.get("values"))
                shown = " ".join(
                    f"{key}={value:.4g}" for key, value in got.get("values", {}).items()
                )
                print(f"{measure} {turn + 1}/{rounds} {name}: {shown}", file=sys.stderr, flush=True)


def parse_arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", 1)[0])
    parser.add_argument(
        "measures",
        nargs="*",
        metavar="measure",
        help=f"{', '.join([*MEASURES, 'import', 'fresh'])}; all",
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--quick",
        action="store_true",
        help="small sizes: it shows that all works, not what it costs",
    )
    parser.add_argument(
        "--adapters", nargs="+", default=list(ADAPTERS), help="only these libraries"
    )
    parser.add_argument(
        "--python", action="append", default=[], help="another interpreter that has peers installed"
    )
    parser.add_argument(
        "--results", type=Path, help="keep the samples there, and measure only what is not in it"
    )
    parser.add_argument("--write", type=Path, help="the page to write, and its plots beside it")
    arguments = parser.parse_args(argv)
    for measure in arguments.measures:
        if measure not in MEASURES and measure not in ("import", "fresh"):
            parser.error(f"no such measure: {measure}")
    return arguments


def main(argv: list[str] | None = None) -> Results:
    arguments = parse_arguments(sys.argv[1:] if argv is None else argv)
    results = Results()
    if arguments.results and arguments.results.exists():
        results = Results(**json.loads(arguments.results.read_text()))
    system = f"{platform.system()} {platform.machine()}"
    results.machine = f"Python {platform.python_version()}, {system}, {os.cpu_count()} CPUs"
    wanted = arguments.measures or [*MEASURES, "import", "fresh"]
    with serving() as root:
        found = find(arguments.adapters, [sys.executable, *arguments.python], results)
        for measure in wanted:
            if measure not in results.samples:
                measure_all(
                    [measure], found, root, results, rounds=arguments.rounds, quick=arguments.quick
                )
                if arguments.results:
                    arguments.results.write_text(json.dumps(tables.as_json(results)))
    if arguments.write:
        page.write(results, arguments.write)
    else:
        print(page.render(results, ""))
    return results


if __name__ == "__main__":
    main()
