"""Claude and OpenAI's models at Amazon, Google and Microsoft, by their names: address, credentials, failures."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from llmstream import EventType, LLMClient, RetryPolicy
from llmstream.errors import ConfigurationError
from llmstream.providers.config import TRANSPORTS
from llmstream.providers.registry import listing
from tests.loopback import Loopback, answer, refuse

QUESTION = [{"role": "user", "content": "hi"}]
ONCE = RetryPolicy(max_attempts=1)
AWS = {"AWS_REGION": "eu-west-1", "AWS_BEARER_TOKEN_BEDROCK": "canary-bearer-0123456789"}
ENVIRONMENTS = {
    "anthropic-bedrock": AWS,
    "anthropic-vertex": {
        "CLOUD_ML_REGION": "us-east5",
        "ANTHROPIC_VERTEX_PROJECT_ID": "project-1",
        "NO_GCE_CHECK": "true",
    },
    "anthropic-foundry": {"ANTHROPIC_FOUNDRY_API_KEY": "canary-foundry-0123456789"},
    "openai-bedrock": AWS,
    "openai-azure": {
        "OPENAI_API_VERSION": "2026-04-01",
        "AZURE_OPENAI_API_KEY": "canary-azure-0123456789",
    },
}
ADDRESSES = {
    "anthropic-foundry": {"ANTHROPIC_FOUNDRY_RESOURCE": "mine"},
    "openai-azure": {"AZURE_OPENAI_ENDPOINT": "https://mine.openai.azure.com"},
}
"""Which the tests' own `base_url` stands in for."""
FORMATS = {
    name: "anthropic-messages" if name.startswith("anthropic") else "openai-chat"
    for name in ENVIRONMENTS
}
SENT = {
    "anthropic-bedrock": (
        "/model/m-1/invoke-with-response-stream",
        ("authorization", "Bearer canary-bearer-0123456789"),
    ),
    "anthropic-vertex": (
        "/projects/project-1/locations/us-east5/publishers/anthropic/models/m-1:streamRawPredict",
        ("authorization", "Bearer canary-token-0123456789"),
    ),
    "anthropic-foundry": ("/v1/messages", ("api-key", "canary-foundry-0123456789")),
    "openai-bedrock": (
        "/v1/chat/completions",
        ("authorization", "Bearer canary-bearer-0123456789"),
    ),
    "openai-azure": (
        "/v1/deployments/m-1/chat/completions?api-version=2026-04-01",
        ("api-key", "canary-azure-0123456789"),
    ),
}
each_row = pytest.mark.parametrize("name", ENVIRONMENTS)


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """No credentials of this machine."""
    every = {variable for each in (ENVIRONMENTS | ADDRESSES).values() for variable in each}
    for variable in {*every, "AWS_DEFAULT_REGION", "AWS_PROFILE", "GOOGLE_APPLICATION_CREDENTIALS"}:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def client(name: str, server: Loopback, **options: Any) -> LLMClient:
    url = server.url("anthropic" if FORMATS[name] == "anthropic-messages" else "openai")
    key = {"api_key": "canary-token-0123456789"} if name == "anthropic-vertex" else {}
    return LLMClient(f"{name}:m-1", base_url=url, retry=ONCE, **{**key, **options})


def set_all(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in ENVIRONMENTS[name].items():
        monkeypatch.setenv(variable, value)


@each_row
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_question_goes_where_it_belongs_with_the_cloud_s_key(
    name: str, transport: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("google.auth")
    set_all(name, monkeypatch)
    async with (
        Loopback(answer(FORMATS[name])) as server,
        client(name, server, transport=transport) as ours,
    ):
        said = await ours.complete(QUESTION)
        (request,) = server.requests
    assert (said.text, said.provider) == ("Hello, world!", name)
    path, (header, value) = SENT[name]
    assert (request.path, request.headers[header]) == (path, value)
    assert not server.open


@each_row
async def test_a_refusal_is_told_without_the_key(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("google.auth")
    set_all(name, monkeypatch)
    echo = SENT[name][1][1].removeprefix("Bearer ")
    refusing = refuse(401, {"error": {"message": f"wrong key {echo}"}})
    async with Loopback(refusing) as server, client(name, server) as ours:
        *_, last = [event async for event in ours.chat_completion(QUESTION)]
    assert last.type is EventType.ERROR
    assert (last.error_info.kind, last.error_info.provider) == ("authentication", name)
    assert echo not in f"{last!r}{ours!r}"


@pytest.mark.parametrize("name", ["anthropic-bedrock", "openai-bedrock"])
async def test_amazon_s_credentials_sign_the_request(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == "anthropic-bedrock":
        pytest.importorskip("boto3")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIACANARY")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary-secret-0123456789")
    async with Loopback(answer(FORMATS[name])) as server, client(name, server) as ours:
        assert (await ours.complete(QUESTION)).text == "Hello, world!"
        signed = server.requests[0].headers["authorization"]
    assert signed.startswith("AWS4-HMAC-SHA256 Credential=AKIACANARY/")
    assert "/eu-west-1/bedrock" in signed


async def test_without_google_s_credentials_it_is_told_what_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("google.auth")
    set_all("anthropic-vertex", monkeypatch)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/there/is/none.json")
    async with (
        Loopback(answer("anthropic-messages")) as server,
        client("anthropic-vertex", server, api_key=None) as ours,
    ):
        *_, last = [event async for event in ours.chat_completion(QUESTION)]
    assert last.error_info.kind == "authentication"
    assert "no credentials for anthropic-vertex" in last.error
    assert server.requests == []


@each_row
def test_what_the_environment_lacks_is_named_before_any_network(name: str) -> None:
    (row,) = [each for each in listing() if each.name == name]
    assert (row.ready, bool(row.missing)) == (False, True)
    with pytest.raises(ConfigurationError, match=row.missing[0]):
        LLMClient(f"{name}:m-1")


@each_row
def test_a_cloud_that_is_set_up_is_ready_and_never_the_default(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in {**ENVIRONMENTS[name], **ADDRESSES.get(name, {})}.items():
        monkeypatch.setenv(variable, value)
    (row,) = [each for each in listing() if each.name == name]
    assert (row.ready, row.missing, row.variables) == (True, (), ())


def test_their_names_import_no_sdk() -> None:
    code = (
        "import sys; from llmstream.providers.registry import listing; listing();"
        "print([name for name in sys.modules if name in ('openai', 'anthropic', 'boto3')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
