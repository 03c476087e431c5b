"""The way to an HTTP API: its address, key and headers; clocks, refusals and redaction of one exchange.

A `Channel` serves all APIs alike, over httpx2 or aiohttp, or through a client of the vendor's SDK where one is wanted.
With a plain key no SDK is imported: the channel sends what the SDK would.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from llmstream.errors import ConfigurationError, ErrorInfo
from llmstream.events.types import StreamEvent
from llmstream.log import get_logger
from llmstream.providers.config import TRANSPORTS, ProviderConfig
from llmstream.providers.http.content_encoding import ACCEPTED
from llmstream.providers.http.error_response import StatusError, read_error
from llmstream.providers.http.exchange import (
    HostRefusedError,
    HTTPClient,
    HTTPRequest,
    Response,
    Trace,
    close_at_once,
)
from llmstream.providers.http.failures import (
    causes,
    is_connect_timeout,
    is_disconnect,
    is_garbled,
    reason,
)
from llmstream.providers.http.loop_clients import LoopClients
from llmstream.providers.provider import Call
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
from llmstream.version import __version__
from llmstream.wire.error_body import parse_error, redact
from llmstream.wire.json_fields import parse_json

if TYPE_CHECKING:
    from llmstream.providers.http.host_check import HostCheck
    from llmstream.providers.sdk_adapter import SDKAdapter, SDKConnection

logger = get_logger("llmstream.providers")

VARIABLE = "LLMSTREAM_TRANSPORT"
Sign = Callable[[HTTPRequest], None]
"""Changes a whole request just before it is sent; called again when it is sent again."""
_HARMLESS = frozenset(
    {"accept", "content-type", "user-agent", "anthropic-beta", "anthropic-version", "openai-beta"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class API:
    """What all requests to one HTTP API have in common."""

    url: str | None = None
    """Its address, where neither `base_url=` nor `url_variable` says otherwise."""
    url_variable: str | None = None
    """The environment variable that may name another address."""
    version_path: str = ""
    """How all paths begin, such as "/v1". At the end of an address it counts once."""
    keys: tuple[str, ...] = ()
    """The environment variables that may hold the key; the first that is set is taken."""
    key_needed: bool = True
    key_header: str = "Authorization"
    key_form: str = "Bearer {}"
    headers: Mapping[str, str] = field(default_factory=dict)
    header_variables: Mapping[str, str] = field(default_factory=dict)
    """Headers whose values are in environment variables."""
    custom_headers: str | None = None
    """The environment variable with lines `Name: value` that go along with every request."""
    sdk: SDKAdapter | None = None
    """The vendor's SDK, for `get_client()` and `sdk_client=`."""


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
    content_type: str = "application/json"
    accept: str = "text/event-stream"


