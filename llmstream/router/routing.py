"""RouterWithDispatcher: from a request to the stream that answers it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

from llmstream.clock import Clock
from llmstream.errors import ConfigurationError
from llmstream.events.any_event import AnyEvent
from llmstream.router.classify import Router
from llmstream.router.decision import Strategy
from llmstream.router.dispatch import Dispatcher
from llmstream.router.routes import R


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
        if dispatcher.routes is not routes:
            raise ConfigurationError(
                f"the dispatcher is for {dispatcher.routes.__name__}, not for {routes.__name__}"
            )
        dispatcher.check()
        self.dispatcher = dispatcher

    async def route_request(self, text: str) -> AsyncGenerator[AnyEvent, None]:
        """Classify the request and give the stream that answers it, which begins with STATUS(kind="routed").

        The status's `data` has `route`, `by` (the strategy), and where there are any `score` and `failed`. What goes
        wrong with a handler is an ERROR in the stream. Raises, before there is a stream, TypeError or ValueError for
        what is no text or has no words. In a web endpoint: `return respond(request, await router.route_request(text))`.
        """
        decision = await self.decide(text)
        return await self.dispatcher.dispatch(decision.route, text, ahead=(decision.status(),))
