"""Models with several endpoints, over real connections: in turn, passed over while paused, then the fallbacks."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager

import pytest

from llmstream import EventType, FinishReason
from llmstream.gateway.access_options import AccessOptions
from llmstream.gateway.app import Gateway
from llmstream.gateway.config_file import parse_config
from llmstream.gateway.model_pools import PooledClient
from llmstream.gateway.server_store import ServerStore
from llmstream.gateway.settings import CommandLineModels, SettingsSource
from llmstream.messages import RefusalPart
from llmstream.testing import FaultServer
from llmstream.testing.reply import ANSWER
from llmstream.web.server import running
from tests.web.serving import fetch

QUESTION = [{"role": "user", "content": "hi"}]


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("A", "B", "C", "D"):
        monkeypatch.setenv(f"KEY_{name}", f"key-of-{name}")


def config(server: FaultServer, *, second: FaultServer | None = None) -> str:
    """A model with three keys, and its fallback, which is another provider's."""
    return f"""
[models.fast]
model = "openai:quick"
key_env = ["KEY_A", "KEY_B", "KEY_C"]
base_url = "{server.url("openai")}"
fallbacks = ["good"]

[models.good]
model = "anthropic:thorough"
key_env = "KEY_D"
base_url = "{(second or server).url("anthropic")}"
"""


async def limited(reply) -> None:
    """Nothing for half a minute."""
    body = reply.error_body("rate_limit_error", "slow down")
    await reply.whole(429, body, {"retry-after": "30"})


def keys(server: FaultServer) -> str:
    """The last letters of the keys that came."""
    sent = (
        request.headers.get("authorization") or request.headers["x-api-key"]
        for request in server.requests
    )
    return "".join(key[-1] for key in sent)


@asynccontextmanager
async def pooled(text: str):
    async with PooledClient(parse_config(text, "gw.toml").pools) as client:
        yield client


async def test_endpoints_are_asked_in_turn() -> None:
    async with FaultServer() as server, pooled(config(server)) as client:
        for _ in range(7):
            await client.complete(QUESTION)
        assert keys(server) == "ABCABCA"
        assert {request.body["model"] for request in server.requests} == {"quick"}


async def test_one_that_is_paused_is_passed_over_without_a_word() -> None:
    """A RETRY would have been sent to the client, and after it nothing could fail with a real status."""
    async with (
        FaultServer(limited, "ok") as server,
        pooled(config(server)) as client,
    ):
        await client.complete(QUESTION)
        assert keys(server) == "AB"
        kinds = [[event.type async for event in client.chat_completion(QUESTION)] for _ in range(4)]
        assert keys(server) == "AB" + "BCBC"
        assert not {EventType.RETRY, EventType.STATUS} & {kind for each in kinds for kind in each}


@pytest.mark.parametrize(
    "fault", ["status-500", "status-529", "reset-before-the-answer", "status-401"]
)
async def test_another_endpoint_is_asked_at_once(fault) -> None:
    async with FaultServer(fault, "ok") as server, pooled(config(server)) as client:
        events = [event async for event in client.chat_completion(QUESTION)]
        assert keys(server) == "AB"
        assert events[-1].type is EventType.MESSAGE_COMPLETE
        assert [event.retry.delay for event in events if event.retry is not None] == [0.0]


async def test_what_is_wrong_with_the_request_is_not_asked_elsewhere() -> None:
    async with FaultServer("status-400") as server, pooled(config(server)) as client:
        events = [event async for event in client.chat_completion(QUESTION)]
        assert (keys(server), events[-1].error_info.kind) == ("A", "invalid_request")


async def test_a_prompt_that_is_too_long_is_for_another_model_not_for_another_key() -> None:
    async with (
        FaultServer("status-400-context-length") as server,
        FaultServer() as second,
        pooled(config(server, second=second)) as client,
    ):
        await client.complete(QUESTION)
        assert (keys(server), keys(second)) == ("A", "D")


