"""Access: who may ask. Checked before anything of a request is read, for HTTP and WebSocket alike.

1. **Host** must be one of the server's names: a page elsewhere can point a name of its own at 127.0.0.1 (DNS
   rebinding), but can't change what its browser sends here. Without keys the names are the loopback interface's, and
   other machines are refused by whatever name.
2. **Origin**, which browsers send, must be the server's own or an allowed one, and a cross-site request without one
   only a navigation to something public. There are no CORS headers unless origins are allowed.
3. **A key**, where keys are configured (`llmstream.web.keys`): `Authorization: Bearer …`, `x-api-key: …`,
   `api-key: …` or `x-goog-api-key: …`; for Gemini's paths also `?key=…`, which no log gets to see.
   The page and the health checks need none: they tell nothing, and a browser that opens a page can't send one. An
   address that sends wrong ones again and again hears 429 (`llmstream.web.wrong_keys`).
4. **Slots** (`llmstream.web.limits`).

A refusal is said in the words of the dialect that the path belongs to.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, cast
from urllib.parse import unquote_plus, urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.types import Scope

from llmstream.checks import raise_flaw, require
from llmstream.errors import ConfigurationError
from llmstream.providers.url_checks import is_loopback
from llmstream.web.errors import TABLE, RefusedError
from llmstream.web.exceptions import http_refusal
from llmstream.web.key_limits import EVERYBODY, NO_LIMITS, KeyLimits, check_key_limits
from llmstream.web.keys import KeyFile, KeyRing

LOOPBACK = ("localhost", "127.0.0.1", "::1")
GOOGLE_KEY = "x-goog-api-key"
KEY_HEADERS = ("x-api-key", "api-key", GOOGLE_KEY)
"""Anthropic's clients send their key in the first, Azure's in the second, Google's in the third."""
_GOOGLE_PATHS = re.compile(r"/v1beta/|/v1/models/.+:\w+$")
"""Paths of Gemini's API, whose clients may write their key into the query."""
UNKNOWN = "unknown"
"""The address of those that have none, such as clients of a Unix socket."""
PUBLIC = frozenset({"/", "/healthz", "/readyz"})
"""Paths that need no key and take no slot."""

Authenticate = Callable[[HTTPConnection], Awaitable[str | None] | str | None]
"""Returns the name of whoever asks, None for a stranger. It runs in the event loop: one that waits is async."""


