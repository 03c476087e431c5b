"""collect: the whole answer."""

from __future__ import annotations

from collections.abc import AsyncIterable

from llmstream.checks import require_value
from llmstream.errors import ConfigurationError
from llmstream.events.flow import Upstream
from llmstream.events.grammar import TERMINAL
from llmstream.events.types import StreamEvent
from llmstream.messages import Message
from llmstream.streams.text import stopped_short


async def collect(events: AsyncIterable[StreamEvent]) -> Message:
    """Read to the end and give the message, in stream and in batch mode.

    Raises LLMError where the stream has an ERROR or stops without its end, and ConfigurationError where it was asked
    not to keep its message. The source is closed in any case.
    """
    last: StreamEvent | None = None
    async with Upstream(events) as source:
        async for event in source:
            last = event
    if last is None or last.type not in TERMINAL:
        raise stopped_short()
    last.raise_for_error()
    problem = "keep_message=False: there is no message to collect"
    return require_value(last.message, problem, ConfigurationError)
