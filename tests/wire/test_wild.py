"""What servers in the wild send: nothing is lost, doubled or invented, in both modes and over each transport."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from llmstream import EventType, LLMClient, RetryPolicy, StreamEvent, wire
from llmstream.messages import Message, ReasoningPart
from llmstream.providers.config import TRANSPORTS
from tests.grammar_check import check_calls, check_stream
from tests.loopback import Loopback, Reply, Request
from tests.recordings import bytewise, decode, random_cuts
from tests.wire.wild.row import Row
from tests.wire.wild.rows import rows

ROWS = rows()
ROWS_OF = {row.provider: [each for each in ROWS if each.provider == row.provider] for row in ROWS}
"""The rows by who is asked."""
TYPES = {
    "all calls": "tool_call",
    "files": "file",
    "results": "tool_result",
    "sealed": "provider",
    "sources": "source",
}
"""The types of parts that are counted."""
KEY = "sk-key-of-the-wild-0123456789"
each = pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.format}-{row.name}")


def check(events: Sequence[StreamEvent], expect: dict[str, Any]) -> None:
    """Assert that an answer, of either mode, is what is expected of it."""
    last = events[-1]
    info = last.error_info
    message = last.message or (info and info.partial) or Message("assistant")
    assert (info and info.kind) == expect.get("error"), last
    for name in ("text", "reasoning", "refusal"):
        assert getattr(message, name) == expect.get(name, getattr(message, name))
    if "calls" in expect:
        check_expected_calls(message, expect["calls"])
    if "phases" in expect:
        texts = [part for part in message.parts if part.type == "text"]
        assert [(part.provider_data or {}).get("phase") for part in texts] == expect["phases"]
    if "finish" in expect:
        assert last.finish_reason == expect["finish"]
    if "code" in expect:
        check_not_understood(last)
    if "stop_details" in expect:
        assert last.stop_details == expect["stop_details"]
    for name, type in TYPES.items():
        if name in expect:
            assert sum(part.type == type for part in message.parts) == expect[name]
    if "signed" in expect:
        assert sum(bool(part.signature) for part in reasoning_of(message)) == expect["signed"]
    if "signatures" in expect:
        assert signatures(message) == expect["signatures"]
    for kind, name in (("reasoning", "kept"), ("tool_call", "noted")):
        if name in expect:
            found = [part for part in message.parts if part.type == kind]
            assert sum(bool(part.provider_data) for part in found) == expect[name]
    for name, count in expect.get("usage", {}).items():
        assert getattr(last.usage, name) == count


def signatures(message: Message) -> list[str]:
    """Those of the reasoning, each with its words."""
    return [part.signature for part in reasoning_of(message) if part.signature and part.text]


def reasoning_of(message: Message) -> list[ReasoningPart]:
    """All of it, without words too."""
    return [part for part in message.parts if isinstance(part, ReasoningPart)]


def check_expected_calls(message: Message, expected: list[dict[str, Any]]) -> None:
    """Names, input and arguments; ids are all different."""
    calls = message.tool_calls
    shown = [
        {name: getattr(call, name) for name in wanted}
        for call, wanted in zip(calls, expected, strict=True)
    ]
    assert shown == expected
    assert len({call.id for call in calls}) == len(calls)
    assert all(call.name for call in calls)


def check_not_understood(last: StreamEvent) -> None:
    """It says so, is not asked for again, and shows what came."""
    info = last.error_info
    assert info is not None
    assert (info.code, info.retryable) == ("not_understood", False)
    assert isinstance(last.raw, str)
    assert last.raw.isprintable()
    assert last.raw


def unread(events: Sequence[StreamEvent]) -> list[str]:
    """The members that the one STATUS names."""
    found = [event.status for event in events if event.status and event.status.kind == "unread"]
    assert len(found) <= 1
    return sorted(found[0].data["members"]) if found and found[0].data else []


@each
def test_the_decoder_makes_of_it_what_is_right(row: Row) -> None:
    """In any pieces; and the stream is a legal one."""
    events = decode(lambda: wire.decoder(row.format), [row.body])
    check_stream(events)
    check_calls(events)
    check(events, row.expect)
    if "unread" in row.expect or "error" not in row.expect:
        assert unread(events) == row.expect.get("unread", [])
    for pieces in (bytewise(row.body), random_cuts(row.body, 1), random_cuts(row.body, 2)):
        assert decode(lambda: wire.decoder(row.format), pieces) == events


@pytest.fixture(params=[TRANSPORTS[0], pytest.param(TRANSPORTS[1], marks=pytest.mark.slow)])
def transport(request: pytest.FixtureRequest) -> str:
    """Each of them."""
    return str(request.param)


@pytest.mark.parametrize(
    ("over", "step"),
    [(TRANSPORTS[0], 8), *(pytest.param(name, 1, marks=pytest.mark.slow) for name in TRANSPORTS)],
)
async def test_clients_get_what_is_right_in_both_modes(over: str, step: int) -> None:
    """Over each transport, every row; a few of them in each run."""
    rows_of = {provider: ROWS_OF[provider][::step] for provider in ROWS_OF}
    current: Row = ROWS[0]

    async def answer(request: Request, reply: Reply) -> None:
        await reply.head(content_type=current.content_type)
        await reply.send(current.body)
        await reply.end()

    async with Loopback(answer) as server:
        for provider, played in rows_of.items():
            async with LLMClient(
                f"{provider}:m",
                api_key="k",
                base_url=server.url(provider),
                retry=RetryPolicy(max_attempts=1),
                transport=over,
                allow_insecure_http=True,
            ) as client:
                for current in played:
                    for stream in (True, False):
                        messages = [{"role": "user", "content": "hi"}]
                        asked = client.chat_completion(messages, stream=stream)
                        events = [event async for event in asked]
                        check(events, current.expect | estimated(current))
                        if stream and "unread" in current.expect:
                            assert unread(events) == current.expect["unread"]


def estimated(row: Row) -> dict[str, Any]:
    """The client estimates what the provider didn't count; that isn't compared."""
    counts = row.expect.get("usage", {})
    return {"usage": {name: count for name, count in counts.items() if count is not None}}


async def test_what_was_not_understood_is_logged_without_the_key(
    transport: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It is asked for once, and whoever reads the log can see what it was."""

    async def answer(request: Request, reply: Reply) -> None:
        told = {"answer": "Hello\n\x1b[31m", "you_sent": request.headers["authorization"]}
        await reply.head()
        await reply.send(b"data: " + json.dumps(told).encode() + b"\n\ndata: [DONE]\n\n")
        await reply.end()

    async with (
        Loopback(answer) as server,
        LLMClient(
            "openai:m",
            api_key=KEY,
            base_url=server.url("openai"),
            transport=transport,
            allow_insecure_http=True,
        ) as client,
    ):
        for stream in (True, False):
            asked = client.chat_completion([{"role": "user", "content": "hi"}], stream=stream)
            last = [event async for event in asked][-1]
            check_not_understood(last)
            assert "answer" in str(last.error)
            assert KEY not in repr(last)
    assert len(server.requests) == 2
    logged = [record.getMessage() for record in caplog.records]
    shown = [line for line in logged if "isn't understood" in line]
    assert len(shown) == 2
    assert all("Hello" in line and KEY not in line and line.isprintable() for line in shown)


def test_nothing_that_a_server_says_leaves_the_terminal() -> None:
    """What wasn't understood is shown escaped, and cut."""
    body = b"data: " + json.dumps({"\x1b[31m": "\x07" * 5000}).encode() + b"\n\ndata: [DONE]\n\n"
    last = decode(lambda: wire.decoder("openai-chat"), [body])[-1]
    check_not_understood(last)
    assert last.type is EventType.ERROR
    assert str(last.error).isprintable()
    assert len(last.raw) < 10_000
