"""The audit: one line for each request, whatever became of it."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import re
import stat
import sys
from decimal import Decimal

import pytest
import websockets
from hypothesis import given
from hypothesis import strategies as st

from llmstream import LLMClient, RetryPolicy
from llmstream.errors import ConfigurationError, ErrorInfo
from llmstream.events.types import text_delta
from llmstream.messages import Usage
from llmstream.web import Access, AuditLog, Limits, RequestObserver, create_app
from llmstream.web.keys import hash_line
from llmstream.web.served_request import ServedRequest
from tests.patience import PATIENCE
from tests.test_log import foreign
from tests.web.serving import Client, fetch, serving
from tests.web.strangers import http, over_both, stranger
from tests.web.test_app import app_with, post
from tests.web.test_conversation_endpoints import begin
from tests.web.test_log import uvicorn

KEY = "llmstream-canary-audit"
HOLDER = {"x_api_key": KEY}
SECRET = "llmstream-canary-content"


def read(text: str) -> list[dict[str, str]]:
    """The fields of lines of words."""
    return [dict(word.split("=", 1) for word in line.split(" ")) for line in text.splitlines()]


def audited(*attempts, **options):
    """An app with ann's key whose model plays these attempts, and the audit that it writes."""
    written = io.StringIO()
    access = Access(keys=[hash_line("ann", KEY)])
    app, _ = app_with(*attempts, **{"access": access, "observers": [AuditLog(written)], **options})
    return app, written


REFUSED = ErrorInfo(
    "rate_limit", "slow down", retryable=False, status_code=429, provider="scripted"
)


async def test_every_request_leaves_one_line_with_the_name_and_no_content() -> None:
    app, written = audited(
        [SECRET],
        [SECRET],
        [REFUSED],
        [SECRET, REFUSED],
        limits=Limits(max_body=200, max_messages=2),
    )
    prompt = {"prompt": SECRET}
    message = {"role": "user", "content": SECRET}
    asked = {"model": "scripted:script", "stream": True}
    async with serving(app) as port:
        await post(port, "/chat", prompt, **HOLDER)
        await post(port, "/v1/chat/completions", {**asked, "messages": [message]}, **HOLDER)
        await post(
            port, "/v1/messages", {**asked, "max_tokens": 9, "messages": [message]}, **HOLDER
        )
        await post(port, "/chat", {**prompt, "stream": True}, **HOLDER)
        await post(port, "/chat", prompt, x_api_key="a-key-of-nobody!!")
        await post(port, "/chat", prompt)
        await post(port, "/chat", prompt, origin="https://evil.example", **HOLDER)
        await post(port, "/chat", {"prompt": SECRET * 10}, **HOLDER)
        await post(port, "/chat", {"messages": [message] * 3}, **HOLDER)
        await post(port, "/chat", {**prompt, "model": SECRET}, **HOLDER)
        await post(port, "/chat", b"{", **HOLDER)
        await fetch(port, "/chat", **HOLDER)
        await fetch(port, "/nowhere", **HOLDER)
        await fetch(port, "/v1/models", **HOLDER)
        await fetch(port, "/")
        await fetch(port, "/healthz")
        await fetch(port, "/readyz")
    lines = read(written.getvalue())
    names = ("key", "method", "path", "api", "status", "outcome", "error", "upstream")
    told = [" ".join(line.get(name, "-") for name in names) for line in lines]
    assert told == [
        "ann POST /chat native 200 complete - -",
        "ann POST /v1/chat/completions openai-chat 200 complete - -",
        "ann POST /v1/messages anthropic-messages 429 error - rate_limit",
        "ann POST /chat native 200 error - rate_limit",
        "- POST /chat native 401 refused authentication -",
        "- POST /chat native 401 refused authentication -",
        "- POST /chat native 403 refused permission -",
        "ann POST /chat native 413 refused invalid_request -",
        "ann POST /chat native 413 refused invalid_request -",
        "ann POST /chat native 404 refused not_found -",
        "ann POST /chat native 400 refused invalid_request -",
        "ann GET /chat native 405 refused - -",
        "ann GET /nowhere other 404 refused - -",
        "ann GET /v1/models other 200 complete - -",
        "- GET / other 200 complete - -",
    ]
    whole = lines[0]
    assert whole["model"] == "scripted:script"
    assert whole["client"] == "127.0.0.1"
    assert int(whole["ms"]) >= int(whole["first_ms"]) >= 0
    assert {line["request"] for line in lines[:2]} != {whole["request"]}
    assert not any(secret in written.getvalue() for secret in (SECRET, KEY))


