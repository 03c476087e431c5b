"""respond, by a real server and clients that read bytes."""

from __future__ import annotations

import asyncio
import json
import traceback

import httpx2
import pytest
from starlette.background import BackgroundTask

from llmstream import ErrorInfo, LLMClient, RetryPolicy
from llmstream.events.types import EventType, Status, StreamEvent, error, text_delta
from llmstream.testing import ScriptedProvider
from llmstream.web import AbortedError, EventStreamResponse, Form, ResponseMode, choose, respond
from llmstream.web.errors import TABLE
from llmstream.web.native_encoders import NdjsonEncoder, outgoing
from tests.web.serving import Client, app_of, events_of, fetch, frames, serving

SECRET = "sk-provider-said-this"
QUESTION = [{"role": "user", "content": "hi"}]


def answering(*attempts, **options):
    """An app that answers with what a scripted provider says, and the provider."""
    provider = ScriptedProvider(*attempts)
    client = LLMClient(provider=provider, retry=RetryPolicy(max_attempts=2, base_delay=0.001))

    async def endpoint(request):
        choice = choose(request)
        events = client.chat_completion(QUESTION, stream=choice.mode is ResponseMode.STREAM)
        return respond(request, events, choice=choice, **options)

    return app_of(endpoint), provider


async def test_the_same_events_in_every_form() -> None:
    app, _ = answering(*[["Hel", "lo\r\n\u2028!"]] * 5)
    async with serving(app) as port:
        status, headers, data = await fetch(port, accept="text/event-stream")
        assert (status, headers["content-type"]) == (200, "text/event-stream")
        assert headers["cache-control"] == "no-store"
        assert headers["x-accel-buffering"] == "no"
        assert [event.type for event in events_of(data)] == [
            "message_start",
            *["text_delta"] * 2,
            "message_complete",
        ]
        _, headers, lines = await fetch(port, accept="application/x-ndjson")
        assert headers["content-type"] == "application/x-ndjson"
        events = [StreamEvent.from_dict(json.loads(line)) for line in lines.splitlines()]
        assert "".join(event.text for event in events) == "Hello\r\n\u2028!"
        _, headers, text = await fetch(port, accept="text/plain")
        assert (headers["content-type"], text.decode()) == (
            "text/plain; charset=utf-8",
            "Hello\r\n\u2028!",
        )
        _, headers, document = await fetch(port, "/?stream=false")
        assert headers["content-type"] == "application/json"
        assert StreamEvent.from_dict(json.loads(document)).text == "Hello\r\n\u2028!"
        _, _, text = await fetch(port, "/?mode=batch", accept="text/plain")
        assert text.decode() == "Hello\r\n\u2028!"


@pytest.mark.parametrize(
    "accept", ["text/event-stream", "application/x-ndjson", "text/plain", "application/json"]
)
@pytest.mark.parametrize("kind", ["rate_limit", "authentication", "invalid_request", "timeout"])
async def test_an_early_error_is_a_real_one(accept, kind) -> None:
    info = ErrorInfo(
        kind,
        SECRET,
        provider=SECRET,
        code=SECRET,
        retry_after=3.2,
        retryable=False,
        request_id=SECRET,
    )
    app, _ = answering([info])
    async with serving(app) as port:
        status, headers, body = await fetch(port, accept=accept, x_request_id="req-7")
    said = json.loads(body)
    assert status == TABLE[kind].status == said["error_info"]["status_code"]
    assert headers["retry-after"] == "4"
    assert (
        headers["x-request-id"] == said["request_id"] == said["error_info"]["request_id"] == "req-7"
    )
    assert said["error"] == TABLE[kind].text
    assert SECRET.encode() not in body


async def test_an_event_source_that_nobody_here_wrote_reads_it() -> None:
    app, _ = answering(["a\n\ndata: b\r\u2028", "c"])
    async with (
        serving(app) as port,
        httpx2.AsyncClient() as client,
        client.stream(
            "GET", f"http://127.0.0.1:{port}/", headers={"accept": "text/event-stream"}
        ) as response,
    ):
        read = [event async for event in httpx2.EventSource(response)]
    events = [StreamEvent.from_dict(json.loads(event.data)) for event in read]
    assert "".join(event.text for event in events) == "a\n\ndata: b\r\u2028c"
    assert [event.id for event in read] == ["1", "2", "3", "4-end"]
    assert read[0].retry == 3000


