"""A handler's events or text, made into one legal stream.

- Text is a TEXT_DELTA. A StreamEvent leaves as it is; the first MESSAGE_COMPLETE or ERROR is the end.
- A return after text or other pieces is MESSAGE_COMPLETE. But a handler that has begun an answer with MESSAGE_START
  must end it: what stops in the middle is ERROR(kind="truncated").
- A return without any: ERROR(kind="internal", code="no_answer").
- Anything else that it gives: ERROR(kind="internal", code="nonsense").
- An LLMError that it raises is its ERROR; another exception is ERROR(kind="internal", code="raised"), with its type
  and no more: its traceback is in the log. SystemExit (argparse raises it) is one of them: it ends this answer, and not
  the server of all others.
- Silence for too long: ERROR(kind="timeout", code="first_token" or "idle").
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Sequence
from dataclasses import replace
from typing import Any, cast

from llmstream.errors import ErrorInfo, ErrorKind, LLMError
from llmstream.events.grammar import TERMINAL, Guard
from llmstream.events.types import EventType, Retry, StreamEvent, error, text_delta
from llmstream.events.unfold import unfold_answer
from llmstream.log import describe, get_logger
from llmstream.messages import FinishReason, Message, Usage
from llmstream.router.user_functions import call
from llmstream.streams.flow import Upstream
from llmstream.tasks import is_cancelled

logger = get_logger("llmstream.router")


class Answering:
    """One handler's answer to one request: `events()` is read to its end, or `stop()`ped and closed."""

    def __init__(self, handler: Any, route: str, text: str, *, keep_message: bool) -> None:
        self._handler, self._text = handler, text
        self._who = f"the handler for {route!r}"
        self._keep = keep_message
        self._guard = Guard(keep_message=keep_message)
        self._promised = False  # the handler itself said MESSAGE_START, so it must say the end
        self._earlier = False  # an answer before this one ended in a step
        self._asked: tuple[str | None, str | None, int] = (None, None, 1)
        self._ended = False  # the terminal event is made
        self._stopped = False

    async def events(self) -> AsyncGenerator[StreamEvent, None]:
        """A legal stream, whatever the handler does. Raises nothing but cancellation."""
        try:
            async with Upstream(await self._call()) as items:
                async for item in items:
                    if self._stopped:
                        break
                    for event in self._take(item):
                        yield event
                    if self._ended:
                        break
        except (Exception, asyncio.CancelledError, SystemExit) as problem:
            if isinstance(problem, asyncio.CancelledError) and is_cancelled():
                raise
            if self._ended or not isinstance(problem, LLMError):  # else it is the ERROR itself
                logger.exception("%s raised %s", self._who, type(problem).__name__)
            for event in self._raised(problem):
                yield event
        for event in self._return():
            yield event

    def stop(self) -> None:
        """Whatever the handler still gives is not wanted."""
        self._stopped = True

    def expire(self, seconds: float) -> Sequence[StreamEvent]:
        """The ERROR of a handler that gave nothing for so long; nothing if it has ended."""
        code = "idle" if self._guard.shown or self._earlier else "first_token"
        return self._fail("timeout", f"gave nothing for {seconds:g} s", code)

    # --- inside --------------------------------------------------------------------------------------------

    async def _call(self) -> AsyncIterable[StreamEvent]:
        result = await call(self._handler, self._text)
        return cast(
            "AsyncIterable[StreamEvent]", result if hasattr(result, "__aiter__") else _one(result)
        )

    def _take(self, item: object) -> Sequence[StreamEvent]:
        try:
            return self._feed(item)
        except Exception as problem:  # noqa: BLE001  # values of wrong types, deep inside an event
            logger.warning("%s gave an odd event: %s", self._who, describe(problem))
            return self._fail(
                "internal", f"gave {_name(item)} with a value of a wrong type", "nonsense"
            )

    def _feed(self, item: object) -> Sequence[StreamEvent]:
        if isinstance(item, str):
            return self._guard.feed(text_delta(str(item)))
        if not isinstance(item, StreamEvent):
            return self._fail(
                "internal", f"gave {type(item).__name__}: give text or StreamEvents", "nonsense"
            )
        if not isinstance(item.type, EventType):
            return self._fail(
                "internal", "gave a StreamEvent whose type is no EventType", "nonsense"
            )
        if item.type is EventType.RETRY:
            return self._retry(item.retry)
        whole = item.type is EventType.MESSAGE_COMPLETE and not self._guard.shown
        left = self._whole(item) if whole else self._guard.feed(item)
        self._promised = self._promised or item.type is EventType.MESSAGE_START
        if left and left[-1].type in TERMINAL:
            self._ended = True
            _restore(left[-1], item)
        elif item.ends_round:
            self._guard, self._promised, self._earlier = Guard(keep_message=self._keep), False, True
        return left

    def _retry(self, retry: Retry | None) -> Sequence[StreamEvent]:
        """A client's, on its way through: the guard begins anew, or goes on."""
        if not isinstance(retry, Retry) or self._guard.called:
            odd = "after a tool call" if self._guard.called else "without its value"
            return self._fail("internal", f"gave a RETRY {odd}", "nonsense")
        provider, model, attempt = self._asked
        retry = replace(retry)  # the guard writes on it
        if (retry.provider, retry.model) in ((provider, model), (None, None)):
            # Two clients may each count their own attempts.
            retry.attempt = max(retry.attempt, attempt + bool(retry.delay))
        self._asked = (retry.provider, retry.model, retry.attempt)
        self._promised = going_on = self._guard.shown and not retry.discard
        return (self._guard.retry(retry, going_on=going_on),)

    def _whole(self, event: StreamEvent) -> Sequence[StreamEvent]:
        """An answer that came in one event (`stream=False`), after what would have come before it as a stream."""
        start = StreamEvent(EventType.MESSAGE_START, start=event.start)
        before = [start] if event.start is not None else []
        given = (*before, *unfold_answer(event), event)
        return [left for each in given for left in self._guard.feed(each)]

    def _raised(self, problem: BaseException) -> Sequence[StreamEvent]:
        if self._stopped:
            return ()
        if isinstance(problem, LLMError):
            return self._end(problem.info)
        return self._fail("internal", f"raised {type(problem).__name__}", "raised")

    def _return(self) -> Sequence[StreamEvent]:
        if self._ended or self._stopped:
            return ()
        if self._promised:
            return self._fail("truncated", "stopped in the middle of an answer", None)
        if not self._guard.shown:
            return self._fail("internal", "ended without an answer", "no_answer")
        self._ended = True
        return self._guard.feed(
            StreamEvent(EventType.MESSAGE_COMPLETE, finish_reason=FinishReason.STOP)
        )

    def _fail(self, kind: ErrorKind, told: str, code: str | None) -> Sequence[StreamEvent]:
        return self._end(ErrorInfo(kind, f"{self._who} {told}", retryable=False, code=code))

    def _end(self, info: ErrorInfo) -> Sequence[StreamEvent]:
        """The ERROR that ends the stream, unless it has ended."""
        if self._ended:
            return ()
        self._ended = True
        failed = error(info)
        try:
            (left,) = self._guard.feed(failed)
        except Exception:  # noqa: BLE001  # odd events came before: it can't add them up, or has ended over one
            return (failed,)
        _restore(left, failed)
        return (left,)


def _name(item: object) -> str:
    return f"a {item.type} event" if isinstance(item, StreamEvent) else type(item).__name__


async def _one(item: Any) -> AsyncGenerator[Any, None]:
    yield item


def _restore(left: StreamEvent, given: StreamEvent) -> None:
    """What the guard can't know of an answer that was made elsewhere: its bill, and what a batch had received."""
    info, partial = (
        left.error_info,
        given.error_info.partial if isinstance(given.error_info, ErrorInfo) else None,
    )
    if info is not None and info.partial is None and isinstance(partial, Message):
        info.partial = partial
    if isinstance(given.usage, Usage):
        left.usage = given.usage
    whole = left.message if info is None else info.partial
    if whole is not None and whole is not partial:
        whole.usage = left.usage
        if given.messages is not None and isinstance(given.message, Message):
            # That of the last round; the event's own usage covers all rounds.
            whole.usage = given.message.usage
