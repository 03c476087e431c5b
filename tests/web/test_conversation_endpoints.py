"""Conversations that the server keeps: over HTTP, over a WebSocket, and what becomes of them when the store fails."""

from __future__ import annotations

import json

import pytest
import websockets

from llmstream import ErrorInfo, LLMClient, RetryPolicy, Source
from llmstream.conversations import ConversationClient, MemoryStore, StoreError
from llmstream.events.types import refusal_delta
from llmstream.messages import ImagePart, ToolCall
from llmstream.providers.simulator import SimulatorProvider
from llmstream.testing import ScriptedProvider
from llmstream.tools import tool
from llmstream.web import Limits, create_app, health
from tests.web.serving import Client, events_of, fetch, frames, serving
from tests.web.test_app import QUESTION, app_with, post


async def begin(port, **headers):
    """A session's ids."""
    status, _, body = await post(port, "/api/chat/session", {}, **headers)
    assert status == 201
    return json.loads(body)


def query(ids, **more) -> str:
    fields = {"query": "hi", **ids, **more}
    return "/api/chat/stream-http?" + "&".join(f"{name}={value}" for name, value in fields.items())


CITED = ["See ", Source(title="Act", relevance_score=0.9), "it."]


async def test_chunks_over_http() -> None:
    app, _ = app_with(CITED, [ErrorInfo("rate_limit", "secret", retry_after=2)])
    async with serving(app) as port:
        ids = await begin(port)
        status, headers, data = await fetch(port, query(ids))
        assert (status, headers["content-type"]) == (200, "text/event-stream")
        assert [json.loads(frame.data) for frame in frames(data)] == [
            {"content": "See ", "is_complete": False},
            {"content": "it.", "is_complete": False},
            {
                "sources": [{"title": "Act", "relevance": 0.9, "relevance_score": 0.9}],
                "is_complete": True,
            },
        ]
        status, headers, body = await fetch(port, query(ids))
        assert (status, headers["retry-after"], b"secret" in body) == (429, "2", False)
        token = ids.pop("token")
        assert (await fetch(port, query(ids)))[0] == 400
        assert (await fetch(port, query(ids, token="wrong")))[0] == 404
        assert (await fetch(port, query(ids, query=""), x_session_token=token))[0] == 400


async def test_a_source_s_address_and_words_are_told_under_the_names_that_pages_read() -> None:
    source = Source(
        title="Act", url="https://a.example", excerpt="Companies pay", relevance_score=1
    )
    app, _ = app_with(["a", source])
    async with serving(app) as port:
        (*_, last) = await talk(port, {"query": "hi", **await begin(port)})
    (cited,) = last["sources"]
    assert cited["relevance"] == cited["relevance_score"] == 1
    assert (cited["url"], cited["excerpt"]) == ("https://a.example", "Companies pay")


async def test_a_session_heeds_its_body() -> None:
    app, _ = app_with()
    async with serving(app) as port:
        for body in (b"", b" ", b"{}", b'{"title": "Taxes"}', b'{"title": null}'):
            assert (await post(port, "/api/chat/session", body))[0] == 201
        for body, told in (
            (b"nonsense", "JSON"),
            (b"[]", "JSON object"),
            (b'{"title": 3}', "title"),
            (b'{"titel": "x"}', "titel"),
            (b'{"user_id": "ann"}', "by their keys"),
        ):
            status, _, said = await post(port, "/api/chat/session", body)
            assert (status, told in json.loads(said)["error"]) == (400, True), said


async def test_a_conversation_that_the_server_keeps_goes_on_over_chat() -> None:
    app, provider = app_with(["Ann, I see."], ["You are Ann."])
    async with serving(app) as port:
        ids = await begin(port)
        await post(port, "/chat", {"prompt": "I am Ann.", **ids})
        status, _, body = await post(port, "/chat", {"messages": QUESTION, "stream": True, **ids})
        assert status == 200
        assert "".join(event.text for event in events_of(body)) == "You are Ann."
        assert [message.text for message in provider.requests[1].messages] == [
            "I am Ann.",
            "Ann, I see.",
            "hi",
        ]
        assert (await post(port, "/chat", {"prompt": "x", **ids, "token": "wrong"}))[0] == 404


PIXEL = "data:image/png;base64,iVBORw0KGgo="


