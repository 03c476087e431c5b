"""Citations in chat completions: OpenAI's annotations, and the lists of Perplexity and LiteLLM. Each is told once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from llmstream.checks import as_text
from llmstream.messages import Source
from llmstream.wire.json_fields import objects_in
from llmstream.wire.unread import Unread

_PAGE = "url_citation"
_FILES = ("file_citation", "file_path", "container_file_citation", "file")


class Citations:
    """The citations of one answer. What isn't understood goes to `unread`."""

    def __init__(self, unread: Unread) -> None:
        self._unread = unread
        self._urls: set[str | None] = set()
        self._places: set[tuple[Any, ...]] = set()  # of annotations

    def of_annotations(self, annotations: Iterable[Any]) -> Iterator[Source]:
        """Those of a delta. The same page may be cited again."""
        for annotation in annotations:
            source = _annotated(annotation)
            if source is None:
                self._unread.note("annotations", annotation)
                continue
            self._urls.add(source.url)
            self._places.add(_place_of(source))
            yield source

    def untold(self, annotations: Iterable[Any]) -> list[Any]:
        """The annotations of a whole message that weren't told."""
        found = []
        for annotation in annotations:
            source = _annotated(annotation)
            if source is None or _place_of(source) not in self._places:
                found.append(annotation)
        return found

    def of_lists(self, citations: Iterable[Any], results: Iterable[Any]) -> Iterator[Source]:
        """A list of addresses, which grows, and what was found there; or either of them alone (Perplexity)."""
        found = {as_text(result.get("url")): result for result in objects_in(results)}
        for citation in (*citations, *results):
            source = _listed(citation, found)
            if source is None:
                self._unread.note("citations", citation)
            elif source.url not in self._urls:
                self._urls.add(source.url)
                yield source


def _annotated(annotation: Any) -> Source | None:
    """An annotation, whose members may stand in an object of its type; None if it names no source."""
    if not isinstance(annotation, dict):
        return None
    kind = annotation.get("type") or _PAGE
    inner = annotation.get(kind)
    cited = inner if isinstance(inner, dict) else annotation
    if kind in _FILES and as_text(cited.get("file_id")):
        title = cited.get("filename") or cited.get("name")
        return Source(id=cited["file_id"], title=title, excerpt=cited.get("quote"))
    has_words = any(as_text(cited.get(name)) for name in ("url", "title", "content"))
    if not (has_words or (kind == _PAGE and cited is inner)):
        return None
    return Source(
        title=cited.get("title"),
        url=cited.get("url"),
        excerpt=cited.get("content"),
        start=cited.get("start_index"),
        end=cited.get("end_index"),
    )


def _place_of(source: Source) -> tuple[Any, ...]:
    return source.url, source.id, source.start, source.end


def _listed(citation: Any, results: Mapping[Any, Mapping[str, Any]]) -> Source | None:
    """An entry of a list: an address, or what was found there. `results` has more, by address."""
    given = citation if isinstance(citation, dict) else {"url": citation}
    url = as_text(given.get("url"))
    if url is None:
        return None
    known = {**results.get(url, {}), **given}
    excerpt = as_text(known.get("snippet")) or as_text(known.get("cited_text"))
    return Source(title=as_text(known.get("title")), url=url, excerpt=excerpt)
