"""Cassettes: what was recorded is what is played, and nothing else is answered."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import sys
import textwrap
from pathlib import Path
from random import Random
from typing import Any

import pytest

import llmstream.testing
from llmstream import (
    ConfigurationError,
    ErrorInfo,
    EventType,
    File,
    FinishReason,
    ImagePart,
    LLMClient,
    Message,
    RetryPolicy,
    Status,
    StreamEvent,
    TextPart,
    Timeouts,
    ToolCall,
    Usage,
    structured,
)
from llmstream.events.types import text_delta
from llmstream.messages import HostedTool, ReasoningPart
from llmstream.providers import ProviderConfig, ProviderTraits, SchemaSupport, create
from llmstream.testing import (
    Cassette,
    FaultServer,
    ScriptedProvider,
    VirtualClock,
    check_provider,
)
from llmstream.tools import run_tools
from llmstream.wire.formats import FORMATS
from tests.grammar_check import check_stream

PAGE = (Path(__file__).parents[2] / "docs" / "testing.md").read_text("utf-8")
HI = [{"role": "user", "content": "hi"}]
KEY = "sk-any-key-of-the-environment"


def client_of(provider: Any, **options: Any) -> LLMClient:
    known = {"clock": VirtualClock(), "rng": Random(0), "retry": RetryPolicy(budget=None)}
    return LLMClient(provider=provider, **{**known, **options})


async def collect(client: LLMClient, messages: Any = HI, **options: Any) -> list[StreamEvent]:
    async with client:
        return [event async for event in client.chat_completion(messages, **options)]


async def record(path: Path, *attempts: Any, **options: Any) -> list[StreamEvent]:
    cassette = Cassette(path, record=ScriptedProvider(*attempts))
    return await collect(client_of(cassette), **options)


def read(path: Path) -> str:
    return path.read_text("utf-8")


def takes(path: Path) -> list[Any]:
    return json.loads(path.read_text("utf-8"))["recordings"]


def names(folder: Path) -> list[str]:
    return [each.name for each in folder.iterdir()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "answers.json"


# --- what was recorded is played ------------------------------------------------------------------------------

FAULTS = {
    "ok": (),
    "tool-call": (),
    "status-400-context-length": (),
    "status-401": (),
    "error-after-words": (),
    "json-bad": (),
    "usage-absurd": (),
    "finish-reason-unknown": (),
    "status-529": ("ok",),
}
"""By name, and what follows when it is tried again."""
FEW = ("tool-call", "status-529")
CASES = [
    ("openai-chat", FEW),
    *(pytest.param(format, FAULTS, marks=pytest.mark.slow) for format in FORMATS),
]


@pytest.mark.parametrize(("format", "faults"), CASES)
async def test_a_real_server_s_answers_and_errors_are_played_as_they_came(
    format: str, faults: Any, path: Path
) -> None:
    api = FORMATS[format].provider
    async with FaultServer("ok") as server:
        settings = {"api_key": KEY, "base_url": server.url(api)}
        live = create(ProviderConfig(api, **settings))
        recorded = []
        for streaming in (True, False):
            for number, fault in enumerate(faults):
                server.play(fault, *FAULTS[fault])
                client = client_of(Cassette(path, record=live), model="m-1")
                given = {"stream": streaming, "seed": number}
                events = [event async for event in client.chat_completion(HI, **given)]
                recorded.append((given, events))
        await live.aclose()
        asked = len(server.requests)
    for given, events in recorded:
        assert await collect(client_of(Cassette(path), model="m-1"), **given) == events
    assert asked >= len(takes(path)) > len(faults)


@pytest.mark.slow
async def test_a_provider_that_is_recorded_keeps_the_rules(tmp_path: Path) -> None:
    numbers = itertools.count()

    def make(url: str) -> Cassette:
        live = create(ProviderConfig("openai", KEY, url))
        return Cassette(tmp_path / f"{next(numbers)}.json", record=live)

    await check_provider(make, "openai-chat", faults=[*FAULTS, "stall", "endless-answer"])


async def test_requests_that_are_equal_are_played_in_their_order_and_the_last_ever_after(
    path: Path,
) -> None:
    await record(path, [ErrorInfo("rate_limit", retry_after=4)], ["one"], ["two"])
    cassette = Cassette(path, record=ScriptedProvider(["two"], ["three"]))
    client = client_of(cassette)
    assert [(await client.complete(HI)).text for _ in range(3)] == ["one", "two", "three"]
    assert len(takes(path)) == 4

    clock = VirtualClock()
    client = client_of(Cassette(path), clock=clock)
    assert [(await client.complete(HI)).text for _ in range(4)] == ["one", "two", "three", "three"]
    assert clock.now >= 4


async def test_whatever_an_answer_holds_comes_back(path: Path) -> None:
    call = ToolCall("c1", "look", '{"a": 1}', input={"a": 1})
    items = [
        ReasoningPart("Hm.", signature="sig", format="scripted"),
        'Naïve 🙂 \u2028 \\ "quoted"\n',
        File(name="plot.png", data=b"\x89PNG", media_type="image/png"),
        call,
        Usage(7, 3, cache_read_tokens=1),
    ]
    recorded = await record(path, items)
    assert await collect(client_of(Cassette(path))) == recorded
    recorded = await record(path, items, stream=False, seed=1)
    assert await collect(client_of(Cassette(path)), stream=False, seed=1) == recorded


async def test_half_a_character_and_odd_numbers_come_back(path: Path) -> None:
    raw = StreamEvent(EventType.STATUS, status=Status("note", "odd", {"x": "\ud83d", "y": 1e999}))
    recorded = await record(path, ["half \ud83d", raw, "\x00"])
    played = await collect(client_of(Cassette(path)))
    assert played == recorded
    assert [event.text for event in played[:2]] == ["", "half \ud83d"]


async def test_one_recording_serves_both_modes_and_any_middle_of_the_client(path: Path) -> None:
    await record(path, ["Hel", "lo", Usage(7, 2)])
    (whole,) = await collect(client_of(Cassette(path)), stream=False)
    assert (whole.text, whole.usage.output_tokens) == ("Hello", 2)
    headers = {"X-Tenant": "7"}
    limits = Timeouts(total=5)
    events = await collect(client_of(Cassette(path)), headers=headers, timeouts=limits)
    assert "".join(event.text for event in events) == "Hello"


async def test_a_loop_of_tools_is_played(path: Path) -> None:
    def look(place: str) -> str:
        """Look."""
        return f"rain in {place}"

    call = ToolCall("c1", "look", '{"place": "Bern"}', input={"place": "Bern"})
    live = Cassette(path, record=ScriptedProvider([call, Usage(7, 1)], ["Rain."]))
    recorded = [event async for event in run_tools(client_of(live), HI, [look])]
    played = [event async for event in run_tools(client_of(Cassette(path)), HI, [look])]
    assert played == recorded
    assert len(takes(path)) == 2


async def test_structured_answers_ask_as_the_recorded_provider_is_asked(path: Path) -> None:
    class Native(ScriptedProvider):
        name = "native"
        traits = ProviderTraits(default_model="n-1", schemas=SchemaSupport(native=True))

    live = client_of(Cassette(path, record=Native(['{"a": 1}'])))
    assert await structured.parse(live, HI, dict[str, int]) == {"a": 1}
    assert takes(path)[0]["request"]["response_format"]
    assert await structured.parse(client_of(Cassette(path)), HI, dict[str, int]) == {"a": 1}
    assert client_of(Cassette(path)).target(None).model == "n-1"


# --- another request --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"seed": 2}, "seed is 2, and 1 is recorded"),
        ({"seed": None}, "seed isn't asked, and 1 is recorded"),
        ({"seed": 1, "top_p": 0.5}, "top_p is 0.5, and isn't recorded"),
        ({"seed": 1, "model": "m-2"}, "model is 'm-2', and 'script' is recorded"),
        ({"seed": 1, "stop": ["x"]}, r"stop is \['x'\], and isn't recorded"),
        (
            {"seed": 1, "messages": [{"role": "user", "content": "ho"}]},
            r"messages\[0\].parts\[0\].text is 'ho', and 'hi' is recorded",
        ),
        (
            {"seed": 1, "messages": [*HI, {"role": "assistant", "content": "ho"}]},
            r"messages\[1\] is .*, and isn't recorded",
        ),
        (
            {"seed": 1, "provider_options": {"scripted": {"x": [1, 2]}}},
            "provider_options is .*, and isn't recorded",
        ),
    ],
)
async def test_an_unknown_request_says_how_it_differs_from_the_nearest(
    changed: Any, words: str, path: Path
) -> None:
    await record(path, ["Hello"], seed=1)
    far = [{"role": "user", "content": "something else"}]
    live = client_of(Cassette(path, record=ScriptedProvider(["Hm"])))
    await collect(live, far, seed=9, temperature=0.1, max_tokens=3)
    asked = {"messages": HI, **changed}
    for streaming in (True, False):
        with pytest.raises(ConfigurationError, match=f"{words}; to record it") as raised:
            await collect(
                client_of(Cassette(path)),
                asked["messages"],
                stream=streaming,
                **{name: value for name, value in changed.items() if name != "messages"},
            )
        assert "it has 2 of others" in str(raised.value)


async def test_of_long_texts_the_place_where_they_differ_is_shown(path: Path) -> None:
    story = [{"role": "user", "content": "a" * 500 + "one" + "b" * 500}]
    other = [{"role": "user", "content": "a" * 500 + "two" + "b" * 500}]
    live = client_of(Cassette(path, record=ScriptedProvider(["Hello"])))
    await collect(live, story)
    with pytest.raises(ConfigurationError) as raised:
        await collect(client_of(Cassette(path)), other)
    assert "aaatwobbb" in str(raised.value)
    assert "aaaonebbb" in str(raised.value)
    assert len(str(raised.value)) < 500


async def test_of_many_differences_some_are_named(path: Path) -> None:
    labels = {f"label-{number}": "x" for number in range(9)}
    await record(path, ["Hello"], metadata=dict.fromkeys(labels, "y"))
    with pytest.raises(ConfigurationError, match="; 4 more; to record it"):
        await collect(client_of(Cassette(path)), metadata=labels, model="script")


async def test_a_fallback_s_unknown_request_is_an_error_that_says_so(path: Path) -> None:
    await record(path, ["Hello"], seed=1)
    first = ScriptedProvider([ErrorInfo("quota")])
    events = await collect(client_of(first, fallbacks=[Cassette(path)]))
    failed = check_stream(events)
    assert "then scripted: invalid_request" in failed.error


# --- recording -----------------------------------------------------------------------------------------------


async def test_what_is_recorded_isn_t_asked_again_and_the_rest_is_added(path: Path) -> None:
    await record(path, ["one"], seed=1)
    before = read(path)
    provider = ScriptedProvider(["two"])
    for seed, text in ((1, "one"), (2, "two")):
        cassette = Cassette(path, record=provider)
        assert (await client_of(cassette).complete(HI, seed=seed)).text == text
    assert [request.seed for request in provider.requests] == [2]
    assert read(path).startswith(before[: before.rindex("  }")])


async def test_an_answer_that_its_reader_left_is_played_as_far_as_it_came(path: Path) -> None:
    client = client_of(Cassette(path, record=ScriptedProvider(["one", "two", "three"])))
    async with client.stream(HI) as stream:
        async for event in stream:
            if event.text == "two":
                break
    assert takes(path)[0]["left"] is True
    events = await collect(client_of(Cassette(path)))
    failed = check_stream(events)
    assert "".join(event.text for event in events) == "onetwo"
    assert (failed.error_info.kind, failed.error_info.code) == ("truncated", "recording")


async def test_a_cancelled_task_leaves_what_came(path: Path) -> None:
    began = asyncio.Event()

    class Hanging(ScriptedProvider):
        async def stream(self, request, call):
            yield text_delta("one")
            began.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(collect(client_of(Cassette(path, record=Hanging()))))
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (take,) = takes(path)
    assert take["left"] is True
    assert [event["type"] for event in take["events"]] == ["text_delta"]


async def test_what_a_provider_raises_is_raised_and_isn_t_recorded(
    path: Path, tmp_path: Path
) -> None:
    class Wrong(ScriptedProvider):
        async def stream(self, request, call):
            raise ValueError("top_k is wrong")
            yield

    with pytest.raises(ValueError, match="top_k is wrong"):
        await collect(client_of(Cassette(path, record=Wrong())))
    assert not names(tmp_path)


async def test_many_that_record_at_once_lose_nothing(path: Path) -> None:
    async def ask(client: LLMClient, number: int) -> None:
        messages = [{"role": "user", "content": f"number {number}"}]
        assert (await client.complete(messages)).text == f"answer {number}"

    class Echo(ScriptedProvider):
        async def stream(self, request, call):
            number = request.messages[0].text.split()[1]
            await asyncio.sleep(0)
            yield text_delta(f"answer {number}")
            yield StreamEvent(EventType.MESSAGE_COMPLETE, finish_reason=FinishReason.STOP)

    clients = [client_of(Cassette(path, record=Echo())) for _ in range(3)]
    await asyncio.gather(*(ask(clients[number % 3], number) for number in range(6)))

    def in_a_thread(number: int) -> None:
        asyncio.run(ask(client_of(Cassette(path, record=Echo())), number))

    threads = [asyncio.to_thread(in_a_thread, number) for number in range(6, 12)]
    await asyncio.gather(*threads)
    assert len(takes(path)) == 12
    assert names(path.parent) == [path.name]
    client = client_of(Cassette(path))
    await asyncio.gather(*(ask(client, number) for number in range(12)))


PROCESS = """
import asyncio, sys
from llmstream import LLMClient
from llmstream.testing import Cassette, ScriptedProvider


