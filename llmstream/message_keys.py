"""The keys of a message in the shape of OpenAI's chat completions; another is a mistake that would go unseen.

A key whose value is None says nothing, so it is let through whatever it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

_MARKS = ("cache", "cache_control", "prompt_cache_breakpoint")
_SPOKEN = ("role", "content", "name", *_MARKS)
_OF_ANSWERS = (
    *("annotations", "citations", "executed_tools", "parsed"),
    "provider_specific_fields",  # LiteLLM: what other keys say, as the vendor said it
)
"""Keys that hosts and SDKs write into an answer. Nobody reads them when the message is sent back."""

_MESSAGE: Mapping[str, tuple[str, ...]] = {
    "system": _SPOKEN,
    "developer": _SPOKEN,
    "user": _SPOKEN,
    "tool": (*_SPOKEN, "tool_call_id"),
    "assistant": (
        *_SPOKEN,
        "refusal",
        "tool_calls",
        "reasoning",
        "reasoning_content",
        "reasoning_text",
        "reasoning_details",
        "thinking_blocks",
        "reasoning_opaque",
        *_OF_ANSWERS,
    ),
}
_TEXT = ("type", "text", "annotations", *_MARKS)
_PART: Mapping[str, tuple[str, ...]] = {
    "text": _TEXT,
    "input_text": _TEXT,
    "output_text": _TEXT,
    "image_url": ("type", "image_url", *_MARKS),
    "file": ("type", "file", "file_id", *_MARKS),
    "input_audio": ("type", "input_audio", *_MARKS),
    "audio_url": ("type", "audio_url", *_MARKS),
    "video_url": ("type", "video_url", *_MARKS),
    "file_url": ("type", "file_url", *_MARKS),
    "document_url": ("type", "document_url", "document_name", *_MARKS),
    "refusal": ("type", "refusal"),
}
_CALL = ("id", "type", "index", "function", "custom", "extra_content", *_MARKS)
_NAMED = {
    "function": ("name", "arguments", "parsed_arguments"),
    "custom": ("name", "input"),
}
_INSTEAD = {
    "function_call": "tool_calls, a list",
    "tool_call": "tool_calls, a list",
    "images": "parts of content, of type image_url",
    "image": "parts of content, of type image_url",
    "text": "content",
}


def check_message_keys(message: Mapping[str, Any], where: str) -> None:
    """Raise ValueError for a key that a message of this role doesn't have."""
    _check(message, _MESSAGE[message["role"]], where)


def check_part_keys(part: Mapping[str, Any], where: str) -> None:
    """Raise ValueError for a key that a part of this type doesn't have. The type itself is checked elsewhere."""
    known = _PART.get(str(part.get("type")))
    if known is not None:
        _check(part, known, where)


def check_call_keys(call: Mapping[str, Any], where: str) -> None:
    """Raise ValueError for a key that a call, or the function in it, doesn't have."""
    _check(call, _CALL, where)
    for kind, known in _NAMED.items():
        named = call.get(kind)
        if isinstance(named, Mapping):
            _check(named, known, f"{where}.{kind}")


def _check(value: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    for key, given in value.items():
        if key not in known and given is not None:
            raise ValueError(f"{where} has no key {str(key)[:60]!r}; {_advice(str(key), known)}")


def _advice(key: str, known: tuple[str, ...]) -> str:
    if key in _INSTEAD:
        return f"write {_INSTEAD[key]}"
    close = get_close_matches(key, known, 1)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}"
