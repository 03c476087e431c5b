"""Observers: objects that are told what becomes of each call of a client, for logs, metrics and audits.

    client = LLMClient("openai:gpt-5-mini", observers=[LogObserver()])

For each call, whatever becomes of it, and in this order:

    begin  ( attempt_begin  first_piece?  attempt_end )*  first_piece?  end

`first_piece` comes at most once. A call that retries or falls back has several attempts. One that a
middleware answers by itself may have none, and one whose middleware asks for several answers at a
time has attempts that overlap. A call whose arguments are wrong never begins.
"""

from __future__ import annotations

import asyncio
import logging
import re
import sys
import time
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from inspect import isasyncgenfunction, iscoroutine, iscoroutinefunction, isgeneratorfunction
from typing import Any, Literal, Protocol, TypeAlias
from uuid import uuid4

from llmstream.checks import require, require_list, require_methods
from llmstream.clock import Clock
from llmstream.errors import ErrorInfo
from llmstream.events.types import EventType, Start, StreamEvent
from llmstream.log import get_logger
from llmstream.messages import ChatRequest, FinishReason, Message, Usage
from llmstream.wire.json_fields import present

__all__ = ["LogObserver", "ObservedAttempt", "ObservedCall", "Observer", "Outcome"]

logger = get_logger("llmstream.calls")

Outcome: TypeAlias = Literal["complete", "error", "cancelled", "stopped"]
"""How an attempt or a call ended. "stopped": its reader left before the end, by `break`, `aclose` or dropping it."""


@dataclass(slots=True, eq=False)
class ObservedAttempt:
    """One attempt of a call: a request to one provider. Times are seconds on the client's clock."""

    number: int
    """From 1, counted over all providers of the call."""
    provider: str
    model: str
    request: ChatRequest = field(repr=False)
    """As middleware left it."""
    began: float
    first_piece: float | None = None
    ended: float | None = None
    outcome: Outcome | None = None
    """None until it ended."""
    start: Start | None = None
    """The provider and model that answered, from the first piece on."""
    finish_reason: FinishReason | None = None
    usage: Usage | None = None
    """As this provider reported it, else an estimate."""
    error: ErrorInfo | None = field(default=None, repr=False)

    @property
    def request_id(self) -> str | None:
        """The provider's id of the request, where it gave one."""
        return _request_id(self)


@dataclass(slots=True, eq=False)
class ObservedCall:
    """One call of a client. Times are seconds on the client's clock. Its repr shows no content."""

    id: str
    """Unique; made here."""
    provider: str
    """The provider that is asked first."""
    model: str
    request: ChatRequest = field(repr=False)
    """As the caller made it. To be read only."""
    streaming: bool
    """False: the caller wants the whole answer in one event."""
    began: float
    began_at: float = field(default_factory=time.time)
    """Seconds since 1970."""
    attempts: list[ObservedAttempt] = field(default_factory=list)
    first_piece: float | None = None
    """When the first piece of the answer left for the caller; in batch mode, when it came."""
    ended: float | None = None
    outcome: Outcome | None = None
    """None until it ended."""
    start: Start | None = None
    """The provider and model that answered, from the first piece on."""
    finish_reason: FinishReason | None = None
    usage: Usage | None = None
    """As on the terminal event; of a call that was left or cancelled, that of its last attempt, with all billed ones in
    `attempts`. None: no answer had begun."""
    message: Message | None = field(default=None, repr=False)
    """The whole answer, if there is one."""
    error: ErrorInfo | None = field(default=None, repr=False)

    @property
    def request_id(self) -> str | None:
        """The provider's id of the request that was answered, or of the one that failed."""
        return _request_id(self)


class Observer(Protocol):
    """Told what becomes of each call. Subclass it, and override what you want to hear of.

    The methods are called, not awaited, between two events of a stream: be quick, and hand slow work
    to a task or a thread. They may be called in whichever thread the client is used, and `end` of a
    call that was dropped may come from the garbage collector. What a method raises goes to the log
    and disturbs neither the call nor other observers; KeyboardInterrupt and SystemExit go on.
    """

    # Each returns, because checkers take an empty method of a protocol for an abstract one.

    def begin(self, call: ObservedCall) -> None:
        """A call begins. Its arguments are right; nothing was sent yet."""
        return

    def attempt_begin(self, call: ObservedCall, attempt: ObservedAttempt) -> None:
        """A provider is about to be asked. `attempt` is now the last of `call.attempts`."""
        return

    def first_piece(self, call: ObservedCall) -> None:
        """The first piece of the answer is there: text, reasoning, a tool call … `call.start` says whose."""
        return

    def attempt_end(self, call: ObservedCall, attempt: ObservedAttempt) -> None:
        """An attempt is over. Another may follow."""
        return

    def end(self, call: ObservedCall) -> None:
        """The call is over, just before its terminal event leaves, or as its reader leaves. Exactly once."""
        return


