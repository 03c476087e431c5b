"""Requests of the Interactions API, rendered and parsed.

Format: https://ai.google.dev/api/interactions-api. Rules:

- Histories go out whole, as steps, and nothing is kept there (`store: false`), unless `provider_options` say so:
  `previous_interaction_id` goes on with what the server has, `background` needs it to be kept.
- `system_instruction` is one text outside the conversation; a system message amid the turns is moved, with a warning.
- What was signed goes back where it stood. `provider_options` go out as they are; an `agent` takes the model's place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llmstream.arguments import build_request
from llmstream.checks import ensure_json, items_at, require
from llmstream.messages import ChatRequest, HostedTool, ResponseFormat, Tool, ToolChoice
from llmstream.provider_data import keep, own_members
from llmstream.wire.efforts import fit_effort
from llmstream.wire.fitting.history import fit_history
from llmstream.wire.fitting.rules import ANY_ID, HistoryRules, SystemPlace
from llmstream.wire.fitting.tools import INTERACTIONS_TOOLS, fit_tools
from llmstream.wire.gemini_interactions.history import (
    RenderedSteps,
    parse_history,
    system_text,
)
from llmstream.wire.gemini_interactions.steps import CONTINUATION, FORMAT
from llmstream.wire.gemini_models import levels_of
from llmstream.wire.inbound import (
    keep_rest,
    model_of,
    object_at,
    object_in,
    required_text,
    rest_of,
    texts_at,
)
from llmstream.wire.json_fields import listed, objects_in, present
from llmstream.wire.option_values import name_unsupported, tier_for
from llmstream.wire.outbound import Rendered, warn_once
from llmstream.wire.part_rules import INTERACTIONS_PARTS
from llmstream.wire.paused_answers import without_pause


@dataclass(frozen=True, slots=True)
class InteractionsVariant:
    """How one server differs from the Gemini API."""

    name: str = "gemini-interactions"
    """The key in `provider_options`."""


_LABEL = "Gemini's Interactions"
_CONFIG, _AGENT, _PREVIOUS = "generation_config", "agent", "previous_interaction_id"
_STORED = (_PREVIOUS, "background")
"""Options with which the server has the conversation, or keeps it."""
_NAMES = {
    "temperature": "temperature",
    "top_p": "top_p",
    "max_tokens": "max_output_tokens",
    "seed": "seed",
}
"""Our names for options, and those in `generation_config`."""
_UNKNOWN = (
    *("top_k", "frequency_penalty", "presence_penalty"),
    *("parallel_tool_calls", "verbosity"),
)
_CHOICES = {"auto": "auto", "none": "none", "required": "any"}
_TIERS = {
    "auto": "standard",
    "default": "standard",
    **{tier: tier for tier in ("standard", "flex", "priority", "deferred")},
}
_LEVEL, _SUMMARIES = "thinking_level", "thinking_summaries"
_JSON = "application/json"
_KNOWN = frozenset(
    {
        *("generation_config", "input", "labels", "model", "response_format", "service_tier"),
        *("stream", "system_instruction", "tools"),
    }
)


# --- out --------------------------------------------------------------------------------------------------


def render_request(
    request: ChatRequest, variant: InteractionsVariant = InteractionsVariant()
) -> Rendered:
    """The body to post. Constant work per message."""
    messages, token = without_pause(request.messages, variant.name, FORMAT, CONTINUATION)
    fitted = fit_history(messages, _history_rules(request, variant))
    history = RenderedSteps(fitted.warnings)
    for message in fitted.messages:
        history.add(message)
    body: dict[str, Any] = {"model": request.model, "input": history.steps, "stream": True}
    body |= present(system_instruction=system_text(history.system))
    rendered = Rendered(body, fitted.warnings)
    _render_options(request, variant, rendered)
    rendered.pass_on(request.format_options, FORMAT)
    rendered.merge(present(**{CONTINUATION: token}))
    rendered.merge(request.provider_options.get(variant.name, {}))
    _render_statelessness(body)
    if body.get(_AGENT):
        del body["model"]
    return rendered


def _render_statelessness(body: dict[str, Any]) -> None:
    """Nothing is kept there, unless the caller wants something for which it must be."""
    if not body.get("background"):
        body.setdefault("store", False)


def _history_rules(request: ChatRequest, variant: InteractionsVariant) -> HistoryRules:
    passed = request.format_options.get(FORMAT, {})
    options = {**passed, **request.provider_options.get(variant.name, {})}
    return HistoryRules(
        format=FORMAT,
        label=_LABEL,
        host=variant.name,
        model=request.model,
        ids=ANY_ID,
        system=SystemPlace.ABOVE,
        user_first=not options.get(_PREVIOUS),
        signed_reasoning=True,
        returned_files=True,
        parts=INTERACTIONS_PARTS,
        keeps_orphans=bool(options.get(_PREVIOUS)),
    )


def _render_options(request: ChatRequest, variant: InteractionsVariant, rendered: Rendered) -> None:
    body, warnings = rendered.body, rendered.warnings
    options = {theirs: getattr(request, ours) for ours, theirs in _NAMES.items()}
    choice = _render_choice(request.tool_choice)
    config = present(**options, stop_sequences=list(request.stop) or None, tool_choice=choice)
    config |= _render_effort(request, warnings)
    tools = fit_tools(request.tools, INTERACTIONS_TOOLS, warnings)
    tier = tier_for(request.service_tier, _TIERS, variant.name, warnings)
    body |= present(
        generation_config=config,
        tools=[_render_tool(tool, warnings) for tool in tools] or None,
        response_format=_render_format(request.response_format, warnings),
        labels=dict(request.metadata),
        service_tier=tier,
    )
    name_unsupported(request, _UNKNOWN, _LABEL, warnings)


def _render_effort(request: ChatRequest, warnings: list[str]) -> dict[str, Any]:
    """The level of thinking; the thoughts come in words, then."""
    effort = request.reasoning_effort
    if effort is None:
        return {}
    word = fit_effort(effort, levels_of(request.model), request.model, warnings)
    return {} if word is None else {_LEVEL: word, _SUMMARIES: "auto"}


def _render_tool(tool: Tool | HostedTool, warnings: list[str]) -> dict[str, Any]:
    if isinstance(tool, HostedTool):
        return dict(tool.definition)
    if tool.strict is not None:
        told = "tools: Gemini has no strict; dropped. Its choice validated is for all tools at once"
        warn_once(warnings, told)
    said = present(description=tool.description)
    function = {"type": "function", "name": tool.name, **said, "parameters": tool.parameters}
    return {**function, **own_members(tool.provider_data, FORMAT)}


def _render_choice(choice: ToolChoice | None) -> Any:
    if choice is None:
        return None
    if choice.mode == "tool":
        return {"allowed_tools": {"mode": "any", "tools": [choice.name]}}
    return _CHOICES[choice.mode]


def _render_format(wanted: ResponseFormat | None, warnings: list[str]) -> dict[str, Any] | None:
    if wanted is None:
        return None
    if wanted.strict is False:
        warnings.append("response_format: Gemini follows a schema strictly; strict=False dropped")
    if wanted.description is not None:
        told = "response_format: Gemini has no description of it; dropped. Write it into the schema"
        warnings.append(told)
    schema = {} if wanted.schema is None else {"schema": wanted.schema}
    return {"type": "text", "mime_type": _JSON, **schema}


# --- in ---------------------------------------------------------------------------------------------------


def parse_request(body: Mapping[str, Any]) -> ChatRequest:
    """The request that a body means. Raises TypeError or ValueError that name the place.

    Members without a name here become `format_options`.
    """
    model = model_of({"model": body.get("model") or body.get(_AGENT)})
    rest = rest_of(body, _KNOWN)
    if rest.get("store") is False:
        del rest["store"]
    config = object_in(body, _CONFIG)
    options = {ours: config.pop(theirs, None) for ours, theirs in _NAMES.items()}
    request = build_request(
        parse_history(body.get("system_instruction"), body.get("input")),
        model,
        tools=[_parse_tool(*item) for item in items_at(body.get("tools") or (), "tools")],
        tool_choice=_parse_choice(config),
        response_format=_parse_format(body.get("response_format"), rest),
        stop=texts_at(config.pop("stop_sequences", None), "stop_sequences"),
        reasoning_effort=_parse_effort(config),
        service_tier=_parse_tier(body.get("service_tier")),
        metadata=object_in(body, "labels"),
        **options,
    )
    keep_rest(request, rest | present(generation_config=config), FORMAT)
    return request


def _parse_tier(tier: Any) -> Any:
    return "default" if tier == "standard" else tier


def _parse_tool(tool: Any, where: str) -> Tool | HostedTool:
    given = object_at(tool, where)
    ensure_json(given, where)
    if given.get("type") != "function":
        return HostedTool(given)
    name = required_text(given.get("name"), f"{where} needs a name")
    rest = {key: value for key, value in given.items() if key not in _OF_FUNCTION}
    data, description = keep(FORMAT, rest), given.get("description")
    if given.get("parameters") is None:
        return Tool(name, description=description, provider_data=data)
    schema = object_at(given["parameters"], f"{where}.parameters")
    return Tool(name, schema, description, provider_data=data)


_OF_FUNCTION = frozenset({"type", "name", "description", "parameters"})


def _parse_choice(config: dict[str, Any]) -> ToolChoice | None:
    """The choice; what it can't say stays in the config."""
    choice = config.get("tool_choice")
    modes: dict[Any, Any] = {theirs: ours for ours, theirs in _CHOICES.items()}
    read = _parse_allowed(choice) if isinstance(choice, Mapping) else None
    if isinstance(choice, str) and choice in modes:
        read = ToolChoice(modes[choice])
    if read is not None:
        del config["tool_choice"]
    return read


