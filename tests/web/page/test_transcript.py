"""The page's own fold says of every stream what events/transcript.py says."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import llmstream.web
from llmstream.events.types import (
    EventType,
    Retry,
    Start,
    Status,
    StreamEvent,
    ToolCallDelta,
    opaque,
    reasoning_delta,
    refusal_delta,
    text_delta,
)
from llmstream.messages import File, Source, ToolCall, ToolResult, Usage
from tests.events.transcript_cases import CASES, standing

NODE = shutil.which("node")
SCRIPT = Path(__file__).with_name("transcript.mjs")
FOLD = Path(llmstream.web.__file__).with_name("transcript.js")

pytestmark = pytest.mark.skipif(NODE is None, reason="needs node")


def standing_on_the_page(streams):
    """What the page's fold says of each stream, in the form of `standing`."""
    done = subprocess.run(  # our own script
        [NODE, SCRIPT, FOLD], input=json.dumps(streams), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return [
        {name: value for name, value in each.items() if value} for each in json.loads(done.stdout)
    ]


def test_the_cases_that_python_runs_too():
    """One by one, the same as tests/events/test_transcript.py."""
    told = standing_on_the_page([case["events"] for case in CASES])
    assert dict(zip([case["name"] for case in CASES], told, strict=True)) == {
        case["name"]: case["stands"] for case in CASES
    }


class Course:
    """Makes a stream of steps drawn at random: ids and indexes are those that the client would give."""

    def __init__(self):
        self.events = []
        self.count = 0
        self.open = self.called = None

    def take(self, name):
        """One step."""
        self.count += 1
        event = getattr(self, f"_{name}")(str(self.count))
        if event is not None:
            self.events.append(event)

    def _text(self, n):
        return text_delta(n)

    def _reasoning(self, n):
        return reasoning_delta(n)

    def _refusal(self, n):
        return refusal_delta(n)

    def _source(self, n):
        return StreamEvent(EventType.SOURCE, source=Source(url=n))

    def _file(self, n):
        return StreamEvent(EventType.FILE, file=File(name=n))

    def _opaque(self, n):
        return opaque("f", signature=n)

    def _notice(self, n):
        return StreamEvent(EventType.STATUS, status=Status("progress", n))

    def _start(self, n):
        return StreamEvent(EventType.MESSAGE_START, start=Start(model=n))

    def _delta(self, n):
        if self.open is not None:
            return StreamEvent(
                EventType.TOOL_CALL_DELTA, tool_call_delta=ToolCallDelta(self.open[1], arguments=n)
            )
        self.open = (n, self.count)
        return StreamEvent(
            EventType.TOOL_CALL_DELTA, tool_call_delta=ToolCallDelta(self.count, n, "f")
        )

    def _call(self, n):
        self.called = self.open[0] if self.open is not None else n
        self.open = None
        return StreamEvent(EventType.TOOL_CALL, tool_call=ToolCall(self.called, "f", "{}"))

    def _result(self, n):
        called, self.called = self.called, None
        if called is None:
            return None
        return StreamEvent(EventType.TOOL_RESULT, tool_result=ToolResult(called, n))

    def _step(self, n):
        self.open = self.called = None
        return StreamEvent(
            EventType.STATUS, status=Status("step"), usage=Usage(output_tokens=int(n))
        )

    def _discard(self, _):
        return self._retry(discard=True)

    def _cut(self, _):
        return self._retry(discard=False)

    def _retry(self, *, discard):
        self.open = None
        self.called = None if discard else self.called
        return StreamEvent(
            EventType.RETRY, retry=Retry(2, 3, 0.0, "cut", "truncated", discard=discard)
        )


STEPS = [
    name[1:] for name in vars(Course) if name[0] == "_" and name[1] != "_" and name != "_retry"
]


def course(steps):
    """The events of these steps, in their JSON form."""
    made = Course()
    for step in steps:
        made.take(step)
    return [event.to_dict() for event in made.events]


@settings(max_examples=10)
@given(
    st.lists(st.lists(st.sampled_from(STEPS), max_size=20).map(course), min_size=20, max_size=40)
)
def test_generated_streams(streams):
    """Many at a time, since each run is a process."""
    assert standing_on_the_page(streams) == [standing(events) for events in streams]
