"""Limits: what one client, and all of them together, may ask of a server."""

from __future__ import annotations

import asyncio
import json
import math
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request

from llmstream.errors import ConfigurationError
from llmstream.web.errors import RefusedError


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds; None is no limit. Beyond them a client hears 413, 429, 503 or 408, and when to try again.

    Raises ConfigurationError for one that nobody could keep.
    """

    max_body: int = 8 * 1024 * 1024
    """Bytes of a request; images travel in it."""
    max_messages: int | None = 1_000
    per_client: int | None = 64
    """Requests that one client has answered at a time: its key's, else its address's, which behind a proxy is the
    proxy's unless it sends X-Forwarded-For and uvicorn may believe it (FORWARDED_ALLOW_IPS)."""
    max_streams: int | None = 2_000
    """Requests that are answered at a time."""
    body_timeout: float | None = 30.0
    """Seconds that a request's body may take to arrive."""
    retry_after: float = 1.0
    """Seconds after which a client that was turned away may try again."""

    def __post_init__(self) -> None:
        for name in ("max_body", "max_messages", "per_client", "max_streams", "body_timeout"):
            bound = getattr(self, name)
            if bound is not None and not bound > 0:
                raise ConfigurationError(f"{name} must be more than 0, not {bound}")
        if not 0 <= self.retry_after < math.inf:
            raise ConfigurationError(
                f"retry_after must be a number of seconds, not {self.retry_after}"
            )


@dataclass(slots=True)
class _Counts:
    """The number of answers under way, by client and in all."""

    clients: Counter[str] = field(default_factory=Counter)
    total: int = 0


class Slots:
    """Counts what is being answered."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._counts = _Counts()

    def go_on_from(self, other: Slots) -> None:
        """Count together with another app, in whose place this one comes while that still answers."""
        self._counts = other._counts

    @contextmanager
    def taken(self, client: str) -> Iterator[None]:
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
        counts.clients[client] += 1
        counts.total += 1
        try:
            yield
        finally:
            counts.total -= 1
            counts.clients[client] -= 1
            if not counts.clients[client]:
                del counts.clients[client]


async def read_json(request: Request, limits: Limits) -> Any:
    """A request's body, which is JSON. Raises RefusedError, also for one that is too large, too slow or compressed.

    One that is too large is refused at once. `llmstream.web.server.HTTP` then takes a little of what is on its way, so
    that the client hears of it; other servers may take all of it.
    """
    return parse_json(await _read_body(request, limits))


async def _read_body(request: Request, limits: Limits) -> bytes:
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise RefusedError(
            415, "invalid_request", "Send the body as it is, without Content-Encoding."
        )
    announced = request.headers.get("content-length", "0")
    if announced.isdecimal() and int(announced) > limits.max_body:
        raise too_large(limits.max_body)
    data = bytearray()
    try:
        async with asyncio.timeout(limits.body_timeout):
            async for piece in request.stream():
                data += piece
                if len(data) > limits.max_body:
                    raise too_large(limits.max_body)
    except TimeoutError:
        text = "The request took too long to arrive."
        raise RefusedError(408, "timeout", text, headers={"connection": "close"}) from None
    return bytes(data)


def parse_json(data: bytes | str) -> Any:
    """JSON from a client. Raises RefusedError."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise RefusedError(400, "invalid_request", "The body is not JSON.") from None


def check_messages(messages: Any, limits: Limits) -> None:
    """Raise RefusedError for more messages than are allowed."""
    if (
        limits.max_messages is not None
        and isinstance(messages, list)
        and len(messages) > limits.max_messages
    ):
        text = (
            f"There are {len(messages)} messages; no more than {limits.max_messages} are allowed."
        )
        raise RefusedError(413, "invalid_request", text)


def too_large(most: int) -> RefusedError:
    """The refusal of more bytes than are allowed."""
    text = f"The request is too large: no more than {most} bytes are allowed."
    return RefusedError(413, "invalid_request", text)
