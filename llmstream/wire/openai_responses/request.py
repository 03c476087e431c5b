"""OpenAI Responses requests, rendered and parsed.

Format: https://platform.openai.com/docs/api-reference/responses/create. Rules and quirks:

- `input` is a flat list of items: an assistant turn is its messages, reasoning, calls and results one after the other,
  in the order of its parts, and neighbouring ones are read back as one Message. System messages stay items, in place.
- The whole history is sent, so `store` is false and `include` asks for encrypted reasoning, which alone can be sent
  back. OpenAI answers that `include` with 400 for models that don't reason (gpt-4o …), so it is left out for them.
- Reasoning, opaque items and provider-run calls go back only if this format made them, then verbatim. Results of a
  custom tool are `custom_tool_call_output`; any other kind of answer is a ToolResult with the item in `provider_data`.
- `stop`, `seed`, `top_k` and the penalties don't exist here, nor does a message's `name`: dropped with a warning.
- Dicts in `provider_options` are merged into those that the body has: `{"text": {"verbosity": "low"}}` keeps the
  response format. Fields we have no name for are parsed into `format_options`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from llmstream.arguments import build_request
from llmstream.cache_marks import BREAKPOINT, drop_surplus, openai_word
from llmstream.checks import as_text, ensure_json, items_at, require, require_mapping, sequence_of
from llmstream.messages import (
    ChatRequest,
    HostedTool,
    Message,
    ProviderPart,
    ResponseFormat,
    TextPart,
    Tool,
    ToolChoice,
)
from llmstream.provider_data import keep, own_members
from llmstream.wire.efforts import fit_effort, words_of
from llmstream.wire.fitting.history import fit_history
from llmstream.wire.fitting.rules import ID_OF_64, HistoryRules, SystemPlace
from llmstream.wire.fitting.tools import RESPONSES_TOOLS, fit_tools
from llmstream.wire.inbound import keep_rest, model_of, required_text, rest_of, text_at
from llmstream.wire.json_fields import present
from llmstream.wire.openai_responses.history import InputItems
from llmstream.wire.openai_responses.input_reader import parse_input
from llmstream.wire.openai_responses.items import FORMAT
from llmstream.wire.option_rules import OPENAI_SAMPLING, TOOLS, leave_out
from llmstream.wire.option_values import OPENAI_TIERS, name_unsupported, tier_for
from llmstream.wire.outbound import Rendered
from llmstream.wire.part_rules import RESPONSES_PARTS

_TIERS: Mapping[str, str] = {**OPENAI_TIERS, "ultrafast": "ultrafast"}


@dataclass(frozen=True, slots=True)
class ResponsesVariant:
    """How one server differs from OpenAI itself."""

    name: str = FORMAT
    """The key in `provider_options`."""
    refusals: bool = True
    """Whether a message may hold a refusal; else it is sent as text. llama.cpp refuses the whole request."""
    service_tiers: Mapping[str, str] | None = field(default_factory=lambda: _TIERS)
    """The server's word for each service tier; one that isn't listed is dropped, with a warning. None: every word goes
    as it is."""
    system: SystemPlace = SystemPlace.ANYWHERE
    """Where the server takes system messages."""
    cache_marks: bool = False
    """Whether it knows OpenAI's explicit cache breakpoints."""
    stateless: bool = True
    """Send `store: false` and ask for encrypted reasoning. False: the server knows neither, or is to store."""


_LABEL = "OpenAI Responses"
_PLAIN = ("temperature", "top_p", "parallel_tool_calls")
_UNKNOWN = ("stop", "seed", "top_k", "frequency_penalty", "presence_penalty")
_CONTINUED = ("previous_response_id", "conversation")
"""Options that name a conversation which the server has: it knows calls that this history lacks."""
_INCLUDE = "reasoning.encrypted_content"
_NO_REASONING = re.compile(r"(.*/)?(gpt-3|gpt-4|chatgpt-|gpt-5-chat)")
_TOOL_FIELDS = frozenset({"type", "name", "parameters", "description", "strict"})
_KNOWN = frozenset(
    {
        *_PLAIN,
        "model",
        "input",
        "instructions",
        "stream",
        "max_output_tokens",
        "metadata",
        "service_tier",
        "tools",
        "tool_choice",
    }
)


# --- out --------------------------------------------------------------------------------------------------


