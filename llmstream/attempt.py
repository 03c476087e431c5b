"""The steps of a call: an attempt at one provider, and what is announced between attempts.

Nothing foreign is raised: what a provider raises becomes an ERROR event. An attempt that continues
an answer drops the text that repeats what was already shown.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from logging import Logger
from typing import TYPE_CHECKING

from llmstream.continuation import Overlap, continue_request
from llmstream.errors import ConfigurationError, ErrorInfo
from llmstream.events.grammar import Guard, find_flaw
from llmstream.events.types import (
    PIECES,
    EventType,
    Start,
    StreamEvent,
    TextDelta,
    error,
    text_delta,
)
from llmstream.fallback import REFUSAL, cause_of, declined
from llmstream.log import get_logger
from llmstream.messages import ChatRequest, Usage
from llmstream.observe import AttemptObservation
from llmstream.plain_values import amended
from llmstream.providers.event_batches import EventBatches
from llmstream.providers.provider import Call, Provider, traits_of
from llmstream.providers.timeouts import Timeouts
from llmstream.providers.watchdog import Watchdog, abortable, timed_out
from llmstream.targets import Target
from llmstream.tasks import is_foreign
from llmstream.usage_estimate import UsageEstimate

if TYPE_CHECKING:
    from llmstream.catalogue import CostReader

logger = get_logger("llmstream.providers")

_NO_LIMITS = Timeouts(connect=None, first_token=None, idle=None, progress=None)


class Announcement:
    """Events that no provider yields now: a RETRY or STATUS before a wait, or the end of the call."""

    timed_here = True

    def __init__(self, *events: StreamEvent) -> None:
        self._events = events
        self.is_over = False

    async def advance(self) -> Sequence[StreamEvent]:
        """The events."""
        self.is_over = True
        return self._events


class Attempt:
    """One provider's stream: call `advance()` until it `is_over`. Whoever made it closes it.

    `failed` is then the ERROR that ended it. It isn't among the events, for the call may go on.
    `usage` is what the call has used up to then. `declined` is set instead where the answer declines, for one of the
    causes `declines`, and nothing of it has left: call `give_up()` or `accept()` then.
    """

    def __init__(
        self,
        target: Target,
        request: ChatRequest,
        call: Call,
        guard: Guard,
        *,
        observed: AttemptObservation | None = None,
        on_first_piece: Callable[[Start], None] | None = None,
        declines: frozenset[str] = frozenset(),
        streaming: bool = True,
    ) -> None:
        if request.model != target.model:
            request = amended(request, model=target.model)
        provider = self._provider = target.provider
        self._call = call
        self._guard = guard
        self._observed = observed
        guard.on_first_piece = on_first_piece
        guard.price = _cost_reader(target)
        guard.doubts = _doubts(target, request)
        self._overlap: Overlap | None = None
        self.is_over = False
        self.failed: StreamEvent | None = None
        self.usage: Usage | None = None
        partial = guard.partial() if guard.shown else None
        if partial is not None:
            prefill = traits_of(provider).takes_prefill(request)
            request = continue_request(request, partial, prefill=prefill)
            self._overlap = Overlap(partial.text, prefill=prefill)
        self.declined: ErrorInfo | None = None
        self._declines = declines
        self._streaming = streaming
        self._held: list[StreamEvent] = []  # a refusal, as long as nothing else has come
        self._is_plain = self._overlap is None and not declines
        before = () if partial is None else partial.parts
        guard.estimate = UsageEstimate(request, reasons=_reasons(target), before=before)
        self._watchdog: Watchdog | None = None
        self.timed_here = call.deadline is not None and not traits_of(provider).keeps_deadline
        """True when this class, not the provider, enforces the deadline: it needs `exclude`."""
        if self.timed_here:
            self._watched = replace(call, timeouts=_NO_LIMITS)
            self._watchdog = Watchdog(self._watched)
        self._events = events = _stream(provider, request, call)
        self._batches = events.batches if isinstance(events, EventBatches) else None

    def exclude(self, seconds: float) -> None:
        """Exclude the time that the consumer spent on an event."""
        if self._watchdog is not None:
            self._watched.exclude(seconds)

    async def advance(self) -> Iterable[StreamEvent]:
        """The events that may leave now, perhaps none; to be taken once, and before the next call.

        Raises only for wrong arguments.
        """
        try:
            if self._batches is not None and self._watchdog is None:
                batch = await self._batches.__anext__()
                return self._take(batch[0]) if len(batch) == 1 else self._take_all(batch)
            event = await (
                self._events.__anext__() if self._watchdog is None else self._timed(self._watchdog)
            )
        except StopAsyncIteration:
            return self._end([*self._flush(), *self._guard.end()])
        except BaseException as problem:
            if not is_foreign(problem):
                raise
            maker = f"provider {self._provider.name}"
            event = as_error(problem, maker, logger, begun=self._guard.begun)
        return self._take(event)

    def give_up(self, info: ErrorInfo) -> None:
        """Another model is asked in place of an answer that declined. It stays on the bill."""
        failed = error(info)
        *words, end = self._held
        failed.usage = end.usage or (Usage() if words else None)
        self._end(self._guard.feed(failed))

    def accept(self) -> Sequence[StreamEvent]:
        """The events of an answer that declined: nobody else is asked."""
        return self._end(self._release())

    async def close(self) -> None:
        """Close the provider's stream. What a third party's cleanup raises goes to the log."""
        try:
            await self._events.aclose()
        except BaseException as problem:
            if not is_foreign(problem):
                raise
            logger.warning(
                "the provider %s raised while it was closed", self._provider.name, exc_info=True
            )
        finally:
            if not self.is_over:
                self.usage = self._guard.leave()
            if self._observed is not None:
                self._observed.end(None, self.usage)
            if self._watchdog is not None:
                self._watchdog.stop()

    # --- inside --------------------------------------------------------------------------------------------

    def _take(self, event: StreamEvent) -> Sequence[StreamEvent]:
        if self._is_plain or not isinstance(event, StreamEvent):
            events = self._guard.feed(event)
        elif self._overlap is not None:
            events = self._fit(event, self._overlap)
        else:
            events = self._watch(event)
        return self._end(events) if self._guard.finished else events

    def _take_all(self, batch: Sequence[StreamEvent]) -> Iterator[StreamEvent]:
        """Each is only taken when those before it have left: a reader may leave in the middle."""
        for event in batch:
            yield from self._take(event)
            if self.is_over:
                return

    def _end(self, events: Sequence[StreamEvent]) -> Sequence[StreamEvent]:
        """The last events, without the ERROR."""
        self.is_over = True
        if self._observed is not None:
            self._observed.end(events[-1] if events else None, self._guard.usage)
        self.usage = self._guard.usage
        if not events or events[-1].type is not EventType.ERROR:
            return events
        self.failed = events[-1]
        return events[:-1]

    async def _timed(self, watchdog: Watchdog) -> StreamEvent:
        """The next event of a provider that doesn't keep the deadline; an ERROR once it's over.

        The provider's step is cut short, not the consumer.
        """
        watchdog.waiting()
        try:
            return await abortable(_step(self._events), watchdog)
        except TimeoutError:
            if watchdog.expired is None:
                raise
            return error(timed_out("total", self._call.timeouts))
        finally:
            watchdog.arrived()

    def _watch(self, event: StreamEvent) -> Sequence[StreamEvent]:
        """The events that may leave, of an answer that another model's may replace as long as nothing was shown."""
        was_shown = self._streaming and self._guard.shown
        if was_shown or find_flaw(event) is not None:
            self._is_plain = True
            return self._guard.feed(event)
        words = event.refusal_delta
        is_refusal = words is not None and bool(words.content) and REFUSAL in self._declines
        if is_refusal and not self._guard.shown:
            self._held.append(event)
            return ()
        info = declined(event, refused=bool(self._held))
        if info is not None and cause_of(info) in self._declines:
            self._held.append(event)
            self.declined, self.usage = info, event.usage
            self.is_over = True
            return ()
        if event.type in PIECES or event.type is EventType.MESSAGE_COMPLETE:
            return [*self._release(), *self._guard.feed(event)]
        return self._guard.feed(event)

    def _release(self) -> Sequence[StreamEvent]:
        """The events that were held back."""
        held, self._held = self._held, []
        return [each for event in held for each in self._guard.feed(event)]

    def _fit(self, event: StreamEvent, overlap: Overlap) -> Sequence[StreamEvent]:
        """The events of a continuation, without the text that repeats what was shown."""
        if event.type is EventType.TEXT_DELTA and event.text_delta is not None:
            fresh = overlap.feed(event.text_delta.content)
            if not fresh:
                return ()
            return self._guard.feed(amended(event, text_delta=TextDelta(fresh)))
        if event.type in (EventType.MESSAGE_START, EventType.STATUS):
            return self._guard.feed(event)
        before = self._flush(cut=event.type is EventType.ERROR)
        return [*before, *self._guard.feed(event)]

    def _flush(self, *, cut: bool = True) -> Sequence[StreamEvent]:
        """The text that was held back as a possible repetition, where it turned out to be new."""
        if self._overlap is None:
            return ()
        held = self._overlap.finish(cut=cut)
        return self._guard.feed(text_delta(held)) if held else ()


