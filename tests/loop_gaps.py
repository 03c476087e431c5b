"""How long a server's event loop stands still for the heaviest bodies: `python tests/loop_gaps.py [path …]`.

The server is a process of its own, with a provider that answers at once. Printed is the longest time between two turns
of its loop, in milliseconds of its own processor time, so that a busy machine doesn't count.
"""

from __future__ import annotations

import asyncio
import http.client
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.web.heavy_bodies import ASKING, encoded, shapes


class Ticker:
    """An ASGI app that also says how long its loop stood still, and begins anew: `GET /gap`."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._longest = 0.0
        self._task: asyncio.Task[None] | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and self._task is None:
            self._task = asyncio.create_task(self._tick())
        if scope.get("path") != "/gap":
            await self._app(scope, receive, send)
            return
        body = f"{self._longest * 1000:.0f}".encode()
        self._longest = 0.0
        head = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": body})

    async def _tick(self) -> None:
        last = time.process_time()
        while True:
            await asyncio.sleep(0.001)
            now = time.process_time()
            self._longest = max(self._longest, now - last)
            last = now


def serve(provider: str, url: str) -> None:
    from llmstream import LLMClient
    from llmstream.gateway.process import relieve_collector
    from llmstream.web import create_app
    from llmstream.web.server import listen, make_server

    client = LLMClient(f"{provider}:m", api_key="llmstream-canary-gaps", base_url=url)
    app = create_app(client, models={"m": f"{provider}:m"})
    listener = listen("127.0.0.1", 0)
    print(listener.getsockname()[1], flush=True)
    relieve_collector()
    make_server(Ticker(app), max_message=8 * 1024 * 1024).run(sockets=[listener])


class Provider:
    """Answers everything at once, in its format, in a thread of its own."""

    def __init__(self, provider: str) -> None:
        from llmstream.providers.simulator_script import script_events
        from llmstream.wire import encoder
        from llmstream.wire.formats import FORMATS

        format = next(row.name for row in FORMATS.values() if row.provider == provider)
        made = encoder(format)
        events = script_events(["yes"], id="1", model="m", format=format)
        self._answer = b"".join(map(made.feed, events))
        self._ready = threading.Event()
        self.port = 0
        threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True).start()
        self._ready.wait()

    async def _run(self) -> None:
        server = await asyncio.start_server(self._answer_all, "127.0.0.1", 0, limit=2**24)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await server.serve_forever()

    async def _answer_all(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = head.partition(b"content-length: ")[2].partition(b"\r")[0]
        await reader.readexactly(int(length or 0))
        is_count = b"count_tokens" in head or b"input_tokens" in head.partition(b"\r\n")[0]
        answer = b'{"input_tokens": 1}' if is_count else self._answer
        kind = b"application/json" if is_count else b"text/event-stream"
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: %s\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%s"
            % (kind, len(answer), answer)
        )
        await writer.drain()
        writer.close()


def ask(port: int, path: str, body: bytes | None = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        if body is None:
            connection.request("GET", path)
        else:
            connection.request("POST", path, body, {"content-type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def measure(provider: str, paths: list[str], only: str, size: int) -> None:
    there = Provider(provider)
    command = [sys.executable, __file__, "--serve", provider, f"http://127.0.0.1:{there.port}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as server:
        try:
            port = int(server.stdout.readline())
            ask(port, "/healthz")
            for path in paths:
                ask(port, path, encoded(ASKING[path]("hi")))
                for name, body in shapes(path, size).items():
                    if only not in name:
                        continue
                    data = encoded(body)
                    ask(port, "/gap")
                    began = time.monotonic()
                    status, words = ask(port, path, data)
                    seconds = time.monotonic() - began
                    gap = int(ask(port, "/gap")[1])
                    said = words.decode()[:70].replace("\n", " ") if status != 200 else ""
                    sign = "!!" if gap > 100 else "  "
                    what = f"{len(data) / 1e6:5.1f} MB {status} {provider} {path} {name} {said}"
                    print(f"{sign} {gap:6} ms {seconds:7.2f} s {what}", flush=True)
        finally:
            server.kill()


def main() -> None:
    if sys.argv[1:2] == ["--serve"]:
        serve(*sys.argv[2:])
        return
    os.environ.setdefault("PYTHONPATH", str(Path(__file__).parents[1]))
    providers = [
        each for each in sys.argv[1:] if each in ("openai", "openai-responses", "anthropic")
    ]
    paths = [each for each in sys.argv[1:] if each.startswith("/")]
    sizes = [int(each) for each in sys.argv[1:] if each.isdecimal()]
    known = {*providers, *paths, *map(str, sizes)}
    only = " ".join(each for each in sys.argv[1:] if each not in known)
    for provider in providers or ["openai", "anthropic", "openai-responses"]:
        for size in sizes or [8 * 1024 * 1024]:
            measure(provider, paths or list(ASKING), only, size)


if __name__ == "__main__":
    main()
