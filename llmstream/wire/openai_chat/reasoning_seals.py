"""ReasoningSeals: what a host signed or encrypted of its reasoning, kept to go back with it.

OpenRouter has `reasoning_details`, Copilot `reasoning_opaque`, and LiteLLM `thinking_blocks`, which may stand in
`provider_specific_fields`: https://docs.litellm.ai/docs/reasoning_content.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmstream.checks import as_object, as_text
from llmstream.wire.json_fields import listed, objects_in
from llmstream.wire.openai_chat.reasoning_details import ReasoningDetails, is_sealed
from llmstream.wire.unread import Unread

_FORMAT = "openai-chat"
DETAILS, BLOCKS, _OPAQUE = "reasoning_details", "thinking_blocks", "reasoning_opaque"


class ReasoningSeals:
    """Those of one stretch of reasoning."""

    def __init__(self, unread: Unread) -> None:
        self._unread = unread
        self._details = ReasoningDetails()
        self._blocks = ReasoningDetails(signed_is_whole=True)
        self._opaque: str | None = None
        self.have_come = False

    def details_in(self, delta: Mapping[str, Any]) -> list[dict[str, Any]]:
        """OpenRouter's."""
        return self._objects_in(delta, DETAILS)

    def blocks_in(self, delta: Mapping[str, Any]) -> list[dict[str, Any]]:
        """LiteLLM's, from either of their places."""
        fields = as_object(delta.get("provider_specific_fields"))
        return self._objects_in(delta, BLOCKS) or self._objects_in(fields, BLOCKS)

    def add(self, delta: Mapping[str, Any]) -> bool:
        """Take the next ones. False if there is nothing to go back."""
        details, blocks = self.details_in(delta), self.blocks_in(delta)
        for detail in details:
            self._details.add(detail)
        for block in blocks:
            self._blocks.add(block)
        given = delta.get(_OPAQUE)
        opaque = as_text(given)
        self._opaque = opaque or self._opaque
        if opaque is None:
            self._unread.note(_OPAQUE, given)
        found = bool(details or opaque or any(map(is_sealed, blocks)))
        self.have_come = self.have_come or found
        return found

    def may_take(self, details: list[dict[str, Any]]) -> bool:
        """Whether details without words may be these: the first ones, or the signature that is missing."""
        if not self.have_come:
            return True
        is_signature = any(each.get("signature") for each in details)
        return is_signature and bool(self.data().get("readable"))

    def data(self) -> dict[str, Any]:
        """What `opaque` says of the reasoning."""
        details, blocks, opaque = self._details.joined(), self._blocks.joined(), self._opaque
        sealed = [each for each in (*details, *blocks) if is_sealed(each)]
        if not any(map(is_sealed, blocks)):
            blocks = []
        signed = next((each for each in sealed if as_text(each.get("signature"))), {})
        seals = {DETAILS: details, BLOCKS: blocks, _OPAQUE: opaque}
        kept = {name: seal for name, seal in seals.items() if seal}
        told = {
            "signature": signed.get("signature"),
            "id": as_text(signed.get("id")),
            "readable": None if sealed or opaque else True,
        }
        known = {name: value for name, value in told.items() if value is not None}
        return {**known, "provider_data": {"format": _FORMAT, **kept}}

    def _objects_in(self, holder: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
        """The objects in a list. What else is in it isn't understood."""
        found = listed(holder.get(name))
        others = [each for each in found if not isinstance(each, dict)]
        if others:
            self._unread.note(name, others)
        return objects_in(found)
