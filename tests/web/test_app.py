"""create_app: every endpoint over a real server, and what it refuses."""

from __future__ import annotations

import asyncio
import gzip
import json

import httpx2
import pytest
from pydantic import ValidationError

from llmstream import LLMClient, RetryPolicy
from llmstream.conversations import ConversationClient, MemoryStore
from llmstream.errors import ConfigurationError
from llmstream.events.types import StreamEvent
from llmstream.router import Dispatcher, RouterWithDispatcher, Routes
from llmstream.testing import ScriptedProvider
from llmstream.web import Access, Limits, create_app, health
from llmstream.web.access import PUBLIC
from llmstream.web.dialects import AgUi, AiSdk
from llmstream.web.endpoints import ChatBody
from tests.patience import PATIENCE
from tests.web.serving import Client, events_of, fetch, serving

QUESTION = [{"role": "user", "content": "hi"}]


def app_with(*attempts, **options):
    """An app whose model plays these attempts, and the provider."""
    provider = ScriptedProvider(*attempts)
    return create_app(
        LLMClient(provider=provider, retry=RetryPolicy(max_attempts=1)), **options
    ), provider


async def post(port, path, body, **headers):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await fetch(port, path, "POST", data, **{"content_type": "application/json", **headers})


async def test_chat_answers_in_both_modes() -> None:
    app, provider = app_with(*[["Hel", "lo"]] * 4)
    async with serving(app) as port:
        status, headers, body = await post(port, "/chat", {"messages": QUESTION})
        assert (status, headers["content-type"]) == (200, "application/json")
        assert StreamEvent.from_dict(json.loads(body)).text == "Hello"
        _, headers, body = await post(
            port, "/chat", {"prompt": "hi", "stream": True, "temperature": 0.5}
        )
        assert headers["content-type"] == "text/event-stream"
        assert "".join(event.text for event in events_of(body)) == "Hello"
        assert provider.requests[1].temperature == 0.5
        assert provider.requests[1].messages[0].text == "hi"
        _, _, body = await post(port, "/chat?mode=batch", {"prompt": "hi", "stream": True})
        assert json.loads(body)["type"] == "message_complete"
        _, headers, _ = await post(port, "/chat", {"prompt": "hi"}, accept="application/x-ndjson")
        assert headers["content-type"] == "application/x-ndjson"


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"{nonsense", 400, "JSON"),
        ([], 400, "body"),
        ({}, 400, "either messages or a prompt"),
        ({"messages": QUESTION, "prompt": "x"}, 400, "either"),
        ({"prompt": "  "}, 400, "empty"),
        ({"messages": []}, 400, "empty"),
        ({"messages": [{"role": "king", "content": "x"}]}, 400, "messages[0]"),
        ({"messages": QUESTION, "stream": "yes"}, 400, "stream"),
        ({"messages": QUESTION, "max_tokens": 0}, 400, "max_tokens"),
        ({"messages": QUESTION, "provider_options": {}}, 400, "provider_options"),
        ({"messages": QUESTION, "model": "openai:gpt-5"}, 404, "scripted:script"),
        ({"messages": QUESTION * 20}, 413, "messages"),
        ({"prompt": "x" * 3000}, 413, "2000 bytes"),
        (b"[" * 1500, 400, "JSON"),
    ],
)
async def test_a_chat_that_is_wrong_is_refused_and_the_server_goes_on(body, status, said) -> None:
    app, provider = app_with(["ok"], limits=Limits(max_body=2000, max_messages=10))
    async with serving(app) as port:
        got, headers, answer = await post(port, "/chat", body)
        refusal = json.loads(answer)
        assert (got, said in refusal["error"]) == (status, True), refusal
        assert headers["x-request-id"] == refusal["request_id"]
        assert provider.requests == []
        assert (await post(port, "/chat", {"prompt": "hi"}))[0] == 200
        assert (await post(port, "/chat?mode=telepathy", {"prompt": "hi"}))[0] == 406


@pytest.mark.parametrize(
    "junk",
    [
        {"messages": [1] * 50_000},
        {"prompt": "x", "stop": [1] * 50_000},
        {"prompt": "x", "tools": [1] * 50_000},
    ],
)
async def test_a_body_of_junk_is_refused_for_the_first_of_it(junk) -> None:
    """An error for each piece held every other stream up for seconds."""
    with pytest.raises(ValidationError) as wrong:
        ChatBody.model_validate(junk)
    assert wrong.value.error_count() <= 2  # of a union each member says why
    app, _ = app_with()
    async with serving(app) as port:
        status, _, body = await post(port, "/chat", junk)
        assert (status, ".1:" in json.loads(body)["error"]) == (400, False)
        status, _, body = await post(port, "/chat", {f"k{number}": 1 for number in range(1000)})
        assert (status, json.loads(body)["error"].count("k")) == (400, 1)


