"""buffer and tee: a source read ahead, and by several."""

from __future__ import annotations

import asyncio
import gc
import weakref
from contextlib import aclosing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmstream import LLMClient
from llmstream.events.types import text_delta
from llmstream.streams import buffer, collect, tee, text
from llmstream.testing import ScriptedProvider, VirtualClock
from tests.streams.sources import HI, Feed, generated, pauses

EVENTS = [text_delta(str(n)) for n in range(100)]


async def turns(count=200):
    for _ in range(count):
        await asyncio.sleep(0)


async def test_it_pauses_at_high_and_goes_on_at_low():
    """Never more than `high` events wait; the source rests until they are `low`."""
    said = []
    feed = Feed(EVENTS)
    options = {"on_pause": lambda: said.append("pause"), "on_resume": lambda: said.append("resume")}
    async with aclosing(buffer(feed, high=10, low=4, **options)) as flow:
        await anext(flow)
        await turns()
        assert (feed.read, said) == (10, ["pause"])
        for _ in range(4):
            await anext(flow)
            await turns(5)
        assert (feed.read, said) == (10, ["pause"]), "5 wait: above low"
        await anext(flow)
        await turns()
        assert (feed.read, said) == (16, ["pause", "resume", "pause"])


@given(pauses, pauses, st.integers(1, 9), st.data())
def test_marks_are_kept_at_any_speed(fast, slow, high, data):
    """Order is kept, and what waits never exceeds `high`, whoever is slower."""
    low = data.draw(st.integers(0, high - 1))

    async def run():
        feed, got = Feed(EVENTS, fast), []
        async for event in buffer(feed, high=high, low=low):
            got.append(event)
            assert feed.read - len(got) <= high
            for _ in range(slow[len(got) % len(slow)]):
                await asyncio.sleep(0)
        return got

    assert asyncio.run(run()) == EVENTS


async def test_what_a_callback_raises_reaches_the_consumer():
    """After the events before it; and the source is closed."""

    def pause():
        raise ZeroDivisionError

    feed, got = Feed(EVENTS), []

    async def read():
        async for event in buffer(feed, high=4, on_pause=pause):
            got.append(event)  # noqa: PERF401  # what came before counts

    with pytest.raises(ZeroDivisionError):
        await read()
    assert (got, feed.closed) == (EVENTS[:4], 1)


@pytest.mark.parametrize(("high", "low"), [(0, None), (4, 4), (4, -1)])
def test_marks_that_make_no_sense_are_refused(high, low):
    """ValueError at once."""
    with pytest.raises(ValueError, match="low"):
        buffer(Feed([]), high=high, low=low)


async def test_the_source_goes_on_while_the_consumer_is_busy():
    """The connection is read though the consumer holds an event."""
    feed = Feed(EVENTS, [3])
    async with aclosing(buffer(feed, high=50)) as flow:
        await anext(flow)
        await turns(400)
        assert feed.read >= 50


# --- tee -----------------------------------------------------------------------------------------------------


@given(pauses, st.lists(pauses, min_size=1, max_size=4), st.integers(1, 8))
def test_everybody_gets_everything(fast, speeds, limit):
    """In order, at its own speed; the source is at most `limit` ahead of the slowest, and closed once."""

    async def run():
        feed = Feed(EVENTS, fast)
        counts = [0] * len(speeds)

        async def read(number, flow):
            got = []
            async for event in flow:
                got.append(event)
                counts[number] += 1
                assert feed.read - min(counts) <= limit
                for _ in range(speeds[number][len(got) % len(speeds[number])]):
                    await asyncio.sleep(0)
            return got

        flows = tee(feed, len(speeds), limit=limit)
        got = await asyncio.gather(*(read(number, flow) for number, flow in enumerate(flows)))
        return got, feed.closed

    got, closed = asyncio.run(run())
    assert got == [EVENTS] * len(speeds)
    assert closed == 1


@pytest.mark.parametrize(
    "way", ["closed", "dropped", "closed unread", "dropped unread", "cancelled"]
)
async def test_who_leaves_holds_nobody_up(way):
    """However it leaves, and also where the collector is off; the others get everything."""
    gc.disable()
    try:
        feed = Feed(EVENTS)
        stays, leaves = tee(generated(feed), limit=4)
        first = []
        if "unread" not in way:
            first = [await anext(stays)]
            await anext(leaves)
        if way == "cancelled":
            task = asyncio.create_task(_forever(leaves))
            await turns()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            del task
        elif "closed" in way:
            await leaves.aclose()
        del leaves
        await turns()
        assert not feed.closed
        assert first + [event async for event in stays] == EVENTS
        assert feed.closed == 1
    finally:
        gc.enable()


async def _forever(flow):
    async for _ in flow:
        pass
    await asyncio.Event().wait()


async def _fails(flow, events):
    async for _ in flow:
        events -= 1
        if not events:
            raise ZeroDivisionError


async def _returns(flow, events):
    async for _ in flow:
        events -= 1
        if not events:
            return


async def _collects(flow):
    return [event async for event in flow]


