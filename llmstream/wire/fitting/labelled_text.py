"""Documents and search results as text with a label, for a target that has no block for them."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from llmstream.cache_marks import BREAKPOINT, CONTROL
from llmstream.media import parse_media
from llmstream.media_types import essence
from llmstream.messages import File, ImagePart, Part, ProviderPart, TextPart

TEXT_TYPES = frozenset(
    {"application/json", "application/xml", "application/yaml", "application/x-yaml"}
)
"""Text, though their names don't begin with `text/`."""


def is_text(file: File) -> bool:
    """Whether a file's data is text."""
    kind = essence(file.media_type)
    return file.data is not None and (kind.startswith("text/") or kind in TEXT_TYPES)


def text_of(file: File) -> str:
    """The text in a file. What isn't UTF-8 is replaced."""
    return base64.b64decode(file.data or "").decode(errors="replace")


def document(title: str | None, text: str) -> TextPart:
    """A document's text under its title."""
    label = f"[Document: {title}]" if title else "[Document]"
    return TextPart(f"{label}\n{text}")


def labelled(part: ProviderPart) -> list[Part]:
    """What another format's block says to anybody; nothing if only that format understands it."""
    reader = _READERS.get(str(part.data.get("type")))
    return [] if reader is None else reader(part.data)


def further_members(block: Mapping[str, Any]) -> dict[str, Any]:
    """What `labelled` doesn't say of a block that it can read."""
    known = _KNOWN.get(str(block.get("type")))
    if known is None:
        return {}
    names = [name for name in block if name not in known]
    return {name: block[name] for name in names if block[name] not in (None, [])}


def _search_result(block: Mapping[str, Any]) -> list[Part]:
    title, source = block.get("title"), block.get("source")
    named = ", ".join(str(each) for each in (title, source) if each)
    return [TextPart(f"[Search result: {named}]\n{_texts(block.get('content'))}")]


def _document(block: Mapping[str, Any]) -> list[Part]:
    """The document's context, if it has one, and then the document."""
    source = block.get("source")
    if not isinstance(source, Mapping):
        return []
    title, context = block.get("title"), block.get("context")
    part = _document_part(source, title if isinstance(title, str) else None)
    if part is None:
        return []
    return [TextPart(context), part] if isinstance(context, str) and context else [part]


def _image(block: Mapping[str, Any]) -> list[Part]:
    """A picture whose block says more than an ImagePart can."""
    source = block.get("source")
    if not isinstance(source, Mapping):
        return []
    data, url = source.get("data"), source.get("url")
    if source.get("type") == "base64" and data:
        return [ImagePart(data=data, media_type=source.get("media_type"))]
    return [ImagePart(url)] if source.get("type") == "url" and url else []


def _document_part(source: Mapping[str, Any], title: str | None) -> Part | None:
    kind = source.get("type")
    if kind == "base64":
        return File(name=title, media_type=source.get("media_type"), data=source.get("data"))
    if kind == "url":
        return File(name=title, media_type="application/pdf", url=source.get("url"))
    said = source.get("data") if kind == "text" else _texts(source.get("content"))
    return document(title, said) if isinstance(said, str) and said else None


def _texts(content: Any) -> str:
    """The texts of blocks, apart by a blank line."""
    if isinstance(content, str):
        return content
    blocks = content if isinstance(content, list) else []
    texts = [block.get("text") for block in blocks if isinstance(block, Mapping)]
    return "\n\n".join(text for text in texts if isinstance(text, str))


def _input_image(block: Mapping[str, Any]) -> list[Part]:
    url = block.get("image_url")
    if not isinstance(url, str):
        return []
    return [parse_media(ImagePart, "input_image", url=url, detail=block.get("detail"))]


def _input_file(block: Mapping[str, Any]) -> list[Part]:
    names = {"id": "file_id", "name": "filename", "data": "file_data", "url": "file_url"}
    said = {name: block.get(key) or None for name, key in names.items()}
    return [parse_media(File, "input_file", **said)]


_READERS = {
    "search_result": _search_result,
    "document": _document,
    "image": _image,
    "input_image": _input_image,
    "input_file": _input_file,
}

_KNOWN: Mapping[str, frozenset[str]] = {
    "search_result": frozenset({"type", "title", "source", "content", "citations", CONTROL}),
    "document": frozenset({"type", "title", "source", "context", "citations", CONTROL}),
    "image": frozenset({"type", "source", CONTROL}),
    "input_image": frozenset({"type", "image_url", "detail", BREAKPOINT}),
    "input_file": frozenset({"type", "file_id", "filename", "file_data", "file_url", BREAKPOINT}),
}
"""What each reader reads, and marks, which are no loss."""
