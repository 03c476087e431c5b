"""check_decoder: whether a wire format's decoder keeps the rules, whatever bytes it gets."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from random import Random
from typing import Any

from llmstream.events.types import EventType, StreamEvent
from llmstream.messages import FinishReason
from llmstream.testing.frame_editor import edit_frame
from llmstream.testing.rules import broken_rules
from llmstream.wire.event_decoder import Decoder
from llmstream.wire.framing.event_stream import EventStream

Make = Callable[[], Decoder]

OFFSETS = 600
"""Places at which a body is cut; all of them, if it is no longer."""
REPORTED = 20
"""Broken rules that are reported."""
GROWTH = 8.0
"""Times as long that four times as much may take: linear is 4, quadratic 16."""
FAST_ENOUGH = 0.03
"""Seconds below which no growth is measured."""


def check_decoder(
    make: Make, bodies: Iterable[bytes], *, mutations: int = 200, seed: int = 0
) -> None:
    """Raise AssertionError, listing every rule that the decoders of `make` break.

        check_decoder(lambda: MyDecoder(), [body_of_one_answer, body_of_another])

    `bodies` are answers as your API sends them, each to its end. Checked, without any I/O: the events keep the grammar
    and add up to the message; any split of the bytes gives the same events; every prefix ends in exactly one terminal
    event, which is MESSAGE_COMPLETE only if the end was in; after the end nothing more comes; with `mutations` of its
    bytes, and as many of its JSON values, nothing is raised and the grammar holds (`seed` makes others); and the time
    grows with the bytes, not with their square. Takes about a second a body.
    """
    problems: list[str] = []
    chance = Random(seed)  # noqa: S311  # reproducible, not secret
    for number, body in enumerate(bodies, 1):
        check = _DecoderCheck(make, body)
        check.run(chance, mutations)
        problems += (f"body {number}: {problem}" for problem in check.problems)
    if problems:
        more = [f"… and {len(problems) - REPORTED} more"] if len(problems) > REPORTED else []
        raise AssertionError(
            "the decoder breaks these rules:\n" + "\n".join([*problems[:REPORTED], *more])
        )


class _DecoderCheck:
    """One body."""

    def __init__(self, make: Make, body: bytes) -> None:
        self._make = make
        self._body = body
        self.problems: dict[str, None] = {}
        """In the order found, each once."""

    def run(self, chance: Random, mutations: int) -> None:
        whole = self._decode([self._body], "whole")
        if whole is None:
            return
        self._report("whole", broken_rules(whole))
        self._splits(whole, chance)
        self._prefixes(whole)
        self._after_the_end()
        for _ in range(mutations):
            self._mutation(_mutate(self._body, chance))
            self._mutation(self._mutate_value(chance))
        self._growth()

    def _report(self, where: str, broken: Sequence[str]) -> None:
        for problem in broken:
            self.problems[f"{where}: {problem}"] = None

    def _decode(self, pieces: Iterable[bytes], where: str) -> list[StreamEvent] | None:
        """All events; None if it raised."""
        try:
            decoder = self._make()
            return [event for piece in pieces for event in decoder.feed(piece)] + decoder.finish()
        except Exception as problem:  # noqa: BLE001  # that nothing is raised is the rule
            self._report(where, [f"raises {type(problem).__name__}: {problem}"])
            return None

    def _offsets(self) -> list[int]:
        size = len(self._body)
        count = min(size, OFFSETS)
        return sorted({round(step * size / count) for step in range(count)})

    def _splits(self, whole: list[StreamEvent], chance: Random) -> None:
        body = self._body
        ways: Iterator[tuple[str, list[bytes]]] = iter(
            [
                ("split into bytes", [body[at : at + 1] for at in range(len(body))]),
                *((f"split at byte {at}", [body[:at], body[at:]]) for at in self._offsets()),
                *(("split at random", _split(body, chance)) for _ in range(20)),
            ]
        )
        for way, pieces in ways:
            events = self._decode(pieces, way)
            if events is not None and events != whole:
                self._report("split", [f"other events when {way}"])
                return  # the first says enough

    def _prefixes(self, whole: list[StreamEvent]) -> None:
        for at in self._offsets():
            prefix = self._body[:at]
            events = self._decode([prefix], f"cut after {at} bytes")
            if events is None:
                return
            self._report("cut", broken_rules(events))
            if events[-1:] and events[-1].type is EventType.MESSAGE_COMPLETE:
                problem = self._too_early(prefix, events, whole)
                if problem is not None:
                    self._report("cut", [f"after {at} of {len(self._body)} bytes: {problem}"])
                    return

    def _too_early(
        self, prefix: bytes, events: list[StreamEvent], whole: list[StreamEvent]
    ) -> str | None:
        """The flaw of an answer that is complete although bytes are missing; None without one."""
        if prefix.strip() == self._body.strip():
            return None
        decoder = self._make()
        decoder.feed(prefix + b"\n\n")  # a cut may have taken only the end of the last line
        if not decoder.ended and not decoder.finishing:
            return "MESSAGE_COMPLETE, although neither the end nor a finish reason had come"
        if decoder.ended and _text(events) != _text(whole):
            return "MESSAGE_COMPLETE, although text is missing"
        if events[-1].finish_reason in (None, FinishReason.UNKNOWN) and not decoder.ended:
            return "MESSAGE_COMPLETE without a finish reason"
        return None

    def _after_the_end(self) -> None:
        decoder = self._make()
        decoder.feed(self._body)
        decoder.finish()
        try:
            more = [*decoder.feed(self._body), *decoder.finish()]
        except Exception as problem:  # noqa: BLE001  # that nothing is raised is the rule
            self._report("after the end", [f"raises {type(problem).__name__}: {problem}"])
            return
        if more:
            self._report("after the end", [f"{more[0].type} comes"])

    def _mutation(self, body: bytes) -> None:
        events = self._decode([body], "mutated")
        if events is not None:
            self._report("mutated", broken_rules(events))

    def _mutate_value(self, chance: Random) -> bytes:
        """One value of one frame's JSON becomes something else."""
        framing = self._make().framing
        is_messages = isinstance(framing, EventStream) and self._body[:1] <= b"\x01"
        if not is_messages:
            return _mutate_value(self._body, chance)
        frames = framing.split(self._body)
        at = chance.randrange(len(frames))
        frames[at] = edit_frame(framing, frames[at], lambda data: _mutate_value(data, chance))
        return b"".join(frames)

    def _growth(self) -> None:
        begun = self._make().framing.frame(b"x").partition(b"x")[0]
        if (parts := self._repeatable()) is not None:
            head, frame, tail = parts
            self._grows("many frames", lambda n: [head, *[frame] * (1000 * n), tail])
        self._grows("one long frame", lambda n: [begun, *[b"x" * 1024] * (300 * n)])

    def _repeatable(self) -> tuple[bytes, bytes, bytes] | None:
        """A frame that may come any number of times, and what stands before and after it."""
        frames = self._make().framing.split(self._body)
        before = len(_text(self._decode([self._body], "whole") or []))
        for at, frame in enumerate(frames[:-1]):
            head, tail = b"".join(frames[:at]), b"".join(frames[at + 1 :])
            twice = self._decode([head, frame, frame, tail], "a frame twice")
            if twice is not None and len(_text(twice)) > before:
                return head, frame, tail
        return None

    def _grows(self, what: str, pieces: Callable[[int], list[bytes]]) -> None:
        once, four = (min(self._seconds(pieces(n)) for _ in range(3)) for n in (1, 4))
        if four > FAST_ENOUGH and four > GROWTH * once:
            self._report(
                what, [f"four times as much takes {four / once:.0f} times as long: not linear"]
            )

    def _seconds(self, pieces: list[bytes]) -> float:
        began = time.process_time()
        self._decode(pieces, "long")
        return time.process_time() - began


