"""Checks of the addresses that requests go to, made before any network."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from llmstream.errors import ConfigurationError

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


def check_base_url(url: str, *, allow_insecure_http: bool = False, name: str = "base_url") -> None:
    """Raise ConfigurationError unless a request with a key in it may be sent to `url`. `name`: where it is from."""
    flaw = _url_flaw(url, allow_insecure_http=allow_insecure_http)
    del url  # no frame that raises shows it
    if flaw is not None:
        raise ConfigurationError(flaw.replace("base_url", name, 1))


def secret_in_url(url: Any) -> str | None:
    """The flaw of an address that may hold a secret; None if it holds none."""
    if not isinstance(url, str):
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    if "@" in parts.netloc:
        return "base_url must not hold a user name or password: pass api_key or headers instead"
    if "?" in url or "#" in url:
        return "base_url must end with the path: what follows it, pass as headers, or as default_query of an sdk_client"
    return None


def _url_flaw(url: Any, *, allow_insecure_http: bool) -> str | None:
    if not isinstance(url, str):
        return f"base_url must be a string, not {type(url).__name__}"
    if (
        not url.isprintable() or " " in url
    ):  # `urlsplit` reads over some of them, HTTP clients don't
        return (
            "base_url has a space, a line break or another character that no address has. "
            "If you read it from a file, strip it; in a path write a space as %20"
        )
    if len(url) > _LONGEST:
        return f"base_url has {len(url)} characters; no more than {_LONGEST} are allowed"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as problem:
        return f"base_url can't be read: {problem}"
    if parts.scheme not in ("http", "https") or not host:
        return f"base_url must begin with https:// (or http:// for this machine), not {parts.scheme or 'nothing'!r}"
    if not (is_host(host) and _is_place(parts.netloc)) or port == 0:
        return "base_url names no host that can be looked up: write it as https://host:port/path"
    if is_plain_http(url) and not allow_insecure_http:
        return (
            f"base_url is plain http to {host}: the key and the prompt would travel unencrypted. "
            "Use https://, or pass allow_insecure_http=True"
        )
    return secret_in_url(url)


def is_plain_http(url: str) -> bool:
    """Whether what goes to this address travels unencrypted, and leaves this machine."""
    parts = urlsplit(url)
    return parts.scheme == "http" and not is_loopback(parts.hostname or "")


_LONGEST = 8_000
"""Characters of an address, of which servers take some 8,000 together with the path of a request."""
_HOST = re.compile(r"[a-z0-9._-]+", re.IGNORECASE)
_PLACE = re.compile(r"(\[[^\]]*:[^\]]*\]|[^\[\]]*)(:\d*)?")
"""A host, of which only an IPv6 address stands in brackets, and a port."""


def _is_place(netloc: str) -> bool:
    return _PLACE.fullmatch(netloc.rpartition("@")[2]) is not None


def is_host(host: str) -> bool:
    """Whether a host name, as `urlsplit` gives it, is an address or can be looked up."""
    if ":" in host:
        try:
            ipaddress.IPv6Address(host)
        except ValueError:
            return False
        return True
    try:
        encoded = host.encode("idna").decode("ascii")
    except ValueError:  # a label that is empty or longer than 63 characters, half a character
        return False
    return _HOST.fullmatch(encoded) is not None


@lru_cache(maxsize=256)  # a server asks about the same few for each request
def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    # A socket for both families gives IPv4 addresses in this form.
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_SPECIAL = (
    ipaddress.ip_network("168.63.129.16/32"),  # Azure's metadata
    ipaddress.ip_network("192.0.0.0/24"),  # Oracle's metadata
    ipaddress.ip_network("192.88.99.0/24"),  # 6to4
)


def public_hosts_only(host: str, address: str) -> bool:  # noqa: ARG001  # the hook's signature
    """An `allow_host` for services whose users choose `base_url`: only addresses of the public internet.

    Refuses loopback, private, link-local, shared, multicast and reserved ranges, the clouds' metadata addresses, and
    IPv6 addresses that hold such an IPv4 one.
    """
    known = ipaddress.ip_address(address.partition("%")[0])
    return all(map(_is_public, _embedded(known)))


def _embedded(address: IPAddress) -> Iterator[IPAddress]:
    """The addresses that this one stands for; its own where it stands for none."""
    if isinstance(address, ipaddress.IPv4Address):
        yield address
        return
    if address in _NAT64 or address.ipv4_mapped is not None:
        yield ipaddress.IPv4Address(address.packed[-4:])
        return
    yield address
    if address.sixtofour is not None:
        yield address.sixtofour
    elif address.teredo is not None:
        yield from address.teredo


def _is_public(address: IPAddress) -> bool:
    is_site_local = getattr(address, "is_site_local", False)  # IPv6 addresses alone have it
    flaws = (not address.is_global, address.is_multicast, address.is_reserved, is_site_local)
    return not any(flaws) and not any(address in network for network in _SPECIAL)