async def test_a_body_that_lies_about_its_length_is_stopped_at_the_limit() -> None:
    app, _ = app_with(limits=Limits(max_body=1000))
    async with serving(app) as port:
        client = await Client.ask(port, "/chat", "POST", transfer_encoding="chunked")
        client.writer.write(b"3e8\r\n" + b"x" * 1000 + b"\r\n" + b"3e8\r\n" + b"x" * 1000 + b"\r\n")
        assert await client.head() == 413


@pytest.mark.parametrize("announced", [True, False])
async def test_a_client_that_sends_all_before_it_reads_hears_that_it_was_too_much(
    announced,
) -> None:
    """httpx2, and so both SDKs: had the server closed at once, they would see no more than a connection that broke."""

    async def pieces():
        for _ in range(200):
            yield b"x" * 100_000

    app, _ = app_with(limits=Limits(max_body=1000))
    async with serving(app) as port, httpx2.AsyncClient(timeout=20) as client:
        content = b"x" * 20_000_000 if announced else pieces()
        answer = await client.post(f"http://127.0.0.1:{port}/v1/chat/completions", content=content)
        assert (answer.status_code, answer.json()["error"]["type"]) == (
            413,
            "invalid_request_error",
        )
        assert (await client.get(f"http://127.0.0.1:{port}/healthz")).status_code == 200


async def test_a_body_that_is_compressed_is_told_what_to_be() -> None:
    app, _ = app_with()
    async with serving(app) as port:
        status, _, body = await post(
            port, "/chat", gzip.compress(b'{"prompt": "hi"}'), content_encoding="gzip"
        )
        assert (status, "Content-Encoding" in json.loads(body)["error"]) == (415, True)


async def test_a_mistake_of_the_servers_own_is_in_its_log_under_the_id_that_was_told(
    caplog,
) -> None:
    async def broken(connection):
        raise LookupError("secret")

    app, _ = app_with(access=Access(keys=broken))
    async with serving(app) as port:
        status, _, body = await post(port, "/chat", {"prompt": "hi"})
        assert (status, b"secret" in body) == (500, False)
    assert any(json.loads(body)["request_id"] in record.getMessage() for record in caplog.records)


async def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    app, _ = app_with(limits=Limits(body_timeout=0.05))
    async with serving(app) as port:
        client = await Client.ask(port, "/chat", "POST", content_length="100")
        assert (await client.head(), client.headers["connection"]) == (408, "close")


async def test_only_models_on_the_list_can_be_asked_for() -> None:
    app, provider = app_with(*[["ok"]] * 3, models={"small": "s", "large": "l"})
    async with serving(app) as port:
        for asked, model in (("large", "l"), (None, "s")):
            assert (await post(port, "/chat", {"prompt": "hi", "model": asked}))[0] == 200
            assert provider.requests[-1].model == model
        assert (await post(port, "/chat", {"prompt": "hi", "model": "l"}))[0] == 404
        _, _, body = await fetch(port, "/v1/models")
        assert [model["id"] for model in json.loads(body)["data"]] == ["small", "large"]
        assert (await fetch(port, "/v1/models/small"))[0] == 200
        status, _, body = await fetch(port, "/v1/models/other")
        assert (status, json.loads(body)["error"]["type"]) == (404, "not_found_error")


async def test_the_simple_endpoints() -> None:
    app, _ = app_with()
    async with serving(app) as port:
        for path in ("/healthz", "/readyz"):
            assert (await fetch(port, path))[0] == 200
        status, headers, body = await fetch(port, "/")
        assert (status, b"<script" in body) == (200, True)
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-dns-prefetch-control"] == "off"
        assert {"camera=()", "geolocation=()", "microphone=()"} <= {
            *headers["permissions-policy"].split(", ")
        }
        status, _, body = await fetch(port, "/nowhere")
        assert (status, json.loads(body)["error_info"]["kind"]) == (404, "not_found")
        assert (await fetch(port, "/chat"))[0] == 405


class Allowed(Routes):
    BILLING = "billing", "Invoices"
    NOT_DEFINED = "not_defined"


