"""Decoders and the SSE parser under any order of calls: feed, cut, garbage, floods, finish, abort."""

from __future__ import annotations

import json
import re
from typing import Any, ClassVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from llmstream import wire
from llmstream.errors import ErrorInfo
from llmstream.events.types import EventType
from llmstream.messages import FinishReason, ReasoningPart, ToolCall
from llmstream.providers.simulator_script import script_events
from llmstream.wire.framing.sse import SSEFramer
from tests import strategies
from tests.example_counts import examples
from tests.grammar_check import TERMINAL, check_calls, check_stream
from tests.lanes import every_format

LIMIT = 2000
"""`max_frame` of the parsers here: larger than any frame of an answer, so that only floods exceed it."""
PIECE = 3000
"""The most bytes that one call feeds."""
ENDS = {
    "openai-chat": re.compile(rb'\[DONE\]|"finish_reason": ?"'),
    "openai-responses": re.compile(rb'"response\.(completed|incomplete)"'),
    "anthropic-messages": re.compile(rb'"message_stop"'),
    "gemini-generate": re.compile(rb'"finishReason": ?"'),
    "gemini-interactions": re.compile(rb'"interaction\.completed"'),
    "bedrock-converse": re.compile(rb'"stopReason"|messageStop'),
    "ollama-native": re.compile(rb'"done": ?true'),
    "cohere-v2": re.compile(rb'"finish_reason": ?"(?!ERROR)'),
}
"""Without these bytes no answer of the format is whole."""

calls = st.builds(
    ToolCall,
    id=st.just(""),
    name=strategies.names,
    arguments=strategies.objects.map(json.dumps),
    input=st.none(),
)
items = st.one_of(
    strategies.some,
    strategies.some,
    st.builds(ReasoningPart, strategies.some, signature=st.none() | strategies.names),
    calls,
    strategies.usages,
    st.just(FinishReason.LENGTH),
    strategies.errors.map(lambda info: ErrorInfo(info.kind, info.message)),
)
garbage = st.one_of(
    st.binary(max_size=12),
    st.sampled_from(
        [
            b"\n",
            b"\n\n",
            b"\r",
            b"data: ",
            b"data: {}\n\n",
            b"event: error\n",
            b": ping\n\n",
            b"{",
            b"<p>",
        ]
    ),
    st.dictionaries(strategies.names, strategies.json_values, max_size=2).map(
        lambda payload: b"data: %s\n\n" % json.dumps(payload).encode()
    ),
)
floods = st.sampled_from(
    [b"data: " + b"x" * 2500, b"data: x\n" * 300, b"x" * 2500, b"event: " + b"e" * 2500]
)


def encoded(format, script):
    """The bytes of an answer, every call with an id of its own."""
    named = list(script)
    for number, item in enumerate(named):
        if isinstance(item, ToolCall):
            named[number] = ToolCall(f"call-{number}", item.name, item.arguments)
    feed = wire.encoder(format).feed
    return b"".join(
        feed(event) for event in script_events(named, id="m1", model="m", format=format)
    )


class Feeding(RuleBasedStateMachine):
    """What is fed to whom; subclasses say to whom."""

    format: ClassVar[str] = "openai-chat"

    def __init__(self) -> None:
        super().__init__()
        self.fed: list[bytes] = []
        self.finished = False

    def give(self, data: bytes) -> None:
        raise NotImplementedError

    @initialize(script=st.lists(items, max_size=6))
    def ask(self, script: Any) -> None:
        self.rest = encoded(self.format, script)
        self.whole = True  # nothing but the answer was fed

    @precondition(lambda self: not self.finished)
    @rule(size=st.integers(0, 40) | st.integers(0, PIECE))
    def the_answer(self, size: int) -> None:
        self.give(self.rest[:size])
        self.rest = self.rest[size:]

    @precondition(lambda self: not self.finished)
    @rule()
    def all_of_the_answer(self) -> None:
        while self.rest and not self.finished:
            self.the_answer(PIECE)

    @precondition(lambda self: not self.finished)
    @rule(data=st.sampled_from([b": ping\n\n", b"\n\n", b"event: ping\n\n"]))
    def keep_alive(self, data: bytes) -> None:
        self.whole = False  # or it stands within a frame
        self.give(data)

    @precondition(lambda self: not self.finished)
    @rule(data=garbage)
    def something_else(self, data: bytes) -> None:
        self.whole = self.whole and not data
        self.give(data)

    @precondition(lambda self: not self.finished)
    @rule(data=floods)
    def too_much(self, data: bytes) -> None:
        self.whole = False
        self.give(data)

    @precondition(lambda self: not self.finished)
    @rule(size=st.integers(1, 60))
    def less(self, size: int) -> None:
        self.whole = False
        self.rest = self.rest[size:]

    @precondition(lambda self: not self.finished)
    @rule(script=st.lists(items, max_size=3))
    def another_answer(self, script: Any) -> None:
        self.whole = False
        self.rest = encoded(self.format, script)


