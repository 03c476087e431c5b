"""Settings that change while a gateway runs, in this process."""

from __future__ import annotations

import asyncio
import io
import json
from contextlib import suppress
from decimal import Decimal

import pytest
import websockets

from llmstream import EventType, LLMClient
from llmstream.errors import ConfigurationError
from llmstream.gateway.access_options import AccessOptions
from llmstream.gateway.app import Gateway
from llmstream.gateway.rate_table import RateTable
from llmstream.gateway.server_store import ServerStore
from llmstream.gateway.settings import CommandLineModels, SettingsSource
from llmstream.limits import Rate, SpendLimit
from llmstream.testing import FaultServer, ScriptedProvider, VirtualClock
from llmstream.web import AuditLog
from llmstream.web.keys import hash_line
from llmstream.web.server import running
from tests.gateway.programs import HeldReply, open_stream
from tests.patience import PATIENCE
from tests.web.serving import events_of, fetch
from tests.web.strangers import stranger

KEY = "llmstream-canary-reload"
QUESTION = [{"role": "user", "content": "hi"}]


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOUSE_KEY", "k" * 20)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def settings(server: FaultServer, name: str, more: str = "", hosted: tuple[str, ...] = ()):
    text = f"""
[models.{name}]
model = "openai:m-1"
key_env = "HOUSE_KEY"
base_url = "{server.url("openai")}"
{more}
"""
    source = SettingsSource(
        AccessOptions(), CommandLineModels(), path="gw.toml", hosted_tools=hosted
    )
    return source.settings(text)


async def test_what_was_replaced_is_closed_once_its_last_stream_has_ended() -> None:
    held = HeldReply()
    async with FaultServer(held) as upstream:
        gateway = Gateway(settings(upstream, "first"), ServerStore())
        async with running(gateway) as url:
            port = int(url.rpartition(":")[2])
            streams = [await open_stream(port, "first") for _ in range(2)]
            await gateway.replace(settings(upstream, "second"))
            assert upstream.open == 2
            held.release.set()
            for stream in streams:
                events = events_of(stream.first + await stream.body())
                assert events[-1].type == "message_complete"
            # Its connections would be kept for the next request.
            await upstream.left(PATIENCE)


async def test_limits_are_those_of_the_newest_settings() -> None:
    async with FaultServer() as upstream:
        gateway = Gateway(settings(upstream, "a", "[limits]\nmax_body = 10"), ServerStore())
        async with running(gateway) as url:
            port = int(url.rpartition(":")[2])
            body = b'{"prompt": "longer than ten"}'
            assert (await fetch(port, "/chat", "POST", body))[0] == 413
            await gateway.replace(settings(upstream, "a", "[limits]\nmax_body = 1000"))
            assert (await fetch(port, "/chat", "POST", body))[0] == 200


async def test_what_the_server_refuses_itself_is_audited_before_and_after_a_reload() -> None:
    written = io.StringIO()
    async with FaultServer() as upstream:
        observers = [AuditLog(written)]
        gateway = Gateway(settings(upstream, "a"), ServerStore(), observers=observers)
        async with running(gateway) as url:
            port = int(url.rpartition(":")[2])
            for name in "bc":
                async with stranger(port) as client:
                    client.send(b"no HTTP\r\n\r\n")
                    assert b" 400 " in await client.closed()
                await gateway.replace(settings(upstream, name))
    assert written.getvalue().count(" status=400 outcome=refused error=invalid_request ") == 2


async def test_requests_under_way_count_for_the_new_limits() -> None:
    held = HeldReply()
    async with FaultServer(held) as upstream:
        gateway = Gateway(settings(upstream, "a", "[limits]\nper_client = 2"), ServerStore())
        async with running(gateway) as url:
            port = int(url.rpartition(":")[2])
            first = await open_stream(port, "a")
            await gateway.replace(settings(upstream, "a", "[limits]\nper_client = 1"))
            status, _, body = await fetch(port, "/chat", "POST", b'{"prompt": "hi"}')
            assert (status, b"as many requests under way as you may: 1 of 1." in body) == (
                429,
                True,
            )
            await gateway.replace(settings(upstream, "a", "[limits]\nper_client = 2"))
            second = await open_stream(port, "a")
            assert (await fetch(port, "/chat", "POST", b'{"prompt": "hi"}'))[0] == 429
            held.release.set()
            for stream in (first, second):
                await stream.body()
            async with asyncio.timeout(PATIENCE):
                while (await fetch(port, "/chat", "POST", b'{"prompt": "hi"}'))[0] != 200:
                    await asyncio.sleep(0.01)


