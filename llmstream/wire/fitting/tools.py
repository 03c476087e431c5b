"""Tools as the target takes them: another vendor's own are left out, groups and custom tools become functions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from llmstream.cache_marks import CONTROL
from llmstream.messages import HostedTool, Tool, ToolCall
from llmstream.provider_data import all_members, keep, own_members
from llmstream.wire.json_fields import objects_in

_IN_NAMESPACES = ("function", "custom", "namespace")
"""Types of a namespace's tools that the caller runs: they can be functions."""
_OF_FUNCTION = frozenset({"type", "name", "description", "strict", "parameters"})

LONGEST_NAME = 64
"""OpenAI's functions: `^[a-zA-Z0-9_-]{1,64}$`. Anthropic takes 128."""

_DATED = re.compile(r"\w{1,64}_20\d{6}")
"""Anthropic's own tools have the date of their version in their type: `web_search_20250305`."""
_RESPONSES = frozenset(
    {
        "apply_patch",
        "code_interpreter",
        "computer",
        "computer_use_preview",
        "custom",
        "file_search",
        "image_generation",
        "local_shell",
        "mcp",
        "namespace",
        "programmatic_tool_calling",
        "shell",
        "tool_search",
        "web_search",
    }
)
"""The types in `openai.types.responses.ToolParam`."""
GOOGLE_TOOLS = frozenset(
    {
        "codeExecution",
        "computerUse",
        "enterpriseWebSearch",
        "exaAiSearch",
        "fileSearch",
        "functionDeclarations",
        "googleMaps",
        "googleSearch",
        "googleSearchRetrieval",
        "mcpServers",
        "parallelAiSearch",
        "retrieval",
        "urlContext",
    }
)
"""The members of `google.genai.types.Tool`, each of which is a tool, or several."""
_INTERACTIONS = frozenset(
    {
        *("bash", "code_execution", "computer_use", "file_search", "filesystem", "google_maps"),
        *("google_search", "mcp_server", "retrieval", "tool_search", "url_context"),
    }
)
"""google-genai's Tool of the Interactions API, and the types that its 400 names."""
_PREVIEW = re.compile(r"(web_search|computer_use)_preview\w*")
"""More of them: `web_search_preview_2025_03_11`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolRules:
    """Which tools a target takes beside functions."""

    format: str
    label: str
    """What warnings call the target."""
    own: frozenset[str] = frozenset()
    """Types of tools that the target runs itself, or reads itself."""
    own_pattern: re.Pattern[str] | None = None
    """More types of its own."""
    takes_unknown: bool = True
    """Whether a type goes along that no vendor is known for."""
    fields: frozenset[str] = frozenset()
    """Further fields of a function that mean the same to the target, in whichever shape the tool was given."""

    def __str__(self) -> str:
        return ", ".join(sorted(self.own)) or "functions"

    def takes(self, kind: str) -> bool:
        """Whether a tool of this type goes to the target."""
        if kind in self.own:
            return True
        if self.own_pattern is not None and self.own_pattern.fullmatch(kind):
            return True
        return self.takes_unknown and not _is_known(kind)


CHAT_TOOLS = ToolRules(format="openai-chat", label="chat completions", own=frozenset({"custom"}))
"""OpenAI's chat completions: functions and custom tools (openai.types.chat.ChatCompletionToolUnionParam)."""
COMPATIBLE_TOOLS = ToolRules(format="openai-chat", label="this host's chat completions")
"""The hosts of the compatible family: functions, and whatever tools of their own they have."""
RESPONSES_TOOLS = ToolRules(
    format="openai-responses",
    label="OpenAI Responses",
    own=_RESPONSES,
    own_pattern=_PREVIEW,
    fields=frozenset({"defer_loading", "output_schema"}),
)
"""openai.types.responses.FunctionToolParam. Its `allowed_callers` have other words than Anthropic's."""
ANTHROPIC_TOOLS = ToolRules(
    format="anthropic-messages",
    label="Anthropic Messages",
    own=frozenset({"mcp_toolset"}),
    own_pattern=_DATED,
    takes_unknown=False,
    fields=frozenset({"defer_loading", "eager_input_streaming", "input_examples"}),
)
"""anthropic.types.ToolUnionParam: every type but `custom` is dated; `mcp_toolset` is of the beta."""
GEMINI_TOOLS = ToolRules(
    format="gemini-generate",
    label="Gemini",
    own=GOOGLE_TOOLS,
    takes_unknown=False,
    fields=frozenset({"response", "responseJsonSchema", "behavior"}),
)
"""google.genai.types.Tool and FunctionDeclaration."""
INTERACTIONS_TOOLS = ToolRules(
    format="gemini-interactions",
    label="Gemini's Interactions",
    own=_INTERACTIONS,
    takes_unknown=False,
    fields=frozenset({"defer_loading", "short_description"}),
)
"""google-genai's Tool and Function of the Interactions API."""


def kind_of(definition: Mapping[str, Any]) -> str:
    """The type of a tool that its vendor runs. Google's tools have no type: they are what their member is called."""
    kind = definition.get("type")
    return str(next(iter(definition), None) if kind is None else kind)


SYSTEM_TOOL = "systemTool"
"""Bedrock's word for a tool that Amazon runs; its definition has a name: `nova_grounding`."""
BEDROCK_TOOLS = ToolRules(
    format="bedrock-converse",
    label="Bedrock's Converse",
    own=frozenset({SYSTEM_TOOL}),
    takes_unknown=False,
)
"""botocore Tool: functions and system tools."""


