"""What holds for every operator, and for any three of them together."""

from __future__ import annotations

import asyncio
import gc
import itertools
from contextlib import aclosing, suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmstream import ErrorInfo, EventType, LLMClient, Status, StreamEvent
from llmstream.events.types import reasoning_delta, text_delta
from llmstream.streams import collect, replay, text
from llmstream.testing import ScriptedProvider
from tests.example_counts import examples
from tests.grammar_check import TERMINAL, add_up, check_stream
from tests.patience import PATIENCE
from tests.streams.sources import (
    CALL,
    HI,
    NAMES,
    Feed,
    answer,
    answered,
    answers,
    eager_task_factory,
    generated,
    operators,
    pauses,
    rounds,
)

LONG = [StreamEvent(EventType.MESSAGE_START), *(text_delta(f"word {n}. \n") for n in range(200))]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return operators(tmp_path_factory.mktemp("recordings") / "one.jsonl")


async def settle():
    """Let what was dropped be closed."""
    for _ in range(10):
        await asyncio.sleep(0)


def check_same(got, events):
    """`got` says what `events` say: the same message part by part, the same end, once, last."""
    keep = events[-1].message is not None or (
        events[-1].error_info is not None and bool(events[-1].error_info.partial)
    )
    assert [event.type in TERMINAL for event in got] == [False] * (len(got) - 1) + [True]
    assert got[-1] == events[-1]
    assert add_up(got[:-1]) == add_up(events[:-1])
    if len(events) > 1 and keep:
        check_stream(got, going_on=True)


@pytest.mark.parametrize("name", NAMES)
@given(answers, pauses)
@examples(40)
def test_the_same_comes_out(made, name, events, pauses):
    """Text, order and end are the source's; the result is a legal stream; the source is closed."""

    async def run():
        feed = Feed(events, pauses)
        return [event async for event in made[name](feed)], feed

    got, feed = asyncio.run(run())
    check_same(got, events)
    assert feed.closed


@given(answers, st.lists(st.sampled_from(NAMES), min_size=3, max_size=3), pauses)
@examples(150)
def test_any_three_compose(made, events, names, pauses):
    """An operator's output is a stream like any other."""
    if names.count("record") > 1:
        names = ["record", "buffer", "guard"]

    async def run():
        flow = feed = Feed(events, pauses)
        for name in names:
            flow = made[name](flow)
        return [event async for event in flow], feed

    got, feed = asyncio.run(run())
    check_same(got, events)
    assert feed.closed


@pytest.mark.parametrize("name", NAMES)
async def test_nothing_is_read_before_the_first_step(made, name):
    """Making an operator starts nothing; closing it then closes a source that had begun elsewhere."""
    feed = Feed(LONG)
    source = generated(feed)
    await anext(source)
    flow = made[name](source)
    await settle()
    assert feed.read == 1
    await flow.aclose()
    await flow.aclose()
    assert feed.closed == 1
    with pytest.raises(StopAsyncIteration):
        await anext(flow)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("at", [1, 2, 9, 100])
@pytest.mark.parametrize("way", ["aclosing", "dropped", "raised"])
async def test_leaving_closes_the_source(made, name, at, way):
    """A break, an exception, at any point, also where the collector is off and the source is a generator."""
    gc.disable()
    try:
        feed = Feed(LONG)

        async def read():
            count = 0
            async for _ in made[name](generated(feed)):
                count += 1
                if count == at and way == "raised":
                    raise RuntimeError("mine")
                if count == at:
                    break

        async def read_well():
            count = 0
            async with aclosing(made[name](generated(feed))) as flow:
                async for _ in flow:
                    count += 1
                    if count == at:
                        break

        with suppress(RuntimeError):
            await (read_well() if way == "aclosing" else read())
        if way == "aclosing":
            assert feed.closed == 1, "at once"
        await settle()
        assert feed.closed == 1
        assert feed.read < len(LONG) or name == "coalesce seconds"  # which makes few events of many
        assert len(asyncio.all_tasks()) == 1, "no task outlives its operator"
    finally:
        gc.enable()


@pytest.mark.parametrize("name", NAMES)
async def test_cancelling_the_consumer_closes_the_source(made, name):
    """While it waits for the source, and the cancellation is the consumer's own."""
    feed = Feed(LONG, [0] * 5 + [10**9])

    async def read():
        async for _ in made[name](generated(feed)):
            pass

    task = asyncio.create_task(read())
    await settle()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await settle()
    assert feed.closed == 1
    assert len(asyncio.all_tasks()) == 1


@pytest.mark.parametrize("name", NAMES)
async def test_cancelling_at_any_turn_closes_the_source(made, name):
    """At every await there is, in the source, between the tasks, in the consumer: at once, and no task is left."""
    for turn in itertools.count():
        feed = Feed(LONG[:8], [0, 1, 2])

        async def read(feed=feed):
            async with aclosing(made[name](generated(feed))) as flow:
                async for _ in flow:
                    await asyncio.sleep(0)

        task = asyncio.create_task(read())
        for _ in range(turn):
            await asyncio.sleep(0)
        over = task.done()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert feed.closed == 1 or not feed.read, turn
        assert len(asyncio.all_tasks()) == 1, turn
        if over:
            assert turn > 8
            return


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("lost", [[], ["wor"], ["Rome is", " rai"]])
async def test_the_rounds_of_tools_stand(made, name, lost):
    """A step has its message, and a RETRY after it discards only what came since, if anything did."""
    cut = [reasoning_delta("hm. \n"), *map(text_delta, lost), ErrorInfo("truncated", "cut")]
    events = await rounds(["Let me look. ", CALL], cut, ["Sunny."])
    steps = [event for event in events if event.status]
    flow = made[name](Feed(events))
    standing, shown = [], ""
    async for event in flow:
        if event.retry is not None:
            assert event.retry.discard == bool(shown)
            shown = ""
        elif event.status is not None and event.status.kind == "step":
            assert event == steps[0]
            standing.append(shown)
            shown = ""
        shown += event.reasoning_delta.content if event.reasoning_delta is not None else event.text
    assert (standing, shown) == (["Let me look. "], "Sunny.")


