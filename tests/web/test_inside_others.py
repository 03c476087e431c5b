"""respond inside FastAPI, and behind middleware that wraps responses."""

from __future__ import annotations

import asyncio
import json

import pytest
from fastapi import Depends, FastAPI, Request
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.gzip import GZipMiddleware

from llmstream import ErrorInfo, LLMClient, RetryPolicy
from llmstream.testing import FaultServer, ScriptedProvider
from llmstream.web import choose, create_app, respond
from tests.web.serving import Client, events_of, fetch, serving
from tests.web.test_leaving import QUESTION, stalling


def fastapi_app(client) -> FastAPI:
    app = FastAPI()
    closed = app.state.closed = []

    def resource():
        try:
            yield "resource"
        finally:
            closed.append(True)

    async def answer(request: Request, held: str):
        return respond(request, client.chat_completion(QUESTION))

    answer.__annotations__.update(request=Request, held=str)
    answer.__defaults__ = (Depends(resource),)
    app.get("/")(answer)
    return app


async def passing(request, call_next):
    return await call_next(request)


@pytest.mark.parametrize("wrapped", [False, True])
async def test_it_streams_fails_and_cuts_in_fastapi_as_anywhere(wrapped) -> None:
    half = ["half", ErrorInfo("server", "secret")]
    provider = ScriptedProvider(
        ["Hello"], half, half, [ErrorInfo("rate_limit", "secret", retry_after=2)]
    )
    app = fastapi_app(LLMClient(provider=provider, retry=RetryPolicy(max_attempts=1)))
    if wrapped:
        app.add_middleware(BaseHTTPMiddleware, dispatch=passing)
        app.add_middleware(GZipMiddleware, minimum_size=1)
    async with serving(app) as port:
        assert "".join(event.text for event in events_of((await fetch(port))[2])) == "Hello"
        assert events_of((await fetch(port))[2])[-1].type == "error"
        client = await Client.ask(port, accept="text/plain")
        await client.head()
        with pytest.raises(asyncio.IncompleteReadError):
            await client.body()
        status, headers, body = await fetch(port)
        assert (status, headers["retry-after"], b"secret" in body) == (429, "2", False)
    assert len(app.state.closed) == 4


async def test_a_mode_that_nobody_offers_is_refused_by_fastapi_itself() -> None:
    app = FastAPI()

    async def answer(request: Request):
        return respond(request, None, choice=choose(request))

    answer.__annotations__["request"] = Request
    app.get("/")(answer)
    async with serving(app) as port:
        status, _, body = await fetch(port, "/?mode=telepathy")
        assert (status, "application/x-ndjson" in json.loads(body)["detail"]) == (406, True)
        assert (await fetch(port, "/?stream=perhaps"))[0] == 400


@pytest.mark.parametrize("wrapped", [False, True])
async def test_a_client_of_fastapi_that_leaves_closes_the_provider(wrapped) -> None:
    async with (
        FaultServer(stalling) as upstream,
        LLMClient("openai:m", api_key="k", base_url=upstream.url("openai")) as llm,
    ):
        app = fastapi_app(llm)
        if wrapped:
            app.add_middleware(BaseHTTPMiddleware, dispatch=passing)
        async with serving(app) as port:
            client = await Client.ask(port)
            await client.head()
            await client.chunk()
            client.leave()
            assert await upstream.idle(2.0) < 0.1


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/healthz"])
async def test_middleware_that_is_added_to_an_app_sees_every_request_and_its_failure_is_told(
    path,
) -> None:
    app = create_app(LLMClient(provider=ScriptedProvider(["Hello"])))
    seen = []

    async def failing(request, _):
        seen.append(request.url.path)
        raise LookupError("secret")

    app.add_middleware(BaseHTTPMiddleware, dispatch=failing)
    method = "GET" if path == "/healthz" else "POST"
    question = {"messages": QUESTION}
    async with serving(app) as port:
        status, _, body = await fetch(
            port, path, method, json.dumps(question).encode(), content_type="application/json"
        )
        assert (status, b"secret" in body) == (500, False)
    assert seen == [path]
