"""OpenAI: chat completions, and the Responses API. Azure and others through `sdk_client`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from llmstream.cache_marks import BREAKPOINT
from llmstream.messages import ChatRequest
from llmstream.providers.api import API
from llmstream.providers.config import ProviderConfig
from llmstream.providers.exchange import Outbound
from llmstream.providers.http_provider import HTTPProvider, LearnedTraits
from llmstream.providers.provider import ProviderTraits, SchemaSupport
from llmstream.providers.sdk_adapter import SDKAdapter
from llmstream.wire.openai_chat.request import ChatVariant, render_request
from llmstream.wire.openai_responses.request import ResponsesVariant
from llmstream.wire.openai_responses.request import render_request as render_responses
from llmstream.wire.option_rules import OPENAI_SAMPLING, OptionRule, lets_force
from llmstream.wire.outbound import Rendered

SDK = SDKAdapter("openai", "AsyncOpenAI")


_COUNTED = frozenset(
    {
        *("model", "input", "instructions", "tools", "tool_choice", "parallel_tool_calls"),
        *("reasoning", "text", "truncation"),
    }
)
"""The members of a Responses request that take part in its count."""


class _OverOpenAI(HTTPProvider):
    api = API(
        url="https://api.openai.com/v1",
        url_variable="OPENAI_BASE_URL",
        keys=("OPENAI_API_KEY",),
        header_variables={
            "OpenAI-Organization": "OPENAI_ORG_ID",
            "OpenAI-Project": "OPENAI_PROJECT_ID",
        },
        custom_headers="OPENAI_CUSTOM_HEADERS",
        sdk=SDK,
    )

    def is_openai(self) -> bool:
        """Whether OpenAI itself answers (or Azure), not a server that only speaks its format."""
        host = urlsplit(self.base_url).hostname or ""
        return host.endswith((".openai.com", ".azure.com"))


@dataclass(frozen=True, kw_only=True)
class _ChatTraits(LearnedTraits):
    rules: tuple[OptionRule, ...]

    def schema_support(self, model: str) -> SchemaSupport:
        """Some hosts let nobody force a call while a model reasons, as some do unasked."""
        body = {"model": model}
        reasoning = {**body, "thinking": {"type": "enabled"}, "enable_thinking": True}
        return replace(
            self.schemas,
            forced_reasoning=lets_force(self.rules, reasoning),
            reasons_unasked=not lets_force(self.rules, body),
        )


class OpenAIProvider(_OverOpenAI):
    """Chat completions, of OpenAI or of a server that speaks the same format."""

    format = "openai-chat"
    default_model: str | None = "gpt-5-mini"

    def __init__(self, config: ProviderConfig, variant: ChatVariant | None = None) -> None:
        self._given = variant
        super().__init__(config)

    def make_traits(self, **traits: Any) -> ProviderTraits:
        """The traits of a variant."""
        self._variant = variant = self._given or (
            ChatVariant(self.name, cache=BREAKPOINT)
            if self.is_openai()
            else ChatVariant(
                self.name,
                max_tokens="max_tokens",
                reasoning_back="known",
                reasoning_details=True,
                call_data=True,
                service_tiers=None,
                rules=OPENAI_SAMPLING,
                user_field=None,
                unsupported=frozenset(),
            )
        )
        forced = variant.required is not None and not {"tools", "tool_choice"} & variant.unsupported
        schemas = SchemaSupport(native=variant.json_schema, forced_call=forced, json_object=True)
        return _ChatTraits(
            prefill=variant.prefill is not None, schemas=schemas, rules=variant.rules, **traits
        )

    def render(self, request: ChatRequest, given: Mapping[str, str]) -> Rendered:
        """The request as chat completions."""
        return render_request(request, self._variant)


class OpenAIResponsesProvider(_OverOpenAI):
    """The Responses API."""

    format = "openai-responses"
    default_model = "gpt-5-mini"

    def make_traits(self, **traits: Any) -> ProviderTraits:
        """Every model takes schemas here."""
        self._responses = (
            ResponsesVariant(self.name, cache_marks=True)
            if self.is_openai()
            else ResponsesVariant(self.name, refusals=False, service_tiers=None)
        )
        return super().make_traits(schemas=SchemaSupport(native=True, forced_call=True), **traits)

    def counts_prompts(self) -> bool:
        """Whether the server is known to count the tokens of a prompt."""
        return self.is_openai()

    def count_outbound(self, rendered: Rendered) -> Outbound | None:
        """The request as `input_tokens` takes it (https://platform.openai.com/docs/api-reference/responses/input-tokens)."""
        if not self.counts_prompts():
            return None
        body = {name: value for name, value in rendered.body.items() if name in _COUNTED}
        path = f"{self._format.path}/input_tokens"
        return Outbound(path, body, headers=rendered.headers, accept="application/json")

    def render(self, request: ChatRequest, given: Mapping[str, str]) -> Rendered:
        """The request as Responses."""
        return render_responses(request, self._responses)