class Parsing(Feeding):
    """The parser alone: the same frames as from all bytes at once, and never more held than one frame."""

    def __init__(self) -> None:
        super().__init__()
        self.parser = SSEFramer(max_frame=LIMIT)
        self.frames: list[Any] = []

    def give(self, data: bytes) -> None:
        self.fed.append(data)
        was = self.parser.oversized
        frames = self.parser.feed(data)
        assert not was or not frames
        self.frames += frames

    @invariant()
    def bounded(self) -> None:
        held = sum(map(len, (*self.parser._pending, *self.parser._data)))
        assert held <= LIMIT

    def teardown(self) -> None:
        self.frames += self.parser.finish()
        other = SSEFramer(max_frame=LIMIT)
        assert self.frames == [*other.feed(b"".join(self.fed)), *other.finish()]
        assert (self.parser.oversized, self.parser.id, self.parser.retry) == (
            other.oversized,
            other.id,
            other.retry,
        )
        assert sum(len(frame.data) for frame in self.frames) <= sum(map(len, self.fed))


def held_by(framer: Any) -> int:
    """The bytes that a framer holds back, and the one that it has for text."""
    framer = getattr(framer, "_framer", framer)
    if framer is None:
        return 0  # nothing has come that tells what the body is
    inside = getattr(framer, "_text", None)
    held = sum(map(len, (*framer._pending, *getattr(framer, "_data", ()))))
    return held if inside is None else held + held_by(inside)


class Decoding(Feeding):
    """A decoder: one end, last; no end made up; deltas that add up; nothing raised; nothing piled up."""

    def __init__(self) -> None:
        super().__init__()
        self.decoder = wire.decoder(self.format, max_frame=LIMIT)
        self.events: list[Any] = []

    def take(self, events: list[Any]) -> None:
        assert not events or not self.finished
        self.events += events
        ends = [event for event in events if event.type in TERMINAL]
        assert ends == (events[-1:] if self.decoder.ended and events else [])
        self.finished = self.decoder.ended

    def give(self, data: bytes) -> None:
        self.fed.append(data)
        self.take(self.decoder.feed(data))

    @precondition(lambda self: len(self.fed) > 2)
    @rule()
    def finish(self) -> None:
        """At most once in effect: later calls give nothing."""
        self.take(self.decoder.finish())
        assert self.finished

    @precondition(lambda self: len(self.fed) > 2)
    @rule(kind=st.sampled_from(["timeout", "connection"]))
    def abort(self, kind: Any) -> None:
        before = self.finished
        self.take(self.decoder.abort(ErrorInfo(kind, "ours")))
        assert self.finished
        assert before or self.events[-1].error_info.message == "ours"
        self.whole = self.whole and before

    @precondition(lambda self: self.finished)
    @rule(data=garbage | st.binary(max_size=3))
    def afterwards(self, data: bytes) -> None:
        """Nothing follows the end, whatever comes."""
        assert (
            self.decoder.feed(data)
            == self.decoder.finish()
            == self.decoder.abort(ErrorInfo("internal"))
            == []
        )

    @invariant()
    def bounded(self) -> None:
        assert held_by(self.decoder._framer) <= LIMIT
        assert len(self.decoder._stray) <= LIMIT + PIECE

    @invariant()
    def partial_is_what_was_said(self) -> None:
        said = "".join(event.text for event in self.events)
        assert self.decoder.partial.text == said

    def teardown(self) -> None:
        self.take(self.decoder.finish())
        check_calls(self.events)
        last = check_stream(self.events)
        data = b"".join(self.fed)
        if last.type is EventType.MESSAGE_COMPLETE:
            assert ENDS[self.format].search(data)
        elif self.whole and not self.rest:
            assert not ENDS[self.format].search(data), "a whole answer is complete"
        if not (last.error_info and last.error_info.message == "ours"):
            again = wire.decoder(self.format, max_frame=LIMIT)
            assert [*again.feed(data), *again.finish()] == self.events


@pytest.mark.parametrize("format", every_format())
def test_a_decoder_is_right_in_any_order_of_calls(format):
    """One end, last, and only the provider's own; text that adds up; bounded memory; whatever is called."""
    machine = type("Machine", (Decoding,), {"format": format})
    run_state_machine_as_test(machine, settings=settings(examples(60), stateful_step_count=15))


def test_a_parser_is_right_in_any_order_of_calls():
    """The same frames however the bytes come, and never more than one of them held."""
    run_state_machine_as_test(Parsing, settings=settings(examples(50), stateful_step_count=15))
