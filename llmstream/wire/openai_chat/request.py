"""OpenAI chat completions requests, rendered and parsed.

Format: https://platform.openai.com/docs/api-reference/chat/create. What the format can't carry: results of tools the
provider ran, whether a tool's result is an error (its text says so), and a file by URL (warned). The reasoning of
earlier turns goes back to the hosts that want it (`llmstream.wire.reasoning`). OpenAI and others refuse it, as they do
any unknown key.

It is a long file because both directions stand side by side, option for option.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from operator import attrgetter
from typing import Any, Literal

from llmstream.arguments import build_request
from llmstream.cache_marks import BREAKPOINT, drop_surplus, openai_word
from llmstream.message_reader import FORMAT
from llmstream.messages import (
    ChatRequest,
    HostedTool,
    ResponseFormat,
    Tool,
    ToolChoice,
)
from llmstream.options import LEFT_TO_HOST
from llmstream.provider_data import own_members
from llmstream.wire.efforts import Words, fit_effort, words_of
from llmstream.wire.fitting.history import fit_history
from llmstream.wire.fitting.rules import ID_OF_40, HistoryRules, IdRule, SystemPlace
from llmstream.wire.fitting.tools import CHAT_TOOLS, ToolRules, fit_tools
from llmstream.wire.inbound import keep_rest, model_of, object_at, rest_of
from llmstream.wire.json_fields import present
from llmstream.wire.openai_chat.history import ChatMessages, ChatWords
from llmstream.wire.openai_chat.media import ChatParts
from llmstream.wire.option_rules import OPENAI_CHAT, TOOLS, OptionRule, fit_tool_effort, leave_out
from llmstream.wire.option_values import OPENAI_TIERS, fit, tier_for
from llmstream.wire.outbound import Rendered
from llmstream.wire.part_rules import CHAT_PARTS, PartRules
from llmstream.wire.reasoning import Owed, is_off, owed_to


@dataclass(frozen=True, slots=True)
class ChatVariant:
    """How one host of the compatible family differs from OpenAI itself."""

    name: str = "openai"
    """The key in `provider_options`."""
    max_tokens: str = "max_completion_tokens"
    """The field for the output limit; most hosts but OpenAI know only `max_tokens`."""
    stream_usage: bool = True
    """Whether `stream_options.include_usage` is understood."""
    developer_role: bool = True
    """Whether the role `developer` is understood; else it is sent as `system`."""
    reasoning: str | None = "reasoning_effort"
    """How effort is asked for: `reasoning_effort`; `reasoning`, an object with `effort`; `thinking`, an object with
    `type`; `enable_thinking`, a boolean; None: no such option."""
    reasoning_off: Mapping[str, Any] | None = None
    """What the body says in place of the effort "none", where it has other words for that."""
    reasoning_back: Literal["all", "known"] | None = None
    """Which models get the reasoning of earlier turns back, as `reasoning_content`: all; those that are known to want
    it, by their names; None: none, for the host refuses keys that it doesn't know, or nobody knows whether it does."""
    reasoning_owed: Owed | None = None
    """Which of the assistant's messages must have it, even if it is blank: all, or those with calls. None: the model's
    name tells."""
    reasoning_details: bool = False
    """Whether the signed and the encrypted reasoning of this format goes back, as `reasoning_details`."""
    call_data: bool = False
    """Whether what this host added to a call goes back (`extra_content`, in which Gemini signs it)."""
    ids: IdRule = ID_OF_40
    """The call ids that the host takes."""
    system: SystemPlace = SystemPlace.ANYWHERE
    """Where the host takes system messages."""
    user_first: bool = False
    """Whether the host wants a user's message before the assistant's first."""
    cache: str | None = None
    """The host's word for a cache mark on a part; None: it has none, or caches by itself."""
    tools: ToolRules = CHAT_TOOLS
    """The tools that the host takes beside functions."""
    named_tool: bool = True
    """Whether `tool_choice` may name the tool; else a call is required, of whichever, if the host has a word for it."""
    required: str | None = "required"
    """The word of `tool_choice` for "call some tool"; None: the host has none."""
    strict_tools: bool = True
    """Whether a tool may be `strict`."""
    seed: str = "seed"
    """The field for the seed."""
    names: bool = True
    """Whether a message may have a `name`."""
    json_schema: bool = True
    """Whether `response_format` takes a schema; else it asks for JSON of any shape."""
    prefill: str | None = None
    """How the host is made to go on from an assistant message at the end: `plain`, it does so unasked; `prefix`, the
    message says so; None: it begins a new answer."""
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Options whose range is narrower here; a value outside of it is moved to the nearer end, with a warning."""
    service_tiers: Mapping[str, str] | None = field(default_factory=lambda: OPENAI_TIERS)
    """The host's word for each tier; a tier that isn't listed is dropped, with a warning. None: every word goes as it
    is, for nobody knows the host's."""
    efforts: Words | None = None
    """The words for an effort that the host knows, where the model's name doesn't tell; None: any goes as it is."""
    rules: tuple[OptionRule, ...] = OPENAI_CHAT
    """Which options are left out for which models (`llmstream.wire.option_rules`)."""
    user_field: str | None = "safety_identifier"
    """The field for the `user_id` that may stand in `metadata`; None: it is a label like the others."""
    functions_without_reasoning: bool = True
    """Whether newer models call functions here only if they don't reason, as at OpenAI's own chat completions."""
    parts: PartRules = CHAT_PARTS
    """The images and files that the host takes, and the blocks that say them."""
    unsupported: frozenset[str] = frozenset({"top_k"})
    """Options (fields of the body) that the host refuses or ignores: left out, with a warning."""


