"""Anthropic Messages requests, rendered and parsed.

Format: https://docs.anthropic.com/en/api/messages. Rules:

- `system` stands outside the conversation. Claude from Opus 4.8 on takes a system message amid the turns, too; for
  other models it is moved, with a warning.
- User and assistant speak in turns, and neighbours are joined. Tool results are blocks of a user message.
- `max_tokens` is required. Empty and blank text is refused, so it is left out.
- Reasoning and blocks of the provider's own go back only if this format made them, then verbatim.
- `temperature`, `top_p` and `top_k` are left out, with a warning, where the model or the API version refuses them
  (`llmstream.wire.option_rules`). `provider_options` go out as they are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llmstream.arguments import build_request
from llmstream.cache_marks import CONTROL, drop_surplus, further_members, mark, parse_cache
from llmstream.checks import as_object, ensure_json, items_at, require
from llmstream.messages import ChatRequest, HostedTool, ResponseFormat, Tool, ToolChoice
from llmstream.provider_data import keep, own_members
from llmstream.wire.anthropic_messages.blocks import FORMAT
from llmstream.wire.anthropic_messages.history import RenderedTurns, parse_history
from llmstream.wire.anthropic_messages.versions import takes_system_amid_turns
from llmstream.wire.claude_thoughts import fit_thinking, parse_reasoning, render_reasoning
from llmstream.wire.fitting.history import fit_history
from llmstream.wire.fitting.rules import ANTHROPIC_ID, Blank, HistoryRules, SystemPlace
from llmstream.wire.fitting.tools import ANTHROPIC_TOOLS, fit_tools
from llmstream.wire.inbound import keep_rest, model_of, object_in, rest_of, texts_at
from llmstream.wire.json_fields import as_list, present
from llmstream.wire.option_rules import (
    CLAUDE_SAMPLING,
    MESSAGES_TOOLS,
    SAMPLING,
    TOOLS,
    generation,
    leave_out,
)
from llmstream.wire.option_values import name_unsupported, tier_for
from llmstream.wire.outbound import Rendered
from llmstream.wire.part_rules import MESSAGES_PARTS, PartRules
from llmstream.wire.reasoning import is_off, owed_to


@dataclass(frozen=True, slots=True)
class MessagesVariant:
    """How one server differs from Anthropic itself."""

    name: str = "anthropic"
    """The key in `provider_options`."""
    max_tokens: int = 16_384
    """The output limit where the request has none: the API requires one, and all but the oldest models allow this."""
    version: str | None = None
    """The caller's own `anthropic-version`; None: the one that suits each body goes with it."""
    parts: PartRules = MESSAGES_PARTS
    """The images and files that the server takes."""
    unsigned_thinking: bool = False
    """Whether reasoning that nobody signed goes back: DeepSeek and Kimi want it so, Anthropic refuses it. Then those
    that owe it (`llmstream.wire.reasoning`) have a blank one where there is none."""


_CLAUDE = re.compile("claude")
"""Its signatures hold on every cloud: platform.claude.com/docs/en/build-with-claude/extended-thinking."""
_FIRST_WITHOUT_PREFILL = (4, 6)
_TIERS = {"auto": "auto", "default": "standard_only", "standard_only": "standard_only"}
_UNKNOWN = ("seed", "frequency_penalty", "presence_penalty", "verbosity")
_TOOL_FIELDS = frozenset({"type", "name", "input_schema", "description", "strict", "cache_control"})
_KNOWN = frozenset(
    {
        "messages",
        "model",
        "system",
        "stream",
        "max_tokens",
        "stop_sequences",
        "temperature",
        "top_p",
        "top_k",
        "service_tier",
        "tools",
        "tool_choice",
        "metadata",
        "thinking",
        "output_config",
    }
)

_MESSAGE = ("role", "content")


# --- out --------------------------------------------------------------------------------------------------


def render_request(request: ChatRequest, variant: MessagesVariant = MessagesVariant()) -> Rendered:
    """The body to post. Constant work per message."""
    fitted = fit_history(request.messages, _history_rules(request, variant))
    history = RenderedTurns(fitted.warnings)
    for message in fitted.messages:
        history.add(message)
    limit = request.max_tokens
    body: dict[str, Any] = {
        "model": request.model,
        "max_tokens": _default_limit(request.model, variant) if limit is None else limit,
        "messages": history.turns,
        "stream": True,
    }
    if history.system is not None:
        body["system"] = history.system
    rendered = Rendered(body, fitted.warnings)
    rendered.pass_on(request.format_options, FORMAT)
    _render_options(request, variant, rendered)
    drop_surplus([*body.get("tools", ()), *history.blocks], CONTROL, rendered.warnings)
    own = request.provider_options.get(variant.name, {})
    rendered.merge(own)
    if "thinking" not in own:
        fit_thinking(rendered)
    _render_sampling(request, rendered)
    leave_out((*TOOLS, *MESSAGES_TOOLS, *CLAUDE_SAMPLING), rendered, own, version=variant.version)
    return rendered


