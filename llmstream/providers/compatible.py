"""The vendor table: hosts that speak OpenAI's chat completions, one row each.

A row says where the host is, whose key it wants, and where its dialect differs from OpenAI's. A flag stands only where
a recording or the vendor's documentation shows the difference; `source` says which, or that nobody could verify it.
What a row doesn't know is learned from the first 400 that names an option (`llmstream.wire.lessons`).
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field, replace
from typing import Any

from llmstream.errors import ConfigurationError
from llmstream.providers.config import ProviderConfig
from llmstream.providers.openai import OpenAIProvider
from llmstream.wire.openai_chat.request import Dialect


@dataclass(frozen=True, slots=True)
class Vendor:
    """One host of the compatible family."""

    name: str
    url: str
    """The base URL; `{VARIABLE}` stands for an environment variable that holds part of it."""
    key: tuple[str, ...]
    """Environment variables that hold the key; the first that is set is taken."""
    default_model: str | None
    source: str
    """Where its facts are from: documentation, or a recording."""
    dialect: Dialect = field(default_factory=lambda: _dialect())  # noqa: PLW0108  # defined below
    key_needed: bool = True
    verified: bool = True
    """False: no documentation and no recording could be seen; the row is what others use."""

    @property
    def placeholders(self) -> tuple[str, ...]:
        """The environment variables that are part of the URL."""
        return tuple(re.findall(r"\{(\w+)\}", self.url))

    @property
    def note(self) -> str:
        """What a list of providers says about it."""
        return "" if self.verified else "unverified"

    def base_url(self) -> str:
        """The URL, with what the environment adds to it. Raises ConfigurationError."""
        missing = [name for name in self.placeholders if not os.environ.get(name)]
        if missing:
            raise ConfigurationError(f"{self.name} has no address of its own: set {missing[0]}, or pass base_url=")
        url = re.sub(r"\{(\w+)\}", lambda match: os.environ[match[1]].strip().rstrip("/"), self.url)
        return url if "://" in url else f"https://{url}"

    def create(self, config: ProviderConfig) -> CompatibleProvider:
        """The provider of this row."""
        return CompatibleProvider(self, config)


class CompatibleProvider(OpenAIProvider):
    """A host of the table, over OpenAI's SDK."""

    def __init__(self, vendor: Vendor, config: ProviderConfig) -> None:
        self.key_variables = vendor.key
        self.key_needed = vendor.key_needed
        self.default_model = vendor.default_model
        if config.base_url is None and config.sdk_client is None:
            config = replace(config, base_url=vendor.base_url())
        super().__init__(config, replace(vendor.dialect, name=vendor.name))

    def make_client(self, http_options: dict[str, Any], **options: Any) -> Any:
        """`openai.AsyncOpenAI`, without what its environment variables mean for OpenAI alone."""
        client = super().make_client(http_options, **options)
        client.organization = client.project = client.admin_api_key = None
        client._custom_headers = options.get("default_headers", {})  # noqa: SLF001  # else OPENAI_CUSTOM_HEADERS go along
        return client


def _dialect(**differences: Any) -> Dialect:
    """What hosts of the family have in common, against OpenAI itself."""
    return Dialect(**{"max_tokens": "max_tokens", "developer_role": False, **differences})


VENDORS: dict[str, Vendor] = {}
