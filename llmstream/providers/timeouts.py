"""The clocks of a call, in seconds: what may be waited for, and for how long."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from enum import Enum
from operator import attrgetter
from typing import Any, Final, Self

from llmstream.checks import require


class Unset(Enum):
    """The type of UNSET. An enum's member stays the same object when it is copied or pickled."""

    UNSET = "UNSET"

    def __repr__(self) -> str:
        return "UNSET"


# Any, so that providers read a clock as `float | None`: the library gives them no Timeouts with an unset one.
UNSET: Final[Any] = Unset.UNSET
"""A clock that a `Timeouts` doesn't name."""


@dataclass(frozen=True, slots=True, repr=False)
class Timeouts:
    """Seconds; None means no limit. The clocks run only while we wait for the provider.

    A clock that isn't named is `UNSET`. A call takes it from its client's Timeouts, and a client from the defaults:
    connect 5, first_token 300, idle 120, progress 300, total None. So `Timeouts(total=20)` of a call changes `total`
    alone. The Timeouts of a `Call`, which providers get, has no unset clock.

    Raises ValueError for a clock that isn't positive, TypeError for one that isn't a number.
    """

    connect: float | None = UNSET
    """Until the connection stands, TLS included. 5 by default."""
    first_token: float | None = UNSET
    """From the request to the first piece. Until then only `connect` and `total` run beside it. 300 by default."""
    idle: float | None = UNSET
    """Without a single byte. 120 by default."""
    progress: float | None = UNSET
    """With bytes (pings, comments), but nothing for the consumer. 300 by default."""
    total: float | None = UNSET
    """The whole call: all attempts and the waits between them. None by default."""

    def __post_init__(self) -> None:
        for name, value in self._named().items():
            if value is None:
                continue
            problem = f"timeouts.{name} must be positive seconds or None, not {value!r}"
            is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
            require(is_number, problem, TypeError)
            require(value > 0, problem)

    def __repr__(self) -> str:
        named = ", ".join(f"{name}={value!r}" for name, value in self._named().items())
        return f"Timeouts({named})"

    def over(self, base: Timeouts) -> Self:
        """These clocks, and those of `base` where this names none."""
        if UNSET not in _CLOCKS(self):
            return self
        missing = {
            f.name: getattr(base, f.name) for f in fields(self) if getattr(self, f.name) is UNSET
        }
        return replace(self, **missing)

    def resolved(self) -> Self:
        """These clocks, and the defaults where this names none."""
        return self.over(DEFAULT_TIMEOUTS)

    def _named(self) -> dict[str, Any]:
        return {
            f.name: value for f in fields(self) if (value := getattr(self, f.name)) is not UNSET
        }


_CLOCKS: Final = attrgetter(*(f.name for f in fields(Timeouts)))
DEFAULT_TIMEOUTS: Final = Timeouts(
    connect=5.0, first_token=300.0, idle=120.0, progress=300.0, total=None
)
