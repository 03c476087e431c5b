"""The small parts: the closing line, harmless text, the order of what is shown."""

from __future__ import annotations

import io
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmstream.cli.markdown import LIMIT
from llmstream.cli.painter import MarkdownShow
from llmstream.cli.screen import Harmless, one_line
from llmstream.cli.show import Show
from llmstream.cli.summary_line import Timing, closing_line
from llmstream.events.types import EventType, Retry, StreamEvent, reasoning_delta, text_delta
from llmstream.messages import Usage


@given(st.lists(st.text(alphabet="a\r\n\x1b\x07\x9b漢\t", max_size=5)))
def test_harmless_text_is_the_same_however_it_is_cut(parts: list[str]) -> None:
    harmless = Harmless()
    shown = "".join(harmless.feed(part) for part in parts)
    assert shown == Harmless().feed("".join(parts))
    assert not set(shown) - set("a\n␛␇\ufffd漢\t")


def test_every_control_character_is_harmless() -> None:
    controls = "".join(map(chr, (*range(32), *range(127, 160))))
    assert all(char.isprintable() or char in "\n\t" for char in Harmless().feed(controls))
    assert one_line("a\x1b[2J\n b") == "a␛[2J b"


@pytest.mark.parametrize(
    ("usage", "timing", "line"),
    [
        (
            Usage(12, 345),
            Timing(0, 0.42, 4.39),
            "m · 12 tokens in, 345 out · first token after 0.42 s · 87 tokens/s",
        ),
        (
            Usage(12, 3),
            Timing(0, 0.5, 2.0),
            "m · 12 tokens in, 3 out · first token after 0.50 s · 2.0 tokens/s",
        ),
        (Usage(None, 3), Timing(0, None, 2.0), "m · 3 tokens out · 2.00 s"),
        (Usage(1, 20, reasoning_tokens=5), Timing(0), "m · 1 tokens in, 20 out (5 reasoning)"),
        (Usage(1, 2, estimated=True), Timing(0), "m · about 1 tokens in, 2 out (estimated)"),
        (Usage(), Timing(0, 1, 1), "m · tokens not reported · first token after 1.00 s"),
        (Usage(1, 2, cost=Decimal(0)), Timing(0), "m · 1 tokens in, 2 out · $0"),
        (Usage(1, 2, cost=Decimal("0.00042751")), Timing(0), "m · 1 tokens in, 2 out · $0.00043"),
        (Usage(1, 2, cost=Decimal("0.0312")), Timing(0), "m · 1 tokens in, 2 out · $0.031"),
        (Usage(1, 2, cost=Decimal("12.3456")), Timing(0), "m · 1 tokens in, 2 out · $12.35"),
        (None, Timing(0, 1, 2), "m · tokens not reported · first token after 1.00 s"),
    ],
)
def test_the_closing_line(usage: Usage | None, timing: Timing, line: str) -> None:
    assert closing_line("m", usage, timing) == line


def test_a_discarding_retry_says_that_the_answer_starts_again() -> None:
    out, err = io.StringIO(), io.StringIO()
    show = Show(out, err)
    retry = Retry(2, 3, 4.2, "rate_limit: slow down", "rate_limit", discard=True)
    for event in (
        text_delta("Hel"),
        StreamEvent(EventType.RETRY, retry=retry),
        text_delta("Hello"),
    ):
        show.event(event)
    show.end()
    assert out.getvalue() == "HelHello\n"
    assert err.getvalue().splitlines() == [
        "rate limited, retrying in 4 s (attempt 2 of 3)",
        "the answer starts again:",
    ]


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("refusal", "the model refused to answer, asking b:m-2"),
        ("invalid_request", "invalid request, asking b:m-2"),
        ("server", "the server failed, asking b:m-2"),
    ],
)
def test_a_fallback_is_named(kind: str, line: str) -> None:
    err = io.StringIO()
    retry = Retry(1, 3, 0.0, "why", kind, "b", "m-2", fallback=True)
    Show(io.StringIO(), err).event(StreamEvent(EventType.RETRY, retry=retry))
    assert err.getvalue() == f"{line}\n"


def test_a_request_without_what_was_refused_is_not_called_an_attempt() -> None:
    err = io.StringIO()
    Show(io.StringIO(), err).event(
        StreamEvent(EventType.RETRY, retry=Retry(1, 3, 0, "no such field", "invalid_request"))
    )
    assert err.getvalue() == "asking again without what the server refuses\n"


def test_reasoning_goes_to_stderr_and_only_when_asked_for() -> None:
    for wanted, said in ((True, "hm, yes\n"), (False, "")):
        out, err = io.StringIO(), io.StringIO()
        show = Show(out, err, reasoning=wanted)
        for event in (reasoning_delta("hm, "), reasoning_delta("yes"), text_delta("42")):
            show.event(event)
        show.end()
        assert (out.getvalue(), err.getvalue()) == ("42\n", said)


def test_the_work_per_tick_is_constant_and_in_all_linear() -> None:
    """Counted in characters given to rich, not in seconds."""
    block = f"## Part\n\n{'Lorem **ipsum** dolor `sit` amet. ' * 8}\n\n- one\n- two\n\n```py\nx = 1\n```\n\n"

    def work(length: int) -> int:
        text = (block * (length // len(block) + 1))[:length]
        show = MarkdownShow(io.StringIO(), io.StringIO())
        for start in range(0, length, 40):
            before = show.rendered
            show.text(text[start : start + 40])
            show.tick()
            assert show.rendered - before <= 2 * LIMIT + 200  # what was finished, and what is open
        show.end()
        return show.rendered

    short, long = work(2_500), work(20_000)
    assert long <= 8.2 * short
