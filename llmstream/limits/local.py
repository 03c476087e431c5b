"""LocalLimiter: holds the calls of this process to a rate, in one fair queue for each key."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Hashable
from inspect import iscoroutinefunction
from threading import RLock
from typing import Final
from weakref import WeakSet

from llmstream.checks import check_number, require
from llmstream.limits.fair_queue import FairQueue, LimiterPlace
from llmstream.limits.protocols import Asking, Limiter, Time
from llmstream.limits.rate import Rate

__all__ = ["LocalLimiter"]

_KEPT: Final = 1024
"""Keys remembered; beyond that those are forgotten that use nothing."""

Choose = Callable[[Asking], Hashable]


def _by_account_and_model(asking: Asking) -> Hashable:
    return asking.account, asking.model


def _one_tenant(_: Asking) -> Hashable:
    return None


class LocalLimiter(Limiter):
    """Holds the calls of this process to a `rate`. May be given to several clients, in several threads.

    `key` chooses what has a rate of its own: by default each endpoint with its key, and each model there.
    `rate` may be a function of the key, which returns None for what isn't limited. `tenant` chooses who
    shares a rate fairly: those who wait get equal parts of it, however many calls each has.
    A call that would have to wait for more than `max_wait` seconds, or beyond its `timeouts.total`, goes to a
    fallback, or ends in the error `rate_limit` with the code "limiter".
    A forked process begins with a rate of its own: workers that share one get a part of it each.
    Each attempt reserves what it is expected to use, and the answer's usage corrects that. Where the provider's
    headers say that less is left than the rate allows, calls wait for that, too.
    Requests go evenly, as most providers count; `evenly=False` lets all of a rate's go at once.
    """

    def __init__(
        self,
        rate: Rate | Callable[[Hashable], Rate | None],
        *,
        key: Choose = _by_account_and_model,
        tenant: Choose = _one_tenant,
        max_wait: float = 60.0,
        evenly: bool = True,
    ) -> None:
        is_rate = isinstance(rate, Rate) or (callable(rate) and rate is not Rate)
        require(is_rate, f"rate must be a Rate such as Rate(requests=500), not {rate!r}", TypeError)
        for name, choose in {"key": key, "tenant": tenant}.items():
            problem = f"{name} must be a function that takes an Asking, not {choose!r}"
            require(callable(choose), problem, TypeError)
        functions: dict[str, object] = {"rate": rate, "key": key, "tenant": tenant}
        for name, function in functions.items():
            problem = f"{name} must be a function that isn't async, not {function!r}"
            require(not iscoroutinefunction(function), problem, TypeError)
        if max_wait != math.inf:
            check_number(max_wait, "max_wait", "a number of seconds, at least 0", least=0)
        self._rate = rate
        self._key = key
        self._tenant = tenant
        self.max_wait = max_wait
        self._evenly = evenly
        self._queues: dict[tuple[Hashable, Time], FairQueue] = {}
        self.forget()
        _LIMITERS.add(self)

    def enter(self, asking: Asking, time: Time) -> LimiterPlace | None:
        """A place in the queue of this attempt's key."""
        key = self._key(asking)
        queue = self._queues.get((key, time))
        if queue is None:
            queue = self._new(key, time)
        if queue is None:
            return None
        return queue.enter(asking.request, self._tenant(asking))

    def _new(self, key: Hashable, time: Time) -> FairQueue | None:
        rate = self._rate if isinstance(self._rate, Rate) else self._rate(key)
        if rate is None:
            return None
        problem = f"rate must return a Rate or None, not {rate!r}"
        require(isinstance(rate, Rate), problem, TypeError)
        with self._lock:
            if len(self._queues) >= self._most:
                self._forget_idle()
            made = FairQueue(rate, self.max_wait, time, evenly=self._evenly)
            return self._queues.setdefault((key, time), made)

    def _forget_idle(self) -> None:
        used = (item for item in self._queues.items() if not item[1].idle(item[0][1]()))
        self._queues = dict(used)
        self._most = max(_KEPT, 2 * len(self._queues))

    def forget(self) -> None:
        """Begin again, as in a forked process: those in the queues, and whoever held a lock, are the parent's."""
        for queue in self._queues.values():
            queue.forget()
        self._lock = RLock()
        self._queues = {}
        self._most = _KEPT


_LIMITERS: WeakSet[LocalLimiter] = WeakSet()


def _forget_all() -> None:
    for limiter in _LIMITERS:
        limiter.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
