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
from typing import Any, cast

from llmstream.errors import ErrorInfo, ErrorKind, LLMError
from llmstream.events.flow import Upstream
from llmstream.events.relay import Relay
from llmstream.events.types import EventType, StreamEvent, text_delta
from llmstream.log import describe, get_logger
from llmstream.messages import FinishReason, Message
from llmstream.router.user_functions import call
from llmstream.tasks import is_cancelled

logger = get_logger("llmstream.router")


class Answering:
    """One handler's answer to one request: read `events()` to its end, or `stop()` and close it."""

    def __init__(self, handler: Any, route: str, text: str, *, keep_message: bool) -> None:
        self._handler, self._text = handler, text
        self._who = f"the handler for {route!r}"
        self._relay = Relay(keep_message=keep_message)
        self._must_end = False  # the handler began an answer itself, so it has to end it, too
        self._has_earlier = False  # an answer before this one ended in a step
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
                    if self._relay.ended:
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
        code = "idle" if self._relay.shown or self._has_earlier else "first_token"
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
            return self._relay.feed(text_delta(str(item)))
        if not isinstance(item, StreamEvent):
            return self._nonsense(f"{type(item).__name__}: give text or StreamEvents")
        flaw = self._relay.flaw(item)
        if flaw is not None:
            return self._nonsense(flaw)
        if item.type is EventType.MESSAGE_START:
            self._must_end = True
        elif item.type is EventType.RETRY:
            self._must_end = self._relay.shown and not item.discards
        left = self._relay.feed(item)
        if self._relay.ended:
            _restore_partial(left[-1], item.error_info)
        elif item.ends_round:  # a step was the end of an answer, and another follows
            self._must_end = False
            self._has_earlier = True
        return left

    def _raised(self, problem: BaseException) -> Sequence[StreamEvent]:
        is_the_error = isinstance(problem, LLMError) and not self._relay.ended
        if not is_the_error:
            logger.error("%s raised %s", self._who, type(problem).__name__, exc_info=problem)
        if self._stopped:
            return ()
        if isinstance(problem, LLMError):
            return self._end(problem.info)
        return self._fail("internal", f"raised {type(problem).__name__}", "raised")

    def _return(self) -> Sequence[StreamEvent]:
        if self._relay.ended or self._stopped:
            return ()
        if self._must_end:
            return self._fail("truncated", "stopped in the middle of an answer", None)
        if not self._relay.shown:
            return self._fail("internal", "ended without an answer", "no_answer")
        return self._relay.feed(
            StreamEvent(EventType.MESSAGE_COMPLETE, finish_reason=FinishReason.STOP)
        )

    def _nonsense(self, given: str) -> Sequence[StreamEvent]:
        return self._fail("internal", f"gave {given}", "nonsense")

    def _fail(self, kind: ErrorKind, told: str, code: str | None) -> Sequence[StreamEvent]:
        return self._end(ErrorInfo(kind, f"{self._who} {told}", retryable=False, code=code))

    def _end(self, info: ErrorInfo) -> Sequence[StreamEvent]:
        """The ERROR that ends the stream, unless it has ended."""
        left = self._relay.fail(info)
        if left:
            _restore_partial(left[-1], info)
        return left


def _name(item: object) -> str:
    return f"a {item.type} event" if isinstance(item, StreamEvent) else type(item).__name__


async def _one(item: Any) -> AsyncGenerator[Any, None]:
    yield item


def _restore_partial(left: StreamEvent, given: object) -> None:
    """Put back on an ERROR the partial answer that a batch call had received, and nobody was shown."""
    if left.error_info is None or not isinstance(given, ErrorInfo):
        return
    if left.error_info.partial is None and isinstance(given.partial, Message):
        left.error_info.partial = given.partial
