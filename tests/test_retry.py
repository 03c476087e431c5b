"""RetryPolicy: when to try again, and how long to wait; no clock needed."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmstream.errors import ErrorInfo
from llmstream.retry import RetryPolicy

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
    assert [policy.delay(n, SLOW_DOWN, Highest()) for n in range(1, 7)] == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0]


def test_delays_are_jittered():
    """Clients that fail together don't come back together, whether or not the server named a delay."""
    for info in (SLOW_DOWN, ErrorInfo("rate_limit", retry_after=10.0)):
        assert len({RetryPolicy().delay(1, info, Random(seed)) for seed in range(50)}) == 50


def test_the_same_seed_gives_the_same_delay():
    """With a given `rng` a test knows what comes."""
    assert RetryPolicy().delay(2, SLOW_DOWN, Random(1)) == RetryPolicy().delay(2, SLOW_DOWN, Random(1))


@pytest.mark.parametrize(
    "wrong", [{"max_attempts": 0}, {"base_delay": -1}, {"max_delay": -0.1}, {"max_retry_after": -1}]
)
def test_an_impossible_policy_is_refused(wrong):
    """No attempt at all, or a negative delay, is a ValueError at once."""
    with pytest.raises(ValueError, match=r"max_attempts|delays"):
        RetryPolicy(**wrong)
