"""Connections: how many a server holds, and which of them it closes first when there is no room."""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache

from llmstream.checks import require
from llmstream.errors import ConfigurationError

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
MOST_CONNECTIONS = 4_096
"""With a full head each, they hold some 500 MB; one process answers about a thousand streams."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits on a client that hasn't been identified yet. Sizes are in bytes, times in seconds.

    For other bounds: `class MyHTTP(HTTP): bounds = Bounds(head_time=5)`. Raises ConfigurationError for one that
    nobody could keep.
    """

    head_size: int = 64 * 1024
    """Of a request's line and headers, of its trailers, and of what stands between two pieces of its body. 64 kB is
    what the largest servers take; browsers' cookies stay below it."""
    headers: int = 100
    """Trailers count. It is Apache's number, and nginx's and Caddy's clients live with it."""
    head_time: float = 10.0
    """From the connection's beginning, and on a kept one from the next request's first byte, to the head's end. TLS
    has as long again to agree. Phones on a bad network need a few seconds."""
    drain_size: int = 64 * 1024
    """Of a body that goes on after its answer is complete. A small rest lets the connection be kept."""
    drain_time: float = 2.0
    """For such a body to end, and for a client that still sends to read why it was refused."""
    unread_size: int = 128 * 1024
    """Of an answer that waits in the system for a client that doesn't read; Linux doubles it. It would be 4 MB, before
    which the model doesn't wait. 128 kB are a megabyte a second to the other end of the world."""
    pipelined: int = 16
    """Requests that wait behind one that is being answered. Browsers send none, benchmarks as many."""
    frames: int = 200
    """Of a WebSocket, in ten seconds and for one message; one per kB is free. Each keeps the loop for some 10 µs, and
    one that is a message which the app refuses for ten times as long."""
    connections: int | None = None
    """In all. None: half of the files that the process may open, since an answer may need a provider's connection as
    well, and at most `MOST_CONNECTIONS`."""
    per_address: int | None = None
    """From one address, which for IPv6 is its /64 network. None: half of `connections`, so that nobody can have all.
    Addresses that uvicorn believes to be proxies (FORWARDED_ALLOW_IPS; 127.0.0.1 and ::1 if it isn't set) are free."""

    def __post_init__(self) -> None:
        for name in self.__slots__:
            bound = getattr(self, name)
            is_bound = bound is None or 0 < bound < math.inf
            problem = f"{name} must be more than 0 and finite, not {bound}"
            require(is_bound, problem, ConfigurationError)

    @property
    def most_connections(self) -> int:
        """`connections`, or what None stands for at this moment."""
        return self.connections or min(MOST_CONNECTIONS, max(1, _files() // 2))


class Connections:
    """Those of one server. A key stands for one; it is idle from `enter` to `occupy`, and after `rest`."""

    def __init__(self, bounds: Bounds, proxies: str | Sequence[str] = ()) -> None:
        self._bounds: Bounds | None = None
        self.bound(bounds)
        self._proxies = _networks(proxies)
        self._open: dict[Hashable, tuple[str | None, Callable[[], object]]] = {}  # address, close
        self._idle: dict[Hashable, None] = {}  # the one that has been idle longest is first
        self._counts: dict[str | None, int] = {}
        self._address = lru_cache(maxsize=1024)(self._find_address)

    def __len__(self) -> int:
        return len(self._open)

    def bound(self, bounds: Bounds) -> None:
        """Hold to these bounds from now on. They may be those of before."""
        if bounds is not self._bounds:
            self._bounds = bounds
            self._most = bounds.most_connections
            self._most_of_one = bounds.per_address or max(1, self._most // 2)

    def enter(self, key: Hashable, host: str | None, close: Callable[[], object]) -> bool:
        """Count one more, and close idle ones to make room. False: there is no room, so refuse it.

        One that is refused counts, as an idle one, until it leaves. `close` must not wait for the client. A `host` of
        None, such as a Unix socket's, is bound by the total alone.
        """
        address = self._address(host)
        self._open[key] = address, close
        self._counts[address] = self._counts.get(address, 0) + 1
        while self._is_full(address):
            victim = self._oldest_idle(None if len(self._open) > self._most else address)
            if victim is None:
                self._idle[key] = None
                return False
            _, closing = self._open[victim]
            self.leave(victim)
            closing()
        self._idle[key] = None
        return True

    def occupy(self, key: Hashable) -> None:
        """It has a request, so it isn't closed for others."""
        self._idle.pop(key, None)

    def rest(self, key: Hashable) -> None:
        """Its request is answered."""
        if key in self._open:
            self._idle[key] = None

    def leave(self, key: Hashable) -> None:
        """It is closed. May be called again."""
        self._idle.pop(key, None)
        gone = self._open.pop(key, None)
        if gone is not None:
            address, _ = gone
            self._counts[address] -= 1
            if not self._counts[address]:
                del self._counts[address]

    def _is_full(self, address: str | None) -> bool:
        crowded = address is not None and self._counts[address] > self._most_of_one
        return crowded or len(self._open) > self._most

    def _oldest_idle(self, address: str | None) -> Hashable | None:
        """The one to close first; `address`: of those from there."""
        if address is None:
            return next(iter(self._idle), None)
        fitting = (key for key in self._idle if self._open[key][0] == address)
        return next(fitting, None)

    def _find_address(self, host: str | None) -> str | None:
        address = _parse_address(host)
        if address is None or any(address in network for network in self._proxies):
            return None
        return _shown_network(address)


def client_network(host: str) -> str:
    """What counts as one client: an IPv4 address, or an IPv6 /64 network, of which one machine may have any address."""
    address = _parse_address(host)
    return host if address is None else _shown_network(address)


def _parse_address(host: str | None) -> _Address | None:
    try:
        address = ipaddress.ip_address(host or "")
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _shown_network(address: _Address) -> str:
    if address.version == 4:
        return str(address)
    return str(ipaddress.IPv6Network((int(address), 64), strict=False))


def _files() -> int:
    """How many files the process may open."""
    try:
        import resource
    except ImportError:  # Windows
        return 2 * MOST_CONNECTIONS
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 2 * MOST_CONNECTIONS if soft == resource.RLIM_INFINITY else soft


def _networks(proxies: str | Sequence[str]) -> list[_Network]:
    """Those that uvicorn's setting names; what is no address there, such as a Unix socket's path, is skipped."""
    names = proxies.split(",") if isinstance(proxies, str) else proxies
    found: list[_Network] = []
    for name in names:
        if name.strip() == "*":
            found += [ipaddress.IPv4Network("0.0.0.0/0"), ipaddress.IPv6Network("::/0")]
        with suppress(ValueError):
            found.append(ipaddress.ip_network(name.strip(), strict=False))
    return found
