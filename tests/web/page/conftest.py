"""A browser for the tests of the chat page."""

from __future__ import annotations

import os
import shutil

import pytest
import pytest_asyncio

from tests.web.page.chat import Chat
from tests.web.page.server import PageServer

CHROMIUM = (
    os.environ.get("LLMSTREAM_CHROMIUM")
    or shutil.which("chromium")
    or shutil.which("chromium-browser")
)
ARGUMENTS = [
    "--no-sandbox",  # CI is root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser():
    if CHROMIUM is None:
        pytest.skip("no Chromium: apt-get install chromium, or LLMSTREAM_CHROMIUM=path")
    from playwright.async_api import async_playwright

    async with async_playwright() as started:
        yield await started.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)


@pytest_asyncio.fixture(loop_scope="module")
async def server():
    async with PageServer("small", "large").running() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def open_chat(browser, server):
    contexts = []

    async def open_one(**options):
        contexts.append(await browser.new_context(**options))
        return await Chat(await contexts[-1].new_page(), server).open()

    yield open_one
    for context in contexts:
        await context.close()


@pytest_asyncio.fixture(loop_scope="module")
async def chat(open_chat):
    opened = await open_chat()
    yield opened
    assert opened.alarms == []
