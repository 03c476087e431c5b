"""ReasoningReader: reasoning under all its names, and what goes back with it, be it late."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from llmstream.wire.event_decoder import Decoder
from llmstream.wire.openai_chat import members
from llmstream.wire.openai_chat.content import inner_text
from llmstream.wire.openai_chat.reasoning_details import text_of
from llmstream.wire.openai_chat.reasoning_seals import BLOCKS, DETAILS, ReasoningSeals
from llmstream.wire.openai_chat.thoughts import Thought, Thoughts

_NAMES = (
    "reasoning_content",
    "reasoning",
    "reasoning_text",  # Copilot
    "thinking",  # Ollama
    "thinking_blocks",  # LiteLLM
)
"""Members with the text of the reasoning; the first that has any counts."""


class ReasoningReader(Decoder):
    """The part of the decoder that knows reasoning. It is told once, whatever its names."""

    @cached_property
    def _thoughts(self) -> Thoughts:
        return Thoughts(self._unread)

    @cached_property
    def _reader(self) -> ReasoningSeals:
        """Knows where they stand."""
        return ReasoningSeals(self._unread)

    def _parse_reasoning(self, delta: Mapping[str, Any]) -> None:
        """The reasoning of a delta, from whichever member has it."""
        has_seals = not members.SEALS.isdisjoint(delta)
        details = self._reader.details_in(delta)
        text = next((delta[name] for name in _NAMES if delta.get(name)), "")
        text = inner_text(text) or inner_text(self._reader.blocks_in(delta))
        goes_on = self._reasons or self._signs
        is_late = self._thoughts.have_words and not goes_on
        of_several = not text and self._thoughts.told_all([text_of(details)])
        if has_seals and (is_late or of_several) and self._seal_late(delta, text):
            return
        if not (text or has_seals):
            return
        thought = self._thought()
        thought.by_name = thought.by_name or bool(text)
        thought.last_named = text or thought.last_named
        if details and not text:
            text = thought.unsaid(text_of(details))
        self._think(text, thought)
        if has_seals and thought.seals.add(delta):
            self._will_sign()

    def _parse_told_reasoning(self, message: Mapping[str, Any]) -> None:
        """The reasoning of a message, without what this answer told of it."""
        thought = self._thoughts.last
        if thought is None or not self._thoughts.have_words:
            self._parse_reasoning(message)
            return
        name = next((name for name in _NAMES if message.get(name)), None)
        if name is not None:
            self._think(thought.record.rest(inner_text(message[name])) or "")
        seals = {name: message[name] for name in members.SEALS if message.get(name)}
        if not seals or self._thoughts.are_sealed:
            return
        if self._reasons and thought.seals.add(seals):
            self._will_sign()
        elif not self._seal_late(seals, ""):
            self._unread.note("message.reasoning", list(seals.values()))

    def _thought(self) -> Thought:
        """The reasoning that goes on, or that begins."""
        last = self._thoughts.last
        goes_on = last is not None and (self._reasons or self._signs)
        return last if last is not None and goes_on else self._thoughts.begin(self._reasoned)

    def _think(self, text: str, thought: Thought | None = None) -> None:
        if not text:
            return
        thought = thought or self._thought()
        told = self._reasoning(text)
        if told:
            thought.record.chunks.append(told)
            thought.end = self._reasoned

    def _signature(self) -> dict[str, Any]:
        thought = self._thoughts.last
        return {} if thought is None else thought.seals.data()

    def _seal_late(self, delta: Mapping[str, Any], text: str) -> bool:
        """What a host signed of reasoning that is over. False if the delta has reasoning of its own."""
        details, blocks = self._reader.details_in(delta), self._reader.blocks_in(delta)
        listed = details or blocks
        said = [text_of([each]) for each in listed]
        whole = text or "".join(said)
        last = self._thoughts.last
        if last is None:
            return False
        if not whole:
            return last.seals.may_take(listed) and self._add_late(last, delta, is_whole=False)
        thought = self._thoughts.that_told(whole)
        if thought is None and text and self._thoughts.told_all([text]):
            thought = last
        if thought is not None:
            return self._add_late(thought, delta, is_whole=True)
        owners = [] if text else self._thoughts.owners_of(said)
        groups: dict[Thought, list[dict[str, Any]]] = {}
        for owner, detail in zip(owners, listed, strict=False):
            groups.setdefault(owner, []).append(detail)
        name = DETAILS if details else BLOCKS
        for owner, group in groups.items():
            self._add_late(owner, {name: group}, is_whole=True)
        return bool(groups)

    def _add_late(self, thought: Thought, delta: Mapping[str, Any], *, is_whole: bool) -> bool:
        """Seals that are late. False if there is nothing to go back."""
        if is_whole:
            thought.seals = ReasoningSeals(self._unread)
        if not thought.seals.add(delta):
            return is_whole
        self._seal(thought.place, **thought.seals.data())
        return True
