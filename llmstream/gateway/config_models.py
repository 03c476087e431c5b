"""Models of a configuration file: their endpoints, keys, fallbacks and rates."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from llmstream.checks import is_count
from llmstream.errors import ConfigurationError
from llmstream.fallback import CAUSES
from llmstream.gateway.config_flaws import describe_type, near_miss
from llmstream.gateway.config_values import ConfigValues
from llmstream.gateway.model_pools import ModelPool
from llmstream.gateway.toml_lines import Path
from llmstream.limits import Rate
from llmstream.providers import registry
from llmstream.providers.config import ProviderConfig
from llmstream.providers.provider import Provider, traits_of
from llmstream.providers.secrets import Secret
from llmstream.targets import account

if TYPE_CHECKING:
    from llmstream.router import Candidate

ABILITIES: Final = ("tools", "images", "files", "schemas")
"""A model's abilities, by the names of `llmstream.router.Candidate`."""
_ENDPOINT_KEYS = ("key_env", "base_url", "allow_insecure_http")
_FALLBACK_KEYS: Final = ("fallbacks", "fallback_also_on")
MODEL_KEYS: Final = ("model", *_ENDPOINT_KEYS, *_FALLBACK_KEYS, "rate", "context", *ABILITIES)
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]{0,63}")
_KEY_ENV = 'the name of an environment variable, such as "OPENAI_API_KEY", or a list of them'
_BASE_URL = 'an address such as "https://llm.example.com/v1", or a list of them'
_FALLBACKS = 'a list of names of this file, such as ["good"]'
_CAUSES = 'a list of failures, such as ["refusal", "content_filter"]'


class _ModelAddress(NamedTuple):
    """Where a model is asked, and as whom."""

    variable: str | None
    """The environment variable that holds the key; None: the provider's own."""
    url: str | None
    is_insecure: bool
    """Whether plain http may go there."""