async def main(path, first):
    for number in range(first, first + 20):
        cassette = Cassette(path, record=ScriptedProvider(["hi"]))
        await LLMClient(provider=cassette).complete([{"role": "user", "content": str(number)}])


asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="folders can't be locked there")
async def test_processes_that_record_at_once_lose_nothing(path: Path) -> None:
    command = [sys.executable, "-c", PROCESS, str(path)]
    running = [await asyncio.create_subprocess_exec(*command, str(first)) for first in (0, 20, 40)]
    assert [await process.wait() for process in running] == [0, 0, 0]
    asked = [take["request"]["messages"][0]["parts"][0]["text"] for take in takes(path)]
    assert sorted(map(int, asked)) == [*range(60)]


async def test_a_file_that_can_t_be_written_is_told(path: Path) -> None:
    path.parent.parent.joinpath("folder").write_text("a file")
    events = await collect(client_of(Cassette(path, record=ScriptedProvider(["Hello"]))))
    assert check_stream(events).error_info.kind == "internal"


# --- the file ------------------------------------------------------------------------------------------------


async def test_the_file_can_be_read_and_compared(path: Path) -> None:
    await record(path, ["Hel", "lo", Usage(7, 2)], seed=1)
    lines = read(path).splitlines()
    assert lines[1:4] == [' "llmstream": "cassette",', ' "version": 1,', ' "provider": "scripted",']
    assert '    "seed": 1' in lines
    assert '    {"at": 0.0, "type": "text_delta", "text_delta": {"content": "Hel"}},' in lines
    before = set(lines)
    await record(path, ["Ho"], seed=2)
    after = read(path).splitlines()
    assert len(before - set(after)) <= 1