def render_request(
    request: ChatRequest, variant: ResponsesVariant = ResponsesVariant()
) -> Rendered:
    """The body to post. Constant work per message."""
    fitted = fit_history(request.messages, _history_rules(request, variant))
    history = InputItems(
        refusals=variant.refusals,
        cache=openai_word(request.model) if variant.cache_marks else None,
    )
    for message in fitted.messages:
        history.add(message)
    rendered = Rendered({"model": request.model, "input": history.items, "stream": True})
    rendered.warnings += fitted.warnings
    name_unsupported(request, _UNKNOWN, _LABEL, rendered.warnings)
    if history.named:
        rendered.warnings.append(f"name: not supported by {_LABEL}; dropped")
    drop_surplus(_parts_of(history.items), BREAKPOINT, rendered.warnings)
    rendered.pass_on(request.format_options, FORMAT)
    if variant.stateless:
        _render_statelessness(request.model, rendered.body)
    _render_plain(request, variant, rendered)
    _render_text(request, rendered)
    if request.reasoning_effort is not None:
        _render_effort(request.reasoning_effort, variant, rendered)
    own = request.provider_options.get(variant.name, {})
    rendered.merge(own)
    leave_out((*TOOLS, *OPENAI_SAMPLING), rendered, own)
    return rendered


def _render_statelessness(model: str, body: dict[str, Any]) -> None:
    """Nothing is kept there, so reasoning comes encrypted, to be sent back. The caller may have asked for more."""
    body.setdefault("store", False)
    if _NO_REASONING.match(model):
        return
    included = body.get("include") or []
    if _INCLUDE not in included:
        body["include"] = [*included, _INCLUDE]


def _render_plain(request: ChatRequest, variant: ResponsesVariant, rendered: Rendered) -> None:
    """The options that stand at the top of the body."""
    body = rendered.body
    body |= present(**{name: getattr(request, name) for name in _PLAIN})
    body |= present(max_output_tokens=request.max_tokens, metadata=request.metadata)
    tools = fit_tools(request.tools, RESPONSES_TOOLS, rendered.warnings)
    if tools:
        body["tools"] = [_render_tool(tool) for tool in tools]
    if request.tool_choice is not None:
        body["tool_choice"] = _render_tool_choice(request.tool_choice)
    tier = tier_for(request.service_tier, variant.service_tiers, variant.name, rendered.warnings)
    body |= present(service_tier=tier)


def _render_text(request: ChatRequest, rendered: Rendered) -> None:
    if request.response_format is not None:
        rendered.merge({"text": {"format": _render_response_format(request.response_format)}})
    if request.verbosity is not None:
        rendered.merge({"text": {"verbosity": request.verbosity}})


def _render_effort(effort: str, variant: ResponsesVariant, rendered: Rendered) -> None:
    model = str(rendered.body["model"])
    word = fit_effort(effort, words_of(model), f"{model} at {variant.name}", rendered.warnings)
    if word is not None:
        rendered.merge({"reasoning": {"effort": word}})


def _history_rules(request: ChatRequest, variant: ResponsesVariant) -> HistoryRules:
    passed = request.format_options.get(FORMAT, {})
    options = {**passed, **request.provider_options.get(variant.name, {})}
    return HistoryRules(
        format=FORMAT,
        label=_LABEL,
        host=variant.name,
        model=request.model,
        ids=ID_OF_64,
        system_files=True,
        system=variant.system,
        parts=RESPONSES_PARTS,
        signed_reasoning=True,
        reasoning_leads=True,
        reasoning_pairs=True,
        assistant_files=True,
        keeps_orphans=any(options.get(name) for name in _CONTINUED) or _refers(request.messages),
    )


def _refers(messages: list[Message]) -> bool:
    """Whether a history names items that the server has; calls may be among them."""
    return any(
        type(part) is ProviderPart and part.data.get("type") == "item_reference"
        for message in messages
        for part in message.parts
    )


