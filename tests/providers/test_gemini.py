"""Gemini's addresses and keys, and Vertex AI's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from llmstream import ConfigurationError, LLMClient, RetryPolicy
from llmstream.providers.registry import listing
from tests.loopback import Loopback, Reply, Request, answer

HI = [{"role": "user", "content": "hi"}]
ONCE = RetryPolicy(max_attempts=1)
TOKEN = "ya29.token-of-google"  # nobody's
FORMAT = "gemini-generate"


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        *("GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_GEMINI_BASE_URL", "GOOGLE_VERTEX_BASE_URL"),
        *("GOOGLE_CLOUD_PROJECT", "GOOGLE_CLOUD_LOCATION", "GOOGLE_APPLICATION_CREDENTIALS"),
    ):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("gemini-3", "/v1beta/models/gemini-3:streamGenerateContent?alt=sse"),
        ("tunedModels/a b", "/v1beta/tunedModels/a%20b:streamGenerateContent?alt=sse"),
        ("x?key=1#y", "/v1beta/models/x%3Fkey%3D1%23y:streamGenerateContent?alt=sse"),
    ],
)
@pytest.mark.parametrize("end", ["", "/v1beta", "/v1beta/"])
async def test_the_model_stands_in_the_path_and_a_version_is_added_once(
    model: str, path: str, end: str
) -> None:
    async with Loopback(answer(FORMAT)) as server:
        url = f"http://127.0.0.1:{server.port}{end}"
        async with LLMClient(f"gemini:{model}", api_key="k-1", base_url=url) as client:
            await client.complete(HI)
    (asked,) = server.requests
    assert asked.path == path
    assert asked.headers["x-goog-api-key"] == "k-1"
    assert "authorization" not in asked.headers
    assert asked.body.keys() == {"contents"}


@pytest.mark.parametrize("model", ["a/../b", "../x", "a//b"])
async def test_a_model_that_leads_elsewhere_is_refused(model: str) -> None:
    async with Loopback(answer(FORMAT)) as server:
        url = f"http://127.0.0.1:{server.port}/v1beta"
        async with LLMClient(f"gemini:{model}", api_key="k", base_url=url) as client:
            with pytest.raises(Exception, match="isn't a path"):
                await client.complete(HI)
        assert not server.requests


async def test_tokens_of_a_prompt_are_counted() -> None:
    async def count(request: Request, reply: Reply) -> None:
        await reply.whole(200, {"totalTokens": 31})

    async with Loopback(count) as server:
        url = server.url("gemini")
        async with LLMClient("gemini:g-3", api_key="k", base_url=url) as client:
            assert (await client.count_tokens(HI)).input_tokens == 31
    (asked,) = server.requests
    assert asked.path == "/v1beta/models/g-3:countTokens"
    assert asked.body["generateContentRequest"]["model"] == "models/g-3"


def test_vertex_wants_a_project(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="set GOOGLE_CLOUD_PROJECT"):
        LLMClient("vertex:gemini-3")
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "p-1")
    client = LLMClient("vertex:gemini-3", api_key=TOKEN)
    where = "https://aiplatform.googleapis.com/v1/projects/p-1/locations/global/publishers/google"
    assert client._provider.base_url == where  # type: ignore[attr-defined]
    monkeypatch.setenv("GOOGLE_CLOUD_LOCATION", "europe-west4")
    client = LLMClient("vertex:gemini-3", api_key=TOKEN)
    assert "https://europe-west4-aiplatform." in client._provider.base_url  # type: ignore[attr-defined]
    assert TOKEN not in repr(client._provider)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/a/file.json")
    (row,) = [each for each in listing() if each.name == "vertex"]
    assert (row.ready, row.variables) == (True, ())


def vertex_url(server: Loopback) -> str:
    return f"http://127.0.0.1:{server.port}/v1/projects/p/locations/global/publishers/google"


async def test_a_token_of_the_callers_goes_to_vertex() -> None:
    async with Loopback(answer(FORMAT)) as server:
        options: dict[str, Any] = {"api_key": TOKEN, "base_url": vertex_url(server)}
        async with LLMClient("vertex:gemini-3", **options) as client:
            message = await client.complete(HI, metadata={"team": "a"})
    assert message.provider == "vertex"
    (asked,) = server.requests
    assert asked.headers["authorization"] == f"Bearer {TOKEN}"
    assert asked.path.endswith("/publishers/google/models/gemini-3:streamGenerateContent?alt=sse")
    assert asked.body["labels"] == {"team": "a"}


@pytest.mark.sdk
async def test_googles_credentials_are_found_refreshed_once_and_never_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A service account's key, as Google's own library reads it, and a token server of ours."""
    pytest.importorskip("google.auth")
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    private = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )

    async def play(request: Request, reply: Reply) -> None:
        if request.path == "/token":
            await reply.whole(200, {"access_token": TOKEN, "expires_in": 3600})
        else:
            await answer(FORMAT)(request, reply)

    async with Loopback(play) as server:
        account = {
            "type": "service_account",
            "client_email": "a@b.example",
            "private_key": private.decode(),
            "token_uri": f"http://127.0.0.1:{server.port}/token",
            "project_id": "p",
        }
        (tmp_path / "key.json").write_text(json.dumps(account))
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
        async with LLMClient("vertex:g", base_url=vertex_url(server), retry=ONCE) as client:
            for _ in range(2):
                assert (await client.complete(HI)).text == "Hello, world!"
            assert TOKEN not in repr(vars(client._provider))
    paths = [request.path for request in server.requests]
    assert [path == "/token" for path in paths] == [True, False, False]
    assert server.requests[1].headers["authorization"] == f"Bearer {TOKEN}"