@pytest.mark.parametrize("events", [1, 3, 50])
@pytest.mark.parametrize("order", [1, -1])
async def test_one_that_fails_holds_nobody_up(events, order):
    """`gather(return_exceptions=True)` waits for the others, and the traceback keeps the failed one's stream."""
    feed = Feed(EVENTS)
    flows = tee(feed, limit=4)
    works = [_fails(flows[0], events), _collects(flows[1])][::order]
    results = await asyncio.wait_for(asyncio.gather(*works, return_exceptions=True), 30)
    failure, got = results[::order]
    assert isinstance(failure, ZeroDivisionError)
    assert got == EVENTS
    assert feed.closed == 1
    with pytest.raises((RuntimeError, StopAsyncIteration)):
        await anext(flows[0])


async def test_all_that_fail_close_the_source():
    feed = Feed(EVENTS)
    flows = tee(feed, 3, limit=4)
    await asyncio.gather(*(_fails(flow, 3) for flow in flows), return_exceptions=True)
    async with asyncio.timeout(30):
        while not feed.closed:
            await asyncio.sleep(0)


async def test_one_that_returns_is_given_up_after_a_while():
    """Its task may have read for somebody else."""
    clock = VirtualClock()
    flows = tee(Feed(EVENTS), limit=4, clock=clock)
    await asyncio.create_task(_returns(flows[0], 2))
    rest = asyncio.create_task(_collects(flows[1]))
    await turns()
    assert not rest.done()
    await clock.sleep(29)
    await turns()
    assert not rest.done()
    await clock.sleep(2)
    assert await rest == EVENTS


async def test_one_that_nobody_begins_to_read_is_given_up_after_a_while():
    """Its task may have failed before, and nobody knows it."""
    clock = VirtualClock()
    flows = tee(Feed(EVENTS), limit=4, clock=clock)
    rest = asyncio.create_task(_collects(flows[1]))
    await turns()
    await clock.sleep(29)
    await turns()
    assert not rest.done()
    await clock.sleep(2)
    assert await rest == EVENTS
    with pytest.raises(RuntimeError, match="nobody read it"):
        await anext(flows[0])


async def test_one_that_holds_nobody_up_waits_for_its_reader():
    """The others were closed."""
    clock = VirtualClock()
    flows = tee(Feed(EVENTS), limit=4, clock=clock)
    await anext(flows[1])
    await turns()
    await flows[1].aclose()
    await clock.sleep(100)
    assert await _collects(flows[0]) == EVENTS


async def test_one_that_begins_late_and_fails_holds_nobody_up():
    """The others wait for it already when its task begins."""
    flows = tee(Feed(EVENTS), limit=4)
    rest = asyncio.create_task(_collects(flows[1]))
    await turns()
    failure = asyncio.create_task(_fails(flows[0], 1))
    await asyncio.wait([failure])
    assert await asyncio.wait_for(rest, 30) == EVENTS
    assert isinstance(failure.exception(), ZeroDivisionError)


async def test_one_that_is_read_by_task_after_task_is_not():
    """As `asyncio.wait_for` reads."""
    clock = VirtualClock()
    flows = tee(Feed(EVENTS), limit=4, clock=clock)
    rest = asyncio.create_task(_collects(flows[1]))
    for event in EVENTS:
        assert await asyncio.create_task(anext(flows[0])) is event
        await turns(20)
        await clock.sleep(20)
    assert await rest == EVENTS


async def test_the_last_to_leave_closes_the_source():
    """Not the first."""
    feed = Feed(EVENTS)
    one, two = tee(feed, limit=3)
    await anext(one)
    await one.aclose()
    assert not feed.closed
    await two.aclose()
    assert feed.closed == 1
    assert len(asyncio.all_tasks()) == 1


async def test_all_dropped_unread_leave_nothing():
    """No reference keeps the source: it is freed without the collector."""
    gc.disable()
    try:
        feed = Feed(EVENTS)
        gone = weakref.ref(feed)
        flows = tee(feed)
        del flows, feed
        assert gone() is None
    finally:
        gc.enable()


async def test_what_the_source_raises_reaches_all():
    """Each after what came before."""

    async def broken():
        yield EVENTS[0]
        raise ZeroDivisionError

    for flow in tee(broken(), 3):
        assert await anext(flow) is EVENTS[0]
        with pytest.raises(ZeroDivisionError):
            await anext(flow)


@pytest.mark.parametrize(("count", "limit"), [(0, 1), (1, 0)])
def test_a_tee_of_none_is_refused(count, limit):
    """ValueError at once."""
    with pytest.raises(ValueError, match="count"):
        tee(Feed([]), count, limit=limit)


async def test_show_and_store():
    """What it is for: one shows the words while the other waits for the message."""
    client = LLMClient(provider=ScriptedProvider(["Hel", "lo"]))
    shown, stored = tee(client.chat_completion(HI))

    async def show():
        return [word async for word in text(shown)]

    words, message = await asyncio.gather(show(), collect(stored))
    assert (words, message.text) == (["Hel", "lo"], "Hello")


async def test_a_task_cancelled_from_outside_ends_the_stream():
    """As at the end of `asyncio.run`: nobody waits for ever, and the source is closed."""
    feed = Feed(EVENTS, [0, 10**9])
    flow = buffer(feed)
    await anext(flow)
    waiting = asyncio.ensure_future(anext(flow))
    await turns(5)
    (pump,) = [task for task in asyncio.all_tasks() if "read_ahead" in task.get_name()]
    pump.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert feed.closed == 1
