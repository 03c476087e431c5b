"""The network of httpcore2, where `allow_host` is asked before each connection."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable
from typing import Any

import httpcore2

from llmstream.providers.http.exchange import HostRefusedError
from llmstream.providers.http.host_check import HostCheck


class CheckedBackend(httpcore2.AsyncNetworkBackend):
    """Looks the name up, asks, and connects by address; TLS goes on checking the name."""

    def __init__(self, check: HostCheck) -> None:
        self._check = check
        self._inner: Any = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  # the base class's
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """A connection to the first allowed address that answers."""
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
        """Wait."""
        await self._inner.sleep(seconds)

    async def _addresses(
        self, host: str, port: int, limit: float | None
    ) -> tuple[list[str], Exception]:
        """The allowed addresses; what to raise if there are none."""
        try:
            async with asyncio.timeout(limit):
                found = await asyncio.get_running_loop().getaddrinfo(
                    host, port, type=socket.SOCK_STREAM
                )
        except TimeoutError as problem:
            raise httpcore2.ConnectTimeout from problem
        except OSError as problem:
            raise httpcore2.ConnectError(str(problem)) from problem
        allowed: list[str] = []
        refused: Exception = httpcore2.ConnectError(f"{host} has no address")
        for address in dict.fromkeys(str(info[4][0]) for info in found):
            try:
                self._check.check(host, address)
            except HostRefusedError as problem:
                refused = problem
            else:
                allowed.append(address)
        return allowed, refused