def as_error(problem: BaseException, maker: str, log: Logger, *, begun: bool) -> StreamEvent:
    """An exception of a provider or a middleware, as an event.

    One that says that the arguments are wrong is raised again, if nothing has begun.
    """
    # A subclass of ValueError is somebody's bug (JSONDecodeError, UnicodeError), not the
    # caller's argument.
    is_wrong_value = type(problem) in (TypeError, ValueError)
    is_configuration = isinstance(problem, ConfigurationError)
    if (is_wrong_value or is_configuration) and not begun:
        raise problem
    if is_configuration:  # of a fallback: the request is wrong for it
        return error(ErrorInfo("invalid_request", str(problem)))
    kind = type(problem).__name__
    log.error("the %s raised %s", maker, kind, exc_info=problem)
    return error(ErrorInfo("internal", f"the {maker.split(maxsplit=1)[0]} raised {kind}"))


def _cost_reader(target: Target) -> CostReader | None:
    from llmstream.catalogue import cost_reader  # programs that call nobody don't pay for it

    return cost_reader(target.provider, target.model)


def _reasons(target: Target) -> bool:
    from llmstream.catalogue import is_known_to_reason

    return is_known_to_reason(target.provider, target.model)


def _doubts(target: Target, request: ChatRequest) -> tuple[str, ...]:
    from llmstream.catalogue import doubts

    return doubts(target.provider, target.model, request)


async def _step(events: AsyncGenerator[StreamEvent, None]) -> StreamEvent:
    return await events.__anext__()


def _stream(
    provider: Provider, request: ChatRequest, call: Call
) -> AsyncGenerator[StreamEvent, None]:
    """The provider's stream. One that raises at once becomes one that raises at its first step."""
    try:
        return provider.stream(request, call)
    except Exception as problem:  # noqa: BLE001  # raised again, where it is sorted
        return _raising(problem)


async def _raising(problem: Exception) -> AsyncGenerator[StreamEvent, None]:
    raise problem
    yield
