"""The blocks of images, files, sound and film in chat completions: OpenAI's, and those of other hosts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from llmstream.media import data_url, file_name
from llmstream.media_types import essence
from llmstream.messages import File, ImagePart
from llmstream.wire.json_fields import present
from llmstream.wire.outbound import warn_once
from llmstream.wire.part_rules import PartRules

_FORMATS = {"audio/mpeg": "mp3", "audio/mp4": "m4a"}
"""Formats of sound that aren't called as their type is."""


@dataclass(frozen=True, slots=True)
class ChatParts:
    """How one host is told of images and files."""

    rules: PartRules
    host: str

    def render(self, part: ImagePart | File, warnings: list[str]) -> dict[str, Any]:
        """The block of a part that the host takes."""
        form = "image_url" if isinstance(part, ImagePart) else self.rules.form(part)
        if form not in _NAMED and isinstance(part, File) and part.name is not None:
            warn_once(warnings, f"file: {self.host} has no names in {form}; dropped")
        return _FORMS[form](part)


def _address(part: ImagePart | File) -> str:
    return part.url or data_url(part)


def _image(part: Any) -> dict[str, Any]:
    image = {"url": _address(part), **present(detail=getattr(part, "detail", None))}
    return {"type": "image_url", "image_url": image}


def _file(part: File) -> dict[str, Any]:
    fields: Mapping[str, Any] = {"file_id": part.id, "filename": part.name, "file_data": part.url}
    if part.data is not None:
        fields = {**fields, "filename": file_name(part), "file_data": data_url(part)}
    return {"type": "file", "file": present(**fields)}


def _sound(part: File) -> dict[str, Any]:
    sound = {"data": part.data, "format": _format_of(part)}
    return {"type": "input_audio", "input_audio": sound}


def _format_of(part: File) -> str:
    kind = essence(part.media_type)
    return _FORMATS.get(kind) or kind.partition("/")[2].removeprefix("x-")


def _at(member: str) -> Callable[[File], dict[str, Any]]:
    return lambda part: {"type": member, member: {"url": _address(part)}}


_FORMS: Mapping[str, Callable[[Any], dict[str, Any]]] = {
    "image_url": _image,
    "file": _file,
    "input_audio": _sound,
    "audio_url": _at("audio_url"),
    "video_url": _at("video_url"),
    "file_url": _at("file_url"),
    # Mistral: a file's id, an address and sound stand in their blocks as they are.
    "file_id": lambda part: {"type": "file", "file_id": part.id},
    "bare input_audio": lambda part: {"type": "input_audio", "input_audio": part.data or part.url},
    "document_url": lambda part: {
        "type": "document_url",
        "document_url": _address(part),
        **present(document_name=part.name),
    },
    # Alibaba: sound by its address, or as a data URL.
    "addressed input_audio": lambda part: {
        "type": "input_audio",
        "input_audio": {"data": _address(part), "format": _format_of(part)},
    },
}
"""By the names in a host's rules."""
_NAMED = frozenset({"file", "document_url"})
"""The forms that have a name."""
