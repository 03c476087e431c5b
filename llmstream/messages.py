"""Messages, tools and requests: the values that go to a model and come back from it.

Plain slotted dataclasses, the same for every provider. `wire/<format>/request.py` renders them; nothing
here knows a vendor. A message is an ordered list of parts (`llmstream.parts`), because order carries
meaning (reasoning before the tool call it led to). Every part survives `to_dict` / `from_dict` unchanged.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum
from typing import Any, Literal, Self

from llmstream.cache_marks import Cache
from llmstream.json_size import MOST_VALUES, has_more_values
from llmstream.media import File, ImagePart
from llmstream.parts import (
    Part,
    ProviderPart,
    ReasoningPart,
    RefusalPart,
    Source,
    TextPart,
    ToolCall,
    ToolResult,
    dump_part,
    load_part,
)
from llmstream.plain_values import dump, load

__all__ = [
    "ChatRequest",
    "File",
    "FinishReason",
    "HostedTool",
    "ImagePart",
    "Message",
    "Part",
    "ProviderPart",
    "ReasoningPart",
    "RefusalPart",
    "ResponseFormat",
    "Role",
    "Source",
    "TextPart",
    "Tool",
    "ToolCall",
    "ToolChoice",
    "ToolResult",
    "Usage",
]

Role = Literal["system", "developer", "user", "assistant", "tool"]
"""Who speaks; "tool" is a tool's answer."""
ROLES = ("system", "developer", "user", "assistant", "tool")


class FinishReason(StrEnum):
    """Why the answer ended, in one vocabulary; the provider's own word is `raw_finish_reason`."""

    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"
    CONTENT_FILTER = "content_filter"
    REFUSAL = "refusal"
    PAUSE = "pause"
    """The provider wants the conversation sent back so that it can go on (Anthropic `pause_turn`)."""
    OTHER = "other"
    """The provider gave a word that we do not know."""
    UNKNOWN = "unknown"
    """The answer ended properly, but the provider gave no reason."""


