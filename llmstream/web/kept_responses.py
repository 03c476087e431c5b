"""The responses of one WebSocket, so that its next request may name one instead of repeating it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llmstream.web.dialects.responses_echo import refused
from llmstream.web.limits import check_size

Items = Sequence[Mapping[str, Any]]
_MOST = 64
"""Responses that are kept: each lane's last, and some to fork from."""


@dataclass(frozen=True, slots=True)
class KeptResponse:
    """The items up to the end of a response: its input, whatever that went on from, and its output."""

    items: Items
    size: int
    """Characters of JSON."""


NOTHING = KeptResponse((), 0)


class KeptResponses:
    """The last responses of one connection. Nobody else sees them, and they end with it.

    `max_size` bounds the characters of one request with all that it goes on from, as if it had been sent whole.
    """

    def __init__(self, max_size: int) -> None:
        self._max_size = max_size
        self._kept: OrderedDict[str, KeptResponse] = OrderedDict()

    def find(self, id: Any) -> KeptResponse:
        """The response of this id; nothing for None. Raises RefusedError for one that isn't kept."""
        if id is None:
            return NOTHING
        kept = self._kept.get(id) if isinstance(id, str) else None
        if kept is None:
            told = f"Previous response with id {str(id)[:80]!r} not found on this connection."
            raise refused(told, code="previous_response_not_found", param="previous_response_id")
        return kept

    def check_size(self, size: int) -> None:
        """Raise RefusedError for a request that is too large with what it goes on from."""
        check_size(size, self._max_size)

    def add(self, id: str, kept: KeptResponse) -> None:
        """Keep one more. The oldest are forgotten for it."""
        self._kept[id] = kept
        while len(self._kept) > 1 and self._is_full():
            self._kept.popitem(last=False)

    def _is_full(self) -> bool:
        size = sum(kept.size for kept in self._kept.values())
        return len(self._kept) > _MOST or size > 2 * self._max_size
