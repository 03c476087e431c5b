"""Facts about models: how much they take, what they can, what they cost.

They come from what you register here, then from the list of genai-prices (extra `pricing`), then from what the tables
of this library say of a vendor's models. What nobody told stays unknown: None, which isn't "no".
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from itertools import chain
from typing import TYPE_CHECKING

from llmstream.checks import require
from llmstream.messages import File, ImagePart, ToolResult
from llmstream.pricing import ListedPrices, is_installed, listed_prices, read_ahead, read_list
from llmstream.providers.provider import Provider, ProviderTraits, traits_of
from llmstream.providers.registry import address_of, parse_model
from llmstream.wire.efforts import words_of
from llmstream.wire.part_rules import kind_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from llmstream.messages import ChatRequest, Part, Usage
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
    if name is None:
        return None
    return _told_over(_facts(provider, address_of(provider), [name]), _tables(name))


def facts_of(provider: Provider, model: str) -> ModelFacts | None:
    """The facts about a model of this provider; None if nothing is known. As `lookup` for the rest."""
    told = _facts(provider.name, _listed_address(provider), [model])
    return _told_over(told, _tables(model, traits_of(provider)))


async def list_read() -> None:
    """Wait until the list is read, beside the loop: that takes half a second. At once where there is none."""
    if is_installed() and not read_list.cache_info().currsize:
        await asyncio.to_thread(read_list)


def doubts(provider: Provider, model: str, request: ChatRequest) -> tuple[str, ...]:
    """What of a request the model doesn't take, by what was registered of it: a warning for each.

    The request is sent all the same, since the facts may be old.
    """
    facts = _registered.get((provider.name, model))
    if facts is None:
        return ()
    told = f"as registered in llmstream.catalogue, {model}"
    return tuple(
        f"{name}: {told} takes {what}; sent all the same" for name, what in _lacks(facts, request)
    )


def inputs_of(parts: Iterable[Part]) -> frozenset[str]:
    """The inputs beside text that these parts are, by the names of `ModelFacts.inputs`. A text file is text."""
    return frozenset(filter(None, map(_input, _media(parts))))


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


def _told_over(told: ModelFacts | None, tables: ModelFacts) -> ModelFacts | None:
    """What was told, and what the tables say where nobody told; None for nothing at all."""
    known = tables if told is None else told.over(tables)
    return None if known == ModelFacts() else known


_OLD_CLAUDE = re.compile(r"claude-?(instant|[12]|3)")
"""Some of these reason and some don't, and the table of efforts has none of them."""


def _tables(model: str, traits: ProviderTraits | None = None) -> ModelFacts:
    """The facts that the tables of efforts and of vendors have."""
    words = None if _OLD_CLAUDE.search(model) else words_of(model)
    reasoning = None if words is None else bool(words)
    if traits is None or traits.format is None:
        return ModelFacts(reasoning=reasoning)
    is_native = traits.schema_support(model).native
    # Of a server that anybody runs, or of a gateway, the lack is unknown.
    schemas = is_native if is_native or traits.is_vendor else None
    return ModelFacts(reasoning=reasoning, schemas=schemas)


def _lacks(facts: ModelFacts, request: ChatRequest) -> Iterator[tuple[str, str]]:
    """What of a request a model doesn't take, each by its name, with the words for it."""
    parts = (part for message in request.messages for part in message.parts)
    known = INPUTS if facts.inputs is None else facts.inputs
    yield from ((name, f"no {name} input") for name in sorted(inputs_of(parts) - known))
    for option, fact, words in _ABILITIES:
        asked = getattr(request, option)
        if getattr(facts, fact) is False and asked and asked not in _NO_EFFORT:
            yield option, words
    most = facts.max_output
    if most is not None and (request.max_tokens or 0) > most:
        yield "max_tokens", f"at most {most}"


_ABILITIES = (
    ("tools", "tools", "no tools"),
    ("response_format", "schemas", "no schema"),
    ("reasoning_effort", "reasoning", "no effort, for it doesn't reason"),
)
"""Options, the facts that they need, and what is said where a fact is False."""
_NO_EFFORT = ("none", "default")


def _media(parts: Iterable[Part]) -> Iterator[ImagePart | File]:
    """The images and files among the parts, those of tools' results too."""
    own = [*parts]
    results = (part.content for part in own if isinstance(part, ToolResult))
    # A result is text or JSON otherwise, in which nothing is a part.
    shown = chain.from_iterable(content for content in results if isinstance(content, list))
    return (part for part in chain(own, shown) if isinstance(part, (ImagePart, File)))


_INPUTS_OF_KINDS = {"pdf": "file", "document": "file", "text": None, None: "file"}


def _input(part: ImagePart | File) -> str | None:
    kind = kind_of(part)
    return _INPUTS_OF_KINDS.get(kind, kind)


def _told(listed: ListedPrices) -> ModelFacts:
    return ModelFacts(context=listed.context, prices=listed)