async def test_a_retry_is_shown_where_it_can_be_and_says_nothing_of_the_provider() -> None:
    app, _ = answering(*[[ErrorInfo("overloaded", SECRET, retry_after=0.001)], ["ok"]] * 2)
    async with serving(app) as port:
        _, _, data = await fetch(port)
        assert events_of(data)[0].type == "retry"
        assert SECRET.encode() not in data
        _, _, text = await fetch(port, accept="text/plain")
        assert text == b"ok"


async def test_after_a_retry_an_error_is_an_event_in_sse_and_a_status_in_text() -> None:
    failing = [[ErrorInfo("overloaded", SECRET, retry_after=0.001)]] * 4
    app, _ = answering(*failing)
    async with serving(app) as port:
        status, _, data = await fetch(port)
        last = events_of(data)[-1]
        assert (status, last.type, last.error) == (200, "error", TABLE["overloaded"].text)
        assert SECRET.encode() not in data
        status, headers, _ = await fetch(port, accept="text/plain")
        assert (status, headers["retry-after"]) == (503, "1")


async def test_an_error_after_words_is_the_last_event_and_cuts_plain_text() -> None:
    app, _ = answering(*[["half", ErrorInfo("connection", SECRET)]] * 5)
    async with serving(app) as port:
        _, _, data = await fetch(port)
        events = events_of(data)
        assert (events[-1].type, events[-1].error_info.partial) == ("error", None)
        assert SECRET.encode() not in data
        _, _, lines = await fetch(port, accept="application/x-ndjson")
        assert json.loads(lines.splitlines()[-1])["type"] == "error"
        client = await Client.ask(port, accept="text/plain")
        assert await client.head() == 200
        assert await client.chunk() == b"half"
        with pytest.raises(asyncio.IncompleteReadError):
            await client.chunk()
        status, _, body = await fetch(port, accept="application/json")
        info = StreamEvent.from_dict(json.loads(body)).error_info
        assert (status, info.kind, info.partial.text) == (502, "connection", "half")


async def test_the_exception_that_cuts_an_answer_says_nothing_of_the_one_before_it() -> None:
    """Servers that don't know it log it with its traceback, where nobody escapes what the events said."""

    async def broken():
        yield text_delta("half")
        raise ValueError(SECRET)

    async def send(message):
        pass

    response = EventStreamResponse(broken(), outgoing(Form.TEXT))
    with pytest.raises(AbortedError) as cut:
        await response({"type": "http", "method": "GET"}, asyncio.Event().wait, send)
    assert SECRET not in "".join(traceback.format_exception(cut.value))


@pytest.mark.parametrize("begun", [True, False])
@pytest.mark.parametrize(
    "problem", [ValueError, asyncio.CancelledError]
)  # the latter of a task that they waited for
async def test_events_that_raise_or_stop_short_are_errors(begun, problem, caplog) -> None:
    closed = []

    async def broken():
        try:
            if begun:
                yield text_delta("half")
            raise problem(SECRET)
        finally:
            closed.append(True)

    async def short():
        if begun:
            yield text_delta("half")

    for events, kind in ((broken, "internal"), (short, "truncated")):

        async def endpoint(request, events=events):
            return respond(request, events())

        async with serving(app_of(endpoint)) as port:
            status, _, data = await fetch(port)
        last = events_of(data)[-1] if begun else StreamEvent.from_dict(json.loads(data))
        assert status == (200 if begun else TABLE[kind].status)
        assert (last.type, last.error_info.kind) == ("error", kind)
        assert SECRET.encode() not in data
    assert closed == [True]


async def test_what_is_not_on_offer_is_406_and_closes_the_events() -> None:
    closed = []

    class Events:
        def __aiter__(self):
            raise AssertionError

        async def aclose(self):
            closed.append(True)

    async def endpoint(request):
        return respond(request, Events())

    async with serving(app_of(endpoint)) as port:
        status, _, body = await fetch(port, "/?mode=telepathy")
        assert status == 406
        assert "application/x-ndjson" in json.loads(body)["error"]
        assert (await fetch(port, "/?stream=perhaps"))[0] == 400
    assert closed == [True, True]


