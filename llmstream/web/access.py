"""Access: who may ask. Checked before anything of a request is read, for HTTP and WebSocket alike.

1. **Host** must be one of the server's names: a page elsewhere can point a name of its own at 127.0.0.1 (DNS
   rebinding), but can't change what its browser sends here. Without keys the names are the loopback interface's.
2. **Origin**, which browsers send, must be the server's own or an allowed one, and a cross-site request without one
   only a navigation to something public. There are no CORS headers unless origins are allowed.
3. **A key**, where keys are configured (`llmstream.web.keys`): `Authorization: Bearer …`, `x-api-key: …` or
   `api-key: …`. The page and the health checks need none: they tell nothing, and a browser that opens a page can't
   send one. An address that sends wrong ones again and again hears 429 (`llmstream.web.wrong_keys`).
4. **Slots** (`llmstream.web.limits`).

A refusal is said in the words of the dialect that the path belongs to.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any, cast
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from llmstream.checks import require
from llmstream.errors import ConfigurationError
from llmstream.log import get_logger
from llmstream.providers.url_checks import is_loopback
from llmstream.web.errors import TABLE, RefusedError, log_refusal, new_request_id
from llmstream.web.exceptions import http_refusal
from llmstream.web.key_limits import EVERYBODY, NO_LIMITS, KeyLimits, check_key_limits
from llmstream.web.keys import KeyFile, KeyRing
from llmstream.web.limits import Slots
from llmstream.web.refusals import Refusal, RenderError
from llmstream.web.served_request import (
    RequestObserver,
    ServedRequest,
    note_error,
    set_current,
)
from llmstream.web.server_log import REFUSED
from llmstream.web.wrong_keys import RepeatedRefusal, WrongKeys

logger = get_logger("llmstream.web")

LOOPBACK = ("localhost", "127.0.0.1", "::1")
KEY_HEADERS = ("x-api-key", "api-key")
"""Anthropic's clients send their key in the first, Azure's in the second."""
UNKNOWN = "unknown"
"""The address of those that have none, such as clients of a Unix socket."""
PUBLIC = frozenset({"/", "/healthz", "/readyz"})
"""Paths that need no key and take no slot."""

FORESEEN = (RefusedError, HTTPException, ClientDisconnect)
"""What endpoints raise and is answered in the words of their paths."""

Endpoint = Callable[[Request], Awaitable[Response]]
Respond = Callable[[Request, Exception], Awaitable[Response]]
Authenticate = Callable[[HTTPConnection], Awaitable[str | None] | str | None]
"""Returns the name of whoever asks, None for a stranger. It runs in the event loop: one that waits is async."""


@dataclass(frozen=True, slots=True)
class Access:
    """The rules of access. `keys` are what clients send, or a function that names them; None: anybody may ask.

    Keys have at least 16 characters, or are lines `name:sha256`, as `llmstream keys new NAME` prints them. A `KeyFile`
    has such lines, and may change. Only hashes of keys are kept.

    The function, async or not, returns a client's name. Only a `str` with something in it is a name; whatever else it
    returns is a stranger. What it raises is a 500, but for an HTTPException or RefusedError, which is told as it is.

    `hosts` are the names that the server goes by, without ports or stars; None: the loopback interface's where there
    are no keys, any where there are. `origins` are pages elsewhere, such as "https://app.example.com", that may use it.
    Browsers send no header with a WebSocket or an EventSource: for those with keys, look at a cookie in a function.
    `key_limits` are models and rates by the names of keys; those of "*" hold for each name without any.
    Raises ConfigurationError for what would let in everybody, or nobody.
    """

    keys: str | Collection[str] | KeyRing | KeyFile | Authenticate | None = field(
        default=None, repr=False
    )
    hosts: Sequence[str] | None = None
    origins: Sequence[str] = ()
    key_limits: Mapping[str, KeyLimits] = field(default_factory=dict)

    def __post_init__(self) -> None:
        limits = check_key_limits(self.key_limits)
        problem = "key_limits limit nobody without keys: name the keys as well"
        require(not limits or self.keys is not None, problem, ConfigurationError)
        object.__setattr__(self, "keys", _hidden(self.keys))
        flaws = (_flaw_of_hosts(self.hosts), _flaw_of_origins(self.origins))
        flaw = next(filter(None, flaws), None)
        if flaw is not None:
            raise ConfigurationError(flaw)

    def check_host(self, connection: HTTPConnection) -> None:
        """Raise RefusedError for a name that is not ours."""
        names = self._names()
        if names is None or _is_among(_host(connection.headers.get("host", "")), names):
            return
        told = "The server does not go by this name."
        reason = f"Host: {connection.headers.get('host', '')}"
        raise RefusedError(403, "permission", told, reason=reason)

    def check_origin(self, connection: HTTPConnection) -> None:
        """Raise RefusedError for a page from elsewhere."""
        if not self._is_from_elsewhere(connection):
            return
        told = "Pages from elsewhere may not use this server."
        reason = f"Origin: {connection.headers.get('origin') or 'none'}"
        raise RefusedError(403, "permission", told, reason=reason)

    def _names(self) -> Sequence[str] | None:
        """The names that the server goes by; None: any."""
        if self.hosts is None and self.keys is None:
            return LOOPBACK
        return self.hosts

    def _is_from_elsewhere(self, connection: HTTPConnection) -> bool:
        headers = connection.headers
        origin = headers.get("origin")
        if origin is not None:
            return origin not in self.origins and not _same(origin, headers.get("host", ""))
        if headers.get("sec-fetch-site") not in ("cross-site", "same-site"):
            return False
        is_link = headers.get("sec-fetch-mode") == "navigate"
        return not is_link or own_path(connection.scope) not in PUBLIC

    def limits_of(self, name: str) -> KeyLimits:
        """The limits of a client by its name."""
        return self.key_limits.get(name) or self.key_limits.get(EVERYBODY, NO_LIMITS)

    async def find_name(self, connection: HTTPConnection) -> tuple[str | None, str]:
        """The caller's name, None for a stranger. It isn't a key, nor guessable from one. Then why, for the log.

        Without keys it is the address. Raises RefusedError for what a function raises.
        """
        if self.keys is None:
            return sender(connection), ""
        if isinstance(self.keys, KeyFile):
            return (await self.keys.ring()).find(_key(connection)), ""
        if isinstance(self.keys, KeyRing):
            return self.keys.find(_key(connection)), ""
        return await _answer_of(cast("Authenticate", self.keys), connection)


class Gate:
    """Lets requests in, or refuses them, and tells the observers of each.

    `shape` gives the words of a path's dialect, `apis` the names of the APIs by their paths. What is posted to one of
    `endpoints` goes straight there, with what it raises answered by `respond`: Starlette's layers cost more than all
    that an endpoint does.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        access: Access,
        slots: Slots,
        shape: Callable[[str], RenderError],
        apis: Mapping[str, str],
        endpoints: Mapping[str, Endpoint],
        respond: Respond,
        observers: Sequence[RequestObserver] = (),
    ) -> None:
        self._app, self._access, self._shape = app, access, shape
        self._slots = slots
        self._endpoints, self._respond = endpoints, respond
        self._apis, self._observers = apis, observers
        self._wrong_keys = WrongKeys()
        self._has_warned = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check, and pass on."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        scope = _without_slash(scope)
        is_http = scope["type"] == "http"
        connection = Request(scope, receive) if is_http else HTTPConnection(scope)
        request_id = new_request_id(connection.headers.get("x-request-id"))
        scope["state"] = {**scope.get("state", {}), "request_id": request_id}
        record = self._record(connection, request_id)
        problem: BaseException | None = None
        record.begin()
        try:
            await self._answer(record, connection, receive, _noting(send, record))
        except BaseException as raised:
            problem = raised
            raise
        finally:
            record.end(problem)

    def _record(self, connection: HTTPConnection, request_id: str) -> ServedRequest:
        """The record of a request, which is now the current one."""
        path = own_path(connection.scope)
        method = connection.scope.get("method", "WebSocket")
        api = self._apis.get(path, "other")
        record = ServedRequest(request_id, method, path, sender(connection), api, self._observers)
        set_current(record)
        return record

    async def _answer(
        self, record: ServedRequest, connection: HTTPConnection, receive: Receive, send: Send
    ) -> None:
        scope = connection.scope
        try:
            self._access.check_host(connection)
            self._access.check_origin(connection)
            public = record.path in PUBLIC
            scope["state"]["who"] = who = "" if public else await self._identify(connection)
            scope["state"]["keyed"] = is_keyed = self._access.keys is not None
            if is_keyed and not public:
                record.key, record.limits = who, self._access.limits_of(who)
            # For endpoints that answer more than one request at a time.
            scope["state"]["slot"] = partial(self._slots.taken, who)
            endpoint = self._endpoints.get(record.path) if record.method == "POST" else None
            with nullcontext() if public else self._slots.taken(who):
                # The app turns its own RefusedErrors into responses.
                if endpoint is None:
                    await self._app(scope, receive, send)
                else:
                    await self._ask(endpoint, cast("Request", connection), receive, send)
        except RefusedError as problem:
            await self._refuse(problem, scope, receive, send)

    async def _ask(
        self, endpoint: Endpoint, request: Request, receive: Receive, send: Send
    ) -> None:
        try:
            response = await endpoint(request)
        except FORESEEN as problem:
            response = await self._respond(request, problem)
        await response(request.scope, receive, send)

    async def _identify(self, connection: HTTPConnection) -> str:
        """The caller's name. Raises RefusedError for a stranger."""
        name, reason = await self._access.find_name(connection)
        if name is None:
            has_key = bool(_key(connection))
            raise self._wrong_keys.refusal(sender(connection), reason, has_key=has_key)
        if self._access.keys is not None and not self._has_warned:
            self._warn_of_plain_http(connection)
        return name

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
        if isinstance(problem, RepeatedRefusal):
            note_error(problem.info, is_upstream=False)
        else:
            log_refusal(problem, request_id, describe_request(HTTPConnection(scope)))
        response = Refusal(problem.info, request_id, render_error=render, headers=problem.headers)
        if scope["type"] == "http":
            await response(scope, receive, send)
        else:
            await deny(WebSocket(scope, receive, send), response)


