"""Dialect: reads a request, writes its answer, and reports errors, all in one client's own words.

A dialect is pure: values in, bytes or JSON values out. The app that mounts it does the reading, waiting and sending.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from llmstream.errors import ErrorInfo
from llmstream.events.types import StreamEvent
from llmstream.messages import ChatRequest
from llmstream.wire.outbound import Encoder


@dataclass(slots=True)
class Ask:
    """A request of a dialect's client, as read."""

    request: ChatRequest
    """Read and checked once, here; the client takes it as it is."""
    model: str | None
    """The name that the client gave; None: it gave none."""
    stream: bool
    reply: Any = None
    """Whatever the dialect needs in order to answer (ids …)."""
    warnings: tuple[str, ...] = ()
    """Parts of the request that aren't handed on to a provider. Under `strict` it is refused for them."""
    notes: tuple[str, ...] = ()
    """Further notes for the answer's head. They are no reason to refuse the request."""
    dialect: Dialect | None = None
    """Who answers, where several dialects share a path; None: the one that read the request."""
    ready: Any = None
    """The whole answer, where no model has to be asked for one; None: a model is asked."""


def paths_of(dialect: Dialect) -> tuple[str, ...]:
    """All paths at which its clients post."""
    return (dialect.path, *dialect.aliases)


def api_of(dialect: Dialect) -> str:
    """The name of its API in audits and metrics: its format's, or else made of its path."""
    return dialect.format or dialect.path.strip("/").replace("/", "-")


class Answer(Encoder, Protocol):
    """The encoder of one answer, which knows when it is over."""

    @property
    def ended(self) -> bool:
        """Nothing that follows will be sent, so the model may stop: an end came, or what can't be taken back."""
        ...


class Dialect(Protocol):
    """One kind of client: where it posts, what it says, and what it understands."""

    format: str | None
    """The wire format that its requests and answers are of; None: a format of its own."""
    path: str
    """Where its clients post, from the root: "/v1/chat/completions". `{model}` stands for a model's name."""
    aliases: tuple[str, ...]
    """Further paths of the same."""
    content_type: str
    """Of the streamed answer."""
    headers: Mapping[str, str]
    """Of the streamed answer."""
    keep_alive: bytes
    """A heartbeat between two frames that this dialect's clients ignore."""

    def parse(self, body: Any) -> Ask:
        """Read a request's JSON body. Raises ValueError or TypeError that name the place."""
        ...

    def encoder(self, ask: Ask) -> Answer:
        """The encoder of one streamed answer.

        It takes the client's events as they come. ERROR is the exception: like `error`, the encoder shows its
        `error_info.message` to a stranger, so what it is fed must already be fit for one. A failure becomes an error
        in the dialect's words even where only a cut would say it upstream, so the body may end cleanly after it.
        """
        ...

    def document(self, ask: Ask, event: StreamEvent) -> Any:
        """The whole answer (a MESSAGE_COMPLETE) as one JSON document.

        Raises TypeError in a dialect that knows streams only; its `parse` never asks for anything else.
        """
        ...

    def error(self, info: ErrorInfo, request_id: str) -> Any:
        """The body of an HTTP error; `info.message` is already fit for strangers."""
        ...
