"""Requests of generateContent, rendered and parsed.

Format: https://ai.google.dev/api/generate-content. Rules:

- The model and whether to stream stand in the path. A body of ours has both as members, which the provider takes out.
- `systemInstruction` stands outside the conversation; a system message amid the turns is moved, with a warning.
- Schemas go out as JSON schemas (`parametersJsonSchema`, `responseJsonSchema`), not in Google's own dialect of them.
- What was signed goes back where it stood. `provider_options` go out as they are.
- Both spellings of a member are read: `systemInstruction` and `system_instruction`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llmstream.arguments import build_request
from llmstream.checks import ensure_json, items_at, require
from llmstream.messages import ChatRequest, HostedTool, ResponseFormat, Tool, ToolChoice
from llmstream.provider_data import keep, own_members
from llmstream.wire.fitting.history import fit_history
from llmstream.wire.fitting.rules import ANY_ID, HistoryRules, SystemPlace
from llmstream.wire.fitting.tools import GEMINI_TOOLS, fit_tools
from llmstream.wire.gemini_generate.decode import CONTINUATION
from llmstream.wire.gemini_generate.history import (
    RenderedContents,
    parse_history,
)
from llmstream.wire.gemini_generate.members import camel_case
from llmstream.wire.gemini_generate.parts import FORMAT
from llmstream.wire.gemini_generate.thinking_config import parse_thinking, render_thinking
from llmstream.wire.gemini_models import wants_signatures
from llmstream.wire.inbound import keep_rest, model_of, object_in, required_text, rest_of, texts_at
from llmstream.wire.json_fields import present
from llmstream.wire.option_values import name_unsupported, tier_for
from llmstream.wire.outbound import Rendered, warn_once
from llmstream.wire.part_rules import GENERATE_PARTS
from llmstream.wire.paused_answers import without_pause


@dataclass(frozen=True, slots=True)
class GenerateVariant:
    """How one server differs from the Gemini API."""

    name: str = "gemini"
    """The key in `provider_options`."""
    labels: bool = False
    """Whether `metadata` goes out as labels: Vertex AI has them."""


_CONFIG = "generationConfig"
_NAMES = {
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "max_tokens": "maxOutputTokens",
    "seed": "seed",
    "frequency_penalty": "frequencyPenalty",
    "presence_penalty": "presencePenalty",
}
"""Our names for options, and those in `generationConfig`."""
_MODES = {"auto": "AUTO", "none": "NONE", "required": "ANY", "tool": "ANY"}
_TIERS = {
    "auto": "standard",
    "default": "standard",
    **{tier: tier for tier in ("standard", "flex", "priority")},
}
_UNKNOWN = ("parallel_tool_calls", "verbosity")
_FUNCTIONS = "functionDeclarations"
_INVOCATIONS = "includeServerSideToolInvocations"
_KNOWN = frozenset(
    {
        "contents",
        "generationConfig",
        "labels",
        "model",
        "serviceTier",
        "stream",
        "systemInstruction",
        "toolConfig",
        "tools",
    }
)


# --- out --------------------------------------------------------------------------------------------------


def render_request(request: ChatRequest, variant: GenerateVariant = GenerateVariant()) -> Rendered:
    """The body to post, beside which the provider finds `model` and `stream`. Constant work per message."""
    messages, continuation = without_pause(request.messages, variant.name, FORMAT, CONTINUATION)
    fitted = fit_history(messages, _history_rules(request, variant))
    history = RenderedContents(request.model, fitted.warnings)
    for message in fitted.messages:
        history.add(message)
    body: dict[str, Any] = {
        "model": request.model,
        "contents": history.contents,
        "stream": True,
    }
    if history.system:
        body["systemInstruction"] = {"parts": history.system}
    rendered = Rendered(body, fitted.warnings)
    _render_options(request, variant, rendered)
    rendered.pass_on(request.format_options, FORMAT)
    if continuation is not None:
        body[CONTINUATION] = continuation
    rendered.merge(request.provider_options.get(variant.name, {}))
    return rendered


def _history_rules(request: ChatRequest, variant: GenerateVariant) -> HistoryRules:
    return HistoryRules(
        format=FORMAT,
        label="Gemini",
        host=variant.name,
        model=request.model,
        ids=ANY_ID,
        system=SystemPlace.ABOVE,
        user_first=True,
        signed_reasoning=True,
        returned_files=True,
        parts=GENERATE_PARTS,
    )


def _render_options(request: ChatRequest, variant: GenerateVariant, rendered: Rendered) -> None:
    body, warnings = rendered.body, rendered.warnings
    options = {theirs: getattr(request, ours) for ours, theirs in _NAMES.items()}
    config = present(**options, stopSequences=list(request.stop) or None)
    if config:
        body[_CONFIG] = config
    _render_tools(request, rendered)
    _render_response_format(request.response_format, rendered)
    if request.reasoning_effort is not None:
        render_thinking(request.reasoning_effort, rendered)
    if request.metadata and variant.labels:
        body["labels"] = dict(request.metadata)
    elif request.metadata:
        warnings.append("metadata: the Gemini API has none; dropped")
    name_unsupported(request, _UNKNOWN, "Gemini", warnings)
    tier = tier_for(request.service_tier, _TIERS, variant.name, warnings)
    body |= present(serviceTier=tier)


def _render_tools(request: ChatRequest, rendered: Rendered) -> None:
    """Functions together, then Google's own tools, and the choice among the functions."""
    body = rendered.body
    tools = fit_tools(request.tools, GEMINI_TOOLS, rendered.warnings)
    functions = [_render_tool(tool, rendered.warnings) for tool in tools if isinstance(tool, Tool)]
    hosted = [dict(tool.definition) for tool in tools if isinstance(tool, HostedTool)]
    if functions or hosted:
        body["tools"] = [*([{_FUNCTIONS: functions}] if functions else []), *hosted]
    config: dict[str, Any] = {}
    choice = request.tool_choice
    if choice is not None:
        named = None if choice.name is None else [choice.name]
        calling = present(mode=_MODES[choice.mode], allowedFunctionNames=named)
        config["functionCallingConfig"] = calling
    if functions and hosted and wants_signatures(request.model):
        config[_INVOCATIONS] = True
    if config:
        body["toolConfig"] = config


