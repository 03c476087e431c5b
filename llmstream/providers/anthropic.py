"""Anthropic's Messages API over its official SDK."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from llmstream.messages import ChatRequest
from llmstream.providers.base import SchemaSupport
from llmstream.providers.endpoint import reveal
from llmstream.providers.sdk import SDKProvider
from llmstream.wire.anthropic_messages.decode import MessagesDecoder
from llmstream.wire.anthropic_messages.request import Dialect, render_request, takes_prefill
from llmstream.wire.anthropic_messages.versions import HEADER, WITH_SAMPLING, version_for
from llmstream.wire.outbound import Rendered

_NO_SCHEMA = re.compile(
    r"claude-(2|3|instant)|claude-(opus|sonnet|haiku)-4([-@]\d{8}|-0([-@]|$)|$)"
)
"""Claude before 4.1 (https://docs.anthropic.com/en/docs/build-with-claude/structured-outputs)."""


class AnthropicProvider(SDKProvider):
    """Anthropic, or a server that speaks its format. Amazon's and Google's variants through `sdk_client`."""

    sdk = "anthropic"
    path = "/v1/messages"
    decoder = MessagesDecoder
    key_variables = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN")
    default_model = "claude-sonnet-4-5"

    def make_client(self, http_client: Any, /, **options: Any) -> Any:
        """`anthropic.AsyncAnthropic`."""
        import anthropic

        return anthropic.AsyncAnthropic(http_client=http_client, **reveal(options))

    def prefills(self, request: ChatRequest) -> bool:
        """Claude before 4.6 does."""
        return takes_prefill(request)

    def schema_support(self, model: str) -> SchemaSupport:
        """Claude from 4.1 on takes schemas; none lets a call be forced while it reasons."""
        native = _NO_SCHEMA.search(model) is None
        return SchemaSupport(
            native=native, closed_only=True, forced_call=True, forced_reasoning=False
        )

    def render(self, request: ChatRequest, given: Mapping[str, str]) -> Rendered:
        """The request as Messages. A version of the caller's own decides what it may hold."""
        unsigned = "deepseek" in request.model.lower()
        return render_request(
            request, Dialect(self.name, version=given.get(HEADER), unsigned_thinking=unsigned)
        )

    def finish(self, rendered: Rendered, given: Mapping[str, str], client: Any) -> None:
        """Add the API version that takes this body: a header, or a field with Amazon's and Google's clients."""
        version = version_for(rendered.body)
        if HEADER in client.default_headers:
            if HEADER not in given:
                rendered.headers[HEADER] = version
        elif version == WITH_SAMPLING:
            rendered.body.setdefault("anthropic_version", _version_in_body(client))


def _version_in_body(client: Any) -> str:
    """What the SDK's clients for these hosts sent before there was another version."""
    modules = {cls.__module__ for cls in type(client).__mro__}
    return (
        "bedrock-2023-05-31"
        if any(".bedrock." in name for name in modules)
        else "vertex-2023-10-16"
    )
