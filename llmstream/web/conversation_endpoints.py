"""Conversations for clients of `/api/chat/stream`: over a WebSocket, or over HTTP as server-sent events.

Each message is a StreamingChunk as JSON: `content` where there are words, those of a refusal too, `is_complete`, and
with the last one `sources`: of each its `title`, its `relevance_score`, which is also called `relevance`, and where
they are known `url` and `excerpt`. A retry is `{"retry": {"delay", "discard"}, "is_complete": false}`; `discard` means
that what came so far is void: what stands of it, said in earlier tool rounds, comes again. A failure is `{"error",
"request_id"}`, and then nothing more comes. Over HTTP an EventSource that comes back after the end hears 204 and stops,
and after a cut it is answered anew, as a `discard` says.

A session, with a conversation, begins with `POST /api/chat/session`, whose token is then asked for; its body may be
empty, or `{"title": …}`. Whoever has a key is the same user in all of their sessions. The token may stand in the URL,
since EventSource can't send headers, but the header `X-Session-Token` keeps it out of logs.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.websockets import WebSocket, WebSocketDisconnect

from llmstream.checks import require, require_value
from llmstream.conversations import (
    ChatContext,
    ConversationError,
    SessionContext,
    StreamingChatRequest,
)
from llmstream.events.grammar import TERMINAL
from llmstream.events.transcript import Gathered
from llmstream.events.types import EventType, StreamEvent, words
from llmstream.messages import Source
from llmstream.web.app_state import Service, invalid, refusal_of
from llmstream.web.errors import RefusedError
from llmstream.web.exceptions import conversation_refusal
from llmstream.web.native_encoders import SseEncoder
from llmstream.web.negotiation import Choice, Form, ResponseMode
from llmstream.web.request_body import parse_json, read_body, run_aside
from llmstream.web.token_bound import default_tokens
from llmstream.web.websocket import send_events
from llmstream.wire.json_fields import present

PLACE = {"instance_id": "llmstream", "project_id": "chat"}
"""Whose conversations these are, beside the name of the key's holder."""
_PATIENCE = 30.0
"""Seconds that an open WebSocket may take to ask."""
_USER = "user_id: a client can't say who it is. The server knows its users by their keys."
_WANTED = "Send one JSON object as a text message."


class Query(BaseModel):
    """A message of a client of `/api/chat/stream`."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    query: str = Field(min_length=1)
    session_id: str = Field(min_length=1, max_length=256)
    conversation_id: str = Field(min_length=1, max_length=256)
    token: str = Field(min_length=1, max_length=256, repr=False)


class Begin(BaseModel):
    """The body of `POST /api/chat/session`."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    title: str | None = Field(default=None, max_length=1_000)


class ChunkEncoder(SseEncoder):
    """Server-sent events that carry chunks."""

    def __init__(self, request_id: str) -> None:
        super().__init__()
        self._request_id = request_id
        self._chunks = ChunkBuilder()

    def feed(self, event: StreamEvent) -> bytes:
        """One frame, where the event is one for readers."""
        chunk = self._chunks.render(event, self._request_id)
        return b"" if chunk is None else self.frame(chunk, last=event.type in TERMINAL)


class ChunkBuilder:
    """One answer's chunks."""

    def __init__(self) -> None:
        self._sources: Gathered[Source] = Gathered()
        self._said: Gathered[str] = Gathered()
        self._dropped = ""
        """Text of earlier rounds, which stands, but which a client dropped at a RETRY with the rest.

        It goes out again with the next content.
        """

    def render(self, event: StreamEvent, request_id: str) -> dict[str, Any] | None:
        """The JSON of an event; None where readers need not see it."""
        if event.type is EventType.ERROR:
            return {"error": event.error, "request_id": request_id}
        if event.type is EventType.MESSAGE_COMPLETE:
            return {**self._content(event), **self._cited(event), "is_complete": True}
        if event.retry is not None or event.status is not None:
            return self._turned(event)
        if event.type is EventType.SOURCE and event.source is not None:
            self._sources.items.append(event.source)
        if words(event):
            return {**self._content(event), "is_complete": False}
        return None

    def _turned(self, event: StreamEvent) -> dict[str, Any] | None:
        """An event that says what of the others stands."""
        self._sources.add(event)
        self._said.add(event)
        if event.retry is not None:
            if event.discards:
                self._dropped = "".join(self._said.items)
            return _restart(event.retry.delay, discard=event.retry.discard)
        is_gap = event.status is not None and event.status.kind == "gap"
        return _restart(0.0, discard=True) if is_gap else None

    def _content(self, event: StreamEvent) -> dict[str, str]:
        said = words(event)
        if said:
            self._said.items.append(said)
        content = self._dropped + said
        self._dropped = ""
        return {"content": content} if content else {}

    def _cited(self, event: StreamEvent) -> dict[str, Any]:
        sources = self._sources.items
        if not sources and event.message is not None:
            sources = event.message.sources
        return {"sources": [*map(_cited, sources)]}


