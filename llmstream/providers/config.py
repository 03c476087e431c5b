"""ProviderConfig: what a provider is made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class ProviderConfig:
    """What `LLMClient` knows about a provider when it makes one."""

    name: str
    api_key: str | None = field(default=None, repr=False)
    base_url: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    sdk_client: Any = None
    allow_insecure_http: bool = False
