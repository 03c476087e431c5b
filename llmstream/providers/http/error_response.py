"""Error responses, and other small bodies. We read them ourselves because the SDKs may read without limit."""

from __future__ import annotations

import asyncio

from llmstream.log import get_logger
from llmstream.providers.http.exchange import Response

logger = get_logger("llmstream.providers")

ERROR_BODY = 64 * 1024
"""Bytes of an HTTP error's body that are read."""
ERROR_BODY_SECONDS = 2.0
"""Seconds given to an HTTP error's body."""


class StatusError(Exception):
    """An HTTP status that isn't a success, with as much of its body as is worth reading."""

    def __init__(self, response: Response, body: bytes, *, cut: bool) -> None:
        super().__init__(f"HTTP {response.status}")
        self.response = response
        self.body = body
        self.cut = cut


async def read_error(response: Response) -> StatusError:
    """The error that a response is, and close it. Read to its end its connection can be used again."""
    body, cut = await read_small(response)
    return StatusError(response, body, cut=cut)


async def read_small(response: Response) -> tuple[bytes, bool]:
    """The body of a response, up to the bounds above, and whether it broke off; the response is closed."""
    body, cut = b"", False
    try:
        async with asyncio.timeout(ERROR_BODY_SECONDS):
            async for data in response.body():
                body += data
                if len(body) > ERROR_BODY:
                    break
    except Exception as problem:  # noqa: BLE001  # the status says enough
        cut = True
        logger.debug("a body broke off: %s", type(problem).__name__)
    await response.aclose()
    return body[:ERROR_BODY], cut