_PLAIN = (
    "temperature",
    "top_p",
    "top_k",
    "frequency_penalty",
    "presence_penalty",
    "verbosity",
    "parallel_tool_calls",
)
_read_plain = attrgetter(*_PLAIN)
_KNOWN = frozenset(
    {
        *_PLAIN,
        "seed",
        "messages",
        "model",
        "tools",
        "tool_choice",
        "response_format",
        "max_tokens",
        "max_completion_tokens",
        "stop",
        "reasoning_effort",
        "service_tier",
        "metadata",
        "stream",
        "stream_options",
    }
)
_SAME_NAME = frozenset(
    {
        *_PLAIN,
        "tools",
        "tool_choice",
        "response_format",
        "stop",
        "seed",
        "reasoning_effort",
        "service_tier",
        "metadata",
    }
)
"""Options whose name and shape are those of `build_request`."""
_LONGEST_USER = 128
"""Characters of `safety_identifier`; a longer name is hashed."""


# --- out --------------------------------------------------------------------------------------------------


def render_request(request: ChatRequest, variant: ChatVariant = ChatVariant()) -> Rendered:
    """The body to post. Constant work per message."""
    messages: list[dict[str, Any]] = []
    rendered = Rendered({"model": request.model, "messages": messages, "stream": True})
    if variant.stream_usage:
        rendered.body["stream_options"] = {"include_usage": True}
    rendered.pass_on(request.format_options, FORMAT)
    _render_sampling(request, variant, rendered)
    _render_limits(request, variant, rendered)
    _render_tools(request, variant, rendered)
    if request.response_format is not None:
        rendered.body["response_format"] = _render_response_format(
            request.response_format, variant, rendered.warnings
        )
    if request.reasoning_effort is not None:
        _render_reasoning(request.reasoning_effort, variant, rendered)
    _drop_unsupported(variant, rendered)
    own = request.provider_options.get(variant.name, {})
    rendered.merge(own)
    _render_metadata(request.metadata, variant, rendered, own)
    if variant.functions_without_reasoning:
        fit_tool_effort(rendered, own)
    leave_out((*TOOLS, *variant.rules), rendered, own)
    _render_messages(request, variant, messages, rendered)
    return rendered


def _render_sampling(request: ChatRequest, variant: ChatVariant, rendered: Rendered) -> None:
    """The options that have the same name here."""
    for name, value in zip(_PLAIN, _read_plain(request), strict=True):
        if value is not None:
            rendered.body[name] = fit(name, value, variant.bounds, variant.name, rendered.warnings)
    if request.seed is not None:
        rendered.body[variant.seed] = request.seed


def _render_limits(request: ChatRequest, variant: ChatVariant, rendered: Rendered) -> None:
    body = rendered.body
    if request.max_tokens is not None:
        body[variant.max_tokens] = request.max_tokens
    if request.stop:
        body["stop"] = list(request.stop)
    tier = tier_for(request.service_tier, variant.service_tiers, variant.name, rendered.warnings)
    body |= present(service_tier=tier)


