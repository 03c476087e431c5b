"""Operators over event streams: each takes any async iterable of StreamEvents and gives another, and they compose.

    events = client.chat_completion(messages)
    async for event in coalesce(guard(events, check, hold=64), by="word"):
        ...

They are lazy, keep the order, pass the one terminal event on, and hold no more than they say. Closing one (with
`aclose()`, `contextlib.aclosing`, or by dropping it after a `break`) closes what it reads. Failures of the stream are
ERROR events as everywhere; `text` and `collect`, which give no events, raise LLMError. Wrong arguments raise at once.
"""

from llmstream.clock import Clock
from llmstream.events.flow import Flow
from llmstream.streams.buffer import buffer
from llmstream.streams.coalesce import coalesce
from llmstream.streams.collect import collect
from llmstream.streams.guard import guard
from llmstream.streams.progress import progress
from llmstream.streams.record import record
from llmstream.streams.replay import replay
from llmstream.streams.tee import tee
from llmstream.streams.text import text
from llmstream.streams.transform import map_text, transform
from llmstream.streams.transformer import Transformer

__all__ = [
    "Clock",
    "Flow",
    "Transformer",
    "buffer",
    "coalesce",
    "collect",
    "guard",
    "map_text",
    "progress",
    "record",
    "replay",
    "tee",
    "text",
    "transform",
]
