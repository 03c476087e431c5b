"""`GET /v1/models`, and each of them: what may be asked for, and what is known of it.

One document that OpenAI's, Anthropic's and Google's clients all read (the last ask here for version `v1`): their shapes
share no field that they fill differently.
What nobody knows of a model is left out, or null where a client's types ask for it.

Formats: https://platform.openai.com/docs/api-reference/models, https://docs.anthropic.com/en/api/models-list.
`context_length` is OpenRouter's, and other gateways' too.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from llmstream.catalogue import facts_of
from llmstream.pricing import is_installed, read_list
from llmstream.providers.provider import traits_of
from llmstream.web.app_state import Service
from llmstream.web.gemini_endpoints import GeminiModels

if TYPE_CHECKING:
    from llmstream.router import Candidate

_ABILITIES = {
    "images": "image_input",
    "files": "pdf_input",
    "tools": "tool_use",
    "schemas": "structured_outputs",
}
"""The abilities of a Candidate, by Anthropic's names."""


class Models:
    """The endpoints, over one Service."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._google = GeminiModels(service)

    async def all(self, request: Request) -> Response:
        """The models that may be asked for. The first answers requests that name none."""
        await _read_list()
        listed = [*map(self._document, self._service.allowed)]
        ends = {"first_id": None, "last_id": None}
        if listed:
            ends = {"first_id": listed[0]["id"], "last_id": listed[-1]["id"]}
        google = {"models": self._google.documents()}
        return JSONResponse({"object": "list", "data": listed, "has_more": False, **ends, **google})

    async def one(self, request: Request) -> Response:
        """One of them."""
        name = request.path_params["model"]
        self._service.model(name)
        await _read_list()
        return JSONResponse({**self._document(name), **self._google.document(name)})

    def _document(self, name: str) -> dict[str, Any]:
        # Nobody knows when a model was made, so the server's start will do.
        created = int(self._service.started)
        provider, colon, _ = name.partition(":")
        return {
            "id": name,
            "object": "model",
            "created": created,
            "owned_by": provider if colon else "llmstream",
            "type": "model",
            "display_name": name,
            "created_at": datetime.fromtimestamp(created, UTC).isoformat().replace("+00:00", "Z"),
            "lifecycle": "active",
            **self._known(name),
        }

    def _known(self, name: str) -> dict[str, Any]:
        """The context length and abilities: what the server was told, else what catalogue and traits say."""
        fact = self._service.facts.get(name)
        if fact is not None:
            return _told(fact)
        target = self._service.client.target(self._service.models[name])
        traits = traits_of(target.provider)
        facts = facts_of(target.provider, target.model)
        known = _limits(facts.context if facts is not None else None)
        if traits.format is None or not traits.is_vendor:
            return known
        native = traits.schema_support(target.model).native
        return {**known, "capabilities": {"structured_outputs": {"supported": native}}}


def _told(fact: Candidate) -> dict[str, Any]:
    known = _limits(fact.context)
    abilities = {theirs: {"supported": getattr(fact, ours)} for ours, theirs in _ABILITIES.items()}
    return {**known, "capabilities": abilities}


def _limits(context: int | None) -> dict[str, Any]:
    known = {"max_input_tokens": context}
    return known if context is None else {**known, "context_length": context}


async def _read_list() -> None:
    """Read the list of models, where it's installed, beside the loop: that takes half a second."""
    if is_installed():
        await asyncio.to_thread(read_list)
