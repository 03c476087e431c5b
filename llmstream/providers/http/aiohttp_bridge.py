"""An httpx2 transport over our aiohttp connections, for a vendor's SDK, which speaks to httpx2 alone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import aiohttp
import httpx2

from llmstream.providers.http.aiohttp_client import AiohttpClient, AiohttpResponse
from llmstream.providers.http.exchange import HTTPRequest, Trace, traces
from llmstream.providers.http.host_check import HostCheck

ANSWER = "llmstream_answer"
"""The extension of a response that holds aiohttp's own: its bytes are read past httpx2."""


class AiohttpTransport(httpx2.AsyncBaseTransport):
    """Sends what httpx2 hands over on connections of aiohttp's."""

    def __init__(self, check: HostCheck | None) -> None:
        self._client = AiohttpClient(check)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """The answer's head."""
        limits = request.extensions.get("timeout", {})
        whole = HTTPRequest(
            request.method, str(request.url), dict(request.headers), await request.aread()
        )
        whole.headers.pop("transfer-encoding", None)
        with _as_httpx2_raises():
            response = await self._client.send(
                whole, traces.get() or Trace(), limits.get("connect"), limits.get("read")
            )
        return httpx2.Response(
            response.status,
            headers=response.answer.raw_headers,
            stream=_BridgedStream(response),
            extensions={"http_version": b"HTTP/1.1", ANSWER: response},
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.close()


class _BridgedStream(httpx2.AsyncByteStream):
    def __init__(self, response: AiohttpResponse) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _as_httpx2_raises():
            async for data in self._response.raw():
                yield data

    async def aclose(self) -> None:
        await self._response.aclose()


_AS_HTTPX2: dict[type[Exception], type[httpx2.RequestError]] = {
    aiohttp.ConnectionTimeoutError: httpx2.ConnectTimeout,
    aiohttp.ServerTimeoutError: httpx2.ReadTimeout,
    aiohttp.ClientConnectorError: httpx2.ConnectError,
    aiohttp.ServerDisconnectedError: httpx2.RemoteProtocolError,
    aiohttp.ClientOSError: httpx2.ReadError,
    aiohttp.ClientPayloadError: httpx2.ReadError,
    aiohttp.ClientHttpProxyError: httpx2.ProxyError,
}
"""Aiohttp's exceptions, each before the more general ones that it belongs to as well, and httpx2's."""


@contextmanager
def _as_httpx2_raises() -> Iterator[None]:
    """Aiohttp's exceptions as those of httpx2, which the SDKs know."""
    try:
        yield
    except tuple(_AS_HTTPX2) as problem:
        named = next(theirs for ours, theirs in _AS_HTTPX2.items() if isinstance(problem, ours))
        raise named(str(problem)) from problem
