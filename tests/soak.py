# ruff: noqa: E402  # run as a script, it says first where to import from
"""Soak: `python tests/soak.py [--streams 2000] [--transport httpx2|aiohttp]`: many streams at once, ending in all ways.

Whole answers, blocks that are left early, consumers that raise, cancellation at any time, connections that are cut or
reset, stalls and errors inside the stream, over all three APIs, against a server in a process of its own. All streams
are open at the same moment. Afterwards nothing may be left: no file descriptor, no task, no connection on the server's
side, and hardly any memory. The garbage collector is off, so that nothing is closed by it. The first round warms up.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import socket
import struct
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Self

ROOT = Path(__file__).parents[1]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from llmstream import LLMClient, RetryPolicy, Timeouts
from llmstream.errors import ErrorInfo
from llmstream.events.types import error
from llmstream.wire import encoder
from llmstream.wire.formats import format_at, format_of
from tests.loopback import APIS, CutError, Loopback, Reply, Request, pieces

WORDS = " ".join(f"word-{number}" for number in range(40))
PATIENCE = 20.0
"""Seconds that what was closed may take to be gone."""
GROWTH = 20.0
"""Megabytes that a round may leave behind."""
HI = [{"role": "user", "content": "hi"}]
OUTCOMES = {
    "whole": {"complete"},
    "leave": {"left"},
    "raise": {"raised"},
    "cancel": {"cancelled"},
    "cut": {"truncated"},
    "reset": {"truncated", "connection"},  # a reset takes along what had not been read
    "stall": {"timeout"},
    "error": {"overloaded"},
}
"""What is done to a stream, and how it must end."""

# --- the server's process ------------------------------------------------------------------------------------


class Server(Loopback):
    """Does what the model's name says."""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=4096)
        self.port = self._server.sockets[0].getsockname()[1]
        return self


async def play(request: Request, reply: Reply) -> None:
    format, doing = format_at(request.path).name, request.body["model"]
    first, *others = pieces(format, WORDS)
    await reply.head()
    await reply.send(first + others[0])
    if doing == "whole":
        for data in others[1:]:
            await reply.send(data)
        await reply.end()
    elif doing == "error":
        await reply.send(encoder(format).feed(error(ErrorInfo("overloaded", "no capacity"))))
        await reply.end()
    elif doing in ("cut", "reset"):
        await reply.send(others[1])
        if doing == "reset":
            linger = struct.pack("ii", 1, 0)
            reply.writer.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, linger
            )
        raise CutError
    elif doing == "stall":
        await reply.client_left(600)
    else:  # leave, raise, cancel: it goes on until the client leaves
        leaving = asyncio.ensure_future(reply.client_left(600))
        with suppress(ConnectionError):
            while not leaving.done():
                await reply.send(others[1])
                await asyncio.wait({leaving}, timeout=0.1)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        raise CutError


async def serve() -> None:
    """Says its port, and for each line that it reads how many connections are open."""
    async with Server(play) as server:
        print(server.port, flush=True)
        lines = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(lines), sys.stdin
        )
        while await lines.readline():
            print(server.open, flush=True)