async def test_streaming_chat_is_text_from_the_handler_that_the_router_finds(caplog) -> None:
    dispatcher = Dispatcher(Allowed)

    @dispatcher.handler(Allowed.BILLING)
    async def billing(text):
        yield "Your invoice: "
        if "broken" in text:
            raise ValueError("secret")
        yield "paid."

    async def billing_or_nothing(text):
        if "fail" in text:
            raise RuntimeError("secret")
        return Allowed.BILLING if "invoice" in text else None

    router = RouterWithDispatcher(Allowed, [billing_or_nothing], dispatcher)
    app, _ = app_with(router=router)
    async with serving(app) as port:
        status, headers, body = await post(port, "/streaming_chat", {"request": "my invoice"})
        assert (status, headers["content-type"]) == (200, "text/plain; charset=utf-8")
        assert body.decode() == "Your invoice: paid."
        for empty in ({"request": ""}, {"request": " "}, {}, {"request": 1}):
            assert (await post(port, "/streaming_chat", empty))[0] == 400
        client = await Client.ask(
            port, "/streaming_chat", "POST", json.dumps({"request": "invoice broken"}).encode()
        )
        assert await client.head() == 200
        with pytest.raises(asyncio.IncompleteReadError):
            await client.body()
    assert "secret" not in body.decode()


async def test_streaming_chat_that_fails_before_a_word_is_500_and_logged(caplog) -> None:
    class Broken(RouterWithDispatcher):
        async def route_request(self, text):
            raise RuntimeError("secret")

    dispatcher = Dispatcher(Allowed)
    dispatcher.handler(Allowed.BILLING)(lambda text: "x")
    app, _ = app_with(router=Broken(Allowed, [lambda text: None], dispatcher))
    async with serving(app) as port:
        status, _, body = await post(port, "/streaming_chat", {"request": "hello"})
        assert status == 500
        assert b"secret" not in body
    assert any(
        "RuntimeError" in record.getMessage() and record.exc_info for record in caplog.records
    )


async def test_without_a_router_the_first_of_the_models_answers() -> None:
    app, provider = app_with(["Hello"], models={"small": "s", "large": "l"})
    async with serving(app) as port:
        assert (await post(port, "/streaming_chat", {"request": "hi"}))[2] == b"Hello"
    assert provider.requests[0].model == "s"


@pytest.mark.parametrize(
    "models", [["simulator:a", "anthropic:claude-sonnet-4-5"], {"good": "anthropic:claude"}]
)
def test_a_model_without_a_key_is_told_when_the_app_is_made(models, monkeypatch) -> None:
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigurationError, match="no key for anthropic"):
        create_app(LLMClient("simulator"), models=models)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/streaming_chat", {"request": "half a \ud83d"}),
        ("/chat", {"prompt": "half a \ud83d"}),
        ("/chat", {"\ud83d": 1}),
    ],
)
async def test_half_a_character_is_refused_and_a_whole_one_taken(path, body) -> None:
    """JSON can write half a surrogate pair, and UTF-8 can't."""
    app, provider = app_with(["ok"])
    async with serving(app) as port:
        assert (await post(port, path, body))[0] == 400
        assert provider.requests == []
        assert (await post(port, "/chat", {"prompt": "a whole 😀"}))[0] == 200


def waiting_router(go_on):
    """A router whose only handler waits for the event after its first word."""
    dispatcher = Dispatcher(Allowed)

    @dispatcher.handler(Allowed.BILLING)
    async def wait(_):
        yield "one "
        await go_on.wait()
        yield "two"

    async def always(_):
        return Allowed.BILLING

    return RouterWithDispatcher(Allowed, [always], dispatcher)


async def begin_waiting(port):
    """A client that has the first word of an answer."""
    body = b'{"request": "wait"}'
    client = await Client.ask(
        port, "/streaming_chat", "POST", body, content_type="application/json"
    )
    assert await client.head() == 200
    return client


async def test_too_many_at_once_are_turned_away_and_told_when_to_come_back() -> None:
    go_on = asyncio.Event()
    app, _ = app_with(
        ["ok"],
        router=waiting_router(go_on),
        limits=Limits(per_client=2, max_streams=3, retry_after=1.5),
    )
    async with serving(app) as port:
        open_ones = [await begin_waiting(port) for _ in range(2)]
        status, headers, body = await post(port, "/chat", {"prompt": "hi"})
        assert (status, headers["retry-after"]) == (429, "2")
        assert json.loads(body)["error_info"]["kind"] == "rate_limit"
        go_on.set()
        for client in open_ones:
            assert await client.body() == b"one two"
        assert (await post(port, "/chat", {"prompt": "hi"}))[0] == 200


