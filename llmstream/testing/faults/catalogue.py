"""Fault: one thing that can go wrong, how to play it, and what a right client makes of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from llmstream.checks import require
from llmstream.errors import RETRYABLE
from llmstream.testing.faults.expectation import Expected
from llmstream.testing.reply import ANSWER, Reply
from llmstream.wire.formats import FORMATS, Format
from llmstream.wire.framing.event_stream import EventStream
from llmstream.wire.framing.sse import SSE

Play: TypeAlias = Callable[[Reply], Awaitable[None]]
Group: TypeAlias = Literal["all", "lines", "sse", "done", "own_end"]
"""The wire formats that a fault concerns: all, those whose frames are lines of text, those over server-sent events,
those whose last frame is `[DONE]`, those whose answers have an end of their own."""
Outcomes: TypeAlias = str | tuple[str, ...]
"""`"complete"` or the kind of an ERROR; several, where more than one is true, the best first."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One entry of the catalogue.

    What is expected follows from the stream's grammar: the answer is complete only if the provider's own end came;
    what came before a failure is delivered; a failure is retried only if nothing was shown and its kind is retryable.
    """

    name: str
    theme: str
    """Its subject: connection, refusal, head, body, content, frames, ending, or what servers do in the wild."""
    description: str
    """One line: what the server does."""
    play: Play
    outcomes: tuple[str, ...]
    """The right outcomes, the best first."""
    after_reason: tuple[str, ...] | None = None
    """Those of formats whose answers are complete after their finish reason, if they are others."""
    group: Group = "all"
    """The wire formats that it concerns."""
    formats: tuple[str, ...] = ()
    """Those that it concerns by name; none: as the group says."""
    expected: Expected | None = None
    """Further facts that must hold for the answer."""
    words: int = 0
    """How many words of the answer come before the failure, and are delivered before the ERROR."""
    text: str | None = ANSWER
    """The answer's text where the outcome is "complete"; None: any."""
    shown: bool = False
    """Something other than words is shown before the failure, so that nothing may be retried."""
    retried: bool | None = None
    """Whether the client asks again, where its kind alone does not say so."""
    clock: str | None = None
    """The clock that runs out where the outcome is "timeout"; None: the timeout is the server's word."""
    delay: tuple[float, float] | None = None
    """Bounds of the wait before a retry, in seconds, where the server asked for one."""
    stage: Literal["listen", "connect", "request"] = "request"
    """When it is played: instead of listening, right after accepting, or once a request has been read."""
    certificate: Literal["trusted", "untrusted", "other_host"] | None = None
    """It needs TLS; the certificate to show."""
    lingers: bool = False
    """It goes on until something else is asked on the same connection."""
    alone: bool = False
    """It costs much time or memory, so that runs with clocks should not run beside it."""

    @property
    def expect(self) -> dict[str, tuple[str, ...]]:
        """The right outcomes by API, the best first. APIs that the fault doesn't concern are left out."""
        return {row.provider: self._expect(row) for row in FORMATS.values() if self._concerns(row)}

    def _concerns(self, row: Format) -> bool:
        if self.formats:
            return row.name in self.formats
        if self.group == "sse":
            return row.framing.content_type == SSE().content_type
        if self.group == "lines":
            return not isinstance(row.framing, EventStream)
        if self.group == "own_end":
            return row.samples.own_end
        return self.group == "all" or row.samples.done_marker

    def _expect(self, row: Format) -> tuple[str, ...]:
        if self.after_reason is not None and row.samples.reason_ends:
            return self.after_reason
        return self.outcomes

    def attempts(self, outcome: str, *, batch: bool = False, max_attempts: int = 3) -> int:
        """How many attempts a client makes that has `outcome` in the end. In batch mode nothing is ever shown."""
        is_out_of_time = (outcome, self.clock) == ("timeout", "total")
        if outcome == "complete" or is_out_of_time:
            return 1
        is_retryable = outcome in RETRYABLE if self.retried is None else self.retried
        is_shown = not batch and (self.words > 0 or self.shown)
        return max_attempts if is_retryable and not is_shown else 1


FAULTS: dict[str, Fault] = {}
"""All faults by name."""


def enter_fault(fault: Fault) -> None:
    """Add a fault to the catalogue; ValueError if its name is taken."""
    require(fault.name not in FAULTS, f"two faults are called {fault.name!r}")
    FAULTS[fault.name] = fault


def fault(
    expect: Outcomes,
    *,
    after_reason: Outcomes | None = None,
    group: Group = "all",
    words: int = 0,
    text: str | None = ANSWER,
    shown: bool = False,
    retried: bool | None = None,
    clock: str | None = None,
    delay: tuple[float, float] | None = None,
    stage: Literal["listen", "connect", "request"] = "request",
    certificate: Literal["trusted", "untrusted", "other_host"] | None = None,
    lingers: bool = False,
    alone: bool = False,
) -> Callable[[Play], Play]:
    """Enter the decorated function under its own name, with dashes; its docstring is the description.

    `after_reason` replaces `expect` for formats whose answers are complete after their finish reason.
    """

    def enter(play: Play) -> Play:
        entry = Fault(
            name=play.__name__.strip("_").replace("_", "-"),
            theme=play.__module__.rpartition(".")[2],
            description=" ".join((play.__doc__ or "").split()).rstrip("."),
            play=play,
            outcomes=_outcomes(expect),
            after_reason=None if after_reason is None else _outcomes(after_reason),
            group=group,
            words=words,
            text=text,
            shown=shown,
            retried=retried,
            clock=clock,
            delay=delay,
            stage=stage,
            certificate=certificate,
            lingers=lingers,
            alone=alone,
        )
        enter_fault(entry)
        return play

    return enter


def _outcomes(outcomes: Outcomes) -> tuple[str, ...]:
    return (outcomes,) if isinstance(outcomes, str) else outcomes


def describe(name: str) -> str:
    """One line about a fault: what the server does, and what a right client makes of it. KeyError if there is none."""
    fault = FAULTS[name]
    by_api = {api: " or ".join(outcomes) for api, outcomes in fault.expect.items()}
    if len(set(by_api.values())) == 1:
        wanted = next(iter(by_api.values()))
    else:
        wanted = ", ".join(f"{api}: {outcome}" for api, outcome in by_api.items())
    return f"{name}: {fault.description} → {wanted}"
