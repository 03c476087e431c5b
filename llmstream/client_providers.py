"""The providers of one client: its own, those of its fallbacks, and others that a call names."""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from llmstream.checks import require, require_list
from llmstream.errors import ConfigurationError
from llmstream.fallback import Fallback
from llmstream.log import get_logger
from llmstream.providers import registry
from llmstream.providers.config import AllowHost, ProviderConfig
from llmstream.providers.provider import Provider, traits_of
from llmstream.providers.secrets import Secret, digest, reveal
from llmstream.targets import Target

logger = get_logger("llmstream.client")

_MODEL_ADVICE = 'pass model="…"'
_MOST_ENDPOINTS: Final = 64
"""Endpoints of `Fallback` objects that a client keeps connections to. Calls may name ever new ones."""


class Providers:
    """Finds whom a call asks. A provider that is named first in a call is made then, and kept.

    Keys, headers and the address belong to `own` alone: the others read their environment.
    """

    def __init__(
        self,
        own: Target,
        transport: str | None,
        allow_host: AllowHost | None,
        *,
        allow_insecure_http: bool = False,
    ) -> None:
        self.own = own
        """Whom calls ask that name no model."""
        self._allow_insecure_http = allow_insecure_http  # of addresses that the program names
        self._transport = transport
        self._allow_host = allow_host
        self._others: dict[str, Provider] = {}
        self._endpoints: OrderedDict[str, Provider] = OrderedDict()  # the last used is last

    def target(self, model: str | None) -> Target:
        """The target of a call with this `model=`. Only `"provider:model"` leaves the client's own provider."""
        if model is None:
            return self.own
        require(
            isinstance(model, str) and model,
            f'model must be a string such as "openai:gpt-5-mini", not {model!r}',
            TypeError,
        )
        name, colon, rest = model.partition(":")
        if not registry.is_known(name):
            # "ft:…" names one of OpenAI's fine-tunes.
            if colon and name != "ft" and traits_of(self.own.provider).is_vendor:
                # Raises: no vendor has such a model, so the provider's name is misspelt.
                registry.parse_model(model)
            return Target(self.own.provider, model)
        return self.named(name, rest)

    def named(self, name: str, model: str | None) -> Target:
        """A provider of this name with this model, or with its default. Raises ConfigurationError."""
        if name == self.own.provider.name:
            return Target(self.own.provider, model or self.own.model)
        if name not in self._others:
            self._others[name] = registry.create(
                ProviderConfig(name, transport=self._transport, allow_host=self._allow_host)
            )
        return _target_of(self._others[name], model, f'write "{name}:…"')

    def fallbacks(self, given: Sequence[str | Fallback | Provider]) -> list[Target]:
        """The targets that a list of fallbacks names. Raises TypeError or ConfigurationError."""
        shown = repr(given) if isinstance(given, str) else type(given).__name__  # it may hold a key
        require_list(
            given,
            f'fallbacks must be a list such as ["anthropic:claude-sonnet-4-5"], not {shown}',
        )
        return [self._fallback(each) for each in given]

    def _fallback(self, given: str | Fallback | Provider) -> Target:
        if isinstance(given, str):
            return self.named(*registry.parse_model(given))
        if isinstance(given, Fallback):
            return self._endpoint(given)
        _check_fallback(given)
        model = traits_of(given).default_model
        if not model:
            raise ConfigurationError(f"fallback {given.name}: its traits need a default_model")
        return Target(given, model)

    def _endpoint(self, fallback: Fallback) -> Target:
        """The target of a Fallback. Equal ones share their connections."""
        name, model = registry.parse_model(fallback.model)
        if not fallback.has_own_endpoint:
            target = self.named(name, model)
        else:
            target = _target_of(self._provider_at(name, fallback), model, f'write "{name}:…"')
        return target._replace(timeouts=fallback.timeouts, retry=fallback.retry)

    def _provider_at(self, name: str, fallback: Fallback) -> Provider:
        """The provider of a Fallback with an endpoint of its own."""
        endpoint = _endpoint_of(name, fallback)
        provider = self._endpoints.pop(endpoint, None)
        if provider is None:
            config = ProviderConfig(name, fallback.api_key, fallback.base_url)
            config.headers = fallback.headers or {}
            config.transport, config.allow_host = self._transport, self._allow_host
            config.allow_insecure_http = self._allow_insecure_http
            provider = registry.create(config)
        self._endpoints[endpoint] = provider
        if len(self._endpoints) > _MOST_ENDPOINTS:
            # It isn't closed: a call may run there, and what nobody holds is closed by itself.
            self._endpoints.popitem(last=False)
        return provider

    def check_owners(
        self, provider_options: Mapping[str, Mapping[str, Any]], targets: Sequence[Target]
    ) -> None:
        """Raise ValueError for options of a provider that doesn't exist: they would go nowhere."""
        if not provider_options:
            return
        asked = {target.provider.name for target in targets}
        foreign = provider_options.keys() - {self.own.provider.name, *asked, *registry.names()}
        if foreign:
            name = min(foreign)
            problem = f"provider_options: there is no provider {name!r}"
            raise ValueError(problem + registry.advice(name))

    async def aclose(self, fallbacks: Sequence[Target]) -> None:
        """Close the connections of this event loop, also those of the client's fallbacks."""
        others = (target.provider for target in fallbacks)
        own = (self.own.provider, *self._others.values(), *self._endpoints.values(), *others)
        for provider in {id(provider): provider for provider in own}.values():
            await provider.aclose()


