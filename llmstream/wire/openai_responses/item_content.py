"""ItemContent: the words of a finished output item, whichever form the server gave it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from llmstream.checks import as_text
from llmstream.messages import File
from llmstream.wire.open_calls import as_name, content_of
from llmstream.wire.openai_responses import members
from llmstream.wire.openai_responses.item_table import CALLS
from llmstream.wire.openai_responses.items import compact
from llmstream.wire.unread import Unread

_PARTS = {
    "output_text": ("text", "text"),
    "text": ("text", "text"),
    "input_text": ("text", "text"),
    "refusal": ("refusal", "refusal"),
    "reasoning_text": ("reasoning", "text"),
    "summary_text": ("reasoning", "text"),
    "reasoning": ("reasoning", "text"),
    "thinking": ("reasoning", "thinking"),
    "output_audio": ("text", "transcript"),
}
"""By the type of a content part: which text it belongs to, and the member with its words."""
_IMAGES = frozenset({"output_image", "input_image", "image_url", "image"})


@dataclass(slots=True)
class ItemContent:
    """The words of an item, by kind."""

    type: str
    text: str = ""
    refusal: str = ""
    reasoning: str = ""
    reasoning_forms: list[str] = field(default_factory=list)
    """The reasoning as it may have streamed: summary or content, with or without blank lines."""
    annotations: list[Any] = field(default_factory=list)
    files: list[File] = field(default_factory=list)
    phase: str | None = None
    name: str = ""
    """A call's."""
    arguments: str = ""
    key: str = ""
    """The same for items that say the same."""

    def begins_with(self, arguments: str) -> bool:
        """Whether a call's arguments may go on to be these."""
        if not self.arguments or self.arguments.startswith(arguments):
            return True
        told, whole = content_of("", arguments), content_of("", self.arguments)
        return told == whole


def part_text(part: Mapping[str, Any]) -> tuple[str, str]:
    """Which text a content part belongs to, and its words."""
    kind, member = _PARTS.get(str(part.get("type")), ("text", "text"))
    words = part.get(member)
    if isinstance(words, dict):  # as in the Assistants API
        words = words.get("value")
    return kind, words if isinstance(words, str) else ""


def read_content(item: Mapping[str, Any], unread: Unread) -> ItemContent:
    """The content of an item of any type. What isn't understood goes to `unread`."""
    kind = item["type"]
    if not isinstance(kind, str):
        raise TypeError("an item's type must be a string")
    look_over_item(item, unread)
    read = ItemContent(kind, phase=as_text(item.get("phase")))
    if kind in CALLS:
        _read_call(read, item)
    elif kind == "reasoning":
        _read_reasoning(read, item)
    elif kind == "message":
        _read_message(read, _message_content(item), unread)
        read.key = f"{read.text}\0{read.refusal}"
    else:
        read.key = compact(item)
    return read


def look_over_item(item: Mapping[str, Any], unread: Unread) -> None:
    """Note the members of an item that nobody reads."""
    kind = str(item.get("type"))
    if kind in members.ITEMS:
        unread.look_over(f"output.{kind}.", item, members.ITEMS[kind])


def look_over_part(part: Mapping[str, Any], unread: Unread) -> None:
    """Note the members of a content part that nobody reads."""
    unread.look_over(f"content.{part.get('type')}.", part, members.PART)


def _message_content(item: Mapping[str, Any]) -> Any:
    """The content of a message: a list of parts or a text, also under the names of convenience members."""
    found = (item.get(name) for name in ("content", "output_text", "text"))
    return next(filter(None, found), None)


def _read_call(read: ItemContent, item: Mapping[str, Any]) -> None:
    arguments = item.get(CALLS[read.type])
    read.name = as_name(item.get("name"))
    read.arguments = arguments if isinstance(arguments, str) else compact(arguments or {})
    read.key = json.dumps(content_of(read.name, read.arguments))


def _read_reasoning(read: ItemContent, item: Mapping[str, Any]) -> None:
    kinds = [_texts(item.get(name)) for name in ("summary", "content", "text")]
    kinds = [texts for place, texts in enumerate(kinds) if texts not in kinds[:place]]
    read.reasoning = "\n\n".join(text for texts in kinds for text in texts)
    for texts in kinds:
        if texts:
            read.reasoning_forms += ["\n\n".join(texts), "".join(texts)]
    read.key = read.reasoning or str(item.get("encrypted_content") or "")


def _texts(parts: Any) -> list[str]:
    if isinstance(parts, str):
        return [parts]
    texts = (part if isinstance(part, str) else part_text(part)[1] for part in parts or ())
    return [text for text in texts if text]


def _read_message(read: ItemContent, parts: Any, unread: Unread) -> None:
    if isinstance(parts, str):
        read.text = parts
        return
    words: dict[str, list[str]] = {"text": [], "refusal": [], "reasoning": []}
    for part in parts or ():
        if str(part.get("type")) not in _PARTS:
            _read_other(read, part, unread)
            continue
        kind, text = part_text(part)
        words[kind].append(text)
        look_over_part(part, unread)
        read.annotations += part.get("annotations") or ()
    read.text, read.refusal = "".join(words["text"]), "".join(words["refusal"])
    read.reasoning = "\n\n".join(words["reasoning"])


def _read_other(read: ItemContent, part: Mapping[str, Any], unread: Unread) -> None:
    url = part.get("image_url")
    if isinstance(url, dict):
        url = url.get("url")
    if part.get("type") in _IMAGES and isinstance(url, str):
        read.files.append(File(url=url))
    else:
        unread.note(f"content.{part.get('type')}", part)
