"""The page in the whole application: from a click to the provider's connection."""

from __future__ import annotations

import pytest

from llmstream import LLMClient
from llmstream.testing import FaultServer
from llmstream.web import create_app
from llmstream.web.access import Access
from tests.web.serving import serving

expect = pytest.importorskip(
    "playwright.async_api", reason="the page is tested with playwright"
).expect
pytestmark = pytest.mark.asyncio(loop_scope="module")


async def stalling(reply) -> None:
    """Two words, then nothing."""
    await reply.head()
    await reply.send(reply.words(0, 2))
    await reply.hang()


async def test_stop_closes_the_providers_connection_in_a_stall(browser):
    async with (
        FaultServer(stalling) as upstream,
        LLMClient("openai:m", api_key="k", base_url=upstream.url("openai")) as client,
        serving(create_app(client)) as port,
    ):
        page = await browser.new_page()
        await page.goto(f"http://127.0.0.1:{port}/")
        await expect(page.get_by_label("Model")).to_have_value("openai:m")
        await page.get_by_label("Message").fill("Hello?")
        await page.keyboard.press("Enter")
        await expect(page.locator(".answer p")).not_to_be_empty()
        assert upstream.playing == 1
        await page.get_by_role("button", name="Stop").click()
        assert await upstream.idle(2.0) < 1
        await expect(page.get_by_text("Stopped.")).to_be_visible()
        await page.close()


async def test_a_key_that_the_application_wants_can_be_given(browser):
    async with (
        LLMClient("simulator:echo") as client,
        serving(create_app(client, access=Access(keys="open-sesame-open"))) as port,
    ):
        page = await browser.new_page()
        await page.goto(f"http://127.0.0.1:{port}/")
        await page.get_by_label("Message").fill("Hello?")
        await page.keyboard.press("Enter")
        await page.get_by_label("Access key").fill("open-sesame-open")
        await page.keyboard.press("Enter")
        await expect(page.locator(".answer:not([aria-busy]) .md")).not_to_be_empty()
        await expect(page.get_by_role("alert")).to_have_count(0)
        await page.close()