METHODS = ("begin", "attempt_begin", "first_piece", "attempt_end", "end")
_WANTED = "an observer must be an object with the methods of llmstream.observe.Observer"


def check_observers(observers: object) -> tuple[Observer, ...]:
    """The observers, as a client keeps them. Raises TypeError for what isn't one."""
    given: Sequence[Observer] = require_list(
        observers, f"observers must be a list such as [LogObserver()], not {observers!r}"
    )
    for observer in given:
        require_methods(observer, METHODS, _WANTED)
        unusable = [name for name in METHODS if _runs_later(getattr(observer, name))]
        require(
            not unusable,
            f"{', '.join(unusable)}: an observer is called, not awaited; use def without yield",
            TypeError,
        )
    return tuple(given)


def _runs_later(method: object) -> bool:
    """Whether a call of it alone runs nothing."""
    kinds = (iscoroutinefunction, isasyncgenfunction, isgeneratorfunction)
    return any(is_one(method) for is_one in kinds)


class Observation:
    """One call, as it is told to its observers: each ending is told once, and in order."""

    def __init__(
        self, observers: Sequence[Observer], call: ObservedCall, clock: Clock, *, is_direct: bool
    ) -> None:
        self._observers = observers
        self._call = call
        self._attempts = call.attempts
        self._now = clock.time
        self._is_direct = is_direct  # no middleware stands between the providers and the caller
        self._running: list[ObservedAttempt] = []
        # An observer may write on the records, so nothing is decided by what they hold.
        self._is_shown = False
        self._is_over = False
        self._tell("begin")

    def begin_attempt(self, provider: str, model: str, request: ChatRequest) -> AttemptObservation:
        """A provider is about to be asked."""
        number = len(self._attempts) + 1
        attempt = ObservedAttempt(number, provider, model, request, self._now())
        if not self._is_over:  # a middleware's own task may ask on when the call is over
            self._attempts.append(attempt)
            self._running.append(attempt)
            self._tell("attempt_begin", attempt)
        return AttemptObservation(self, attempt)

    def attempt_piece(self, attempt: ObservedAttempt, start: Start) -> None:
        """An attempt's first piece is there."""
        attempt.first_piece = self._now()
        attempt.start = start
        if self._is_direct:
            self.first_piece(start)

    def first_piece(self, start: Start) -> None:
        """An attempt's first piece leaves: the call's, if it is the first attempt that has one."""
        call = self._call
        call.start = start
        if not self._is_shown and not self._is_over:
            self._is_shown = True
            call.first_piece = self._now()
            self._tell("first_piece")

    def end_attempt(
        self, attempt: ObservedAttempt, event: StreamEvent | None, usage: Usage | None
    ) -> None:
        """An attempt is over, in this terminal event or (None) in an exception or an early leave."""
        if attempt in self._running:
            self._end_attempt(attempt, event, sys.exception(), usage)
        if event is not None and event.type is EventType.MESSAGE_COMPLETE:
            self.answer(event)

    def answer(self, event: StreamEvent | None) -> None:
        """The attempts came to this end; it is the call's, unless middleware has a say in it."""
        if self._is_direct:
            self.end(event)

    def end(self, event: StreamEvent | None) -> None:
        """The call is over, in this terminal event or (None) in an exception or an early leave."""
        self._end(event, sys.exception())

    def __del__(self) -> None:
        # Of a generator that is dropped when its event loop is closed, Python runs no `finally`.
        self._end(None, None)

    # --- inside --------------------------------------------------------------------------------------------

    def _end(self, event: StreamEvent | None, problem: BaseException | None) -> None:
        if self._is_over:
            return
        self._is_over = True
        for attempt in [*self._running]:
            self._end_attempt(attempt, None, problem, None)
        self._close(self._call, event, problem)
        if event is None:
            self._call.usage = _billed(self._attempts)
        else:
            self._call.message = event.message
        self._tell("end")

    def _end_attempt(
        self,
        attempt: ObservedAttempt,
        event: StreamEvent | None,
        problem: BaseException | None,
        usage: Usage | None,
    ) -> None:
        self._running.remove(attempt)
        self._close(attempt, event, problem)
        attempt.usage = usage
        self._tell("attempt_end", attempt)

    def _close(
        self,
        what: ObservedCall | ObservedAttempt,
        event: StreamEvent | None,
        problem: BaseException | None,
    ) -> None:
        what.ended = self._now()
        if event is None:
            what.outcome, what.error = _early_end(problem)
            return
        what.outcome = "complete" if event.type is EventType.MESSAGE_COMPLETE else "error"
        what.start = event.start or what.start
        what.finish_reason = event.finish_reason
        what.usage = event.usage
        what.error = event.error_info

    def _tell(self, method: str, *more: ObservedAttempt) -> None:
        for observer in self._observers:
            name = type(observer).__name__
            try:
                given = getattr(observer, method)(self._call, *more)
            except (KeyboardInterrupt, SystemExit):
                raise
            except BaseException:  # what it does must not cost anybody the answer
                logger.exception("the observer %s raised in %s", name, method)
                continue
            if iscoroutine(given):
                given.close()
                logger.error("the observer %s has an async %s, which isn't awaited", name, method)