def _render_tool(tool: Tool, warnings: list[str]) -> dict[str, Any]:
    if tool.strict is not None:
        told = "tools: Gemini has no strict; dropped. Its mode VALIDATED is for all tools at once"
        warn_once(warnings, told)
    said = present(description=tool.description, parametersJsonSchema=tool.parameters)
    return {"name": tool.name, **said, **own_members(tool.provider_data, FORMAT)}


def _render_response_format(wanted: ResponseFormat | None, rendered: Rendered) -> None:
    if wanted is None:
        return
    if wanted.strict is False:
        rendered.warnings.append(
            "response_format: Gemini follows a schema strictly; strict=False dropped"
        )
    if wanted.description is not None:
        rendered.warnings.append(
            "response_format: Gemini has no description of it; dropped. Write it into the schema"
        )
    config = rendered.body.setdefault(_CONFIG, {})
    config["responseMimeType"] = _JSON
    if wanted.schema is not None:
        config["responseJsonSchema"] = wanted.schema


_JSON = "application/json"


# --- in ---------------------------------------------------------------------------------------------------


def parse_request(body: Mapping[str, Any]) -> ChatRequest:
    """The request that a body means, with the `model` of its path. Raises TypeError or ValueError with the place.

    Members without a name here become `format_options`.
    """
    model = model_of(body)
    body = camel_case(dict(body))
    rest = rest_of(body, _KNOWN)
    config = object_in(body, _CONFIG)
    tool_config = object_in(body, "toolConfig")
    tools = [
        tool for item in items_at(body.get("tools") or (), "tools") for tool in _parse_tool(*item)
    ]
    options = {ours: config.pop(theirs, None) for ours, theirs in _NAMES.items()}
    request = build_request(
        parse_history(body.get("systemInstruction"), body.get("contents")),
        model,
        tools=tools,
        tool_choice=_parse_tool_choice(tool_config),
        response_format=_parse_response_format(config),
        stop=texts_at(config.pop("stopSequences", None), "stopSequences"),
        reasoning_effort=parse_thinking(config),
        service_tier=_parse_tier(body.get("serviceTier")),
        metadata=object_in(body, "labels"),
        **options,
    )
    if tool_config.get(_INVOCATIONS) and _adds_invocations(request):
        del tool_config[_INVOCATIONS]
    rest |= present(generationConfig=config, toolConfig=tool_config)
    keep_rest(request, rest, FORMAT)
    return request


