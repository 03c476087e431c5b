"""Middleware: async generators around a whole call, inside the guard that keeps its stream legal.

    async def passing(request, call, next):
        async for event in next(request):
            yield event

    client = LLMClient("openai:gpt-5-mini", middleware=[passing])

A middleware may pass on other events than `next` gives, a request that it changed, or an answer that
it has already: `next` may be called once, not at all, or several times.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from inspect import iscoroutine, iscoroutinefunction
from typing import Any, Protocol, TypeAlias

from llmstream.attempt import as_error
from llmstream.attempts import Attempts
from llmstream.checks import require, require_list
from llmstream.errors import ErrorInfo, LLMError
from llmstream.events.any_event import AnyEvent
from llmstream.events.flow import Flow
from llmstream.events.grammar import TERMINAL
from llmstream.events.relay import Relay
from llmstream.events.types import StreamEvent, failure_of
from llmstream.log import get_logger
from llmstream.messages import ChatRequest
from llmstream.observe import Observation
from llmstream.providers.provider import Call
from llmstream.providers.watchdog import closed
from llmstream.tasks import is_foreign

__all__ = ["Middleware", "Next"]

logger = get_logger("llmstream.middleware")

Next: TypeAlias = Callable[[ChatRequest], AsyncGenerator[AnyEvent, None]]
"""Asks the next middleware, or after the last one the providers. Takes a request, returns the events of its answer."""


class Middleware(Protocol):
    """An async generator function, or a function that returns what an operator of `llmstream.streams` does.

    It runs once per call, with its retries and fallbacks inside `next`, and yields the events of one
    stream: in batch mode too, where only the terminal event goes on to the caller. What it yields is
    made legal: `message` is made of the pieces that it yielded, and one MESSAGE_COMPLETE with a message
    stands for its pieces.

    `request` is not to be changed in place: give `next` a `dataclasses.replace(request, …)`, which is
    checked as a caller's is. Its `model` is a name at the client's own provider, or "provider:model".
    `call` is the one that every attempt gets: clocks, deadline, headers.

    What it raises ends the stream in an ERROR: an LLMError in its own; TypeError, ValueError and
    ConfigurationError are raised to the caller if nothing was asked yet. What stands after its last
    event runs before the caller sees the terminal event. When the caller leaves, the generators are
    closed, outermost first. No clock ends its own waits, and those before the first event count for
    `timeouts.total`.
    """

    def __call__(
        self, request: ChatRequest, call: Call, next: Next, /
    ) -> AsyncGenerator[StreamEvent, None] | Flow[StreamEvent]:
        """The events of the answer to `request`."""
        ...


def check_middleware(middleware: object) -> tuple[Middleware, ...]:
    """The middleware, as a client keeps it. Raises TypeError for what isn't a list of functions."""
    given: Sequence[Middleware] = require_list(
        middleware, f"middleware must be a list such as [cache], not {middleware!r}"
    )
    for each in given:
        require(
            callable(each) and not isinstance(each, type),
            f"a middleware must be an async generator function, not {each!r}",
            TypeError,
        )
        require(
            not iscoroutinefunction(each),
            f"a middleware must be an async generator: {each!r} has no yield",
            TypeError,
        )
    return tuple(given)


