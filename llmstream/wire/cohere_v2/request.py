"""Requests to Cohere's `/v2/chat`, rendered and parsed.

Format: https://docs.cohere.com/reference/chat. Documents of text go as `documents`, which Cohere cites. What the format
can't carry: a tool that must be called by its name, labels, tiers. `citation_options`, `safety_mode` and their like
come from `provider_options`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llmstream.arguments import build_request
from llmstream.checks import as_object
from llmstream.messages import ChatRequest, HostedTool, ResponseFormat, Tool, ToolChoice
from llmstream.options import LEFT_TO_HOST
from llmstream.provider_data import own_members
from llmstream.wire.cohere_v2.citations import FORMAT
from llmstream.wire.cohere_v2.history import CohereMessages, parse_history
from llmstream.wire.fitting.history import fit_history
from llmstream.wire.fitting.rules import ANY_ID, HistoryRules
from llmstream.wire.fitting.tools import ToolRules, fit_tools
from llmstream.wire.inbound import keep_rest, model_of, rest_of
from llmstream.wire.json_fields import present
from llmstream.wire.option_rules import TOOLS, leave_out
from llmstream.wire.option_values import fit, name_unsupported
from llmstream.wire.outbound import Rendered
from llmstream.wire.part_rules import COHERE_PARTS

COHERE_TOOLS = ToolRules(format=FORMAT, label="Cohere's tools", takes_unknown=False)
"""Functions alone: cohere.ToolV2."""
_OPTIONS = {
    "temperature": "temperature",
    "top_p": "p",
    "top_k": "k",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
    "max_tokens": "max_tokens",
    "seed": "seed",
}
"""Options that are plain values, and their names here."""
_BOUNDS: Mapping[str, tuple[float, float]] = {
    "frequency_penalty": (0, 1),
    "presence_penalty": (0, 1),
    "top_p": (0.01, 0.99),
    "top_k": (0, 500),
}
"""docs.cohere.com/reference/chat."""
_NOT_HERE = ("parallel_tool_calls", "verbosity", "service_tier", "metadata")
_CHOICES = {"none": "NONE", "required": "REQUIRED", "tool": "REQUIRED"}
_KNOWN = frozenset(
    {
        *_OPTIONS.values(),
        *("messages", "model", "response_format", "stop_sequences", "stream", "strict_tools"),
        *("thinking", "tool_choice", "tools"),
    }
)


@dataclass(frozen=True, slots=True)
class CohereVariant:
    """How one host of the format differs."""

    name: str = "cohere"
    """The key in `provider_options`."""


# --- out --------------------------------------------------------------------------------------------------


def render_request(request: ChatRequest, variant: CohereVariant = CohereVariant()) -> Rendered:
    """The body to post. Constant work per message."""
    messages: list[dict[str, Any]] = []
    rendered = Rendered({"model": request.model, "messages": messages, "stream": True})
    rendered.pass_on(request.format_options, FORMAT)
    _render_options(request, variant, rendered)
    _render_tools(request, rendered)
    _render_effort(request, variant, rendered)
    if request.response_format is not None:
        rendered.body["response_format"] = _render_format(request.response_format)
    name_unsupported(request, _NOT_HERE, "Cohere", rendered.warnings)
    own = request.provider_options.get(variant.name, {})
    rendered.merge(own)
    leave_out(TOOLS, rendered, own)
    _render_messages(request, variant, messages, rendered)
    return rendered


def _render_options(request: ChatRequest, variant: CohereVariant, rendered: Rendered) -> None:
    for ours, name in _OPTIONS.items():
        value = getattr(request, ours)
        if value is not None:
            rendered.body[name] = fit(ours, value, _BOUNDS, variant.name, rendered.warnings)
    if request.stop:
        rendered.body["stop_sequences"] = list(request.stop)


def _render_tools(request: ChatRequest, rendered: Rendered) -> None:
    fitted = fit_tools(request.tools, COHERE_TOOLS, rendered.warnings)
    if fitted:
        rendered.body["tools"] = [_render_tool(tool) for tool in fitted]
    stricts = {tool.strict is True for tool in fitted if isinstance(tool, Tool)}
    if True in stricts:
        rendered.body["strict_tools"] = True
        if len(stricts) > 1:
            rendered.warnings.append("strict: Cohere knows it for all tools; sent so")
    choice = request.tool_choice
    if choice is None or choice.mode == "auto":
        return
    if choice.mode == "tool":
        told = "tool_choice: Cohere lets nobody name the tool; some call is required"
        rendered.warnings.append(told)
    rendered.body["tool_choice"] = _CHOICES[choice.mode]


def _render_tool(tool: Tool | HostedTool) -> dict[str, Any]:
    if isinstance(tool, HostedTool):
        return tool.definition
    function = {"name": tool.name, **present(description=tool.description)}
    function |= {"parameters": tool.parameters, **own_members(tool.provider_data, FORMAT)}
    return {"type": "function", "function": function}


def _render_effort(request: ChatRequest, variant: CohereVariant, rendered: Rendered) -> None:
    """Whether the model thinks. How long is a budget of tokens, which comes from `provider_options`."""
    effort = request.reasoning_effort
    if effort in (None, LEFT_TO_HOST):
        return
    rendered.body["thinking"] = {"type": "disabled" if effort == "none" else "enabled"}
    if effort != "none":
        told = f"only switches reasoning on or off; {effort!r} is on"
        rendered.warnings.append(f"reasoning_effort: {variant.name} {told}")


def _render_format(wanted: ResponseFormat) -> dict[str, Any]:
    return {"type": "json_object", **present(json_schema=wanted.schema)}


def _render_messages(
    request: ChatRequest,
    variant: CohereVariant,
    messages: list[dict[str, Any]],
    rendered: Rendered,
) -> None:
    thinks = "reasoning" in request.model.lower()
    rules = HistoryRules(
        format=FORMAT,
        label="Cohere's messages",
        host=variant.name,
        model=request.model,
        ids=ANY_ID,
        unsigned_reasoning=True,
        own_reasoning=True,
        parts=COHERE_PARTS,
        freeform_calls=False,
        hosted_calls=False,
        call_data=False,
    )
    fitted = fit_history(request.messages, rules)
    history = CohereMessages(fitted.warnings, thinks=thinks)
    for message in fitted.messages:
        history.add(message)
    messages += history.messages
    rendered.warnings += fitted.warnings
    if history.documents:
        given = rendered.body.get("documents") or []
        rendered.body["documents"] = [*given, *history.documents]


# --- in ---------------------------------------------------------------------------------------------------


def parse_request(body: Mapping[str, Any]) -> ChatRequest:
    """The request that a body means. Raises TypeError or ValueError that name the place.

    Members without a name here become `format_options`, documents among them.
    """
    model = model_of(body)
    thinking = as_object(body.get("thinking"))
    request = build_request(
        parse_history(body.get("messages")),
        model,
        tools=_parse_tools(body),
        tool_choice=_parse_choice(body.get("tool_choice")),
        response_format=_parse_format(body.get("response_format")),
        reasoning_effort=_parse_thinking(thinking),
        stop=body.get("stop_sequences") or None,
        **{ours: body.get(name) for ours, name in _OPTIONS.items()},
    )
    rest = rest_of(body, _KNOWN)
    if "token_budget" in thinking:
        rest["thinking"] = dict(thinking)
    keep_rest(request, rest, FORMAT)
    return request


def _parse_tools(body: Mapping[str, Any]) -> Any:
    """The tools, each strict if the body says so of all."""
    tools = body.get("tools")
    if body.get("strict_tools") is not True or not isinstance(tools, list):
        return tools
    return [
        {**each, "function": {**as_object(each.get("function")), "strict": True}}
        for each in map(as_object, tools)
    ]


def _parse_choice(choice: Any) -> ToolChoice | None:
    if choice is None:
        return None
    for ours, word in _CHOICES.items():
        if choice == word:
            return ToolChoice(ours)  # type: ignore[arg-type]  # these are its modes
    raise ValueError(f"tool_choice must be 'REQUIRED' or 'NONE', not {choice!r}")


def _parse_thinking(thinking: Mapping[str, Any]) -> str | None:
    """Without a budget, thinking is as long as the model likes."""
    return {"enabled": "medium", "disabled": "none"}.get(str(thinking.get("type")))


def _parse_format(format: Any) -> Any:
    if format is None:
        return None
    given = as_object(format)
    schema = given.get("json_schema", given.get("schema"))
    if given.get("type") == "json_object" and isinstance(schema, Mapping):
        return ResponseFormat(dict(schema))
    return format
