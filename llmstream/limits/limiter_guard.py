"""A limiter behind a guard: nothing that it raises reaches a call. It goes to the log, and that limit is left out.

A limiter may be anybody's, and its state may be on a machine that is down.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping
from typing import Final, TypeVar

from llmstream.limits.pauses import PAUSES
from llmstream.limits.protocols import (
    Asking,
    Endpoint,
    Limiter,
    QueuePlace,
    Reservation,
    Time,
    Wait,
)
from llmstream.log import get_logger
from llmstream.messages import Usage

logger = get_logger("llmstream.limits")

T = TypeVar("T")
_WAIT: Final = Wait("is limited", "it is limited", "rate_limit", "limiter", skips=False)
"""Of a place that doesn't say why it waits."""


class GuardedLimiter(Limiter):
    """A client's limiter. One that raises limits nothing; pauses and outages then are what this process knows."""

    def __init__(self, limiter: Limiter) -> None:
        self._limiter = limiter

    def enter(self, asking: Asking, time: Time) -> Reservation | None:
        """A place in the queue. None: nothing limits this attempt."""
        place = _tried("enter", lambda: self._limiter.enter(asking, time), None)
        return None if place is None else GuardedReservation(place)

    def endpoint(self, account: Hashable, time: Time) -> Endpoint:
        """The state of an endpoint and key."""
        endpoint = _tried("endpoint", lambda: self._limiter.endpoint(account, time), None)
        return PAUSES.of(account, time) if endpoint is None else GuardedEndpoint(endpoint)


class GuardedPlace(QueuePlace):
    """A place in a queue. One that raises, or can't say how long it waits, goes at once."""

    def __init__(self, place: QueuePlace) -> None:
        self._place = place
        self._has_gone = False
        self.look = math.inf

    @property
    def wait(self) -> Wait:  # type: ignore[override]  # it is only read
        """Why it waits."""
        return _tried("wait", lambda: _checked_wait(self._place.wait), _WAIT)

    @property
    def on_change(self) -> Callable[[], None] | None:
        """The one who waits is called here when it is worth to ask again."""
        return _tried("on_change", lambda: self._place.on_change, None)

    @on_change.setter
    def on_change(  # pyright: ignore[reportIncompatibleVariableOverride]
        self, called: Callable[[], None] | None
    ) -> None:
        _tried("on_change", lambda: setattr(self._place, "on_change", called), None)

    @property
    def renewed(self) -> bool:
        """Whether the wait must be announced."""
        return _tried("renewed", lambda: bool(self._place.renewed), False)

    def go(self, now: float) -> float | None:
        """Seconds still to wait; 0: go now. None: not known yet."""
        if self._has_gone:
            return 0.0
        at_once: float | None = 0.0
        seconds = _tried("go", lambda: self._ask(now), at_once)
        self._has_gone = seconds == 0
        return seconds

    def objection(self, seconds: float, now: float, longest: float) -> str | None:
        """Why it doesn't wait so long."""
        return _tried("objection", lambda: self._place.objection(seconds, now, longest), None)

    def announced(self) -> None:
        """The caller knows the seconds."""
        _tell(self._place, "announced")

    def leave(self) -> None:
        """Give it up."""
        _tell(self._place, "leave")

    def _ask(self, now: float) -> float | None:
        given = self._place.go(now)
        seconds = None if given is None else max(_checked_number(given), 0.0)
        if seconds != 0:
            self.look = _checked_number(self._place.look)
        return seconds


class GuardedReservation(GuardedPlace, Reservation):  # pyright: ignore[reportIncompatibleVariableOverride]
    """A place at a limiter."""

    _place: Reservation

    def sent(self) -> None:
        """The attempt begins."""
        _tell(self._place, "sent")

    def heard(self, rate_limits: Mapping[str, str], now: float) -> None:
        """The provider has answered or refused."""
        _tell(self._place, "heard", rate_limits, now)

    def settle(self, usage: Usage | None, now: float) -> None:
        """The attempt is over."""
        _tell(self._place, "settle", usage, now)


class GuardedEndpoint(Endpoint):
    """A limiter's knowledge of an endpoint. Where it raises, nothing is known."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    def sent(self, now: float) -> None:
        """A request goes out."""
        _tell(self._endpoint, "sent", now)

    def answered(self, now: float, model: str) -> None:
        """It is up."""
        _tell(self._endpoint, "answered", now, model)

    def failed(self, sent: float) -> None:
        """A request wasn't answered."""
        _tell(self._endpoint, "failed", sent)

    def unreachable(self, sent: float, now: float, model: str | None, request: str | None) -> None:
        """A request failed as if nobody were there."""
        _tell(self._endpoint, "unreachable", sent, now, model, request)

    def refused(self, sent: float, now: float, delay: float, seconds: float) -> bool:
        """All wait for `seconds`. True: from now on."""

        def is_new() -> bool:
            return bool(self._endpoint.refused(sent, now, delay, seconds))

        return _tried("refused", is_new, False)

    def paused(self, now: float, model: str) -> bool:
        """Whether a call would have to wait."""
        return _tried("paused", lambda: bool(self._endpoint.paused(now, model)), False)

    def enter(self, now: float, model: str) -> QueuePlace | None:
        """A place in the queue. None: nothing waits."""
        place = _tried("enter", lambda: self._endpoint.enter(now, model), None)
        return None if place is None else GuardedPlace(place)


def _tried(name: str, ask: Callable[[], T], instead: T) -> T:
    """The limiter's answer, or `instead` where it raises."""
    try:
        return ask()
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:  # a CancelledError, too: nothing here is awaited
        logger.exception("the limiter raised in %s: it limits nothing here", name)
        return instead


def _tell(who: object, method: str, *words: object) -> None:
    """Call a method that returns nothing."""
    _tried(method, lambda: getattr(who, method)(*words), None)


def _checked_number(value: float) -> float:
    """The number. Raises TypeError for what can't be waited for."""
    if not isinstance(value, (int, float)) or math.isnan(value):
        raise TypeError(f"a place must name seconds, not {value!r}")
    return value


def _checked_wait(wait: Wait) -> Wait:
    if not isinstance(wait, Wait):
        raise TypeError(f"a place's wait must be a llmstream.limits.Wait, not {wait!r}")
    return wait
