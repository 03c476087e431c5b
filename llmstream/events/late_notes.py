"""LateNotes: what a provider says of reasoning and of calls that are over, for the message that they add up to."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from llmstream.messages import Part, ReasoningPart, ToolCall


class LateNotes:
    """Notes are applied when the message is asked for, all in one pass."""

    __slots__ = ("_calls", "_seals")

    def __init__(self) -> None:
        self._seals: dict[tuple[int, int], Mapping[str, Any]] = {}
        self._calls: dict[str, dict[str, Any]] = {}

    def seal(self, start: int, end: int, data: Mapping[str, Any]) -> None:
        """Reasoning from one character to another, of all reasoning, gets a signature. The last one counts."""
        self._seals[start, end] = data

    def note_call(self, id: str, provider_data: dict[str, Any]) -> None:
        """The call with this id gets its `provider_data`."""
        self._calls[id] = provider_data

    def clear(self) -> None:
        """Forget all of them."""
        self._seals.clear()
        self._calls.clear()

    def apply(self, parts: list[Part]) -> list[Part]:
        """The parts with their notes."""
        if not (self._seals or self._calls):
            return parts
        seals = deque(sorted(self._seals))
        noted: list[Part] = []
        at = 0
        for part in parts:
            if isinstance(part, ReasoningPart) and part.text:
                noted += self._sealed(part, at, seals)
                at += len(part.text)
            elif isinstance(part, ToolCall) and part.id in self._calls:
                noted.append(replace(part, provider_data=self._calls[part.id]))
            else:
                noted.append(part)
        return noted

    def _sealed(
        self, part: ReasoningPart, at: int, seals: deque[tuple[int, int]]
    ) -> list[ReasoningPart]:
        """The stretches of a part, each with its own seal. A part that has one already isn't cut."""
        text, end = part.text, at + len(part.text)
        has_own = part.format is not None or part.provider_data is not None
        found: list[ReasoningPart] = []
        done = at
        while seals and seals[0][0] < end:
            since, until = seals.popleft()
            is_whole = (since, until) == (at, end)
            if since < done or until > end or (has_own and not is_whole):
                continue
            if since > done:
                found.append(ReasoningPart(text[done - at : since - at]))
            sealed = ReasoningPart(text[since - at : until - at])
            sign(sealed, self._seals[since, until])
            found.append(sealed)
            done = until
        if done == at:
            return [part]
        if done < end:
            found.append(ReasoningPart(text[done - at :]))
        return found


def sign(part: ReasoningPart, data: Mapping[str, Any]) -> None:
    """Reasoning gets what an opaque STATUS says of it."""
    part.signature, part.id = data.get("signature"), data.get("id")
    part.format = None if data.get("readable") else data["format"]
    part.provider_data = data.get("provider_data")
