"""The proxies that the environment names, read as httpx2 reads them, for either transport."""

from __future__ import annotations

import ipaddress
import os
import re
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

from llmstream.checks import require
from llmstream.errors import ConfigurationError
from llmstream.providers.url_checks import is_host

PORTS = {"http": 80, "https": 443}
SCHEMES = ("http", "https", "socks5", "socks5h")
"""The kinds of proxies that httpx2 knows."""
_UNPRINTABLE = re.compile(r"[\x00-\x20\x7f\ud800-\udfff]")
_EVERYTHING = "all://"
"""An entry of NO_PROXY."""
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Matches = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class _Rule:
    """One entry of NO_PROXY: hosts that are reached without a proxy."""

    matches: Matches
    scheme: str = ""
    port: int | None = None

    def covers(self, url: SplitResult) -> bool:
        """Whether a request to `url` goes without a proxy."""
        if self.scheme not in ("", url.scheme):
            return False
        is_usual_port = url.port == PORTS.get(url.scheme)  # httpx2 takes it for no port at all
        port = None if is_usual_port else url.port
        if self.port not in (None, port):
            return False
        return self.matches(url.hostname or "")


@dataclass(frozen=True, slots=True)
class Proxy:
    """One proxy. `url` may hold a password; `str()` gives what may be shown."""

    url: str = field(repr=False)
    variable: str
    """The environment variable that names it, or where else it comes from."""

    @property
    def scheme(self) -> str:
        """`http`, `https`, `socks5` or `socks5h`, once it was checked."""
        return self.url.partition("://")[0].lower()

    def __str__(self) -> str:
        return f"the proxy {self._address()} ({self.variable})"

    def check(self) -> None:
        """Raise ConfigurationError for one that can't be used. Never repeats its user or password."""
        if self.scheme not in SCHEMES:
            known = ", ".join(SCHEMES)
            raise ConfigurationError(
                f"{self.variable} names a proxy of the kind {self.scheme!r}: use one of {known}, or unset it"
            )
        try:
            parts = urlsplit(self.url)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            host, port = "", 0
        is_address = is_host(host) and port != 0 and not _UNPRINTABLE.search(self.url)
        require(
            is_address,
            f"{self.variable} isn't an address of a proxy: write it as http://host:port, with a "
            "port from 1 to 65535, or unset it",
            ConfigurationError,
        )

    def _address(self) -> str:
        return self.url.partition("://")[2].rpartition("@")[2].partition("/")[0]


class Proxies:
    """HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY, as they were when this was made."""

    def __init__(self) -> None:
        found = urllib.request.getproxies()
        self._by_scheme: dict[str, Proxy] = {}
        for scheme in ("http", "https", "all"):
            url = found.get(scheme)
            if url:
                whole = url if "://" in url else f"http://{url}"
                self._by_scheme[scheme] = Proxy(whole, _find_variable(scheme, url))
        names = [name.strip() for name in found.get("no", "").split(",")]
        if "*" in names:
            self._by_scheme = {}
        if _EVERYTHING in names:  # to httpx2 a proxy for one scheme says more than that
            self._by_scheme.pop("all", None)
            names = [name for name in names if name != _EVERYTHING]
        self._rules = [*filter(None, map(_parse, filter(None, names)))]

    def find(self, url: str) -> Proxy | None:
        """The proxy for a request; None: it needs none. Raises ConfigurationError for a wrong one."""
        if not self._by_scheme:
            return None
        parts = urlsplit(url)
        if any(rule.covers(parts) for rule in self._rules):
            return None
        proxy = self._by_scheme.get(parts.scheme) or self._by_scheme.get("all")
        if proxy is not None:
            proxy.check()
        return proxy


class NoProxies:
    """Stands for the proxies of a client that asks its hosts' addresses itself: it goes through none."""

    def find(self, url: str) -> None:
        """No proxy."""


def _find_variable(scheme: str, value: str) -> str:
    """Which variable has a value that `urllib` found, by the name as it is spelled."""
    name = f"{scheme}_proxy"
    for known, text in os.environ.items():
        if known.lower() == name and text == value:
            return known
    return "the system's settings"


def _parse(name: str) -> _Rule | None:
    """The rule of one name; None if it can't be read, which curl and httpx2 ignore too."""
    scheme, has_scheme, name = name.rpartition("://")
    scheme = "" if scheme == "all" else scheme
    address, slash, size = name.partition("/")
    host, port = _split_port(address)
    known = _parse_address(host.strip("[]"))
    matches: Matches | None
    if has_scheme and not name:  # all of its hosts
        matches = _anything
    elif slash:
        matches = _network_matcher(known, size)
    elif known is not None:
        matches = _address_matcher(known)
    else:
        matches = _host_matcher(host.lower(), exact=bool(has_scheme))
    return None if matches is None else _Rule(matches, scheme, port)


def _anything(_: str) -> bool:
    return True


def _network_matcher(known: Address | None, size: str) -> Matches | None:
    try:
        network = ipaddress.ip_network(f"{known}/{size}", strict=False)
    except ValueError:
        return None

    def matches(host: str) -> bool:
        address = _as_address(host)
        return address is not None and address in network

    return matches


def _address_matcher(known: Address) -> Matches:
    return lambda host: _as_address(host) == known


def _split_port(address: str) -> tuple[str, int | None]:
    if address.count(":") > 1 and "]" not in address:  # an IPv6 address
        return address, None
    host, colon, port = address.rpartition(":")
    if colon and port.isdecimal() and "]" not in port:
        return host, int(port)
    return address, None


def _host_matcher(name: str, *, exact: bool) -> Matches:
    """`example.com` covers its subdomains, `.example.com` and `*.example.com` only those."""
    if name.startswith(("*.", ".")):
        suffix = name.removeprefix("*")
        return lambda host: host.endswith(suffix) and host != suffix
    if name == "localhost" or exact:
        return lambda host: host == name
    return lambda host: host == name or host.endswith(f".{name}")


def _as_address(host: str) -> Address | None:
    """The address that a URL's host is, without its zone."""
    return _parse_address(host.partition("%")[0])


def _parse_address(text: str) -> Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
