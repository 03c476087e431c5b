"""RetryPolicy: when to try again, and how long to wait; no clock needed."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from llmstream import LLMClient
from llmstream.errors import ErrorInfo
from llmstream.events.types import EventType, StreamEvent, error, text_delta
from llmstream.providers import ProviderTraits
from llmstream.retry import SHARED_BUDGET, RetryBudget, RetryPolicy
from llmstream.testing import ScriptedProvider, VirtualClock

SLOW_DOWN = ErrorInfo("rate_limit")
policies = st.builds(
    RetryPolicy,
    max_attempts=st.integers(1, 100),
    base_delay=st.floats(0, 100),
    max_delay=st.floats(0, 100),
    max_retry_after=st.floats(0, 1000),
)
rngs = st.builds(Random, st.integers(0, 2**32))


@given(policies, st.integers(1, 10_000), rngs)
def test_delays_are_bounded(policy, attempts, rng):
    """A delay lies between 0 and both the doubled base and the maximum, and none comes after the last attempt."""
    delay = policy.delay(attempts, SLOW_DOWN, rng)
    if attempts >= policy.max_attempts:
        assert delay is None
    else:
        assert 0 <= delay <= min(policy.max_delay, policy.base_delay * 2 ** (attempts - 1))


@given(policies, rngs, st.floats(0.001, 2000))
def test_the_servers_delay_is_honoured(policy, rng, asked):
    """`retry_after` is waited for in full and hardly longer; more than the limit gives up."""
    delay = policy.delay(1, ErrorInfo("rate_limit", retry_after=asked), rng)
    if policy.max_attempts == 1 or asked > policy.max_retry_after:
        assert delay is None
    else:
        assert asked <= delay <= asked + min(1.0, asked / 10)


@given(policies, rngs, st.none() | st.floats(0.001, 100), st.floats(-1, 100))
def test_no_delay_exceeds_what_is_left(policy, rng, asked, left):
    """A wait that would use up the call's total time is not begun."""
    delay = policy.delay(1, ErrorInfo("server", retry_after=asked), rng, left=left)
    assert delay is None or delay < left


@given(policies, rngs)
def test_what_is_not_retryable_is_not_retried(policy, rng):
    """Neither by kind nor where the provider says so, whatever delay it names."""
    assert policy.delay(1, ErrorInfo("authentication"), rng) is None
    assert policy.delay(1, ErrorInfo("server", retryable=False, retry_after=1.0), rng) is None


def test_delays_double_until_the_maximum():
    """The largest possible delay grows 0.5, 1, 2, 4, 8, 8 seconds."""

    class Highest(Random):
        def uniform(self, a, b):
            return b

    policy = RetryPolicy(max_attempts=10)
    assert [policy.delay(n, SLOW_DOWN, Highest()) for n in range(1, 7)] == [
        0.5,
        1.0,
        2.0,
        4.0,
        8.0,
        8.0,
    ]


def test_delays_are_jittered():
    """Clients that fail together don't come back together, whether or not the server named a delay."""
    for info in (SLOW_DOWN, ErrorInfo("rate_limit", retry_after=10.0)):
        assert len({RetryPolicy().delay(1, info, Random(seed)) for seed in range(50)}) == 50


def test_the_same_seed_gives_the_same_delay():
    """With a given `rng` a test knows what comes."""
    assert RetryPolicy().delay(2, SLOW_DOWN, Random(1)) == RetryPolicy().delay(
        2, SLOW_DOWN, Random(1)
    )


@pytest.mark.parametrize(
    "wrong", [{"max_attempts": 0}, {"base_delay": -1}, {"max_delay": -0.1}, {"max_retry_after": -1}]
)
def test_an_impossible_policy_is_refused(wrong):
    """No attempt at all, or a negative delay, is a ValueError at once."""
    with pytest.raises(ValueError, match=r"max_attempts|delays"):
        RetryPolicy(**wrong)


# --- the budget ----------------------------------------------------------------------------------------------


def test_retries_stay_a_fraction_of_calls() -> None:
    budget = RetryBudget(ratio=0.2, burst=10)
    granted = 0
    for call in range(1000):
        budget.deposit("a", call / 100)
        granted += sum(budget.withdraw("a", call / 100) for _ in range(2))
    assert 200 <= granted <= 210


def test_endpoints_don_t_share_and_quiet_fills_again() -> None:
    budget = RetryBudget(ratio=0, burst=1, quiet=60)
    assert budget.withdraw("a", 0)
    assert not budget.withdraw("a", 1)
    assert budget.empty("a", 1)
    assert budget.withdraw("b", 1)
    assert not budget.withdraw("a", 60)  # somebody still wanted one at 1
    assert not budget.withdraw("a", 119.9)
    assert budget.withdraw("a", 180)


def test_a_budget_without_burst_is_never_empty_because_it_never_fills() -> None:
    budget = RetryBudget(ratio=0, burst=0)
    assert not budget.withdraw("a", 0)
    assert not budget.empty("a", 0)


def test_only_so_many_endpoints_are_remembered() -> None:
    budget = RetryBudget(burst=2)
    assert [budget.withdraw("failing", 0) for _ in range(3)] == [True, True, False]
    for number in range(3 * RetryBudget.BUCKETS):
        budget.deposit(number, 0)
        assert budget.withdraw(number, 0)
    assert len(budget._buckets) == RetryBudget.BUCKETS
    assert not budget.withdraw("failing", 0)


