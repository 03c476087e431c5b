"""Prices of models, and what an answer costs by them.

The list is that of genai-prices (extra `pricing`), which several projects keep: https://github.com/pydantic/genai-prices.
Without the package no price is known but those that a user registered in `llmstream.catalogue`.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Protocol

from llmstream.checks import require

if TYPE_CHECKING:
    from llmstream.messages import Usage

_MILLION = 1_000_000
_PACKAGE = "genai_prices"


class Pricing(Protocol):
    """The prices of a model's tokens."""

    def cost(self, usage: Usage) -> Decimal | None:
        """US dollars for one attempt; None where its tokens weren't reported."""


@dataclass(frozen=True, slots=True)
class Prices:
    """US dollars for a million tokens: `Prices("1.25", "10")`. Give text or Decimal, which are exact.

    Raises ValueError for what isn't a number from 0 on.
    """

    input: Decimal | str | float
    output: Decimal | str | float
    """Of the answer, reasoning included."""
    cache_read: Decimal | str | float | None = None
    """Of the part of the prompt that came from a cache. None: as the rest."""
    cache_write: Decimal | str | float | None = None
    """Of the part that went into one. None: as the rest."""
    input_by_modality: Mapping[str, Decimal | str | float] = field(default_factory=dict)
    """Of the part of the prompt that is no text and that no cache had: `{"audio": "1"}`. Others cost as the rest."""
    output_by_modality: Mapping[str, Decimal | str | float] = field(default_factory=dict)
    """Of the part of the answer that is no text: `{"image": "30"}`."""

    def __post_init__(self) -> None:
        for name in ("input", "output", "cache_read", "cache_write"):
            given = getattr(self, name)
            if given is not None:
                _dollars(given, name)
        for name in ("input_by_modality", "output_by_modality"):
            for modality, given in getattr(self, name).items():
                _dollars(given, f"{name}[{modality!r}]")

    def cost(self, usage: Usage) -> Decimal | None:
        """US dollars for one attempt; None where its tokens weren't reported."""
        if usage.input_tokens is None or usage.output_tokens is None:
            return None
        read = usage.cache_read_tokens or 0
        written = usage.cache_write_tokens or 0
        plain = max(0, usage.input_tokens - read - written)
        fresh = {
            name: max(0, count - usage.cache_read_by_modality.get(name, 0))
            for name, count in usage.input_by_modality.items()
        }
        cost = _by_modality(plain, fresh, self.input, self.input_by_modality)
        cost += _by_modality(
            usage.output_tokens, usage.output_by_modality, self.output, self.output_by_modality
        )
        cost += read * _dollars(self.input if self.cache_read is None else self.cache_read)
        cost += written * _dollars(self.input if self.cache_write is None else self.cache_write)
        return cost / _MILLION


def _by_modality(
    tokens: int,
    counts: Mapping[str, int],
    price: Decimal | str | float,
    prices: Mapping[str, Decimal | str | float],
) -> Decimal:
    """What these tokens cost, of which some have a price of their own."""
    cost, rest = Decimal(0), tokens
    for modality, own in prices.items():
        count = min(rest, counts.get(modality, 0))
        cost += count * _dollars(own)
        rest -= count
    return cost + rest * _dollars(price)


def _dollars(given: object, name: str = "a price") -> Decimal:
    try:
        dollars = Decimal(str(given))
    except InvalidOperation:
        dollars = Decimal(-1)
    is_price = dollars.is_finite() and dollars >= 0
    require(is_price, f"{name} must be US dollars for a million tokens, not {given!r}")
    return dollars


_LISTED = ("image", "audio", "video")
"""Modalities that have prices of their own in the list."""


def _listed_counts(usage: Usage) -> dict[str, int]:
    """The tokens of other things than text, under the list's names."""
    forms = {
        "input_{}_tokens": usage.input_by_modality,
        "output_{}_tokens": usage.output_by_modality,
        "cache_{}_read_tokens": usage.cache_read_by_modality,
    }
    return {
        form.format(name): counts[name]
        for form, counts in forms.items()
        for name in _LISTED
        if name in counts
    }


@dataclass(frozen=True, slots=True, repr=False)
class ListedPrices:
    """A model of the list: with its tiers by length of prompt, and its prices by time of day."""

    provider: Any
    """The list's own records."""
    model: Any

    def __repr__(self) -> str:
        return f"ListedPrices({self.provider.id}:{self.model.id})"

    @property
    def context(self) -> int | None:
        """The tokens that the model takes; None where the list doesn't say."""
        window: int | None = self.model.context_window
        return window

    def cost(self, usage: Usage) -> Decimal | None:
        """US dollars for one attempt that has just ended; None where its tokens weren't reported."""
        from genai_prices import Usage as Counted

        if usage.input_tokens is None or usage.output_tokens is None:
            return None
        counted = Counted(
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cache_read_tokens=usage.cache_read_tokens,
            cache_write_tokens=usage.cache_write_tokens,
            **_listed_counts(usage),
        )
        try:
            price = self.model.calc_price(counted, self.provider)
        except (ValueError, LookupError):  # counts that don't add up: more cached than read
            return None
        prices = price.model_price
        if prices.input_mtok is None or prices.output_mtok is None:  # by the minute, or the picture
            return None
        total: Decimal = price.total_price
        return total


def listed_prices(address: str, model: str) -> ListedPrices | None:
    """The listed prices of a model at the API with this base URL; None if the list doesn't have them."""
    listing = read_list()
    if listing is None:
        return None
    try:
        provider, found = listing.find_provider_model(model, None, None, address)
    except LookupError:
        return None
    return ListedPrices(provider, found)


def read_ahead() -> None:
    """Read the list in a thread, if it's installed: that takes half a second, which no event loop has."""
    if _PACKAGE not in sys.modules and is_installed():
        threading.Thread(target=read_list, name="llmstream-prices", daemon=True).start()


@cache
def is_installed() -> bool:
    """Whether there is a list."""
    return find_spec(_PACKAGE) is not None


@cache
def read_list() -> Any:
    """The list; None where it isn't installed. The first call takes half a second."""
    try:
        from genai_prices.data_snapshot import get_snapshot
    except ImportError:
        return None
    return get_snapshot()