@dataclass(slots=True)
class Usage:
    """Tokens billed. `None` means "not reported", which is not 0."""

    input_tokens: int | None = None
    """The whole prompt, cached or not."""
    output_tokens: int | None = None
    """The whole answer, reasoning included."""
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    input_by_modality: dict[str, int] = field(default_factory=dict)
    """The prompt's tokens by what they were: text, image, audio, video, document. Empty: the provider doesn't say."""
    output_by_modality: dict[str, int] = field(default_factory=dict)
    """The same of the answer; Google leaves the reasoning out."""
    cache_read_by_modality: dict[str, int] = field(default_factory=dict)
    estimated: bool = False
    """True when counted by us instead of by the provider, or where one of several attempts reported nothing."""
    lacks_reasoning: bool = False
    """True of an estimate without the tokens of reasoning that the provider doesn't show: it may be far too small."""
    attempts: tuple[Usage, ...] = ()
    """Every billed attempt, when there were several; the counts above are of those whose text is in the message."""
    cost: Decimal | None = None
    """US dollars for all of it, attempts without a text in the message included. None: some price isn't known."""

    @property
    def total_tokens(self) -> int | None:
        """Prompt and answer together; None when neither was reported."""
        if self.input_tokens is None and self.output_tokens is None:
            return None
        return (self.input_tokens or 0) + (self.output_tokens or 0)

    @property
    def prompt_tokens(self) -> int | None:
        """`input_tokens` under the name OpenAI's chat API gives it."""
        return self.input_tokens

    @property
    def completion_tokens(self) -> int | None:
        """`output_tokens` under the name OpenAI's chat API gives it."""
        return self.output_tokens

    def to_dict(self) -> dict[str, Any]:
        """The fields that are set, as JSON values."""
        data = dump(self)
        if self.attempts:
            data["attempts"] = [attempt.to_dict() for attempt in self.attempts]
        if self.cost is not None:
            data["cost"] = f"{self.cost.normalize():f}"
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`."""
        usage: Self = load(cls, data)
        usage.attempts = tuple(Usage.from_dict(attempt) for attempt in data.get("attempts", ()))
        if usage.cost is not None:
            usage.cost = Decimal(usage.cost)
        return usage

    def over(self, attempts: Iterable[Usage]) -> Usage:
        """These counts, with every billed attempt and what they cost together."""
        billed = tuple(attempts)
        return replace(self, attempts=billed, cost=total_cost(billed))


def total_cost(usages: Iterable[Usage]) -> Decimal | None:
    """The sum of their costs. None if one is unknown, for a part of a bill isn't the bill."""
    first, *others = [usage.cost for usage in usages]
    for cost in others:
        if first is None or cost is None:
            return None
        first += cost
    return first


def total_by_modality(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """The sums of tokens by modality."""
    totals: dict[str, int] = {}
    for each in counts:
        for modality, tokens in each.items():
            totals[modality] = totals.get(modality, 0) + tokens
    return totals


@dataclass(slots=True)
class Message:
    """One turn. The `message` of a MESSAGE_COMPLETE can be appended to the history as it is.

    `parts` may be given as a string. A tool's answer is `Message("tool", [ToolResult(call.id, "…")])`.
    """

    role: Role
    parts: list[Part] = field(default_factory=list)
    name: str | None = None
    id: str | None = None
    model: str | None = None
    provider: str | None = None
    finish_reason: FinishReason | None = None
    usage: Usage | None = None
    provider_data: dict[str, Any] | None = None
    """What one wire format says of the message beside its parts; goes back to it alone. An answer's parts have it."""

    def __post_init__(self) -> None:
        if isinstance(self.parts, str):
            self.parts = [TextPart(self.parts)]

    @property
    def text(self) -> str:
        """All answer text, in order."""
        return self._join(TextPart)

    @property
    def reasoning(self) -> str:
        """All readable reasoning, in order."""
        return self._join(ReasoningPart)

    @property
    def refusal(self) -> str:
        """The refusal's words, where the provider keeps them apart."""
        return self._join(RefusalPart)

    def _join(self, kind: type[TextPart | ReasoningPart | RefusalPart]) -> str:
        return "".join(part.text for part in self.parts if isinstance(part, kind))

    @property
    def tool_calls(self) -> list[ToolCall]:
        """The calls that the caller is asked to make."""
        return [
            part
            for part in self.parts
            if isinstance(part, ToolCall) and part.executed_by == "caller"
        ]

    @property
    def sources(self) -> list[Source]:
        """The sources that the answer cites."""
        return [part for part in self.parts if isinstance(part, Source)]

    def to_dict(self) -> dict[str, Any]:
        """JSON values, lossless: `Message.from_dict(m.to_dict()) == m`."""
        data = dump(self)
        data["parts"] = [dump_part(part) for part in self.parts]
        if self.usage is not None:
            data["usage"] = self.usage.to_dict()
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a message from `to_dict`'s form."""
        message: Self = load(cls, data)
        message.parts = [load_part(part) for part in data["parts"]]
        if "finish_reason" in data:
            message.finish_reason = FinishReason(data["finish_reason"])
        if "usage" in data:
            message.usage = Usage.from_dict(data["usage"])
        return message


# --- requests -------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Tool:
    """A tool the model may call: its `parameters` are a JSON schema."""

    name: str
    parameters: dict[str, Any] = field(default_factory=lambda: {"type": "object", "properties": {}})
    description: str | None = None
    strict: bool | None = None
    cache: Cache | None = None
    """Keep the prompt up to the end of this tool in the provider's cache."""
    provider_data: dict[str, Any] | None = None
    """More fields of the definition; they go only to the wire format named in it (`provider_data["format"]`)."""


@dataclass(slots=True)
class HostedTool:
    """A tool the provider runs itself (web search …), in that provider's own words; sent as it is."""

    definition: dict[str, Any]


@dataclass(slots=True)
class ToolChoice:
    """`auto`, `none`, `required`, or `tool` with the `name` of the one to call."""

    mode: Literal["auto", "none", "required", "tool"]
    name: str | None = None


@dataclass(slots=True)
class ResponseFormat:
    """JSON of any shape (`schema` is None), or JSON that follows `schema`."""

    schema: dict[str, Any] | None = None
    name: str = "response"
    strict: bool | None = None
    description: str | None = None
    """What the JSON is for. The model reads it."""


@dataclass(slots=True)
class ChatRequest:
    """One request in every provider's terms. `None` leaves the choice to the provider."""

    messages: list[Message]
    model: str
    tools: list[Tool | HostedTool] = field(default_factory=list)
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    max_tokens: int | None = None
    stop: list[str] = field(default_factory=list)
    seed: int | None = None
    reasoning_effort: str | None = None
    verbosity: str | None = None
    service_tier: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    provider_options: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Keyed by provider name; merged into that provider's request body last."""
    format_options: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Keyed by wire format: members of a body that was read for which no option here has a name. They go to any
    provider of that format; a provider of another gives a warning for each. `parse_request` fills it."""
    checked: bool = field(default=False, repr=False, compare=False)
    """Set by `llmstream.arguments.build_request`, which has checked every field: nobody checks it again."""


# --- a call's arguments --------------------------------------------------------------------------------


def parse_arguments(arguments: str) -> dict[str, Any] | None:
    """A tool call's arguments as a dict: `{}` when empty, None when they are not a JSON object.

    NaN and numbers beyond a float's range are no JSON either: they could not be sent back. Nor are more than
    MOST_VALUES values, which would hold up the program.
    """
    if not arguments.strip():
        return {}
    if has_more_values(arguments, MOST_VALUES):
        return None
    try:
        value = json.loads(arguments, parse_constant=_finite, parse_float=_finite)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _finite(number: str) -> float:
    value = float(number)
    if not math.isfinite(value):
        raise ValueError(f"{number} is out of range")
    return value