def _adds_invocations(request: ChatRequest) -> bool:
    """Whether rendering says so by itself."""
    kinds = {type(tool) for tool in request.tools}
    return len(kinds) > 1 and wants_signatures(request.model)


def _parse_tier(tier: Any) -> Any:
    word = str(tier).lower().removeprefix("service_tier_") if tier is not None else None
    return "default" if word == "standard" else word


def _parse_tool(tool: Any, where: str) -> list[Tool | HostedTool]:
    """The functions of an entry of `tools`, and what else stands in it."""
    require(isinstance(tool, Mapping), f"{where} must be an object", TypeError)
    declared = tool.get(_FUNCTIONS) or ()
    parsed: list[Tool | HostedTool] = [
        _parse_function(*item) for item in items_at(declared, f"{where}.{_FUNCTIONS}")
    ]
    hosted = {name: value for name, value in tool.items() if name != _FUNCTIONS}
    ensure_json(hosted, where)
    return [*parsed, HostedTool(hosted)] if hosted else parsed


_OF_FUNCTION = frozenset({"name", "description", "parameters", "parametersJsonSchema"})


def _parse_function(function: Any, where: str) -> Tool:
    require(isinstance(function, Mapping), f"{where} must be an object", TypeError)
    name = required_text(function.get("name"), f"{where} needs a name")
    schema = function.get("parametersJsonSchema") or _plain_schema(function.get("parameters"))
    rest = {key: value for key, value in function.items() if key not in _OF_FUNCTION}
    ensure_json(rest, where)
    data = keep(FORMAT, rest)
    description = function.get("description")
    if schema is None:
        return Tool(name, description=description, provider_data=data)
    return Tool(name, schema, description, provider_data=data)


def _plain_schema(schema: Any) -> Any:
    """Google's dialect of a schema as a JSON schema: its types are in capitals, and `nullable` is one of them."""
    if isinstance(schema, list):
        return [_plain_schema(each) for each in schema]
    if not isinstance(schema, Mapping):
        return schema
    plain = {name: _plain_schema(value) for name, value in schema.items() if name != "nullable"}
    kind = schema.get("type")
    if isinstance(kind, str):
        plain["type"] = [kind.lower(), "null"] if schema.get("nullable") is True else kind.lower()
    return plain


def _parse_tool_choice(config: dict[str, Any]) -> ToolChoice | None:
    """The choice; what it can't say stays in the config."""
    calling = object_in(config, "functionCallingConfig")
    mode, names = calling.get("mode"), calling.get("allowedFunctionNames") or []
    known = {"AUTO": "auto", "NONE": "none", "ANY": "required"}
    word = known.get(mode.upper()) if isinstance(mode, str) else None
    is_one = word == "required" and len(names) == 1
    if word is None or (names and not is_one) or calling.keys() - {"mode", "allowedFunctionNames"}:
        return None
    del config["functionCallingConfig"]
    if is_one:
        return ToolChoice("tool", names[0])
    return ToolChoice(word)  # type: ignore[arg-type]  # one of its modes


def _parse_response_format(config: dict[str, Any]) -> ResponseFormat | None:
    """The format; what it can't say, such as plain text, stays in the config."""
    if config.get("responseMimeType") != _JSON:
        return None
    del config["responseMimeType"]
    schema = config.pop("responseJsonSchema", None)
    if schema is None:
        schema = _plain_schema(config.pop("responseSchema", None))
    return ResponseFormat(schema)
