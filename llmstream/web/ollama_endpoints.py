"""Endpoints of Ollama's API beside the answers: the models there are, what is known of one, and the version.

Format: https://github.com/ollama/ollama/blob/main/docs/api.md. Each path is also below `/ollama`, so that a client's
base URL may be `http://…/ollama`. `GET /ollama` says what Ollama says at its root, which here is the chat page.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from llmstream.catalogue import ModelFacts, list_read
from llmstream.checks import as_object, as_text, require_value
from llmstream.web.app_state import Service, invalid
from llmstream.web.dialects.ollama import UNDER, rfc_3339
from llmstream.web.limits import Limits
from llmstream.web.model_facts import known_facts
from llmstream.web.request_body import parse_json, read_body
from llmstream.wire.json_fields import present

VERSION: Final = "0.40.12"
"""The version of Ollama whose API this is. Clients compare it with the oldest that they work with."""
TAGS: Final = "/api/tags"
SHOW: Final = "/api/show"
VERSION_PATH: Final = "/api/version"
PATHS: Final = tuple(
    f"{begin}{path}" for begin in ("", UNDER) for path in (TAGS, SHOW, VERSION_PATH)
)
_DETAILS: Final[dict[str, Any]] = {
    "parent_model": "",
    "format": "",
    "family": "",
    "families": [],
    "parameter_size": "",
    "quantization_level": "",
}
"""What nobody knows of a model elsewhere."""
_CONTEXT: Final = "llmstream.context_length"
"""Clients look for a name with this end."""


class OllamaModels:
    """The endpoints, over one Service."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def tags(self, request: Request) -> Response:
        """The models that may be asked for."""
        return JSONResponse({"models": [*map(self._listed, self._service.allowed)]})

    async def show(self, request: Request) -> Response:
        """The facts about one of them. Raises RefusedError."""
        body = await _read(request, self._service.limits)
        given = as_text(body.get("model")) or as_text(body.get("name"))
        name = require_value(given, "model: name the model as a string", invalid)
        self._service.model(name)
        await list_read()
        facts = known_facts(self._service, name)
        shown = {
            "modelfile": "",
            "parameters": "",
            "template": "",
            "details": _DETAILS,
            "model_info": {
                "general.architecture": "llmstream",
                **present(**{_CONTEXT: facts.context}),
            },
            "capabilities": ["completion", *_abilities(facts)],
            "modified_at": self._modified_at,
        }
        return JSONResponse(shown)

    async def version(self, request: Request) -> Response:
        """The version of the API."""
        return JSONResponse({"version": VERSION})

    async def root(self, request: Request) -> Response:
        """Ollama's own words, which clients look for."""
        return PlainTextResponse("Ollama is running")

    @property
    def _modified_at(self) -> str:
        """Nobody knows when a model was made, so the server's start will do."""
        return rfc_3339(int(self._service.started))

    def _listed(self, name: str) -> dict[str, Any]:
        # Clients tell models apart by it. Of weights elsewhere there is no digest, so it is the name's.
        digest = sha256(name.encode()).hexdigest()
        named = {"name": name, "model": name, "modified_at": self._modified_at}
        return {**named, "size": 0, "digest": digest, "details": _DETAILS}


def ollama_routes(service: Service) -> list[Route]:
    """The endpoints, at both of their paths."""
    models = OllamaModels(service)
    routes = [Route(UNDER, models.root)]
    for begin in ("", UNDER):
        routes += [
            Route(f"{begin}{TAGS}", models.tags),
            Route(f"{begin}{SHOW}", models.show, methods=["POST"]),
            Route(f"{begin}{VERSION_PATH}", models.version),
        ]
    return routes


async def _read(request: Request, limits: Limits) -> Any:
    body = parse_json(await read_body(request, limits), limits)
    return as_object(body)


def _abilities(facts: ModelFacts) -> list[str]:
    """Those that are known, by Ollama's names."""
    known = {
        "vision": "image" in (facts.inputs or ()),
        "tools": facts.tools,
        "thinking": facts.reasoning,
    }
    return [name for name, is_known in known.items() if is_known]
