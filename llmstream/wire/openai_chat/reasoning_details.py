"""OpenRouter's `reasoning_details` and LiteLLM's `thinking_blocks`: they come in pieces and go back whole.

Specification: https://openrouter.ai/docs/guides/best-practices/reasoning-tokens. Each has a `type` (`reasoning.text`,
`reasoning.summary`, `reasoning.encrypted`, others to come), an `index`, an `id` and a `format`. Pieces of one text
follow one another.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmstream.message_reader import OURS
from llmstream.wire.json_fields import join_texts

_TEXTS = ("text", "summary", "thinking")
_WHOLE = ("data", OURS)
"""Members of details that come in one piece: what is encrypted, and what a gateway of ours keeps."""


class ReasoningDetails:
    """The details of one stretch of reasoning, put together from their pieces."""

    def __init__(self, *, signed_is_whole: bool = False) -> None:
        self._signed_is_whole = signed_is_whole  # LiteLLM's blocks: their signature comes last
        self._details: list[dict[str, Any]] = []
        self._texts: list[dict[str, list[str]]] = []  # theirs, in pieces

    def __bool__(self) -> bool:
        return bool(self._details)

    def add(self, piece: dict[str, Any]) -> None:
        """The next piece."""
        if not self._details or not self._belongs(self._details[-1], piece):
            self._details.append({})
            self._texts.append({})
        detail, texts = self._details[-1], self._texts[-1]
        for key, value in piece.items():
            if key in _TEXTS and isinstance(value, str):
                texts.setdefault(key, []).append(value)
            elif value is not None or key not in detail:
                detail[key] = value

    def joined(self) -> list[dict[str, Any]]:
        """All of them, whole."""
        return [
            {**detail, **{key: join_texts(pieces) for key, pieces in texts.items()}}
            for detail, texts in zip(self._details, self._texts, strict=True)
        ]

    def _belongs(self, detail: dict[str, Any], piece: dict[str, Any]) -> bool:
        """Whether a piece goes on with a detail."""
        if any(name in detail or name in piece for name in _WHOLE):
            return False
        signatures = detail.get("signature"), piece.get("signature")
        if all(signatures) and signatures[0] != signatures[1]:
            return False
        if self._signed_is_whole and detail.get("signature") and text_of([piece]):
            return False
        same = all(detail.get(key) == piece.get(key) for key in ("type", "index"))
        ids = detail.get("id"), piece.get("id")
        return same and (None in ids or ids[0] == ids[1])


def is_sealed(detail: Mapping[str, Any]) -> bool:
    """Whether it is signed or encrypted."""
    return bool(detail.get("signature") or "data" in detail)


def text_of(details: list[dict[str, Any]]) -> str:
    """What can be read of them."""
    return join_texts(next(filter(None, map(detail.get, _TEXTS)), "") for detail in details)


def with_words(details: list[dict[str, Any]] | None, text: str) -> list[dict[str, Any]]:
    """Details, and in a signed one the words that came by another name: a signature holds for its words."""
    if not details or not text or text_of(details):
        return details or []
    given = [{**detail} for detail in details]
    signed = next((detail for detail in given if detail.get("signature")), {})
    signed["text"] = text
    return given
