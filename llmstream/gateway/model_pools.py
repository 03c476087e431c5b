"""Models with several endpoints: asked in turn, and passed over while they are paused."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Final

from llmstream.checks import require_value
from llmstream.client import LLMClient
from llmstream.errors import ConfigurationError
from llmstream.fallback import DEFAULT_FALLBACK_ON, Fallback
from llmstream.limits import Limiter
from llmstream.providers.provider import Provider
from llmstream.targets import Target, account

_SHOWN: Final = 8
"""Names that a client's repr has."""


class ModelPool:
    """The endpoints of one model, each with its own key or address, and the pools that answer when all fail."""

    def __init__(self, model: str, providers: Sequence[Provider]) -> None:
        self.targets = [Target(provider, model, self) for provider in providers]
        self.fallbacks: Sequence[ModelPool] = ()
        self._turn = 0

    def fall_back_also_on(self, causes: Iterable[str]) -> None:
        """Ask the fallbacks after these failures, too."""
        also = DEFAULT_FALLBACK_ON.union(causes)
        self.targets = [target._replace(fallback_on=also) for target in self.targets]

    def in_turn(self, is_paused: Callable[[Target], bool]) -> list[Target]:
        """All of them: those that can be asked now before the others, and each call begins with another."""
        count = len(self.targets)
        rotated = [(self._turn + step) % count for step in range(count)]
        order = sorted(rotated, key=lambda index: is_paused(self.targets[index]))
        # After the one that is asked, so that those beside a paused one have equal parts.
        self._turn = (order[0] + 1) % count
        return [self.targets[index] for index in order]


class PooledClient(LLMClient):
    """A client that asks `pools` alone, by their names. The first answers calls that name no model."""

    def __init__(self, pools: Mapping[str, ModelPool], *, limiter: Limiter | None = None) -> None:
        self._pools = pools
        first = self._pool(None).targets[0]
        super().__init__(first.model, provider=first.provider, limiter=limiter)

    def __repr__(self) -> str:
        shown = ", ".join(islice(self._pools, _SHOWN))
        more = f" and {len(self._pools) - _SHOWN} more" if len(self._pools) > _SHOWN else ""
        return f"PooledClient({shown}{more})"

    def target(self, model: str | None) -> Target:
        """The first endpoint of a pool. Raises ConfigurationError for a name that isn't a pool's."""
        return self._pool(model).targets[0]

    def targets(
        self, model: str | None, fallbacks: Sequence[str | Fallback | Provider] | None = None
    ) -> Sequence[Target]:
        """The endpoints of the pool in turn, then those of its fallbacks, or those given with the call."""
        pool = self._pool(model)
        own = pool.in_turn(self._is_paused)
        if fallbacks is not None:
            return (*own, *self._providers.fallbacks(fallbacks))
        others = [target for other in pool.fallbacks for target in other.in_turn(self._is_paused)]
        return (*own, *others)

    async def aclose(self) -> None:
        """Close the connections of this event loop, and end the streams that still run."""
        await super().aclose()
        pooled = [target.provider for pool in self._pools.values() for target in pool.targets]
        for provider in {id(provider): provider for provider in pooled}.values():
            await provider.aclose()

    def _pool(self, name: str | None) -> ModelPool:
        if name is None:
            return next(iter(self._pools.values()))
        problem = f"there is no model {name!r}: {', '.join(self._pools)}"
        return require_value(self._pools.get(name), problem, ConfigurationError)

    def _is_paused(self, target: Target) -> bool:
        now = self.clock.time
        endpoint = self._limiter.endpoint(account(target.provider), now)
        return endpoint.paused(now(), target.model)
