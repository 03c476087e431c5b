"""A whole Converse answer, as `POST /model/{model}/converse` brings it: the blocks that its stream would have had.

Format: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from llmstream.events.types import StreamEvent
from llmstream.messages import parse_arguments
from llmstream.wire.bedrock_converse.blocks import add_content
from llmstream.wire.bedrock_converse.encode import ConverseEncoder

_BLOCK = "contentBlock"


def render_answer(event: StreamEvent) -> dict[str, Any]:
    """The document of an answer that came in one MESSAGE_COMPLETE, as batch mode has it."""
    blocks: list[_WholeBlock] = []
    by_index: dict[int, _WholeBlock] = {}
    document: dict[str, Any] = {}
    for name, said in ConverseEncoder().events(event):
        if name.startswith(_BLOCK):
            index, delta = said["contentBlockIndex"], said.get("start") or said.get("delta") or {}
            if index not in by_index or by_index[index].ends_before(delta):
                by_index[index] = _WholeBlock()
                blocks.append(by_index[index])
            by_index[index].add(delta)
        elif name != "messageStart":
            document |= said
    content = [block.rendered() for block in blocks]
    return {"output": {"message": {"role": "assistant", "content": content}}, **document}


class _WholeBlock:
    """A block, from its start and its deltas."""

    def __init__(self) -> None:
        self._kind = ""
        self._said: dict[str, Any] = {}
        self._text = ""
        self._citations: list[Any] = []

    def ends_before(self, said: Mapping[str, Any]) -> bool:
        """Whether this is another text: what stands behind a citation isn't what it is about."""
        return bool(self._citations) and "text" in said

    def add(self, said: Mapping[str, Any]) -> None:
        """A start, or a delta: a union, of which one member is there."""
        for kind, what in said.items():
            if kind == "citation":
                self._citations.append(what)
                self._kind = self._kind or "text"
            else:
                self._kind = kind
                self._take(what)

    def _take(self, what: Any) -> None:
        if isinstance(what, str):
            self._text += what
        elif isinstance(what, list):
            add_content(self._said.setdefault("content", []), what)
        else:
            rest = dict(what)
            self._text += rest.pop("text", "") + rest.pop("input", "")
            self._said |= rest

    def rendered(self) -> dict[str, Any]:
        """The block as a member of the content."""
        render = self._RENDERERS.get(self._kind)
        return {self._kind: self._said} if render is None else render(self)

    def _words(self) -> dict[str, Any]:
        if not self._citations:
            return {"text": self._text}
        content = [{"text": self._text}] if self._text else []
        return {"citationsContent": {"content": content, "citations": self._citations}}

    def _reasoning(self) -> dict[str, Any]:
        if "redactedContent" in self._said:
            return {self._kind: self._said}
        return {self._kind: {"reasoningText": {"text": self._text, **self._said}}}

    def _call(self) -> dict[str, Any]:
        """A call. Arguments that were cut go as the text that they are."""
        given = parse_arguments(self._text)
        return {self._kind: {**self._said, "input": self._text if given is None else given}}

    _RENDERERS: ClassVar[Mapping[str, Callable[[Any], dict[str, Any]]]] = {
        "text": _words,
        "reasoningContent": _reasoning,
        "toolUse": _call,
    }