class Channel:
    """Connections to one API as one user. Raises ConfigurationError for what can't be right, before any network."""

    base_url = ""

    def __init__(self, config: ProviderConfig, api: API) -> None:
        self.name = config.name
        check_headers(config.headers)
        self._config = config
        self._api = api
        if config.sdk_client is None:
            self.base_url = _find_url(config, api)  # a wrong address is told before a missing key
        self._key = None if config.sdk_client is not None else _find_key(config, api)
        self._check = _host_check(config)
        self._transport = _transport_name(config)
        self._sdks: LoopClients | None = None
        """The clients of the vendor's SDK, once they are in use."""
        client: HTTPClient | None = None
        # No frame of ours may show a secret, whatever it raises: hence `Secret` for what would be a plain local.
        ambient: Secret[Mapping[str, str]] = Secret({})
        added: Secret[list[Any]] = Secret([])
        if config.sdk_client is not None:
            first = self._take_given()
            self._sdks = LoopClients(first, owned=False)
            added = Secret(first.secrets())
            check_base_url(str(first.sdk.base_url), allow_insecure_http=config.allow_insecure_http)
            self.base_url = str(first.sdk.base_url)
        else:
            ambient = Secret(_ambient_headers(api))
            # Made now, so that imports and the TLS context never fall into the first request.
            client = self._new_client()
        self._secrets = Secret(self._find_secrets(ambient, added))
        self._headers = Secret(self._merge_headers(ambient))
        self._given = SecretHeaders(_merge(ambient.reveal(), config.headers))
        self._clients = LoopClients(client, owned=True)
        self.budget_key = digest(self.base_url, self._secrets)
        if self._check is not None:
            self._check.check_url(self.base_url)

    def __repr__(self) -> str:
        return f"Channel({self.name!r}, base_url={self.base_url!r})"

    def __reduce__(self) -> Any:
        raise TypeError("a Channel can't be pickled or copied: it holds a key and connections")

    def exchange(self, call: Call, sign: Sign | None = None) -> Exchange:
        """One exchange, over the connections of the running loop. Whoever asked for it closes it."""
        clients, make = (
            (self._clients, self._new_client) if self._sdks is None else (self._sdks, self._new_sdk)
        )
        return Exchange(self, clients.here(make), call, sign)

    def sdk_client(self) -> Any:
        """The vendor SDK's async client for the running loop. From now on requests go through it.

        Whoever holds it may change its key or headers.
        """
        if self._api.sdk is None:
            raise ConfigurationError(f"provider {self.name} isn't built on a vendor's SDK")
        if self._sdks is None:
            self._sdks = LoopClients(None, owned=True)
        return self._sdks.current(self._new_sdk).sdk

    async def aclose(self) -> None:
        """Close this loop's connections; streams that run end. A client that the user gave stays open."""
        await self._clients.aclose()
        if self._sdks is not None:
            await self._sdks.aclose()

    def given_headers(self, call: Call, sdk: SDKConnection | None) -> SecretHeaders:
        """The headers that the caller set: on the client, in the environment, with the call. Names in lower case."""
        of_client = self._given if sdk is None else sdk.custom_headers()
        return SecretHeaders(
            {
                name.lower(): value
                for headers in (of_client, call.headers)
                for name, value in headers.items()
            }
        )

    # --- for its exchanges ---------------------------------------------------------------------------------------

    def build(self, outbound: Outbound, headers: Mapping[str, str]) -> HTTPRequest:
        """The whole request. Raises ValueError or TypeError for a body that can't be sent."""
        absolute = "://" in outbound.path
        url = outbound.path if absolute else f"{self.base_url}{outbound.path}"
        content = outbound.body
        if isinstance(content, Mapping):
            # As the SDKs write it.
            text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
            content = text.encode()
        known = {} if absolute and not self._is_own(url) else self._headers.reveal()
        about = {"Accept": outbound.accept}
        if content is not None:
            about["Content-Type"] = outbound.content_type
        return HTTPRequest(
            outbound.method,
            url,
            _merge(_USUAL, about, outbound.headers, known, headers),
            content or b"",
        )

    def redact_event(self, event: StreamEvent, response: Response, call: Call) -> None:
        """Name the provider in an ERROR's event, and take the secrets out of it."""
        info = event.error_info
        if info is None:
            return
        request_id = response.headers.get("x-request-id") or response.headers.get("request-id")
        named = self.named(replace(info, request_id=info.request_id or request_id), call, response)
        event.error_info, event.error = named, str(named)
        if event.raw is not None:
            event.raw = parse_json(
                redact(json.dumps(event.raw), self._all_secrets(call, response)).encode()
            )

    def explain(self, problem: Exception, call: Call, watchdog: Watchdog) -> ErrorInfo:
        """Why there is no answer."""
        if isinstance(problem, TimeoutError) and watchdog.expired is not None:
            return self.named(watchdog.error(), call)
        found = causes(problem)
        for cause in found:
            if isinstance(cause, StatusError):
                return self._refused(cause, call)
            if isinstance(cause, HostRefusedError):
                return self.named(
                    ErrorInfo("connection", str(cause), retryable=False, code="host_refused"), call
                )
        if is_connect_timeout(found) and call.timeouts.connect is not None:
            return self.named(timed_out("connect", call.timeouts), call)
        if isinstance(found[-1], (TypeError, ValueError, ConfigurationError)) and not isinstance(
            found[-1], OSError
        ):
            return self.named(
                ErrorInfo("invalid_request", f"the request can't be sent: {found[-1]}"), call
            )
        host = urlsplit(self.base_url).netloc
        if is_garbled(found):
            return self.named(
                ErrorInfo("protocol", f"the answer of {host} can't be read: {reason(found)}"), call
            )
        return self.named(ErrorInfo("connection", f"no answer from {host}: {reason(found)}"), call)

    def named(self, info: ErrorInfo, call: Call, response: Response | None = None) -> ErrorInfo:
        """An error of this provider, without any secret."""
        secrets = self._all_secrets(call, response)
        code = info.code and redact(info.code, secrets)
        request_id = info.request_id and redact(info.request_id, secrets)
        message = redact(info.message, secrets)
        return replace(info, provider=self.name, message=message, code=code, request_id=request_id)

    # --- inside --------------------------------------------------------------------------------------------------

    def _refused(self, refused: StatusError, call: Call) -> ErrorInfo:
        response = refused.response
        text = redact(refused.body.decode("utf-8", "replace"), self._all_secrets(call, response))
        try:
            body: Any = parse_json(text.encode())
        except ValueError:
            body = text
        info = parse_error(body, status=response.status, headers=response.headers)
        if refused.cut and not refused.body:
            info.message = f"HTTP {response.status}, and its body did not arrive"
        return self.named(info, call, response)

    def _all_secrets(self, call: Call, response: Response | None = None) -> tuple[str, ...]:
        """What must not be shown: what is known beforehand, and what was really sent, for keys can change."""
        sent = [] if response is None else secret_headers(response.sent_headers)
        return (*secret_parts([*sent, *secret_headers(call.headers)]), *self._secrets.reveal())

    def _find_secrets(
        self, ambient: Secret[Mapping[str, str]], added: Secret[list[Any]]
    ) -> tuple[str, ...]:
        known = [reveal(self._key), *secret_headers(self._config.headers), *added.reveal()]
        known += [
            value for name, value in ambient.reveal().items() if name.lower() not in _HARMLESS
        ]
        return secret_parts(known)

    def _merge_headers(self, ambient: Secret[Mapping[str, str]]) -> dict[str, str]:
        key = (
            {}
            if self._key is None
            else {self._api.key_header: self._api.key_form.format(self._key.reveal())}
        )
        return _merge(self._api.headers, key, ambient.reveal(), self._config.headers)

    def _is_own(self, url: str) -> bool:
        """Whether a whole URL is of the channel's own host, where its key may go."""
        check_base_url(url.partition("?")[0], allow_insecure_http=self._config.allow_insecure_http)
        return urlsplit(url)[:2] == urlsplit(self.base_url)[:2]

    def _new_client(self) -> HTTPClient:
        if self._transport == "aiohttp":
            from llmstream.providers.http.aiohttp_client import AiohttpClient

            return AiohttpClient(self._check)
        from llmstream.providers.http.httpx2_client import Httpx2Client

        return Httpx2Client(self._check)

    def _new_sdk(self) -> Any:
        config, sdk = self._config, self._api.sdk
        if config.sdk_client is not None:
            return self._take_given()
        if sdk is None:
            raise ConfigurationError(f"provider {self.name} isn't built on a vendor's SDK")
        import httpx2

        if self._transport == "aiohttp":
            from llmstream.providers.http.aiohttp_bridge import AiohttpTransport

            http = httpx2.AsyncClient(transport=AiohttpTransport(self._check))
        else:
            from llmstream.providers.http.httpx2_client import Httpx2Client

            http = Httpx2Client(self._check).http
        return sdk.make(http, self._key, self.base_url, config.headers)

    def _take_given(self) -> Any:
        config, sdk = self._config, self._api.sdk
        if sdk is None:
            raise ConfigurationError(
                f"sdk_client: provider {self.name} isn't built on a vendor's SDK"
            )
        taken = sdk.take(config.sdk_client)
        for name in ("transport", "allow_host"):
            if getattr(config, name) is not None:
                raise ConfigurationError(
                    f"{name}: sdk_client brings its own connections; set it up there"
                )
        return taken


