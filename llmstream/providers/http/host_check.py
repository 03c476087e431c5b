"""`allow_host`: checked against the resolved address we connect to, so DNS rebinding can't bypass it."""

from __future__ import annotations

import inspect
import ipaddress
import socket
import urllib.request
from contextvars import ContextVar
from typing import Any
from urllib.parse import urlsplit

from llmstream.checks import require
from llmstream.errors import ConfigurationError
from llmstream.log import get_logger
from llmstream.providers.config import AllowHost
from llmstream.providers.http.exchange import HostRefusedError

logger = get_logger("llmstream.providers")


class HostCheck:
    """Asks before each connection, for both transports. Whatever isn't `True` refuses."""

    def __init__(self, allow: AllowHost) -> None:
        require(
            callable(allow) and not inspect.iscoroutinefunction(allow),
            "allow_host must be a plain function of (host, address) that returns a bool",
            ConfigurationError,
        )
        self._allow = allow
        self.host: ContextVar[str] = ContextVar("llmstream_host", default="")
        """The name whose addresses aiohttp tries in this task."""

    def check_url(self, url: str) -> None:
        """Raise ConfigurationError where the check can't hold, or already says no to the address in the URL."""
        parts = urlsplit(url)
        host = parts.hostname or ""
        proxies = urllib.request.getproxies()
        is_direct = proxies.keys().isdisjoint({parts.scheme, "all"})
        problem = (
            f"allow_host can't hold for {host}: the environment names a proxy, which would look the address up. "
            "Put the host into NO_PROXY, or let the proxy do the check"
        )
        require(is_direct or urllib.request.proxy_bypass(host), problem, ConfigurationError)
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
            logger.warning("allow_host raised %s", type(problem).__name__, exc_info=problem)
            raise HostRefusedError(
                f"allow_host raised {type(problem).__name__} about {host}"
            ) from problem
        refusal = f"allow_host refused the address of {host}"
        require(answer is True, refusal, HostRefusedError)

    def socket(self, info: tuple[Any, ...]) -> socket.socket:
        """The way of aiohttp: it makes the socket for one address, and connects it to nothing else."""
        family, kind, protocol, _, address = info
        self.check(self.host.get(), address[0])
        made = socket.socket(family, kind, protocol)
        made.setblocking(False)
        return made
