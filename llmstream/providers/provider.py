"""What a provider is: who answers one attempt, and how the client wants it made.

A provider makes exactly one attempt, and yields ERROR instead of raising. Retries, fallbacks and the `total` clock
belong to the client. Third parties implement `Provider`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from llmstream.clock import Clock, LoopClock
from llmstream.events.types import StreamEvent
from llmstream.messages import ChatRequest


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds; None means no limit. The clocks run only while we wait for the provider."""

    connect: float | None = 5.0
    first_token: float | None = 300.0
    """From the request to the first piece. Until then no other clock but `connect` and `total` runs."""
    idle: float | None = 120.0
    """Without a single byte."""
    progress: float | None = 300.0
    """With bytes (pings, comments), but nothing for the consumer."""
    total: float | None = None
    """The whole call: all attempts and the waits between them."""

    def __post_init__(self) -> None:
        for name in ("connect", "first_token", "idle", "progress", "total"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"timeouts.{name} must be positive seconds or None, not {value!r}")


@dataclass(slots=True)
class Call:
    """How one attempt is to be made."""

    timeouts: Timeouts = field(default_factory=Timeouts)
    deadline: float | None = None
    """When `timeouts.total` ends, on `clock`; moves on while the consumer holds an event."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    include_raw: bool = False
    strict: bool = False
    clock: Clock = field(default_factory=LoopClock)

    def hold(self, seconds: float) -> None:
        """The consumer held an event for so long: that time does not count."""
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
    json_object: bool = False
    """`response_format` can ask for JSON of any shape."""


class Provider(Protocol):
    """Where to send a request, and as whom.

    Contract: `stream` makes one attempt. It yields events and ends with MESSAGE_COMPLETE or ERROR; it raises only for
    wrong arguments, before any network. Closing the generator closes the connection. Streams may run side by side, so
    nothing about one is kept on `self`. When a refusal taught it to ask otherwise, it yields ERROR with the code
    `llmstream.errors.ADAPTED`, and is asked again at once.

    It may also have: `default_model`, a name; `budget_key`, any hashable value that providers of the same endpoint and
    key share, else each has a retry budget of its own; `takes_prefill(request) -> bool`, whether the model goes on from
    an assistant message at the end; `schema_support(model) -> SchemaSupport`, how a model can be held to a JSON schema,
    else in words alone; `keeps_deadline = True`, when it ends by itself at `call.deadline`.
    """

    name: str

    def stream(self, request: ChatRequest, call: Call) -> AsyncGenerator[StreamEvent, None]:
        """One attempt."""
        ...

    async def aclose(self) -> None:
        """Release connections. Streams still open end in an ERROR."""
