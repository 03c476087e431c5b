"""Annotations of a text as Sources, and back.

Format: google-genai's URLCitation, FileCitation and PlaceCitation. Their places are bytes of the text that they stand
with; those of a Source are characters of the whole answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from llmstream.checks import as_object, as_text
from llmstream.messages import Source
from llmstream.provider_data import own_notes
from llmstream.wire.byte_places import bytes_of
from llmstream.wire.gemini_interactions.steps import FORMAT
from llmstream.wire.json_fields import as_count, first_text, present

_TITLES = ("title", "name", "file_name")
_URLS = ("url", "document_uri", "uri")
_IDS = ("place_id", "media_id")
START, END = "start_index", "end_index"


def end_of(annotation: Mapping[str, Any]) -> int:
    """The byte at which the cited stretch ends."""
    return as_count(annotation.get(END)) or 0


def parse_citation(annotation: Mapping[str, Any], place_of: Callable[[int], int]) -> Source:
    """What an annotation cites. `place_of` says where in the answer's text a byte of its step's text is."""
    first, last = (as_count(annotation.get(name)) for name in (START, END))
    place = {} if last is None else {"start": place_of(first or 0), "end": place_of(last)}
    return Source(
        id=first_text(annotation, _IDS),
        title=first_text(annotation, _TITLES),
        url=first_text(annotation, _URLS),
        excerpt=as_text(annotation.get("source")),
        provider_data={"format": FORMAT, "citation": dict(annotation)},
        **place,
    )


def render_citation(source: Source, text: str, before: int) -> dict[str, Any]:
    """A Source as an annotation of the text of a step. `before`: characters of the answer before that."""
    own = as_object(own_notes(source.provider_data, FORMAT).get("citation"))
    said = {name: value for name, value in own.items() if name not in (START, END)}
    return {**(said or _said(source)), **_place(source, text, before)}


def _said(source: Source) -> dict[str, Any]:
    if source.url is None and (source.id is not None or source.excerpt is not None):
        said = present(media_id=source.id, file_name=source.title, source=source.excerpt)
        return {"type": "file_citation", **said}
    return {"type": "url_citation", **present(url=source.url, title=source.title)}


def _place(source: Source, text: str, before: int) -> dict[str, Any]:
    if source.end is None:
        return {}
    start, end = max(0, (source.start or 0) - before), max(0, source.end - before)
    return {START: bytes_of(text, start), END: bytes_of(text, end)}
