"""The stream's grammar, and the one guard that enforces it on every provider.

    stream  = RETRY*  [ attempt ( RETRY+ attempt )* RETRY* ]  ( MESSAGE_COMPLETE | ERROR )
    attempt = MESSAGE_START  piece*
    piece   = TEXT_DELTA | REASONING_DELTA | REFUSAL_DELTA
            | TOOL_CALL_DELTA | TOOL_CALL | TOOL_RESULT | SOURCE | FILE

STATUS may stand anywhere before the end. (`run_tools` joins several answers into one stream: each but the
last ends in STATUS(kind="step") in place of its MESSAGE_COMPLETE.)

1. Exactly one terminal event, last. MESSAGE_COMPLETE only if the provider's own end came; no end is an
   ERROR of kind `truncated`, after everything that came before it.
2. Nothing foreign is raised. Failures are events; wrong arguments raise before any network; cancellation
   propagates and is never an event.
3. The deltas since the last discarding RETRY (or step) add up to MESSAGE_COMPLETE.message, part by part.
   Deltas of a call that never became a TOOL_CALL don't count.
4. Commit point: MESSAGE_START is held back and leaves together with the first piece, or with the
   MESSAGE_COMPLETE of an empty answer. Until then a retry leaves no trace but RETRY events.
5. A delta's content is never empty. A cut tool call appears only in `error_info.partial`, if at all.
6. `usage` within an attempt is a snapshot, last wins. `usage.attempts` lists all billed attempts when
   there were several. None means "not reported". What isn't reported by the end is estimated.
7. STATUS never commits. RETRY is yielded before the wait. (A STATUS of kind `opaque` belongs to the attempt's message:
   it waits for the commit point too, and is dropped with its attempt.)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from operator import attrgetter
from typing import Any, ClassVar

from llmstream.errors import ErrorInfo
from llmstream.events.transcript import Transcript
from llmstream.events.types import (
    PAYLOADS,
    PIECES,
    TEXTS,
    EventType,
    Retry,
    Start,
    StreamEvent,
    TextDelta,
    ToolCallDelta,
    error,
    failure_of,
)
from llmstream.messages import (
    FinishReason,
    Message,
    Part,
    Usage,
    total_by_modality,
    total_cost,
)
from llmstream.plain_values import amended
from llmstream.token_estimate import estimate_answer, estimate_text
from llmstream.usage_estimate import UsageEstimate

TERMINAL = frozenset({EventType.MESSAGE_COMPLETE, EventType.ERROR})


class _NoTranscript:
    """Stands for the transcript of a stream whose message isn't kept. Only its tokens are counted."""

    __slots__ = ("_tokens", "_uncounted")

    def __init__(self) -> None:
        self._tokens = 0.0
        self._uncounted: list[str] = []

    def add(self, event: StreamEvent) -> None:
        """Count what the model wrote."""
        if event.type in TEXTS:
            self._uncounted.append(getattr(event, PAYLOADS[event.type].field).content)
        elif event.tool_call_delta is not None:
            self._uncounted.append(event.tool_call_delta.arguments)
        elif event.discards:
            self._tokens = 0.0
            self._uncounted.clear()
        if len(self._uncounted) >= _COUNTED_TOGETHER:
            self._count()

    @property
    def tokens(self) -> float:
        """About as many as were written."""
        self._count()
        return self._tokens

    def _count(self) -> None:
        self._tokens += estimate_text("".join(self._uncounted))
        self._uncounted.clear()

    def message(self, **told: object) -> None:
        """No message."""

    def partial(self, **told: object) -> None:
        """No message either."""


_COUNTED_TOGETHER = 64
"""Deltas. An estimate is of a text, and takes as long for a short one."""
# Looked up once: in Python 3.11 that takes 50 ns, which every event would pay.
_TEXT = EventType.TEXT_DELTA