def _text(events: Sequence[StreamEvent]) -> str:
    return "".join(event.text for event in events)


def _split(body: bytes, chance: Random) -> list[bytes]:
    cuts = sorted(chance.choices(range(len(body) + 1), k=chance.randint(1, 30)))
    return [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]


def _mutate_value(body: bytes, chance: Random) -> bytes:
    """One value of one frame's JSON becomes something else; the body as it is, where there is none."""
    lines = body.split(b"\n")
    places = [at for at, line in enumerate(lines) if line.lstrip(b"data: ").startswith(b"{")]
    if not places:
        return body
    at = chance.choice(places)
    start = lines[at].index(b"{")
    try:
        payload = json.loads(lines[at][start:])
    except ValueError:
        return body
    inner: list[tuple[Any, Any]] = []
    seen: list[Any] = [payload]
    while seen:
        value = seen.pop()
        keys = _keys(value)
        inner += ((value, key) for key in keys)
        seen += (value[key] for key in keys)
    holder, key = chance.choice(inner)
    holder[key] = chance.choice(
        [None, 5, -1, 1.5, True, "", "x", [], ["x"], [None], {}, {"x": 1}, [[]], "9" * 40]
    )
    lines[at] = lines[at][:start] + json.dumps(payload).encode()
    return b"\n".join(lines)


def _keys(value: Any) -> Sequence[Any]:
    """The keys or indexes of a container; none of anything else."""
    if isinstance(value, dict):
        return list(value)
    return range(len(value)) if isinstance(value, list) else ()


def _mutate(body: bytes, chance: Random) -> bytes:
    data = bytearray(body)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(data) + 1)
        end = min(len(data), at + chance.randint(1, 40))
        chance.choice(_CHANGES)(data, at, end, chance)
    return bytes(data)


def _change_byte(data: bytearray, at: int, _: int, chance: Random) -> None:
    if data:
        data[at % len(data)] = chance.randrange(256)


def _delete(data: bytearray, at: int, end: int, _: Random) -> None:
    del data[at:end]


def _insert_noise(data: bytearray, at: int, _: int, chance: Random) -> None:
    data[at:at] = chance.randbytes(chance.randint(1, 8))


def _repeat(data: bytearray, at: int, end: int, _: Random) -> None:
    data[at:at] = data[at:end] * 2


def _insert_word(data: bytearray, at: int, _: int, chance: Random) -> None:
    data[at:at] = chance.choice(_WORDS)


_WORDS = (b"null", b"\n\n", b"[]", b'"', b"{", b"-1e999", b"\\ud800", b"\xff", b"\0")
_CHANGES = (_change_byte, _delete, _insert_noise, _repeat, _insert_word)
"""How a body is made wrong."""
