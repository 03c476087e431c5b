"""The attempts of one call: which provider to try next, when, and how a continuation joins the text already shown.

An attempt is a provider's. After one that failed there are four ways: the same provider again (retry), the next of the
fallbacks, on from what was shown (`on_interrupt="continue"`), or the end. Before the commit point retries and fallbacks
leave no trace but RETRY; after it only what `on_interrupt` allows happens, and never once the caller got a tool call.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from random import Random
from typing import Literal

from llmstream.continuation import MAX_CONTINUATIONS, Overlap, continue_request, obstacle
from llmstream.errors import ADAPTED, ConfigurationError, ErrorInfo
from llmstream.events.grammar import Guard
from llmstream.events.types import (
    EventType,
    Retry,
    Status,
    StreamEvent,
    TextDelta,
    error,
    text_delta,
)
from llmstream.log import get_logger
from llmstream.messages import ChatRequest
from llmstream.pauses import QueuePlace
from llmstream.providers.provider import Call, Provider, traits_of
from llmstream.providers.timeouts import Timeouts
from llmstream.providers.watchdog import Watchdog, abortable, closed, timed_out
from llmstream.retry import RetryPolicy
from llmstream.targets import BUDGET_CODE, BUDGET_SPENT, Target, Targets

logger = get_logger("llmstream.client")
provider_logger = get_logger("llmstream.providers")

OnInterrupt = Literal["error", "restart", "continue"]
ON_INTERRUPT: tuple[OnInterrupt, ...] = ("error", "restart", "continue")
OWN_FAULT = frozenset({"invalid_request", "content_filter"})
"""Kinds that no fallback is asked about: the request is at fault, or a filter has spoken."""
_NO_LIMITS = Timeouts(connect=None, first_token=None, idle=None, progress=None)


@dataclass(slots=True)
class Rules:
    """What the caller allows."""

    policy: RetryPolicy
    on_interrupt: OnInterrupt
    streaming: bool
    """In batch mode nothing has left before the end, so every failure may be tried again."""
    rng: Random


class Attempts:
    """The attempts of one call, one after another.

    `admit()` says what must be announced and waited for first (`wait()`). Then `begin()` an attempt, `advance()` until
    the guard has finished, `close()` it. `after()` its ERROR says how it goes on: a RETRY to announce and wait for, or
    None, and `last()` is the end. `leave()` however it ends.
    """

    def __init__(
        self,
        targets: Sequence[Target],
        request: ChatRequest,
        call: Call,
        guard: Guard,
        rules: Rules,
    ) -> None:
        self._targets = Targets(targets, rules.policy.budget, call.clock)
        self._request = request
        self._guard = guard
        self._rules = rules
        self._attempt = 1  # at this target
        self._failed: list[ErrorInfo] = []  # the last error of each target given up
        self._total = 0
        self._continuations = 0
        self._lessons: set[tuple[int, str]] = set()
        self._overlap: Overlap | None = None
        self._watchdog: Watchdog | None = None
        self._wait: Watchdog | None = None
        self._abandoned = False
        self._sent = 0.0  # when the attempt began
        self._place: QueuePlace | None = None  # in the queue of the target's endpoint
        self.call = call
        """As it goes to the current target."""

    @property
    def target(self) -> Target:
        """Whom the current attempt asks."""
        return self._targets.current

    def skip(self) -> StreamEvent | None:
        """At the start: pass over providers that keep failing. The RETRY that says so."""
        if not self._targets.failing:
            return None
        return self._fall_back(
            ErrorInfo("overloaded", f"not asked: {BUDGET_SPENT}", code=BUDGET_CODE)
        )

    def admit(self) -> StreamEvent | None:
        """Before an attempt: the STATUS or RETRY to announce and wait for; None: begin it. An ERROR ends the call.

        An endpoint that said how long to stay away has paused all calls of the process; a fallback that has not is
        asked instead.
        """
        now = self.call.clock.time()
        self._place = self._place or self._targets.endpoint.enter(now)
        if self._abandoned or self._place is None:
            return None
        seconds = self._place.go(now)
        if not seconds:
            return None
        info = ErrorInfo("rate_limit", "not asked: it has paused all calls", retry_after=seconds)
        if (
            self._targets.elsewhere
            and (retry := self._fall_back(info, going_on=self._guard.shown)) is not None
        ):
            return retry
        if (objection := self._too_long(self._place, seconds, now)) is not None:
            info.message = (
                f"not asked: it has paused all calls, this one for {seconds:.1f} s, {objection}"
            )
            retry = self._fall_back(info, going_on=self._guard.shown)
            return retry or self._guard.feed(error(self._named(info)))[-1]
        self._place.announced()
        name = self.target.provider.name
        logger.info("queued for %.1f s: %s has paused all calls", seconds, name)
        words = f"{name} limits the rate: this call waits for {seconds:.1f} s"
        return StreamEvent(
            EventType.STATUS, status=Status("queued", words, {"seconds": seconds, "provider": name})
        )

    def begin(self) -> None:
        """Start the next attempt."""
        self._total += 1
        self.leave()
        if not self._abandoned:
            self._sent = self.call.clock.time()
            self._targets.endpoint.sent(self._sent)
        provider, model = self.target
        request = replace(self._request, model=model)
        partial = self._guard.partial() if self._guard.shown else None
        self._overlap = None
        if partial is not None:
            prefill = traits_of(provider).takes_prefill(request)
            request = continue_request(request, partial, prefill=prefill)
            self._overlap = Overlap(partial.text, prefill=prefill)
        self._events = _ending() if self._abandoned else _begin(provider, request, self.call)
        self._watchdog = None
        if self.call.deadline is not None and not traits_of(provider).keeps_deadline:
            self._watched = replace(self.call, timeouts=_NO_LIMITS)
            self._watchdog = Watchdog(self._watched)

    @property
    def timed_here(self) -> bool:
        """True when this class, not the provider, enforces the deadline: then call `exclude` after each event."""
        return self._watchdog is not None

    def exclude(self, seconds: float) -> None:
        """Exclude the time that the consumer spent on an event."""
        self.call.exclude(seconds)
        if self._watchdog is not None:
            self._watched.exclude(seconds)

    async def advance(self) -> Sequence[StreamEvent]:
        """The events of the provider's next step that may leave. Raises for wrong arguments alone."""
        try:
            event = await (
                self._events.__anext__() if self._watchdog is None else self._timed(self._watchdog)
            )
        except StopAsyncIteration:
            return [*self._flush(), *self._guard.end()]
        except Exception as problem:  # noqa: BLE001  # nothing foreign may reach the consumer
            event = self._as_error(problem)
        if self._overlap is None or not isinstance(event, StreamEvent):
            return self._guard.feed(event)
        return self._fit(event, self._overlap)

    async def wait(self, announced: StreamEvent) -> None:
        """Until what was announced has come: the next attempt's time, or a further pause."""
        if (place := self._place) is None:
            await self._sleep(announced.retry.delay if announced.retry is not None else 0.0)
            return
        now = self.call.clock.time()
        while not self._abandoned and not place.renewed:
            seconds = place.go(now)
            if not seconds or self._too_long(place, seconds, now) is not None:
                return
            await self._sleep(place.look - now)
            now = max(self.call.clock.time(), place.look)  # a test's clock may skip the wait

    def leave(self) -> None:
        """Give up the place in a queue."""
        if self._place is not None:
            self._place.leave()
            self._place = None

    def abandon(self) -> None:
        """The client was closed: no wait goes on, and nobody is asked any more."""
        self._abandoned = True
        if self._wait is not None:
            self._wait.close()

    async def close(self) -> None:
        """Close the provider's stream; what a third party's cleanup raises is not the consumer's business."""
        try:
            await self._events.aclose()
        except Exception:
            name = self.target.provider.name
            provider_logger.warning(
                "the provider %s raised while it was closed", name, exc_info=True
            )
        if self._watchdog is not None:
            self._watchdog.stop()

    def after(self, failed: StreamEvent) -> StreamEvent | None:
        """The RETRY that goes on from this ERROR; None: it is the end."""
        info = failed.error_info or ErrorInfo("internal")
        if not self._guard.committed:
            self._targets.endpoint.failed(self._sent)
        if self._abandoned or (info.kind == "timeout" and info.code == "total"):
            return None
        paused = self._pause(info)
        going_on = False
        if self._rules.streaming and self._guard.shown:
            if (objection := self._objection(info)) is not None:
                info.message += objection
                return None
            going_on = self._rules.on_interrupt == "continue"
            self._continuations += going_on and self._guard.committed
        if (
            info.code == ADAPTED
            and (lesson := (self._targets.index, info.message)) not in self._lessons
        ):
            self._lessons.add(lesson)  # at once, and not counted, but never twice for the same
            return self._again(info, 0.0, going_on=going_on)
        if (
            paused
            and self._targets.elsewhere
            and (retry := self._fall_back(info, going_on=going_on)) is not None
        ):
            return retry
        left = self._left()
        if (delay := self._retry_in(info, left, paused=paused)) is not None:
            self._attempt += 1
            return self._again(info, delay, going_on=going_on)
        if info.kind in OWN_FAULT or (left is not None and left <= 0):
            return None
        return self._fall_back(info, going_on=going_on)

    def last(self, failed: StreamEvent) -> StreamEvent:
        """The ERROR that ends the call: the first provider's, with what became of the others."""
        info = self._named(failed.error_info or ErrorInfo("internal"))
        first, *others = [*self._failed, info]
        if others:
            told = "; ".join(f"{other.provider}: {other.kind}" for other in others)
            info = replace(first, message=f"{first.message}; then {told}", partial=info.partial)
        info = replace(info, attempts=self._total)
        return replace(failed, error=str(info), error_info=info)

    # --- inside --------------------------------------------------------------------------------------------

    async def _sleep(self, seconds: float) -> None:
        self._wait = Watchdog(self.call)
        if self._abandoned:
            self._wait.close()
        with suppress(TimeoutError):
            await abortable(asyncio.ensure_future(self.call.clock.sleep(seconds)), self._wait)

    def _objection(self, info: ErrorInfo) -> str | None:
        """Why nothing may follow what was shown."""
        if self._rules.on_interrupt == "error":
            return ""
        if self._guard.called:
            return f"; no {self._rules.on_interrupt}, because a tool call was handed out"
        if self._rules.on_interrupt == "continue":
            if (why := obstacle(self._request, self._guard.partial())) is not None:
                return f"; not continued: {why}"
            if self._continuations + self._guard.committed > MAX_CONTINUATIONS:
                return f"; continued {MAX_CONTINUATIONS} times already"
        return None

    def _named(self, info: ErrorInfo) -> ErrorInfo:
        return (
            info if info.provider is not None else replace(info, provider=self.target.provider.name)
        )

    def _left(self) -> float | None:
        """Seconds left of the call's total time."""
        return None if self.call.deadline is None else self.call.deadline - self.call.clock.time()

    def _too_long(self, place: QueuePlace, seconds: float, now: float) -> str | None:
        """Why a wait isn't begun."""
        left = self._left()
        if left is not None and seconds >= left:
            return f"and timeouts.total leaves {max(left, 0.0):.1f} s"
        most = self._rules.policy.max_retry_after
        if place.asked(now) > most:
            return f"and RetryPolicy.max_retry_after is {most:g} s"
        return None

    def _pause(self, info: ErrorInfo) -> bool:
        """Pause all calls to the endpoint, if the server named a time before which none should come."""
        seconds = self._rules.policy.pause(info, self._rules.rng)
        if seconds is None or info.retry_after is None:
            return False
        now = self.call.clock.time()
        if self._targets.endpoint.refused(self._sent, now, info.retry_after, seconds):
            logger.info(
                "%s limits the rate: all calls to it wait for %.1f s",
                self.target.provider.name,
                seconds,
            )
        return True

    def _retry_in(self, info: ErrorInfo, left: float | None, *, paused: bool) -> float | None:
        """Seconds until the same provider is asked again; None: it isn't."""
        delay = self._rules.policy.delay(self._attempt, info, self._rules.rng, left=left)
        if delay is None:
            return None
        if not paused:
            return delay if self._targets.granted(info) else None
        now = self.call.clock.time()
        self._place = self._targets.endpoint.enter(now)
        if self._place is None:
            return delay
        delay = self._place.go(now)
        if left is None or delay < left:
            return delay
        self.leave()
        return None

    def _fall_back(self, info: ErrorInfo, *, going_on: bool = False) -> StreamEvent | None:
        """On to the next target that may be asked. None: there is none, and nothing has changed."""
        provider = self.target.provider
        if not self._targets.advance(info):
            return None
        self.leave()
        info.provider = info.provider or provider.name
        self._failed.append(info)
        if self.target.provider is not provider:
            # Headers belong to the provider that they were given for.
            self.call = replace(self.call, headers={})
        self._attempt = 1
        return self._again(info, 0.0, going_on=going_on)

    def _again(self, info: ErrorInfo, delay: float, *, going_on: bool) -> StreamEvent:
        provider, model = self.target
        most = self._rules.policy.max_attempts
        logger.info(
            "attempt %d of %d at %s in %.1f s: %s",
            self._attempt,
            most,
            provider.name,
            delay,
            info.kind,
        )
        retry = Retry(self._attempt, most, delay, str(info), info.kind, provider.name, model)
        return self._guard.retry(retry, going_on=going_on)

    def _as_error(self, problem: Exception) -> StreamEvent:
        """What a provider raised, as an event; wrong arguments are raised again."""
        # Subclasses of ValueError are somebody's bug (JSONDecodeError, UnicodeError), not the caller's argument.
        wrong = isinstance(problem, ConfigurationError) or type(problem) in (TypeError, ValueError)
        if wrong and not self._guard.begun:
            raise problem
        if isinstance(problem, ConfigurationError):  # of a fallback: the request is wrong for it
            return error(ErrorInfo("invalid_request", str(problem)))
        name = self.target.provider.name
        provider_logger.error(
            "the provider %s raised %s", name, type(problem).__name__, exc_info=problem
        )
        return error(ErrorInfo("internal", f"the provider raised {type(problem).__name__}"))

    async def _timed(self, watchdog: Watchdog) -> StreamEvent:
        """A step of a provider that doesn't look at the deadline: it is cut short, not the consumer."""
        pending = asyncio.ensure_future(_step(self._events))
        watchdog.waiting()
        try:
            return await abortable(pending, watchdog)
        except TimeoutError:
            if watchdog.expired is None:
                raise
            return error(timed_out("total", self.call.timeouts))
        finally:
            watchdog.arrived()

    def _fit(self, event: StreamEvent, overlap: Overlap) -> Sequence[StreamEvent]:
        """What may leave of a continuation, without what repeats the text shown before."""
        if event.type is EventType.TEXT_DELTA and event.text_delta is not None:
            fresh = overlap.feed(event.text_delta.content)
            return self._guard.feed(replace(event, text_delta=TextDelta(fresh))) if fresh else ()
        if event.type in (EventType.MESSAGE_START, EventType.STATUS):
            return self._guard.feed(event)
        return [*self._flush(cut=event.type is EventType.ERROR), *self._guard.feed(event)]

    def _flush(self, *, cut: bool = True) -> Sequence[StreamEvent]:
        held = self._overlap.finish(cut=cut) if self._overlap is not None else ""
        return self._guard.feed(text_delta(held)) if held else ()


async def _ending() -> AsyncGenerator[StreamEvent, None]:
    """The stream of a client that was closed."""
    yield error(closed())


async def _step(events: AsyncGenerator[StreamEvent, None]) -> StreamEvent:
    return await events.__anext__()


def _begin(
    provider: Provider, request: ChatRequest, call: Call
) -> AsyncGenerator[StreamEvent, None]:
    """The provider's stream; one that raises at once is a stream that raises at its first step."""

    async def raising(problem: Exception) -> AsyncGenerator[StreamEvent, None]:
        raise problem
        yield

    try:
        return provider.stream(request, call)
    except Exception as problem:  # noqa: BLE001  # raised again, where it is sorted
        return raising(problem)
