"""API: what all requests to one HTTP API have in common, and where its address and key are found."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from llmstream.checks import require, require_value
from llmstream.errors import ConfigurationError
from llmstream.providers.config import ProviderConfig
from llmstream.providers.secrets import Secret, check_headers, check_key
from llmstream.providers.url_checks import check_base_url, is_loopback

if TYPE_CHECKING:
    from llmstream.providers.cloud_needs import Need
    from llmstream.providers.sdk_adapter import SDKAdapter


@dataclass(frozen=True, slots=True, kw_only=True)
class API:
    """One HTTP API."""

    url: str | None = None
    """Its address, where neither `base_url=` nor `url_variable` says otherwise."""
    url_variable: str | None = None
    """The environment variable that may name another address."""
    url_of: Callable[[str], str] = str
    """What that variable's value means, where it needn't be a whole URL."""
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
    needs: tuple[Need, ...] = ()
    """What a cloud must be told beside or in place of a key."""
    by_sdk: bool = False
    """Whether the SDK's client sends every request, because it signs them or makes their URLs."""


NO_KEY = "none"
"""Stands for a key where none is needed: some servers want the header."""


def find_url(api: API, config: ProviderConfig) -> str:
    """The address, without a slash at its end. Raises ConfigurationError."""
    url, name = config.base_url, "base_url"
    if url is None and api.url_variable is not None and api.url_variable in os.environ:
        url, name = os.environ[api.url_variable], api.url_variable
        problem = f"{name} is empty: unset it, or set it to the address of the API"
        require(url.strip(), problem, ConfigurationError)
        url = api.url_of(url.strip())
    problem = f"{config.name} has no address of its own: pass base_url="
    url = require_value(api.url if url is None else url, problem, ConfigurationError)
    check_base_url(url, allow_insecure_http=config.allow_insecure_http, name=name)
    return url.rstrip("/").removesuffix(api.version_path).rstrip("/")


def find_key(api: API, config: ProviderConfig) -> Secret[str]:
    """The key, or one that says "none" where none is needed. Raises ConfigurationError."""
    if config.api_key is not None:
        return check_key(config.api_key, "api_key")
    variable = next(filter(os.environ.get, api.keys), None)
    if variable is not None:
        return check_key(Secret(os.environ[variable]), variable)
    host = urlsplit(config.base_url or "").hostname or ""
    # Servers on this machine seldom want a key, but some want the header.
    if is_loopback(host) or not api.key_needed:
        return Secret(NO_KEY)
    raise ConfigurationError(
        f"no key for {config.name}: set {' or '.join(api.keys)}, or pass api_key="
    )


def ambient_headers(api: API) -> dict[str, str]:
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
        variables = [*api.header_variables.values()]
        if api.custom_headers:
            variables.append(api.custom_headers)
        raise ConfigurationError(f"{' or '.join(variables)}: {flaw}") from None
    return found
