"""A conversation outlives a reload, and stays within bounds."""

from __future__ import annotations

import asyncio
import json

import pytest

from llmstream import EventType, StreamEvent
from llmstream.messages import File
from tests.web.page.chat import Chat
from tests.web.page.server import PageServer

expect = pytest.importorskip(
    "playwright.async_api", reason="the page is tested with playwright"
).expect
pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_reload_keeps_the_conversation(chat):
    await chat.told("First **answer**")
    first = await chat.ask("And then?")
    first.start("Sec")
    await expect(chat.answer).to_contain_text("Sec")
    await chat.page.reload()
    await asyncio.wait_for(first.left.wait(), 5)
    await expect(chat.page.locator(".answer").first.locator("strong")).to_have_text("answer")
    await expect(chat.page.locator(".question")).to_have_text(["You: Hello?", "You: And then?"])
    await expect(chat.answer).to_contain_text("The page was left before the answer ended.")
    await expect(chat.answer).to_contain_text("Sec")
    asked = await chat.ask("Go on")
    assert [message["content"] for message in asked.body["messages"]] == [
        "Hello?",
        "First **answer**",
        "And then?",
        "Sec",
        "Go on",
    ]
    assert asked.body["conversation_id"] == first.body["conversation_id"]
    asked.end()
    await chat.settled()


async def test_earlier_chats_can_be_had_back_and_deleted(chat):
    fresh = chat.page.get_by_role("button", name="New chat")
    for word in ("first", "second"):
        asked = await chat.ask(f"The {word}")
        asked.end(f"Kept {word}")
        await chat.settled()
        await fresh.click()
    await expect(chat.page.locator(".turn")).to_have_count(0)
    await expect(chat.prompt).to_be_focused()
    await chat.page.reload()
    await expect(chat.page.locator("#chats bdi")).to_have_text(["The second", "The first"])
    await chat.page.get_by_role("button", name="The first").first.click()
    await expect(chat.answer).to_contain_text("Kept first")
    asked = await chat.ask("More")
    assert [message["content"] for message in asked.body["messages"]] == [
        "The first",
        "Kept first",
        "More",
    ]
    asked.end()
    await chat.settled()
    await fresh.click()
    await chat.page.get_by_role("button", name="Delete chat: The first").click()
    await expect(chat.page.locator("#chats bdi")).to_have_text(["The second"])
    assert await chat.page.evaluate("JSON.stringify(localStorage).includes('The first')") is False


async def open_twice(chat):
    """A second tab with the same chat, as "duplicate tab" makes one."""
    other = Chat(await chat.page.context.new_page(), chat.server)
    id_ = await chat.page.evaluate("sessionStorage.getItem('llmstream.open')")
    await other.page.add_init_script(f"sessionStorage.setItem('llmstream.open', '{id_}')")
    return await other.open()


async def test_a_chat_in_two_tabs_goes_on_in_either(chat):
    await chat.told("One")
    other = await open_twice(chat)
    await other.told("Two")
    await chat.page.bring_to_front()
    await expect(chat.page.locator(".answer .md")).to_have_text(["One", "Two"])
    await chat.told("Three")
    await chat.page.reload()
    await expect(chat.page.locator(".answer .md")).to_have_text(["One", "Two", "Three"])
    await expect(other.page.locator(".answer .md")).to_have_text(["One", "Two", "Three"])


async def test_two_tabs_that_answer_at_once_keep_both(chat):
    await chat.told("One")
    other = await open_twice(chat)
    mine, theirs = await chat.ask("Mine?"), await other.ask("Theirs?")
    mine.end("mine")
    theirs.end("theirs")
    await chat.settled()
    await other.settled()
    for tab, said in ((chat, "mine"), (other, "theirs")):
        await tab.page.reload()
        await expect(tab.page.locator(".answer .md")).to_have_text(["One", said])


async def test_tabs_have_chats_of_their_own(chat):
    await chat.told("Here")
    other = await Chat(await chat.page.context.new_page(), chat.server).open()
    await expect(other.page.locator(".turn")).to_have_count(0)
    await other.told("There")
    await chat.page.reload()
    await expect(chat.page.locator(".answer .md")).to_have_text(["Here"])


FORBIDDEN = """for (const name of ['localStorage', 'sessionStorage'])
  Object.defineProperty(window, name, { get() { throw new DOMException('no', 'SecurityError'); } });"""


