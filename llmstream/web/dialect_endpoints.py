"""A dialect as an endpoint of an app."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from llmstream.checks import require
from llmstream.events.types import EventType, Start, StreamEvent
from llmstream.messages import Usage
from llmstream.providers.provider import traits_of
from llmstream.web.answer_head import AnswerHead
from llmstream.web.app_state import Service, invalid
from llmstream.web.dialects import AnthropicMessages, Ask, Dialect
from llmstream.web.dialects.base import api_of, paths_of
from llmstream.web.dialects.gemini import COUNT, MODELS, paths_of_models
from llmstream.web.dialects.shared_chat import RESUMED
from llmstream.web.gemini_endpoints import CountedPrompt, GeminiModels, render_count
from llmstream.web.limits import check_request
from llmstream.web.model_endpoints import Models
from llmstream.web.native_encoders import render_json
from llmstream.web.ollama_endpoints import ollama_routes
from llmstream.web.request_body import parse_json, read_body, run_aside
from llmstream.web.responses import EventStreamResponse
from llmstream.web.served_request import current_request
from llmstream.wire.pass_through import RATE_LIMITS, REQUEST_HEADERS, UNTOLD_HEADERS

COUNTED_BY = "x-llmstream-counted-by"
"""The header that says whether a count is the provider's or an estimate of ours."""
COUNT_TOKENS = f"{AnthropicMessages.path}/count_tokens"
_MENDING = frozenset({AnthropicMessages.format})
"""The formats whose clients mend a refused request by the provider's words (Claude Code)."""


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


class ReadRequest(NamedTuple):
    """A request that was read."""

    ask: Ask
    headers: dict[str, str]
    """The client's own, for the provider."""
    warnings: list[str]
    """The parts that aren't handed on."""
    verbatim: str | None
    """The provider that may tell in its own words why it refuses."""


class Mounted:
    """One dialect over one Service."""

    def __init__(self, service: Service, dialect: Dialect) -> None:
        self._service, self._dialect = service, dialect

    async def answer(self, request: Request) -> Response:
        """Answer in the client's own words, errors too."""
        asked = await self.read(request)
        ask = asked.ask
        dialect = ask.dialect or self._dialect
        if ask.ready is not None:
            return JSONResponse(ask.ready, headers={"x-request-id": request.state.request_id})
        events = self._service.events(
            ask.request, model=ask.model, stream=ask.stream, headers=asked.headers
        )
        return EventStreamResponse(
            events,
            (Streamed if ask.stream else Whole)(dialect, ask),
            request_id=request.scope["state"]["request_id"],
            heartbeat=self._service.heartbeat,
            write_timeout=self._service.write_timeout,
            max_answer=self._service.limits.max_answer,
            render_error=dialect.error,
            warnings=[*asked.warnings, *asked.ask.notes],
            rate_limits=RATE_LIMITS.get(dialect.format or ""),
            verbatim=asked.verbatim,
        )

    async def read(self, request: Request) -> ReadRequest:
        """Read a request, and choose the provider for it. Raises RefusedError."""
        limits, who = self._service.limits, request.scope["state"]["who"]
        data = await read_body(request, limits)
        url = _in_url(request)

        def parse() -> Ask:
            body = parse_json(data, limits)
            return self.parse({**body, **url} if url and isinstance(body, dict) else body, who)

        ask = await run_aside(len(data), parse)
        return self.prepare(ask, request)

    def parse(self, body: Any, who: str) -> Ask:
        """The call that a body of this client's stands for; may run in a thread. Raises RefusedError."""
        try:
            ask = self._dialect.parse(body)
        except (TypeError, ValueError) as problem:
            raise invalid(str(problem)) from None
        check_request(ask.request, self._service.limits)
        return ask

    def prepare(self, ask: Ask, connection: HTTPConnection) -> ReadRequest:
        """Choose the provider for a call, and what of its head goes there. Raises RefusedError."""
        dialect = ask.dialect or self._dialect
        _note_api(dialect)
        provider = self._service.client.target(self._service.model(ask.model)).provider
        lowered = self._service.restrict(ask.request, dialect.format)
        headers, warnings = self._handed_on(connection, ask, traits_of(provider).format)
        warnings += lowered
        self._service.check_warnings(warnings)
        mends = self._service.tell_refusals and dialect.format in _MENDING
        is_same = traits_of(provider).format == dialect.format
        return ReadRequest(ask, headers, warnings, provider.name if mends and is_same else None)

    def _handed_on(
        self, connection: HTTPConnection, ask: Ask, spoken: str | None
    ) -> tuple[dict[str, str], list[str]]:
        """The client's own headers for the provider, and what isn't handed on. `spoken`: the provider's format."""
        format = (ask.dialect or self._dialect).format or ""
        warnings = list(ask.warnings)
        given = {
            name: ", ".join(connection.headers.getlist(name))
            for name in REQUEST_HEADERS.get(format, ())
            if name in connection.headers
        }
        for name, value in given.items():
            is_plain = value.isascii() and value.isprintable()
            require(is_plain, f"{name} must be plain ASCII", invalid)
        if spoken == format:
            return given, warnings
        if spoken is None:  # then no renderer names them
            members = ask.request.format_options.get(format, {})
            warnings += [f"{name}: only {format} has it; dropped" for name in members]
        told = [name for name in given if name not in UNTOLD_HEADERS]
        warnings += [f"{name}: only {format} has it; dropped" for name in told]
        return {}, warnings


