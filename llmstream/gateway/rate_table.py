"""The rates of a server's models, which may change while it runs."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

from llmstream.limits import Asking, LocalLimiter, Rate


class RateTable:
    """One limiter for a process's life. What has the same rate after a change goes on with what it has used."""

    def __init__(self) -> None:
        self._rates: Mapping[tuple[Any, str], Rate] = {}
        self._default: Rate | None = None
        self._limiter = LocalLimiter(_rate_of, key=self._key)

    def replace(self, rates: Mapping[tuple[Any, str], Rate], default: Rate | None) -> None:
        """From now on these hold, by account and model; `default` holds for the others."""
        self._rates, self._default = rates, default

    @property
    def limiter(self) -> LocalLimiter:
        """For the clients of the server."""
        return self._limiter

    def _key(self, asking: Asking) -> Hashable:
        rate = self._rates.get((asking.account, asking.model), self._default)
        return (asking.account, asking.model, rate)


def _rate_of(key: Any) -> Rate | None:
    rate: Rate | None = key[2]
    return rate
