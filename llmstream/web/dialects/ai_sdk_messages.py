"""The AI SDK's UI messages, parsed: what the SDK's own `convertToModelMessages` makes of them.

An assistant message holds whole rounds, parted by `step-start`: what the model said and called, and what the tools
answered. Calls that nobody answered (a stopped answer) are left out: providers refuse them. Parts that are only for
the eye (sources, `data-*`) are too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from llmstream.checks import as_object, as_text, items_at, require, require_value
from llmstream.media import parse_media
from llmstream.messages import (
    File,
    ImagePart,
    Message,
    Part,
    TextPart,
    ToolCall,
    ToolResult,
)
from llmstream.web.dialects.provider_data import call_data_of, reasoning_of
from llmstream.web.dialects.request_checks import object_of, role_of, text_of

_ROLES = ("system", "user", "assistant")
_DENIED = "The user did not allow this call; it was not run."


def parse_ui_messages(value: Any) -> list[Message]:
    """Our messages. Raises TypeError or ValueError that name the place."""
    messages: list[Message] = []
    for item, where in items_at(value, "messages"):
        messages.extend(_parse_message(object_of(item, where), where))
    require(messages, "messages is empty: give at least one message")
    return messages


def parse_tools(value: Any) -> list[dict[str, Any]]:
    """The tools that an app runs itself, `{name: {description, parameters}}`, in the shape of OpenAI's."""
    tools = []
    for name, tool in object_of(value or {}, "tools").items():
        given = object_of(tool, f"tools.{name}")
        schema = given.get("parameters", given.get("inputSchema"))
        tools.append({"name": name, "description": given.get("description"), "parameters": schema})
    return tools


def _parse_message(message: Mapping[str, Any], where: str) -> Iterator[Message]:
    role: Any = role_of(message, _ROLES, where)
    given = items_at(message.get("parts"), f"{where}.parts")
    parts = [(object_of(part, at), at) for part, at in given]
    if role != "assistant":
        said = [parsed for part, at in parts if (parsed := _parse_part(part, at)) is not None]
        if said:
            yield Message(role, said)
        return
    step = _Step()
    for part, at in parts:
        if part.get("type") == "step-start":
            yield from step.end()
        # The user added this while the model worked.
        elif part.get("type") == "steering-message":
            yield from step.end()
            yield from _parse_message({"role": "user", "parts": part.get("parts")}, at)
        else:
            step.add(part, at)
    yield from step.end()


class _Step:
    """One round of an assistant message."""

    def __init__(self) -> None:
        self._said: list[Part] = []
        self._results: list[Part] = []

    def add(self, part: Mapping[str, Any], where: str) -> None:
        kind = str(part.get("type"))
        if kind.startswith("tool-") or kind == "dynamic-tool":
            self._add_call(part, where)
        elif kind == "file":
            self._said.append(_made_file(part, where))
        elif (parsed := _parse_part(part, where)) is not None:
            self._said.append(parsed)

    def end(self) -> Iterator[Message]:
        """The step's messages; the next step may begin."""
        if self._said:
            yield Message("assistant", self._said)
        if self._results:
            yield Message("tool", self._results)
        self._said, self._results = [], []

    def _add_call(self, part: Mapping[str, Any], where: str) -> None:
        result = _parse_result(part, where)
        if result is None:
            return
        self._said.append(_parse_call(part, result, where))
        (self._said if result.executed_by == "provider" else self._results).append(result)


def _parse_part(part: Mapping[str, Any], where: str) -> Part | None:
    kind = part.get("type")
    if kind == "text":
        text = text_of(part.get("text"), f"{where}.text")
        return TextPart(text) if text else None
    if kind == "reasoning":
        return reasoning_of(
            text_of(part.get("text"), f"{where}.text"), _ours(part, "providerMetadata")
        )
    return _parse_file(part, where) if kind == "file" else None


def _made_file(part: Mapping[str, Any], where: str) -> File:
    """A file that a model made: its address or type may be odd, and must not end the conversation."""
    url, media_type = _address(part, where)
    return File(name=as_text(part.get("filename")), media_type=media_type, url=url)


def _address(part: Mapping[str, Any], where: str) -> tuple[str, str]:
    match part:
        case {"url": str(url), "mediaType": str(media_type)}:
            return url, media_type
    raise ValueError(f"{where}: a file needs a url and a mediaType")


def _parse_file(part: Mapping[str, Any], where: str) -> Part:
    url, media_type = _address(part, where)
    if media_type.startswith("image/"):
        return parse_media(ImagePart, where, url=url, media_type=media_type)
    return parse_media(
        File, where, name=as_text(part.get("filename")), media_type=media_type, url=url
    )


def _parse_call(part: Mapping[str, Any], result: ToolResult, where: str) -> ToolCall:
    kind = str(part.get("type"))
    named = part.get("toolName") if kind == "dynamic-tool" else kind.removeprefix("tool-")
    name = require_value(as_text(named), f"{where}: a tool part needs the tool's name")
    given = part.get("input", part.get("rawInput"))
    return ToolCall(
        result.tool_call_id,
        name,
        given if isinstance(given, str) else _as_json(given),
        input=given if isinstance(given, dict) else None,
        complete=isinstance(given, dict),
        executed_by=result.executed_by,
        provider_data=call_data_of(_ours(part, "callProviderMetadata")),
    )


def _as_json(given: Any) -> str:
    return "{}" if given is None else json.dumps(given, ensure_ascii=False)


def _parse_result(part: Mapping[str, Any], where: str) -> ToolResult | None:
    id = require_value(as_text(part.get("toolCallId")), f"{where}.toolCallId is missing")
    result = ToolResult(id)
    if part.get("providerExecuted") is True:
        result.executed_by = "provider"
    result.provider_data = call_data_of(_ours(part, "resultProviderMetadata"))
    match part.get("state"):
        case "output-available":
            result.content = part.get("output")
            return result
        case "output-error":
            problem = part.get("errorText") or ""
        case "output-denied":
            problem = _DENIED
        case "approval-responded" if _is_denied(part.get("approval")):
            problem = _DENIED
        case _:
            return None
    result.content, result.is_error = problem, True
    return result


def _is_denied(approval: Any) -> bool:
    return as_object(approval).get("approved") is False


def _ours(part: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    return as_object(as_object(part.get(name)).get("llmstream"))