def _render_tools(request: ChatRequest, variant: ChatVariant, rendered: Rendered) -> None:
    fitted = request.tools and fit_tools(request.tools, variant.tools, rendered.warnings)
    if fitted:
        tools = [_render_tool(tool) for tool in fitted]
        rendered.body["tools"] = tools
        if not variant.strict_tools:
            _loosen(tools, variant, rendered.warnings)
    if request.tool_choice is not None:
        _render_tool_choice(request.tool_choice, variant, rendered.body, rendered.warnings)


def _drop_unsupported(variant: ChatVariant, rendered: Rendered) -> None:
    if not variant.stream_usage and rendered.body.pop("stream_options", None):
        rendered.warnings.append(f"stream_options: not supported by {variant.name}; dropped")
    if variant.unsupported.isdisjoint(rendered.body):
        return
    for name in sorted(variant.unsupported & rendered.body.keys()):
        del rendered.body[name]
        rendered.warnings.append(f"{name}: not supported by {variant.name}; dropped")


def _render_metadata(
    metadata: dict[str, str], variant: ChatVariant, rendered: Rendered, own: Mapping[str, Any]
) -> None:
    """Labels. The name of a user, as Anthropic's clients give it, has a field of its own at OpenAI."""
    body = rendered.body
    if not metadata or "metadata" in own:
        return
    if "metadata" in variant.unsupported:
        rendered.warnings.append(f"metadata: not supported by {variant.name}; dropped")
        return
    body["metadata"] = labels = dict(metadata)
    user = labels.get("user_id")
    if variant.user_field is None or user is None or body.get("store") is True:
        return
    del labels["user_id"]
    if not labels:
        del body["metadata"]
    hashed = len(user) > _LONGEST_USER
    body.setdefault(variant.user_field, sha256(user.encode()).hexdigest() if hashed else user)
    form = f"a hash in {variant.user_field}" if hashed else variant.user_field
    rendered.warnings.append(f"metadata: user_id is sent as {form}")


def _render_messages(
    request: ChatRequest, variant: ChatVariant, messages: list[dict[str, Any]], rendered: Rendered
) -> None:
    """Last, because the options say whether the model reasons. Each message depends on nothing that follows it."""
    rules = _history_rules(request, variant, is_reasoning=not is_off(rendered.body))
    fitted = fit_history(request.messages, rules)
    word = openai_word(request.model) if variant.cache == BREAKPOINT else variant.cache
    words = ChatWords(
        host=variant.name,
        developer_role=variant.developer_role,
        names=variant.names,
        reasoning_text=rules.unsigned_reasoning,
        reasoning_details=rules.signed_reasoning,
        cache=word,
        parts=ChatParts(variant.parts, variant.name),
    )
    history = ChatMessages(words, fitted.warnings)
    for message in fitted.messages:
        history.add(message)
    messages += history.messages
    rendered.warnings += fitted.warnings
    if word is not None:
        drop_surplus(_parts_of(messages), word, rendered.warnings)
    if variant.prefill == "prefix" and messages and messages[-1]["role"] == "assistant":
        messages[-1]["prefix"] = True


def _history_rules(
    request: ChatRequest, variant: ChatVariant, *, is_reasoning: bool
) -> HistoryRules:
    owed = variant.reasoning_owed or owed_to(request.model)
    is_known = variant.reasoning_back == "known" and owed is not None
    goes_back = is_reasoning and (variant.reasoning_back == "all" or is_known)
    return HistoryRules(
        format=FORMAT,
        label="chat completions",
        host=variant.name,
        model=request.model,
        ids=variant.ids,
        system=variant.system,
        user_first=variant.user_first,
        unsigned_reasoning=goes_back,
        signed_reasoning=variant.reasoning_details,
        owed=owed if goes_back else None,
        parts=variant.parts,
        freeform_calls=variant.tools.takes("custom"),
        hosted_calls=False,
        call_data=variant.call_data,
    )


