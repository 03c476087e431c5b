"""ServerSettings: what a server serves, to whom, and within which limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from llmstream.client import LLMClient
from llmstream.limits import Limiter, LocalLimiter, Rate
from llmstream.web import Access, Limits


class ServedModels(Protocol):
    """The models that may be asked for."""

    def open_client(self, rate: Rate | None) -> LLMClient:
        """The client that asks them, each at this rate at most. Raises ConfigurationError."""
        ...

    def names(self, client: LLMClient) -> Mapping[str, str] | None:
        """The names that clients ask for, with the client's `model=`. None: its own model alone."""
        ...


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """What a server may be told. `conversations` is a file for them; None: they stay in memory."""

    models: ServedModels
    access: Access
    limits: Limits
    rate: Rate | None
    conversations: str | None


@dataclass(frozen=True, slots=True)
class CommandLineModels:
    """The models that a command line names: the client's own, others allowed, and names of the operator's own."""

    model: str | None = None
    base_url: str | None = None
    allowed: tuple[str, ...] = ()
    aliases: tuple[tuple[str, str], ...] = ()

    def open_client(self, rate: Rate | None) -> LLMClient:
        """A client for `model`, or for what the environment says. Raises ConfigurationError."""
        limiter: Limiter | None = None if rate is None else LocalLimiter(rate)
        return LLMClient(self.model, base_url=self.base_url, limiter=limiter)

    def names(self, client: LLMClient) -> Mapping[str, str] | None:
        """The client's own model first: it answers those that name none."""
        if not self.allowed and not self.aliases:
            return None
        own = client.target(None)
        allowed = (f"{own.provider.name}:{own.model}", *self.allowed)
        return {name: name for name in allowed} | dict(self.aliases)


def parse_aliases(texts: list[str], allowed: list[str]) -> tuple[tuple[str, str], ...]:
    """The pairs that `--alias NAME=MODEL` means. Raises ValueError, also for an alias that `--allow-model` holds."""
    for text in allowed:
        name, equals, _ = text.partition("=")
        if equals and ":" not in name:
            raise ValueError(
                f"--allow-model takes the name of a model, not {text!r}: "
                f"for a name of your own write --alias {text}"
            )
    aliases: dict[str, str] = {}
    for text in texts:
        name, equals, model = (part.strip() for part in text.partition("="))
        if not (name and equals and model):
            raise ValueError(
                f"--alias takes NAME=MODEL, such as fast=openai:gpt-5-mini, not {text!r}"
            )
        if name in aliases or name in allowed:
            raise ValueError(f"--alias {text}: {name} is the name of another model already")
        aliases[name] = model
    return tuple(aliases.items())
