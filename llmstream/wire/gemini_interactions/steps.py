"""Steps and contents of an interaction as values: media, and the tools that Google runs.

A step of a tool goes back as it came: `provider_data["step"]` has it. Calls and results are steps of their own, named
`<tool>_call` and `<tool>_result`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmstream.checks import as_object, as_text
from llmstream.media_types import essence
from llmstream.messages import File, ToolCall, ToolResult, parse_arguments
from llmstream.provider_data import keep, own_members, own_notes
from llmstream.wire.gemini_interactions import members
from llmstream.wire.json_fields import present
from llmstream.wire.open_calls import as_arguments

FORMAT = "gemini-interactions"
CONTINUATION = "continuation_token"
"""The member with which an interaction goes on that stopped at the limit of one request."""
OUTPUT, THOUGHT = "model_output", "thought"
CALL, RESULT = "function_call", "function_result"
RAN, TOLD, OTHER = "ran", "told", "other"
"""Families of steps: calls that Google ran, what came of them, and those that are no part of an answer."""
_FAMILIES = frozenset({OUTPUT, THOUGHT, CALL})
_CALL_END, _RESULT_END = "_call", "_result"
_STEP = "step"
_SOUND, _FILM, _PICTURE, _DOCUMENT = "audio", "video", "image", "document"
MEDIA = frozenset({_SOUND, _FILM, _PICTURE, _DOCUMENT})
"""The types of contents that are files."""


def is_ran_call(kind: str) -> bool:
    """Whether steps of this type are calls that Google runs."""
    return kind.endswith(_CALL_END) and kind != CALL


def is_ran_result(kind: str) -> bool:
    """Whether steps of this type are what came of such a call."""
    return kind.endswith(_RESULT_END) and kind != RESULT


def family_of(kind: str) -> str:
    """What a step of this type is."""
    if kind in _FAMILIES:
        return kind
    if is_ran_call(kind):
        return RAN
    return TOLD if is_ran_result(kind) else OTHER


def ran_name(step: Mapping[str, Any]) -> str:
    """The name of the tool: an MCP server's tools have their own."""
    kind = str(step["type"])
    return as_text(step.get("name")) or kind.removesuffix(_CALL_END).removesuffix(_RESULT_END)


def parse_ran(step: Mapping[str, Any], id: str) -> ToolCall:
    """The call of a tool that Google ran."""
    arguments = as_arguments(step.get("arguments"))
    data = {"format": FORMAT, _STEP: dict(step)}
    parsed = parse_arguments(arguments)
    return ToolCall(id, ran_name(step), arguments, parsed, parsed is not None, "provider", data)


def parse_result(step: Mapping[str, Any], call_id: str) -> ToolResult:
    """What came of a tool that Google ran."""
    result = step.get("result")
    return ToolResult(
        call_id,
        "" if result is None else result,
        name=ran_name(step),
        is_error=step.get("is_error") is True,
        executed_by="provider",
        provider_data={"format": FORMAT, _STEP: dict(step)},
    )


def own_step(part: ToolCall | ToolResult) -> dict[str, Any] | None:
    """The step of a call or result of Google's; None for another format's. A client may have changed what it kept."""
    step = as_object(own_notes(part.provider_data, FORMAT).get(_STEP))
    is_tools = family_of(str(step.get("type"))) in (RAN, TOLD)
    return dict(step) if is_tools else None


# --- files ----------------------------------------------------------------------------------------------------


def parse_file(content: Mapping[str, Any]) -> File | None:
    """The file of a content; None if it has none that can be read."""
    data, uri = as_text(content.get("data")), as_text(content.get("uri"))
    if data is None and uri is None:
        return None
    rest = {name: value for name, value in content.items() if name not in members.MEDIA}
    return File(
        name=as_text(content.get("name")),
        media_type=as_text(content.get("mime_type")),
        data=data,
        url=None if data is not None else uri,
        provider_data=keep(FORMAT, present(**rest)),
    )


def render_media(
    data: str | None,
    url: str | None,
    media_type: str | None,
    provider_data: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """An image or a file as a content: a picture, a sound, a film, or else a document."""
    place = {"data": data} if data is not None else {"uri": url}
    head = {"type": kind_of(media_type), **present(mime_type=media_type)}
    return {**head, **place, **own_members(provider_data, FORMAT)}


def kind_of(media_type: str | None) -> str:
    """The type of the content that holds a file of this type."""
    family = essence(media_type).partition("/")[0]
    return family if family in (_SOUND, _FILM, _PICTURE) else _DOCUMENT
