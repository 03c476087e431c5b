"""Channel: connections to one HTTP API as one user, its requests, and the errors of its exchanges.

A `Channel` serves all APIs alike, over httpx2 or aiohttp, or through a client of the vendor's SDK
where one is wanted. With a plain key no SDK is imported: the channel sends what the SDK would.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from llmstream.checks import require, require_value
from llmstream.errors import ConfigurationError, ErrorInfo
from llmstream.events.types import StreamEvent
from llmstream.log import get_logger
from llmstream.providers.api import API, NO_KEY, ambient_headers, find_key, find_url
from llmstream.providers.cloud_needs import listed
from llmstream.providers.config import ProviderConfig, find_transport
from llmstream.providers.exchange import Exchange, Outbound, Sign
from llmstream.providers.http.content_encoding import ACCEPTED
from llmstream.providers.http.error_response import StatusError
from llmstream.providers.http.exchange import (
    HostRefusedError,
    HTTPClient,
    HTTPRequest,
    Response,
)
from llmstream.providers.http.failures import (
    causes,
    is_connect_timeout,
    is_garbled,
    is_nobody_there,
    is_out_of_reach,
    is_without_credentials,
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
from llmstream.providers.url_checks import check_base_url, is_loopback, is_plain_http
from llmstream.providers.watchdog import Watchdog, timed_out
from llmstream.version import __version__
from llmstream.wire.error_body import parse_error, redact
from llmstream.wire.json_fields import parse_json
from llmstream.wire.request_id import request_id_of

if TYPE_CHECKING:
    from llmstream.providers.http.host_check import HostCheck
    from llmstream.providers.sdk_adapter import SDKAdapter, SDKConnection

logger = get_logger("llmstream.providers")

_HARMLESS = frozenset(
    {"accept", "content-type", "user-agent", "anthropic-beta", "anthropic-version", "openai-beta"}
)


_ADVICE_HERE = "; nothing listens there: start the server, such as `ollama serve`, or mend base_url"
"""For a server on this machine."""


class Channel:
    """Connections to one API as one user. Raises ConfigurationError before any network. Close it."""

    base_url = ""

    def __init__(self, config: ProviderConfig, api: API) -> None:
        self.name = config.name
        check_headers(config.headers)
        self._config = config
        self._api = api
        self._key: Secret[str] | None = None
        if api.by_sdk and config.api_key is not None:
            self._key = check_key(config.api_key, "api_key")
        elif config.sdk_client is None and not api.by_sdk:
            # A wrong address is reported before a missing key.
            self.base_url = find_url(api, config)
            self._key = find_key(api, config)
        self._check = _host_check(config)
        self._transport = find_transport(config)
        self._sdks: LoopClients | None = None
        """The clients of the vendor's SDK, once they are in use."""
        client: HTTPClient | None = None
        # A traceback shows the locals of its frames, so those that hold secrets are hidden.
        ambient: Secret[Mapping[str, str]] = Secret({})
        added: Secret[list[Any]] = Secret([])
        if api.by_sdk or config.sdk_client is not None:
            first = self._new_sdk()
            self._sdks = LoopClients(first, owned=config.sdk_client is None)
            added = Secret(first.secrets())
            base_url = str(first.sdk.base_url)
            check_base_url(base_url, allow_insecure_http=config.allow_insecure_http)
            self.base_url = base_url
        else:
            ambient = Secret(ambient_headers(api))
            # Made now, so that imports and the TLS context never fall into the first request.
            client = self._new_client()
            client.prepare(self.base_url)
        self._secrets = Secret(self._find_secrets(ambient, added))
        self._headers = Secret(self._merge_headers(ambient))
        self._usual = Secret(self._merge_usual())
        self._given = SecretHeaders(_lower(_merge(ambient.reveal(), config.headers)))
        self._clients = LoopClients(client, owned=True)
        self.budget_key = digest(self.base_url, self._secrets)
        if self._check is not None:
            self._check.check_url(self.base_url)
        self._report_plain_http()

    def __repr__(self) -> str:
        return f"Channel({self.name!r}, base_url={self.base_url!r})"

    def __reduce__(self) -> Any:
        raise TypeError("a Channel can't be pickled or copied: it holds a key and connections")

    def exchange(self, call: Call, sign: Sign | None = None) -> Exchange:
        """One exchange, over the connections of the running loop. The caller closes it."""
        if self._sdks is None:
            return Exchange(self, self._clients.here(self._new_client), call, sign)
        return Exchange(self, self._sdks.here(self._new_sdk), call, sign)

    def sdk_client(self) -> Any:
        """The vendor SDK's async client for the running loop. From now on requests go through it.

        Whoever holds it may change its key or headers.
        """
        self._vendor_sdk()
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
        of_client = self._given if sdk is None else SecretHeaders(_lower(sdk.custom_headers()))
        return SecretHeaders({**of_client, **_lower(call.headers)}) if call.headers else of_client

    # --- for its exchanges ---------------------------------------------------------------------------------------

    def build(self, outbound: Outbound, headers: Mapping[str, str]) -> HTTPRequest:
        """The whole request. Raises ValueError or TypeError for a body that can't be sent."""
        content = _encode(outbound.body)
        is_whole_url = "://" in outbound.path
        url = outbound.path if is_whole_url else f"{self.base_url}{outbound.path}"
        if is_whole_url or outbound.differs:
            may_have_key = not is_whole_url or self._is_own(url)
            known = self._headers.reveal() if may_have_key else {}
            merged = _merge(_USUAL, outbound.about, outbound.headers, known, headers)
        else:
            usual = self._usual.reveal()
            merged = _merge(usual, headers) if headers else {**usual}
        return HTTPRequest(outbound.method, url, merged, content or b"")

    def redact_event(self, event: StreamEvent, response: Response, call: Call) -> None:
        """Name the provider in an ERROR's event, and take the secrets out of it."""
        info = event.error_info
        if info is None:
            return
        request_id = info.request_id or request_id_of(response.headers)
        named = self.named(replace(info, request_id=request_id), call, response)
        event.error_info, event.error = named, str(named)
        if event.raw is not None:
            raw = redact(json.dumps(event.raw), self._all_secrets(call, response))
            event.raw = parse_json(raw.encode())

    def request_id(self, response: Response, call: Call) -> str | None:
        """The provider's id of the request that was answered, without any secret."""
        given = request_id_of(response.headers)
        return given and redact(given, self._all_secrets(call, response))

    def explain(
        self, problem: Exception, call: Call, watchdog: Watchdog, proxy: str | None = None
    ) -> ErrorInfo:
        """The failure that an exception means. `proxy`: the proxy that the request went through."""
        through = "" if proxy is None else f" through {proxy}"
        if isinstance(problem, TimeoutError) and watchdog.expired is not None:
            return self._late(watchdog.error(), call, through)
        found = causes(problem)
        for cause in found:
            if isinstance(cause, StatusError):
                return self._refused(cause, call)
            if isinstance(cause, HostRefusedError):
                info = ErrorInfo("connection", str(cause), retryable=False, code="host_refused")
                return self.named(info, call)
        if is_connect_timeout(found) and call.timeouts.connect is not None:
            return self._late(timed_out("connect", call.timeouts), call, through)
        return self.named(self._failure(found, through), call)

    def _failure(self, found: list[BaseException], through: str) -> ErrorInfo:
        last = found[-1]
        is_ours = isinstance(last, (TypeError, ValueError, ConfigurationError))
        if is_ours and not isinstance(last, OSError):
            return ErrorInfo("invalid_request", f"the request can't be sent: {last}")
        if is_out_of_reach(found):
            return ErrorInfo("connection", f"no token for {self.name}: {reason(found)}")
        if is_without_credentials(found):
            wanted = f". It needs {listed(self._api.needs)}" if self._api.needs else ""
            flaw = f"no credentials for {self.name}: {reason(found).removesuffix('.')}{wanted}"
            return ErrorInfo("authentication", flaw)
        host = urlsplit(self.base_url).netloc
        if is_garbled(found):
            return ErrorInfo(
                "protocol", f"the answer of {host}{through} can't be read: {reason(found)}"
            )
        is_here = is_loopback(urlsplit(self.base_url).hostname or "") and not through
        advice = _ADVICE_HERE if is_here and is_nobody_there(found) else ""
        told = f"no answer from {host}{through}: {reason(found)}{advice}"
        return ErrorInfo("connection", told)

    def named(self, info: ErrorInfo, call: Call, response: Response | None = None) -> ErrorInfo:
        """An error of this provider, without any secret."""
        secrets = self._all_secrets(call, response)
        code = info.code and redact(info.code, secrets)
        request_id = info.request_id and redact(info.request_id, secrets)
        message = redact(info.message, secrets)
        return replace(info, provider=self.name, message=message, code=code, request_id=request_id)

    # --- inside --------------------------------------------------------------------------------------------------

    def _late(self, info: ErrorInfo, call: Call, through: str) -> ErrorInfo:
        return self.named(replace(info, message=f"{info.message}{through}"), call)

    def _refused(self, refused: StatusError, call: Call) -> ErrorInfo:
        response = refused.response
        text = redact(refused.body.decode("utf-8", "replace"), self._all_secrets(call, response))
        info = parse_error(text, status=response.status, headers=response.headers)
        if refused.cut and not refused.body:
            info.message = f"HTTP {response.status}, and its body did not arrive"
        return self.named(info, call, response)

    def _all_secrets(self, call: Call, response: Response | None = None) -> tuple[str, ...]:
        """All texts that must not be shown: those known beforehand, and those really sent, for keys can change."""
        sent = [] if response is None else secret_headers(response.sent_headers)
        return (*secret_parts([*sent, *secret_headers(call.headers)]), *self._secrets.reveal())

    def _find_secrets(
        self, ambient: Secret[Mapping[str, str]], added: Secret[list[Any]]
    ) -> tuple[str, ...]:
        sent = [value for name, value in ambient.reveal().items() if name.lower() not in _HARMLESS]
        own = secret_headers(self._config.headers)
        return secret_parts([reveal(self._key), *own, *added.reveal(), *sent])

    def _report_plain_http(self) -> None:
        """Say that a key travels unencrypted, which somebody allowed who may not be the one that runs it."""
        keys = [secret for secret in self._secrets.reveal() if secret != NO_KEY]
        if keys and is_plain_http(self.base_url):
            words = (
                "%s: the key travels over plain http to %s, and whoever is in between can read it"
            )
            logger.warning(words, self.name, urlsplit(self.base_url).netloc)

    def _merge_headers(self, ambient: Secret[Mapping[str, str]]) -> dict[str, str]:
        key: dict[str, str] = {}
        if self._key is not None:
            key = {self._api.key_header: self._api.key_form.format(self._key.reveal())}
        return _merge(self._api.headers, key, ambient.reveal(), self._config.headers)

    def _merge_usual(self) -> dict[str, str]:
        """The headers of a request that differs from no other, but for the call's own."""
        return _merge(_USUAL, Outbound("", {}).about, self._headers.reveal())

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
        config = self._config
        if config.sdk_client is not None:
            return self._take_given()
        sdk = self._vendor_sdk()
        import httpx2

        if self._transport == "aiohttp":
            from llmstream.providers.http.aiohttp_bridge import AiohttpTransport

            http = httpx2.AsyncClient(transport=AiohttpTransport(self._check))
        else:
            from llmstream.providers.http.httpx2_client import Httpx2Client

            http = Httpx2Client(self._check).http
        base_url = self.base_url or config.base_url or ""
        return sdk.make(http, self._key, base_url, config.headers)

    def _vendor_sdk(self, argument: str = "") -> SDKAdapter:
        told = f"{argument}provider {self.name} isn't built on a vendor's SDK"
        return require_value(self._api.sdk, told, ConfigurationError)

    def _take_given(self) -> Any:
        config = self._config
        taken = self._vendor_sdk("sdk_client: ").take(config.sdk_client)
        for name in ("transport", "allow_host"):
            problem = f"{name}: sdk_client brings its own connections; set it up there"
            require(getattr(config, name) is None, problem, ConfigurationError)
        return taken


def _merge(*layers: Mapping[str, str]) -> dict[str, str]:
    """Headers of all layers; a later one replaces an earlier one, whatever the case of its name."""
    merged: dict[str, tuple[str, str]] = {}
    for layer in layers:
        for name, value in layer.items():
            merged[name.lower()] = (name, value)
    return dict(merged.values())


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _encode(body: Mapping[str, Any] | bytes | None) -> bytes | None:
    """The body as bytes; a mapping as the SDKs write it."""
    if not isinstance(body, Mapping):
        return body
    return _JSON.encode(body).encode()


_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)
_USUAL = {
    "Accept-Encoding": ACCEPTED,
    "Connection": "keep-alive",
    "User-Agent": f"llmstream/{__version__}",
}


def _host_check(config: ProviderConfig) -> HostCheck | None:
    if config.allow_host is None:
        return None
    from llmstream.providers.http.host_check import HostCheck

    return HostCheck(config.allow_host)
