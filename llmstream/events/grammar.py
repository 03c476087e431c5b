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
   there were several. None means "not reported".
7. STATUS never commits. RETRY is yielded before the wait. (A STATUS of kind `opaque` belongs to the attempt's message:
   it waits for the commit point too, and is dropped with its attempt.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from llmstream.errors import ErrorInfo
from llmstream.events.builder import MessageBuilder
from llmstream.events.types import (
    PAYLOADS,
    PIECES,
    TEXTS,
    EventType,
    Retry,
    Start,
    StreamEvent,
    TextDelta,
    error,
)
from llmstream.messages import FinishReason, Message, Usage

TERMINAL = frozenset({EventType.MESSAGE_COMPLETE, EventType.ERROR})


def is_step(event: StreamEvent) -> bool:
    """Whether a round of `run_tools` is over: its answer stands, and no RETRY can discard it."""
    return event.status is not None and event.status.kind == "step"


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
        "_builder",
        "_carried",
        "_held",
        "_keep",
        "_raw",
        "_start",
        "_usage",
        "_warnings",
        "begun",
        "called",
        "committed",
        "finished",
        "shown",
    )

    def __init__(self, *, keep_message: bool = True, warnings: tuple[str, ...] = ()) -> None:
        self._keep = keep_message
        self._warnings = warnings
        self._billed: list[Usage] = []
        self._usage: Usage | None = None  # of the attempt that failed last
        self.begun = False
        """The provider has yielded something."""
        self._begin()

    def _begin(self, *, going_on: bool = False) -> None:
        if not going_on:
            self._builder = MessageBuilder() if self._keep else None
            self._carried: list[Usage | None] = []
            self.shown = False
            """Something of the message has left, in this attempt or in one that it goes on from."""
            self.called = False
            """So has a TOOL_CALL for the caller: whoever acted on it can't take it back."""
        self._start: Start | None = None
        self._raw: object = None  # of the MESSAGE_START that is held back
        self._held: list[StreamEvent] = []
        self.committed = False
        """MESSAGE_START has left: the consumer may have seen part of this attempt."""
        self.finished = False

    def feed(self, event: StreamEvent) -> Sequence[StreamEvent]:
        """The events that may leave now. Whatever follows the attempt's terminal event is dropped."""
        if (
            self.committed
            and not self.finished
            and type(event) is StreamEvent
            and event.type is _TEXT
        ):
            delta = (
                event.text_delta
            )  # nearly every event: the way below would take it too, in twice the time
            if type(delta) is TextDelta and type(delta.content) is str and delta.content:
                if self._builder is not None:
                    self._builder.add(event)
                return (event,)
        self.begun = True
        if self.finished:
            return ()
        if type(event) is not StreamEvent and not isinstance(event, StreamEvent):
            return (
                self._fail(ErrorInfo("internal", f"the provider yielded a {type(event).__name__}")),
            )
        kind = event.type
        if (odd := _odd(event)) is not None:
            return (
                self._fail(ErrorInfo("internal", f"a {kind} event whose {odd} is of a wrong type")),
            )
        if kind in PIECES:
            return self._piece(event)
        if kind is EventType.MESSAGE_START:
            if self._start is None:
                self._start, self._raw = event.start or Start(), event.raw
            return ()
        if kind is EventType.STATUS:
            if event.status is None:
                return (self._fail(ErrorInfo("internal", "a STATUS event without status")),)
            if event.status.kind == "opaque" and not self.committed:
                self._held.append(event)
                return ()
            if self._builder is not None:
                self._builder.add(event)
            return (event,)
        if kind is EventType.MESSAGE_COMPLETE:
            return self._complete(event)
        if kind is EventType.ERROR:
            info = event.error_info or ErrorInfo("internal", event.error or "unknown error")
            return (self._fail(info, event),)
        return ()  # a RETRY is the client's to announce

    def end(self) -> Sequence[StreamEvent]:
        """The provider stopped: what is still owed if no terminal event came."""
        if self.finished:
            return ()
        return (
            self._fail(ErrorInfo("truncated", "the provider stopped without ending its answer")),
        )

    def retry(self, retry: Retry, *, going_on: bool = False) -> StreamEvent:
        """Begin the next attempt, announced by the RETRY that this returns. `going_on`: it adds to what was shown."""
        retry.discard = self.shown and not going_on
        if going_on and self._builder is not None:
            self._builder.interrupt()
            if self.committed:
                self._carried.append(self._usage)
        self._begin(going_on=going_on)
        return StreamEvent(EventType.RETRY, retry=retry)

    def partial(self) -> Message | None:
        """What was shown and stays, as a message; None with `keep_message=False`."""
        return self._builder.message() if self._builder is not None else None

    def _piece(self, event: StreamEvent) -> Sequence[StreamEvent]:
        value = getattr(event, PAYLOADS[event.type].field)
        if value is None:
            return (self._fail(ErrorInfo("internal", f"a {event.type} event without its value")),)
        if event.type in TEXTS:
            if type(value.content) is not str:
                return (
                    self._fail(
                        ErrorInfo("internal", f"a {event.type} event whose content is no string")
                    ),
                )
            if not value.content:
                return ()
        if event.tool_call_delta is not None and type(event.tool_call_delta.arguments) is not str:
            return (
                self._fail(
                    ErrorInfo("internal", f"a {event.type} event whose arguments are no string")
                ),
            )
        opening = () if self.committed else self._commit()
        if self._builder is not None:
            self._builder.add(event)
        if event.tool_call is not None and event.tool_call.executed_by == "caller":
            self.called = True
        return (*opening, event)

    def _commit(self) -> Sequence[StreamEvent]:
        """What was held back."""
        self.committed = self.shown = True
        if self._builder is not None:
            for held in self._held:
                self._builder.add(held)
        start = self._start or Start()
        self._start = replace(start, warnings=(*self._warnings, *start.warnings))
        return (*self._held, StreamEvent(EventType.MESSAGE_START, start=self._start, raw=self._raw))

    def _complete(self, event: StreamEvent) -> Sequence[StreamEvent]:
        opening = () if self.committed else self._commit()
        self.finished = True
        usage = event.usage
        if self._carried:
            usage = _sum([*self._carried, usage])
        if self._billed:
            usage = replace(usage or Usage(), attempts=(*self._billed, event.usage or Usage()))
        finish_reason = event.finish_reason or FinishReason.UNKNOWN
        done = StreamEvent(
            EventType.MESSAGE_COMPLETE,
            start=self._start,
            message=self._message(finish_reason, usage),
            finish_reason=finish_reason,
            raw_finish_reason=event.raw_finish_reason,
            usage=usage,
            messages=event.messages,
            raw=event.raw,
        )
        return (*opening, done)

    def _fail(self, info: ErrorInfo, event: StreamEvent | None = None) -> StreamEvent:
        self.finished = True
        usage = self._usage = event.usage if event is not None else None
        if usage is not None:
            self._billed.append(usage)
        if self._carried:
            usage = _sum([*self._carried, usage])
        partial = self._message(None, usage, cut=True)
        failed = error(
            replace(info, partial=partial if partial is not None and partial.parts else None)
        )
        failed.usage = usage
        if len(self._billed) > (self._usage is not None):
            failed.usage = replace(usage or Usage(), attempts=tuple(self._billed))
        failed.raw = event.raw if event is not None else None
        return failed

    def _message(
        self, finish_reason: FinishReason | None, usage: Usage | None, *, cut: bool = False
    ) -> Message | None:
        if self._builder is None:
            return None
        start = self._start or Start()
        build = self._builder.partial if cut else self._builder.message
        return build(
            id=start.id,
            model=start.model,
            provider=start.provider,
            finish_reason=finish_reason,
            usage=usage,
        )