def _parts_of(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The parts that may have a cache mark."""
    contents = [message["content"] for message in messages]
    return [part for content in contents if isinstance(content, list) for part in content]


def _render_reasoning(effort: str, variant: ChatVariant, rendered: Rendered) -> None:
    body, warnings = rendered.body, rendered.warnings
    if variant.reasoning is None:
        warnings.append(f"reasoning_effort: not supported by {variant.name}; dropped")
    elif effort == "none" and variant.reasoning_off is not None:
        body.update(variant.reasoning_off)
    elif variant.reasoning in ("reasoning_effort", "reasoning"):
        _render_effort(effort, variant, rendered)
    elif effort != LEFT_TO_HOST:
        wanted = effort != "none"
        switch = {"type": "enabled" if wanted else "disabled"}
        body[variant.reasoning] = switch if variant.reasoning == "thinking" else wanted
        if wanted:
            warnings.append(
                f"reasoning_effort: {variant.name} only switches reasoning on or off; {effort!r} is on"
            )


def _render_effort(effort: str, variant: ChatVariant, rendered: Rendered) -> None:
    body = rendered.body
    model = str(body["model"])
    known = words_of(model)
    if known is None:
        known = variant.efforts
    word = fit_effort(effort, known, f"{model} at {variant.name}", rendered.warnings)
    if word is None:
        return
    if variant.reasoning == "reasoning":
        rendered.merge({"reasoning": {"effort": word}})
    else:
        body["reasoning_effort"] = word


def _render_tool(tool: Tool | HostedTool) -> dict[str, Any]:
    if isinstance(tool, HostedTool):
        return tool.definition
    function: dict[str, Any] = {"name": tool.name, "parameters": tool.parameters}
    function |= present(description=tool.description, strict=tool.strict)
    function |= own_members(tool.provider_data, FORMAT)
    return {"type": "function", "function": function}


def _loosen(tools: list[dict[str, Any]], variant: ChatVariant, warnings: list[str]) -> None:
    if any(tool.get("function", {}).pop("strict", None) for tool in tools):
        warnings.append(f"strict: {variant.name} knows no strict tools; the schema is advice there")


def _render_tool_choice(
    choice: ToolChoice, variant: ChatVariant, body: dict[str, Any], warnings: list[str]
) -> None:
    unknown = "tool_choice" in variant.unsupported
    is_named = choice.mode == "tool" and variant.named_tool and not unknown
    if is_named:
        body["tool_choice"] = {"type": "function", "function": {"name": choice.name}}
    elif choice.mode in ("required", "tool") and (unknown or variant.required is None):
        warnings.append(f"tool_choice: {variant.name} lets nobody force a call; left to the model")
    elif choice.mode == "tool":
        warnings.append(
            f"tool_choice: {variant.name} lets nobody name the tool; some call is required"
        )
        body["tool_choice"] = variant.required
    elif not unknown:
        body["tool_choice"] = variant.required if choice.mode == "required" else choice.mode
    elif choice.mode == "none":
        body.pop("tools", None)  # the one way to say it there


def _render_response_format(
    wanted: ResponseFormat, variant: ChatVariant, warnings: list[str]
) -> dict[str, Any]:
    if wanted.schema is None:
        return {"type": "json_object"}
    if not variant.json_schema:
        warnings.append(
            f"response_format: {variant.name} takes no schema; asked for JSON of any shape"
        )
        return {"type": "json_object"}
    schema: dict[str, Any] = {"name": wanted.name, "schema": wanted.schema}
    schema |= present(strict=wanted.strict, description=wanted.description)
    return {"type": "json_schema", "json_schema": schema}


# --- in ---------------------------------------------------------------------------------------------------


def parse_request(body: Mapping[str, Any]) -> ChatRequest:
    """The request that a body means. Raises TypeError or ValueError that name the place.

    Members without a name here become `format_options`.
    """
    model = model_of(body)
    limit = body.get("max_completion_tokens")
    request = build_request(
        body.get("messages"),
        model,
        **{name: value for name, value in body.items() if name in _SAME_NAME},
        max_tokens=body.get("max_tokens") if limit is None else limit,
    )
    rest = rest_of(body, _KNOWN)
    streaming = _further_stream_options(body.get("stream_options"))
    if streaming:
        rest["stream_options"] = streaming
    keep_rest(request, rest, FORMAT)
    return request


def _further_stream_options(given: Any) -> dict[str, Any]:
    """What a client wants of its stream beside the usage, which is always asked for."""
    if given is None:
        return {}
    wanted = object_at(given, "stream_options")
    wanted.pop("include_usage", None)
    return wanted
