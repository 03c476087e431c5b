"""The fair queue of one key: who waits for its rate, and who holds a part of it.

Start-time fair queueing (Goyal, Vin, Cheng 1996): each tenant's places stand in a line, which is tagged with the
share of the rate that it has had, and the line of the smallest tag goes first. What leaves before its turn has had
nothing. Places are let through when anything happens, in turn, so that a call whose consumer is slow holds up
nobody behind it.
"""

from __future__ import annotations

import heapq
import itertools
import math
import time as wall
from collections import deque
from collections.abc import Hashable, Mapping
from threading import RLock
from typing import Final, NamedTuple
from weakref import ref

from llmstream.limits.headers import Left, parse_rate_limits
from llmstream.limits.place import EARLY, LocalPlace, next_look
from llmstream.limits.protocols import Time, Wait
from llmstream.limits.rate import Amount, Counted, Rate, Steady, TokenWindow
from llmstream.messages import ChatRequest, Usage
from llmstream.usage_estimate import estimate_prompt

FIRST_OUTPUT: Final = 500.0
"""Tokens of an answer, as long as none was seen."""
SHARE: Final = 0.1
"""Of the last answer in the mean of answers."""
TENANTS: Final = 1024
"""Remembered beside those that wait: the ones that have had most. Others may come back as new ones."""
MOST_TOKENS: Final = 10**8
"""No request takes more, so a provider that reports more is mistaken."""
SAMPLE: Final = 16
"""Tenants by whose lines a wait is estimated, so that a thousand cost no more."""
_COUNTED: Final[Mapping[str, type[Steady | TokenWindow]]] = {
    "requests": Steady,
    "input_tokens": TokenWindow,
    "output_tokens": TokenWindow,
}
"""The parts of a Rate that are counted over time, and how."""
_WAIT = Wait(
    "is limited here", "the limiter's queue is too long", "rate_limit", "limiter", skips=False
)


class LimiterPlace(LocalPlace):
    """One attempt's place: in the queue, and then with what it was let through for."""

    def __init__(
        self, queue: FairQueue, line: _Line, amount: Amount, cost: float, entered: float
    ) -> None:
        super().__init__(_WAIT)
        self.amount = amount
        self.entered = entered
        self.due = entered
        """When it will go, by an estimate."""
        self.line = line
        self.cost = cost
        self.entries: dict[str, Counted] = {}
        self.is_granted = False
        self.is_sent = False
        self.is_heard = False
        self.is_left = False
        self._queue = queue

    def go(self, now: float) -> float:
        """Seconds still to wait, by an estimate; 0: go."""
        return 0.0 if self.is_granted else self._queue.ask(self, now)

    def objection(self, seconds: float, now: float, longest: float) -> str | None:  # the protocol's
        """A wait that would be longer than the limiter's own `max_wait`."""
        longest = self._queue.max_wait
        if now + seconds - self.entered <= longest:
            return None
        return f"and LocalLimiter.max_wait is {longest:g} s"

    def sent(self) -> None:
        """The attempt begins."""
        self.is_sent = True

    def heard(self, rate_limits: Mapping[str, str], now: float) -> None:
        """The provider has answered or refused, with these headers."""
        self._queue.heard(self, rate_limits, now)

    def settle(self, usage: Usage | None, now: float) -> None:
        """The tokens that were really used. None: as expected."""
        if usage is not None:
            self._queue.settle(self, usage, now)

    def leave(self) -> None:
        """Give it up, or back."""
        self._queue.leave(self)

    def __del__(self) -> None:
        # Of a generator that is dropped when its event loop is closed, Python runs no `finally`.
        self._queue.leave(self)


class _Line:
    """One tenant's places, in the order in which they came."""

    def __init__(self) -> None:
        self.start = 0.0  # the tag of the first, in seconds of the rate
        self.cost = 0.0  # of all who wait in it
        self.places: deque[ref[LimiterPlace]] = deque()
        self.is_queued = False  # among the lines that are looked at

    def first(self) -> LimiterPlace | None:
        """The first who still waits."""
        while self.places:
            place = self.places[0]()
            if place is not None and not place.is_left:
                return place
            self.places.popleft()
        return None


class _Mirror(NamedTuple):
    """A provider's own count of what is left, and its time."""

    left: Left
    at: float

    def ready(self, amount: float, now: float) -> float:
        """When so much is there, by what the provider said."""
        missing = amount - self.left.remaining
        full_at = self.at + self.left.full_in
        if missing <= 0 or now >= full_at:
            return now
        if self.left.per_second <= 0:
            return full_at
        return min(full_at, self.at + missing / self.left.per_second)


