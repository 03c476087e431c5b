"""Streams to try operators on: legal ones, as the client makes them, from sources that tell what was done to them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from random import Random
from types import coroutine

from hypothesis import strategies as st

from llmstream import ErrorInfo, EventType, LLMClient, RetryPolicy, StreamEvent
from llmstream.events.types import text_delta
from llmstream.messages import ToolCall
from llmstream.streams import buffer, coalesce, guard, map_text, progress, record, tee, transform
from llmstream.testing import ScriptedProvider, VirtualClock
from llmstream.tools import run_tools
from tests import strategies

HI = [{"role": "user", "content": "what's up?"}]


class Feed:
    """An async iterator over events that counts: `read`, `closed`; `pauses` are turns of the loop, over and over."""

    def __init__(self, events, pauses=(0,)):
        self.events, self.pauses = events, pauses
        self.read = self.closed = 0

    def __aiter__(self) -> AsyncIterator[StreamEvent]:
        return self

    async def __anext__(self):
        for _ in range(self.pauses[self.read % len(self.pauses)]):
            await asyncio.sleep(0)
        if self.closed or self.read >= len(self.events):
            raise StopAsyncIteration
        self.read += 1
        return self.events[self.read - 1]

    async def aclose(self):
        self.closed += 1


async def generated(feed):
    """A Feed as the async generator that most sources are."""
    try:
        async for event in feed:
            yield event
    finally:
        await feed.aclose()


async def answered(*attempts, stream=True, **options):
    """What the client makes of scripted attempts."""
    given = {
        "clock": VirtualClock(),
        "rng": Random(0),
        "retry": RetryPolicy(max_attempts=3),
        **options,
    }
    client = LLMClient(provider=ScriptedProvider(*attempts), **given)
    return [event async for event in client.chat_completion(HI, stream=stream)]


def answer(*attempts, **options):
    """The same, where no loop runs."""
    return asyncio.run(answered(*attempts, **options))


def look_up(city: str) -> str:
    """A tool."""
    return f"{city} is sunny"


CALL = ToolCall("1", "look_up", '{"city":"Rome"}')


async def rounds(*attempts, **options):
    """What `run_tools` makes of scripted attempts, of which some call `look_up`."""
    given = {"clock": VirtualClock(), "rng": Random(0), "on_interrupt": "restart", **options}
    client = LLMClient(provider=ScriptedProvider(*attempts), **given)
    return [event async for event in run_tools(client, HI, [look_up])]


@coroutine
def _rest(coro, waits_for):
    while True:
        try:
            sent = yield waits_for
        except BaseException as raised:  # noqa: BLE001  # as a task does
            step = partial(coro.throw, raised)
        else:
            step = partial(coro.send, sent)
        try:
            waits_for = step()
        except StopIteration as done:
            return done.value


def _eager(loop, coro, **options):
    """What `asyncio.eager_task_factory` does, for Python 3.11: a task takes its first steps where it is made."""
    try:
        waits_for = coro.send(None)
    except StopIteration as done:
        return asyncio.Task(asyncio.sleep(0, done.value), loop=loop, **options)
    return asyncio.Task(_rest(coro, waits_for), loop=loop, **options)


eager_task_factory = getattr(asyncio, "eager_task_factory", _eager)

endings = st.builds(ErrorInfo, st.sampled_from(["server", "quota", "truncated"]))
texts = strategies.text_events | st.sampled_from(
    ["tax ", "sk-", "ab", "12", " ", "\n", ". ", "世界"]
).map(text_delta)
attempts = st.lists(
    texts | texts | strategies.pieces | strategies.status_events, max_size=8
).flatmap(lambda script: st.just(script) | endings.map(lambda failed: [*script, failed]))
answers = st.builds(
    lambda scripts, stream, **options: answer(*scripts, stream=stream, **options),
    st.lists(attempts, min_size=1, max_size=3),
    st.sampled_from([True, True, True, False]),
    on_interrupt=st.sampled_from(["error", "restart", "continue"]),
    keep_message=st.booleans(),
)
pauses = st.lists(st.integers(0, 3), min_size=1, max_size=4)


class Pairs:
    """A Transformer that lets text out two characters at a time."""

    def __init__(self):
        self.text = ""

    def feed(self, text):
        self.text += text
        cut = len(self.text) // 2 * 2
        out, self.text = self.text[:cut], self.text[cut:]
        return out

    def finish(self):
        return self.text


def numbers(text):
    """A check that changes nothing."""
    return [(*match.span(), match[0]) for match in re.finditer(r"\d{2}", text)]


def first_of_two(events):
    """One branch of a tee, the other dropped."""
    return tee(events)[0]


def operators(path: Path | None = None):
    """Every operator that gives events, by name, set up to change no text."""
    made = {
        "buffer": lambda events: buffer(events, high=3, low=1),
        "coalesce word": lambda events: coalesce(events, "word"),
        "coalesce line": lambda events: coalesce(events, by="line"),
        "coalesce sentence": lambda events: coalesce(events, by="sentence", chars=20),
        "coalesce chars": lambda events: coalesce(events, chars=7),
        "coalesce seconds": lambda events: coalesce(events, seconds=0.001),
        "coalesce both": lambda events: coalesce(events, by="word", seconds=0.0001),
        "tee": first_of_two,
        "map_text": lambda events: map_text(events, str),
        "transform": lambda events: transform(events, Pairs),
        "guard": lambda events: guard(events, numbers, hold=4),
        "progress": lambda events: progress(events, seconds=0),
    }
    if path is not None:
        made["record"] = lambda events: record(events, path)
    return made


NAMES = [*operators(Path("recording"))]


def of_the_source(events):
    """Without what `progress` adds."""
    return [
        e
        for e in events
        if not (e.status is not None and e.status.kind == "progress" and e.status.data)
    ]


def is_text(event):
    return event.type in (EventType.TEXT_DELTA, EventType.REASONING_DELTA, EventType.REFUSAL_DELTA)
