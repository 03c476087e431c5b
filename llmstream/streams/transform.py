"""transform and map_text: change the answer's text as it passes."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable

from llmstream.events.any_event import AnyEvent
from llmstream.events.flow import Flow, Upstream
from llmstream.events.types import EventType, StreamEvent
from llmstream.streams.rewrite import TextRewriter, rewrite
from llmstream.streams.transformer import Transformer

_ANSWER = frozenset({EventType.TEXT_DELTA})


def transform(
    events: AsyncIterable[StreamEvent],
    make: Callable[[], Transformer],
    *,
    keep_message: bool = True,
) -> Flow[AnyEvent]:
    """Pass the answer's text through a Transformer (`feed(text)`, `finish()`), and all else as it is.

    `make()` gives one for every run of text: up to the next piece of another kind, the end, or a RETRY that discards.
    What it keeps back leaves before the event that ends the run; RETRY that goes on and STATUS do not end one, and may
    pass ahead of what is kept back. Rewritten alike: the deltas, the batch text, `message`, `messages` and
    `error_info.partial`; an event's `raw` is dropped. An empty text makes no delta.

    The rewritten answer is kept once, for the message; with `keep_message=False` it isn't, and the messages are None.
    What the Transformer raises reaches the consumer, and the source is closed.
    """
    return rewrite(Upstream(events), TextRewriter(make, _ANSWER, keep_message=keep_message))


def map_text(
    events: AsyncIterable[StreamEvent], function: Callable[[str], str], *, keep_message: bool = True
) -> Flow[AnyEvent]:
    """Pass each delta of the answer's text through a function, such as `str.upper`; as `transform` in all else.

    The function sees deltas, which may cut words anywhere: put `coalesce(by="word")` before it, or use `transform` or
    `guard`, where that matters. In batch mode it sees the whole text at once.
    """
    mapper = _Mapper(function)
    return transform(events, lambda: mapper, keep_message=keep_message)


class _Mapper:
    """A Transformer that keeps nothing back."""

    def __init__(self, function: Callable[[str], str]) -> None:
        self.feed = function

    def finish(self) -> str:
        return ""
