"""The app's OpenAPI document, 3.2 (https://spec.openapis.org/oas/v3.2.0): the first that can say what a stream is.

`itemSchema` is the schema of each event of a `text/event-stream` (its `data` is what `contentSchema` says) and of each
line of NDJSON.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import models_json_schema

from llmstream import __version__
from llmstream.errors import ErrorInfo
from llmstream.events.types import StreamEvent
from llmstream.web.access import KEY_HEADERS, PUBLIC
from llmstream.web.conversation_endpoints import Query
from llmstream.web.dialects import (
    AnthropicMessages,
    Dialect,
    GeminiGenerate,
    GeminiStream,
    OllamaChat,
    OpenAIChat,
    OpenAIResponses,
    SharedChat,
)
from llmstream.web.dialects.base import paths_of
from llmstream.web.dialects.gemini import COUNT, MODELS, paths_of_models
from llmstream.web.dialects.ollama import UNDER
from llmstream.web.dialects.openai_responses import CompactedResponses
from llmstream.web.dialects.shared_chat import RESUMED
from llmstream.web.endpoints import ChatBody, UserRequest
from llmstream.web.ollama_endpoints import SHOW, TAGS, VERSION_PATH

_REF = "#/components/schemas/{model}"
_ERRORS = {
    "400": "The request is wrong.",
    "401": "A key is needed.",
    "403": "Not from this host or origin.",
    "404": "No such model or conversation.",
    "406": "No such form; the error lists those there are.",
    "408": "The body took too long to arrive.",
    "409": "Another turn of this conversation is being answered; see Retry-After.",
    "413": "Too large.",
    "415": "Not a kind of body that is taken here.",
    "429": "Too many requests; see Retry-After.",
    "500": "The server failed.",
    "502": "The model's provider failed.",
    "503": "Busy or overloaded; see Retry-After.",
    "504": "The model took too long.",
}
_OVER = {"204": {"description": "To an EventSource that has seen the end: there is no more."}}

_RESUME = {"name": "Last-Event-ID", "in": "header", "schema": {"type": "string"}}


def openapi_document(models: Iterable[str], dialects: Sequence[Dialect]) -> dict[str, Any]:
    """The document, for `GET /openapi.json`. WebSockets have no place in OpenAPI: the description says where it is."""
    paths = {**_paths(), **_dialects(dialects)}
    paths[CompactedResponses.path] = {"post": _dialect(CompactedResponses())}
    paths[OpenAIResponses.path]["get"] = _foreign("Upgrade to the WebSocket", _UPGRADE, "101")
    for path in PUBLIC:
        paths[path]["get"]["security"] = []
    return {
        "openapi": "3.2.0",
        "info": {
            "title": "llmstream",
            "version": __version__,
            "description": f"Models: {', '.join(models)}. The WebSocket /api/chat/stream takes a Query, gives Chunks.",
        },
        "paths": paths,
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                **{name: {"type": "apiKey", "in": "header", "name": name} for name in KEY_HEADERS},
            },
        },
        "security": [{"bearer": []}, *({name: []} for name in KEY_HEADERS), {}],
    }


def _paths() -> dict[str, Any]:
    return {
        **_pages(),
        **_asking(),
        **_conversations(),
        **_models(),
    }


def _pages() -> dict[str, Any]:
    """The chat page, and what monitors and tools ask."""
    status = _json(_object("status"))
    answers = {
        "/": ("The chat page", {"200": _given("text/html", {"type": "string"})}, {}),
        "/healthz": ("Whether the server runs", {"200": status}, {}),
        "/readyz": (
            "Whether its store can be read, and all of its workers answer",
            {"200": status},
            {"503": status},
        ),
        "/openapi.json": ("This document", {"200": _json({"type": "object"})}, {}),
    }
    return {
        path: {"get": _operation(summary, answer, more=more)}
        for path, (summary, answer, more) in answers.items()
    }


def _asking() -> dict[str, Any]:
    """Single questions."""
    modes = [
        {"name": "mode", "in": "query", "schema": {"enum": ["stream", "batch"]}},
        {"name": "stream", "in": "query", "schema": {"type": "boolean"}},
        {
            "name": "forms",
            "in": "query",
            "description": "What the client can read, with commas.",
            **_string(),
        },
        _RESUME,
    ]
    words = {"description": "The words, as they come.", "content": {"text/plain": _string()}}
    return {
        "/chat": {
            "post": _operation(
                "Ask, and be answered in either mode", _answers(), _body("ChatBody"), modes
            )
        },
        "/streaming_chat": {
            "post": _operation("Route a request to a handler", {"200": words}, _body("UserRequest"))
        },
    }


def _title() -> dict[str, Any]:
    """A body that may be left out."""
    schema = {"type": "object", "properties": {"title": {"type": ["string", "null"]}}}
    return {"content": {"application/json": {"schema": schema}}}


def _conversations() -> dict[str, Any]:
    """Questions in a conversation that the server keeps."""
    session = _object("session_id", "conversation_id", "token")
    token = {"name": "X-Session-Token", "in": "header", "schema": {"type": "string"}}
    query = [
        {"name": name, "in": "query", "required": name != "token", "schema": {"type": "string"}}
        for name in Query.model_fields
    ]
    chunks = _given("text/event-stream", _sse("Chunk"), item=True)
    return {
        "/api/chat/session": {
            "post": _operation("Begin a conversation", {"201": _json(session)}, _title())
        },
        "/api/chat/stream-http": {
            "get": _operation(
                "Ask in a conversation",
                {"200": chunks, **_OVER},
                parameters=[*query, token, _RESUME],
            )
        },
        **{
            f"{path}/{{chat}}/stream": {
                "get": _operation(
                    "Whether an answer to a client of AiSdk is under way: none ever is",
                    {"204": {"description": "None is."}},
                    parameters=[_in_path("chat")],
                )
            }
            for path in RESUMED
        },
    }


def _models() -> dict[str, Any]:
    """OpenAI's list of models, and Anthropic's count of a prompt."""
    counted = {"type": "object", "properties": {"input_tokens": {"type": "integer"}}}
    count = _foreign("The tokens that a prompt would take", _json(counted))
    body = {"content": {"application/json": {"schema": {"type": "object"}}}, "required": True}
    one = _foreign("One of them", _json({"type": "object"}))
    return {
        **_ollama(),
        **_gemini(),
        "/v1/models": {
            "get": _foreign("The models that may be asked for", _json({"type": "object"}))
        },
        f"{AnthropicMessages.path}/count_tokens": {"post": {**count, "requestBody": body}},
        "/v1/models/{model}": {"get": {**one, "parameters": [_in_path("model")]}},
    }


def _gemini() -> dict[str, Any]:
    """The paths of Google's clients beside those of answers."""
    listed = _foreign("The models that may be asked for", _json({"type": "object"}))
    one = _foreign("One of them", _json({"type": "object"}))
    counted = {"type": "object", "properties": {"totalTokens": {"type": "integer"}}}
    body = {"content": {"application/json": {"schema": {"type": "object"}}}, "required": True}
    count = {**_foreign("The tokens that a prompt would take", _json(counted)), "requestBody": body}
    return {
        MODELS: {"get": listed},
        f"{MODELS}/{{model}}": {"get": {**one, "parameters": [_in_path("model")]}},
        **{path: {"post": {**count, **_model_in(path)}} for path in paths_of_models(COUNT)},
    }