EMPTY = (
    '{"llmstream": "cassette", "version": 1, "recordings": [{"request": {"a": 1}, "events": [{}]}]}'
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "isn't JSON"),
        ("[]", "isn't a cassette of version 1"),
        ('{"llmstream": "recording", "version": 1}', "isn't a cassette"),
        ('{"llmstream": "cassette", "version": 2}', "isn't a cassette of version 1"),
        ('{"llmstream": "cassette", "version": 1, "recordings": {}}', "must be a list"),
        ('{"llmstream": "cassette", "version": 1, "recordings": [{}]}', "recording 1 needs"),
        (EMPTY, "recording 1: event 1 can't be read"),
        (
            EMPTY.replace("{}", '{"at": 0, "type": "text"}'),
            "'text' is not a valid EventType",
        ),
        (
            EMPTY.replace("{}", '{"at": "x", "type": "text_delta"}'),
            "event 1 can't be read",
        ),
    ],
)
def test_a_file_that_isn_t_a_cassette_is_refused(text: str, words: str, path: Path) -> None:
    path.parent.mkdir()
    path.write_text(text)
    for record in (None, ScriptedProvider()):
        with pytest.raises(ConfigurationError, match=words):
            Cassette(path, record=record)
    assert path.read_text() == text


@pytest.mark.parametrize(
    ("arguments", "kind", "words"),
    [
        ({}, ConfigurationError, "there is no cassette .*: pass record="),
        ({"record": "llama"}, ConfigurationError, "llama"),
        ({"record": "openai:m"}, ConfigurationError, "OPENAI_API_KEY"),
        ({"record": 3}, TypeError, "record must be a model string"),
        ({"record": LLMClient("simulator")}, TypeError, "not LLMClient"),
        ({"record": "simulator", "speed": 0}, ValueError, "above 0"),
        ({"record": "simulator", "speed": float("nan")}, ValueError, "above 0"),
        ({"record": "simulator", "speed": "fast"}, TypeError, "must be a number"),
        ({"record": "simulator", "redact": "x"}, TypeError, "redact must be a function"),
    ],
)
def test_wrong_arguments_are_named(
    arguments: Any, kind: Any, words: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(kind, match=words):
        Cassette(path, **arguments)


async def test_without_a_key_what_is_recorded_is_played_and_the_rest_needs_the_key(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    async with FaultServer("ok") as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url("openai"))
        recorded = await collect(client_of(Cassette(path, record="openai:m-1")))
    monkeypatch.delenv("OPENAI_API_KEY")
    cassette = Cassette(path, record="openai:m-1")
    assert await collect(client_of(cassette)) == recorded
    with pytest.raises(ConfigurationError, match="OPENAI_API_KEY"):
        await collect(client_of(cassette), seed=1)
    with pytest.raises(ConfigurationError, match="recorded from openai, not from anthropic"):
        Cassette(path, record="anthropic:m-1")


# --- secrets ---------------------------------------------------------------------------------------------------


async def test_no_key_is_in_the_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_API_KEY", KEY)
    header = "sk-any-key-of-a-header"
    hidden = "sk-any-key-of-a-tool"
    mcp = HostedTool({"type": "mcp", "authorization": hidden, "headers": {"X-Auth": hidden}})
    messages = [{"role": "user", "content": f"My key is {KEY}, and {header}."}]
    options = {
        "headers": {"Authorization": f"Bearer {header}"},
        "tools": [mcp],
        "provider_options": {"scripted": {"servers": [{"authorization_token": hidden}]}},
    }
    answer = [f"It is {KEY}.", ErrorInfo("server", f"no such key: {header}", retryable=False)]
    live = client_of(Cassette(path, record=ScriptedProvider(answer)))
    events = await collect(live, messages, **options)
    assert events[1].text == f"It is {KEY}."
    text = read(path)
    assert not any(secret in text for secret in (KEY, header, hidden))
    assert "My key is [key], and [key]." in text
    played = await collect(client_of(Cassette(path)), messages, **options)
    assert played[1].text == "It is [key]."
    assert KEY not in repr(Cassette(path)) + repr(vars(Cassette(path))["_tape"])


async def test_what_changes_from_day_to_day_can_be_redacted(path: Path) -> None:
    def redact(text: str) -> str:
        return text.replace("Monday", "DAY").replace("Tuesday", "DAY")

    for day in ("Monday", "Tuesday"):
        messages = [{"role": "system", "content": f"It is {day}."}, *HI]
        provider = ScriptedProvider([f"{day} it is."])
        cassette = Cassette(path, record=provider, redact=redact)
        text = (await client_of(cassette).complete(messages)).text
        assert text == ("Monday it is." if day == "Monday" else "DAY it is.")
    assert len(takes(path)) == 1


async def test_of_an_image_the_file_has_a_digest(path: Path) -> None:
    def messages(byte: int) -> list[Message]:
        image = ImagePart(data=b"\x89PNG\r\n\x1a\n" + bytes([byte]) * 5000, media_type="image/png")
        return [Message("user", [TextPart("What is it?"), image])]

    live = client_of(Cassette(path, record=ScriptedProvider(["A cat."])))
    await collect(live, messages(1))
    assert len(read(path)) < 1500
    client = client_of(Cassette(path))
    assert (await client.complete(messages(1))).text == "A cat."
    with pytest.raises(ConfigurationError, match="sha256"):
        await client.complete(messages(2))


# --- time -----------------------------------------------------------------------------------------------------


class Slow(ScriptedProvider):
    """Waits three seconds before each of its two words."""

    async def stream(self, request, call):
        for word in ("one", "two"):
            await call.clock.sleep(3)
            yield text_delta(word)
        yield StreamEvent(EventType.MESSAGE_COMPLETE, finish_reason=FinishReason.STOP)


@pytest.mark.parametrize(("speed", "seconds"), [(1, 6), (2.0, 3), (0.5, 12), (float("inf"), 0)])
async def test_it_is_played_as_fast_as_is_asked(speed: float, seconds: float, path: Path) -> None:
    await collect(client_of(Cassette(path, record=Slow())))
    clock = VirtualClock()
    await collect(client_of(Cassette(path, speed=speed), clock=clock))
    assert clock.now == seconds


async def test_the_time_of_the_reader_isn_t_recorded(path: Path) -> None:
    clock = VirtualClock()
    client = client_of(Cassette(path, record=Slow()), clock=clock)
    async for _ in client.chat_completion(HI):
        await clock.sleep(100)
    assert [event["at"] for event in takes(path)[0]["events"]] == [3.0, 6.0, 6.0]


async def test_the_clocks_of_a_call_hold_while_it_is_played(path: Path) -> None:
    await collect(client_of(Cassette(path, record=Slow())))
    for limits, clock, words in (
        (Timeouts(first_token=2), "first_token", ""),
        (Timeouts(idle=2), "idle", "one"),
        (Timeouts(total=5), "total", "one"),
    ):
        once = RetryPolicy(max_attempts=1, budget=None)
        client = client_of(Cassette(path, speed=1), timeouts=limits, retry=once)
        events = await collect(client)
        assert check_stream(events).error_info.code == clock
        assert "".join(event.text for event in events) == words


async def test_closing_it_ends_what_is_played(path: Path) -> None:
    await collect(client_of(Cassette(path, record=Slow())))
    sleeping = asyncio.Event()

    class Watched(VirtualClock):
        async def sleep(self, seconds: float) -> None:
            sleeping.set()
            await asyncio.Event().wait()

    cassette = Cassette(path, speed=1)
    task = asyncio.create_task(collect(client_of(cassette, clock=Watched())))
    await sleeping.wait()
    await cassette.aclose()
    assert check_stream(await task).error_info.code == "closed"


async def test_raw_frames_are_played_where_they_are_asked_for(path: Path) -> None:
    async with FaultServer("ok") as server:
        settings = {"api_key": KEY, "base_url": server.url("openai")}
        live = Cassette(path, record=create(ProviderConfig("openai", **settings)))
        recorded = await collect(client_of(live, include_raw=True), model="m")
    assert any(event.raw for event in recorded)
    assert await collect(client_of(Cassette(path), include_raw=True), model="m") == recorded
    played = await collect(client_of(Cassette(path)), model="m")
    assert not any(event.raw for event in played)


# --- the page ------------------------------------------------------------------------------------------------


async def test_the_program_of_the_page_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (program,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, Any] = {}
    exec(f"async def run():\n{textwrap.indent(program, '    ')}", names)  # our own page
    await names["run"]()
    assert len(takes(tmp_path / "answers.json")) == 1


def test_the_page_names_everything_for_tests() -> None:
    told = set(re.findall(r"\w+", PAGE))
    parts = {"Fault", "Received", "Reply"}  # of a FaultServer
    assert {*llmstream.testing.__all__} - parts <= told