async def test_the_fallback_answers_when_all_have_failed() -> None:
    async with (
        FaultServer("status-401") as server,
        FaultServer() as second,
        pooled(config(server, second=second)) as client,
    ):
        events = [event async for event in client.chat_completion(QUESTION)]
        assert (keys(server), keys(second)) == ("ABC", "D")
        assert events[-1].start.provider == "anthropic"
        assert second.requests[0].body["model"] == "thorough"


async def test_headers_of_a_call_go_to_all_of_its_keys_and_not_to_the_fallback() -> None:
    async with (
        FaultServer("status-401") as server,
        FaultServer() as second,
        pooled(config(server, second=second)) as client,
    ):
        await client.complete(QUESTION, headers={"x-of-the-caller": "yes"})
        assert [request.headers.get("x-of-the-caller") for request in server.requests] == [
            "yes"
        ] * 3
        assert "x-of-the-caller" not in second.requests[0].headers


async def refuses(reply) -> None:
    """A refusal, from whichever key."""
    await reply.stream(*reply.script(RefusalPart("I won't."), FinishReason.REFUSAL))


async def test_a_refusal_goes_to_a_fallback_where_the_file_says_so_and_to_no_other_key() -> None:
    also = 'fallback_also_on = ["refusal", "content_filter"]\n'
    for more, answer in ((also, ANSWER), ("", "")):
        async with FaultServer(refuses) as server, FaultServer("ok") as second:
            text = config(server, second=second)
            text = text.replace('fallbacks = ["good"]\n', f'fallbacks = ["good"]\n{more}')
            async with pooled(text) as client:
                message = await client.complete(QUESTION)
            assert message.text == answer
            assert len(server.requests) == 1


@pytest.mark.parametrize("fault", ["status-400", "status-400-context-length"])
async def test_what_every_key_refuses_is_asked_of_one(fault: str) -> None:
    also = 'fallback_also_on = ["invalid_request"]\n'
    async with FaultServer(fault) as server, FaultServer("ok") as second:
        text = config(server, second=second)
        text = text.replace('fallbacks = ["good"]\n', f'fallbacks = ["good"]\n{also}')
        async with pooled(text) as client:
            assert (await client.complete(QUESTION)).text == ANSWER
        assert len(server.requests) == 1


async def test_a_call_s_own_fallbacks_stand_in_place_of_the_file_s() -> None:
    async with FaultServer("status-401") as server, pooled(config(server)) as client:
        message = await client.complete(QUESTION, fallbacks=["simulator"])
        assert "You said" in message.text


async def test_prompts_are_counted_by_the_endpoints_in_turn() -> None:
    async with FaultServer() as server, pooled(config(server)) as client:
        usage = await client.count_tokens(QUESTION, model="good")
        assert (usage.input_tokens > 0, keys(server)) == (True, "D" * len(server.requests))


async def test_only_the_file_s_models_can_be_asked() -> None:
    async with FaultServer() as server, pooled(config(server)) as client:
        for name in ("simulator", "openai:quick", "quick", ""):
            with pytest.raises(Exception, match="there is no model"):
                await client.complete(QUESTION, model=name)
        assert server.requests == []


async def test_the_gateway_serves_models_and_aliases_by_their_names() -> None:
    async with FaultServer() as server:
        more = 'context = 8_000\nimages = true\n[aliases]\n"gpt-4o" = "good"\n'
        text = config(server) + more
        source = SettingsSource(AccessOptions(), CommandLineModels(), path="gw.toml")
        gateway = Gateway(source.settings(text), ServerStore())
        async with running(gateway) as url:
            port = int(url.rpartition(":")[2])
            listed = json.loads((await fetch(port, "/v1/models"))[2])
            assert [model["id"] for model in listed["data"]] == ["fast", "good", "gpt-4o"]
            told = {each["id"]: each.get("context_length") for each in listed["data"]}
            assert told == {"fast": None, "good": 8_000, "gpt-4o": 8_000}
            for name, model in (("fast", "quick"), ("gpt-4o", "thorough"), (None, "quick")):
                body = json.dumps({"prompt": "hi", **({"model": name} if name else {})}).encode()
                assert (await fetch(port, "/chat", "POST", body))[0] == 200
                assert server.requests[-1].body["model"] == model
