"""SpendLimit: at most so many US dollars in a period. It knows no prices: callers say what an attempt may cost.

Each attempt reserves the most that it may cost before it is made, and what it did cost takes the place of that. So
attempts that run at the same time can't spend the same money.
"""

from __future__ import annotations

import math
import os
import time
from collections import deque
from collections.abc import Callable
from contextvars import ContextVar
from decimal import ROUND_FLOOR, Context, Decimal, InvalidOperation
from threading import RLock
from typing import Final
from weakref import WeakSet

from llmstream.checks import check_number, require

__all__ = ["SpendLimit"]

_GRAINS: Final = 256
"""Parts of a period. What is spent in one of them is forgotten together, so that a period takes little room."""
_ZERO: Final = Decimal(0)
SPEND_LIMIT: Final = "spend_limit"
"""The code of the error, and the kind of the STATUS."""


class SpendLimit:
    """At most `max_cost` US dollars within any `per` seconds: `LLMClient(…, spend_limit=SpendLimit("5"))`.

    Give `max_cost` as text or Decimal, which are exact. It may be given to several clients, in several threads; what
    they spend is counted together, in this process. A forked process begins anew.

    Each attempt reserves its prompt and its whole answer at the model's prices: `max_tokens`, or the model's own limit
    (`ModelFacts.max_output`). One that doesn't fit ends the call in an ERROR `quota` with the code "spend_limit" before
    anything is sent. Where neither is known only the prompt is reserved, and the answer is counted as it comes: once
    the money is gone, such an answer ends in that ERROR, with what came of it in `error_info.partial`.

    From `warn_at` of the money on, each call is told so in a STATUS of the kind "spend_limit".
    Raises ValueError for numbers that can't be. `time` returns seconds and never goes back.
    """

    def __init__(
        self,
        max_cost: Decimal | str | float,
        *,
        per: float = 86_400.0,
        warn_at: float = 0.8,
        time: Callable[[], float] = time.monotonic,
    ) -> None:
        self.max_cost = _dollars(max_cost)
        wanted = "a number of seconds, at least 1"
        check_number(per, "SpendLimit: per", wanted, least=1)
        self.per = per
        check_number(warn_at, "SpendLimit: warn_at", "a part from 0 to 1, such as 0.8", least=0)
        require(warn_at <= 1, f"SpendLimit: warn_at must be a part from 0 to 1, not {warn_at!r}")
        self.warn_at = warn_at
        self._time = time
        self._spent: deque[tuple[float, Decimal]] = deque()  # when it was spent last, and how much
        self._total = self._reserved = _ZERO
        self.forget()
        _LIMITS.add(self)

    def __repr__(self) -> str:
        return f"SpendLimit({str(self.max_cost)!r}, per={self.per:g}, warn_at={self.warn_at:g})"

    @property
    def spent(self) -> Decimal:
        """US dollars spent in the last `per` seconds."""
        with self._lock:
            self._forget_old()
            return self._total

    @property
    def reserved(self) -> Decimal:
        """US dollars that attempts which run now may still cost."""
        return self._reserved

    @property
    def is_low(self) -> bool:
        """Whether `warn_at` of the money is spent."""
        return self.spent >= self.max_cost * Decimal(str(self.warn_at))

    @property
    def retry_after(self) -> float | None:
        """Seconds until a part of what is spent is forgotten; None: nothing is."""
        with self._lock:
            self._forget_old()
            return self._spent[0][0] + self.per - self._time() if self._spent else None

    def reserve(self, dollars: Decimal) -> ReservedCost | None:
        """Hold so much for an attempt, until it is settled. None: there isn't so much left."""
        with self._lock:
            self._forget_old()
            if self._total + self._reserved + dollars > self.max_cost:
                return None
            self._reserved += dollars
            return ReservedCost(self, dollars)

    def fresh(self) -> SpendLimit:
        """Another one like this, of which nothing is spent."""
        return SpendLimit(self.max_cost, per=self.per, warn_at=self.warn_at, time=self._time)

    def share(self, count: int) -> SpendLimit:
        """The part of one of `count` processes; together they spend no more than this."""
        part = Context(rounding=ROUND_FLOOR).divide(self.max_cost, Decimal(count))
        return SpendLimit(part, per=self.per, warn_at=self.warn_at, time=self._time)

    def renew(self, terms: SpendLimit) -> None:
        """From now on the other's amount and period hold; what was spent still counts."""
        self.max_cost, self.per, self.warn_at = terms.max_cost, terms.per, terms.warn_at

    def forget(self) -> None:
        """Begin again, as in a forked process: what is reserved, and whoever held a lock, is the parent's."""
        self._lock = RLock()
        self._spent = deque()
        self._first_of_grain = -math.inf
        self._total = self._reserved = _ZERO
        self.life = object()
        """Ends with the process: what was reserved in another one doesn't count."""

    # --- for ReservedCost ----------------------------------------------------------------------------------

    def hold(self, more: Decimal) -> bool:
        """Hold so much more. Whether that is within the limit."""
        with self._lock:
            self._reserved += more
            self._forget_old()
            return self._total + self._reserved <= self.max_cost

    def spend(self, dollars: Decimal, *, held: Decimal) -> None:
        """So much was spent, in place of what was held."""
        with self._lock:
            self._reserved -= held
            if not dollars:
                return
            now = self._time()
            self._total += dollars
            is_same = bool(self._spent) and now - self._first_of_grain < self.per / _GRAINS
            if is_same:
                dollars += self._spent.pop()[1]
            else:
                self._first_of_grain = now
            self._spent.append((now, dollars))

    def _forget_old(self) -> None:
        now = self._time()
        while self._spent and self._spent[0][0] <= now - self.per:
            self._total -= self._spent.popleft()[1]


