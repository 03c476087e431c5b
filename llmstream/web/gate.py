"""Gate: lets requests in by the rules of `llmstream.web.access`, or refuses them, and keeps the record of each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import nullcontext
from functools import partial
from typing import Any, cast

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from llmstream.log import get_logger
from llmstream.providers.url_checks import is_loopback
from llmstream.web.access import (
    PUBLIC,
    UNKNOWN,
    Access,
    given_key,
    hide_query_key,
    own_path,
    sender,
)
from llmstream.web.errors import RefusedError, log_refusal
from llmstream.web.limits import Slots
from llmstream.web.refusals import Refusal, RenderError
from llmstream.web.request_records import UNREAD, NotedSend, RequestRecords
from llmstream.web.served_request import ServedRequest, note_error, set_current
from llmstream.web.server_log import REFUSED
from llmstream.web.wrong_keys import RepeatedRefusal, WrongKeys

logger = get_logger("llmstream.web")

FORESEEN = (RefusedError, HTTPException, ClientDisconnect)
"""What endpoints raise and is answered in the words of their paths."""

Endpoint = Callable[[Request], Awaitable[Response]]
Respond = Callable[[Request, Exception], Awaitable[Response]]


class Gate:
    """Lets requests in, or refuses them, and keeps the record of each.

    `shape` gives the words of a path's dialect. What is posted to one of `endpoints` goes straight there, since
    Starlette's layers cost more than all that an endpoint does. `respond` makes the answer to what was raised. It is
    given here, inside of the CORS middleware: without its headers no page elsewhere reads a 500.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        access: Access,
        slots: Slots,
        shape: Callable[[str], RenderError],
        records: RequestRecords,
        endpoints: Mapping[str, Endpoint],
        respond: Respond,
    ) -> None:
        self._app, self._access, self._shape = app, access, shape
        self._slots, self._records = slots, records
        self._endpoints, self._respond = endpoints, respond
        self._wrong_keys = WrongKeys()
        self._has_warned = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check, and pass on."""
        if scope["type"] not in ("http", "websocket"):
            scope.get("state", {})[UNREAD] = self._records.tell_unread
            await self._app(scope, receive, send)
            return
        hide_query_key(scope)
        scope = _without_slash(scope)
        is_http = scope["type"] == "http"
        connection = HttpRequest(scope, receive) if is_http else HTTPConnection(scope)
        request_id = self._records.request_id(connection)
        scope["state"] = {**scope.get("state", {}), "request_id": request_id}
        record = self._records.new(connection, request_id)
        set_current(record)
        problem: BaseException | None = None
        send = NotedSend(send, record)
        record.begin()
        try:
            await self._answer(record, connection, receive, send)
        except BaseException as raised:
            problem = raised
            if isinstance(raised, Exception) and isinstance(connection, Request):
                await self._answer_unforeseen(raised, record, connection, send)
            raise
        finally:
            record.end(problem)

    async def _answer_unforeseen(
        self, problem: Exception, record: ServedRequest, request: Request, send: Send
    ) -> None:
        """Answer what was raised before an answer began. The server logs it."""
        if record.status is None:
            response = await self._respond(request, problem)
            await response(request.scope, request.receive, send)

    async def _answer(
        self, record: ServedRequest, connection: HTTPConnection, receive: Receive, send: Send
    ) -> None:
        scope = connection.scope
        try:
            self._access.check_host(connection)
            self._access.check_origin(connection)
            path = own_path(scope)
            public = path in PUBLIC
            scope["state"]["who"] = who = "" if public else await self._identify(connection)
            scope["state"]["keyed"] = is_keyed = self._access.keys is not None
            if is_keyed and not public:
                record.key, record.limits = who, self._access.limits_of(who)
            # For endpoints that answer more than one request at a time.
            scope["state"]["slot"] = partial(self._slots.taken, who)
            scope["state"]["recheck"] = partial(self._recheck, who)
            endpoint = self._endpoints.get(path) if record.method == "POST" else None
            with nullcontext() if public else self._slots.taken(who):
                # The app turns its own RefusedErrors into responses.
                if endpoint is None:
                    await self._app(scope, receive, send)
                    return
                # Here, because each piece of the answer goes through all that waits for it.
                request = cast("Request", connection)
                try:
                    response = await endpoint(request)
                except FORESEEN as problem:
                    response = await self._respond(request, problem)
                await response(scope, receive, send)
        except RefusedError as problem:
            await self._refuse(problem, scope, receive, send)

    async def _identify(self, connection: HTTPConnection) -> str:
        """The caller's name. Raises RefusedError for a stranger."""
        name, reason = await self._access.find_name(connection)
        if name is None:
            has_key = bool(given_key(connection))
            raise self._wrong_keys.refusal(sender(connection), reason, has_key=has_key)
        if self._access.keys is not None and not self._has_warned:
            self._warn_of_plain_http(connection)
        return name

    async def _recheck(self, who: str, connection: HTTPConnection) -> None:
        """Raise RefusedError if the caller isn't known by this name any more: a connection may outlive its key."""
        if self._access.keys is not None and await self._identify(connection) != who:
            raise self._wrong_keys.refusal(sender(connection))

    def _warn_of_plain_http(self, connection: HTTPConnection) -> None:
        """Say once that a key came unencrypted from another machine."""
        is_plain = connection.scope.get("scheme") in ("http", "ws")
        host = sender(connection)
        if not is_plain or host == UNKNOWN or is_loopback(host):
            return
        self._has_warned = True
        logger.warning(
            "a key came over plain http from %s: whoever is in between can read it. Put a proxy with TLS in front; "
            "if there is one, have it send X-Forwarded-Proto, and name its address in FORWARDED_ALLOW_IPS",
            host,
        )

    async def _refuse(
        self, problem: RefusedError, scope: Scope, receive: Receive, send: Send
    ) -> None:
        render = self._shape(own_path(scope))
        request_id = scope["state"]["request_id"]
        connection = HTTPConnection(scope)
        host = sender(connection)
        is_repeated = isinstance(problem, RepeatedRefusal)
        if problem.info.status_code == 403:
            is_repeated = self._wrong_keys.is_repeated(host, problem)
        if is_repeated:
            note_error(problem.info, is_upstream=False)
        else:
            log_refusal(problem, request_id, self._records.describe(connection))
        response = Refusal(problem.info, request_id, render_error=render, headers=problem.headers)
        if scope["type"] == "http":
            await response(scope, receive, send)
        else:
            await deny(WebSocket(scope, receive, send), response)


