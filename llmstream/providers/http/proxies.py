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
        if self.port is not None and self.port != (
            url.port if url.port != PORTS.get(url.scheme) else None
        ):
            return False
        return self.matches(url.hostname or "")


class Proxies:
    """HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY, as they were when this was made."""

    def __init__(self) -> None:
        found = urllib.request.getproxies()
        self._by_scheme = {
            scheme: found[scheme] if "://" in found[scheme] else f"http://{found[scheme]}"
            for scheme in ("http", "https", "all")
            if found.get(scheme)
        }
        names = [name.strip() for name in found.get("no", "").split(",")]
        if "*" in names:
            self._by_scheme = {}
        self._rules = [rule for name in names if name and (rule := _parse(name)) is not None]

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
    scheme, exact, name = name.rpartition("://")
    scheme = "" if scheme == "all" else scheme
    address, slash, size = name.partition("/")
    host, port = _split_port(address)
    try:
        known = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return (
            None if slash else _Rule(_host_matcher(host.lower(), exact=bool(exact)), scheme, port)
        )
    if not slash:
        return _Rule(lambda other: _as_address(other) == known, scheme, port)
    try:
        network = ipaddress.ip_network(f"{known}/{size}", strict=False)
    except ValueError:
        return None
    return _Rule(
        lambda other: (found := _as_address(other)) is not None and found in network, scheme, port
    )


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
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
