"""OpenStep: a step of an interaction while its events are read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmstream.wire.gemini_interactions.citations import end_of
from llmstream.wire.gemini_interactions.steps import family_of
from llmstream.wire.json_fields import compact
from llmstream.wire.open_calls import OpenCall
from llmstream.wire.text_record import TextRecord


class KeptText(TextRecord):
    """The text of one step, all of which is kept: annotations count its bytes."""

    __slots__ = ("_pieces",)

    def __init__(self) -> None:
        super().__init__()
        self._pieces: list[str] = []

    def fold(self) -> None:
        """As the base does."""
        self._pieces += self.chunks
        super().fold()

    @property
    def text(self) -> str:
        """All that has streamed."""
        self.fold()
        self._pieces = ["".join(self._pieces)]
        return self._pieces[0]


class OpenStep:
    """One step. It knows what of it was told, so that nothing is told twice."""

    __slots__ = (
        "_cited",
        "_early",
        "before",
        "begun",
        "body",
        "call",
        "done",
        "family",
        "kind",
        "record",
        "signature",
        "thinks",
    )

    def __init__(self, kind: str, body: Mapping[str, Any]) -> None:
        self.kind = kind
        self.family = family_of(kind)
        self.body = dict(body)
        """The step as it began, and all that its deltas add, for tools of Google's."""
        self.record = KeptText()
        self.before = 0
        """Characters of the answer before its text."""
        self.signature = ""
        self.thinks = False
        """It has words of reasoning."""
        self.call: OpenCall | None = None
        self.begun = ""
        """Arguments that the step began with. Those that stream take their place."""
        self.done = False
        self._early: list[Mapping[str, Any]] = []  # annotations whose stretch hasn't come
        self._cited: set[str] = set()

    def annotate(self, annotations: list[dict[str, Any]]) -> list[Mapping[str, Any]]:
        """Add annotations. Returns those whose stretch has come, each once."""
        for annotation in annotations:
            key = compact(annotation)
            if key not in self._cited:
                self._cited.add(key)
                self._early.append(annotation)
        size = len(self.record.text.encode("utf-8", "replace"))
        due = [each for each in self._early if end_of(each) <= size]
        self._early = [each for each in self._early if end_of(each) > size]
        return due

    def take_annotations(self) -> list[Mapping[str, Any]]:
        """Those whose stretch never came."""
        early, self._early = self._early, []
        return early

    def add_arguments(self, piece: Any) -> None:
        """The next piece of the arguments of a call that Google runs."""
        known = self.body.get("arguments")
        before = known if isinstance(known, str) else ""
        self.body["arguments"] = before + piece if isinstance(piece, str) else piece or known

    def add(self, delta: Mapping[str, Any]) -> None:
        """What a delta adds to the step of a tool: lists and texts grow, all else is replaced."""
        for name, value in delta.items():
            known = self.body.get(name)
            if name == "type" or value is None or value == known:
                continue
            self.body[name] = _joined(name, known, value)


def _joined(name: str, known: Any, value: Any) -> Any:
    if isinstance(known, dict) and isinstance(value, dict):
        return {**known, **value}
    if isinstance(known, list) and isinstance(value, list):
        return known + value
    grows = name == "result" and isinstance(known, str) and isinstance(value, str)
    return known + value if grows else value
