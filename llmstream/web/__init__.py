"""Serve a stream of events to every client: needs the `server` extra.

    @app.post("/chat")  # FastAPI, or a route of Starlette
    async def chat(request: Request, question: Question) -> Response:  # a pydantic model: `prompt` and `stream`
        choice = choose(request, flag=question.stream)
        messages = [{"role": "user", "content": question.prompt}]
        events = client.chat_completion(messages, stream=choice.mode is ResponseMode.STREAM)
        return respond(request, events, choice=choice)

The same events go out as server-sent events, NDJSON, plain text or one JSON document; `send_events` sends them over a
WebSocket. `create_app(client)` is a whole application, and `llmstream serve` runs it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmstream.lazy_names import lazy_names
from llmstream.web.negotiation import Choice, Form, NotAcceptableError, ResponseMode, negotiate

if TYPE_CHECKING:
    from llmstream.web.access import Access
    from llmstream.web.app import create_app
    from llmstream.web.audit import AuditLog
    from llmstream.web.errors import RefusedError
    from llmstream.web.key_limits import KeyLimits
    from llmstream.web.keys import KeyFile, KeyRing
    from llmstream.web.limits import Limits
    from llmstream.web.metrics import Metrics
    from llmstream.web.native_encoders import AbortedError
    from llmstream.web.responses import EventStreamResponse, choose, respond
    from llmstream.web.served_request import RequestObserver, ServedRequest
    from llmstream.web.server import running
    from llmstream.web.websocket import send_events

# `create_app` brings conversations and pydantic: twice what `respond` takes.
_HOME = {
    "access": ("Access",),
    "app": ("create_app",),
    "audit": ("AuditLog",),
    "metrics": ("Metrics",),
    "native_encoders": ("AbortedError",),
    "errors": ("RefusedError",),
    "key_limits": ("KeyLimits",),
    "keys": ("KeyFile", "KeyRing"),
    "limits": ("Limits",),
    "responses": ("EventStreamResponse", "choose", "respond"),
    "served_request": ("RequestObserver", "ServedRequest"),
    "server": ("running",),
    "websocket": ("send_events",),
}
__all__ = [
    "AbortedError",
    "Access",
    "AuditLog",
    "Choice",
    "EventStreamResponse",
    "Form",
    "KeyFile",
    "KeyLimits",
    "KeyRing",
    "Limits",
    "Metrics",
    "NotAcceptableError",
    "RefusedError",
    "RequestObserver",
    "ResponseMode",
    "ServedRequest",
    "choose",
    "create_app",
    "negotiate",
    "respond",
    "running",
    "send_events",
]

__getattr__, __dir__ = lazy_names(__name__, _HOME)
