"""Options that some models or hosts refuse or ignore: one row for each rule, with its source.

A renderer writes the whole body first, then `leave_out` removes what the rules of its host name, with a warning each.
What the caller wrote into `provider_options` stays: it is sent as it is.

It is a long file because it is one list of rules.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from typing import Any

from llmstream.wire.outbound import Rendered
from llmstream.wire.reasoning import is_off, owed_to

SAMPLING = ("temperature", "top_p", "top_k")
_PENALTIES = ("frequency_penalty", "presence_penalty")


@dataclass(frozen=True, slots=True)
class Asked:
    """One option of a body, and what decides whether it is taken."""

    option: str
    value: Any
    body: Mapping[str, Any]
    own: Container[str]
    """Fields of the body that stand in the caller's `provider_options`."""
    version: str | None
    """The API version of the caller's own choice."""


@dataclass(frozen=True, slots=True)
class OptionRule:
    """Options that models refuse, or ignore, unless `taken` says otherwise."""

    options: tuple[str, ...]
    models: Callable[[str], bool]
    """Asked with the model's name in lower case."""
    taken: Callable[[Asked], bool]
    why: str
    whom: str
    """The models and when, for people: docs/options.md lists it."""
    source: str


_NO_OPTIONS = frozenset({"model", "messages", "input", "stream", "stream_options"})
"""Members that no rule is about."""


def leave_out(
    rules: tuple[OptionRule, ...],
    rendered: Rendered,
    own: Container[str] = (),
    *,
    version: str | None = None,
) -> None:
    """Remove from the body what a rule refuses, and say why."""
    body = rendered.body
    if body.keys() <= _NO_OPTIONS:
        return
    model = str(body.get("model", "")).lower()
    for rule in rules:
        if body.keys().isdisjoint(rule.options):  # nearly always
            continue
        present = [option for option in rule.options if option in body and option not in own]
        if not present or not rule.models(model):
            continue
        for option in present:
            if not rule.taken(Asked(option, body[option], body, own, version)):
                del body[option]
                rendered.warnings.append(f"{option}: {rule.why}; dropped")


def lets_force(rules: tuple[OptionRule, ...], body: Mapping[str, Any]) -> bool:
    """Whether a tool call may be forced beside the options of this body."""
    model = str(body["model"]).lower()
    asked = Asked("tool_choice", "required", body, (), None)
    about = [rule for rule in rules if "tool_choice" in rule.options and rule.models(model)]
    return all(rule.taken(asked) for rule in about)


# --- which models -----------------------------------------------------------------------------------------


def named(pattern: str) -> Callable[[str], bool]:
    """Models in whose name the pattern is found."""
    compiled = re.compile(pattern)
    return lambda model: compiled.search(model) is not None


def any_model(model: str) -> bool:  # noqa: ARG001  # the rule is the host's
    """Every model."""
    return True


_NUMBERED = re.compile(r"claude-(?:[a-z]+-)*v?(\d{1,2})(?!\d)(?:[-.](\d{1,2})(?!\d))?")
_NEWEST = (99, 0)


def generation(model: str) -> tuple[int, int]:
    """The numbers in a Claude's name. A name without any is a new one's."""
    found = _NUMBERED.search(model)
    return (int(found[1]), int(found[2] or 0)) if found else _NEWEST


def claude(first: tuple[int, int] = (0, 0)) -> Callable[[str], bool]:
    """Claudes of this generation and later. Other models of the format's hosts are taken to know all options."""
    return lambda model: "claude" in model and generation(model) >= first


# --- when it is taken -------------------------------------------------------------------------------------


def never(asked: Asked) -> bool:  # noqa: ARG001
    """At no value."""
    return False


def only(*values: float) -> Callable[[Asked], bool]:
    """At these values."""
    return lambda asked: asked.value in values


def effort_of(body: Mapping[str, Any]) -> Any:
    """The reasoning effort that stands in a body of chat completions or of Responses."""
    reasoning = body.get("reasoning")
    inner = reasoning.get("effort") if isinstance(reasoning, Mapping) else None
    return body.get("reasoning_effort", inner)


def with_effort_none(asked: Asked) -> bool:
    """Only if the body says that the model shall not think."""
    return bool(effort_of(asked.body) == "none")


