"""Ollama's own API, on this machine or another, or in Ollama's cloud (`base_url="https://ollama.com"`)."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from llmstream.messages import ChatRequest
from llmstream.providers.api import API
from llmstream.providers.config import ProviderConfig
from llmstream.providers.http_provider import HTTPProvider
from llmstream.providers.provider import ProviderTraits, SchemaSupport
from llmstream.wire.ollama_native.request import OllamaVariant, render_request
from llmstream.wire.outbound import Rendered

HOST_VARIABLE = "OLLAMA_HOST"
"""Where Ollama's own programs look for the server: `host`, `host:port`, `:port` or a URL."""
_PORT = 11434
_ANYWHERE = re.compile(r"//(?:0\.0\.0\.0|\[::\])(?=[:/]|$)")
"""What a server listens on, and no client can ask."""


class OllamaProvider(HTTPProvider):
    """An Ollama server. It needs no key, but Ollama's cloud does."""

    api = API(
        url=f"http://localhost:{_PORT}",
        version_path="/api",
        keys=("OLLAMA_API_KEY",),
        key_needed=False,
    )
    format = "ollama-native"

    def __init__(self, config: ProviderConfig) -> None:
        host = os.environ.get(HOST_VARIABLE, "").strip()
        if config.base_url is None and host:
            config = replace(config, base_url=address_of(host))
        super().__init__(config)

    def make_traits(self, **traits: Any) -> ProviderTraits:
        """Any model is held to a schema here; nobody can force a call."""
        return super().make_traits(schemas=SchemaSupport(native=True, json_object=True), **traits)

    def render(self, request: ChatRequest, given: Mapping[str, str]) -> Rendered:
        """The request as Ollama's."""
        return render_request(request, OllamaVariant(self.name))


def address_of(host: str) -> str:
    """The address that OLLAMA_HOST means, as Ollama's own programs read it."""
    url = host if "://" in host else f"http://{host}"
    scheme, _, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    if authority.startswith(":") or not authority:
        authority = f"127.0.0.1{authority}"
    has_port = re.search(r":\d+$", authority) is not None
    if not has_port and "://" not in host:
        authority = f"{authority}:{_PORT}"
    return _ANYWHERE.sub("//127.0.0.1", f"{scheme}://{authority}{slash}{path}")
