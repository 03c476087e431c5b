"""Limits: what one client, and all of them together, may ask of a server."""

from __future__ import annotations

import math
from collections import Counter
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from llmstream.checks import is_limit, require
from llmstream.errors import ConfigurationError
from llmstream.json_size import MOST_VALUES
from llmstream.messages import ChatRequest, Message, ToolResult
from llmstream.web.errors import RefusedError
from llmstream.web.token_bound import MOST_TOKENS


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds; None is no limit. Beyond them a client hears 413, 429, 503 or 408, and when to try again.

    Raises ConfigurationError for one that nobody could keep.
    """

    max_body: int = 8 * 1024 * 1024
    """Bytes of a request; images travel in it."""
    max_values: int | None = MOST_VALUES
    """Values in the JSON of a request, each name and each number. `llmstream.web.request_body` says why."""
    max_messages: int | None = 1_000
    max_parts: int | None = 5_000
    """Texts, images, calls and results in all messages together. Each takes some 10 µs to read and to hand on."""
    max_tools: int | None = 1_000
    """Vendors take 128; gateways of tools have hundreds."""
    max_answer: int | None = 64 * 1024 * 1024
    """Bytes of an answer, as they come from a provider or go to a client: some models never stop. 128,000 tokens are
    less, also where each comes in a frame of 500 bytes."""
    per_client: int | None = 64
    """Requests that one client has answered at a time: its key's, else its address's, which behind a proxy is the
    proxy's unless it sends X-Forwarded-For and uvicorn may believe it (FORWARDED_ALLOW_IPS)."""
    max_streams: int | None = 2_000
    """Requests that are answered at a time."""
    max_tokens: int | None = MOST_TOKENS
    """Tokens of one answer: a client that asks for more gets as many, and is told so in a header."""
    body_timeout: float | None = 30.0
    """Seconds that a request's body may take to arrive."""
    retry_after: float = 1.0
    """Seconds after which a client that was turned away may try again."""

    def __post_init__(self) -> None:
        for name in self.__slots__:
            bound = getattr(self, name)
            is_right = is_limit(bound) or name == "retry_after"
            require(is_right, f"{name} must be more than 0, not {bound}", ConfigurationError)
        problem = f"retry_after must be a number of seconds, not {self.retry_after}"
        require(0 <= self.retry_after < math.inf, problem, ConfigurationError)


@dataclass(slots=True)
class _Counts:
    """The number of answers under way, by client and in all."""

    clients: Counter[str] = field(default_factory=Counter)
    total: int = 0


class _Slot(AbstractContextManager[None]):
    """One answer under way, while the block runs."""

    __slots__ = ("_client", "_counts")

    def __init__(self, counts: _Counts, client: str) -> None:
        self._counts, self._client = counts, client

    def __enter__(self) -> None:
        self._counts.clients[self._client] += 1
        self._counts.total += 1

    def __exit__(self, *exception: object) -> None:
        counts, client = self._counts, self._client
        counts.total -= 1
        counts.clients[client] -= 1
        if not counts.clients[client]:
            del counts.clients[client]


class Slots:
    """Counts what is being answered."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._counts = _Counts()

    def go_on_from(self, other: Slots) -> None:
        """Count together with another app, in whose place this one comes while that still answers."""
        self._counts = other._counts

    def taken(self, client: str) -> AbstractContextManager[None]:
        """Have one while the block runs. Raises RefusedError."""
        limits, counts, wait = self._limits, self._counts, self._limits.retry_after
        if limits.max_streams is not None and counts.total >= limits.max_streams:
            raise RefusedError(
                503, "overloaded", "The server is busy. Please try again later.", retry_after=wait
            )
        if limits.per_client is not None and counts.clients[client] >= limits.per_client:
            has = f"{counts.clients[client]} of {limits.per_client}"
            text = f"You have as many requests under way as you may: {has}."
            raise RefusedError(429, "rate_limit", text, retry_after=wait)
        return _Slot(counts, client)


def check_request(request: ChatRequest, limits: Limits) -> None:
    """Raise RefusedError for more messages, parts or tools than are allowed."""
    counts = (
        ("messages", len(request.messages), limits.max_messages),
        ("parts of messages", sum(map(_size, request.messages)), limits.max_parts),
        ("tools", len(request.tools), limits.max_tools),
    )
    for name, count, most in counts:
        if most is not None and count > most:
            text = f"There are {count} {name}; no more than {most} are allowed."
            raise RefusedError(413, "invalid_request", text)


def _size(message: Message) -> int:
    """The parts of a message, with those that its results consist of."""
    shown = [part.content for part in message.parts if isinstance(part, ToolResult)]
    return len(message.parts) + sum(len(each) for each in shown if isinstance(each, list))


def check_size(size: int, most: int) -> None:
    """Raise RefusedError for a request of more bytes than are allowed."""
    if size > most:
        text = f"The request is too large: no more than {most} bytes are allowed."
        raise RefusedError(413, "invalid_request", text)
