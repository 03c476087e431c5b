"""What each row can, for docs/providers.md: found by rendering a request with the thing in it, not by belief.

A cell says "no" where the request goes out without it, with a warning. Where it goes out, the cell says so only if
somebody showed that the host takes it: a recorded answer, the vendor's own package or document (the sources of the
rows' data). For other hosts of OpenAI's format the cell is "not known": it is sent, and the host says itself.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from typing import Any

from llmstream.arguments import build_request
from llmstream.messages import File, ImagePart, Message, TextPart
from llmstream.providers import clouds, registry
from llmstream.providers.compatible import VENDORS
from llmstream.providers.config import ProviderConfig
from llmstream.wire.formats import FORMATS
from llmstream.wire.openai_chat.request import ChatVariant, render_request
from llmstream.wire.outbound import Rendered
from llmstream.wire.part_rules import COMPATIBLE_PARTS
from tests.corpus.answers import answers
from tests.providers.recorded import SHOWN

COLUMNS = (
    *("tools", "schema", "images", "files", "audio", "reasoning", "caching", "citations"),
    *("usage", "resume"),
)
UNKNOWN = "not known"
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
PDF = "JVBERi0xLjQKJSVFT0YK"
SOUND = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQAAAAA="
WHERE = "https://files.example/probe"
MARK = "probe_member"
PARTS: dict[str, tuple[Any, Any]] = {
    "images": (ImagePart(data=PIXEL, media_type="image/png"), ImagePart(url=f"{WHERE}.png")),
    "files": (
        File(data=PDF, media_type="application/pdf"),
        File(url=f"{WHERE}.pdf", media_type="application/pdf"),
    ),
    "audio": (
        File(data=SOUND, media_type="audio/wav"),
        File(url=f"{WHERE}.wav", media_type="audio/wav"),
    ),
}
"""Each by its bytes and by its address."""
SCHEMA = {
    "type": "object",
    "properties": {MARK: {"type": "string"}},
    "required": [MARK],
    "additionalProperties": False,
}
GIVEN: dict[str, dict[str, Any]] = {
    "tools": {
        "tools": [
            {"type": "function", "function": {"name": MARK, "parameters": {"type": "object"}}}
        ]
    },
    "schema": {
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "probe", "schema": SCHEMA, "strict": True},
        }
    },
    "reasoning": {"reasoning_effort": "high"},
}
"""The options that ask for it."""
DOCUMENTED: dict[tuple[str, str], tuple[str, str]] = {
    ("cerebras", "schema"): ("yes", "inference-docs.cerebras.ai/capabilities/structured-outputs"),
    ("databricks", "schema"): (
        "yes",
        "docs.databricks.com/aws/machine-learning/model-serving/structured-outputs",
    ),
    ("fireworks", "schema"): (
        "yes",
        "docs.fireworks.ai/structured-responses/structured-response-formatting",
    ),
    ("gemini", "caching"): ("by itself", "ai.google.dev/gemini-api/docs/caching"),
    ("gemini-compatible", "schema"): ("yes", "ai.google.dev/api/compatibility"),
    ("gemini-compatible", "tools"): ("yes", "ai.google.dev/api/compatibility"),
    ("gemini-interactions", "caching"): ("by itself", "ai.google.dev/gemini-api/docs/caching"),
    ("groq", "schema"): ("yes", "console.groq.com/docs/structured-outputs"),
    ("lmstudio", "schema"): ("yes", "lmstudio.ai/docs/api/structured-output"),
    ("mistral", "schema"): ("yes", "docs.mistral.ai/capabilities/structured_output/custom"),
    ("openai", "citations"): ("yes", "platform.openai.com/docs/guides/tools-web-search"),
    ("openrouter", "citations"): ("yes", "openrouter.ai/docs/features/web-search"),
    ("openrouter", "schema"): ("yes", "openrouter.ai/docs/structured-outputs"),
    ("perplexity", "schema"): (
        "yes",
        "docs.perplexity.ai/docs/grounded-llm/output-control/structured-outputs",
    ),
    ("vertex", "caching"): (
        "by itself",
        "cloud.google.com/vertex-ai/generative-ai/docs/context-cache",
    ),
    ("xai", "images"): ("data, URL", "docs.x.ai/docs/guides/image-understanding"),
}
"""What neither a request nor a recording shows, with its source."""

_ELSEWHERE = ("anthropic-bedrock-mantle", "openai-bedrock", "mistral-responses")
"""Rows whose host answers in another vendor's format, of which nothing was recorded and no rule is known."""
_OPENAI_ITSELF = ("azure",)
"""Hosts of the family that run OpenAI's own server."""
_OF_THE_HOST = ("schema", "images", "files", "audio", "caching", "citations")

Render = Callable[..., Rendered]


@dataclass(frozen=True, slots=True)
class Row:
    """One provider name, and how it renders a request."""

    name: str
    format: str
    render: Render
    model: str
    twin: str
    """The row whose class it shares."""
    resumes: bool
    variant: ChatVariant | None = None
    """Of a host of the compatible family."""


@cache
def rows() -> tuple[Row, ...]:
    """Every row that asks somebody over HTTP, in the order of `llmstream models`."""
    named = [each.name for each in registry.listing()]
    return tuple(_row(name) for name in named if name not in ("local", "simulator"))


