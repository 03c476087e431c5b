"""A long answer keeps every frame short."""

from __future__ import annotations

import asyncio
import itertools
import json

import pytest

from llmstream import EventType, StreamEvent
from llmstream.messages import FinishReason, Message, Source, TextPart

expect = pytest.importorskip(
    "playwright.async_api", reason="the page is tested with playwright"
).expect
pytestmark = pytest.mark.asyncio(loop_scope="module")


COUNT = """() => {
  window.frames_seen = 0;
  const tick = () => { window.frames_seen += 1; requestAnimationFrame(tick); };
  tick();
}"""
SHOWN = """() => new Promise((go) => {
  const answer = document.querySelector('.answer');
  const look = () => answer.hasAttribute('aria-busy') || go();
  new MutationObserver(look).observe(answer, { attributes: true });
  look();
})"""
"""Waits in the page: a locator looks through all of it again and again, and takes 100 ms each time."""


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
        yield from itertools.chain.from_iterable(
            ["1. ", *(f"{word} " for word in WORDS), "\n"] for _ in range(5)
        )
        yield "\n```python\n"
        yield from ["def", " f", "(x", "):", " return", " x", "\n"] * 20
        yield "```\n\n| a | b |\n|---|---|\n"
        yield from ["| one ", "| two |\n"] * 6
        yield "\n"


def table():
    """A table that never ends."""
    rows = (["| x ", f"| {LINK} ", f"| {n} |\n"] for n in itertools.count())
    return itertools.chain(
        ["| a | b | c |\n", "|---|---|---|\n"], itertools.chain.from_iterable(rows)
    )


def nested_list():
    """A list in a list that never ends."""
    items = (
        ["- item", f" {n}", " *has* ", LINK, "\n", f"  - nested {n}\n"] for n in itertools.count()
    )
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
    """Have the page show these tokens, and `more` after them; its longest task, in milliseconds of work."""
    browser = chat.page.context.browser
    asked = await chat.ask()
    await chat.page.evaluate(COUNT)
    await browser.start_tracing(page=chat.page, categories=["toplevel"])
    asked.start()
    for at in range(0, len(text), 100):
        asked.say(*text[at : at + 100])
        await asyncio.sleep(0.001)
    asked.say(*more)
    whole = Message("assistant", [TextPart("".join(text))])
    asked.say(
        StreamEvent(EventType.MESSAGE_COMPLETE, message=whole, finish_reason=FinishReason.STOP)
    )
    await chat.page.evaluate(SHOWN)
    tasks = page_tasks(json.loads(await browser.stop_tracing())["traceEvents"])
    seen = await chat.page.evaluate("frames_seen")
    print(f"{seen} frames, {len(tasks)} tasks; the longest took {max(tasks):.0f} ms")
    assert seen > 60
    return max(tasks)


def page_tasks(trace):
    """What the page's main thread did between two chances to draw: processor time, for others share the machine."""
    threads = {
        (each["pid"], each["tid"])
        for each in trace
        if each.get("args") == {"name": "CrRendererMain"}
    }
    mine = (each for each in trace if (each["pid"], each["tid"]) in threads)
    return [
        each["tdur"] / 1_000
        for each in mine
        if each["name"] == "ThreadControllerImpl::RunTask" and "tdur" in each
    ]


@pytest.mark.parametrize("tokens", [chapters, one_line, table, nested_list, code, quotes])
async def test_100_000_tokens_without_a_frame_over_200_ms(chat, tokens):
    """Nothing that the page does holds up a frame for longer."""
    text = list(itertools.islice(tokens(), 100_000))
    longest = await flood(chat, text)
    links = await chat.answer.locator("a").count()
    assert links == sum("example.org" in piece for piece in text)
    assert longest < 200


async def test_many_citations_are_shown_a_few_a_frame(chat):
    """As above."""
    text = [
        piece.replace("[goes]", "[1] [goes]") for piece in itertools.islice(chapters(), 100_000)
    ]
    sources = [
        StreamEvent(EventType.SOURCE, source=Source(title="S", url="https://s.example/"))
        for _ in range(50)
    ]
    longest = await flood(chat, text, *sources)
    assert await chat.answer.locator(".cite").count() == sum("[1]" in piece for piece in text)
    assert longest < 200
