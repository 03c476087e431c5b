"""respond and EventStreamResponse: the same events for every HTTP client, whatever form it wants.

    async def chat(request: Request) -> Response:  # Starlette or FastAPI
        return respond(request, client.chat_completion(messages))

1. The head waits for the first bytes of the answer. So an ERROR before them is a real 4xx or 5xx with Retry-After. In
   SSE and NDJSON a RETRY or STATUS is such a beginning, and so is the first heartbeat; in text only words are, in JSON
   only the whole answer.
2. An ERROR after them is the last event; where the form has no way to say it (text), the connection is cut, and so it
   is when a client doesn't read for `write_timeout` seconds.
3. A stream that stops without its end, and one that raises, end in an ERROR like any other; what the client is told of
   an exception is in `llmstream.web.exceptions`.
4. However it ends, the events are closed before the response is over: when the client leaves, at once. Once their last
   one was read, no client's leaving disturbs what the application does to close them.
5. When the server gives up on a response (its shutdown), the client is told in an ERROR, where it can be.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any

from starlette.background import BackgroundTask
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from llmstream.errors import ErrorInfo
from llmstream.events.grammar import TERMINAL
from llmstream.events.types import EventType, StreamEvent, error
from llmstream.log import get_logger
from llmstream.streams.flow import Flow, Source
from llmstream.tasks import is_cancelled
from llmstream.web.client_writer import (
    Outlet,
    SlowClientError,
    UnsentError,
    http_client_left,
)
from llmstream.web.errors import (
    RefusedError,
    error_headers,
    log_failure,
    log_refusal,
    new_request_id,
    public_event,
    public_info,
    render_error,
)
from llmstream.web.exceptions import failure_in, http_refusal, refusal_event, refusal_in
from llmstream.web.native_encoders import (
    LAST,
    AbortedError,
    Outgoing,
    SseEncoder,
    gap,
    outgoing,
    render_json,
)
from llmstream.web.negotiation import (
    FORMS,
    Choice,
    Form,
    NotAcceptableError,
    ResponseMode,
    negotiate,
)
from llmstream.web.server_log import filter_server_logs

logger = get_logger("llmstream.web")
filter_server_logs()
_TEXT = EventType.TEXT_DELTA
_GOODBYE = 0.5
"""Seconds for a last word to a client when the server stops."""

RenderError = Callable[[ErrorInfo, str], Any]
"""From a failure that is fit for strangers, and a request id, to the JSON body of an HTTP error."""

HEADERS = {
    "cache-control": "no-store",
    "x-accel-buffering": "no",
    "x-content-type-options": "nosniff",
}
"""No cache and no proxy may hold an answer back, and no browser guess what it is."""


class EventStreamResponse(Response):
    """An answer as it comes. Closes `events`; works wherever a Starlette Response does, FastAPI among it.

    `encoder` says how it is written (None: as server-sent events), `render_error` what an HTTP error's body is.
    `heartbeat` and `write_timeout` are seconds; None: none. `headers` are added to the answer's head. A request whose
    Last-Event-ID is one of SseEncoder's is answered as `llmstream.web.native_encoders` says.
    """

    def __init__(
        self,
        events: AsyncIterable[StreamEvent],
        encoder: Outgoing | None = None,
        *,
        request_id: str | None = None,
        heartbeat: float | None = 15.0,
        write_timeout: float | None = 30.0,
        headers: Mapping[str, str] | None = None,
        render_error: RenderError = render_error,
    ) -> None:
        self._given, self._events = events, Source(events)
        self._encoder = encoder or outgoing(Form.SSE)
        self.request_id = request_id or new_request_id()
        self._heartbeat = heartbeat if self._encoder.keep_alive else None
        self._write_timeout = write_timeout
        self._render_error = render_error
        self._opened = self._ended = False
        self.status_code = 200
        self.background: BackgroundTask | None = None
        self.body = b""
        named = {**HEADERS, **self._encoder.headers, **(headers or {})}
        named |= {"content-type": self._encoder.content_type, "x-request-id": self.request_id}
        self.raw_headers = [
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in named.items()
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer. Raises AbortedError where the connection has to be cut, which is what servers do then.

        HEAD asks what an answer would look like, so nobody is asked for one.
        """
        last_event_id = (
            Headers(scope=scope).get("last-event-id", "")
            if isinstance(self._encoder, SseEncoder)
            else ""
        )
        if last_event_id.endswith(LAST):
            nothing = Refusal(None, self.request_id, self._given)
            nothing.background = self.background
            await nothing(scope, receive, send)
            return
        if last_event_id:
            self._events = Source(_after_gap(self._given, last_event_id))
        if scope["method"] == "HEAD":
            await self._events.aclose()
            await self._open(send, b"")
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            return
        outlet = Outlet(
            send,
            request_id=self.request_id,
            heartbeat=self._heartbeat,
            write_timeout=self._write_timeout,
            beat=lambda: self._beat(send),
        )
        try:
            whole = await outlet.run(self._write(outlet), http_client_left(receive))
        except SlowClientError as problem:
            logger.warning("request %s: %s", self.request_id, problem)
            cut(scope)
            raise AbortedError(str(problem)) from None
        except AbortedError as problem:
            await _spoil(send)
            raise problem from None  # servers log it, and what the events raised is not theirs to show
        except asyncio.CancelledError:
            await self._announce(send)
            raise
        finally:
            await self._events.aclose()  # if it never began
        if not whole:
            logger.info("request %s: the client left", self.request_id)
        if self.background is not None:
            await self.background()

    async def _write(self, outlet: Outlet) -> None:
        feed, send = self._encoder.feed, outlet.send
        try:
            async with self._events as events:
                try:
                    async for event in events:
                        if event.type is _TEXT and event.raw is None:  # nearly every event
                            if data := feed(event):
                                await (
                                    self._body(send, data)
                                    if self._opened
                                    else self._open(send, data)
                                )
                            continue
                        if event.type in TERMINAL:
                            outlet.unwatch()  # before it is sent: whoever has it may leave
                        if await self._tell(send, event):
                            break
                finally:
                    outlet.unwatch()
        except (AbortedError, UnsentError):
            raise
        except (Exception, asyncio.CancelledError) as problem:
            if is_cancelled():
                raise
            await self._fall(send, problem)
        if not self._ended:
            await self._tell(
                send, error(ErrorInfo("truncated", "the stream stopped without its end"))
            )
        if not self._opened:  # an answer without a word
            await self._open(send, b"")
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _tell(
        self, send: Send, event: StreamEvent, problem: BaseException | None = None
    ) -> bool:
        """Send any event; True if it was the last one. `problem` is what the events raised."""
        if event.type is EventType.ERROR:
            info = event.error_info or ErrorInfo("internal", event.error or "")
            log_failure(info, self.request_id, problem)
            if not self._opened:
                await self._fail(send, public_info(info, self.request_id, status=True))
                return True
        if data := self._encoder.feed(public_event(event, self.request_id)):
            await (self._body(send, data) if self._opened else self._open(send, data))
        self._ended = event.type in TERMINAL or self._encoder.ended
        return self._ended

    async def _fall(self, send: Send, problem: BaseException) -> None:
        """Tell what the events raised."""
        if self._ended:  # only closing went wrong
            logger.error(
                "request %s: the events could not be closed", self.request_id, exc_info=problem
            )
        elif (refusal := refusal_in(problem)) is not None:
            await self._refuse(send, refusal)
        else:
            await self._tell(send, error(failure_in(problem)), problem)

    async def _open(self, send: Send, data: bytes) -> None:
        self._opened = True
        await send(
            {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        )
        if data:
            await self._body(send, data)

    def _body(self, send: Send, data: bytes) -> Any:
        return send({"type": "http.response.body", "body": data, "more_body": True})

    async def _fail(
        self, send: Send, public: ErrorInfo, headers: Mapping[str, str] | None = None
    ) -> None:
        """A real HTTP error, since nothing has been sent. It ends when the events are closed, as all answers do."""
        self._opened = self._ended = True
        response = Refusal(
            public, self.request_id, render_error=self._render_error, headers=headers
        )
        for message in whole_messages(response):
            await send({**message, "more_body": True} if "body" in message else message)

    async def _refuse(self, send: Send, problem: RefusedError) -> None:
        """What the server itself refuses is told in its own words."""
        log_refusal(problem, self.request_id)
        if not self._opened:
            await self._fail(send, problem.info, problem.headers)
            return
        self._ended = True
        if data := self._encoder.feed(refusal_event(problem, self.request_id)):
            await self._body(send, data)

    async def _beat(self, send: Send) -> None:
        if not self._opened:
            await self._open(send, b"")
        await send(
            {"type": "http.response.body", "body": self._encoder.keep_alive, "more_body": True}
        )

    async def _announce(self, send: Send) -> None:
        """Say that the server stops, as far as that can be said."""
        with suppress(Exception):
            async with asyncio.timeout(_GOODBYE):
                if not self._ended:
                    text = "The server is stopping. Please try again."
                    await self._refuse(send, RefusedError(503, "overloaded", text, retry_after=1.0))
                await send({"type": "http.response.body", "body": b"", "more_body": False})


def respond(
    request: Request,
    events: AsyncIterable[StreamEvent],
    *,
    choice: Choice | None = None,
    flag: bool | None = None,
    default: ResponseMode = ResponseMode.STREAM,
    offer: Sequence[Form] = FORMS,
    request_id: str | None = None,
    heartbeat: float | None = 15.0,
    write_timeout: float | None = 30.0,
    headers: Mapping[str, str] | None = None,
    encoder: Outgoing | None = None,
) -> Response:
    """Answer `request` with `events` in the form that it wants, which `choose(request)` tells beforehand (`choice`).

    What of the two modes the events were asked for in need not match: deltas are put together, a whole answer is one
    delta. A form that isn't on offer is answered with 406. `flag`, `default` and `offer` are `choose`'s, the others
    EventStreamResponse's; an `encoder` has to be one of that form.
    """
    request_id = request_id or new_request_id(request.headers.get("x-request-id"))
    try:
        choice = choice or choose(request, flag=flag, default=default, offer=offer)
    except HTTPException as problem:
        return Refusal(http_refusal(problem).info, request_id, events)
    return EventStreamResponse(
        events,
        encoder or outgoing(choice.form, whole=choice.mode is ResponseMode.BATCH),
        request_id=request_id,
        heartbeat=heartbeat,
        write_timeout=write_timeout,
        headers=headers,
    )


def choose(
    request: Request,
    *,
    flag: bool | None = None,
    capabilities: Collection[str] | None = None,
    default: ResponseMode = ResponseMode.STREAM,
    offer: Sequence[Form] = FORMS,
) -> Choice:
    """What `llmstream.web.negotiation` makes of a request; `flag` is its body's `stream`.

    `?forms=ndjson,json` says what the client can read, where `capabilities` doesn't. Raises HTTPException (406, 400),
    which Starlette and FastAPI answer with.
    """
    query = request.query_params
    if capabilities is None and "forms" in query:
        capabilities = [name.strip() for name in query["forms"].split(",")]
    try:
        return negotiate(
            accept=", ".join(request.headers.getlist("accept")),
            mode=query.get("mode"),
            stream=query.get("stream"),
            flag=flag,
            capabilities=capabilities,
            http_version=request.scope.get("http_version", "1.1"),
            default=default,
            offer=offer,
        )
    except ValueError as problem:
        raise HTTPException(
            406 if isinstance(problem, NotAcceptableError) else 400, str(problem)
        ) from None


class Refusal(Response):
    """An answer without a stream, in place of one: an HTTP error, or 204 (None). Closes the events."""

    def __init__(
        self,
        info: ErrorInfo | None,
        request_id: str,
        events: AsyncIterable[StreamEvent] | None = None,
        *,
        render_error: RenderError = render_error,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._events = events
        if info is None:
            super().__init__(
                status_code=204, headers={"x-request-id": request_id, "cache-control": "no-store"}
            )
            return
        body = render_json(render_error(info, request_id))
        named = {**HEADERS, **error_headers(info), **(headers or {}), "x-request-id": request_id}
        super().__init__(body, info.status_code or 500, named, "application/json")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, and close the events."""
        if self._events is not None:
            await Source(self._events).aclose()
        await super().__call__(scope, receive, send)


def whole_messages(response: Response) -> tuple[Message, Message]:
    """What a response of known length sends."""
    head = {
        "type": "http.response.start",
        "status": response.status_code,
        "headers": response.raw_headers,
    }
    return head, {"type": "http.response.body", "body": response.body, "more_body": False}


def cut(scope: Scope) -> None:
    """Drop the connection with all that waits to be sent, where the server lets us (`llmstream serve` does).

    Others close it once the client has read what is in the socket's buffer.
    """
    abort = (scope.get("state") or {}).get("llmstream.abort")
    if abort is not None:
        abort()


def _after_gap(events: AsyncIterable[StreamEvent], last_event_id: str) -> Flow[StreamEvent]:
    source = Source(events)
    return Flow(_with_gap(source, gap(last_event_id)), source)


async def _spoil(send: Send) -> None:
    """Make whoever passes the body on fail as well.

    An exception alone is not enough: Starlette's BaseHTTPMiddleware, and so FastAPI's `@app.middleware("http")`, first
    ends the body properly and raises it then. No sender can do anything with a buffer that was released.
    """
    buffer = memoryview(b"cut")
    buffer.release()
    with suppress(Exception):
        await send({"type": "http.response.body", "body": buffer, "more_body": True})


async def _with_gap(source: Source, status: StreamEvent) -> AsyncGenerator[StreamEvent, None]:
    async with source as events:
        first = True
        async for event in events:
            if first and event.type is not EventType.ERROR:
                yield status
            first = False
            yield event
