"""One HTTP exchange with an API: a request, its answer, and the clocks that run meanwhile."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from llmstream.errors import ErrorInfo
from llmstream.events.types import StreamEvent
from llmstream.log import get_logger
from llmstream.providers.http.error_response import read_error
from llmstream.providers.http.exchange import HTTPRequest, Response, Trace, close_at_once
from llmstream.providers.http.failures import causes, is_disconnect
from llmstream.providers.provider import Call
from llmstream.providers.watchdog import Watchdog, abortable

if TYPE_CHECKING:
    from llmstream.providers.channel import Channel
    from llmstream.providers.sdk_adapter import SDKConnection

logger = get_logger("llmstream.providers")

Sign = Callable[[HTTPRequest], Awaitable[None] | None]
"""Changes a whole request just before it is sent; called again when it is sent again. What it returns is awaited."""


_JSON = "application/json"
_EVENTS = "text/event-stream"


@dataclass(slots=True)
class Outbound:
    """One request, as far as it differs from the others to its API."""

    path: str
    """Below the channel's address; or a whole URL."""
    body: Mapping[str, Any] | bytes | None = field(default=None, repr=False)
    """A mapping is sent as JSON. NaN and infinity are a ValueError."""
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Beside the API's; the user's own replace them."""
    content_type: str = _JSON
    accept: str = _EVENTS

    @property
    def about(self) -> dict[str, str]:
        """The headers about its body and its answer."""
        about = {"Accept": self.accept}
        return about if self.body is None else {**about, "Content-Type": self.content_type}

    @property
    def differs(self) -> bool:
        """Whether its headers aren't those of most requests."""
        is_usual = self.accept == _EVENTS and self.content_type == _JSON
        return bool(self.headers) or self.body is None or not is_usual


class Exchange:
    """One request and its answer: `send` it, read the answer while `watchdog` runs, close it."""

    def __init__(self, channel: Channel, here: Any, call: Call, sign: Sign | None) -> None:
        self._channel = channel
        self._here = here
        self._call = call
        self._sign = sign
        self._proxy: str | None = None
        self._response: Response | None = None
        self._sdk: SDKConnection | None = here.client if hasattr(here.client, "sdk") else None
        self.watchdog = Watchdog(call, here.open)

    @property
    def sdk(self) -> Any:
        """The SDK's client that sends the request; None: the channel does."""
        return None if self._sdk is None else self._sdk.sdk

    @property
    def given(self) -> Mapping[str, str]:
        """The headers that the caller set for this request; their names in lower case."""
        return self._channel.given_headers(self._call, self._sdk)

    async def send(self, outbound: Outbound) -> Response:
        """The answer, if its status is a success; else StatusError. Raises what the transport raises.

        A pooled connection that turns out dead is replaced at once, once.
        """
        trace = Trace(self._call.headers)
        try:
            self._response = await self._attempt(outbound, trace)
        except Exception as problem:
            self._proxy = trace.proxy
            if not trace.reused or trace.answered or not is_disconnect(causes(problem)):
                raise
            logger.debug("a kept-alive connection was dead; sending the request again")
            self._response = await self._attempt(outbound, trace)
        self._proxy = trace.proxy
        return self._response

    def explain(self, problem: Exception) -> ErrorInfo:
        """The failure that an exception means. Lets go of the frames that the exception came through."""
        info = self._channel.explain(problem, self._call, self.watchdog, self._proxy)
        for cause in causes(problem):
            cause.__traceback__ = None  # the frames hold each other, the request and the response
        return info

    def redact_event(self, event: StreamEvent) -> None:
        """Name the provider in an ERROR's event, and take the secrets out of it."""
        if self._response is not None:
            self._channel.redact_event(event, self._response, self._call)

    @property
    def request_id(self) -> str | None:
        """The provider's id of the request, once it was answered."""
        if self._response is None:
            return None
        return self._channel.request_id(self._response, self._call)

    async def aclose(self) -> None:
        """Stop the clocks; close the answer, so that the server notices at once if it wasn't read to its end."""
        self.watchdog.stop()
        if self._response is not None:
            await close_at_once(self._response)

    async def _attempt(self, outbound: Outbound, trace: Trace) -> Response:
        """The response's head."""
        await self._here.start()
        self.watchdog.waiting()
        try:
            return await abortable(self._ask(outbound, trace), self.watchdog)
        finally:
            self.watchdog.arrived()

    async def _ask(self, outbound: Outbound, trace: Trace) -> Response:
        connect = self._call.timeouts.connect
        if self._sdk is not None:
            headers = {"Accept": outbound.accept, **outbound.headers}
            return await self._sdk.send(
                outbound.method,
                outbound.path,
                outbound.body,
                headers=headers,
                trace=trace,
                connect=connect,
            )
        request = self._channel.build(outbound, self._call.headers)
        if self._sign is not None:
            signing = self._sign(request)
            if signing is not None:
                await signing
        response: Response = await self._here.client.send(request, trace, connect)
        if not 200 <= response.status < 300:
            raise await read_error(response)
        return response
