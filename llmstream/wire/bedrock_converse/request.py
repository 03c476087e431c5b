"""Bedrock Converse requests, rendered and parsed.

Format: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html. Rules:

- The model stands in the path. A body of ours has it as `modelId`, and `stream` for what is another path there.
- `system` stands outside the conversation. User and assistant speak in turns, and neighbours are joined.
- Blank text is refused. A history with calls needs tools, and a turn with documents a text.
- What only some models have stands in `additionalModelRequestFields`, in the words of their own APIs: `top_k`, how
  long they think. `provider_options` go out as they are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llmstream.arguments import build_request
from llmstream.cache_marks import POINT, drop_surplus, mark, parse_cache
from llmstream.checks import as_object, as_text, ensure_json, items_at, require
from llmstream.messages import ChatRequest, HostedTool, ResponseFormat, Tool, ToolChoice
from llmstream.wire.bedrock_converse.blocks import FORMAT
from llmstream.wire.bedrock_converse.files import CONVERSE_PARTS
from llmstream.wire.bedrock_converse.history import ConverseTurns, parse_history, split_marks
from llmstream.wire.bedrock_converse.reasoning import parse_effort, render_model_options
from llmstream.wire.fitting.history import fit_history
from llmstream.wire.fitting.rules import BEDROCK_ID, Blank, HistoryRules, SystemPlace
from llmstream.wire.fitting.tools import BEDROCK_TOOLS, SYSTEM_TOOL, fit_tools
from llmstream.wire.inbound import keep_rest, object_in, required_text, rest_of
from llmstream.wire.json_fields import present
from llmstream.wire.option_rules import TOOLS, generation, leave_out
from llmstream.wire.option_values import fit, name_unsupported, tier_for
from llmstream.wire.outbound import Rendered


@dataclass(frozen=True, slots=True)
class ConverseVariant:
    """How one host of the format differs from Amazon itself."""

    name: str = "bedrock"
    """The key in `provider_options`."""


_CLAUDE = re.compile("claude")
_TAKES_MARKS = re.compile(r"claude|nova")
"""docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html; other models refuse a mark."""
_FIRST_WITHOUT_PREFILL = (4, 6)
_TIERS = {tier: tier for tier in ("default", "flex", "priority", "reserved")}
"""botocore ServiceTierType."""
_BOUNDS = {"temperature": (0.0, 1.0), "top_p": (0.0, 1.0)}
"""botocore InferenceConfiguration."""
_NAMES = {"max_tokens": "maxTokens", "temperature": "temperature", "top_p": "topP"}
_UNKNOWN = (
    "seed",
    "frequency_penalty",
    "presence_penalty",
    "verbosity",
    "parallel_tool_calls",
)
_METADATA = re.compile(r"[a-zA-Z0-9\s:_@$#=/+,.-]{1,256}")
_MOST_METADATA = 16
CALLED = "A tool that was called earlier in this conversation."
"""The description of a tool that the request doesn't have, but the history: without it the history is refused."""
_FIELDS = "additionalModelRequestFields"
_KNOWN = frozenset(
    {
        *("model", "modelId", "stream", "messages", "system", "inferenceConfig", "toolConfig"),
        *("outputConfig", "serviceTier", "requestMetadata", _FIELDS),
    }
)


# --- out --------------------------------------------------------------------------------------------------


def render_request(request: ChatRequest, variant: ConverseVariant = ConverseVariant()) -> Rendered:
    """The body to post, with `modelId` and `stream`. Constant work per message."""
    fitted = fit_history(request.messages, _history_rules(request, variant))
    word = POINT if _TAKES_MARKS.search(request.model.lower()) else None
    history = ConverseTurns(word, fitted.warnings)
    for message in fitted.messages:
        history.add(message)
    tools = _render_tools(request, history, word)
    drop_surplus([*tools, *history.blocks], POINT, fitted.warnings)
    history.finish()
    body = {"modelId": request.model, "messages": history.turns, "stream": True}
    rendered = Rendered(body, fitted.warnings)
    if history.system:
        body["system"] = history.system
    rendered.pass_on(request.format_options, FORMAT)
    own = request.provider_options.get(variant.name, {})
    _render_options(request, rendered, split_marks(tools), own)
    rendered.merge(own)
    return rendered


