"""Anthropic's Messages API over its official SDK."""

from __future__ import annotations

import re
from typing import Any

from llmstream.messages import ChatRequest
from llmstream.providers.provider import ProviderTraits, SchemaSupport
from llmstream.providers.sdk import LearnedTraits, SDKProvider
from llmstream.providers.secrets import reveal
from llmstream.wire.anthropic_messages.decode import MessagesDecoder
from llmstream.wire.anthropic_messages.request import Dialect, render_request, takes_prefill
from llmstream.wire.rendered import Rendered

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

    def make_traits(self, **traits: Any) -> ProviderTraits:
        """What Claude's models can do."""
        return _ClaudeTraits(**traits)

    def render(self, request: ChatRequest) -> Rendered:
        """The request as Messages."""
        return render_request(request, Dialect(self.name))
