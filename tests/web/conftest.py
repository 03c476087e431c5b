"""No test leaves a socket behind."""

from __future__ import annotations

import pytest_asyncio

from tests.web.serving import Client


@pytest_asyncio.fixture(autouse=True)
async def _clients_leave():
    yield
    while Client.opened:
        Client.opened.pop().leave()
