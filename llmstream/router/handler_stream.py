"""A handler's events or text, made into one legal stream.

- Text is a TEXT_DELTA. A StreamEvent leaves as it is; the first MESSAGE_COMPLETE or ERROR is the end.
- A return after text or other pieces is MESSAGE_COMPLETE. But a handler that has begun an answer with MESSAGE_START
  must end it: what stops in the middle is ERROR(kind="truncated").
- A return without any: ERROR(kind="internal", code="no_answer").
- Anything else that it yields: ERROR(kind="internal", code="nonsense").
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
from llmstream.events.unfold import unfold_stream
from llmstream.log import describe, get_logger
from llmstream.messages import FinishReason, Message, Usage
from llmstream.router.user_functions import call
from llmstream.streams.flow import Upstream
from llmstream.tasks import is_cancelled

logger = get_logger("llmstream.router")


class Answering:
    """One handler's answer to one request: read `events()` to its end, or `stop()` and close it."""

    def __init__(self, handler: Any, route: str, text: str, *, keep_message: bool) -> None:
        self._handler, self._text = handler, text
        self._who = f"the handler for {route!r}"
        self._keep = keep_message
        self._guard = Guard(keep_message=keep_message)
        self._must_end = False  # the handler began an answer itself, so it has to end it, too
        self._has_earlier = False  # an answer before this one ended in a step
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
            for event in self._raised(problem):
                yield event
        for event in self._return():
            yield event

    def stop(self) -> None:
        """Ignore whatever the handler still yields."""
        self._stopped = True

    def expire(self, seconds: float) -> Sequence[StreamEvent]:
        """The ERROR of a handler that gave nothing for so long; nothing if it has ended."""
        code = "idle" if self._guard.shown or self._has_earlier else "first_token"
        return self._fail("timeout", f"gave nothing for {seconds:g} s", code)

    # --- inside --------------------------------------------------------------------------------------------

    async def _call(self) -> AsyncIterable[StreamEvent]:
        result = await call(self._handler, self._text)
        items = result if hasattr(result, "__aiter__") else _one(result)
        return cast("AsyncIterable[StreamEvent]", items)

    def _take(self, item: object) -> Sequence[StreamEvent]:
        try:
            return self._feed(item)
        except Exception as problem:  # noqa: BLE001  # values of wrong types, deep inside an event
            logger.warning("%s gave an odd event: %s", self._who, describe(problem))
            return self._nonsense(f"{_name(item)} with a value of a wrong type")

    def _feed(self, item: object) -> Sequence[StreamEvent]:
        if isinstance(item, str):
            return self._guard.feed(text_delta(str(item)))
        if not isinstance(item, StreamEvent):
            return self._nonsense(f"{type(item).__name__}: give text or StreamEvents")
        if not isinstance(item.type, EventType):
            return self._nonsense("a StreamEvent whose type is no EventType")
        if item.type is EventType.RETRY:
            return self._retry(item.retry)
        if item.type is EventType.MESSAGE_START:
            self._must_end = True
        is_batch = item.type is EventType.MESSAGE_COMPLETE and not self._guard.shown
        left = self._whole(item) if is_batch else self._guard.feed(item)
        if left and left[-1].type in TERMINAL:
            self._ended = True
            _restore(left[-1], item)
        elif item.ends_round:
            self._begin_round()
        return left

    def _begin_round(self) -> None:
        """A step was the end of an answer, and another follows."""
        self._guard = Guard(keep_message=self._keep)
        self._must_end = False
        self._has_earlier = True

    def _retry(self, retry: Retry | None) -> Sequence[StreamEvent]:
        """A RETRY of the client that the handler asks. The guard begins again, or goes on."""
        if self._guard.called:
            return self._nonsense("a RETRY after a tool call")
        if not isinstance(retry, Retry):
            return self._nonsense("a RETRY without its value")
        retry = replace(retry)  # the guard writes on it
        *asked, attempt = self._asked
        if [retry.provider, retry.model] in (asked, [None, None]):
            # A handler may ask two clients, one after the other, and each counts its own attempts.
            least = attempt + 1 if retry.delay else attempt
            retry.attempt = max(retry.attempt, least)
        self._asked = (retry.provider, retry.model, retry.attempt)
        going_on = self._guard.shown and not retry.discard
        self._must_end = going_on
        return (self._guard.retry(retry, going_on=going_on),)

    def _whole(self, event: StreamEvent) -> Sequence[StreamEvent]:
        """An answer that came in one event (`stream=False`), with the events that a stream would have had."""
        return [left for each in (*unfold_stream(event), event) for left in self._guard.feed(each)]

    def _raised(self, problem: BaseException) -> Sequence[StreamEvent]:
        is_the_error = isinstance(problem, LLMError) and not self._ended
        if not is_the_error:
            logger.error("%s raised %s", self._who, type(problem).__name__, exc_info=problem)
        if self._stopped:
            return ()
        if isinstance(problem, LLMError):
            return self._end(problem.info)
        return self._fail("internal", f"raised {type(problem).__name__}", "raised")

    def _return(self) -> Sequence[StreamEvent]:
        if self._ended or self._stopped:
            return ()
        if self._must_end:
            return self._fail("truncated", "stopped in the middle of an answer", None)
        if not self._guard.shown:
            return self._fail("internal", "ended without an answer", "no_answer")
        self._ended = True
        return self._guard.feed(
            StreamEvent(EventType.MESSAGE_COMPLETE, finish_reason=FinishReason.STOP)
        )

    def _nonsense(self, given: str) -> Sequence[StreamEvent]:
        return self._fail("internal", f"gave {given}", "nonsense")

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
        except Exception:  # noqa: BLE001  # odd events came before, which the guard can't add up
            return (failed,)
        _restore(left, failed)
        return (left,)


def _name(item: object) -> str:
    return f"a {item.type} event" if isinstance(item, StreamEvent) else type(item).__name__


async def _one(item: Any) -> AsyncGenerator[Any, None]:
    yield item


def _restore(left: StreamEvent, given: StreamEvent) -> None:
    """Put back on a terminal event what the guard can't know of an answer that was made elsewhere.

    That is its usage, and the partial answer that a batch call had received.
    """
    if isinstance(given.usage, Usage):
        left.usage = given.usage
    if left.message is not None:
        left.message.usage = _usage_of_message(left, given)
    if left.error_info is None:
        return
    info, partial = left.error_info, None
    if isinstance(given.error_info, ErrorInfo):
        partial = given.error_info.partial
    if info.partial is None and isinstance(partial, Message):
        info.partial = partial
    elif info.partial is not None and info.partial is not partial:
        info.partial.usage = _usage_of_message(left, given)


def _usage_of_message(left: StreamEvent, given: StreamEvent) -> Usage | None:
    """The event's usage; where it sums up several rounds, that of the last, whose message this is."""
    if given.messages is not None and isinstance(given.message, Message):
        return given.message.usage
    return left.usage
