"""Access: who may ask. Checked before anything of a request is read, for HTTP and WebSocket alike.

1. **Host** must be one of the server's names: a page elsewhere can point a name of its own at 127.0.0.1 (DNS
   rebinding), but can't change what its browser sends here. Without keys the names are the loopback interface's.
2. **Origin**, which browsers send, must be the server's own or an allowed one, and a cross-site request without one
   only a navigation to something public. There are no CORS headers unless origins are allowed.
3. **A key**, where keys are configured: `Authorization: Bearer …`, `x-api-key: …` or `api-key: …`. The page and the
   health checks need none: they tell nothing, and a browser that opens a page can't send one.
4. **Slots** (`llmstream.web.limits`).

A refusal is said in the words of the dialect that the path belongs to.
"""

from __future__ import annotations

import hashlib
import hmac
import inspect
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from llmstream.errors import ConfigurationError
from llmstream.web.errors import TABLE, RefusedError, log_refusal, new_request_id
from llmstream.web.exceptions import http_refusal
from llmstream.web.limits import Slots
from llmstream.web.refusals import Refusal, RenderError
from llmstream.web.server_log import REFUSED

LOOPBACK = ("localhost", "127.0.0.1", "::1")
KEY_HEADERS = ("x-api-key", "api-key")
"""Anthropic's clients send their key in the first, Azure's in the second."""
PUBLIC = frozenset({"/", "/healthz", "/readyz"})
"""Paths that need no key and take no slot."""

Authenticate = Callable[[HTTPConnection], Awaitable[str | None] | str | None]
"""Returns the name of whoever asks, None for a stranger. It runs in the event loop: one that waits is async."""


@dataclass(frozen=True, slots=True)
class Access:
    """The rules of access. `keys` are secrets that clients send, or a function that names them; None: anybody may ask.

    The function, async or not, returns a client's name. Only a `str` with something in it is a name; whatever else it
    returns is a stranger. What it raises is a 500, but for an HTTPException or RefusedError, which is told as it is.

    `hosts` are the names that the server goes by, without ports or stars; None: the loopback interface's where there
    are no keys, any where there are. `origins` are pages elsewhere, such as "https://app.example.com", that may use it.
    Browsers send no header with a WebSocket or an EventSource: for those with keys, look at a cookie in a function.
    Raises ConfigurationError for what would let in everybody, or nobody.
    """

    keys: str | Sequence[str] | Authenticate | None = field(default=None, repr=False)
    hosts: Sequence[str] | None = None
    origins: Sequence[str] = ()

    def __post_init__(self) -> None:
        flaws = (
            _flaw_of_keys(self.keys),
            _flaw_of_hosts(self.hosts),
            _flaw_of_origins(self.origins),
        )
        flaw = next(filter(None, flaws), None)
        if flaw is not None:
            raise ConfigurationError(flaw)

    def check_host(self, connection: HTTPConnection) -> None:
        """Raise RefusedError for a name that is not ours."""
        names = self._names()
        if names is None or _host(connection) in {name.lower() for name in names}:
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

    async def identify(self, connection: HTTPConnection) -> str:
        """The caller's name, which is neither a key nor guessable from one. Raises RefusedError for a stranger."""
        if self.keys is None:
            return _sender(connection)
        if callable(self.keys):
            name, reason = await _answer_of(self.keys, connection)
        else:
            name, reason = _holder(_key(connection), _listed(self.keys)), ""
        if name is None:
            text = "This server needs a key, and a valid one."
            raise RefusedError(
                401, "authentication", text, headers={"www-authenticate": "Bearer"}, reason=reason
            )
        return name


