"""ProviderConfig: what a provider is made from."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from llmstream.checks import require
from llmstream.errors import ConfigurationError
from llmstream.providers.secrets import Secret

VARIABLE = "LLMSTREAM_TRANSPORT"
TRANSPORTS = ("httpx2", "aiohttp")

AllowHost = Callable[[str, str], bool]
"""`allow_host(host, address)`: whether a connection to this resolved IP address may be made. It must not block."""


@dataclass(slots=True)
class ProviderConfig:
    """The settings with which `LLMClient` makes a provider."""

    name: str
    api_key: str | Secret[str] | None = field(default=None, repr=False)
    base_url: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    sdk_client: Any = None
    allow_insecure_http: bool = False
    transport: str | None = None
    """What the SDK's HTTP goes over: "httpx2" or "aiohttp"; None: `LLMSTREAM_TRANSPORT`, else httpx2."""
    allow_host: AllowHost | None = None
    """Asked before each connection."""

    def refuse_endpoint(self) -> None:
        """For providers that have neither key nor address. Raises ConfigurationError if one was given."""
        named = {"api_key": self.api_key, "base_url": self.base_url, "sdk_client": self.sdk_client}
        given = ", ".join(name for name, value in named.items() if value is not None)
        require(not given, f"{given}: provider {self.name} takes none", ConfigurationError)


def find_transport(config: ProviderConfig) -> str:
    """The transport to use. Raises ConfigurationError for an unknown name, or a missing package."""
    name, origin = config.transport, "transport"
    if name is None:
        name, origin = os.environ.get(VARIABLE) or TRANSPORTS[0], VARIABLE
    if name not in TRANSPORTS:
        names = ", ".join(TRANSPORTS)
        raise ConfigurationError(f"{origin} must be one of {names}, not {name!r}")
    require(
        importlib.util.find_spec(name) is not None,
        f"{origin}={name!r} needs a package: pip install 'llmstream-core[{name}]'",
        ConfigurationError,
    )
    return name