class MiddlewareRun:
    """One call through all middleware, as the client reads it: its only step.

    `ask` makes the attempts for a request, and raises for one that is wrong.
    """

    timed_here = False

    def __init__(
        self,
        middleware: Sequence[Middleware],
        request: ChatRequest,
        call: Call,
        ask: Callable[[ChatRequest], Attempts],
        *,
        relay: Relay,
        observation: Observation | None,
    ) -> None:
        self._middleware = middleware
        self._request = request
        self._call = call
        self._ask = ask
        self._relay = relay
        self._observation = observation
        self._events: Any = None  # of the outermost middleware
        self._opened: list[Any] = []  # all generators, outermost first
        self._attempts: list[Attempts] = []
        self._is_begun = False
        self._is_abandoned = False
        self.is_over = False

    async def next_step(self) -> MiddlewareRun | None:
        """The step that goes on; None: the call is over."""
        return None if self.is_over else self

    async def advance(self) -> Sequence[StreamEvent]:
        """The events that may leave now, perhaps none. Raises only for wrong arguments."""
        if self._is_abandoned:
            return self._end(self._relay.fail(closed()))
        try:
            event = await self._pull()
        except StopAsyncIteration:
            flaw = "the middleware ended before the answer did"
            info = ErrorInfo("truncated", flaw, retryable=False)
            return self._end(self._relay.fail(info))
        except BaseException as problem:
            if not is_foreign(problem):
                raise
            return self._end(self._raised(problem))
        events = self._take(event)
        if not self._relay.ended:
            return events
        if isinstance(event, StreamEvent) and event.type in TERMINAL:
            await self._finish()
        return self._end(events)

    def exclude(self, seconds: float) -> None:
        """Nothing to do: the time that the caller spends on an event is the middleware's."""

    def abandon(self) -> None:
        """The client was closed: ask nobody any more, and end at the next step."""
        self._is_abandoned = True
        for attempts in self._attempts:
            attempts.abandon()

    async def aclose(self) -> None:
        """Close all generators, outermost first, whatever each of them raises."""
        opened, self._opened, self._events = self._opened, [], None
        try:
            async with AsyncExitStack() as stack:
                for events in reversed(opened):
                    stack.push_async_callback(_close, events)
        finally:
            if self._observation is not None:
                self._observation.end(None)

    # --- the events ----------------------------------------------------------------------------------------

    async def _pull(self) -> Any:
        """The outermost middleware's next event, or whatever else it yields."""
        if self._events is None:
            self._events = self._open(0, self._request)
        return await self._events.__anext__()

    def _open(self, depth: int, request: ChatRequest) -> Any:
        """The events of the middleware at this depth; beneath the last, of the providers."""
        if depth == len(self._middleware):
            events: Any = self._provider_events(request)
        else:
            middleware = self._middleware[depth]
            events = middleware(request, self._call, partial(self._open, depth + 1))
            _check_events(events, middleware)
        self._opened.append(events)
        return events

    async def _provider_events(self, request: ChatRequest) -> AsyncGenerator[StreamEvent, None]:
        attempts = self._ask(request)
        self._attempts.append(attempts)
        if self._is_abandoned:
            attempts.abandon()
        now = self._call.clock.time
        try:
            # As `LLMClient.chat_completion` reads them, which needs no generator in between.
            while (step := await attempts.next_step()) is not None:
                while not step.is_over:
                    for event in await step.advance():
                        self._is_begun = True
                        held = now()
                        yield event
                        if step.timed_here:
                            attempts.exclude(now() - held)
        finally:
            self._attempts.remove(attempts)
            await attempts.aclose()

    def _take(self, event: Any) -> Sequence[StreamEvent]:
        self._is_begun = True
        flaw = self._relay.flaw(event)
        if flaw is not None:
            return self._relay.fail(ErrorInfo("internal", f"the middleware yielded {flaw}"))
        try:
            return self._relay.feed(event)
        except Exception as problem:  # noqa: BLE001  # values of wrong types, deep inside an event
            return self._raised(problem)

    # --- the end -------------------------------------------------------------------------------------------

    def _raised(self, problem: BaseException) -> Sequence[StreamEvent]:
        """The ERROR for what a middleware raised. Wrong arguments are raised again."""
        if isinstance(problem, LLMError):
            return self._relay.fail(problem.info)
        failed = as_error(problem, "middleware", logger, begun=self._is_begun)
        return self._relay.fail(failure_of(failed))

    async def _finish(self) -> None:
        """Run what stands after the last event of each middleware. It can't change the answer any more."""
        try:
            await self._pull()
        except StopAsyncIteration:
            pass
        except BaseException as problem:
            if not is_foreign(problem):
                raise
            logger.exception("the middleware raised %s after the answer", type(problem).__name__)

    def _end(self, events: Sequence[StreamEvent]) -> Sequence[StreamEvent]:
        self.is_over = True
        if self._observation is not None:
            self._observation.end(events[-1])
        return events


def _check_events(events: object, middleware: Middleware) -> None:
    """Raise TypeError for what can't be read and closed."""
    if hasattr(events, "__anext__") and hasattr(events, "aclose"):
        return
    if iscoroutine(events):
        events.close()  # nobody will await it
    kind = type(events).__name__
    raise TypeError(f"a middleware must be an async generator: {middleware!r} returned a {kind}")


async def _close(events: Any) -> None:
    try:
        await events.aclose()
    except BaseException as problem:
        if not is_foreign(problem):
            raise
        logger.warning("the middleware raised while it was closed", exc_info=True)
