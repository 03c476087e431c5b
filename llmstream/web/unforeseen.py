"""Unforeseen exceptions: answered inside of the CORS middleware, else no page elsewhere could read a 500."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Unforeseen:
    """Answers with what `respond` makes of an exception, and raises it again for the server to log."""

    def __init__(
        self, app: ASGIApp, respond: Callable[[Request, Exception], Awaitable[Response]]
    ) -> None:
        self._app, self._respond = app, respond

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and answer what was raised before an answer began."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = _Begun(send)
        try:
            await self._app(scope, receive, begun)
        except Exception as problem:
            if not begun.is_true:
                response = await self._respond(Request(scope), problem)
                await response(scope, receive, send)
            raise


class _Begun:
    """The server's `send`, and whether it was called."""

    __slots__ = ("_send", "is_true")

    def __init__(self, send: Send) -> None:
        self._send = send
        self.is_true = False

    def __call__(self, message: Message) -> Awaitable[None]:
        self.is_true = True
        return self._send(message)
