"""What recorded answers of each row show, as a table that anybody has: `python tests/providers/recorded.py` prints it.

It is made from the folder that LLMSTREAM_WIRE names; a test compares the two.
"""

from __future__ import annotations

from pathlib import Path

from llmstream.messages import ReasoningPart, Source
from llmstream.providers.registry import names
from llmstream.wire import decoder
from llmstream.wire.formats import FORMATS
from tests.recordings import FOLDER, Recording, decode

NAMES = frozenset(names())
ROWS = {
    "anthropic-messages": "anthropic",
    "azure-openai-chat": "azure",
    "bedrock-converse": "bedrock",
    "cohere-v2": "cohere",
    "gemini-generate": "gemini",
    "huggingface-router-chat": "huggingface",
    "moonshotai-chat": "moonshot",
    "ollama-native": "ollama",
    "ollama-v1-chat": "ollama-compatible",
    "openai-chat": "openai",
    "openai-responses": "openai-responses",
}
"""Folders of recordings whose row has another name than they."""


SHOWN: dict[str, str] = {
    "alibaba": "caching reasoning tools usage",
    "anthropic": "caching citations reasoning tools usage",
    "azure": "caching reasoning usage",
    "bedrock": "citations reasoning tools usage",
    "cerebras": "caching reasoning tools usage",
    "cloudflare": "usage",
    "cohere": "caching citations reasoning tools usage",
    "crusoe": "caching usage",
    "databricks": "tools usage",
    "deepseek": "caching reasoning tools usage",
    "doubleword": "caching reasoning tools usage",
    "gemini": "citations reasoning tools usage",
    "groq": "reasoning tools usage",
    "huggingface": "caching usage",
    "llamacpp": "caching reasoning tools usage",
    "mistral": "caching reasoning tools usage",
    "moonshot": "reasoning usage",
    "ollama-cloud": "reasoning tools usage",
    "ollama": "reasoning tools usage",
    "ollama-compatible": "reasoning tools usage",
    "openai": "caching tools usage",
    "openai-responses": "caching citations reasoning tools usage",
    "openrouter": "caching reasoning tools usage",
    "perplexity": "citations usage",
    "snowflake": "caching reasoning usage",
    "together": "caching usage",
    "venice": "caching reasoning tools usage",
    "writer": "tools usage",
    "xai": "caching reasoning tools usage",
    "zai": "caching reasoning usage",
}
"""What the answers of each row have; of `caching`, tokens that a cache had are counted."""


def shown(folder: Path) -> str:
    """What the answers in a folder have."""
    found: set[str] = set()
    format = folder.name if folder.name in FORMATS else "openai-chat"
    for path in sorted(folder.glob("*.expect.json")):
        recording = Recording(path)
        *_, last = decode(lambda: decoder(format), [recording.body])
        parts = last.message.parts if last.message else []
        usage = last.usage
        if usage is not None and usage.output_tokens is not None:
            found.add("usage")
        if usage is not None and usage.cache_read_tokens is not None:
            found.add("caching")
        if recording.calls:
            found.add("tools")
        found |= {"reasoning" for part in parts if isinstance(part, ReasoningPart)}
        found |= {"citations" for part in parts if isinstance(part, Source)}
    return " ".join(sorted(found))


def read_all() -> dict[str, str]:
    """The table, from the recordings."""
    found = {}
    for folder in sorted(Path(FOLDER or "").iterdir()):
        row = ROWS.get(folder.name, folder.name.removesuffix("-chat"))
        if row in NAMES and folder.is_dir():
            found[row] = shown(folder)
    return {row: words for row, words in found.items() if words}


if __name__ == "__main__":
    for row, words in read_all().items():
        print(f'    "{row}": "{words}",')
