"""aiohttp's session and protocol, as the providers use them. Imported only where aiohttp is wanted."""

from __future__ import annotations

from http.cookies import BaseCookie, SimpleCookie
from typing import Any

import aiohttp
import yarl

from llmstream.providers.http.exchange import KEEP_ALIVE, traces
from llmstream.providers.http.host_check import HostCheck
from llmstream.providers.http.internals.aiohttp_post import HeadBounds, Poster, find_poster
from llmstream.providers.http.internals.aiohttp_protocol import install

HEADER_SIZE = 100 * 1024
"""Bytes of one response header; aiohttp's own 8 KB are too few for some hosts. httpx2 takes as many in all."""
HEADERS = 256
"""Response headers."""
READ_SIZE = 16 * 1024
"""Bytes read at a time. All that has arrived, up to half a megabyte, costs more: too many events at once."""


def make_session(check: HostCheck | None) -> aiohttp.ClientSession:
    """A session for the running loop."""
    connector = aiohttp.TCPConnector(
        limit=0,  # none
        keepalive_timeout=KEEP_ALIVE,
        use_dns_cache=False,  # httpx2 has none either
        socket_factory=None if check is None else check.socket,
    )
    # Without our protocol, which knows whether it was used before. aiohttp asks seven times for each request.
    watches = [] if install(connector) else [_watch_reuse()]
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=_CookieJar(unsafe=True, quote_cookie=False),  # of addresses too, as over httpx2
        max_line_size=HEADER_SIZE,
        max_field_size=HEADER_SIZE,
        max_headers=HEADERS,
        trace_configs=watches,
    )


def find_own_poster(session: aiohttp.ClientSession) -> Poster | None:
    """The cheaper way to post; None where connections are aiohttp's own, which report to the session alone."""
    if session.trace_configs:
        return None
    return find_poster(session, HeadBounds(HEADER_SIZE, HEADERS))


def _watch_reuse() -> aiohttp.TraceConfig:
    """Reports that a request's connection came from the pool."""

    async def reused(_session: Any, _context: Any, _params: Any) -> None:
        trace = traces.get()
        if trace is not None:
            trace.reused = True

    watch = aiohttp.TraceConfig()
    watch.on_connection_reuseconn.append(reused)
    return watch


class _CookieJar(aiohttp.CookieJar):
    """Adds nothing to a request whose caller gave a cookie: aiohttp would write that one in its own way."""

    def filter_cookies(self, request_url: yarl.URL = yarl.URL()) -> BaseCookie[str]:  # noqa: B008  # as aiohttp has it
        """The cookies for a request."""
        cookies = super().filter_cookies(request_url)
        if not cookies:
            return cookies
        trace = traces.get()
        sent = None if trace is None else trace.request
        return SimpleCookie() if sent is not None and sent.has_cookie else cookies
