"""text: only the words."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Callable

from llmstream.errors import ErrorInfo, LLMError
from llmstream.events.grammar import TERMINAL
from llmstream.events.transcript import Standing
from llmstream.events.types import Retry, StreamEvent, discarded
from llmstream.streams.flow import Flow, Upstream


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
    yielded = Standing(0)  # pieces
    ended = False
    async with source as events:
        async for event in events:
            if event.text:
                yielded.value += 1
                yield event.text
            else:
                if event.retry is not None and event.discards and yielded.is_revocable:
                    _void(event.retry, on_discard)
                yielded.add(event)
                event.raise_for_error()
            ended = event.type in TERMINAL
    if not ended:
        raise stopped_short()


def _void(retry: Retry, on_discard: Callable[[], None] | None) -> None:
    if on_discard is None:
        raise discarded(retry, "`text` can't take it back (give it on_discard=)")
    on_discard()


def stopped_short() -> LLMError:
    """The error of a stream that stopped without a terminal event."""
    return LLMError.from_info(ErrorInfo("truncated", "the stream stopped without its end"))
