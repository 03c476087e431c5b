"""Pictures and speech in the items and parts of Responses, and in those of servers that write them otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmstream.messages import File
from llmstream.wire.speech import STREAMED

_PICTURES = ("image_url", "url", "result", "b64_json", "image_base64", "image", "data", "source")
"""Members that may hold a picture: an address, base64, or an object with one of them."""
_SOUNDS = ("data", "audio", "output_audio", "input_audio")
"""Members that may hold speech: base64, or an object with it."""
_ADDRESSES = ("https://", "http://", "data:")
_DEPTH = 3


def parse_picture(holder: Mapping[str, Any], media_type: str = "image/png") -> File | None:
    """The picture of a part or an item; None if it has none. `media_type` is that of base64 which doesn't tell."""
    found = _first_text(holder, _PICTURES, _DEPTH)
    if not found:
        return None
    if found.startswith(_ADDRESSES):
        return File(url=found)
    return File(media_type=media_type, data=found)


def parse_sound(part: Mapping[str, Any]) -> File | None:
    """The speech of a part; None if it has none."""
    data = _first_text(part, _SOUNDS, _DEPTH)
    if not data:
        return None
    sound = File(data=data)
    sound.media_type = sound.media_type or STREAMED
    return sound


def _first_text(holder: Any, names: tuple[str, ...], depth: int) -> str | None:
    if isinstance(holder, str):
        return holder
    if isinstance(holder, list):
        holder = next(iter(holder), None)
        return _first_text(holder, names, depth)
    if not isinstance(holder, Mapping) or not depth:
        return None
    found = (_first_text(holder.get(name), names, depth - 1) for name in names)
    return next(filter(None, found), None)
