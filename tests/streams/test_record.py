"""record and replay: a stream with its timing, to a file and back."""

from __future__ import annotations

import asyncio
import io
import json
import math
import os
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmstream import ConfigurationError, ErrorInfo, EventType, LLMClient, RetryPolicy
from llmstream.events.types import Retry, Start, StreamEvent, text_delta
from llmstream.messages import Message, TextPart
from llmstream.streams import collect, record, replay
from llmstream.testing import VirtualClock
from tests.grammar_check import check_stream
from tests.streams.sources import HI, Feed, answer, answers

HEADER = '{"llmstream": "recording", "version": 1}\n'


async def read(flow):
    return [event async for event in flow]


def recorded(events, **options):
    file = io.StringIO()
    asyncio.run(read(record(Feed(events), file, clock=VirtualClock(), **options)))
    assert not file.closed, "whose file, whose business"
    return file.getvalue()


@given(
    answers,
    st.lists(st.floats(0, 3), min_size=1, max_size=5),
    st.sampled_from([1.0, 4.0, math.inf]),
)
def test_the_same_events_at_the_same_times(events, gaps, speed):
    """At speed 1 within 10 ms; faster as asked; at once with infinity."""

    async def run():
        clock, file = VirtualClock(), io.StringIO()

        async def slow():
            for number, event in enumerate(events):
                await clock.sleep(gaps[number % len(gaps)])
                yield event

        times = [clock.now async for _ in record(slow(), file, clock=clock)]
        clock = VirtualClock()
        again = [
            (clock.now, event)
            async for event in replay(io.StringIO(file.getvalue()), speed=speed, clock=clock)
        ]
        assert [event for _, event in again] == events
        assert [now for now, _ in again] == pytest.approx(
            [time / speed for time in times], abs=0.01
        )

    asyncio.run(run())


async def test_a_path(tmp_path):
    """Opened at the first event, for the owner only; each line is there before its event; closed at the end."""
    path = tmp_path / "answer.jsonl"
    flow = record(LLMClient("simulator").chat_completion(HI), path)
    assert not path.exists()
    count = 0
    async for event in flow:
        count += 1
        lines = path.read_text().splitlines()
        assert len(lines) == 1 + count
        assert json.loads(lines[-1])["event"] == event.to_dict()
    assert json.loads(lines[0]) == json.loads(HEADER)
    assert os.name == "nt" or stat.S_IMODE(path.stat().st_mode) == 0o600
    assert (await collect(replay(str(path), speed=math.inf))).text.endswith("what's up?")
    with path.open("rb") as file:
        assert (await collect(replay(file, speed=1000))).text.endswith("what's up?")


async def test_closing_closes_the_file(tmp_path):
    """Also in the middle, of both; filterwarnings would show a file left open."""
    path = tmp_path / "answer.jsonl"
    flow = record(Feed(answer_of_two()), path)
    await anext(flow)
    await flow.aclose()
    flow = replay(path)
    await anext(flow)
    await flow.aclose()
    await replay(path).aclose()
    flow = record(Feed(answer_of_two()), path)
    await anext(flow)
    del flow
    for _ in range(5):
        await asyncio.sleep(0)


def answer_of_two():
    return [StreamEvent(EventType.MESSAGE_START, start=Start()), text_delta("a"), text_delta("b")]


async def test_a_file_that_cannot_be_written_is_said():
    """OSError, at the first event; and the source is closed."""
    feed = Feed(answer_of_two())
    with pytest.raises(OSError, match="answer"):
        await anext(record(feed, "/nowhere/at/all/answer.jsonl"))
    assert feed.closed


class Unprintable:
    def __str__(self):
        raise RuntimeError


@pytest.mark.parametrize(
    "odd", [object(), Unprintable(), {(1, 2): 3}, {4}, math.nan], ids=lambda odd: type(odd).__name__
)
def test_frames_are_kept_only_if_asked(odd):
    """And what is no JSON costs nobody the stream."""
    events = [
        StreamEvent(
            EventType.TEXT_DELTA, text_delta("a").text_delta, raw={"id": "frame", "odd": odd}
        )
    ]
    assert "frame" not in recorded(events)
    kept = recorded(events, raw=True)
    assert "frame" in kept
    assert asyncio.run(read(replay(io.StringIO(kept), speed=math.inf)))[:-1] == events


async def test_no_key_and_no_header_is_in_the_file(tmp_path):
    """A real client's call that fails as it talks about the key."""
    path = tmp_path / "answer.jsonl"
    key = "sk-canary-0123456789abcdef"
    options = {"headers": {"x-secret": "canary-too"}, "retry": RetryPolicy(max_attempts=1)}
    client = LLMClient("openai:m", api_key=key, base_url="http://127.0.0.1:9", **options)
    async with client:
        got = await read(record(client.chat_completion(HI), path))
    assert got[-1].error_info.kind == "connection"
    assert "canary" not in path.read_text()
    assert "what's up" not in path.read_text(), "nor the request"


