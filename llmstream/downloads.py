"""Downloads an image or a file for a target that doesn't read addresses itself: only on request, only where allowed.

part = await download(ImagePart("https://example.org/a.png"))
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote, urljoin, urlsplit

from llmstream.checks import require
from llmstream.errors import ErrorInfo, ErrorKind, LLMError
from llmstream.media import File, ImagePart, checked, is_address
from llmstream.media_types import sniff
from llmstream.providers.url_checks import public_hosts_only

if TYPE_CHECKING:
    from llmstream.providers.config import AllowHost
    from llmstream.providers.http.httpx2_client import Httpx2Client, Httpx2Response

__all__ = ["download"]

P = TypeVar("P", ImagePart, File)
_HOPS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MEGABYTE = 1024 * 1024


async def download(
    part: P,
    *,
    allow_host: AllowHost = public_hosts_only,
    max_size: int = 20 * _MEGABYTE,
    timeout: float = 30.0,  # noqa: ASYNC109  # of the whole, as everywhere here
) -> P:
    """The part with its data in place of its URL. One that has data, or another provider's id, is returned as it is.

    `allow_host(host, address)` is asked before each connection, about the address itself, also after a redirect; by
    default only addresses of the public internet are allowed. `max_size` is in bytes, `timeout` in seconds.

    Raises LLMError if nothing could be read: no connection (also a refused host), a status other than 200, more than
    `max_size`, too late. Raises ValueError for an address that isn't http(s), and for bytes that aren't what the part
    says. No error shows more of the address than its host.
    """
    if part.url is None:
        return part
    require(is_address(part.url), "only http:// and https:// can be downloaded: give data=")
    try:
        async with asyncio.timeout(timeout):
            return await _read(part, allow_host, max_size)
    except TimeoutError:
        raise _failed("timeout", part.url, f"took longer than {timeout:g} s") from None


async def _read(part: P, allow_host: AllowHost, max_size: int) -> P:
    from llmstream.providers.http.host_check import HostCheck
    from llmstream.providers.http.httpx2_client import Httpx2Client

    client = Httpx2Client(HostCheck(allow_host))
    try:
        response, url = await _open(client, part.url or "")
        try:
            data = await _content(response, url, max_size)
        finally:
            await response.aclose()
    finally:
        await client.close()
    declared = response.headers.get("content-type")
    media_type = part.media_type or (declared if sniff(data) is None else None)
    made: Any  # of the part's own type
    if isinstance(part, ImagePart):
        made = ImagePart(
            data=data,
            media_type=media_type,
            detail=part.detail,
            cache=part.cache,
            provider_data=part.provider_data,
        )
    else:
        name = part.name or unquote(urlsplit(url).path.rpartition("/")[2]) or None
        made = File(part.id, name, media_type, data, None, part.cache, part.provider_data)
    read: P = checked(made)
    return read


async def _open(client: Httpx2Client, url: str) -> tuple[Httpx2Response, str]:
    """The head of the answer, after redirects, and its address."""
    for _ in range(_HOPS):
        response = await _send(client, url)
        if response.status == 200:
            return response, url
        place = response.headers.get("location", "")
        await response.aclose()
        if response.status not in _REDIRECTS:
            kind: ErrorKind = "not_found" if response.status in (404, 410) else "invalid_request"
            raise _failed(kind, url, f"answered {response.status}")
        url = _next_address(url, place)
    raise _failed("redirect", url, f"redirected more than {_HOPS} times")


def _next_address(url: str, place: str) -> str:
    """The address that a redirect names. It may not lead from https to http."""
    found = urljoin(url, place)
    is_weaker = url.startswith("https:") and not found.startswith("https:")
    if not is_address(found) or is_weaker:
        raise _failed("redirect", url, "redirected to an address that may not be read")
    return found


async def _send(client: Httpx2Client, url: str) -> Httpx2Response:
    import httpcore2
    import httpx2

    from llmstream.providers.http.exchange import HTTPRequest, Trace
    from llmstream.providers.http.failures import causes, reason

    headers = {"accept-encoding": "identity", "accept": "*/*", "user-agent": "llmstream"}
    try:
        return await client.send(HTTPRequest("GET", url, headers, b""), Trace(), None)
    except (httpx2.HTTPError, httpx2.InvalidURL, httpcore2.NetworkError, OSError) as problem:
        told = reason(causes(problem))
        raise _failed("connection", url, f"couldn't be reached: {told}") from None


async def _content(response: Httpx2Response, url: str, max_size: int) -> bytes:
    """The body, up to its bound."""
    length = response.headers.get("content-length", "")
    is_too_long = length.isdecimal() and int(length[:19]) > max_size
    found = bytearray()
    async for chunk in _chunks(response, url):
        found += chunk
        if is_too_long or len(found) > max_size:
            limit = f"{max_size / _MEGABYTE:g} MB"
            raise _failed("invalid_request", url, f"is larger than {limit}: raise max_size")
    return bytes(found)


async def _chunks(response: Httpx2Response, url: str) -> AsyncIterator[bytes]:
    import httpcore2
    import httpx2

    try:
        async for chunk in response.body():
            yield chunk
    except (httpx2.HTTPError, httpcore2.NetworkError, httpcore2.ProtocolError, OSError):
        raise _failed("truncated", url, "was cut before its end") from None


def _failed(kind: ErrorKind, url: str, problem: str) -> LLMError:
    host = urlsplit(url).hostname or "the address"
    return LLMError.from_info(ErrorInfo(kind, f"the file at {host} {problem}"))