def without_effort(asked: Asked) -> bool:
    """Unless the body says that the model shall think."""
    return effort_of(asked.body) in (None, "none")


def not_thinking(asked: Asked) -> bool:
    """Only if the body switches the thinking off."""
    return is_off(asked.body)


def claude_reasons(body: Mapping[str, Any]) -> bool:
    """Whether a body of Messages asks for thinking."""
    thinking = body.get("thinking")
    return isinstance(thinking, Mapping) and thinking.get("type") != "disabled"


def _beside_thinking(asked: Asked) -> bool:
    is_default = asked.option == "temperature" and asked.value == 1
    return is_default or not claude_reasons(asked.body)


CURRENT_VERSION = "2026-10-21"
"""The version of Anthropic's API since which no sampling option is taken."""


def _under_older_version(asked: Asked) -> bool:
    version = asked.body.get("anthropic_version", asked.version)
    if version is None:
        return True  # the one that suits the body goes with it
    date = str(version)[-len(CURRENT_VERSION) :]
    return date < CURRENT_VERSION


def _default_under_given_version(asked: Asked) -> bool:
    given = asked.body.get("anthropic_version", asked.version) is not None
    return given and asked.option == "temperature" and asked.value == 1


def _is_choice_forced(value: Any) -> bool:
    if isinstance(value, Mapping):
        return value.get("type") not in ("auto", "none")
    return value not in ("auto", "none")


def unforced_or_not_thinking(asked: Asked) -> bool:
    """A choice that leaves it to the model, or one made while the thinking is switched off."""
    return not _is_choice_forced(asked.value) or is_off(asked.body)


def _unforced_or_qwen_silent(asked: Asked) -> bool:
    body = asked.body
    asked_to_think = body.get("enable_thinking") is True
    thinks = asked_to_think or _QWEN_THINKS(str(body.get("model", "")).lower())
    return not thinks or unforced_or_not_thinking(asked)


_TOOL_SOURCES = ("tools", "functions", "mcp_servers", "prompt")
"""Fields that bring tools along; a stored prompt may."""


def has_tools(asked: Asked) -> bool:
    """Whether the body has tools."""
    return any(asked.body.get(source) for source in _TOOL_SOURCES)


def _names_a_sent_tool(asked: Asked) -> bool:
    """Whether the tool that must be called is there: it may have been left out."""
    value = asked.value
    if not isinstance(value, Mapping) or value.get("type") not in ("function", "tool", "custom"):
        return True
    if any(asked.body.get(source) for source in _TOOL_SOURCES[1:]):
        return True
    name = _name_of(value)
    return name is None or any(_name_of(tool) == name for tool in asked.body.get("tools") or ())


def _name_of(tool: Any) -> Any:
    """The name of a tool, or of a choice of one, in any format."""
    if not isinstance(tool, Mapping):
        return None
    inner = tool.get(str(tool.get("type")))
    return inner.get("name") if isinstance(inner, Mapping) else tool.get("name")


# --- the rules --------------------------------------------------------------------------------------------

_REASONING = "learn.microsoft.com/azure/foundry/openai/how-to/reasoning, not supported"
_LATEST = "developers.openai.com/api/docs/guides/latest-model, parameter compatibility"
_VERSIONS = "docs.anthropic.com/en/api/versioning, 2026-10-21"
_THINKING = "docs.anthropic.com/en/docs/build-with-claude/extended-thinking"
_DEEPSEEK = "api-docs.deepseek.com/guides/thinking_mode"
_KIMI = "platform.kimi.ai/docs/api/models-overview, parameter comparison"
_QWEN = "alibabacloud.com/help/en/model-studio/deep-thinking"

_O_SERIES = r"(^|[/:])o\d+(-|$)"
_KIMI_FIXED = r"kimi-(k2[.p-]?[5-9](?!\d)|k[3-9])"
_QWEN_THINKS = named(
    r"qwq|qvq|qwen.*-thinking|qwen3-\d+(\.\d+)?b(?!.*instruct)|qwen(3\.[5-9]|[4-9])"
)