def keyed(server: FaultServer, requests: int, listed: str = '"a"'):
    """Settings with ann's key, which may ask for these models, so often."""
    digest = hash_line("ann", KEY).partition(":")[2]
    rate = f"rate = {{ requests = {requests} }}"
    other = f'[models.b]\nmodel = "openai:m-1"\nkey_env = "HOUSE_KEY"\nbase_url = "{server.url("openai")}"'
    return settings(
        server, "a", f'{other}\n[keys.ann]\nsha256 = "{digest}"\nmodels = [{listed}]\n{rate}\n'
    )


async def test_keys_of_a_file_have_models_and_rates_which_go_on_over_a_reload() -> None:
    async with FaultServer() as upstream:
        gateway = Gateway(keyed(upstream, 2), ServerStore())
        async with running(gateway) as url:
            port = int(url.rpartition(":")[2])

            async def ask(model: str, key: str = KEY) -> int:
                body = json.dumps({"prompt": "hi", "model": model}).encode()
                return (await fetch(port, "/chat", "POST", body, x_api_key=key))[0]

            assert [await ask("a"), await ask("b"), await ask("a", "a-key-of-nobody!!")] == [
                200,
                404,
                401,
            ]
            await gateway.replace(keyed(upstream, 2, '"a", "b"'))
            assert [await ask("b"), await ask("a")] == [200, 429]
            await gateway.replace(keyed(upstream, 3))
            assert [await ask("b"), await ask("a")] == [404, 200]


async def test_a_websocket_ends_with_its_answers_when_its_settings_are_replaced() -> None:
    held = HeldReply()
    async with FaultServer(held) as upstream:
        gateway = Gateway(settings(upstream, "a"), ServerStore())
        async with running(gateway) as url:
            at = f"ws{url.removeprefix('http')}/v1/responses"
            async with websockets.connect(at) as idle, websockets.connect(at) as busy:
                asked = {"type": "response.create", "model": "a", "input": "hi"}
                await busy.send(json.dumps(asked))
                assert json.loads(await busy.recv())["type"] == "response.created"
                await gateway.replace(settings(upstream, "b"))
                await asyncio.wait_for(idle.wait_closed(), PATIENCE)
                await busy.send(json.dumps(asked))  # it can't go on for ever
                events = []
                async for message in _until_closed(busy):
                    events.append(json.loads(message))
                    if events[-1].get("status") == 503:
                        held.release.set()
                assert events[-1]["type"] == "response.completed"
                assert (idle.close_code, busy.close_code) == (1012, 1012)


async def _until_closed(socket):
    with suppress(websockets.ConnectionClosedError):
        async for message in socket:
            yield message


def test_workers_share_the_rates_of_keys() -> None:
    text = f"""
[models.a]
model = "simulator"
[keys.ann]
sha256 = "{"a" * 64}"
rate = {{ requests = 5, concurrent = 2 }}
spend_limit = {{ max_cost = "1", per = 60 }}
"""
    source = SettingsSource(AccessOptions(), CommandLineModels(), path="gw.toml")
    shares = [source.settings(text).share(index, 2) for index in range(2)]
    rates = [share.access.key_limits["ann"].rate for share in shares]
    assert [(rate.requests, rate.concurrent) for rate in rates] == [(3, 1), (2, 1)]
    spend_limits = [share.access.key_limits["ann"].spend_limit for share in shares]
    assert [(limit.max_cost, limit.per) for limit in spend_limits] == [(Decimal("0.5"), 60)] * 2
    assert 0 < 1 - 3 * SpendLimit("1").share(3).max_cost < Decimal("1e-20")
    with pytest.raises(ValueError, match="concurrent is 2, which 3 workers can't share"):
        source.settings(text).share(0, 3)


async def test_a_file_that_drops_all_keys_changes_nothing_off_loopback() -> None:
    source = SettingsSource(AccessOptions("0.0.0.0"), CommandLineModels(), path="gw.toml")
    text = '[models.a]\nmodel = "simulator"\n'
    assert source.settings(f'{text}[keys.ann]\nsha256 = "{"a" * 64}"\n').access.keys is not None
    with pytest.raises(ConfigurationError, match="lets others in"):
        source.settings(text)


async def test_conversations_stay() -> None:
    async with FaultServer() as upstream:
        gateway = Gateway(settings(upstream, "a"), ServerStore())
        async with running(gateway) as url:
            port = int(url.rpartition(":")[2])
            begun = (await fetch(port, "/api/chat/session", "POST", b"{}"))[2]
            await gateway.replace(settings(upstream, "b"))
            body = begun.rstrip()[:-1] + b', "prompt": "hi"}'
            assert (await fetch(port, "/chat", "POST", body))[0] == 200


