"""The program: which command runs, and which exit code tells how it went."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from types import FrameType
from typing import NoReturn

from llmstream.cli.arguments import Options, parse_arguments


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; gives the exit code. SystemExit comes only from argparse: 2, or 0 after `--help`."""
    options = parse_arguments(sys.argv[1:] if argv is None else argv)
    try:
        return _run(options)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Python flushes stdout once more when it ends; into nothing, that can't fail.
        nothing = os.open(os.devnull, os.O_WRONLY)
        with suppress(OSError, ValueError):
            os.dup2(nothing, sys.stdout.fileno())
        return 141


def _run(options: Options) -> int:
    from llmstream.cli.screen import RED, one_line, styled
    from llmstream.cli.turn import USAGE, UsageError

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a lone surrogate in an answer has no bytes
    with suppress(ValueError):  # not the main thread
        signal.signal(signal.SIGTERM, _terminated)
    try:
        code = _command(options)
        sys.stdout.flush()
    except UsageError as problem:
        sys.stderr.write(styled(f"llmstream: {one_line(str(problem))}", RED, sys.stderr) + "\n")
        return USAGE
    return code


def _command(options: Options) -> int:
    if options.command == "models":
        from llmstream.cli.models import models

        return models(options)
    if options.command == "chat":
        from llmstream.cli.chat import chat

        return chat(options)
    from llmstream.cli.ask import ask

    return ask(options)


def _terminated(number: int, _: FrameType | None) -> NoReturn:
    """End through every `finally`, so that the cursor is back and the connection closed."""
    sys.exit(128 + number)
