"""The benchmark's server: one process, plain asyncio, bytes made beforehand.

The request's model, in its body or its path, says what to answer, so that any client can ask:
`{flood|paced|first}-{deltas}-{microseconds}`.

- flood: everything at once, so that the client's reads are as large as it makes them.
- paced: each frame alone, so long after the one before.
- first: up to the first text at once, the rest so long after it.
"""

from __future__ import annotations

import asyncio
import re

from answers import APIS, body, chunk, frames
from native_answers import CONTENT_TYPES

MISSING = b"HTTP/1.1 404 Not Found\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
WANTED = re.compile(rb'(?:"model": ?"|/models?/)(flood|paced|first)-(\d+)-(\d+)')
LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
WRITE = 64 * 1024


class Connection(asyncio.Protocol):
    """Reads whole requests, and answers them."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._size: int | None = None  # of the whole request, once its head is there
        self._writable = asyncio.Event()
        self._writable.set()
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, problem: Exception | None) -> None:
        self._writable.set()
        if self._task is not None:
            self._task.cancel()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._size is None:
            end = self._received.find(b"\r\n\r\n")
            if end < 0:
                return
            length = LENGTH.search(self._received, 0, end)
            self._size = end + 4 + (int(length[1]) if length else 0)
        if len(self._received) >= self._size:
            received = bytes(self._received)
            self._received.clear()
            self._size = None
            answering = self._answer(received.split(b" ", 2)[1].decode(), WANTED.search(received))
            self._task = asyncio.get_running_loop().create_task(answering)
            self._task.add_done_callback(_report)

    async def _answer(self, path: str, wanted: re.Match[bytes] | None) -> None:
        api = next((api for api, end in APIS.items() if path.partition("?")[0].endswith(end)), None)
        if api is None or wanted is None:
            self._transport.write(MISSING)
            return
        head = _head(api)
        kind, count, pause = wanted[1], int(wanted[2]), int(wanted[3]) / 1e6
        if kind == b"flood":
            await self._flood(head + body(api, count))
        elif kind == b"first":
            whole = frames(api, count)
            first = next(i for i, frame in enumerate(whole) if b'" The"' in frame) + 1
            self._transport.write(head + b"".join(map(chunk, whole[:first])))
            await asyncio.sleep(pause)
            self._transport.write(b"".join(map(chunk, whole[first:])) + b"0\r\n\r\n")
        else:
            self._transport.write(head)
            for frame in frames(api, count):
                await asyncio.sleep(pause)
                self._transport.write(chunk(frame))
            self._transport.write(b"0\r\n\r\n")

    async def _flood(self, data: bytes) -> None:
        for start in range(0, len(data), WRITE):
            await self._writable.wait()
            self._transport.write(data[start : start + WRITE])


def _head(api: str) -> bytes:
    content_type = CONTENT_TYPES.get(api, "text/event-stream; charset=utf-8")
    return (
        b"HTTP/1.1 200 OK\r\ncontent-type: %s\r\n"
        b"cache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n" % content_type.encode()
    )


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled():
        task.result()  # raises: the loop logs it


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(
        Connection, "127.0.0.1", 0, backlog=4096
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
