"""Key limits: models and rates of each key, in every API."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from decimal import Decimal

import pytest
import websockets

from llmstream import LLMClient, RetryPolicy, catalogue
from llmstream.catalogue import ModelFacts
from llmstream.errors import ConfigurationError, ErrorInfo
from llmstream.events.types import text_delta
from llmstream.limits import Rate, SpendLimit
from llmstream.messages import Usage
from llmstream.pricing import Prices
from llmstream.testing import ScriptedProvider
from llmstream.web import Access, KeyLimits, create_app
from llmstream.web.key_limits import KeyRates
from llmstream.web.keys import hash_line
from llmstream.web.request_body import SMALL
from tests.patience import PATIENCE
from tests.web.serving import Client, fetch, serving
from tests.web.test_app import post
from tests.web.test_conversation_endpoints import begin

KEYS = {"ann": "llmstream-canary-ann1", "bob": "llmstream-canary-bob1"}
ANN, BOB = ({"x_api_key": key} for key in KEYS.values())
GOOD = "scripted:good"
MODELS = {"fast": "scripted:fast", "good": GOOD, "alias": "scripted:fast"}
QUESTION = {"role": "user", "content": "hi"}
RESPONSES = "/v1/responses"
BODIES = {
    "/chat": {"prompt": "hi"},
    "/v1/chat/completions": {"messages": [QUESTION]},
    "/v1/messages": {"messages": [QUESTION], "max_tokens": 9},
    "/v1/messages/count_tokens": {"messages": [QUESTION]},
    RESPONSES: {"input": "hi"},
    "/api/chat": {
        "id": "c",
        "messages": [{"id": "m", "role": "user", "parts": [{"type": "text", "text": "hi"}]}],
    },
    "/agui": {
        "threadId": "t",
        "runId": "r",
        "state": {},
        "messages": [{"id": "m", "role": "user", "content": "hi"}],
        "tools": [],
        "context": [],
        "forwardedProps": {},
    },
}
"""A question in each API."""


def naming(path: str, model: str | None) -> dict:
    """The question, of this model."""
    body = BODIES[path]
    if model is None:
        return body
    return (
        {**body, "forwardedProps": {"model": model}}
        if path == "/agui"
        else {**body, "model": model}
    )


def limited(*attempts, **limits: KeyLimits):
    """An app with two keys whose model plays these attempts, or always answers; and the provider."""
    provider = ScriptedProvider(*(attempts or [["ok", Usage(3, 2)]] * 40))
    client = LLMClient("scripted:fast", provider=provider, retry=RetryPolicy(max_attempts=1))
    keys = [hash_line(name, key) for name, key in KEYS.items()]
    return create_app(client, models=MODELS, access=Access(keys=keys, key_limits=limits)), provider


@pytest.mark.parametrize("path", BODIES)
async def test_a_key_may_ask_for_its_models_only(path) -> None:
    """In every API, by name, by another name of the same model, and by none: the first of them answers."""
    app, provider = limited(ann=KeyLimits(models=["good"]), bob=KeyLimits(models=["scripted:fast"]))
    async with serving(app) as port:
        for who, model, status in (
            (ANN, "good", 200),
            (ANN, "fast", 404),
            (ANN, "alias", 404),
            (ANN, "scripted:fast", 404),
            (BOB, "fast", 200),
            (BOB, "alias", 200),
            (BOB, "good", 404),
        ):
            got, _, body = await post(port, path, naming(path, model), **who)
            assert got == status, (who, model, body)
            if status == 404:
                there = "There are: good" if who is ANN else "There are: fast, alias"
                assert f'{there}"' in body.decode()
        if path in ("/chat", "/api/chat", "/agui"):  # the others' clients must name one
            assert (await post(port, path, naming(path, None), **ANN))[0] == 200
            assert provider.requests[-1].model == GOOD


async def test_a_large_body_reaches_no_other_model() -> None:
    """It is read in a thread, which knows whose it is, too."""
    app, provider = limited(ann=KeyLimits(models=["good"]))
    prompt = "word " * (SMALL // 4)
    async with serving(app) as port:
        ids = await begin(port, **ANN)
        for more in ({}, ids):
            for model in ("fast", "scripted:fast", "alias"):
                body = {"prompt": prompt, "model": model, **more}
                assert (await post(port, "/chat", body, **ANN))[0] == 404
            assert (await post(port, "/chat", {"prompt": prompt, **more}, **ANN))[0] == 200
    assert {request.model for request in provider.requests} == {GOOD}


async def test_what_else_names_models_shows_a_key_its_own() -> None:
    app, _ = limited(ann=KeyLimits(models=["good"]))
    async with serving(app) as port:
        listed = json.loads((await fetch(port, "/v1/models", **ANN))[2])["data"]
        assert [each["id"] for each in listed] == ["good"]
        assert len(json.loads((await fetch(port, "/v1/models", **BOB))[2])["data"]) == 3
        assert (await fetch(port, "/v1/models/fast", **ANN))[0] == 404
        document = json.loads((await fetch(port, "/openapi.json", **ANN))[2])
        assert document["info"]["description"].startswith("Models: good. ")
        # Its router may ask whichever it likes.
        assert (await post(port, "/streaming_chat", {"request": "hi"}, **ANN))[0] == 403
        assert (await post(port, "/streaming_chat", {"request": "hi"}, **BOB))[0] == 200


async def test_websockets_and_kept_conversations_keep_to_them_too() -> None:
    app, provider = limited(ann=KeyLimits(models=["good"], rate=Rate(requests=3)))
    head = {"x-api-key": KEYS["ann"]}
    async with serving(app) as port:
        ids = await begin(port, **ANN)
        url = f"ws://127.0.0.1:{port}"

        async def converse() -> list[dict]:
            async with websockets.connect(
                f"{url}/api/chat/stream", additional_headers=head
            ) as socket:
                await socket.send(json.dumps({"query": "hi", **ids}))
                chunks = []
                with suppress(websockets.ConnectionClosedError):  # as a refusal is
                    async for chunk in socket:
                        chunks.append(json.loads(chunk))  # noqa: PERF401  # what came before it counts
                return chunks

        assert "error" not in str(await converse())
        statuses = []
        async with websockets.connect(f"{url}{RESPONSES}", additional_headers=head) as socket:
            for model in ("fast", "good", "good", "good"):
                asked = {"type": "response.create", "model": model, "input": "hi"}
                await socket.send(json.dumps(asked))
                while True:
                    event = json.loads(await socket.recv())
                    if event["type"] in ("response.completed", "error"):
                        break
                statuses.append(event.get("status", 200))
        assert statuses == [404, 200, 200, 429]
        assert "used up its rate" in str(await converse())
        query = "&".join(f"{name}={value}" for name, value in {"query": "hi", **ids}.items())
        assert (await fetch(port, f"/api/chat/stream-http?{query}", **ANN))[0] == 429
    assert {request.model for request in provider.requests} == {GOOD}


@pytest.mark.parametrize("path", BODIES)
async def test_what_is_over_a_rate_hears_when_to_try_again(path) -> None:
    """All of its requests may come at once. Another key has its own."""
    app, _ = limited(**{"*": KeyLimits(rate=Rate(requests=2))})
    async with serving(app) as port:
        for who in (ANN, BOB):
            asked = [await post(port, path, naming(path, "fast"), **who) for _ in range(3)]
            assert [status for status, _, _ in asked] == [200, 200, 429]
            assert 55 <= int(asked[-1][1]["retry-after"]) <= 60
        assert (await fetch(port, "/v1/models", **ANN))[0] == 200  # it asks no model


async def test_a_refused_request_uses_nothing_of_a_rate() -> None:
    app, _ = limited(ann=KeyLimits(models=["fast"], rate=Rate(requests=1)))
    async with serving(app) as port:
        for body, status in (
            ({"prompt": ""}, 400),
            ({"prompt": "hi", "model": "good"}, 404),
            ({"prompt": "hi"}, 200),
            ({"prompt": "hi"}, 429),
        ):
            assert (await post(port, "/chat", body, **ANN))[0] == status


async def test_tokens_are_counted_as_the_answer_says() -> None:
    answer = ["ok", Usage(input_tokens=900, output_tokens=5)]
    app, _ = limited(answer, answer, ann=KeyLimits(rate=Rate(input_tokens=1_000)))
    async with serving(app) as port:
        assert [(await post(port, "/chat", {"prompt": "hi"}, **ANN))[0] for _ in range(2)] == [
            200
        ] * 2
        assert (await post(port, "/chat", {"prompt": "hi"}, **ANN))[0] == 429


async def test_what_a_provider_refused_uses_no_tokens() -> None:
    failed = [ErrorInfo("server", "down", status_code=500)]
    app, _ = limited(failed, failed, ["ok"], ann=KeyLimits(rate=Rate(output_tokens=600)))
    async with serving(app) as port:
        asked = [(await post(port, "/chat", {"prompt": "hi"}, **ANN))[0] for _ in range(3)]
        assert asked == [502, 502, 200]


class Held:
    """Answers that end when a test says so."""

    name = "scripted"

    def __init__(self) -> None:
        self.release = asyncio.Event()

    async def stream(self, request, call):
        yield text_delta("a")
        await self.release.wait()
        yield text_delta("b")

    async def aclose(self):
        pass


async def test_so_many_at_a_time_and_a_place_is_free_again_however_one_ended() -> None:
    held = Held()
    keys = [hash_line(name, key) for name, key in KEYS.items()]
    access = Access(keys=keys, key_limits={"ann": KeyLimits(rate=Rate(concurrent=1))})
    app = create_app(LLMClient("m", provider=held), access=access)
    body = b'{"prompt": "hi", "stream": true}'
    async with serving(app) as port:
        first = await Client.ask(port, "/chat", "POST", body, **ANN)
        await first.head()
        assert (await fetch(port, "/chat", "POST", body, **ANN))[0] == 429
        other = await Client.ask(port, "/chat", "POST", body, **BOB)
        assert await other.head() == 200
        first.leave()  # in the middle of its answer
        async with asyncio.timeout(PATIENCE):
            while True:
                again = await Client.ask(port, "/chat", "POST", body, **ANN)
                if await again.head() == 200:
                    break
                await asyncio.sleep(0.005)
        held.release.set()
        await again.body()


@pytest.mark.parametrize(
    "wrong",
    [
        {"ann": None},
        {"ann": {"models": ["fast"]}},
        {"": KeyLimits()},
        {1: KeyLimits()},
        [("ann", KeyLimits())],
        None,
    ],
)
def test_what_limits_nobody_is_refused(wrong) -> None:
    with pytest.raises(ConfigurationError, match="key_limits"):
        Access(keys=[KEYS["ann"]], key_limits=wrong)


@pytest.mark.parametrize("wrong", [{"models": "fast"}, {"models": 1}, {"rate": 60}, {"rate": Rate}])
def test_limits_that_can_t_be_are_refused(wrong) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        KeyLimits(**wrong)


def test_limits_without_keys_and_models_that_there_aren_t_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="there are no keys"):
        Access(key_limits={"ann": KeyLimits()})
    with pytest.raises(
        ConfigurationError, match="no model 'fats' here; there are fast, good, alias"
    ):
        limited(ann=KeyLimits(models=["fats"]))


# --- money --------------------------------------------------------------------------------------------------------


@pytest.fixture
def priced(monkeypatch) -> None:
    """A dollar for each token of an answer."""
    monkeypatch.setattr(catalogue, "_registered", {})
    facts = ModelFacts(prices=Prices("0", "1000000"), max_output=10)
    for model in ("fast", "good"):
        catalogue.register(f"scripted:scripted:{model}", facts)


@pytest.mark.usefixtures("priced")
@pytest.mark.parametrize("path", [path for path in BODIES if "count" not in path])
async def test_a_key_spends_no_more_than_its_limit(path) -> None:
    """In every API. Each answer reserves 9 or 10 dollars and costs 2; the other key has money of its own."""
    limit = SpendLimit("12")
    app, provider = limited(ann=KeyLimits(spend_limit=limit), bob=KeyLimits(spend_limit=limit))
    body = naming(path, "fast")
    async with serving(app) as port:
        assert [(await post(port, path, body, **ANN))[0] for _ in range(2)] == [200, 200]
        status, headers, told = await post(port, path, body, **ANN)
        assert (await post(port, path, body, **BOB))[0] == 200
    assert len(provider.requests) == 3
    assert b"may be spent here is used up" in told
    if status != 200:
        assert status == 429
        assert 0 < int(headers["retry-after"]) <= 86_400
        assert headers["x-should-retry"] == "false"


@pytest.mark.usefixtures("priced")
async def test_50_streams_of_a_key_never_overspend() -> None:
    """Whether they run one after another, so that 46 fit, or ten at a time."""
    script = [["ok", Usage(3, 2)]] * 50
    app, provider = limited(*script, ann=KeyLimits(spend_limit=SpendLimit("100")))
    async with serving(app) as port:
        body = {"messages": [QUESTION], "model": "fast", "stream": True}
        answers = await asyncio.gather(
            *(post(port, "/v1/chat/completions", body, **ANN) for _ in range(50))
        )
    paid = [answer for answer in answers if answer[0] == 200]
    refused = [answer for answer in answers if answer[0] == 429]
    assert len(paid) == len(provider.requests) <= 46
    assert len(paid) + len(refused) == 50
    assert len(paid) >= 10
    assert all(b"insufficient_quota" in body for _, _, body in refused)


@pytest.mark.usefixtures("priced")
async def test_what_is_spent_in_conversations_and_by_a_socket_counts() -> None:
    app, provider = limited(ann=KeyLimits(spend_limit=SpendLimit("14")))
    head = {"x-api-key": KEYS["ann"]}
    async with serving(app) as port:
        ids = await begin(port, **ANN)
        assert (await post(port, "/chat", {"prompt": "hi", **ids}, **ANN))[0] == 200
        url = f"ws://127.0.0.1:{port}/v1/responses"
        async with websockets.connect(url, additional_headers=head) as socket:
            create = {"type": "response.create", "model": "fast", "input": "hi"}
            for end in ("response.completed", "response.completed", "error"):
                await socket.send(json.dumps(create))
                kind = None
                while kind not in ("response.completed", "response.failed", "error"):
                    kind = json.loads(await asyncio.wait_for(socket.recv(), PATIENCE))["type"]
                assert kind == end
        status, _, _ = await post(port, "/chat", {"prompt": "hi", **ids}, **ANN)
    assert status == 429
    assert len(provider.requests) == 3


def test_a_reload_keeps_what_a_key_has_spent_and_takes_new_terms() -> None:
    rates, later = KeyRates(), KeyRates()
    limit = rates.spend_limit("ann", SpendLimit("10"))
    running = limit.reserve(Decimal(3))
    limit.reserve(Decimal(4)).settle(None)
    later.go_on_from(rates)
    renewed = later.spend_limit("ann", SpendLimit("5"))
    running.settle(Decimal(2))
    assert (renewed.max_cost, renewed.spent, renewed.reserved) == (5, 6, 0)
    assert later.spend_limit("bob", SpendLimit("5")).spent == 0
    assert later.spend_limit("bob", None) is None


def test_names_that_spent_nothing_are_forgotten() -> None:
    rates = KeyRates()
    spent = rates.spend_limit("ann", SpendLimit("10"))
    spent.reserve(Decimal(4)).settle(None)
    for number in range(3_000):
        rates.spend_limit(f"{number}", SpendLimit("10"))
    assert len(rates._spend_limits) <= 1_100
    assert rates.spend_limit("ann", SpendLimit("10")).spent == 4


def test_a_spend_limit_is_one() -> None:
    with pytest.raises(ConfigurationError, match="spend_limit must be a SpendLimit"):
        KeyLimits(spend_limit="5")
