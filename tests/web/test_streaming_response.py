"""Events given to Starlette's own StreamingResponse, over both of uvicorn's HTTP parsers."""

from __future__ import annotations

import asyncio
import logging

import pytest
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import StreamingResponse

from llmstream import ErrorInfo, LLMClient, RetryPolicy
from llmstream.events.types import EventType, Retry, Status, StreamEvent, refusal_delta, text_delta
from llmstream.messages import RefusalPart, ToolCall
from llmstream.router import Dispatcher, RouterWithDispatcher, Routes, rules
from llmstream.streams import map_text
from llmstream.testing import FaultServer, ScriptedProvider
from llmstream.tools import run_tools, tool
from tests.patience import PATIENCE
from tests.web.serving import Client, app_of, fetch, serving
from tests.web.test_leaving import QUESTION, flowing, stalling

DONE = StreamEvent(EventType.MESSAGE_COMPLETE)
QUIET = StreamEvent(EventType.STATUS, status=Status("progress", "half"))
AGAIN = StreamEvent(EventType.RETRY, retry=Retry(2, 3, 0.0, "no words", "connection", discard=True))
FREE = StreamEvent(EventType.RETRY, retry=Retry(2, 3, 0.0, "no words", "connection"))


@pytest.fixture(params=["h11", "httptools"])
def http(request):
    if request.param == "httptools":
        pytest.importorskip("httptools")
    return request.param


def saying(*events: StreamEvent, charset: str = "utf-8"):
    """An app that streams these events as text."""

    class Response(StreamingResponse):
        media_type = "text/plain"

    Response.charset = charset

    async def stream():
        for event in events:
            yield event

    async def endpoint(request):
        return Response(stream())

    return app_of(endpoint)


def calling(*attempts, **options):
    """An app that streams what a client answers."""
    client = LLMClient(
        provider=ScriptedProvider(*attempts), retry=RetryPolicy(max_attempts=2, base_delay=0.001)
    )

    async def endpoint(request):
        return StreamingResponse(
            client.chat_completion(QUESTION, **options), media_type="text/plain"
        )

    return app_of(endpoint)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("attempts", "said"),
    [
        ([["Hel", "lo\r\n\u2028\ud83d!"]], "Hello\r\n\u2028?!"),
        ([[RefusalPart("I'd rather not.")]], "I'd rather not."),
        ([["So: ", RefusalPart("no.")]], "So: no."),
        ([[ToolCall("1", "f", "{}", input={})]], ""),
        ([[ErrorInfo("overloaded", retry_after=0.001)], ["after a retry"]], "after a retry"),
    ],
)
async def test_an_answer_is_streamed_as_its_text(http, attempts, said, stream) -> None:
    async with serving(calling(*attempts, stream=stream), http=http) as port:
        status, headers, text = await fetch(port)
    assert (status, headers["content-type"], text.decode()) == (
        200,
        "text/plain; charset=utf-8",
        said,
    )


async def test_events_without_words_do_not_end_the_body(http) -> None:
    """An empty chunk is HTTP's own end of a body."""
    app = saying(
        QUIET, FREE, text_delta("a"), QUIET, QUIET, refusal_delta("b"), FREE, text_delta("c"), DONE
    )
    async with serving(app, http=http) as port:
        client = await Client.ask(port)
        await client.head()
        assert [await client.chunk() for _ in range(4)] == [b"a", b"b", b"c", b""]


@pytest.mark.parametrize("last", [ErrorInfo("server"), ErrorInfo("rate_limit", retry_after=900.0)])
@pytest.mark.parametrize("words", [[], ["half"]])
@pytest.mark.parametrize("stream", [True, False])
async def test_a_failure_cuts_the_body_and_is_logged_once(
    http, last, words, stream, caplog
) -> None:
    """Starlette has sent its 200 before it looks at the events."""
    with caplog.at_level(logging.ERROR, "uvicorn.error"):
        async with serving(
            calling(*[[*words, last]] * 2, stream=stream),
            http=http,
            log_level="error",
            log_config=None,
        ) as port:
            client = await Client.ask(port)
            assert await client.head() == 200
            assert client.headers["transfer-encoding"] == "chunked"
            if words and stream:
                assert await client.chunk() == b"half"
            with pytest.raises(asyncio.IncompleteReadError) as cut:
                await client.chunk()
            assert cut.value.partial == b""
    (record,) = [record for record in caplog.records if record.exc_info]
    assert record.exc_info[0].kind == last.kind


async def test_text_that_a_retry_discards_cuts_the_body(http, caplog) -> None:
    app = saying(text_delta("half"), AGAIN, text_delta("again"), DONE)
    with caplog.at_level(logging.ERROR, "uvicorn.error"):
        async with serving(app, http=http, log_level="error", log_config=None) as port:
            client = await Client.ask(port)
            await client.head()
            assert await client.chunk() == b"half"
            with pytest.raises(asyncio.IncompleteReadError):
                await client.chunk()
    (record,) = [record for record in caplog.records if record.exc_info]
    assert (record.exc_info[1].info.kind, record.exc_info[1].info.code) == (
        "connection",
        "discarded",
    )


