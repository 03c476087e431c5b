"""Writes docs/options.md from the list of options and from what the formats render: `python tests/options_page.py`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # run as a script, the folder above is not on the path
    sys.path.insert(0, str(Path(__file__).parent.parent))

from llmstream.arguments import build_request
from llmstream.options import OPTIONS, Option
from llmstream.providers.compatible import VENDORS
from llmstream.wire.efforts import TABLE
from llmstream.wire.formats import find_format
from llmstream.wire.openai_chat.request import ChatVariant
from llmstream.wire.openai_chat.request import render_request as render_chat
from llmstream.wire.option_rules import ALL_RULES, OptionRule
from llmstream.wire.outbound import Rendered
from tests.option_values import GIVEN
from tests.providers.page import USUAL

PATH = Path(__file__).parents[1] / "docs" / "options.md"
HEAD = """# Options

Made from `llmstream/options.py`, and from what the wire formats render, by `python tests/options_page.py`.

`chat_completion`, `stream` and `complete` take these options beside `messages`, `stream` and `model`. Where one is left
out, or None, the provider decides. A value that doesn't fit raises TypeError or ValueError before any network.

| option | value | what it is for |
|---|---|---|
"""
FORMATS = """
`timeouts`, `headers` and `fallbacks` are about the call; README.md has them.

## What each format makes of them

The field that goes out. "Dropped" is always said in `start.warnings`; with `strict=True` it raises instead. An option
marked † is left out, too, once a host's 400 has said that it doesn't know it: the request goes out again without it,
and the warning says so. The model here is Claude Opus 4.6: from Claude 4.7 on `temperature`, `top_p` and `top_k` are
dropped, and so are they while a Claude reasons.

"""
TIERS = """
`service_tier` says `"auto"`, `"default"`, `"flex"` or `"priority"`, and each host gets its own word for it: Anthropic's
for `"default"` is `standard_only`, Groq's `on_demand`. A host's own word goes to that host alone; elsewhere it is
dropped with a warning. Hosts whose words nobody knows get the word as it is.

## Hosts of the compatible family that differ

A host of the table in docs/providers.md gets the fields of chat completions, but `max_tokens` under that name, and
`top_k`. These are known to want something else (the model here is one that thinks):

| host | differs in |
|---|---|
"""
RULES = """
## Models that take less

An option is left out, with a warning, where the model or its host is documented to refuse or to ignore it. What stands
in `provider_options` goes out as it is. At OpenAI's chat completions gpt-5.4 calls functions only without an effort,
and gpt-5.6 and later only with `"none"`: so they are asked, also at a `base_url` of yours, which may be a proxy before
OpenAI, and the warning names `openai-responses:`. A Claude that thinks with a budget can't be forced to call: its
thinking is left out.

| option | left out for | source |
|---|---|---|
"""
EFFORTS = """
The words of `reasoning_effort` that models know, wherever they are served. Another word becomes the nearest, with a
warning, and one that nobody knows is a ValueError. `"none"` is sent as the host switches its thinking off.

| model | words | source |
|---|---|---|
"""
COLUMNS = {
    "openai-chat": "OpenAI chat completions",
    "openai-responses": "OpenAI Responses",
    "anthropic-messages": "Anthropic Messages",
    "bedrock-converse": "Bedrock Converse",
    "ollama-native": "Ollama",
    "cohere-v2": "Cohere",
    "gemini-generate": "Gemini",
    "gemini-interactions": "Gemini Interactions",
}
"""The wire formats, and what people call them."""
MODEL = "claude-opus-4-6"
HI = [{"role": "user", "content": "hi"}]


def render() -> str:
    """The page."""
    options = "".join(f"| `{each.name}` | {each.wanted} | {each.meaning} |\n" for each in OPTIONS)
    titles = " | ".join(COLUMNS.values())
    formats = f"| option | {titles} |\n|---|{'---|' * len(COLUMNS)}\n"
    formats += "".join(_line(option) for option in OPTIONS)
    hosts = "".join(_host(name) for name in VENDORS)
    rules = "".join(_rule(rule) for rule in ALL_RULES)
    efforts = "".join(f"| {row.whom} | {_list(row.words)} | {row.source} |\n" for row in TABLE)
    return HEAD + options + FORMATS + formats + TIERS + hosts + RULES + rules + EFFORTS + efforts


def _rule(rule: OptionRule) -> str:
    return f"| {_list(rule.options)} | {rule.whom} | {rule.source} |\n"


def _list(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _line(option: Option) -> str:
    mark = " †" if option.droppable else ""
    cells = [_field(option.name, find_format(name).render_request) for name in COLUMNS]
    return f"| `{option.name}`{mark} | {' | '.join(cells)} |\n"


def _render_for(variant: ChatVariant) -> Callable[..., Rendered]:
    return lambda request: render_chat(request, variant)


def _host(name: str) -> str:
    variant = VENDORS[name].variant
    found = []
    for option in OPTIONS:
        field = _field(option.name, _render_for(variant))
        if field != _field(option.name, _render_for(ChatVariant(**USUAL))):
            found.append(f"`{option.name}`: {field}")
        if option.name in variant.bounds:
            low, high = variant.bounds[option.name]
            found.append(f"`{option.name}`: moved into {low:g} to {high:g}")
    if variant.service_tiers is not None:
        words = ", ".join(f"`{word}`" for word in dict.fromkeys(variant.service_tiers.values()))
        found.append(f"`service_tier`: {words}")
    return f"| `{name}` | {'; '.join(found)} |\n" if found else ""


def _field(name: str, render_request: Callable[..., Rendered]) -> str:
    if name == "provider_options":
        return "fields of the body"
    tools = GIVEN["tools"] if name in ("tool_choice", "parallel_tool_calls") else None
    before = render_request(build_request(HI, MODEL, tools=tools)).body
    after = render_request(build_request(HI, MODEL, **{"tools": tools, name: GIVEN[name]}))
    fields = [
        path
        for key, value in after.body.items()
        if before.get(key) != value
        for path in _paths(key, value, before.get(key))
    ]
    return ", ".join(f"`{field}`" for field in fields) or "dropped"


_OUTER = ("text", "reasoning", "output_config", "options")
_OUTER += ("inferenceConfig", "outputConfig", "toolConfig", "additionalModelRequestFields")
"""Objects that hold several options."""


def _paths(key: str, value: Any, before: Any) -> list[str]:
    """A field, with what is in it where that is what the option sets."""
    if not isinstance(value, dict) or key not in _OUTER:
        return [key]
    known = before or {}
    return [f"{key}.{inner}" for inner in value if known.get(inner) != value[inner]]


if __name__ == "__main__":
    PATH.write_text(render(), "utf-8")
