"""Admission: what stands between a call and its next attempt, and what the attempt then tells of its endpoint.

Two queues are gone through: that of an endpoint which is paused or down, and the limiter's.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

from llmstream.clock import Clock
from llmstream.errors import ErrorInfo
from llmstream.events.types import Start
from llmstream.limits.protocols import Endpoint, QueuePlace, Reservation
from llmstream.messages import ChatRequest, Usage
from llmstream.observe import AttemptObservation
from llmstream.targets import Targets

_DOWN: Final = frozenset({"connection", "server", "overloaded", "timeout"})
"""Kinds of errors that an endpoint which is down has."""
_OURS: Final = frozenset({"closed", "total", "host_refused"})
"""Codes of those kinds that say nothing about the endpoint."""
_UNREACHED: Final = frozenset(
    {"connection", "connect", 502, 504, 520, 521, 522, 523, 525, 526, 530}
)
"""Kinds, codes and HTTP statuses of an endpoint that is down: gateways send these statuses when nobody is behind them
(RFC 9110, Cloudflare's "5xx errors")."""
_BUSY: Final = frozenset({"overloaded", 503, 529})
"""Those of a model that is down, while others at its endpoint may answer. No prompt is to blame for them, as for a 500,
which one can cause as often as it is sent, or for a long thought."""


class Admission:
    """The places of one call's next attempt, at the current target, and what the attempt holds while it runs."""

    # It must not know the call's guard, which calls `first_piece`: a circle would keep a dropped call alive.

    _endpoint: Endpoint
    """Of the attempt that runs."""

    def __init__(self, targets: Targets, request: ChatRequest, clock: Clock) -> None:
        self._targets = targets
        self._request = request
        self._now = clock.time
        self._observed: AttemptObservation | None = None
        self.place: QueuePlace | None = None
        """Where the call waits now."""
        self._turn: QueuePlace | None = None  # at the endpoint, taken
        self._limited: Reservation | None = None
        self._has_passed = False  # the endpoint's queue
        self._sent = 0.0
        self._is_answered = False

    def wait(self, now: float) -> float | None:
        """Seconds still to wait at `place`: 0 once both queues are passed, None while nobody knows."""
        while (place := self._next(now)) is not None:
            seconds = place.go(now)
            if seconds != 0:
                return seconds
            self._pass(place)
        return 0.0

    def pause(self, now: float) -> float | None:
        """Seconds until the endpoint that has just asked for a pause may be asked again; None while nobody knows."""
        self.place = self._targets.endpoint.enter(now, self._targets.current.model)
        return 0.0 if self.place is None else self.place.go(now)

    def waited(self) -> None:
        """The call waits at `place`. Behind the limiter's the endpoint is looked at again: it may be paused by then."""
        if self.place is self._limited:
            self._leave_turn()
            self._has_passed = False

    def begin(self, observed: AttemptObservation | None) -> None:
        """The attempt begins."""
        self._observed = observed
        self._is_answered = False
        self._sent = self._now()
        self._endpoint = self._targets.endpoint
        self._endpoint.sent(self._sent)
        if self._limited is not None:
            self._limited.sent()

    def first_piece(self, start: Start) -> None:
        """The first piece of the answer is there."""
        now = self._now()
        self._answered(now)
        if self._limited is not None:
            self._limited.heard(start.rate_limits, now)
        if self._observed is not None:
            self._observed.first_piece(start)

    def completed(self, usage: Usage | None, now: float) -> None:
        """The attempt has come to its end."""
        self._answered(now)
        self._settle(usage, now)
        self.leave()

    def failed(self, info: ErrorInfo, usage: Usage | None, now: float, *, committed: bool) -> None:
        """The attempt has failed, after a first piece or before."""
        if self._limited is not None:
            self._limited.heard(info.rate_limits, now)
        if committed:
            self._settle(usage, now)
        else:
            self._settle(Usage(output_tokens=0), now)
            self._unanswered(info, now)
        self.leave()

    def refused(self, now: float, delay: float, seconds: float) -> bool:
        """The server asked for a pause of `delay` seconds, which becomes one of `seconds`. True: a new one."""
        return self._targets.endpoint.refused(self._sent, now, delay, seconds)

    def leave(self) -> None:
        """Give up all places and what they hold."""
        self._has_passed = False
        if self.place is self._turn is self._limited is None:
            return
        for place in (self.place, self._turn, self._limited):
            if place is not None:
                place.leave()
        self.place = self._turn = self._limited = None

    # --- inside --------------------------------------------------------------------------------------------

    def _next(self, now: float) -> QueuePlace | None:
        """The place to wait at; None: both queues are passed."""
        if self.place is not None:
            return self.place
        if not self._has_passed:
            self.place = self._targets.endpoint.enter(now, self._targets.current.model)
            self._has_passed = self.place is None
        if self.place is None and self._limited is None:
            self._limited = self.place = self._targets.reserve(self._request)
        return self.place

    def _pass(self, place: QueuePlace) -> None:
        self.place = None
        if place is not self._limited:
            self._turn = place
            self._has_passed = True

    def _answered(self, now: float) -> None:
        """Somebody is there."""
        if not self._is_answered:
            self._is_answered = True
            self._endpoint.answered(now, self._targets.current.model)
        self._leave_turn()

    def _unanswered(self, info: ErrorInfo, now: float) -> None:
        """There was no answer: the endpoint is down, or refused the request."""
        self._targets.endpoint.failed(self._sent)
        if _is_down(info):
            self._unreachable(info, now)
        elif info.status_code is not None:
            self._answered(now)

    def _unreachable(self, info: ErrorInfo, now: float) -> None:
        named = {info.kind, info.code, info.status_code}
        is_endpoints = not _UNREACHED.isdisjoint(named)
        is_models = not _BUSY.isdisjoint(named)
        model = None if is_endpoints else self._targets.current.model
        is_nobodys = is_endpoints or is_models
        request = None if is_nobodys else _fingerprint(self._request)
        self._targets.endpoint.unreachable(self._sent, now, model, request)

    def _leave_turn(self) -> None:
        if self._turn is not None:
            self._turn.leave()
            self._turn = None

    def _settle(self, usage: Usage | None, now: float) -> None:
        if self._limited is None:
            return
        # Of a continued answer: the last attempt's own.
        own = usage.attempts[-1] if usage is not None and usage.attempts else usage
        self._limited.settle(own, now)


def _is_down(info: ErrorInfo) -> bool:
    return info.kind in _DOWN and info.code not in _OURS


def _fingerprint(request: ChatRequest) -> str:
    """The same for the same prompt, in any process. It shows nothing of it."""
    # Without pictures, which may be megabytes: prompts that differ in nothing else count as one.
    words = [(message.role, message.text, len(message.parts)) for message in request.messages]
    return blake2b(repr(words).encode("utf-8", "replace"), digest_size=8).hexdigest()
