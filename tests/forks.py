"""Programs that fork. Each is one function of a test module, run by itself: the tests' own process has threads."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

HARD_LIMIT = 60
"""Seconds after which a process that hangs is killed."""
ROOT = Path(__file__).parent.parent


def fork(work: Callable[[], object], fork: Callable[[], int] = os.fork) -> int:
    """A child that does this, and nothing of what its parent would do afterwards."""
    child = fork()
    if child:
        return child
    code = 1
    try:
        signal.alarm(HARD_LIMIT)
        work()
        code = 0
    except BaseException:  # noqa: BLE001  # told, and never passed on: the parent's frames are here too
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def wait(*children: int) -> None:
    """All have ended well."""
    for child in children:
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


async def run_program(case: Callable[..., object], *arguments: object) -> None:
    """Run a function of a module that ends in `main(globals())`; it has said nothing and ended well."""
    warnings = [
        "-W",
        "error",
        "-W",
        "ignore:This process:DeprecationWarning",
    ]  # that it has threads, as it should
    command = [
        sys.executable,
        *warnings,
        "-m",
        case.__module__,
        case.__name__,
        *map(str, arguments),
    ]
    program = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, stderr=asyncio.subprocess.PIPE
    )
    try:
        _, told = await asyncio.wait_for(program.communicate(), HARD_LIMIT)
    finally:
        if program.returncode is None:
            program.kill()
            await program.wait()
    assert (program.returncode, told.decode()) == (0, "")


def main(module: dict[str, Callable[..., object]]) -> None:
    """Run the function that the command line names."""
    module[sys.argv[1]](*sys.argv[2:])
