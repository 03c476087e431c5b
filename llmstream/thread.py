"""A function that is not async, called in a thread of its own.

Not in the event loop's pool: it has few threads (six with two cores), host names are looked up in it too, and no
program ends before all of them have. A function that hangs costs its own thread, which ends with the program.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from typing import TypeVar

T = TypeVar("T")


async def in_thread(function: Callable[[], T]) -> T:
    """Return or raise what the function does. Cancelled, this ends at once; the thread when the function does.

    SystemExit, which would end the program, and StopIteration are raised as RuntimeError.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()
    context = copy_context()
    results: list[T] = []
    # A future refuses a StopIteration as its exception, and would never be done.
    failures: list[BaseException] = []

    def settle() -> None:
        if not done.done():
            done.set_result(None)

    def work() -> None:
        try:
            results.append(context.run(function))
        except BaseException as failure:  # noqa: BLE001  # raised where it is awaited
            failures.append(failure)
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle)

    threading.Thread(target=work, name="llmstream.thread", daemon=True).start()
    await done
    if failures:
        raise _raisable(failures.pop())
    return results.pop()


def _raisable(failure: BaseException) -> BaseException:
    """Itself, but for what would end the program; a StopIteration becomes a RuntimeError where it is raised."""
    if not isinstance(failure, SystemExit):
        return failure
    stands_for_it = RuntimeError(f"raised SystemExit: {failure}").with_traceback(
        failure.__traceback__
    )
    stands_for_it.__cause__ = failure
    return stands_for_it
