"""Stream: the events of one call, closed with the block that it is opened in; and how an answer ended."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from types import TracebackType
from typing import TYPE_CHECKING, Self

from llmstream.checks import require_value
from llmstream.errors import ConfigurationError
from llmstream.events.any_event import AnyEvent
from llmstream.events.grammar import TERMINAL
from llmstream.messages import Message

if TYPE_CHECKING:
    from llmstream.streams import Flow


class AnswerEnd:
    """The terminal event of a stream, once it was read."""

    def __init__(self) -> None:
        self._last: AnyEvent | None = None

    def note(self, event: AnyEvent) -> AnyEvent:
        """The event as it is. Keeps the terminal one."""
        if event.type in TERMINAL:
            self._last = event
        return event

    def message(self) -> Message:
        """The whole answer. Raises LLMError where the stream had an ERROR, ConfigurationError where there is none."""
        problem = "the stream was closed before its end: there is no message to give"
        last = require_value(self._last, problem, ConfigurationError)
        last.raise_for_error()
        problem = "keep_message=False: there is no message to give"
        return require_value(last.message, problem, ConfigurationError)


class Stream:
    """One call's events, closed with the block that it is opened in.

    Iterate over it or over `text()`, and await `message()` at any time for the whole answer. To stop it from another
    task, cancel the task that reads.
    """

    def __init__(self, events: AsyncGenerator[AnyEvent, None]) -> None:
        self._events = events
        self._end = AnswerEnd()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __aiter__(self) -> AsyncIterator[AnyEvent]:
        return self

    async def __anext__(self) -> AnyEvent:
        return self._end.note(await self._events.__anext__())

    async def aclose(self) -> None:
        """Stop, and close the connection."""
        await self._events.aclose()

    def text(self) -> Flow[str]:
        """Only the answer's text, as it comes (`llmstream.streams.text`). Raises LLMError where there is an ERROR."""
        from llmstream.streams import text

        return text(self)

    async def message(self) -> Message:
        """The whole answer, once it is there. Raises LLMError where the stream has an ERROR."""
        async for _ in self:
            pass
        return self._end.message()
