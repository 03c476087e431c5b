"""Requests to Ollama's own API, rendered and parsed.

Format: https://github.com/ollama/ollama/blob/main/docs/api.md. What the format can't carry: a forced call, labels,
tiers, and where a system message is another one than the application's. What tunes the sampler stands in `options`;
`keep_alive`, `options.num_ctx` and their like come from `provider_options`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llmstream.arguments import build_request
from llmstream.messages import ChatRequest, HostedTool, ResponseFormat, Tool
from llmstream.options import LEFT_TO_HOST
from llmstream.provider_data import own_members
from llmstream.wire.efforts import COMMON, fit_effort, words_of
from llmstream.wire.fitting.history import fit_history
from llmstream.wire.fitting.rules import ANY_ID, HistoryRules
from llmstream.wire.fitting.tools import ToolRules, fit_tools
from llmstream.wire.inbound import keep_rest, model_of, object_in, rest_of
from llmstream.wire.json_fields import present
from llmstream.wire.ollama_native.decode import FORMAT
from llmstream.wire.ollama_native.history import (
    OllamaMessages,
    parse_history,
)
from llmstream.wire.option_values import name_unsupported
from llmstream.wire.outbound import Rendered
from llmstream.wire.part_rules import OLLAMA_PARTS

OLLAMA_TOOLS = ToolRules(format=FORMAT, label="Ollama's tools", takes_unknown=False)
"""Functions alone: ollama.Tool."""
_OPTIONS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
    "seed": "seed",
    "max_tokens": "num_predict",
}
"""Options that stand in `options`, and their names there."""
_NOT_HERE = ("parallel_tool_calls", "verbosity", "service_tier", "metadata")
_KNOWN = frozenset(
    {"model", "messages", "prompt", "system", "images", "tools", "format", "think", "stream"}
)


@dataclass(frozen=True, slots=True)
class OllamaVariant:
    """How one host of the format differs."""

    name: str = "ollama"
    """The key in `provider_options`."""


# --- out --------------------------------------------------------------------------------------------------


def render_request(request: ChatRequest, variant: OllamaVariant = OllamaVariant()) -> Rendered:
    """The body to post. Constant work per message."""
    messages: list[dict[str, Any]] = []
    rendered = Rendered({"model": request.model, "messages": messages, "stream": True})
    rendered.pass_on(request.format_options, FORMAT)
    _render_options(request, rendered)
    _render_tools(request, rendered)
    _render_effort(request, rendered)
    if request.response_format is not None:
        rendered.body["format"] = _render_format(request.response_format)
    name_unsupported(request, _NOT_HERE, "Ollama", rendered.warnings)
    rendered.merge(request.provider_options.get(variant.name, {}))
    fitted = fit_history(request.messages, _rules(request, variant))
    history = OllamaMessages(fitted.warnings)
    for message in fitted.messages:
        history.add(message)
    messages += history.messages
    rendered.warnings += fitted.warnings
    return rendered


def _rules(request: ChatRequest, variant: OllamaVariant) -> HistoryRules:
    return HistoryRules(
        format=FORMAT,
        label="Ollama's messages",
        host=variant.name,
        model=request.model,
        ids=ANY_ID,
        system_files=True,
        unsigned_reasoning=True,
        own_reasoning=True,
        parts=OLLAMA_PARTS,
        freeform_calls=False,
        hosted_calls=False,
        call_data=False,
    )


def _render_options(request: ChatRequest, rendered: Rendered) -> None:
    given = {name: getattr(request, ours) for ours, name in _OPTIONS.items()}
    options = present(**given, stop=list(request.stop) or None)
    if options:
        rendered.merge({"options": options})


def _render_tools(request: ChatRequest, rendered: Rendered) -> None:
    choice = request.tool_choice
    if choice is not None and choice.mode in ("required", "tool"):
        told = "tool_choice: Ollama lets nobody force a call; left to the model"
        rendered.warnings.append(told)
    fitted = fit_tools(request.tools, OLLAMA_TOOLS, rendered.warnings)
    if not fitted or (choice is not None and choice.mode == "none"):
        return  # no tools: the one way to say that none may be called
    rendered.body["tools"] = [_render_tool(tool) for tool in fitted]
    if any(isinstance(tool, Tool) and tool.strict for tool in fitted):
        told = "strict: Ollama knows no strict tools; the schema is advice there"
        rendered.warnings.append(told)


def _render_tool(tool: Tool | HostedTool) -> dict[str, Any]:
    if isinstance(tool, HostedTool):
        return tool.definition
    function = {"name": tool.name, **present(description=tool.description)}
    function |= {"parameters": tool.parameters, **own_members(tool.provider_data, FORMAT)}
    return {"type": "function", "function": function}


def _render_effort(request: ChatRequest, rendered: Rendered) -> None:
    """`think`: whether, or how long. The levels are gpt-oss's; other models take any of them for "yes"."""
    effort = request.reasoning_effort
    if effort in (None, LEFT_TO_HOST):
        return
    known = words_of(request.model) or COMMON
    word = fit_effort(effort, known, f"{request.model} at Ollama", rendered.warnings)
    if word is not None:
        rendered.body["think"] = False if word == "none" else word


def _render_format(wanted: ResponseFormat) -> Any:
    return "json" if wanted.schema is None else wanted.schema


# --- in ---------------------------------------------------------------------------------------------------


def parse_request(body: Mapping[str, Any]) -> ChatRequest:
    """The request that a body of `/api/chat` or `/api/generate` means.

    Raises TypeError or ValueError that name the place. Members without a name here become `format_options`.
    """
    given = object_in(body, "options")
    names = {*_OPTIONS.values(), "stop"}
    further = rest_of(given, names)
    request = build_request(
        parse_history(body),
        model_of(body),
        tools=body.get("tools"),
        response_format=_parse_format(body.get("format")),
        reasoning_effort=_parse_think(body.get("think")),
        stop=given.get("stop") or None,
        **{ours: _sampled(ours, given.get(name)) for ours, name in _OPTIONS.items()},
    )
    rest = rest_of(body, {*_KNOWN, "options"})
    keep_rest(request, {**rest, **present(options=further)}, FORMAT)
    return request


def _sampled(name: str, value: Any) -> Any:
    """One option. Ollama's word for an answer of any length is a number below 1."""
    is_endless = name == "max_tokens" and type(value) is int and value < 1
    return None if is_endless else value


def _parse_think(think: Any) -> Any:
    """`true` leaves it to the model how long it thinks."""
    if isinstance(think, bool):
        return "medium" if think else "none"
    return think or None


def _parse_format(format: Any) -> Any:
    if isinstance(format, Mapping):
        return ResponseFormat(dict(format))
    return format or None
