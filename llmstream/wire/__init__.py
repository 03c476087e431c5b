"""Wire formats, sans-I/O: bytes to events (`decode`), events to bytes (`encode`), requests both ways (`request`).

A format of your own is a subclass of `Decoder` over `SSE`, `NDJSON` or `EventStream`, and a `Format` row in `FORMATS`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmstream.lazy_names import lazy_names
from llmstream.wire.formats import FORMATS, Format, find_format

if TYPE_CHECKING:
    from llmstream.wire.error_body import parse_error
    from llmstream.wire.event_decoder import Decoder
    from llmstream.wire.framing.event_stream import EventStream
    from llmstream.wire.framing.ndjson import NDJSON
    from llmstream.wire.framing.sse import SSE
    from llmstream.wire.outbound import Encoder, Rendered
    from llmstream.wire.specimen import Specimen

_HOME = {
    "error_body": ("parse_error",),
    "event_decoder": ("Decoder",),
    "framing.event_stream": ("EventStream",),
    "framing.ndjson": ("NDJSON",),
    "framing.sse": ("SSE",),
    "outbound": ("Encoder", "Rendered"),
    "specimen": ("Specimen",),
}

__all__ = [
    "FORMATS",
    "NDJSON",
    "SSE",
    "Decoder",
    "Encoder",
    "EventStream",
    "Format",
    "Rendered",
    "Specimen",
    "decoder",
    "encoder",
    "parse_error",
]


def decoder(format: str, **options: Any) -> Decoder:
    """A decoder for one answer in `format`: feed it bytes, then `finish()`.

    Options: `include_raw`, `keep_message`, `max_frame` (bytes). Raises ConfigurationError for an unknown format.
    """
    return find_format(format).make_decoder(**options)


def encoder(format: str) -> Encoder:
    """An encoder for one answer in `format`: feed it events, send the bytes that it returns."""
    return find_format(format).make_encoder()


__getattr__, __dir__ = lazy_names(__name__, _HOME)
