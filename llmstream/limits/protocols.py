"""The protocols of limits: the client asks them, whoever keeps the state.

No method blocks or is awaited: `leave` is called by the garbage collector, too, and a call that is cancelled while it
asks holds nothing. What a method raises goes to the log (see `limiter_guard`). A form whose state is elsewhere asks
there in tasks of its own, returns None from `QueuePlace.go` for as long as it doesn't know, and calls `on_change` when
it does. What other processes tell it of an endpoint it keeps here, so that `paused` and `enter` need not ask. All
times are seconds on the client's clock, which other machines don't share.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from llmstream.errors import ErrorKind
from llmstream.messages import ChatRequest, Usage

Time = Callable[[], float]
"""The client's clock: seconds from some fixed point."""


@dataclass(frozen=True, slots=True)
class Asking:
    """An attempt that is about to be made."""

    provider: str
    model: str
    account: Hashable = field(repr=False)
    """The endpoint and key, without showing the key: a string that is the same in every process.

    Of a Provider object without a `budget_key`: something that only this process knows.
    """
    request: ChatRequest = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The call's own, also at a fallback, which isn't sent them."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Why a call waits, as STATUS and errors say it."""

    status: str
    """Behind the provider's name: "limits the rate"."""
    why: str
    """Behind "not asked": "it has paused all calls"."""
    kind: ErrorKind
    code: str | None = None
    skips: bool = True
    """Whether a fallback that is free is asked instead of waiting."""


class QueuePlace(Protocol):
    """One attempt's place in a queue. Whoever has it calls `leave` in the end, or drops it."""

    wait: Wait
    look: float
    """When to ask `go` again, at the latest. `go` sets it."""
    on_change: Callable[[], None] | None
    """Set by the one who waits, called when it is worth to ask `go` before `look`; in any thread."""

    @abstractmethod
    def go(self, now: float) -> float | None:
        """Seconds still to wait, as far as is known; 0: go now, and stay so. None: not known yet."""

    @abstractmethod
    def objection(self, seconds: float, now: float, longest: float) -> str | None:
        """Why a wait of `seconds` isn't begun or is given up. `longest`: RetryPolicy.max_retry_after."""

    @property
    @abstractmethod
    def renewed(self) -> bool:
        """Whether the wait has become another one since it was last announced."""

    @abstractmethod
    def announced(self) -> None:
        """The caller knows the seconds."""

    @abstractmethod
    def leave(self) -> None:
        """Give the place up, before or after it went. Again: does nothing."""


class Reservation(QueuePlace, Protocol):
    """A place at a limiter. Once it went, it holds what the attempt is expected to use."""

    @abstractmethod
    def sent(self) -> None:
        """The attempt begins: `leave` doesn't give everything back any more."""

    @abstractmethod
    def heard(self, rate_limits: Mapping[str, str], now: float) -> None:
        """The provider has answered or refused, with these headers."""

    @abstractmethod
    def settle(self, usage: Usage | None, now: float) -> None:
        """The attempt is over and used this. None: nobody knows. `leave` follows."""


class Endpoint(Protocol):
    """The state of one endpoint and key: a pause that the server asked for, or an outage."""

    @abstractmethod
    def sent(self, now: float) -> None:
        """A request goes out."""

    @abstractmethod
    def answered(self, now: float, model: str) -> None:
        """An answer has begun, or the server refused a request: it is up, and this model is."""

    @abstractmethod
    def failed(self, sent: float) -> None:
        """The request that was sent then wasn't answered."""

    @abstractmethod
    def unreachable(self, sent: float, now: float, model: str | None, request: str | None) -> None:
        """It failed as if nobody were there. `failed` is called as well.

        `model` is named where it alone may be down: others at the endpoint are asked on. `request` names
        the prompt where it alone may be to blame: it counts once. A failure of a request that was sent
        before the last answer began says nothing any more.
        """

    @abstractmethod
    def refused(self, sent: float, now: float, delay: float, seconds: float) -> bool:
        """The request that was sent then was refused for `delay` seconds; all wait for `seconds`.

        True: they wait from now on.
        """

    @abstractmethod
    def paused(self, now: float, model: str) -> bool:
        """Whether a call would have to wait."""

    @abstractmethod
    def enter(self, now: float, model: str) -> QueuePlace | None:
        """A place in the queue. None: nothing waits."""


class Limiter(Protocol):
    """Decides when each attempt of a client may be made. Subclass it."""

    @abstractmethod
    def enter(self, asking: Asking, time: Time) -> Reservation | None:
        """A place in the queue. None: nothing limits this attempt."""

    def endpoint(self, account: Hashable, time: Time) -> Endpoint:
        """The state of an endpoint and key: here, as this process knows it."""
        from llmstream.limits.pauses import PAUSES  # pauses are made of these protocols

        return PAUSES.of(account, time)
