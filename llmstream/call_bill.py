"""The bill of a call: each attempt reserves money at the limits that it counts for, and pays what it has cost."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from functools import cached_property
from math import ceil
from typing import TYPE_CHECKING, Any, Final

from llmstream.attempt import Attempt
from llmstream.catalogue import cost_reader, facts_of, list_read
from llmstream.errors import ConfigurationError, ErrorInfo
from llmstream.events.types import (
    PAYLOADS,
    TEXTS,
    EventType,
    Status,
    StreamEvent,
    error,
    failure_of,
)
from llmstream.limits.spend_limit import SPEND_LIMIT, ReservedCost, SpendLimit
from llmstream.log import get_logger
from llmstream.messages import ChatRequest, Message, Usage
from llmstream.targets import Target
from llmstream.token_estimate import estimate_answer, estimate_text
from llmstream.usage_estimate import estimate_prompt

if TYPE_CHECKING:
    from llmstream.catalogue import CostReader

logger = get_logger("llmstream.limits")

_UNANSWERED: Final = frozenset({"timeout", "truncated"})
"""Kinds of errors of requests that a provider may have worked on, though nothing came."""
_SAMPLE: Final = 1000
"""Tokens from whose cost the price of one is taken."""


class CallBill:
    """The money of one call: what its next attempt may cost, and what the attempts have cost."""

    def __init__(self, limits: Sequence[SpendLimit], request: ChatRequest) -> None:
        self._limits = limits
        self._request = request
        self._has_warned = False
        self._bill: AttemptBill | None = None  # of the attempt that runs

    async def check_prices(self, targets: Sequence[Target]) -> None:
        """Raise ConfigurationError for a target whose price nobody knows: its cost couldn't be limited."""
        await list_read()
        for target in targets:
            if _cost(cost_reader(target.provider, target.model), Usage(1, 1)) is None:
                name = f"{target.provider.name}:{target.model}"
                told = f"spend_limit: no price is known for {name!r}"
                advice = "register one with llmstream.catalogue.register, or install llmstream-core[pricing]"
                raise ConfigurationError(f"{told}: {advice}")

    def reserve(self, target: Target, shown: Message | None) -> StreamEvent | None:
        """Reserve the money of an attempt that goes on from `shown`. A STATUS or ERROR to announce before; else None.

        After a STATUS ask again.
        """
        if not self._has_warned:
            self._has_warned = True
            low = next((limit for limit in self._limits if limit.is_low), None)
            if low is not None:
                return _warning(low)
        bill = AttemptBill(target, self._request, shown)
        for limit in self._limits:
            held = limit.reserve(bill.most)
            if held is None:
                bill.settle(Decimal(0))
                return error(_refusal(limit, bill.most, is_bounded=bill.is_bounded))
            bill.held.append(held)
        self._bill = bill
        return None

    def attempt(self, *given: Any, **options: Any) -> Attempt:
        """The attempt whose money was reserved. Takes what Attempt does."""
        if self._bill is None:
            raise AssertionError("reserve comes first")
        return _MeteredAttempt(self._bill, self._limits, *given, **options)

    def settle(self, attempt: Attempt | None) -> None:
        """The attempt is over. None: it wasn't begun, so nothing was spent."""
        bill, self._bill = self._bill, None
        if bill is not None:
            bill.settle(Decimal(0) if attempt is None else bill.cost_of(attempt))


