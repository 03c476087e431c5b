"""Keys of clients: the name of each holder, by the hashes of their keys alone.

A key is written as itself, or as `name:sha256`, which `llmstream keys new NAME` prints. The hash has no salt, so a key
must be long and random: nobody can guess 256 random bits, and everybody can try a word.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import re
import secrets
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from llmstream.checks import require
from llmstream.errors import ConfigurationError
from llmstream.log import get_logger

__all__ = ["SHORTEST_KEY", "KeyFile", "KeyRing", "hash_line", "new_key"]

logger = get_logger("llmstream.web")

SHORTEST_KEY: Final = 16
"""Characters. Shorter ones can be guessed."""
LOOK: Final = 1.0
"""Seconds between two looks at a file of keys."""
_SETTLED: Final = 2.0
"""Seconds after which another change of a file has another time, on every file system that is in use."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_HASH_LINE = re.compile(rf"({_NAME.pattern}):([0-9a-fA-F]{{64}})")
_LINE_WANTED = "a line must be NAME:SHA256, as `llmstream keys new NAME` prints it"


class _Holder(NamedTuple):
    digest: bytes
    name: str | None


_NOBODY = _Holder(bytes(32), None)


class KeyRing:
    """The holders of some keys. Two keys may have one name: the old and the new one, while clients change over.

    `keys` are keys, at least 16 characters each, or lines `name:sha256`. A key without a name is known by one that is
    made of its hash. Raises ConfigurationError, which shows none of them.
    """

    def __init__(self, keys: str | Iterable[str] = ()) -> None:
        listed = (keys,) if isinstance(keys, str) else keys
        holders = [_holder(key, f"keys[{number}]") for number, key in enumerate(listed)]
        self._holders = {holder.digest: holder for holder in holders}
        _check_one_name(holders, self._holders)

    def __len__(self) -> int:
        return len(self._holders)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, KeyRing) and self._holders == other._holders

    __hash__ = None  # type: ignore[assignment]  # nobody needs a set of them

    def __repr__(self) -> str:
        return f"KeyRing({len(self)} keys)"

    def __or__(self, other: KeyRing) -> KeyRing:
        """The keys of both."""
        both = KeyRing()
        both._holders = {**self._holders, **other._holders}
        return both

    def names(self) -> set[str]:
        """The names of all holders."""
        return {holder.name for holder in self._holders.values() if holder.name is not None}

    def find(self, key: str) -> str | None:
        """The name of this key's holder; None for a stranger. It takes as long with ten thousand keys as with one."""
        digest = _digest(key)
        holder = self._holders.get(digest, _NOBODY)
        return holder.name if hmac.compare_digest(holder.digest, digest) else None


class KeyFile:
    """Keys in a file of lines `name:sha256`, which may change while a server runs. Lines with `#` are comments.

    A change is in force within about a second; a file without a key lets in nobody. One that can't be read, or has a
    line that is wrong, is reported in the log, and changes nothing: so write another file and rename it. `beside` are
    further keys, which stay. Raises ConfigurationError if the file can't be used now.
    """

    def __init__(self, path: str | os.PathLike[str], beside: KeyRing | None = None) -> None:
        self.path = os.fspath(path)
        self._beside = beside or KeyRing()
        self._version = _version(self.path)
        self._ring = self._read()
        require(
            len(self._ring), f"{self.path} has no keys, so it lets in nobody", ConfigurationError
        )
        self._flaw = ""
        self._next_look = time.monotonic() + LOOK

    def __repr__(self) -> str:
        return f"KeyFile({self.path!r})"

    @property
    def current(self) -> KeyRing:
        """The keys as they were when somebody last looked."""
        return self._ring

    async def ring(self) -> KeyRing:
        """The keys that are in force now."""
        if time.monotonic() >= self._next_look:
            # Whoever asks meanwhile goes on with the keys of before.
            self._next_look = time.monotonic() + LOOK
            await asyncio.to_thread(self._look)
        return self._ring

    def _look(self) -> None:
        version = _version(self.path)
        if version is not None and version == self._version:
            return
        try:
            ring = self._read()
        except ConfigurationError as problem:
            self._report(str(problem))
            return
        finally:
            self._version = version
        self._flaw = ""
        if ring != self._ring:
            self._ring = ring
            logger.warning("%s is in use; keys: %s", self.path, len(ring))

    def _report(self, flaw: str) -> None:
        """Log what is wrong, once."""
        if flaw != self._flaw:
            self._flaw = flaw
            logger.error("%s; the keys of before stay", flaw)

    def _read(self) -> KeyRing:
        return self._beside | read_keys(self.path)