class Exchange:
    """One request and its answer: `send` it, read the answer while `watchdog` runs, close it."""

    def __init__(self, channel: Channel, here: Any, call: Call, sign: Sign | None) -> None:
        self._channel = channel
        self._here = here
        self._call = call
        self._sign = sign
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
            if not trace.reused or trace.answered or not is_disconnect(causes(problem)):
                raise
            logger.debug("a kept-alive connection was dead; sending the request again")
            self._response = await self._attempt(outbound, trace)
        return self._response

    def explain(self, problem: Exception) -> ErrorInfo:
        """Why there is no answer. Lets go of the frames that the exception came through."""
        info = self._channel.explain(problem, self._call, self.watchdog)
        for cause in causes(problem):
            cause.__traceback__ = None  # the frames hold each other, the request and the response
        return info

    def redact_event(self, event: StreamEvent) -> None:
        """Name the provider in an ERROR's event, and take the secrets out of it."""
        if self._response is not None:
            self._channel.redact_event(event, self._response, self._call)

    async def aclose(self) -> None:
        """Stop the clocks; close the answer, so that the server notices at once if it wasn't read to its end."""
        self.watchdog.stop()
        if self._response is not None:
            await close_at_once(self._response)

    async def _attempt(self, outbound: Outbound, trace: Trace) -> Response:
        """The response's head, in a task of its own: what the clocks cancel is never the consumer."""
        await self._here.start()
        pending = asyncio.get_running_loop().create_task(self._ask(outbound, trace))
        self.watchdog.waiting()
        try:
            return await abortable(pending, self.watchdog)
        except asyncio.CancelledError:
            if pending.done() and not pending.cancelled() and pending.exception() is None:
                await close_at_once(pending.result())  # it arrived in the same instant
            raise
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
            self._sign(request)
        response: Response = await self._here.client.send(request, trace, connect)
        if not 200 <= response.status < 300:
            raise await read_error(response)
        return response


