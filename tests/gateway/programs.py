"""`llmstream serve` as a program of its own, and an upstream whose answers end when a test says so."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from llmstream.testing.reply import Reply
from tests.patience import PATIENCE
from tests.web.serving import Client, fetch


class Program:
    """A running server. Its lines on stderr can be waited for."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []
        self.port = 0
        self._looked = 0

    async def said(self, pattern: str) -> re.Match[str]:
        """The next line in which this is found."""
        async with asyncio.timeout(PATIENCE):
            while True:
                line = (await self.process.stderr.readline()).decode()
                assert line, f"it ended without {pattern!r}: {self.lines}"
                self.lines.append(line)
                if found := re.search(pattern, line):
                    return found

    def send(self, number: int) -> None:
        """Send a signal to it alone."""
        self.process.send_signal(number)

    async def ended(self) -> int:
        """Its exit code."""
        rest = (await asyncio.wait_for(self.process.stderr.read(), PATIENCE)).decode()
        self.lines += rest.splitlines(keepends=True)
        return await asyncio.wait_for(self.process.wait(), PATIENCE)

    def children(self) -> list[int]:
        """The workers."""
        path = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
        return [int(number) for number in Path(path).read_text().split()]

    async def has_workers(self, count: int) -> None:
        """Wait for so many of them."""
        async with asyncio.timeout(PATIENCE):
            while len(self.children()) != count:
                await asyncio.sleep(0.02)

    async def is_ready(self) -> None:
        """Wait until it says so."""
        await self.readiness(200)

    async def readiness(self, status: int) -> str:
        """Wait for this status of `/readyz`; its text."""
        async with asyncio.timeout(PATIENCE):
            while True:
                found, _, body = await fetch(self.port, "/readyz")
                if found == status:
                    return body.decode()
                await asyncio.sleep(0.02)

    async def refuses(self) -> None:
        """Wait until it takes no more connections."""
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                except OSError:
                    return
                writer.transport.abort()
                with suppress(OSError):
                    await writer.wait_closed()
                await asyncio.sleep(0.02)


@asynccontextmanager
async def program(*arguments: str, **environment: str):
    """`llmstream serve` in a session of its own, on a port that was free."""
    env = {**os.environ, **environment}
    command = [sys.executable, "-m", "llmstream", "serve", "--port", "0", *arguments]
    process = await asyncio.create_subprocess_exec(
        *command, stderr=subprocess.PIPE, env=env, start_new_session=True
    )
    server = Program(process)
    try:
        server.port = int((await server.said(r":(\d+)/ to"))[1])
        yield server
    finally:
        if process.returncode is None:
            for child in server.children():
                os.kill(child, signal.SIGKILL)
            process.kill()
        await process.wait()


class HeldReply:
    """A play for a FaultServer: one word, and the rest once `release` is set."""

    def __init__(self) -> None:
        self.release = asyncio.Event()
        self.begun = 0

    async def __call__(self, reply: Reply) -> None:
        """Answer one request."""
        self.begun += 1
        await reply.head()
        await reply.send(reply.words(0, 1))
        await self.release.wait()
        await reply.send(reply.words(1) + b"".join(reply.ending))
        await reply.end()


async def open_stream(port: int, model: str) -> Client:
    """A stream whose first piece is there."""
    body = f'{{"prompt": "hi", "stream": true, "model": "{model}"}}'.encode()
    client = await Client.ask(port, "/chat", "POST", body)
    assert await client.head() == 200
    client.first = await client.chunk()
    return client