async def test_a_connection_is_used_again_after_a_whole_answer(http) -> None:
    async with serving(saying(text_delta("a"), DONE), http=http) as port:
        client = await Client.ask(port, connection="keep-alive")
        for _ in range(2):
            await client.head()
            assert await client.body() == b"a"
            client.writer.write(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")


async def test_head_has_no_body_and_leaves_the_connection_usable(http) -> None:
    async with serving(saying(text_delta("a"), QUIET, DONE), http=http) as port:
        client = await Client.ask(port, method="HEAD", connection="keep-alive")
        assert await client.head() == 200
        client.writer.write(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert await client.head() == 200
        assert await client.body() == b"a"


async def test_the_response_s_charset_is_the_text_s(http) -> None:
    pieces = ["für ", "1 \u20ac ", "\U0001f600"]
    app = saying(*map(text_delta, pieces), DONE, charset="latin-1")
    async with serving(app, http=http) as port:
        _, headers, text = await fetch(port)
    assert (headers["content-type"], text) == ("text/plain; charset=latin-1", b"f\xfcr 1 ? ?")


class Asked(Routes):
    """What can be asked."""

    WEATHER = "weather", "The weather"
    NOT_DEFINED = "not_defined"


async def test_a_routed_request_is_streamed_and_so_are_tools_and_operators(http) -> None:
    dispatcher = Dispatcher(Asked)

    @dispatcher.handler(Asked.WEATHER)
    async def weather(text):
        yield "It "
        yield "rains."

    router_w = RouterWithDispatcher(Asked, [rules({Asked.WEATHER: ["rain"]})], dispatcher)
    call = ToolCall("1", "look", "{}", input={})
    client = LLMClient(provider=ScriptedProvider(["One. ", call], ["Two."], ["loud"]))

    async def endpoint(request):
        asked = request.query_params["q"]
        if asked == "tools":
            events = run_tools(client, QUESTION, [tool(lambda: "12", name="look")])
        elif asked == "loud":
            events = map_text(client.chat_completion(QUESTION), str.upper)
        else:
            events = await router_w.route_request(asked)
        return StreamingResponse(events, media_type="text/plain")

    async with serving(app_of(endpoint), http=http) as port:
        assert (await fetch(port, "/?q=rain"))[2] == b"It rains."
        assert (await fetch(port, "/?q=tools"))[2] == b"One. Two."
        assert (await fetch(port, "/?q=loud"))[2] == b"LOUD"


@pytest.mark.parametrize("play", [flowing, stalling])
async def test_a_client_that_leaves_closes_the_provider(http, play) -> None:
    async with (
        FaultServer(play) as upstream,
        LLMClient("openai:m", api_key="k", base_url=upstream.url("openai")) as llm,
    ):

        async def endpoint(request):
            return StreamingResponse(llm.chat_completion(QUESTION), media_type="text/plain")

        async with serving(app_of(endpoint), http=http) as port:
            for turn in range(4):
                client = await Client.ask(port)
                await client.head()
                await client.chunk()
                assert upstream.playing == 1
                if turn % 2:
                    client.leave()  # RST
                else:
                    client.writer.close()  # FIN
                await upstream.idle(5.0)


async def test_a_client_that_leaves_unread_text_closes_the_events(http) -> None:
    made, closed = 0, asyncio.Event()

    async def flood():
        nonlocal made
        try:
            while True:
                made += 1
                await asyncio.sleep(
                    0
                )  # as a model would; uvicorn swallows what is sent after the client has gone
                yield text_delta("x" * 65536)
        finally:
            closed.set()

    async def endpoint(request):
        return StreamingResponse(flood(), media_type="text/plain")

    async with serving(app_of(endpoint), http=http) as port:
        client = await Client.ask(port)
        await client.head()
        client.writer.transport.pause_reading()
        before = 0
        while made != before:  # until no buffer has room
            before = made
            await asyncio.sleep(0.02)
        client.leave()
        await asyncio.wait_for(closed.wait(), PATIENCE)


async def test_middleware_that_ends_a_body_properly_hides_a_failure_that_only_respond_can_show(
    http,
) -> None:
    """What docs/serving.md warns of: when Starlette cuts here too, the warning can go."""
    app = calling(["half", ErrorInfo("server")])

    async def passing(request, call_next):
        return await call_next(request)

    app.add_middleware(BaseHTTPMiddleware, dispatch=passing)
    async with serving(app, http=http) as port:
        assert (await fetch(port))[2] == b"half"
