"""What does each operator cost, against an async generator that only passes events on?

    python tests/bench/streams.py [events]

CPU time per event of one answer of many small text deltas, best of several interleaved rounds. The floor is taken off
neither: a ratio of 2 is one more pass-through's worth. `source` is the iteration without any operator.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
import time

from llmstream import EventType, FinishReason, Message, Start, StreamEvent, TextPart
from llmstream.events.types import text_delta
from llmstream.streams import (
    buffer,
    coalesce,
    guard,
    map_text,
    progress,
    record,
    tee,
    text,
    transform,
)

ROUNDS = 7
SECRET = re.compile(r"sk-\w{8,40}")


async def passed(events):
    async for event in events:
        yield event


async def source(events):
    for event in events:
        yield event


class Same:
    def feed(self, text):
        return text

    def finish(self):
        return ""


def find(text):
    return [(*match.span(), "[key]") for match in SECRET.finditer(text)]


def cases():
    """What to compare; the first is the measure."""
    return {
        "pass-through": passed,
        "source": lambda events: events,
        "text": text,
        "progress": progress,
        "map_text": lambda events: map_text(events, str),
        "transform": lambda events: transform(events, Same),
        "guard (hold=64)": lambda events: guard(events, find, hold=64),
        "coalesce (chars)": lambda events: coalesce(events, chars=40),
        "coalesce (word)": lambda events: coalesce(events, "word"),
        "coalesce (seconds)": lambda events: coalesce(events, seconds=0.05),
        "buffer": buffer,
        "tee (one reads)": lambda events: tee(events)[0],
        "record": lambda events: record(events, os.devnull),
    }


async def drain(flow):
    async for _ in flow:
        pass


def cost(operator, events):
    """CPU seconds per event."""

    async def run():
        begun = time.process_time()
        await drain(operator(source(events)))
        return time.process_time() - begun

    return asyncio.run(run()) / len(events)


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    deltas = [text_delta(f"word{n % 10} ") for n in range(count)]
    start, message = (
        Start("1", "m", "bench"),
        Message("assistant", [TextPart("".join(e.text for e in deltas))]),
    )
    done = StreamEvent(
        EventType.MESSAGE_COMPLETE, start=start, message=message, finish_reason=FinishReason.STOP
    )
    events = [StreamEvent(EventType.MESSAGE_START, start=start), *deltas, done]
    best: dict[str, float] = {}
    for _ in range(ROUNDS):
        for name, operator in cases().items():
            best[name] = min(best.get(name, 1.0), cost(operator, events))
    for name, seconds in best.items():
        print(
            f"{name:20} {seconds * 1e6:8.2f} µs   {seconds / best['pass-through']:6.2f} x pass-through"
        )


if __name__ == "__main__":
    main()
