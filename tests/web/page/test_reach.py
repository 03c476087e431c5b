"""Everybody can use it: keyboard, screen reader, contrast, phone, little motion."""

from __future__ import annotations

import asyncio

import pytest

from llmstream import ErrorInfo, EventType, StreamEvent
from llmstream.events.types import error, reasoning_delta
from llmstream.messages import Source
from tests.web.page.chat import MARKDOWN, retry

expect = pytest.importorskip(
    "playwright.async_api", reason="the page is tested with playwright"
).expect
pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_keyboard_alone(chat):
    keys = chat.page.keyboard
    await expect(chat.prompt).to_be_focused()
    await keys.type("one")
    await keys.press("Shift+Enter")
    await keys.type("two")
    await keys.press("Enter")
    asked = await chat.server.asked()
    assert asked.body["messages"][0]["content"] == "one\ntwo"
    asked.start("Text [link](https://example.org) ")
    await expect(chat.answer.get_by_role("link")).to_be_visible()
    await keys.press("Escape")
    await asyncio.wait_for(asked.left.wait(), 5)
    await chat.settled()
    reached = []
    for _ in range(12):
        await keys.press("Shift+Tab")
        reached.append(
            await chat.page.evaluate(
                "document.activeElement.ariaLabel ?? document.activeElement.textContent"
            )
        )
        if reached[-1] == "Retry":
            await keys.press("Enter")
            break
    assert reached[-1] == "Retry"
    (await chat.server.asked()).end("Again")
    await expect(chat.prompt).to_be_focused()
    await chat.settled()


async def test_a_screen_reader_hears_paragraphs_not_tokens(chat):
    await chat.page.evaluate(
        """() => { window.heard = []; new MutationObserver((all) => {
             for (const {addedNodes} of all) for (const node of addedNodes) heard.push(node.textContent);
           }).observe(document.querySelector('[aria-live=polite]'), { childList: true }); }"""
    )
    text = "A first paragraph.\n\n```python\nx = 1\ny = 2\n```\n\nThe end."
    same, other = {"model": "m-1"}, {"model": "m-2", "fallback": True}
    await chat.told(retry(0.0, **same), retry(0.0, **other), *text)
    assert await chat.page.evaluate("heard") == [
        "Waiting for the answer",
        "Rate limited, asking again \u2026",
        "Rate limited, asking m-2 \u2026",
        "A first paragraph.",
        "Code, python, 2 lines",
        "The end.",
        "Answer complete.",
    ]


NAMELESS = """() => [...document.querySelectorAll('button, a, input, select, textarea, [tabindex]')].filter((node) =>
  !(node.ariaLabel || node.textContent.trim() || node.labels?.length)).map((node) => node.outerHTML)"""
