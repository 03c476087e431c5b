"""Canary keys: one in every place a key can be, servers that give them back in every form, and nothing shows one.

`conftest.py` fails any test of the run whose output or log holds one.
"""

from __future__ import annotations

import asyncio
import copy
import json
import logging
import pickle
import pprint
import socket
import subprocess
import sys
import traceback
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import cycle, product
from pathlib import Path
from random import Random
from typing import Any

import pytest

from llmstream import ConfigurationError, LLMClient, LLMError, RetryPolicy, Timeouts
from llmstream.errors import ErrorInfo
from llmstream.events.types import error
from llmstream.providers.config import TRANSPORTS
from llmstream.wire import encoder
from tests.conftest import CANARY
from tests.lanes import marks_of
from tests.loopback import APIS, BY_SDK, CutError, Loopback, Reply, Request, answer, pieces

QUESTION = [{"role": "user", "content": "hi"}]
TWICE = RetryPolicy(max_attempts=2, base_delay=0.001, budget=None)


def canary(place: str) -> str:
    """The key for one place: the others' prefix, and a name of its own."""
    return f"sk-{CANARY}-{place}-0123456789abcdef"


CALL = {"X-Auth-Token": canary("call"), "X-Secret": f"Token {canary('token')}"}
CLIENT = {"X-Api-Key-2": canary("client"), "X-Gateway-Auth": f"Bearer {canary('gateway')}"}


