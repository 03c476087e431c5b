"""create_app: a client as a web application, with nothing open that was not asked for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp

from llmstream.checks import require, require_type
from llmstream.client import LLMClient
from llmstream.errors import ConfigurationError, ErrorInfo
from llmstream.log import get_logger
from llmstream.web.access import Access, own_path
from llmstream.web.answer_head import WARNINGS
from llmstream.web.app_state import Service
from llmstream.web.dialect_endpoints import dialect_routes
from llmstream.web.dialects import OpenAIResponses, all_dialects
from llmstream.web.errors import TABLE, RefusedError, log_refusal, new_request_id
from llmstream.web.first_use import FirstUse
from llmstream.web.gate import FORESEEN, Endpoint, Gate
from llmstream.web.health import HealthChecks
from llmstream.web.hosted_tools import HostedTools
from llmstream.web.key_limits import KeyLimits
from llmstream.web.limits import Limits, Slots
from llmstream.web.metrics import Metrics
from llmstream.web.native_encoders import AbortedError
from llmstream.web.page import chat_page
from llmstream.web.path_words import ErrorShapes, apis_of
from llmstream.web.refusals import Refusal, RenderError
from llmstream.web.request_records import RecordedCORS, RequestRecords
from llmstream.web.responses_socket import responses_routes
from llmstream.web.served_request import RequestObserver, check_request_observers
from llmstream.web.token_bound import default_tokens

if TYPE_CHECKING:
    from llmstream.conversations import ConversationClient
    from llmstream.router import Candidate, RouterWithDispatcher
    from llmstream.web.conversation_endpoints import Conversing
    from llmstream.web.endpoints import Native

logger = get_logger("llmstream.web")
_CONVERSATIONS = "llmstream.conversations.client"
_ROUTER = "llmstream.web.catch_all_router"


def create_app(
    client: LLMClient | None = None,
    *,
    models: Sequence[str | Candidate] | Mapping[str, str | Candidate] | None = None,
    access: Access = Access(),  # noqa: B008  # frozen
    limits: Limits = Limits(),  # noqa: B008  # frozen
    router: RouterWithDispatcher[Any] | None = None,
    conversations: ConversationClient | Callable[[], ConversationClient] | None = None,
    heartbeat: float | None = 15.0,
    write_timeout: float | None = 30.0,
    tell_refusals: bool = True,
    ready: Callable[[], str | None] | None = None,
    responses_websocket: bool = True,
    observers: Sequence[RequestObserver] = (),
    hosted_tools: Collection[str] = (),
) -> Starlette:
    """An application that answers with `client` (None: an `LLMClient()` of its own) to every client; see its `/`.

    `models` are the names that may be asked for: model strings of the client, or a mapping from names of your own to
    them; the first answers those that name none. A `llmstream.router.Candidate` in place of a model string also tells
    clients its context length and abilities. None: only the client's own model. `access` says who may ask: by default
    anybody on this machine. `router` answers `/streaming_chat` (None: the first of `models`).
    `conversations` keeps what `/api/chat` says: a ConversationClient, or a function that makes one for the first
    conversation (None: in memory until the server stops, within the limits that docs/serving.md has).
    `heartbeat` and `write_timeout` are seconds. `tell_refusals`: a client of Anthropic's API that
    a provider of that format answers hears in the provider's own words, without keys, why a request was refused: agents
    mend themselves by them.
    `/readyz` asks `ready`, beside the store, what is missing: a text makes it a 503. It does so at most once a second.
    `responses_websocket`: whether `/v1/responses` takes a WebSocket; else clients hear 426, and use HTTP.
    `hosted_tools` are the tools of providers that clients may use on your account, such as `["web_search"]`; the names
    are in docs/serving.md. By default clients have functions alone.

    `observers` are told what becomes of each request: an `AuditLog`, or others with the methods of `RequestObserver`.

    What it made itself it closes when the server stops; it needs the server's lifespan events for that and no more.
    Raises ConfigurationError for models that can't be asked, for want of a key for one.
    """
    observers = check_request_observers(observers)
    if access.metrics and not any(isinstance(each, Metrics) for each in observers):
        observers = (*observers, Metrics())
    owned = _Owned()
    client = owned.client(client)
    names, facts = _names(client, models)
    _check_key_models(access.key_limits, names)
    first = next(iter(names.values()))
    service = Service(
        client=client,
        models=names,
        facts=facts,
        limits=limits,
        conversations=owned.conversations(conversations, client),
        router=FirstUse(_ROUTER, partial(_catch_all, client, first, limits), router),
        heartbeat=heartbeat,
        write_timeout=write_timeout,
        tell_refusals=tell_refusals,
        hosted=HostedTools(hosted_tools),
        ready=ready,
    )
    return _assemble(service, access, owned, observers, responses_websocket=responses_websocket)


class _Owned:
    """The clients that an app made itself, and closes when the server stops."""

    def __init__(self) -> None:
        self._made: list[LLMClient | ConversationClient] = []

    def client(self, given: LLMClient | None) -> LLMClient:
        """The client that was given, or one of the app's own."""
        if given is None:
            given = LLMClient()
            self._made.append(given)
        return require_type(given, LLMClient, "client must be an LLMClient")

    def conversations(
        self, given: ConversationClient | Callable[[], ConversationClient] | None, client: LLMClient
    ) -> FirstUse[ConversationClient]:
        """The conversations that were given, or the app's own."""
        if given is not None and not callable(given):
            return FirstUse(_CONVERSATIONS, lambda: given, given)
        make = given or partial(_conversations_in_memory, client)

        def open_conversations() -> ConversationClient:
            from llmstream.conversations import ConversationClient  # loaded by now

            problem = "the function conversations= must return a ConversationClient"
            made_here = require_type(make(), ConversationClient, problem)
            self._made.append(made_here)
            return made_here

        return FirstUse(_CONVERSATIONS, open_conversations)

    @asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncGenerator[None, None]:
        """Close them in the end: conversations before the client that they use."""
        yield
        for made_here in reversed(self._made):
            await made_here.aclose()