async def test_an_event_source_that_comes_back_is_told() -> None:
    app, provider = answering(["again"], ["again"])
    async with serving(app) as port:
        _, _, data = await fetch(port)
        last = frames(data)[-1].id
        assert last.endswith("-end")
        status, _, body = await fetch(port, last_event_id=last)
        assert (status, body) == (204, b"")
        assert len(provider.requests) == 1
        _, _, data = await fetch(port, last_event_id="2")
        first, *_, end = events_of(data)
        assert (first.status.kind, first.status.data) == ("gap", {"last_event_id": "2"})
        assert end.type == "message_complete"


async def test_an_event_stream_response_ends_an_event_source_too() -> None:
    """It has no request, but is asked by one."""
    closed, asked = [], []
    after: asyncio.Queue[bool] = asyncio.Queue()

    class Events:
        def __aiter__(self):
            asked.append(True)
            return told()

        async def aclose(self):
            closed.append(True)

    async def told():
        yield text_delta("again")
        yield StreamEvent(EventType.MESSAGE_COMPLETE)

    async def endpoint(request):
        encoder = NdjsonEncoder() if "lines" in request.query_params else None
        response = EventStreamResponse(Events(), encoder)
        response.background = BackgroundTask(after.put, True)
        return response

    async with serving(app_of(endpoint)) as port:
        _, _, data = await fetch(port)
        for method in ("GET", "HEAD", "POST"):
            client = await Client.ask(port, method=method, last_event_id=frames(data)[-1].id)
            assert (await client.head(), await client.reader.read()) == (204, b"")
            assert client.headers["cache-control"] == "no-store"
        for _ in range(4):
            await after.get()  # it runs after the client has its answer
        assert (len(asked), len(closed), after.empty()) == (1, 4, True)
        first, *_, end = events_of((await fetch(port, last_event_id="2"))[2])
        assert (first.status.kind, first.status.data, end.type) == (
            "gap",
            {"last_event_id": "2"},
            "message_complete",
        )
        status, _, lines = await fetch(
            port, "/?lines", last_event_id="3-end"
        )  # of a form without ids
        assert (status, json.loads(lines.splitlines()[0])["type"]) == (200, "text_delta")


@pytest.mark.parametrize("accept", ["text/event-stream", "application/x-ndjson"])
async def test_silence_opens_the_answer_and_is_filled_with_heartbeats(accept) -> None:
    going = asyncio.Event()

    async def slow():
        await going.wait()
        yield text_delta("late")
        yield StreamEvent(EventType.MESSAGE_COMPLETE)

    async def endpoint(request):
        return respond(request, slow(), heartbeat=0.02)

    async with serving(app_of(endpoint)) as port:
        client = await Client.ask(port, accept=accept)
        assert await client.head() == 200
        beats = [await client.chunk() for _ in range(3)]
        assert len(set(beats)) == 1
        going.set()
        rest = await client.body()
        assert b"late" in rest
        if accept == "text/event-stream":
            assert [event.type for event in events_of(b"".join(beats) + rest)] == [
                "text_delta",
                "message_complete",
            ]


async def test_progress_without_words_streams_and_ends() -> None:
    async def work():
        for done in (1, 2):
            yield StreamEvent(
                EventType.STATUS, status=Status("progress", f"{done} of 2", {"done": done})
            )
        yield StreamEvent(EventType.MESSAGE_COMPLETE)

    async def endpoint(request):
        return respond(request, work())

    async with serving(app_of(endpoint)) as port:
        assert [event.type for event in events_of((await fetch(port))[2])] == [
            "status",
            "status",
            "message_complete",
        ]
        assert (await fetch(port, accept="text/plain"))[2] == b""


async def test_the_answer_is_sent_as_it_comes() -> None:
    going = asyncio.Queue()

    async def told():
        for word in ("one", "two"):
            await going.get()
            yield text_delta(word)
        yield StreamEvent(EventType.MESSAGE_COMPLETE)

    async def endpoint(request):
        return EventStreamResponse(told())

    async with serving(app_of(endpoint)) as port:
        client = await Client.ask(port)
        going.put_nowait(1)
        await client.head()
        assert b'"one"' in await client.chunk()
        going.put_nowait(1)
        assert b'"two"' in await client.chunk()
        await client.body()


