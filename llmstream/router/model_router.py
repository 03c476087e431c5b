"""ModelRouter: one of several models for each call, by what it can do, costs, and how fast it is."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Hashable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from math import inf, isfinite
from typing import Any, Literal, TypeAlias, Unpack, cast

from llmstream.checks import require
from llmstream.client import LLMClient
from llmstream.client_arguments import CallOptions
from llmstream.errors import ConfigurationError
from llmstream.events.any_event import narrow
from llmstream.events.types import EventType, Status, StreamEvent
from llmstream.messages import Message
from llmstream.providers import registry
from llmstream.providers.secrets import hide_headers
from llmstream.router.requirements import Needs, needs_of


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model that may be chosen. What it can do and costs is yours to say: no price list is built in."""

    model: str
    """`"provider:model"`. A bare name means what it means to `LLMClient(…)`, not a model of whom the client asks."""
    cost: float | None = None
    """In one unit for all, such as dollars for a million tokens. None: not known, so chosen last by cost."""
    speed: float | None = None
    """In one unit for all, such as tokens a second. None: not known, so chosen last by speed."""
    tools: bool = True
    images: bool = False
    files: bool = False
    schemas: bool = True
    """Takes `response_format`."""
    context: int | None = None
    """Tokens of prompt and answer together. None: enough for all."""

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
        return all(getattr(self, name) for name in needs.names())

    def holds(self, tokens: int) -> bool:
        """Whether its context has room for so many."""
        return self.context is None or tokens <= self.context


Prefer: TypeAlias = Literal["cost", "speed"] | Callable[[Candidate], float]
"""What decides among the models that suit; a function gives a number, and the lowest wins."""

_RANKS: dict[str, Callable[[Candidate], float]] = {
    "cost": lambda candidate: inf if candidate.cost is None else candidate.cost,
    "speed": lambda candidate: inf if candidate.speed is None else -candidate.speed,
}


class ModelRouter:
    """Asks one of `candidates` through `client`: the best that suits the call; the others that suit are its fallbacks.

    `prefer` says what is best: the lowest "cost", the highest "speed", or a function; the order given decides among
    equals. Suitable is what takes the call's tools, images, files and schema, and has room for its tokens, by estimate;
    where no model has, the roomiest is tried. Calls of one `conversation` stay with the model that answered before, as
    long as it suits (prompt caches, tone); the last `remember` conversations are known.

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
        suitable = [candidate for candidate in self._targets.values() if candidate.suits(needs)]
        require(
            suitable,
            f"no candidate takes {' and '.join(needs.names())}: add one that does",
            ConfigurationError,
        )
        roomy = [candidate for candidate in suitable if candidate.holds(needs.tokens)] or _roomiest(
            suitable
        )
        roomy.sort(key=self._prefer if prefer is None else _parse_prefer(prefer))
        last = self._answered.get(conversation)
        return sorted(roomy, key=lambda candidate: candidate is not last)

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


def _roomiest(candidates: Sequence[Candidate]) -> list[Candidate]:
    room = max(candidate.context or 0 for candidate in candidates)
    return [candidate for candidate in candidates if candidate.context == room]


def _parse_prefer(prefer: Prefer) -> Callable[[Candidate], float]:
    if callable(prefer):
        return prefer
    require(
        prefer in _RANKS,
        f"prefer must be {' or '.join(_RANKS)}, or a function of a Candidate, not {prefer!r}",
    )
    return _RANKS[prefer]