class Guard:
    """Makes what one call yields follow the grammar, whatever the provider does.

    Feed it a provider's events; what it returns may leave. After an ERROR came back, `retry()` begins the next
    attempt; otherwise the stream is over. `warnings` are put on every `start`. Keeps the answer once, unless
    `keep_message` is False.
    """

    __slots__ = (
        "_billed",
        "_carried",
        "_held",
        "_keep_message",
        "_opening",
        "_start",
        "_transcript",
        "_warnings",
        "begun",
        "called",
        "committed",
        "doubts",
        "estimate",
        "finished",
        "on_first_piece",
        "price",
        "shown",
        "usage",
    )

    def __init__(self, *, keep_message: bool = True, warnings: tuple[str, ...] = ()) -> None:
        self._keep_message = keep_message
        self._transcript = Transcript() if keep_message else _NoTranscript()
        self._warnings = warnings
        self._billed: list[Usage] = []
        self.usage: Usage | None = None
        """Of the attempt that ended last: not added up."""
        self.begun = False
        """The provider has yielded something."""
        self.on_first_piece: Callable[[Start], None] | None = None
        """Called with the `start` when an attempt's first piece leaves."""
        self.price: Callable[[str | None, Usage], Decimal | None] | None = None
        """Returns what an attempt cost, from the model that answered and what it used."""
        self.estimate: UsageEstimate | None = None
        """Fills in what an attempt's provider doesn't report."""
        self.doubts: tuple[str, ...] = ()
        """Warnings of the attempt that runs, for its `start`."""
        self._begin()

    def _begin(self, *, going_on: bool = False) -> None:
        if not going_on:
            self._carried: list[Usage | None] = []
            self.shown = False
            """Something of the message has left, in this attempt or in one that it goes on from."""
            self.called = False
            """So has a TOOL_CALL for the caller: a caller that acted on it can't take it back."""
        self._start: Start | None = None
        self._opening: StreamEvent | None = None  # the MESSAGE_START that is held back
        self._held: list[StreamEvent] = []
        self.committed = False
        """MESSAGE_START has left: the consumer may have seen part of this attempt."""
        self.finished = False

    def feed(self, event: StreamEvent) -> Sequence[StreamEvent]:
        """The events that may leave now. Whatever follows the attempt's terminal event is dropped."""
        is_open = self.committed and not self.finished
        if is_open and type(event) is StreamEvent and event.type is _TEXT:
            # Nearly every event. The way below would take it too, in twice the time.
            delta = event.text_delta
            if type(delta) is TextDelta and type(delta.content) is str and delta.content:
                self._transcript.add(event)
                return (event,)
        self.begun = True
        if self.finished:
            return ()
        flaw = find_flaw(event)
        if flaw is not None:
            return (self._fail(error(ErrorInfo("internal", flaw))),)
        if event.type in PIECES:
            return self._piece(event)
        return self._take(event)

    def _take(self, event: StreamEvent) -> Sequence[StreamEvent]:
        take = self._TAKES.get(event.type)
        return () if take is None else take(self, event)

    def _hold_start(self, event: StreamEvent) -> Sequence[StreamEvent]:
        if self._start is None:
            self._start, self._opening = event.start or Start(), event
        return ()

    def _error(self, event: StreamEvent) -> Sequence[StreamEvent]:
        return (self._fail(event),)

    def _status(self, event: StreamEvent) -> Sequence[StreamEvent]:
        if event.is_internal and not self.committed:
            self._held.append(event)
            return ()
        self._transcript.add(event)
        return (event,)

    def end(self) -> Sequence[StreamEvent]:
        """The provider stopped: what is still owed if no terminal event came."""
        if self.finished:
            return ()
        cut = ErrorInfo("truncated", "the provider stopped without ending its answer")
        return (self._fail(error(cut)),)

    def leave(self) -> Usage | None:
        """The attempt ends, since nobody reads on: what it has used by now. None: it had ended, or nothing came."""
        if self.finished:
            return None
        self.finished = True
        reported = None if self._start is None else self._start.usage
        usage = self.usage = self._priced(self._counted_cut(reported))
        if usage is not None:
            self._billed.append(usage)
        return usage

    @property
    def billed(self) -> Usage | None:
        """The usage of a call that was left: that of its last attempt, with all billed ones."""
        billed = self._billed
        return billed[-1].over(billed) if len(billed) > 1 else next(iter(billed), None)

    def retry(self, retry: Retry, *, going_on: bool = False) -> StreamEvent:
        """Begin the next attempt, announced by the RETRY that this returns. `going_on`: it adds to what was shown."""
        retry.discard = self.shown and not going_on
        announced = StreamEvent(EventType.RETRY, retry=retry)
        self._transcript.add(announced)
        # An attempt that a relay passes on hasn't ended here: its usage is in what follows.
        has_ended = self.committed and self.finished
        if going_on and has_ended and self._keep_message:
            self._carried.append(self.usage)
        self._begin(going_on=going_on)
        return announced

    def partial(self) -> Message | None:
        """The message as far as it was shown and stays; None with `keep_message=False`."""
        return self._transcript.message()

    def _piece(self, event: StreamEvent) -> Sequence[StreamEvent]:
        if event.type in TEXTS and not getattr(event, PAYLOADS[event.type].field).content:
            return ()
        before = () if self.committed else self._first_piece()
        self._transcript.add(event)
        if event.tool_call is not None and event.tool_call.executed_by == "caller":
            self.called = True
        return (*before, event)

    def _first_piece(self) -> Sequence[StreamEvent]:
        """The events that were held back, and leave before the first piece."""
        before = self._commit()
        if self.on_first_piece is not None:
            self.on_first_piece(self._start or Start())
        return before

    def _commit(self) -> Sequence[StreamEvent]:
        """The events that were held back."""
        self.committed = self.shown = True
        for held in self._held:
            self._transcript.add(held)
        start, opening = self._start or Start(), self._opening
        if self._warnings or self.doubts:
            warnings = (*self._warnings, *self.doubts, *start.warnings)
            start = amended(start, warnings=warnings)
        self._start = start
        if opening is None or opening.start is not start:
            raw = None if opening is None else opening.raw
            opening = StreamEvent(EventType.MESSAGE_START, start=start, raw=raw)
        return (*self._held, opening)

    def _complete(self, event: StreamEvent) -> Sequence[StreamEvent]:
        opening = () if self.committed else self._commit()
        self.finished = True
        used = self.usage = self._priced(self._counted(event.usage))
        usage = self._with_carried(used)
        if self._billed:
            usage = (usage or Usage()).over((*self._billed, used or Usage()))
        finish_reason = _finish_reason(event.finish_reason)
        done = StreamEvent(
            EventType.MESSAGE_COMPLETE,
            start=self._start,
            message=self._message(finish_reason, usage),
            finish_reason=finish_reason,
            raw_finish_reason=event.raw_finish_reason,
            stop_details=event.stop_details,
            usage=usage,
            messages=event.messages,
            raw=event.raw,
        )
        return (*opening, done)

    def _fail(self, event: StreamEvent) -> StreamEvent:
        """The attempt's ERROR, with what it has used and what came of its message."""
        self.finished = True
        others_billed = bool(self._billed)
        usage = self.usage = self._priced(self._counted_cut(event.usage))
        if usage is not None:
            self._billed.append(usage)
        usage = self._with_carried(usage)
        partial = self._message(None, usage, cut=True)
        has_parts = partial is not None and bool(partial.parts)
        failed = error(replace(failure_of(event), partial=partial if has_parts else None))
        failed.usage = usage
        if others_billed:
            failed.usage = (usage or Usage()).over(self._billed)
        failed.raw = event.raw
        return failed

    def _counted(self, usage: Usage | None) -> Usage | None:
        """The usage of an attempt that came to its end, with an estimate where the provider was silent."""
        is_whole = usage is not None and None not in (usage.input_tokens, usage.output_tokens)
        if self.estimate is None or is_whole:
            return usage
        return self.estimate.complete(usage, *self._written())

    def _counted_cut(self, usage: Usage | None) -> Usage | None:
        """The same of one that didn't. Where nothing came and nothing was reported, nothing was billed."""
        has_come = self.committed or usage is not None
        if self.estimate is None or not has_come:
            return usage
        return self.estimate.cut(usage, *self._written())

    def _written(self) -> tuple[Sequence[Part], float]:
        """The parts that the model wrote, as far as they are kept, and about how many tokens they take."""
        if isinstance(self._transcript, _NoTranscript):
            return (), self._transcript.tokens
        parts = self._transcript.partial().parts
        return parts, estimate_answer(parts)

    def _priced(self, usage: Usage | None) -> Usage | None:
        """The attempt's usage with its cost. A provider that names the cost knows best."""
        if usage is None or self.price is None or usage.cost is not None:
            return usage
        cost = self.price(self._start.model if self._start else None, usage)
        return usage if cost is None else replace(usage, cost=cost)

    def _with_carried(self, usage: Usage | None) -> Usage | None:
        """The usage of this attempt and of those that it goes on from."""
        return _sum([*self._carried, usage]) if self._carried else usage

    def _message(
        self, finish_reason: FinishReason | None, usage: Usage | None, *, cut: bool = False
    ) -> Message | None:
        start = self._start or Start()
        build = self._transcript.partial if cut else self._transcript.message
        return build(
            id=start.id,
            model=start.model,
            provider=start.provider,
            finish_reason=finish_reason,
            usage=usage,
        )

    _TAKES: ClassVar[Mapping[EventType, Callable[[Any, StreamEvent], Sequence[StreamEvent]]]] = {
        EventType.MESSAGE_START: _hold_start,
        EventType.STATUS: _status,
        EventType.MESSAGE_COMPLETE: _complete,
        EventType.ERROR: _error,
    }
    """What becomes of an event that isn't a piece. A RETRY is the client's to announce."""


