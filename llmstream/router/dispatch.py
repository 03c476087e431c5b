"""Dispatcher: a handler for each route, whose answer is one stream."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Sequence
from typing import Any, Generic, TypeAlias, TypeVar

from llmstream.checks import require
from llmstream.clock import Clock, LoopClock, Timer
from llmstream.errors import ConfigurationError
from llmstream.events.any_event import AnyEvent, narrow
from llmstream.events.types import StreamEvent
from llmstream.router.handler_stream import Answering
from llmstream.router.routes import R, check_request, check_routes, defined, parse_route, undefined
from llmstream.router.user_functions import check_seconds
from llmstream.streams.read_ahead import Branch, Pump

Items: TypeAlias = (
    AsyncIterable[str] | AsyncIterable[StreamEvent] | AsyncIterable[str | StreamEvent]
)
Handler: TypeAlias = Callable[[str], Items | Awaitable[Items | str] | str]
"""Answers a request: with events or pieces of text as they come, or with the whole text."""
H = TypeVar("H", bound=Handler)

_AHEAD = 16
"""Events that a handler may be ahead of whoever reads."""


class Dispatcher(Generic[R]):
    """Hands a request to the handler of its route.

        dispatcher = Dispatcher(AllowedValues)

        @dispatcher.handler(AllowedValues.BILLING)
        async def billing(request: str) -> AsyncIterator[str]:
            yield "Your invoice …"

    A handler is an async generator of text or StreamEvents, an async function that returns text or such an iterator, or
    a function that returns one (`lambda request: client.chat_completion([…])`), which runs in a thread. What becomes of
    each thing it can do is in `llmstream.router.handler_stream`. `timeout` is the seconds it may give nothing while
    somebody waits (None: no limit). `keep_message=False` is for endless answers, as in LLMClient. `clock` is for tests.

    NOT_DEFINED is answered with what can be asked, unless it has a handler.
    """

    def __init__(
        self,
        routes: type[R],
        *,
        timeout: float | None = 300.0,
        keep_message: bool = True,
        clock: Clock | None = None,
    ) -> None:
        self.routes = check_routes(routes)
        self._timeout = check_seconds(timeout)
        self._keep = keep_message
        self._clock = clock or LoopClock()
        self._handlers: dict[R, Any] = {}

    def handler(self, *routes: R) -> Callable[[H], H]:
        """Register the decorated function for these routes. Raises ConfigurationError, TypeError for what can't be."""
        parsed = [parse_route(self.routes, route) for route in routes]
        require(
            parsed,
            "handler needs a route: @dispatcher.handler(AllowedValues.BILLING)",
            ConfigurationError,
        )

        def register(handler: H) -> H:
            _check_handler(handler)
            taken = [route.name for route in parsed if route in self._handlers]
            problem = f"{', '.join(taken)} has a handler already"
            require(not taken, problem, ConfigurationError)
            self._handlers.update(dict.fromkeys(parsed, handler))
            return handler

        return register

    def check(self) -> None:
        """Raise ConfigurationError if a route has no handler."""
        missing = [route.name for route in defined(self.routes) if route not in self._handlers]
        problem = f"no handler for {', '.join(missing)}: register one with @dispatcher.handler(…)"
        require(not missing, problem, ConfigurationError)

    async def dispatch(
        self, route: R, text: str, *, ahead: Sequence[StreamEvent] = ()
    ) -> AsyncGenerator[AnyEvent, None]:
        """The stream that answers; the handler begins with its first step, and closing it closes the handler at once.

        `ahead` are events to be given before the handler's: STATUS. Raises before there is a stream: ConfigurationError
        for a route that has no handler or is none of `routes`, TypeError or ValueError for a text that is none.
        """
        check_request(text)
        route = parse_route(self.routes, route)
        handler = self._handlers.get(route)
        if handler is None and route is undefined(self.routes):
            handler = self._help
        require(
            handler is not None,
            f"no handler for {route.name}: register one with @dispatcher.handler(…)",
            ConfigurationError,
        )
        return self._stream(Answering(handler, route.value, text, keep_message=self._keep), ahead)

    @narrow
    async def _stream(
        self, answering: Answering, ahead: Sequence[StreamEvent]
    ) -> AsyncGenerator[StreamEvent, None]:
        for event in ahead:
            yield event
        silence = _Silence(self._timeout, self._clock)
        branch = Branch(Pump(answering.events(), high=_AHEAD, low=_AHEAD // 2))
        try:
            while await silence.wait(branch):
                while branch.items:
                    yield branch.take()
        finally:
            answering.stop()
            await branch.aclose()
        if silence.expired is not None:
            for event in answering.expire(silence.expired):
                yield event

    async def _help(self, text: str) -> str:
        routes = [f"- {route.description}" for route in defined(self.routes)]
        return "\n".join(
            ["I could not tell what your request is about. You can ask about:", *routes]
        )


class _Silence:
    """Waits for a branch, but not for ever. The time in which nobody waits does not count."""

    def __init__(self, seconds: float | None, clock: Clock) -> None:
        self._seconds, self._clock = seconds, clock
        self.expired: float | None = None
        """The limit, once it was reached."""

    async def wait(self, branch: Branch) -> bool:
        """Until something comes. False at the end, and when it took too long."""
        if self._seconds is None or branch.items:
            return await branch.wait()
        timer = self._arm(branch, self._seconds)
        try:
            going = await branch.wait()
        finally:
            timer.cancel()
        if branch.items:
            self.expired = None  # it came just in time
        return going and self.expired is None

    def _arm(self, branch: Branch, seconds: float) -> Timer:
        def ring() -> None:
            self.expired = seconds
            branch.wake()

        return self._clock.call_later(seconds, ring)


def _check_handler(handler: Any) -> None:
    if inspect.isgeneratorfunction(handler):
        raise TypeError(
            f"{handler.__qualname__} would block the event loop: make it an async generator (async def)"
        )
    require(callable(handler), f"a handler must be a function, not {handler!r}", TypeError)
    try:
        inspect.signature(handler).bind("text")
    except TypeError as problem:
        raise TypeError(
            f"a handler must take one argument, the request's text: {problem}"
        ) from None
    except ValueError:
        return  # a built-in that doesn't tell
