"""Options that a model behind Converse takes in words of its own: its effort, and `top_k`.

Claude's are those of Messages (docs.anthropic.com/en/docs/build-with-claude/extended-thinking), and its effort has a
place in Converse. Nova 2 has `reasoningConfig`
(docs.aws.amazon.com/nova/latest/nova2-userguide/extended-thinking.html), gpt-oss the effort of chat completions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from llmstream.messages import ChatRequest
from llmstream.options import LEFT_TO_HOST
from llmstream.wire.claude_thoughts import fit_thinking, parse_reasoning, render_reasoning
from llmstream.wire.efforts import fit_effort, words_of
from llmstream.wire.option_rules import CLAUDE_SAMPLING, leave_out
from llmstream.wire.outbound import Rendered

_CLAUDE, _NOVA_2, _GPT_OSS = re.compile("claude"), re.compile(r"nova-2"), re.compile("gpt-oss")
_NOVA_EFFORTS = ("none", "low", "medium", "high")
_NOVA = "reasoningConfig"
_OFF = {"type": "disabled"}
_FIELDS = "additionalModelRequestFields"
_UNBOUNDED = 1 << 20
"""What counts as `max_tokens` where the request has none: Converse takes the model's own limit then."""


def render_model_options(
    request: ChatRequest, options: Rendered, fields: Mapping[str, Any]
) -> dict[str, Any]:
    """Members of the body for what the model takes in its own words.

    `options` has the request's other options under the names that Messages have; those that the model refuses are
    taken out. `fields`: what the caller gives the model in its words.
    """
    model = request.model.lower()
    if _CLAUDE.search(model):
        return _render_claude(request, options, fields)
    effort = request.reasoning_effort
    found: dict[str, Any] = {}
    if effort is not None:
        found = _render_effort(effort, request.model, options.warnings)
    if options.body.pop("top_k", None) is not None:
        options.warnings.append("top_k: Bedrock's Converse takes it for Claude alone; dropped")
    return {_FIELDS: found} if found else {}


def _render_claude(
    request: ChatRequest, options: Rendered, fields: Mapping[str, Any]
) -> dict[str, Any]:
    body = options.body
    limit = body.get("max_tokens")
    body["max_tokens"] = _UNBOUNDED if limit is None else limit
    given = fields.get("thinking")
    if given is not None:
        body["thinking"] = given
    if request.reasoning_effort is not None:
        render_reasoning(request.reasoning_effort, options)
    if given is None:
        fit_thinking(options)
    leave_out(CLAUDE_SAMPLING, options, fields)
    if limit is None:
        del body["max_tokens"]
    found = {name: body[name] for name in ("thinking", "top_k") if name in body}
    effort = body.get("output_config", {})
    members = {_FIELDS: found, "outputConfig": effort}
    return {name: value for name, value in members.items() if value}


def _render_effort(effort: str, model: str, warnings: list[str]) -> dict[str, Any]:
    """How long another model than Claude thinks."""
    name = model.lower()
    if _NOVA_2.search(name):
        word = fit_effort(effort, _NOVA_EFFORTS, model, warnings)
        if word is None:
            return {}
        switch = {"type": "enabled", "maxReasoningEffort": word}
        return {_NOVA: _OFF if word == "none" else switch}
    if _GPT_OSS.search(name):
        word = fit_effort(effort, words_of(name), model, warnings)
        return {} if word is None else {"reasoning_effort": word}
    if effort not in ("none", LEFT_TO_HOST):
        warnings.append(f"reasoning_effort: Bedrock has no word for it for {model}; dropped")
    return {}


def parse_effort(config: dict[str, Any], fields: dict[str, Any]) -> Any:
    """The effort, taken out of a body's members. What it doesn't say stays in them."""
    if "thinking" in fields:
        return parse_reasoning(fields.pop("thinking"), config, fields)
    if "reasoning_effort" in fields:
        return fields.pop("reasoning_effort")
    nova = fields.get(_NOVA)
    if nova == _OFF:
        del fields[_NOVA]
        return "none"
    is_effort = isinstance(nova, Mapping) and nova.keys() == {"type", "maxReasoningEffort"}
    return fields.pop(_NOVA)["maxReasoningEffort"] if is_effort else None