def _render_options(request: ChatRequest, variant: MessagesVariant, rendered: Rendered) -> None:
    body, warnings = rendered.body, rendered.warnings
    if request.stop:
        body["stop_sequences"] = list(request.stop)
    tools = fit_tools(request.tools, ANTHROPIC_TOOLS, warnings)
    if tools:
        body["tools"] = [_render_tool(tool) for tool in tools]
    _render_tool_choice(request, rendered)
    _render_response_format(request.response_format, rendered)
    if request.reasoning_effort is not None:
        render_reasoning(request.reasoning_effort, rendered)
    _render_metadata(request.metadata, rendered)
    name_unsupported(request, _UNKNOWN, "Anthropic Messages", warnings)
    tier = tier_for(request.service_tier, _TIERS, variant.name, warnings)
    body |= present(service_tier=tier)


def _history_rules(request: ChatRequest, variant: MessagesVariant) -> HistoryRules:
    unsigned = variant.unsigned_thinking and not _is_off(request, variant)
    amid = takes_system_amid_turns(request.model)
    return HistoryRules(
        format=FORMAT,
        label="Anthropic Messages",
        host=variant.name,
        model=request.model,
        ids=ANTHROPIC_ID,
        system=SystemPlace.AFTER_USER if amid else SystemPlace.ABOVE,
        user_first=True,
        blank=Blank.SPACE,
        unsigned_reasoning=unsigned,
        signed_reasoning=True,
        shared_signatures=_CLAUDE,
        owed=owed_to(request.model) if unsigned else None,
        reasoning_leads=True,
        parts=variant.parts,
        trims_last_text=_goes_on(request.model),
    )


def _is_off(request: ChatRequest, variant: MessagesVariant) -> bool:
    """Whether the body that comes of this tells the model not to reason."""
    passed = request.format_options.get(FORMAT, {})
    options = {**passed, **request.provider_options.get(variant.name, {})}
    return is_off(options) if "thinking" in options else request.reasoning_effort == "none"


def takes_prefill(request: ChatRequest) -> bool:
    """Whether the model goes on from an assistant message at the end: Claude before 4.6 does, unless it reasons."""
    if "thinking" in request.format_options.get(FORMAT, {}):
        return False
    return _goes_on(request.model) and request.reasoning_effort in (None, "none")


def _goes_on(model: str) -> bool:
    """Whether it takes an answer that it is to go on from."""
    return generation(model.lower()) < _FIRST_WITHOUT_PREFILL


def _default_limit(model: str, variant: MessagesVariant) -> int:
    born = generation(model.lower())
    if born < (3, 5):
        return min(4096, variant.max_tokens)
    return min(8192, variant.max_tokens) if born == (3, 5) else variant.max_tokens


def _render_tool(tool: Tool | HostedTool) -> dict[str, Any]:
    if isinstance(tool, HostedTool):
        return dict(tool.definition)
    rendered: dict[str, Any] = {"name": tool.name, "input_schema": tool.parameters}
    rendered |= present(description=tool.description, strict=tool.strict)
    rendered |= own_members(tool.provider_data, FORMAT)
    return mark(rendered, tool.cache, CONTROL)


def _render_tool_choice(request: ChatRequest, rendered: Rendered) -> None:
    """Both options in one field, which has a meaning only beside tools."""
    choice, parallel = request.tool_choice, request.parallel_tool_calls
    if choice is None and parallel is None:
        return
    if choice is None and not request.tools:
        rendered.warnings.append("parallel_tool_calls: has no meaning without tools; dropped")
        return
    mode = "auto" if choice is None else {"required": "any"}.get(choice.mode, choice.mode)
    body: dict[str, Any] = {"type": mode}
    if choice is not None and choice.name is not None:
        body["name"] = choice.name
    if parallel is not None and mode != "none":
        body["disable_parallel_tool_use"] = not parallel
    elif parallel is not None:
        rendered.warnings.append(
            "parallel_tool_calls: has no meaning when no tool may be called; dropped"
        )
    rendered.body["tool_choice"] = body


def _render_response_format(wanted: ResponseFormat | None, rendered: Rendered) -> None:
    if wanted is None:
        return
    if wanted.schema is None:
        rendered.warnings.append(
            "response_format: Anthropic Messages take JSON only with a schema; dropped"
        )
        return
    if wanted.strict is False:
        rendered.warnings.append(
            "response_format: Anthropic Messages follow a schema strictly; strict=False dropped"
        )
    if wanted.description is not None:
        rendered.warnings.append(
            "response_format: Anthropic Messages have no description of it; dropped. "
            "Write it into the schema"
        )
    format = {"type": "json_schema", "schema": wanted.schema}
    rendered.merge({"output_config": {"format": format}})


