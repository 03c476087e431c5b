"""Writes docs/providers.md from the vendor table: `python tests/providers/page.py`."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from llmstream.providers.compatible import VENDORS, Vendor
from llmstream.wire.efforts import COMMON
from llmstream.wire.fitting.rules import ANY_ID
from llmstream.wire.fitting.tools import COMPATIBLE_TOOLS
from llmstream.wire.openai_chat.request import ChatVariant
from llmstream.wire.option_rules import OPENAI_SAMPLING

PATH = Path(__file__).parents[2] / "docs" / "providers.md"
HEAD = """# Providers of the compatible family

Made from `llmstream/providers/compatible.py` by `python tests/providers/page.py`. Write `"name:model"`, or the name
alone where there is a default model. `base_url=` and `api_key=` take precedence over what stands here. A `{NAME}` in an
address is an environment variable. The last column says where a host differs from OpenAI, and how we know.

| name | address | key | default model | differs in | source |
|---|---|---|---|---|---|
"""
USUAL = {
    "max_tokens": "max_tokens",
    "developer_role": False,
    "ids": ANY_ID,
    "tools": COMPATIBLE_TOOLS,
    "service_tiers": None,
    "efforts": COMMON,
    "rules": OPENAI_SAMPLING,
    "user_field": None,
    "functions_without_reasoning": False,
    "unsupported": frozenset(),
}


def render() -> str:
    """The page."""
    return HEAD + "".join(_line(vendor) for vendor in VENDORS.values())


def _line(vendor: Vendor) -> str:
    key = " or ".join(f"`{name}`" for name in vendor.key) + (
        "" if vendor.key_needed else ", not needed"
    )
    model = f"`{vendor.default_model}`" if vendor.default_model else ""
    source = vendor.source + ("" if vendor.verified else " **(unverified)**")
    return f"| `{vendor.name}` | `{vendor.url}` | {key} | {model} | {_differences(vendor.variant)} | {source} |\n"


def _differences(variant: ChatVariant) -> str:
    usual = ChatVariant(**USUAL)
    found = []
    for field in fields(ChatVariant):
        value = getattr(variant, field.name)
        if value != getattr(usual, field.name):
            shown = ", ".join(sorted(value)) if isinstance(value, frozenset) else str(value)
            if field.name == "rules":
                shown = "docs/options.md"
            if field.name == "efforts" and value is not None:
                shown = ", ".join(value)
            if field.name == "service_tiers" and value is not None:
                shown = ", ".join(dict.fromkeys(value.values()))
            found.append(f"{field.name}: {shown}")
    return "; ".join(found)


if __name__ == "__main__":
    PATH.write_text(render(), "utf-8")