async def test_a_client_that_leaves_makes_room_for_another() -> None:
    app, _ = app_with(
        *[["ok"]] * 1_000, router=waiting_router(asyncio.Event()), limits=Limits(max_streams=1)
    )
    async with serving(app) as port:
        client = await begin_waiting(port)
        assert (await post(port, "/chat", {"prompt": "hi"}))[0] == 503
        client.leave()
        async with asyncio.timeout(PATIENCE):
            while (await post(port, "/chat", {"prompt": "hi"}))[0] != 200:
                await asyncio.sleep(0.01)


FOREIGN = {
    "/v1/chat/completions",
    "/v1/responses",
    "/v1/responses/compact",
    "/v1/messages",
    "/v1/messages/count_tokens",
    "/v1/models",
    "/v1/models/{model}",
    "/api/chat",
    "/agui",
    "/ai/chat",
    "/ollama",
    *(f"/api/{name}" for name in ("generate", "tags", "show", "version")),
    "/v1beta/models",
    "/v1beta/models/{model}",
    *(
        f"/{version}/models/{{model}}:{name}"
        for version in ("v1beta", "v1")
        for name in ("generateContent", "streamGenerateContent", "countTokens")
    ),
    *(f"/ollama/api/{name}" for name in ("chat", "generate", "tags", "show", "version")),
}


async def test_the_openapi_document_names_every_endpoint_and_every_form() -> None:
    app, _ = app_with()
    async with serving(app) as port:
        document = json.loads((await fetch(port, "/openapi.json"))[2])
    served = {
        (route.path.replace(":path", ""), method.lower())
        for route in app.routes
        for method in getattr(route, "methods", None) or ()
        if method != "HEAD"
    }
    assert served == {(path, method) for path, item in document["paths"].items() for method in item}
    content = document["paths"]["/chat"]["post"]["responses"]["200"]["content"]
    assert set(content) == {
        "text/event-stream",
        "application/x-ndjson",
        "text/plain",
        "application/json",
    }
    schemas = document["components"]["schemas"]
    named = json.dumps(document).split('"#/components/schemas/')[1:]
    assert {part.partition('"')[0] for part in named} <= set(schemas)
    assert {
        path
        for path, item in document["paths"].items()
        if item.get("get", {}).get("security") == []
    } == PUBLIC
    paths = document["paths"]
    for path, item in paths.items():  # said in the words of the API that the path belongs to
        for operation in item.values():
            assert ("default" in operation["responses"]) == (path in FOREIGN)
            assert ('schemas/Error"' in json.dumps(operation)) == (path not in FOREIGN)
    assert "application/json" in paths["/v1/messages"]["post"]["responses"]["200"]["content"]
    for dialect in (AiSdk(), AgUi()):  # which know streams only
        with pytest.raises(TypeError):
            dialect.document(None, None)
        assert set(paths[dialect.path]["post"]["responses"]["200"]["content"]) == {
            "text/event-stream"
        }


async def test_what_the_app_made_it_closes() -> None:
    app = create_app(LLMClient("simulator"), conversations=None)
    async with serving(app, lifespan="on") as port:
        assert (await fetch(port, "/readyz"))[0] == 200
    given = ConversationClient(LLMClient("simulator"))
    async with serving(create_app(LLMClient("simulator"), conversations=given), lifespan="on"):
        pass
    await given.aclose()


async def test_readyz_tells_what_a_function_says_is_missing(monkeypatch) -> None:
    monkeypatch.setattr(health, "FRESH", 0.0)
    missing: list[str] = ["no index"]
    app, _ = app_with(ready=lambda: missing[0] if missing else None)
    async with serving(app) as port:
        status, _, body = await fetch(port, "/readyz")
        assert (status, json.loads(body)) == (503, {"status": "no index"})
        missing.clear()
        assert (await fetch(port, "/readyz"))[0] == 200
        assert (await fetch(port, "/healthz"))[0] == 200


async def test_however_many_ask_readyz_the_store_is_looked_at_once_a_second(monkeypatch) -> None:
    looks: list[str] = []
    waiting = asyncio.Event()

    class Counted(MemoryStore):
        async def session(self, session_id):
            looks.append(session_id)
            await waiting.wait()
            return await super().session(session_id)

    client = LLMClient("simulator")
    app = create_app(client, conversations=ConversationClient(client, store=Counted()))
    async with serving(app) as port:
        asking = [asyncio.create_task(fetch(port, "/readyz")) for _ in range(50)]
        async with asyncio.timeout(PATIENCE):
            while not looks:
                await asyncio.sleep(0.001)
        waiting.set()
        assert {status for status, _, _ in await asyncio.gather(*asking)} == {200}
        assert len(looks) == 1
        monkeypatch.setattr(health, "FRESH", 0.0)
        await fetch(port, "/readyz")
        assert len(looks) == 2