STOPPING = "The server is stopping. Please try again."


@pytest.mark.parametrize(
    "accept", ["text/event-stream", "application/x-ndjson", "text/plain", "application/json"]
)
@pytest.mark.parametrize("begun", [True, False])
async def test_a_server_that_stops_says_so(accept, begun) -> None:
    async def endless():
        if begun:
            yield text_delta("going on")
        await asyncio.Event().wait()

    async def endpoint(request):
        return respond(request, endless())

    opened = begun and accept != "application/json"
    async with serving(app_of(endpoint), timeout_graceful_shutdown=0) as port:
        client = await Client.ask(port, accept=accept)
        if opened:
            await client.head()
            first = await client.chunk()
        else:
            await asyncio.sleep(0.05)
    if not opened:
        assert await client.head() == 503
        assert client.headers["retry-after"] == "1"
        assert json.loads(await client.body())["error"] == STOPPING
    elif accept == "text/plain":
        with pytest.raises(asyncio.IncompleteReadError):
            await client.body()
    else:
        data = first + await client.body()
        events = (
            events_of(data)
            if "event" in accept
            else [StreamEvent.from_dict(json.loads(x)) for x in data.splitlines()]
        )
        last = events[-1]
        assert (last.type, last.error_info.kind, last.error) == ("error", "overloaded", STOPPING)


async def test_an_answer_that_is_over_is_not_said_to_be_cut_when_the_server_stops() -> None:
    async def slow_to_close():
        try:
            yield text_delta("all")
            yield StreamEvent(EventType.MESSAGE_COMPLETE)
        finally:
            await asyncio.Event().wait()

    async def endpoint(request):
        return respond(request, slow_to_close())

    async with serving(app_of(endpoint), timeout_graceful_shutdown=0) as port:
        client = await Client.ask(port)
        await client.head()
        data = await client.chunk() + await client.chunk()
    assert events_of(data + await client.body())[-1].type == "message_complete"


def test_a_callers_headers_replace_ours_but_not_what_the_form_needs() -> None:
    given = {"Cache-Control": "private", "X-Own": "1", "Content-Type": "x/y", "x-request-id": "2"}
    events = LLMClient(provider=ScriptedProvider()).chat_completion(QUESTION)
    response = EventStreamResponse(events, request_id="1", headers=given)
    headers = dict(response.raw_headers)
    assert len(headers) == len(response.raw_headers)
    assert headers[b"cache-control"] == b"private"
    assert headers[b"content-type"] == b"text/event-stream"
    assert (headers[b"x-own"], headers[b"x-request-id"]) == (b"1", b"1")
    assert headers[b"x-accel-buffering"] == b"no"


async def test_head_asks_nobody() -> None:
    closed, asked = [], []

    class Events:
        def __aiter__(self):
            asked.append(True)

        async def aclose(self):
            closed.append(True)

    async def endpoint(request):
        return respond(request, Events())

    async with serving(app_of(endpoint)) as port:
        client = await Client.ask(port, method="HEAD", accept="application/x-ndjson")
        assert (await client.head(), client.headers["content-type"]) == (
            200,
            "application/x-ndjson",
        )
        assert await client.reader.read() == b""
    assert (closed, asked) == ([True], [])


@pytest.mark.parametrize(
    ("wait", "told"), [(0.2, "1"), (float("inf"), "86400"), (-3.0, "0"), (float("nan"), None)]
)
async def test_any_delay_of_a_provider_makes_an_honest_header(wait, told) -> None:
    async def failing():
        yield error(ErrorInfo("rate_limit", retry_after=wait))

    async def endpoint(request):
        return respond(request, failing())

    async with serving(app_of(endpoint)) as port:
        status, headers, _ = await fetch(port)
    assert (status, headers.get("retry-after")) == (429, told)


async def test_an_error_event_of_ones_own_making_is_told_by_the_table() -> None:
    async def failing():
        yield text_delta("a")
        yield error(ErrorInfo("quota", SECRET))

    async def endpoint(request):
        return respond(request, failing())

    async with serving(app_of(endpoint)) as port:
        last = events_of((await fetch(port))[2])[-1]
    assert (last.error_info.kind, last.error) == ("server", TABLE["quota"].text)