class Gate:
    """Lets requests in, or refuses them. `shape` gives the words of a path's dialect."""

    def __init__(
        self, app: ASGIApp, access: Access, slots: Slots, shape: Callable[[str], RenderError]
    ) -> None:
        self._app, self._access, self._shape = app, access, shape
        self._slots = slots

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check, and pass on."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        scope = _without_slash(scope)
        connection = HTTPConnection(scope)
        request_id = new_request_id(connection.headers.get("x-request-id"))
        scope["state"] = {**scope.get("state", {}), "request_id": request_id}
        try:
            self._access.check_host(connection)
            self._access.check_origin(connection)
            public = own_path(scope) in PUBLIC
            scope["state"]["who"] = who = "" if public else await self._access.identify(connection)
            scope["state"]["keyed"] = self._access.keys is not None
            # For endpoints that answer more than one request at a time.
            scope["state"]["slot"] = partial(self._slots.taken, who)
            with nullcontext() if public else self._slots.taken(who):
                # The app turns its own RefusedErrors into responses.
                await self._app(scope, receive, send)
        except RefusedError as problem:
            await self._refuse(problem, scope, receive, send)

    async def _refuse(
        self, problem: RefusedError, scope: Scope, receive: Receive, send: Send
    ) -> None:
        render = self._shape(own_path(scope))
        request_id = scope["state"]["request_id"]
        log_refusal(problem, request_id, describe_request(HTTPConnection(scope)))
        response = Refusal(problem.info, request_id, render_error=render, headers=problem.headers)
        if scope["type"] == "http":
            await response(scope, receive, send)
        else:
            await deny(WebSocket(scope, receive, send), response)


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
    host = _sender(connection)
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


def _flaw_of_keys(keys: object) -> str | None:
    if keys is None or callable(keys):
        return None
    if isinstance(keys, Mapping | bytes) or not isinstance(keys, Collection):
        return f"keys must be a list of keys, a function or None, not a {type(keys).__name__}"
    listed = _listed(keys)
    if not listed:
        return "keys is empty, which lets in nobody; None lets in anybody"
    if not all(map(_is_key, listed)):
        return "a key must be one word of ASCII; with an empty one everybody would have it"
    return None


def _flaw_of_hosts(hosts: Sequence[str] | None) -> str | None:
    if hosts is None or _are_hosts(hosts):
        return None
    return 'hosts must be a list of whole names without ports: ["chat.example.com"], or None'


def _flaw_of_origins(origins: Sequence[str]) -> str | None:
    if not isinstance(origins, str) and all(map(_is_origin, origins)):
        return None
    return 'origins must be a list of pages\' origins, such as ["https://app.example.com"]'


def _listed(keys: str | Collection[str]) -> Collection[str]:
    return (keys,) if isinstance(keys, str) else keys


def _is_key(text: object) -> bool:
    return isinstance(text, str) and text.isascii() and len(text.split()) == 1


def _are_hosts(names: Sequence[str]) -> bool:
    if isinstance(names, str) or not names:
        return False
    return all(
        name.strip() and not {"/", "*"} & set(name) and name.count(":") != 1 for name in names
    )


def _is_origin(text: str) -> bool:
    scheme, _, place = text.partition("://")
    return bool(scheme and place) and "/" not in place


def _sender(connection: HTTPConnection) -> str:
    """The address that a request comes from."""
    return connection.client.host if connection.client is not None else "unknown"


def _host(connection: HTTPConnection) -> str:
    """The name in Host, without its port."""
    try:
        return (urlsplit(f"//{connection.headers.get('host', '')}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _same(origin: str, host: str) -> bool:
    """Whether an origin is where this request went."""
    scheme, _, place = origin.lower().partition("://")
    return scheme in ("http", "https") and place == host.lower()


def _key(connection: HTTPConnection) -> str:
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    return next(filter(None, map(connection.headers.get, KEY_HEADERS)), "")


def _holder(key: str, keys: Collection[str]) -> str | None:
    """A name for whoever holds this key. Compares hashes, and all of them, so that time doesn't tell."""
    if not key:
        return None
    given = hashlib.sha256(key.encode()).digest()
    found = [hmac.compare_digest(given, hashlib.sha256(each.encode()).digest()) for each in keys]
    return f"key-{hashlib.sha256(given).hexdigest()[:16]}" if any(found) else None
