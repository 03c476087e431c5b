"""Where a request goes and with what key: checks made before any network, and what counts as a secret afterwards."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from llmstream.errors import ConfigurationError

_SECRET_HEADER = re.compile(r"key|auth|token|secret|password|cookie|credential", re.I)


def check_base_url(url: str, *, allow_insecure_http: bool = False) -> None:
    """Raise ConfigurationError unless a request with a key in it may be sent to `url`."""
    if not isinstance(url, str):
        raise ConfigurationError(f"base_url must be a string, not {type(url).__name__}")
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError as problem:
        raise ConfigurationError(f"base_url can't be read: {problem}") from None
    if parts.scheme not in ("http", "https") or not host:
        raise ConfigurationError(
            f"base_url must begin with https:// (or http:// for this machine), not {parts.scheme or 'nothing'!r}"
        )
    if parts.username is not None or parts.password is not None:
        raise ConfigurationError("base_url must not hold a user name or password: pass api_key or headers instead")
    if parts.scheme == "http" and not is_loopback(host) and not allow_insecure_http:
        raise ConfigurationError(
            f"base_url is plain http to {host}: the key and the prompt would travel unencrypted. "
            "Use https://, or pass allow_insecure_http=True"
        )


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_key(key: str, name: str) -> str:
    """The key without blanks around it. Raise ConfigurationError for what can't stand in an HTTP header."""
    if not isinstance(key, str):
        raise ConfigurationError(f"{name} must be a string, not {type(key).__name__}")
    key = key.strip(" \t")
    if not key:
        raise ConfigurationError(f"{name} is empty")
    if not key.isascii() or not key.isprintable():
        raise ConfigurationError(
            f"{name} holds a line break or another character that no key has; was it read from a file? Strip it"
        )
    return key


def check_headers(headers: Mapping[str, str]) -> None:
    """Raise ConfigurationError for a header that can't be sent."""
    for name, value in headers.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise ConfigurationError("headers must map strings to strings")
        if not name.isascii() or not name.isprintable() or not name or set(name) & set(" :"):
            raise ConfigurationError(f"header name {name!r} can't be sent")
        if name.lower() in ("content-length", "transfer-encoding", "host"):
            raise ConfigurationError(f"header {name!r} is the transport's to set")
        if not value.isascii() or not value.isprintable():
            raise ConfigurationError(f"the value of header {name!r} holds a character that can't be sent")


def secret_headers(headers: Mapping[str, str]) -> list[str]:
    """The values of the headers whose names say that they are secret."""
    return [value for name, value in headers.items() if _SECRET_HEADER.search(name)]


def secret_parts(secrets: Iterable[Any]) -> tuple[str, ...]:
    """The secrets, and of `Bearer x` the x too; the longest first. Too short ones would redact innocent words."""
    parts = [part for secret in secrets if isinstance(secret, str) for part in (secret, secret.rpartition(" ")[2])]
    return tuple(sorted({part for part in parts if len(part) >= 8}, key=len, reverse=True))
