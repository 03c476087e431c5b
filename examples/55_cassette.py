"""Tests that ask no model: the first run records its answers, every other plays them.

    python examples/55_cassette.py

Here the simulator is recorded. In your tests it is your model, and the file stands beside them.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from pathlib import Path

from llmstream import ConfigurationError, LLMClient
from llmstream.testing import Cassette


async def ask(cassette: Cassette, question: str) -> str:
    """The answer's text."""
    async with LLMClient(provider=cassette) as client:
        message = await client.complete([{"role": "user", "content": question}])
        print(f"MESSAGE_COMPLETE: {message.finish_reason}")
        return message.text


async def main() -> None:
    """Record once, play once, and ask for what isn't there."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "answers.json")
        recorded = await ask(Cassette(file, record="simulator:any-model"), "What is a cassette?")
        played = await ask(Cassette(file), "What is a cassette?")
        tape = json.loads(await asyncio.to_thread(file.read_text, "utf-8"))
        (recording,) = tape["recordings"]
        print(f"{len(recording['events'])} events of {tape['provider']} are in the file")
        print("played as it was recorded" if played == recorded else "something is wrong")
        try:
            await ask(Cassette(file), "What is a cartridge?")
        except ConfigurationError as problem:
            print(str(problem).partition("nearest, ")[2])


asyncio.run(main())