_NOT_THEIRS = (EventType.RETRY, EventType.MESSAGE_COMPLETE)
"""Types whose payload isn't a provider's to give: RETRY is the client's, and the message is made here."""
_VALUES: dict[str, type[Any]] = {
    **{value.field: value.type for kind, value in PAYLOADS.items() if kind not in _NOT_THEIRS},
    "usage": Usage,
}
_ALLOWED = tuple((type_, type(None)) for type_ in _VALUES.values())
_read_values = attrgetter(*_VALUES)
_DELTAS = frozenset({*TEXTS, EventType.TOOL_CALL_DELTA})
_NEVER_EMPTY = frozenset({*PIECES, EventType.STATUS})
"""Types that say nothing without their payload."""


def find_flaw(event: object) -> str | None:
    """The flaw of an event that a third party yielded, in words for its author; None without one."""
    if not isinstance(event, StreamEvent):
        return f"the provider yielded a {type(event).__name__}"
    if event.type in _DELTAS:  # they come often, so only their own field is looked at
        return _delta_flaw(event)
    if not all(map(isinstance, _read_values(event), _ALLOWED)):
        return f"a {event.type} event whose {_wrong_name(event)} is of a wrong type"
    if event.type in _NEVER_EMPTY and getattr(event, PAYLOADS[event.type].field) is None:
        return f"a {event.type} event without its value"
    return None


