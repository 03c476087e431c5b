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

_CLOUDS = frozenset({"botocore", "boto3", "google", "azure"})
"""Packages that the SDKs ask for credentials."""
_OUT_OF_REACH = {
    # google.auth.exceptions; requests' own stand behind it
    *("TransportError",),
    # botocore.exceptions
    *("HTTPClientError", "ConnectionError", "MetadataRetrievalError"),
    # azure.core.exceptions
    *("ServiceRequestError", "ServiceResponseError"),
}
"""Exceptions of those packages that say that a server of tokens gave no answer; with their subclasses."""


def is_connect_timeout(found: list[BaseException]) -> bool:
    """Whether no connection was made in time. Over aiohttp the SDKs call any failed one that."""
    if CONNECT_TIMEOUT.isdisjoint(_names(found)):
        return False
    return any(isinstance(cause, TimeoutError) for cause in found)


def is_nobody_there(found: list[BaseException]) -> bool:
    """Whether nothing listens at this port. asyncio joins the refusals of several addresses in one text."""
    told = [problem for problem in found if isinstance(problem, OSError)]
    return any(
        each.errno == errno.ECONNREFUSED or f"[Errno {errno.ECONNREFUSED}]" in str(each)
        for each in told
    )


def is_disconnect(found: list[BaseException]) -> bool:
    """Whether the other side left before it answered."""
    return not DISCONNECT.isdisjoint(_names(found)) and not is_garbled(found)


def is_garbled(found: list[BaseException]) -> bool:
    """Whether an answer came that isn't HTTP."""
    return any(_is_parser_error(cause) for cause in found)


def is_without_credentials(found: list[BaseException]) -> bool:
    """Whether a cloud's own library found no credentials, or none that it could use."""
    return any(_package(cause) in _CLOUDS for cause in found)


def is_out_of_reach(found: list[BaseException]) -> bool:
    """Whether a cloud's own library reached no server that gives tokens, or one that is to be asked again."""
    own = [cause for cause in found if _package(cause) in _CLOUDS]
    return any(getattr(cause, "retryable", False) is True or _is_one_of(cause) for cause in own)


def causes(problem: BaseException) -> list[BaseException]:
    """The exception, and those that it comes from.

    httpcore2 raises "from None", and leaves the cause in the context.
    """
    found: list[BaseException] = []
    cause: BaseException | None = problem
    while cause is not None and cause not in found:
        found.append(cause)
        if isinstance(cause, BaseExceptionGroup):  # anyio's task groups; the first says why
            cause = cause.exceptions[0]
            continue
        hidden = cause.__context__ if _package(cause) == "httpcore2" else None
        cause = cause.__cause__ or hidden
    return found


def reason(found: list[BaseException]) -> str:
    """The reason of a failure, in one line."""
    last = found[-1]
    is_connection_lost = isinstance(last, ConnectionError) or _package(last) == "anyio"
    if is_disconnect(found) or (is_connection_lost and not str(last)):
        return f"the server {'reset' if _is_reset(found) else 'closed'} the connection"
    for cause in reversed(found):
        text = " ".join(_text(cause).split())
        if text:
            return text.removesuffix(" ^")[:200]
    return type(last).__name__


def _is_one_of(cause: BaseException) -> bool:
    return any(base.__name__ in _OUT_OF_REACH for base in type(cause).__mro__)


def _is_parser_error(cause: BaseException) -> bool:
    """Whether h11's or aiohttp's parser gave up."""
    if type(cause).__module__ == "aiohttp.http_exceptions":
        return True
    return _package(cause) == "h11" and type(cause).__name__ == "RemoteProtocolError"


def _is_reset(found: list[BaseException]) -> bool:
    return any(getattr(cause, "errno", None) == errno.ECONNRESET for cause in found)


def _text(cause: BaseException) -> str:
    status = getattr(cause, "status", None)  # of a proxy, over aiohttp
    text = str(getattr(cause, "message", None) or cause)
    return f"{status} {text}" if isinstance(status, int) else text


def _names(found: list[BaseException]) -> set[str]:
    return {type(cause).__name__ for cause in found}


def _package(cause: BaseException) -> str:
    return type(cause).__module__.partition(".")[0]
