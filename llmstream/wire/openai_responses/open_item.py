"""An output item while the encoder writes it: its content parts, from their `added` to their `done`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Frame = tuple[str, dict[str, Any]]
"""An event's type and payload."""

_DELTAS = {
    "output_text": "response.output_text",
    "refusal": "response.refusal",
    "summary_text": "response.reasoning_summary_text",
}
_PARTS = {
    "output_text": "response.content_part",
    "refusal": "response.content_part",
    "summary_text": "response.reasoning_summary_part",
}


class OpenItem:
    """One item. Pieces are joined when their part ends."""

    __slots__ = ("annotations", "chunks", "content", "index", "item", "kind", "told")

    def __init__(self, index: int, item: dict[str, Any]) -> None:
        self.index = index
        self.item = item
        self.kind = ""
        """The type of the open content part; empty: none is open."""
        self.chunks: list[str] = []
        self.annotations: list[dict[str, Any]] = []
        self.content: list[dict[str, Any]] = []
        self.told = 0
        """Characters of the answer's text in the parts that have ended."""

    @property
    def place(self) -> dict[str, Any]:
        """The fields that say which item an event belongs to."""
        return {"item_id": self.item["id"], "output_index": self.index}

    @property
    def text(self) -> str:
        """What it has of the answer's text."""
        goes_on = "".join(self.chunks) if self.kind == "output_text" else ""
        return text_of({"content": self.content}) + goes_on

    def begin_part(self, kind: str) -> Frame:
        """Open a content part."""
        self.kind = kind
        return f"{_PARTS[kind]}.added", {**self._part_place(), "part": self._part("")}

    def delta(self, content: str) -> Frame:
        """Write the next piece of the open part."""
        self.chunks.append(content)
        return self.delta_frame(content)

    def delta_frame(self, content: str) -> Frame:
        """The event of a piece of the open part, which isn't noted."""
        payload = {**self._part_place(), "delta": content}
        if self.kind == "output_text":
            payload["logprobs"] = []
        return f"{_DELTAS[self.kind]}.delta", payload

    def annotate(self, annotation: dict[str, Any]) -> Frame:
        """Add a citation to the open part."""
        self.annotations.append(annotation)
        place = {**self._part_place(), "annotation_index": len(self.annotations) - 1}
        return "response.output_text.annotation.added", {**place, "annotation": annotation}

    def end_part(self) -> Iterator[Frame]:
        """Close the open part, if there is one."""
        kind = self.kind
        if not kind:
            return
        place, text = self._part_place(), "".join(self.chunks)
        part = self._part(text)
        whole = {"refusal": text} if kind == "refusal" else {"text": text}
        if kind == "output_text":
            whole["logprobs"] = part["logprobs"]
            self.told += len(text)
        yield f"{_DELTAS[kind]}.done", {**place, **whole}
        yield f"{_PARTS[kind]}.done", {**place, "part": part}
        self.content.append(part)
        self.kind, self.chunks, self.annotations = "", [], []

    def finished(self, status: str) -> dict[str, Any]:
        """What the finished item has beyond `item`."""
        if self.item["type"] == "reasoning":
            return {"summary": self.content}
        return {"content": self.content, "status": status}

    def _part(self, text: str) -> dict[str, Any]:
        if self.kind == "refusal":
            return {"type": self.kind, "refusal": text}
        if self.kind == "summary_text":
            return {"type": self.kind, "text": text}
        return {"type": self.kind, "annotations": [*self.annotations], "logprobs": [], "text": text}

    def _part_place(self) -> dict[str, Any]:
        name = "summary_index" if self.item["type"] == "reasoning" else "content_index"
        return {**self.place, name: len(self.content)}


def text_of(item: dict[str, Any]) -> str:
    """What a finished message has of the answer's text."""
    parts = item.get("content") or ()
    return "".join(part["text"] for part in parts if part["type"] == "output_text")
