"""Small values of the Responses format in both directions: usage (written), errors, annotations."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from llmstream.errors import ErrorInfo
from llmstream.messages import Source, Usage
from llmstream.provider_data import own_notes
from llmstream.wire.error_body import parse_error
from llmstream.wire.json_fields import present
from llmstream.wire.modalities import render_members
from llmstream.wire.openai_responses.items import FORMAT

_CODES = {
    "authentication": "invalid_api_key",
    "permission": "permission_denied",
    "not_found": "model_not_found",
    "invalid_request": "invalid_request_error",
    "context_length": "context_length_exceeded",
    "content_filter": "content_filter",
    "quota": "insufficient_quota",
    "rate_limit": "rate_limit_exceeded",
    "overloaded": "overloaded_error",
    "tool_use_failed": "tool_use_failed",
}


_SPAN = ("start_index", "end_index", "index")
"""Where in its part an annotation belongs, in characters."""


def parse_annotation(annotation: dict[str, Any]) -> Source | None:
    """An annotation of an `output_text` part; None for types that cite nothing."""
    kind = annotation.get("type")
    data = {"format": FORMAT, "annotation": annotation}
    if kind == "url_citation":
        return Source(
            title=annotation.get("title"),
            url=annotation.get("url") or None,
            start=annotation.get("start_index"),
            end=annotation.get("end_index"),
            provider_data=data,
        )
    if kind in ("file_citation", "container_file_citation", "file_path"):
        return Source(
            id=annotation.get("file_id") or None,
            title=annotation.get("filename"),
            start=annotation.get("start_index", annotation.get("index")),
            end=annotation.get("end_index"),
            provider_data=data,
        )
    return None


def render_usage(usage: Usage) -> dict[str, Any]:
    """The `usage` object; what was not reported is left out."""
    read = present(
        cached_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        **render_members(usage.input_by_modality),
    )
    written = present(
        reasoning_tokens=usage.reasoning_tokens, **render_members(usage.output_by_modality)
    )
    return present(
        input_tokens=usage.input_tokens,
        input_tokens_details=read,
        output_tokens=usage.output_tokens,
        output_tokens_details=written,
        total_tokens=usage.total_tokens,
    )


def render_error(info: ErrorInfo) -> dict[str, Any]:
    """`code` and `message`; the code is the provider's own where that says the kind."""
    error = {"code": info.code, "message": info.message}
    if parse_error({"error": error}).kind != info.kind:
        error["code"] = _CODES.get(info.kind, "server_error")
    return error


def moved(source: Source, by: int) -> Source:
    """The source of a text that stands so many characters further on."""
    if not by:
        return source
    span = {name: getattr(source, name) for name in ("start", "end")}
    return replace(source, **{name: _moved(value, by) for name, value in span.items()})


def own_annotation(source: Source, before: int) -> dict[str, Any] | None:
    """The annotation as it came in this format, of a part that begins `before` characters into the answer's text."""
    own: dict[str, Any] | None = own_notes(source.provider_data, FORMAT).get("annotation")
    if own is None:
        return None
    came = parse_annotation(own)
    at, was = source.start, came.start if came is not None else None
    if not (isinstance(at, int) and isinstance(was, int)):
        return own
    spans = {name: own[name] for name in _SPAN if name in own}
    return {**own, **{name: _moved(value, at - before - was) for name, value in spans.items()}}


def _moved(value: Any, by: int) -> Any:
    return value + by if isinstance(value, int) else value


def render_annotation(source: Source, before: int = 0) -> dict[str, Any]:
    """The annotation as it came in this format; else a citation of a page if there is a `url`, or of a file.

    It is of a part that begins `before` characters into the answer's text.
    """
    own = own_annotation(source, before)
    if own is not None:
        return own
    source = moved(source, -before)
    if source.url is not None or source.id is None:
        span = present(start_index=source.start, end_index=source.end)
        return {
            "type": "url_citation",
            **span,
            **present(title=source.title),
            "url": source.url or "",
        }
    if source.end is not None:
        span = present(start_index=source.start, end_index=source.end)
        kind = "container_file_citation"
    else:
        span = present(index=source.start)
        kind = "file_path" if source.title is None else "file_citation"
    return {"type": kind, "file_id": source.id, **present(filename=source.title), **span}