def _ollama() -> dict[str, Any]:
    """The paths of Ollama's clients beside those of answers."""
    paths: dict[str, Any] = {
        UNDER: {"get": _foreign("Ollama's own words", _given("text/plain", {"type": "string"}))}
    }
    for begin in ("", UNDER):
        listed = _foreign("The models that may be asked for", _json({"type": "object"}))
        shown = _foreign("What is known of one of them", _json({"type": "object"}))
        version = _foreign("The version of the API", _json(_object("version")))
        body = {"content": {"application/json": {"schema": {"type": "object"}}}, "required": True}
        paths[f"{begin}{TAGS}"] = {"get": listed}
        paths[f"{begin}{SHOW}"] = {"post": {**shown, "requestBody": body}}
        paths[f"{begin}{VERSION_PATH}"] = {"get": version}
    return paths


def _in_path(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _answers() -> dict[str, Any]:
    content = {
        "application/json": {"schema": _ref("StreamEvent")},
        "text/event-stream": {"itemSchema": _sse("StreamEvent")},
        "application/x-ndjson": {"itemSchema": _ref("StreamEvent")},
        "text/plain": _string(),
    }
    return {
        "200": {
            "description": "The answer: one event, or all of them as they come.",
            "content": content,
        },
        **_OVER,
    }


_KNOW_DOCUMENTS = (
    OpenAIChat,
    OpenAIResponses,
    AnthropicMessages,
    GeminiGenerate,
    GeminiStream,
    OllamaChat,
    SharedChat,
)
"""The dialects whose clients may ask for the whole answer. The others know streams only."""


def _dialects(dialects: Sequence[Dialect]) -> dict[str, Any]:
    return {path: {"post": _posted(each, path)} for each in dialects for path in paths_of(each)}


def _posted(dialect: Dialect, path: str) -> dict[str, Any]:
    described = {**_dialect(dialect), **_model_in(path)}
    if isinstance(dialect, GeminiStream):
        described["parameters"].append({"name": "alt", "in": "query", "schema": {"enum": ["sse"]}})
    return described


def _model_in(path: str) -> dict[str, Any]:
    """The parameter of a path that names a model."""
    return {"parameters": [_in_path("model")]} if "{model}" in path else {}


def _dialect(dialect: Dialect) -> dict[str, Any]:
    body = {"content": {"application/json": {"schema": {"type": "object"}}}, "required": True}
    content: dict[str, Any] = {
        dialect.content_type.partition(";")[0]: {"itemSchema": {"type": "object"}}
    }
    if type(dialect) is GeminiGenerate:
        content = {}
    if isinstance(dialect, SharedChat):
        content[dialect.ollama.content_type] = {"itemSchema": {"type": "object"}}
    if isinstance(dialect, CompactedResponses):
        content = {}
    if isinstance(dialect, _KNOW_DOCUMENTS):
        content["application/json"] = {"schema": {"type": "object"}}
    answer = {"description": "The answer, in this client's own words.", "content": content}
    return {**_foreign(f"For clients of {type(dialect).__name__}", answer), "requestBody": body}


_UPGRADE = {
    "description": "A WebSocket: `response.create` events in, the same events as of POST out."
}


def _foreign(summary: str, answer: Any, status: str = "200") -> dict[str, Any]:
    """An operation that answers in the words of another API, errors included."""
    failed = {**_json({"type": "object"}), "description": "An error, in this client's own words."}
    return {"summary": summary, "responses": {status: answer, "default": failed}}


def _operation(
    summary: str,
    answers: dict[str, Any],
    body: Any = None,
    parameters: list[Any] | None = None,
    more: Mapping[str, Any] = MappingProxyType({}),
) -> dict[str, Any]:
    errors = {
        status: {**_json(_ref("Error")), "description": text} for status, text in _ERRORS.items()
    }
    asked = {"requestBody": body} if body is not None else {}
    return {
        "summary": summary,
        "parameters": parameters or [],
        **asked,
        "responses": {**answers, **errors, **more},
    }


def _body(model: str) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": _ref(model)}}, "required": True}


def _given(media_type: str, schema: Any, *, item: bool = False) -> dict[str, Any]:
    return {
        "description": "OK",
        "content": {media_type: {"itemSchema" if item else "schema": schema}},
    }


def _json(schema: Any) -> dict[str, Any]:
    return _given("application/json", schema)


def _ref(model: str) -> dict[str, str]:
    return {"$ref": _REF.format(model=model)}


def _string() -> dict[str, Any]:
    return {"schema": {"type": "string"}}


def _object(*names: str) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {name: {"type": "string"} for name in names},
        "required": list(names),
    }