def _assemble(
    service: Service,
    access: Access,
    owned: _Owned,
    observers: Sequence[RequestObserver],
    *,
    responses_websocket: bool,
) -> Starlette:
    """The routes, and around them the gate, cross-origin rules and the answers to failures."""
    dialects = all_dialects()
    shape = ErrorShapes(dialects)
    others = [each for each in dialects if not isinstance(each, OpenAIResponses)]
    routes = [
        *dialect_routes(service, others),
        *responses_routes(service, websocket=responses_websocket),
        *_routes(service),
        *_metrics_routes(access, observers),
    ]
    paths = [*dict.fromkeys(route.path for route in routes)]
    endpoints = _endpoints(routes)
    records = RequestRecords(
        access, apis=apis_of(dialects), paths=paths, plain=endpoints, observers=observers
    )
    respond = _Failure(shape, paths, records).respond
    slots = Slots(service.limits)
    gate = Middleware(
        Gate,
        access=access,
        slots=slots,
        shape=shape,
        records=records,
        endpoints=endpoints,
        respond=respond,
    )
    middleware = [_cors(access, records), gate] if access.origins else [gate]
    app = _App(
        routes=routes,
        middleware=middleware,
        exception_handlers=dict.fromkeys((*FORESEEN, Exception), respond),
        lifespan=owned.lifespan,
    )
    app.state.slots, app.state.key_rates = slots, service.key_rates
    app.state.records = records
    app.state.retired = service.retired
    return app


class _App(Starlette):
    """Starlette's application, without its layer for unforeseen exceptions, which the gate answers."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._own_middleware = [*self.user_middleware]

    def build_middleware_stack(self) -> ASGIApp:
        """The layers; that of Starlette is for middleware that was added."""
        outermost: ASGIApp = super().build_middleware_stack()
        is_all_ours = self.user_middleware == self._own_middleware and not self.debug
        inner: ASGIApp = getattr(outermost, "app", outermost)
        return inner if is_all_ours else outermost


def _endpoints(routes: Sequence[Route | WebSocketRoute]) -> dict[str, Endpoint]:
    """Those that take POST alone, by their paths."""
    return {
        route.path: route.endpoint
        for route in routes
        if isinstance(route, Route) and route.methods == {"POST"} and not route.param_convertors
    }


_OUT_OF_SCOPE = {
    "/v1/embeddings": "Embeddings are out of this server's scope: ask their provider itself.",
    "/v1/completions": "Completions without messages are out of this server's scope: use /v1/chat/completions.",
}
"""Paths that clients ask for and that won't come."""


def _routes(service: Service) -> list[Route | WebSocketRoute]:
    native: FirstUse[Native] = FirstUse("llmstream.web.endpoints", partial(_native, service))
    conversing: FirstUse[Conversing] = FirstUse(
        "llmstream.web.conversation_endpoints", partial(_conversing, service)
    )
    health = HealthChecks(service.missing)

    async def openapi(_: Request) -> Response:
        return JSONResponse(await asyncio.to_thread(_document, tuple(service.allowed)))

    return [
        Route("/", chat_page),
        Route("/healthz", health.alive),
        Route("/readyz", health.ready),
        Route("/openapi.json", openapi),
        Route("/chat", native.endpoint(lambda each, asked: each.chat(asked)), methods=["POST"]),
        Route(
            "/streaming_chat",
            native.endpoint(lambda each, asked: each.streaming_chat(asked)),
            methods=["POST"],
        ),
        Route(
            "/api/chat/session",
            conversing.endpoint(lambda each, asked: each.session(asked)),
            methods=["POST"],
        ),
        Route(
            "/api/chat/stream-http",
            conversing.endpoint(lambda each, asked: each.stream_http(asked)),
        ),
        WebSocketRoute(
            "/api/chat/stream", conversing.endpoint(lambda each, socket: each.stream(socket))
        ),
    ]


def _native(service: Service) -> Native:
    from llmstream.web.endpoints import Native  # it needs pydantic

    return Native(service)


def _conversing(service: Service) -> Conversing:
    from llmstream.web.conversation_endpoints import Conversing  # it needs pydantic

    return Conversing(service)