async def test_a_browser_that_keeps_nothing_can_chat(browser, server):
    context = await browser.new_context()
    await context.add_init_script(FORBIDDEN)
    chat = await Chat(await context.new_page(), server).open()
    await chat.told("Works")
    await expect(chat.answer).to_contain_text("Works")
    await expect(chat.page.get_by_text("doesn't keep the chat")).to_be_visible()
    await chat.page.get_by_role("button", name="New chat").click()
    await chat.page.locator("#chats button").first.click()
    await expect(chat.answer).to_contain_text("Works")
    assert chat.alarms == []
    await context.close()


FILL = """for (let size = 1 << 22; size; )
  try { localStorage.other = (localStorage.other ?? '') + 'x'.repeat(size); } catch { size >>= 1; }"""


async def test_when_there_is_no_room_the_oldest_goes_first(chat):
    unkept = chat.page.get_by_text("doesn't keep the chat")
    for text in ("z" * 60_000, "Old"):
        await chat.told(text)
        await chat.page.get_by_role("button", name="New chat").click()
    await chat.page.evaluate(FILL)
    await chat.told("y" * 30_000)
    await expect(unkept).to_be_hidden()
    await chat.told("y" * 90_000)
    await expect(unkept).to_be_visible()
    await chat.page.evaluate("delete localStorage.other")
    await chat.told("Room again")
    await expect(unkept).to_be_hidden()
    await chat.page.reload()
    await expect(chat.page.locator(".answer")).to_have_count(3)


async def test_a_draft_outlives_a_reload(chat):
    await chat.prompt.fill("Half a thou")
    await chat.page.reload()
    await expect(chat.prompt).to_have_value("Half a thou")
    await expect(chat.page.get_by_role("button", name="Send")).to_be_enabled()


async def test_a_new_chat_stops_the_answer_that_comes(chat):
    asked = await chat.ask()
    asked.start("Long ")
    await expect(chat.answer).to_contain_text("Long")
    await chat.page.get_by_role("button", name="New chat").click()
    await asyncio.wait_for(asked.left.wait(), 5)
    await chat.told("Fresh")
    await expect(chat.page.locator(".answer")).to_have_count(1)


async def test_what_is_kept_is_bounded(chat):
    for _ in range(3):
        await chat.told("word " * 120_000)
    kept = await chat.page.evaluate(
        "localStorage.getItem('llmstream.chat.' + sessionStorage.getItem('llmstream.open'))"
    )
    assert len(kept) <= 1_501_000
    assert [turn["role"] for turn in json.loads(kept)["turns"]] == ["user", "assistant"] * 2
    await chat.page.reload()
    await expect(chat.page.get_by_text("too long to be kept")).to_be_visible()


@pytest.mark.parametrize(
    "kept",
    [
        "{",
        "[]",
        '{"id": 1, "turns": 3}',
        '{"id": "x", "turns": [null]}',
        '{"id": "x", "turns": [{"role": "alien"}]}',
    ],
)
async def test_a_spoilt_store_is_left_aside(chat, kept):
    await chat.page.evaluate("text => localStorage.setItem('llmstream.chat.x', text)", kept)
    await chat.page.evaluate("sessionStorage.setItem('llmstream.open', 'x')")
    await chat.page.goto("about:blank")
    await chat.open()
    await chat.told("Works")
    await expect(chat.answer).to_contain_text("Works")


async def test_models_are_picked_and_remembered(chat):
    await chat.page.get_by_label("Model").select_option("large")
    await chat.page.reload()
    await expect(chat.page.get_by_label("Model")).to_have_value("large")
    asked = await chat.ask()
    assert asked.body["model"] == "large"
    asked.end()


async def test_without_a_list_of_models_there_is_no_picker(browser):
    async with PageServer().running() as server:
        page = await browser.new_page()
        await page.goto(server.url)
        await page.get_by_label("Message").fill("Hi")
        await page.get_by_label("Message").press("Enter")
        asked = await server.asked()
        assert "model" not in asked.body
        await expect(page.get_by_label("Model")).to_be_hidden()
        asked.end()
        await page.close()


async def test_a_large_file_is_not_kept_but_its_conversation_is(chat):
    await chat.told(
        "Look", StreamEvent(EventType.FILE, file=File(name="big.bin", data="AAAA" * 600_000))
    )
    await expect(chat.answer.get_by_role("button", name="Save")).to_be_visible()
    await chat.page.reload()
    await expect(chat.answer).to_contain_text("File: big.bin")
    await expect(chat.answer.get_by_role("button", name="Save")).to_have_count(0)
