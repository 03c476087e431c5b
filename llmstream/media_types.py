"""Media types: what the first bytes of a file show, what a name says, and when two types contradict each other."""

from __future__ import annotations

import os
import re
from codecs import getincrementaldecoder
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mimetypes import MimeTypes

# Patterns of the MIME Sniffing Standard (mimesniff.spec.whatwg.org, section 6); brands after `ftyp` from mp4ra.org.
_SIGNATURES = tuple(
    (media_type, re.compile(pattern, re.DOTALL))
    for media_type, pattern in (
        ("image/png", rb"\x89PNG\r\n\x1a\n"),
        ("image/jpeg", rb"\xff\xd8\xff"),
        ("image/gif", rb"GIF8[79]a"),
        ("image/webp", rb"RIFF....WEBP"),
        ("image/bmp", rb"BM....\0\0\0\0"),
        ("image/tiff", rb"II\*\0|MM\0\*"),
        ("image/avif", rb"....ftypavi[fs]"),
        ("image/heic", rb"....ftyphe(?:i[cxms]|v[cxms])"),
        ("image/heif", rb"....ftypm(?:if|sf)1"),
        ("application/pdf", rb"\s*%PDF-"),
        ("audio/wav", rb"RIFF....WAVE"),
        ("audio/mpeg", rb"ID3[\x02-\x04]|\xff[\xfa\xfb\xf2\xf3]"),
        ("audio/aac", rb"\xff[\xf0\xf1\xf8\xf9]"),
        ("audio/flac", rb"fLaC"),
        ("audio/ogg", rb"OggS\0"),
        ("audio/aiff", rb"FORM....AIF[FC]"),
        ("audio/mp4", rb"....ftypM4[AB] "),
        ("video/quicktime", rb"....ftypqt  "),
        ("video/mp4", rb"....ftyp[\w ]{4}"),
        ("video/webm", rb"\x1aE\xdf\xa3"),
        ("video/x-msvideo", rb"RIFF....AVI "),
        ("application/zip", rb"PK\x03\x04"),
        ("application/gzip", rb"\x1f\x8b\x08"),
        ("text/html", rb"(?:\xef\xbb\xbf)?\s*<(?i:!doctype html|html)[\s>]"),
    )
)
_ALIASES = {
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "image/x-png": "image/png",
    "image/x-ms-bmp": "image/bmp",
    "audio/mp3": "audio/mpeg",
    "audio/x-wav": "audio/wav",
    "audio/wave": "audio/wav",
    "audio/vnd.wave": "audio/wav",
    "audio/x-flac": "audio/flac",
    "audio/x-aiff": "audio/aiff",
    "audio/m4a": "audio/mp4",
    "audio/x-m4a": "audio/mp4",
    "application/x-pdf": "application/pdf",
    "application/x-zip-compressed": "application/zip",
    "application/x-gzip": "application/gzip",
}
_TEXT_LIKE = frozenset({"text/html", "application/xhtml+xml", "application/xml"})
_OFFICE = "application/vnd.openxmlformats-officedocument."
_OPEN = "application/vnd.oasis.opendocument."
_NEWER = {  # than Python's own table was in 3.11
    ".docx": _OFFICE + "wordprocessingml.document",
    ".xlsx": _OFFICE + "spreadsheetml.sheet",
    ".pptx": _OFFICE + "presentationml.presentation",
    ".odt": _OPEN + "text",
    ".ods": _OPEN + "spreadsheet",
    ".odp": _OPEN + "presentation",
    ".epub": "application/epub+zip",
    ".md": "text/markdown",
    ".rtf": "application/rtf",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
}
_KIN = (  # types that the same first bytes may mean
    frozenset({"image/png", "image/apng"}),
    frozenset({"image/tiff", "image/dng", "image/x-adobe-dng"}),
    frozenset(
        {"image/heic", "image/heif", "image/avif", "image/heic-sequence", "image/heif-sequence"}
    ),
    frozenset({"audio/mpeg", "audio/aac", "audio/x-aac", "audio/aacp"}),
    frozenset({"audio/ogg", "video/ogg", "application/ogg", "audio/opus", "audio/vorbis"}),
    frozenset(
        {
            "audio/mp4",
            "video/mp4",
            "video/quicktime",
            "video/x-m4v",
            "video/3gpp",
            "audio/3gpp",
            "audio/aac",
        }
    ),
    frozenset(
        {"video/webm", "audio/webm", "video/x-matroska", "audio/x-matroska", "video/matroska"}
    ),
    _TEXT_LIKE,
)
_KNOWN = frozenset({media_type for media_type, _ in _SIGNATURES}.union(*_KIN))
_BINARY = _KNOWN - _TEXT_LIKE
_ANY = ("", "application/octet-stream", "image/*", "*/*")
_SENTENCE = 16  # bytes of text that are none by chance
TEXT_TYPES = frozenset(
    {"application/json", "application/xml", "application/yaml", "application/x-yaml"}
)
"""Text, though their names don't begin with `text/`."""
HEAD = 64
"""Bytes that are enough for each signature."""


