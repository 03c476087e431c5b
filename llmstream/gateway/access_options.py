"""Access options of `llmstream serve`: where it listens, and whom it lets in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from llmstream.checks import require
from llmstream.errors import ConfigurationError
from llmstream.providers.url_checks import is_loopback
from llmstream.web import Access, KeyLimits
from llmstream.web.access import LOOPBACK
from llmstream.web.keys import KeyFile, KeyRing

KEYS = "LLMSTREAM_SERVE_KEYS"
"""The environment variable with the keys that clients must send, separated by commas: command lines are seen by all."""


@dataclass(frozen=True, slots=True)
class AccessOptions:
    """Those of the command line and the environment."""

    host: str = "127.0.0.1"
    """The address that it listens on."""
    names: Sequence[str] = ()
    """Further names that it goes by."""
    origins: Sequence[str] = ()
    keys: KeyRing = field(default_factory=KeyRing)
    key_file: str | None = None
    """A file of further keys."""
    metrics: Sequence[str] = ()
    """The names of keys that may read `/metrics`."""

    def access(
        self,
        more: KeyRing | None = None,
        limits: Mapping[str, KeyLimits] | None = None,
        metrics: Sequence[str] = (),
    ) -> Access:
        """The rules of access, with `more` keys, the `limits` of some, and those that may read the `metrics`.

        A file of keys is read now.

        Raises ConfigurationError, also for no keys off loopback.
        """
        ring = self.keys | (more or KeyRing())
        keys: KeyRing | KeyFile | None = ring if len(ring) else None
        if self.key_file is not None:
            keys = KeyFile(self.key_file, ring)
        problem = (
            f"--host {self.host} lets others in: name the keys that they must send, "
            f"with --keys FILE or in {KEYS}; `llmstream keys new NAME` makes one"
        )
        require(keys is not None or is_loopback(self.host), problem, ConfigurationError)
        own = (self.host, *LOOPBACK) if keys is None else ()
        hosts = [*self.names, *own] or None
        return Access(
            keys=keys,
            hosts=hosts,
            origins=self.origins,
            key_limits=limits or {},
            metrics=[*self.metrics, *metrics],
        )


def parse_keys(text: str) -> KeyRing:
    """The keys of a text, separated by commas. Raises ConfigurationError, which shows none of them."""
    given = [key.strip() for key in text.split(",")]
    try:
        return KeyRing(filter(None, given))
    except ConfigurationError as problem:
        raise ConfigurationError(str(problem).replace("keys[", f"{KEYS}[", 1)) from None
