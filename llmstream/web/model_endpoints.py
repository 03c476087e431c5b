"""`GET /v1/models`, and each of them: what may be asked for, and what is known of it.

One document that OpenAI's, Anthropic's and Google's clients all read (the last ask here for version `v1`): their shapes
share no field that they fill differently.
What nobody knows of a model is left out, or null where a client's types ask for it.

Formats: https://platform.openai.com/docs/api-reference/models, https://docs.anthropic.com/en/api/models-list.
`context_length` is OpenRouter's, and other gateways' too.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from llmstream.catalogue import ModelFacts, list_read
from llmstream.web.app_state import Service
from llmstream.web.gemini_endpoints import GeminiModels
from llmstream.web.model_facts import known_facts
from llmstream.wire.json_fields import present


class Models:
    """The endpoints, over one Service."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._google = GeminiModels(service)

    async def all(self, request: Request) -> Response:
        """The models that may be asked for. The first answers requests that name none."""
        await list_read()
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
        await list_read()
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
        """The context length and abilities: what the server was told, else what the catalogue says."""
        facts = known_facts(self._service, name)
        known: dict[str, Any] = {"max_input_tokens": facts.context}
        known |= present(context_length=facts.context, max_tokens=facts.max_output)
        abilities = _abilities(facts)
        return {**known, "capabilities": abilities} if abilities else known


def _abilities(facts: ModelFacts) -> dict[str, Any]:
    """What is known that the model can or can't, by Anthropic's names."""
    inputs = facts.inputs
    known = present(
        image_input=None if inputs is None else "image" in inputs,
        pdf_input=None if inputs is None else "file" in inputs,
        tool_use=facts.tools,
        structured_outputs=facts.schemas,
    )
    return {name: {"supported": is_so} for name, is_so in known.items()}
