"""The values that this package shares: a request, a response, and what is learned on the way. Imports no other part."""

from __future__ import annotations

import select
from collections.abc import AsyncIterator, Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Protocol

KEEP_ALIVE = 5.0
"""Seconds that an idle connection stays in the pool; httpx2's own default."""
Abort = Callable[[], None]
"""Ends a pending read at once, from a plain callback."""


class HostRefusedError(OSError):
    """`allow_host` didn't allow an address: any that is allowed is tried instead."""


@dataclass(slots=True)
class HTTPRequest:
    """A whole request, ready to be sent. A signing hook may still change its URL and headers."""

    method: str
    url: str
    headers: dict[str, str] = field(repr=False)
    content: bytes = field(repr=False)

    @property
    def has_cookie(self) -> bool:
        """Whether the caller gave a cookie, which then is the only one."""
        return "cookie" in map(str.lower, self.headers)


@dataclass(slots=True)
class Trace:
    """The transport's report about one request."""

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The call's own. Over a client of an SDK they stay out of its options, which it logs."""
    reused: bool | None = None
    """Whether its connection came from the pool; None: not reported."""
    request: HTTPRequest | None = field(default=None, repr=False)
    """The whole request, where this package sends it."""
    answered: bool = False
    """Whether a byte of an answer came on it, if none can be read."""
    proxy: str | None = None
    """The proxy that the request goes through, as it may be shown."""


traces: ContextVar[Trace | None] = ContextVar("llmstream_trace", default=None)
"""The trace of the request that the running task makes."""


class traced:  # noqa: N801  # used as a function; one that is a generator takes three times as long
    """Make this the trace of what the running task does in the block."""

    __slots__ = ("_token", "_trace")

    def __init__(self, trace: Trace) -> None:
        self._trace = trace

    def __enter__(self) -> None:
        self._token = traces.set(self._trace)

    def __exit__(self, *_: object) -> None:
        traces.reset(self._token)


class Response(Protocol):
    """The head of an answer. Whoever got it closes it."""

    @property
    def status(self) -> int:
        """The HTTP status."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """The answer's headers; their names in lower case."""
        ...

    @property
    def sent_headers(self) -> Mapping[str, str]:
        """The headers that were really sent."""
        ...

    @property
    def abort(self) -> Abort | None:
        """Ends a pending read at once. None where other requests share the connection."""
        ...

    @property
    def is_closed(self) -> bool:
        """Whether the answer was read to its end, or given up."""
        ...

    def body(self) -> AsyncIterator[bytes]:
        """The content as it arrives, decompressed. May be asked for once."""
        ...

    async def aclose(self) -> None:
        """Give the connection back, or close it."""
        ...


class HTTPClient(Protocol):
    """The connections of one event loop."""

    def prepare(self, url: str) -> None:
        """Make what requests to `url` need, and no more. Raises ConfigurationError."""
        ...

    async def send(self, request: HTTPRequest, trace: Trace, connect: float | None) -> Response:
        """The answer's head. `connect`: seconds for a connection. Raises what the transport raises."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


async def close_at_once(response: Response) -> None:
    """Close a response; if its answer was not read to the end, so that the server notices at once."""
    if not response.is_closed:
        if response.abort is not None:
            response.abort()  # first, because it needs no await: a second cancellation can't get in between
        await response.aclose()


def is_readable(connection: Any) -> bool:
    """Whether bytes, or the end, have arrived in a socket."""
    if not hasattr(select, "poll"):  # Windows, whose own select takes any number
        return bool(select.select([connection.fileno()], [], [], 0)[0])
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))