@dataclass(frozen=True, slots=True)
class Access:
    """The rules of access. `keys` are what clients send, or a function that names them; None: anybody may ask.

    Keys have at least 16 characters, or are lines `name:sha256`, as `llmstream keys new NAME` prints them. A `KeyFile`
    has such lines, and may change. Only hashes of keys are kept.

    The function, async or not, returns a client's name. Only a `str` with something in it is a name; whatever else it
    returns is a stranger. What it raises is a 500, but for an HTTPException or RefusedError, which is told as it is.

    `hosts` are the names that the server goes by, without ports or stars; None: any where there are keys, and else the
    loopback interface's, for this machine alone. `origins` are pages elsewhere, such as "https://app.example.com", that
    may use it. Browsers send no header with a WebSocket or an EventSource: for those with keys, look at a cookie in a
    function.

    `key_limits` are models and rates by the names of keys; those of "*" hold for each name without any. `metrics` are
    the names of keys that may read `/metrics`; without any there is no such page.
    Raises ConfigurationError for what would let in everybody, or nobody.
    """

    keys: str | Collection[str] | KeyRing | KeyFile | Authenticate | None = field(
        default=None, repr=False
    )
    hosts: Sequence[str] | None = None
    origins: Sequence[str] = ()
    key_limits: Mapping[str, KeyLimits] = field(default_factory=dict)
    metrics: Sequence[str] = ()

    def __post_init__(self) -> None:
        limits = check_key_limits(self.key_limits)
        for name, given in {"key_limits": limits, "metrics": self.metrics}.items():
            problem = (
                f"{name} is about the holders of keys, and there are no keys: name them as well"
            )
            require(not given or self.keys is not None, problem, ConfigurationError)
        object.__setattr__(self, "keys", _hidden(self.keys))
        flaws = (
            _flaw_of_hosts(self.hosts),
            _flaw_of_origins(self.origins),
            _flaw_of_metrics(self.metrics),
        )
        flaw = next(filter(None, flaws), None)
        raise_flaw(flaw, ConfigurationError)

    def check_host(self, connection: HTTPConnection) -> None:
        """Raise RefusedError for a name that is not ours, and without keys for any other machine."""
        if self._is_private and not _is_near(sender(connection)):
            told = "This server has no keys, so it answers this machine alone."
            raise RefusedError(
                403, "permission", told, reason="name keys, or hosts, to let others in"
            )
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

    @property
    def _is_private(self) -> bool:
        """Whether it is for this machine alone. Who names hosts has thought of others."""
        return self.keys is None and self.hosts is None

    def _names(self) -> Sequence[str] | None:
        """The names that the server goes by; None: any."""
        return LOOPBACK if self._is_private else self.hosts

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

    def is_key(self, word: str) -> bool:
        """Whether a word is one of the keys. Nothing is known of those that a function knows."""
        ring = self.keys.current if isinstance(self.keys, KeyFile) else self.keys
        return isinstance(ring, KeyRing) and ring.find(word) is not None

    async def find_name(self, connection: HTTPConnection) -> tuple[str | None, str]:
        """The caller's name, None for a stranger. It isn't a key, nor guessable from one. Then why, for the log.

        Without keys it is the address. Raises RefusedError for what a function raises.
        """
        if self.keys is None:
            return sender(connection), ""
        if isinstance(self.keys, KeyFile):
            return (await self.keys.ring()).find(given_key(connection)), ""
        if isinstance(self.keys, KeyRing):
            return self.keys.find(given_key(connection)), ""
        return await _answer_of(cast("Authenticate", self.keys), connection)


def own_path(scope: Scope) -> str:
    """The path below where the app is mounted, as Starlette's router reads it.

    Never from `url`, which is put together from Host: with `Host: x/healthz?` it is as public as its sender likes.
    """
    path: str = scope["path"]
    root = scope.get("root_path", "")
    if not root:
        return path or "/"
    return path[len(root) :] or "/" if path == root or path.startswith(f"{root}/") else path


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


def _flaw_of_metrics(names: Sequence[str]) -> str | None:
    is_list = not isinstance(names, str) and isinstance(names, Collection)
    if is_list and all(isinstance(name, str) and name.strip() for name in names):
        return None
    return 'metrics must be a list of keys\' names, such as ["prometheus"]'


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
    client = connection.scope.get("client")
    return client[0] if client else UNKNOWN


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


@lru_cache(maxsize=1024)
def _is_near(host: str) -> bool:
    """Whether an address is this machine's. A Unix socket's clients have none."""
    return host == UNKNOWN or is_loopback(host)


def hide_query_key(scope: Scope) -> None:
    """Make a key in the query of Gemini's API a header, in place: servers log a scope's query."""
    query: bytes = scope.get("query_string", b"")
    if b"=" not in query or not _GOOGLE_PATHS.match(own_path(scope)):
        return
    pairs = [
        (unquote_plus(pair.partition(b"=")[0].decode("latin-1")), pair)
        for pair in query.split(b"&")
    ]
    keys = [pair for name, pair in pairs if name == "key"]
    if not keys:
        return
    key = unquote_plus(keys[0].partition(b"=")[2].decode("latin-1"))
    scope["query_string"] = b"&".join(pair for name, pair in pairs if name != "key")
    scope["headers"] = [*scope["headers"], (GOOGLE_KEY.encode(), key.encode("latin-1", "replace"))]


def given_key(connection: HTTPConnection) -> str:
    """The key that a request brings; empty if it brings none."""
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    return next(filter(None, map(connection.headers.get, KEY_HEADERS)), "")
