"""The requests that we send are those that the vendor's SDK would send, over either transport, without importing it."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from typing import Any

import pytest

from llmstream import ConfigurationError, LLMClient, RetryPolicy
from llmstream.providers.config import TRANSPORTS
from tests.loopback import APIS, BY_SDK, Loopback, answer

QUESTION = [{"role": "user", "content": 'hi "there"\u2028 ü'}]
ONCE = RetryPolicy(max_attempts=1)
KEY = "sk-canary-1234567890"
VARIABLES = (
    *(
        "OPENAI_API_KEY",
        "OPENAI_BASE_URL",
        "OPENAI_ORG_ID",
        "OPENAI_PROJECT_ID",
        "OPENAI_CUSTOM_HEADERS",
    ),
    *(
        "ANTHROPIC_API_KEY",
        "ANTHROPIC_AUTH_TOKEN",
        "ANTHROPIC_BASE_URL",
        "ANTHROPIC_CUSTOM_HEADERS",
    ),
)

over = pytest.mark.parametrize("transport", TRANSPORTS)
api = pytest.mark.parametrize("provider", list(APIS))


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)


def connect(server: Loopback, provider: str, transport: str, **options: Any) -> LLMClient:
    options = {"api_key": KEY, "retry": ONCE, **options}
    return LLMClient(
        f"{provider}:m-1", base_url=server.url(provider), transport=transport, **options
    )


# --- against the SDK ------------------------------------------------------------------------------------------


def sent(request: Any) -> tuple[str, dict[str, str], Any]:
    """A request but for what is ours to choose."""
    dropped = ("user-agent", "anthropic-version", "content-length")
    headers = {
        name: value
        for name, value in request.headers.items()
        if name not in dropped and not name.startswith("x-stainless-")
    }
    return request.path, headers, request.body


async def ask_by_sdk(provider: str, body: dict[str, Any], **options: Any) -> None:
    """The SDK's own request with this body."""
    import anthropic
    import openai

    make: Any = anthropic.AsyncAnthropic if provider == "anthropic" else openai.AsyncOpenAI
    async with make(max_retries=0, **options) as sdk:
        method = {
            "openai": lambda: sdk.chat.completions,
            "openai-responses": lambda: sdk.responses,
            "anthropic": lambda: sdk.messages,
        }[provider]()
        raw = method.with_streaming_response.create(
            **body, extra_headers={"Accept": "text/event-stream"}
        )
        async with raw as response:
            await response.read()


CASES: dict[str, tuple[dict[str, str], dict[str, Any]]] = {
    "a key": ({}, {"api_key": KEY}),
    "headers": ({}, {"api_key": KEY, "headers": {"X-Own": "1", "user-agent": "mine/1"}}),
    "a key of the environment's": ({"OPENAI_API_KEY": KEY, "ANTHROPIC_API_KEY": KEY}, {}),
    "a token of the environment's": ({"OPENAI_API_KEY": KEY, "ANTHROPIC_AUTH_TOKEN": KEY}, {}),
    "organization and project": (
        {"OPENAI_ORG_ID": "org-1", "OPENAI_PROJECT_ID": "proj-1"},
        {"api_key": KEY},
    ),
    "custom headers": (
        {
            "OPENAI_CUSTOM_HEADERS": "X-Team: blue\nno header\n X-Other :  a: b ",
            "ANTHROPIC_CUSTOM_HEADERS": "X-Team: blue\nno header\n X-Other :  a: b ",
        },
        {"api_key": KEY},
    ),
    "a key among the custom headers": (
        {
            "OPENAI_CUSTOM_HEADERS": "authorization: Bearer of-the-gateway",
            "ANTHROPIC_CUSTOM_HEADERS": "authorization: Bearer of-the-gateway",
        },
        {"api_key": KEY},
    ),
    "a custom header that is given, too": (
        {"OPENAI_CUSTOM_HEADERS": "X-Team: blue", "ANTHROPIC_CUSTOM_HEADERS": "X-Team: blue"},
        {"api_key": KEY, "headers": {"x-team": "red"}},
    ),
}


