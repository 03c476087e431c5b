"""The turns that a writer gives the event loop."""

import asyncio

import pytest

from llmstream.web import client_writer
from llmstream.web.client_writer import ClientWriter

PIECE = {"type": "http.response.body", "body": b"x", "more_body": True}
LAST = {**PIECE, "more_body": False}


class Hands:
    """A clock that only the test moves."""

    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    hands = Hands()
    monkeypatch.setattr(client_writer, "time", hands)
    return hands


async def turns_of(write, clock):
    """For each message that `write` sends, whether the loop had a turn while it was sent."""
    loop, turns = asyncio.get_running_loop(), []

    async def to_server(_):
        pass

    async def to_nobody(_):
        pass

    writer = ClientWriter(to_server, request_id="r", heartbeat=None, write_timeout=None)

    async def send(message):
        ran = []
        loop.call_soon(ran.append, True)
        await writer.send(message)
        turns.append(bool(ran))

    assert await writer.run(write(send, clock), None, to_nobody)
    return turns


async def test_a_writer_that_never_waits_gives_a_turn_each_half_millisecond(clock):
    async def busy(send, clock):
        for _ in range(6):
            clock.now += 0.0003
            await send(PIECE)

    assert await turns_of(busy, clock) == [False, True, False, True, False, True]


async def test_a_writer_that_waited_has_given_its_turn(clock):
    async def paced(send, clock):
        for _ in range(3):
            clock.now += 0.02
            await asyncio.sleep(0)
            await send(PIECE)

    assert await turns_of(paced, clock) == [False, False, False]


async def test_there_is_no_turn_after_the_end(clock):
    async def slow(send, clock):
        clock.now += 1.0
        await send(LAST)

    assert await turns_of(slow, clock) == [False]
