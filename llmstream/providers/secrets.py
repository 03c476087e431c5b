"""Keys and headers: how they are hidden and checked, and what counts as a secret when something is shown."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Generic, TypeVar

from llmstream.checks import raise_flaw
from llmstream.errors import ConfigurationError

T = TypeVar("T")

_OF_THE_TRANSPORT = ("content-length", "transfer-encoding", "host")
_SECRET_HEADER = re.compile(r"key|auth|token|secret|password|cookie|credential", re.I)

_HEADER_NAME = re.compile("[!-9;-~]+")
"""Printable ASCII without the colon that ends a name."""
_PLAIN = re.compile("[ -~]*")

_SHORTEST = 8
"""Characters of a secret that is hidden wherever it stands in a text."""


class Secret(Generic[T]):
    """A value that no repr, log, traceback or pickle shows. Not a `str`, which would slip through everywhere."""

    __slots__ = ("_value",)

    def __init__(self, value: T) -> None:
        self._value = value

    def reveal(self) -> T:
        """The value, for the one who sends it."""
        return self._value

    def __repr__(self) -> str:
        return "[secret]"

    def __reduce__(self) -> Any:
        raise TypeError("a secret can't be pickled")


class SecretHeaders(Mapping[str, str]):
    """Headers whose repr has only their names."""

    __slots__ = ("_headers",)

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = dict(headers)

    def __getitem__(self, name: str) -> str:
        return self._headers[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._headers)

    def __len__(self) -> int:
        return len(self._headers)

    def __repr__(self) -> str:
        return f"[headers {', '.join(self._headers)}]"

    def __reduce__(self) -> Any:
        raise TypeError("secret headers can't be pickled")


def hide(value: Any) -> Any:
    """A value in a form that no traceback shows; None as it is."""
    return None if value is None else Secret(value)


def hide_headers(headers: Any) -> Any:
    """Headers in a form that no traceback shows. Non-mappings are wrapped too; validation rejects them."""
    if headers is None:
        return None
    return SecretHeaders(headers) if isinstance(headers, Mapping) else Secret(headers)


def reveal(hidden: Any) -> Any:
    """Return the value in a Secret, or the values in a dict of them. Anything else is returned as it is."""
    if isinstance(hidden, dict):
        return {name: reveal(value) for name, value in hidden.items()}
    return hidden.reveal() if isinstance(hidden, Secret) else hidden


def check_key(key: str | Secret[str], name: str) -> Secret[str]:
    """The key without blanks around it. Raise ConfigurationError for what can't stand in an HTTP header."""
    hidden = key if isinstance(key, Secret) else Secret(key)
    del key  # no frame that raises shows it
    raise_flaw(_key_flaw(hidden.reveal(), name), ConfigurationError)
    return Secret(hidden.reveal().strip(" \t"))


def _key_flaw(key: Any, name: str) -> str | None:
    if not isinstance(key, str):
        return f"{name} must be a string, not {type(key).__name__}"
    key = key.strip(" \t")
    if not key:
        return f"{name} is empty"
    if not _PLAIN.fullmatch(key):
        return f"{name} holds a line break or another character that no key has; was it read from a file? Strip it"
    return None


def check_headers(headers: Mapping[str, str]) -> None:
    """Raise ConfigurationError for a header that can't be sent."""
    flaws = [_header_flaw(name, value) for name, value in headers.items()]
    del headers  # no frame that raises shows them
    raise_flaw(next(filter(None, flaws), None), ConfigurationError)


def _header_flaw(name: Any, value: Any) -> str | None:
    if not isinstance(name, str) or not isinstance(value, str):
        return "headers must map strings to strings"
    if not _HEADER_NAME.fullmatch(name):
        return f"header name {name!r} can't be sent"
    if name.lower() in _OF_THE_TRANSPORT:
        return f"header {name!r} is the transport's to set"
    if not _PLAIN.fullmatch(value):
        return f"the value of header {name!r} holds a character that can't be sent"
    return None


def secret_headers(headers: Mapping[str, str]) -> list[str]:
    """The values of the headers whose names say that they are secret."""
    return [value for name, value in headers.items() if _SECRET_HEADER.search(name)]


def secret_parts(secrets: Iterable[Any]) -> tuple[str, ...]:
    """The secrets, and of `Bearer x` or `session=x; …` the x too; the longest first.

    Too short ones would redact innocent words.
    """
    parts: set[str] = set()
    for secret in secrets:
        if isinstance(secret, str):
            parts |= {secret, *re.split(r"[\s=;,]+", secret)}
    long_enough = [part for part in parts if len(part) >= _SHORTEST]
    return tuple(sorted(long_enough, key=len, reverse=True))


def digest(base_url: str, secrets: Secret[tuple[str, ...]]) -> str:
    """Endpoint and key in a form that tells neither: streams to the same share their retries."""
    return hashlib.blake2b(repr((base_url, secrets.reveal())).encode(), digest_size=16).hexdigest()
