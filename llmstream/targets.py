"""The targets of a call: the providers it may ask, in their order, and which of them can be asked now.

One whose endpoint has paused all calls, or whose retry budget is spent, is passed over for a fallback that can answer.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple
from weakref import ref

from llmstream.errors import ErrorInfo
from llmstream.limits.pauses import UNLIMITED
from llmstream.limits.protocols import Asking, Endpoint, Limiter, Reservation
from llmstream.log import get_logger
from llmstream.messages import ChatRequest
from llmstream.providers.provider import Call, Provider, traits_of
from llmstream.providers.timeouts import Timeouts
from llmstream.retry import RetryBudget, RetryPolicy

logger = get_logger("llmstream.client")

BUDGET_SPENT = (
    "the retry budget of this process for this endpoint is spent (see RetryPolicy.budget)"
)
BUDGET_CODE = "retry_budget"
"""The code of an error that would have been tried again, where the provider gave it none."""


SAME_EVERYWHERE = frozenset({"context_length", "content_filter", "invalid_request"})
"""Kinds of errors that a model has with every key and at every address, where another model may not have them."""


class Target(NamedTuple):
    """The provider and model to ask."""

    provider: Provider
    model: str
    pool: object = None
    """Targets with the same pool, which isn't None, are one service: a call's headers are for all of them."""
    timeouts: Timeouts | None = None
    """Clocks of its own, in place of the call's."""
    retry: RetryPolicy | None = None
    """A policy of its own, in place of the client's."""
    fallback_on: frozenset[str] | None = None
    """The failures of this one after which the next is asked, in place of the client's."""

    def shares_headers(self, other: Target) -> bool:
        """Whether the headers that a caller gave for the other one are for this one, too."""
        is_pooled = self.pool is not None and self.pool is other.pool
        return is_pooled or self.provider is other.provider


class Targets:
    """The targets of one call; the current one is asked. Each begins with the call's share for its retry budget."""

    def __init__(
        self,
        targets: Sequence[Target],
        policy: RetryPolicy,
        limiter: Limiter,
        call: Call,
        *,
        headers: Mapping[str, str],
    ) -> None:
        self._targets = targets
        self._policies = [target.retry or policy for target in targets]
        self._limiter = limiter
        self._headers = headers  # as the caller gave them
        self._now = call.clock.time
        self._accounts = [account(target.provider) for target in targets]
        self._asked = {self._accounts[0]}
        self.index = 0
        budgets = map(self._budget, range(len(targets)))
        for budget, key in {*zip(budgets, self._accounts, strict=True)}:
            if budget is not None:
                budget.deposit(key, self._now())

    @property
    def all(self) -> Sequence[Target]:
        """All of them, in their order."""
        return self._targets

    @property
    def current(self) -> Target:
        """The target of the current attempt."""
        return self._targets[self.index]

    @property
    def policy(self) -> RetryPolicy:
        """How often and how patiently the current target is tried."""
        return self._policies[self.index]

    @property
    def endpoint(self) -> Endpoint:
        """The state of the current target's endpoint and key."""
        return self._endpoint(self.index)

    def reserve(self, request: ChatRequest) -> Reservation | None:
        """A place at the limiter for an attempt at the current target; None: nothing limits it."""
        if self._limiter is UNLIMITED:
            return None
        target = self.current
        account = self._accounts[self.index]
        asking = Asking(target.provider.name, target.model, account, request, self._headers)
        return self._limiter.enter(asking, self._now)

    @property
    def failing(self) -> bool:
        """Whether a retry at the current target would be refused, and there is another to ask."""
        return self.has_next and self._starved(self.index)

    @property
    def has_next(self) -> bool:
        """Whether there is a fallback that wasn't asked yet."""
        return len(self._following()) > 0

    @property
    def has_other_endpoint(self) -> bool:
        """Whether one of the fallbacks is the same service as the current target, with another key or address."""
        return any(map(self._is_same_service, self._following()))

    @property
    def elsewhere(self) -> bool:
        """Whether one of the fallbacks could be asked at once."""
        return any(
            not self._starved(index) and not self._paused(index) for index in self._following()
        )

    def withdraw(self, info: ErrorInfo) -> bool:
        """Take one more request at the current target from the retry budget.

        False: the budget is spent. `info`, the error that would be retried, then says so.
        """
        return self._withdraw(self.index, info)

    def advance(self, info: ErrorInfo) -> bool:
        """Go on to the next that may be asked, after `info`. False: there is none; the current stays.

        The last is asked in any case, but no endpoint twice unless the budget pays for it.
        """
        for index in self._following():
            if self._may_ask(index, info):
                self._asked.add(self._accounts[index])
                self.index = index
                return True
        return False

    # --- inside --------------------------------------------------------------------------------------------

    def _may_ask(self, index: int, info: ErrorInfo) -> bool:
        if info.kind in SAME_EVERYWHERE and self._is_same_service(index):
            return False
        is_last = index + 1 == len(self._targets)
        if not is_last and self._paused(index):
            return False
        if self._accounts[index] in self._asked:
            return self._withdraw(index, info)
        return is_last or not self._starved(index)

    def _is_same_service(self, index: int) -> bool:
        """Whether this target is the current one with another key or address."""
        pool = self.current.pool
        return pool is not None and self._targets[index].pool is pool

    def _following(self) -> range:
        return range(self.index + 1, len(self._targets))

    def _endpoint(self, index: int) -> Endpoint:
        return self._limiter.endpoint(self._accounts[index], self._now)

    def _paused(self, index: int) -> bool:
        return self._endpoint(index).paused(self._now(), self._targets[index].model)

    def _starved(self, index: int) -> bool:
        budget = self._budget(index)
        return budget is not None and budget.empty(self._accounts[index], self._now())

    def _budget(self, index: int) -> RetryBudget | None:
        return self._policies[index].budget

    def _withdraw(self, index: int, info: ErrorInfo) -> bool:
        budget = self._budget(index)
        if budget is None or budget.withdraw(self._accounts[index], self._now()):
            return True
        if BUDGET_SPENT not in info.message:
            info.message = f"{info.message or info.kind}; not tried again: {BUDGET_SPENT}"
            info.code = info.code or BUDGET_CODE
            name = self._targets[index].provider.name
            logger.warning("%s is not asked again after %s: %s", name, info.kind, BUDGET_SPENT)
        return False


def account(provider: Provider) -> Hashable:
    """Whose retry budget and pauses are a provider's: its endpoint's and key's, or its own."""
    key = traits_of(provider).budget_key
    if key and _can_be_key(key):
        return key
    try:
        own = ref(provider)  # not its id, which is another's once it is gone
    except TypeError:
        return id(provider)
    return own if _can_be_key(own) else id(provider)


def _can_be_key(value: object) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True
