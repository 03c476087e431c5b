"""ItemContent: the words of a finished output item, whichever form the server gave it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from llmstream.checks import as_text
from llmstream.messages import File
from llmstream.wire.json_fields import compact
from llmstream.wire.open_calls import as_name, content_of
from llmstream.wire.openai_responses import members
from llmstream.wire.openai_responses.item_forms import CALLS, filled_items, parts_of, words_of
from llmstream.wire.openai_responses.media import parse_picture, parse_sound
from llmstream.wire.unread import Unread

_PARTS = {
    "output_text": ("text", ("text",)),
    "text": ("text", ("text",)),
    "input_text": ("text", ("text",)),
    "refusal": ("refusal", ("refusal", "text")),
    "reasoning_text": ("reasoning", ("text",)),
    "summary_text": ("reasoning", ("text",)),
    "reasoning": ("reasoning", ("text", "reasoning")),
    "thinking": ("reasoning", ("thinking", "text")),
    "output_audio": ("text", ("transcript",)),
    "audio": ("text", ("transcript",)),
}
"""By the type of a content part: which text it belongs to, and the members that may have its words."""
_MEDIA = frozenset({"output_image", "input_image", "image_url", "image"})
_BESIDE = (("refusal", "refusal"), ("reasoning_content", "reasoning"))
"""Members of a message that other formats have beside its content, and which text they belong to."""


@dataclass(slots=True)
class PartContent:
    """The words of one content part."""

    kind: str = ""
    """Which text they belong to; empty for a part that nobody understands."""
    text: str = ""
    annotations: list[Any] = field(default_factory=list)
    file: File | None = None
    sound: File | None = None
    """Speech, which may have streamed."""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing in it."""
        return not (self.text or self.file or self.sound)


@dataclass(slots=True)
class ItemContent:
    """The words of an item, by kind."""

    type: str
    text: str = ""
    refusal: str = ""
    reasoning: str = ""
    reasonings: list[list[str]] = field(default_factory=list)
    """The parts of a reasoning item: those of its summary, then those of its content, unless they say the same."""
    annotations: list[tuple[int, Any]] = field(default_factory=list)
    """Each with the characters of the item's text before its part."""
    files: list[File] = field(default_factory=list)
    sounds: list[File] = field(default_factory=list)
    phase: str | None = None
    is_cut: bool = False
    """The server says that it isn't whole."""
    name: str = ""
    """A call's."""
    arguments: str = ""
    key: str = ""
    """The same for items that say the same."""

    @property
    def reasoning_forms(self) -> list[str]:
        """The reasoning as it may have streamed: all, summary or content, with or without blank lines."""
        everything = [text for texts in self.reasonings for text in texts]
        return [
            form
            for texts in (everything, *self.reasonings)
            for form in ("\n\n".join(texts), "".join(texts))
        ]

    def untold_reasonings(self, told: str) -> list[list[str]]:
        """The summary or the content, if the other one was told in this form."""
        forms = [{"\n\n".join(texts), "".join(texts)} for texts in self.reasonings]
        if len(forms) < 2 or not any(told in one for one in forms):
            return []
        return [texts for texts, one in zip(self.reasonings, forms, strict=True) if told not in one]

    def begins_with(self, arguments: str) -> bool:
        """Whether a call's arguments may go on to be these."""
        if not self.arguments or self.arguments.startswith(arguments):
            return True
        told, whole = content_of("", arguments), content_of("", self.arguments)
        return told == whole


def read_part(part: Mapping[str, Any], unread: Unread) -> PartContent:
    """A content part. What isn't understood goes to `unread`."""
    kind = str(part.get("type"))
    if kind in _MEDIA:
        return _read_media(part, unread)
    if kind not in _PARTS:
        unread.note(f"content.{kind}", part)
        return PartContent()
    unread.look_over(f"content.{kind}.", part, members.PART)
    family, names = _PARTS[kind]
    text = next(filter(None, (words_of(part.get(name)) for name in names)), "")
    annotations = filled_items(part.get("annotations"))
    return PartContent(family, text, annotations, sound=parse_sound(part))


def _read_media(part: Mapping[str, Any], unread: Unread) -> PartContent:
    picture = parse_picture(part)
    if picture is None:
        unread.note(f"content.{part.get('type')}", part)
    return PartContent("file", file=picture)


def read_content(item: Mapping[str, Any], unread: Unread) -> ItemContent:
    """The content of an item in its documented form. What isn't understood goes to `unread`."""
    kind = item["type"]
    if kind in members.ITEMS:
        unread.look_over(f"output.{kind}.", item, members.ITEMS[kind])
    phase = as_text(item.get("phase"))
    if phase is None:
        unread.note(f"output.{kind}.phase", item.get("phase"))
    read = ItemContent(kind, phase=phase, is_cut=item.get("status") == "incomplete")
    if kind in CALLS:
        _read_call(read, item)
    elif kind == "reasoning":
        _read_reasoning(read, item, unread)
    elif kind == "message":
        _read_message(read, item, unread)
    else:
        read.key = compact(item)
    return read


def _read_call(read: ItemContent, item: Mapping[str, Any]) -> None:
    read.name = as_name(item.get("name"))
    read.arguments = item.get(CALLS[read.type]) or ""
    read.key = json.dumps(content_of(read.name, read.arguments))


def _read_reasoning(read: ItemContent, item: Mapping[str, Any], unread: Unread) -> None:
    kinds = [_texts(item.get(name), unread) for name in ("summary", "content", "text")]
    for place, texts in enumerate(kinds):
        told = ["".join(earlier).strip() for earlier in kinds[:place]]
        if texts and "".join(texts).strip() not in told:
            read.reasonings.append(texts)
    read.reasoning = "\n\n".join(text for texts in read.reasonings for text in texts)
    read.key = read.reasoning or str(item.get("encrypted_content") or "")


def _texts(parts: Any, unread: Unread) -> list[str]:
    read = (read_part(part, unread) for part in parts_of(parts, "summary_text"))
    return [part.text for part in read if part.text]


def _read_message(read: ItemContent, item: Mapping[str, Any], unread: Unread) -> None:
    words: dict[str, list[str]] = {"text": [], "refusal": [], "reasoning": []}
    before = 0
    for part in item.get("content") or ():
        content = read_part(part, unread)
        read.annotations += [(before, annotation) for annotation in content.annotations]
        before += len(content.text) if content.kind == "text" else 0
        words.get(content.kind, []).append(content.text)
        read.files += [content.file] if content.file else []
        read.sounds += [content.sound] if content.sound else []
    for name, kind in _BESIDE:
        words[kind] = words[kind] or [words_of(item.get(name))]
    read.text, read.refusal = "".join(words["text"]), "".join(words["refusal"])
    read.reasoning = "\n\n".join(words["reasoning"])
    read.key = f"{read.text}\0{read.refusal}"