def _parse_allowed(choice: Mapping[str, Any]) -> ToolChoice | None:
    """One tool that must be called; None for anything else."""
    allowed = choice.get("allowed_tools")
    tools = listed(allowed.get("tools") if isinstance(allowed, Mapping) else None)
    name = tools[0] if len(tools) == 1 else None
    if choice != {"allowed_tools": {"mode": "any", "tools": [name]}}:
        return None
    require(isinstance(name, str), "tool_choice.allowed_tools.tools must be names", TypeError)
    return ToolChoice("tool", name)


def _parse_effort(config: dict[str, Any]) -> str | None:
    """The level of thinking, if its thoughts come in words; else both stay in the config."""
    level = config.get(_LEVEL)
    if not isinstance(level, str) or config.get(_SUMMARIES) != "auto":
        return None
    del config[_LEVEL], config[_SUMMARIES]
    return level


def _parse_format(given: Any, rest: dict[str, Any]) -> ResponseFormat | None:
    """The format; what it can't say, such as pictures, stays as it is."""
    formats = objects_in(listed(given))
    wanted = formats[0] if len(formats) == 1 else {}
    if wanted.get("mime_type") == _JSON and wanted.keys() <= {"type", "mime_type", "schema"}:
        schema = wanted.get("schema")
        return ResponseFormat(None if schema is None else object_at(schema, "response_format"))
    rest |= present(response_format=given)
    return None