@lru_cache(maxsize=16)
def _document(models: tuple[str, ...]) -> dict[str, Any]:
    """The OpenAPI document. It takes pydantic longer than all the rest, and few ask for it."""
    from llmstream.web.openapi import openapi_document

    return openapi_document(models, all_dialects())


def _conversations_in_memory(client: LLMClient) -> ConversationClient:
    from llmstream.conversations import ConversationClient, MemoryStore
    from llmstream.conversations.stores.limits import MONTH, SERVED

    return ConversationClient(client, store=MemoryStore(ttl=MONTH, limits=SERVED))


def _catch_all(client: LLMClient, model: str | None, limits: Limits) -> RouterWithDispatcher[Any]:
    from llmstream.web.catch_all_router import catch_all_router

    return catch_all_router(client, model, default_tokens(limits.max_tokens))


def _metrics_routes(access: Access, observers: Sequence[RequestObserver]) -> list[Route]:
    """The page of the metrics, if somebody may read it."""
    readers = frozenset(access.metrics)
    counting = [each for each in observers if isinstance(each, Metrics)]

    async def metrics(request: Request) -> Response:
        if request.state.who not in readers:
            raise RefusedError(403, "permission", "This key may not read the metrics.")
        page, media_type = await asyncio.to_thread(counting[0].render)
        return Response(page, headers={"content-type": media_type, "cache-control": "no-store"})

    return [Route("/metrics", metrics)] if readers else []


class _Failure:
    """Turns an endpoint's exception into a response in the words of its path."""

    def __init__(
        self, shape: Callable[[str], RenderError], paths: Sequence[str], records: RequestRecords
    ) -> None:
        self._shape, self._paths, self._records = shape, paths, records

    async def respond(self, request: Request, problem: Exception) -> Response:
        """The response. Starlette raises an unforeseen exception again, for the server to log."""
        request_id = getattr(request.state, "request_id", None) or new_request_id()
        headers: Mapping[str, str] | None = None
        if isinstance(problem, RefusedError):
            log_refusal(problem, request_id, self._records.describe(request))
            info, headers = problem.info, problem.headers
        elif isinstance(problem, HTTPException):
            info, headers = self._explain(problem, request), problem.headers
        elif isinstance(problem, ClientDisconnect):
            info = ErrorInfo("connection", "The client left.", status_code=400)
        else:
            # An AbortedError is how an answer is cut; its failure is in the log already.
            if not isinstance(problem, AbortedError):
                name = type(problem).__name__
                logger.error("request %s: %s, which the server logs as well", request_id, name)
            info = ErrorInfo("internal", TABLE["internal"].text, status_code=500)
        render = self._shape(own_path(request.scope))
        return Refusal(info, request_id, render_error=render, headers=headers)

    def _explain(self, problem: HTTPException, request: Request) -> ErrorInfo:
        """Why Starlette refuses a request."""
        status = problem.status_code
        path = own_path(request.scope)
        if status == 404:
            text = _OUT_OF_SCOPE.get(path) or f"There is nothing at {path[:100]!r}."
            there = f"{text} There are: {', '.join(self._paths)}"
            return ErrorInfo("not_found", there, status_code=status, code="no_such_path")
        text = problem.detail
        if status == 405:
            text = f"{path[:100]} doesn't take {request.method}."
        return ErrorInfo("invalid_request", text, status_code=status)


def _check_key_models(limits: Mapping[str, KeyLimits], names: Mapping[str, str | None]) -> None:
    """Raise ConfigurationError for a key's model that there isn't."""
    known = {*names, *names.values()}
    for key, each in limits.items():
        for model in each.models or ():
            problem = f"key_limits of {key}: there is no model {model!r} here; there are {', '.join(names)}"
            require(model in known, problem, ConfigurationError)


def _names(
    client: LLMClient, models: Sequence[str | Candidate] | Mapping[str, str | Candidate] | None
) -> tuple[Mapping[str, str | None], Mapping[str, Candidate]]:
    """The client's `model=` by the name that may be asked for, and what is known of it."""
    if models is None:
        own = client.target(None)
        return {f"{own.provider.name}:{own.model}": None}, {}
    problem = 'models must be a list such as ["openai:gpt-5-mini"], or None for the client\'s own'
    require(models and not isinstance(models, str), problem, ConfigurationError)
    given = models if isinstance(models, Mapping) else {_model_of(model): model for model in models}
    facts = {name: model for name, model in given.items() if not isinstance(model, str)}
    names = {name: _model_of(model) for name, model in given.items()}
    for model in names.values():
        # Raises for what nobody could ask, and imports now what would hold up everybody's streams.
        client.target(model)
    return names, facts


def _model_of(model: str | Candidate) -> str:
    """The model string. Raises TypeError for what is neither that nor a Candidate."""
    if isinstance(model, str):
        return model
    from llmstream.router import Candidate  # loaded already, if this is one

    return require_type(model, Candidate, "models are strings and Candidates").model


def _cors(access: Access, records: RequestRecords) -> Middleware:
    exposed = ("x-request-id", "retry-after", WARNINGS)
    return Middleware(RecordedCORS, records=records, origins=access.origins, exposed=exposed)
