"""Writes docs/inputs.md from the rules that the formats and the hosts keep: `python tests/inputs_page.py`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

if __name__ == "__main__":  # run as a script, the folder above is not on the path
    sys.path.insert(0, str(Path(__file__).parent.parent))

from llmstream.providers.compatible import VENDORS
from llmstream.wire.bedrock_converse.files import CONVERSE_PARTS
from llmstream.wire.part_rules import (
    CHAT_PARTS,
    COHERE_PARTS,
    COMPATIBLE_PARTS,
    GENERATE_PARTS,
    INTERACTIONS_PARTS,
    KINDS,
    LABELLED,
    MESSAGES_BY_DATA,
    MESSAGES_PARTS,
    OLLAMA_PARTS,
    RESPONSES_PARTS,
    Kind,
    PartRules,
)

PATH = Path(__file__).parents[1] / "docs" / "inputs.md"
FORMATS: Mapping[str, PartRules] = {
    "openai-chat": CHAT_PARTS,
    "openai-responses": RESPONSES_PARTS,
    "anthropic-messages": MESSAGES_PARTS,
    "gemini-generate": GENERATE_PARTS,
    "gemini-interactions": INTERACTIONS_PARTS,
    "bedrock-converse": CONVERSE_PARTS,
    "cohere-v2": COHERE_PARTS,
    "ollama-native": OLLAMA_PARTS,
}
CLOUDS: Mapping[str, PartRules] = {
    "anthropic-bedrock": MESSAGES_BY_DATA,
    "anthropic-vertex": MESSAGES_BY_DATA,
}
HEAD = """# Inputs: images, PDFs, files, sound and film

The tables are made from `llmstream/wire/part_rules.py` and `llmstream/providers/compatible_parts.py`, by
`python tests/inputs_page.py`.

Give an image as `ImagePart`, everything else as `File`: by its bytes or base64 (`data=`), by its path
(`File.from_path(path)`), by its address (`url=`), or by the id that a provider gave to it (`File(id=…)`, best with its
`media_type`). In dicts the parts of OpenAI's chat completions are read, and `audio_url`, `video_url`, `file_url` and
`document_url` as other hosts write them. A tool's result may show the same parts.

Each part is checked before any network: its base64, its type against its bytes, and whether the target takes its kind,
its type, its size, and the way in which it is given. A part that the target doesn't take is left out, so that a history
with one still goes to every provider; `start.warnings` says why. With `LLMClient(strict=True)` that raises
ConfigurationError instead.

Nothing is fetched unasked: an address goes to the providers that read addresses themselves. For the others, download
it. That asks `allow_host` before each connection, by default for addresses of the public internet alone:

```python
from llmstream import ImagePart
from llmstream.downloads import download


async def picture(url: str) -> ImagePart:
    return await download(ImagePart(url), max_size=5_000_000)  # allow_host= for other addresses
```

| word | what it means |
|---|---|
| data | bytes, base64 or a path |
| URL, S3, id | its address, its address in Amazon's S3, a provider's id of it |
| as text | its text is sent under its name, `[Document: notes.txt]` |
| - | left out, with a warning |

A PDF whose type is given, or found from its bytes, its name or its address, is a PDF; text is `text/…`, JSON, XML and
YAML; a document is any other file. A file that tells nothing of its type goes as a document or a PDF would.
"""
_WAYS = {"data": "data", "url": "URL", "s3": "S3", "id": "id"}


def render() -> str:
    """The whole page."""
    hosts = {name: vendor.variant.parts for name, vendor in VENDORS.items()}
    differing = {name: rules for name, rules in hosts.items() if rules is not COMPATIBLE_PARTS}
    own = {name: rules for name, rules in differing.items() if rules is not CHAT_PARTS}
    compatible = {"all others": COMPATIBLE_PARTS, **own}
    return "\n".join(
        (
            HEAD,
            "## What each format takes\n",
            *_table("format", {**FORMATS, **CLOUDS}),
            "\n## What hosts of OpenAI's format take\n",
            "Whether a model of the host sees or hears, the host says itself.\n",
            *_table("host", compatible),
            "\n## Sources\n",
            *(
                f"- {name}: {rules.source}"
                for name, rules in {**FORMATS, **CLOUDS, **compatible}.items()
            ),
            "",
        )
    )


def _table(what: str, targets: Mapping[str, PartRules]) -> Iterator[str]:
    yield _row((what, *KINDS))
    yield _row("---" for _ in (what, *KINDS))
    for name, rules in targets.items():
        yield _row((f"`{name}`" if "-" in name else name, *(_cell(rules, kind) for kind in KINDS)))


def _cell(rules: PartRules, kind: Kind) -> str:
    rule = rules.kinds.get(kind)
    if rule is None:
        return "-"
    said = [
        ", ".join("as text" if form == LABELLED else _WAYS[way] for way, form in rule.ways.items())
    ]
    if rule.types is not None and kind != "document":
        said.append(", ".join(sorted(each.partition("/")[2] for each in rule.types)))
    if rule.most is not None:
        said.append(f"{rule.most / 1024 / 1024:g} MB")
    return "; ".join(said)


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    PATH.write_text(render(), "utf-8")
