"""Claude and OpenAI's models at Amazon, Google and Microsoft, by their names: address, credentials, failures."""

from __future__ import annotations

import importlib
import itertools
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llmstream import EventType, LLMClient, RetryPolicy
from llmstream.errors import ConfigurationError
from llmstream.messages import ImagePart, Message
from llmstream.providers import registry
from llmstream.providers.cloud_needs import missing
from llmstream.providers.config import TRANSPORTS
from llmstream.providers.registry import Listing, default_model, listing
from tests.loopback import Loopback, answer, refuse

QUESTION = [{"role": "user", "content": "hi"}]
ONCE = RetryPolicy(max_attempts=1)
AWS = {"AWS_REGION": "eu-west-1", "AWS_BEARER_TOKEN_BEDROCK": "canary-bearer-0123456789"}
ENVIRONMENTS = {
    "anthropic-bedrock": AWS,
    "anthropic-bedrock-mantle": AWS,
    "anthropic-aws": {
        "AWS_REGION": "eu-west-1",
        "ANTHROPIC_AWS_WORKSPACE_ID": "wrkspc_1",
        "ANTHROPIC_AWS_API_KEY": "canary-platform-0123456789",
    },
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
    "anthropic-vertex": {"GOOGLE_APPLICATION_CREDENTIALS": "/there/is/none.json"},
}
"""Which the tests' own `base_url` or token stands in for."""
FORMATS = {
    name: "anthropic-messages" if name.startswith("anthropic") else "openai-chat"
    for name in ENVIRONMENTS
}
SENT = {
    "anthropic-bedrock": (
        "/model/m-1/invoke-with-response-stream",
        ("authorization", "Bearer canary-bearer-0123456789"),
    ),
    "anthropic-bedrock-mantle": (
        "/v1/messages",
        ("authorization", "Bearer canary-bearer-0123456789"),
    ),
    "anthropic-aws": ("/v1/messages", ("authorization", "Bearer canary-platform-0123456789")),
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
    families = ("AWS_", "GOOGLE_", "CLOUDSDK_", "ANTHROPIC_", "AZURE_", "OPENAI_")
    others = {name for name in os.environ if name.startswith(families)}
    for variable in every | others:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def unused_port() -> Iterator[int]:
    """A port that is taken, and where nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def client(name: str, server: Loopback, **options: Any) -> LLMClient:
    url = server.url("anthropic" if FORMATS[name] == "anthropic-messages" else "openai")
    key = {"api_key": "canary-token-0123456789"} if name == "anthropic-vertex" else {}
    return LLMClient(f"{name}:m-1", base_url=url, retry=ONCE, **{**key, **options})


def set_all(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in ENVIRONMENTS[name].items():
        monkeypatch.setenv(variable, value)


@each_row
@pytest.mark.parametrize(
    "transport",
    [TRANSPORTS[0], *(pytest.param(each, marks=pytest.mark.slow) for each in TRANSPORTS[1:])],
)
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


@pytest.mark.parametrize(
    "name", [pytest.param("anthropic-bedrock", marks=pytest.mark.slow), "openai-bedrock"]
)
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


def row_of(name: str) -> Listing:
    (row,) = [each for each in listing() if each.name == name]
    return row


@each_row
def test_what_the_environment_lacks_is_named_before_any_network(name: str) -> None:
    row = row_of(name)
    assert (row.ready, bool(row.missing)) == (False, True)
    with pytest.raises(ConfigurationError, match=row.missing[0]):
        LLMClient(f"{name}:m-1")


@each_row
def test_each_thing_that_is_missing_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any one of its variables a row isn't ready. Who asks all the same is told, but for a machine's roles."""
    every = {**ENVIRONMENTS[name], **ADDRESSES.get(name, {})}
    every.pop("NO_GCE_CHECK", None)
    for left_out in every:
        for variable, value in every.items():
            monkeypatch.setenv(variable, value)
        monkeypatch.delenv(left_out)
        row = row_of(name)
        assert (row.ready, len(row.missing)) == (False, 1), left_out
        if "role" in row.note:
            continue
        assert row.missing == (left_out,)
        with pytest.raises(ConfigurationError, match=f"set {left_out}$"):
            LLMClient(f"{name}:m-1")


@each_row
def test_a_cloud_that_is_set_up_is_ready_and_never_the_default(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in {**ENVIRONMENTS[name], **ADDRESSES.get(name, {})}.items():
        monkeypatch.setenv(variable, value)
    row = row_of(name)
    assert (row.ready, row.missing, row.variables) == (True, (), ())
    assert default_model()[0] != name


OTHER_WAYS = [
    ("anthropic-bedrock", {"AWS_DEFAULT_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "AKIA"}),
    ("openai-bedrock", {"AWS_DEFAULT_REGION": "eu-west-1", "AWS_WEB_IDENTITY_TOKEN_FILE": "/t"}),
    ("bedrock", {"AWS_DEFAULT_REGION": "eu-west-1", "AWS_CONTAINER_CREDENTIALS_FULL_URI": "u"}),
    (
        "anthropic-bedrock-mantle",
        {"ANTHROPIC_BEDROCK_MANTLE_BASE_URL": "https://a", "ANTHROPIC_AWS_API_KEY": "k"},
    ),
    (
        "anthropic-foundry",
        {"ANTHROPIC_FOUNDRY_BASE_URL": "https://a", "ANTHROPIC_FOUNDRY_API_KEY": "k"},
    ),
    (
        "openai-azure",
        {
            "AZURE_OPENAI_ENDPOINT": "https://a",
            "OPENAI_API_VERSION": "v",
            "AZURE_OPENAI_AD_TOKEN": "t",
        },
    ),
    (
        "anthropic-aws",
        {
            "ANTHROPIC_AWS_BASE_URL": "https://a",
            "ANTHROPIC_AWS_WORKSPACE_ID": "w",
            "ANTHROPIC_AWS_API_KEY": "k",
        },
    ),
    ("openai-bedrock", {"AWS_BEDROCK_BASE_URL": "https://a", "AWS_BEARER_TOKEN_BEDROCK": "k"}),
    (
        "vertex",
        {"GOOGLE_VERTEX_BASE_URL": "https://a", "GOOGLE_APPLICATION_CREDENTIALS": "/f"},
    ),
]


@pytest.mark.parametrize(("name", "variables"), OTHER_WAYS)
def test_the_other_variables_that_a_cloud_takes_count(
    name: str, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    assert (row_of(name).ready, row_of(name).missing) == (True, ())


ADDRESS_VARIABLES = {
    "anthropic-bedrock": "ANTHROPIC_BEDROCK_BASE_URL",
    "anthropic-aws": "ANTHROPIC_AWS_BASE_URL",
    "anthropic-vertex": "ANTHROPIC_VERTEX_BASE_URL",
    "openai-bedrock": "AWS_BEDROCK_BASE_URL",
    "openai-azure": "OPENAI_BASE_URL",
}
"""Which a client reads beside those that its row names."""
TOLD_LATER = ("anthropic-vertex", "ANTHROPIC_VERTEX_PROJECT_ID")
"""The SDK finds out that it lacks this when it is asked; we say so before."""
NOT_BOTH = {"ANTHROPIC_FOUNDRY_RESOURCE", "ANTHROPIC_FOUNDRY_BASE_URL"}


@pytest.mark.slow
@each_row
def test_a_row_wants_what_its_sdk_wants_of_all_variables(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is set: a client can be made where nothing certain is missing, and only there."""
    pytest.importorskip("botocore")
    provider = registry._load(name)
    needs, adapter = provider.api.needs, provider.api.sdk
    make = getattr(importlib.import_module(adapter.package), adapter.name)
    variables = {variable for need in needs for variable in need.variables}
    variables |= {ADDRESS_VARIABLES.get(name, "UNUSED")}
    for variable in variables:
        monkeypatch.delenv(variable, raising=False)
    for count in range(len(variables) + 1):
        for chosen in itertools.combinations(sorted(variables), count):
            is_late = name == TOLD_LATER[0] and TOLD_LATER[1] not in chosen
            if is_late or set(chosen) >= NOT_BOTH:
                continue
            with pytest.MonkeyPatch.context() as environment:
                for variable in chosen:
                    is_address = "URL" in variable or "ENDPOINT" in variable
                    environment.setenv(variable, "https://a.example" if is_address else "eu-west-1")
                try:
                    make()
                except Exception:  # noqa: BLE001  # each SDK has its own
                    assert missing(needs, certain=True), chosen
                else:
                    assert missing(needs, certain=True) == (), chosen


@pytest.mark.parametrize("name", ["bedrock", "anthropic-bedrock", "openai-bedrock"])
def test_aws_s_own_files_count(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / ".aws"
    folder.mkdir()
    (folder / "config").write_text("[default]\noutput = json\n[profile work]\nregion = eu-west-1\n")
    assert row_of(name).missing == ("AWS_REGION", "AWS_BEARER_TOKEN_BEDROCK")
    monkeypatch.setenv("AWS_PROFILE", "work")
    assert row_of(name).missing == ("AWS_BEARER_TOKEN_BEDROCK",)
    (folder / "credentials").write_text("[work]\naws_access_key_id = AKIA\n")
    assert row_of(name).ready
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    assert not row_of(name).ready
    (folder / "config").write_text("[profile work]\nregion = eu-west-1\nsso_session = x\n")
    assert row_of(name).ready
    (folder / "config").write_text("no section\x00")
    assert not row_of(name).ready


@pytest.mark.parametrize("name", ["vertex", "anthropic-vertex"])
def test_google_s_own_file_counts(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for variable in ("GOOGLE_CLOUD_PROJECT", "CLOUD_ML_REGION", "ANTHROPIC_VERTEX_PROJECT_ID"):
        monkeypatch.setenv(variable, "x")
    row = row_of(name)
    assert (row.missing, row.note) == (
        ("GOOGLE_APPLICATION_CREDENTIALS",),
        "unless the machine has a role for it",
    )
    folder = tmp_path / ".config" / "gcloud"
    folder.mkdir(parents=True)
    (folder / "application_default_credentials.json").write_text("{}")
    assert row_of(name).ready


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        pytest.param("anthropic-bedrock", ["base64"], marks=pytest.mark.slow),
        ("anthropic-vertex", ["base64"]),
        ("anthropic-foundry", ["url", "base64"]),
    ],
)
async def test_claude_reads_addresses_at_anthropic_s_own_alone(
    name: str, kinds: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Amazon and Google answer 400 `URL sources are not supported`."""
    set_all(name, monkeypatch)
    seen = [ImagePart(url="https://a.example/b.png"), ImagePart(data=b"\x89PNG\r\n\x1a\n")]
    async with Loopback(answer(FORMATS[name])) as server, client(name, server) as ours:
        last = await anext(ours.chat_completion([Message("user", seen)], stream=False))
        assert last.start is not None, last.error
        sources = [
            block["source"]["type"] for block in server.requests[0].body["messages"][0]["content"]
        ]
    assert sources == kinds
    assert ("by its URL; give its data" in str(last.start.warnings)) == ("url" not in kinds)


async def test_a_user_s_own_client_of_a_cloud_gets_no_addresses_either() -> None:
    anthropic = pytest.importorskip("anthropic")
    seen = [ImagePart(url="https://a.example/b.png"), ImagePart(data=b"\x89PNG\r\n\x1a\n")]
    options: Any = {"region": "eu", "project_id": "p", "access_token": "google-token-1"}
    async with (
        Loopback(answer("anthropic-messages")) as server,
        anthropic.AsyncAnthropicVertex(base_url=server.url("anthropic"), **options) as sdk,
    ):
        ours = LLMClient("anthropic:claude-x", sdk_client=sdk, retry=ONCE)
        await ours.complete([Message("user", seen)])
        content = server.requests[0].body["messages"][0]["content"]
    assert [block["source"]["type"] for block in content] == ["base64"]


async def test_a_token_of_azure_s_directory_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_VERSION", "2026-04-01")
    monkeypatch.setenv("AZURE_OPENAI_AD_TOKEN", "canary-directory-0123456789")
    async with (
        Loopback(answer("openai-chat")) as server,
        client("openai-azure", server) as ours,
    ):
        assert (await ours.complete(QUESTION)).text == "Hello, world!"
        sent = server.requests[0].headers
    assert sent["authorization"] == "Bearer canary-directory-0123456789"
    assert "api-key" not in sent
    assert "canary-directory" not in repr(ours)


async def test_azure_s_endpoint_is_the_address_with_the_deployment_in_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    set_all("openai-azure", monkeypatch)
    async with Loopback(answer("openai-chat")) as server:
        monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", f"http://127.0.0.1:{server.port}")
        async with LLMClient("openai-azure:gpt mine", retry=ONCE) as ours:
            assert (await ours.complete(QUESTION)).text == "Hello, world!"
    path = "/openai/deployments/gpt%20mine/chat/completions?api-version=2026-04-01"
    assert server.requests[0].path == path


def test_their_names_import_no_sdk() -> None:
    code = (
        "import sys; from llmstream.providers.registry import listing; listing();"
        "print([name for name in sys.modules if name in ('openai', 'anthropic', 'boto3')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- servers that give tokens -----------------------------------------------------------------------------------


def trust(port: int, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials of AWS's and Google's that a token server at this port must exchange first."""
    proof, account = folder / "proof", folder / "account.json"
    proof.write_text("a-token-of-the-machine")
    url = f"http://127.0.0.1:{port}"
    account.write_text(
        json.dumps(
            {
                "type": "external_account",
                "audience": "//iam.googleapis.com/x",
                "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
                "token_url": f"{url}/token",
                "credential_source": {"file": str(proof)},
            }
        )
    )
    variables = {
        "AWS_REGION": f"eu-west-{port}",  # anthropic's client keeps one session for each
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(proof),
        "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/x",
        "AWS_ENDPOINT_URL_STS": url,
        "AWS_MAX_ATTEMPTS": "1",
        "GOOGLE_APPLICATION_CREDENTIALS": str(account),
        "CLOUD_ML_REGION": "us-east5",
        "ANTHROPIC_VERTEX_PROJECT_ID": "p",
        "ANTHROPIC_AWS_WORKSPACE_ID": "w",
    }
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)


BY_TOKEN = [
    "openai-bedrock",
    "vertex",
    *(
        pytest.param(name, marks=pytest.mark.slow)
        for name in (
            "anthropic-bedrock",
            "anthropic-bedrock-mantle",
            "anthropic-aws",
            "anthropic-vertex",
        )
    ),
]


async def told(name: str, server: Loopback) -> Any:
    """How a call ends for which there is no token. The provider itself is never asked."""
    url = f"http://127.0.0.1:{server.port}/v1"
    async with LLMClient(f"{name}:m-1", base_url=url, retry=ONCE) as ours:
        *_, last = [event async for event in ours.chat_completion(QUESTION)]
    assert not [request for request in server.requests if request.path.startswith("/v1")]
    assert "a-token-of-the-machine" not in last.error
    return last.error_info


@pytest.mark.parametrize("name", BY_TOKEN)
async def test_a_token_server_that_is_down_isnt_a_wrong_key(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, unused_port: int
) -> None:
    """It may be up a moment later, so that is tried again, and fallbacks for connections are asked."""
    pytest.importorskip("google.auth")
    pytest.importorskip("botocore")
    trust(unused_port, tmp_path, monkeypatch)
    async with Loopback(answer("openai-chat")) as server:
        info = await told(name, server)
    assert (info.kind, info.retryable, info.provider) == ("connection", True, name)
    assert "token" in info.message


@pytest.mark.parametrize("name", BY_TOKEN)
async def test_a_token_that_is_refused_is_a_wrong_key(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("google.auth")
    pytest.importorskip("botocore")
    async with Loopback(refuse(403, {"error": "invalid_grant"})) as server:
        trust(server.port, tmp_path, monkeypatch)
        info = await told(name, server)
    assert server.requests
    assert (info.kind, info.retryable) == ("authentication", False)