async def storing(events, stored):
    """A source that needs some turns of the loop to store what it gave."""
    try:
        for event in events:
            yield event
    finally:
        for _ in range(5):
            await asyncio.sleep(0)
        stored.append(True)


async def lasting(events, closed):
    """A source that goes on after the stream's end until it is closed, such as one that reads a queue."""
    try:
        for event in events:
            yield event
        await asyncio.Event().wait()
    finally:
        closed.append(True)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("source", [storing, lasting])
@pytest.mark.parametrize("turns", [0, 1, 9])
async def test_who_leaves_at_the_end_interrupts_no_source(made, name, source, turns):
    """Closing it at the terminal event lets a source finish what it does then, and waits for no other."""
    over = []
    async with (
        asyncio.timeout(PATIENCE),
        aclosing(made[name](source(await answered(["a b"]), over))) as flow,
    ):
        async for event in flow:
            if event.type in TERMINAL:
                for _ in range(turns):
                    await asyncio.sleep(0)
                break
    assert over == [True]
    assert len(asyncio.all_tasks()) == 1


@pytest.mark.parametrize("name", NAMES)
@given(answers, pauses)
@examples(20)
def test_tasks_may_begin_at_once(made, name, events, pauses):
    """Under `asyncio.eager_task_factory`, too, nobody waits for what has come already."""

    async def run():
        asyncio.get_running_loop().set_task_factory(eager_task_factory)
        async with asyncio.timeout(PATIENCE):
            return [event async for event in made[name](Feed(events, pauses))]

    check_same(asyncio.run(run()), events)


@pytest.mark.parametrize("name", NAMES)
async def test_a_slow_consumer_holds_the_source_back(made, name):
    """What is read beyond what was taken is bounded."""
    feed = Feed(LONG)
    async with aclosing(made[name](feed)) as flow:
        await anext(flow)
        needed = feed.read
        for _ in range(300):
            await asyncio.sleep(0)
        assert feed.read <= needed + 64


@pytest.mark.parametrize("name", NAMES)
async def test_what_the_source_raises_arrives(made, name):
    """Wrong arguments of chat_completion raise through every operator, after what came before."""
    with pytest.raises(TypeError, match="messages"):
        async for _ in made[name](LLMClient(provider=ScriptedProvider()).chat_completion(17)):
            pass

    async def broken():
        yield StreamEvent(EventType.STATUS, status=Status("queued"))
        raise ZeroDivisionError

    flow = made[name](broken())
    assert (await anext(flow)).type is EventType.STATUS
    with pytest.raises(ZeroDivisionError):
        await anext(flow)


@pytest.mark.parametrize("name", NAMES)
async def test_what_had_come_arrives_before_what_the_source_raises(made, name):
    """Held back or not: a stream of somebody else's that raises costs no text."""
    got = []

    async def broken():
        yield StreamEvent(EventType.MESSAGE_START)
        yield text_delta("Hello wor")
        raise ZeroDivisionError

    async def read():
        async for event in made[name](broken()):
            got.append(event)  # noqa: PERF401  # what came before counts

    with pytest.raises(ZeroDivisionError):
        await read()
    assert got[0].type is EventType.MESSAGE_START
    assert "".join(event.text for event in got) == "Hello wor"


@pytest.mark.parametrize("name", NAMES)
async def test_a_source_that_fails_to_close_says_so(made, name):
    """What closing the source raises is not lost."""

    class Stuck(Feed):
        async def aclose(self):
            raise OSError("stuck")

    flow = made[name](Stuck(LONG))
    await anext(flow)
    with pytest.raises(OSError, match="stuck"):
        await flow.aclose()


@pytest.mark.parametrize("name", NAMES)
async def test_a_client_stream_is_a_source(made, name):
    """`client.stream(…)` works as well as `chat_completion`."""
    client = LLMClient(provider=ScriptedProvider(["Hel", "lo"]))
    async with client.stream(HI) as stream:
        assert (await collect(made[name](stream))).text == "Hello"
        assert (await stream.message()).text == "Hello"


@pytest.mark.parametrize("operator", [*operators().values(), text, collect])
async def test_what_is_no_stream_is_refused(operator):
    """A list, or a coroutine somebody forgot to await, is a TypeError at once."""
    with pytest.raises(TypeError, match="async iterable"):
        await operator([])


async def test_the_simulator_through_all_of_them(tmp_path):
    """All operators in a row, over the real wire format."""
    flow = LLMClient("simulator").chat_completion(HI)
    for operator in operators(tmp_path / "all.jsonl").values():
        flow = operator(flow)
    message = await collect(flow)
    assert message.text == "This is the simulator, not a model. You said: what's up?"
    assert (await collect(replay(tmp_path / "all.jsonl", speed=1000))) == message


def test_the_answers_tried_have_what_matters():
    """The streams that these tests run on do discard, where the client is told to restart."""
    events = answer(["a", ErrorInfo("server")], ["c"], on_interrupt="restart")
    assert [event.retry.discard for event in events if event.retry is not None] == [True]
