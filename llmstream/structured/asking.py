"""How to ask for JSON: in the vendor's own words for it, through a tool, or by plain instructions."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, TypeAlias, get_args

from llmstream.client import CallOptions, LLMClient
from llmstream.events.types import StreamEvent
from llmstream.messages import Message, ResponseFormat, TextPart, Tool, ToolChoice
from llmstream.providers.base import Provider
from llmstream.structured.schema import is_recursive
from llmstream.structured.target import Target
from llmstream.wire.openai_chat.arguments import parse_messages

Mode: TypeAlias = Literal["native", "tool", "instructions"]
MODES: tuple[Mode, ...] = get_args(Mode)

_CHAT, _RESPONSES, _MESSAGES = "/chat/completions", "/responses", "/v1/messages"
_NO_SCHEMA = re.compile(r"claude-(2|3|instant)|claude-(opus|sonnet|haiku)-4([-@]\d{8}|-0([-@]|$)|$)")


def start(
    client: LLMClient,
    messages: Sequence[Message | Mapping[str, Any]],
    target: Target[Any],
    mode: Mode | None,
    options: CallOptions,
    *,
    stream: bool,
) -> AsyncGenerator[StreamEvent, None]:
    """The request that asks for `target`. Raises for arguments that can't go together."""
    if mode is not None and mode not in MODES:
        raise ValueError(f"mode must be one of {', '.join(MODES)}, not {mode!r}")
    if options.get("response_format") is not None:
        raise ValueError("response_format is what the type to parse stands for: leave it out")
    provider, model = client.target(options.get("model"))
    chosen = mode or _choose(provider, model, target, options)
    asked: Sequence[Message | Mapping[str, Any]] = messages
    options = options.copy()
    if chosen == "native":
        strict = target.strict()
        options["response_format"] = ResponseFormat(strict or target.schema, target.name, strict is not None)
    elif chosen == "tool":
        if options.get("tools") or options.get("tool_choice"):
            raise ValueError('the answer itself is a tool call here: leave out tools and tool_choice, or mode="tool"')
        tool = Tool(target.name, target.strict() or target.schema, "Give the answer.")
        options["tools"], options["tool_choice"] = [tool], ToolChoice("required")
    else:
        asked = _instruct(parse_messages(messages), target)
        if getattr(provider, "path", None) == _CHAT:
            options["response_format"] = ResponseFormat()
    return client.chat_completion(asked, stream, **options)


def _choose(provider: Provider, model: str, target: Target[Any], options: CallOptions) -> Mode:
    """The strictest way that whom we ask is known to take."""
    told = getattr(provider, "structured_mode", None)
    if told is not None:
        mode: Mode = told(model)
        return mode
    path = getattr(provider, "path", None)
    tool: Mode = "instructions" if options.get("tools") or options.get("tool_choice") else "tool"
    if path == _RESPONSES or provider.name == "local":
        return "native"
    if path == _MESSAGES:
        if not _NO_SCHEMA.search(model) and target.strict() is not None and not is_recursive(target.schema):
            return "native"
        reasons = options.get("reasoning_effort") not in (None, "none")
        return "instructions" if reasons else tool  # Claude refuses to be forced to a call while it reasons
    if path == _CHAT:
        dialect = getattr(provider, "_dialect", None)
        if getattr(dialect, "json_schema", False):
            return "native"
        forced = getattr(dialect, "required", None) is not None
        return (
            tool if forced and not {"tools", "tool_choice"} & getattr(dialect, "unsupported", set()) else "instructions"
        )
    return "instructions"


def _instruct(messages: list[Message], target: Target[Any]) -> list[Message]:
    """The messages with instructions in the system message: some models take only one."""
    schema = json.dumps(target.strict() or target.schema, ensure_ascii=False)
    text = f"Answer with JSON alone, no other text around it, that follows this JSON schema:\n{schema}"
    first = messages[0]
    if first.role == "system":
        return [replace(first, parts=[TextPart(f"{first.text}\n\n{text}")]), *messages[1:]]
    return [Message("system", [TextPart(text)]), *messages]


def ask_again(
    messages: Sequence[Message | Mapping[str, Any]], text: str, problems: str
) -> Sequence[Message | Mapping[str, Any]]:
    """The messages, and what was wrong with the answer."""
    again = f"This is not what was asked for:\n{problems}\nGive the whole answer again, corrected."
    return [*messages, Message("assistant", [TextPart(text or "…")]), Message("user", [TextPart(again)])]