async def test_settings_that_can_t_be_change_nothing() -> None:
    async with FaultServer() as upstream:
        gateway = Gateway(settings(upstream, "a"), ServerStore())
        without_key = SettingsSource(
            AccessOptions(), CommandLineModels("openai:x", "https://h.example")
        )
        async with running(gateway) as url:
            with pytest.raises(ConfigurationError):
                await gateway.replace(without_key.settings(""))
            assert (await fetch(int(url.rpartition(":")[2]), "/v1/models/a"))[0] == 200


@pytest.mark.parametrize(("rate", "waits"), [(Rate(requests=1), True), (Rate(requests=2), False)])
async def test_what_a_rate_has_used_stays_used_if_the_rate_does(rate, waits) -> None:
    table = RateTable()
    provider = ScriptedProvider(["one"], ["two"])
    client = LLMClient("m", provider=provider, limiter=table.limiter, clock=VirtualClock())
    table.replace({}, Rate(requests=1))
    await client.complete(QUESTION)
    table.replace({}, rate)
    kinds = [event.type async for event in client.chat_completion(QUESTION)]
    assert (EventType.STATUS in kinds) == waits


async def test_a_model_without_a_rate_is_not_limited_beside_one_that_has_one() -> None:
    async with FaultServer() as upstream:
        more = 'rate = { concurrent = 1 }\n[models.free]\nmodel = "simulator"\n'
        gateway = Gateway(settings(upstream, "a", more), ServerStore())
        async with running(gateway) as url:
            port = int(url.rpartition(":")[2])
            body = b'{"prompt": "hi", "model": "%s"}'
            asked = [fetch(port, "/chat", "POST", body % name) for name in (b"a", b"free") * 3]
            assert [answer[0] for answer in await asyncio.gather(*asked)] == [200] * 6


ONE_SESSION = '[kept]\nttl = "none"\nall_sessions = 1\nall_bytes = "none"'


@pytest.mark.parametrize("in_file", [False, True], ids=["memory", "file"])
async def test_what_is_kept_of_conversations_is_bounded_by_the_newest_file(tmp_path, in_file):
    """Also where the newest file is older than the first conversation, and so than a store in memory."""
    store = ServerStore(str(tmp_path / "chats.db") if in_file else None)
    async with FaultServer() as upstream:
        gateway = Gateway(settings(upstream, "a", ONE_SESSION), store)
        async with running(gateway) as url:
            port = int(url.rpartition(":")[2])

            async def begin() -> int:
                return (await fetch(port, "/api/chat/session", "POST"))[0]

            assert [await begin() for _ in range(2)] == [201, 503]
            await gateway.replace(settings(upstream, "a"))
            assert await begin() == 201
            await gateway.replace(settings(upstream, "a", ONE_SESSION))
            assert await begin() == 503
            await gateway.replace(settings(upstream, "a", "[kept]\nttl = 1e-6\nall_sessions = 1"))
            assert await begin() == 404  # there was room, and at once it was too old
            assert (await fetch(port, "/readyz"))[0] == 200


async def test_conversations_in_memory_outlive_the_settings_that_they_began_with() -> None:
    async with FaultServer() as upstream:
        gateway = Gateway(settings(upstream, "a"), ServerStore())
        async with running(gateway) as url:
            port = int(url.rpartition(":")[2])
            session = json.loads((await fetch(port, "/api/chat/session", "POST"))[2])
            for _ in range(2):
                body = json.dumps({**session, "prompt": "hi"}).encode()
                assert (await fetch(port, "/chat", "POST", body))[0] == 200
                await gateway.replace(settings(upstream, "a"))
            histories = [each.body["messages"] for each in upstream.requests]
            assert [len(each) for each in histories] == [1, 3]


async def test_hosted_tools_are_those_of_the_flags_and_of_the_newest_file() -> None:
    async def ask(port: int, kind: str) -> int:
        body = {"model": "a", "messages": QUESTION, "tools": [{"type": kind}]}
        status, *_ = await fetch(port, "/v1/chat/completions", "POST", json.dumps(body).encode())
        return status

    async with FaultServer() as upstream:
        allowed = '[clients]\nhosted_tools = ["file_search"]'
        gateway = Gateway(settings(upstream, "a", hosted=("mcp",)), ServerStore())
        async with running(gateway) as url:
            port = int(url.rpartition(":")[2])
            assert [await ask(port, kind) for kind in ("mcp", "file_search")] == [200, 400]
            await gateway.replace(settings(upstream, "a", allowed, hosted=("mcp",)))
            assert [await ask(port, kind) for kind in ("mcp", "file_search")] == [200, 200]
            await gateway.replace(settings(upstream, "a"))
            assert [await ask(port, kind) for kind in ("mcp", "file_search")] == [400, 400]
