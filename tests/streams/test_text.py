"""text, collect and progress."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given

from llmstream import ConfigurationError, ErrorInfo, EventType, LLMError
from llmstream.errors import QuotaError, ServerError, TruncatedError
from llmstream.events.types import reasoning_delta
from llmstream.streams import collect, progress, text
from llmstream.testing import VirtualClock
from tests.grammar_check import add_up
from tests.streams.sources import CALL, Feed, answered, answers, is_text, rounds

CUT = ["a", ErrorInfo("server", "gone")]


async def words(flow):
    return [word async for word in flow]


@pytest.mark.parametrize("stream", [True, False])
async def test_text_is_the_answers_text(stream):
    """In stream and in batch mode."""
    assert "".join(await words(text(Feed(await answered(["Hel", "lo"], stream=stream))))) == "Hello"
    assert (await collect(Feed(await answered(["Hel", "lo"], stream=stream)))).text == "Hello"


@pytest.mark.parametrize("read", [lambda feed: words(text(feed)), collect])
async def test_an_error_is_raised(read):
    """The class that matches; and the source is closed. A stream without end is no answer either."""
    feed = Feed(await answered(["a", ErrorInfo("quota", "no money")]))
    with pytest.raises(QuotaError) as raised:
        await read(feed)
    assert raised.value.info.partial.text == "a"
    assert feed.closed
    with pytest.raises(TruncatedError):
        await read(Feed((await answered(["a"]))[:-1]))
    with pytest.raises(TruncatedError):
        await read(Feed([]))


async def test_collect_needs_the_message():
    """Where it was not kept, it can't be given."""
    with pytest.raises(ConfigurationError, match="keep_message"):
        await collect(Feed(await answered(["a"], keep_message=False)))


async def test_text_cannot_take_back():
    """A RETRY that discards raises what caused it, or tells `on_discard`, and the new text follows."""
    events = await answered(CUT, ["b", "c"], on_interrupt="restart")
    got = []

    async def read():
        async for word in text(Feed(events)):
            got.append(word)  # what came before counts

    with pytest.raises(ServerError, match="on_discard") as raised:
        await read()
    assert (got, raised.value.info.code) == (["a"], "discarded")
    got = []

    async def read_anew():
        async for word in text(Feed(events), on_discard=got.clear):
            got.append(word)  # on_discard empties it

    await read_anew()
    assert got == ["b", "c"]


async def test_a_discard_of_what_was_no_text_matters_not():
    """Nothing was yielded that would have to be taken back."""
    events = await answered(
        [reasoning_delta("hm"), ErrorInfo("server")], ["b"], on_interrupt="restart"
    )
    assert any(event.retry.discard for event in events if event.retry)
    assert await words(text(Feed(events))) == ["b"]


async def test_the_text_of_a_round_stands():
    """A later answer that begins anew discards only its own text."""
    cut = ErrorInfo("truncated", "cut")
    said = ["Let me look. ", CALL]
    events = await rounds(said, [reasoning_delta("hm"), cut], ["Sunny."])
    assert await words(text(Feed(events))) == ["Let me look. ", "Sunny."]
    with pytest.raises(TruncatedError, match="void"):
        await words(text(Feed(await rounds(said, ["It", cut], ["Sunny."]))))
    got = [
        event
        async for event in progress(Feed(await rounds(said, ["It", cut], ["Sunny."])), seconds=0)
    ]
    said = [
        event.status.data["chars"]
        for event in got
        if event.status is not None and event.status.kind == "progress"
    ]
    assert said == [13, 13 + 2, 13 + 6]


@given(answers)
def test_text_and_collect_agree_with_the_stream(events):
    """Whatever the answer: the same text as its end has, or its error."""

    async def run():
        got = []
        try:
            async for word in text(Feed(events), on_discard=got.clear):
                got.append(word)  # noqa: PERF401  # on_discard empties it
        except LLMError as error:
            assert error.info == events[-1].error_info  # noqa: PT017  # not every answer fails
        if events[-1].message is not None and events[-1].type is EventType.MESSAGE_COMPLETE:
            assert "".join(got) == (await collect(Feed(events))).text

    asyncio.run(run())


# --- progress ------------------------------------------------------------------------------------------------


async def test_progress_is_said_now_and_then():
    """After a delta, at most once a second, with what has come so far."""
    clock = VirtualClock()

    async def slow():
        for event in await answered([*"abcdefgh"]):
            if is_text(event):
                await clock.sleep(0.4)
            yield event

    got = [event async for event in progress(slow(), seconds=1.0, clock=clock)]
    said = [event.status for event in got if event.status is not None]
    assert [(s.data["chars"], s.data["deltas"], round(s.data["seconds"], 3)) for s in said] == [
        *((3, 3, 1.2), (6, 6, 2.4))
    ]
    assert said[0].data["first_after"] == pytest.approx(0.4)
    assert said[0].message == "3 characters in 1.2 s"
    assert [event for event in got if event.status is None] == await answered([*"abcdefgh"])


@given(answers)
def test_progress_counts_what_counts(events):
    """The characters since the last RETRY that discards."""

    async def run():
        return [event async for event in progress(Feed(events), seconds=0)]

    got = asyncio.run(run())
    for place, event in enumerate(got):
        if (
            event.status is not None
            and event.status.data is not None
            and "chars" in event.status.data
        ):
            parts = add_up([each for each in got[:place] if each.type is not EventType.TOOL_CALL])
            count = sum(len(getattr(part, "text", "")) for part in parts)
            assert event.status.data["chars"] == count


def test_negative_seconds_are_refused():
    """ValueError at once."""
    with pytest.raises(ValueError, match="seconds"):
        progress(Feed([]), seconds=-1)
