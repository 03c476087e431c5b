"""Answers without a stream: HTTP errors, and 204."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Mapping
from typing import Any

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from llmstream.errors import ErrorInfo
from llmstream.events.flow import Upstream
from llmstream.events.types import StreamEvent
from llmstream.web.errors import error_headers, render_error
from llmstream.web.native_encoders import render_json

RenderError = Callable[[ErrorInfo, str], Any]
"""From a failure that is fit for strangers, and a request id, to the JSON body of an HTTP error."""

HEADERS = {
    "cache-control": "no-store",
    "x-accel-buffering": "no",
    "x-content-type-options": "nosniff",
}
"""No cache and no proxy may hold an answer back, and no browser guess what it is."""


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
            await Upstream(self._events).aclose()
        await super().__call__(scope, receive, send)


def whole_messages(response: Response) -> tuple[Message, Message]:
    """The messages of a response of known length."""
    head = {
        "type": "http.response.start",
        "status": response.status_code,
        "headers": response.raw_headers,
    }
    return head, {"type": "http.response.body", "body": response.body, "more_body": False}
