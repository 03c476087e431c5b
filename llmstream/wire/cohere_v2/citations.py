"""Cohere's citations as Sources, and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from llmstream.checks import as_object, as_text
from llmstream.messages import Source
from llmstream.provider_data import own_notes
from llmstream.wire.json_fields import as_count, first_text, present

FORMAT = "cohere-v2"
IN_TEXT = "TEXT_CONTENT"
_TITLES = ("title", "name")
_URLS = ("url", "uri", "link")
_EXCERPTS = ("text", "snippet", "content", "data")


def parse_citation(citation: Mapping[str, Any], before: int) -> Iterator[Source]:
    """One Source for each thing that a citation rests on. `before`: characters of the text before its own.

    What rests on one in the reasoning or in a plan has no place in the text.
    """
    is_in_text = citation.get("type") in (None, IN_TEXT)
    start, end = (as_count(citation.get(name)) for name in ("start", "end"))
    place = {
        "start": None if start is None or not is_in_text else start + before,
        "end": None if end is None or not is_in_text else end + before,
    }
    for number, given in enumerate(citation.get("sources") or [{}]):
        known = as_object(given)
        said = as_object(known.get("document") or known.get("tool_output"))
        # The citation goes back once, with the first of its sources.
        data = {"format": FORMAT, "citation": dict(citation)} if number == 0 else None
        yield Source(
            id=as_text(known.get("id")) or as_text(said.get("id")),
            title=first_text(said, _TITLES),
            url=first_text(said, _URLS),
            excerpt=first_text(said, _EXCERPTS),
            provider_data=data,
            **place,
        )


def render_citation(source: Source, before: int) -> dict[str, Any]:
    """A Source as a citation of its own, whatever format it is from. `before` as in `parse_citation`."""
    document = present(id=source.id, title=source.title, url=source.url, text=source.excerpt)
    start = None if source.start is None else max(source.start - before, 0)
    end = None if source.end is None else max(source.end - before, 0)
    cited = {"type": "document", **present(id=source.id), "document": document}
    return {**present(start=start, end=end), "sources": [cited], "type": IN_TEXT}


def own_citation(source: Source) -> dict[str, Any] | None:
    """The citation in Cohere's own words; None for another format's."""
    citation: dict[str, Any] | None = own_notes(source.provider_data, FORMAT).get("citation")
    return citation