class ReservedCost:
    """What one attempt may cost, held at a limit until it is settled. Dropped unsettled, it counts as spent."""

    def __init__(self, limit: SpendLimit, dollars: Decimal) -> None:
        self._limit = limit
        self._life = limit.life
        self._held = dollars
        self._is_settled = False

    def grow(self, dollars: Decimal) -> bool:
        """The attempt has cost so much by now, which may be more than was held. Whether it may go on."""
        more = dollars - self._held
        if more <= 0:
            return True
        self._held = dollars
        return self._limit.hold(more)

    def settle(self, dollars: Decimal | None) -> None:
        """The attempt is over, and has cost this. None: nobody knows, so what was held counts. Again: does nothing."""
        if self._is_settled:
            return
        self._is_settled = True
        if self._life is self._limit.life:
            self._limit.spend(self._held if dollars is None else dollars, held=self._held)

    def __del__(self) -> None:
        self.settle(None)


_CALLERS: ContextVar[SpendLimit | None] = ContextVar("llmstream_spend_limit", default=None)


def set_callers_limit(limit: SpendLimit | None) -> None:
    """From now on the calls that this task makes count for this limit, too; so do those of tasks that it begins."""
    _CALLERS.set(limit)


def limits_of_call(own: SpendLimit | None) -> tuple[SpendLimit, ...]:
    """The limits of a call that begins now: its client's own, and that of whoever makes it."""
    both = {id(limit): limit for limit in (own, _CALLERS.get()) if limit is not None}
    return tuple(both.values())


def _dollars(given: Decimal | str | float) -> Decimal:
    problem = f'SpendLimit: max_cost must be US dollars above 0, such as "5", not {given!r}'
    is_number = isinstance(given, Decimal | str | int | float) and not isinstance(given, bool)
    require(is_number, problem)
    try:
        dollars = Decimal(str(given))
    except InvalidOperation:
        dollars = _ZERO
    require(dollars.is_finite() and dollars > 0, problem)
    return dollars


_LIMITS: WeakSet[SpendLimit] = WeakSet()


def _forget_all() -> None:
    for limit in _LIMITS:
        limit.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
