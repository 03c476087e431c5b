"""Documents and search results as text with a label, for a target that has no block for them."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

from llmstream.cache_marks import CONTROL, cache_of
from llmstream.checks import as_object, as_text
from llmstream.media_types import TEXT_TYPES, essence
from llmstream.messages import File, ImagePart, ProviderPart, TextPart
from llmstream.wire.json_fields import objects_in

Marked: TypeAlias = TextPart | ImagePart | File
"""What may have a cache mark."""


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


def labelled(part: ProviderPart) -> list[Marked]:
    """What another format's block says to anybody; nothing if only that format understands it."""
    reader = _READERS.get(str(part.data.get("type")))
    said = [] if reader is None else reader(part.data)
    cache = cache_of(part.data)
    if said and cache is not None:
        said[-1] = replace(said[-1], cache=cache)
    return said


def further_members(block: Mapping[str, Any]) -> dict[str, Any]:
    """What `labelled` doesn't say of a block that it can read."""
    known = _KNOWN.get(str(block.get("type")))
    if known is None:
        return {}
    names = [name for name in block if name not in known]
    return {name: block[name] for name in names if block[name] not in (None, [])}


def _search_result(block: Mapping[str, Any]) -> list[Marked]:
    title, source = block.get("title"), block.get("source")
    named = ", ".join(str(each) for each in (title, source) if each)
    return [TextPart(f"[Search result: {named}]\n{_texts(block.get('content'))}")]


def _document(block: Mapping[str, Any]) -> list[Marked]:
    """The document's context, if it has one, and then the document."""
    source = as_object(block.get("source"))
    context = as_text(block.get("context"))
    part = _document_part(source, as_text(block.get("title")))
    said: list[Marked] = [*([] if part is None else [part]), *_pictures(source.get("content"))]
    return [TextPart(context), *said] if said and context else said


def _pictures(content: Any) -> list[Marked]:
    """Those among the blocks of a document."""
    images = [block for block in objects_in(content) if block.get("type") == "image"]
    return [part for block in images for part in _image(block)]


def _image(block: Mapping[str, Any]) -> list[Marked]:
    """A picture whose block says more than an ImagePart can."""
    source = as_object(block.get("source"))
    data, url = source.get("data"), source.get("url")
    if source.get("type") == "base64" and data:
        return [ImagePart(data=data, media_type=source.get("media_type"))]
    return [ImagePart(url)] if source.get("type") == "url" and url else []


def _document_part(source: Mapping[str, Any], title: str | None) -> Marked | None:
    kind = source.get("type")
    if kind == "base64":
        return File(name=title, media_type=source.get("media_type"), data=source.get("data"))
    if kind == "url":
        return File(name=title, media_type="application/pdf", url=source.get("url"))
    said = as_text(source.get("data") if kind == "text" else _texts(source.get("content")))
    return None if said is None else document(title, said)


def _texts(content: Any) -> str:
    """The texts of blocks, apart by a blank line."""
    if isinstance(content, str):
        return content
    texts = [block.get("text") for block in objects_in(content)]
    return "\n\n".join(text for text in texts if isinstance(text, str))


_READERS: Mapping[str, Callable[[Mapping[str, Any]], list[Marked]]] = {
    "search_result": _search_result,
    "document": _document,
    "image": _image,
}

_KNOWN: Mapping[str, frozenset[str]] = {
    "search_result": frozenset({"type", "title", "source", "content", "citations", CONTROL}),
    "document": frozenset({"type", "title", "source", "context", "citations", CONTROL}),
    "image": frozenset({"type", "source", CONTROL}),
}
"""What each reader reads, and marks, which are no loss."""
