"""Usage that no provider reported: counted by us, said to be an estimate, and close to what vendors count."""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmstream import LLMClient, RetryPolicy, StreamEvent, Usage, catalogue
from llmstream.catalogue import ModelFacts
from llmstream.errors import ErrorInfo
from llmstream.events.types import EventType, ToolCallDelta, reasoning_delta
from llmstream.messages import ReasoningPart, TextPart, ToolCall
from llmstream.observe import ObservedCall, Observer
from llmstream.pricing import Prices
from llmstream.providers.config import TRANSPORTS
from llmstream.testing import ScriptedProvider
from llmstream.token_estimate import estimate_answer, estimate_text
from llmstream.wire.formats import FORMATS, find_format
from tests.loopback import APIS, CutError, Handler, Loopback, Reply, Request, pieces
from tests.recordings import FOLDER, Recording, recordings

HI = [{"role": "user", "content": "hi"}]
CUT = ErrorInfo("truncated", "cut", retryable=False)
TEXTS: dict[str, tuple[int, str]] = json.loads(
    Path(__file__).with_name("texts.json").read_text("utf-8")
)
"""Texts of our own, and the tokens that they are in o200k_base, a vocabulary of OpenAI."""
CJK = re.compile("[\u3000-\u9fff\uac00-\ud7af]")


# --- how close ----------------------------------------------------------------------------------------------------


def assert_close(errors: list[float]) -> None:
    """The middle one within 10 %, and four of five within 30 %."""
    assert median(errors) <= 0.1
    assert sum(error <= 0.3 for error in errors) >= 0.8 * len(errors)


@pytest.mark.parametrize("is_cjk", [False, True], ids=["letters", "CJK"])
def test_an_estimate_is_close_to_the_count_of_a_vocabulary(*, is_cjk: bool) -> None:
    errors = [
        abs(estimate_text(text) / count - 1)
        for count, text in TEXTS.values()
        if len(text) > 200 and bool(CJK.search(text)) == is_cjk
    ]
    assert len(errors) >= 6
    assert_close(errors)


def plain_answer(recording: Recording) -> tuple[str, int] | None:
    """The text of a recorded answer that is nothing but a long one, and its tokens by the provider's count."""
    decoder = find_format(recording.format).make_decoder()
    end = [*decoder.feed(recording.body), *decoder.finish()][-1]
    usage = end.usage
    if end.message is None or usage is None or usage.output_tokens is None:
        return None
    is_plain = {type(part) for part in end.message.parts} == {TextPart}
    if usage.reasoning_tokens or not is_plain or len(end.message.text) <= 200:
        return None
    return end.message.text, usage.output_tokens


@pytest.mark.slow
@pytest.mark.skipif(not FOLDER, reason="LLMSTREAM_WIRE doesn't name the folder of recordings")
def test_an_estimate_is_close_to_what_vendors_count() -> None:
    """At the end of recorded plain texts. None of them is Chinese, Japanese or Korean."""
    found = (each.values[0] for row in FORMATS for each in recordings(row, below=300_000))
    plain = [answer for each in found if each is not None and (answer := plain_answer(each))]
    assert len(plain) >= 15
    assert_close([abs(estimate_text(text) / count - 1) for text, count in plain])


@given(st.text(), st.text())
def test_an_estimate_adds_up_and_so_never_falls(one: str, other: str) -> None:
    """Whatever is written, in whatever pieces."""
    together = estimate_text(one + other)
    assert together >= estimate_text(one)
    assert together == pytest.approx(estimate_text(one) + estimate_text(other))


def test_tool_calls_and_reasoning_are_counted_and_results_are_not() -> None:
    """What a provider's tools found was written by nobody who is paid by the token of an answer."""
    text, call = TextPart("Hello there"), ToolCall("c1", "look_up", '{"city": "Rome"}')
    alone = estimate_answer([text])
    assert alone == estimate_text("Hello there")
    assert estimate_answer([text, ReasoningPart("Hm, Rome")]) > alone
    assert alone + 10 < estimate_answer([text, call]) < alone + 25


# --- where it stands ----------------------------------------------------------------------------------------------


class Bills(Observer):
    """Keeps what calls and their attempts have used."""

    def __init__(self) -> None:
        self.calls: list[ObservedCall] = []
        self.ended = asyncio.Event()

    def end(self, call: ObservedCall) -> None:
        self.calls.append(call)
        self.ended.set()


def assert_counted(usage: Usage | None, output: int = 3) -> None:
    assert usage is not None
    assert usage.input_tokens is not None
    assert usage.output_tokens is not None
    assert usage.estimated
    assert not usage.lacks_reasoning
    assert usage.output_tokens >= output


