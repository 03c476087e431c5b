"""The parts of a message, in any vendor's terms, and the form in which they are stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, TypeAlias, get_args

from llmstream.cache_marks import Cache
from llmstream.checks import require
from llmstream.media import File, ImagePart
from llmstream.plain_values import dump, load


@dataclass(slots=True)
class TextPart:
    """Text that a person reads."""

    type: ClassVar[str] = "text"
    text: str
    cache: Cache | None = None
    """Keep the prompt up to here in the provider's cache. Providers that cache by themselves need no mark."""
    provider_data: dict[str, Any] | None = None
    """Opaque; goes back only to the wire format named in it (`provider_data["format"]`)."""


@dataclass(slots=True)
class RefusalPart:
    """The model's words when it declines, where the provider keeps them apart from the answer."""

    type: ClassVar[str] = "refusal"
    text: str
    provider_data: dict[str, Any] | None = None
    """Opaque; goes back only to the wire format named in it (`provider_data["format"]`)."""


@dataclass(slots=True)
class ReasoningPart:
    """The model's reasoning. It goes back only to the wire format that signed it."""

    type: ClassVar[str] = "reasoning"
    text: str = ""
    signature: str | None = None
    """Opaque proof from the provider (Anthropic `signature`, Responses `encrypted_content`)."""
    id: str | None = None
    format: str | None = None
    """The wire format that `signature` and `id` belong to."""
    provider_data: dict[str, Any] | None = None
    """What else that format wants back, in its own words, such as OpenRouter's `reasoning_details`."""


@dataclass(slots=True)
class ToolCall:
    """A call the model wants made (`executed_by="caller"`) or that the provider made itself.

    `arguments` is the model's text, verbatim. `input` is that text as a dict: `{}` for no arguments, None
    when it is not a JSON object. Never run a call whose `complete` is False: its arguments were cut.
    """

    type: ClassVar[str] = "tool_call"
    id: str
    name: str
    arguments: str = ""
    input: dict[str, Any] | None = None
    complete: bool = True
    executed_by: Literal["caller", "provider"] = "caller"
    provider_data: dict[str, Any] | None = None
    """Opaque; goes back only to the wire format named in it (`provider_data["format"]`)."""
    cache: Cache | None = None
    """Keep the prompt up to here in the provider's cache."""


@dataclass(slots=True)
class ToolResult:
    """A tool's answer.

    `content` is text or JSON, or a list of TextPart, ImagePart and File for a tool that shows something. In the list of
    a request that was read, a ProviderPart is what only its wire format understands.
    """

    type: ClassVar[str] = "tool_result"
    tool_call_id: str
    content: Any = ""
    name: str | None = None
    is_error: bool = False
    executed_by: Literal["caller", "provider"] = "caller"
    provider_data: dict[str, Any] | None = None
    cache: Cache | None = None
    """Keep the prompt up to here in the provider's cache."""

    @property
    def shown(self) -> list[Shown] | None:
        """The parts of a result that is a list of them; None for text and JSON."""
        content = self.content
        if not isinstance(content, list) or not content:
            return None
        is_shown = all(isinstance(part, SHOWN) for part in content)
        return content if is_shown else None


@dataclass(slots=True)
class Source:
    """Something the answer cites. `start` and `end` are characters of `message.text`, where given."""

    type: ClassVar[str] = "source"
    id: str | None = None
    title: str | None = None
    url: str | None = None
    relevance_score: float | None = None
    excerpt: str | None = None
    start: int | None = None
    end: int | None = None
    provider_data: dict[str, Any] | None = field(default=None, compare=False)
    """The citation in its provider's own words, which goes back only to the wire format named in it."""


@dataclass(slots=True)
class ProviderPart:
    """An item only one wire format understands (redacted reasoning, compaction …), kept to be sent back to it."""

    type: ClassVar[str] = "provider"
    format: str
    data: dict[str, Any]


Shown: TypeAlias = TextPart | ImagePart | File | ProviderPart
"""What a tool's result may show."""
SHOWN: tuple[type[Shown], ...] = get_args(Shown)

Part: TypeAlias = (
    TextPart
    | RefusalPart
    | ReasoningPart
    | ImagePart
    | File
    | ToolCall
    | ToolResult
    | Source
    | ProviderPart
)
"""One piece of a message; its `type` says which."""

_PARTS: dict[str, type[Any]] = {part.type: part for part in get_args(Part)}


def dump_part(part: Part) -> dict[str, Any]:
    """A part as a dict with its `type`."""
    data = {"type": part.type, **dump(part)}
    shown = part.shown if isinstance(part, ToolResult) else None
    if shown is not None:
        del data["content"]
        data["shown"] = [dump_part(each) for each in shown]
    return data


def load_part(data: Mapping[str, Any]) -> Part:
    """The inverse of `dump_part`."""
    kind = data.get("type", "")
    require(kind in _PARTS, f"unknown message part type {kind!r}; known: {', '.join(_PARTS)}")
    part: Part = ImagePart.stored(data) if kind == "image" else load(_PARTS[kind], data)
    if isinstance(part, ToolResult) and "shown" in data:
        part.content = [load_part(each) for each in data["shown"]]
    return part