@over
@pytest.mark.parametrize("provider", BY_SDK)
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(
    ("slash", "by_variable"),
    [
        pytest.param("", False, id="base_url"),
        pytest.param("/", True, id="variable with a slash"),
        pytest.param("/", False, id="base_url with a slash", marks=pytest.mark.slow),
        pytest.param("", True, id="variable", marks=pytest.mark.slow),
    ],
)
async def test_they_are_the_sdk_s(
    provider: str,
    transport: str,
    case: str,
    slash: str,
    monkeypatch: pytest.MonkeyPatch,
    *,
    by_variable: bool,
) -> None:
    variables, options = CASES[case]
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    async with Loopback(answer(APIS[provider])) as server:
        where = {"base_url": server.url(provider) + "/deep" + slash}
        if by_variable:
            vendor = "ANTHROPIC" if provider == "anthropic" else "OPENAI"
            monkeypatch.setenv(f"{vendor}_BASE_URL", where.pop("base_url"))
        async with LLMClient(
            f"{provider}:m-1", transport=transport, retry=ONCE, **where, **options
        ) as client:
            await client.complete(QUESTION, max_tokens=9)
        ours = server.requests[0]
        theirs = {"api_key": options["api_key"]} if "api_key" in options else {}
        if "headers" in options:
            theirs["default_headers"] = options["headers"]
        await ask_by_sdk(provider, ours.body, **where, **theirs)
    assert sent(ours) == sent(server.requests[1])
    if "user-agent" not in options.get("headers", ()):
        assert ours.headers["user-agent"].startswith("llmstream/")


async def test_a_version_at_the_end_of_anthropic_s_address_counts_once() -> None:
    for url in ("", "/", "/v1", "/v1/"):
        async with Loopback(answer("anthropic-messages")) as server:
            base_url = f"http://127.0.0.1:{server.port}{url}"
            async with LLMClient("anthropic:m", api_key="k", base_url=base_url) as client:
                await client.complete(QUESTION)
                client.get_client()
                await client.complete(QUESTION)
            assert [request.path for request in server.requests] == ["/v1/messages"] * 2


