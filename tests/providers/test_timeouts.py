"""Timeouts: a clock that isn't named comes from the client, and from the defaults there."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmstream import EventType, LLMClient, Timeouts
from llmstream.events.types import StreamEvent, text_delta
from llmstream.messages import FinishReason
from llmstream.providers import Call, ProviderTraits
from llmstream.providers.timeouts import DEFAULT_TIMEOUTS, UNSET
from llmstream.testing import FaultServer, VirtualClock
from llmstream.tools import run_tools

HI = [{"role": "user", "content": "hi"}]
NAMES = ("connect", "first_token", "idle", "progress", "total")
DEFAULTS = {"connect": 5.0, "first_token": 300.0, "idle": 120.0, "progress": 300.0, "total": None}
named = st.dictionaries(st.sampled_from(NAMES), st.none() | st.floats(0.001, 1e6))


def clocks(timeouts):
    return {name: getattr(timeouts, name) for name in NAMES}


class Watching:
    """A provider of somebody else's: it keeps the calls that it gets."""

    name = "watching"
    traits = ProviderTraits(default_model="m")

    def __init__(self):
        self.calls = []

    async def stream(self, request, call):
        self.calls.append(call)
        yield text_delta("a")
        yield StreamEvent(EventType.MESSAGE_COMPLETE, finish_reason=FinishReason.STOP)

    async def aclose(self):
        pass


@given(named, st.none() | named)
def test_a_call_changes_only_the_clocks_that_it_names(client, call):
    """What a provider gets: the call's clock, else the client's, else the documented default. None counts as named."""
    made = LLMClient(provider=Watching(), timeouts=Timeouts(**client))
    given = made._call(None if call is None else Timeouts(**call), None)
    assert clocks(given.timeouts) == DEFAULTS | client | (call or {})
    total = given.timeouts.total
    assert (given.deadline is None) == (total is None)


async def test_a_provider_sees_every_clock_set():
    """Through each way to ask: none of them loses the client's clocks."""
    provider = Watching()
    client = LLMClient(provider=provider, timeouts=Timeouts(idle=7, total=60))
    asked = Timeouts(first_token=9)
    [_ async for _ in client.chat_completion(HI, timeouts=asked)]
    await client.complete(HI, timeouts=asked)
    async with client.stream(HI, timeouts=asked) as stream:
        await stream.message()
    [_ async for _ in run_tools(client, HI, [], timeouts=asked)]
    assert len(provider.calls) == 4
    for call in provider.calls:
        assert clocks(call.timeouts) == DEFAULTS | {"idle": 7, "total": 60, "first_token": 9}


@pytest.mark.parametrize("api", ["openai", "openai-responses", "anthropic"])
async def test_the_clients_idle_clock_runs_in_a_call_that_names_another(api):
    """A real server that falls silent: before, `Timeouts(total=…)` set the client's `idle` back to 120 s."""
    async with FaultServer("stall") as server:
        client = LLMClient(
            f"{api}:m", api_key="k", base_url=server.url(api), timeouts=Timeouts(idle=0.1)
        )
        async with client:
            events = [
                event async for event in client.chat_completion(HI, timeouts=Timeouts(total=500))
            ]
    info = events[-1].error_info
    assert (info.kind, info.code) == ("timeout", "idle")
    assert "0.1 s" in info.message


async def test_the_clients_total_ends_a_call_that_names_another_clock():
    """`total` is a clock as the others are."""

    class Slow(Watching):
        async def stream(self, request, call):
            await call.clock.sleep(100)
            yield text_delta("late")

    client = LLMClient(provider=Slow(), timeouts=Timeouts(total=3), clock=VirtualClock())
    events = [event async for event in client.chat_completion(HI, timeouts=Timeouts(idle=1))]
    assert events[-1].error_info.code == "total"


def test_a_call_that_a_provider_is_tried_with_has_every_clock_set():
    """`Call()` and `Call(Timeouts(…))`, as tests of providers make them."""
    assert clocks(Call().timeouts) == DEFAULTS
    assert clocks(Call(Timeouts(idle=None)).timeouts) == DEFAULTS | {"idle": None}
    assert clocks(replace(Call(), timeouts=Timeouts(connect=1)).timeouts) == DEFAULTS | {
        "connect": 1
    }


@given(named)
def test_timeouts_are_plain_values(clocks):
    """They are compared, hashed, copied, pickled and changed; `repr` shows what was named, and can be read again."""
    timeouts = Timeouts(**clocks)
    assert (
        repr(timeouts)
        == f"Timeouts({', '.join(f'{n}={clocks[n]!r}' for n in NAMES if n in clocks)})"
    )
    assert eval(repr(timeouts), {"Timeouts": Timeouts}) == timeouts
    for twin in (
        copy.copy(timeouts),
        copy.deepcopy(timeouts),
        pickle.loads(pickle.dumps(timeouts)),
    ):
        assert twin == timeouts
        assert hash(twin) == hash(timeouts)
        assert all(getattr(twin, name) is UNSET for name in NAMES if name not in clocks)
    assert replace(timeouts, idle=3) == Timeouts(**{**clocks, "idle": 3})


def test_an_unset_clock_isnt_one_without_a_limit_or_with_the_default():
    """So that a call can name the default."""
    assert Timeouts() != Timeouts(total=None)
    assert Timeouts() != DEFAULT_TIMEOUTS
    assert Timeouts(idle=UNSET) == Timeouts()


@pytest.mark.parametrize("value", ["5", True, 5j, [5]])
def test_a_clock_is_a_number(value):
    """Another type is told by the clock's name."""
    with pytest.raises(TypeError, match=r"timeouts\.idle must be positive seconds or None"):
        Timeouts(idle=value)
