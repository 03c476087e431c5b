"""Writes docs/providers.md from the vendor table: `python tests/providers/page.py`."""

from __future__ import annotations

import sys
from dataclasses import fields
from pathlib import Path

if __name__ == "__main__":  # run as a script, the folder above is not on the path
    sys.path.insert(0, str(Path(__file__).parents[2]))

from llmstream.providers import clouds, registry
from llmstream.providers.api import API
from llmstream.providers.cloud_needs import listed
from llmstream.providers.compatible import VENDORS, Vendor
from llmstream.wire.efforts import COMMON
from llmstream.wire.fitting.rules import ANY_ID
from llmstream.wire.fitting.tools import COMPATIBLE_TOOLS
from llmstream.wire.openai_chat.request import ChatVariant
from llmstream.wire.option_rules import OPENAI_SAMPLING
from llmstream.wire.part_rules import COMPATIBLE_PARTS
from tests.providers.abilities import sources, table

PATH = Path(__file__).parents[2] / "docs" / "providers.md"
ABILITIES_HEAD = """# Providers

## What each row can

Made by rendering requests, from what recorded answers have, and from the sources of the rows' data. `local` and
`simulator` ask nobody, and aren't here.

| word | what it means |
|---|---|
| yes, data, URL | it goes out, and the host is known to take it; files are PDFs, by bytes or address (docs/inputs.md) |
| marks | `cache=` says what the host keeps of a prompt |
| by itself | the host keeps prompts unasked, and `usage.cache_read_tokens` tells what it had |
| on or off | no other effort is known there; a warning says so |
| by hand | a STATUS `resumable` says where an answer that Google keeps (`store: true`) goes on, if it was cut |
| no | left out, with a warning; with `strict=True` that raises. Of what comes back: there is none |
| not known | it goes out, and the host says itself; nobody has shown us that it takes it |

"""
SOURCES_HEAD = """
What neither a request nor a recording shows is documented:

"""
HEAD = """
## The compatible family

Made from `llmstream/providers/compatible.py` by `python tests/providers/page.py`. Write `"name:model"`, or the name
alone where there is a default model. `base_url=` and `api_key=` take precedence over what stands here. A `{NAME}` in an
address is an environment variable. The last column says where a host differs from OpenAI, and how we know.

| name | address | key | default model | differs in | source |
|---|---|---|---|---|---|
"""
BEDROCK_HEAD = """
## Amazon Bedrock

`"bedrock:model"` asks Bedrock's Converse API, whatever vendor's model it is: an id such as
`us.anthropic.claude-sonnet-4-5-20250929-v1:0`, or an ARN.

| | |
|---|---|
"""
BEDROCK = {
    "key": (
        "`AWS_BEARER_TOKEN_BEDROCK`, or `api_key=`. Without one the request is signed "
        "with the credentials that AWS's own tools find (variables, profiles, SSO, "
        "roles): `pip install 'llmstream-core[bedrock]'`"
    ),
    "address": (
        "that of `AWS_REGION` or `AWS_DEFAULT_REGION`, or of your profile; else "
        "`AWS_ENDPOINT_URL_BEDROCK_RUNTIME` or `base_url=`"
    ),
    "tools": (
        'functions, and Amazon\'s own: `{"type": "systemTool", "name": "nova_grounding"}`. '
        "What they did and found comes as a call and a result of the provider, and goes "
        "back"
    ),
    "`reasoning_effort`": (
        "for Claude, Nova 2 and gpt-oss, each in its own words; others get none, with a warning"
    ),
    "images, files": (
        "bytes, or an address in S3 (`s3://…`); png, jpeg, gif, webp; PDF, Office "
        "documents, text, sound, video. Others are left out, with a warning"
    ),
    "caching": ('`cache="5m"` or `"1h"` becomes a cache point, for Claude and Nova'),
    "guardrails and the rest": (
        '`provider_options={"bedrock": {"guardrailConfig": {…}, "performanceConfig": {…}, '
        '"additionalModelRequestFields": {…}}}`'
    ),
    "`stop_details`": (
        "what Bedrock says of the end: the guardrail's `trace`, `metrics` with the "
        "latency, `additionalModelResponseFields`"
    ),
    "an exception in the stream": (
        "an ERROR with its class as `code`; what a model behind Bedrock said of its own counts more"
    ),
}
"""What people want to know of Amazon Bedrock."""
INTERACTIONS_HEAD = """
## Google's Interactions

`"gemini-interactions:model"` asks Google's Interactions API (`/v1beta/interactions`); `gemini:` asks generateContent.
Options go as `provider_options={"gemini-interactions": {…}}`.

| | |
|---|---|
"""
INTERACTIONS = {
    "key, address": (
        "`GEMINI_API_KEY` or `GOOGLE_API_KEY`; `GOOGLE_GEMINI_BASE_URL`, or `base_url=`"
    ),
    "histories": (
        "go out whole, and nothing is kept there (`store: false`). With `store: true` the "
        "answer's `message.id` can be the next request's `previous_interaction_id`; then send "
        "the new messages alone"
    ),
    "thoughts": (
        "come as reasoning with `reasoning_effort`; a signature goes back where it stood, also "
        "that of a thought without words"
    ),
    "tools": (
        'functions, and Google\'s own: `{"type": "google_search"}`. What they did and found '
        "comes as a call and a result of the provider, and goes back"
    ),
    "`requires_action`": "finish reason `tool_calls`",
    "`requires_continuation`": (
        "finish reason `pause`: send the message back, and the same request goes on by its token. "
        "`run_tools` and servers go on by themselves"
    ),
    "agents": '`{"agent": "…"}` takes the model\'s place; `{"background": true}` keeps it there',
    "a cut stream": (
        "where its events had ids, a STATUS of the kind `resumable` comes before the ERROR: its "
        "`data` has `interaction_id` and `event_id`, after which Google streams it again "
        "(`GET …/interactions/{id}?stream=true&last_event_id=…`)"
    ),
    "at Vertex AI": "not asked here: `vertex:` is generateContent",
}
"""What people want to know of Google's Interactions."""
CLOUDS_HEAD = """
## Claude and OpenAI's models in clouds

These are asked through the client classes of the vendors' SDKs, which find their addresses and credentials in the
environment, sign requests, and renew tokens. `api_key=` takes a bearer key (for Vertex AI an access token), `base_url=`
another address. `get_client()` returns the SDK's client. What a cloud doesn't say in the environment, `sdk_client=` can
hold: `LLMClient("anthropic:…", sdk_client=AsyncAnthropicVertex(credentials=…))`.

| name | class | it needs | default model | source |
|---|---|---|---|---|
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
    "parts": COMPATIBLE_PARTS,
}


def render() -> str:
    """The page."""
    vendors = "".join(_line(vendor) for vendor in VENDORS.values())
    abilities = ABILITIES_HEAD + table() + SOURCES_HEAD + sources()
    return abilities + HEAD + vendors + _bedrock() + _interactions() + _clouds()


def _bedrock() -> str:
    return BEDROCK_HEAD + "".join(f"| {about} | {told} |\n" for about, told in BEDROCK.items())


def _interactions() -> str:
    rows = (f"| {about} | {told} |\n" for about, told in INTERACTIONS.items())
    return INTERACTIONS_HEAD + "".join(rows)


def _clouds() -> str:
    rows = [provider for provider in vars(clouds).values() if _is_cloud(provider)]
    named = {path.rpartition(":")[2]: name for name, path in registry.BUILT_IN.items()}
    lines = [
        f"| `{named[each.__name__]}` | `{each.api.sdk.name}` | {_needs(each.api)} | "
        f"{f'`{each.default_model}`' if each.default_model else 'yours'} | {each.__doc__.removesuffix('.')} |\n"
        for each in rows
    ]
    return CLOUDS_HEAD + "".join(lines)


def _needs(api: API) -> str:
    install = getattr(api.sdk, "install", "")
    return listed(api.needs) + (f" (`{install}`)" if install else "")


def _is_cloud(value: object) -> bool:
    return isinstance(value, type) and value.__module__ == clouds.__name__


def _line(vendor: Vendor) -> str:
    key = " or ".join(f"`{name}`" for name in vendor.key) + (
        "" if vendor.key_needed else ", not needed"
    )
    model = f"`{vendor.default_model}`" if vendor.default_model else ""
    source = vendor.source + ("" if vendor.verified else " **(unverified)**")
    return f"| `{vendor.name}` | `{vendor.url}` | {key} | {model} | {_differences(vendor.variant)} | {source} |\n"


_ELSEWHERE = {"rules": "docs/options.md", "parts": "docs/inputs.md"}
"""Where the pages are that say what is too much for a cell."""


def _differences(variant: ChatVariant) -> str:
    usual = ChatVariant(**USUAL)
    found = []
    for field in fields(ChatVariant):
        value = getattr(variant, field.name)
        if value != getattr(usual, field.name):
            shown = ", ".join(sorted(value)) if isinstance(value, frozenset) else str(value)
            shown = _ELSEWHERE.get(field.name, shown)
            if field.name == "efforts" and value is not None:
                shown = ", ".join(value)
            if field.name == "service_tiers" and value is not None:
                shown = ", ".join(dict.fromkeys(value.values()))
            found.append(f"{field.name}: {shown}")
    return "; ".join(found)


if __name__ == "__main__":
    PATH.write_text(render(), "utf-8")
