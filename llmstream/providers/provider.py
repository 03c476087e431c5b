"""Provider: makes one attempt at an answer, in the way that the client wants.

A provider makes exactly one attempt, and yields ERROR instead of raising. Retries, fallbacks and the `total` clock
belong to the client. Third parties implement `Provider`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Hashable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from llmstream.clock import Clock, LoopClock
from llmstream.events.types import StreamEvent
from llmstream.messages import ChatRequest
from llmstream.providers.timeouts import DEFAULT_TIMEOUTS, Timeouts

MAX_ANSWER: ContextVar[int | None] = ContextVar("llmstream.max_answer", default=None)
"""Bytes of a provider's answer, decompressed, after which it ends in an ERROR. Servers set it for what they answer."""


@dataclass(slots=True)
class Call:
    """How one attempt is to be made."""

    timeouts: Timeouts = DEFAULT_TIMEOUTS
    """Every clock is set: those that a caller didn't name have the client's value, or the default."""
    deadline: float | None = None
    """When `timeouts.total` ends, on `clock`; moves on while the consumer holds an event."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    include_raw: bool = False
    strict: bool = False
    clock: Clock = field(default_factory=LoopClock)

    def __post_init__(self) -> None:
        self.timeouts = self.timeouts.resolved()

    def exclude(self, seconds: float) -> None:
        """Exclude the time the consumer spent on an event."""
        if self.deadline is not None:
            self.deadline += seconds


@dataclass(frozen=True, slots=True)
class SchemaSupport:
    """How a model can be held to a JSON schema. `llmstream.structured` asks in the strictest of these ways.

    None of them: in words alone, which any model reads.
    """

    native: bool = False
    """`response_format` takes a schema."""
    closed_only: bool = False
    """… but no other than one whose objects are all closed, and that does not contain itself."""
    forced_call: bool = False
    """A tool call can be required."""
    forced_reasoning: bool = True
    """… also of a model that reasons first."""
    reasons_unasked: bool = False
    """The model reasons unless it is told not to."""
    json_object: bool = False
    """`response_format` can ask for JSON of any shape."""


@dataclass(frozen=True, kw_only=True)
class ProviderTraits:
    """The traits of a provider that the client asks for. Each has a default that is safe.

    Set `traits = ProviderTraits(default_model="…")` on a provider. Where an answer depends on the model, subclass it
    and override `takes_prefill` or `schema_support`. It must not refer to the provider, or dropping a client would
    leave its connections to the garbage collector.
    """

    default_model: str | None = None
    """The model that is asked when nobody names one."""
    format: str | None = None
    """The wire format that it speaks, by its name in `wire.FORMATS`. None: it speaks none."""
    budget_key: Hashable | None = None
    """Providers with the same endpoint and key share this value, their retry budget and their pauses after a 429.
    None: the provider has its own."""
    address: str | None = None
    """The base URL of its API, by which lists of prices know it. None: no list does, as on this machine."""
    keeps_deadline: bool = False
    """Whether a stream ends by itself at `call.deadline`. Otherwise the client ends it."""
    is_vendor: bool = False
    """Whether the vendor itself answers, so that a `name:model` with an unknown name is a misspelt provider."""
    prefill: bool = False
    """Whether every model goes on from an assistant message at the end of the request."""
    schemas: SchemaSupport = SchemaSupport()
    """How every model can be held to a JSON schema."""
    sdk_client: Callable[[], Any] | None = None
    """Returns the vendor SDK's async client for the running loop, for `LLMClient.get_client()`."""

    def takes_prefill(self, request: ChatRequest) -> bool:
        """Whether the model of this request goes on from an assistant message at its end."""
        return self.prefill

    def schema_support(self, model: str) -> SchemaSupport:
        """How this model can be held to a JSON schema."""
        return self.schemas


class Provider(Protocol):
    """Where to send a request, and as whom.

    Contract: `stream` makes one attempt. It yields events and ends with MESSAGE_COMPLETE or ERROR; it raises only for
    wrong arguments, before any network. Closing the generator closes the connection. Streams may run side by side, so
    nothing about one is kept on `self`. When a refusal taught it to ask otherwise, it yields ERROR with the code
    `llmstream.errors.ADAPTED`, and is asked again at once.

    It may have `traits`, a ProviderTraits, as a class attribute or a property; without them the defaults hold.
    """

    name: str

    def stream(self, request: ChatRequest, call: Call) -> AsyncGenerator[StreamEvent, None]:
        """One attempt."""
        ...

    async def aclose(self) -> None:
        """Release connections. Streams still open end in an ERROR."""


@runtime_checkable
class CountsTokens(Protocol):
    """A provider that can count a prompt before it is sent."""

    async def count_tokens(self, request: ChatRequest, call: Call) -> int | None:
        """The tokens of the prompt, in the provider's own count; None: it has none just now.

        Raises only for wrong arguments, before any network.
        """
        ...


_DEFAULT_TRAITS = ProviderTraits()


def traits_of(provider: Provider) -> ProviderTraits:
    """The provider's traits, or the defaults where it has none. Raises TypeError for traits of another type."""
    traits = getattr(provider, "traits", _DEFAULT_TRAITS)
    if not isinstance(traits, ProviderTraits):
        raise TypeError(
            f"{type(provider).__name__}.traits must be ProviderTraits(…), not {traits!r}"
        )
    return traits
