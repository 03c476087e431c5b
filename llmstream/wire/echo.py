"""Echo: deltas that may tell again what the beginning of their block or item has told."""

from __future__ import annotations

from llmstream.wire.json_fields import halves_of, join_texts


class Echo:
    """What a beginning told, while the deltas after it may still repeat it. They may cut a character in two."""

    __slots__ = ("_held", "_told")

    def __init__(self, told: str) -> None:
        self._told = _in_halves(told)
        self._held = b""

    def rest(self, content: str) -> str:
        """What a delta adds: nothing, as long as it goes on as the beginning did."""
        told = self._told
        if not told:
            return content
        held = self._held + _in_halves(content)
        if told.startswith(held):
            self._held, self._told = held, b"" if held == told else told
            return ""
        self._held, self._told = b"", b""
        return join_texts([held.removeprefix(told).decode("utf-16-le", "surrogatepass")])


def _in_halves(text: str) -> bytes:
    return halves_of(text).encode("utf-16-le", "surrogatepass")