def _render_options(
    request: ChatRequest, rendered: Rendered, tools: list[dict[str, Any]], own: Mapping[str, Any]
) -> None:
    """All but the history. What depends on the model is decided in the words of its own API."""
    body, warnings = rendered.body, rendered.warnings
    options = Rendered({"model": request.model, "messages": body["messages"]}, warnings)
    for name in ("max_tokens", "temperature", "top_p", "top_k"):
        value = getattr(request, name)
        if value is not None:
            options.body[name] = fit(name, value, _BOUNDS, "Bedrock", warnings)
    _render_tool_choice(request, tools, options)
    fields = {**as_object(body.get(_FIELDS)), **as_object(own.get(_FIELDS))}
    given = as_object(own.get("inferenceConfig"))
    fields |= {ours: given[theirs] for ours, theirs in _NAMES.items() if theirs in given}
    rendered.merge(render_model_options(request, options, fields))
    found = {theirs: options.body.get(ours) for ours, theirs in _NAMES.items()}
    inference = present(**found)
    if request.stop:
        inference["stopSequences"] = list(request.stop)
    if inference:
        rendered.merge({"inferenceConfig": inference})
    if tools:
        choice = present(toolChoice=options.body.get("tool_choice"))
        rendered.merge({"toolConfig": {"tools": tools, **_choice(choice)}})
    _render_response_format(request.response_format, rendered)
    _render_metadata(request.metadata, rendered)
    name_unsupported(request, _UNKNOWN, "Bedrock's Converse", warnings)
    tier = tier_for(request.service_tier, _TIERS, "Bedrock", warnings)
    body |= present(serviceTier=present(type=tier))


def _history_rules(request: ChatRequest, variant: ConverseVariant) -> HistoryRules:
    model = request.model.lower()
    is_older_claude = "claude" in model and generation(model) < _FIRST_WITHOUT_PREFILL
    return HistoryRules(
        format=FORMAT,
        label="Bedrock's Converse",
        host=variant.name,
        model=request.model,
        ids=BEDROCK_ID,
        system=SystemPlace.ABOVE,
        user_first=True,
        blank=Blank.SPACE,
        signed_reasoning=True,
        shared_signatures=_CLAUDE,
        reasoning_leads=True,
        parts=CONVERSE_PARTS,
        trims_last_text=is_older_claude,
    )


def takes_prefill(request: ChatRequest) -> bool:
    """Whether the model goes on from an assistant message at the end: Claude before 4.6 does, unless it reasons."""
    model = request.model.lower()
    is_older_claude = "claude" in model and generation(model) < _FIRST_WITHOUT_PREFILL
    return is_older_claude and request.reasoning_effort in (None, "none")


def _render_tools(
    request: ChatRequest, history: ConverseTurns, word: str | None
) -> list[dict[str, Any]]:
    """The request's tools, or those that the history calls: a history with calls is refused without any."""
    fitted = fit_tools(request.tools, BEDROCK_TOOLS, history.warnings)
    if not fitted:
        named = history.called.items()
        return [_called_tool(name, is_amazons=is_amazons) for name, is_amazons in named]
    return [mark(_render_tool(tool), getattr(tool, "cache", None), word) for tool in fitted]


def _called_tool(name: str, *, is_amazons: bool) -> dict[str, Any]:
    if is_amazons:
        return {SYSTEM_TOOL: {"name": name}}
    return _tool_spec(Tool(name, description=CALLED))


def _render_tool(tool: Tool | HostedTool) -> dict[str, Any]:
    if isinstance(tool, Tool):
        return _tool_spec(tool)
    return {
        SYSTEM_TOOL: {name: tool.definition[name] for name in tool.definition if name != "type"}
    }


def _tool_spec(tool: Tool) -> dict[str, Any]:
    spec = {"name": tool.name, "inputSchema": {"json": tool.parameters}}
    return {"toolSpec": spec | present(description=tool.description or None, strict=tool.strict)}


def _render_tool_choice(
    request: ChatRequest, tools: list[dict[str, Any]], options: Rendered
) -> None:
    """The choice, in Anthropic's words. There is none for "none": then the tools are left out, if they may be."""
    choice = request.tool_choice
    options.body["tools"] = [{"name": _name_of(tool)} for tool in tools]
    if choice is None:
        return
    if choice.mode == "none":
        told = "tool_choice: Bedrock's Converse can't forbid calls"
        has_calls = any("toolUse" in block for block in _blocks_of(options.body["messages"]))
        if request.tools:
            options.warnings.append(f"{told}; {'dropped' if has_calls else 'sent without tools'}")
        if not has_calls:
            tools.clear()
        return
    mode = {"required": "any"}.get(choice.mode, choice.mode)
    options.body["tool_choice"] = {"type": mode, **present(name=choice.name)}
    leave_out(TOOLS, options)


def _name_of(tool: Mapping[str, Any]) -> Any:
    """The name of a rendered tool, be it a function or a tool of Amazon's."""
    return next(iter(tool.values())).get("name")


