"""Content blocks of Converse, as values: citations, results, pictures, and a block that goes on."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any

from llmstream.checks import as_object, as_text
from llmstream.messages import File, Source, ToolResult
from llmstream.provider_data import keep
from llmstream.wire.json_fields import as_count
from llmstream.wire.open_calls import OpenCall

FORMAT = "bedrock-converse"
SERVER_TOOL = "server_tool_use"
"""The type of a call that Amazon runs itself."""
CITATION = "cited"
"""The note that keeps a citation in its own words. It stands behind the text that it belongs to."""
_OF_RESULT = frozenset({"toolUseId", "content", "status"})
_RESULT_NOTES = ("type",)
_RESULT_ENDING = "_result"
"""How the type of a result ends, after the tool's name."""
_IMAGE, _AUDIO, _VIDEO, _DOCUMENT = "image", "audio", "video", "document"

FORMATS: Mapping[str, Mapping[str, str]] = {
    _IMAGE: {"png": "image/png", "jpeg": "image/jpeg", "gif": "image/gif", "webp": "image/webp"},
    _DOCUMENT: {
        "pdf": "application/pdf",
        "csv": "text/csv",
        "doc": "application/msword",
        "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "xls": "application/vnd.ms-excel",
        "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "html": "text/html",
        "txt": "text/plain",
        "md": "text/markdown",
    },
    _VIDEO: {
        "mkv": "video/x-matroska",
        "mov": "video/quicktime",
        "mp4": "video/mp4",
        "webm": "video/webm",
        "flv": "video/x-flv",
        "mpeg": "video/mpeg",
        "wmv": "video/x-ms-wmv",
        "three_gp": "video/3gpp",
    },
    _AUDIO: {
        "mp3": "audio/mpeg",
        "opus": "audio/opus",
        "wav": "audio/wav",
        "aac": "audio/aac",
        "flac": "audio/flac",
        "mp4": "audio/mp4",
        "ogg": "audio/ogg",
        "mka": "audio/x-matroska",
        "pcm": "audio/pcm",
        "webm": "audio/webm",
    },
}
"""Converse's names of formats, by the kind of block (botocore: ImageFormat, DocumentFormat and their like)."""
OTHER_NAMES: Mapping[str, Mapping[str, str]] = {
    _VIDEO: {"mpg": "mpeg"},
    _AUDIO: {"mpeg": "mp3", "mpga": "mp3", "x-aac": "aac", "m4a": "mp4", "mkv": "mka"},
}
"""More names, and those that mean the same."""


class ConverseBlock:
    """A content block that has begun."""

    __slots__ = (
        "call",
        "given",
        "kind",
        "part",
        "pieces",
        "result",
        "shown",
        "signature",
        "thought",
    )

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.call: OpenCall | None = None
        self.part = 0
        """The number of a text."""
        self.given = ""
        """The arguments that stood in the start of a call; others may follow in their place."""
        self.signature: list[str] = []
        self.thought: tuple[int, int] | None = None
        """Where its words stand in all reasoning."""
        self.pieces: list[str] = []
        """Base64 of redacted reasoning, or of a picture."""
        self.result: dict[str, Any] = {}
        """What the start of a result says, and its content so far."""
        self.shown: dict[str, Any] = {}
        """What the start of a picture says, and where it is."""


def parse_citation(citation: Mapping[str, Any]) -> Source:
    """A citation of any location."""
    location = as_object(citation.get("location"))
    place = next((as_object(place) for place in location.values() if place), {})
    excerpts = [as_object(piece).get("text") for piece in citation.get("sourceContent") or ()]
    excerpt = "".join(text for text in excerpts if isinstance(text, str))
    return Source(
        title=as_text(citation.get("title")) or as_text(place.get("domain")),
        url=as_text(place.get("url")) or as_text(citation.get("source")),
        excerpt=excerpt or None,
        start=as_count(place.get("start")),
        end=as_count(place.get("end")),
        provider_data={"format": FORMAT, CITATION: dict(citation)},
    )


def parse_result(block: Mapping[str, Any]) -> ToolResult:
    """The result of a tool that Amazon ran."""
    kind = block.get("type")
    name = kind.removesuffix(_RESULT_ENDING) if isinstance(kind, str) else None
    rest = {key: value for key, value in block.items() if key not in _OF_RESULT}
    return ToolResult(
        str(block.get("toolUseId") or ""),
        lone_text(block.get("content") or []),
        name=name or None,
        is_error=block.get("status") == "error",
        executed_by="provider",
        provider_data=keep(FORMAT, rest, _RESULT_NOTES),
    )


def lone_text(content: Sequence[Any]) -> Any:
    """A result's content: the text, if it is nothing but one; else the list."""
    if not content:
        return ""
    only = content[0] if len(content) == 1 else None
    if isinstance(only, dict) and only.keys() == {"text"} and isinstance(only["text"], str):
        return only["text"]
    return list(content)


def add_content(content: list[Any], pieces: Sequence[Any]) -> None:
    """Add what a delta brings to a result. Pieces of text become one."""
    for piece in pieces:
        last = content[-1] if content else None
        is_text = isinstance(piece, dict) and isinstance(piece.get("text"), str)
        if is_text and isinstance(last, dict) and isinstance(last.get("text"), str):
            last["text"] += piece["text"]
        else:
            content.append(dict(piece) if is_text else piece)


def join_base64(pieces: Sequence[str]) -> str:
    """Base64 that came in pieces, each of which may be padded. Raises ValueError."""
    if len(pieces) == 1:
        return pieces[0]
    try:
        data = b"".join(base64.b64decode(piece, validate=True) for piece in pieces)
    except binascii.Error as flaw:
        raise ValueError(str(flaw)) from None
    return base64.b64encode(data).decode()


def parse_file(kind: str, block: Mapping[str, Any]) -> File | None:
    """A picture, a sound, a video or a document; None if its bytes are nowhere."""
    source = as_object(block.get("source"))
    data, place = source.get("bytes"), as_object(source.get("s3Location"))
    if not (isinstance(data, str) and data) and not place.get("uri"):
        return None
    return File(
        name=as_text(block.get("name")),
        media_type=media_type_of(kind, block.get("format")),
        data=data if isinstance(data, str) and data else None,
        url=as_text(place.get("uri")),
    )


def media_type_of(kind: str, name: Any) -> str | None:
    """The media type that Converse's name of a format means."""
    if not isinstance(name, str):
        return None
    name = OTHER_NAMES.get(kind, {}).get(name, name)
    return FORMATS[kind].get(name, f"{kind}/{name}")