class FairQueue:
    """One key's rate: who waits for it, and what is in use."""

    def __init__(self, rate: Rate, max_wait: float, time: Time, *, evenly: bool = True) -> None:
        self.max_wait = max_wait
        self._time = time
        self.forget()
        self._rate = rate
        limits = {kind: getattr(rate, kind) for kind in _COUNTED}
        self._limits = {kind: limit for kind, limit in limits.items() if limit is not None}
        counted = _COUNTED if evenly else dict.fromkeys(_COUNTED, TokenWindow)
        self._counts = {
            kind: counted[kind](limit, rate.per) for kind, limit in self._limits.items()
        }
        self._order = itertools.count()
        self._lines: dict[Hashable, _Line] = {}
        self._most_lines = TENANTS
        self._waiting = 0
        self._tag = 0.0  # of the one who went last
        self._running = 0
        self._output = FIRST_OUTPUT
        self._unheard = Amount(0.0)
        self._mirrors: dict[str, _Mirror] = {}
        self._used_at = -math.inf

    def forget(self) -> None:
        """Let nobody through any more, as in a forked process, where a thread that is gone may have held the lock."""
        self._lock = RLock()  # what the garbage collector ends while it is held comes here too
        self._heap: list[tuple[float, int, _Line]] = []  # the lines in which somebody waits

    def idle(self, now: float) -> bool:
        """Whether nothing would be lost with it."""
        return not self._waiting and not self._running and now - self._used_at > self._rate.per

    def enter(self, request: ChatRequest, tenant: Hashable) -> LimiterPlace:
        """A place, which may have gone already."""
        now = self._time()
        amount = self._expected(request)
        with self._lock:
            line = self._line_of(tenant)
            cost = self._cost(amount)
            ahead = self._ahead(line) if cost else 0.0
            place = LimiterPlace(self, line, amount, cost or 1.0, now)  # calls alone count the same
            self._queue(line, place)
            ready = self._let_through(now)
            if not place.is_granted:
                place.due = _known(ready, now) + ahead
            return place

    def ask(self, place: LimiterPlace, now: float) -> float:
        """Seconds until this place's turn."""
        with self._lock:
            ready = self._let_through(now)
            if place.is_granted:
                return 0.0
            look = next_look(now, self._waiting)
            is_first = self._heap[0][2].first() is place
            place.look = max(now + EARLY, min(ready, look)) if is_first else look
            wanted = max(place.due, _known(ready, now))
            return max(wanted - now, EARLY)

    def heard(self, place: LimiterPlace, rate_limits: Mapping[str, str], now: float) -> None:
        """The provider has answered this one."""
        with self._lock:
            self._no_longer_unheard(place)
            if rate_limits:
                # The wall clock, since one provider names a time of day.
                found = parse_rate_limits(rate_limits, wall.time())
                self._mirrors.update({kind: _Mirror(left, now) for kind, left in found.items()})
            self._let_through(now)

    def settle(self, place: LimiterPlace, usage: Usage, now: float) -> None:
        """Count what was used in place of what was expected."""
        with self._lock:
            for kind, entry in place.entries.items():
                used = _believed(getattr(usage, kind, None))
                if used is not None:
                    self._counts[kind].correct(entry, used, now)
            produced = _believed(usage.output_tokens)
            if produced:
                # One that is far too long doesn't count for more than all of the rate.
                produced = min(produced, self._rate.output_tokens or MOST_TOKENS)
                self._output += SHARE * (produced - self._output)
            self._let_through(now)

    def leave(self, place: LimiterPlace) -> None:
        """A place is given up, or its attempt is over."""
        with self._lock:
            if place.is_left:
                return
            place.is_left = True
            now = self._time()
            if place.is_granted:
                self._running -= 1
                self._no_longer_unheard(place)
            else:
                self._dequeue(place)
            if place.is_granted and not place.is_sent:
                self._give_back(place, now)
            self._let_through(now)

    # --- inside --------------------------------------------------------------------------------------------

    def _let_through(self, now: float) -> float:
        """Let all go whose turn it is. When the next one may: infinity if nobody can say."""
        changed = False
        while self._heap:
            start, _, line = self._heap[0]
            place = line.first()
            if place is None:
                heapq.heappop(self._heap)
                line.is_queued = False
                changed = True
                continue
            ready = self._ready(place.amount, now)
            if ready > now + EARLY:
                # It was not the first before: its own look may be later.
                if changed:
                    place.wake()
                return ready
            self._grant(place, start, now)
            changed = True
        return math.inf

    def _grant(self, place: LimiterPlace, start: float, now: float) -> None:
        """The first of the first line goes."""
        amount, line = place.amount, place.line
        self._tag = max(self._tag, start)
        line.places.popleft()
        line.start = start + place.cost
        self._dequeue(place)
        heapq.heapreplace(self._heap, (line.start, next(self._order), line))
        self._used_at = now
        self._running += 1
        self._count_unheard(amount, 1)
        for kind, count in self._counts.items():
            place.entries[kind] = count.add(getattr(amount, kind), now)
        place.is_granted = True
        place.wake()

    def _give_back(self, place: LimiterPlace, now: float) -> None:
        """Nothing was sent."""
        for kind, entry in place.entries.items():
            self._counts[kind].correct(entry, 0.0, now)

    def _ready(self, amount: Amount, now: float) -> float:
        """When so much may be sent."""
        if self._rate.concurrent is not None and self._running >= self._rate.concurrent:
            return math.inf
        ready = now
        for kind, count in self._counts.items():
            ready = max(ready, count.ready(getattr(amount, kind), now))
        for kind, mirror in self._mirrors.items():
            wanted = getattr(amount, kind) + getattr(self._unheard, kind)
            ready = max(ready, mirror.ready(wanted, now))
        return ready

    def _expected(self, request: ChatRequest) -> Amount:
        """The amount to reserve for a request."""
        # A request alone costs no estimate.
        if self._counts.keys() | self._mirrors.keys() <= {"requests"}:
            return Amount()
        most = math.inf if request.max_tokens is None else request.max_tokens
        return Amount(1.0, estimate_prompt(request), min(self._output, most))

    def _cost(self, amount: Amount) -> float:
        """Seconds of the rate that it takes."""
        shares = [getattr(amount, kind) / limit for kind, limit in self._limits.items()]
        return max(shares, default=0.0) * self._rate.per

    def _line_of(self, tenant: Hashable) -> _Line:
        """The tenant's line, with the tag from which it goes on."""
        if len(self._lines) > self._most_lines:
            self._forget_lines()
        line = self._lines.setdefault(tenant, _Line())
        if not line.is_queued:
            line.start = max(line.start, self._tag)
        return line

    def _forget_lines(self) -> None:
        """Forget most tenants that don't wait, so that any number of them may come and go."""
        queued = {tenant: line for tenant, line in self._lines.items() if line.is_queued}
        others = (item for item in self._lines.items() if item[1].start > self._tag)
        had_most = heapq.nlargest(TENANTS, others, key=lambda item: item[1].start)
        self._lines = {**dict(had_most), **queued}
        self._most_lines = TENANTS + 2 * len(self._lines)

    def _ahead(self, line: _Line) -> float:
        """Seconds of the rate that go before the next of this line, by an estimate."""
        start = line.start + line.cost
        some = self._heap[:SAMPLE]
        ahead = sum(max(0.0, min(each.cost, start - each.start)) for _, _, each in some)
        return ahead * len(self._heap) / len(some) if some else 0.0

    def _queue(self, line: _Line, place: LimiterPlace) -> None:
        if not line.is_queued:
            line.is_queued = True
            heapq.heappush(self._heap, (line.start, next(self._order), line))
        line.places.append(ref(place))
        line.cost += place.cost
        self._waiting += 1

    def _dequeue(self, place: LimiterPlace) -> None:
        place.line.cost -= place.cost
        self._waiting -= 1

    def _no_longer_unheard(self, place: LimiterPlace) -> None:
        if place.is_granted and not place.is_heard:
            place.is_heard = True
            self._count_unheard(place.amount, -1)

    def _count_unheard(self, amount: Amount, sign: int) -> None:
        self._unheard.requests += sign * amount.requests
        self._unheard.input_tokens += sign * amount.input_tokens
        self._unheard.output_tokens += sign * amount.output_tokens


def _known(ready: float, now: float) -> float:
    """The time when a place may go; now where nobody can say."""
    return ready if ready < math.inf else now


def _believed(count: object) -> float | None:
    """The tokens that a provider reports; None if it can't be so many."""
    if not isinstance(count, (int, float)) or isinstance(count, bool):
        return None
    return count if 0 <= count <= MOST_TOKENS else None
