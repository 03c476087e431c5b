"""RetryPolicy and RetryBudget: when to try again, and after which wait. Pure, so that tests need no clock.

The policy decides; `LLMClient` waits. Delays follow "full jitter"
(https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/). The budget is a token bucket as in
Finagle and gRPC (https://github.com/grpc/proposal/blob/master/A6-client-retries.md): retries stay a fraction of calls,
so that clients do not keep down a server that is trying to get up.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from math import inf
from random import Random

from llmstream.checks import require
from llmstream.errors import ErrorInfo

__all__ = ["RetryBudget", "RetryPolicy"]


@dataclass(slots=True)
class _Bucket:
    tokens: float
    asked: float
    """When a retry was last wanted."""


class RetryBudget:
    """How many retries all calls together may add: `burst`, and then `ratio` for each call, per endpoint and key.

    Never blocks: a retry that it doesn't grant does not happen, and the call ends in its error. `quiet` seconds in
    which nobody wanted a retry fill a bucket again. So requests stay below `(1 + ratio) * calls + burst` in any storm.
    Shared by every policy that holds it, in all threads: two that meet may miscount by one.
    """

    BUCKETS = 1024
    """Endpoints and keys remembered, of those with a retry to make up for; beyond that the fullest are forgotten."""

    def __init__(self, *, ratio: float = 0.2, burst: float = 100.0, quiet: float = 60.0) -> None:
        require(
            all(value >= 0 for value in (ratio, burst, quiet)),
            "ratio, burst and quiet must not be negative",
        )
        self.ratio = ratio
        self.burst = burst
        self.quiet = quiet
        self._buckets: dict[Hashable, _Bucket] = {}

    def __repr__(self) -> str:
        return f"RetryBudget(ratio={self.ratio}, burst={self.burst}, quiet={self.quiet})"

    def deposit(self, key: Hashable, now: float) -> None:
        """A call begins, whether or not it gets to this endpoint. `now` in seconds."""
        bucket = self._spent(key, now)
        if bucket is not None:
            bucket.tokens = min(self.burst, bucket.tokens + self.ratio)

    def withdraw(self, key: Hashable, now: float) -> bool:
        """Whether one more request may be sent."""
        bucket = self._spent(key, now)
        if bucket is None:
            if len(self._buckets) >= self.BUCKETS:
                self._buckets.pop(
                    max([*self._buckets.items()], key=lambda known: known[1].tokens)[0], None
                )
            bucket = self._buckets[key] = _Bucket(self.burst, now)
        bucket.asked = now
        if bucket.tokens < 1:
            return False
        bucket.tokens -= 1
        return True

    def empty(self, key: Hashable, now: float) -> bool:
        """Whether a retry would be refused: the endpoint has been failing, and its bucket is still filling."""
        bucket = self._spent(key, now)
        return bucket is not None and bucket.tokens < 1 <= self.burst

    def _spent(self, key: Hashable, now: float) -> _Bucket | None:
        """The bucket that something was taken from. A full one is the same as none, and is not kept."""
        bucket = self._buckets.get(key)
        if bucket is not None and (bucket.tokens >= self.burst or now - bucket.asked >= self.quiet):
            self._buckets.pop(key, None)
            return None
        return bucket


SHARED_BUDGET = RetryBudget()
"""The process's own: what every RetryPolicy uses that isn't given another."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how patiently a call is tried. Attempts count the first try; delays are in seconds.

    `budget` limits what retries add to the calls of all clients together, so that an outage isn't made worse: a retry
    that it refuses doesn't happen, and the error says so (`code` is "retry_budget" where the provider gave none).
    A 429 with a delay draws nothing from it. That is the server's schedule: all calls of the process to this endpoint
    and key wait for it together, and are then let through at the rate at which it had answered. Time spent waiting is
    no attempt; a call that is then refused again has made one more.
    """

    max_attempts: int = 3
    base_delay: float = 0.5
    max_delay: float = 8.0
    max_retry_after: float = 60.0
    """The longest wait taken from a server; one that asks for more fails at once, with `retry_after` on the error."""
    budget: RetryBudget | None = field(default=SHARED_BUDGET, compare=False)
    """The process's own by default: 100 retries for each endpoint and key, and then one for five calls. None: no limit.
    Give another `RetryBudget` to have other limits, or to share them with fewer calls."""

    def __post_init__(self) -> None:
        require(self.max_attempts >= 1, "max_attempts counts the first try: it must be at least 1")
        require(
            all(value >= 0 for value in (self.base_delay, self.max_delay, self.max_retry_after)),
            "delays must not be negative",
        )

    def delay(
        self, attempts: int, error: ErrorInfo, rng: Random, *, left: float = inf
    ) -> float | None:
        """Seconds to wait after `attempts` tries that ended in `error`; None: give up.

        `left` is what remains of the call's total time. The server's own delay is honoured, plus up to a tenth
        (at most a second), so that clients told the same do not come back together.
        """
        if not error.retryable or attempts >= self.max_attempts:
            return None
        if error.retry_after is not None:
            if error.retry_after > self.max_retry_after:
                return None
            delay = _honoured(error.retry_after, rng)
        else:
            doubled = self.base_delay * 2 ** min(attempts - 1, 30)
            delay = rng.uniform(0, min(self.max_delay, doubled))
        return None if delay >= left else delay

    def pause(self, error: ErrorInfo, rng: Random) -> float | None:
        """Seconds for which `error` stops all calls to its endpoint: a rate limit whose delay the server named.

        None: the call alone is concerned, or the delay is longer than it takes from a server.
        """
        if error.kind != "rate_limit" or not error.retryable or error.retry_after is None:
            return None
        if not 0 < error.retry_after <= self.max_retry_after:
            return None
        return _honoured(error.retry_after, rng)


def _honoured(retry_after: float, rng: Random) -> float:
    """The delay that the server asked for, and a little more: it told other processes the same."""
    return retry_after + rng.uniform(0, min(1.0, retry_after / 10))
