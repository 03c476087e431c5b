"""Rate: how much may be sent in a period; and the counts that hold calls to it. Pure: callers pass the time."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from numbers import Integral
from typing import Final

from llmstream.checks import check_number, require
from llmstream.limits.place import EARLY

BURST: Final = 0.05
"""Of a rate's requests, how many may go at once after a rest."""
_LIMITS: Final = ("requests", "input_tokens", "output_tokens", "concurrent")


@dataclass(frozen=True, slots=True)
class Rate:
    """At most so many requests and tokens within any `per` seconds, and so many calls at a time.

    None: not limited. Where a provider's own limit is known, give 95 % of it: requests that are sent
    evenly may arrive less evenly. Tokens are reserved on an estimate, so they may pass the rate by
    what the estimate was wrong by.
    """

    requests: float | None = None
    input_tokens: float | None = None
    output_tokens: float | None = None
    per: float = 60.0
    concurrent: int | None = None

    def __post_init__(self) -> None:
        limits = {name: getattr(self, name) for name in _LIMITS}
        given = {name: limit for name, limit in limits.items() if limit is not None}
        require(given, "a Rate must limit something, such as Rate(requests=500)")
        for name, limit in given.items():
            check_number(limit, f"Rate: {name}", "a number of at least 1", least=1)
        is_whole = self.concurrent is None or isinstance(self.concurrent, Integral)
        require(is_whole, f"Rate: concurrent must be a whole number, not {self.concurrent!r}")
        wanted = "a number of seconds, at least 0.001"
        check_number(self.per, "Rate: per", wanted, least=0.001)


@dataclass(slots=True)
class Amount:
    """The use of one attempt."""

    requests: float = 1.0
    input_tokens: float = 0.0
    output_tokens: float = 0.0

    @property
    def tokens(self) -> float:
        """Of both kinds."""
        return self.input_tokens + self.output_tokens


class Counted:
    """An amount that was reserved then, to be corrected once it is known."""

    __slots__ = ("amount", "at")

    def __init__(self, amount: float, at: float) -> None:
        self.amount = amount
        self.at = at


class Steady:
    """Requests, evenly: never more than `limit` within any `per`, and after a rest a twentieth of them at once."""

    def __init__(self, limit: float, per: float) -> None:
        ahead = math.floor(BURST * limit)
        self._gap = per / (limit - ahead)
        self._slack = ahead * self._gap
        self._next = -math.inf

    def ready(self, amount: float, now: float) -> float:
        """When one more fits, however large it is."""
        return max(now, self._next - self._slack)

    def add(self, amount: float, now: float) -> Counted:
        """Count it."""
        self._next = max(self._next, now) + amount * self._gap
        return Counted(amount, now)

    def correct(self, entry: Counted, amount: float, now: float) -> None:
        """It was another amount: 0 if it wasn't sent."""
        self._next += (amount - entry.amount) * self._gap
        entry.amount = amount


class TokenWindow:
    """Tokens, or requests that may all go at once: never more than `limit` within any `per`.

    More than the limit goes only if nothing else did.
    """

    def __init__(self, limit: float, per: float) -> None:
        self._limit = limit
        self._per = per
        self._entries: deque[Counted] = deque()
        self._used = 0.0

    def ready(self, amount: float, now: float) -> float:
        """When it fits, by what is known."""
        self._expire(now)
        allowed = max(self._limit - amount, 0.0)
        left = self._used
        if left <= allowed:
            return now
        for entry in self._entries:
            left -= entry.amount
            if left <= allowed + EARLY:
                return entry.at + self._per
        return now

    def add(self, amount: float, now: float) -> Counted:
        """Count it."""
        entry = Counted(amount, now)
        self._entries.append(entry)
        self._used += amount
        return entry

    def correct(self, entry: Counted, amount: float, now: float) -> None:
        """It was another amount."""
        self._expire(now)
        if entry.at + self._per > now + EARLY:
            self._used += amount - entry.amount
        entry.amount = amount

    def _expire(self, now: float) -> None:
        entries = self._entries
        while entries and entries[0].at + self._per <= now + EARLY:
            self._used -= entries.popleft().amount
        if not entries:
            self._used = 0.0
