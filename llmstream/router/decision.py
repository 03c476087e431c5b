"""Strategies, and the decisions that come of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeAlias

from llmstream.events.types import EventType, Status, StreamEvent
from llmstream.router.routes import R
from llmstream.wire.json_fields import present


@dataclass(frozen=True, slots=True)
class Decision(Generic[R]):
    """Where a request goes, and why. A strategy may give one instead of a route, to tell its score."""

    route: R
    by: str = ""
    """The strategy that decided, or "default"; set by the router where a strategy leaves it empty."""
    score: float | None = None
    """How sure it is, where the strategy can say: for similarity the cosine."""
    failed: tuple[str, ...] = ()
    """The strategies that could not decide because something went wrong, each with the type of error."""

    def status(self) -> StreamEvent:
        """STATUS(kind="routed"): the route's value, `by`, and `score` and `failed` where there are any."""
        failed = list(self.failed) or None
        data = present(route=self.route.value, by=self.by, score=self.score, failed=failed)
        return StreamEvent(
            EventType.STATUS, status=Status("routed", f"{self.route.value}, by {self.by}", data)
        )


Verdict: TypeAlias = Decision[R] | R | str | None
"""A strategy's word: a route, its value, or a Decision; None leaves it to the next strategy."""
Strategy: TypeAlias = Callable[[str], Verdict[R] | Awaitable[Verdict[R]]]
"""From a request's text to its route. An async function runs in the loop, another one in a thread."""
