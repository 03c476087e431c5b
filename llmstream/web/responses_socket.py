"""`WS /v1/responses`: OpenAI's WebSocket mode, which Codex tries first.

Protocol: https://developers.openai.com/api/docs/guides/websocket-mode. The client sends `response.create` events: the
body of `POST /v1/responses`, streamed without saying so. What it gets are the same events, one JSON text each.

- **Lanes**: an event's `stream_id` names its lane, and comes back with each event of the answer. In a lane one answer
  is under way at a time, and those behind it wait in order. Lanes are answered side by side.
- **`previous_response_id`** names a response of this connection, to go on from. Nothing outlives the connection.
- **`generate: false`** asks no model: its answer is empty, and may be gone on from.
- **Errors** are events (`type: "error"` with `status` and `error`), and the connection goes on.
- **Settings**: the key is looked at again for each answer. Where others take the place of these settings, a connection
  is closed once its answers are complete, and its client connects again.
- **Limits**: an open connection is one of its client's requests, and so is each answer beyond the first.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from llmstream.checks import check_type, require, require_value
from llmstream.errors import ErrorInfo
from llmstream.events.flow import Upstream
from llmstream.events.types import EventType, StreamEvent
from llmstream.messages import FinishReason, Message, Usage
from llmstream.tasks import first_of, stop
from llmstream.web.app_state import Service, invalid
from llmstream.web.client_watch import by_listening
from llmstream.web.client_writer import SlowClientError
from llmstream.web.delivery import cut_off
from llmstream.web.dialect_endpoints import Mounted, ReadRequest
from llmstream.web.dialects.base import Ask
from llmstream.web.dialects.openai_responses import (
    CompactedResponses,
    OpenAIResponses,
    ResponsesAnswer,
    RunsOfNumberedText,
)
from llmstream.web.dialects.responses_echo import refused
from llmstream.web.errors import (
    TABLE,
    RefusedError,
    log_refusal,
    new_request_id,
)
from llmstream.web.gate import deny
from llmstream.web.kept_responses import KeptResponse, KeptResponses
from llmstream.web.limits import check_size
from llmstream.web.recent_items import MountedResponses, RecentItems
from llmstream.web.refusals import Refusal
from llmstream.web.request_body import parse_json, run_aside
from llmstream.web.responses_delivery import AnswerDelivery, error_payload, render_line
from llmstream.web.served_request import current_request, set_current

_IDLE = 600.0
"""Seconds that a connection may be open with nothing to answer. Clients connect again."""
_RESTARTED = 1012
"""The code upon which clients connect again (RFC 6455's registry: "service restart")."""
_MOST_WAITING = 16
"""Requests that may wait in all lanes of a connection."""
_LONGEST_NAME = 64
"""Characters of a lane's name."""
_OF_THE_SOCKET = frozenset({"type", "stream_id", "generate", "stream", "previous_response_id"})
_CONNECT_AGAIN = "The server has new settings. Please connect again."
_BUSY = "Too many requests wait on this connection. Please try again later."


@dataclass(slots=True)
class Create:
    """One `response.create`."""

    body: dict[str, Any]
    size: int
    """Characters that it came in."""
    stream_id: str | None
    request_id: str = field(default_factory=new_request_id)


class ResponsesSocket:
    """The endpoint, over one Service and its mounted dialect."""

    def __init__(self, service: Service, mounted: Mounted) -> None:
        self._service, self._mounted = service, mounted

    async def serve(self, websocket: WebSocket) -> None:
        """Answer until the client leaves."""
        await websocket.accept()
        await _ResponsesConnection(self._service, self._mounted, websocket).run()


class NoResponsesSocket:
    """The same where it is turned off, or the server speaks no WebSocket: 426, upon which clients use HTTP."""

    def __init__(self, path: str) -> None:
        self._told = f"There is no WebSocket here. Use POST {path}."

    async def serve(self, websocket: WebSocket) -> None:
        """Refuse a WebSocket."""
        await deny(websocket, self._refusal(websocket))

    async def answer(self, request: Request) -> Response:
        """Refuse a request that could not become one."""
        return self._refusal(request)

    def _refusal(self, connection: HTTPConnection) -> Refusal:
        info = ErrorInfo("invalid_request", self._told, status_code=426)
        render = OpenAIResponses().error
        headers = {"upgrade": "websocket", "connection": "upgrade"}
        request_id = connection.state.request_id
        return Refusal(info, request_id, render_error=render, headers=headers)


def responses_routes(service: Service, *, websocket: bool) -> list[Route | WebSocketRoute]:
    """The routes of Responses, which share what their clients may name."""
    path = OpenAIResponses.path
    none = NoResponsesSocket(path)
    recent = RecentItems()
    mounted = MountedResponses(service, OpenAIResponses(), recent)
    compacted = MountedResponses(service, CompactedResponses(), recent)
    serve = ResponsesSocket(service, mounted).serve if websocket else none.serve
    return [
        Route(path, mounted.answer, methods=["POST"]),
        WebSocketRoute(path, serve),
        Route(path, none.answer, methods=["GET"]),
        Route(CompactedResponses.path, compacted.answer, methods=["POST"]),
    ]


class _ResponsesConnection:
    """One client's WebSocket."""

    def __init__(self, service: Service, mounted: Mounted, websocket: WebSocket) -> None:
        self._service, self._mounted, self._websocket = service, mounted, websocket
        self._kept = KeptResponses(service.limits.max_body)
        self._lanes: dict[str | None, deque[Create]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._answering = 0
        self._answered = 0.0
        """When the last answer ended, by the monotonic clock."""
        self._gone = asyncio.Event()
        self._record = current_request()

    async def run(self) -> None:
        """Read what the client sends until it leaves, is idle for too long, or doesn't read what it gets."""
        reading = asyncio.create_task(self._read_all())
        gone = asyncio.create_task(self._left())
        retired = asyncio.create_task(self._retired())
        try:
            await first_of(reading, gone, retired)
            if gone.done():
                return
            if reading.done():
                reading.result()
            with suppress(RuntimeError, WebSocketDisconnect):  # it has gone in between
                await self._websocket.close(1000 if reading.done() else _RESTARTED)
        except WebSocketDisconnect:
            pass
        except SlowClientError as problem:
            self._cut_off(problem)
        finally:
            self._gone.set()
            await stop(reading, gone, retired, *self._tasks)

    async def _retired(self) -> None:
        """Return when another app has taken the place of this one, and the answers that were under way are complete."""
        await self._service.retired.wait()
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _cut_off(self, problem: SlowClientError) -> None:
        cut_off(self._websocket.scope, self._websocket.state.request_id, problem)

    # --- what the client sends -----------------------------------------------------------------------------

    async def _read_all(self) -> None:
        while True:
            try:
                async with asyncio.timeout(_IDLE):
                    message = await self._websocket.receive()
            except TimeoutError:
                if self._is_idle():
                    return
                continue
            if message["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(message.get("code", 1005))
            await self._take(message.get("text"))

    def _is_idle(self) -> bool:
        return not self._lanes and time.monotonic() - self._answered >= _IDLE

    async def _take(self, text: str | None) -> None:
        stream_id = None
        try:
            event = await self._parse(text)
            stream_id = _lane_of(event)
            kind = event.get("type")
            if kind == "response.steer":
                await self._tell(_unsteered(event))
                return
            if kind != "response.create":
                told = "type must be response.create: this connection knows no other event."
                raise refused(told, code="invalid_value", param="type")
            self._enqueue(Create(event, len(text or ""), stream_id))
        except RefusedError as problem:
            await self._refuse(problem, stream_id, new_request_id())

    async def _parse(self, given: str | None) -> dict[str, Any]:
        text = require_value(given, "Send events as text messages.", invalid)
        limits = self._service.limits
        check_size(len(text), limits.max_body)
        event: dict[str, Any] = await run_aside(len(text), partial(parse_json, text, limits))
        require(isinstance(event, dict), "An event must be a JSON object.", invalid)
        return event

    def _enqueue(self, create: Create) -> None:
        """Let it wait for its turn. A lane has a task as long as something waits in it."""
        if self._service.retired.is_set():
            raise RefusedError(503, "overloaded", _CONNECT_AGAIN, retry_after=0.0)
        waiting = [each.size for lane in self._lanes.values() for each in lane]
        is_large = sum(waiting, create.size) > self._service.limits.max_body
        if len(waiting) >= _MOST_WAITING or (waiting and is_large):
            wait = self._service.limits.retry_after
            raise RefusedError(429, "rate_limit", _BUSY, retry_after=wait)
        lane = self._lanes.get(create.stream_id)
        if lane is not None:
            lane.append(create)
            return
        self._lanes[create.stream_id] = deque([create])
        task = asyncio.create_task(self._work(create.stream_id))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- what it gets --------------------------------------------------------------------------------------

    async def _work(self, stream_id: str | None) -> None:
        """Answer what waits in one lane, one after the other."""
        lane = self._lanes[stream_id]
        try:
            while lane and not self._gone.is_set():
                await self._answer(lane.popleft())
        except WebSocketDisconnect:
            self._gone.set()
        except SlowClientError as problem:
            self._cut_off(problem)
            self._gone.set()
        finally:
            del self._lanes[stream_id]
            self._answered = time.monotonic()

    async def _answer(self, create: Create) -> None:
        connection = self._record
        record = None if connection is None else connection.answer(create.request_id)
        if record is None:
            await self._answer_or_refuse(create)
            return
        set_current(record)
        record.begin()
        try:
            await self._answer_or_refuse(create)
            record.status = record.status or 200
        finally:
            record.end()

    async def _answer_or_refuse(self, create: Create) -> None:
        try:
            await self._websocket.state.recheck(self._websocket)
            with self._slot():
                self._answering += 1
                try:
                    await self._deliver(create)
                finally:
                    self._answering -= 1
        except RefusedError as problem:
            await self._refuse(problem, create.stream_id, create.request_id)
        except (SlowClientError, WebSocketDisconnect):
            raise
        except Exception as problem:  # noqa: BLE001  # as over HTTP: a 500, and the rest goes on
            unforeseen = RefusedError(500, "internal", TABLE["internal"].text)
            unforeseen.__cause__ = problem  # for the log
            await self._refuse(unforeseen, create.stream_id, create.request_id)

    def _slot(self) -> AbstractContextManager[None]:
        """The connection's own, or one more. Raises RefusedError."""
        slot: AbstractContextManager[None] = self._websocket.state.slot()
        return slot if self._answering else nullcontext()

    async def _deliver(self, create: Create) -> None:
        """Answer one request, and keep what it was. Raises RefusedError for one that can't be asked."""
        before = self._kept.find(create.body.get("previous_response_id"))
        self._kept.check_size(before.size + create.size)
        items = [*before.items, *_items_of(create.body.get("input"))]
        asked = await self._read(create, items, before.size + create.size)
        answer = ResponsesAnswer(asked.ask, partial(render_line, create.stream_id))
        delivery = AnswerDelivery(
            Upstream(self._events(create, asked)),
            self._websocket.send,
            RunsOfNumberedText(answer),
            request_id=create.request_id,
            stream_id=create.stream_id,
            write_timeout=self._service.write_timeout,
            max_answer=self._service.limits.max_answer,
            keep=lambda: self._keep(answer, asked.ask, items, before.size + create.size),
        )
        try:
            await delivery.run(by_listening(self._left))
        finally:
            await delivery.events.aclose()  # if it never began

    def _keep(self, answer: ResponsesAnswer, ask: Ask, items: list[Any], size: int) -> None:
        """Keep what the answer was, unless it failed. After a compaction only its outcome goes on."""
        output = answer.events.output
        if output is None:
            return
        if ask.reply.compacts:
            items, size = [], 0
        written = len(json.dumps(output, ensure_ascii=False))
        self._kept.add(ask.reply.id, KeptResponse([*items, *output], size + written))

    async def _read(self, create: Create, items: list[Any], size: int) -> ReadRequest:
        body = {name: create.body[name] for name in create.body if name not in _OF_THE_SOCKET}
        is_prepared = _generates(create.body) or bool(items)
        body["input"] = items if is_prepared else [{"role": "user", "content": "-"}]
        parse = partial(self._mounted.parse, {**body, "stream": True}, self._websocket.state.who)
        asked = self._mounted.prepare(await run_aside(size, parse), self._websocket)
        previous = create.body.get("previous_response_id")
        asked.ask.reply.echo["previous_response_id"] = previous
        return asked

    def _events(self, create: Create, asked: ReadRequest) -> AsyncIterable[StreamEvent]:
        if not _generates(create.body):
            return _empty_answer()
        ask = asked.ask
        return self._service.events(
            ask.request, model=ask.model, stream=True, headers=asked.headers
        )

    async def _left(self) -> None:
        await self._gone.wait()

    async def _refuse(self, problem: RefusedError, stream_id: str | None, request_id: str) -> None:
        log_refusal(problem, request_id)
        await self._tell(error_payload(problem.info, request_id, stream_id))

    async def _tell(self, payload: Mapping[str, Any]) -> None:
        """Send an event that is no part of an answer. Raises SlowClientError."""
        text = render_line(None, payload).decode().strip()
        try:
            async with asyncio.timeout(self._service.write_timeout):
                await self._websocket.send({"type": "websocket.send", "text": text})
        except TimeoutError:
            raise SlowClientError("the client did not read for too long") from None
        except (RuntimeError, OSError) as problem:
            raise WebSocketDisconnect from problem


def _lane_of(event: Mapping[str, Any]) -> str | None:
    name = event.get("stream_id")
    if name is None:
        return None
    if not isinstance(name, str) or not 0 < len(name) <= _LONGEST_NAME:
        told = f"stream_id must be a string of 1 to {_LONGEST_NAME} characters."
        raise refused(told, code="invalid_value", param="stream_id")
    return name


def _generates(body: Mapping[str, Any]) -> bool:
    try:
        given = check_type(body.get("generate"), bool, "generate must be true or false")
    except TypeError as problem:
        raise invalid(str(problem)) from None
    return given is not False


def _items_of(given: Any) -> list[Any]:
    if given is None:
        return []
    if isinstance(given, str):
        return [{"type": "message", "role": "user", "content": given}]
    require(isinstance(given, list), "input must be a string or a list of items.", invalid)
    items: list[Any] = given
    return items


def _unsteered(event: Mapping[str, Any]) -> dict[str, Any]:
    """Steering isn't for every provider, so it is for none here: the input goes back."""
    told = "This server can't steer an answer that is under way."
    error = {"type": "invalid_request_error", "code": "steering_not_supported", "message": told}
    steer = {name: event.get(name) for name in ("input", "previous_response_id")}
    return {"type": "response.steer.failed", "sequence_number": 0, "error": error, "steer": steer}


async def _empty_answer() -> AsyncGenerator[StreamEvent, None]:
    """The answer to a request that only prepares the next one."""
    yield StreamEvent(
        EventType.MESSAGE_COMPLETE,
        message=Message("assistant"),
        finish_reason=FinishReason.STOP,
        usage=Usage(0, 0),
    )
