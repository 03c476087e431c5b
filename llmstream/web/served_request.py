"""Served requests: what becomes of each request to an app, for its observers: audits, metrics.

    app = create_app(client, observers=[AuditLog()])

The record of the request that is being answered goes with its task (`current_request`), so whoever learns something of
it, the gate, an endpoint or a delivery, writes it down there. It holds no content.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from llmstream.checks import require_list, require_methods
from llmstream.errors import ErrorInfo, ErrorKind
from llmstream.events.grammar import TERMINAL
from llmstream.events.types import EventType, StreamEvent
from llmstream.limits import Reservation
from llmstream.log import get_logger
from llmstream.messages import Usage
from llmstream.web.hidden_keys import hide_keys
from llmstream.web.key_limits import NO_LIMITS, KeyLimits
from llmstream.web.native_encoders import AbortedError

if TYPE_CHECKING:
    from starlette.types import Message  # dialects are read without a server, too

__all__ = ["RequestObserver", "RequestOutcome", "ServedRequest"]

logger = get_logger("llmstream.web")

RequestOutcome: TypeAlias = Literal["complete", "error", "refused", "left"]
"""How a request ended. "error": the answer failed, perhaps behind a 200. "left": its client went before the end."""

_HEADS = frozenset({"http.response.start", "websocket.http.response.start"})
_SWITCHED = 101
"""The status of a WebSocket that was accepted."""
_NOT_SWITCHED = 403
"""What the server answers where the app closes a WebSocket that it hasn't accepted."""


@dataclass(slots=True, eq=False)
class ServedRequest:
    """One request. Of a WebSocket of Responses each answer is one, beside the connection's own.

    `began`, `first_piece` and `ended` are seconds on the monotonic clock.
    """

    id: str
    """As the client hears it in `x-request-id`."""
    method: str | None
    """"WebSocket" for one; None where the server refused what it couldn't read."""
    path: str | None
    """Below the app's own root, without the query and without keys. A client may write what it likes. None as above."""
    client: str
    """The address that it comes from."""
    api: str
    """The API that the path belongs to: "openai-chat", "agui", "native" … "other" for what asks no model."""
    observers: Sequence[RequestObserver] = field(default=(), repr=False)
    limits: KeyLimits = NO_LIMITS
    """Those of its key."""
    reservation: Reservation | None = field(default=None, repr=False)
    """What it uses of its key's rate, once that was reserved."""
    began: float = field(default_factory=time.monotonic)
    began_at: float = field(default_factory=time.time)
    """Seconds since 1970."""
    hide: Callable[[str], str] = field(default=hide_keys, repr=False)
    """Takes keys out of a text."""
    key: str | None = None
    """The name of the key. None: a stranger, a public path, or a server without keys."""
    model: str | None = None
    """The name that was asked for, as the server lists it; None: none that there is."""
    provider: str | None = None
    """The provider that answered."""
    status: int | None = None
    """The HTTP status; 101 for an accepted WebSocket."""
    outcome: RequestOutcome | None = None
    """None until it ended."""
    error: ErrorKind | None = None
    """Why it failed or was refused."""
    is_upstream: bool = False
    """Whether the error is a provider's."""
    usage: Usage | None = None
    """None: nothing was reported."""
    first_piece: float | None = None
    ended: float | None = None
    is_answering: bool = False
    """Whether the events of an answer were, or are, on their way."""

    def begin(self) -> None:
        """It has come."""
        self._tell("begin")

    def begin_answer(self) -> None:
        """The events of an answer are about to be sent."""
        if not self.is_answering:
            self.is_answering = True
            self._tell("answer_begin")

    def note_head(self, message: Message) -> None:
        """The head of an answer leaves, if this message is one."""
        if message["type"] in _HEADS:
            self.status = message["status"]
        elif message["type"] == "websocket.accept":
            self.status = _SWITCHED
        elif message["type"] == "websocket.close" and self.status is None:
            self.status = _NOT_SWITCHED

    def note_event(self, event: StreamEvent) -> None:
        """An event of the answer leaves."""
        if event.start is not None:
            self.provider = event.start.provider or self.provider
            if self.first_piece is None and event.type is not EventType.ERROR:
                self.first_piece = time.monotonic()
        if event.type in TERMINAL:
            self.usage = event.usage
            self.outcome = "complete" if event.type is EventType.MESSAGE_COMPLETE else "error"

    def note_left(self, usage: Usage) -> None:
        """Its answer was left before the end, and has used this by then."""
        self.usage = usage

    def note_error(self, info: ErrorInfo, *, is_upstream: bool) -> None:
        """It failed, or was refused."""
        self.error, self.is_upstream = info.kind, is_upstream
        if not is_upstream and self.outcome is None:
            self.outcome = "refused"
            self.status = self.status or info.status_code

    def end(self, problem: BaseException | None = None) -> None:
        """It is over; `problem` is what the app raised, upon which the server answers with 500."""
        self.ended = time.monotonic()
        if isinstance(problem, Exception) and not isinstance(problem, AbortedError):
            self.status = self.status or 500
            self.error = self.error or "internal"
            self.outcome = "error"
        if self.outcome is None:
            is_refused = self.status is not None and self.status >= 400
            self.outcome = "refused" if is_refused else _silent_end(self)
        self._settle()
        self._tell("end")

    def answer(self, request_id: str) -> ServedRequest:
        """The record of one answer of several over this connection, which begins now."""
        return ServedRequest(
            request_id,
            self.method,
            self.path,
            self.client,
            self.api,
            self.observers,
            self.limits,
            hide=self.hide,
            key=self.key,
        )

    def _settle(self) -> None:
        """Count what was used in place of what was expected."""
        if self.reservation is None:
            return
        # One that a client left may have been billed, so what was expected stands.
        is_unanswered = self.outcome in ("refused", "error") and self.first_piece is None
        used = Usage(0, 0) if self.usage is None and is_unanswered else self.usage
        self.reservation.settle(used, time.monotonic())
        self.reservation.leave()
        self.reservation = None

    def _tell(self, method: str) -> None:
        for observer in self.observers:
            try:
                getattr(observer, method)(self)
            except Exception:  # what it does must not cost anybody the answer
                name = type(observer).__name__
                logger.exception("the observer %s raised in %s", name, method)


