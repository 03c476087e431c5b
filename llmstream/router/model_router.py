"""ModelRouter: one of several models for each call, by what it can do, costs, and how fast it is."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Hashable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from math import inf, isfinite
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias, Unpack, cast

from llmstream.catalogue import ModelFacts, facts_of, list_read, lookup
from llmstream.checks import require
from llmstream.client import LLMClient
from llmstream.client_arguments import CallOptions
from llmstream.errors import ConfigurationError
from llmstream.events.any_event import narrow
from llmstream.events.types import EventType, Status, StreamEvent
from llmstream.messages import Message, Usage
from llmstream.providers import registry
from llmstream.providers.secrets import hide_headers
from llmstream.router.requirements import Needs, needs_of

if TYPE_CHECKING:
    from llmstream.pricing import Pricing


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model that may be chosen. What isn't said of it here is taken from `llmstream.catalogue`, as far as it's known.

    Of an ability that nobody knows, tools and schemas are taken for granted, images and files aren't.
    """

    model: str
    """`"provider:model"`. A bare name means what it means to `LLMClient(…)`, not a model of whom the client asks."""
    cost: float | None = None
    """In one unit for all, such as dollars for a million tokens. None: not known, so chosen last by cost. If no
    candidate has one, the catalogue's dollars for a million tokens count, three of four of them the prompt's."""
    speed: float | None = None
    """In one unit for all, such as tokens a second. None: not known, so chosen last by speed."""
    tools: bool | None = None
    images: bool | None = None
    files: bool | None = None
    schemas: bool | None = None
    """Takes `response_format`."""
    context: int | None = None
    """Tokens of prompt and answer together. Not known: enough for all."""

    def __post_init__(self) -> None:
        for name in ("cost", "speed"):
            value = getattr(self, name)
            require(
                value is None or (isfinite(value) and value >= 0),
                f"{name} of {self.model} must be a number from 0 on, or None, not {value!r}",
            )
        require(
            self.context is None or self.context >= 1,
            f"context of {self.model} must be tokens, or None, not {self.context!r}",
        )

    def suits(self, needs: Needs) -> bool:
        """Whether it takes what the call has. Its context is not looked at."""
        return all(map(self._can, needs.names()))

    def holds(self, tokens: int) -> bool:
        """Whether its context has room for so many."""
        return self.context is None or tokens <= self.context

    def _can(self, ability: str) -> bool:
        told = getattr(self, ability)
        return ability in _GRANTED if told is None else told

    def over(self, facts: ModelFacts | None) -> Candidate:
        """What is said here, and the facts where nothing is said, but for the cost."""
        if facts is None:
            return self
        inputs = facts.inputs
        known: dict[str, Any] = {
            "tools": facts.tools,
            "images": None if inputs is None else "image" in inputs,
            "files": None if inputs is None else "file" in inputs,
            "schemas": facts.schemas,
            "context": facts.context,
        }
        return replace(
            self, **{name: fact for name, fact in known.items() if getattr(self, name) is None}
        )


_GRANTED = ("tools", "schemas")
"""Abilities that a model is taken to have where nobody knows."""
_SAMPLE = Usage(750, 250)
"""Tokens by which models are compared: short enough for the first tier of every price."""


class _KnownCandidate(NamedTuple):
    given: Candidate
    candidate: Candidate
    """The same, with the catalogue's facts."""


Prefer: TypeAlias = Literal["cost", "speed"] | Callable[[Candidate], float]
"""What decides among the models that suit; a function gives a number, and the lowest wins."""

_RANKS: dict[str, Callable[[Candidate], float]] = {
    "cost": lambda candidate: inf if candidate.cost is None else candidate.cost,
    "speed": lambda candidate: inf if candidate.speed is None else -candidate.speed,
}


