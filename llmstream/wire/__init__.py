"""Wire formats, sans-I/O: bytes to events (`decode`), events to bytes (`encode`), requests both ways (`request`)."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from llmstream.errors import ConfigurationError

if TYPE_CHECKING:
    from llmstream.wire.decoder import Decoder

_DECODERS = {
    "openai-chat": "openai_chat.decode:ChatDecoder",
    "openai-responses": "openai_responses.decode:ResponsesDecoder",
    "anthropic-messages": "anthropic_messages.decode:MessagesDecoder",
}


def decoder(format: str, **options: Any) -> Decoder:
    """A decoder for one answer in `format`: feed it bytes, then `finish()`.

    Options: `include_raw`, `keep_message`, `max_frame` (bytes). Raises ConfigurationError for a format not built yet.
    """
    if format not in _DECODERS:
        raise ConfigurationError(f"no decoder for {format!r}; there are: {', '.join(_DECODERS)}")
    module, _, name = _DECODERS[format].partition(":")
    make: type[Decoder] = getattr(import_module(f"llmstream.wire.{module}"), name)
    return make(**options)


__all__ = ["decoder"]