@contextmanager
def server_process() -> Iterator[tuple[int, Callable[[], int]]]:
    """Its port, and what asks it how many connections are open."""
    command = [sys.executable, __file__, "--serve"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def connections() -> int:
            print(file=process.stdin, flush=True)
            return int(process.stdout.readline())

        yield int(process.stdout.readline()), connections
        process.stdin.close()


# --- the streams ---------------------------------------------------------------------------------------------


@dataclass
class Gate:
    """Opens when all streams have begun, or ended already."""

    missing: int
    opened: asyncio.Event = field(default_factory=asyncio.Event)

    def arrive(self) -> None:
        self.missing -= 1
        if self.missing == 0:
            self.opened.set()


class OwnError(Exception):
    """Raised by a consumer."""


async def consume(client: LLMClient, doing: str, gate: Gate, rng: Random, pause: float) -> str:
    """Read one stream, with a pause while all of them are open; what became of it."""
    if doing == "cancel":
        task = asyncio.ensure_future(read(client, doing, gate, pause))
        # Some before the connection is made, some while the head is awaited, some in the middle.
        asyncio.get_running_loop().call_later(
            rng.choice((0, rng.uniform(0, 1), rng.uniform(1, 4))), task.cancel
        )
        await asyncio.wait({task})
        return "cancelled" if task.cancelled() else task.result()
    try:
        return await read(client, doing, gate, pause)
    except OwnError:
        return "raised"


async def read(client: LLMClient, doing: str, gate: Gate, pause: float) -> str:
    began = False
    try:
        async with client.stream(HI, model=doing, max_tokens=100) as stream:
            async for event in stream:
                if event.text and not began:
                    began = True
                    gate.arrive()
                    await gate.opened.wait()
                    await asyncio.sleep(pause)
                elif event.text and doing == "leave":
                    return "left"
                elif event.text and doing == "raise":
                    raise OwnError
                elif event.error_info is not None:
                    return event.error_info.kind
        return "complete"
    finally:
        if not began:
            gate.arrive()


def idle(streams: int) -> float:
    """Seconds until a stall is one: more than so many streams may keep the loop busy, for that counts as silence."""
    return 0.5 + streams / 200


def spread(streams: int) -> float:
    """Seconds over which the streams go on: if all did in the same instant, the loop would be busy for seconds."""
    return streams / 250


async def one_round(streams: int, transport: str, port: int, seed: int) -> Counter[str]:
    """All streams once; how often each ended in which way."""
    rng = Random(seed)
    clients = [
        LLMClient(
            f"{api}:any",
            api_key="any-key",
            base_url=f"http://127.0.0.1:{port}{format_of(api).base_path}",
            transport=transport,
            retry=RetryPolicy(max_attempts=1),
            timeouts=Timeouts(connect=60, idle=idle(streams)),
        )
        for api in APIS
        if "{model}" not in format_of(api).path  # what a stream does is in the body's model
    ]
    gate = Gate(streams)
    doings = [list(OUTCOMES)[number % len(OUTCOMES)] for number in range(streams)]
    rng.shuffle(doings)
    pauses = [rng.uniform(0, spread(streams)) for _ in doings]
    ended = await asyncio.gather(
        *(
            consume(clients[number % len(clients)], doing, gate, rng, pause)
            for number, (doing, pause) in enumerate(zip(doings, pauses, strict=True))
        )
    )
    for client in clients:
        await client.aclose()
    return Counter(
        outcome if outcome in OUTCOMES[doing] else f"{doing} gave {outcome}"
        for doing, outcome in zip(doings, ended, strict=True)
    )


# --- what is left --------------------------------------------------------------------------------------------


@dataclass
class Left:
    """What a process holds."""

    fds: int
    tasks: int
    connections: int
    megabytes: float

    @classmethod
    def now(cls, connections: int) -> Left:
        return cls(open_fds(), len(asyncio.all_tasks()), connections, resident())

    def __str__(self) -> str:
        return f"{self.fds} fds, {self.tasks} tasks, {self.connections} connections, {self.megabytes:.1f} MB"


def open_fds() -> int:
    return len(list(Path("/dev/fd").iterdir()))


def resident() -> float:
    """Megabytes; elsewhere than on Linux the most there ever were."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def raise_fd_limit(wanted: int) -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft < limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))


async def soak(
    streams: int, transport: str, rounds: int, port: int, connections: Callable[[], int]
) -> list[str]:
    """Print what each round left; give what is wrong."""
    gc.disable()
    wrong: list[str] = []
    before: Left | None = None
    for number in range(rounds + 1):
        began = time.monotonic()
        ended = await one_round(streams, transport, port, seed=number)
        wrong += [
            f"{count} times: {outcome}" for outcome, count in ended.items() if " gave " in outcome
        ]
        limit = time.monotonic() + PATIENCE
        while (left := Left.now(connections())) and time.monotonic() < limit:
            if (
                left.connections == 0
                and left.tasks == 1
                and (before is None or left.fds <= before.fds)
            ):
                break
            await asyncio.sleep(0.05)
        shown = ", ".join(f"{count} {outcome}" for outcome, count in sorted(ended.items()))
        print(f"{transport} {'warm-up' if before is None else f'round {number}'}: {shown}")
        print(f"    {time.monotonic() - began:.1f} s; left: {left}", flush=True)
        if left.connections or left.tasks != 1:
            wrong.append(f"left: {left}")
        if before is not None and left.fds > before.fds:
            wrong.append(f"{left.fds - before.fds} file descriptors")
        if before is not None and left.megabytes - before.megabytes > GROWTH:
            wrong.append(f"{left.megabytes - before.megabytes:.1f} MB more")
        before = before or left
    began_at = resident()
    print(
        f"    the garbage collector, had it run: {gc.collect()} objects, {resident() - began_at:+.1f} MB",
        flush=True,
    )
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description="Many streams at once, and nothing left of them.")
    parser.add_argument("--streams", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=1, help="after the one that warms up")
    parser.add_argument(
        "--transport", choices=["httpx2", "aiohttp"], action="append", help="default: both"
    )
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    given: Any = parser.parse_args()
    raise_fd_limit(3 * given.streams + 1000)
    if given.serve:
        asyncio.run(serve())
        return 0
    wrong: list[str] = []
    for transport in given.transport or ["httpx2", "aiohttp"]:
        with server_process() as (port, connections):
            wrong += asyncio.run(soak(given.streams, transport, given.rounds, port, connections))
    for problem in wrong:
        print(f"WRONG: {problem}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