def _blocks_of(turns: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [block for turn in turns for block in turn["content"]]


def _choice(found: Mapping[str, Any]) -> dict[str, Any]:
    """A choice in Anthropic's words as Converse has it."""
    choice = found.get("toolChoice")
    if choice is None:
        return {}
    return {"toolChoice": {choice["type"]: present(name=choice.get("name"))}}


def _render_response_format(wanted: ResponseFormat | None, rendered: Rendered) -> None:
    if wanted is None:
        return
    if wanted.schema is None:
        rendered.warnings.append(
            "response_format: Bedrock's Converse takes JSON only with a schema; dropped"
        )
        return
    if wanted.strict is False:
        rendered.warnings.append(
            "response_format: Bedrock's Converse follows a schema strictly; strict=False dropped"
        )
    schema = {"schema": json.dumps(wanted.schema), "name": wanted.name}
    schema |= present(description=wanted.description)
    format = {"type": "json_schema", "structure": {"jsonSchema": schema}}
    rendered.merge({"outputConfig": {"textFormat": format}})


def _render_metadata(metadata: dict[str, str], rendered: Rendered) -> None:
    """Labels of the request, for its logs."""
    fitting = {
        name: value
        for name, value in metadata.items()
        if _METADATA.fullmatch(name) and (not value or _METADATA.fullmatch(value))
    }
    sent = dict(list(fitting.items())[:_MOST_METADATA])
    if sent:
        rendered.body["requestMetadata"] = sent
    others = sorted(metadata.keys() - sent)
    if others:
        rendered.warnings.append(
            f"metadata: Bedrock takes {_MOST_METADATA} labels of at most 256 plain characters; "
            f"dropped: {', '.join(others)}"
        )


# --- in ---------------------------------------------------------------------------------------------------


def parse_request(body: Mapping[str, Any]) -> ChatRequest:
    """The request that a body means. Raises TypeError or ValueError that name the place.

    Members without a name here become `format_options`.
    """
    named = body.get("modelId", body.get("model"))
    model = required_text(named, "modelId: name the model as a string")
    rest = rest_of(body, _KNOWN)
    inference = object_in(body, "inferenceConfig")
    config, fields = object_in(body, "outputConfig"), object_in(body, _FIELDS)
    effort = parse_effort(config, fields)
    top_k = fields.pop("top_k", None)
    response_format = _parse_response_format(config.pop("textFormat", None))
    tool_config = object_in(body, "toolConfig")
    kept = rest_of(inference, _INFERENCE)
    rest |= present(outputConfig=config, inferenceConfig=kept, **{_FIELDS: fields})
    request = build_request(
        parse_history(body.get("system"), body.get("messages")),
        model,
        tools=_parse_tools(tool_config.get("tools") or ()),
        tool_choice=_parse_tool_choice(object_in(tool_config, "toolChoice")),
        response_format=response_format,
        temperature=inference.get("temperature"),
        top_p=inference.get("topP"),
        top_k=top_k,
        max_tokens=inference.get("maxTokens"),
        stop=inference.get("stopSequences"),
        reasoning_effort=effort,
        service_tier=object_in(body, "serviceTier").get("type"),
        metadata=object_in(body, "requestMetadata"),
    )
    keep_rest(request, rest, FORMAT)
    return request


_INFERENCE = frozenset({"stopSequences", *_NAMES.values()})


def _parse_tools(given: Any) -> list[Tool | HostedTool]:
    """The tools. A cache point marks the one before it."""
    tools: list[Tool | HostedTool] = []
    for tool, where in items_at(given, "toolConfig.tools"):
        require(isinstance(tool, Mapping), f"{where} must be an object", TypeError)
        last = tools[-1] if tools else None
        if POINT in tool:
            if isinstance(last, Tool):
                last.cache = parse_cache(tool, where)
        elif SYSTEM_TOOL in tool:
            tools.append(HostedTool({"type": SYSTEM_TOOL, **as_object(tool[SYSTEM_TOOL])}))
        else:
            tools.append(_parse_tool(as_object(tool.get("toolSpec")), where))
    return [tool for tool in tools if not isinstance(tool, Tool) or tool.description != CALLED]


def _parse_tool(spec: Mapping[str, Any], where: str) -> Tool:
    schema: Any = as_object(spec.get("inputSchema")).get("json")
    is_whole = isinstance(spec.get("name"), str) and isinstance(schema, dict)
    require(is_whole, f"{where}.toolSpec needs a name and an inputSchema with json")
    ensure_json(schema, where)
    return Tool(spec["name"], schema, spec.get("description"), spec.get("strict"))


def _parse_tool_choice(choice: Mapping[str, Any]) -> ToolChoice | None:
    named = as_object(choice.get("tool")).get("name")
    if "tool" in choice:
        require(as_text(named), "toolConfig.toolChoice.tool.name is missing")
        return ToolChoice("tool", named)
    if "any" in choice:
        return ToolChoice("required")
    return ToolChoice("auto") if "auto" in choice else None


def _parse_response_format(format: Any) -> ResponseFormat | None:
    if format is None:
        return None
    schema = as_object(as_object(as_object(format).get("structure")).get("jsonSchema"))
    try:
        parsed = json.loads(schema["schema"])
    except (KeyError, TypeError, ValueError):
        raise ValueError(
            "outputConfig.textFormat needs structure.jsonSchema.schema, which is JSON in a string"
        ) from None
    require(isinstance(parsed, dict), "outputConfig.textFormat: the schema must be an object")
    name = as_text(schema.get("name")) or "response"
    return ResponseFormat(parsed, name, description=as_text(schema.get("description")))