def _row(name: str) -> Row:
    if name in VENDORS:
        variant = replace(VENDORS[name].variant, name=name)
        model = VENDORS[name].default_model or "m-1"
        return Row(
            name,
            "openai-chat",
            lambda request: render_request(request, variant),
            model,
            name,
            resumes=False,
            variant=variant,
        )
    made = registry._load(name)
    twin = name
    if made.__module__ == clouds.__name__:
        # A cloud has the vendor's class, with another address and other credentials.
        assert not vars(made).keys() - {*_OWN, *_MADE}
        twin = "anthropic" if name.startswith("anthropic") else "openai"
    config = ProviderConfig(twin, api_key="k", base_url="https://host.example/v1")
    provider = registry.create(config)
    if twin != name and twin == "anthropic":
        provider.parts = made.parts
    model = made.default_model or registry._load(twin).default_model or "m-1"
    return Row(
        name,
        provider.traits.format,
        lambda request: provider.render(request, {}),
        model,
        twin,
        resumes=hasattr(provider, "resume"),
    )


_OWN = ("api", "default_model", "parts")
_MADE = (
    "__doc__",
    "__module__",
    "__abstractmethods__",
    "_abc_impl",
    "__static_attributes__",
    "__firstlineno__",
)


def asked(row: Row, *parts: Any, **options: Any) -> Rendered:
    """The request that goes out for these parts and options."""
    message = Message("user", [TextPart("hi"), *parts])
    return row.render(build_request([message], row.model, **options))


def cell(row: Row, column: str) -> str:
    """What the row can of this."""
    known = DOCUMENTED.get((row.name, column))
    if known is not None:
        return known[0]
    found = _FOUND[column](row, column)
    return UNKNOWN if row.name in _ELSEWHERE and column in _OF_THE_HOST else found


def _option(row: Row, column: str) -> str:
    options = GIVEN[column]
    rendered = asked(row, **options)
    body = rendered.body
    if body == asked(row).body:
        return "no"
    if any("on or off" in warning for warning in rendered.warnings):
        return "on or off"
    if column == "schema" and MARK not in json.dumps(body):
        return "JSON of any shape"
    return "yes" if _is_shown(row, column) else UNKNOWN


def _is_shown(row: Row, column: str) -> bool:
    """Whether more than the family's habits says that the host takes it."""
    if row.variant is None or column in SHOWN.get(row.name, "").split():
        return True
    usual = ChatVariant()
    fields = {
        "tools": ("named_tool", "required", "strict_tools"),
        "schema": (),
        "reasoning": ("reasoning", "reasoning_off"),
    }[column]
    differs = any(getattr(row.variant, name) != getattr(usual, name) for name in fields)
    return differs or row.name in _OPENAI_ITSELF


def _parts(row: Row, column: str) -> str:
    if row.variant is not None and row.variant.parts is COMPATIBLE_PARTS:
        return UNKNOWN
    ways = [
        word
        for part, word in zip(PARTS[column], ("data", "URL"), strict=True)
        if (part.data or part.url) in json.dumps(asked(row, part).body)
    ]
    if not ways and column == "files":
        note = File(data=base64.b64encode(MARK.encode()).decode(), media_type="text/plain")
        return "text alone" if MARK in json.dumps(asked(row, note).body) else "no"
    return ", ".join(ways) or "no"


def _caching(row: Row, column: str) -> str:
    marked = row.render(build_request([Message("user", [TextPart("hi", cache="5m")])], row.model))
    if marked.body != asked(row).body:
        return "marks"
    if column in SHOWN.get(row.twin, "").split():
        return "by itself"
    return UNKNOWN


def _citations(row: Row, column: str) -> str:
    if row.name == "openai-azure":  # as of its twin `azure`, nothing was recorded
        return UNKNOWN
    if column in SHOWN.get(row.twin, "").split():
        return "yes"
    if row.variant is not None:
        return UNKNOWN
    cited = any("sources" in case.means for case in answers(row.format))
    return "yes" if cited else "no"


def _usage(row: Row, column: str) -> str:
    if row.variant is not None and column not in SHOWN.get(row.name, "").split():
        return UNKNOWN
    return "yes"


def _resume(row: Row, column: str) -> str:
    """Whether we take a stream up again, or a cut one says where it can be."""
    decoder = import_module(FORMATS[row.format].decoder.partition(":")[0])
    is_told = hasattr(decoder, "RESUMABLE") and row.twin == FORMATS[row.format].provider
    if row.resumes:
        return "yes"
    return "by hand" if is_told else "no"


_FOUND: dict[str, Callable[[Row, str], str]] = {
    **dict.fromkeys(GIVEN, _option),
    **dict.fromkeys(PARTS, _parts),
    "caching": _caching,
    "citations": _citations,
    "usage": _usage,
    "resume": _resume,
}


def table() -> str:
    """One line for each row."""
    lines = [f"| name | {' | '.join(COLUMNS)} |", f"|---|{'---|' * len(COLUMNS)}"]
    for row in rows():
        cells = " | ".join(cell(row, column) for column in COLUMNS)
        lines.append(f"| `{row.name}` | {cells} |")
    return "".join(f"{line}\n" for line in lines)


def sources() -> str:
    """Where the documented cells are from."""
    lines = [f"- `{row}`, {column}: {source}" for (row, column), (_, source) in DOCUMENTED.items()]
    return "".join(f"{line}\n" for line in lines)


if __name__ == "__main__":
    print(table())