def _note_api(dialect: Dialect) -> None:
    """Have audits and metrics name the API, where only the body told it from another one at the same path."""
    request = current_request()
    if request is not None:
        request.api = api_of(dialect)


def _in_url(request: Request) -> dict[str, Any]:
    """The part of a request that Google's clients write into its URL: the model, and the form of the answer."""
    if "model" not in request.path_params:
        return {}
    return {"model": request.path_params["model"], "alt": request.query_params.get("alt")}


class TokenCounts:
    """The endpoint that says what a prompt would take. `render` is the answer in its API's words."""

    def __init__(
        self, service: Service, dialect: Dialect, render: Callable[[Usage], dict[str, Any]]
    ) -> None:
        self._service, self._mounted = service, Mounted(service, dialect)
        self._render = render

    async def count(self, request: Request) -> Response:
        """The provider's own count, or our estimate; a header says which."""
        asked = await self._mounted.read(request)
        ask = asked.ask
        usage = await self._service.count(ask.request, model=ask.model, headers=asked.headers)
        headers = {
            **AnswerHead(asked.warnings).of_start(Start()),
            COUNTED_BY: "estimate" if usage.estimated else "provider",
            "x-request-id": request.state.request_id,
        }
        return JSONResponse(self._render(usage), headers=headers)


def _render_count(usage: Usage) -> dict[str, Any]:
    return {"input_tokens": usage.input_tokens}


async def _nothing_to_resume(_: Request) -> Response:
    """Answer the AI SDK's question when a page is opened: 204 is "no answer is under way", anything else an error."""
    return Response(status_code=204, headers={"cache-control": "no-store"})


def _posted(service: Service, dialect: Dialect) -> list[Route]:
    """The endpoint of a dialect, at each of its paths."""
    answer = Mounted(service, dialect).answer
    return [Route(_route(path), answer, methods=["POST"]) for path in paths_of(dialect)]


def _route(path: str) -> str:
    """A path as Starlette writes it: names of models have slashes."""
    return path.replace("{model}", "{model:path}")


def _gemini_routes(service: Service) -> list[Route]:
    """The routes of Google's clients beside those of answers."""
    models, counts = GeminiModels(service), TokenCounts(service, CountedPrompt(), render_count)
    asked = [_route(path) for path in paths_of_models(COUNT)]
    return [
        *(Route(path, counts.count, methods=["POST"]) for path in asked),
        Route(MODELS, models.all),
        Route(f"{MODELS}/{{model:path}}", models.one),
    ]


def dialect_routes(service: Service, dialects: list[Dialect]) -> list[Route]:
    """The dialects' endpoints, and the list of models."""
    models = Models(service)
    counts = TokenCounts(service, AnthropicMessages(), _render_count)
    return [
        *(route for each in dialects for route in _posted(service, each)),
        *ollama_routes(service),
        *_gemini_routes(service),
        Route(COUNT_TOKENS, counts.count, methods=["POST"]),
        *(Route(f"{each}/{{chat}}/stream", _nothing_to_resume) for each in RESUMED),
        Route("/v1/models", models.all),
        Route("/v1/models/{model:path}", models.one),
    ]
