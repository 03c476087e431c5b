"""Parts of generateContent as values: calls, results, files, and what goes back with them.

Format: https://ai.google.dev/api/caching#Part. `provider_data` has the part's other members in their own words: among
them `thoughtSignature`, which must go back with its part
(https://ai.google.dev/gemini-api/docs/thought-signatures). Beside them stand notes of ours: `type`, the member of the
part that holds a tool's call or result, and what that says beside its content.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmstream.messages import File, ToolCall, ToolResult
from llmstream.provider_data import keep, own_data
from llmstream.wire.gemini_generate import members
from llmstream.wire.json_fields import present
from llmstream.wire.open_calls import as_arguments

FORMAT = "gemini-generate"
SIGNATURE = "thoughtSignature"
CODE = "code_execution"
"""The name of the tool that runs Gemini's own code."""
_NOTES = (SIGNATURE, "type", "id", "toolType", "language", "outcome")
_SUCCESS = "OUTCOME_OK"
RAN = ("executableCode", "toolCall")
"""Members of a part that hold a call which Google ran."""
TOLD = ("codeExecutionResult", "toolResponse")
"""Members that hold what came of it."""


def beside(part: Mapping[str, Any]) -> dict[str, Any]:
    """What a part says beside what is in it."""
    names = [name for name in part if name in members.BESIDE and name != "thought"]
    return {name: part[name] for name in names if part[name] not in (None, "", {})}


def part_data(part: Mapping[str, Any]) -> dict[str, Any] | None:
    """The `provider_data` of what is in a part; None if it says no more."""
    return keep(FORMAT, beside(part), _NOTES)


def own_beside(data: Mapping[str, Any] | None) -> dict[str, Any]:
    """The inverse of `part_data`; nothing of another format's."""
    own = own_data(data, FORMAT)
    return {name: value for name, value in own.items() if name in members.BESIDE}


# --- tools that Google ran ------------------------------------------------------------------------------------


def ran_name(kind: str, body: Mapping[str, Any]) -> str:
    """The name of the tool."""
    if kind in ("executableCode", "codeExecutionResult"):
        return CODE
    return str(body.get("toolType") or "tool").lower()


def ran_arguments(kind: str, body: Mapping[str, Any]) -> str:
    """The arguments of the call."""
    if kind == "executableCode":
        return as_arguments(present(language=body.get("language"), code=body.get("code")))
    return as_arguments(body.get("args"))


def ran_data(kind: str, part: Mapping[str, Any]) -> dict[str, Any]:
    """The `provider_data` of a call or result of Google's."""
    body = part[kind]
    said = present(id=body.get("id"), toolType=body.get("toolType"), outcome=body.get("outcome"))
    return keep(FORMAT, {**beside(part), "type": kind, **said}, _NOTES) or {}


def parse_result(kind: str, part: Mapping[str, Any], call_id: str) -> ToolResult:
    """What came of a tool that Google ran."""
    body = part[kind]
    is_code = kind == "codeExecutionResult"
    outcome = body.get("outcome")
    return ToolResult(
        call_id,
        (body.get("output") or "") if is_code else body.get("response"),
        name=ran_name(kind, body),
        is_error=is_code and outcome not in (None, _SUCCESS),
        executed_by="provider",
        provider_data=ran_data(kind, part),
    )


def render_ran(call: ToolCall) -> dict[str, Any] | None:
    """The part of a call that Google ran; None for another format's."""
    own = own_data(call.provider_data, FORMAT)
    kind = own.get("type")
    if kind not in RAN:
        return None
    body: dict[str, Any] = present(id=own.get("id"), toolType=own.get("toolType"))
    given = call.input or {}
    if kind == "executableCode":
        body |= given
    elif call.arguments:
        body["args"] = given
    return {kind: body, **own_beside(call.provider_data)}


def render_result(result: ToolResult) -> dict[str, Any] | None:
    """The part of a result of Google's; None for another format's."""
    own = own_data(result.provider_data, FORMAT)
    kind = own.get("type")
    if kind not in TOLD:
        return None
    body = present(id=own.get("id"), toolType=own.get("toolType"), outcome=own.get("outcome"))
    if kind == "codeExecutionResult":
        body |= present(output=result.content or None)
    elif result.content is not None:
        body["response"] = result.content
    return {kind: body, **own_beside(result.provider_data)}


# --- files ----------------------------------------------------------------------------------------------------


def parse_file(part: Mapping[str, Any]) -> File | None:
    """The file of a part; None if it has none that can be read."""
    blob, link = part.get("inlineData"), part.get("fileData")
    if isinstance(blob, dict) and blob.get("data"):
        return File(
            name=blob.get("displayName"),
            media_type=blob.get("mimeType"),
            data=blob["data"],
            provider_data=part_data(part),
        )
    if isinstance(link, dict) and link.get("fileUri"):
        return File(
            name=link.get("displayName"),
            media_type=link.get("mimeType"),
            url=link["fileUri"],
            provider_data=part_data(part),
        )
    return None


def render_media(
    data: str | None, url: str | None, media_type: str | None, name: str | None = None
) -> dict[str, Any]:
    """An image or a file as a part. Google takes addresses of its own Files API, of Cloud Storage, and of the web."""
    is_one = media_type is not None and not media_type.endswith("/*")
    said = present(mimeType=media_type if is_one else None, displayName=name)
    if data is not None:
        return {"inlineData": {**said, "data": data}}
    return {"fileData": {**said, "fileUri": url}}
