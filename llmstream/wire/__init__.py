"""Wire formats, sans-I/O: bytes to events (`decode`), events to bytes (`encode`), requests both ways (`request`)."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from llmstream.errors import ConfigurationError

if TYPE_CHECKING:
    from llmstream.wire.event_decoder import Decoder
    from llmstream.wire.outbound import Encoder

FORMATS = {
    "openai-chat": ("openai_chat", "Chat"),
    "openai-responses": ("openai_responses", "Responses"),
    "anthropic-messages": ("anthropic_messages", "Messages"),
}
"""Name: package, and what its classes' names begin with."""


def decoder(format: str, **options: Any) -> Decoder:
    """A decoder for one answer in `format`: feed it bytes, then `finish()`.

    Options: `include_raw`, `keep_message`, `max_frame` (bytes). Raises ConfigurationError for a format not built yet.
    """
    make: type[Decoder] = _find(format, "decode", "Decoder")
    return make(**options)


def encoder(format: str) -> Encoder:
    """An encoder for one answer in `format`: feed it events, send what it gives."""
    make: type[Encoder] = _find(format, "encode", "Encoder")
    return make()


def _find(format: str, module: str, kind: str) -> Any:
    if format not in FORMATS:
        raise ConfigurationError(f"no wire format {format!r}; there are: {', '.join(FORMATS)}")
    package, prefix = FORMATS[format]
    return getattr(import_module(f"llmstream.wire.{package}.{module}"), prefix + kind)


__all__ = ["FORMATS", "decoder", "encoder"]