TOOLS = (
    OptionRule(
        ("tool_choice", "parallel_tool_calls"),
        any_model,
        has_tools,
        "has no meaning without tools",
        "all, without tools",
        "400 `'tool_choice' is only allowed when 'tools' are specified` of OpenAI, Groq, vLLM",
    ),
    OptionRule(
        ("tool_choice",),
        any_model,
        _names_a_sent_tool,
        "the tool that it names isn't sent",
        "all, where it names a tool that was left out or isn't there",
        "400 `Tool choice 'x' not found in 'tools' parameter` of OpenAI, and its like of others",
    ),
)
"""Of every format."""

OPENAI_SAMPLING = (
    OptionRule(
        (*SAMPLING, *_PENALTIES),
        named(rf"{_O_SERIES}|\bgpt-5(?!\.|-chat)"),
        never,
        "this model takes none",
        "OpenAI o-series; gpt-5 with -mini, -nano, -pro, -codex",
        _REASONING,
    ),
    OptionRule(
        SAMPLING,
        named(r"\bgpt-(5\.\d+|[6-9][\d.]*)-chat|\bgpt-6-astra|\bgpt-6\.1-sol"),
        never,
        "this model takes none",
        "gpt-5.1 and later with -chat, gpt-6-astra, gpt-6.1-sol",
        _LATEST,
    ),
    OptionRule(
        SAMPLING,
        named(r"\bgpt-5\.[1-4](?!\d)"),
        without_effort,
        "this model takes none while it reasons",
        "gpt-5.1 to 5.4, with an effort",
        _LATEST,
    ),
    OptionRule(
        SAMPLING,
        named(r"\bgpt-5\.[56](?!\d)|\bgpt-6-(sol|luna)|\bgpt-6\.1-terra"),
        with_effort_none,
        'this model takes none unless reasoning_effort is "none"',
        'gpt-5.5, 5.6, gpt-6-sol, -luna, 6.1-terra, unless the effort is "none"',
        _LATEST,
    ),
)
"""OpenAI's models, by their names, wherever they are served."""

CLAUDE_SAMPLING = (
    OptionRule(
        SAMPLING,
        claude(),
        _under_older_version,
        "the anthropic-version that you give refuses it",
        "Claude, under an anthropic-version of your own from 2026-10-21 on",
        _VERSIONS,
    ),
    OptionRule(
        SAMPLING,
        claude((4, 7)),
        _default_under_given_version,
        "Claude takes none from 4.7 on",
        "Claude 4.7 and later",
        "platform.claude.com/docs/en/about-claude/models/migration-guide (4.7)",
    ),
    OptionRule(
        SAMPLING,
        claude(),
        _beside_thinking,
        "Claude takes none while it reasons",
        "Claude while it thinks, but for a temperature of 1",
        _THINKING,
    ),
    OptionRule(
        ("temperature",),
        claude((4, 1)),
        lambda asked: "top_p" not in asked.own,
        "Claude takes none beside top_p from 4.1 on",
        "Claude 4.1 and later, beside a top_p of your own",
        "platform.claude.com/docs/en/about-claude/models/migration-guide (4.1)",
    ),
    OptionRule(
        ("top_p",),
        claude((4, 1)),
        lambda asked: "temperature" not in asked.body,
        "Claude takes none beside temperature from 4.1 on",
        "Claude 4.1 and later, beside a temperature",
        "platform.claude.com/docs/en/about-claude/models/migration-guide (4.1)",
    ),
)

MESSAGES_TOOLS = (
    OptionRule(
        ("tool_choice",),
        lambda model: owed_to(model) is not None,
        unforced_or_not_thinking,
        "this model lets nobody force a call while it thinks",
        'DeepSeek v4 and later and Kimi in Anthropic\'s format, a forced call, unless the effort is "none"',
        f"{_DEEPSEEK}; 400 `tool_choice 'specified' is incompatible with thinking enabled`",
    ),
)
"""Other vendors' models in Anthropic's format."""

