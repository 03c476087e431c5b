"""Specimen: what a server says in one format where that isn't the stream of an answer, for fault servers and checks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Specimen:
    """Payloads of one format, and what its rules are about the end of an answer."""

    document: Callable[[str], dict[str, Any]]
    """A whole answer with this text as one JSON document, for those who don't stream."""
    refusal: Callable[[dict[str, Any]], dict[str, Any]] = lambda error: {"error": error}
    """The body of an HTTP error around its error object."""
    quota: tuple[str, str] = ("insufficient_quota", "insufficient_quota")
    """The type and the code of an error that only money mends."""
    opening: bytes
    """Bytes that only the frame has with which an answer opens."""
    text_member: str
    """The JSON member with the text in a frame of text."""
    unknown: tuple[dict[str, Any], ...] = ({"type": "novelty"},)
    """Payloads with a content part that nobody knows yet."""
    broken: dict[str, Any]
    """A payload with a number in place of an object."""
    reason_ends: bool = False
    """A clean end of the body after the finish reason completes the answer, as its own end does."""
    own_end: bool = True
    """An answer has an end of its own. False: it ends with the body, and what follows its finish reason counts."""
    done_marker: bool = False
    """The last frame is `[DONE]`."""
