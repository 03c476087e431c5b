"""The Responses items of tools that the provider runs, as parts of a message; used by the decoder and by requests.

An item is one JSON object: the call, its arguments and its outcome together (`mcp_call`, `code_interpreter_call` …).
It becomes a TOOL_CALL named after the item's type, with the item verbatim in `provider_data["item"]`, so that it can
be sent back; then a TOOL_RESULT if it carries an outcome, or a file if it carries an image. Quirks:

- `local_shell_call`, `shell_call`, `apply_patch_call`, `computer_call` and `mcp_approval_request` look the same but
  wait for the caller: answer them with a ToolResult whose `provider_data` holds the item to send.
- `shell_call_output` and its like are items of their own: a TOOL_RESULT that names the call.
- xAI's `web_search_call` has an empty `call_id` and its arguments as text.
"""

from __future__ import annotations

from typing import Any

from llmstream.messages import File, ToolCall, ToolResult, parse_arguments
from llmstream.wire.json_fields import compact
from llmstream.wire.openai_responses.media import parse_picture

FORMAT = "openai-responses"
PICTURE_CALL = "image_generation_call"
PREVIEW = f"response.{PICTURE_CALL}.partial_image"
"""The event of a picture that isn\'t finished."""

_CALLS = frozenset({"mcp_list_tools", "mcp_approval_request"})
_OUTCOMES = ("output", "outputs", "results", "tools")
_ARGUMENTS = ("code", "queries", "actions", "revised_prompt", "prompt", "server_label")


def is_provider_call(kind: str) -> bool:
    """Whether items of this type are calls that the provider runs (the caller's own two types aside)."""
    return kind in _CALLS or (
        kind.endswith("_call") and kind not in ("function_call", "custom_tool_call")
    )


def is_provider_result(kind: str) -> bool:
    """Whether items of this type are the outcome of an earlier item."""
    return kind.endswith("_output")


def parse_call(item: dict[str, Any]) -> tuple[ToolCall, ToolResult | None, File | None]:
    """The call that an item is, and what came of it, as far as the item says."""
    arguments = _arguments(item)
    id = str(item.get("call_id") or item.get("id") or "")
    data = {"format": FORMAT, "item": item}
    parsed = parse_arguments(arguments)
    call = ToolCall(id, item["type"], arguments, parsed, parsed is not None, "provider", data)
    return call, _outcome(item, call), _image(item)


def parse_result(item: dict[str, Any]) -> ToolResult:
    """The outcome that came as an item of its own."""
    content = _content(item)
    return ToolResult(
        str(item.get("call_id") or item.get("id") or ""),
        "" if content is None else content,
        item["type"],
        executed_by="provider",
        provider_data={"format": FORMAT, "item": item},
    )


def summary_of(text: str) -> list[dict[str, Any]]:
    """A text as the summary of reasoning."""
    return [{"type": "summary_text", "text": text}] if text else []


def _arguments(item: dict[str, Any]) -> str:
    for key in ("arguments", "action", "operation"):
        if value := item.get(key):
            return value if isinstance(value, str) else compact(value)
    named = {key: item[key] for key in _ARGUMENTS if item.get(key)}
    return compact(named) if named else ""


def _content(item: dict[str, Any]) -> Any:
    """The first field that holds an outcome; None if there is none."""
    for key in _OUTCOMES:
        if item.get(key) is not None:
            return item[key]
    return None


def _outcome(item: dict[str, Any], call: ToolCall) -> ToolResult | None:
    """The outcome inside the item. Its `provider_data` names no item: the call's has it all."""
    error = item.get("error")
    content = error or _content(item)
    if content is None and isinstance(action := item.get("action"), dict):
        content = action.get("sources")
    if content is None:
        return None
    data = {"format": FORMAT}
    return ToolResult(
        call.id, content, call.name, bool(error), executed_by="provider", provider_data=data
    )


def _image(item: dict[str, Any]) -> File | None:
    if item["type"] != PICTURE_CALL:
        return None
    picture = parse_picture(
        {"result": item.get("result")}, f"image/{item.get('output_format') or 'png'}"
    )
    if picture is not None:
        picture.id = item.get("id")
    return picture