DEEPSEEK = (
    OptionRule(
        ("temperature", "top_p", *_PENALTIES),
        named(r"^(?!deepseek-chat)"),
        not_thinking,
        "deepseek ignores it while the model thinks",
        'deepseek, unless the effort is "none"',
        _DEEPSEEK,
    ),
    OptionRule(
        ("tool_choice",),
        named(r"^(?!deepseek-chat)"),
        unforced_or_not_thinking,
        "deepseek lets nobody force a call while the model thinks",
        'deepseek, a forced call, unless the effort is "none"',
        f"{_DEEPSEEK}; 400 `does not support this tool_choice`",
    ),
)
MOONSHOT = (
    OptionRule(
        ("tool_choice",),
        named(r"^(?!moonshot-v1|kimi-k2-(0\d|turbo|instruct))"),
        unforced_or_not_thinking,
        "moonshot lets nobody name the tool while the model thinks",
        'moonshot, a named tool, unless the effort is "none"',
        "400 `tool_choice 'specified' is incompatible with thinking enabled`",
    ),
    OptionRule(
        ("temperature",),
        named(_KIMI_FIXED),
        lambda asked: asked.value == 1 and not is_off(asked.body),
        "moonshot has fixed it for this model",
        "moonshot, Kimi K2.5 and later, unless it is 1",
        _KIMI,
    ),
    OptionRule(
        ("top_p",),
        named(_KIMI_FIXED),
        only(0.95),
        "moonshot has fixed it for this model",
        "moonshot, Kimi K2.5 and later, unless it is 0.95",
        _KIMI,
    ),
    OptionRule(
        _PENALTIES,
        named(_KIMI_FIXED),
        only(0),
        "moonshot has fixed it for this model",
        "moonshot, Kimi K2.5 and later, unless it is 0",
        _KIMI,
    ),
)
ALIBABA = (
    OptionRule(
        ("tool_choice",),
        any_model,
        _unforced_or_qwen_silent,
        "alibaba lets nobody force a call while the model thinks",
        "alibaba, a forced call, while the model thinks",
        _QWEN,
    ),
)
OPENAI_METADATA = (
    OptionRule(
        ("metadata",),
        any_model,
        lambda asked: asked.body.get("store") is True,
        'OpenAI keeps none unless provider_options has "store": true',
        "OpenAI's chat completions and Azure's, without `store`",
        "400 `The 'metadata' parameter is only allowed when 'store' is enabled`",
    ),
)
OPENAI_CHAT = (*OPENAI_METADATA, *OPENAI_SAMPLING)
"""OpenAI's own chat completions; Responses take `metadata`."""

ALL_RULES = (
    *TOOLS,
    *OPENAI_CHAT,
    *CLAUDE_SAMPLING,
    *MESSAGES_TOOLS,
    *DEEPSEEK,
    *MOONSHOT,
    *ALIBABA,
)
"""For the documentation and the tests."""


# --- tools at OpenAI's chat completions -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ToolEffort:
    """Models that OpenAI's chat completions let call functions only at one effort."""

    models: Callable[[str], bool]
    effort: str | None
    """The one that is taken; None: none may be named."""
    source: str


_TOOL_EFFORTS = (
    ToolEffort(
        named(r"\bgpt-5\.4(?!\d|-chat)"),
        None,
        "400 `Function tools with reasoning_effort are not supported … use /v1/responses`",
    ),
    ToolEffort(
        named(r"\bgpt-(5\.([6-9]|\d\d)|[6-9])(?!.*-chat)"),
        "none",
        "400 of gpt-5.6 and later for function tools at any effort but none",
    ),
)


def fit_tool_effort(rendered: Rendered, own: Container[str]) -> None:
    """Name the effort at which chat completions let a model call functions."""
    body = rendered.body
    if "tools" not in body or "reasoning_effort" in own or not _has_functions(body):
        return
    model = str(body.get("model", "")).lower()
    row = next((row for row in _TOOL_EFFORTS if row.models(model)), None)
    effort = body.get("reasoning_effort")
    if row is None or effort in ("none", row.effort):
        return
    if row.effort is None:
        del body["reasoning_effort"]
    else:
        body["reasoning_effort"] = row.effort
    done = "dropped" if row.effort is None else f"sent as {row.effort!r}"
    rendered.warnings.append(
        "reasoning_effort: at chat completions this model calls functions only without reasoning; "
        f'{done}. Ask "openai-responses:{body["model"]}" for both'
    )


def _has_functions(body: Mapping[str, Any]) -> bool:
    tools = body.get("tools") or ()
    return any(isinstance(tool, Mapping) and tool.get("type") == "function" for tool in tools)