class Conversing:
    """The endpoints, over one Service."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def session(self, request: Request) -> Response:
        """`POST /api/chat/session`: a session and a conversation in it, for whoever asks."""
        begin = await self._read_begin(request)
        who = request.state.who if request.state.keyed else f"guest-{secrets.token_hex(8)}"
        conversations = await self._service.conversations.get()
        try:
            session = await conversations.session(SessionContext(user_id=who, **PLACE))
            context = ChatContext(session_id=session.session_id, token=session.token)
            conversation = await conversations.start_conversation(context, begin.model_dump())
        except ConversationError as problem:
            raise conversation_refusal(problem) from problem
        ids = {"session_id": session.session_id, "conversation_id": conversation.conversation_id}
        return JSONResponse({**ids, "token": session.token}, 201, {"cache-control": "no-store"})

    async def _read_begin(self, request: Request) -> Begin:
        """The body, which may be empty. Raises RefusedError."""
        limits = self._service.limits
        data = await read_body(request, limits)
        given = parse_json(data, limits) if data.strip() else {}
        require(isinstance(given, dict), 'Send a JSON object such as {"title": "Taxes"}.', invalid)
        require("user_id" not in given, _USER, invalid)
        try:
            return Begin.model_validate(given)
        except ValidationError as problem:
            raise refusal_of(problem) from None

    async def stream_http(self, request: Request) -> Response:
        """`GET /api/chat/stream-http`."""
        asked = {"token": request.headers.get("x-session-token"), **request.query_params}
        encoder = ChunkEncoder(request.state.request_id)
        return self._service.respond(
            request, await self._events(asked), Choice(ResponseMode.STREAM, Form.SSE), encoder
        )

    async def stream(self, websocket: WebSocket) -> None:
        """`WS /api/chat/stream`: one question, its answer, and the end."""
        await websocket.accept()
        code = 1000
        try:
            events = await self._events(await self._read(websocket))
        except RefusedError as problem:
            events, code = _refusing(problem), 1008
        except WebSocketDisconnect:
            return
        request_id, service = websocket.state.request_id, self._service
        if await send_events(
            websocket,
            events,
            render=ChunkBuilder().render,
            request_id=request_id,
            write_timeout=service.write_timeout,
            max_answer=service.limits.max_answer,
        ):
            with suppress(RuntimeError, WebSocketDisconnect):  # it has gone in between
                await websocket.close(code)

    async def _events(self, asked: Mapping[str, Any]) -> AsyncGenerator[StreamEvent, None]:
        try:
            query = Query.model_validate(asked)
            context = ChatContext(
                session_id=query.session_id,
                conversation_id=query.conversation_id,
                token=query.token,
            )
            turn = StreamingChatRequest(
                query=query.query,
                model=self._service.model(None),
                max_tokens=default_tokens(self._service.limits.max_tokens),
            )
        except ValidationError as problem:
            raise refusal_of(problem) from None
        self._service.admit_text(query.query)
        conversations = await self._service.conversations.get()
        return conversations.events(context, turn)

    async def _read(self, websocket: WebSocket) -> dict[str, Any]:
        """The question. Raises RefusedError, and WebSocketDisconnect if the client leaves."""
        try:
            async with asyncio.timeout(_PATIENCE):
                message = await websocket.receive()
        except TimeoutError:
            raise RefusedError(408, "timeout", "Nothing was asked.") from None
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1005))
        text = require_value(message.get("text"), _WANTED, invalid)
        limits = self._service.limits
        require(len(text) <= limits.max_body, _WANTED, invalid)
        asked: dict[str, Any] = await run_aside(len(text), partial(parse_json, text, limits))
        require(isinstance(asked, dict), _WANTED, invalid)
        return asked


def _cited(source: Source) -> dict[str, Any]:
    """A source under the names that clients read."""
    score = source.relevance_score
    shown = {"title": source.title, "relevance": score, "relevance_score": score}
    return {**shown, **present(url=source.url, excerpt=source.excerpt)}


def _restart(delay: float, *, discard: bool) -> dict[str, Any]:
    return {"retry": {"delay": delay, "discard": discard}, "is_complete": False}


async def _refusing(problem: RefusedError) -> AsyncGenerator[StreamEvent, None]:
    raise problem
    yield  # so that it is one
