"""The limits that the command line and a configuration file may set. This module imports nothing heavy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

from llmstream.checks import require

NONE: Final = "none"
"""How no limit is written."""
Number = int | float | None
T = TypeVar("T", bound=Any)


@dataclass(frozen=True, slots=True)
class LimitOption:
    """A field of `llmstream.web.Limits`, `llmstream.web.server.Bounds` or `llmstream.limits.Rate`, as people set it."""

    name: str
    """The field's, and the key's in a file. The flag has dashes in place of underscores."""
    unit: str
    meaning: str
    default: Number = None
    is_count: bool = True
    may_be_none: bool = True
    is_divided: bool = False
    """Whether each of several workers has its share of it."""
    otherwise: str = "no limit"
    """What holds where the default is None."""

    def parse(self, value: object) -> Number:
        """The number that a flag's text or a file's value means. Raises ValueError, which says what to write."""
        if value == NONE and self.may_be_none:
            return None
        number = _number(value)
        is_whole = number.is_integer() or not self.is_count
        require(math.isfinite(number) and is_whole, self._wanted)
        return int(number) if self.is_count else number

    @property
    def shown_default(self) -> str:
        """The value that holds where none is given."""
        return self.otherwise if self.default is None else f"{self.default:,}".removesuffix(".0")

    @property
    def _wanted(self) -> str:
        kind = "a whole number" if self.is_count else "a number"
        none = f', or "{NONE}" for no limit' if self.may_be_none else ""
        return f"must be {kind} ({self.unit.lower()}){none}"


SERVER_LIMITS: Final = (
    LimitOption(
        "max_body", "BYTES", "the largest body of a request", 8 * 1024 * 1024, may_be_none=False
    ),
    LimitOption(
        "max_values",
        "NUMBER",
        "values in the JSON of a request, each name and each number",
        100_000,
    ),
    LimitOption("max_messages", "NUMBER", "messages that one request may have", 1_000),
    LimitOption(
        "max_parts", "NUMBER", "texts, images, calls and results in all its messages", 5_000
    ),
    LimitOption("max_tools", "NUMBER", "tools that one request may have", 1_000),
    LimitOption(
        "max_answer",
        "BYTES",
        "the largest answer, from a provider or to a client; then it ends in an error",
        64 * 1024 * 1024,
    ),
    LimitOption(
        "per_client",
        "NUMBER",
        "requests of one key, or else of one address, that are answered at a time",
        64,
        is_divided=True,
    ),
    LimitOption(
        "max_streams", "NUMBER", "requests that are answered at a time", 2_000, is_divided=True
    ),
    LimitOption("max_tokens", "NUMBER", "tokens that a client may ask for in one answer", 131_072),
    LimitOption("body_timeout", "SECONDS", "for a body to arrive", 30.0, is_count=False),
    LimitOption(
        "retry_after",
        "SECONDS",
        "until a client that was turned away may try again",
        1.0,
        is_count=False,
        may_be_none=False,
    ),
)
"""The fields of `llmstream.web.Limits`."""

HTTP_LIMITS: Final = (
    LimitOption(
        "head_size",
        "BYTES",
        "a request's line and headers, or its trailers; beyond it a client hears 431",
        64 * 1024,
        may_be_none=False,
    ),
    LimitOption(
        "headers", "NUMBER", "headers and trailers of a request; likewise", 100, may_be_none=False
    ),
    LimitOption(
        "head_time",
        "SECONDS",
        "for a head to arrive; then 408, or, without a byte, the connection is closed",
        10.0,
        is_count=False,
        may_be_none=False,
    ),
    LimitOption(
        "drain_size",
        "BYTES",
        "what is read of a body that goes on after its answer; then the connection is closed",
        64 * 1024,
        may_be_none=False,
    ),
    LimitOption(
        "drain_time",
        "SECONDS",
        "how long such a body may go on",
        2.0,
        is_count=False,
        may_be_none=False,
    ),
    LimitOption(
        "unread_size",
        "BYTES",
        "what waits in the system for a client that doesn't read; then the model waits, too",
        128 * 1024,
        may_be_none=False,
    ),
    LimitOption(
        "pipelined",
        "NUMBER",
        "requests sent ahead on a connection; beyond it, it is closed after their answers",
        16,
        may_be_none=False,
    ),
    LimitOption(
        "frames",
        "NUMBER",
        "frames of a WebSocket in 10 s and in one message, beyond one per kB; then 1008 or 1009",
        200,
        may_be_none=False,
    ),
    LimitOption(
        "connections",
        "NUMBER",
        "connections; beyond it an idle one is closed, or, if all are busy, the new one with 503",
        may_be_none=False,
        is_divided=True,
        otherwise="half of `ulimit -n`, at most 4,096",
    ),
    LimitOption(
        "per_address",
        "NUMBER",
        "connections from one address (IPv6: one /64 network); likewise",
        may_be_none=False,
        is_divided=True,
        otherwise="half of the connections",
    ),
)
"""The fields of `llmstream.web.server.Bounds`: what holds before a request is known."""

KEPT_LIMITS: Final = (
    LimitOption(
        "ttl",
        "SECONDS",
        "until a conversation is forgotten after its last turn",
        2_592_000.0,
        is_count=False,
    ),
    LimitOption("turns", "NUMBER", "turns that are kept of one conversation", 1_000),
    LimitOption("turn_bytes", "BYTES", "a kept question, with its pictures and files", 8 << 20),
    LimitOption("conversations", "NUMBER", "conversations that are kept of one user", 1_000),
    LimitOption("owner_bytes", "BYTES", "all that is kept of one user", 64 << 20),
    LimitOption("sessions", "NUMBER", "sessions that are kept of one user", 1_000),
    LimitOption("all_conversations", "NUMBER", "conversations that are kept in all", 20_000),
    LimitOption("all_bytes", "BYTES", "all that is kept", 256 << 20),
    LimitOption("all_sessions", "NUMBER", "sessions that are kept in all", 20_000),
)
"""The `ttl` of a store, and the fields of `llmstream.conversations.StoreLimits`. A file's workers share them."""

RATE_LIMITS: Final = (
    LimitOption("requests", "NUMBER", "requests to a model in a period", is_divided=True),
    LimitOption("input_tokens", "NUMBER", "tokens sent to a model in a period", is_divided=True),
    LimitOption("output_tokens", "NUMBER", "tokens from a model in a period", is_divided=True),
    LimitOption("per", "SECONDS", "in a period", 60.0, is_count=False, may_be_none=False),
    LimitOption("concurrent", "NUMBER", "requests to a model at a time", is_divided=True),
)
"""The fields of `llmstream.limits.Rate`: for each model, at each endpoint with its key."""


def share_of(limits: T, options: Sequence[LimitOption], *, index: int, count: int) -> T:
    """The limits of the worker `index` of `count`; together they are these.

    Raises ValueError for one that is smaller than `count`.
    """
    shares: dict[str, int] = {}
    for option in options:
        whole = getattr(limits, option.name)
        if not option.is_divided or whole is None:
            continue
        problem = (
            f"{option.name} is {whole}, which {count} workers can't share: "
            "each needs 1 at least. Take fewer workers, or more of it"
        )
        require(whole >= count, problem)
        shares[option.name] = int(whole) // count + (index < int(whole) % count)
    return replace(limits, **shares)


def _number(value: object) -> float:
    """The number that a text or a value means; NaN if it means none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return math.nan
    try:
        return float(value)
    except (ValueError, OverflowError):
        return math.nan