def _render_sampling(request: ChatRequest, rendered: Rendered) -> None:
    """After the caller's `provider_options`, which may hold the same options."""
    for name in SAMPLING:
        value = getattr(request, name)
        if value is None or name in rendered.body:
            continue
        if name == "top_k" and value < 1:
            rendered.warnings.append("top_k: Anthropic Messages take 1 or more; dropped")
        else:
            rendered.body[name] = value


def _render_metadata(metadata: dict[str, str], rendered: Rendered) -> None:
    if "user_id" in metadata:
        rendered.body["metadata"] = {"user_id": metadata["user_id"]}
    others = sorted(metadata.keys() - {"user_id"})
    if others:
        rendered.warnings.append(
            f"metadata: Anthropic Messages take only user_id; dropped: {', '.join(others)}"
        )


# --- in ---------------------------------------------------------------------------------------------------


def parse_request(body: Mapping[str, Any]) -> ChatRequest:
    """The request that a body means. Raises TypeError or ValueError that name the place.

    Members without a name here become `format_options`.
    """
    model = model_of(body)
    _check_message_keys(body.get("messages"))
    rest = rest_of(body, _KNOWN)
    choice = object_in(body, "tool_choice")
    parallel = choice.get("disable_parallel_tool_use")
    config = object_in(body, "output_config")
    effort = parse_reasoning(body.get("thinking"), config, rest)
    response_format = _parse_response_format(config.pop("format", None))
    if config:
        rest["output_config"] = config
    request = build_request(
        parse_history(body.get("system"), body.get("messages")),
        model,
        tools=[_parse_tool(*item) for item in items_at(body.get("tools") or (), "tools")],
        tool_choice=_parse_tool_choice(choice),
        parallel_tool_calls=None if parallel is None else not parallel,
        response_format=response_format,
        temperature=body.get("temperature"),
        top_p=body.get("top_p"),
        top_k=body.get("top_k"),
        max_tokens=body.get("max_tokens"),
        stop=texts_at(body.get("stop_sequences"), "stop_sequences"),
        reasoning_effort=effort,
        service_tier=_parse_service_tier(body.get("service_tier")),
        metadata=rest_of(object_in(body, "metadata"), ()),
    )
    keep_rest(request, rest, FORMAT)
    return request


def _check_message_keys(messages: Any) -> None:
    """Raise ValueError for a key that no message has here; the API refuses it, too."""
    for index, message in enumerate(as_list(messages)):
        unknown = rest_of(as_object(message), _MESSAGE)
        first = next(iter(unknown), None)
        require(first is None, f"messages[{index}] has no key {first!r}; known: role, content")


def _parse_service_tier(tier: Any) -> Any:
    return "default" if tier == _TIERS["default"] else tier


def _parse_tool(tool: Any, where: str) -> Tool | HostedTool:
    require(isinstance(tool, Mapping), f"{where} must be an object", TypeError)
    if (tool.get("type") or "custom") != "custom":
        ensure_json(tool, where)
        return HostedTool(dict(tool))
    is_whole = isinstance(tool.get("name"), str) and isinstance(tool.get("input_schema"), dict)
    require(is_whole, f"{where} needs a name and an input_schema")
    rest = {name: value for name, value in tool.items() if name not in _TOOL_FIELDS}
    rest |= further_members(tool, CONTROL)
    ensure_json(rest, where)
    return Tool(
        tool["name"],
        tool["input_schema"],
        tool.get("description"),
        tool.get("strict"),
        parse_cache(tool, where),
        keep(FORMAT, rest),
    )


def _parse_tool_choice(choice: Mapping[str, Any]) -> ToolChoice | None:
    mode = choice.get("type")
    if mode is None:
        return None
    if mode == "any":
        return ToolChoice("required")
    is_known = mode in ("auto", "none", "tool")
    require(is_known, f"tool_choice.type must be auto, any, tool or none, not {mode!r}")
    name = choice.get("name")
    require(mode != "tool" or isinstance(name, str), "tool_choice.name is missing")
    return ToolChoice(mode, name)


def _parse_response_format(format: Any) -> ResponseFormat | None:
    if format is None:
        return None
    wanted = as_object(format)
    is_schema = wanted.get("type") == "json_schema" and isinstance(wanted.get("schema"), dict)
    require(is_schema, "output_config.format must be {'type': 'json_schema', 'schema': {…}}")
    return ResponseFormat(wanted["schema"])
