"""A vendor's own SDK: its client classes, for `get_client()` and for clients that users bring.

Both official SDKs are made by the same generator, so one adapter serves both. Nothing here imports one before its
client is wanted. We read the bytes ourselves: the SDKs swallow `[DONE]`, so that a cut stream looks like a success.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llmstream.checks import require
from llmstream.errors import ConfigurationError
from llmstream.providers.cloud_needs import Need, listed, missing
from llmstream.providers.http.error_response import StatusError, read_error
from llmstream.providers.http.exchange import Response, Trace, traced, traces
from llmstream.providers.secrets import Secret, SecretHeaders, reveal, secret_headers

if TYPE_CHECKING:
    import httpx2


_KEYS = (
    *("api_key", "auth_token", "access_token", "aws_secret_key", "aws_session_token"),
    *("aws_secret_access_key", "_azure_ad_token"),
)
"""Where the SDKs' clients keep what is secret."""


@dataclass(frozen=True, slots=True)
class SDKAdapter:
    """The async client class of a vendor's SDK."""

    package: str
    name: str
    """Of the class."""
    finish: Callable[[Any, Mapping[str, str]], None] | None = None
    """Called with a client that we made and its headers, to take from it what the environment added."""
    key_name: str = "api_key"
    """The argument that takes a key."""

    def make(
        self,
        http: httpx2.AsyncClient,
        key: Secret[str] | None,
        base_url: str,
        headers: Mapping[str, str],
    ) -> SDKConnection:
        """A client over connections of ours."""
        http.event_hooks = {"request": [_begin], "response": [_refuse]}
        given = {
            self.key_name: key,
            "base_url": base_url,
            "default_headers": SecretHeaders(headers),
        }
        options = {name: value for name, value in given.items() if value}
        client = self.construct({"http_client": http, "max_retries": 0, **options})
        if self.finish is not None:
            self.finish(client, headers)
        return SDKConnection(client, given=False)

    def construct(self, options: dict[str, Any]) -> Any:
        """The SDK's own client, made with these options."""
        return getattr(importlib.import_module(self.package), self.name)(**reveal(options))

    def take(self, given: Any) -> SDKConnection:
        """A user's own client. It brings its own connections, where no check of ours can stand."""
        origins = {cls.__module__.partition(".")[0] for cls in type(given).__mro__}
        require(
            self.package in origins and inspect.iscoroutinefunction(given.post),
            f"sdk_client must be an async client of the {self.package} package, not {type(given).__name__}",
            ConfigurationError,
        )
        return SDKConnection(given.with_options(max_retries=0), given=True)


@dataclass(frozen=True, slots=True)
class CloudAdapter(SDKAdapter):
    """A client class that finds its cloud's address and credentials in the environment by itself."""

    needs: tuple[Need, ...] = ()
    """What it must find there."""
    install: str = ""
    """The package that it needs beside the SDK."""

    def construct(self, options: dict[str, Any]) -> Any:
        """The client. Raises ConfigurationError for what the environment lacks."""
        given = {"api_key" if name == self.key_name else name for name in options}
        unmet = missing(self.needs, given, certain=True)
        require(not unmet, f"{self.advice()}: set {' and '.join(unmet)}", ConfigurationError)
        try:
            return SDKAdapter.construct(self, options)
        except Exception as problem:  # noqa: BLE001  # of any kind: each cloud has its own
            raise ConfigurationError(f"{problem} {self.advice()}") from None

    def advice(self) -> str:
        """What its users must have, in one sentence."""
        install = f" ({self.install})" if self.install else ""
        return f"{self.name} needs {listed(self.needs)}{install}"


class SDKConnection:
    """One SDK client, to send requests through."""

    def __init__(self, sdk: Any, *, given: bool) -> None:
        self.sdk = sdk
        self._given = given

    async def send(
        self,
        method: str,
        path: str,
        body: Any,
        *,
        headers: Mapping[str, str],
        trace: Trace,
        connect: float | None,
    ) -> Response:
        """The answer's head, as the SDK asks for it."""
        import httpx2

        sdk = self.sdk
        if trace.headers and self._given:
            # Our own headers go by the trace, since the SDK logs options.
            sdk = sdk.with_options(default_headers=trace.headers)
        options: dict[str, Any] = {
            "max_retries": 0,
            "follow_redirects": False,
            "headers": dict(headers),
            # What httpx2 calls waiting for the pool includes looking up the host, over aiohttp. Nobody waits in ours.
            "timeout": httpx2.Timeout(None, connect=connect, pool=None if self._given else connect),
        }
        content = (
            {} if body is None else {"content": body} if isinstance(body, bytes) else {"body": body}
        )
        ask = getattr(sdk, method.lower())
        try:
            with traced(trace):
                # The SDK asks for a stream class, and never makes one: what it casts to is the raw response.
                response = await ask(
                    path,
                    cast_to=httpx2.Response,
                    stream=True,
                    stream_cls=object,
                    options=options,
                    **content,
                )
        except StatusError:
            raise
        except Exception as problem:
            refused = getattr(problem, "response", None)
            if refused is None:
                raise
            raise StatusError(_as_ours(refused), refused.content, cut=False) from problem
        return _as_ours(response)

    def custom_headers(self) -> SecretHeaders:
        """The headers set on the client, with those of the environment, which the SDK has read."""
        found = getattr(self.sdk, "_custom_headers", None) or {}
        # A value that isn't a string means that the header isn't to be sent.
        return SecretHeaders(
            {name: value if isinstance(value, str) else "" for name, value in found.items()}
        )

    def secrets(self) -> list[Any]:
        """The values of the SDK's own variables that a provider might echo."""
        keys = [getattr(self.sdk, name, None) for name in _KEYS]
        return [*keys, *secret_headers(self.custom_headers())]

    async def close(self) -> None:
        """Close its connections."""
        await self.sdk.close()


def _as_ours(response: httpx2.Response) -> Response:
    from llmstream.providers.http.aiohttp_bridge import ANSWER
    from llmstream.providers.http.httpx2_client import Httpx2Response

    return response.extensions.get(ANSWER) or Httpx2Response(response)


async def _begin(request: httpx2.Request) -> None:
    """Before a request of ours leaves: learn of the connection, add the call's headers."""
    from llmstream.providers.http.httpx2_client import follow

    trace = traces.get()
    if trace is None:  # somebody else uses the client
        return
    request.headers.update(trace.headers)
    extensions = dict(request.extensions)
    follow(trace, extensions)
    request.extensions = extensions


async def _refuse(response: httpx2.Response) -> None:
    """Read an error's body ourselves. Whoever else uses the client wants its own errors."""
    if response.is_success or traces.get() is None:
        return
    raise await read_error(_as_ours(response))
