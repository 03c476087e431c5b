"""The proxies that the environment names, read as httpx2 reads them, for either transport."""

from __future__ import annotations

import ipaddress
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

PORTS = {"http": 80, "https": 443}
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
        if self.scheme and self.scheme != url.scheme:
            return False
        is_usual_port = url.port == PORTS.get(url.scheme)  # httpx2 takes it for no port at all
        port = None if is_usual_port else url.port
        if self.port is not None and self.port != port:
            return False
        return self.matches(url.hostname or "")


class Proxies:
    """HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY, as they were when this was made."""

    def __init__(self) -> None:
        found = urllib.request.getproxies()
        self._by_scheme: dict[str, str] = {}
        for scheme in ("http", "https", "all"):
            url = found.get(scheme)
            if url:
                self._by_scheme[scheme] = url if "://" in url else f"http://{url}"
        names = [name.strip() for name in found.get("no", "").split(",")]
        if "*" in names:
            self._by_scheme = {}
        rules = [_parse(name) for name in names if name]
        self._rules = [rule for rule in rules if rule is not None]

    def urls(self) -> list[str]:
        """All that there are."""
        return list(dict.fromkeys(self._by_scheme.values()))

    def find(self, url: str) -> str | None:
        """The URL of the proxy for a request; None: it needs none."""
        if not self._by_scheme:
            return None
        parts = urlsplit(url)
        if any(rule.covers(parts) for rule in self._rules):
            return None
        return self._by_scheme.get(parts.scheme) or self._by_scheme.get("all")


def _parse(name: str) -> _Rule | None:
    """The rule of one name; None if it can't be read, which curl and httpx2 ignore too."""
    scheme, has_scheme, name = name.rpartition("://")
    scheme = "" if scheme == "all" else scheme
    address, slash, size = name.partition("/")
    host, port = _split_port(address)
    known = _parse_address(host.strip("[]"))
    if slash:
        matches = _network_matcher(known, size)
    elif known is not None:
        matches = _address_matcher(known)
    else:
        matches = _host_matcher(host.lower(), exact=bool(has_scheme))
    return None if matches is None else _Rule(matches, scheme, port)


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
    if colon and port.isdigit() and "]" not in port:
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
