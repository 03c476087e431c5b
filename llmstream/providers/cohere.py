"""Cohere's own API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmstream.messages import ChatRequest
from llmstream.providers.api import API
from llmstream.providers.http_provider import HTTPProvider
from llmstream.providers.provider import ProviderTraits, SchemaSupport
from llmstream.wire.cohere_v2.request import CohereVariant, render_request
from llmstream.wire.outbound import Rendered


class CohereProvider(HTTPProvider):
    """Cohere, or a server that speaks its format."""

    api = API(
        url="https://api.cohere.com",
        url_variable="CO_API_URL",
        version_path="/v2",
        keys=("COHERE_API_KEY", "CO_API_KEY"),
    )
    format = "cohere-v2"
    default_model = "command-a-03-2025"

    def make_traits(self, **traits: Any) -> ProviderTraits:
        """Every model takes schemas, and calls that are forced."""
        schemas = SchemaSupport(native=True, forced_call=True, json_object=True)
        return super().make_traits(schemas=schemas, **traits)

    def render(self, request: ChatRequest, given: Mapping[str, str]) -> Rendered:
        """The request as Cohere's."""
        return render_request(request, CohereVariant(self.name))