def sniff(data: bytes) -> str | None:
    """The media type that the first bytes show, or None."""
    head = data[:HEAD]
    return next((media_type for media_type, pattern in _SIGNATURES if pattern.match(head)), None)


def essence(media_type: str | None) -> str:
    """A media type without parameters, in lower case, by its usual name; `""` for one that says nothing."""
    plain = (media_type or "").partition(";")[0].strip().lower()
    return "" if plain in _ANY else _ALIASES.get(plain, plain)


def contradicts(declared: str, sniffed: str | None) -> bool:
    """Whether bytes that show one type can't be of the declared one, which is given as its `essence`."""
    if sniffed is None or declared == sniffed:
        return False
    if any({declared, sniffed} <= kin for kin in _KIN):
        return False
    kind = declared.partition("/")[0]
    # Documents of many types are ZIP archives or PDFs inside; no picture is another picture.
    is_distinct = declared in _KNOWN or kind == "image"
    return is_distinct or kind != sniffed.partition("/")[0]


def type_by_name(name: str, head: bytes) -> str | None:
    """The type that a file's extension names, or None. `head` is its first bytes, which may show that it is text."""
    extension = os.path.splitext(name)[1].lower()  # noqa: PTH122  # a name, no path
    guessed = _NEWER.get(extension) or _extensions().types_map[True].get(extension)
    if not essence(guessed):
        guessed = None
    if guessed is not None and not guessed.startswith(("audio/", "video/")):
        return guessed
    # In the table `.ts` is a video, and `.rs` is missing.
    return "text/plain" if is_text(head) else guessed


def is_text(head: bytes) -> bool:
    """Whether the first bytes of a file are text in UTF-8, whose last character may be cut."""
    try:
        text = getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return not re.search(r"[\0-\x08\x0e-\x1a\x1c-\x1f]", text)


def type_at(url: str) -> str:
    """The type that the end of an address names; empty if it names none."""
    plain = url.partition("?")[0].partition("#")[0]
    path = plain.partition("://")[2].partition("/")[2]
    extension = os.path.splitext(path)[1].lower()  # noqa: PTH122  # of an address
    return essence(_NEWER.get(extension) or _extensions().types_map[True].get(extension))


@cache
def _extensions() -> MimeTypes:
    from mimetypes import MimeTypes  # seldom needed

    # Python's own table: that of the module's functions differs from machine to machine.
    return MimeTypes()


def extension_of(media_type: str | None) -> str:
    """The usual extension of a type, with its dot; `""` for an unknown one."""
    return _extensions().guess_extension(essence(media_type)) or ""


def is_text_in_place_of(declared: str, head: bytes) -> bool:
    """Whether text stands where a binary format was declared: an error page, or base64 of base64."""
    return declared in _BINARY and len(head) >= _SENTENCE and is_text(head)