CONTRAST = """() => {
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = (c) => c.slice(0, 3).map((v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, n) => sum + v * [0.2126, 0.7152, 0.0722][n], 0);
  const behind = (node) => { for (let at = node; at; at = at.parentElement) {
    const c = rgb(getComputedStyle(at).backgroundColor); if (c.length < 4 || c[3] > 0) return c; }
    return [255, 255, 255]; };
  const low = [];
  for (const node of document.querySelectorAll('body *')) {
    const words = [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim());
    if (!words || !node.checkVisibility() || node.closest('.unseen, button:disabled')) continue;
    const [a, b] = [light(rgb(getComputedStyle(node).color)), light(behind(node))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) low.push(`${node.outerHTML.slice(0, 80)} ${(a + 0.05) / (b + 0.05)}`);
  }
  return low;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_names_and_contrast(open_chat, scheme):
    chat = await open_chat(color_scheme=scheme)
    source = StreamEvent(EventType.SOURCE, source=Source(title="S", url="https://example.org/"))
    await chat.told(reasoning_delta("hm"), MARKDOWN, " see [1]", source)
    asked = await chat.ask()
    asked.start("Half", error(ErrorInfo("server")))
    await chat.settled()
    await chat.page.evaluate(
        "for (const fold of document.querySelectorAll('details')) fold.open = true"
    )
    assert await chat.page.evaluate(NAMELESS) == []
    assert await chat.page.evaluate(CONTRAST) == []
    background = await chat.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(25, 25, 23)") == (scheme == "dark")


async def test_a_phone_needs_no_sideways_scrolling(open_chat):
    chat = await open_chat(viewport={"width": 320, "height": 640}, is_mobile=True, has_touch=True)
    wide = "| " + " | ".join(f"column {n}" for n in range(12)) + " |\n" + "|-" * 12 + "|\n"
    await chat.told(
        f"{'w' * 400}\n\n{wide}\n```\n{'c' * 300}\n```\n\n[l](https://example.org/{'p' * 300})"
    )
    asked = await chat.ask("q" * 300)
    asked.say(retry(9))
    await expect(chat.answer).to_contain_text("retrying")
    widths = (
        "[document.documentElement.scrollWidth, document.getElementById('scroller').scrollWidth]"
    )
    assert max(await chat.page.evaluate(widths)) <= 320
    small = "all => all.filter(b => b.offsetParent && b.offsetHeight < 24).map(b => b.outerHTML)"
    assert await chat.page.locator("button").evaluate_all(small) == []
    asked.end()


async def test_motion_is_reduced_where_that_is_asked_for(open_chat):
    chat = await open_chat(reduced_motion="reduce")
    asked = await chat.ask()
    asked.say(retry(9))
    await expect(chat.answer).to_contain_text("retrying")
    assert await chat.page.evaluate("document.getAnimations().length") == 0
    asked.end()


async def test_reading_above_is_not_interrupted(chat):
    asked = await chat.ask()
    asked.start(*(f"Line {n}\n\n" for n in range(80)))
    await expect(chat.answer).to_contain_text("Line 79")
    await chat.page.mouse.move(400, 300)
    await chat.page.mouse.wheel(0, -600)
    button = chat.page.get_by_role("button", name="Jump to the end")
    await expect(button).to_be_visible()
    place = await chat.page.evaluate("document.getElementById('scroller').scrollTop")
    asked.say(*(f"More {n}\n\n" for n in range(40)))
    await expect(chat.answer).to_contain_text("More 39")
    assert (
        abs(await chat.page.evaluate("document.getElementById('scroller').scrollTop") - place) < 5
    )
    await button.click()
    await expect(chat.answer.get_by_text("More 39")).to_be_in_viewport()
    asked.end()
    await chat.settled()


async def test_an_input_method_keeps_its_keys(chat):
    press = """([key, keyCode, isComposing]) => document.getElementById('prompt').dispatchEvent(
      new KeyboardEvent('keydown', { key, keyCode, isComposing, bubbles: true, cancelable: true }))"""
    await chat.prompt.fill("\u304b\u3093\u3058")
    for keys in (["Enter", 13, True], ["Enter", 229, False]):
        assert await chat.page.evaluate(press, keys)
    await expect(chat.page.locator(".turn")).to_have_count(0)
    asked = await chat.ask()
    asked.start("Going on")
    await expect(chat.answer).to_contain_text("Going on")
    await chat.page.evaluate(press, ["Escape", 229, True])
    asked.end(" to the end")
    await chat.settled()
    await expect(chat.answer).not_to_contain_text("Stopped.")


async def test_enter_is_a_new_line_on_a_phone(open_chat):
    chat = await open_chat(is_mobile=True, has_touch=True)
    await chat.prompt.fill("one")
    await chat.prompt.press("Enter")
    await chat.prompt.press_sequentially("two")
    await chat.page.get_by_role("button", name="Send").tap()
    asked = await chat.server.asked()
    assert asked.body["messages"][0]["content"] == "one\ntwo"
    asked.end()
    await chat.settled()


async def test_the_focus_is_never_lost(chat):
    await chat.prompt.fill("Hello?")
    await chat.page.get_by_role("button", name="Send").press("Enter")
    await expect(chat.prompt).to_be_focused()
    asked = await chat.server.asked()
    asked.start("Hi")
    await chat.stop.focus()
    asked.end()
    await chat.settled()
    await expect(chat.prompt).to_be_focused()


async def test_a_double_click_sends_and_does_not_stop(chat):
    await chat.prompt.fill("Hello?")
    box = await chat.page.get_by_role("button", name="Send").bounding_box()
    await chat.page.mouse.dblclick(box["x"] + 10, box["y"] + 10)
    asked = await chat.server.asked()
    asked.start("Going on")
    await expect(chat.answer).to_contain_text("Going on")
    await expect(chat.stop).to_be_visible()
    await chat.stop.click()
    await expect(chat.answer).to_contain_text("Stopped.")


async def test_all_of_a_chat_is_printed(chat):
    lines = "\n\n".join(f"Line {n}" for n in range(300))
    await chat.told(f"{lines}\n\n```\n{'wide ' * 200}\n```\n")
    assert (await chat.page.pdf()).count(b"/Type /Page\n") > 5
    await chat.page.emulate_media(media="print")
    await expect(chat.prompt).to_be_hidden()
    wide = "all => all.filter((at) => at.scrollWidth > at.clientWidth + 1).length"
    assert await chat.page.locator("pre, .table, body").evaluate_all(wide) == 0


async def test_a_long_message_is_folded_and_asked_whole(chat):
    text = "  set in\n" + "A line of a log. " * 50_000
    asked = await chat.ask(text)
    assert asked.body["messages"][0]["content"] == text.rstrip()
    asked.end()
    await chat.settled()
    question = chat.page.locator(".question")
    assert await question.evaluate("node => node.offsetHeight") < 400
    await question.get_by_text("All 850,008 characters").click()
    await expect(question.locator("pre")).to_have_text(text.rstrip(), use_inner_text=False)