def _sse(model: str) -> dict[str, Any]:
    """One server-sent event whose data is JSON."""
    data = {"type": "string", "contentMediaType": "application/json", "contentSchema": _ref(model)}
    fields = {"id": {"type": "string"}, "retry": {"type": "integer"}, "data": data}
    return {"type": "object", "properties": fields, "required": ["data"]}


def _schemas() -> Mapping[str, Any]:
    taken: list[tuple[type[BaseModel], Any]] = [
        (each, "validation") for each in (ChatBody, UserRequest, Query)
    ]
    schemas = dict(models_json_schema(taken, ref_template=_REF)[1]["$defs"])
    for name, kind in (("StreamEvent", StreamEvent), ("ErrorInfo", ErrorInfo)):
        schema = TypeAdapter(kind).json_schema(ref_template=_REF)
        schemas |= schema.pop("$defs", {})
        schemas[name] = schemas.get(name) or schema
    cited = {
        "type": "object",
        "properties": {
            "title": {"type": ["string", "null"]},
            "relevance": {"type": ["number", "null"]},
        },
    }
    schemas["Chunk"] = {
        "type": "object",
        "properties": {
            "content": {"type": "string"},
            "sources": {"type": "array", "items": cited},
            "is_complete": {"type": "boolean"},
            "retry": {"type": "object"},
            "error": {"type": "string"},
            "request_id": {"type": "string"},
        },
    }
    schemas["Error"] = {
        "type": "object",
        "properties": {
            "type": {"const": "error"},
            "error": {"type": "string"},
            "request_id": {"type": "string"},
            "error_info": _ref("ErrorInfo"),
        },
        "required": ["type", "error", "request_id", "error_info"],
    }
    return schemas
