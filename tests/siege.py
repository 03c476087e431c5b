"""A server under siege: `python tests/siege.py [--seconds 20]` prints what a client with a key notices of it.

Silent connections, slow bodies, slow readers and wrong keys, all at once, from several addresses, against a server that
may open few files. Attackers have one core and the server has the other. Every connection that the server closes is
opened again a second later. Needs Linux, where all of 127.0.0.0/8 is this machine and the figures are in /proc.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # run as a script, the folder above is not on the path
    sys.path.insert(0, str(Path(__file__).parents[1]))

KEYS = [f"llmstream-canary-siege-{number}" for number in range(8)]
OWN_ADDRESS = "127.0.1.1"
ADDRESSES = [f"127.0.0.{number}" for number in range(2, 10)]
AGAIN = 1.0
"""Seconds until an attacker comes back."""
PATIENCE = 60.0


@dataclass
class Force:
    """Who attacks, and how long."""

    silent: int = 2_000
    bodies: int = 200
    readers: int = 50
    keys: int = 1_000
    """Wrong ones a second."""
    files: int = 1_024
    """That the server may open."""
    seconds: float = 20.0


@dataclass
class Noticed:
    """What a client with a key, and a health check, noticed: seconds, in order."""

    first_pieces: list[float] = field(default_factory=list)
    health: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


@dataclass
class Outcome:
    before: Noticed
    during: Noticed
    memory: int
    """Bytes by which the server grew at most."""
    left: dict[str, int]
    """What is left afterwards, beyond what was there before."""


# --- the server -------------------------------------------------------------------------------------------


class Model:
    """Answers at once; "flood" without end."""

    name = "model"

    async def stream(self, request: Any, call: Any) -> AsyncGenerator[Any, None]:
        from llmstream.events.types import EventType, StreamEvent, text_delta
        from llmstream.messages import FinishReason

        yield text_delta("yes")
        while request.messages[-1].text == "flood":
            yield text_delta("x" * 10_000)
        yield StreamEvent(EventType.MESSAGE_COMPLETE, finish_reason=FinishReason.STOP)

    async def aclose(self) -> None:
        """Nothing is held."""


class Counted:
    """An ASGI app that also says what is open: `GET /open`."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope.get("path") != "/open":
            await self._app(scope, receive, send)
            return
        from llmstream.web.protocol import _connections

        counts = self._app.state.slots._counts
        found = {
            "files": len(os.listdir("/proc/self/fd")),  # noqa: PTH208
            "tasks": len(asyncio.all_tasks()),
            "connections": sum(map(len, _connections.values())),
            "slots": counts.total,
        }
        body = json.dumps(found).encode()
        head = [(b"content-length", str(len(body)).encode()), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": body})


def serve(files: int) -> None:
    from llmstream import LLMClient
    from llmstream.gateway.process import relieve_collector
    from llmstream.web import Access, create_app
    from llmstream.web.server import listen, make_server

    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    app = create_app(LLMClient("m", provider=Model()), access=Access(keys=KEYS))
    listener = listen("0.0.0.0", 0)
    print(listener.getsockname()[1], flush=True)
    relieve_collector()
    make_server(Counted(app), max_message=2**20).run(sockets=[listener])


# --- attackers --------------------------------------------------------------------------------------------


async def connect(port: int, address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0))


def head(path: str, key: str, *more: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "host: siege", f"authorization: Bearer {key}", *more]
    return "\r\n".join([*lines, "", ""]).encode()


def asking(words: str, key: str) -> bytes:
    messages = [{"role": "user", "content": words}]
    body = json.dumps({"model": "model:m", "messages": messages, "stream": True})
    return head("/v1/chat/completions", key, f"content-length: {len(body)}") + body.encode()


async def keep_silent(port: int, number: int) -> None:
    reader, writer = await connect(port, ADDRESSES[number % len(ADDRESSES)])
    try:
        await reader.read()
    finally:
        writer.transport.abort()


async def drip(port: int, number: int) -> None:
    """Send a body, a byte a second."""
    reader, writer = await connect(port, ADDRESSES[number % len(ADDRESSES)])
    try:
        key = KEYS[1 + number % 4]
        writer.write(head("/v1/chat/completions", key, "content-length: 1000"))
        over = asyncio.create_task(reader.read())
        while not over.done():
            writer.write(b" ")
            await asyncio.wait((over,), timeout=1.0)
    finally:
        writer.transport.abort()


async def read_nothing(port: int, number: int) -> None:
    _, writer = await connect(port, ADDRESSES[number % len(ADDRESSES)])
    try:
        writer.transport.pause_reading()
        writer.write(asking("flood", KEYS[5 + number % 2]))
        await asyncio.sleep(40)  # longer than the server's patience
    finally:
        writer.transport.abort()


async def guess(port: int, number: int) -> None:
    """Ten wrong keys a second, over one connection as long as it lasts."""
    reader, writer = await connect(port, ADDRESSES[number % len(ADDRESSES)])
    try:
        while True:
            writer.write(head("/v1/chat/completions", os.urandom(8).hex(), "content-length: 0"))
            await reader.readuntil(b"\r\n\r\n")
            await asyncio.sleep(0.1)
    finally:
        writer.transport.abort()


