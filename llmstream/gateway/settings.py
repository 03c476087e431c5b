"""Settings of a server: what it serves, to whom, and within which limits."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from llmstream.checks import require
from llmstream.client import LLMClient
from llmstream.conversations.stores.limits import MONTH, SERVED, StoreLimits, check_ttl
from llmstream.gateway.access_options import AccessOptions
from llmstream.gateway.limit_options import HTTP_LIMITS, RATE_LIMITS, SERVER_LIMITS, share_of
from llmstream.limits import Limiter, Rate
from llmstream.targets import account
from llmstream.web import Access, AuditLog, Limits
from llmstream.web.connections import Bounds
from llmstream.wire.json_fields import present

if TYPE_CHECKING:
    from llmstream.gateway.config_file import FileConfig
    from llmstream.router import Candidate


class ServedModels(Protocol):
    """The models that may be asked for."""

    def open_client(self, limiter: Limiter | None) -> LLMClient:
        """The client that asks them. Raises ConfigurationError."""
        ...

    def names(self, client: LLMClient) -> Mapping[str, str | Candidate] | None:
        """The names that clients ask for, with the client's `model=`. None: its own model alone."""
        ...

    def rates(self) -> Mapping[tuple[Any, str], Rate]:
        """Rates of their own, by account and model."""
        ...


class KeptLimits(NamedTuple):
    """How much is kept of conversations, and for how many seconds."""

    ttl: float | None
    limits: StoreLimits


_SERVED = KeptLimits(MONTH, SERVED)


def kept_limits(**fields: Any) -> KeptLimits:
    """The limits with these fields, and those of a server for the others. Raises ValueError."""
    ttl = fields.pop("ttl", MONTH)
    return KeptLimits(check_ttl(ttl), replace(SERVED, **fields))


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """The settings of a server. `rate` holds for every model without one of its own."""

    models: ServedModels
    access: Access
    limits: Limits
    bounds: Bounds
    rate: Rate | None
    model_rates: Mapping[tuple[Any, str], Rate]
    """Rates of their own, by account and model."""
    hosted_tools: tuple[str, ...] = ()
    """Tools of providers that clients may use."""
    kept: KeptLimits = _SERVED

    def share(self, index: int, count: int) -> ServerSettings:
        """The part of the worker `index` of `count`: its limits and rates, which together are these."""
        divide = partial(share_of, index=index, count=count)
        key_limits = {
            name: replace(
                each,
                rate=None if each.rate is None else divide(each.rate, RATE_LIMITS),
                spend_limit=None if each.spend_limit is None else each.spend_limit.share(count),
            )
            for name, each in self.access.key_limits.items()
        }
        return replace(
            self,
            access=replace(self.access, key_limits=key_limits),
            limits=divide(self.limits, SERVER_LIMITS),
            bounds=divide(self.bounds, HTTP_LIMITS),
            rate=None if self.rate is None else divide(self.rate, RATE_LIMITS),
            model_rates={key: divide(rate, RATE_LIMITS) for key, rate in self.model_rates.items()},
        )


@dataclass(frozen=True, slots=True)
class CommandLineModels:
    """The models that a command line names: the client's own, others allowed, and names of the operator's own."""

    model: str | None = None
    base_url: str | None = None
    allowed: tuple[str, ...] = ()
    aliases: tuple[tuple[str, str], ...] = ()

    def open_client(self, limiter: Limiter | None) -> LLMClient:
        """A client for `model`, or for what the environment says. Raises ConfigurationError."""
        return LLMClient(self.model, base_url=self.base_url, limiter=limiter)

    def names(self, client: LLMClient) -> Mapping[str, str | Candidate] | None:
        """The client's own model first: it answers those that name none."""
        if not self.allowed and not self.aliases:
            return None
        own = client.target(None)
        allowed = (f"{own.provider.name}:{own.model}", *self.allowed)
        return {name: name for name in allowed} | dict(self.aliases)

    def rates(self) -> Mapping[tuple[Any, str], Rate]:
        """None of them has one."""
        return {}


