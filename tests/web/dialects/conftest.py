"""The gateway that the clients of this directory talk to."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.web.dialects.gateway import Gateway, serving


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    async with serving() as gateway:
        yield gateway
