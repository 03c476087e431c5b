"""Endpoints of Gemini's API beside the answers: the models there are, and what a prompt takes.

Format: https://ai.google.dev/api/models and https://ai.google.dev/api/tokens. Unknown stays unknown.
"""

from __future__ import annotations

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from llmstream.catalogue import list_read
from llmstream.checks import as_object
from llmstream.messages import Usage
from llmstream.web.app_state import Service
from llmstream.web.dialects.base import Ask
from llmstream.web.dialects.gemini import GeminiGenerate
from llmstream.web.model_facts import known_facts
from llmstream.wire.json_fields import present

_METHODS: Final = ("generateContent", "streamGenerateContent", "countTokens")
_ASKED: Final = "generateContentRequest"


class GeminiModels:
    """The endpoints, over one Service."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def all(self, request: Request) -> Response:
        """The models that may be asked for, on one page."""
        await list_read()
        return JSONResponse({"models": self.documents()})

    def documents(self) -> list[dict[str, Any]]:
        """All of them in Google's words."""
        return [*map(self.document, self._service.allowed)]

    async def one(self, request: Request) -> Response:
        """One of them. Raises RefusedError."""
        name = request.path_params["model"]
        self._service.model(name)
        await list_read()
        return JSONResponse(self.document(name))

    def document(self, name: str) -> dict[str, Any]:
        """A model in Google's words."""
        facts = known_facts(self._service, name)
        known = present(
            inputTokenLimit=facts.context,
            outputTokenLimit=facts.max_output,
            thinking=facts.reasoning,
        )
        named = {"name": f"models/{name}", "version": "", "displayName": name}
        return {**named, "supportedGenerationMethods": _METHODS, **known}


class CountedPrompt(GeminiGenerate):
    """The dialect of `countTokens`, whose body may hold the request that would be asked."""

    def parse(self, body: Any) -> Ask:
        """Read a request's JSON body. Raises ValueError or TypeError that name the place."""
        asked = as_object(as_object(body).get(_ASKED))
        url = {name: as_object(body).get(name) for name in ("model", "alt")}
        return super().parse({**asked, **url} if asked else body)


def render_count(usage: Usage) -> dict[str, Any]:
    """The answer to `countTokens`."""
    return {"totalTokens": usage.input_tokens}
