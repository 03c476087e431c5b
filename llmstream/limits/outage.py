"""An endpoint that is down: one call at a time asks whether it is back, the others wait.

Once it answers, they go at two a second, and at twice the pace after each second that has an answer.
Let through all at once, those that waited could bring it down again.
"""

from __future__ import annotations

import math
from threading import RLock
from typing import Final
from weakref import WeakSet, ref

from llmstream.limits.place import EARLY, LocalPlace, next_look
from llmstream.limits.protocols import Wait

DOWN_AFTER: Final = 10
"""Failures in a row, with no answer in between, after which an endpoint is taken to be down.

Those that a prompt may have caused itself count once for each prompt."""
EVERY: Final = 1.0
"""Seconds between the begins of two probes, at least."""
HANGS: Final = 1.5
"""Seconds after which a probe without an answer is taken to hang: it may do so for minutes, so another one begins."""
_WAIT = Wait(
    "is down", "it is down, and one call at a time asks whether it is back", "overloaded", "down"
)


class OutagePlace(LocalPlace):
    """One call's place among those that wait for the end of an outage."""

    __slots__ = ("_entered", "_gone", "_outage")

    def __init__(self, outage: Outage, now: float) -> None:
        super().__init__(_WAIT)
        self._outage = outage
        self._entered = now
        self._gone = False

    def go(self, now: float) -> float:
        """Seconds until it is worth to ask again; 0: ask the endpoint."""
        if not self._gone:
            seconds = self._outage.ask(self, now)
            if seconds > 0:
                return seconds
            self._gone = True
        return 0.0

    def objection(self, seconds: float, now: float, longest: float) -> str | None:
        """A wait ends after RetryPolicy.max_retry_after."""
        if now + seconds - self._entered <= longest:
            return None
        return f"and RetryPolicy.max_retry_after is {longest:g} s"

    def leave(self) -> None:
        """Let another one ask."""
        self._outage.leave(self)


class Outage:
    """One outage, and those that wait for its end."""

    def __init__(self, lock: RLock, now: float) -> None:
        self._lock = lock
        self._asked = now
        self._asking: WeakSet[OutagePlace] = WeakSet()
        self._waiting: dict[int, ref[OutagePlace]] = {}
        self._is_back = False
        self._at_once = 1
        """How many may begin in a second, and run."""
        self._faster_at = now
        self._answers = 0

    @property
    def over(self) -> bool:
        """It has answered, and nobody waits."""
        return self._is_back and self._first() is None

    def must_wait(self, now: float) -> bool:
        """Whether one more call couldn't go at once."""
        return self._seconds(now) > 0 or self._first() is not None

    def enter(self, now: float) -> OutagePlace:
        """A place at the end of the queue."""
        place = OutagePlace(self, now)
        number = id(place)
        waiting = self._waiting
        waiting[number] = ref(place, lambda _: waiting.pop(number, None))
        return place

    def ask(self, place: OutagePlace, now: float) -> float:
        """Seconds until it is worth to ask again; 0 takes the turn."""
        with self._lock:
            seconds = self._seconds(now)
            if seconds > 0:
                is_first = self._first() is place
                later = next_look(now, len(self._waiting))
                place.look = now + seconds if is_first else later
                return seconds
            self._begin(now)
            self._waiting.pop(id(place), None)
            self._asking.add(place)
            self._wake()
            return 0.0

    def answered(self) -> None:
        """It is back."""
        with self._lock:
            self._answers += 1
            if not self._is_back:
                self._asking.clear()  # those that hang hold up nobody
                self._is_back = True
                self._at_once = 2
                self._asked = self._faster_at = -math.inf
            self._wake()

    def failed(self) -> None:
        """It is still down, or again."""
        with self._lock:
            self._is_back = False
            self._at_once = 1

    def leave(self, place: OutagePlace) -> None:
        """A place is given up."""
        with self._lock:
            self._waiting.pop(id(place), None)
            self._asking.discard(place)
            self._wake()

    # --- inside --------------------------------------------------------------------------------------------

    def _seconds(self, now: float) -> float:
        if len(self._asking) >= self._at_once:
            hangs_at = math.inf if self._is_back else self._asked + HANGS
            if now < hangs_at - EARLY:
                return min(EVERY, hangs_at - now)
        gap = EVERY / self._at_once if self._is_back else EVERY
        left = self._asked + gap - now
        return 0.0 if left <= EARLY else left

    def _begin(self, now: float) -> None:
        """One more begins."""
        if self._is_back and now >= self._faster_at:
            self._at_once *= 2 if self._answers > 1 else 1
            self._answers = 1
            self._faster_at = now + EVERY
        # What a busy event loop was late by is made up for, but not for more than one.
        gap = EVERY / self._at_once if self._is_back else 0.0
        self._asked = max(now - gap, min(self._asked + gap, now))

    def _first(self) -> OutagePlace | None:
        first = next(iter(self._waiting.values()), None)
        return None if first is None else first()

    def _wake(self) -> None:
        """Let the first look again: it was not the first before, or may go sooner."""
        place = self._first()
        if place is not None:
            place.wake()


class Health:
    """Whether somebody answers, at an endpoint or for one model there: by the failures since the last answer."""

    def __init__(self, lock: RLock) -> None:
        self._lock = lock
        self._failures = 0
        self._suspects: set[str] = set()
        """Prompts that failed, and may be to blame themselves."""
        self._answered_at = -math.inf
        self._outage: Outage | None = None

    @property
    def outage(self) -> Outage | None:
        """The outage, until it is over."""
        if self._outage is not None and self._outage.over:
            self._outage = None
        return self._outage

    def answered(self, now: float) -> None:
        """An answer has begun."""
        self._failures = 0
        self._suspects.clear()
        self._answered_at = now
        if self._outage is not None:
            self._outage.answered()

    def failed(self, sent: float, now: float, request: str | None) -> None:
        """A request failed. One that was sent before the last answer began says nothing any more."""
        if sent < self._answered_at:
            return
        if request is None:
            self._failures += 1
        elif len(self._suspects) < DOWN_AFTER:
            self._suspects.add(request)
        is_down = self._failures + len(self._suspects) >= DOWN_AFTER
        if self._outage is not None:
            if is_down or request is None:
                self._outage.failed()
        elif is_down:
            self._outage = Outage(self._lock, now)
