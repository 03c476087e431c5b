"""The program as a fork of a process that has loaded its modules: a start takes a tenth of the time.

What runs is the program itself, in a process of its own, with its own streams, environment and exit code. Run as a
script, this file is the process that is forked.
"""

from __future__ import annotations

import atexit
import fcntl
import gc
import importlib
import io
import json
import os
import signal
import socket
import subprocess
import sys
import termios
import threading
from contextlib import suppress
from functools import cache
from pathlib import Path

MESSAGE = 1 << 16
"""Bytes that arguments and environment may take."""


class Starter:
    """The process that is forked, as the tests see it."""

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        number = theirs.fileno()
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error", __file__, str(number)],
            pass_fds=[number],
            stdin=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": str(Path.cwd())},
            start_new_session=True,
        )
        theirs.close()

    def start(
        self, arguments: list[str], environment: dict[str, str], streams: list[int]
    ) -> tuple[int, int]:
        """Start the program over three descriptors, which the caller closes.

        Gives its process id, and a descriptor from which `read_number` reads its status once it has ended. If
        they are a terminal, it becomes the program's own.
        """
        report, reported = os.pipe()
        request = json.dumps([arguments, environment]).encode()
        socket.send_fds(self._control, [request], [*streams, reported])
        os.close(reported)
        return read_number(report), report

    def run(
        self, arguments: list[str], environment: dict[str, str], data: bytes
    ) -> subprocess.CompletedProcess[bytes]:
        """Run the program to its end. `data` is what it reads."""
        stdin, given = os.pipe()
        shown, stdout = os.pipe()
        told, stderr = os.pipe()
        theirs = [stdin, stdout, stderr]
        _, report = self.start(arguments, environment, theirs)
        for number in theirs:
            os.close(number)
        readers = [_Reader(shown), _Reader(told)]
        _write(given, data)
        out, err = [reader.read() for reader in readers]
        code = os.waitstatus_to_exitcode(read_number(report))
        os.close(report)
        return subprocess.CompletedProcess(arguments, code, out, err)

    def close(self) -> None:
        """End the process."""
        self._control.close()
        self._process.wait()


@cache
def starter() -> Starter:
    """The one of these tests. It ends with them."""
    made = Starter()
    atexit.register(made.close)
    return made


def read_number(report: int) -> int:
    """The next number of a report."""
    return int.from_bytes(os.read(report, 4), "big")


def _write_number(report: int, number: int) -> None:
    os.write(report, number.to_bytes(4, "big"))


class _Reader(threading.Thread):
    """Reads a pipe to its end."""

    def __init__(self, number: int) -> None:
        super().__init__(daemon=True)
        self._number = number
        self._data = b""
        self.start()

    def run(self) -> None:
        with os.fdopen(self._number, "rb") as pipe:
            self._data = pipe.read()

    def read(self) -> bytes:
        self.join()
        return self._data


def _write(number: int, data: bytes) -> None:
    """Write all, unless nobody reads it."""
    with suppress(BrokenPipeError), os.fdopen(number, "wb") as pipe:
        pipe.write(data)


def _await_start(control: socket.socket) -> bool:
    """Fork for each message. True in the process that is to be the program, False once the tests are over."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        message, numbers, _, _ = socket.recv_fds(control, MESSAGE, 4)
        if not message:
            control.close()
            return False
        if os.fork() == 0:
            control.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _hear_signals()
            _report_end(numbers)
            _become_program(*json.loads(message), numbers[:3])
            return True
        for number in numbers:
            os.close(number)


def _hear_signals() -> None:
    """As in a terminal. Tests that run in the background, or under nohup, were started with some of them ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)


def _report_end(numbers: list[int]) -> None:
    """Fork once more. The parent reports the child's id, and later its status; only the child returns."""
    report = numbers[3]
    child = os.fork()
    if child == 0:
        os.close(report)
        return
    for number in numbers[:3]:
        os.close(number)
    _write_number(report, child)
    _, status = os.waitpid(child, 0)
    _write_number(report, status)
    os._exit(0)


def _become_program(arguments: list[str], environment: dict[str, str], numbers: list[int]) -> None:
    for place, number in enumerate(numbers):
        os.dup2(number, place)
        os.close(number)
    if os.isatty(0):
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["llmstream", *arguments]
    # As Python opens them where the locale is C.UTF-8.
    sys.stdin = open(0, encoding="utf-8", errors="surrogateescape", closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", encoding="utf-8", errors="surrogateescape", closefd=False)  # noqa: SIM115
    sys.stderr = io.TextIOWrapper(
        open(2, "wb", closefd=False),  # noqa: SIM115
        encoding="utf-8",
        errors="backslashreplace",
        line_buffering=True,
    )


def _load_modules() -> None:
    """Load what a first answer loads. A process of its own finds out what that is."""
    script = """
import atexit, sys
atexit.register(lambda: print(*sys.modules))
from llmstream.cli import run
run()
"""
    question = ["-m", "openai:m-1", "--base-url", "http://127.0.0.1:9/v1", "hi"]
    done = subprocess.run(
        [sys.executable, "-c", script, *question],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env={**os.environ, "OPENAI_API_KEY": "none"},
        check=False,
    )
    for name in done.stdout.split():
        if name.partition(".")[0] not in {"__main__", "readline"}:
            with suppress(ImportError):
                importlib.import_module(name)


if __name__ == "__main__":
    _load_modules()
    gc.collect()
    gc.freeze()
    if _await_start(socket.socket(fileno=int(sys.argv[1]))):
        from llmstream.cli import run

        run()
