"""The toy of docs/extending.md: a format that none of our files knows keeps the rules, and so does its provider."""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path

import pytest

from llmstream import LLMClient, wire
from llmstream.errors import ConfigurationError
from llmstream.messages import ToolCall, Usage
from llmstream.providers import answer_reader, registry
from llmstream.providers.config import ProviderConfig
from llmstream.providers.http import error_response
from llmstream.testing import (
    FAULTS,
    FaultServer,
    Received,
    Reply,
    check_decoder,
    check_provider,
)
from llmstream.testing.faults.catalogue import describe
from tests import toy
from tests.testing.test_conformance import KNOWN

MODEL = "m-1"
PATH = f"/models/{MODEL}/stream"
FEW = (
    "ok",
    "stall",
    "clean-end-without-an-end",
    "cut-inside-a-frame",
    "json-document-labelled-as-stream",
    "html-page",
    "error-after-words",
    "text-of-another-type",
    "status-429",
)


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(wire.FORMATS, "toy", toy.TOY)
    monkeypatch.setattr(answer_reader, "FINISH_SILENCE", 0.2)
    monkeypatch.setattr(error_response, "ERROR_BODY_SECONDS", 0.2)


def test_its_decoder_keeps_the_rules() -> None:
    reply = Reply(None, None, Received(PATH, {}, None, 1))  # type: ignore[arg-type]
    call = ToolCall("call-1", "weather", '{"city": "Zürich", "days": [1, 2]}')
    check_decoder(
        lambda: wire.decoder("toy"),
        [
            b"".join(reply.frames),
            b"".join(reply.script("Hello, 世界", call, Usage(3, 4))),
            reply.error_frame(),
            json.dumps(reply.document(), indent=1, ensure_ascii=False).encode(),
        ],
    )


def test_faults_concern_it_by_its_framing() -> None:
    assert "toy" in FAULTS["stall"].expect
    assert "toy" not in FAULTS["comments"].expect
    assert "toy" not in FAULTS["done-without-a-reason"].expect
    assert FAULTS["finish-then-fin"].expect["toy"] == ("truncated",)
    assert "toy: truncated" in describe("finish-then-fin")


@pytest.mark.parametrize("transport", ["httpx2", "aiohttp"])
async def test_its_provider_keeps_the_rules(transport: str) -> None:
    known = {name for name, at in KNOWN if at == transport}
    faults = [name for name in FEW if name in FAULTS and name not in known]

    def make(base_url: str) -> toy.ToyProvider:
        config = ProviderConfig("toy", "a-test-key", base_url, transport=transport)
        return toy.ToyProvider(config)

    await check_provider(make, "toy", faults=faults)


async def test_the_model_is_in_the_path_and_the_body_is_signed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(registry._registered, "toy", toy.ToyProvider)
    async with FaultServer() as server:
        async with LLMClient("toy:m-7", api_key="a-test-key", base_url=server.url("toy")) as client:
            message = await client.complete([{"role": "user", "content": "hi"}])
        (request,) = server.requests
    assert message.usage is not None
    assert request.path == "/models/m-7/stream"
    body = json.dumps(request.body, separators=(",", ":")).encode()
    assert request.headers["x-signature"] == hmac.new(b"toy", body, hashlib.sha256).hexdigest()


def test_what_a_row_lacks_is_named() -> None:
    with pytest.raises(ConfigurationError, match="the wire format 'toy' has no parse"):
        _ = wire.FORMATS["toy"].parse_request


def test_it_is_small() -> None:
    assert len(Path(toy.__file__).read_text("utf-8").splitlines()) < 120
