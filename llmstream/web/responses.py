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
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    Collection,
    Mapping,
    Sequence,
)
from contextlib import suppress
from functools import lru_cache

from starlette.background import BackgroundTask
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from llmstream.events.flow import Batched, Flow, Upstream
from llmstream.events.types import EventType, StreamEvent
from llmstream.log import get_logger
from llmstream.web.answer_head import AnswerHead
from llmstream.web.client_watch import of_request
from llmstream.web.client_writer import SlowClientError
from llmstream.web.delivery import cut_off
from llmstream.web.errors import new_request_id, render_error
from llmstream.web.exceptions import http_refusal
from llmstream.web.http_delivery import HttpDelivery
from llmstream.web.loose_items import Items, LooseItems
from llmstream.web.native_encoders import LAST, AbortedError, Outgoing, SseEncoder, gap, outgoing
from llmstream.web.negotiation import (
    FORMS,
    Choice,
    Form,
    NotAcceptableError,
    ResponseMode,
    negotiate,
)
from llmstream.web.refusals import HEADERS, Refusal, RenderError
from llmstream.web.server_log import filter_server_logs

logger = get_logger("llmstream.web")
filter_server_logs()


_FIXED = (b"content-type", b"x-request-id")
"""Headers that aren't the caller's to set."""


class EventStreamResponse(Response):
    """An answer as it comes. Closes `events`; works wherever a Starlette Response does, FastAPI among it.

    `events` may also be pieces of text, or the chunks of `ConversationClient.chat_stream`, as
    `llmstream.web.loose_items` says.

    `encoder` says how it is written (None: as server-sent events), `render_error` what an HTTP error's body is.
    `heartbeat` and `write_timeout` are seconds; None: none. After `max_answer` bytes, from the provider or to the
    client, the answer ends in an ERROR, which isn't tried again; None: it may go on for ever.

    `headers` are added to the answer's head, which also names in `x-llmstream-warnings` what of the request was left
    out: `warnings`, and those of the provider that answers. Its rate limits go back in headers whose names begin with
    `rate_limits`. `verbatim` is the provider that may tell in its own words why it refused the request. A request whose
    Last-Event-ID is one of SseEncoder's is answered as `llmstream.web.native_encoders` says.
    """

    def __init__(
        self,
        events: Items | Batched,
        encoder: Outgoing | None = None,
        *,
        request_id: str | None = None,
        heartbeat: float | None = 15.0,
        write_timeout: float | None = 30.0,
        max_answer: int | None = None,
        headers: Mapping[str, str] | None = None,
        render_error: RenderError = render_error,
        warnings: Sequence[str] = (),
        rate_limits: str | None = None,
        verbatim: str | None = None,
    ) -> None:
        self._given = _given(events)
        self._events = Upstream(self._given)
        self._encoder = encoder or outgoing(Form.SSE)
        self.request_id = request_id or new_request_id()
        self._heartbeat = heartbeat if self._encoder.keep_alive else None
        self._write_timeout = write_timeout
        self._max_answer = max_answer
        self._render_error = render_error
        self.status_code = 200
        self.background: BackgroundTask | None = None
        self.body = b""
        self.raw_headers = [
            *_common_headers(self._encoder.content_type, tuple(self._encoder.headers.items())),
            (b"x-request-id", self.request_id.encode("latin-1")),
        ]
        if headers:
            self.raw_headers = _with(headers, self.raw_headers)
        self._told = AnswerHead(warnings, rate_limits)
        self._verbatim = verbatim

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
            self._events = Upstream(_after_gap(self._given, last_event_id))
        if scope["method"] == "HEAD":
            await self._events.aclose()
            await send(self._head())
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            return
        delivery = HttpDelivery(
            self._events,
            send,
            encoder=self._encoder,
            head=self._head(),
            render_error=self._render_error,
            request_id=self.request_id,
            heartbeat=self._heartbeat,
            write_timeout=self._write_timeout,
            max_answer=self._max_answer,
            told=self._told,
            verbatim=self._verbatim,
        )
        try:
            whole = await delivery.run(of_request(scope, receive))
        except SlowClientError as problem:
            cut_off(scope, self.request_id, problem)
            raise AbortedError(str(problem)) from None
        except AbortedError as problem:
            await _spoil(send)
            raise problem from None  # servers log it, and what the events raised is not theirs to show
        except asyncio.CancelledError:
            await delivery.say_goodbye()
            raise
        finally:
            await self._events.aclose()  # if it never began
        if not whole:
            logger.info("request %s: the client left", self.request_id)
        if self.background is not None:
            await self.background()

    def _head(self) -> Message:
        return {
            "type": "http.response.start",
            "status": self.status_code,
            "headers": self.raw_headers,
        }


def _given(events: Items | Batched) -> LooseItems | Batched:
    return events if isinstance(events, Batched) else LooseItems(events)


@lru_cache(maxsize=32)
def _common_headers(
    content_type: str, own: tuple[tuple[str, str], ...]
) -> tuple[tuple[bytes, bytes], ...]:
    """The headers of all answers that one encoder writes; `own` are the encoder's."""
    named = {**HEADERS, **dict(own), "content-type": content_type}
    return tuple(_encode_header(*header) for header in named.items())


def _with(
    headers: Mapping[str, str], others: list[tuple[bytes, bytes]]
) -> list[tuple[bytes, bytes]]:
    """These headers, where the answer's own form doesn't need others of their names."""
    given = dict(_encode_header(*header) for header in headers.items())
    kept = {name: value for name, value in others if name not in given or name in _FIXED}
    return [*{**given, **kept}.items()]


def _encode_header(name: str, value: str) -> tuple[bytes, bytes]:
    return name.lower().encode("latin-1"), value.encode("latin-1")


def respond(
    request: Request,
    events: Items | Batched,
    *,
    choice: Choice | None = None,
    flag: bool | None = None,
    default: ResponseMode = ResponseMode.STREAM,
    offer: Sequence[Form] = FORMS,
    request_id: str | None = None,
    heartbeat: float | None = 15.0,
    write_timeout: float | None = 30.0,
    max_answer: int | None = None,
    headers: Mapping[str, str] | None = None,
    encoder: Outgoing | None = None,
    warnings: Sequence[str] = (),
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
        return Refusal(http_refusal(problem).info, request_id, _given(events))
    return EventStreamResponse(
        events,
        encoder or outgoing(choice.form, whole=choice.mode is ResponseMode.BATCH),
        request_id=request_id,
        heartbeat=heartbeat,
        write_timeout=write_timeout,
        max_answer=max_answer,
        headers=headers,
        warnings=warnings,
    )


def choose(
    request: Request,
    *,
    flag: bool | None = None,
    capabilities: Collection[str] | None = None,
    default: ResponseMode = ResponseMode.STREAM,
    offer: Sequence[Form] = FORMS,
) -> Choice:
    """The form that `llmstream.web.negotiation` chooses for a request; `flag` is its body's `stream`.

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


def _after_gap(events: AsyncIterable[StreamEvent], last_event_id: str) -> Flow[StreamEvent]:
    source = Upstream(events)
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


async def _with_gap(source: Upstream, status: StreamEvent) -> AsyncGenerator[StreamEvent, None]:
    async with source as events:
        first = True
        async for event in events:
            if first and event.type is not EventType.ERROR:
                yield status
            first = False
            yield event
