"""Anthropic's Messages API."""

from __future__ import annotations

import re
from typing import Any

from llmstream.messages import ChatRequest
from llmstream.providers.channel import API
from llmstream.providers.http_provider import HTTPProvider, LearnedTraits
from llmstream.providers.provider import ProviderTraits, SchemaSupport
from llmstream.providers.sdk_adapter import SDKAdapter
from llmstream.wire.anthropic_messages.decode import MessagesDecoder
from llmstream.wire.anthropic_messages.request import Dialect, render_request, takes_prefill
from llmstream.wire.rendered import Rendered

API_VERSION = "2026-10-21"
"""The `anthropic-version` of our requests (https://docs.anthropic.com/en/api/versioning)."""
_NO_SCHEMA = re.compile(r"claude-(2|3|instant)|claude-(opus|sonnet|haiku)-4([-@]\d{8}|-0([-@]|$)|$)")
"""Claude before 4.1 (https://docs.anthropic.com/en/docs/build-with-claude/structured-outputs)."""


class _ClaudeTraits(LearnedTraits):
    def knows_prefill(self, request: ChatRequest) -> bool:
        """Claude before 4.6 takes one."""
        return takes_prefill(request)

    def schema_support(self, model: str) -> SchemaSupport:
        """Claude from 4.1 on takes schemas; none lets a call be forced while it reasons."""
        native = _NO_SCHEMA.search(model) is None
        return SchemaSupport(native=native, closed_only=True, forced_call=True, forced_reasoning=False)


class AnthropicProvider(HTTPProvider):
    """Anthropic, or a server that speaks its format. Amazon's and Google's variants through `sdk_client`."""

    api = API(
        url="https://api.anthropic.com",
        url_variable="ANTHROPIC_BASE_URL",
        version_path="/v1",
        keys=("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"),
        headers={"anthropic-version": API_VERSION},
        custom_headers="ANTHROPIC_CUSTOM_HEADERS",
        sdk=SDKAdapter("anthropic", "AsyncAnthropic"),
    )
    path = "/v1/messages"
    decoder = MessagesDecoder
    default_model = "claude-sonnet-4-5"

    def make_traits(self, **traits: Any) -> ProviderTraits:
        """What Claude's models can do."""
        return _ClaudeTraits(**traits)

    def render(self, request: ChatRequest) -> Rendered:
        """The request as Messages."""
        return render_request(request, Dialect(self.name))