def answering(format: str, how: str) -> Handler:
    """Sends an answer whose usage nobody reports, or a part of one."""

    async def handler(request: Request, reply: Reply) -> None:
        await reply.head()
        sent = pieces(format, "hello ", "over ", "there", None)
        for data in sent[:-1] if how != "silent" else sent:
            await reply.send(data)
        if how == "cut":
            raise CutError
        if how == "silent":
            await reply.end()
            return
        await asyncio.Event().wait()

    return handler


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("how", ["silent", "cut", "left", "cancelled"])
@pytest.mark.parametrize(
    "provider",
    [pytest.param(each, marks=() if each == "openai" else pytest.mark.slow) for each in APIS],
)
async def test_what_nobody_reported_is_estimated(provider: str, how: str, transport: Any) -> None:
    """In every format, however the answer ends."""
    bills = Bills()
    async with (
        Loopback(answering(APIS[provider], how)) as server,
        LLMClient(
            f"{provider}:m-1",
            api_key="k",
            base_url=server.url(provider),
            transport=transport,
            observers=[bills],
            retry=RetryPolicy(max_attempts=1),
        ) as client,
    ):
        last = await read(client, how)
    (call,) = bills.calls
    assert_counted(call.usage, 2)
    assert_counted(call.attempts[0].usage, 2)
    if how in ("silent", "cut"):
        assert_counted(last.usage)


async def read(client: LLMClient, how: str) -> StreamEvent:
    """The last event that is seen."""
    seen: list[StreamEvent] = []
    came = asyncio.Event()

    async def reading() -> None:
        async with client.stream(HI) as stream:
            async for event in stream:
                seen.append(event)
                if "over" in event.text:
                    came.set()
                    if how == "left":
                        return

    task = asyncio.ensure_future(reading())
    if how == "cancelled":
        await came.wait()
        task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    return seen[-1]


async def last_of(*attempt: Any, stream: bool = True, **options: Any) -> StreamEvent:
    effort = options.pop("reasoning_effort", None)
    async with LLMClient(provider=ScriptedProvider(list(attempt)), **options) as client:
        found = client.chat_completion(HI, stream, reasoning_effort=effort)
        return [event async for event in found][-1]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("keep_message", [True, False])
@pytest.mark.parametrize("end", [(), (CUT,)], ids=["silent", "cut"])
async def test_it_stands_on_the_terminal_event(
    end: Any, *, keep_message: bool, stream: bool
) -> None:
    """In both modes, and where the message isn't kept."""
    words = ["word "] * 200
    last = await last_of(*words, *end, stream=stream, keep_message=keep_message)
    assert_counted(last.usage, 150)
    assert last.usage == (await last_of("word " * 200, *end)).usage


REPORTED = {
    "all of it": (Usage(7, 9), Usage(7, 9)),
    "the prompt": (Usage(7), Usage(7, 3, estimated=True)),
    "the answer": (Usage(None, 9), Usage(5, 9, estimated=True)),
    "more than came": (Usage(7, 1), Usage(7, 1)),
    "cached tokens": (Usage(7, cache_read_tokens=4), Usage(7, 3, 4, estimated=True)),
}


@pytest.mark.parametrize("name", REPORTED)
async def test_what_a_provider_reported_stands(name: str) -> None:
    reported, expected = REPORTED[name]
    assert (await last_of("hello over there", reported)).usage == expected


async def test_a_report_on_the_way_is_a_least_number() -> None:
    """Anthropic reports one token with the first piece; who is cut later has more."""
    cut = await last_of("hello over there", Usage(7, 1), CUT)
    assert cut.usage == Usage(7, 3, estimated=True)
    assert (await last_of("hello over there", Usage(7, 90), CUT)).usage == Usage(7, 90)


async def test_where_nothing_came_nothing_is_counted() -> None:
    """A refused request isn't billed."""
    assert (await last_of(ErrorInfo("invalid_request", status_code=400))).usage is None
    assert (await last_of(CUT)).usage is None


async def test_a_call_that_was_cut_is_counted() -> None:
    delta = ToolCallDelta(0, "c1", "look_up", '{"city": "Rome", "days": 3')
    assert_counted(
        (await last_of(StreamEvent(EventType.TOOL_CALL_DELTA, tool_call_delta=delta), CUT)).usage,
        15,
    )


@pytest.mark.parametrize("end", [(), (CUT,)], ids=["silent", "cut"])
async def test_an_estimate_says_that_it_lacks_hidden_reasoning(
    end: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where reasoning was asked for or is known, and none or only a summary of it is shown."""
    asked = await last_of("hello", *end, reasoning_effort="high")
    assert asked.usage is not None
    assert asked.usage.lacks_reasoning
    shown = await last_of(reasoning_delta("Hm"), "hello", *end, reasoning_effort="high")
    assert_counted(shown.usage, 1)
    not_asked = await last_of("hello", *end, reasoning_effort="none")
    assert_counted(not_asked.usage, 1)
    reported = await last_of("hello", Usage(7, 90), *end, reasoning_effort="high")
    assert reported.usage == Usage(7, 90)
    monkeypatch.setattr(catalogue, "_registered", {})
    catalogue.register("scripted:script", ModelFacts(reasoning=True))
    known = await last_of("hello", *end)
    assert known.usage is not None
    assert known.usage.lacks_reasoning
    assert Usage.from_dict(known.usage.to_dict()) == known.usage


async def test_an_estimate_has_a_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "_registered", {})
    catalogue.register("scripted:script", ModelFacts(prices=Prices("2", "10")))
    usage = (await last_of("hello over there", CUT)).usage
    assert usage is not None
    assert usage.estimated
    assert usage.cost == Decimal("0.00004")  # 5 tokens in, 3 out