async def test_the_next_turn_of_a_conversation_may_be_a_list_of_parts() -> None:
    app, provider = app_with(["I see."])
    parts = [
        {"type": "text", "text": "What "},
        {"type": "image_url", "image_url": {"url": PIXEL}},
        {"type": "text", "text": "is it?"},
    ]
    async with serving(app) as port:
        ids = await begin(port)
        messages = [*QUESTION, {"role": "user", "content": parts}]
        assert (await post(port, "/chat", {"messages": messages, **ids}))[0] == 200
        (asked,) = provider.requests[0].messages
        assert asked.text == "What is it?"
        assert [part for part in asked.parts if isinstance(part, ImagePart)]
        for wrong, said in (
            ([*QUESTION, {"role": "assistant", "content": "Hi."}], "last is the user's"),
            ([{"role": "user", "content": [{"type": "text"}]}], "the last message"),
            ([{"role": "user", "content": []}], "query"),
            ([], "messages is empty"),
        ):
            status, _, body = await post(port, "/chat", {"messages": wrong, **ids})
            assert (status, said in json.loads(body)["error"]) == (400, True), body
    assert len(provider.requests) == 1


async def test_chunks_over_a_websocket() -> None:
    app, _ = app_with(CITED, ["half", ErrorInfo("connection", "secret")])
    async with serving(app) as port:
        ids = await begin(port)
        chunks = await talk(port, {"query": "hi", **ids})
        assert "".join(chunk.get("content", "") for chunk in chunks) == "See it."
        assert chunks[-1] == {
            "sources": [{"title": "Act", "relevance": 0.9, "relevance_score": 0.9}],
            "is_complete": True,
        }
        first, last = await talk(port, {"query": "hi", **ids})
        assert first == {"content": "half", "is_complete": False}
        assert set(last) == {"error", "request_id"}
        assert "secret" not in last["error"]


async def talk(port, asked) -> list:
    async with websockets.connect(f"ws://127.0.0.1:{port}/api/chat/stream") as socket:
        await socket.send(asked if isinstance(asked, str | bytes) else json.dumps(asked))
        return [json.loads(message) async for message in socket]


@pytest.mark.parametrize(
    "garbage", ["", "nonsense", "[]", "null", "{}", b"\x00\xff", '{"query": ""}', "[" * 5000]
)
async def test_garbage_over_a_websocket_is_told_and_ends_it(garbage) -> None:
    app, provider = app_with()
    async with serving(app) as port:
        async with websockets.connect(f"ws://127.0.0.1:{port}/api/chat/stream") as socket:
            await socket.send(garbage)
            assert set(json.loads(await socket.recv())) == {"error", "request_id"}
            with pytest.raises(websockets.ConnectionClosedError) as closed:
                await socket.recv()
        assert closed.value.rcvd.code == 1008
        assert provider.requests == []
        assert (await fetch(port, "/healthz"))[0] == 200


async def test_a_websocket_that_closes_without_asking_is_nobody() -> None:
    app, _ = app_with()
    async with serving(app) as port:
        async with websockets.connect(f"ws://127.0.0.1:{port}/api/chat/stream"):
            pass
        assert (await fetch(port, "/healthz"))[0] == 200


async def test_a_refusal_is_an_answer_with_words() -> None:
    app, _ = app_with([refusal_delta("I'd rather "), refusal_delta("not.")])
    async with serving(app) as port:
        data = (await fetch(port, query(await begin(port))))[2]
    chunks = [json.loads(frame.data) for frame in frames(data)]
    assert "".join(chunk.get("content", "") for chunk in chunks) == "I'd rather not."
    assert [chunk["is_complete"] for chunk in chunks] == [False, False, True]


async def test_a_round_of_tools_that_begins_anew_voids_nothing_of_those_before_it() -> None:
    call = ToolCall("c1", "look_up", "{}", {})
    cut = ErrorInfo("connection")
    rounds = (
        ["A ", Source(title="Act", relevance_score=0.9), call],
        ["B ", Source(title="void"), cut],
        ["C", cut],
        ["D"],
    )
    client = LLMClient(
        provider=ScriptedProvider(*rounds),
        retry=RetryPolicy(base_delay=0.001),
        on_interrupt="restart",
    )
    conversations = ConversationClient(client, tools=[tool(lambda: "12", name="look_up")])
    async with serving(create_app(client, conversations=conversations)) as port:
        ids = await begin(port)
        chunks = [json.loads(frame.data) for frame in frames((await fetch(port, query(ids)))[2])]
    shown, voided = "", 0
    for chunk in chunks:
        if chunk.get("retry", {}).get("discard"):
            shown, voided = "", voided + 1
        shown += chunk.get("content", "")
    assert (shown, voided) == ("A D", 2)
    assert chunks[-1]["sources"] == [{"title": "Act", "relevance": 0.9, "relevance_score": 0.9}]


