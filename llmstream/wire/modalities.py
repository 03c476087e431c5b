"""Tokens by modality: members of OpenAI's details, and Google's lists."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmstream.wire.json_fields import as_count, objects_in

MODALITIES = ("text", "image", "audio", "video", "document")
"""https://ai.google.dev/api/generate-content#Modality; OpenAI, vLLM and OpenRouter have the first four."""
MEMBERS = {f"{modality}_tokens": modality for modality in MODALITIES}
"""Members of `prompt_tokens_details`, `output_tokens_details` and their like."""


def read_members(details: Mapping[str, Any]) -> dict[str, int]:
    """The tokens of each modality that has some, from OpenAI's details of a usage."""
    found = {MEMBERS[name]: as_count(count) for name, count in details.items() if name in MEMBERS}
    return {modality: count for modality, count in found.items() if count}


def render_members(tokens: Mapping[str, int]) -> dict[str, int]:
    """The inverse of `read_members`."""
    return {name: tokens[modality] for name, modality in MEMBERS.items() if modality in tokens}


def read_list(entries: Any, count: str) -> dict[str, int]:
    """The tokens of each modality that has some, from Google's list; `count` is the member with their number."""
    found: dict[str, int] = {}
    for entry in objects_in(entries):
        modality, tokens = str(entry.get("modality")).lower(), as_count(entry.get(count))
        if tokens and modality in MODALITIES:
            found[modality] = found.get(modality, 0) + tokens
    return found


def render_list(tokens: Mapping[str, int], count: str, *, upper: bool) -> list[dict[str, Any]]:
    """The inverse of `read_list`; generateContent writes modalities in capitals."""
    return [
        {"modality": modality.upper() if upper else modality, count: number}
        for modality, number in tokens.items()
        if modality in MODALITIES
    ]
