"""RequestRecords: makes the record of each request to an app, also of those that its endpoints never see."""

from __future__ import annotations

from collections.abc import Awaitable, Collection, Sequence
from typing import Final

from starlette.middleware.cors import CORSMiddleware
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from llmstream.errors import ErrorInfo, ErrorKind
from llmstream.web.access import Access, given_key, own_path, sender
from llmstream.web.errors import new_request_id
from llmstream.web.hidden_keys import KeyHider, ShownPath
from llmstream.web.path_table import PathTable
from llmstream.web.piece_writer import piece_writer
from llmstream.web.served_request import RequestObserver, ServedRequest

UNREAD: Final = "llmstream.unread"
"""Where an app's lifespan state has `RequestRecords.tell_unread`, which the server's connections call."""
_KINDS: Final[dict[int, ErrorKind]] = {408: "timeout", 503: "overloaded"}
"""What the server itself answers; every other status is the request's fault."""


class RequestRecords:
    """Makes records, and tells `observers` of each.

    `paths` are those that the app has, `plain` those among them that a log shows as they are, `apis` the names of APIs
    by their paths. No record has a key of the server's, nor one that looks like a vendor's.
    """

    def __init__(
        self,
        access: Access,
        *,
        apis: PathTable[str],
        paths: Collection[str],
        plain: Collection[str],
        observers: Sequence[RequestObserver],
    ) -> None:
        self._hide = KeyHider(access.is_key)
        self._shown = ShownPath(paths, self._hide)
        self._apis, self._plain, self._observers = apis, plain, observers

    def request_id(self, connection: HTTPConnection) -> str:
        """The id that the client or a proxy gave, unless that is unfit for a log; else one of our own."""
        given = connection.headers.get("x-request-id")
        return new_request_id(given if given is None or self._hide(given) == given else None)

    def new(self, connection: HTTPConnection, request_id: str) -> ServedRequest:
        """The record of a request that has come."""
        path = own_path(connection.scope)
        return ServedRequest(
            request_id,
            connection.scope.get("method", "WebSocket"),
            self._path(path, connection),
            sender(connection),
            self._apis.find(path) or "other",
            self._observers,
            hide=self._hide,
        )

    def describe(self, connection: HTTPConnection) -> str:
        """Method, path and sender for the log. The query is left out, because it may hold a token."""
        method = connection.scope.get("method", "WebSocket")
        path = self._path(connection.scope["path"], connection)
        return f"{method} {path} from {sender(connection)}"

    def tell_unread(self, status: int, client: str) -> None:
        """The server refused with `status` what it couldn't read, or couldn't take on."""
        record = ServedRequest(new_request_id(), None, None, client, "other", self._observers)
        record.begin()
        kind = _KINDS.get(status, "invalid_request")
        record.note_error(ErrorInfo(kind, "", status_code=status), is_upstream=False)
        record.end()

    def _path(self, path: str, connection: HTTPConnection) -> str:
        return path if path in self._plain else self._shown(path, given_key(connection))


class NotedSend:
    """The server's `send`, of which the record is told what leaves first."""

    __slots__ = ("_record", "_send", "write_piece")

    def __init__(self, send: Send, record: ServedRequest) -> None:
        self._send, self._record = send, record
        self.write_piece = piece_writer(send)  # behind a head, so there is nothing to note

    def __call__(self, message: Message) -> Awaitable[None]:
        """Send a message."""
        record = self._record
        if record.status is None or record.error is not None:
            record.note_head(message)
        return self._send(message)


class RecordedCORS(CORSMiddleware):
    """Starlette's rules for pages elsewhere, whose answers to preflights have records too."""

    def __init__(
        self, app: ASGIApp, records: RequestRecords, origins: Sequence[str], exposed: Sequence[str]
    ) -> None:
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=["GET", "POST"],
            allow_headers=["*"],
            expose_headers=exposed,
        )
        self._records = records

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:  # type: ignore[override]  # awaited all the same
        """Answer a preflight, or pass on."""
        answer = self._preflight if _is_preflight(scope) else super().__call__
        return answer(scope, receive, send)

    async def _preflight(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = HTTPConnection(scope)
        record = self._records.new(connection, self._records.request_id(connection))
        record.begin()
        try:
            await super().__call__(scope, receive, NotedSend(send, record))
        finally:
            record.end()


def _is_preflight(scope: Scope) -> bool:
    """Whether a browser asks what a page may do, before it does it. As Starlette tells it."""
    if scope["type"] != "http" or scope["method"] != "OPTIONS":
        return False
    names = {name for name, _ in scope["headers"]}
    return {b"origin", b"access-control-request-method"} <= names
