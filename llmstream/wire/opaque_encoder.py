"""OpaqueEncoder: the shared part of encoders of formats in which an answer keeps what only its provider understands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from llmstream.events.types import EventType, Status
from llmstream.wire.event_encoder import EventEncoder, Writer


class OpaqueEncoder(EventEncoder):
    """Opaque data of its own format is written in its place; what comes before the message waits for it."""

    format: ClassVar[str]
    _placeless: ClassVar[frozenset[str]] = frozenset({"call"})
    """Members of opaque data for which the format has no place of its own."""

    def __init__(self) -> None:
        self._started = False
        self._early: list[Mapping[str, Any]] = []  # what came before MESSAGE_START

    def write_status(self, status: Status) -> Iterator[Any]:
        """The frames of a STATUS: of an opaque one, which alone has any."""
        is_opaque = status.kind == "opaque" and status.data is not None
        return self._opaque(status.data or {}) if is_opaque else iter(())

    def _opaque(self, data: Mapping[str, Any]) -> Iterator[Any]:
        has_place = not data.keys() & self._placeless
        if "phase" in data:
            yield from self._end_text()
        elif data["format"] != self.format or not has_place:
            return
        elif self._started:
            yield from self._kept(data)
        else:
            self._early.append(data)

    def _tell_early(self) -> Iterator[Any]:
        """The message has begun: what waited for it."""
        for data in self._early:
            yield from self._kept(data)
        self._early.clear()

    def _end_text(self) -> Iterator[Any]:
        """Another text begins, whichever format says so. Nothing, where texts have no end."""
        return iter(())

    def _kept(self, data: Mapping[str, Any]) -> Iterator[Any]:
        """What goes back to the provider: a signature, or a whole item."""
        raise NotImplementedError

    _WRITERS: ClassVar[Mapping[EventType, Writer]] = {EventType.STATUS: write_status}