def _noting(send: Send, record: ServedRequest) -> Send:
    """The server's `send`, of which the record is told what leaves first."""

    def note_and_send(message: Message) -> Awaitable[None]:
        if record.status is None or record.error is not None:
            record.note_head(message)
        return send(message)

    return note_and_send


async def deny(websocket: WebSocket, response: Refusal) -> None:
    """Refuse a WebSocket: with a real HTTP answer where the server can."""
    if "websocket.http.response" in websocket.scope.get("extensions", {}):
        await websocket.send_denial_response(response)
        REFUSED.set(True)
    else:
        await websocket.close(1008)


def describe_request(connection: HTTPConnection) -> str:
    """Method, path and sender for the log. The query is left out, because it may hold a token."""
    method = connection.scope.get("method", "WebSocket")
    host = sender(connection)
    return f"{method} {connection.scope['path']} from {host}"


def own_path(scope: Scope) -> str:
    """The path below where the app is mounted, as Starlette's router reads it.

    Never from `url`, which is put together from Host: with `Host: x/healthz?` it is as public as its sender likes.
    """
    path: str = scope["path"]
    root = scope.get("root_path", "")
    return path[len(root) :] or "/" if path == root or path.startswith(f"{root}/") else path


def _without_slash(scope: Scope) -> Scope:
    """A path with a slash at its end is the one without: a redirect would lose many a client its body."""
    if own_path(scope) == "/" or not scope["path"].endswith("/"):
        return scope
    return {**scope, "path": scope["path"].rstrip("/")}


