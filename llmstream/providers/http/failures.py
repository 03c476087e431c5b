"""Reasons for a missing answer, by the exceptions of httpx2, httpcore2, h11 and aiohttp.

They are told apart by name, so that nothing is imported that isn't in use.
"""

from __future__ import annotations

import errno

CONNECT_TIMEOUT = {"ConnectTimeout", "ConnectionTimeoutError"}
"""httpx2's and aiohttp's own."""
DISCONNECT = {
    *("RemoteProtocolError", "ReadError", "WriteError"),  # httpx2's
    *("ServerDisconnectedError", "ClientOSError", "ClientConnectionResetError"),  # aiohttp's
}


def is_connect_timeout(found: list[BaseException]) -> bool:
    """Whether no connection was made in time. Over aiohttp the SDKs call every failed connection a ConnectTimeout."""
    return bool(CONNECT_TIMEOUT & _names(found)) and any(
        isinstance(cause, TimeoutError) for cause in found
    )


def is_disconnect(found: list[BaseException]) -> bool:
    """Whether the other side left before it answered."""
    return bool(DISCONNECT & _names(found)) and not is_garbled(found)


def is_garbled(found: list[BaseException]) -> bool:
    """Whether an answer came that isn't HTTP."""
    return any(
        (_package(cause) == "h11" and type(cause).__name__ == "RemoteProtocolError")
        or type(cause).__module__ == "aiohttp.http_exceptions"
        for cause in found
    )


def causes(problem: BaseException) -> list[BaseException]:
    """The exception, and what it comes from. httpcore2 raises "from None", and leaves the cause in the context."""
    found: list[BaseException] = []
    cause: BaseException | None = problem
    while cause is not None and cause not in found:
        found.append(cause)
        hidden = cause.__context__ if _package(cause) == "httpcore2" else None
        cause = cause.__cause__ or hidden
    return found


def reason(found: list[BaseException]) -> str:
    """What went wrong, in a line."""
    last = found[-1]
    silent = isinstance(last, ConnectionError) or _package(last) == "anyio"
    if is_disconnect(found) or (silent and not str(last)):
        reset = any(getattr(cause, "errno", None) == errno.ECONNRESET for cause in found)
        return "the server reset the connection" if reset else "the server closed the connection"
    texts = (
        " ".join(str(getattr(cause, "message", None) or cause).split()) for cause in reversed(found)
    )
    return next((text.removesuffix(" ^")[:200] for text in texts if text), type(last).__name__)


def _names(found: list[BaseException]) -> set[str]:
    return {type(cause).__name__ for cause in found}


def _package(cause: BaseException) -> str:
    return type(cause).__module__.partition(".")[0]
