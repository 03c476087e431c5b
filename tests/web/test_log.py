"""What a plain `uvicorn app:app` shows of failures, where nobody configured logging."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import websockets

from tests.loopback import Loopback, refuse
from tests.web.dialects.test_encoders import BODIES
from tests.web.serving import Client, fetch

ROOT = Path(__file__).parents[2]
KEY = "llmstream-canary-upstream"
GOOD = {"authorization": "Bearer the-key-of-a-client"}
HOSTILE = "Incorrect\x1b]0;title\x07 key\n2030 request forged: all fine\u2028\u202e\x9b"
APP = """
import asyncio
import os

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import Mount, Route, WebSocketRoute

from llmstream import LLMClient, RetryPolicy, streams
from llmstream.conversations import StreamingChunk
from llmstream.events.types import StreamEvent, EventType, text_delta
from llmstream.messages import ToolCall
from llmstream.router import Dispatcher, Routes, RouterWithDispatcher
from llmstream.testing import ScriptedProvider
from llmstream.tools import run_tools
from llmstream.web import Access, EventStreamResponse, Limits, create_app, respond, send_events

ONCE = RetryPolicy(max_attempts=1)
HI = [{"role": "user", "content": "hi"}]
HOSTILE = os.environ["HOSTILE"].encode().decode("unicode_escape")
client = LLMClient("openai:m", api_key=os.environ["KEY"], base_url=os.environ["PROVIDER"], retry=ONCE)


class Mine:
    name = "mine"

    async def stream(self, request, call):
        yield text_delta("half")
        raise KeyError("in a provider")

    async def aclose(self):
        pass


class Hanging(Mine):
    async def stream(self, request, call):
        yield text_delta("half")
        await asyncio.Event().wait()


async def raising():
    yield text_delta("half")
    raise KeyError("in a generator")


async def raising_at_once():
    raise RuntimeError(HOSTILE)
    yield


async def strings():
    yield "half"


async def numbers():
    yield 3


async def chunks():
    yield StreamingChunk(content="half")


async def failing_to_close():
    try:
        yield text_delta("half")
        yield StreamEvent(EventType.MESSAGE_COMPLETE)
    finally:
        raise OSError("at the end")


async def failing_when_left():
    try:
        yield text_delta("half")
        await asyncio.Event().wait()
    finally:
        raise OSError("when left")


async def forbidden():
    raise HTTPException(403, "not yours")
    yield


def tool_that_fails():
    call = ToolCall("c1", "look_up" + HOSTILE, "{}", {})
    return run_tools(LLMClient(provider=ScriptedProvider([call], ["Sorry."])), HI, [lambda: None])


EVENTS = {
    "generator": raising,
    "at-once": raising_at_once,
    "numbers": numbers,
    "coalesced-strings": lambda: streams.coalesce(strings(), chars=5),
    "mapped-strings": lambda: streams.map_text(strings(), str.upper),
    "collected-chunks": lambda: streams.coalesce(chunks(), chars=5),
    "operator": lambda: streams.map_text(LLMClient(provider=ScriptedProvider(["a"])).chat_completion(HI), broken),
    "closing": failing_to_close,
    "leaving": failing_when_left,
    "forbidden": forbidden,
    "mine": lambda: LLMClient("m", provider=Mine()).chat_completion(HI),
    "provider": lambda: client.chat_completion(HI),
    "arguments": lambda: client.chat_completion(HI, temperature="hot"),
}


def broken(text):
    raise ZeroDivisionError("in an operator")


async def responding(request):
    return respond(request, EVENTS[request.path_params["name"]]())


async def responding_directly(request):
    events = EVENTS[request.path_params["name"]]()
    return EventStreamResponse(events, request_id=request.headers["x-request-id"])


async def talking(websocket):
    await websocket.accept()
    await send_events(websocket, EVENTS[websocket.path_params["name"]]())
    await websocket.close()


