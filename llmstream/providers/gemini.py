"""Google's Gemini: the Gemini API's two formats, and generateContent at Vertex AI with Google's own credentials."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncGenerator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote, urlsplit

from llmstream.checks import require
from llmstream.errors import ConfigurationError, ErrorInfo
from llmstream.events.types import StreamEvent, error
from llmstream.messages import ChatRequest
from llmstream.providers.api import API
from llmstream.providers.cloud_needs import GOOGLE_TOKEN, Need
from llmstream.providers.config import ProviderConfig
from llmstream.providers.exchange import Outbound
from llmstream.providers.http.exchange import HTTPRequest
from llmstream.providers.http.failures import causes, is_out_of_reach
from llmstream.providers.http_provider import HTTPProvider
from llmstream.providers.provider import Call, ProviderTraits, SchemaSupport
from llmstream.wire.gemini_generate.request import GenerateVariant, render_request
from llmstream.wire.gemini_interactions.request import InteractionsVariant
from llmstream.wire.gemini_interactions.request import render_request as render_interaction
from llmstream.wire.outbound import Rendered

_VERSION = "/v1beta"
_VERTEX_URL = "GOOGLE_VERTEX_BASE_URL"
_COUNTED = frozenset({"contents", "generationConfig", "systemInstruction", "toolConfig", "tools"})
"""The members of a request that take part in its count."""


class _OverGemini(HTTPProvider):
    """The Gemini API."""

    api = API(
        url=f"https://generativelanguage.googleapis.com{_VERSION}",
        url_variable="GOOGLE_GEMINI_BASE_URL",
        keys=("GEMINI_API_KEY", "GOOGLE_API_KEY"),
        key_header="x-goog-api-key",
        key_form="{}",
    )
    default_model = "gemini-3.8-flash"

    def __init__(self, config: ProviderConfig) -> None:
        super().__init__(config)
        if not urlsplit(self.base_url).path:  # as Google's own client takes an address
            self.base_url = self.channel.base_url = self.base_url + _VERSION

    def make_traits(self, **traits: Any) -> ProviderTraits:
        """Every model takes schemas here."""
        schemas = SchemaSupport(native=True, forced_call=True, json_object=True)
        return super().make_traits(schemas=schemas, **traits)


class GeminiInteractionsProvider(_OverGemini):
    """The Interactions API, or a server that speaks its format."""

    format = "gemini-interactions"

    def render(self, request: ChatRequest, given: Mapping[str, str]) -> Rendered:
        """The request as an interaction."""
        return render_interaction(request, InteractionsVariant(self.name))


class GeminiProvider(_OverGemini):
    """generateContent of the Gemini API, or of a server that speaks its format."""

    format = "gemini-generate"
    count_member = "totalTokens"
    has_labels = False

    def render(self, request: ChatRequest, given: Mapping[str, str]) -> Rendered:
        """The request as generateContent."""
        return render_request(request, GenerateVariant(self.name, labels=self.has_labels))

    def outbound(self, request: ChatRequest, rendered: Rendered) -> Outbound:
        """The model and the way to answer stand in the path."""
        body = dict(rendered.body)
        path = _path_of(body.pop("model"))
        if body.pop("stream", False):
            return Outbound(f"{path}:streamGenerateContent?alt=sse", body, headers=rendered.headers)
        accept = "application/json"
        return Outbound(f"{path}:generateContent", body, headers=rendered.headers, accept=accept)

    def count_outbound(self, rendered: Rendered) -> Outbound:
        """The request as `countTokens` takes it (https://ai.google.dev/api/tokens)."""
        path = _path_of(rendered.body["model"])
        counted = {name: value for name, value in rendered.body.items() if name in _COUNTED}
        body = {"generateContentRequest": {"model": path.removeprefix("/"), **counted}}
        return Outbound(f"{path}:countTokens", body, accept="application/json")


def _path_of(model: str) -> str:
    """A model's place. A name with a slash is one already: `tunedModels/…`, `publishers/…/models/…`."""
    steps = model.split("/") if "/" in model else ["models", model]
    require(
        all(step.strip(".") for step in steps),
        f"the model {model!r} isn't a path: write its name as Google lists it",
        ConfigurationError,
    )
    return "".join(f"/{quote(step, safe='@')}" for step in steps)


# --- Vertex AI ------------------------------------------------------------------------------------------------

_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_PROJECT, _LOCATION = "GOOGLE_CLOUD_PROJECT", "GOOGLE_CLOUD_LOCATION"


class VertexProvider(GeminiProvider):
    """Gemini at Vertex AI. An `api_key` is an access token; without one, Google's application default credentials.

    The address is that of `base_url`, else of GOOGLE_CLOUD_PROJECT at GOOGLE_CLOUD_LOCATION ("global" by default).
    """

    api = API(
        url_variable=_VERTEX_URL,
        key_needed=False,
        needs=(Need((_PROJECT, _VERTEX_URL), "base_url"), GOOGLE_TOKEN),
    )
    has_labels = True

    def __init__(self, config: ProviderConfig) -> None:
        own_url = os.environ.get(self.api.url_variable or "")
        if config.base_url is None and not own_url:
            config = replace(config, base_url=_vertex_url())
        super().__init__(config)
        self._credentials = None if config.api_key is not None else _Credentials()

    async def stream(self, request: ChatRequest, call: Call) -> AsyncGenerator[StreamEvent, None]:
        """One attempt, under a token that is valid."""
        problem = None
        if self._credentials is not None:
            problem = await self._credentials.refresh()
        if problem is not None:
            yield error(replace(problem, provider=self.name))
            return
        async for event in super().stream(request, call):
            yield event

    def sign(self, request: HTTPRequest) -> None:
        """Add the token."""
        if self._credentials is not None:
            request.headers["Authorization"] = f"Bearer {self._credentials.token}"

    def count_outbound(self, rendered: Rendered) -> Outbound:
        """The request as Vertex AI's `countTokens` takes it, without a wrapper."""
        path = _path_of(rendered.body["model"])
        body = {name: value for name, value in rendered.body.items() if name in _COUNTED}
        return Outbound(f"{path}:countTokens", body, accept="application/json")


def _vertex_url() -> str:
    project = os.environ.get(_PROJECT)
    require(
        project, f"no project for vertex: set {_PROJECT}, or pass base_url=", ConfigurationError
    )
    location = os.environ.get(_LOCATION) or "global"
    host = "aiplatform" if location == "global" else f"{location}-aiplatform"
    return (
        f"https://{host}.googleapis.com/v1/projects/{project}/locations/{location}"
        "/publishers/google"
    )


class _Credentials:
    """Google's application default credentials. They are found when a token is first needed, in a thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: Any = None

    def __repr__(self) -> str:
        return "<Google's credentials>"

    @property
    def token(self) -> str:
        """The access token."""
        return str(self._found.token)

    async def refresh(self) -> ErrorInfo | None:
        """Make sure that the token is valid. Returns what is wrong, if it can't be."""
        if self._found is not None and self._found.valid:
            return None
        return await asyncio.to_thread(self._refresh)

    def _refresh(self) -> ErrorInfo | None:
        try:
            import google.auth
            from google.auth.transport.requests import Request
        except ImportError:
            advice = "vertex needs a package: pip install 'llmstream-core[vertex]'"
            return ErrorInfo("authentication", advice)
        with self._lock:
            try:
                if self._found is None:
                    self._found, _ = google.auth.default(scopes=[_SCOPE])
                if not self._found.valid:
                    self._found.refresh(Request())
            except Exception as problem:  # noqa: BLE001  # Google's own, and those of its transport
                name = type(problem).__name__
                if is_out_of_reach(causes(problem)):
                    return ErrorInfo(
                        "connection", f"Google's token server can't be reached ({name})"
                    )
                advice = "run gcloud auth application-default login"
                return ErrorInfo("authentication", f"Google gave no token ({name}): {advice}")
        return None
