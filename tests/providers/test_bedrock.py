"""Bedrock: its address, who signs a request, what goes out, and what its own client makes of our answers."""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import closing
from typing import Any

import pytest

from llmstream import ConfigurationError, EventType, LLMClient, RetryPolicy
from llmstream.messages import ToolCall, Usage
from llmstream.providers import ProviderConfig
from llmstream.providers import bedrock as module
from llmstream.providers.bedrock import BedrockProvider
from llmstream.providers.config import TRANSPORTS
from llmstream.testing import FaultServer
from tests.loopback import Loopback, Reply, Request, answer, refuse

MODEL = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
QUESTION = [{"role": "user", "content": "hi"}]
ONCE = RetryPolicy(max_attempts=1)
OF_AWS = (
    *("AWS_BEARER_TOKEN_BEDROCK", "AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "AWS_REGION"),
    *("AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
    *("AWS_PROFILE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"),
)

over = pytest.mark.parametrize("transport", TRANSPORTS)


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """Nothing of AWS is set on this machine, and nothing is looked for in the network."""
    for variable in OF_AWS:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def make(**options: Any) -> BedrockProvider:
    return BedrockProvider(ProviderConfig("bedrock", **options))


async def ask(server: Loopback, **options: Any) -> Any:
    url = server.url("bedrock")
    options = {"api_key": "k", "retry": ONCE, "base_url": url, **options}
    async with LLMClient(f"bedrock:{MODEL}", **options) as client:
        return [event async for event in client.chat_completion(QUESTION)][-1]


# --- where ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variables", "url"),
    [
        ({"AWS_REGION": "eu-west-1"}, "https://bedrock-runtime.eu-west-1.amazonaws.com"),
        ({"AWS_DEFAULT_REGION": "us-east-1"}, "https://bedrock-runtime.us-east-1.amazonaws.com"),
        (
            {"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "us-east-1"},
            "https://bedrock-runtime.eu-west-1.amazonaws.com",
        ),
        (
            {"AWS_REGION": "cn-north-1"},
            "https://bedrock-runtime.cn-north-1.amazonaws.com.cn",
        ),
        ({"AWS_ENDPOINT_URL_BEDROCK_RUNTIME": "https://a.example/"}, "https://a.example"),
    ],
)
def test_the_address_is_that_of_the_region(
    variables: dict[str, str], url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert make(api_key="k").base_url == url


def test_without_a_region_nobody_knows_where() -> None:
    with pytest.raises(ConfigurationError, match="set AWS_REGION, or pass base_url="):
        make(api_key="k")


@pytest.mark.parametrize("region", ["evil.example/", "us-east-1@evil.example", "x", ""])
def test_a_region_cant_name_another_host(region: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", region)
    with pytest.raises(ConfigurationError, match="region"):
        make(api_key="k")


@over
async def test_the_model_stands_in_the_path(transport: str) -> None:
    async with Loopback(answer("bedrock-converse")) as server:
        event = await ask(server, transport=transport)
    request = server.requests[0]
    assert request.path == f"/model/{MODEL.replace(':', '%3A')}/converse-stream"
    assert request.headers["accept"] == "application/vnd.amazon.eventstream"
    assert not {"model", "modelId", "stream"} & request.body.keys()
    assert event.start.model == MODEL
    assert event.message.model == MODEL


async def test_an_arn_is_one_segment_of_the_path() -> None:
    arn = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/a.b"
    async with Loopback(answer("bedrock-converse")) as server:
        url = server.url("bedrock")
        async with LLMClient(f"bedrock:{arn}", api_key="k", base_url=url) as client:
            await client.complete(QUESTION)
    assert server.requests[0].path.endswith("%3Ainference-profile%2Fa.b/converse-stream")


# --- as whom -------------------------------------------------------------------------------------------------


@over
async def test_a_bearer_key_goes_as_it_is(transport: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "bedrock-api-key-1")
    async with Loopback(answer("bedrock-converse")) as server:
        await ask(server, transport=transport, api_key=None)
    assert server.requests[0].headers["authorization"] == "Bearer bedrock-api-key-1"


def test_with_a_key_botocore_is_not_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmstream.providers.aws.has_botocore", lambda: False)
    make(api_key="k", base_url="https://a.example")
    with pytest.raises(ConfigurationError, match=r"AWS_BEARER_TOKEN_BEDROCK.*\[bedrock\]"):
        make(base_url="https://bedrock-runtime.us-east-1.amazonaws.com")


@over
async def test_aws_credentials_sign_the_request(
    transport: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server checks the signature as AWS does: with botocore, from the secret and what arrived."""
    pytest.importorskip("botocore")
    monkeypatch.setattr(module, "_is_local", lambda _url: False)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret-of-aws")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "a-session-token")
    async with Loopback(answer("bedrock-converse")) as server:
        event = await ask(server, transport=transport, api_key=None)
        assert event.type is EventType.MESSAGE_COMPLETE
        request = server.requests[0]
        assert request.headers["x-amz-security-token"] == "a-session-token"
        assert request.headers["authorization"] == signature(request, server.port)
    assert "a-secret-of-aws" not in repr(request.headers)


def signature(request: Request, port: int) -> str:
    """The header that AWS expects for what arrived."""
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    credentials = Credentials("AKIDEXAMPLE", "a-secret-of-aws", "a-session-token")
    auth = SigV4Auth(credentials, "bedrock", "us-east-1")
    content = json.dumps(request.body, ensure_ascii=False, separators=(",", ":")).encode()
    named = {"Content-Type": request.headers["content-type"]}
    url = f"http://127.0.0.1:{port}{request.path}"
    expected = AWSRequest("POST", url, named, content)
    expected.context["timestamp"] = expected.headers["X-Amz-Date"] = request.headers["x-amz-date"]
    expected.headers["X-Amz-Security-Token"] = "a-session-token"
    canonical = auth.canonical_request(expected)
    signed = auth.signature(auth.string_to_sign(expected, canonical), expected)
    names = auth.signed_headers(auth.headers_to_sign(expected))
    scope = auth.scope(expected)
    return f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders={names}, Signature={signed}"


async def test_without_credentials_the_call_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("botocore")
    monkeypatch.setattr(module, "_is_local", lambda _url: False)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    async with Loopback(answer("bedrock-converse")) as server:
        event = await ask(server, api_key=None)
    assert server.requests == []
    assert "AWS_BEARER_TOKEN_BEDROCK" in event.error
    assert not event.error_info.retryable


# --- other paths ----------------------------------------------------------------------------------------------


async def test_tokens_are_counted_before_anything_is_asked() -> None:
    async with Loopback(refuse(200, {"inputTokens": 42})) as server:
        url = server.url("bedrock")
        async with LLMClient(f"bedrock:{MODEL}", api_key="k", base_url=url) as client:
            counted = await client.count_tokens(QUESTION, max_tokens=5)
    assert (counted.input_tokens, counted.estimated) == (42, False)
    request = server.requests[0]
    assert request.path.endswith("/count-tokens")
    assert request.body == {
        "input": {"converse": {"messages": [{"role": "user", "content": [{"text": "hi"}]}]}}
    }


# --- botocore reads our answers -------------------------------------------------------------------------------

CALL = ToolCall("tooluse_1", "weather", '{"city": "Zürich"}')
SCRIPTS: dict[str, tuple[Any, ...]] = {
    "text": ("Hello, wörld 🙂", Usage(7, 3, cache_read_tokens=2)),
    "a call": ("Let me look.", CALL, Usage(7, 3)),
}


def client_of_amazon(port: int) -> Any:
    session = pytest.importorskip("botocore.session").Session()
    return session.create_client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=f"http://127.0.0.1:{port}",
        aws_access_key_id="a",
        aws_secret_access_key="b",
    )


def streamed(port: int) -> dict[str, Any]:
    """What Amazon's client reads: the text, the arguments, the reason, the usage."""
    client = client_of_amazon(port)
    asked = [{"role": "user", "content": [{"text": "hi"}]}]
    found: dict[str, Any] = {"text": "", "input": ""}
    with (
        closing(client),
        closing(client.converse_stream(modelId=MODEL, messages=asked)["stream"]) as stream,
    ):
        for event in stream:
            ((name, said),) = event.items()
            delta = said.get("delta", {})
            found["text"] += delta.get("text", "")
            found["input"] += delta.get("toolUse", {}).get("input", "")
            if name in ("messageStop", "metadata"):
                found |= said
    return found


@pytest.mark.sdk
@pytest.mark.parametrize("script", SCRIPTS)
async def test_amazons_client_reads_our_stream(script: str) -> None:
    async def play(reply: Any) -> None:
        await reply.stream(*reply.script(*SCRIPTS[script]))

    async with FaultServer(play) as server:
        found = await asyncio.to_thread(streamed, server.port)
    assert found["text"] == SCRIPTS[script][0]
    assert found["stopReason"] == ("tool_use" if script == "a call" else "end_turn")
    assert found["usage"]["outputTokens"] == 3
    if script == "text":
        assert found["usage"]["cacheReadInputTokens"] == 2
    else:
        assert json.loads(found["input"]) == {"city": "Zürich"}


@pytest.mark.sdk
async def test_amazons_client_raises_our_exceptions() -> None:
    errors = pytest.importorskip("botocore.exceptions")
    async with FaultServer("error-after-words") as server:
        with pytest.raises(errors.EventStreamError, match=re.escape("serviceUnavailableException")):
            await asyncio.to_thread(streamed, server.port)


@pytest.mark.sdk
async def test_amazons_client_reads_a_whole_answer() -> None:
    async def handler(request: Request, reply: Reply) -> None:
        from llmstream.wire.bedrock_converse.specimen import SPECIMEN

        assert request.path.endswith("/converse")
        await reply.whole(200, SPECIMEN.document("Hello"))

    def whole(port: int) -> Any:
        client = client_of_amazon(port)
        asked = [{"role": "user", "content": [{"text": "hi"}]}]
        with closing(client):
            return client.converse(modelId=MODEL, messages=asked)

    async with Loopback(handler) as server:
        said = await asyncio.to_thread(whole, server.port)
    assert said["output"]["message"]["content"] == [{"text": "Hello"}]