async def test_a_dialect_without_a_wire_format_is_named_by_its_path() -> None:
    app, written = audited()
    async with serving(app) as port:
        for path in ("/ai/chat", "/agui", "/v1/responses/compact", "/api/chat/stream-http"):
            await post(port, path, {}, **HOLDER)
    apis = [line["api"] for line in read(written.getvalue())]
    assert apis == ["ai-chat", "agui", "openai-responses", "conversations"]


async def test_tokens_and_who_answered_are_told() -> None:
    app, written = audited(["Hi", Usage(12, 3, cost=Decimal("0.00042"))])
    async with serving(app) as port:
        await post(port, "/chat", {"prompt": "hi"}, **HOLDER)
    (line,) = read(written.getvalue())
    assert (line["input"], line["output"], line["provider"]) == ("12", "3", "scripted")
    assert line["cost"] == "0.00042"


async def test_websockets_leave_lines_too() -> None:
    """A conversation's is one; each answer over a WebSocket of Responses is one, beside the connection."""
    app, written = audited(["one"], ["two"], [REFUSED])
    async with serving(app) as port:
        ids = await begin(port, **HOLDER)
        head = {"x-api-key": KEY}
        url = f"ws://127.0.0.1:{port}"
        async with websockets.connect(f"{url}/api/chat/stream", additional_headers=head) as socket:
            await socket.send(json.dumps({"query": "hi", **ids}))
            async for _ in socket:
                pass
        with pytest.raises(websockets.InvalidStatus):
            await websockets.connect(f"{url}/v1/responses")
        with pytest.raises(websockets.InvalidStatus):
            await websockets.connect(f"{url}/nothing", additional_headers=head)
        async with websockets.connect(f"{url}/v1/responses", additional_headers=head) as socket:
            for model in ("scripted:script", "scripted:script", SECRET):
                asked = {"type": "response.create", "model": model, "input": SECRET}
                await socket.send(json.dumps(asked))
                while json.loads(await socket.recv())["type"] not in (
                    "response.completed",
                    "error",
                ):
                    pass
    names = ("key", "path", "status", "outcome", "error", "upstream")
    told = [" ".join(line.get(name, "-") for name in names) for line in read(written.getvalue())]
    assert told == [
        "ann /api/chat/session 201 complete - -",
        "ann /api/chat/stream 101 complete - -",
        "- /v1/responses 401 refused authentication -",
        "ann /nothing 403 refused - -",
        "ann /v1/responses 200 complete - -",
        "ann /v1/responses 429 error - rate_limit",
        "ann /v1/responses 404 refused not_found -",
        "ann /v1/responses 101 complete - -",
    ]
    assert SECRET not in written.getvalue()


async def test_a_preflight_leaves_a_line_whether_its_page_may_ask_or_not() -> None:
    pages = ("https://app.example.com", "https://evil.example")
    written = io.StringIO()
    access = Access(keys=[hash_line("ann", KEY)], origins=pages[:1])
    app, _ = app_with(access=access, observers=[AuditLog(written)])
    async with serving(app) as port:
        for page in pages:
            head = {"origin": page, "access_control_request_method": "POST"}
            await fetch(port, "/v1/chat/completions", "OPTIONS", **head)
        await fetch(port, "/v1/chat/completions", "OPTIONS", origin=pages[0])  # a plain OPTIONS
    names = ("key", "method", "path", "status", "outcome")
    told = [" ".join(line.get(name, "-") for name in names) for line in read(written.getvalue())]
    assert told == [
        "- OPTIONS /v1/chat/completions 200 complete",
        "- OPTIONS /v1/chat/completions 400 refused",
        "- OPTIONS /v1/chat/completions 401 refused",
    ]


BEGUN = b"POST /chat HTTP/1.1\r\nhost: localhost\r\n"
KEYED = BEGUN + b"x-api-key: " + KEY.encode() + b"\r\n"
NOT_READ = {
    "no HTTP": (b"\x16\x03\x01 what\r\n\r\n", "400 refused invalid_request"),
    "a late head": (BEGUN, "408 refused timeout"),
    "a large head": (BEGUN + b"a: " + b"b" * 70_000 + b"\r\n\r\n", "431 refused invalid_request"),
    "many headers": (BEGUN + b"a: b\r\n" * 200 + b"\r\n", "431 refused invalid_request"),
}
READ = {
    "a body that is late": KEYED + b"content-length: 9\r\n\r\n{",
    "a chunk that is wrong": KEYED + b"transfer-encoding: chunked\r\n\r\nzz\r\n",
    "trailers without end": KEYED + b"transfer-encoding: chunked\r\n\r\n0\r\n" + b"a: b\r\n" * 200,
}