@dataclass(frozen=True, slots=True)
class FileModels:
    """The models of a configuration file. The first answers those that name none."""

    config: FileConfig

    def open_client(self, limiter: Limiter | None) -> LLMClient:
        """A client for all of them."""
        from llmstream.gateway.model_pools import PooledClient

        return PooledClient(self.config.pools, limiter=limiter)

    def names(self, client: LLMClient) -> Mapping[str, str | Candidate] | None:
        """Models and aliases, with what the file tells of them."""
        models = {name: name for name in self.config.pools} | self.config.aliases
        return {name: self.config.facts.get(model, model) for name, model in models.items()}

    def rates(self) -> Mapping[tuple[Any, str], Rate]:
        """For each endpoint of a model that has one."""
        pools = self.config.pools
        return {
            (account(target.provider), target.model): rate
            for name, rate in self.config.rates.items()
            for target in pools[name].targets
        }


@dataclass(frozen=True, slots=True)
class SettingsSource:
    """Where settings come from: a command line, and perhaps files, which may change."""

    access: AccessOptions
    models: CommandLineModels
    limits: Mapping[str, Any] = field(default_factory=dict)
    """Those that the command line names; they are stronger than the file's."""
    http: Mapping[str, Any] = field(default_factory=dict)
    """Likewise: what holds before a request is known."""
    rate: Mapping[str, Any] = field(default_factory=dict)
    """Likewise."""
    path: str | None = None
    workers: int = 1
    audit: str | None = None
    """The file that has a line for each request, "-" for stderr; None: there is none."""
    audit_as_json: bool = False

    @property
    def file(self) -> str | None:
        """The file that is read again when its operator says so; None: there is none."""
        return self.path or self.access.key_file

    def open_audit(self) -> AuditLog | None:
        """The audit of one process, which closes it. Raises ConfigurationError."""
        if self.audit is None:
            return None
        to = sys.stderr if self.audit == "-" else self.audit
        return AuditLog(to, as_json=self.audit_as_json)

    hosted_tools: tuple[str, ...] = ()
    """Beside those of the file."""
    kept: Mapping[str, Any] = field(default_factory=dict)
    """Of what is kept of conversations; stronger than the file's, too."""

    def read(self) -> str:
        """The file's text, "" where there is none. Raises ConfigFileError."""
        if self.path is None:
            return ""
        from llmstream.gateway.config_file import read_text

        return read_text(self.path)

    def settings(self, text: str) -> ServerSettings:
        """The settings of the command line and of a file with this text. Raises ConfigurationError or ValueError."""
        if self.path is None:
            access = self.access.access()
            return self._settings(self.models, access, self.limits, self.http, self.rate)
        # Servers without a file start without its parser.
        from llmstream.gateway.config_file import parse_config

        config = parse_config(text, self.path, self.workers)
        limits = {**config.limits, **self.limits}
        http, rate = {**config.http, **self.http}, {**config.rate, **self.rate}
        keys = config.keys
        access = self.access.access(keys.ring, keys.limits, keys.metrics)
        settings = self._settings(FileModels(config), access, limits, http, rate)
        tools = (*config.hosted_tools, *self.hosted_tools)
        kept = kept_limits(**{**config.kept, **self.kept})
        return replace(settings, hosted_tools=tools, kept=kept)

    def _settings(
        self,
        models: ServedModels,
        access: Access,
        limits: Mapping[str, Any],
        http: Mapping[str, Any],
        rate: Mapping[str, Any],
    ) -> ServerSettings:
        limited = present(**rate)
        common = Rate(**limited) if limited else None
        bounds = Bounds(**http)
        return ServerSettings(
            models,
            access,
            Limits(**limits),
            bounds,
            common,
            models.rates(),
            self.hosted_tools,
            kept_limits(**self.kept),
        )


def parse_aliases(texts: list[str], allowed: list[str]) -> tuple[tuple[str, str], ...]:
    """The pairs that `--alias NAME=MODEL` means. Raises ValueError, also for an alias that `--allow-model` holds."""
    for text in allowed:
        name, equals, _ = text.partition("=")
        problem = (
            f"--allow-model takes the name of a model, not {text!r}: "
            f"for a name of your own write --alias {text}"
        )
        require(not equals or ":" in name, problem)
    aliases: dict[str, str] = {}
    for text in texts:
        name, equals, model = (part.strip() for part in text.partition("="))
        problem = f"--alias takes NAME=MODEL, such as fast=openai:gpt-5-mini, not {text!r}"
        require(name and model, problem)  # without "=" there is no model
        problem = f"--alias {text}: {name} is the name of another model already"
        require(name not in {*aliases, *allowed}, problem)
        aliases[name] = model
    return tuple(aliases.items())
