"""The shared part of encoders: each type of event has its writer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, TypeAlias, TypeVar

from llmstream.errors import ErrorInfo
from llmstream.events.types import PAYLOADS, EventType, StreamEvent, failure_of
from llmstream.events.unfold import unfold_answer
from llmstream.messages import FinishReason
from llmstream.wire.finish_words import render_finish_word

CUTS = frozenset({"truncated", "connection"})
"""Kinds of failure that a provider expresses by a cut."""

Key = TypeVar("Key")
_LIFECYCLE = frozenset({EventType.MESSAGE_START, EventType.MESSAGE_COMPLETE, EventType.ERROR})
Writer: TypeAlias = Callable[[Any, Any], Iterator[Any]]
"""A method of an encoder: what it writes, as frames."""


class EventEncoder:
    """Events to the frames of one answer. A type without a writer has no place in the format."""

    _WRITERS: ClassVar[Mapping[EventType, Writer]]
    """They take what the event carries; for an answer's begin and end, the event itself."""

    def __init_subclass__(cls) -> None:
        """Let the table name a subclass's own methods where it overrides them."""
        cls._WRITERS = _own_methods(cls, cls._WRITERS)

    def _frames(self, event: StreamEvent) -> Iterator[Any]:
        kind = event.type
        write = self._WRITERS.get(kind)
        carried = event if kind in _LIFECYCLE else getattr(event, PAYLOADS[kind].field)
        return iter(()) if write is None or carried is None else write(self, carried)

    def _whole_answer(self, event: StreamEvent) -> Iterator[Any]:
        """The frames of an answer that came in one MESSAGE_COMPLETE: those that its stream would have had."""
        for piece in unfold_answer(event):
            yield from self._frames(piece)


def _own_methods(cls: type[Any], writers: Mapping[Key, Writer]) -> dict[Key, Writer]:
    return {key: getattr(cls, write.__name__) for key, write in writers.items()}


def sayable_failure(event: StreamEvent) -> ErrorInfo | None:
    """The failure that an ERROR reports; None if only a cut can express it."""
    info = failure_of(event)
    return None if info.kind in CUTS else info


def ending_word(
    event: StreamEvent, format: str, words: Mapping[FinishReason, str], usual: str
) -> str | None:
    """A format's word for the end of an answer; `usual` where it has none for the reason. None: nobody knows it."""
    raw, reason = event.raw_finish_reason, event.finish_reason
    word = render_finish_word(raw, reason, format)
    if word is not None:
        return word
    if reason is FinishReason.UNKNOWN and raw is None:
        return None
    return words.get(reason or FinishReason.STOP, usual)
