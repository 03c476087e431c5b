"""Base64 and data URLs: bytes in the form in which they are sent, however they were given."""

from __future__ import annotations

import base64
import binascii
from typing import Any
from urllib.parse import unquote, unquote_to_bytes

from llmstream.checks import require
from llmstream.media_types import HEAD, essence, sniff

_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_URL_SAFE = bytes.maketrans(b"-_", b"+/")


def encode(data: bytes, media_type: str | None) -> str:
    """Bytes as base64. Base64 and data URLs that were given as bytes are taken for what they are."""
    is_raw = sniff(data) is not None or essence(media_type).startswith("text/")
    inside = None if is_raw else _text_inside(data)
    return base64.b64encode(data).decode() if inside is None else inside


def _text_inside(data: bytes) -> str | None:
    head = data[: 4 * HEAD].lstrip()
    if head[:5].lower() == b"data:":
        head = head.partition(b";base64,")[2]
    if not data.isascii() or not sniff(_decode_head(head)):
        return None
    return data.decode()


def _decode_head(encoded: bytes) -> bytes:
    """The first bytes of what is encoded; none if it isn't base64."""
    head = _in_one_line(encoded.lstrip()[: 2 * HEAD]).translate(_URL_SAFE).rstrip(b"=")
    whole = len(head) - (len(head) % 4 == 1)
    try:
        return binascii.a2b_base64(head[:whole] + b"=" * (-whole % 4), strict_mode=True)
    except binascii.Error:
        return b""


def _in_one_line(encoded: bytes) -> bytes:
    """Without line breaks and the blanks around them. No pattern: one would look for each blank's end again."""
    if b"\n" not in encoded and b"\r" not in encoded:
        return encoded
    return b"".join(line.strip(b" \t") for line in encoded.splitlines())


def head_of(data: str) -> bytes:
    """The first bytes of base64; none if it isn't base64."""
    return _decode_head(data[: 4 * HEAD].encode(errors="replace"))


def parse_base64(data: str) -> str:
    """`data` as strict base64: in one line, in the standard alphabet, padded. Raises ValueError."""
    require(data.isascii(), "not ASCII")
    encoded = data.encode()
    rest = encoded.translate(None, _ALPHABET)
    is_strict = rest in (b"", b"=", b"==") and encoded.endswith(rest)
    if is_strict and len(encoded) % 4 == 0:
        return data
    encoded = _in_one_line(encoded.strip()).translate(_URL_SAFE).rstrip(b"=")
    is_base64 = not encoded.translate(None, _ALPHABET) and len(encoded) % 4 != 1
    require(is_base64, "not base64")
    require(encoded, "empty")
    return (encoded + b"=" * (-len(encoded) % 4)).decode()


def is_data_url(value: Any) -> bool:
    """Whether it begins as a data URL does. It may still be one that can't be read."""
    return isinstance(value, str) and value[:5].lower() == "data:"


def parse_data_url(url: str) -> tuple[str | None, str] | None:
    """Media type and base64 of a data URL (RFC 2397); None if it can't be read."""
    head, comma, data = url[5:].partition(",")
    if not comma or not url.isascii():
        return None
    *parameters, last = head.split(";")
    if last.strip().lower() == "base64":
        return ";".join(parameters) or None, unquote(data) if "%" in data else data
    return head or "text/plain", base64.b64encode(unquote_to_bytes(data)).decode()
