"""What the providers over a vendor's SDK share: the SDK does keys, URLs, pools and HTTP; we read the bytes.

Both official SDKs are made by the same generator, so one class serves both without importing either. Measured reasons
for reading the bytes ourselves: the SDKs swallow `[DONE]`, so that a cut stream looks like success; building typed
chunks is most of their cost; `create()` blocks the loop 0.45 ms for each message of the history.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import logging
import os
from collections.abc import AsyncGenerator
from contextvars import copy_context
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from llmstream.errors import ADAPTED, ConfigurationError, ErrorInfo
from llmstream.events.types import StreamEvent, error
from llmstream.messages import ChatRequest, ensure_json
from llmstream.providers.answer_reader import AnswerReader
from llmstream.providers.config import ProviderConfig
from llmstream.providers.http.error_response import RefusedError, refuse
from llmstream.providers.http.loop_clients import LoopClient, LoopClients
from llmstream.providers.http.transport import (
    Abort,
    Exchange,
    HostRefusedError,
    abort_of,
    causes,
    exchanges,
    http_client,
    is_connect_timeout,
    is_disconnect,
    is_garbled,
    open_body,
    reason,
    transport_name,
)
from llmstream.providers.provider import Call, ProviderTraits
from llmstream.providers.secrets import (
    Secret,
    SecretHeaders,
    check_headers,
    check_key,
    digest,
    reveal,
    secret_headers,
    secret_parts,
)
from llmstream.providers.url_checks import check_base_url, is_loopback
from llmstream.providers.watchdog import Watchdog, abortable, timed_out
from llmstream.wire.decoding import Decoder
from llmstream.wire.error_body import parse_error, redact
from llmstream.wire.fields import parse_json
from llmstream.wire.lessons import Lessons
from llmstream.wire.rendered import Rendered

if TYPE_CHECKING:
    import httpx2

    from llmstream.providers.http.host_check import HostGate

logger = logging.getLogger("llmstream")


@dataclass(frozen=True, kw_only=True)
class LearnedTraits(ProviderTraits):
    """Traits that refusals may have corrected."""

    lessons: Lessons

    def takes_prefill(self, request: ChatRequest) -> bool:
        """Whether the model is known to take a prefill, and never refused one."""
        return self.lessons.takes_prefill(request.model) and self.knows_prefill(request)

    def knows_prefill(self, request: ChatRequest) -> bool:
        """Whether the model is known to take a prefill."""
        return self.prefill


class SDKProvider:
    """A provider over one of the official async SDK clients. Subclasses name the SDK and the wire format."""

    sdk: ClassVar[str]
    """The package whose client it is."""
    path: ClassVar[str]
    decoder: ClassVar[type[Decoder]]
    key_variables: tuple[str, ...]
    key_needed = True
    stream_class: Any = object
    """The SDK asks for one, and never makes one: what it casts to is the raw response."""
    default_model: str | None = None

    def __init__(self, config: ProviderConfig) -> None:
        self.name, self.base_url = config.name, ""
        check_headers(config.headers)
        if config.base_url is not None:
            check_base_url(config.base_url, allow_insecure_http=config.allow_insecure_http)
        self._config = config
        self._key = self._find_key(config)
        self._gate = _gate(config)
        self._lessons = Lessons()
        # Made now, so that the SDK's import and the TLS context never fall into the first request.
        first = self._new_client()
        self._clients = LoopClients(first, owned=config.sdk_client is None)
        self._secrets = _secrets(self._key, config, first)
        check_base_url(str(first.base_url), allow_insecure_http=config.allow_insecure_http)
        self.base_url = str(first.base_url)
        if self._gate is not None:
            self._gate.check_url(self.base_url)
        self.traits = self.make_traits(
            default_model=self.default_model,
            budget_key=digest(self.base_url, self._secrets),
            keeps_deadline=True,
            is_vendor=config.base_url is None and config.sdk_client is None,
            sdk_client=partial(self._clients.sdk, self._new_client),
            lessons=self._lessons,
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, base_url={self.base_url!r})"

    def __reduce__(self) -> Any:
        raise TypeError(f"{type(self).__name__} can't be pickled or copied: it holds a key and connections")

    # --- for subclasses ------------------------------------------------------------------------------------

    def make_client(self, http_client: Any, /, **options: Any) -> Any:
        """The SDK's async client. `options` may be hidden ones: `reveal` them last, where no frame keeps them."""
        raise NotImplementedError

    def render(self, request: ChatRequest) -> Rendered:
        """The request in this provider's format and dialect."""
        raise NotImplementedError

    def make_traits(self, **traits: Any) -> ProviderTraits:
        """The traits of this provider. `traits` are those that all providers of this kind have."""
        return LearnedTraits(**traits)

    # --- Provider ------------------------------------------------------------------------------------------

    async def stream(self, request: ChatRequest, call: Call) -> AsyncGenerator[StreamEvent, None]:
        """One attempt."""
        if options := request.provider_options.get(self.name):
            ensure_json(options, f"provider_options[{self.name!r}]")
        rendered = self.render(request)
        changed = [*rendered.warnings, *self._lessons.apply(request.model, rendered)]
        if call.strict and changed:
            raise ConfigurationError(f"strict: {'; '.join(changed)}")
        here = self._clients.here(self._new_client)
        watchdog = Watchdog(call, here.open)
        response: Any = None
        body: Any = None
        abort: Abort | None = None
        exchange = Exchange(call.headers, prepared=here.prepared)
        try:
            try:
                response = await self._open(here, rendered.body, call, watchdog, exchange)
            except Exception as problem:  # noqa: BLE001  # nothing foreign may reach the consumer
                info = self._explain(problem, call, watchdog)
                for cause in causes(problem):
                    cause.__traceback__ = None  # the SDK's frames hold each other, the request and the response
                if lesson := self._lessons.learn(request.model, rendered.body, info, strict=call.strict):
                    info = replace(info, message=lesson, retryable=True, code=ADAPTED)
                yield error(info)
                return
            self._lessons.answered(request.model)
            body, abort = open_body(response, exchange)
            decoder = self.decoder(include_raw=call.include_raw, keep_message=False)
            decoder.start.provider, decoder.start.warnings = self.name, tuple(rendered.warnings)
            reader = AnswerReader(body, decoder, call, watchdog, abort)
            while not reader.done:
                events = await reader.read()
                if reader.done:
                    self._complete_error(events[-1], response, call)
                for event in events:
                    yield event
        finally:
            watchdog.stop()
            if response is not None:
                await _close(response, abort)
            if body is not None:
                await body.aclose()

    async def aclose(self) -> None:
        """Close this loop's connections. A client that the user gave stays open."""
        await self._clients.aclose()

    def sdk_client(self) -> Any:
        """The vendor SDK's async client, for the running loop if there is one."""
        return self._clients.sdk(self._new_client)

    # --- inside --------------------------------------------------------------------------------------------

    def _find_key(self, config: ProviderConfig) -> Secret[str] | None:
        if config.sdk_client is not None:
            return None
        if config.api_key is not None:
            return check_key(config.api_key, "api_key")
        for variable in self.key_variables:
            if os.environ.get(variable):
                return check_key(Secret(os.environ[variable]), variable)
        if not self.key_needed or (config.base_url and is_loopback(urlsplit(config.base_url).hostname or "")):
            return Secret("none")  # servers on this machine seldom want one, but the SDK insists
        raise ConfigurationError(f"no key for {config.name}: set {' or '.join(self.key_variables)}, or pass api_key=")

    def _new_client(self) -> Any:
        config = self._config
        if config.sdk_client is not None:
            return self._check_given(config).with_options(max_retries=0)
        options: dict[str, Any] = {"max_retries": 0, "api_key": self._key}
        if config.base_url is not None:
            options["base_url"] = config.base_url
        if config.headers:
            options["default_headers"] = SecretHeaders(config.headers)
        sdk = importlib.import_module(self.sdk)
        http = http_client(transport_name(config), sdk, self._gate, {"response": [refuse]})
        return self.make_client(http, **options)

    def _check_given(self, config: ProviderConfig) -> Any:
        """The user's own client. It brings its own transport, where no check of ours can stand."""
        given = config.sdk_client
        origins = {cls.__module__.partition(".")[0] for cls in type(given).__mro__}
        if self.sdk not in origins or not inspect.iscoroutinefunction(given.post):
            raise ConfigurationError(
                f"sdk_client must be an async client of the {self.sdk} package, not {type(given).__name__}"
            )
        for name in ("transport", "allow_host"):
            if getattr(config, name) is not None:
                raise ConfigurationError(f"{name}: sdk_client brings its own connections; set it up there")
        return given

    async def _open(
        self, here: LoopClient, body: dict[str, Any], call: Call, watchdog: Watchdog, exchange: Exchange
    ) -> Any:
        """The response. A pooled connection that turns out dead is replaced at once, once."""
        try:
            return await self._post(here, body, call, watchdog, exchange)
        except Exception as problem:
            if not exchange.reused or exchange.heard or not is_disconnect(causes(problem)):
                raise
        logger.debug("a kept-alive connection was dead; sending the request again")
        return await self._post(here, body, call, watchdog, exchange)

    async def _post(
        self, here: LoopClient, body: dict[str, Any], call: Call, watchdog: Watchdog, exchange: Exchange
    ) -> Any:
        """The response's head, in a task of its own: what the clocks cancel is never the consumer."""
        import httpx2

        await here.start()
        given = self._config.sdk_client is not None
        limit = call.timeouts.connect
        # Reading has no limit here: the watchdog sees bytes and pieces, the transport only bytes. What httpx2 calls
        # waiting for the pool includes looking up the host, over aiohttp. Nobody waits in ours.
        timeout = httpx2.Timeout(None, connect=limit, pool=None if given else limit)
        if here.prepared is not None and self._clients.ours:
            sending = here.prepared.send(here.sdk._client, body, timeout)  # noqa: SLF001  # ours: `_new_client`
        else:
            sending = self._asking(here.sdk, body, call, timeout)
        context = copy_context()  # the consumer may use the SDK's client too, in this very task
        context.run(exchanges.set, exchange)
        pending = asyncio.get_running_loop().create_task(sending, context=context)
        watchdog.waiting()
        try:
            response = await abortable(pending, watchdog)
            here.prepared = here.prepared or exchange.prepared
            return response
        except asyncio.CancelledError:
            if pending.done() and not pending.cancelled() and pending.exception() is None:
                response = pending.result()  # it arrived in the same instant
                await _close(response, abort_of(response, exchange))
            raise
        finally:
            watchdog.arrived()

    def _asking(self, sdk: Any, body: dict[str, Any], call: Call, timeout: httpx2.Timeout) -> Any:
        """The SDK's own way to ask."""
        import httpx2

        if call.headers and self._config.sdk_client is not None:
            sdk = sdk.with_options(default_headers=call.headers)  # ours go by the exchange; options would be logged
        options = {
            "max_retries": 0,
            "follow_redirects": False,
            "headers": {"Accept": "text/event-stream"},
            "timeout": timeout,
        }
        return sdk.post(
            self.path, body=body, cast_to=httpx2.Response, stream=True, stream_cls=self.stream_class, options=options
        )

    def _complete_error(self, event: StreamEvent, response: Any, call: Call) -> None:
        info = event.error_info
        if info is None:
            return
        request_id = response.headers.get("x-request-id") or response.headers.get("request-id")
        named = self._named(replace(info, request_id=info.request_id or request_id), call, response)
        event.error_info, event.error = named, str(named)
        if event.raw is not None:
            event.raw = parse_json(redact(json.dumps(event.raw), self._all_secrets(call, response)).encode())

    def _explain(self, problem: Exception, call: Call, watchdog: Watchdog) -> ErrorInfo:
        if isinstance(problem, TimeoutError) and watchdog.expired is not None:
            return self._named(watchdog.error(), call)
        found = causes(problem)
        for cause in found:
            if isinstance(cause, RefusedError):
                return self._refused(cause.response, cause.body, call, cut=cause.cut)
            if isinstance(cause, HostRefusedError):
                return self._named(ErrorInfo("connection", str(cause), retryable=False, code="host_refused"), call)
        response = getattr(problem, "response", None)
        if response is not None:  # over a client of the user's own, where the SDK has read the body
            return self._refused(response, response.content, call)
        if is_connect_timeout(found) and call.timeouts.connect is not None:
            return self._named(timed_out("connect", call.timeouts), call)
        if isinstance(found[-1], (TypeError, ValueError, ConfigurationError)) and not isinstance(found[-1], OSError):
            return self._named(ErrorInfo("invalid_request", f"the request can't be sent: {found[-1]}"), call)
        host = urlsplit(self.base_url).netloc
        if is_garbled(found):
            return self._named(ErrorInfo("protocol", f"the answer of {host} can't be read: {reason(found)}"), call)
        return self._named(ErrorInfo("connection", f"no answer from {host}: {reason(found)}"), call)

    def _refused(self, response: Any, content: bytes, call: Call, *, cut: bool = False) -> ErrorInfo:
        text = redact(content.decode("utf-8", "replace"), self._all_secrets(call, response))
        try:
            body: Any = parse_json(text.encode())
        except ValueError:
            body = text
        info = parse_error(body, status=response.status_code, headers=response.headers)
        if cut and not content:
            info.message = f"HTTP {response.status_code}, and its body did not arrive"
        return self._named(info, call, response)

    def _named(self, info: ErrorInfo, call: Call, response: Any = None) -> ErrorInfo:
        secrets = self._all_secrets(call, response)
        code = info.code and redact(info.code, secrets)
        request_id = info.request_id and redact(info.request_id, secrets)
        message = redact(info.message, secrets)
        return replace(info, provider=self.name, message=message, code=code, request_id=request_id)

    def _all_secrets(self, call: Call, response: Any = None) -> tuple[str, ...]:
        """What must not be shown: what is known beforehand, and what was really sent, for keys can change."""
        sent = [] if response is None else secret_headers(response.request.headers)
        return (*secret_parts([*sent, *secret_headers(call.headers)]), *self._secrets.reveal())


async def _close(response: Any, abort: Abort | None) -> None:
    """Close a response; if its answer was not read to the end, so that the server notices at once."""
    if not response.is_closed:
        if abort is not None:
            abort()  # first, because it needs no await: a second cancellation can't get in between
        await response.aclose()


def _gate(config: ProviderConfig) -> HostGate | None:
    if config.allow_host is None:
        return None
    from llmstream.providers.http.host_check import HostGate

    return HostGate(config.allow_host)


def _secrets(key: Secret[str] | None, config: ProviderConfig, client: Any) -> Secret[tuple[str, ...]]:
    """Everything of the caller's that a provider might echo: keys, and what the SDK adds from its own variables."""
    own = [reveal(key), getattr(client, "api_key", None), getattr(client, "auth_token", None)]
    own += secret_headers(config.headers)
    own += secret_headers(getattr(client, "_custom_headers", None) or {})
    return Secret(secret_parts(own))
