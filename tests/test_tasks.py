"""Waiting for tasks."""

import asyncio
from contextlib import suppress

import pytest

from llmstream.tasks import any_done, finish_within
from tests.patience import PATIENCE


async def forever():
    await asyncio.get_running_loop().create_future()


async def failing():
    raise ValueError("its own")


@pytest.mark.parametrize("index", [0, 1])
async def test_any_done_returns_with_the_first_that_is_over_and_leaves_the_other_alone(index):
    works = [forever(), forever()]
    works[index].close()
    works[index] = failing()
    tasks = [asyncio.create_task(work) for work in works]
    await any_done(*tasks)
    assert [task.done() for task in tasks] == [index == 0, index == 1]
    await any_done(*tasks)  # nor does it wait where one is over already
    tasks[1 - index].cancel()
    assert tasks[index].exception() is not None


async def test_any_done_ends_after_its_seconds_and_cancels_nothing():
    task = asyncio.create_task(forever())
    await any_done(task, seconds=0.0)
    assert not task.done()
    assert not task.cancelling()
    task.cancel()


async def test_a_cancelled_wait_leaves_nothing_behind():
    task = asyncio.create_task(forever())
    waiting = asyncio.create_task(any_done(task, seconds=60.0))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    assert waiting.cancelled()
    assert not task.done()
    task.cancel()
    await asyncio.wait([task])  # its callbacks are gone, or one would meet a future that is over


async def test_work_that_need_not_wait_costs_no_timer(monkeypatch) -> None:
    async def ready():
        return "done"

    monkeypatch.setattr(asyncio, "timeout", None)
    assert await finish_within(1.0, ready()) == "done"


@pytest.mark.parametrize("seconds", [None, PATIENCE])
async def test_work_that_waits_goes_on_from_where_it_was(seconds) -> None:
    loop, seen = asyncio.get_running_loop(), []

    async def waiting():
        for number in range(3):
            future = loop.create_future()
            loop.call_soon(future.set_result, number)
            seen.append(await future)
        failed = loop.create_future()
        loop.call_soon(failed.set_exception, LookupError())
        with suppress(LookupError):
            await failed
        await asyncio.sleep(0)
        return "done"

    assert await finish_within(seconds, waiting()) == "done"
    assert seen == [0, 1, 2]


async def test_work_that_is_late_is_cancelled_and_may_clean_up() -> None:
    closed = []

    async def late():
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            closed.append(True)

    with pytest.raises(TimeoutError):
        await finish_within(0.01, late())
    assert closed == [True]


async def test_what_work_raises_is_raised_at_once_and_later() -> None:
    async def raising(turns):
        for _ in range(turns):
            await asyncio.sleep(0)
        raise LookupError

    for turns in (0, 2):
        with pytest.raises(LookupError):
            await finish_within(PATIENCE, raising(turns))