@over_both
@pytest.mark.parametrize("name", NOT_READ)
async def test_what_the_server_refuses_without_the_app_leaves_a_line(parser, name) -> None:
    sent, expected = NOT_READ[name]
    app, written = audited()
    protocol = http(parser, head_time=0.2, drain_time=0.1)
    async with serving(app, http=protocol, lifespan="on") as port, stranger(port) as client:
        client.send(sent)
        await client.closed()
    (line,) = read(written.getvalue())
    assert " ".join((line["status"], line["outcome"], line["error"])) == expected
    assert line["client"] == "127.0.0.1"
    assert not {"key", "method", "path", "model"} & {*line}


@over_both
async def test_a_connection_too_many_leaves_a_line(parser) -> None:
    app, written = audited()
    protocol = http(parser, connections=1, drain_time=0.1)
    async with serving(app, http=protocol, lifespan="on") as port, stranger(port) as first:
        first.send(KEYED + b"content-length: 9\r\nexpect: 100-continue\r\n\r\n")
        await first.hears(b"100 Continue")  # it isn't idle, so it can't be closed to make room
        async with stranger(port) as second:
            await second.closed()
    told = [(line["status"], line.get("path")) for line in read(written.getvalue())]
    assert told[0] == ("503", None)
    assert told[1:] in (
        [],
        [("400", "/chat")],
    )  # the first one's, which went in the middle of its body


@over_both
@pytest.mark.parametrize("name", READ)
async def test_what_the_app_has_begun_to_read_leaves_one_line_however_it_ends(parser, name) -> None:
    app, written = audited(limits=Limits(body_timeout=0.2))
    protocol = http(parser, head_time=0.2, drain_time=0.1)
    async with serving(app, http=protocol, lifespan="on") as port, stranger(port) as client:
        client.send(READ[name])
        await client.closed()
    (line,) = [line for line in read(written.getvalue()) if "method" in line]
    assert (line["path"], line["key"], line["outcome"]) == ("/chat", "ann", "refused")
    others = [line for line in read(written.getvalue()) if "method" not in line]
    assert others == []


async def test_a_client_that_leaves_is_told() -> None:
    class Endless:
        name = "endless"

        async def stream(self, request, call):
            yield text_delta("a")
            await asyncio.Event().wait()

        async def aclose(self):
            pass

    written = io.StringIO()
    access = Access(keys=[hash_line("ann", KEY)])
    client = LLMClient("m", provider=Endless())
    app = create_app(client, access=access, observers=[AuditLog(written)])
    async with serving(app) as port:
        client = await Client.ask(
            port, "/chat", "POST", b'{"prompt": "hi", "stream": true}', **HOLDER
        )
        await client.head()
        client.leave()
        async with asyncio.timeout(PATIENCE):
            while not written.getvalue():
                await asyncio.sleep(0.005)
    (line,) = read(written.getvalue())
    assert (line["status"], line["outcome"]) == ("200", "left")
    # Counted by us, since the provider can't report it any more.
    assert (line["input"], line["output"]) == ("5", "1")


class Broken:
    """Fails in ways of its own: at once, or after a word."""

    name = "broken"

    async def stream(self, request, call):
        if request.messages[0].text == "late":
            yield text_delta("half")
        raise KeyError("in a provider")

    async def aclose(self):
        pass


async def test_what_fails_in_the_server_is_an_error_and_no_provider_s() -> None:
    written = io.StringIO()
    client = LLMClient("m", provider=Broken(), retry=RetryPolicy(max_attempts=1))
    app = create_app(client, observers=[AuditLog(written)])
    async with serving(app) as port:
        for words in ("at once", "late"):
            await post(port, "/chat", {"prompt": words, "stream": True})
    told = [
        (line["status"], line["outcome"], line["error"], line.get("upstream"))
        for line in read(written.getvalue())
    ]
    assert told == [("500", "error", "internal", None), ("200", "error", "internal", None)]


