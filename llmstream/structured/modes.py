"""The ways to ask for JSON: the vendor's own words for it, a tool, or plain instructions."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, TypeAlias, cast, get_args

from llmstream.checks import require
from llmstream.client import LLMClient
from llmstream.client_arguments import CallOptions
from llmstream.errors import ConfigurationError
from llmstream.events.any_event import AnyEvent
from llmstream.message_reader import parse_messages
from llmstream.messages import Message, ResponseFormat, TextPart, Tool, ToolChoice
from llmstream.providers.provider import SchemaSupport, traits_of
from llmstream.structured.answer_type import AnswerType
from llmstream.structured.schema import is_recursive

Mode: TypeAlias = Literal["native", "tool", "instructions"]
"""How JSON is asked for: the vendor's own mode for schemas, a tool, or words in the prompt."""
MODES: tuple[Mode, ...] = get_args(Mode)


def start(
    client: LLMClient,
    messages: Sequence[Message | Mapping[str, Any]],
    answer_type: AnswerType[Any],
    mode: Mode | None,
    options: CallOptions,
    *,
    stream: bool,
) -> AsyncGenerator[AnyEvent, None]:
    """The request that asks for `answer_type`. Raises for arguments that can't go together."""
    require(mode is None or mode in MODES, f"mode must be one of {', '.join(MODES)}, not {mode!r}")
    require(
        options.get("response_format") is None,
        "response_format is what the type to parse stands for: leave it out",
    )
    asking = client.target(options.get("model"))
    can = traits_of(asking.provider).schema_support(asking.model)
    options = options.copy()
    match mode or _choose(can, answer_type, options):
        case "native":
            strict = answer_type.strict()
            options["response_format"] = ResponseFormat(
                strict or answer_type.schema, answer_type.name, strict is not None
            )
        case "tool":
            _ask_by_tool(answer_type, options)
            require(
                stream or client.keep_message,
                "the answer is a tool call here: make the client without keep_message=False",
                ConfigurationError,
            )
        case "instructions":
            messages = _instruct(parse_messages(messages), answer_type)
            if can.json_object:
                options["response_format"] = ResponseFormat()
    return client.chat_completion(messages, stream, **cast("dict[str, Any]", options))


def _ask_by_tool(answer_type: AnswerType[Any], options: CallOptions) -> None:
    """Make the answer the arguments of a tool that the model must call."""
    require(
        not _has_tools(options),
        'the answer itself is a tool call here: leave out tools and tool_choice, or mode="tool"',
    )
    schema = answer_type.strict() or answer_type.schema
    options["tools"] = [Tool(answer_type.name, schema, "Give the answer.")]
    options["tool_choice"] = ToolChoice("required")


def _choose(can: SchemaSupport, answer_type: AnswerType[Any], options: CallOptions) -> Mode:
    """The strictest way that the provider is known to take."""
    is_taken = not can.closed_only or _is_closed(answer_type)
    if can.native and is_taken:
        return "native"
    effort = options.get("reasoning_effort")
    reasons = can.reasons_unasked if effort is None else effort != "none"
    may_force = can.forced_call and not _has_tools(options)
    if may_force and (can.forced_reasoning or not reasons):
        return "tool"
    return "instructions"


def _has_tools(options: CallOptions) -> bool:
    return bool(options.get("tools") or options.get("tool_choice"))


def _is_closed(answer_type: AnswerType[Any]) -> bool:
    """Whether its schema has a strict form that ends."""
    return answer_type.strict() is not None and not is_recursive(answer_type.schema)


def _instruct(messages: list[Message], answer_type: AnswerType[Any]) -> list[Message]:
    """The messages with instructions in the system message: some models take only one."""
    schema = json.dumps(answer_type.strict() or answer_type.schema, ensure_ascii=False)
    text = (
        f"Answer with JSON alone, no other text around it, that follows this JSON schema:\n{schema}"
    )
    first = messages[0]
    if first.role == "system":
        return [replace(first, parts=[TextPart(f"{first.text}\n\n{text}")]), *messages[1:]]
    return [Message("system", [TextPart(text)]), *messages]


def ask_again(
    messages: Sequence[Message | Mapping[str, Any]], text: str, problems: str
) -> Sequence[Message | Mapping[str, Any]]:
    """The messages, and what was wrong with the answer."""
    again = f"This is not what was asked for:\n{problems}\nGive the whole answer again, corrected."
    return [
        *messages,
        Message("assistant", [TextPart(text or "…")]),
        Message("user", [TextPart(again)]),
    ]