def read_keys(path: str) -> KeyRing:
    """The keys of a file. Raises ConfigurationError, which names the line and shows nothing of it."""
    try:
        data = Path(path).read_bytes()
    except (OSError, ValueError) as problem:
        why = getattr(problem, "strerror", None) or problem
        raise ConfigurationError(f"{path} can't be read: {why}") from None
    try:
        text = data.decode("utf-8-sig")
    except ValueError:
        raise ConfigurationError(f"{path} isn't UTF-8: save the file as it") from None
    lines = {number: line.strip() for number, line in enumerate(text.splitlines(), 1)}
    written = {number: line for number, line in lines.items() if line and line[0] != "#"}
    for number, line in written.items():
        flaw = f"{path}, line {number}: {_LINE_WANTED}"
        require(_HASH_LINE.fullmatch(line), flaw, ConfigurationError)
    try:
        return KeyRing(written.values())
    except ConfigurationError as problem:
        raise ConfigurationError(f"{path}: {problem}") from None


def is_key_name(name: str) -> bool:
    """Whether a key can have this name."""
    return _NAME.fullmatch(name) is not None


def new_key() -> str:
    """A new key: 256 random bits."""
    return f"llms-{secrets.token_urlsafe(32)}"


def hash_line(name: str, key: str) -> str:
    """The line `name:sha256` of a key. Raises ConfigurationError for a name or a key that can't be one."""
    problem = (
        "a name must be up to 64 letters, digits, dots, dashes, underscores and @, "
        f"and begin with a letter or digit, not {name[:100]!r}"
    )
    require(is_key_name(name), problem, ConfigurationError)
    _check_key(key, "the key")
    return f"{name}:{_digest(key).hex()}"


def _holder(text: object, where: str) -> _Holder:
    line = _HASH_LINE.fullmatch(text) if isinstance(text, str) else None
    if line is not None:
        return _Holder(bytes.fromhex(line[2]), line[1])
    digest = _digest(_check_key(text, where))
    # A hash of the hash, since the name stands in logs.
    return _Holder(digest, f"key-{hashlib.sha256(digest).hexdigest()[:16]}")


def _check_one_name(holders: Iterable[_Holder], by_digest: Mapping[bytes, _Holder]) -> None:
    """Raise ConfigurationError for a key with two names: it would have the limits of either."""
    for holder in holders:
        other = by_digest[holder.digest]
        flaw = f"{holder.name} and {other.name} have the same key: give each a key of its own"
        require(other == holder, flaw, ConfigurationError)


def _check_key(text: object, where: str) -> str:
    is_word = isinstance(text, str) and text.isascii() and text.split() == [text]
    require(is_word, f"{where} must be one word of ASCII, or NAME:SHA256", ConfigurationError)
    key = str(text)
    problem = (
        f"{where} is too short: a key has at least {SHORTEST_KEY} characters, since others can be "
        "guessed; `llmstream keys new NAME` makes one"
    )
    require(len(key) >= SHORTEST_KEY, problem, ConfigurationError)
    return key


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


def _version(path: str) -> tuple[float, ...] | None:
    """Another one for each version of a file; None where that can't be told."""
    try:
        found = os.stat(path)  # noqa: PTH116  # on each look
    except (OSError, ValueError):
        return None
    is_settled = time.time() - found.st_mtime > _SETTLED
    return (found.st_mtime_ns, found.st_size, found.st_ino) if is_settled else None