def _parts_of(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The parts that may have a cache mark."""
    contents = [item.get("content", item.get("output")) for item in items]
    return [part for content in contents if isinstance(content, list) for part in content]


def _render_tool(tool: Tool | HostedTool) -> dict[str, Any]:
    if isinstance(tool, HostedTool):
        return tool.definition
    function: dict[str, Any] = {
        "type": "function",
        "name": tool.name,
        "parameters": tool.parameters,
        "strict": bool(tool.strict),  # where nothing is said, this API makes it true
    }
    function |= present(description=tool.description)
    return function | own_members(tool.provider_data, FORMAT)


def _render_tool_choice(choice: ToolChoice) -> Any:
    if choice.mode == "tool":
        return {"type": "function", "name": choice.name}
    return choice.mode


def _render_response_format(wanted: ResponseFormat) -> dict[str, Any]:
    if wanted.schema is None:
        return {"type": "json_object"}
    schema: dict[str, Any] = {"type": "json_schema", "name": wanted.name, "schema": wanted.schema}
    schema |= present(strict=wanted.strict, description=wanted.description)
    return schema


# --- in ---------------------------------------------------------------------------------------------------


def parse_request(body: Mapping[str, Any]) -> ChatRequest:
    """The request that a body means. Raises TypeError or ValueError that name the place."""
    model = model_of(body)
    messages = parse_input(body.get("input", []))
    instructions = body.get("instructions")
    if instructions is not None:
        said = TextPart(text_at(instructions, "instructions"))
        messages.insert(0, Message("system", [said]))
    rest = rest_of(body, _KNOWN)
    if rest.get("store") is False:
        del rest["store"]
    include = sequence_of(rest.pop("include", ()), "include")
    included = [each for each in include if each != _INCLUDE]
    if included:
        rest["include"] = included
    request = build_request(
        messages,
        model,
        tools=[_parse_tool(*item) for item in items_at(body.get("tools") or (), "tools")],
        tool_choice=_parse_tool_choice(body.get("tool_choice"), rest),
        parallel_tool_calls=body.get("parallel_tool_calls"),
        response_format=_parse_response_format(rest),
        temperature=body.get("temperature"),
        top_p=body.get("top_p"),
        max_tokens=body.get("max_output_tokens"),
        reasoning_effort=_take(rest, "reasoning", "effort"),
        verbosity=_take(rest, "text", "verbosity"),
        service_tier=body.get("service_tier"),
        metadata=_mapping(body.get("metadata") or {}, "metadata"),
    )
    keep_rest(request, rest, FORMAT)
    return request


def _take(rest: dict[str, Any], name: str, key: str) -> Any:
    """Move one field of a dict out of the unknown ones; the others of that dict stay."""
    inner = _mapping(rest.pop(name, {}), name)
    value = inner.pop(key, None)
    rest |= present(**{name: inner})
    return value


def _mapping(value: Any, where: str) -> dict[str, Any]:
    return dict(require_mapping(value, where))


def _parse_tool(tool: Any, where: str) -> Tool | HostedTool:
    definition = _mapping(tool, where)
    ensure_json(definition, where)
    if definition.get("type") != "function":
        return HostedTool(definition)
    name = required_text(definition.get("name"), f"{where}: a function tool needs a name")
    parameters = definition.get("parameters")
    schema = (
        Tool("").parameters if parameters is None else _mapping(parameters, f"{where}.parameters")
    )
    rest = {key: value for key, value in definition.items() if key not in _TOOL_FIELDS}
    parsed = Tool(name, schema, definition.get("description"), definition.get("strict"))
    parsed.provider_data = keep(FORMAT, rest)
    return parsed


def _parse_tool_choice(value: Any, rest: dict[str, Any]) -> ToolChoice | None:
    """`auto`, `none`, `required` or a function; choices of other kinds stay this format's own."""
    if value is None:
        return None
    if value in ("auto", "none", "required"):
        return ToolChoice(value)
    choice = _mapping(value, "tool_choice")
    if choice.keys() == {"type", "name"} and choice["type"] == "function":
        return ToolChoice("tool", choice["name"])
    rest["tool_choice"] = choice
    return None


def _parse_response_format(rest: dict[str, Any]) -> ResponseFormat | None:
    value = _take(rest, "text", "format")
    if value is None:
        return None
    wanted = _mapping(value, "text.format")
    kind = wanted.get("type")
    if kind == "text":
        return None
    if kind == "json_object":
        return ResponseFormat()
    has_schema = kind == "json_schema" and isinstance(wanted.get("schema"), Mapping)
    require(
        has_schema,
        "text.format must be of type text or json_object, or of type json_schema with a schema",
    )
    ensure_json(wanted["schema"], "text.format.schema")
    name, description = wanted.get("name") or "response", as_text(wanted.get("description"))
    return ResponseFormat(wanted["schema"], name, wanted.get("strict"), description)
