"""Gateway: the ASGI app of a server whose settings may change while it runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, nullcontext
from typing import Any

from llmstream.gateway.rate_table import RateTable
from llmstream.gateway.server_store import ServerStore
from llmstream.gateway.settings import ServerSettings
from llmstream.web import Metrics, RequestObserver, create_app
from llmstream.web.request_records import UNREAD

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
Lifespan = Callable[[], AbstractAsyncContextManager[None]]
Ready = Callable[[], str | None]
"""Returns what is missing before the server is ready, None where nothing is."""


class Generation:
    """The client and the app of one reading of the settings. Raises ConfigurationError."""

    def __init__(
        self,
        settings: ServerSettings,
        store: ServerStore,
        rates: RateTable,
        ready: Ready | None,
        observers: Sequence[RequestObserver],
    ) -> None:
        self.settings = settings
        self._store = store
        is_limited = settings.model_rates or settings.rate is not None
        self.client = settings.models.open_client(rates.limiter if is_limited else None)
        self._conversations = store.conversations(self.client)
        self.app = create_app(
            self.client,
            models=settings.models.names(self.client),
            access=settings.access,
            limits=settings.limits,
            conversations=self._conversations,
            ready=ready,
            observers=observers,
            hosted_tools=settings.hosted_tools,
        )
        self._rates = rates
        self._stack = AsyncExitStack()
        self._running = 0
        self._is_retired = False

    async def open(self) -> None:
        """Start the app."""
        self._rates.replace(self.settings.model_rates, self.settings.rate)
        self._store.limit(*self.settings.kept)
        self._stack.push_async_callback(self.client.aclose)
        if not callable(self._conversations):  # else it is the app that makes and closes them
            self._stack.push_async_callback(self._conversations.aclose)
        await self._stack.enter_async_context(self.app.router.lifespan_context(self.app))

    async def answer(self, scope: Any, receive: Receive, send: Send) -> None:
        """Answer one request, or one WebSocket."""
        self._running += 1
        try:
            await self.app(scope, receive, send)
        finally:
            self._running -= 1
            if self._is_retired:
                await self._close_if_done()

    async def retire(self) -> None:
        """No more requests come. Once the last has its answer, everything is closed."""
        self._is_retired = True
        self.app.state.retired.set()
        await self._close_if_done()

    async def aclose(self) -> None:
        """Close it now."""
        await self._stack.aclose()

    async def _close_if_done(self) -> None:
        if self._is_retired and not self._running:
            await self.aclose()


class Gateway:
    """Answers each request with the newest generation. One that runs keeps the generation that it began with."""

    def __init__(
        self,
        settings: ServerSettings,
        store: ServerStore,
        lifespan: Lifespan = nullcontext,
        ready: Ready | None = None,
        observers: Sequence[RequestObserver] = (),
    ) -> None:
        self._store = store
        self._ready = ready
        self._observers = observers
        self._rates = RateTable()
        self._current = self._generation(settings)
        self._lifespan = lifespan

    def __repr__(self) -> str:
        return repr(self._current.client)

    @property
    def settings(self) -> ServerSettings:
        """Those that hold for requests from now on."""
        return self._current.settings

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """The ASGI app."""
        if scope["type"] == "lifespan":
            scope.get("state", {})[UNREAD] = self._tell_unread
            await self._live(receive, send)
        else:
            await self._current.answer(scope, receive, send)

    async def replace(self, settings: ServerSettings) -> None:
        """Go on with these settings. Raises ConfigurationError, and then nothing has changed."""
        new = self._generation(settings)
        await new.open()
        old, self._current = self._current, new
        new.app.state.slots.go_on_from(old.app.state.slots)
        new.app.state.key_rates.go_on_from(old.app.state.key_rates)
        await old.retire()

    def _tell_unread(self, status: int, client: str) -> None:
        """Let the newest generation keep a record of what the server refused without it."""
        self._current.app.state.records.tell_unread(status, client)

    def _generation(self, settings: ServerSettings) -> Generation:
        is_counting = any(isinstance(each, Metrics) for each in self._observers)
        if settings.access.metrics and not is_counting:
            self._observers = (*self._observers, Metrics())  # from now on, over all reloads
        return Generation(settings, self._store, self._rates, self._ready, self._observers)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        await self._current.open()
        async with self._lifespan():
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await self._current.aclose()
        await self._store.aclose()
        await send({"type": "lifespan.shutdown.complete"})
