"""`allow_host`: asked about the very address that is connected to, so that no second look-up can get in between.

Imported only where such a check is wanted, because it stands on httpx2's own parts.
"""

from __future__ import annotations

import asyncio
import inspect
import ipaddress
import logging
import socket
import ssl
import urllib.request
from collections.abc import Iterable
from contextvars import ContextVar
from typing import Any
from urllib.parse import urlsplit

import httpcore2
import httpx2

from llmstream.errors import ConfigurationError
from llmstream.providers.config import AllowHost
from llmstream.providers.http.transport import HostRefusedError

logger = logging.getLogger("llmstream")


class HostGate:
    """Asks before each connection, for both transports. Whatever isn't `True` refuses."""

    def __init__(self, allow: AllowHost) -> None:
        if not callable(allow) or inspect.iscoroutinefunction(allow):
            raise ConfigurationError("allow_host must be a plain function of (host, address) that returns a bool")
        self._allow = allow
        self.host: ContextVar[str] = ContextVar("llmstream_host", default="")
        """The name whose addresses aiohttp tries in this task."""

    def check_url(self, url: str) -> None:
        """Raise ConfigurationError where the check can't hold, or already says no to the address in the URL."""
        parts = urlsplit(url)
        host = parts.hostname or ""
        proxies = urllib.request.getproxies()
        if (proxies.keys() & {parts.scheme, "all"}) and not urllib.request.proxy_bypass(host):
            raise ConfigurationError(
                f"allow_host can't hold for {host}: the environment names a proxy, which would look the address up. "
                "Put the host into NO_PROXY, or let the proxy do the check"
            )
        try:
            address = str(ipaddress.ip_address(host))
        except ValueError:
            return
        try:
            self.check(host, address)
        except HostRefusedError as refused:
            raise ConfigurationError(f"base_url: {refused}") from refused.__cause__

    def check(self, host: str, address: str) -> None:
        """Raise HostRefusedError unless a connection to the address may be made."""
        try:
            answer: object = self._allow(host, address)
        except Exception as problem:
            logger.debug("allow_host raised", exc_info=True)
            raise HostRefusedError(f"allow_host raised {type(problem).__name__} about {host}") from problem
        if answer is not True:
            raise HostRefusedError(f"allow_host refused the address of {host}")

    def socket(self, info: tuple[Any, ...]) -> socket.socket:
        """The way of aiohttp: it makes the socket for one address, and connects it to nothing else."""
        family, kind, protocol, _, address = info
        self.check(self.host.get(), address[0])
        made = socket.socket(family, kind, protocol)
        made.setblocking(False)
        return made

    def transport(self, tls: ssl.SSLContext, limits: httpx2.Limits) -> httpx2.AsyncBaseTransport:
        """The way of httpx2: a transport whose pool connects to checked addresses."""
        return _GatedTransport(self, tls, limits)


class _GatedTransport(httpx2.AsyncHTTPTransport):
    def __init__(self, gate: HostGate, tls: ssl.SSLContext, limits: httpx2.Limits) -> None:
        # The class itself takes no backend. Were its pool called otherwise one day, no request would go out.
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=tls,
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=limits.keepalive_expiry,
            network_backend=_GatedBackend(gate),
        )


class _GatedBackend(httpcore2.AsyncNetworkBackend):
    """Looks the name up, asks, and connects by address; TLS goes on checking the name."""

    def __init__(self, gate: HostGate) -> None:
        self._gate = gate
        self._inner: Any = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  # the base class's
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        loop = asyncio.get_running_loop()
        began = loop.time()
        allowed, problem = await self._addresses(host, port, timeout)
        for index, address in enumerate(allowed):
            left = None if timeout is None else max(0.001, timeout - (loop.time() - began))
            if index + 1 < len(allowed):  # one that doesn't answer must not use up the others' time
                left = 2.0 if left is None else left / 2
            try:
                connected: httpcore2.AsyncNetworkStream = await self._inner.connect_tcp(
                    address, port, left, local_address, socket_options
                )
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as failed:
                problem = failed
            else:
                return connected
        raise problem

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)

    async def _addresses(self, host: str, port: int, limit: float | None) -> tuple[list[str], Exception]:
        """The allowed addresses; what to raise if there are none."""
        try:
            async with asyncio.timeout(limit):
                found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except TimeoutError as problem:
            raise httpcore2.ConnectTimeout from problem
        except OSError as problem:
            raise httpcore2.ConnectError(str(problem)) from problem
        allowed: list[str] = []
        refused: Exception = httpcore2.ConnectError(f"{host} has no address")
        for address in dict.fromkeys(str(info[4][0]) for info in found):
            try:
                self._gate.check(host, address)
            except HostRefusedError as problem:
                refused = problem
            else:
                allowed.append(address)
        return allowed, refused
