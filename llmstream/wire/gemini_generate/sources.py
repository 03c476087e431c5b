"""The sources that an answer rests on: grounding in what was found, and citations of what was recited.

Format: https://ai.google.dev/api/generate-content#GroundingMetadata and #CitationMetadata. Their places are bytes of
the answer's text; those of a Source are characters. A segment has its own words, which are looked for where its place
is that of another part.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from llmstream.checks import as_object, as_text
from llmstream.messages import Source
from llmstream.provider_data import own_notes
from llmstream.wire.byte_places import bytes_of, characters_in
from llmstream.wire.gemini_generate.parts import FORMAT
from llmstream.wire.json_fields import as_count, first_text, objects_in, present

_CITED = ("citations", "citationSources")
"""Vertex AI's name for the list, and the Gemini API's."""
_URLS = ("uri", "sourceUri", "imageUri")
_IDS = ("documentName", "placeId")


class _Claim(NamedTuple):
    """What metadata says: the source, and the stretch of the answer that rests on it."""

    source: Source
    segment: Mapping[str, Any]


class Grounding:
    """The sources of one answer. Metadata may come again, with more in it: each source is told once."""

    def __init__(self) -> None:
        self._chunks: list[Mapping[str, Any]] = []
        self._told: set[Any] = set()
        self._cited: set[int] = set()  # places of chunks that a support has named
        self._early: list[_Claim] = []  # their stretch hasn't come

    def sources(self, candidate: Mapping[str, Any], text: str) -> list[Source]:
        """The sources that a candidate adds. `text`: all of the answer's so far."""
        claims, self._early = self._early, []
        grounding = candidate.get("groundingMetadata")
        if grounding:
            claims += self._of_grounding(grounding)
        citations = as_object(candidate.get("citationMetadata"))
        for name in _CITED:
            claims += map(_of_citation, objects_in(citations.get(name)))
        size = len(text.encode("utf-8", "replace"))
        self._early = [claim for claim in claims if _end_of(claim.segment) > size]
        return self._placed([claim for claim in claims if _end_of(claim.segment) <= size], text)

    def rest(self, text: str) -> list[Source]:
        """Those whose stretch of the answer never came."""
        claims, self._early = self._early, []
        return self._placed(claims, text)

    def _of_grounding(self, grounding: Mapping[str, Any]) -> Iterator[_Claim]:
        self._chunks = [
            as_object(each) for each in grounding.get("groundingChunks") or self._chunks
        ]
        for support in objects_in(grounding.get("groundingSupports")):
            scores = support.get("confidenceScores") or ()
            for number, place in enumerate(support.get("groundingChunkIndices") or ()):
                if not 0 <= place < len(self._chunks):
                    continue
                self._cited.add(place)
                score = scores[number] if number < len(scores) else None
                yield _of_chunk(self._chunks[place], support.get("segment") or {}, score)
        for place, chunk in enumerate(self._chunks if grounding.get("groundingChunks") else ()):
            if chunk and place not in self._cited:
                yield _of_chunk(chunk, {}, None)

    def _placed(self, claims: Iterable[_Claim], text: str) -> list[Source]:
        found: list[Source] = []
        for source, segment in claims:
            source.start, source.end = _place_of(segment, text)
            key = (source.id, source.url, source.title, source.excerpt, source.start, source.end)
            if key not in self._told:
                self._told.add(key)
                found.append(source)
        return found


def _of_chunk(chunk: Mapping[str, Any], segment: Mapping[str, Any], score: Any) -> _Claim:
    """Something that was found."""
    body = next((as_object(value) for value in chunk.values() if value), {})
    source = Source(
        id=first_text(body, _IDS),
        title=as_text(body.get("title")),
        url=first_text(body, _URLS),
        relevance_score=score if isinstance(score, float | int) else None,
        excerpt=as_text(body.get("text")),
        provider_data={"format": FORMAT, "citation": present(chunk=chunk, segment=segment)},
    )
    return _Claim(source, segment)


def _of_citation(citation: Mapping[str, Any]) -> _Claim:
    """Something that the answer recites."""
    source = Source(
        title=as_text(citation.get("title")),
        url=first_text(citation, _URLS),
        provider_data={"format": FORMAT, "citation": {"recited": citation}},
    )
    return _Claim(source, citation)


def _end_of(segment: Mapping[str, Any]) -> int:
    return as_count(segment.get("endIndex")) or 0


def _place_of(segment: Mapping[str, Any], text: str) -> tuple[int | None, int | None]:
    """The characters of the answer that a segment means; None where that can't be told."""
    words = as_text(segment.get("text"))
    last = as_count(segment.get("endIndex"))
    start = characters_in(text, as_count(segment.get("startIndex")) or 0)
    end = None if last is None else characters_in(text, last)
    if end is not None and words in (None, text[start:end]):
        return start, end
    if words is None:
        return None, None
    found = text.find(words)
    return (found, found + len(words)) if found >= 0 else (None, None)


def render_source(source: Source, text: str) -> dict[str, Any]:
    """A source as the members of a candidate. `text`: the answer's so far."""
    own = as_object(own_notes(source.provider_data, FORMAT).get("citation"))
    if "recited" in own:
        return {"citationMetadata": {_CITED[1]: [own["recited"]]}}
    kind = "web" if source.excerpt is None and source.id is None else "retrievedContext"
    said = present(uri=source.url, title=source.title, text=source.excerpt, documentName=source.id)
    chunk = own.get("chunk") or {kind: said}
    metadata: dict[str, Any] = {"groundingChunks": [chunk]}
    segment = own.get("segment") or _segment_of(source, text)
    if segment:
        support = {"segment": segment, "groundingChunkIndices": [0]}
        if source.relevance_score is not None:
            support["confidenceScores"] = [source.relevance_score]
        metadata["groundingSupports"] = [support]
    return {"groundingMetadata": metadata}


def _segment_of(source: Source, text: str) -> dict[str, Any]:
    if source.end is None:
        return {}
    start = source.start or 0
    return present(
        startIndex=bytes_of(text, start) or None,
        endIndex=bytes_of(text, source.end),
    )