async def test_an_observer_that_raises_costs_nobody_the_answer(caplog) -> None:
    class Raising(RequestObserver):
        def begin(self, request):
            raise KeyError("mine")

        def end(self, request):
            raise KeyError("mine")

    app, _ = audited(["ok"], observers=[Raising()])
    async with serving(app) as port:
        assert (await post(port, "/chat", {"prompt": "hi"}, **HOLDER))[0] == 200
    told = [line for line in caplog.messages if "the observer Raising raised" in line]
    assert len(told) == 2


@pytest.mark.parametrize("wrong", [None, AuditLog, [AuditLog], [object()], "audit"])
def test_what_isn_t_an_observer_is_refused(wrong) -> None:
    with pytest.raises(TypeError, match="observer"):
        create_app(LLMClient("simulator"), observers=wrong)


FIELDS = ("id", "method", "path", "client", "key", "model", "provider")


@given(st.fixed_dictionaries(dict.fromkeys(FIELDS, foreign)), st.booleans())
def test_whatever_is_told_it_is_one_line_of_printable_characters(values, as_json) -> None:
    """Every field that a client, a provider or an operator fills."""
    written = io.StringIO()
    values = {**values, "path": f"/{values['path'] * 30}"}
    request = ServedRequest(**values, api="native", status=200)
    request.ended = request.began
    AuditLog(written, as_json=as_json).end(request)
    line = written.getvalue().removesuffix("\n")
    assert line.isascii()
    assert line.isprintable()
    assert len(line) < 1_000  # so that no logger cuts it
    fields = json.loads(line) if as_json else read(line)[0]
    assert {*fields} - {*FIELDS} <= {"time", "request", "api", "status", "ms", "outcome"}
    if not as_json:
        assert [word.count("=") for word in line.split(" ")] == [1] * len(fields)


async def test_a_file_is_appended_to_and_opened_again_where_it_was_renamed(tmp_path) -> None:
    path = tmp_path / "audit.jsonl"
    audit = AuditLog(path, as_json=True)
    app, _ = audited(["a"], ["b"], ["c"], observers=[audit])
    async with serving(app) as port:
        await post(port, "/chat", {"prompt": "hi"}, **HOLDER)
        await post(port, "/chat", {"prompt": "hi"})
        path.rename(tmp_path / "audit.1")
        await post(port, "/chat", {"prompt": "hi"}, **HOLDER)
    audit.close()
    before = [json.loads(line) for line in (tmp_path / "audit.1").read_text().splitlines()]
    assert [(line.get("key"), line["status"]) for line in before] == [("ann", 200), (None, 401)]
    assert json.loads(path.read_text())["key"] == "ann"
    if sys.platform != "win32":
        for file in (tmp_path / "audit.1", path):
            assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize("path", ["/nowhere/audit.log", "/", "a\x00b"])
def test_a_file_that_can_t_be_written_is_told(path) -> None:
    with pytest.raises(ConfigurationError, match="can't be written"):
        AuditLog(path)


PLAIN = f"""
from llmstream import LLMClient
from llmstream.web import Access, AuditLog, create_app

access = Access(keys=[{hash_line("ann", KEY)!r}])
app = create_app(LLMClient("simulator"), access=access, observers=[AuditLog()])
"""


async def test_it_is_seen_under_plain_uvicorn(tmp_path) -> None:
    async with uvicorn(tmp_path, "--no-access-log", source=PLAIN) as program:
        assert (await post(program.port, "/chat", {"prompt": SECRET}, **HOLDER))[0] == 200
        assert (await post(program.port, f"/{SECRET[:5]}%0a%1b[2J", {}))[0] == 401
        await program.end()
    lines = read("\n".join(re.findall("^time=.*$", program.text, re.M)))
    assert [(line.get("key"), line["status"]) for line in lines] == [("ann", "200"), (None, "401")]
    assert SECRET not in program.text
    assert "\x1b" not in program.text


async def test_a_program_that_has_handlers_decides_where_it_goes(capsys) -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    app, _ = audited(["a"], observers=[AuditLog()])
    logging.getLogger("llmstream").addHandler(handler)
    try:
        async with serving(app) as port:
            await post(port, "/chat", {"prompt": "hi"}, **HOLDER)
    finally:
        logging.getLogger("llmstream").removeHandler(handler)
    assert read(stream.getvalue())[0]["key"] == "ann"
    assert "key=ann" not in capsys.readouterr().err
