"""The attempts of one call, one after another: which provider to try next, when, and for what.

After an attempt that failed there are four ways: the same provider again (retry), the next of the
fallbacks, on from what was shown (`on_interrupt="continue"`), or the end. Before the commit point
retries and fallbacks leave no trace but RETRY; after it only what `on_interrupt` allows happens,
and never once the caller got a tool call.

It is a long file because these four ways and their waits share one state.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from math import inf
from random import Random
from typing import TYPE_CHECKING, Final, Literal

from llmstream.admission import Admission
from llmstream.attempt import Announcement, Attempt
from llmstream.continuation import MAX_CONTINUATIONS, obstacle
from llmstream.errors import ADAPTED, ErrorInfo
from llmstream.events.grammar import Guard
from llmstream.events.types import EventType, Retry, Status, StreamEvent, error, failure_of
from llmstream.fallback import DECLINES, cause_of
from llmstream.limits.protocols import Limiter, QueuePlace
from llmstream.limits.spend_limit import SPEND_LIMIT
from llmstream.log import get_logger
from llmstream.messages import ChatRequest
from llmstream.observe import AttemptObservation, Observation, tell_left_usage
from llmstream.providers.provider import Call
from llmstream.providers.watchdog import Watchdog, abortable, closed
from llmstream.retry import RetryPolicy
from llmstream.targets import BUDGET_CODE, BUDGET_SPENT, Target, Targets

if TYPE_CHECKING:
    from llmstream.call_bill import CallBill

logger = get_logger("llmstream.client")

OnInterrupt = Literal["error", "restart", "continue"]
ON_INTERRUPT: tuple[OnInterrupt, ...] = ("error", "restart", "continue")


@dataclass(slots=True)
class Rules:
    """The limits that the caller set."""

    policy: RetryPolicy
    """Of the targets that have none of their own."""
    fallback_on: frozenset[str]
    """The same."""
    on_interrupt: OnInterrupt
    streaming: bool
    """In batch mode nothing leaves before the end, so every failure may be tried again."""
    announced: bool
    """Whether somebody reads RETRY and STATUS. In batch mode only middleware does."""
    rng: Random
    limiter: Limiter
    headers: Mapping[str, str]
    """The caller's own, for the limiter to tell tenants apart. A fallback isn't sent them."""


_UNKNOWN_WAIT: Final = StreamEvent(EventType.STATUS)
"""Stands for a wait of which nobody can say yet how long it will be. Not shown."""


class Attempts:
    """All attempts of one call, and the waits between them, as one sequence of events.

    Take each `next_step()` to its end until there is none, and `aclose()` in any case.
    """

    def __init__(
        self,
        targets: Sequence[Target],
        request: ChatRequest,
        call: Call,
        guard: Guard,
        rules: Rules,
        *,
        observation: Observation | None = None,
        bill: CallBill | None = None,
    ) -> None:
        self._targets = Targets(targets, rules.policy, rules.limiter, call, headers=rules.headers)
        self._admission = Admission(self._targets, request, call.clock)
        self._request = request
        self._call = call  # as it goes to the current target
        self._timeouts = call.timeouts
        self._guard = guard
        self._rules = rules
        self._observation = observation
        self._bill = bill
        self._attempt: Attempt | None = None  # the one that runs
        self._number = 1  # of the attempt, at this target
        self._total = 0
        self._continuations = 0
        self._failed: list[ErrorInfo] = []  # the last error of each target given up
        self._lessons: set[tuple[int, str]] = set()
        self._announced: StreamEvent | None = None  # a RETRY or STATUS whose wait comes next
        self._wait: Watchdog | None = None
        self._is_new = True
        self._is_over = False
        self._is_abandoned = False

    async def next_step(self) -> Attempt | Announcement | None:
        """The next attempt, or an event of our own, which the wait that it names follows.

        Call it when the last step is over. None: the call is over. Raises only for wrong arguments.
        """
        step: Attempt | Announcement | None = None
        ended = self._attempt
        if ended is not None:
            step = await self._finish(ended)
            if self._bill is not None:
                self._bill.settle(ended)
        elif self._bill is not None and self._is_new:
            await self._bill.check_prices(self._targets.all)
        while step is None and not self._is_over:
            if self._announced is not None:
                await self._sit_out(self._announced)
                self._announced = None
            step = self._enter()
        return step

    def exclude(self, seconds: float) -> None:
        """Exclude the time that the consumer spent on an event."""
        self._call.exclude(seconds)
        if self._attempt is not None:
            self._attempt.exclude(seconds)

    def abandon(self) -> None:
        """The client was closed: end the wait that runs, and ask nobody any more."""
        self._is_abandoned = True
        if self._wait is not None:
            self._wait.close()

    async def aclose(self) -> None:
        """Close the attempt that runs, and give up the place in a queue."""
        try:
            if self._attempt is not None:
                await self._attempt.close()
                if not self._attempt.is_over:
                    tell_left_usage(self._guard.billed)
        finally:
            self._admission.leave()
            if self._bill is not None:
                self._bill.settle(self._attempt)
            if self._observation is not None:
                self._observation.answer(None)

    # --- from one step to the next ------------------------------------------------------------------------------

    def _enter(self) -> Attempt | Announcement | None:
        """An attempt, or what has to be announced before it. None: wait without a word."""
        announced = self._skip() or self._admit()
        if announced is not None:
            return self._announce(announced)
        if self._is_abandoned:
            self._total += 1
            return self._end(self._guard.feed(error(closed()))[-1])
        if self._admission.place is not None:  # nobody can say yet how long
            self._announced = _UNKNOWN_WAIT
            return None
        announced = self._reserve_money()
        if announced is not None:
            return self._announce(announced)
        self._total += 1
        target, observed = self._targets.current, self._observed()
        self._admission.begin(observed)
        make = Attempt if self._bill is None else self._bill.attempt
        self._attempt = make(
            target,
            self._request,
            self._call,
            self._guard,
            observed=observed,
            on_first_piece=self._admission.first_piece,
            declines=self._declines(),
            streaming=self._rules.streaming,
        )
        return self._attempt

    def _reserve_money(self) -> StreamEvent | None:
        """The STATUS to announce first, or the ERROR where there isn't enough."""
        if self._bill is None:
            return None
        shown = self._guard.partial() if self._guard.shown else None
        event = self._bill.reserve(self._targets.current, shown)
        if event is None or event.type is EventType.STATUS:
            return event
        return self._guard.feed(event)[-1]

    def _declines(self) -> frozenset[str]:
        """The ends of an answer after which another model is asked, as far as there is one."""
        return self._fallback_on & DECLINES if self._targets.has_next else frozenset()

    @property
    def _fallback_on(self) -> frozenset[str]:
        own = self._targets.current.fallback_on
        return self._rules.fallback_on if own is None else own

    def _observed(self) -> AttemptObservation | None:
        """The attempt that begins, as it is told to observers; None without any."""
        if self._observation is None:
            return None
        target = self._targets.current
        return self._observation.begin_attempt(target.provider.name, target.model, self._request)

    async def _finish(self, attempt: Attempt) -> Announcement | None:
        """Close an attempt. If it failed: what comes next."""
        self._attempt = None
        if attempt.declined is not None:
            return await self._decline(attempt, attempt.declined)
        await attempt.close()
        now = self._call.clock.time()
        if attempt.failed is None:
            self._admission.completed(attempt.usage, now)
            self._is_over = True
            return None
        info = failure_of(attempt.failed)
        self._admission.failed(info, attempt.usage, now, committed=self._guard.committed)
        retry = self._after(attempt.failed)
        return self._end(attempt.failed) if retry is None else self._announce(retry)

    async def _decline(self, attempt: Attempt, info: ErrorInfo) -> Announcement | None:
        """Close an attempt whose answer declines: a fallback is asked in its place, or else it is shown."""
        given_up = self._targets.current
        self._admission.completed(attempt.usage, self._call.clock.time())
        may_leave = not self._is_abandoned and self._may_fall_back(info)
        if not (may_leave and self._targets.advance(info)):
            self._is_over = True
            answer = Announcement(*attempt.accept())
            await attempt.close()
            return answer
        attempt.give_up(info)
        await attempt.close()
        return self._announce(self._leave(given_up, info, going_on=False))

    def _announce(self, event: StreamEvent) -> Announcement | None:
        """A RETRY or STATUS, if anybody reads those; an ERROR ends the call."""
        if event.type is EventType.ERROR:
            return self._end(event)
        self._announced = event
        return Announcement(event) if self._rules.announced else None

    def _end(self, failed: StreamEvent) -> Announcement:
        """The call's ERROR: the first provider's, with what became of the others."""
        self._is_over = True
        info = self._named(failure_of(failed))
        first, *others = [*self._failed, info]
        if info.code == SPEND_LIMIT:  # that no money is left is why the others weren't made good
            first, *others = [info, *self._failed]
        if others:
            told = "; ".join(f"{other.provider}: {cause_of(other)}" for other in others)
            info = replace(first, message=f"{first.message}; then {told}", partial=info.partial)
        info = replace(info, attempts=self._total)
        event = replace(failed, error=str(info), error_info=info)
        if self._observation is not None:
            self._observation.answer(event)
        return Announcement(event)

    # --- before an attempt -------------------------------------------------------------------------------------

    def _skip(self) -> StreamEvent | None:
        """At the start: the RETRY that passes over a provider that keeps failing."""
        if not self._is_new:
            return None
        self._is_new = False
        if not self._targets.failing:
            return None
        info = ErrorInfo("overloaded", f"not asked: {BUDGET_SPENT}", code=BUDGET_CODE)
        return self._fall_back(info, going_on=False)

    def _admit(self) -> StreamEvent | None:
        """The STATUS or RETRY to announce and wait for; None: begin an attempt. An ERROR ends the call.

        An endpoint that is down, or that said how long to stay away, isn't asked. A fallback that is
        free is asked instead.
        """
        if self._is_abandoned:
            return None
        now = self._call.clock.time()
        seconds = self._admission.wait(now)
        place = self._admission.place
        if place is None or seconds is None:
            return None
        wait = place.wait
        info = ErrorInfo(wait.kind, f"not asked: {wait.why}", retry_after=seconds, code=wait.code)
        going_on = self._guard.shown
        retry = self._fall_back_at_once(info, going_on=going_on) if wait.skips else None
        if retry is not None:
            return retry
        objection = self._too_long(place, seconds, now)
        if objection is None:
            return self._queued(place, seconds)
        info.message += f", this one for {seconds:.1f} s, {objection}"
        retry = self._fall_back(info, going_on=going_on)
        return retry or self._guard.feed(error(self._named(info)))[-1]

    def _queued(self, place: QueuePlace, seconds: float) -> StreamEvent:
        place.announced()
        name = self._targets.current.provider.name
        # Nobody can say when a call that runs will end.
        time = f"{seconds:.1f} s" if seconds >= 0.05 else "its turn"
        words = f"{name} {place.wait.status}: this call waits for {time}"
        if self._rules.streaming or not self._rules.announced:
            logger.info(
                "status: queued %s", words
            )  # else the client does, if middleware passes it on
        data = {"seconds": seconds, "provider": name, "why": place.wait.code or place.wait.kind}
        return StreamEvent(EventType.STATUS, status=Status("queued", words, data))

    async def _sit_out(self, announced: StreamEvent) -> None:
        """Wait for what was announced: the next attempt's time, or a further pause."""
        place = self._admission.place
        if place is None:
            delay = announced.retry.delay if announced.retry is not None else 0.0
            await self._sleep(asyncio.ensure_future(self._call.clock.sleep(delay)))
            return
        self._admission.waited()
        now = self._call.clock.time()
        if announced is _UNKNOWN_WAIT:
            await self._wait_at(place, now)
            return
        while not self._is_abandoned and not place.renewed:
            seconds = place.go(now)
            if not seconds or self._too_long(place, seconds, now) is not None:
                return
            now = await self._wait_at(place, now)

    async def _wait_at(self, place: QueuePlace, now: float) -> float:
        """Wait until it is worth to ask again, at most for the time that the call has left. The time then."""
        seconds = min(place.look - now, self._left())
        sleep = asyncio.ensure_future(self._call.clock.sleep(seconds))
        place.on_change = partial(_wake, asyncio.get_running_loop(), sleep)
        try:
            await self._sleep(sleep)
        finally:
            place.on_change = None
        after = self._call.clock.time()
        # A test's clock may skip the wait.
        return after if sleep.cancelled() else max(after, now + seconds)

    async def _sleep(self, sleep: asyncio.Future[None]) -> None:
        self._wait = Watchdog(self._call)
        if self._is_abandoned:
            self._wait.close()
        with suppress(TimeoutError):
            await abortable(_over(sleep), self._wait)

    def _too_long(self, place: QueuePlace, seconds: float, now: float) -> str | None:
        """Why a wait isn't begun."""
        left = self._left()
        if seconds >= left:
            return f"and timeouts.total leaves {max(left, 0.0):.1f} s"
        return place.objection(seconds, now, self._targets.policy.max_retry_after)

    # --- after an attempt that failed --------------------------------------------------------------------------

    def _after(self, failed: StreamEvent) -> StreamEvent | None:
        """The RETRY that goes on from this ERROR; None: it is the end."""
        info = failure_of(failed)
        is_out_of_time = (info.kind, info.code) == ("timeout", "total")
        is_out_of_money = info.code == SPEND_LIMIT
        if self._is_abandoned or is_out_of_time or is_out_of_money:
            return None
        paused_at = self._pause(info)
        was_shown = self._was_shown
        objection = self._objection(info) if was_shown else None
        if objection is not None:
            info.message += objection
            return None
        going_on = was_shown and self._rules.on_interrupt == "continue"
        if going_on and self._guard.committed:
            self._continuations += 1
        if self._is_new_lesson(info):  # at once, and not counted
            return self._retry(info, 0.0, going_on=going_on)
        leaves_at_once = paused_at is not None or self._is_better_elsewhere(info)
        retry = self._fall_back_at_once(info, going_on=going_on) if leaves_at_once else None
        return retry or self._ask_again(info, paused_at, going_on=going_on)

    def _is_better_elsewhere(self, info: ErrorInfo) -> bool:
        """Whether another endpoint of the same service may answer where this one couldn't."""
        return self._targets.has_other_endpoint and self._may_fall_back(info)

    def _ask_again(
        self, info: ErrorInfo, paused_at: float | None, *, going_on: bool
    ) -> StreamEvent | None:
        """The RETRY at the same provider, or else at a fallback."""
        delay = self._retry_in(info, paused_at)
        if delay is not None:
            self._number += 1
            return self._retry(info, delay, going_on=going_on)
        return self._fall_back(info, going_on=going_on)

    def _may_fall_back(self, info: ErrorInfo) -> bool:
        """Whether the caller wants another model for this failure."""
        cause = cause_of(info)
        comes_too_late = cause in DECLINES and self._was_shown
        is_wanted = cause in self._fallback_on and not comes_too_late
        return is_wanted and self._left() > 0

    @property
    def _was_shown(self) -> bool:
        """Whether the caller has seen something of the answer that stands."""
        return self._rules.streaming and self._guard.shown

    def _objection(self, info: ErrorInfo) -> str | None:
        """Why nothing may follow what was shown."""
        wanted = self._rules.on_interrupt
        if wanted == "error":
            return ""
        if self._guard.called:
            return f"; no {wanted}, because a tool call was handed out"
        if wanted == "restart":
            return None
        why = obstacle(self._request, self._guard.partial())
        if why is not None:
            return f"; not continued: {why}"
        made = self._continuations + (1 if self._guard.committed else 0)
        if made > MAX_CONTINUATIONS:
            return f"; continued {MAX_CONTINUATIONS} times already"
        return None

    def _is_new_lesson(self, info: ErrorInfo) -> bool:
        """Whether the provider left out an option that its host refused: each time another one."""
        lesson = (self._targets.index, info.message)
        if info.code != ADAPTED or lesson in self._lessons:
            return False
        self._lessons.add(lesson)
        return True

    def _pause(self, info: ErrorInfo) -> float | None:
        """Pause all calls to the endpoint, if the server named a time before which none should come.

        Returns the moment from which that time counts; None without a pause.
        """
        seconds = self._targets.policy.pause(info, self._rules.rng)
        if seconds is None or info.retry_after is None:
            return None
        now = self._call.clock.time()
        is_first = self._admission.refused(now, info.retry_after, seconds)
        if is_first:
            name = self._targets.current.provider.name
            logger.info("%s limits the rate: all calls to it wait for %.1f s", name, seconds)
        return now

    def _retry_in(self, info: ErrorInfo, paused_at: float | None) -> float | None:
        """Seconds until the same provider is asked again; None: it isn't."""
        left = self._left()
        delay = self._targets.policy.delay(self._number, info, self._rules.rng, left=left)
        if delay is None:
            return None
        if paused_at is None:
            return delay if self._targets.withdraw(info) else None
        paused_for = self._admission.pause(paused_at)
        if self._admission.place is None or paused_for is None:
            return delay
        if paused_for < left:
            return paused_for
        self._admission.leave()
        return None

    def _fall_back_at_once(self, info: ErrorInfo, *, going_on: bool) -> StreamEvent | None:
        """The RETRY at a fallback that has neither a pause nor a spent budget; None without one."""
        if not self._targets.elsewhere:
            return None
        return self._fall_back(info, going_on=going_on)

    def _fall_back(self, info: ErrorInfo, *, going_on: bool) -> StreamEvent | None:
        """The RETRY at the next target that may be asked. None: there is none, and nothing changed."""
        given_up = self._targets.current
        if not (self._may_fall_back(info) and self._targets.advance(info)):
            return None
        return self._leave(given_up, info, going_on=going_on)

    def _leave(self, given_up: Target, info: ErrorInfo, *, going_on: bool) -> StreamEvent:
        """The RETRY at the current target, after another was given up."""
        self._admission.leave()
        info.provider = info.provider or given_up.provider.name
        self._failed.append(info)
        target = self._targets.current
        # The caller gave the headers for the other provider.
        headers = self._call.headers if target.shares_headers(given_up) else {}
        own = target.timeouts
        timeouts = self._timeouts if own is None else own.over(self._timeouts)
        self._call = replace(self._call, headers=headers, timeouts=timeouts)
        self._number = 1
        return self._retry(info, 0.0, going_on=going_on, is_fallback=True)

    def _retry(
        self, info: ErrorInfo, delay: float, *, going_on: bool, is_fallback: bool = False
    ) -> StreamEvent:
        target, cause = self._targets.current, cause_of(info)
        name, number, most = target.provider.name, self._number, self._targets.policy.max_attempts
        logger.info("attempt %d of %d at %s in %.1f s: %s", number, most, name, delay, cause)
        retry = Retry(number, most, delay, str(info), cause, name, target.model)
        retry.fallback = is_fallback
        return self._guard.retry(retry, going_on=going_on)

    def _named(self, info: ErrorInfo) -> ErrorInfo:
        if info.provider is not None:
            return info
        return replace(info, provider=self._targets.current.provider.name)

    def _left(self) -> float:
        """Seconds left of the call's total time; infinity without a limit."""
        deadline = self._call.deadline
        return inf if deadline is None else deadline - self._call.clock.time()


async def _over(sleep: asyncio.Future[None]) -> None:
    await sleep


def _wake(loop: asyncio.AbstractEventLoop, sleep: asyncio.Future[None]) -> None:
    """End a sleep, from any thread."""
    with suppress(RuntimeError):  # the loop is closed
        loop.call_soon_threadsafe(sleep.cancel)
