"""One sample: a library does what a measure asks for, in this process and no other.

    python tests/bench/client.py ADAPTER MEASURE ROOT [--quick]

MEASURE may also be "versions": only say what is installed.

Prints one JSON object. CPU is user and system time of this process (`getrusage`); the first request of a process warms
it up and is not counted, and nothing else is taken off. An answer whose text is not the expected one fails the sample.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import growth
import import_cost
from adapters import ADAPTERS, Adapter, Ask
from answers import deltas, frames

TEXT = (
    "A message of ordinary length, such as people and models write to each other all day long. " * 4
)
LAG_SAMPLE = 0.005
"""Seconds between two looks at the loop's lag."""


def cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def history(count: int) -> list[dict[str, str]]:
    return [
        {"role": "assistant" if i % 2 else "user", "content": TEXT} for i in range(count - 1)
    ] + [{"role": "user", "content": "And now?"}]


def memory() -> float:
    """Resident KiB, now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1024


class Run:
    """What the measures share: the client, and the check of what it gave."""

    def __init__(self, adapter: Adapter, ask: Ask, *, quick: bool) -> None:
        self.adapter = adapter
        self._ask = ask
        self.quick = quick

    def size(self, full: int, quick: int) -> int:
        return quick if self.quick else full

    async def request(self, kind: str, count: int, pause: int = 0, messages: int = 1) -> float:
        """CPU seconds of one answer, checked."""
        sent = history(messages)
        got: list[Any] = []
        before = cpu()
        await self._ask(f"{kind}-{count}-{pause}", sent, got.append)
        spent = cpu() - before
        self.check(got, count)
        return spent

    async def first(self, count: int, pause: int) -> float:
        """CPU seconds up to the first text."""
        got: list[Any] = []
        seen: list[float] = []

        def take(piece: Any) -> None:
            if not seen:
                seen.append(cpu())
            got.append(piece)

        before = cpu()
        await self._ask(f"first-{count}-{pause}", history(1), take)
        self.check(got, count)
        return seen[0] - before

    async def together(
        self, streams: int, count: int, kind: str = "flood", pause: int = 0
    ) -> float:
        """CPU seconds of many answers at once."""
        before = cpu()
        spent = await asyncio.gather(*(self.request(kind, count, pause) for _ in range(streams)))
        assert len(spent) == streams
        return cpu() - before

    async def repeated(
        self, least: int, most: int, seconds: float, once: Callable[[], Awaitable[float]]
    ) -> float:
        """The median of as many as fit into so many CPU seconds."""
        spent: list[float] = []
        while len(spent) < least or (len(spent) < most and sum(spent) < seconds):
            spent.append(await once())
        return statistics.median(spent)

    def check(self, got: list[Any], count: int) -> None:
        api = self.adapter.api
        want: Any = b"".join(frames(api, count)) if self.adapter.raw else "".join(deltas(count))
        found = type(want)().join(got)
        if found != want:
            raise ValueError(
                f"{len(got)} pieces of {len(found)} in all came, which are not the {len(want)} expected"
            )


async def flood(run: Run) -> dict[str, float]:
    count = run.size(5000, 300)
    await run.request("flood", count)
    return {
        "us_per_chunk": await run.repeated(2, 20, 1.0, lambda: run.request("flood", count))
        / count
        * 1e6
    }


async def paced(run: Run) -> dict[str, float]:
    count = run.size(600, 50)
    await run.request("flood", 50)
    return {"us_per_event": await run.request("paced", count, 1000) / count * 1e6}


async def request(run: Run) -> dict[str, float]:
    await run.request("flood", 1)
    lengths = {length: list[float]() for length in (1, 50, 400)}
    for _ in range(run.size(12, 2)):
        for length, spent in lengths.items():
            spent.append(await run.request("flood", 1, messages=length))
    return {f"ms_{length}": statistics.median(spent) * 1e3 for length, spent in lengths.items()}


async def first(run: Run) -> dict[str, float]:
    await run.request("flood", 1)
    return {"ms": await run.repeated(2, run.size(40, 3), 2.0, lambda: run.first(5, 3000)) * 1e3}


async def streams50(run: Run) -> dict[str, float]:
    return await _streams(run, run.size(50, 5), 100)


async def streams500(run: Run) -> dict[str, float]:
    return await _streams(run, run.size(500, 10), 20)


async def _streams(run: Run, streams: int, count: int) -> dict[str, float]:
    """The first wave opens the connections, as far as the client keeps them, and is not counted."""
    await run.together(streams, 1)
    spent = await run.repeated(1, 5, 1.0, lambda: run.together(streams, count))
    return {"chunks_per_cpu_s": streams * count / spent}


async def load500(run: Run) -> dict[str, float]:
    return await _load(run, run.size(500, 10))


async def load2000(run: Run) -> dict[str, float]:
    return await _load(run, run.size(2000, 20))


async def _load(run: Run, streams: int) -> dict[str, float]:
    """Streams of 20 chunks a second, all begun at once on fresh connections: memory, and the loop's lag meanwhile."""
    await run.request("flood", 1)
    count = run.size(40, 5)
    lags: list[float] = []
    before = peak = memory()

    async def look() -> None:
        nonlocal peak
        while True:
            began = time.perf_counter()
            await asyncio.sleep(LAG_SAMPLE)
            lags.append(time.perf_counter() - began - LAG_SAMPLE)
            peak = max(peak, memory())

    looking = asyncio.ensure_future(look())
    spent = await run.together(streams, count, "paced", 50_000)
    looking.cancel()
    cuts = statistics.quantiles(lags, n=100, method="inclusive")
    return {
        "kib_per_stream": (peak - before) / streams,
        "lag_p50_ms": cuts[49] * 1e3,
        "lag_p99_ms": cuts[98] * 1e3,
        "cpu_s": spent,
    }


