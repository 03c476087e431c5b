"""Transformer: changes text as it passes, or a whole message."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any, Protocol

from llmstream.errors import ErrorInfo
from llmstream.events.types import EventType
from llmstream.messages import Message, Part, ProviderPart, ReasoningPart, RefusalPart, TextPart

_Text = (TextPart, ReasoningPart, RefusalPart)
_KINDS: dict[type[Any], EventType] = {
    TextPart: EventType.TEXT_DELTA,
    ReasoningPart: EventType.REASONING_DELTA,
    RefusalPart: EventType.REFUSAL_DELTA,
}


class Transformer(Protocol):
    """Changes one run of text, which comes in pieces; may keep some back, within bounds of its own."""

    def feed(self, text: str, /) -> str:
        """Take `text`; return the text that may leave now, perhaps none."""
        ...

    def finish(self) -> str:
        """End the run; return the text that was kept back."""
        ...


class Halt(Exception):  # noqa: N818  # no error: a decision
    """Raised by a Transformer: `text` still leaves, and the stream ends there, with `info`."""

    def __init__(self, text: str, info: ErrorInfo) -> None:
        super().__init__(info)
        self.text = text
        self.info = info


def transform_message(
    message: Message, make: Callable[[], Transformer], kinds: Collection[EventType]
) -> Message:
    """A whole message, each of its texts as one run. Reasoning that was changed loses its signature."""
    parts: list[Part] = []
    altered = False
    for part in message.parts:
        if isinstance(part, _Text) and _KINDS[type(part)] in kinds:
            text = transform_text(part.text, make)
            altered = isinstance(part, ReasoningPart) and text != part.text
            was_taken_out = bool(part.text) and not text
            if not was_taken_out:
                parts.append(ReasoningPart(text) if altered else replace(part, text=text))
            continue
        if altered and isinstance(part, ProviderPart):
            continue  # it belongs to the reasoning before it
        altered = False
        parts.append(part)
    return replace(message, parts=parts)


def transform_text(text: str, make: Callable[[], Transformer]) -> str:
    """A whole text as one run."""
    run = make()
    try:
        return run.feed(text) + run.finish()
    except Halt as halt:
        # This isn't a stream: nothing has left, and nothing will.
        raise Halt("", halt.info) from None
