"""Clients of a gateway: each opens a connection, asks once, and notes when its pieces come.

    python tests/bench/load.py URL MODEL CLIENTS [--at-once N] [--spread SECONDS]

Prints one JSON document: seconds to each first piece, the longest gap of each stream, and how many were wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from itertools import pairwise
from typing import Any, cast
from urllib.parse import urlsplit

PIECE = b'"content":" '
"""How each piece of the server's answers begins."""
DONE = b"[DONE]"


class Reader(asyncio.Protocol):
    """One request, and when each piece of its answer came."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._rest = b""
        self.times: list[float] = []
        self.pieces = 0
        self.whole = False
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none of asyncio's
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        seen = self._rest + data
        count = seen.count(PIECE)
        if count:
            self.pieces += count
            self.times.append(time.perf_counter())
        if DONE in seen:
            self.whole = True
            self._transport.close()
        # What may be the beginning of a mark; what was counted isn't counted again.
        self._rest = seen[max(seen.rfind(PIECE) + len(PIECE), len(seen) - len(PIECE) + 1) :]

    def connection_lost(self, problem: Exception | None) -> None:
        if not self.over.done():
            self.over.set_result(None)


async def run(url: str, model: str, clients: int, at_once: int, spread: float) -> dict[str, Any]:
    """What the clients saw. `at_once`: how many at most ask at a time; `spread`: seconds over which they begin."""
    address = urlsplit(url)
    asked = {"model": model, "stream": True, "messages": [{"role": "user", "content": "hi"}]}
    body = json.dumps(asked).encode()
    head = (
        f"POST {address.path} HTTP/1.1\r\nhost: {address.netloc}\r\ncontent-type: application/json\r\n"
        f"authorization: Bearer k\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    request = head.encode() + body
    loop = asyncio.get_running_loop()
    wanted = int(model.split("-")[1])
    room = asyncio.Semaphore(at_once)
    firsts: list[float] = []
    gaps: list[float] = []
    wrong = 0

    async def one(number: int) -> None:
        nonlocal wrong
        await asyncio.sleep(spread * number / clients)
        async with room:
            began = time.perf_counter()
            _, reader = await loop.create_connection(
                lambda: Reader(request), address.hostname, address.port
            )
            await reader.over
        wrong += not (reader.whole and reader.pieces == wanted)
        if reader.times:
            firsts.append(reader.times[0] - began)
            own = [after - before for before, after in pairwise(reader.times)]
            gaps.extend(own)
            longest.append(max(own, default=0.0))

    longest: list[float] = []
    began = time.perf_counter()
    await asyncio.gather(*map(one, range(clients)))
    return {
        "seconds": time.perf_counter() - began,
        "first": quantiles(firsts),
        "gap": quantiles(gaps),
        "stalled": sum(gap > 0.2 for gap in longest),
        "wrong": wrong,
    }


def quantiles(values: list[float]) -> dict[str, float]:
    """In milliseconds."""
    ordered = sorted(values) or [0.0]
    return {
        name: 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]
        for name, share in (("p50", 0.5), ("p99", 0.99))
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("model")
    parser.add_argument("clients", type=int)
    parser.add_argument("--at-once", type=int, default=100_000)
    parser.add_argument("--spread", type=float, default=0.0)
    given = parser.parse_args()
    import uvloop

    found = uvloop.run(run(given.url, given.model, given.clients, given.at_once, given.spread))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
