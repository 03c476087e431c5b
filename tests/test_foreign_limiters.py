"""A limiter may be anybody's: whatever it raises or returns, no call ends for that."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from llmstream import ErrorInfo, EventType, LLMClient, RetryPolicy, StreamEvent
from llmstream.limits import Asking, Limiter, Reservation, Time, Wait
from llmstream.limits.pauses import KnownEndpoint
from llmstream.testing import ScriptedProvider, VirtualClock
from tests.grammar_check import check_stream
from tests.patience import PATIENCE
from tests.test_pauses import HI

both = pytest.mark.parametrize("stream", [True, False])
problems = pytest.mark.parametrize(
    "problem", [RuntimeError("no store"), asyncio.CancelledError(), GeneratorExit()], ids=repr
)


PLACE = (
    *("go", "look", "wait", "renewed", "on_change", "objection", "announced"),
    *("sent", "heard", "settle", "leave"),
)
"""What a place has."""


class Place(Reservation):
    """Waits for a second and a half."""

    wait = Wait("is limited far away", "the queue there is too long", "rate_limit", skips=False)
    renewed = True

    def __init__(self, told: list[str]) -> None:
        self.told = told
        self.look = 0.0
        self.on_change: Callable[[], None] | None = None
        self.waits: list[Any] = [0.5, 1.5]

    def go(self, now: float) -> Any:
        self.told.append("go")
        self.look = now + 1.0
        return self.waits.pop() if self.waits else 0.0

    def objection(self, seconds: float, now: float, longest: float) -> str | None:
        self.told.append("objection")
        return None

    def announced(self) -> None:
        self.told.append("announced")
        self.renewed = False

    def sent(self) -> None:
        self.told.append("sent")

    def heard(self, rate_limits: Any, now: float) -> None:
        self.told.append("heard")

    def settle(self, usage: Any, now: float) -> None:
        self.told.append("settle")

    def leave(self) -> None:
        self.told.append("leave")


class Far(Limiter):
    """Makes such places. `endpoint` is what it knows of every endpoint."""

    def __init__(self, place: Any = Place, known: Any = None) -> None:
        self.told: list[str] = []
        self.place = place
        self.known = known or KnownEndpoint()

    def enter(self, asking: Asking, time: Time) -> Any:
        return self.place(self.told)

    def endpoint(self, account: Any, time: Time) -> Any:
        return self.known


def broken(kind: type, name: str, problem: BaseException) -> type:
    """Such a class whose attribute raises."""

    def fails(*_: Any) -> Any:
        raise problem

    def set_first(self: Any, value: Any) -> None:
        """As `__init__` does."""
        if value is not None:
            fails()

    values = {
        "wait": property(fails),
        "renewed": property(fails, lambda self, value: None),
        "look": property(fails, lambda self, value: None),
        "on_change": property(fails, set_first),
    }
    return type("Broken", (kind,), {name: values.get(name, fails)})


async def ask(limiter: Any, *scripts: Any, stream: bool = True) -> list[StreamEvent]:
    client = LLMClient(
        provider=ScriptedProvider(*scripts),
        fallbacks=[ScriptedProvider(["from the other"])],
        clock=VirtualClock(),
        retry=RetryPolicy(max_attempts=3, budget=None),
        limiter=limiter,
    )
    async with asyncio.timeout(PATIENCE):
        events = [event async for event in client.chat_completion(HI, stream)]
    if stream:
        check_stream(events)
    return events


@both
@problems
@pytest.mark.parametrize("name", PLACE)
async def test_a_place_that_raises_limits_nothing(name, problem, stream, caplog) -> None:
    limiter = Far(broken(Place, name, problem))
    events = await ask(limiter, [ErrorInfo("server", "no")], ["ok"], stream=stream)
    assert events[-1].type is EventType.MESSAGE_COMPLETE
    assert events[-1].message.text == "ok"
    asked = "go" if name == "look" else name
    assert f"the limiter raised in {asked}" in caplog.text
    others = {"go", "sent", "heard", "settle", "leave"} - {name}
    assert others <= {*limiter.told}


@both
@problems
@pytest.mark.parametrize("name", ["enter", "endpoint"])
async def test_a_limiter_that_raises_limits_nothing(name, problem, stream, caplog) -> None:
    events = await ask(broken(Far, name, problem)(), ["ok"], stream=stream)
    assert events[-1].message.text == "ok"
    assert f"the limiter raised in {name}" in caplog.text


REFUSED = ErrorInfo("rate_limit", "not now", retry_after=0.5, status_code=429)
UNREACHED = ErrorInfo("connection", "nobody is there")


@both
@problems
@pytest.mark.parametrize(
    ("name", "scripts"),
    [
        ("sent", [["ok"]]),
        ("answered", [["ok"]]),
        ("failed", [[UNREACHED], ["ok"]]),
        ("unreachable", [[UNREACHED], ["ok"]]),
        ("refused", [[REFUSED], ["ok"]]),
        ("paused", [[REFUSED], ["ok"]]),
        ("enter", [["ok"]]),
    ],
)
async def test_an_endpoint_that_raises_is_as_if_nothing_were_known(
    name, scripts, problem, stream, caplog
) -> None:
    endpoint = broken(KnownEndpoint, name, problem)()
    events = await ask(Far(known=endpoint), *scripts, stream=stream)
    assert events[-1].type is EventType.MESSAGE_COMPLETE
    assert f"the limiter raised in {name}" in caplog.text


class Waiting(Place):
    """Names these seconds first."""

    def __init__(self, told: list[str], seconds: Any) -> None:
        super().__init__(told)
        self.waits = [seconds]


@pytest.mark.parametrize(
    "seconds", ["1", math.nan, object(), [], 1j], ids=lambda given: type(given).__name__
)
async def test_seconds_that_are_no_number_are_no_wait(seconds, caplog) -> None:
    events = await ask(Far(partial(Waiting, seconds=seconds)), ["ok"])
    assert [event.status for event in events if event.status] == []
    assert events[-1].message.text == "ok"
    assert "a place must name seconds" in caplog.text


async def test_seconds_below_zero_are_none() -> None:
    events = await ask(Far(partial(Waiting, seconds=-5)), ["ok"])
    assert [event.status for event in events if event.status] == []
    assert events[-1].message.text == "ok"


@pytest.mark.parametrize("place", [lambda told: 5, lambda told: "place"])
async def test_what_is_no_place_limits_nothing(place, caplog) -> None:
    events = await ask(Far(place), ["ok"])
    assert events[-1].message.text == "ok"
    assert "the limiter raised in go" in caplog.text


@pytest.mark.parametrize("problem", [KeyboardInterrupt, SystemExit])
def test_the_end_of_the_process_is_not_held_up_by_a_limiter(problem) -> None:
    limiter = Far(broken(Place, "sent", problem()))
    with pytest.raises(problem):
        asyncio.run(ask(limiter, ["ok"]))


@pytest.mark.parametrize("name", ["enter", "endpoint"])
def test_a_limiter_is_asked_and_not_awaited(name) -> None:
    async def later(*_: Any) -> None:
        """Never awaited."""

    limiter = type("Later", (Far,), {name: later})()
    with pytest.raises(TypeError, match="a limiter is asked, not awaited"):
        LLMClient(provider=ScriptedProvider(["ok"]), limiter=limiter)
