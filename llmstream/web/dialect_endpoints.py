"""A dialect as an endpoint of an app."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from llmstream.events.types import EventType, StreamEvent
from llmstream.providers.provider import traits_of
from llmstream.web.app_state import Service, invalid
from llmstream.web.dialects import AiSdk, Ask, Dialect
from llmstream.web.dialects.openai_models import model_document, models_document
from llmstream.web.limits import read_json
from llmstream.web.native_encoders import render_json
from llmstream.web.responses import EventStreamResponse
from llmstream.wire.pass_through import RATE_LIMITS, REQUEST_HEADERS, UNTOLD_HEADERS


class Streamed:
    """A dialect's stream as an encoder for EventStreamResponse."""

    def __init__(self, dialect: Dialect, ask: Ask) -> None:
        self.content_type: str = dialect.content_type
        self.headers: Mapping[str, str] = dialect.headers
        self.keep_alive: bytes = dialect.keep_alive
        self._answer = dialect.encoder(ask)
        self.feed = self._answer.feed

    @property
    def ended(self) -> bool:
        """Whether the answer is over, perhaps before the model's."""
        return self._answer.ended


class Whole:
    """A dialect's document, once the answer is whole."""

    content_type = "application/json"
    keep_alive = b""
    ended = False

    def __init__(self, dialect: Dialect, ask: Ask) -> None:
        self.headers: Mapping[str, str] = {}
        self._dialect, self._ask = dialect, ask

    def feed(self, event: StreamEvent) -> bytes:
        """The document for MESSAGE_COMPLETE."""
        if event.type is not EventType.MESSAGE_COMPLETE:
            return b""
        return render_json(self._dialect.document(self._ask, event))


class Mounted:
    """One dialect over one Service."""

    def __init__(self, service: Service, dialect: Dialect) -> None:
        self._service, self._dialect = service, dialect

    async def answer(self, request: Request) -> Response:
        """Answer in the client's own words, errors too."""
        body = await read_json(request, self._service.limits)
        try:
            ask = self._dialect.parse(body)
        except (TypeError, ValueError) as problem:
            raise invalid(str(problem)) from None
        headers, warnings = self._handed_on(request, ask)
        if warnings and self._service.client.strict:
            raise invalid(f"strict: {'; '.join(warnings)}")
        events = self._service.events(
            ask.request, model=ask.model, stream=ask.stream, headers=headers
        )
        return EventStreamResponse(
            events,
            (Streamed if ask.stream else Whole)(self._dialect, ask),
            request_id=request.state.request_id,
            heartbeat=self._service.heartbeat,
            write_timeout=self._service.write_timeout,
            render_error=self._dialect.error,
            warnings=warnings,
            rate_limits=RATE_LIMITS.get(self._dialect.format or ""),
        )

    def _handed_on(self, request: Request, ask: Ask) -> tuple[dict[str, str], list[str]]:
        """The client's own headers for the provider, and what isn't handed on."""
        format = self._dialect.format or ""
        warnings = list(ask.warnings)
        given = {
            name: ", ".join(request.headers.getlist(name))
            for name in REQUEST_HEADERS.get(format, ())
            if name in request.headers
        }
        for name, value in given.items():
            if not (value.isascii() and value.isprintable()):
                raise invalid(f"{name} must be plain ASCII")
        provider = self._service.client.target(self._service.model(ask.model)).provider
        spoken = traits_of(provider).format
        if spoken == format:
            return given, warnings
        if spoken is None:  # then no renderer names them
            members = ask.request.format_options.get(format, {})
            warnings += [f"{name}: only {format} has it; dropped" for name in members]
        told = [name for name in given if name not in UNTOLD_HEADERS]
        warnings += [f"{name}: only {format} has it; dropped" for name in told]
        return {}, warnings


class Models:
    """`GET /v1/models`, and each of them."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def all(self, request: Request) -> Response:
        """What may be asked for; the first is who answers those that name none."""
        return JSONResponse(models_document(self._service.models, created=self._service.started))

    async def one(self, request: Request) -> Response:
        """One of them."""
        name = request.path_params["model"]
        self._service.model(name)
        return JSONResponse(model_document(name, created=self._service.started))


async def _nothing_to_resume(_: Request) -> Response:
    """What the AI SDK asks when a page is opened: 204 is "no answer is under way", anything else an error."""
    return Response(status_code=204, headers={"cache-control": "no-store"})


def dialect_routes(service: Service, dialects: list[Dialect]) -> list[Route]:
    """The dialects' endpoints, and the list of models."""
    models = Models(service)
    return [
        *(Route(each.path, Mounted(service, each).answer, methods=["POST"]) for each in dialects),
        Route(f"{AiSdk.path}/{{chat}}/stream", _nothing_to_resume),
        Route("/v1/models", models.all),
        Route("/v1/models/{model:path}", models.one),
    ]
