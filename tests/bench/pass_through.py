"""The floor for a gateway in Python: a bare Starlette route that passes aiohttp's bytes on.

It runs on uvicorn with uvloop and httptools.

python tests/bench/pass_through.py PORT UPSTREAM
"""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route


def create_app(upstream: str) -> Starlette:
    """Reads nothing, checks nothing."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        app.state.session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        async with app.state.session:
            yield

    async def answer(request: Request) -> Response:
        body = await request.body()
        session: aiohttp.ClientSession = request.app.state.session
        headers = {"content-type": "application/json", "authorization": "Bearer k"}
        response = await session.post(f"{upstream}/chat/completions", data=body, headers=headers)

        async def pieces() -> AsyncGenerator[bytes, None]:
            async with response:
                async for data in response.content.iter_any():
                    yield data

        return StreamingResponse(pieces(), response.status, media_type="text/event-stream")

    async def healthz(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    routes = [Route("/v1/chat/completions", answer, methods=["POST"]), Route("/healthz", healthz)]
    return Starlette(routes=routes, lifespan=lifespan)


if __name__ == "__main__":
    app = create_app(sys.argv[2])
    uvicorn.run(app, port=int(sys.argv[1]), log_level="warning", access_log=False, backlog=4096)