async def _answer_of(keys: Authenticate, connection: HTTPConnection) -> tuple[str | None, str]:
    """Ask a function of the user's for the caller's name. Beside it, for the log: why an odd answer names nobody.

    Raises RefusedError for what it raises. Its words may be the key itself (`KeyError`), so they are left out.
    """
    try:
        answer = keys(connection)
        name: object = await answer if inspect.isawaitable(answer) else answer
    except RefusedError:
        raise
    except HTTPException as problem:
        raise http_refusal(problem) from problem
    except Exception as problem:  # noqa: BLE001  # whatever it is, nobody is let in
        told = f"keys raised {type(problem).__name__}, whose words are left out, since they may hold a key"
        hidden = ConfigurationError(f"{told}: return a name, or None for a stranger")
        raise RefusedError(500, "internal", TABLE["internal"].text) from hidden.with_traceback(
            problem.__traceback__
        )
    if name is None or name is False:
        return None, ""
    if not isinstance(name, str):
        return None, _odd(f"a value of type {type(name).__name__}")
    if name.strip():
        return name, ""
    return None, _odd("a blank str") if name else ""


def _odd(answer: str) -> str:
    return f"keys returned {answer}: return a name, or None for a stranger"


def _hidden(keys: Any) -> KeyRing | KeyFile | Authenticate | None:
    """The keys as they are kept. Raises ConfigurationError for what would let in everybody, or nobody."""
    if keys is None or isinstance(keys, KeyFile) or callable(keys):
        return cast("KeyFile | Authenticate | None", keys)
    is_listed = isinstance(keys, Collection) and not isinstance(keys, Mapping | bytes)
    kind = type(keys).__name__
    problem = f"keys must be a list of keys, a KeyFile, a function or None, not a {kind}"
    require(is_listed or isinstance(keys, KeyRing), problem, ConfigurationError)
    ring = keys if isinstance(keys, KeyRing) else KeyRing(keys)
    problem = "keys is empty, which lets in nobody; None lets in anybody"
    require(len(ring), problem, ConfigurationError)
    return ring