@pytest.mark.parametrize(
    ("provider", "variable"), [("openai", "OPENAI_BASE_URL"), ("anthropic", "ANTHROPIC_BASE_URL")]
)
def test_an_address_of_the_environment_s_that_is_none_is_named(
    provider: str, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for value, problem in [
        ("", "is empty: unset it"),
        (" ", "is empty"),
        ("ftp://x", "must begin with https://"),
    ]:
        monkeypatch.setenv(variable, value)
        with pytest.raises(ConfigurationError, match=f"{variable} {problem}"):
            LLMClient(f"{provider}:m", api_key="k")
        LLMClient(f"{provider}:m", api_key="k", base_url="https://a.example")


def test_custom_headers_that_can_t_be_sent_are_named_without_their_value(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Team: canary-ü")
    with pytest.raises(ConfigurationError, match="OPENAI_CUSTOM_HEADERS") as caught:
        LLMClient("openai:m", api_key="k")
    assert "canary" not in str(caught.value)


# --- one after another ----------------------------------------------------------------------------------------


@over
@api
async def test_each_is_the_same_but_for_its_body(provider: str, transport: str) -> None:
    async with (
        Loopback(answer(APIS[provider])) as server,
        connect(server, provider, transport, headers={"X-Own": "1"}) as client,
    ):
        for _ in range(3):
            await client.complete(QUESTION, temperature=0.5)
        first, *others = [
            (request.path, request.headers, request.body) for request in server.requests
        ]
        assert others == [first, first]
        await client.complete(
            [{"role": "user", "content": "something longer"}], headers={"X-Call": "2"}
        )
        await client.complete(QUESTION, temperature=0.5)
        assert server.requests[3].headers["x-call"] == "2"
        assert server.requests[3].headers["content-length"] != first[1]["content-length"]
        assert (
            server.requests[4].path,
            server.requests[4].headers,
            server.requests[4].body,
        ) == first


def setting(cookie: str | None) -> Any:
    async def handler(request: Any, reply: Any) -> None:
        extra = {"set_cookie": cookie} if cookie else {}
        await reply.whole(
            200, {"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]}, **extra
        )

    return handler


@over
async def test_cookies_are_those_of_now(transport: str) -> None:
    handlers = [setting("a=1; Path=/"), setting("a=2; Path=/"), setting(None)]
    async with Loopback(*handlers) as server, connect(server, "openai", transport) as client:
        for _ in range(4):
            await client.complete(QUESTION)
        assert [request.headers.get("cookie") for request in server.requests] == [
            None,
            "a=1",
            "a=2",
            "a=2",
        ]


@over
async def test_a_cookie_of_the_caller_s_is_the_only_one(transport: str) -> None:
    mine = 'mine="a b"; odd name=1'
    async with (
        Loopback(setting("a=1; Path=/")) as server,
        connect(server, "openai", transport, headers={"Cookie": mine}) as client,
    ):
        for _ in range(3):
            await client.complete(QUESTION)
    assert [request.headers["cookie"] for request in server.requests] == [mine] * 3


@over
async def test_whoever_has_the_sdk_s_client_may_change_it(transport: str) -> None:
    async with (
        Loopback(answer("openai-chat")) as server,
        connect(server, "openai", transport) as client,
    ):
        await client.complete(QUESTION)
        await client.complete(QUESTION)
        client.get_client().api_key = "another"
        await client.complete(QUESTION)
        keys = [request.headers["authorization"] for request in server.requests]
    assert keys == [f"Bearer {KEY}"] * 2 + ["Bearer another"]


@over
async def test_what_can_t_be_sent_is_an_error_of_the_same_kind(transport: str) -> None:
    async with (
        Loopback(answer("openai-chat")) as server,
        connect(server, "openai", transport) as client,
    ):
        kinds = []
        for _ in range(2):
            body = {"openai": {"x": float("inf")}}
            with pytest.raises((ValueError, TypeError)) as caught:
                await client.complete(QUESTION, provider_options=body)
            kinds.append(type(caught.value))
            await client.complete(QUESTION)
    assert kinds[0] is kinds[1]


# --- what is not imported -------------------------------------------------------------------------------------

ASK = """
import asyncio, os, sys
from llmstream import LLMClient
async def ask():
    async with LLMClient("{provider}:m", api_key="k", base_url="{url}", transport="{transport}") as client:
        print((await client.complete([{{"role": "user", "content": "hi"}}])).text)
asyncio.run(ask())
print([name for name in ("openai", "anthropic", {other!r}) if name in sys.modules])
"""


async def run(*command: str, **environment: str) -> str:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment or None,
    )
    output, _ = await process.communicate()
    return output.decode()


@over
@api
async def test_an_answer_imports_no_sdk(provider: str, transport: str) -> None:
    """Nor httpx2, where aiohttp is used."""
    async with Loopback(answer(APIS[provider])) as server:
        other = "aiohttp" if transport == "httpx2" else "httpx2"
        code = ASK.format(
            provider=provider, url=server.url(provider), transport=transport, other=other
        )
        assert await run("-c", code) == "Hello, world!\n[]\n"


@over
@pytest.mark.parametrize("provider", ["openai", "anthropic"])
async def test_nor_does_the_command(provider: str, transport: str) -> None:
    async with Loopback(answer(APIS[provider])) as server:
        variables = {
            f"{provider.upper()}_API_KEY": KEY,
            f"{provider.upper()}_BASE_URL": server.url(provider),
            "LLMSTREAM_TRANSPORT": transport,
        }
        command = ("-X", "importtime", "-m", "llmstream", "--model", f"{provider}:m", "hi")
        output = await run(*command, **os.environ, **variables)
    imported = set(re.findall(r"\| +(\w+)$", output, re.M))
    assert "Hello, world!" in output
    assert "asyncio" in imported
    assert imported.isdisjoint({"openai", "anthropic", "pydantic"})
