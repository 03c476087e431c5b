"""OLLAMA_HOST is read as Ollama's own programs read it."""

from __future__ import annotations

import pytest

from llmstream import ConfigurationError, LLMClient
from llmstream.providers.ollama import address_of
from tests.loopback import Loopback, answer

HI = [{"role": "user", "content": "hi"}]


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("gpu", "http://gpu:11434"),
        ("gpu:80", "http://gpu:80"),
        (":9", "http://127.0.0.1:9"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("0.0.0.0:9", "http://127.0.0.1:9"),
        ("[::]", "http://127.0.0.1:11434"),
        ("[::1]:9", "http://[::1]:9"),
        ("http://gpu", "http://gpu"),
        ("http://0.0.0.0:9/deep", "http://127.0.0.1:9/deep"),
        ("https://ollama.com", "https://ollama.com"),
        ("gpu/deep", "http://gpu:11434/deep"),
    ],
)
def test_a_host_means_an_address(host: str, url: str) -> None:
    assert address_of(host) == url


async def test_the_host_of_the_environment_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """By its port alone; no key is needed."""
    monkeypatch.delenv("OLLAMA_API_KEY", raising=False)
    async with Loopback(answer("ollama-native")) as server:
        monkeypatch.setenv("OLLAMA_HOST", f":{server.port}")
        async with LLMClient("ollama:m") as client:
            assert (await client.complete(HI)).text == "Hello, world!"
        for base_url in (f"http://127.0.0.1:{server.port}{end}" for end in ("", "/", "/api")):
            async with LLMClient("ollama:m", base_url=base_url) as client:
                await client.complete(HI)
    assert {request.path for request in server.requests} == {"/api/chat"}
    assert server.requests[0].headers["accept"] == "application/x-ndjson"


@pytest.mark.parametrize(
    ("host", "problem"), [("", "OLLAMA_HOST is empty"), ("gpu", "OLLAMA_HOST .*https")]
)
def test_a_host_that_cant_be_asked_is_named(
    host: str, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plain http goes to this machine alone, unless it is allowed."""
    monkeypatch.setenv("OLLAMA_HOST", host)
    with pytest.raises(ConfigurationError, match=problem):
        LLMClient("ollama:m")
    if host:
        LLMClient("ollama:m", allow_insecure_http=True)
