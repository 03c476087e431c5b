"""Provider data that comes back after a client has kept it: treated as untrusted input.

A reasoning signature, an item that only its provider understands, a note on a tool call: they leave as JSON objects
with the wire format that they belong to, and come back in the next request. What no longer looks like one is dropped.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any

from llmstream.checks import as_object, as_text
from llmstream.message_reader import FORMAT
from llmstream.messages import Part, ProviderPart, ReasoningPart

_SEAL = "llmstream:"


def reasoning_of(text: str, kept: Mapping[str, Any]) -> Part:
    """The part that a reasoning text and what was kept with it stand for."""
    format, item = as_text(kept.get("format")), kept.get("item")
    if format is not None and isinstance(item, dict) and _has_type(item):
        return ProviderPart(format, item)
    own = as_object(kept.get("provider_data"))
    data = dict(own) if as_text(own.get("format")) else None
    signed_by = None if kept.get("readable") is True else format
    return ReasoningPart(
        text, as_text(kept.get("signature")), as_text(kept.get("id")), signed_by, data
    )


def call_data_of(kept: Mapping[str, Any]) -> dict[str, Any] | None:
    """The `provider_data` of a call or its result."""
    format, item = as_text(kept.get("format")), kept.get("item")
    if format is None or (format == FORMAT and "extra_content" not in kept):
        return None
    return None if "item" in kept and not _has_type(item) else dict(kept)


def seal(kept: Mapping[str, Any]) -> str:
    """The same as one word, for formats that have a place for opaque text alone."""
    data = json.dumps(kept, ensure_ascii=True, separators=(",", ":"), default=str)
    return _SEAL + b64encode(data.encode()).decode()


def unseal(text: str | None) -> Mapping[str, Any] | None:
    """Open sealed data; None if it wasn't sealed here."""
    if text is None or not text.startswith(_SEAL):
        return None
    try:
        return as_object(json.loads(b64decode(text.removeprefix(_SEAL), validate=True)))
    except (ValueError, RecursionError):
        return {}


def _has_type(item: Any) -> bool:
    return isinstance(as_object(item).get("type"), str)