# --- what a channel is made from ------------------------------------------------------------------------------------


def _merge(*layers: Mapping[str, str]) -> dict[str, str]:
    """Headers, later ones in the place of earlier ones, whatever the case of their names."""
    merged: dict[str, tuple[str, str]] = {}
    for layer in layers:
        for name, value in layer.items():
            merged[name.lower()] = (name, value)
    return dict(merged.values())


_USUAL = {
    "Accept-Encoding": ACCEPTED,
    "Connection": "keep-alive",
    "User-Agent": f"llmstream/{__version__}",
}


def _find_key(config: ProviderConfig, api: API) -> Secret[str] | None:
    if config.api_key is not None:
        return check_key(config.api_key, "api_key")
    for variable in api.keys:
        if os.environ.get(variable):
            return check_key(Secret(os.environ[variable]), variable)
    if not api.key_needed or (
        config.base_url and is_loopback(urlsplit(config.base_url).hostname or "")
    ):
        return Secret("none")  # servers on this machine seldom want one, but some want the header
    raise ConfigurationError(
        f"no key for {config.name}: set {' or '.join(api.keys)}, or pass api_key="
    )


def _find_url(config: ProviderConfig, api: API) -> str:
    """The address without a slash at its end. Raises ConfigurationError."""
    url, name = config.base_url, "base_url"
    if url is None and api.url_variable is not None and api.url_variable in os.environ:
        url, name = os.environ[api.url_variable], api.url_variable
        if not url.strip():
            raise ConfigurationError(
                f"{name} is empty: unset it, or set it to the address of the API"
            )
    if url is None:
        url = api.url
    if url is None:
        raise ConfigurationError(f"{config.name} has no address of its own: pass base_url=")
    check_base_url(url, allow_insecure_http=config.allow_insecure_http, name=name)
    return url.rstrip("/").removesuffix(api.version_path).rstrip("/")


def _ambient_headers(api: API) -> dict[str, str]:
    """The headers that the environment adds. Raises ConfigurationError."""
    found = {
        name: os.environ[variable]
        for name, variable in api.header_variables.items()
        if os.environ.get(variable)
    }
    for line in os.environ.get(api.custom_headers or "", "").split("\n"):
        name, colon, value = line.partition(":")
        if colon:
            found[name.strip()] = value.strip()
    try:
        check_headers(found)
    except ConfigurationError as flaw:
        variables = [
            *api.header_variables.values(),
            *([api.custom_headers] if api.custom_headers else []),
        ]
        raise ConfigurationError(f"{' or '.join(variables)}: {flaw}") from None
    return found


def _transport_name(config: ProviderConfig) -> str:
    """The one that is wanted. Raises ConfigurationError for an unknown name, or a package that is missing."""
    name, origin = config.transport, "transport"
    if name is None:
        name, origin = os.environ.get(VARIABLE) or TRANSPORTS[0], VARIABLE
    if name not in TRANSPORTS:
        raise ConfigurationError(f"{origin} must be one of {', '.join(TRANSPORTS)}, not {name!r}")
    if importlib.util.find_spec(name) is None:
        raise ConfigurationError(
            f"{origin}={name!r} needs a package: pip install 'llmstream-core[{name}]'"
        )
    return name


def _host_check(config: ProviderConfig) -> HostCheck | None:
    if config.allow_host is None:
        return None
    from llmstream.providers.http.host_check import HostCheck

    return HostCheck(config.allow_host)
