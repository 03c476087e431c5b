"""Echo: deltas that may tell again what the beginning of their block or item has told."""

from __future__ import annotations


class Echo:
    """What a beginning told, while the deltas after it may still repeat it."""

    __slots__ = ("_held", "_told")

    def __init__(self, told: str) -> None:
        self._told = told
        self._held = ""

    def rest(self, content: str) -> str:
        """What a delta adds: nothing, as long as it goes on as the beginning did."""
        told = self._told
        if not told:
            return content
        held = self._held + content
        if told.startswith(held):
            self._held, self._told = held, "" if held == told else told
            return ""
        self._held, self._told = "", ""
        return held.removeprefix(told)
