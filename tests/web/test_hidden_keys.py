"""Keys that clients write where none belongs stand in no log."""

from __future__ import annotations

import io
import json
import logging

import pytest

from llmstream.web import Access, AuditLog
from llmstream.web.hidden_keys import KeyHider, ShownPath, hide_keys
from llmstream.web.keys import hash_line
from tests.web.serving import fetch, serving
from tests.web.test_app import app_with, post

KEY = "llmstream-canary-hidden-1"
HOLDER = {"x_api_key": KEY}
VENDORS = [
    "sk-canary0123456789abcdef",
    "sk-ant-api03-canary_0123456789-AbCdEf",
    "sk-proj-canary.0123456789",
    "AIzaSyCanary0123456789",
    "gsk_canary0123456789",
    "hf_canary0123456789",
    "xai-canary0123456789",
    "eyJhbGciOiJIUzI1NiJ9.canary0.c2lnbmVk",
]
OTHERS = ["canary0123456789abcdef", "0123456789canaryABCDEF==", "canary-key-of-2026-11"]
SHOWN = ShownPath(["/v1/chat/completions", "/v1/models/{model:path}", "/api/session/{id}"])


@pytest.mark.parametrize("key", [*VENDORS, *OTHERS])
@pytest.mark.parametrize(
    "path", ["/{}", "/v1/{}/chat/completions", "/{}/v1", "/v1/chat/completions/{}"]
)
def test_of_a_path_that_there_isn_t_no_key_is_shown(path: str, key: str) -> None:
    assert SHOWN(path.format(key)) == path.format("[key]")


@pytest.mark.parametrize("key", VENDORS)
@pytest.mark.parametrize("path", ["/v1/models/{}", "/api/session/{}"])
def test_nor_a_vendor_s_where_an_id_belongs(path: str, key: str) -> None:
    assert SHOWN(path.format(key)) == path.format("[key]")


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1/chat/completions",
        "/v1/models/gpt-4o-2024-08-06",
        "/v1/models/anthropic:claude-sonnet-4-5-20250929",
        "/api/session/6f1c0d3e-8f8a-4c39-9c0f-2f7a1d9d8b11",
        "/v1/embeddings",
        "/favicon.ico",
        "/v1beta1/models",
    ],
)
def test_what_is_none_is_shown(path: str) -> None:
    assert SHOWN(path) == path


@pytest.mark.parametrize(
    "text", ["task-12345678", "sk-", "max_tokens must be at most 8192", "key_limits of ann"]
)
def test_words_that_are_no_keys_stay(text: str) -> None:
    assert hide_keys(text) == text


OWN = ["only-letters-canary-key", "canary!key~with^other|signs", "canary/key+of/base64=", "n" * 16]
HIDE = KeyHider(OWN.__contains__)


@pytest.mark.parametrize("key", OWN)
@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "/v1/models/{}",
        "/v1beta/models/{}:generateContent",
        "/v1/models/a/{}/b",
        "messages[0].role must be a role, not '{}'",
        "Origin: https://{}/",
        "a {} b {} c",
        "key={}&key={}",
    ],
)
def test_a_server_knows_its_own_keys_wherever_they_stand(text: str, key: str) -> None:
    assert HIDE(text.replace("{}", key)) == text.replace("{}", "[key]")


def test_a_word_that_only_contains_one_stays() -> None:
    assert HIDE("nn" * 16) == "nn" * 16


def test_the_key_that_a_request_came_with_is_hidden_though_a_function_alone_knows_it() -> None:
    assert SHOWN("/v1/models/canary-of-a-function", "canary-of-a-function") == "/v1/models/[key]"


def test_a_long_path_is_cut_before_its_words_are_looked_up() -> None:
    asked: list[str] = []
    hide = KeyHider(lambda word: bool(asked.append(word)))
    ShownPath(["/{rest:path}"], hide)("/a" * 30_000)
    assert len(asked) < 20_000


async def test_a_server_s_own_keys_are_in_no_log_whatever_they_look_like(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    written = io.StringIO()
    key = "the-canary-has-no-digit"
    holder = {"x_api_key": key}
    access = Access(keys=[hash_line("ann", key)])
    app, _ = app_with(access=access, observers=[AuditLog(written)])
    async with serving(app) as port:
        for headers in ({}, holder):
            await fetch(port, f"/v1/models/{key}", **headers)
            await fetch(port, f"/{key}/v1/models", **headers)
            await fetch(port, f"/v1beta/models/{key}:generateContent?key={key}", **headers)
            await fetch(port, "/v1/models", x_request_id=key, **headers)
            await post(port, "/chat", {"prompt": "hi", "model": key}, **headers)
            await post(port, "/chat", {"prompt": "hi", key: 1}, **headers)
            body = {"model": "m", "messages": [{"role": key, "content": "hi"}]}
            await post(port, "/v1/chat/completions", body, **headers)
            await fetch(port, "/v1/models", origin=f"https://{key}", **headers)
    assert len(written.getvalue().splitlines()) == 16
    assert written.getvalue().count("_key_") == 6
    assert "canary" not in written.getvalue() + caplog.text


async def test_neither_the_audit_nor_the_log_has_them(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    written = io.StringIO()
    access = Access(keys=[hash_line("ann", KEY)])
    app, _ = app_with(access=access, observers=[AuditLog(written)])
    async with serving(app) as port:
        for key in [*VENDORS, *OTHERS]:
            for headers in ({}, HOLDER):  # a stranger's, and a key holder's
                await fetch(port, f"/v1/{key}/chat?key={key}", **headers)
                await post(port, f"/{key}", {}, **headers)
            if key in VENDORS:
                await fetch(port, f"/v1/models/{key}", **HOLDER)
                await post(port, "/v1/chat/completions", {"model": key, "messages": []}, **HOLDER)
                body = {"model": "m", "messages": [{"role": key, "content": "hi"}]}
                status, _, said = await post(port, "/v1/chat/completions", body, **HOLDER)
                assert (status, "error" in json.loads(said)) == (400, True)
    lines = written.getvalue().splitlines()
    assert len(lines) == 4 * len(OTHERS) + 7 * len(VENDORS)
    for text in (written.getvalue(), caplog.text):
        assert "canary0" not in text
        assert "Canary0" not in text
        assert "canary_0" not in text
        assert "key-of-2026" not in text
