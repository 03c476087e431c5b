"""The `content` of a delta or a message: text, or a list of parts of several vendors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from llmstream.checks import as_text
from llmstream.messages import File
from llmstream.wire.json_fields import join_texts, listed
from llmstream.wire.unread import Unread

_IMAGES = ("image_url", "output_image", "image", "input_image")
_SPEECH = ("audio", "output_audio", "input_audio")
_AT_URL = ("audio_url", "video_url", "file_url")
_REASONING = ("thinking", "reasoning")
_IMAGE_MEMBERS = ("image_url", "url", "b64_json", "image")


@dataclass(slots=True)
class Segment:
    """One stretch of content."""

    kind: Literal["text", "reasoning", "refusal", "file", "speech"]
    text: str = ""
    file: File | None = None
    speech: Any = None
    """A piece of it, as it came."""


def parse_content(content: Any, unread: Unread) -> list[Segment]:
    """The stretches of `content`. What isn't understood goes to `unread`."""
    if isinstance(content, str):
        return [Segment("text", content)]
    parts = [content] if isinstance(content, dict) else content
    segments = (_segment(part, unread) for part in parts)
    return [segment for segment in segments if segment is not None]


def parse_images(images: Any, unread: Unread) -> list[File]:
    """The pictures in `delta.images` (OpenRouter). What isn't understood goes to `unread`."""
    found = []
    for image in listed(images):
        file = _image(image)
        if file is None:
            unread.note("images", image)
        else:
            found.append(file)
    return found


def _segment(part: Any, unread: Unread) -> Segment | None:
    if isinstance(part, str):
        return Segment("text", part)
    kind = str(part.get("type"))
    if kind in _REASONING:
        return Segment("reasoning", inner_text(part.get(kind) or part.get("text")))
    if kind == "refusal":
        return Segment("refusal", part.get("refusal") or "")
    if kind in _IMAGES and (image := _image(part)) is not None:
        return Segment("file", file=image)
    if kind in _SPEECH:
        return Segment("speech", speech=part.get(kind) or part)
    if kind in _AT_URL and (url := _address(part.get(kind))):
        return Segment("file", file=_at(url))
    if kind == "file" and (file := _file(part.get(kind))) is not None:
        return Segment("file", file=file)
    if isinstance(part.get("text"), str):
        return Segment("text", part["text"])
    unread.note(f"content.{kind}", part)
    return None


def inner_text(inner: Any) -> str:
    """The words of a text, or of a list of texts, as Mistral's thinking is one."""
    if isinstance(inner, str):
        return inner
    parts = [inner] if isinstance(inner, dict) else inner or ()
    return join_texts(part if isinstance(part, str) else _words(part) for part in parts)


def _words(part: dict[str, Any]) -> str:
    words = (part.get(name) for name in ("text", "content", "thinking", "summary"))
    return next((text for text in words if isinstance(text, str)), "")


def _image(image: Any) -> File | None:
    """A picture in any of its forms; None if it has neither data nor an address."""
    if isinstance(image, str):
        return _at(image)
    if not isinstance(image, dict):
        return None
    for name in _IMAGE_MEMBERS:
        value = _address(image.get(name))
        if value is not None:
            return File(media_type="image/png", data=value) if name == "b64_json" else _at(value)
    return None


def _address(value: Any) -> str | None:
    """A URL, or the one in an object."""
    return as_text(value.get("url") if isinstance(value, dict) else value)


def _file(file: Any) -> File | None:
    """The file of a part in OpenAI's form; None if there is none."""
    if not isinstance(file, dict):
        return None
    id, name, data = (as_text(file.get(key)) for key in ("file_id", "filename", "file_data"))
    if data is not None and data.startswith("data:"):
        return File(id, name, url=data)
    return File(id, name, data=data) if id or data else None


def _at(url: str) -> File:
    return File(url=url)