class ModelReader:
    """Reads the table `models`, and makes the providers that it names."""

    def __init__(self, values: ConfigValues, models: dict[str, Any]) -> None:
        self._values = values
        self._models = models
        self._providers: dict[tuple[str, _ModelAddress], Provider] = {}
        self.pools: dict[str, ModelPool] = {}
        self.rates: dict[str, Rate] = {}
        self.facts: dict[str, Candidate] = {}

    def read(self) -> None:
        """Read all of them."""
        if not self._models:
            words = 'there are no models: add [models.fast], and below it model = "provider:model"'
            self._values.refuse(("models",), words)
        found = {name: self._values.table(("models", name), self._models) for name in self._models}
        tables = {name: table for name, table in found.items() if table is not None}
        for name, table in tables.items():
            self._read_model(name, table)
        # Once all of them are known.
        for name, table in tables.items():
            self._read_fallbacks(name, table)

    def _read_model(self, name: str, table: dict[str, Any]) -> None:
        path = ("models", name)
        self._values.check_name(path, "a model")
        self._values.check_keys(path, table, MODEL_KEYS)
        rate = self._values.rate((*path, "rate"), table)
        self._read_facts(name, table)
        endpoints = self._endpoints(path, table)
        provider, model = self._model(path, table)
        if provider is None or not endpoints:
            return
        made = (self._make(path, provider, endpoint) for endpoint in endpoints)
        providers = [*filter(None, made)]
        if not providers:
            return
        model = model or traits_of(providers[0]).default_model
        if model is None:
            words = f'{provider} has no default model: write model = "{provider}:…"'
            self._values.refuse((*path, "model"), words)
            return
        self.pools[name] = ModelPool(model, providers)
        if rate:
            self._add_rate(name, Rate(**rate))

    def _model(self, path: Path, table: dict[str, Any]) -> tuple[str | None, str | None]:
        """The provider's name and the model's."""
        if "model" not in table:
            self._values.refuse(path, f'{path[-1]} has no model: write model = "provider:model"')
            return None, None
        try:
            return registry.parse_model(table["model"])
        except ConfigurationError as problem:
            self._values.refuse((*path, "model"), str(problem))
            return None, None

    def _endpoints(self, path: Path, table: dict[str, Any]) -> list[_ModelAddress]:
        """A model's endpoints; none where anything is wrong with one."""
        keys = self._values.texts((*path, "key_env"), table, _KEY_ENV)
        urls = self._values.texts((*path, "base_url"), table, _BASE_URL)
        insecure = self._values.truth((*path, "allow_insecure_http"), table)
        count = max(len(keys), len(urls), 1)
        if any(1 < len(given) < count for given in (keys, urls)):
            words = f"{len(keys)} keys and {len(urls)} addresses don't go together"
            advice = "give one of either, or as many of both"
            self._values.refuse((*path, "base_url"), f"{words}: {advice}")
            return []
        are_set = [
            self._check_variable(_place((*path, "key_env"), table, index), key)
            for index, key in enumerate(keys)
        ]
        if not all(are_set):
            return []
        variables: list[str | None] = [*keys] or [None]
        addresses: list[str | None] = [*urls] or [None]
        return [
            _ModelAddress(
                variables[index % len(variables)], addresses[index % len(addresses)], insecure
            )
            for index in range(count)
        ]

    def _check_variable(self, place: Path, name: str) -> bool:
        """Whether an environment variable holds a key. What isn't a variable's name may be a key: don't repeat it."""
        if _VARIABLE.fullmatch(name) is None:
            words = "key_env takes the name of an environment variable in capitals, such as OPENAI_API_KEY"
            advice = "if this is a key, take it out of the file and replace it"
            self._values.refuse(place, f"{words}; {advice}")
            return False
        if not os.environ.get(name):
            self._values.refuse(place, f"the environment variable {name} isn't set")
            return False
        return True

    def _make(self, path: Path, name: str, endpoint: _ModelAddress) -> Provider | None:
        """The provider of an endpoint. Models of the same endpoint share it."""
        if (name, endpoint) in self._providers:
            return self._providers[name, endpoint]
        variable, url, is_insecure = endpoint
        key = None if variable is None else Secret(os.environ[variable])
        config = ProviderConfig(name, key, url, allow_insecure_http=is_insecure)
        try:
            provider = registry.create(config)
        except ConfigurationError as problem:
            where, words = _blame(str(problem), variable)
            self._values.refuse((*path, where), words)
            return None
        self._providers[name, endpoint] = provider
        return provider

    def _read_fallbacks(self, name: str, table: dict[str, Any]) -> None:
        path = ("models", name, "fallbacks")
        given = table.get("fallbacks")
        if isinstance(given, str):
            self._values.refuse(path, f"fallbacks must be {_FALLBACKS}, not {describe_type(given)}")
            return
        found = []
        for index, fallback in enumerate(self._values.texts(path, table, _FALLBACKS)):
            if fallback == name:
                self._values.refuse((*path, index), f"{name} can't be its own fallback")
            elif self._values.check_model((*path, index), fallback, self._models):
                found.append(fallback)
        if name in self.pools:
            self.pools[name].fallbacks = [self.pools[each] for each in found if each in self.pools]
            self.pools[name].fall_back_also_on(self._causes(name, table))

    def _causes(self, name: str, table: dict[str, Any]) -> list[str]:
        """Failures after which a fallback is asked though it isn't usually."""
        path = ("models", name, "fallback_also_on")
        causes = self._values.texts(path, table, _CAUSES)
        for cause in sorted({*causes} - CAUSES):
            advice = near_miss(cause, CAUSES) or f"there are {', '.join(sorted(CAUSES))}"
            self._values.refuse(path, f"{cause!r} isn't a failure: {advice}")
        needs_one = bool(causes) and "fallbacks" not in table
        if needs_one:
            self._values.refuse(path, 'fallback_also_on needs fallbacks = ["…"] beside it')
        return causes

    def _read_facts(self, name: str, table: dict[str, Any]) -> None:
        """Keep what the file tells of a model, if it tells anything."""
        path = ("models", name)
        given = {key: self._values.truth((*path, key), table) for key in ABILITIES if key in table}
        context = table.get("context")
        if context is not None and not is_count(context):
            words = f"context must be a number of tokens, not {describe_type(context)}"
            self._values.refuse((*path, "context"), words)
        elif context is not None or given:
            from llmstream.router import Candidate  # most files tell nothing

            self.facts[name] = Candidate(name, context=context, **given)

    def _add_rate(self, name: str, rate: Rate) -> None:
        """Keep a model's own rate, unless another name for the same model has a different one."""
        accounts = _accounts(self.pools[name])
        for other, known in self.rates.items():
            if known != rate and accounts & _accounts(self.pools[other]):
                words = f"{other} is the same model with the same key, and has another rate"
                self._values.refuse(("models", name, "rate"), f"{words}: give both the same")
        self.rates[name] = rate


def _place(path: Path, table: Mapping[str, Any], index: int) -> Path:
    return (*path, index) if isinstance(table[str(path[-1])], list) else path


def _accounts(pool: ModelPool) -> set[Any]:
    return {(account(target.provider), target.model) for target in pool.targets}


def _blame(problem: str, variable: str | None) -> tuple[str, str]:
    """The key of a model that a provider's complaint is about, and the complaint in the words of the file."""
    words = problem.replace("or pass api_key=", "or name another variable in key_env")
    words = words.replace("or pass allow_insecure_http=True", "or write allow_insecure_http = true")
    words = words.replace("pass api_key or headers instead", "write key_env in its place")
    words = words.replace("pass base_url=", "write base_url")
    if words.startswith("api_key"):
        return "key_env", words.replace("api_key", variable or "key_env", 1)
    return ("base_url" if words.startswith("base_url") else "model"), words
