"""What does reading JSON while it comes cost, and is it linear?

    python tests/bench/partial_json.py

Time for documents of n and 2n elements and their ratio (linear: 2), for the parser alone and for typed objects whose
value is looked at with every delta; and, for comparison, what parsing all of the text anew with every delta costs.
Minimum of several runs in one process. Needs the repository as working directory.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import jiter
from pydantic import BaseModel

sys.path.insert(0, str(Path(__file__).parents[2]))

from llmstream import EventType, FinishReason, StreamEvent, structured
from llmstream.events.types import text_delta
from llmstream.wire.partial_json import PartialJSON

ROUNDS = 3
DELTA = 12
"""Characters."""


class Row(BaseModel):
    id: int
    name: str


class Table(BaseModel):
    rows: list[Row]


def document(count: int) -> list[str]:
    text = json.dumps({"rows": [{"id": i, "name": f"row {i}"} for i in range(count)]})
    return [text[at : at + DELTA] for at in range(0, len(text), DELTA)]


def essay(count: int) -> list[str]:
    text = json.dumps({"text": "word " * count})
    return [text[at : at + DELTA] for at in range(0, len(text), DELTA)]


def parse(pieces: list[str]) -> None:
    parser = PartialJSON()
    for piece in pieces:
        parser.feed(piece)
    parser.finish()


def look(pieces: list[str]) -> None:
    parser = PartialJSON()
    for piece in pieces:
        parser.feed(piece)
        _ = parser.value
    parser.finish()


def grow(pieces: list[str]) -> None:
    async def events() -> AsyncIterator[StreamEvent]:
        for piece in pieces:
            yield text_delta(piece)
        yield StreamEvent(EventType.MESSAGE_COMPLETE, finish_reason=FinishReason.STOP)

    async def read() -> None:
        async for part in structured.objects(events(), Table):
            _ = part.value

    asyncio.run(read())


def again(pieces: list[str]) -> None:
    text = ""
    for piece in pieces:
        text += piece
        jiter.from_json(text.encode(), partial_mode="trailing-strings")


def seconds(work: Callable[[list[str]], None], pieces: list[str]) -> float:
    times = []
    for _ in range(ROUNDS):
        began = time.process_time()
        work(pieces)
        times.append(time.process_time() - began)
    return min(times)


def compare(
    name: str, work: Callable[[list[str]], None], make: Callable[[int], list[str]], count: int
) -> None:
    one, two = make(count), make(2 * count)
    short, long = seconds(work, one), seconds(work, two)
    size = sum(map(len, two))
    print(
        f"{name:38} {count:>7,}: {short:7.3f} s   {2 * count:>7,}: {long:7.3f} s   x {long / short:.2f}",
        end="",
    )
    print(f"   {long / len(two) * 1e6:6.1f} us a delta   {size / long / 1e6:5.1f} MB/s")


if __name__ == "__main__":
    compare("parser", parse, document, 50_000)
    compare("parser, value looked at", look, document, 50_000)
    compare("typed objects, value looked at", grow, document, 50_000)
    compare("parser, one long string", parse, essay, 100_000)
    compare("one long string, looked at", look, essay, 50_000)
    compare("jiter, all of it again each time", again, document, 2_000)