# --- what is no whole recording ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "isn't a recording"),
        ("hello\n", "isn't a recording"),
        ("[1]\n", "isn't a recording"),
        ('{"llmstream": "recor', "isn't a recording"),
        (
            '{"llmstream": "recording", "version": 2}\n',
            r"version 2; this llmstream reads version 1",
        ),
        ('{"llmstream": "recording"}\n', "version None"),
    ],
)
async def test_what_is_no_recording_raises(tmp_path, content, message):
    """At the first step, with the name of the file."""
    path = tmp_path / "odd.jsonl"
    path.write_text(content)
    with pytest.raises(ConfigurationError, match=f"odd.jsonl.*{message}"):
        await anext(replay(path))
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match="isn't a recording"):
        await anext(replay(path))
    with pytest.raises(FileNotFoundError):
        await anext(replay(tmp_path / "none"))


@given(answers, st.data())
def test_a_cut_recording_gives_what_it_has(events, data):
    """Cut anywhere: every whole line's event, then ERROR(kind="truncated"), or the end if that was whole."""
    content = recorded(events)
    header = content.index("\n") + 1
    cut = data.draw(st.integers(header, len(content) - 1))
    whole = content[header:cut].count("\n")
    got = asyncio.run(read(replay(io.BytesIO(content[:cut].encode()), speed=math.inf)))
    if cut == len(content) - 1:
        assert got == events, "only the last line's end is missing"
        return
    if content[cut] == "\n":
        whole += 1
    assert got[:-1] == events[:whole]
    info = got[-1].error_info
    assert (info.kind, info.code) == ("truncated", "recording")
    if whole and not any(event.status for event in events):
        check_partial(got)


def check_partial(got):
    text = "".join(event.text for event in got)
    if not any(event.retry for event in got):
        assert (got[-1].error_info.partial or Message("assistant")).text == text


@pytest.mark.parametrize(
    "line",
    [
        b"{}",
        b"not JSON",
        b"\xff",
        b"[]",
        b"[" * 100_000,
        b"",
        b'{"at": 1, "event": {"type": "new"}}',
        b'{"at": NaN, "event": {"type": "file"}}',
        b'{"at": Infinity, "event": {"type": "file"}}',
        b'{"at": -1, "event": {"type": "file"}}',
        b'{"at": "x", "event": {"type": "file"}}',
        b'{"at": 1, "event": {"type": "text_delta"}}',
        b'{"at": 1, "event": {"type": "text_delta", "text_delta": {"content": 5}}}',
        b'{"at": 1, "event": {"type": "text_delta", "text_delta": {}}}',
        b'{"at": 1, "event": {"type": "tool_call", "tool_call": 5}}',
    ],
)
def test_a_corrupt_line_is_named(tmp_path, line):
    """After every event before it, with what they make as the partial."""
    events = answer(["a", "b"])
    lines = recorded(events).encode().splitlines(keepends=True)
    path = tmp_path / "corrupt.jsonl"
    path.write_bytes(b"".join([*lines[:3], line + b"\n", *lines[3:]]))
    got = asyncio.run(read(replay(path, speed=math.inf)))
    assert got[:-1] == events[:2]
    assert (got[-1].error_info.kind, got[-1].error_info.code) == ("protocol", "recording")
    assert "line 4 of the recording is corrupt" in got[-1].error
    assert got[-1].error_info.partial == Message("assistant", [TextPart("a")])
    check_stream(got)


def test_the_partial_leaves_out_what_was_discarded():
    """As in the stream itself."""
    events = answer(["a", ErrorInfo("server")], ["b"], on_interrupt="restart")[:-1]
    got = asyncio.run(read(replay(io.StringIO(recorded(events)), speed=math.inf)))
    assert got[-1].error_info.partial.text == "b"
    check_stream(got)
    events = [
        *answer(["a"])[:-1],
        StreamEvent(EventType.RETRY, retry=Retry(2, 2, 0, "", "server")),
        *answer(["b"])[:-1],
    ]
    got = asyncio.run(read(replay(io.StringIO(recorded(events)), speed=math.inf)))
    assert got[-1].error_info.partial.text == "ab"


@pytest.mark.parametrize("speed", [0, -1, math.nan])
def test_a_speed_must_be_one(speed):
    """ValueError at once."""
    with pytest.raises(ValueError, match="speed"):
        replay("x", speed=speed)