class _FirstHeaders(Headers):
    """Headers of which the first of a name is found at once. Starlette looks at all of them each time."""

    def __init__(self, raw: list[tuple[bytes, bytes]]) -> None:
        super().__init__(raw=raw)
        self._first = dict(reversed([*raw]))

    def get(self, key: str, default: Any = None) -> Any:
        """The value of the first header of this name."""
        value = self._first.get(key.lower().encode("latin-1"))
        return default if value is None else value.decode("latin-1")


class HttpRequest(Request):
    """A request whose headers are asked for several times."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        super().__init__(scope, receive)
        self._known = _FirstHeaders(scope["headers"])

    @property
    def headers(self) -> Headers:
        """The headers, by names in any case."""
        return self._known


async def deny(websocket: WebSocket, response: Refusal) -> None:
    """Refuse a WebSocket: with a real HTTP answer where the server can."""
    if "websocket.http.response" in websocket.scope.get("extensions", {}):
        await websocket.send_denial_response(response)
        REFUSED.set(True)
    else:
        await websocket.close(1008)


def _without_slash(scope: Scope) -> Scope:
    """A path with a slash at its end is the one without: a redirect would lose many a client its body."""
    if not scope["path"].endswith("/") or own_path(scope) == "/":
        return scope
    return {**scope, "path": scope["path"].rstrip("/")}
