"""Anthropic's Messages API."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from llmstream.messages import ChatRequest
from llmstream.providers.api import API
from llmstream.providers.config import ProviderConfig
from llmstream.providers.exchange import Outbound
from llmstream.providers.http_provider import HTTPProvider, LearnedTraits
from llmstream.providers.provider import ProviderTraits, SchemaSupport
from llmstream.providers.sdk_adapter import SDKAdapter
from llmstream.wire.anthropic_messages.request import MessagesVariant, render_request, takes_prefill
from llmstream.wire.anthropic_messages.versions import HEADER, WITH_SAMPLING, version_for
from llmstream.wire.outbound import Rendered
from llmstream.wire.part_rules import MESSAGES_BY_DATA, MESSAGES_PARTS

_NO_SCHEMA = re.compile(
    r"claude-(2|3|instant)|claude-(opus|sonnet|haiku)-4([-@]\d{8}|-0([-@]|$)|$)"
)
"""Claude before 4.1 (https://docs.anthropic.com/en/docs/build-with-claude/structured-outputs)."""


_COUNTED = frozenset(
    {
        *("model", "messages", "system", "tools", "tool_choice", "thinking"),
        *("cache_control", "output_config", "speed"),
    }
)
"""The members of a request that take part in its count."""


class _ClaudeTraits(LearnedTraits):
    def knows_prefill(self, request: ChatRequest) -> bool:
        """Claude before 4.6 takes one."""
        return takes_prefill(request)

    def schema_support(self, model: str) -> SchemaSupport:
        """Claude from 4.1 on takes schemas; none lets a call be forced while it reasons."""
        native = _NO_SCHEMA.search(model) is None
        return SchemaSupport(
            native=native, closed_only=True, forced_call=True, forced_reasoning=False
        )


_BY_DATA = ("AsyncAnthropicBedrock", "AsyncAnthropicVertex")
"""Clients of clouds that read no addresses."""


class AnthropicProvider(HTTPProvider):
    """Anthropic, or a server that speaks its format. Amazon's and Google's variants through `sdk_client`."""

    api = API(
        url="https://api.anthropic.com",
        url_variable="ANTHROPIC_BASE_URL",
        version_path="/v1",
        keys=("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"),
        custom_headers="ANTHROPIC_CUSTOM_HEADERS",
        sdk=SDKAdapter("anthropic", "AsyncAnthropic"),
    )
    format = "anthropic-messages"
    default_model: str | None = "claude-sonnet-4-5"
    parts = MESSAGES_PARTS

    def __init__(self, config: ProviderConfig) -> None:
        super().__init__(config)
        if type(config.sdk_client).__name__ in _BY_DATA:
            self.parts = MESSAGES_BY_DATA

    def make_traits(self, **traits: Any) -> ProviderTraits:
        """The traits of Claude's models."""
        return _ClaudeTraits(**traits)

    def render(self, request: ChatRequest, given: Mapping[str, str]) -> Rendered:
        """The request as Messages. A version of the caller's own decides what it may hold."""
        model = request.model.lower()
        unsigned = "deepseek" in model or "kimi" in model
        return render_request(
            request,
            MessagesVariant(
                self.name,
                version=given.get(HEADER),
                parts=self.parts,
                unsigned_thinking=unsigned,
            ),
        )

    def count_outbound(self, rendered: Rendered) -> Outbound:
        """The request as `count_tokens` takes it (https://platform.claude.com/docs/en/api/messages/count_tokens)."""
        body = {name: value for name, value in rendered.body.items() if name in _COUNTED}
        path = f"{self._format.path}/count_tokens"
        return Outbound(path, body, headers=rendered.headers, accept="application/json")

    def finish(self, rendered: Rendered, given: Mapping[str, str], sdk: Any) -> None:
        """Add the API version that takes this body: a header, or a field with Amazon's and Google's clients."""
        version = version_for(rendered.body)
        if sdk is None or HEADER in sdk.default_headers:
            if HEADER not in given:
                rendered.headers[HEADER] = version
        elif version == WITH_SAMPLING:
            rendered.body.setdefault("anthropic_version", _version_in_body(sdk))


def _version_in_body(client: Any) -> str:
    """The version that the SDK's clients for these hosts sent before there was another."""
    modules = {cls.__module__ for cls in type(client).__mro__}
    return (
        "bedrock-2023-05-31"
        if any(".bedrock." in name for name in modules)
        else "vertex-2023-10-16"
    )