class Allowed(Routes):
    BILLING = "billing", "Invoices"
    NOT_DEFINED = "not_defined"


dispatcher = Dispatcher(Allowed)


@dispatcher.handler(Allowed.BILLING)
async def billing(text):
    yield "Your "
    raise LookupError("in a handler")


def strategy(text):
    raise ArithmeticError(text)


def who(connection):
    seat = connection.headers["x-seat"]
    return {"true": True, "zero": 0, "empty": "", "blank": " ", "none": None, "ann": "ann"}[seat]


router = RouterWithDispatcher(Allowed, [strategy, lambda text: Allowed.BILLING], dispatcher)
app = Starlette(
    routes=[
        Route("/respond/{name}", responding),
        Route("/direct/{name}", responding_directly),
        WebSocketRoute("/talk/{name}", talking),
        Mount("/open", create_app(client, router=router)),
        Mount("/keyed", create_app(client, access=Access(keys=["the-key-of-a-client"]))),
        Mount("/seats", create_app(client, access=Access(keys=who))),
        Mount("/few", create_app(LLMClient("m", provider=Hanging()), limits=Limits(per_client=1))),
    ]
)
"""


class Program:
    """A running `uvicorn app:app`; what it wrote to stderr is in `text` when it has ended."""

    def __init__(self, process) -> None:
        self._process = process
        self.text = ""
        self.port = 0
        self._serving = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for line in self._process.stderr:
            self.text += line.decode()
            if found := re.search(r"running on http://127\.0\.0\.1:(\d+)", self.text):
                self.port = int(found[1])
                self._serving.set()
        self._serving.set()

    async def start(self) -> None:
        await self._serving.wait()
        assert self.port, self.text

    async def end(self) -> None:
        if self._process.returncode is None:
            self._process.terminate()
        await self._process.wait()
        await self._reading

    def records(self, request_id: str) -> list[list[str]]:
        """The records about a request: a line, and the indented ones that belong to it."""
        found: list[list[str]] = []
        for line in self.text.split("\n"):
            if line.startswith("  ") and found:
                found[-1].append(line)
            else:
                found.append([line])
        return [each for each in found if f"request {request_id}:" in each[0]]


@asynccontextmanager
async def uvicorn(folder: Path, *options: str, source: str = APP):
    (folder / "app.py").write_text(source, "utf-8")
    hostile = HOSTILE.encode("unicode_escape").decode()
    body = {
        "error": {
            "message": f"{HOSTILE} {KEY}",
            "code": f"bad{HOSTILE}",
            "type": "invalid_request_error",
        }
    }
    async with Loopback(refuse(401, body, x_request_id="theirs-7")) as provider:
        env = {
            **os.environ,
            "KEY": KEY,
            "PROVIDER": provider.url("openai"),
            "HOSTILE": hostile,
            "PYTHONPATH": str(ROOT),
        }
        command = [sys.executable, "-m", "uvicorn", "app:app", "--port", "0", *options]
        process = await asyncio.create_subprocess_exec(
            *command, stderr=asyncio.subprocess.PIPE, env=env, cwd=folder
        )
        program = Program(process)
        try:
            await program.start()
            yield program
        finally:
            await program.end()


def check_provider_line(record: list[str]) -> None:
    (line,) = record
    assert "authentication: Incorrect" in line
    assert all(word in line for word in ("all fine", "openai", "401", "theirs-7", "[key]"))


async def ask(port: int, path: str, request_id: str, body=None, **headers: str) -> int:
    data = b"" if body is None else json.dumps(body).encode()
    named = {"x_request_id": request_id, "content_type": "application/json", **headers}
    try:
        return (await fetch(port, path, "GET" if body is None else "POST", data, **named))[0]
    except asyncio.IncompleteReadError:  # cut, which is what text has for half an answer
        return 200


def as_id(path: str) -> str:
    return "dialect" + re.sub(r"\W", "-", path)


async def test_every_failure_leaves_one_record(tmp_path) -> None:
    raised = {
        "generator": "KeyError: 'in a generator'",
        "at-once": "RuntimeError: Incorrect",
        "numbers": "TypeError: events must be StreamEvents, pieces of text or StreamingChunks, not int",
        "coalesced-strings": "AttributeError: 'str' object",
        "mapped-strings": "AttributeError: 'str' object",
        "collected-chunks": "AttributeError: 'StreamingChunk' object",
        "operator": "ZeroDivisionError: in an operator",
        "arguments": "temperature",
        "closing": "OSError: at the end",
    }
    dialects = {
        each.path.replace("{model}", "openai:m"): body
        | ({"model": "openai:m"} if "model" in body else {})
        for each, body in BODIES.items()
    }
    forms = ("text/event-stream", "application/x-ndjson", "application/json", "text/plain")
    async with uvicorn(tmp_path) as program:
        port = program.port
        for name in [*raised, "mine", "provider", "forbidden"]:
            for number, form in enumerate(forms):
                await ask(port, f"/respond/{name}", f"respond-{name}-{number}", accept=form)
            await ask(port, f"/direct/{name}", f"direct-{name}")
            url, headers = f"ws://127.0.0.1:{port}/talk/{name}", {"x-request-id": f"talk-{name}"}
            async with websockets.connect(url, additional_headers=headers) as socket:
                assert [message async for message in socket]
        assert await ask(port, "/open/chat", "chat", {"prompt": "hi"}) == 502
        for path, body in dialects.items():
            await ask(port, f"/open{path}", as_id(path), body)
        assert (
            await ask(port, "/open/streaming_chat", "routed", {"request": "my number is 1234"})
            == 200
        )

        _, _, ids = await fetch(port, "/open/api/chat/session", "POST", b"{}")
        query = {"query": "hi", **json.loads(ids)}
        named = "&".join(f"{name}={value}" for name, value in query.items())
        await ask(port, f"/open/api/chat/stream-http?{named}", "conversation")
        url = f"ws://127.0.0.1:{port}/open/api/chat/stream"
        async with websockets.connect(
            url, additional_headers={"x-request-id": "conversation-ws"}
        ) as socket:
            await socket.send(json.dumps(query))
            assert [message async for message in socket]

        assert await ask(port, "/keyed/chat?token=in-the-url", "no-key", {"prompt": "hi"}) == 401
        wrong = {"authorization": "Bearer wrong-key"}
        assert await ask(port, "/keyed/v1/messages", "wrong-key", {}, **wrong) == 401
        assert await ask(port, "/keyed/%1b[31mred%e2%80%a8", "odd-path", {}) == 401
        assert await ask(port, "/keyed/chat", "mistaken", {}, **GOOD) == 400
        assert await ask(port, "/open/chat", "host", {}, host="evil.example") == 403
        assert await ask(port, "/open/chat", "origin", {}, origin="https://evil.example") == 403
        for path, request_id, page in (
            ("/keyed", "no-key-ws", None),
            ("/open", "origin-ws", "https://evil.example"),
        ):
            url, headers = (
                f"ws://127.0.0.1:{port}{path}/api/chat/stream",
                {"x-request-id": request_id},
            )
            with pytest.raises(websockets.InvalidStatus):
                await websockets.connect(url, additional_headers=headers, origin=page)
        for seat in ("true", "zero", "empty", "blank", "none"):
            assert (
                await ask(port, "/seats/chat", f"seat-{seat}", {"prompt": "hi"}, x_seat=seat) == 401
            )
        assert (
            await ask(port, "/seats/chat", "seat-raising", {"prompt": "hi"}, x_seat="secret-of-ann")
            == 500
        )
        assert await ask(port, "/seats/chat", "seat-ann", {"prompt": "hi"}, x_seat="ann") == 502

        body = json.dumps({"prompt": "hi", "stream": True}).encode()
        held = await Client.ask(
            port, "/few/chat", "POST", body, content_type="application/json", x_request_id="left"
        )
        await held.head()
        assert await ask(port, "/few/chat", "one-too-many", {"prompt": "hi"}) == 429
        leaving = await Client.ask(port, "/respond/leaving", x_request_id="left-badly")
        await leaving.head()
        held.leave()
        leaving.leave()

    def only(request_id: str) -> list[str]:
        found = program.records(request_id)
        assert len(found) == 1, (request_id, found)
        return found[0]

    for name, words in raised.items():
        for where in (
            *(f"respond-{name}-{number}" for number in range(len(forms))),
            f"direct-{name}",
            f"talk-{name}",
        ):
            record = only(where)
            assert "Traceback" in record[1], record
            assert words in "\n".join(record)
    for name in ("mine", "provider", "forbidden"):
        for where in (
            *(f"respond-{name}-{number}" for number in range(len(forms))),
            f"direct-{name}",
            f"talk-{name}",
        ):
            if name == "provider":
                check_provider_line(only(where))
            else:
                (line,) = only(where)
                assert ("KeyError" if name == "mine" else "refused with 403: not yours") in line
    assert program.text.count("\n  KeyError: 'in a provider'\n") == len(forms) + 2
    for where in (
        "chat",
        "conversation",
        "conversation-ws",
        *map(as_id, dialects),
    ):
        check_provider_line(only(where))
    assert "the handler for 'billing' raised LookupError" in only("routed")[0]
    assert "\n  LookupError: in a handler\n" in program.text
    assert "strategy strategy raised ArithmeticError at app.py:" in program.text
    assert "my number is 1234" not in program.text

    assert only("no-key") == [
        "request no-key: refused with 401: This server needs a key, and a valid one.; POST /keyed/chat from 127.0.0.1"
    ]
    assert r"POST /keyed/\x1b[31mred\u2028 from 127.0.0.1" in only("odd-path")[0]
    for where, words in {
        "wrong-key": "refused with 401",
        "no-key-ws": "refused with 401",
        "origin-ws": "Origin: https://evil.example; WebSocket /open/api/chat/stream",
        "host": "Host: evil.example",
        "origin": "Origin: https://evil.example",
        "one-too-many": "refused with 429",
        "seat-true": "keys returned a value of type bool",
        "seat-zero": "keys returned a value of type int",
        "seat-blank": "keys returned a blank str",
        "seat-empty": "a valid one.; POST",
        "seat-none": "a valid one.; POST",
        "left-badly": "the events raised OSError when the client had left",
    }.items():
        assert words in only(where)[0]
    raising = only("seat-raising")
    assert "keys raised KeyError" in raising[-1]
    assert any("in who" in line for line in raising)
    assert program.records("mistaken") == program.records("left") == []
    for secret in (KEY, "wrong-key\n", "Bearer", "in-the-url", "secret-of-ann", query["token"]):
        assert secret not in program.text.replace("request wrong-key", "")
    assert "Exception in ASGI application" not in program.text
    assert "handshake" not in program.text
    assert all(line.isprintable() for line in program.text.split("\n"))
    assert "\n2030 request" not in program.text


async def test_an_application_that_configures_logging_decides_alone(tmp_path) -> None:
    source = f"{APP}\nimport logging\nlogging.basicConfig(format='ROOT %(name)s %(levelname)s %(message)s')\n"
    async with uvicorn(tmp_path, source=source) as program:
        await ask(program.port, "/respond/generator", "seen")
        await ask(program.port, "/open/chat", "refused", {}, host="evil.example")
    ((seen, *trace),) = program.records("seen")
    ((refused,),) = program.records("refused")
    assert seen == "ROOT llmstream.web ERROR request seen: the events raised KeyError"
    assert trace[-1] == "  KeyError: 'in a generator'"
    assert refused.startswith("ROOT llmstream.web WARNING request refused: refused with 403")
