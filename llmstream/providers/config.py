"""ProviderConfig: what a provider is made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from llmstream.errors import ConfigurationError


@dataclass(slots=True)
class ProviderConfig:
    """What `LLMClient` knows about a provider when it makes one."""

    name: str
    api_key: str | None = field(default=None, repr=False)
    base_url: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    sdk_client: Any = None
    allow_insecure_http: bool = False

    def refuse_endpoint(self) -> None:
        """For providers that have neither key nor address. Raises ConfigurationError if one was given."""
        named = {"api_key": self.api_key, "base_url": self.base_url, "sdk_client": self.sdk_client}
        if given := [name for name, value in named.items() if value is not None]:
            raise ConfigurationError(f"{', '.join(given)}: provider {self.name} takes none")
