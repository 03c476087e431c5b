"""The chat page of the FastAPI example, in a browser."""

from __future__ import annotations

import pytest

from tests.web.example_app import load_example
from tests.web.serving import serving

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_the_form_is_answered_on_the_page(browser):
    async with serving(load_example().app) as port:
        page = await browser.new_page()
        problems = []
        page.on("pageerror", lambda problem: problems.append(problem))  # noqa: PLW0108  # Playwright sets an attribute on it
        await page.goto(f"http://127.0.0.1:{port}/")
        for prompt in ("a hippopotamus", "<b>two</b>"):
            await page.get_by_label("Message").fill(prompt)
            await page.get_by_role("button", name="Send").click()
            await page.wait_for_function(
                "words => document.getElementById('answer').textContent.includes(words)",
                arg=prompt,
            )
        assert problems == []
        await page.close()
