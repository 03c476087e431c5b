"""A conversation outlives a reload, and stays within bounds."""

from __future__ import annotations

import asyncio
import json

import pytest

from llmstream import EventType, StreamEvent
from llmstream.messages import File
from tests.web.page.server import PageServer

expect = pytest.importorskip("playwright.async_api", reason="the page is tested with playwright").expect
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


async def test_a_new_chat_begins_and_the_one_before_can_be_had_back(chat):
    await chat.told("Kept")
    await chat.page.get_by_role("button", name="New chat").click()
    await expect(chat.page.locator(".turn")).to_have_count(0)
    await expect(chat.prompt).to_be_focused()
    await chat.page.reload()
    await chat.page.get_by_role("button", name="Back to the previous chat").click()
    await expect(chat.answer).to_contain_text("Kept")


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
    kept = await chat.page.evaluate("localStorage.getItem('llmstream.chat')")
    assert len(kept) <= 1_500_000
    assert [turn["role"] for turn in json.loads(kept)["turns"]] == ["user", "assistant"] * 2


@pytest.mark.parametrize(
    "kept",
    ["{", "[]", '{"id": 1, "turns": 3}', '{"id": "x", "turns": [null]}', '{"id": "x", "turns": [{"role": "alien"}]}'],
)
async def test_a_spoilt_store_is_left_aside(chat, kept):
    await chat.page.evaluate("text => localStorage.setItem('llmstream.chat', text)", kept)
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
    await chat.told("Look", StreamEvent(EventType.FILE, file=File(name="big.bin", data="AAAA" * 600_000)))
    await expect(chat.answer.get_by_role("button", name="Save")).to_be_visible()
    await chat.page.reload()
    await expect(chat.answer).to_contain_text("File: big.bin")
    await expect(chat.answer.get_by_role("button", name="Save")).to_have_count(0)
