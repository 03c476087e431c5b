"""What does a long history cost, beyond encoding it?

    python tests/bench/history.py

CPU of one request with 1 and with 401 messages, against `json.dumps` of the longer one and against the SDK's own
`create()`; interleaved, in one process, over a loopback server in another. Needs the repository as working directory.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from llmstream import LLMClient
from tests.loopback import Loopback, answer

ROUNDS = 15
TEXT = (
    "A message of ordinary length, such as people and models write to each other all day long. " * 4
)


def history(count: int) -> list[dict[str, str]]:
    return [{"role": "assistant" if i % 2 else "user", "content": TEXT} for i in range(count)]


def serve(pipe: Connection) -> None:
    async def run() -> None:
        async with Loopback(answer("openai-chat", "ok")) as server:
            pipe.send(server.url("openai"))
            await asyncio.Event().wait()

    asyncio.run(run())


async def measure(url: str) -> dict[str, float]:
    import openai

    client = LLMClient("openai:m", api_key="k", base_url=url)
    sdk = openai.AsyncOpenAI(api_key="k", base_url=url)

    async def ours(messages: Any) -> None:
        async for _ in client.chat_completion(messages):
            pass

    async def theirs(messages: Any) -> None:
        async for _ in await sdk.chat.completions.create(model="m", messages=messages, stream=True):
            pass

    async def encoding(messages: Any) -> None:
        json.dumps({"messages": messages}, ensure_ascii=False).encode()

    cases: dict[str, tuple[Callable[[Any], Awaitable[None]], int]] = {
        "ours 1": (ours, 1),
        "ours 401": (ours, 401),
        "openai SDK 1": (theirs, 1),
        "openai SDK 401": (theirs, 401),
        "json.dumps 401": (encoding, 401),
    }
    samples: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(ROUNDS + 1):
        for name, (run, count) in cases.items():
            messages = history(count)
            began = time.process_time()
            await run(messages)
            samples[name].append(time.process_time() - began)
    await client.aclose()
    await sdk.close()
    return {name: statistics.median(values[1:]) for name, values in samples.items()}


def main() -> None:
    here, there = multiprocessing.Pipe()
    server = multiprocessing.Process(target=serve, args=(there,), daemon=True)
    server.start()
    costs = asyncio.run(measure(here.recv()))
    server.terminate()
    for name, cost in costs.items():
        print(f"{name:16} {cost * 1000:8.2f} ms")
    encoding = costs["json.dumps 401"]
    print(
        f"400 more messages cost us {(costs['ours 401'] - costs['ours 1']) / encoding:.2f} x their encoding,"
    )
    print(f"the SDK {(costs['openai SDK 401'] - costs['openai SDK 1']) / encoding:.2f} x")
    print(f"the whole request: {costs['ours 401'] / costs['openai SDK 401']:.3f} x the SDK's")


if __name__ == "__main__":
    main()