async def test_an_event_source_stops_at_the_end_and_hears_that_it_missed_something() -> None:
    app, provider = app_with(CITED, ["Anew."])
    async with serving(app) as port:
        ids = await begin(port)
        data = (await fetch(port, query(ids)))[2]
        assert data.startswith(b"retry: 3000\n")
        assert [frame.id for frame in frames(data)] == ["1", "2", "3-end"]
        assert (await fetch(port, query(ids), last_event_id="3-end"))[0] == 204
        assert len(provider.requests) == 1
        told = frames((await fetch(port, query(ids), last_event_id="1"))[2])
        assert [json.loads(frame.data) for frame in told[:2]] == [
            {"retry": {"delay": 0.0, "discard": True}, "is_complete": False},
            {"content": "Anew.", "is_complete": False},
        ]


async def test_a_conversation_answers_one_at_a_time_and_says_when_to_come_back() -> None:
    client = LLMClient(provider=SimulatorProvider(pace=0.02))
    async with serving(create_app(client)) as port:
        ids = await begin(port)
        first = await Client.ask(port, query(ids))
        await first.head()
        await first.chunk()
        status, headers, body = await fetch(port, query(ids))
        assert (
            status,
            int(headers["retry-after"]) > 0,
            json.loads(body)["error_info"]["retryable"],
        ) == (
            409,
            True,
            True,
        )
        (chunk,) = await talk(port, {"query": "hi", **ids})
        assert "Another turn" in chunk["error"]
        assert b'"is_complete":true' in await first.body()
        assert (await fetch(port, query(ids)))[0] == 200


async def test_words_that_are_too_many_for_a_message_end_it() -> None:
    app, provider = app_with(limits=Limits(max_body=1000))
    async with (
        serving(app) as port,
        websockets.connect(f"ws://127.0.0.1:{port}/api/chat/stream") as socket,
    ):
        await socket.send(json.dumps({"query": "x" * 1000, **await begin(port)}))
        assert set(json.loads(await socket.recv())) == {"error", "request_id"}
        with pytest.raises(websockets.ConnectionClosedError):
            await socket.recv()
    assert provider.requests == []


async def test_asking_by_head_asks_nothing() -> None:
    app, provider = app_with()
    async with serving(app) as port:
        client = await Client.ask(port, query(await begin(port)), "HEAD")
        assert await client.head() == 200
        assert await client.reader.read() == b""
    assert provider.requests == []


class Lost(MemoryStore):
    """A database that went away."""

    gone = False

    async def session(self, session_id):
        if self.gone:
            raise StoreError("secret")
        return await super().session(session_id)

    async def add_session(self, session):
        if self.gone:
            raise StoreError("secret")
        await super().add_session(session)


async def test_a_store_that_went_away_is_told_logged_and_seen_by_readyz(
    caplog, monkeypatch
) -> None:
    monkeypatch.setattr(health, "FRESH", 0.0)
    store, client = Lost(), LLMClient("simulator")
    async with serving(
        create_app(client, conversations=ConversationClient(client, store=store))
    ) as port:
        ids = await begin(port)
        assert (await fetch(port, "/readyz"))[0] == 200
        store.gone = True
        assert (await fetch(port, "/readyz"))[0] == 503
        assert (await fetch(port, "/healthz"))[0] == 200
        for answer in (await fetch(port, query(ids)), await post(port, "/api/chat/session", {})):
            assert (answer[0], b"secret" in answer[2]) == (503, False)
            told = json.loads(answer[2])["request_id"]
            assert any(told in record.getMessage() and record.exc_info for record in caplog.records)
        (chunk,) = await talk(port, {"query": "hi", **ids})
        assert any(
            chunk["request_id"] in record.getMessage() and record.exc_info
            for record in caplog.records
        )
