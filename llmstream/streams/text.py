"""text: only the words."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Callable

from llmstream.errors import ErrorInfo, LLMError
from llmstream.events.flow import Flow, Upstream
from llmstream.events.grammar import TERMINAL
from llmstream.events.transcript import Standing
from llmstream.events.types import Retry, StreamEvent, discarded


def text(
    events: AsyncIterable[StreamEvent], *, on_discard: Callable[[], None] | None = None
) -> Flow[str]:
    """The answer's text as it comes, in stream and in batch mode, for code that wants nothing else.

    Raises LLMError where the stream has an ERROR or stops without its end. Text can't be taken back: when a RETRY
    discards some that was yielded, `on_discard()` is called, and the new answer follows from its beginning; without
    `on_discard` the LLMError that caused the retry is raised, with code "discarded". Of the answers that
    `run_tools` joins, only the last one's text is void then; a consumer that must tell it from the others' reads the
    events.
    """
    source = Upstream(events)
    return Flow(_text(source, on_discard), source)


async def _text(
    source: Upstream, on_discard: Callable[[], None] | None
) -> AsyncGenerator[str, None]:
    reader = TextReader(on_discard)
    async with source as events:
        async for event in events:
            if piece := reader.read(event):
                yield piece
    reader.check_end()


class TextReader:
    """Reads the text out of events, one after another, by the rules of `text`."""

    def __init__(self, on_discard: Callable[[], None] | None = None) -> None:
        self._on_discard = on_discard
        self._read = Standing(0)  # pieces
        self._has_ended = False

    def read(self, event: StreamEvent) -> str:
        """The event's text, "" where it has none. Raises LLMError for an ERROR, and for text that is void."""
        self._has_ended = event.type in TERMINAL
        if event.text:
            self._read.value += 1
            return event.text
        if event.retry is not None and event.discards and self._read.is_revocable:
            _void(event.retry, self._on_discard)
        self._read.add(event)
        event.raise_for_error()
        return ""

    def check_end(self) -> None:
        """Raise LLMError where the last event wasn't the terminal one."""
        if not self._has_ended:
            raise stopped_short()


def _void(retry: Retry, on_discard: Callable[[], None] | None) -> None:
    if on_discard is None:
        raise discarded(retry, "`text` can't take it back (give it on_discard=)")
    on_discard()


def stopped_short() -> LLMError:
    """The error of a stream that stopped without a terminal event."""
    return LLMError.from_info(ErrorInfo("truncated", "the stream stopped without its end"))
