"""OpenAI over its official SDK: chat completions, and the Responses API. Azure and others through `sdk_client`."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from llmstream.messages import ChatRequest
from llmstream.providers.config import ProviderConfig
from llmstream.providers.provider import SchemaSupport
from llmstream.providers.sdk import SDKProvider
from llmstream.providers.secrets import reveal
from llmstream.wire.openai_chat.decode import ChatDecoder
from llmstream.wire.openai_chat.request import Dialect, render_request
from llmstream.wire.openai_responses.decode import ResponsesDecoder
from llmstream.wire.openai_responses.request import Dialect as ResponsesDialect
from llmstream.wire.openai_responses.request import render_request as render_responses
from llmstream.wire.rendered import Rendered


class _OverOpenAI(SDKProvider):
    sdk = "openai"
    key_variables: tuple[str, ...] = ("OPENAI_API_KEY",)

    def make_client(self, http_client: Any, /, **options: Any) -> Any:
        """`openai.AsyncOpenAI`."""
        import openai

        return openai.AsyncOpenAI(http_client=http_client, **reveal(options))

    def is_openai(self) -> bool:
        """Whether OpenAI itself answers (or Azure), not a server that only speaks its format."""
        host = urlsplit(self.base_url).hostname or ""
        return host.endswith((".openai.com", ".azure.com"))


class OpenAIProvider(_OverOpenAI):
    """Chat completions, of OpenAI or of a server that speaks the same format."""

    path = "/chat/completions"
    decoder = ChatDecoder
    default_model: str | None = "gpt-5-mini"

    def __init__(self, config: ProviderConfig, dialect: Dialect | None = None) -> None:
        super().__init__(config)
        limit = "max_completion_tokens" if self.is_openai() else "max_tokens"
        self._dialect = dialect or Dialect(config.name, max_tokens=limit)

    def prefills(self, request: ChatRequest) -> bool:
        """What the dialect says."""
        return self._dialect.prefill is not None

    def schema_support(self, model: str) -> SchemaSupport:
        """What the dialect says."""
        dialect = self._dialect
        forced = dialect.required is not None and not {"tools", "tool_choice"} & dialect.unsupported
        return SchemaSupport(native=dialect.json_schema, forced_call=forced, json_object=True)

    def render(self, request: ChatRequest) -> Rendered:
        """The request as chat completions."""
        return render_request(request, self._dialect)


class OpenAIResponsesProvider(_OverOpenAI):
    """The Responses API."""

    path = "/responses"
    decoder = ResponsesDecoder
    default_model = "gpt-5-mini"

    def schema_support(self, model: str) -> SchemaSupport:
        """Every model takes schemas here."""
        return SchemaSupport(native=True, forced_call=True)

    def render(self, request: ChatRequest) -> Rendered:
        """The request as Responses."""
        return render_responses(request, ResponsesDialect(self.name))
