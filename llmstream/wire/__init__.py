"""Wire formats, sans-I/O: bytes to events (`decode`), events to bytes (`encode`), requests both ways (`request`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmstream.wire.formats import FORMATS, Format, find_format

if TYPE_CHECKING:
    from llmstream.wire.event_decoder import Decoder
    from llmstream.wire.outbound import Encoder


def decoder(format: str, **options: Any) -> Decoder:
    """A decoder for one answer in `format`: feed it bytes, then `finish()`.

    Options: `include_raw`, `keep_message`, `max_frame` (bytes). Raises ConfigurationError for an unknown format.
    """
    return find_format(format).make_decoder(**options)


def encoder(format: str) -> Encoder:
    """An encoder for one answer in `format`: feed it events, send the bytes that it returns."""
    return find_format(format).make_encoder()


__all__ = ["FORMATS", "Format", "decoder", "encoder"]