async def attack(port: int, force: Force) -> None:
    async def again(act: Callable[[int, int], Awaitable[None]], number: int) -> None:
        while True:
            with suppress(OSError, asyncio.IncompleteReadError):
                await act(port, number)
            await asyncio.sleep(AGAIN)

    waves = (
        (drip, force.bodies),
        (read_nothing, force.readers),
        (guess, force.keys // 10),
        (keep_silent, force.silent),
    )
    tasks = []
    for act, count in waves:
        tasks += [asyncio.create_task(again(act, number)) for number in range(count)]
        await asyncio.sleep(0.2)
    print("all there", flush=True)
    await asyncio.gather(*tasks)


# --- what others notice -----------------------------------------------------------------------------------


async def ask(port: int, request: bytes, until: bytes) -> float:
    """Seconds until these bytes have come, over a connection of its own."""
    began = time.perf_counter()
    reader, writer = await connect(port, OWN_ADDRESS)
    try:
        async with asyncio.timeout(PATIENCE):
            writer.write(request)
            await reader.readuntil(until)
    finally:
        writer.transport.abort()
    return time.perf_counter() - began


async def notice(port: int, seconds: float) -> Noticed:
    noticed = Noticed()
    health = b"GET /healthz HTTP/1.1\r\nhost: siege\r\nconnection: close\r\n\r\n"
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for times, request, until in (
            (noticed.first_pieces, asking("hi", KEYS[0]), b'"yes"'),
            (noticed.health, health, b'"ok"'),
        ):
            try:
                times.append(await ask(port, request, until))
            except (OSError, EOFError, TimeoutError) as problem:
                noticed.failures.append(repr(problem))
            await asyncio.sleep(0.02)
    return noticed


async def what_is_open(port: int) -> dict[str, int]:
    reader, writer = await connect(port, OWN_ADDRESS)
    writer.write(b"GET /open HTTP/1.1\r\nhost: siege\r\n\r\n")
    answer = await reader.read()
    writer.close()
    found: dict[str, int] = json.loads(answer.partition(b"\r\n\r\n")[2])
    return found


async def what_is_left(port: int, before: dict[str, int]) -> dict[str, int]:
    """What is open beyond what was, once nothing changes any more."""
    end = time.monotonic() + PATIENCE
    while True:
        now = await what_is_open(port)
        left = {name: now[name] - before[name] for name in now if now[name] > before[name]}
        if not left or time.monotonic() > end:
            return left
        await asyncio.sleep(0.1)


def memory(pid: int, line: str) -> int:
    status = Path(f"/proc/{pid}/status").read_text("ascii")
    found = next(each for each in status.splitlines() if each.startswith(line))
    return int(found.split()[1]) * 1024


def own_core(core: int, niceness: int = 0) -> Callable[[], None]:
    """What a child does before it begins."""

    def prepare() -> None:
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[core % len(cores)]})
        os.nice(niceness)

    return prepare


async def besiege(force: Force) -> Outcome:
    files, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = force.silent + force.bodies + force.readers + force.keys // 10 + 200
    if wanted > files:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))
    program = [sys.executable, __file__]
    server = subprocess.Popen(  # noqa: ASYNC220  # it takes a moment, and nobody waits
        [*program, "--serve", str(force.files)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        preexec_fn=own_core(1),  # noqa: PLW1509  # there are no threads
    )
    attackers = None
    try:
        port = int(server.stdout.readline())
        await notice(port, 1.0)
        opened = await what_is_open(port)
        grown = memory(server.pid, "VmRSS")
        before = await notice(port, min(5.0, force.seconds))
        attackers = subprocess.Popen(  # noqa: ASYNC220  # likewise
            [*program, "--attack", str(port), json.dumps(asdict(force))],
            stdout=subprocess.PIPE,
            preexec_fn=own_core(0, 10),  # noqa: PLW1509  # or they would slow down who measures
        )
        await asyncio.to_thread(attackers.stdout.readline)
        during = await notice(port, force.seconds)
        attackers.kill()
        attackers.wait()
        left = await what_is_left(port, opened)
        return Outcome(before, during, memory(server.pid, "VmHWM") - grown, left)
    finally:
        for process in (attackers, server):
            if process is not None:
                process.kill()
                process.wait()
                process.stdout.close()


def p95(times: list[float]) -> float:
    return 1000 * (statistics.quantiles(times, n=20)[-1] if len(times) > 1 else 0.0)


def main() -> None:
    if sys.argv[1:2] == ["--serve"]:
        serve(int(sys.argv[2]))
    elif sys.argv[1:2] == ["--attack"]:
        asyncio.run(attack(int(sys.argv[2]), Force(**json.loads(sys.argv[3]))))
    else:
        parser = argparse.ArgumentParser(description=__doc__)
        for name, default in asdict(Force()).items():
            parser.add_argument(f"--{name}", type=type(default), default=default)
        found = asyncio.run(besiege(Force(**vars(parser.parse_args()))))
        for name, noticed in (("before", found.before), ("during", found.during)):
            first, health = p95(noticed.first_pieces), p95(noticed.health)
            asked = len(noticed.first_pieces) + len(noticed.health)
            print(f"{name}: first piece p95 {first:.1f} ms, /healthz p95 {health:.1f} ms")
            print(f"  {asked} answered, {len(noticed.failures)} not {set(noticed.failures) or ''}")
        print(f"memory: {found.memory / 1e6:+.1f} MB; left: {found.left or 'nothing'}")


if __name__ == "__main__":
    main()
