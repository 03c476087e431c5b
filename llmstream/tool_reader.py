"""Tools and the choice among them, in the shapes that callers give them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmstream.cache_marks import parse_cache
from llmstream.checks import (
    as_object,
    as_text,
    ensure_json,
    items_at,
    require,
    require_mapping,
    require_type,
    require_value,
)
from llmstream.message_reader import FORMAT
from llmstream.messages import HostedTool, Tool, ToolChoice
from llmstream.provider_data import keep


def parse_tools(value: Any) -> list[Tool | HostedTool]:
    """Tools from `Tool` objects or dicts: OpenAI's nested or flat form, or a provider's own hosted tool."""
    return [_parse_tool(tool, where) for tool, where in items_at(value or (), "tools")]


_OF_FUNCTIONS = (
    " (llmstream.tools.run_tools(client, messages, [function]) takes functions, and calls them)"
)


def _parse_tool(tool: Any, where: str) -> Tool | HostedTool:
    if isinstance(tool, Mapping):
        tool = _parse_tool_dict(tool, where)
    if isinstance(tool, HostedTool):
        return tool
    hint = _OF_FUNCTIONS if callable(tool) else ""
    function = require_type(tool, Tool, f"{where} must be a Tool or a dict{hint}")
    problem = f"{where} ({function.name}): parameters must be a JSON schema as a dict"
    require(isinstance(function.parameters, dict), problem, TypeError)
    ensure_json(function.parameters, f"{where} ({function.name}): parameters")
    return function


def _parse_tool_dict(given: Mapping[str, Any], where: str) -> Tool | HostedTool:
    if not _is_function(given):
        ensure_json(given, where)
        return HostedTool(dict(given))
    function = as_object(given.get("function", given))
    problem = f"{where}: a function tool needs a name"
    name = require_value(as_text(function.get("name")), problem)
    tool = Tool(name, description=function.get("description"), strict=function.get("strict"))
    tool.cache = parse_cache(given, where) or parse_cache(function, where)
    tool.provider_data = _tool_fields(given, where)
    schema = function.get("parameters", function.get("input_schema"))
    if schema is not None:
        tool.parameters = schema
    return tool


def _is_function(tool: Mapping[str, Any]) -> bool:
    """Whether a tool's parameters are a schema. Anthropic's word for a function is `custom`.

    Google's own tools have no type, and none of the fields of a function: `{"googleSearch": {}}`.
    """
    if tool and tool.keys().isdisjoint(_TOOL_FIELDS):
        return False
    kind = tool.get("type") or "function"
    return kind == "function" or (kind == "custom" and "input_schema" in tool)


_TOOL_FIELDS = frozenset(
    {
        *("type", "name", "description", "parameters", "strict", "function"),
        *("input_schema", "cache", "cache_control", "prompt_cache_breakpoint"),
    }
)


def _tool_fields(tool: Mapping[str, Any], where: str) -> dict[str, Any] | None:
    """Further fields of a function, which are those of the format in whose shape it was given."""
    function = tool.get("function")
    if isinstance(function, Mapping):
        format, given = FORMAT, function
    elif "input_schema" in tool:
        format, given = "anthropic-messages", tool
    else:
        format, given = "openai-responses", tool
    rest = {name: given[name] for name in given if name not in _TOOL_FIELDS}
    ensure_json(rest, where)
    return keep(format, rest)


def parse_tool_choice(value: Any) -> ToolChoice | None:
    """`"auto"`, `"none"`, `"required"` (or `"any"`), a tool's name in OpenAI's dict, or a ToolChoice."""
    match value:
        case None | ToolChoice():
            return value
        case "auto" | "none" | "required":
            return ToolChoice(value)
        case "any":  # Mistral and Anthropic say it so
            return ToolChoice("required")
        case Mapping():
            name = require_mapping(value.get("function", value), "tool_choice.function").get("name")
            if isinstance(name, str):
                return ToolChoice("tool", name)
    raise ValueError(
        "tool_choice must be 'auto', 'none', 'required' or "
        f"{{'type': 'function', 'function': {{'name': …}}}}, not {value!r}"
    )
