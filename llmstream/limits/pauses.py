"""Pauses after a server's "429, come back in a second", for all calls of the process to that endpoint and key.

It is the server's own schedule, so all of them wait it out together, in one queue. After the pause they are let
through one by one at 95 % of the rate at which the endpoint had answered before it. Let through all at once, or each
at a random moment, most would only be refused again.

Pure: callers pass the time and do the waiting, each on its own clock and in its own event loop. A lock makes it safe
for several threads.
"""

from __future__ import annotations

import math
import os
from bisect import bisect_right
from collections.abc import Hashable
from threading import RLock
from typing import Final
from weakref import WeakSet

from llmstream.limits.outage import Health, Outage
from llmstream.limits.place import EARLY, LocalPlace, next_look
from llmstream.limits.protocols import Asking, Limiter, QueuePlace, Time, Wait

SHARE = 0.95
"""Of the rate that the endpoint had answered at, and of the pace before each further pause."""
STEADY = 10
"""Delays without a refusal after which we try whether more is allowed by now."""
GAIN = 0.05
"""Added by the first such try; each following delay adds twice as much, until the pace doubles in each."""
_WAIT = Wait("limits the rate", "it has paused all calls", "rate_limit")


class Sends:
    """When requests were sent, without those that failed: they were answered, or still may be."""

    KEPT: Final = 2048
    GRAIN: Final = 0.001
    """Seconds that are counted together, so that a burst takes no more room than one request."""

    def __init__(self) -> None:
        self._times: list[float] = []
        self._counts: list[int] = []

    def add(self, now: float) -> None:
        """A request is sent."""
        times = self._times
        if times and now - times[-1] < self.GRAIN:
            self._counts[-1] += 1
            return
        self._counts.append(1)
        times.append(now)
        if len(times) > self.KEPT:
            del times[: self.KEPT // 2]
            del self._counts[: self.KEPT // 2]

    def take_back(self, sent: float) -> None:
        """The request that was sent then has failed."""
        index = bisect_right(self._times, sent) - 1
        if index >= 0 and self._counts[index]:
            self._counts[index] -= 1

    def between(self, start: float, end: float) -> int:
        """How many were sent after `start`, up to `end`."""
        first, last = bisect_right(self._times, start), bisect_right(self._times, end)
        return sum(self._counts[first:last])


class PausePlace(LocalPlace):
    """One call's place in the queue of a paused endpoint. Given up by `leave`, or with the last reference to it."""

    __slots__ = ("_announced", "_endpoint", "_pause", "due", "gone", "number")

    def __init__(self, endpoint: KnownEndpoint, pause: Pause, number: int) -> None:
        super().__init__(_WAIT)
        self._endpoint = endpoint
        self._pause = pause
        self.number = number
        self.due = math.inf
        self.gone = False
        self._announced = pause.number
        """The pause whose seconds were last announced."""

    def go(self, now: float) -> float:
        """Seconds still to wait, as far as is known; 0: go now. Ask again at `look`."""
        if not self.gone:
            with self._endpoint.lock:
                wait = self._endpoint.wait(self._pause, self, now)
            if wait > 0:
                return wait
            self.gone = True
        return 0.0

    @property
    def renewed(self) -> bool:
        """Whether the endpoint has asked for a further pause since the wait was last announced."""
        return self._announced != self._pause.number

    def objection(self, seconds: float, now: float, longest: float) -> str | None:
        """A wait isn't begun if the server asked for more than `longest`, whoever is first in the queue."""
        if self._pause.asked_until - now <= longest:
            return None
        return f"and RetryPolicy.max_retry_after is {longest:g} s"

    def announced(self) -> None:
        """The caller knows the seconds."""
        self._announced = self._pause.number

    def leave(self) -> None:
        """Let those behind move up."""
        with self._endpoint.lock:
            self._pause.waiting.discard(self)


class Pause:
    """One pause, those that wait for its end, and the pace at which they then go. Over when nothing waits."""

    def __init__(self, sent: float, now: float, delay: float, seconds: float) -> None:
        self.until = now + seconds
        self.asked_until = now + delay
        self.number = 1
        self.waiting: WeakSet[PausePlace] = WeakSet()
        self._delay = delay
        self._entered = 0
        self._last_due = self.until
        self._next = self.until
        # Halfway between sending and hearing is our best guess at the moment when the server refused.
        self._refused_at = (sent + now) / 2
        self._resumed = -math.inf
        self._before = math.inf  # the pace before this pause
        # None until the pause is over, since answers to requests from before it still come.
        self._pace: float | None = None
        self._faster_at = math.inf
        self._gain = 0.0

    def over(self, now: float) -> bool:
        """Nothing waits. Those that let their turn pass, say in a thread that hangs, don't count for ever."""
        return now + EARLY >= self.until and (
            not self.waiting or now > self._last_due + self._delay
        )

    def refused(self, sent: float, now: float, delay: float, seconds: float) -> None:
        """One more request was refused."""
        self.asked_until = max(self.asked_until, now + delay)
        # The request was on its way before the pause was known.
        if self._pace is None or sent < self._resumed:
            self.until = max(self.until, self.asked_until)
            return
        self._before, self._pace = self._pace, None
        self._refused_at = (sent + now) / 2
        self._delay = delay
        self.until = max(self.until, now + seconds)
        self.number += 1

    def enter(self, place: PausePlace) -> None:
        """At the end of the queue."""
        place.number = self._entered
        self._entered += 1
        self.waiting.add(place)

    def wait(self, place: PausePlace, now: float, sends: Sends) -> float:
        """Seconds until this place's turn; 0 takes it."""
        pace = self._counted(sends) if self._pace is None else self._pace
        ready = max(self.until, self._next)
        if now + EARLY < max(ready, place.due):
            place.due = ready + self._lasts(place.number - self._entered + len(self.waiting), pace)
            # Those ahead may have left by then, or go faster.
            place.look = min(place.due, max(ready, next_look(now, len(self.waiting))))
            self._last_due = max(self._last_due, place.due)
            if now + EARLY < place.due:
                return place.due - now
        pace = self._settle(pace, now)
        # What a busy event loop was late by is made up for, but not beyond what SHARE leaves free.
        self._next = max(ready, now - self._delay * (1 - SHARE)) + 1 / pace
        self.waiting.discard(place)
        return 0.0

    def _lasts(self, ahead: int, pace: float) -> float:
        """Seconds until so many have gone."""
        if ahead <= 0:
            return 0.0
        # From one in a delay it doubles with each; else nobody knows that it will rise.
        return (
            min(ahead / pace, self._delay * math.log2(1 + ahead))
            if self._gain >= 1
            else ahead / pace
        )

    # --- the pace ------------------------------------------------------------------------------------------

    def _counted(self, sends: Sends) -> float:
        """Requests a second after this pause: by what was answered in one delay before it, or since the last."""
        start = max(self._refused_at - self._delay, self._resumed)
        seconds = self._refused_at - start
        rate = sends.between(start, self._refused_at) / seconds if seconds > 0 else 0.0
        # With nothing to go by we feel our way.
        self._gain = GAIN if rate or self._before < math.inf else 1.0
        if self._before < math.inf:  # little can be counted if this pause follows close on the last
            rate = min(max(rate, self._before / 2), self._before)
        return SHARE * max(rate, 1 / self._delay)

    def _settle(self, pace: float, now: float) -> float:
        """The pace of the one who goes now."""
        if self._pace is None:
            self._resumed = self.until
            self._faster_at = now + self._delay * (1 if self._gain >= 1 else STEADY)
        elif now >= self._faster_at:
            pace *= 1 + self._gain
            self._gain = min(1.0, 2 * self._gain)
            self._faster_at = now + self._delay
        self._pace = pace
        return pace


class KnownEndpoint:
    """One endpoint and key: what was sent to it of late, its pause or outage, if it has one. `now` is in seconds."""

    MODELS: Final = 256
    """Remembered; beyond that those are forgotten that aren't down."""

    def __init__(self) -> None:
        self.lock = RLock()  # what the garbage collector ends while it is held may come here too
        self._sends = Sends()
        self._pause: Pause | None = None
        self._health: dict[str | None, Health] = {}
        """By model; None: of the endpoint itself."""

    def sent(self, now: float) -> None:
        """A request goes out."""
        with self.lock:
            self._sends.add(now)

    def answered(self, now: float, model: str | None = None) -> None:
        """An answer has begun, or the server refused a request: it is up, and this model is."""
        with self.lock:
            for name in {None, model}:
                self._health_of(name).answered(now)

    def failed(self, sent: float) -> None:
        """The request that was sent then was not answered."""
        with self.lock:
            self._sends.take_back(sent)

    def unreachable(self, sent: float, now: float, model: str | None, request: str | None) -> None:
        """It failed as if nobody were there."""
        with self.lock:
            self._health_of(model).failed(sent, now, request)

    def refused(self, sent: float, now: float, delay: float, seconds: float) -> bool:
        """The request that was sent then was refused for `delay` seconds; all wait for `seconds`. True: from now on."""
        with self.lock:
            if (pause := self._current(now)) is not None:
                pause.refused(sent, now, delay, seconds)
                return False
            self._pause = Pause(sent, now, delay, seconds)
            return True

    def paused(self, now: float, model: str | None = None) -> bool:
        """Whether a call would have to wait."""
        with self.lock:
            if self._current(now) is not None:
                return True
            outage = self._outage(model)
            return outage is not None and outage.must_wait(now)

    def enter(self, now: float, model: str | None = None) -> QueuePlace | None:
        """A place in the queue, which its `go` moves up; None: nothing waits."""
        with self.lock:
            pause = self._current(now)
            if pause is None:
                outage = self._outage(model)
                return None if outage is None else outage.enter(now)
            place = PausePlace(self, pause, 0)
            pause.enter(place)
            return place

    def wait(self, pause: Pause, place: PausePlace, now: float) -> float:
        """`PausePlace.go`, under the lock."""
        return pause.wait(place, now, self._sends) if pause is self._pause else 0.0

    def _outage(self, model: str | None) -> Outage | None:
        """That of the endpoint, or else of this model."""
        for name in (None, model):
            health = self._health.get(name)
            if health is not None and health.outage is not None:
                return health.outage
        return None

    def _health_of(self, model: str | None) -> Health:
        health = self._health.get(model)
        if health is None:
            if len(self._health) >= self.MODELS:
                self._health = {
                    name: each for name, each in self._health.items() if each.outage is not None
                }
            health = self._health.setdefault(model, Health(self.lock))
        return health

    def _current(self, now: float) -> Pause | None:
        if self._pause is not None and self._pause.over(now):
            self._pause = None
        return self._pause


class Pauses:
    """The endpoints of the process, by their key and the clock that their calls are timed by."""

    KEPT: Final = 1024
    """Endpoints remembered; beyond that those are forgotten that have no pause."""

    def __init__(self) -> None:
        self.forget()

    def of(self, account: Hashable, time: Time) -> KnownEndpoint:
        """The one with this key."""
        endpoint = self._endpoints.get((account, time))
        return endpoint if endpoint is not None else self._new(account, time)

    def forget(self) -> None:
        """Begin again, as in a forked process: those in its queues, and whoever held a lock, are the parent's."""
        self._lock = RLock()
        self._endpoints: dict[tuple[Hashable, Time], KnownEndpoint] = {}

    def _new(self, account: Hashable, time: Time) -> KnownEndpoint:
        with self._lock:
            if len(self._endpoints) >= self.KEPT:
                idle = (key for key, known in self._endpoints.items() if not known.paused(key[1]()))
                self._endpoints.pop(next(idle, (None, time)), None)
            return self._endpoints.setdefault((account, time), KnownEndpoint())


class Unlimited(Limiter):
    """The limiter of a client that was given none: pauses and outages hold all the same."""

    def enter(self, asking: Asking, time: Time) -> None:
        """Nothing limits any attempt."""

    def endpoint(self, account: Hashable, time: Time) -> KnownEndpoint:
        """As this process knows it."""
        return PAUSES.of(account, time)


UNLIMITED = Unlimited()
PAUSES = Pauses()
"""The process's own."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=PAUSES.forget)