def _silent_end(request: ServedRequest) -> RequestOutcome:
    """The outcome of one that neither failed nor has a last event."""
    is_cut = request.is_answering or request.status is None
    return "left" if is_cut else "complete"


class RequestObserver(Protocol):
    """Told what becomes of each request to an app. Subclass it, and override what you want to hear of.

    The methods are called, not awaited, in the server's loop: be quick. What a method raises goes to the log.
    """

    def begin(self, request: ServedRequest) -> None:
        """A request has come. Nothing of it was checked."""
        return

    def answer_begin(self, request: ServedRequest) -> None:
        """A model, or whatever else makes events, is about to be asked for an answer."""
        return

    def end(self, request: ServedRequest) -> None:
        """It is over, whatever became of it. Exactly once."""
        return


_CURRENT: ContextVar[ServedRequest | None] = ContextVar("llmstream.request", default=None)


def current_request() -> ServedRequest | None:
    """The request that this task answers; None outside of `create_app`'s apps."""
    return _CURRENT.get()


def set_current(request: ServedRequest) -> None:
    """From now on this task, and those that it makes, answer this request."""
    _CURRENT.set(request)


def note_error(info: ErrorInfo, *, is_upstream: bool) -> None:
    """The current request, if there is one, failed or was refused."""
    request = _CURRENT.get()
    if request is not None:
        request.note_error(info, is_upstream=is_upstream)


def without_keys(text: str) -> str:
    """A client's text without the keys in it, as far as the current request's server knows them."""
    request = _CURRENT.get()
    return hide_keys(text) if request is None else request.hide(text)


_WANTED = (
    "an observer of an app must be an object with the methods of llmstream.web.RequestObserver"
)


def check_request_observers(observers: object) -> tuple[RequestObserver, ...]:
    """The observers, as an app keeps them. Raises TypeError for what isn't one."""
    problem = f"observers must be a list such as [AuditLog()], not {observers!r}"
    given: Sequence[RequestObserver] = require_list(observers, problem)
    for observer in given:
        require_methods(observer, ("begin", "answer_begin", "end"), _WANTED)
    return tuple(given)