class ModelRouter:
    """Asks one of `candidates` through `client`: the best that suits the call; the others that suit are its fallbacks.

    `prefer` says what is best: the lowest "cost", the highest "speed", or a function of the candidate, which has the
    catalogue's facts then; the order given decides among equals. Suitable is what takes the call's tools, images, files
    and schema, and has room for its tokens, by estimate; where no model has, the roomiest is tried. Calls of one
    `conversation` stay with the model that answered before, as long as it suits (prompt caches, tone); the last
    `remember` conversations are known.

    The client stays the caller's to close. Raises TypeError, ValueError or ConfigurationError for what can't be.
    """

    def __init__(
        self,
        client: LLMClient,
        candidates: Sequence[Candidate],
        *,
        prefer: Prefer = "cost",
        remember: int = 10_000,
    ) -> None:
        require(
            isinstance(candidates, Sequence)
            and all(isinstance(each, Candidate) for each in candidates),
            f'candidates must be a list such as [Candidate("openai:gpt-5-mini")], not {candidates!r}',
            TypeError,
        )
        self._targets = {
            registry.parse_model(candidate.model): candidate for candidate in candidates
        }
        require(
            len(self._targets) >= max(1, len(candidates)),
            "candidates must name one model or more, each once",
            ConfigurationError,
        )
        require(remember >= 1, f"remember must be 1 or more conversations, not {remember!r}")
        self._client = client
        self._prefer = _parse_prefer(prefer)
        self._remember = remember
        self._answered: OrderedDict[Hashable, Candidate] = OrderedDict()

    def choose(
        self,
        messages: Sequence[Message | Mapping[str, Any]],
        *,
        conversation: Hashable | None = None,
        prefer: Prefer | None = None,
        **options: Unpack[CallOptions],
    ) -> list[Candidate]:
        """The models that suit a call, best first. Raises ConfigurationError if none does."""
        needs = needs_of(messages, options)
        suitable = [known for known in self._known() if known.candidate.suits(needs)]
        require(
            suitable,
            f"no candidate takes {' and '.join(needs.names())}: add one that does",
            ConfigurationError,
        )
        roomy = [known for known in suitable if known.candidate.holds(needs.tokens)]
        roomy = roomy or _roomiest(suitable)
        rank = self._prefer if prefer is None else _parse_prefer(prefer)
        roomy.sort(key=lambda known: rank(known.candidate))
        last = self._answered.get(conversation)
        return sorted((known.given for known in roomy), key=lambda given: given is not last)

    @narrow
    async def chat_completion(
        self,
        messages: Sequence[Message | Mapping[str, Any]],
        *,
        conversation: Hashable | None = None,
        prefer: Prefer | None = None,
        **options: Unpack[CallOptions],
    ) -> AsyncGenerator[StreamEvent, None]:
        """The client's stream from the best model, after STATUS(kind="routed").

        Takes `chat_completion`'s options but for `model` and `fallbacks`, and always streams. The status's `data` has
        `model`, the `fallbacks`, and `sticky`: whether the conversation decided. `conversation` is any hashable value,
        such as its id. Raises as `LLMClient.chat_completion` does, and ConfigurationError if no model suits, before any
        network.
        """
        own = options.keys() & {"model", "fallbacks", "stream"}
        require(not own, f"{', '.join(sorted(own))}: chosen here; leave it out", TypeError)
        if "headers" in options:  # a traceback may show the locals of a frame that raises
            options["headers"] = hide_headers(options["headers"])
        await list_read()
        best, *others = self.choose(messages, conversation=conversation, prefer=prefer, **options)
        fallbacks = [candidate.model for candidate in others]
        sticky = conversation is not None and self._answered.get(conversation) is best
        data = {"model": best.model, "fallbacks": fallbacks, "sticky": sticky}
        yield StreamEvent(EventType.STATUS, status=Status("routed", f"asking {best.model}", data))
        asked: Candidate | None = best
        options["model"], options["fallbacks"] = _whole_name(best.model), fallbacks
        given = cast("dict[str, Any]", options)
        async with aclosing(self._client.chat_completion(messages, **given)) as events:
            async for event in events:
                if event.retry is not None:
                    asked = self._find(event.retry.provider, event.retry.model)
                elif (
                    event.type is EventType.MESSAGE_START
                    and conversation is not None
                    and asked is not None
                ):
                    self._stick(conversation, asked)
                yield event

    def _known(self) -> list[_KnownCandidate]:
        """The candidates, with what the catalogue knows of them."""
        has_costs = any(given.cost is not None for given in self._targets.values())
        return [
            self._with_facts(given, provider, model, has_costs=has_costs)
            for (provider, model), given in self._targets.items()
        ]

    def _with_facts(
        self, given: Candidate, provider: str, model: str | None, *, has_costs: bool
    ) -> _KnownCandidate:
        own = self._client.target(None)
        is_own = provider == own.provider.name  # it may have an address of its own
        facts = facts_of(own.provider, model or own.model) if is_own else lookup(given.model)
        known = given.over(facts)
        prices = None if facts is None else facts.prices
        if not has_costs and prices is not None:
            known = replace(known, cost=_dollars_per_million(prices))
        return _KnownCandidate(given, known)

    def _find(self, provider: str | None, model: str | None) -> Candidate | None:
        """The candidate that a RETRY names."""
        return self._targets.get((provider or "", model)) or self._targets.get(
            (provider or "", None)
        )

    def _stick(self, conversation: Hashable, candidate: Candidate) -> None:
        self._answered[conversation] = candidate
        self._answered.move_to_end(conversation)
        if len(self._answered) > self._remember:
            self._answered.popitem(last=False)


def _whole_name(model: str) -> str:
    """With the provider: a call takes a bare name for one of the client's own, though as a fallback it is not."""
    provider, own = registry.parse_model(model)
    return f"{provider}:{own}" if own else provider


def _roomiest(known: Sequence[_KnownCandidate]) -> list[_KnownCandidate]:
    room = max(each.candidate.context or 0 for each in known)
    return [each for each in known if each.candidate.context == room]


def _dollars_per_million(prices: Pricing) -> float | None:
    cost = prices.cost(_SAMPLE)
    return None if cost is None else float(cost) * 1_000


def _parse_prefer(prefer: Prefer) -> Callable[[Candidate], float]:
    if callable(prefer):
        return prefer
    require(
        prefer in _RANKS,
        f"prefer must be {' or '.join(_RANKS)}, or a function of a Candidate, not {prefer!r}",
    )
    return _RANKS[prefer]
