"""Waiting for tasks."""

import asyncio

import pytest

from llmstream.tasks import any_done


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
