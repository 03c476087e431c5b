"""coalesce: re-cut by unit, size and time."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from llmstream import ErrorInfo, EventType, Status, StreamEvent
from llmstream.events.types import Retry, opaque, reasoning_delta, text_delta
from llmstream.streams import coalesce
from llmstream.testing import VirtualClock
from tests.streams.sources import Feed, answer


async def deltas(events, *args, **options):
    return [event.text async for event in coalesce(Feed(events), *args, **options) if event.text]


def chunks(text, cuts):
    """The text as deltas, cut at these places."""
    places = sorted({cut % (len(text) + 1) for cut in cuts} | {0, len(text)})
    return [text_delta(text[a:b]) for a, b in pairwise(places) if a < b]


@pytest.mark.parametrize(
    ("by", "text", "units"),
    [
        ("word", "Hello big  world", ["Hello ", "big ", " world"]),
        ("word", " \n\nA list:\n- one\n", [" \n\nA ", "list:\n", "- ", "one\n"]),
        ("word", "在GPT里 naïve", ["在", "GPT", "里", " naïve"]),
        ("line", "one\r\ntwo\n\nthree", ["one\r\n", "two\n", "\n", "three"]),
        (
            "sentence",
            'He said "no." Why? 3.14 is pi… ok',
            ['He said "no." ', "Why? ", "3.14 is pi… ", "ok"],
        ),
        ("sentence", "今日は。元気?\n", ["今日は。", "元気?\n"]),
        ("sentence", "A title\nA text.", ["A title\n", "A text."]),
    ],
)
@example(cuts=[])
@example(cuts=[*range(40)])
@given(cuts=st.lists(st.integers(0, 40), max_size=12))
def test_every_delta_is_one_unit_however_the_text_came(by, text, units, cuts):
    """Words keep the space after them; the rest that is no whole unit comes last."""
    assert asyncio.run(deltas(chunks(text, cuts), by)) == units


@given(
    st.text("ab. \n世", max_size=200),
    st.lists(st.integers(0, 200), max_size=30),
    st.integers(1, 20),
)
def test_nothing_longer_than_the_limit_is_held(text, cuts, chars):
    """At every moment, what came and has not left is shorter than `chars`."""

    async def run():
        feed = Feed(chunks(text, cuts))
        came = left = 0
        async for event in coalesce(feed, "line", chars=chars):
            left += len(event.text)
            came = sum(len(each.text) for each in feed.events[: feed.read])
            assert came - left < chars + max(len(each.text) for each in feed.events)

        assert left == len(text)
        held = coalesce(Feed(chunks(text.replace("\n", " "), cuts)), "line", chars=chars)
        assert all(len(e.text) >= chars for e in [e async for e in held][:-1])

    asyncio.run(run())


def test_a_word_without_end_leaves():
    """A long URL, or Thai, which has no spaces, comes in pieces of the default limit."""
    assert asyncio.run(deltas([text_delta("x")] * 200, "word")) == ["x" * 80, "x" * 80, "x" * 40]


def test_other_events_keep_their_place():
    """Text leaves before what follows it, kinds are not mixed, and the events are the source's own.

    Only a STATUS passes ahead, for it would cut a word in two.
    """
    events = [text_delta("a"), reasoning_delta("b"), reasoning_delta("c"), text_delta("d")]
    events = answer(
        [*events, StreamEvent(EventType.STATUS, status=Status("queued")), text_delta("e")]
    )
    got = asyncio.run(_all(coalesce(Feed(events), by="line")))
    assert [event.type.name for event in got] == [
        *(
            "MESSAGE_START",
            "TEXT_DELTA",
            "REASONING_DELTA",
            "STATUS",
            "TEXT_DELTA",
            "MESSAGE_COMPLETE",
        )
    ]
    assert [event.text for event in got if event.text] == ["a", "de"]
    signed = answer([reasoning_delta("b"), opaque("f", signature="s"), text_delta("a")])
    assert asyncio.run(_all(coalesce(Feed(signed), by="line"))) == signed
    assert got[-1] is events[-1]


async def _all(flow):
    return [event async for event in flow]


def test_a_discarding_retry_drops_what_is_held():
    """An attempt of which all was held leaves no trace: nothing to discard."""
    events = answer(["a", ErrorInfo("server")], ["b"], on_interrupt="restart")
    got = asyncio.run(_all(coalesce(Feed(events), by="word")))
    assert [event.type.name for event in got] == [
        "RETRY",
        "MESSAGE_START",
        "TEXT_DELTA",
        "MESSAGE_COMPLETE",
    ]
    assert [event.retry.discard for event in got if event.retry] == [False]
    assert got[1].start.id == "script-2"
    got = asyncio.run(
        _all(
            coalesce(
                Feed(answer(["a b", ErrorInfo("server")], ["c"], on_interrupt="restart")), "word"
            )
        )
    )
    assert [event.text for event in got] == ["", "a ", "", "", "c", ""]
    assert [event.retry.discard for event in got if event.retry] == [True]
    assert events[2].retry.discard, "the source's own event stays as it is"


# --- time ----------------------------------------------------------------------------------------------------


async def timed(clock, *script):
    """Events and waits."""
    for step in script:
        if isinstance(step, (int, float)):
            await clock.sleep(step)
        else:
            yield text_delta(step)


@pytest.mark.parametrize(
    ("script", "options", "got"),
    [
        (["a", 0.01, "b", 0.01, "c", 0.2, "d"], {}, [(0, "a"), (0.1, "bc"), (0.22, "d")]),
        (["a", 0.3, "b", 5, "c"], {}, [(0, "a"), (0.3, "b"), (5.3, "c")]),
        (["a", 0.05, "b", 9], {}, [(0, "a"), (0.1, "b")]),
        (
            ["a", 0.05, "bcdefgh", 0.01, "i", 9],
            {"chars": 5},
            [(0, "a"), (0.05, "bcdefgh"), (0.15, "i")],
        ),
        (
            ["One tw", 0.05, "o th", 5, "ree"],
            {"by": "word"},
            [(0, "One "), (0.05, "two "), (0.15, "th"), (5.05, "ree")],
        ),
    ],
)
async def test_no_text_waits_longer(script, options, got):
    """Deltas leave at most every 0.1 s, the first at once; with `by`, whole words at once and the rest after 0.1 s."""
    clock = VirtualClock()
    flow = coalesce(timed(clock, *script), seconds=0.1, clock=clock, **options)
    assert [(round(clock.now, 6), event.text) async for event in flow] == got


async def test_a_slow_consumer_gets_in_one_what_came_meanwhile():
    """Held text is merged while the consumer is busy."""
    clock = VirtualClock()
    seen = []
    async with aclosing(
        coalesce(timed(clock, *("a", 0.01) * 40), seconds=0.05, clock=clock)
    ) as flow:
        async for event in flow:
            seen.append(event.text)
            await clock.sleep(0.1)
    assert "".join(seen) == "a" * 40
    assert len(seen) <= 6


@pytest.mark.parametrize(
    "options",
    [{}, {"by": "letter"}, {"seconds": 0}, {"seconds": float("nan")}, {"by": "word", "chars": 0}],
)
def test_wrong_arguments_raise_at_once(options):
    """Before anything is read."""
    with pytest.raises(ValueError, match=r"by|seconds"):
        coalesce(Feed([]), **options)


def test_a_retry_that_goes_on_comes_after_the_text():
    """Nothing is lost where an answer goes on."""
    retry = StreamEvent(EventType.RETRY, retry=Retry(2, 3, 0.0, "", "server"))
    got = asyncio.run(_all(coalesce(Feed([text_delta("a"), retry, text_delta("b")]), "word")))
    assert [event.text for event in got] == ["a", "", "b"]