def test_an_endpoint_that_nothing_was_taken_from_costs_no_memory() -> None:
    budget = RetryBudget(ratio=0.5, burst=2)
    budget.withdraw("recovers", 0)
    budget.withdraw("is quiet", 0)
    for _ in range(3):
        budget.deposit("recovers", 1)
    for key in range(100):
        budget.deposit(key, 1)
    assert not budget.empty("is quiet", 60)
    assert budget._buckets == {}


def test_threads_share_a_budget_without_an_error() -> None:
    """Each has a client of its own, and all have the process's budget."""
    budget, failed, end = RetryBudget(quiet=1), [], time.monotonic() + 0.3

    def use(now: float) -> None:
        try:
            while time.monotonic() < end:
                for key in (1, 2, now):
                    budget.withdraw(key, now)
                    budget.deposit(key, now + 1)
                now += 2
        except Exception as problem:  # noqa: BLE001  # whatever it is
            failed.append(problem)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=use, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert failed == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_forked_workers_do_not_wait_in_step() -> None:
    """A client made before the fork has jitter of its own in each."""
    program = """
import asyncio, os
from llmstream import LLMClient
from llmstream.errors import ErrorInfo
from llmstream.testing import ScriptedProvider, VirtualClock

client = LLMClient(provider=ScriptedProvider([ErrorInfo("server")], ["x"]), clock=VirtualClock())

async def delay():
    async for event in client.chat_completion([{"role": "user", "content": "hi"}]):
        if event.retry:
            return event.retry.delay

for _ in range(3):
    if not os.fork():
        print(asyncio.run(delay()), flush=True)
        os._exit(0)
    os.wait()
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert len(set(done.stdout.split())) == 3, done.stdout


@pytest.mark.parametrize("wrong", [{"ratio": -1}, {"burst": -1}, {"quiet": -1}])
def test_a_budget_is_not_negative(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="negative"):
        RetryBudget(**wrong)


def test_one_budget_serves_the_process_and_does_not_make_policies_differ() -> None:
    assert RetryPolicy().budget is RetryPolicy(max_attempts=5).budget is SHARED_BUDGET
    assert RetryPolicy(budget=None) == RetryPolicy()
    assert repr(SHARED_BUDGET) == "RetryBudget(ratio=0.2, burst=100.0, quiet=60.0)"


class BudgetMachine(RuleBasedStateMachine):
    """Whatever is asked of it in whatever order: never more granted than promised, never below nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.budget = RetryBudget(ratio=0.5, burst=3, quiet=10)
        self.now = 0.0
        self.calls = self.granted = 0
        self.fillings = 1
        self.asked = 0.0

    def _look(self) -> None:
        if self.now - self.asked >= self.budget.quiet:
            self.fillings += 1
            self.asked = self.now

    @rule(seconds=st.floats(0, 12))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def call(self) -> None:
        self._look()
        self.budget.deposit("a", self.now)
        self.calls += 1

    @rule()
    def retry(self) -> None:
        self._look()
        was_empty = self.budget.empty("a", self.now)
        granted = self.budget.withdraw("a", self.now)
        assert granted != was_empty
        self.granted += granted
        self.asked = self.now

    @invariant()
    def within_the_promise(self) -> None:
        assert self.granted <= self.fillings * self.budget.burst + self.budget.ratio * self.calls
        for bucket in self.budget._buckets.values():
            assert 0 <= bucket.tokens <= self.budget.burst


TestBudget = BudgetMachine.TestCase


def test_a_storm_is_weathered() -> None:
    """1,000 clients, a server dead for 60 s and then limited to 100 requests a second."""
    clock = VirtualClock()
    budget = RetryBudget()
    requests: list[float] = []
    served: dict[int, int] = {}

    class Server(ScriptedProvider):
        name = "server"
        traits = ProviderTraits(default_model="m", budget_key="endpoint and key")

        async def stream(self, request: Any, call: Any) -> Any:
            requests.append(clock.now)
            second = int(clock.now)
            served[second] = served.get(second, 0) + 1
            if clock.now < 60:
                yield error(ErrorInfo("connection", "refused"))
            elif served[second] > 100:
                yield error(ErrorInfo("rate_limit", "slow down", retry_after=1.0))
            else:
                yield text_delta("ok")
                yield StreamEvent(EventType.MESSAGE_COMPLETE)

    async def user(number: int) -> int:
        rng = Random(number)
        client = LLMClient(
            provider=Server(), clock=clock, rng=rng, retry=RetryPolicy(budget=budget)
        )
        calls = 0
        await clock.sleep(rng.uniform(0, 10))
        while clock.now < 90:
            calls += 1
            async for _ in client.chat_completion([{"role": "user", "content": "hi"}]):
                pass
            await clock.sleep(rng.uniform(5, 15))
        return calls

    async def storm() -> int:
        return sum(await asyncio.gather(*(user(number) for number in range(1000))))

    calls = asyncio.run(storm())
    assert len(requests) <= 1.2 * calls + budget.burst
    after = [moment for moment in requests if moment >= 60]
    waves = Counter(int(moment * 10) for moment in after)
    usual = len(after) / len(waves)
    assert max(waves.values()) <= 4 * usual  # no synchronised wave in any tenth of a second
