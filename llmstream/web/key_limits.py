"""Key limits: what the holder of a key may ask for, and how much of it."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from llmstream.checks import require
from llmstream.errors import ConfigurationError
from llmstream.limits import Asking, LocalLimiter, Rate, Reservation, SpendLimit
from llmstream.messages import ChatRequest

__all__ = ["KeyLimits"]

EVERYBODY = "*"
"""Stands for all names without limits of their own. Each of them has the whole rate."""


@dataclass(frozen=True, slots=True)
class KeyLimits:
    """Limits of one key's holder. Raises ConfigurationError for what isn't one.

    `models` are names that the server lists, or the models that they stand for; None: all. The first of them answers
    requests that name none. What is over the `rate` is refused with a 429 that says when to try again. Its requests may
    all come at once. Tokens are reserved on an estimate, and corrected by the answer's usage. `spend_limit` is what its
    calls may cost; it is counted for each name apart, so one object may stand for several.
    """

    models: Collection[str] | None = None
    rate: Rate | None = None
    spend_limit: SpendLimit | None = None

    def __post_init__(self) -> None:
        is_list = not isinstance(self.models, str) and isinstance(self.models, Collection)
        problem = f'models must be a list such as ["fast"], or None for all, not {self.models!r}'
        require(self.models is None or is_list, problem, ConfigurationError)
        problem = f"rate must be a Rate such as Rate(requests=60), or None, not {self.rate!r}"
        require(self.rate is None or isinstance(self.rate, Rate), problem, ConfigurationError)
        limit = self.spend_limit
        problem = (
            f'spend_limit must be a SpendLimit such as SpendLimit("5"), or None, not {limit!r}'
        )
        require(limit is None or isinstance(limit, SpendLimit), problem, ConfigurationError)

    def allowed(self, models: Mapping[str, str | None]) -> Mapping[str, str | None]:
        """Of a server's models, by their names, those that may be asked for."""
        own = self.models
        if own is None:
            return models
        return {name: model for name, model in models.items() if name in own or model in own}


NO_LIMITS = KeyLimits()
_KEPT = 1024
"""Names whose spending is remembered; beyond that those are forgotten that have spent nothing."""


class KeyRates:
    """What each key has used of its rate, and what it has spent, in this process."""

    def __init__(self) -> None:
        self._limiter = LocalLimiter(_rate_of, key=_holder_of, max_wait=0.0, evenly=False)
        self._spend_limits: dict[str, SpendLimit] = {}

    def go_on_from(self, other: KeyRates) -> None:
        """Count together with another app, in whose place this one comes. A rate that changed begins again."""
        self._limiter = other._limiter
        self._spend_limits = other._spend_limits

    def spend_limit(self, name: str, terms: SpendLimit | None) -> SpendLimit | None:
        """The limit of this key, with what it has spent; None without one. Terms that changed hold from now on."""
        if terms is None:
            return None
        limits = self._spend_limits
        if name in limits:
            limits[name].renew(terms)
            return limits[name]
        if len(limits) >= _KEPT:
            unused = [each for each, limit in limits.items() if not limit.spent + limit.reserved]
            for each in unused:
                del limits[each]
        limits[name] = terms.fresh()
        return limits[name]

    def admit(self, name: str, rate: Rate, request: ChatRequest) -> Reservation | float:
        """What a request uses, held until it is settled and left; or the seconds after which to try again."""
        place = self._limiter.enter(
            Asking("", request.model, (name, rate), request), time.monotonic
        )
        if place is None:
            raise AssertionError("every key that is counted has a rate")
        wait = place.go(time.monotonic())
        if wait > 0:
            place.leave()
            return wait
        place.sent()
        return place


def _holder_of(asking: Asking) -> Any:
    return asking.account


def _rate_of(holder: Any) -> Rate | None:
    rate: Rate | None = holder[1]
    return rate


def check_key_limits(limits: object) -> Mapping[str, KeyLimits]:
    """The limits by name. Raises ConfigurationError."""
    problem = f'key_limits must be a dict such as {{"ann": KeyLimits(…)}}, not {limits!r}'
    require(isinstance(limits, Mapping), problem, ConfigurationError)
    given: Mapping[str, KeyLimits] = limits  # type: ignore[assignment]
    for name, each in given.items():
        is_right = isinstance(name, str) and name.strip() and isinstance(each, KeyLimits)
        require(
            is_right,
            f"key_limits: {name!r} must be a key's name, with a KeyLimits",
            ConfigurationError,
        )
    return given