_NOT_THEIRS = (EventType.RETRY, EventType.MESSAGE_COMPLETE)
"""Types whose payload isn't a provider's to give: RETRY is the client's, and the message is made here."""
_VALUES: dict[str, type[Any]] = {
    **{value.field: value.type for kind, value in PAYLOADS.items() if kind not in _NOT_THEIRS},
    "usage": Usage,
}
_FREQUENT = {kind: (PAYLOADS[kind].field,) for kind in (*TEXTS, EventType.TOOL_CALL_DELTA)}


def _odd(event: StreamEvent) -> str | None:
    """The field of a third party's event that holds something else than it should."""
    # Of what comes for every chunk only its own field is looked at: the others would cost a microsecond each time.
    for name in _FREQUENT.get(event.type, _VALUES):
        if (value := getattr(event, name)) is not None and not isinstance(value, _VALUES[name]):
            return name
    return None


_COUNTS = (
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
)


def _sum(usages: Sequence[Usage | None]) -> Usage | None:
    """The usage of a message made in several attempts; an estimate where one of them reported nothing."""
    known = [usage for usage in usages if usage is not None]
    if not known:
        return None
    counts: dict[str, Any] = {}
    for name in _COUNTS:
        reported = [count for usage in known if (count := getattr(usage, name)) is not None]
        if reported:
            counts[name] = sum(reported)
    return Usage(
        **counts, estimated=len(known) < len(usages) or any(usage.estimated for usage in known)
    )
