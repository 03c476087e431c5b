"""A long answer keeps every frame short."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from llmstream import EventType, StreamEvent
from llmstream.messages import FinishReason, Message, Source, TextPart

expect = pytest.importorskip("playwright.async_api", reason="the page is tested with playwright").expect
pytestmark = pytest.mark.asyncio(loop_scope="module")


WATCH = """() => {
  window.frames_seen = 0; window.blocked = [];
  const tick = () => { window.frames_seen += 1; requestAnimationFrame(tick); };
  tick();
  new PerformanceObserver((list) => blocked.push(...list.getEntries().map((entry) => 50 + entry.blockingDuration)))
    .observe({ type: 'long-animation-frame' });
}"""


LINK = "[goes](https://example.org/x)."
WORDS = ["The", "quick", "**brown", "fox**", "jumps", "over", "`it`", "and", LINK]


def one_line():
    """A paragraph that never ends."""
    return (f"{word} " for word in itertools.cycle(WORDS))


def chapters():
    """Text as models write it, in pieces of a few characters."""
    for number in itertools.count():
        yield f"## Part {number}\n\n"
        yield from (f"{word} " for word in WORDS * 4)
        yield "\n\n"
        yield from itertools.chain.from_iterable(["1. ", *(f"{word} " for word in WORDS), "\n"] for _ in range(5))
        yield "\n```python\n"
        yield from ["def", " f", "(x", "):", " return", " x", "\n"] * 20
        yield "```\n\n| a | b |\n|---|---|\n"
        yield from ["| one ", "| two |\n"] * 6
        yield "\n"


def table():
    """A table that never ends."""
    rows = (["| x ", f"| {LINK} ", f"| {n} |\n"] for n in itertools.count())
    return itertools.chain(["| a | b | c |\n", "|---|---|---|\n"], itertools.chain.from_iterable(rows))


def nested_list():
    """A list in a list that never ends."""
    items = (["- item", f" {n}", " *has* ", LINK, "\n", f"  - nested {n}\n"] for n in itertools.count())
    return itertools.chain.from_iterable(items)


def code():
    """A block of code that never ends."""
    lines = (["    def", f" f{n}", "(x):", " return", " x", "\n"] for n in itertools.count())
    return itertools.chain(["```python\n"], itertools.chain.from_iterable(lines))


def quotes():
    """Quotes in quotes that never end."""
    lines = (["> ", "> " * (n % 4), "quoted ", LINK, "\n"] for n in itertools.count())
    return itertools.chain.from_iterable(lines)


async def flood(chat, text, *more):
    """Have the page show these tokens, and `more` after them; its longest frame, in milliseconds of work."""
    await chat.page.evaluate(WATCH)
    asked = await chat.ask()
    asked.start()
    for at in range(0, len(text), 100):
        asked.say(*text[at : at + 100])
        await asyncio.sleep(0.001)
    asked.say(*more)
    whole = Message("assistant", [TextPart("".join(text))])
    asked.say(StreamEvent(EventType.MESSAGE_COMPLETE, message=whole, finish_reason=FinishReason.STOP))
    await chat.page.locator(".answer:not([aria-busy]) .meta").wait_for(state="attached", timeout=90_000)
    seen, blocked = await chat.page.evaluate("[frames_seen, blocked]")
    longest = max(blocked, default=0)
    print(f"{seen} frames, {len(blocked)} over 50 ms, the longest {longest:.0f} ms")
    assert seen > 60
    return longest


@pytest.mark.parametrize("tokens", [chapters, one_line, table, nested_list, code, quotes])
async def test_100_000_tokens_without_a_frame_over_200_ms(chat, tokens):
    """A frame's work is what the page holds the browser up for: on a busy machine longer, hence the second run."""
    text = list(itertools.islice(tokens(), 100_000))
    longest = await flood(chat, text)
    links = await chat.answer.locator("a").count()
    assert links == sum("example.org" in piece for piece in text)
    if longest >= 200:
        await chat.page.get_by_role("button", name="New chat").click()
        longest = await flood(chat, text)
    assert longest < 200


async def test_many_citations_are_shown_a_few_a_frame(chat):
    """As above."""
    text = [piece.replace("[goes]", "[1] [goes]") for piece in itertools.islice(chapters(), 100_000)]
    sources = [StreamEvent(EventType.SOURCE, source=Source(title="S", url="https://s.example/")) for _ in range(50)]
    longest = await flood(chat, text, *sources)
    assert await chat.answer.locator(".cite").count() == sum("[1]" in piece for piece in text)
    if longest >= 200:
        await chat.page.get_by_role("button", name="New chat").click()
        longest = await flood(chat, text, *sources)
    assert longest < 200
