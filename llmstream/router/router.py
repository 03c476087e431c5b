"""Router: strategies asked in order; the first that decides wins."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import replace
from typing import Any, Generic

from llmstream.checks import require
from llmstream.clock import Clock, LoopClock
from llmstream.errors import ConfigurationError
from llmstream.events.any_event import AnyEvent
from llmstream.log import describe, get_logger
from llmstream.router.decision import Decision, Strategy, Verdict
from llmstream.router.dispatch import Dispatcher
from llmstream.router.routes import R, check_request, check_routes, parse_route, undefined
from llmstream.router.user_functions import call, check_seconds
from llmstream.tasks import is_cancelled, within

logger = get_logger("llmstream.router")


class Router(Generic[R]):
    """Says which of `routes` a request belongs to.

    `strategies` are asked in order: what `rules`, `by_similarity` and `by_model` make, and functions of yours, from a
    text to a route, or None to leave it to the next. An async function runs in the loop; another one in a thread of its
    own. One that fails is logged, without the request, and passed over; SystemExit is such a failure, too.

    `timeout` is the seconds that all of them have together (None: no limit). `default` is the route where none of them
    decides, fails or comes in time; NOT_DEFINED unless given. `clock` is for tests. May be shared by any number of
    requests at once.
    """

    def __init__(
        self,
        routes: type[R],
        strategies: Sequence[Strategy[R]],
        *,
        default: R | None = None,
        timeout: float | None = 10.0,
        clock: Clock | None = None,
    ) -> None:
        self.routes = check_routes(routes)
        require(
            isinstance(strategies, Sequence) and strategies and all(map(callable, strategies)),
            f"strategies must be a list of functions such as rules({{…}}), not {strategies!r}",
            TypeError,
        )
        self._strategies = [(_name(strategy), strategy) for strategy in strategies]
        self._default = undefined(routes) if default is None else parse_route(routes, default)
        self._timeout = check_seconds(timeout)
        self._clock = clock or LoopClock()

    async def classify(self, text: str) -> R:
        """The route of a request. Raises as `decide` does."""
        return (await self.decide(text)).route

    async def decide(self, text: str) -> Decision[R]:
        """The route, and how it was found. Raises TypeError or ValueError for what is no text, or has no words."""
        check_request(text)
        asked = [self._strategies[0][0]]
        failed: list[str] = []
        decision = None
        try:
            decision = await within(self._timeout, self._clock, self._ask(text, asked, failed))
        except TimeoutError:
            logger.warning("strategy %s: no decision within %g s", asked[-1], self._timeout)
            failed.append(f"{asked[-1]}: timeout")
        return replace(decision or Decision(self._default, "default"), failed=tuple(failed))

    async def _ask(self, text: str, asked: list[str], failed: list[str]) -> Decision[R] | None:
        for name, strategy in self._strategies:
            asked.append(name)
            try:
                decision = self._parse(await call(strategy, text))
            except (Exception, asyncio.CancelledError, SystemExit) as problem:
                if is_cancelled():
                    raise asyncio.CancelledError from problem  # whatever a strategy makes of being cancelled
                logger.warning("strategy %s raised %s", name, describe(problem))
                failed.append(f"{name}: {type(problem).__name__}")
                continue
            if decision is not None:
                return replace(decision, by=decision.by or name)
        return None

    def _parse(self, verdict: Verdict[R]) -> Decision[R] | None:
        if isinstance(verdict, Decision):
            return replace(verdict, route=parse_route(self.routes, verdict.route))
        return None if verdict is None else Decision(parse_route(self.routes, verdict))


class RouterWithDispatcher(Router[R]):
    """A Router that has its requests answered by a Dispatcher of the same routes, which then has all its handlers.

    Raises ConfigurationError, when it is made, for a route without a handler. The rest is as in Router.
    """

    def __init__(
        self,
        routes: type[R],
        strategies: Sequence[Strategy[R]],
        dispatcher: Dispatcher[R],
        *,
        default: R | None = None,
        timeout: float | None = 10.0,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(routes, strategies, default=default, timeout=timeout, clock=clock)
        require(
            dispatcher.routes is routes,
            f"the dispatcher is for {dispatcher.routes.__name__}, not for {routes.__name__}",
            ConfigurationError,
        )
        dispatcher.check()
        self.dispatcher = dispatcher

    async def route_request(self, user_request: str) -> AsyncGenerator[AnyEvent, None]:
        """Classify the request and give the stream that answers it, which begins with STATUS(kind="routed").

        A subclass with a `classify` of its own, async or not, decides by it. The status's `data` has `route`, `by` (the
        strategy), and where there are any `score` and `failed`. What goes wrong with a handler is an ERROR in the
        stream. Raises, before there is a stream, TypeError or ValueError for what is no text or has no words. In a web
        endpoint: `return respond(request, await router.route_request(text))`.
        """
        decision = await self._decide(user_request)
        ahead = (decision.status(),)
        return await self.dispatcher.dispatch(decision.route, user_request, ahead=ahead)

    async def _decide(self, text: str) -> Decision[R]:
        """What `decide` says, or the `classify` of a subclass."""
        if type(self).classify is Router.classify:
            return await self.decide(text)
        check_request(text)
        found: Any = self.classify(text)
        route = await found if inspect.isawaitable(found) else found
        return Decision(parse_route(self.routes, route), "classify")


def _name(strategy: Callable[..., Any]) -> str:
    while isinstance(strategy, functools.partial):
        strategy = strategy.func
    return str(getattr(strategy, "__name__", type(strategy).__name__))