async def chunks(run: Run) -> dict[str, float]:
    """What a chunk adds, for answers of several lengths: the cost of one with a single chunk is taken off."""
    await run.request("flood", 500)
    least = await run.repeated(10, 60, 0.2, lambda: run.request("flood", 1))
    costs = {}
    for count in (500, 5000, 50_000)[: run.size(3, 1)]:
        spent = await run.repeated(1, 60, 1.0, lambda count=count: run.request("flood", count))
        costs[f"us_per_chunk_{count}"] = (spent - least) / (count - 1) * 1e6
    return costs


async def streams(run: Run) -> dict[str, float]:
    """The same work, 5,000 chunks, by ever more streams at once."""
    return {
        f"chunks_per_cpu_s_{count}": (await _streams(run, count, max(10, 5000 // count)))[
            "chunks_per_cpu_s"
        ]
        for count in (1, 10, 50, 200, 500)[: run.size(5, 2)]
    }


async def sizes(run: Run) -> dict[str, float]:
    """One large frame, and one tool call of many small deltas: the decoder alone, over ever larger ones."""
    costs = {}
    for name, case in growth.CASES.items():
        for size in (10**5, 10**6, 10**7)[: run.size(3, 1)]:
            pieces, length = case(run.adapter.api, size)
            spent = statistics.median(growth.cpu(run.adapter.api, pieces, length) for _ in range(3))
            costs[f"{name}_us_per_kib_{size // 1000}"] = spent / length * 1024 * 1e6
    return costs


MEASURES: dict[str, Callable[[Run], Awaitable[dict[str, float]]]] = {
    measure.__name__: measure
    for measure in (
        flood,
        paced,
        request,
        first,
        streams50,
        streams500,
        load500,
        load2000,
        chunks,
        streams,
        sizes,
    )
}


def versions(adapter: Adapter) -> dict[str, str]:
    """Of the packages that an adapter needs. Raises PackageNotFoundError for one that is not there."""
    return {name: version(name) for name in adapter.packages}


async def sample(adapter: Adapter, measure: str, root: str, *, quick: bool) -> dict[str, float]:
    run = Run(adapter, await adapter.open(root), quick=quick)
    return await MEASURES[measure](run)


def importing(adapter: Adapter) -> dict[str, float]:
    """What `import` adds to an interpreter that starts and ends."""
    nothing = import_cost.cpu("")
    return {"ms": (import_cost.cpu(f"import {adapter.module}") - nothing) * 1e3}


BARE = "import asyncio, sys; sys.path.insert(0, {folder!r}); from adapters import ADAPTERS"
ONCE = """
async def once():
    ask = await ADAPTERS[{name!r}].open({root!r})
    await ask("flood-20-0", [{{"role": "user", "content": "hi"}}], lambda _: None)
asyncio.run(once())
"""


def fresh(adapter: Adapter, root: str) -> dict[str, float]:
    """What the first answer of a process costs with all that is imported for it, beyond this bench's own."""
    bare = BARE.format(folder=str(Path(__file__).parent))
    spent = import_cost.cpu(f"{bare}\n{ONCE.format(name=adapter.name, root=root)}")
    return {"ms": (spent - import_cost.cpu(bare)) * 1e3}


def main() -> None:
    name, measure, root, *options = sys.argv[1:]
    adapter = ADAPTERS[name]
    try:
        result: dict[str, Any] = {"versions": versions(adapter)}
    except PackageNotFoundError as missing:
        result = {"missing": str(missing.name)}
    else:
        if measure == "import":
            result["values"] = importing(adapter)
        elif measure == "fresh":
            result["values"] = fresh(adapter, root)
        elif measure != "versions":
            result["values"] = asyncio.run(
                sample(adapter, measure, root, quick="--quick" in options)
            )
    print(json.dumps(result), flush=True)
    os._exit(
        0
    )  # clients are left open, as their users' are: nothing of their closing is measured or printed


if __name__ == "__main__":
    main()