_OTHERS = ("mcp_toolset", SYSTEM_TOOL)


def _is_known(kind: str) -> bool:
    """Whether a vendor whose tools we know has a tool of this type."""
    if any(kind in known for known in (_RESPONSES, GOOGLE_TOOLS, _INTERACTIONS, _OTHERS)):
        return True
    return _PREVIEW.fullmatch(kind) is not None or _DATED.fullmatch(kind) is not None


def fit_tools(
    tools: Sequence[Tool | HostedTool], rules: ToolRules, warnings: list[str]
) -> list[Tool | HostedTool]:
    """The tools that go to the target."""
    return [fitted for tool in tools for fitted in _fit(tool, rules, warnings)]


def _fit(
    tool: Tool | HostedTool, rules: ToolRules, warnings: list[str]
) -> Iterator[Tool | HostedTool]:
    if isinstance(tool, Tool):
        yield _without_foreign_fields(tool, rules, warnings)
        return
    kind = kind_of(tool.definition)
    inner = tool.definition.get(kind)
    is_chats = kind == "custom" and isinstance(inner, Mapping)
    if rules.takes(kind) and (kind != "custom" or is_chats == (rules.format == "openai-chat")):
        yield tool
    elif kind == "namespace":
        warnings.append(f"tools: {rules.label} have no namespaces; sent as functions")
        yield from _flattened(tool.definition, rules, warnings)
    elif kind == "custom":
        yield _as_function(
            inner if isinstance(inner, Mapping) else tool.definition, rules, warnings
        )
    else:
        warnings.append(f"tools: {rules.label} don't have {kind!r}; left out")


def _without_foreign_fields(tool: Tool, rules: ToolRules, warnings: list[str]) -> Tool:
    data = tool.provider_data
    if data is None or data.get("format") == rules.format:
        return tool
    lost = all_members(data) - {CONTROL} - rules.fields
    if lost:
        names = ", ".join(sorted(lost))
        warnings.append(f"tools: {rules.label} don't have {names}; left out")
    given = own_members(data, str(data.get("format")))
    shared = {name: given[name] for name in given if name in rules.fields}
    return replace(tool, provider_data=keep(rules.format, shared)) if shared else tool


def _flattened(
    group: Mapping[str, Any], rules: ToolRules, warnings: list[str]
) -> Iterator[Tool | HostedTool]:
    """The tools of a namespace, each under a name that tells which namespace it is from."""
    for member in members_of(group):
        kind, name = member.get("type", "function"), member.get("name")
        if kind not in _IN_NAMESPACES or not isinstance(name, str) or not name:
            warnings.append(f"tools: {rules.label} don't have {kind!r}; left out of a namespace")
            continue
        flat = {**member, "name": joined_name(str(group.get("name") or ""), name)}
        if kind == "namespace":
            yield from _flattened(flat, rules, warnings)
        elif kind == "custom":
            yield _as_function(flat, rules, warnings)
        else:
            yield _function(flat, rules, warnings)


def _function(definition: Mapping[str, Any], rules: ToolRules, warnings: list[str]) -> Tool:
    """A function of Responses."""
    tool = Tool(
        definition["name"],
        description=definition.get("description"),
        strict=definition.get("strict"),
    )
    schema = definition.get("parameters")
    if isinstance(schema, Mapping):
        tool.parameters = dict(schema)
    further = {name: definition[name] for name in definition if name not in _OF_FUNCTION}
    tool.provider_data = keep(RESPONSES_TOOLS.format, further)
    return _without_foreign_fields(tool, rules, warnings)


def members_of(group: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The tools of a namespace; none for another kind of tool."""
    return objects_in(group.get("tools")) if group.get("type") == "namespace" else []


def names_of(tool: Tool | HostedTool) -> set[str]:
    """The names under which a model may call a tool, wherever it was sent."""
    if isinstance(tool, Tool):
        return {tool.name}
    definition = tool.definition
    kind = str(definition.get("type"))
    inner = definition.get(kind)
    named = [definition, *([inner] if isinstance(inner, Mapping) else [])]
    names = {str(each["name"]) for each in named if each.get("name")}
    for member in members_of(definition):
        name = str(member.get("name") or "")
        names |= {name, joined_name(str(definition.get("name") or ""), name)}
    return names


def _as_function(tool: Mapping[str, Any], rules: ToolRules, warnings: list[str]) -> Tool:
    """A tool whose argument is any text. The text becomes the argument `input`."""
    name = str(tool.get("name"))
    warnings.append(
        f"tools: {rules.label} don't take {name!r} as a custom tool; sent as a function"
    )
    schema = {
        "type": "object",
        "properties": {"input": {"type": "string"}},
        "required": ["input"],
    }
    return Tool(name, schema, tool.get("description"))


def joined_name(namespace: str, name: str) -> str:
    """One name for a tool in a namespace. A name that is too long ends in a hash of itself."""
    if not namespace:
        return name
    joined = f"{namespace.removesuffix('__')}__{name}"
    if len(joined) <= LONGEST_NAME:
        return joined
    digest = sha256(joined.encode()).hexdigest()[:8]
    return f"{joined[: LONGEST_NAME - 9]}_{digest}"


def flat_name(call: ToolCall) -> str:
    """The name of a call where there are no namespaces: that of the function which its tool became."""
    namespace = (call.provider_data or {}).get("namespace")
    return joined_name(namespace, call.name) if isinstance(namespace, str) else call.name