class AttemptObservation:
    """One attempt, as the client tells it to its observers."""

    def __init__(self, observation: Observation, attempt: ObservedAttempt) -> None:
        self._observation = observation
        self._attempt = attempt

    def first_piece(self, start: Start) -> None:
        """The first piece is there."""
        self._observation.attempt_piece(self._attempt, start)

    def end(self, event: StreamEvent | None, usage: Usage | None = None) -> None:
        """It is over. Again: does nothing. `usage` is its own: the event's may be the sum of several."""
        self._observation.end_attempt(self._attempt, event, usage)


def new_call(
    provider: str, model: str, request: ChatRequest, *, streaming: bool, began: float
) -> ObservedCall:
    """The record of a call that begins now."""
    return ObservedCall(uuid4().hex, provider, model, request, streaming, began)


def _billed(attempts: Sequence[ObservedAttempt]) -> Usage | None:
    """The usage of a call without a terminal event."""
    known = [attempt.usage for attempt in attempts if attempt.usage is not None]
    return known[-1].over(known) if len(known) > 1 else next(iter(known), None)


def _early_end(problem: BaseException | None) -> tuple[Outcome, ErrorInfo | None]:
    """The outcome without a terminal event, by the exception that ended the generator."""
    if isinstance(problem, asyncio.CancelledError):
        return "cancelled", None
    if isinstance(problem, Exception):
        # Wrong arguments, which are raised before anything is sent.
        return "error", ErrorInfo("invalid_request", str(problem))
    return "stopped", None


def _request_id(told: ObservedCall | ObservedAttempt) -> str | None:
    if told.error is not None:
        return told.error.request_id
    return None if told.start is None else told.start.request_id


_ON_LEFT: ContextVar[Callable[[Usage], None] | None] = ContextVar("llmstream_on_left", default=None)


def on_left_usage(told: Callable[[Usage], None]) -> None:
    """From now on `told` hears what a call of this task, or of one that it begins, has used when it's left."""
    _ON_LEFT.set(told)


def tell_left_usage(usage: Usage | None) -> None:
    """A call was left before its end, and has used this."""
    told = _ON_LEFT.get()
    if told is not None and usage is not None:
        told(usage)


# --- the log ---------------------------------------------------------------------------------------------------


class LogObserver(Observer):
    """One line for each call that ended, in the logger `llmstream.calls`. Never content.

        time=2026-11-30T09:05:01.250Z call=5f0c… model=gpt-5-mini provider=openai status=complete finish=stop
        input=12 output=80 first_ms=310 ms=1204 answer=chatcmpl-1 request=req_1 attempts=1

    `time` is that of the begin. `first_ms` and `ms` are milliseconds to the first piece and to the end.
    `answer` and `request` are the provider's ids of the answer and of the request. A call that failed
    has `error`, its kind, and `http`, the status that refused it. What isn't known is left out. `level` is that of
    the records: Python shows those below WARNING only where logging was configured, for instance by
    `logging.basicConfig(level="INFO")`.
    """

    def __init__(self, level: int = logging.INFO) -> None:
        self._level = level
        self._logger = get_logger("llmstream.calls")

    def end(self, call: ObservedCall) -> None:
        """Write the line."""
        if not self._logger.isEnabledFor(self._level):
            return
        known = present(**_fields(call))
        line = " ".join(f"{name}={as_word(value)}" for name, value in known.items())
        self._logger.log(self._level, "%s", line)


def _fields(call: ObservedCall) -> dict[str, Any]:
    asked = call.attempts[-1] if call.attempts else call
    start = call.start or Start()
    usage = call.usage or Usage()
    error = call.error
    kind, http = (None, None) if error is None else (error.kind, error.status_code)
    began = datetime.fromtimestamp(call.began_at, UTC)
    return {
        "time": began.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "call": call.id,
        "model": start.model or asked.model,
        "provider": start.provider or asked.provider,
        "status": call.outcome,
        "finish": call.finish_reason,
        "error": kind,
        "http": http,
        "input": usage.input_tokens,
        "output": usage.output_tokens,
        "cost": dollars(usage.cost),
        "first_ms": milliseconds(call.began, call.first_piece),
        "ms": milliseconds(call.began, call.ended),
        "answer": start.id,
        "request": call.request_id,
        "attempts": len(call.attempts),
    }


def dollars(cost: Decimal | None) -> str | None:
    """US dollars in digits, never in powers of ten."""
    return None if cost is None else f"{cost.normalize():f}"


def milliseconds(began: float, ended: float | None) -> int | None:
    return None if ended is None else round((ended - began) * 1000)


_ODD = re.compile(r"[^\w.:/@+-]", re.ASCII)


def as_word(value: object) -> str:
    """A value as one word, so that foreign text can't look like a further field or line."""
    return _ODD.sub("_", str(value))[:100]
