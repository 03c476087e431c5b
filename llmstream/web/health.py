"""Health checks: `/healthz`, whether the process answers, and `/readyz`, whether it can answer requests."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

FRESH = 1.0
"""Seconds for which a look at the store holds: strangers may ask as often as they like, and it costs one a second."""


class HealthChecks:
    """The endpoints. `missing` returns what is missing before requests can be answered, None where nothing is."""

    def __init__(self, missing: Callable[[], Awaitable[str | None]]) -> None:
        self._missing = missing
        self._found: str | None = None
        self._looked: float | None = None
        """When it was found, by the monotonic clock."""
        self._looking = asyncio.Lock()

    async def alive(self, _: Request) -> Response:
        """`GET /healthz`."""
        return JSONResponse({"status": "ok"})

    async def ready(self, _: Request) -> Response:
        """`GET /readyz`: 503 while something is missing. All who ask within a second get the same answer."""
        async with self._looking:
            if not self._is_fresh():
                self._found = await self._missing()
                self._looked = time.monotonic()
            missing = self._found
        return JSONResponse({"status": missing or "ready"}, 200 if missing is None else 503)

    def _is_fresh(self) -> bool:
        return self._looked is not None and time.monotonic() - self._looked < FRESH
