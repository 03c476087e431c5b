"""`abortable` runs a coroutine in the caller's own task, and ends it as a task of its own would be ended."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from llmstream.providers.provider import Call
from llmstream.providers.watchdog import Watchdog, abortable


class Work:
    """Waits for `gate`, and then, whatever happened, for `cleanup`."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.gate: asyncio.Future[str] = loop.create_future()
        self.cleanup: asyncio.Future[None] = loop.create_future()
        self.cleanup.set_result(None)
        self.task: asyncio.Task[object] | None = None
        self.cancellations = 0
        self.is_over = False

    async def run(self) -> str:
        self.task = asyncio.current_task()
        try:
            return await self.gate
        except asyncio.CancelledError:
            self.cancellations += 1
            raise
        finally:
            await asyncio.sleep(0)  # a wait without a future
            await self.cleanup
            self.is_over = True


async def begun(watchdog: Watchdog, work: Work) -> asyncio.Task[str]:
    """The task that waits for the work."""
    task = asyncio.create_task(abortable(work.run(), watchdog))
    while work.task is None:
        await asyncio.sleep(0)
    return task


async def test_the_work_runs_in_the_callers_own_task():
    work = Work()
    task = await begun(Watchdog(Call()), work)
    work.gate.set_result("done")
    assert await task == "done"
    assert work.task is task


async def test_what_the_work_raises_is_raised():
    work = Work()
    task = await begun(Watchdog(Call()), work)
    work.gate.set_exception(OSError("no route"))
    with pytest.raises(OSError, match="no route"):
        await task


@pytest.mark.parametrize("times", [1, 3])
async def test_the_watchdog_ends_the_work_once_and_the_caller_is_not_cancelled(times):
    work, watchdog = Work(), Watchdog(Call())
    work.cleanup = asyncio.get_running_loop().create_future()
    task = await begun(watchdog, work)
    for _ in range(times):
        watchdog.close()
        await asyncio.sleep(0)
    assert not task.done()  # the work cleans up first
    work.cleanup.set_result(None)
    with pytest.raises(TimeoutError):
        await task
    assert (work.cancellations, work.is_over, task.cancelling()) == (1, True, 0)


async def test_when_the_caller_is_cancelled_the_work_is_over_before_the_caller_is():
    work = Work()
    task = await begun(Watchdog(Call()), work)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (work.cancellations, work.is_over) == (1, True)


async def test_a_caller_that_is_cancelled_in_the_same_instant_as_the_work_is_cancelled():
    work, watchdog = Work(), Watchdog(Call())
    task = await begun(watchdog, work)
    watchdog.close()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert work.is_over


async def test_a_caller_that_was_cancelled_before_and_went_on_hears_of_the_time_out():
    work, watchdog = Work(), Watchdog(Call())

    async def stubborn() -> str:
        with suppress(asyncio.CancelledError):
            await asyncio.get_running_loop().create_future()
        return await abortable(work.run(), watchdog)

    task = asyncio.create_task(stubborn())
    await asyncio.sleep(0)
    task.cancel()
    while work.task is None:
        await asyncio.sleep(0)
    watchdog.close()
    with pytest.raises(TimeoutError):
        await task


async def test_work_that_comes_too_late_never_begins():
    work, watchdog = Work(), Watchdog(Call())
    watchdog.close()
    with pytest.raises(TimeoutError):
        await abortable(work.run(), watchdog)
    assert work.task is None


async def test_what_arrives_in_the_same_instant_is_given_up_and_cleaned_up():
    work, watchdog = Work(), Watchdog(Call())
    task = await begun(watchdog, work)
    work.gate.set_result("too late")
    watchdog.close()
    with pytest.raises(TimeoutError):
        await task
    assert (work.cancellations, work.is_over) == (1, True)


async def test_the_work_may_end_in_a_result_although_it_was_asked_to_end():
    watchdog = Watchdog(Call())
    waits: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def headstrong() -> str:
        with suppress(asyncio.CancelledError):
            await waits
        return "done all the same"

    task = asyncio.create_task(abortable(headstrong(), watchdog))
    await asyncio.sleep(0)
    watchdog.close()
    assert await task == "done all the same"


async def test_work_may_end_itself():
    watchdog = Watchdog(Call())

    async def closing() -> str:
        watchdog.close()
        await asyncio.get_running_loop().create_future()
        return "never"

    with pytest.raises(TimeoutError):
        await asyncio.create_task(abortable(closing(), watchdog))
