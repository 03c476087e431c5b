"""Ollama's own API, on this machine or another, or in Ollama's cloud (`base_url="https://ollama.com"`)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from llmstream.messages import ChatRequest
from llmstream.providers.api import API
from llmstream.providers.http_provider import HTTPProvider
from llmstream.providers.provider import ProviderTraits, SchemaSupport
from llmstream.wire.ollama_native.request import OllamaVariant, render_request
from llmstream.wire.outbound import Rendered

_PORT = 11434
_ANYWHERE = re.compile(r"//(?:0\.0\.0\.0|\[::\])(?=[:/]|$)")
"""What a server listens on, and no client can ask."""


def address_of(host: str) -> str:
    """The address that OLLAMA_HOST means: `host`, `host:port`, `:port` or a URL, as Ollama's own programs read it."""
    url = host if "://" in host else f"http://{host}"
    scheme, _, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    if authority.startswith(":") or not authority:
        authority = f"127.0.0.1{authority}"
    has_port = re.search(r":\d+$", authority) is not None
    if not has_port and "://" not in host:
        authority = f"{authority}:{_PORT}"
    return _ANYWHERE.sub("//127.0.0.1", f"{scheme}://{authority}{slash}{path}")


class OllamaProvider(HTTPProvider):
    """An Ollama server. It needs no key, but Ollama's cloud does."""

    api = API(
        url=f"http://localhost:{_PORT}",
        url_variable="OLLAMA_HOST",
        url_of=address_of,
        version_path="/api",
        keys=("OLLAMA_API_KEY",),
        key_needed=False,
    )
    format = "ollama-native"

    def make_traits(self, **traits: Any) -> ProviderTraits:
        """Any model is held to a schema here; nobody can force a call."""
        return super().make_traits(schemas=SchemaSupport(native=True, json_object=True), **traits)

    def render(self, request: ChatRequest, given: Mapping[str, str]) -> Rendered:
        """The request as Ollama's."""
        return render_request(request, OllamaVariant(self.name))