class AttemptBill:
    """The money of one attempt."""

    def __init__(self, target: Target, request: ChatRequest, shown: Message | None) -> None:
        self._price = cost_reader(target.provider, target.model)
        self._prompt_tokens = estimate_prompt(request)
        if shown is not None:
            self._prompt_tokens += ceil(estimate_answer(shown.parts))
        self._limit = _answer_limit(target, request)
        self.held: list[ReservedCost] = []

    @property
    def is_bounded(self) -> bool:
        """Whether the length of its answer has a known limit."""
        return self._limit is not None

    @cached_property
    def prompt(self) -> Decimal:
        """What its prompt costs, as if all of it went into a cache, where that is dearer."""
        return self._cost(0)

    @cached_property
    def most(self) -> Decimal:
        """What it costs at most, or without its answer where that has no known limit."""
        return self.prompt if self._limit is None else self._cost(self._limit)

    def grow(self, tokens: float) -> bool:
        """Its answer has so many tokens by now. Whether it may go on."""
        cost = self.prompt + self._per_token * ceil(tokens)
        refused = [held for held in self.held if not held.grow(cost)]
        return not refused

    def settle(self, dollars: Decimal | None) -> None:
        """It has cost this."""
        for held in self.held:
            held.settle(dollars)

    def cost_of(self, attempt: Attempt) -> Decimal | None:
        """What an attempt that is over has cost; None where nobody knows."""
        if attempt.usage is not None:
            return attempt.usage.cost
        info = None if attempt.failed is None else failure_of(attempt.failed)
        # One that was left before its first piece may have been worked on, and so may one that hung.
        is_unanswered = info is None or (info.kind in _UNANSWERED and info.status_code is None)
        return self.prompt if is_unanswered else Decimal(0)

    @cached_property
    def _per_token(self) -> Decimal:
        return (self._cost(_SAMPLE) - self.prompt) / _SAMPLE

    def _cost(self, output: int) -> Decimal:
        tokens = self._prompt_tokens
        plain = _cost(self._price, Usage(tokens, output))
        written = _cost(self._price, Usage(tokens, output, cache_write_tokens=tokens))
        return max(plain or Decimal(0), written or Decimal(0))


class _MeteredAttempt(Attempt):
    """An attempt whose answer is counted as it comes, and ends when the money does."""

    def __init__(
        self, bill: AttemptBill, limits: Sequence[SpendLimit], *given: Any, **options: Any
    ) -> None:
        super().__init__(*given, **options)
        self._bill = bill
        self._limits = limits
        self._tokens = 0.0

    async def advance(self) -> Sequence[StreamEvent]:
        """The events that may leave now; none follow once the money is spent."""
        try:
            events = [*await super().advance()]
        except Exception:  # wrong arguments: nothing was sent
            self._bill.settle(Decimal(0))
            raise
        written = sum(map(_tokens_of, events))
        if not written or self.is_over:
            return events
        self._tokens += written
        if self._bill.grow(self._tokens):
            return events
        spent = max(self._limits, key=lambda limit: limit.spent + limit.reserved - limit.max_cost)
        told = f"the answer was ended: {_dollars(spent.max_cost)} are spent"
        info = ErrorInfo("quota", told, code=SPEND_LIMIT, retry_after=spent.retry_after)
        return [*events, *self._end([*self._flush(), *self._guard.feed(error(info))])]

    def _end(self, events: Sequence[StreamEvent]) -> Sequence[StreamEvent]:
        """The last events, before which the bill is paid: whoever reads them may look at the limit."""
        last = super()._end(events)
        self._bill.settle(self._bill.cost_of(self))
        return last


def _cost(price: CostReader | None, usage: Usage) -> Decimal | None:
    """US dollars; None where no price is known."""
    return None if price is None else price(None, usage)


def _answer_limit(target: Target, request: ChatRequest) -> int | None:
    """The most tokens that an answer has; None where nobody knows."""
    facts = facts_of(target.provider, target.model)
    known = [request.max_tokens, facts.max_output if facts is not None else None]
    return min((tokens for tokens in known if tokens is not None), default=None)


def _tokens_of(event: StreamEvent) -> float:
    if event.type in TEXTS:
        return estimate_text(getattr(event, PAYLOADS[event.type].field).content)
    delta = event.tool_call_delta
    return 0.0 if delta is None else estimate_text(delta.name + delta.arguments)


def _warning(limit: SpendLimit) -> StreamEvent:
    spent = limit.spent
    told = f"{spent / limit.max_cost:.0%} of {_dollars(limit.max_cost)} are spent"
    logger.warning("%s in %g s", told, limit.per)
    data = {"spent": f"{spent:f}", "max_cost": f"{limit.max_cost:f}", "per": limit.per}
    return StreamEvent(EventType.STATUS, status=Status(SPEND_LIMIT, told, data))


def _refusal(limit: SpendLimit, most: Decimal, *, is_bounded: bool) -> ErrorInfo:
    """Why an attempt isn't made."""
    whole = _dollars(limit.max_cost)
    told = f"not asked: of {whole} {limit.spent:.6f} are spent"
    if limit.reserved:
        told += f" and {limit.reserved:.6f} reserved by answers that run"
    told += f", and this one may cost {most:.6f}"
    if is_bounded:
        told += ": give it a smaller max_tokens, or ask again later"
    return ErrorInfo("quota", told, code=SPEND_LIMIT, retry_after=limit.retry_after)


def _dollars(dollars: Decimal) -> str:
    return f"{dollars.normalize():f} dollars"
