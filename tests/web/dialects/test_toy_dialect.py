"""The dialect of docs/extending.md, in a real app: streamed, whole, refused, failed, and named in OpenAPI."""

from __future__ import annotations

import json

import pytest

from llmstream import ErrorInfo, LLMClient, RetryPolicy
from llmstream.testing import ScriptedProvider
from llmstream.web import app as app_module
from llmstream.web import create_app
from llmstream.web.dialects import all_dialects
from tests.toy_dialect import Lines
from tests.web.serving import fetch, serving


@pytest.fixture(autouse=True)
def mounted(monkeypatch):
    monkeypatch.setattr(app_module, "all_dialects", lambda: [*all_dialects(), Lines()])


async def ask(body, *attempts):
    """The status and body of one request to an app whose model plays these attempts."""
    provider = ScriptedProvider(*attempts)
    client = LLMClient("scripted:m", provider=provider, retry=RetryPolicy(max_attempts=1))
    async with serving(create_app(client)) as port:
        status, _, body = await fetch(
            port, "/lines", "POST", json.dumps(body).encode(), content_type="application/json"
        )
    return status, body.decode()


async def test_it_streams():
    status, body = await ask({"question": "hi"}, ["Hel", "lo"])
    assert status == 200
    lines = [json.loads(line) for line in body.splitlines()]
    assert lines == [{"text": "Hel"}, {"text": "lo"}, {"end": "stop"}]


async def test_it_answers_whole():
    status, body = await ask({"question": "hi", "stream": False}, ["Hel", "lo"])
    assert (status, json.loads(body)) == (200, {"text": "Hello", "end": "stop"})


async def test_a_failure_in_the_middle_is_its_last_line():
    status, body = await ask({"question": "hi"}, ["Hel", ErrorInfo("server", "secret")])
    *_, last = map(json.loads, body.splitlines())
    assert status == 200
    assert "problem" in last
    assert "secret" not in body


@pytest.mark.parametrize("body", [{}, {"question": 5}, [], {"question": "hi", "stream": "yes"}])
async def test_a_wrong_request_is_refused_in_its_words(body):
    status, said = await ask(body)
    assert status == 400
    assert set(json.loads(said)) == {"problem", "request"}


async def test_openapi_names_it():
    async with serving(create_app(LLMClient("simulator"))) as port:
        _, _, body = await fetch(port, "/openapi.json")
    assert "/lines" in json.loads(body)["paths"]