def find_own(
    provider: str | Provider | None,
    model: str | None,
    settings: dict[str, Any],
    *,
    strict: bool,
) -> tuple[Target, tuple[str, ...]]:
    """The provider and model of calls that name none, and a warning if they only stand in for one.

    `settings` are those given for the provider. With `strict` a stand-in raises ConfigurationError.
    """
    if provider is None or isinstance(provider, str):
        name, model, told = _choose(model, provider, strict=strict)
        made = registry.create(ProviderConfig(name, **settings))
        return _target_of(made, model, _MODEL_ADVICE), told
    _check_provider(provider, "provider must be a name or a Provider object")
    given = [name for name in settings if name != "allow_insecure_http"]
    require(
        not given,
        f"{', '.join(given)}: belongs to the Provider object you pass; set it there",
        ConfigurationError,
    )
    return _target_of(provider, model, _MODEL_ADVICE), ()


def _choose(
    model: str | None, provider: str | None, *, strict: bool
) -> tuple[str, str | None, tuple[str, ...]]:
    if provider is not None:
        return provider, _without_provider(model, provider), ()
    if model is not None:
        return (*registry.parse_model(model), ())
    name, model, warning = registry.default_model()
    if warning is None:
        return name, model, ()
    require(not strict, warning, ConfigurationError)
    warnings.warn(warning, stacklevel=4)
    logger.warning("%s", warning)
    return name, model, (warning,)


def _without_provider(model: str | None, provider: str) -> str | None:
    """A model's name beside `provider=`, which it may repeat. Raises ConfigurationError for another's."""
    head, colon, rest = (model or "").partition(":")
    if not colon or not registry.is_known(head):
        return model
    require(
        head == provider,
        f"model={model!r} names another provider than provider={provider!r}",
        ConfigurationError,
    )
    return rest


def _target_of(provider: Provider, model: str | None, advice: str) -> Target:
    """The provider with this model, or else with its default. Raises ConfigurationError if it has none."""
    chosen = model or traits_of(provider).default_model
    if not chosen:
        raise ConfigurationError(f"provider {provider.name} has no default model: {advice}")
    return Target(provider, chosen)


def _endpoint_of(name: str, fallback: Fallback) -> str:
    """What is the same for equal endpoints. A function of its own, so that no frame that raises has the key."""
    headers = fallback.headers or {}
    secrets: tuple[Any, ...] = (reveal(fallback.api_key), *sorted(headers.items()))
    return digest(f"{name} {fallback.base_url}", Secret(secrets))


def _check_fallback(given: object) -> None:
    """Raise TypeError for what can't be a fallback. It may hold a key, so its type alone is named."""
    wanted = "a fallback must be a model string, a Fallback or a Provider object"
    kind = type(given).__name__
    advice = "; write Fallback(model, …) with these settings" if isinstance(given, Mapping) else ""
    is_client = hasattr(given, "chat_completion")
    advice = "; give its model, or its provider" if is_client else advice
    is_provider = hasattr(given, "stream") and not is_client
    require(is_provider, f"{wanted}, not {kind}{advice}", TypeError)
    traits_of(cast("Provider", given))


def _check_provider(provider: object, wanted: str) -> None:
    """Raise TypeError for what isn't a provider."""
    require(hasattr(provider, "stream"), f"{wanted}, not {provider!r}", TypeError)
    traits_of(cast("Provider", provider))
