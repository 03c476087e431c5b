"""The program: which command runs, and which exit code tells how it went."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, suppress
from types import FrameType
from typing import NoReturn, TextIO

from llmstream.cli.arguments import Options, parse_arguments

INTERRUPTED = 130
"""The exit code after Ctrl-C. Stated here too, since `turn`, which has the others, loads slowly."""


def run() -> NoReturn:
    """Run the program and exit with its code.

    Once the code is known, Ctrl-C can't change it: pressed again while Python shuts down, it would kill the program.
    """
    code = INTERRUPTED
    try:
        code = main()
        _ignore_interrupts()
    except KeyboardInterrupt:  # it may come after the code was known, too
        _ignore_interrupts()
    sys.exit(code)


def _ignore_interrupts() -> None:
    with suppress(ValueError):  # not the main thread
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; gives the exit code. SystemExit comes only from argparse: 2, or 0 after `--help`."""
    _open_missing()
    with _notices():
        try:
            try:
                return _run(parse_arguments(sys.argv[1:] if argv is None else argv))
            finally:
                sys.stdout.flush()
        except KeyboardInterrupt:
            return INTERRUPTED
        except BrokenPipeError:
            code = 141
        except OSError as problem:
            code = 1
            sys.stderr.write(f"llmstream: can't go on: {problem.strerror or problem}\n")
        _drain(sys.stdout)
        return code


def _run(options: Options) -> int:
    from llmstream.cli.screen import RED, one_line, styled
    from llmstream.cli.turn import USAGE, UsageError

    # A lone surrogate in an answer has no bytes, and bytes that are not UTF-8 are no text.
    for stream, errors in ((sys.stdin, "replace"), (sys.stdout, "backslashreplace")):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=errors)
    _end_on_signals()
    try:
        return _command(options)
    except UsageError as problem:
        sys.stderr.write(styled(f"llmstream: {one_line(str(problem))}", RED, sys.stderr) + "\n")
        return USAGE


def _open_missing() -> None:
    """A stream that the caller closed becomes one without content."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            number = os.open(os.devnull, os.O_RDONLY if mode == "r" else os.O_WRONLY)
            # As long as the program runs.
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


@contextmanager
def _notices() -> Iterator[None]:
    """Meanwhile stderr drops what can't be written: no answer ends because nobody can read what is said beside it."""
    try:
        number = sys.stderr.fileno()
    except (OSError, ValueError):  # somebody's own stream
        yield
        return
    buffer = open(number, "wb", closefd=False)  # noqa: SIM115 - the number stays open
    with redirect_stderr(
        _Notices(buffer, sys.stderr.encoding, "backslashreplace", line_buffering=True)
    ) as notices:
        try:
            yield
        finally:
            notices.flush()


class _Notices(io.TextIOWrapper):
    def write(self, text: str, /) -> int:
        try:
            return super().write(text)
        except OSError:
            _drain(self)
            return len(text)

    def flush(self) -> None:
        try:
            super().flush()
        except OSError:
            _drain(self)


def _drain(stream: TextIO) -> None:
    """Let a stream end in nothing: Python writes out once more what could not be written, and that must not fail."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    with suppress(OSError, ValueError):
        os.dup2(nothing, stream.fileno())
    os.close(nothing)


def _command(options: Options) -> int:
    if options.command == "models":
        from llmstream.cli.models import models

        return models(options)
    if options.command == "keys":
        from llmstream.cli.keys import keys

        return keys(options)
    if options.command == "forget":
        from llmstream.cli.forget import forget

        return forget(options)
    if options.command == "chat":
        from llmstream.cli.chat import chat

        return chat(options)
    if options.command == "serve":
        from llmstream.cli.serve import serve

        return serve(options)
    from llmstream.cli.ask import ask

    return ask(options)


def _end_on_signals() -> None:
    """End in order on every signal by which a person or a terminal ends a program."""
    for name in ("SIGTERM", "SIGHUP", "SIGQUIT"):
        number = getattr(signal, name, None)  # Windows has the first alone
        # `nohup` ignores SIGHUP, and so do we.
        if number is None or signal.getsignal(number) is signal.SIG_IGN:
            continue
        with suppress(ValueError):  # not the main thread
            signal.signal(number, _terminated)


def _terminated(number: int, _: FrameType | None) -> NoReturn:
    """End through every `finally`, so that the cursor is back and the connection closed."""
    sys.exit(128 + number)
