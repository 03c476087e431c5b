"""A browser's own EventSource, which asks again after every end until it gets a 204."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.routing import Route

from llmstream import ErrorInfo, LLMClient
from llmstream.testing import ScriptedProvider
from llmstream.web import EventStreamResponse, respond
from llmstream.web.encode import SseEncoder
from tests.web.serving import serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

LISTEN = """() => new Promise(resolve => {
    const source = new EventSource('/answer'), types = [];
    source.onmessage = message => types.push(JSON.parse(message.data).type);
    source.onerror = () => { if (source.readyState === EventSource.CLOSED) resolve(types); };
})"""


@pytest.mark.parametrize("last", ["", ErrorInfo("server")])
@pytest.mark.parametrize("ours", ["respond", "EventStreamResponse"])
async def test_it_stops_after_the_last_event(browser, ours, last) -> None:
    attempt = ["Hello", last] if last else ["Hello"]
    provider = ScriptedProvider(*[attempt] * 9)
    client, asked = LLMClient(provider=provider), []

    async def answer(request):
        asked.append(request.headers.get("last-event-id"))
        events = client.chat_completion([{"role": "user", "content": "hi"}])
        encoder = SseEncoder(reconnect=0.01)
        if ours == "respond":
            return respond(request, events, encoder=encoder)
        return EventStreamResponse(events, encoder)

    async def page(request):
        return HTMLResponse("<title>listens</title>")

    context = await browser.new_context()
    async with serving(Starlette(routes=[Route("/", page), Route("/answer", answer)])) as port:
        try:
            listener = await context.new_page()
            await listener.goto(f"http://127.0.0.1:{port}/")
            types = await listener.evaluate(LISTEN)
        finally:
            await context.close()
    assert types == ["message_start", "text_delta", "error" if last else "message_complete"]
    assert asked == [None, "3-end"]
    assert len(provider.requests) == 1
