"""The real program on a real pseudo-terminal, read through a terminal emulator: tests see what a person sees."""

from __future__ import annotations

import asyncio
import codecs
import os
import re
import select
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pexpect
import pyte
from ptyprocess import PtyProcess

from tests.cli.starter import read_number, starter
from tests.loopback import CutError, Handler, Loopback, Reply, Request, pieces
from tests.patience import PATIENCE

PROGRAM = [sys.executable, "-W", "error", "-m", "llmstream"]
ENTER, CTRL_C, CTRL_D, CTRL_Z, UP = "\r", "\x03", "\x04", "\x1a", "\x1b[A"


def environment(**extra: str) -> dict[str, str]:
    """No keys, no settings of the machine, and no local model: on a busy machine it takes minutes for a word."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return {
        **kept,
        "TERM": "xterm-256color",
        "LANG": "C.UTF-8",
        "LLMSTREAM_MODEL": "simulator",
        "PYTHONPATH": str(Path.cwd()),
        **extra,
    }


class _ForkedPty(PtyProcess):
    """A program on a pseudo-terminal that isn't a child of ours."""

    def __init__(self, pid: int, terminal: int, report: int) -> None:
        super().__init__(pid, terminal)
        self._report = report

    def isalive(self) -> bool:
        """As a child's: after the end of its output, this waits for its end."""
        if self.terminated:
            return False
        seconds = None if self.flag_eof else 0
        if not select.select([self._report], [], [], seconds)[0]:
            return True
        code = os.waitstatus_to_exitcode(read_number(self._report))
        os.close(self._report)
        self.terminated = True
        self.exitstatus, self.signalstatus = (code, None) if code >= 0 else (None, -code)
        return False


class _ForkedSpawn(pexpect.spawn):
    """What pexpect spawns, started by a fork."""

    def _spawnpty(
        self, args: list[str], *, env: dict[str, str], dimensions: tuple[int, int], **_: object
    ) -> PtyProcess:
        ours, theirs = os.openpty()
        termios.tcsetwinsize(ours, dimensions)
        arguments = args[len(PROGRAM) :]
        pid, report = starter().start(arguments, env, [theirs] * 3)
        os.close(theirs)
        return _ForkedPty(pid, ours, report)


class Terminal:
    """`wait` reads until the screen shows something. `raw` is every byte that was written.

    `is_child`: the program is a child of ours, which takes long to start.
    """

    def __init__(
        self,
        *arguments: str,
        rows: int = 24,
        columns: int = 80,
        is_child: bool = False,
        **env: str,
    ) -> None:
        self._screen = pyte.HistoryScreen(columns, rows, history=200_000, ratio=0.5)
        self._stream = pyte.Stream(self._screen)
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self.raw = b""
        spawn = pexpect.spawn if is_child else _ForkedSpawn
        self.child = spawn(
            PROGRAM[0],
            [*PROGRAM[1:], *arguments],
            env=environment(**env),
            dimensions=(rows, columns),
            timeout=PATIENCE,
        )
        self.child.delaybeforesend = None

    def rows(self) -> list[str]:
        """The screen, without blank rows at its end."""
        rows = [row.rstrip() for row in self._screen.display]
        while rows and not rows[-1]:
            rows.pop()
        return rows

    def text(self) -> str:
        """The screen and what was scrolled out of it."""
        width = self._screen.columns
        above = [
            "".join(row[x].data for x in range(width)).rstrip() for row in self._screen.history.top
        ]
        return "\n".join([*above, *self.rows()])

    def read(self, timeout: float = 0.1) -> bool:
        """Take what was written; False at the end."""
        try:
            data = self.child.read_nonblocking(65536, timeout)
        except pexpect.TIMEOUT:
            return True
        except pexpect.EOF:
            return False
        self.raw += data
        # pyte drops what follows a joiner; without it, it draws joined emoji side by side, as older terminals do.
        self._stream.feed(re.sub("[\u200d\u2060\ufe0f]", "", self._decoder.decode(data)))
        return True

    def wait(self, wanted: str | Callable[[list[str]], bool], limit: float = PATIENCE) -> None:
        """Read until the screen shows `wanted`."""
        end = time.monotonic() + limit
        while not (wanted(self.rows()) if callable(wanted) else wanted in "\n".join(self.rows())):
            alive = self.read()
            assert time.monotonic() < end, "\n".join(["never shown; the screen:", *self.rows()])
            if not alive:
                shown = (
                    wanted(self.rows()) if callable(wanted) else wanted in "\n".join(self.rows())
                )
                assert shown, "\n".join(["it ended; the screen:", *self.rows()])
                return

    def send(self, keys: str) -> None:
        self.child.send(keys)

    def resize(self, columns: int, rows: int = 24) -> None:
        """As a window manager does."""
        self._screen.resize(rows, columns)
        self.child.setwinsize(rows, columns)

    @property
    def cursor_hidden(self) -> bool:
        return bool(self._screen.cursor.hidden)

    def end(self, limit: float = PATIENCE) -> int:
        """Read to the end; the exit code (negative: the signal)."""
        latest = time.monotonic() + limit
        while self.read(1):
            assert time.monotonic() < latest, "\n".join(
                ["it does not end; the screen:", *self.rows()]
            )
        self.child.close()
        return (
            self.child.exitstatus
            if self.child.exitstatus is not None
            else -(self.child.signalstatus or 0)
        )


class Server:
    """A Loopback in a thread of its own, because the tests block."""

    def __init__(self, *handlers: Handler) -> None:
        self.loopback = Loopback(*handlers)
        self._ready, self._over = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        self._thread.start()
        assert self._ready.wait(PATIENCE)
        self.options = ["-m", "openai:m-1", "--base-url", self.loopback.url("openai")]

    async def _run(self) -> None:
        async with self.loopback:
            self._ready.set()
            while not self._over.is_set():
                await asyncio.sleep(0.005)

    def wait_until(self, condition: Callable[[Loopback], bool], limit: float = PATIENCE) -> float:
        """Seconds until the server has seen something."""
        began = time.monotonic()
        while not condition(self.loopback):
            assert time.monotonic() - began < limit
            time.sleep(0.005)
        return time.monotonic() - began

    def close(self) -> None:
        self._over.set()
        self._thread.join(PATIENCE)


@contextmanager
def serving(*handlers: Handler) -> Iterator[Server]:
    server = Server(*handlers)
    try:
        yield server
    finally:
        server.close()


class Steps:
    """A handler that sends its items one at a time, each when the test says `go`."""

    def __init__(self, *items: object, format: str = "openai-chat") -> None:
        self._data = pieces(format, *items)  # type: ignore[arg-type]
        self._allowed = 0

    def go(self, count: int = 10**6) -> None:
        """Send so many more pieces."""
        self._allowed += count

    async def __call__(self, request: Request, reply: Reply) -> None:
        await reply.head()
        left = asyncio.ensure_future(reply.reader.read(1))
        try:
            for number, data in enumerate(self._data):
                while self._allowed <= number:
                    await asyncio.sleep(0.005)
                    if left.done():
                        raise CutError
                await reply.send(data)
        finally:
            left.cancel()
            await asyncio.wait([left])
        await reply.end()