def _flaw_of_hosts(hosts: Sequence[str] | None) -> str | None:
    if hosts is None or _are_hosts(hosts):
        return None
    return 'hosts must be a list of whole names without ports: ["chat.example.com"], or None'


def _flaw_of_origins(origins: Sequence[str]) -> str | None:
    if not isinstance(origins, str) and all(map(_is_origin, origins)):
        return None
    return 'origins must be a list of pages\' origins, such as ["https://app.example.com"]'


def _are_hosts(names: Sequence[str]) -> bool:
    if isinstance(names, str) or not names:
        return False
    return all(
        name.strip() and not {"/", "*"} & set(name) and name.count(":") != 1 for name in names
    )


def _is_origin(text: str) -> bool:
    scheme, _, place = text.partition("://")
    return bool(scheme and place) and "/" not in place


def sender(connection: HTTPConnection) -> str:
    """The address that a request comes from."""
    return connection.client.host if connection.client is not None else UNKNOWN


@lru_cache(maxsize=32)
def _host(header: str) -> str:
    """The name in Host, without its port."""
    try:
        return (urlsplit(f"//{header}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _is_among(host: str, names: Sequence[str]) -> bool:
    return host in names or host in {name.lower() for name in names}


def _same(origin: str, host: str) -> bool:
    """Whether an origin is where this request went."""
    scheme, _, place = origin.lower().partition("://")
    return scheme in ("http", "https") and place == host.lower()


def _key(connection: HTTPConnection) -> str:
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    return next(filter(None, map(connection.headers.get, KEY_HEADERS)), "")
