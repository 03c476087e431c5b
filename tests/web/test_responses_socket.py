"""The WebSocket of `/v1/responses`: OpenAI's own client, and raw messages."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import openai
import pytest
import websockets
from openai.types.responses.responses_server_event import ResponsesServerEvent
from pydantic import TypeAdapter

from llmstream import ErrorInfo, LLMClient, RetryPolicy, StreamEvent, Usage
from llmstream.events.types import EventType, Start, error, text_delta
from llmstream.messages import ChatRequest, FinishReason
from llmstream.providers import ProviderTraits
from llmstream.providers.provider import Call
from llmstream.web import Access, Limits, create_app, responses_socket
from tests.patience import PATIENCE
from tests.web.serving import fetch, serving

EVENT: TypeAdapter[Any] = TypeAdapter(ResponsesServerEvent)
BUSY = ErrorInfo("rate_limit", "secret words", retryable=True, retry_after=7.0)


class Echo:
    """Answers with the last text it was sent.

    "wait" answers once `go` is set, "flood" never ends, "fail" and "half" fail.
    """

    name = "echo"
    traits = ProviderTraits(default_model="m")

    def __init__(self) -> None:
        self.requests: list[ChatRequest] = []
        self.go = asyncio.Event()
        self.waits = asyncio.Event()
        self.closed = asyncio.Event()

    async def stream(self, request: ChatRequest, call: Call) -> AsyncGenerator[StreamEvent, None]:
        self.requests.append(request)
        said = request.messages[-1].text
        if said == "fail":
            yield error(BUSY)
            return
        yield StreamEvent(EventType.MESSAGE_START, start=Start("i", "m"))
        yield text_delta("You said ")
        if said == "half":
            yield error(ErrorInfo("server", "secret words", retryable=False))
            return
        try:
            if said == "wait":
                self.waits.set()
                await self.go.wait()
            while said == "flood":
                yield text_delta("x" * 100_000)
        finally:
            self.closed.set()
        yield text_delta(said)
        usage = Usage(3, 4)
        yield StreamEvent(EventType.MESSAGE_COMPLETE, finish_reason=FinishReason.STOP, usage=usage)

    async def aclose(self) -> None:
        """Nothing is held."""


class Socket:
    """A WebSocket of raw JSON."""

    def __init__(self, socket: Any) -> None:
        self.socket = socket

    async def send(self, **event: Any) -> None:
        await self.socket.send(json.dumps(event))

    async def create(self, input: Any, **more: Any) -> None:
        await self.send(type="response.create", model="echo:m", input=input, **more)

    async def next(self) -> dict[str, Any]:
        read = json.loads(await asyncio.wait_for(self.socket.recv(), PATIENCE))
        EVENT.validate_json(json.dumps(_known(read)), strict=True)
        return read

    async def rest(self) -> list[dict[str, Any]]:
        """The events of an answer, to its end."""
        read = [await self.next()]
        while not is_last(read[-1]):
            read.append(await self.next())
        return read

    async def ask(self, input: Any, **more: Any) -> list[dict[str, Any]]:
        await self.create(input, **more)
        return await self.rest()


def _known(event: dict[str, Any]) -> dict[str, Any]:
    """An event that OpenAI's types judge: our error codes and ids aren't on their list."""
    response = event.get("response")
    return {**event, "response": {**response, "error": None}} if response else event


def is_last(event: dict[str, Any]) -> bool:
    ends = ("response.completed", "response.incomplete", "response.failed")
    return event["type"] in ends or "status" in event


def text_of(events: list[dict[str, Any]]) -> str:
    return "".join(e["delta"] for e in events if e["type"] == "response.output_text.delta")


@asynccontextmanager
async def connected(
    provider: Echo | None = None, **options: Any
) -> AsyncIterator[tuple[Socket, Echo]]:
    async with app_for(provider, **options) as (port, echo), connection(port) as socket:
        yield socket, echo


@asynccontextmanager
async def app_for(
    provider: Echo | None = None, *, server: Any = None, **options: Any
) -> AsyncIterator[tuple[int, Echo]]:
    echo = provider or Echo()
    client = LLMClient(provider=echo, retry=RetryPolicy(1))
    async with serving(create_app(client, **options), **(server or {})) as port:
        yield port, echo


@asynccontextmanager
async def connection(port: int, **options: Any) -> AsyncIterator[Socket]:
    url = f"ws://127.0.0.1:{port}/v1/responses"
    async with websockets.connect(url, **options) as socket:
        yield Socket(socket)


# --- answers ----------------------------------------------------------------------------------------------------


async def test_openai_s_own_client_converses() -> None:
    async with app_for() as (port, echo):
        url = f"http://127.0.0.1:{port}/v1"
        async with (
            openai.AsyncOpenAI(api_key="k", base_url=url) as client,
            client.responses.connect() as socket,
        ):
            await socket.response.create(model="echo:m", input="first")
            first = [event async for event in _until_end(socket)]
            assert first[-1].response.output_text == "You said first"
            assert first[-1].response.usage.total_tokens == 7
            previous = first[-1].response.id
            await socket.response.create(
                model="echo:m", input="second", previous_response_id=previous
            )
            second = [event async for event in _until_end(socket)]
            assert second[-1].response.output_text == "You said second"
            assert second[-1].response.previous_response_id == previous
    assert [message.text for message in echo.requests[-1].messages] == [
        "first",
        "You said first",
        "second",
    ]


async def _until_end(socket: Any) -> AsyncIterator[Any]:
    async for event in socket:
        yield event
        if event.type == "response.completed":
            return


async def test_events_are_those_of_http_one_json_text_each() -> None:
    async with app_for() as (port, _), connection(port) as socket:
        told = await socket.ask("hi\u2028\n")
        body = {"model": "echo:m", "input": "hi\u2028\n", "stream": True}
        _, _, answer = await fetch(port, "/v1/responses", "POST", json.dumps(body).encode())
    frames = [frame.partition(b"data: ")[2] for frame in answer.split(b"\n\n") if frame]
    assert [each["type"] for each in told] == [json.loads(each)["type"] for each in frames]
    assert [each["sequence_number"] for each in told] == [*range(len(told))]
    assert text_of(told) == "You said hi\u2028\n"


async def test_a_response_can_be_gone_on_from_more_than_once_and_from_another_lane() -> None:
    async with connected() as (socket, echo):
        first = (await socket.ask("a"))[-1]["response"]["id"]
        second = (await socket.ask("b", previous_response_id=first))[-1]["response"]["id"]
        await socket.ask("c", previous_response_id=first, stream_id="fork")
        assert [m.text for m in echo.requests[-1].messages] == ["a", "You said a", "c"]
        await socket.ask([{"role": "user", "content": "d"}], previous_response_id=second)
        asked = [m.text for m in echo.requests[-1].messages]
        assert asked == ["a", "You said a", "b", "You said b", "d"]


async def test_what_only_prepares_asks_no_model() -> None:
    async with connected() as (socket, echo):
        told = await socket.ask("prepared", generate=False)
        assert echo.requests == []
        response = told[-1]["response"]
        assert (response["status"], response["output"]) == ("completed", [])
        assert response["usage"]["total_tokens"] == 0
        await socket.ask("go", previous_response_id=response["id"], instructions="Be brief.")
        assert [m.text for m in echo.requests[-1].messages] == ["Be brief.", "prepared", "go"]
        nothing = (await socket.ask([], generate=False))[-1]["response"]["id"]
        assert text_of(await socket.ask("x", previous_response_id=nothing)) == "You said x"


async def test_after_a_compaction_only_its_summary_goes_on() -> None:
    async with connected() as (socket, echo):
        first = (await socket.ask("a long talk"))[-1]["response"]["id"]
        trigger = [{"type": "compaction_trigger"}]
        told = await socket.ask(trigger, previous_response_id=first)
        response = told[-1]["response"]
        assert [item["type"] for item in response["output"]] == ["compaction"]
        assert [m.text for m in echo.requests[-1].messages][:2] == [
            "a long talk",
            "You said a long talk",
        ]
        await socket.ask("on", previous_response_id=response["id"])
        summary, asked = echo.requests[-1].messages
        assert asked.text == "on"
        assert "You said Summarise" in summary.text


async def test_lanes_are_answered_side_by_side_and_each_in_order() -> None:
    async with connected() as (socket, echo):
        await socket.create("wait", stream_id="slow")
        await asyncio.wait_for(echo.waits.wait(), PATIENCE)
        await socket.create("behind", stream_id="slow")
        told = []
        await socket.create("quick", stream_id="fast")
        while not (told and is_last(told[-1])):
            told.append(await socket.next())
        assert told[-1]["stream_id"] == "fast"
        assert text_of([each for each in told if each["stream_id"] == "fast"]) == "You said quick"
        assert [m.messages[-1].text for m in echo.requests] == ["wait", "quick"]
        echo.go.set()
        rest = [*await socket.rest(), *await socket.rest()]
        assert {each["stream_id"] for each in rest} == {"slow"}
        ends = [each["response"]["output"] for each in rest if is_last(each)]
        assert [end[0]["content"][0]["text"] for end in ends] == [
            "You said wait",
            "You said behind",
        ]


async def test_a_client_that_leaves_ends_its_answers() -> None:
    echo = Echo()
    async with app_for(echo) as (port, _):
        async with connection(port) as socket:
            await socket.create("wait")
            await asyncio.wait_for(echo.waits.wait(), PATIENCE)
        await asyncio.wait_for(echo.closed.wait(), PATIENCE)
        async with connection(port) as socket:
            assert text_of(await socket.ask("again")) == "You said again"


# --- what goes wrong --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "status", "code", "param"),
    [
        (
            {"previous_response_id": "resp_x"},
            400,
            "previous_response_not_found",
            "previous_response_id",
        ),
        ({"previous_response_id": 5}, 400, "previous_response_not_found", "previous_response_id"),
        ({"background": True}, 400, "unsupported_value", "background"),
        ({"model": "nobody"}, 404, "model_not_found", None),
        ({"model": None}, 400, None, None),
        ({"input": 5}, 400, None, None),
        ({"input": []}, 400, None, None),
        ({"generate": "no"}, 400, None, None),
        ({"stream_id": ""}, 400, "invalid_value", "stream_id"),
        ({"stream_id": 5}, 400, "invalid_value", "stream_id"),
        ({"stream_id": "x" * 65}, 400, "invalid_value", "stream_id"),
        ({"type": "response.cancel"}, 400, "invalid_value", "type"),
        ({"type": None}, 400, "invalid_value", "type"),
    ],
)
async def test_a_wrong_event_is_told_and_the_connection_goes_on(event, status, code, param) -> None:
    async with connected() as (socket, _):
        await socket.send(**{"type": "response.create", "model": "echo:m", "input": "hi", **event})
        told = await socket.next()
        assert (told["type"], told["status"]) == ("error", status)
        assert told["error"]["message"]
        assert (told["error"]["code"], told["error"]["param"]) == (code, param)
        assert text_of(await socket.ask("hi")) == "You said hi"


@pytest.mark.parametrize("message", ["{nonsense", "[]", '"hi"', "[" * 100_000, b"{}", b"\xff"])
async def test_what_is_no_event_is_told_and_the_connection_goes_on(message) -> None:
    async with connected() as (socket, _):
        await socket.socket.send(message)
        told = await socket.next()
        assert (told["type"], told["status"]) == ("error", 400)
        assert told["error"]["type"] == "invalid_request_error"
        assert text_of(await socket.ask("hi")) == "You said hi"


async def test_a_provider_s_failure_has_the_status_that_http_would_have() -> None:
    async with connected() as (socket, _):
        *_, failed, last = await socket.ask("half")
        assert (failed["type"], last["type"]) == ("error", "response.failed")
        assert last["response"]["error"]["code"] == "server_error"
        assert "secret" not in json.dumps([failed, last])
        (told,) = await socket.ask("on", previous_response_id=last["response"]["id"])
        assert told["error"]["code"] == "previous_response_not_found"
        (told,) = await socket.ask("fail", stream_id="a")
        assert (told["type"], told["status"], told["stream_id"]) == ("error", 429, "a")
        assert (told["error"]["type"], told["error"]["code"]) == (
            "rate_limit_error",
            "rate_limit_exceeded",
        )
        assert told["error"]["headers"] == {"retry-after": "7"}
        assert "secret" not in json.dumps(told)


async def test_steering_is_refused_with_its_input() -> None:
    async with connected() as (socket, _):
        await socket.send(type="response.steer", previous_response_id="resp_x", input="left")
        told = await socket.next()
        assert (told["type"], told["error"]["code"]) == (
            "response.steer.failed",
            "steering_not_supported",
        )
        assert told["steer"] == {"input": "left", "previous_response_id": "resp_x"}


# --- limits -----------------------------------------------------------------------------------------------------


async def test_a_request_is_bounded_with_all_that_it_goes_on_from() -> None:
    async with connected(limits=Limits(max_body=3000)) as (socket, echo):
        await socket.create("x" * 3000)
        assert (await socket.next())["status"] == 413
        id, asked = None, 0
        while True:
            await socket.create("x" * 500, previous_response_id=id)
            told = await socket.rest()
            if "status" in told[-1]:
                break
            id, asked = told[-1]["response"]["id"], asked + 1
        assert told[-1]["status"] == 413
        assert 1 < asked < 6
        assert len(echo.requests) == asked
        assert len(text_of(await socket.ask("x" * 500))) == 509


async def test_old_responses_are_forgotten_before_they_take_much_room() -> None:
    async with connected(limits=Limits(max_body=3000)) as (socket, _):
        first = (await socket.ask("x" * 1000))[-1]["response"]["id"]
        for _ in range(5):
            last = (await socket.ask("x" * 1000))[-1]["response"]["id"]
        (told,) = await socket.ask("y", previous_response_id=first)
        assert told["error"]["code"] == "previous_response_not_found"
        assert text_of(await socket.ask("y", previous_response_id=last)) == "You said y"


async def test_answers_beyond_the_first_count_as_requests() -> None:
    async with app_for(limits=Limits(per_client=2)) as (port, echo), connection(port) as socket:
        for lane in ("a", "b", "c"):
            await socket.create("wait", stream_id=lane)
        told = await socket.next()
        while "status" not in told:
            told = await socket.next()
        assert (told["status"], told["stream_id"]) == (429, "c")
        assert (await fetch(port, "/v1/models"))[0] == 429
        echo.go.set()
        await socket.rest()
        await socket.rest()
        assert (await fetch(port, "/v1/models"))[0] == 200


async def test_only_so_many_wait() -> None:
    async with connected() as (socket, echo):
        await socket.create("wait")
        await asyncio.wait_for(echo.waits.wait(), PATIENCE)
        for _ in range(17):
            await socket.create("behind")
        told = await socket.next()
        while "status" not in told:
            told = await socket.next()
        assert (told["status"], told["error"]["code"]) == (429, "rate_limit_exceeded")
        echo.go.set()
        answers = [await socket.rest() for _ in range(17)]
        assert all(answer[-1]["type"] == "response.completed" for answer in answers)


async def test_a_client_that_doesn_t_read_is_dropped() -> None:
    async with (
        app_for(write_timeout=0.2, limits=Limits(per_client=2)) as (port, echo),
        connection(port, max_queue=1, compression=None) as socket,
    ):
        await socket.create("flood")
        await asyncio.wait_for(echo.closed.wait(), PATIENCE)
        socket.socket.transport.abort()  # closing would wait for all that was sent


async def test_an_idle_connection_is_closed_and_one_with_an_answer_isn_t(monkeypatch) -> None:
    monkeypatch.setattr(responses_socket, "_IDLE", 0.05)
    async with connected() as (socket, echo):
        await socket.create("wait")
        await asyncio.wait_for(echo.waits.wait(), PATIENCE)
        loop = asyncio.get_running_loop()
        loop.call_later(0.2, echo.go.set)  # four times as long as it may be idle
        assert text_of(await socket.rest()) == "You said wait"
        with pytest.raises(websockets.ConnectionClosedOK):
            await asyncio.wait_for(socket.socket.recv(), PATIENCE)


async def test_a_mistake_of_ours_is_told_and_the_connection_goes_on(monkeypatch, caplog) -> None:
    async with connected() as (socket, _):
        with monkeypatch.context() as patched:
            patched.setattr(responses_socket, "_items_of", lambda _: 1 / 0)
            (told,) = await socket.ask("hi")
        assert (told["status"], told["error"]["type"]) == (500, "server_error")
        assert text_of(await socket.ask("hi")) == "You said hi"
    assert "ZeroDivisionError" in caplog.text
    assert "division" not in json.dumps(told)


async def test_what_waits_may_be_as_large_as_one_request() -> None:
    async with connected(limits=Limits(max_body=3000)) as (socket, echo):
        await socket.create("wait")
        await asyncio.wait_for(echo.waits.wait(), PATIENCE)
        await socket.create("x" * 2000)
        await socket.create("x" * 2000)
        told = await socket.next()
        while "status" not in told:
            told = await socket.next()
        assert (told["status"], told["error"]["headers"]) == (429, {"retry-after": "1"})
        echo.go.set()
        await socket.rest()
        await socket.rest()
        assert len(text_of(await socket.ask("x" * 2000))) == 2009


# --- where there is none ----------------------------------------------------------------------------------------


async def test_where_it_is_turned_off_clients_hear_426() -> None:
    async with app_for(responses_websocket=False) as (port, _):
        with pytest.raises(websockets.InvalidStatus) as refused:
            await websockets.connect(f"ws://127.0.0.1:{port}/v1/responses")
        response = refused.value.response
        assert response.status_code == 426
        assert "POST /v1/responses" in json.loads(response.body)["error"]["message"]
    async with app_for(server={"ws": "none"}) as (port, _):
        with pytest.raises(websockets.InvalidStatus) as refused:
            await websockets.connect(f"ws://127.0.0.1:{port}/v1/responses")
        assert refused.value.response.status_code == 426
        status, headers, _ = await fetch(port, "/v1/responses")
        assert (status, headers["upgrade"]) == (426, "websocket")


async def test_a_stranger_gets_no_connection() -> None:
    async with app_for(access=Access(keys=["sesame-open-sesame"])) as (port, _):
        with pytest.raises(websockets.InvalidStatus) as refused:
            await websockets.connect(f"ws://127.0.0.1:{port}/v1/responses")
        assert refused.value.response.status_code == 401
        key = {"Authorization": "Bearer sesame-open-sesame"}
        async with connection(port, additional_headers=key) as socket:
            assert text_of(await socket.ask("hi")) == "You said hi"
