"""HTTP statuses that are no success, and their bodies: read by us, before the SDKs do."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from llmstream.providers.http.transport import exchanges

logger = logging.getLogger("llmstream")

ERROR_BODY = 64 * 1024
"""Bytes of an HTTP error's body that are read."""
ERROR_BODY_SECONDS = 2.0
"""Seconds given to an HTTP error's body."""


class RefusedError(Exception):
    """An HTTP status that is no success, with as much of its body as is worth reading."""

    def __init__(self, response: Any, body: bytes, *, cut: bool) -> None:
        super().__init__(f"HTTP {response.status_code}")
        self.cut = cut
        self.response = response
        self.body = body


async def refuse(response: Any) -> None:
    """Read an error's body ourselves: the SDKs read all of it, however long it is, and may lose the status on the way.

    Read to its end the connection goes back to the pool; else it is closed.
    """
    if response.is_success or exchanges.get() is None:  # somebody else uses the SDK's client, and wants its own errors
        return
    body, cut = b"", False
    try:
        async with asyncio.timeout(ERROR_BODY_SECONDS):
            async for data in response.aiter_bytes():
                body += data
                if len(body) > ERROR_BODY:
                    break
    except Exception as problem:  # noqa: BLE001  # the status says enough
        cut = True
        logger.debug("an error's body broke off: %s", type(problem).__name__)
    await response.aclose()
    raise RefusedError(response, body[:ERROR_BODY], cut=cut)
