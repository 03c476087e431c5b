"""Recorded streams of real providers, and ways to feed them.

They are not part of this repository: `LLMSTREAM_WIRE` names the folder that holds them. Without it one skipped test
stands in wherever they alone would be used. The answers of `tests/corpus` are there for everybody.
"""

from __future__ import annotations

import base64
import json
import os
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from llmstream.events.types import StreamEvent
from llmstream.messages import parse_arguments
from llmstream.wire.event_decoder import Decoder
from tests.corpus.answers import answers

FOLDER = os.environ.get("LLMSTREAM_WIRE")
ENDINGS = ("sse", "ndjson", "eventstream", "json")
"""How the name of a body ends, by its framing."""
NO_FOLDER = pytest.mark.skip(reason="LLMSTREAM_WIRE doesn't name the folder of recordings")


@dataclass
class Recording:
    """One recorded answer, and what it must decode to."""

    path: Path
    """Of the `.expect.json`."""

    @cached_property
    def body(self) -> bytes:
        name = self.path.name.removesuffix(".expect.json")
        bodies = (self.path.with_name(f"{name}.{ending}") for ending in ENDINGS)
        return next(body for body in bodies if body.exists()).read_bytes()

    @cached_property
    def expect(self) -> dict[str, Any]:
        return dict(json.loads(self.path.read_text("utf-8")))

    @property
    def format(self) -> str:
        return str(self.expect["api"])

    @property
    def calls(self) -> list[tuple[str, Any]]:
        """The calls for the caller: the name, and the arguments as a dict (None: no JSON object)."""
        return [
            (made["name"], made["arguments_json"] or parse_arguments(made["arguments"]))
            for made in self.expect["tool_calls"]
        ]


def recordings(api: str, *, below: int | None = None) -> list[Any]:
    """All recordings of one wire format (of fewer bytes than `below`), as parameters; one to be skipped if none."""
    found = []
    for path in sorted(Path(FOLDER).glob("*/*.expect.json")) if FOLDER else ():
        recording = Recording(path)
        if recording.expect["api"] == api and (below is None or len(recording.body) < below):
            found.append(
                pytest.param(
                    recording, id=f"{path.parent.name}/{path.name.removesuffix('.expect.json')}"
                )
            )
    return found or [skipped()]


def sampled(parameters: Iterable[Any], count: int = 2) -> list[Any]:
    """The first recordings of each folder as they are, the others in the lane `slow`."""
    chosen, seen = [], Counter[Path]()
    for each in parameters:
        recording = each.values[0]
        folder = recording.path.parent if recording is not None else Path()
        seen[folder] += 1
        marks = [*each.marks, pytest.mark.slow] if seen[folder] > count else each.marks
        chosen.append(pytest.param(*each.values, marks=marks, id=each.id))
    return chosen


def all_answers(format: str, *, below: int | None = None) -> list[Any]:
    """The answers of the corpus in one format, and the recordings if there are any, as parameters."""
    ours = [pytest.param(case, id=f"corpus/{case.name}") for case in answers(format)]
    found = recordings(format, below=below)
    return ours + [each for each in found if each.values[0] is not None]


def listed(file: str, *keys: str) -> list[Any]:
    """The entries of a JSON file in the folder, as parameters; one to be skipped if there is no folder."""
    if not FOLDER:
        return [skipped()]
    entries = json.loads((Path(FOLDER) / file).read_text("utf-8"))
    for key in keys:
        entries = entries[key]
    return [
        pytest.param(entry, id=entry.get("name") or f"{index}")
        for index, entry in enumerate(entries)
    ]


def skipped() -> Any:
    """The one parameter that stands in for recordings that are not there."""
    return pytest.param(None, marks=NO_FOLDER, id="no-recordings")


def unbase64(pieces: Iterable[str]) -> list[bytes]:
    return [base64.b64decode(piece) for piece in pieces]


def bytewise(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


def two_way(data: bytes) -> Iterator[list[bytes]]:
    """Every way to cut `data` once."""
    for cut in range(len(data) + 1):
        yield [data[:cut], data[cut:]]


def random_cuts(data: bytes, seed: int) -> list[bytes]:
    """`data` in pieces of 0 to 300 bytes; the same for the same seed."""
    chance = random.Random(seed)
    pieces = []
    while data:
        size = chance.choice((0, 1, 2, 3, 7, 40, 300))
        pieces.append(data[:size])
        data = data[size:]
    return pieces


def sizes(end: int, count: int) -> list[int]:
    """Where to cut bytes of which `end` matter: everywhere, or at `count` places; the same each time."""
    if end <= count:
        return list(range(end))
    return sorted(random.Random(end).sample(range(end), count))


FEW_SIZES, MANY_SIZES = 25, 300
each_count = pytest.mark.parametrize(
    "count", [FEW_SIZES, pytest.param(MANY_SIZES, marks=pytest.mark.slow)], ids=["few", "many"]
)
"""How many prefixes of each recording a test tries, in the core and in the lane of slow tests."""


def decode(make: Callable[[], Decoder], pieces: Iterable[bytes]) -> list[StreamEvent]:
    """All events of a body that came in these pieces and then ended."""
    decoder = make()
    events = [event for piece in pieces for event in decoder.feed(piece)]
    return [*events, *decoder.finish()]


def unpriced(events: list[StreamEvent]) -> list[StreamEvent]:
    """The same without what their provider says that they cost, for that isn't told to clients."""
    for usage in (events[-1].usage, events[-1].message and events[-1].message.usage):
        if usage:
            usage.cost = None
    return events