def _wrong_name(event: StreamEvent) -> str:
    given = zip(_VALUES, _read_values(event), _ALLOWED, strict=True)
    return next(name for name, value, allowed in given if not isinstance(value, allowed))


def _delta_flaw(event: StreamEvent) -> str | None:
    name, type_ = PAYLOADS[event.type]
    value = getattr(event, name)
    if value is None:
        return f"a {event.type} event without its value"
    if not isinstance(value, type_):
        return f"a {event.type} event whose {name} is of a wrong type"
    written, verb = ("arguments", "are") if type_ is ToolCallDelta else ("content", "is")
    if type(getattr(value, written)) is not str:
        return f"a {event.type} event whose {written} {verb} no string"
    return None


def _finish_reason(given: object) -> FinishReason:
    """The reason that a third party gave, which may be a plain string."""
    if not given:
        return FinishReason.UNKNOWN
    return next((reason for reason in FinishReason if reason == given), FinishReason.OTHER)


_COUNTS = (
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
)
_BY_MODALITY = ("input_by_modality", "output_by_modality", "cache_read_by_modality")


def _sum(usages: Sequence[Usage | None]) -> Usage | None:
    """The usage of a message made in several attempts; an estimate where one of them reported nothing."""
    known = [usage for usage in usages if usage is not None]
    if not known:
        return None
    is_estimate = len(known) < len(usages) or any(usage.estimated for usage in known)
    lacks_reasoning = any(usage.lacks_reasoning for usage in known)
    total = Usage(estimated=is_estimate, lacks_reasoning=lacks_reasoning)
    for name in _COUNTS:
        reported = [count for usage in known if (count := getattr(usage, name)) is not None]
        if reported:
            setattr(total, name, sum(reported))
    for name in _BY_MODALITY:
        setattr(total, name, total_by_modality(getattr(usage, name) for usage in known))
    total.cost = total_cost(known) if len(known) == len(usages) else None
    return total