@pytest.fixture(autouse=True, params=TRANSPORTS)
def transport(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMSTREAM_TRANSPORT", request.param)


# --- all that is shown ---------------------------------------------------------------------------------------


class Shown:
    """What a program prints, logs and keeps."""

    def __init__(self) -> None:
        self.parts: list[tuple[str, str]] = []

    def add(self, what: str, *things: object) -> None:
        for thing in things:
            self.parts += [(what, repr(thing)), (what, str(thing)), (what, pprint.pformat(thing))]
            if hasattr(thing, "__dict__"):
                self.parts.append((f"vars of {what}", pprint.pformat(vars(thing))))

    def add_event(self, event: Any) -> None:
        self.add("an event", event)
        self.parts.append(("an event's JSON", json.dumps(event.to_dict())))
        self.parts.append(("an event's pickle", pickle.dumps(event).decode("latin-1")))
        if event.error_info is not None:
            self.add("an error", event.error_info, LLMError.from_info(event.error_info))

    def add_client(self, client: LLMClient) -> None:
        provider: Any = client._provider
        self.add("the client", client)
        self.add("the provider", provider, provider.channel, provider.channel._config)
        for keep in (pickle.dumps, copy.copy, copy.deepcopy):
            for thing in (client, provider):
                try:
                    self.parts.append((f"{keep.__name__}", repr(keep(thing))))
                except Exception as problem:  # noqa: BLE001  # what it says is what matters
                    self.add_problem(problem)

    def add_problem(self, problem: BaseException) -> None:
        """A traceback with the locals of our frames, and every exception on the way."""
        found: Any = traceback.TracebackException.from_exception(problem, capture_locals=True)
        while found is not None:
            self.parts.append(("an exception", str(found)))
            ours = [
                frame for frame in found.stack if "/llmstream/" in frame.filename.replace("\\", "/")
            ]
            self.parts += [(f"locals of {frame.name}", str(frame.locals)) for frame in ours]
            found = found.__cause__ or found.__context__

    def check(self) -> None:
        held = [
            (what, text[max(0, text.index(CANARY) - 60) :][:160])
            for what, text in self.parts
            if CANARY in text
        ]
        assert not held, f"{len(held)} leaks, among them: {sorted(set(held))[:5]}"


@pytest.fixture
def shown(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Iterator[Shown]:
    """Collects; at the end nothing of it may hold a canary."""
    names = ["llmstream", "openai", "anthropic", "httpx2", "httpcore2", "aiohttp", "asyncio"]
    levels = {name: logging.getLogger(name).level for name in names}
    for name in names:
        caplog.set_level(logging.DEBUG, name)
    caplog.set_level(logging.DEBUG)
    collected = Shown()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        yield collected
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    collected.add("a warning", *(warning.message for warning in warned))
    collected.parts.append(("a log", caplog.text))
    collected.parts += [("an output", text) for text in capfd.readouterr()]
    caplog.clear()  # or a failure here would be one of the whole run as well
    collected.check()


async def drive(client: LLMClient, shown: Shown, *, stream: bool = True, **options: Any) -> Any:
    """One call, and all that comes of it; gives its ErrorInfo."""
    events = [
        event async for event in client.chat_completion(QUESTION, stream, headers=CALL, **options)
    ]
    for event in events:
        shown.add_event(event)
    try:
        events[-1].raise_for_error()
    except LLMError as problem:
        shown.add_problem(problem)
    return events[-1].error_info


# --- where keys are given ------------------------------------------------------------------------------------


def by_argument(
    provider: str, url: str, monkeypatch: pytest.MonkeyPatch, **options: Any
) -> LLMClient:
    return LLMClient(
        f"{provider}:m",
        api_key=canary("argument"),
        base_url=url,
        headers=CLIENT,
        retry=TWICE,
        **options,
    )


VARIABLES = {
    "anthropic": ("ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL"),
    "bedrock": ("AWS_BEARER_TOKEN_BEDROCK", "AWS_ENDPOINT_URL_BEDROCK_RUNTIME"),
    "cohere": ("COHERE_API_KEY", "CO_API_URL"),
    "gemini": ("GEMINI_API_KEY", "GOOGLE_GEMINI_BASE_URL"),
    "gemini-interactions": ("GEMINI_API_KEY", "GOOGLE_GEMINI_BASE_URL"),
    "ollama": ("OLLAMA_API_KEY", "OLLAMA_HOST"),
}
"""Where a provider's key and its address are found."""


def by_environment(
    provider: str, url: str, monkeypatch: pytest.MonkeyPatch, **options: Any
) -> LLMClient:
    key, address = VARIABLES.get(provider, ("OPENAI_API_KEY", "OPENAI_BASE_URL"))
    monkeypatch.setenv(key, canary("environment"))
    monkeypatch.setenv(address, url)
    return LLMClient(f"{provider}:m", headers=CLIENT, retry=TWICE, **options)


def by_custom_headers(
    provider: str, url: str, monkeypatch: pytest.MonkeyPatch, **options: Any
) -> LLMClient:
    vendor = "ANTHROPIC" if provider == "anthropic" else "OPENAI"
    monkeypatch.setenv(
        f"{vendor}_CUSTOM_HEADERS", f"X-Gateway-Key: {canary('custom')}\nX-Other: plain"
    )
    return by_argument(provider, url, monkeypatch, **options)


def by_bearer(
    provider: str, url: str, monkeypatch: pytest.MonkeyPatch, **options: Any
) -> LLMClient:
    headers = {"Authorization": f"Bearer {canary('bearer')}"}
    return LLMClient(
        f"{provider}:m",
        api_key="other-key-1",
        base_url=url,
        headers=headers,
        retry=TWICE,
        **options,
    )


def by_sdk_client(
    provider: str, url: str, monkeypatch: pytest.MonkeyPatch, **options: Any
) -> LLMClient:
    import anthropic
    import openai

    if provider not in BY_SDK:
        pytest.skip("it isn't built on an SDK")
    make: Any = anthropic.AsyncAnthropic if provider == "anthropic" else openai.AsyncOpenAI
    monkeypatch.delenv("LLMSTREAM_TRANSPORT", raising=False)
    given = make(
        api_key=canary("given"),
        base_url=url,
        default_headers={"X-Given-Key": canary("given-header")},
    )
    GIVEN.append(given)
    return LLMClient(f"{provider}:m", sdk_client=given, retry=TWICE, **options)


GIVEN: list[Any] = []
"""SDK clients of our own: nobody else closes them."""


@pytest.fixture(autouse=True)
async def closed() -> AsyncIterator[None]:
    yield
    while GIVEN:
        await GIVEN.pop().close()


WAYS = [by_argument, by_environment, by_custom_headers, by_bearer, by_sdk_client]
OF_AN_SDK = (by_custom_headers, by_sdk_client)
OF_OTHERS = ((by_argument, TRANSPORTS[0]), (by_environment, TRANSPORTS[1]))
"""How the other providers are asked: they share the code of the three, but for the names of variables and headers."""
each_way = pytest.mark.parametrize(
    ("connect", "transport", "provider"),
    [
        pytest.param(
            way,
            transport,
            provider,
            marks=marks_of(APIS[provider]) if (place + number) % 2 == 0 else pytest.mark.slow,
            id=f"{provider}-{way.__name__}-{transport}",
        )
        for place, way in enumerate(WAYS)
        for number, transport in enumerate(TRANSPORTS)
        for provider in (BY_SDK if way in OF_AN_SDK else APIS)
        if provider in BY_SDK or (way, transport) in OF_OTHERS
    ],
    indirect=["transport"],
)
"""Every other way over each transport; the rest is in the lane `slow`."""
each_api = pytest.mark.parametrize("provider", BY_SDK)

# --- how they come back --------------------------------------------------------------------------------------

REFUSALS: dict[str, Callable[[str], Any]] = {
    "whole": lambda key: {
        "error": {"message": f"Incorrect API key provided: {key}. Find yours elsewhere."}
    },
    "cut": lambda key: {"error": {"message": f"Incorrect API key provided: {key[:-9]}"}},
    "a code": lambda key: {"error": {"message": "no", "code": key, "type": key, "param": key}},
    "a request id": lambda key: {"error": {"message": "no"}, "request_id": key},
    "no message": lambda key: {"error": {"reason": key}},
    "a list": lambda key: {"detail": [{"input": {"authorization": f"Bearer {key}"}, "msg": "no"}]},
    "a page": lambda key: f"<html><title>401</title><p>X-Api-Key: {key}</p>".encode(),
    "text": lambda key: f"Authorization: Bearer {key}".encode(),
    "cut text": lambda key: f"Authorization: Bearer {key[:-9]}".encode(),
    "cut JSON": lambda key: json.dumps({"error": {"message": f"wrong: {key}"}}).encode()[:-12],
}


def keys_of(request: Request) -> list[str]:
    """The canaries that a request brought along."""
    values = [value for value in request.headers.values() if CANARY in value]
    assert values
    return [*values, *(value[value.index("sk-") :] for value in values)]


def in_turn(cases: list[Any], seed: str, play: Callable[[Any, str, Reply], Any]) -> Any:
    """Plays each case in its turn, with one of the keys that came with the request."""
    rng, turn = Random(seed), cycle(cases)

    async def handler(request: Request, reply: Reply) -> None:
        await play(next(turn), rng.choice(keys_of(request)), reply)

    return handler


@each_way
async def test_not_after_an_answer(provider, connect, shown, monkeypatch):
    """Answers in both modes; the keys arrive, and stay there."""
    async with (
        Loopback(answer(APIS[provider])) as server,
        connect(provider, server.url(provider), monkeypatch) as client,
    ):
        assert await drive(client, shown) is None
        assert await drive(client, shown, stream=False) is None
        shown.add_client(client)
    assert keys_of(server.requests[0])


@each_way
async def test_not_after_a_refusal_that_repeats_them(provider, connect, shown, monkeypatch):
    """HTTP errors that are final and some that are retried, whose bodies give the keys back in every form."""

    async def refuse(case: tuple[str, int], key: str, reply: Reply) -> None:
        form, status = case
        await reply.whole(status, REFUSALS[form](key))

    cases = list(product(REFUSALS, (401, 500)))
    handler = in_turn(cases, f"{provider} {connect.__name__}", refuse)
    async with (
        Loopback(handler) as server,
        connect(provider, server.url(provider), monkeypatch) as client,
    ):
        while len(server.requests) < 2 * len(cases):
            assert await drive(client, shown) is not None
        shown.add_client(client)


STREAMED: dict[str, Callable[[Any, str], bytes]] = {
    "whole": lambda feed, key: feed(error(ErrorInfo("authentication", f"bad key {key}, go away"))),
    "cut": lambda feed, key: feed(error(ErrorInfo("authentication", f"bad key {key[:-9]}"))),
    "no message": lambda _, key: (
        b'data: {"type":"error","error":{"reason":"%s"}}\n\n' % key.encode()
    ),
    "a named event": lambda _, key: b"event: error\ndata: Bearer %s\n\n" % key.encode(),
    "a stray line": lambda _, key: b"error: Bearer %s\n" % key.encode(),
    "bad JSON": lambda _, key: b"data: {X-Api-Key: %s}\n\n" % key.encode(),
    "cut bad JSON": lambda _, key: b"data: {%s %s}\n\n" % (b"x" * 160, key.encode()),
    "a page": lambda _, key: b"<html><p>%s</p>" % key.encode(),
    "other JSON": lambda _, key: json.dumps({"headers": {"authorization": key}}).encode(),
}


@each_way
async def test_not_after_a_stream_that_repeats_them(provider, connect, shown, monkeypatch):
    """Errors inside an answer, before its first piece and after it, that give the keys back in every form."""

    async def stream(case: tuple[str, bool], key: str, reply: Reply) -> None:
        form, begun = case
        await reply.head()
        for data in pieces(APIS[provider], "one two")[: 2 if begun else 0]:
            await reply.send(data)
        await reply.send(STREAMED[form](encoder(APIS[provider]).feed, key))
        await reply.end()

    cases = list(product(STREAMED, (False, True)))
    handler = in_turn(cases, f"{provider} {connect.__name__}", stream)
    async with (
        Loopback(handler) as server,
        connect(provider, server.url(provider), monkeypatch) as client,
    ):
        while len(server.requests) < 2 * len(cases):
            assert await drive(client, shown) is not None
        shown.add_client(client)


@each_way
async def test_not_after_no_answer(provider, connect, shown, monkeypatch):
    """Refused connections, clocks that run out, connections that are cut."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}/v1"
        async with connect(provider, url, monkeypatch) as client:
            assert (await drive(client, shown)).kind == "connection"
            shown.add_client(client)

    async def silent(request: Request, reply: Reply) -> None:
        await reply.client_left()
        raise CutError

    async def leave(request: Request, reply: Reply) -> None:
        raise CutError

    async with Loopback(silent, silent, leave) as server:
        timeouts = Timeouts(first_token=0.05)
        async with connect(
            provider, server.url(provider), monkeypatch, timeouts=timeouts
        ) as client:
            assert (await drive(client, shown)).kind == "timeout"
            assert (await drive(client, shown)).kind == "connection"


@each_way
async def test_not_after_cancellation(provider, connect, shown, monkeypatch):
    """The traceback of a cancelled call, with the locals of our frames."""
    asked = asyncio.Event()

    async def silent(request: Request, reply: Reply) -> None:
        asked.set()
        await reply.client_left()
        raise CutError

    async with (
        Loopback(silent) as server,
        connect(provider, server.url(provider), monkeypatch) as client,
    ):
        task = asyncio.ensure_future(drive(client, shown))
        await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        shown.add_problem(caught.value)
        shown.add_client(client)


@each_way
async def test_not_after_wrong_arguments(provider, connect, shown, monkeypatch):
    """Calls that can't be made say why without saying with what."""
    wrong: list[dict[str, Any]] = [
        {"headers": {"X-Key": canary("wrong") + "\n"}},
        {"headers": {"X-Key": canary("wrong").encode()}},
        {"temperature": object()},
        {"messages": [{"role": "nobody"}]},
        {"provider_options": {provider: {"x": object()}}},
        {"timeouts": 5},
    ]
    async with connect(provider, "http://127.0.0.1:9/v1", monkeypatch) as client:
        for options in wrong:
            with pytest.raises(Exception) as caught:  # noqa: PT011  # whichever it is, it must not tell
                await client.complete(**{"messages": QUESTION, "headers": CALL, **options})
            shown.add_problem(caught.value)


@each_api
@pytest.mark.parametrize(
    "wrong",
    [
        {"api_key": canary("broken") + "\n"},
        {"headers": {"X-Key": canary("broken") + "\r\n"}},
        {"retry": 5},
    ],
    ids="-".join,
)
def test_not_after_a_client_that_cant_be_made(provider, wrong, shown):
    """Wrong arguments of the client are refused without being shown."""
    with pytest.raises(Exception) as caught:  # noqa: PT011  # whichever it is, it must not tell
        LLMClient(f"{provider}:m", **{"api_key": canary("argument"), "headers": CLIENT, **wrong})
    shown.add_problem(caught.value)


def test_the_guard_of_the_run_works(tmp_path):
    """A test that prints, logs or writes a canary key fails, though it would pass; the others don't."""
    leaky = tmp_path / "test_leaky.py"
    leaky.write_text(
        "import logging, sys\n"
        "def test_printed(): print('llmstream' + '-canary')\n"
        "def test_written(): sys.stderr.write('llmstream' + '-canary')\n"
        "def test_logged(): logging.getLogger().error('llmstream' + '-canary')\n"
        "def test_clean(): print('nothing')\n"
    )
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "tests.conftest",
        "-p",
        "no:cacheprovider",
        str(leaky),
    ]
    root = Path(__file__).parents[1]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert "3 failed, 1 passed" in done.stdout, done.stdout + done.stderr


# --- places that once leaked -----------------------------------------------------------------------------------


@pytest.fixture
def told() -> Shown:
    """Collects; the test itself checks."""
    return Shown()


async def stream_once(
    provider: str, client: Callable[[str], LLMClient], body: bytes, told: Shown
) -> None:
    async def stream(request: Request, reply: Reply) -> None:
        await reply.head()
        await reply.send(body)
        await reply.end()

    async with Loopback(stream) as server, client(server.url(provider)) as made:
        assert await drive(made, told) is not None


@each_api
async def test_not_in_the_code_of_an_error_inside_a_stream(provider, told, monkeypatch):
    body = (
        b'data: {"type":"error","error":{"message":"no","code":"%s"}}\n\n'
        % canary("argument").encode()
    )
    await stream_once(provider, lambda url: by_argument(provider, url, monkeypatch), body, told)
    told.check()


@pytest.mark.parametrize("provider", BY_SDK)
async def test_not_from_the_headers_of_the_sdks_variables(provider, told, monkeypatch):
    body = b"error: bad key %s\n" % canary("custom").encode()
    await stream_once(
        provider, lambda url: by_custom_headers(provider, url, monkeypatch), body, told
    )
    told.check()


@each_api
async def test_not_a_part_of_a_cookie(provider, told, monkeypatch):
    monkeypatch.setitem(CLIENT, "Cookie", f"session={canary('cookie')}; a=b")
    body = b"error: bad session %s\n" % canary("cookie").encode()
    await stream_once(provider, lambda url: by_argument(provider, url, monkeypatch), body, told)
    told.check()


@each_api
async def test_not_a_key_in_the_query_of_an_address(provider, told, monkeypatch):
    """Refused, or hidden."""
    try:
        client = by_argument(provider, f"http://127.0.0.1:9/v1?key={canary('query')}", monkeypatch)
    except ConfigurationError as problem:
        told.parts.append(("an exception", str(problem)))
    else:
        told.add_client(client)
        await client.aclose()
    told.check()


@pytest.mark.parametrize(
    "wrong",
    [
        {"api_key": canary("broken").encode()},
        {"headers": [canary("wrong")]},
        {"base_url": f"https://user:{canary('userinfo')}@a.example/v1"},
        {"base_url": f"https://{canary('userinfo')}@a.example/v1"},
    ],
    ids=["api_key", "headers", "password", "user"],
)
async def test_not_in_the_traceback_of_an_argument_of_the_wrong_kind(wrong, told):
    async def use() -> None:
        where = {"api_key": "other-key-1", **wrong}
        call = {"headers": where.pop("headers", None)}
        async with LLMClient("openai:m", **where) as client:
            await client.complete(QUESTION, **call)

    with pytest.raises((TypeError, ConfigurationError)) as caught:
        await use()
    told.add_problem(caught.value)
    told.check()
