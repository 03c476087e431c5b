"""Facts about models: how much they take, what they can, what they cost.

They come from what you register here, then from the list of genai-prices (extra `pricing`). What nobody told stays
unknown: None, which isn't "no".
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from decimal import Decimal
from typing import TYPE_CHECKING

from llmstream.checks import require
from llmstream.pricing import ListedPrices, is_installed, listed_prices, read_ahead
from llmstream.providers.provider import Provider, traits_of
from llmstream.providers.registry import address_of, parse_model

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from llmstream.messages import Usage
    from llmstream.pricing import Pricing

    CostReader = Callable[[str | None, Usage], Decimal | None]

__all__ = ["ModelFacts", "lookup", "register"]

INPUTS = frozenset({"image", "file", "audio", "video"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """The known facts about a model. None: nobody told. Raises ValueError for facts that can't be."""

    context: int | None = None
    """Tokens of prompt and answer together."""
    max_output: int | None = None
    """Tokens of one answer."""
    inputs: frozenset[str] | None = None
    """What it takes beside text: "image", "file", "audio", "video"."""
    tools: bool | None = None
    reasoning: bool | None = None
    schemas: bool | None = None
    """Whether it can be held to a JSON schema."""
    prices: Pricing | None = None
    """`Prices("1.25", "10")`, or an object of yours with its `cost(usage)`."""

    def __post_init__(self) -> None:
        for name in ("context", "max_output"):
            tokens = getattr(self, name)
            require(tokens is None or tokens >= 1, f"{name} must be tokens, not {tokens!r}")
        unknown = sorted((self.inputs or frozenset()) - INPUTS)
        require(not unknown, f"inputs are of {', '.join(sorted(INPUTS))}, not {unknown}")

    def over(self, other: ModelFacts | None) -> ModelFacts:
        """These, and the other's where these say nothing."""
        if other is None:
            return self
        missing = {
            each.name: getattr(other, each.name)
            for each in fields(self)
            if getattr(self, each.name) is None
        }
        return replace(self, **missing)


_registered: dict[tuple[str, str], ModelFacts] = {}


def register(model: str, facts: ModelFacts) -> None:
    """Say what you know of `"provider:model"`. It comes before every list, field by field.

    Raises ValueError for a name without its provider.
    """
    provider, colon, name = model.partition(":")
    require(colon and name, f"name the provider too, such as 'openai:{model}', not {model!r}")
    _registered[provider, name] = facts


def lookup(model: str) -> ModelFacts | None:
    """The facts about `"provider:model"`; None if nothing is known.

    Reads the list at its first use, which takes half a second. Raises ConfigurationError for an unknown provider.
    """
    provider, name = parse_model(model)
    return None if name is None else _facts(provider, address_of(provider), [name])


def facts_of(provider: Provider, model: str) -> ModelFacts | None:
    """The facts about a model of this provider; None if nothing is known. As `lookup` for the rest."""
    return _facts(provider.name, _listed_address(provider), [model])


def is_known_to_reason(provider: Provider, model: str) -> bool:
    """Whether you registered the model as one that reasons. Reads no list: none tells."""
    facts = _registered.get((provider.name, model))
    return facts is not None and facts.reasoning is True


def cost_reader(provider: Provider, asked: str) -> CostReader | None:
    """A function that prices this provider's attempts at a model; None where no price can be known.

    From the first call on the list is read in a thread, so that it's there when an answer ends.
    """
    address = _listed_address(provider)
    if address is not None:
        read_ahead()
    elif not _registered:
        return None

    def cost(answered: str | None, usage: Usage) -> Decimal | None:
        models = [model for model in (asked, answered) if model]
        facts = _facts(provider.name, address, models)
        known = facts.prices if facts is not None else None
        return None if known is None else known.cost(usage)

    return cost


def _listed_address(provider: Provider) -> str | None:
    """Where it is, if a list may know prices there."""
    return traits_of(provider).address if is_installed() else None


def _facts(provider: str, address: str | None, models: Sequence[str]) -> ModelFacts | None:
    """The facts about one model under these names, the last first; a user's word comes before the list."""
    own = [found for model in models if (found := _registered.get((provider, model)))]
    known: ModelFacts | None = None
    for model in models:
        listed = None if address is None else listed_prices(address, model)
        known = known if listed is None else _told(listed).over(known)
    for facts in reversed(own):
        known = facts.over(known)
    return known


def _told(listed: ListedPrices) -> ModelFacts:
    return ModelFacts(context=listed.context, prices=listed)
