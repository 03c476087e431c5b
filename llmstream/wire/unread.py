"""Unread: the members of an answer that nobody reads. Nothing may pass in silence."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from llmstream.log import escape
from llmstream.wire.json_fields import holds_words

_MOST = 20
"""Names that are kept."""
_LONGEST = 100
"""Characters of a name."""
_EXCERPT = 1000
"""Characters of a frame that are shown."""


class Unread:
    """The names of members that held words and weren't understood. Truthy if there are any.

    A format says what it knows of each place: what it reads, and what means nothing. Numbers, flags and empty values
    are no answer, whatever their name.
    """

    __slots__ = ("_excerpt", "_names", "frame")

    def __init__(self) -> None:
        self._names: dict[str, None] = {}
        self._excerpt = b""
        self.frame = b""
        """The frame that is being read."""

    def __bool__(self) -> bool:
        return bool(self._names)

    def __str__(self) -> str:
        return ", ".join(self._names)

    @property
    def names(self) -> list[str]:
        """The names, in the order in which they came."""
        return list(self._names)

    @property
    def excerpt(self) -> str:
        """The first frame with such a member, as far as it is shown."""
        return self._excerpt[: 4 * _EXCERPT].decode("utf-8", "replace")[:_EXCERPT]

    def look_over(self, place: str, members: Mapping[str, Any], known: Collection[str]) -> None:
        """Note the members of a place that are not among the known ones."""
        for name in members:
            if name not in known:
                self.note(f"{place}{name}", members[name])

    def note(self, name: str, value: Any) -> None:
        """Note one member, if it holds words."""
        if len(self._names) < _MOST and holds_words(value):
            self._names[escape(name)[:_LONGEST]] = None
            self._excerpt = self._excerpt or self.frame
