"""Keys show nowhere: a canary wherever a key can be given, and a search of all that people print and keep."""

from __future__ import annotations

import asyncio
import copy
import logging
import pickle
import traceback
from collections.abc import Iterator
from typing import Any

import pytest

from llmstream import ConfigurationError, LLMClient, LLMError, RetryPolicy, Timeouts
from llmstream.providers import ProviderConfig, registry
from llmstream.providers.config import TRANSPORTS
from llmstream.providers.secrets import Secret, SecretHeaders, reveal
from tests.loopback import APIS, BY_SDK, CutError, Loopback, answer, refuse

QUESTION = [{"role": "user", "content": "hi"}]
KEY = "sk-canary-1234567890"
HEADERS = {"X-Api-Key-2": f"{KEY}-2"}

api = pytest.mark.parametrize("provider", list(APIS))


@pytest.fixture(autouse=True, params=TRANSPORTS)
def transport(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMSTREAM_TRANSPORT", request.param)


@pytest.fixture
def logs(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """Everything that anybody logs."""
    names = ["llmstream", "openai", "anthropic", "httpx2", "httpcore2", "aiohttp", "asyncio"]
    levels = {name: logging.getLogger(name).level for name in names}
    for name in names:
        caplog.set_level(logging.DEBUG, name)
    caplog.set_level(logging.DEBUG)
    yield caplog
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def connect(server: Loopback, provider: str, **options: Any) -> LLMClient:
    options = {"api_key": KEY, "headers": HEADERS, "base_url": server.url(provider), **options}
    return LLMClient(
        f"{provider}:m-1", retry=RetryPolicy(max_attempts=2, base_delay=0.001), **options
    )


def shown(problem: BaseException) -> str:
    """What a traceback with locals shows of our frames, and of every exception on the way."""
    parts: list[str] = []

    def walk(found: traceback.TracebackException | None) -> None:
        if found is not None:
            parts.append(str(found))
            ours = [
                frame for frame in found.stack if "/llmstream/" in frame.filename.replace("\\", "/")
            ]
            parts.extend(f"{frame.name}: {frame.locals}" for frame in ours)
            walk(found.__cause__)
            walk(found.__context__)

    walk(traceback.TracebackException.from_exception(problem, capture_locals=True))
    return "\n".join(parts)


def reprs(thing: Any, depth: int = 4) -> str:
    """The repr of an object and of what our objects hold."""
    text = repr(thing)
    names = list(getattr(thing, "__dict__", {})) + list(getattr(type(thing), "__slots__", ()))
    if (
        depth
        and type(thing).__module__.startswith("llmstream")
        and not isinstance(thing, (Secret, SecretHeaders))
    ):
        for name in names:
            if not (
                isinstance(thing, ProviderConfig) and name in ("api_key", "headers")
            ):  # not in its repr
                text += f"\n{name}: {reprs(getattr(thing, name, None), depth - 1)}"
    return text


@api
async def test_not_in_what_objects_show_of_themselves(provider: str) -> None:
    async with Loopback(answer(APIS[provider])) as server, connect(server, provider) as client:
        await client.complete(QUESTION)
        everything = reprs(client)
        assert server.url(provider) in everything
        assert "canary" not in everything
        assert "canary" not in repr(ProviderConfig("openai", KEY, headers=HEADERS))
    assert KEY in str(server.requests[0].headers)


@api
async def test_not_in_anybodys_log(provider: str, logs: pytest.LogCaptureFixture) -> None:
    """The anthropic SDK logs the options of each request, headers among them, and httpcore2 what it reads."""
    unauthorized = refuse(401, {"error": {"message": f"no such key: {KEY}"}})
    async with (
        Loopback(answer(APIS[provider]), unauthorized) as server,
        connect(server, provider) as client,
    ):
        for number in range(3):
            if number == 2 and provider in BY_SDK:
                client.get_client()
            async for _event in client.chat_completion(
                QUESTION, headers={"X-Auth-Token": f"{KEY}-3"}
            ):
                pass
    assert server.requests[0].headers["x-auth-token"] == f"{KEY}-3"
    assert server.requests[0].headers["x-api-key-2"] == f"{KEY}-2"
    logging.getLogger("llmstream").debug("so that there is a log")
    assert logs.records
    assert "canary" not in logs.text


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
async def test_nor_when_a_call_over_the_users_own_client_has_headers(
    provider: str, logs: pytest.LogCaptureFixture
) -> None:
    import anthropic
    import openai

    make: Any = openai.AsyncOpenAI if provider == "openai" else anthropic.AsyncAnthropic
    async with (
        Loopback(answer(APIS[provider])) as server,
        make(api_key=KEY, base_url=server.url(provider)) as sdk,
    ):
        client = LLMClient(f"{provider}:m", sdk_client=sdk)
        await client.complete(QUESTION, headers={"X-Auth-Token": f"{KEY}-3"})
    assert server.requests[0].headers["x-auth-token"] == f"{KEY}-3"
    assert "canary" not in logs.text


@pytest.mark.parametrize("provider", ["openai", "anthropic", "groq"])
async def test_not_in_a_pickle_or_a_copy(provider: str) -> None:
    made = registry.create(ProviderConfig(provider, KEY, headers=HEADERS))
    client = LLMClient(f"{provider}:m", api_key=KEY, headers=HEADERS)
    for thing in (made, client, Secret(KEY), SecretHeaders(HEADERS)):
        for keep in (pickle.dumps, copy.deepcopy):
            with pytest.raises(TypeError, match="can't be pickled"):
                keep(thing)
    await made.aclose()
    await client.aclose()


@pytest.mark.parametrize(
    "wrong",
    [
        {"api_key": f"{KEY}\nX"},
        {"headers": {"X-Api-Key": f"{KEY}\n"}},
        {"headers": {"Host": KEY}},
        {"base_url": "ftp://host"},
        {"base_url": "http://models.example"},
        {"transport": "curl"},
        {"sdk_client": object()},
        {"allow_host": "no function"},
        {"base_url": "http://127.0.0.1:1", "allow_host": lambda host, address: False},
    ],
    ids="-".join,
)
@pytest.mark.parametrize("provider", ["openai", "anthropic", "groq"])
def test_not_in_the_traceback_of_a_wrong_argument(provider: str, wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        LLMClient(f"{provider}:m", **{"api_key": KEY, "headers": HEADERS, **wrong})
    assert "__init__" in shown(caught.value)
    assert "canary" not in shown(caught.value)


@api
async def test_not_in_the_traceback_of_an_error(provider: str) -> None:
    async with (
        Loopback(refuse(400, {"error": {"message": "no"}})) as server,
        connect(server, provider) as client,
    ):
        with pytest.raises(LLMError) as caught:
            await client.complete(QUESTION, headers={"Authorization": f"Bearer {KEY}-3"})
        assert "complete" in shown(caught.value)
        assert "canary" not in shown(caught.value)
        with pytest.raises(ConfigurationError) as refused:
            await client.complete(QUESTION, headers={"Authorization": f"Bearer {KEY}\n"})
        assert "canary" not in shown(refused.value)


@api
@pytest.mark.parametrize("begun", [False, True], ids=["before headers", "in the answer"])
async def test_not_in_the_traceback_of_a_cancellation(provider: str, *, begun: bool) -> None:
    async def stalls(request: Any, reply: Any) -> None:
        if begun:
            await reply.head()
        reached.set()
        await reply.client_left()
        raise CutError

    async def consume(client: LLMClient) -> None:
        async for _ in client.chat_completion(
            QUESTION, headers={"Authorization": f"Bearer {KEY}-3"}
        ):
            pass

    reached = asyncio.Event()
    async with Loopback(stalls) as server, connect(server, provider, timeouts=Timeouts()) as client:
        task = asyncio.create_task(consume(client))
        await reached.wait()
        await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
    assert "stream" in shown(caught.value)
    assert "canary" not in shown(caught.value)


async def test_a_token_of_the_environments_does_not_go_along_with_a_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", KEY)
    async with (
        Loopback(answer("anthropic-messages")) as server,
        connect(server, "anthropic", api_key="other-key-1", headers={}) as client,
    ):
        await client.complete(QUESTION)
    assert "canary" not in str(server.requests[0].headers)


def test_a_secret_is_revealed_only_by_name() -> None:
    assert (repr(Secret(KEY)), f"{Secret(KEY)}") == ("[secret]", "[secret]")
    assert reveal(Secret(KEY)) == Secret(KEY).reveal() == KEY
    assert reveal({"api_key": Secret(KEY), "n": 1}) == {"api_key": KEY, "n": 1}
    assert repr(SecretHeaders(HEADERS)) == "[headers X-Api-Key-2]"
    assert dict(SecretHeaders(HEADERS)) == HEADERS
