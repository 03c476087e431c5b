"""`llmstream serve`, as a program."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import asynccontextmanager

import pytest
import websockets
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute

from llmstream import LLMClient
from llmstream.cli import main
from llmstream.events.types import text_delta
from llmstream.providers.simulator import SimulatorProvider
from llmstream.web import Access, create_app, respond
from llmstream.web.keys import hash_line
from llmstream.web.server import listen, make_server, running
from tests.patience import PATIENCE
from tests.web.serving import Client, app_of, events_of, fetch

KEY, ANNS = "llmstream-canary-serve", "llmstream-canary-anns"


@asynccontextmanager
async def served(*arguments: str, **environment: str):
    """The program and its port."""
    env = {**os.environ, "LLMSTREAM_MODEL": "simulator", **environment}
    command = [sys.executable, "-m", "llmstream", "serve", "--port", "0", *arguments]
    process = await asyncio.create_subprocess_exec(
        *command, stderr=asyncio.subprocess.PIPE, env=env
    )
    try:
        line = (await process.stderr.readline()).decode()
        yield process, int(re.search(r":(\d+)/ to", line)[1]), line
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def serve_here(*arguments: str) -> object:
    """The exit code of the command in this process, whose signals stay as they were."""
    numbers = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        return main(["serve", *arguments])
    except SystemExit as ended:
        return ended.code
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


async def chat(port: int, **headers: str):
    return await fetch(port, "/chat", "POST", b'{"prompt": "hello"}', **headers)


async def test_it_serves_this_machine_and_stops_when_told() -> None:
    async with served() as (process, port, line):
        assert "this machine only" in line
        status, _, body = await chat(port)
        assert (status, "You said: hello" in json.loads(body)["text_delta"]["content"]) == (
            200,
            True,
        )
        assert (await chat(port, host="evil.example"))[0] == 403
        process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(process.wait(), 10) == 0
        (refused,) = (await process.stderr.read()).decode().splitlines()
        assert re.search(
            r"llmstream\.web: request \w+: refused with 403: .*; Host: evil\.example; POST /chat",
            refused,
        )


async def test_a_stream_that_is_open_when_it_stops_is_finished() -> None:
    async with served() as (process, port, _):
        client = await Client.ask(port, "/chat", "POST", b'{"prompt": "hello", "stream": true}')
        await client.head()
        first = await client.chunk()
        process.send_signal(signal.SIGTERM)
        assert events_of(first + await client.body())[-1].type == "message_complete"
        assert await asyncio.wait_for(process.wait(), 10) == 0


async def test_models_may_have_names_of_the_operators_own() -> None:
    async with served("--alias", "fast=simulator:quick", "--alias", "odd=x=y") as (
        _,
        port,
        _,
    ):
        listed = json.loads((await fetch(port, "/v1/models"))[2])
        assert [model["id"] for model in listed["data"]] == ["simulator:echo", "fast", "odd"]
        body = json.dumps({"prompt": "hello", "model": "fast"}).encode()
        status, _, answer = await fetch(port, "/chat", "POST", body)
        assert (status, json.loads(answer)["start"]["model"]) == (200, "quick")
        body = json.dumps({"prompt": "hello", "model": "simulator:quick"}).encode()
        assert (await fetch(port, "/chat", "POST", body))[0] == 404


async def test_limits_of_the_command_line_hold() -> None:
    limits = ("--max-body", "5000", "--per-client", "1", "--max-messages", "none")
    others = ("--max-tools", "1", "--http-headers", "20", "--rate-concurrent", "1")
    async with served(*limits, *others) as (_, port, _):
        headers = {f"x-{number}": "y" for number in range(20)}
        assert (await fetch(port, "/healthz", **headers))[0] == 431
        tools = [{"name": name, "parameters": {}} for name in "ab"]
        asked = json.dumps({"prompt": "hi", "tools": tools}).encode()
        assert (await fetch(port, "/chat", "POST", asked))[0] == 413
        assert (await fetch(port, "/chat", "POST", b" " * 5001))[0] == 413
        # The simulator repeats it word by word, for a minute.
        body = json.dumps({"prompt": "word " * 900, "stream": True}).encode()
        busy = await Client.ask(port, "/chat", "POST", body)
        await busy.head()
        assert (await chat(port))[0] == 429


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="Windows has no hang-up")
async def test_others_are_let_in_only_with_keys(tmp_path) -> None:
    """Those of the environment, and those of a file, which a hang-up reads again."""
    path = tmp_path / "keys.txt"
    path.write_text(hash_line("ann", ANNS))
    async with served(
        "--host",
        "0.0.0.0",
        "--keys",
        str(path),
        "--audit",
        str(tmp_path / "audit"),
        "--audit-json",
        LLMSTREAM_SERVE_KEYS=f"{KEY}, another-key-of-16",
    ) as (process, port, line):
        assert "to whoever has a key" in line
        told = (await process.stderr.readline()).decode()
        assert "keys and prompts travel over plain http" in told
        assert (await chat(port))[0] == 401
        for key in (KEY, ANNS):
            assert (await chat(port, authorization=f"Bearer {key}", host="chat.example"))[0] == 200
        path.write_text(hash_line("ann", "a-newer-key-of-anns"))
        process.send_signal(signal.SIGHUP)
        async with asyncio.timeout(PATIENCE):
            while b"keys.txt is in use" not in (heard := await process.stderr.readline()):
                told += heard.decode()
        assert (await chat(port, x_api_key=ANNS))[0] == 401
        assert (await chat(port, x_api_key="a-newer-key-of-anns"))[0] == 200
        process.terminate()
        told += line + heard.decode() + (await process.stderr.read()).decode()
    lines = [json.loads(line) for line in (tmp_path / "audit").read_text().splitlines()]
    assert [line["status"] for line in lines] == [401, 200, 200, 401, 200]
    assert [line.get("key") for line in lines[2:]] == ["ann", None, "ann"]
    told += str(lines)
    assert not any(key in told for key in (KEY, ANNS, "a-newer-key-of-anns"))


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere 127.0.0.1 alone is this machine")
async def test_it_answers_to_the_address_that_it_listens_on() -> None:
    async with served("--host", "127.0.0.2") as (_, port, line):
        assert "this machine only" in line
        reader, writer = await asyncio.open_connection("127.0.0.2", port)
        writer.write(f"GET /healthz HTTP/1.0\r\nhost: 127.0.0.2:{port}\r\n\r\n".encode())
        assert (await reader.readline()).split()[1] == b"200"
        writer.close()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--host", "0.0.0.0"], "LLMSTREAM_SERVE_KEYS"),
        (["--host", "192.0.2.1", "--allow-host", "x"], "LLMSTREAM_SERVE_KEYS"),
        (["--host", "::"], "llmstream keys new NAME"),
        (["--audit", "/nowhere/audit"], "/nowhere/audit can't be written: No such file"),
        (["--keys", "/nowhere/keys.txt"], "/nowhere/keys.txt can't be read: No such file"),
        (["--allow-host", "chat.example.com:8000"], "without ports"),
        (["--allow-origin", "app.example.com"], "origins"),
        (["--port", "taken"], "invalid int"),
        (["words"], "takes no other words"),
        (["--json"], "go with a single question"),
        (["--model", "nobody:x"], "unknown provider"),
        (
            ["--allow-model", "simulator:x", "--allow-model", "anthropic:claude-sonnet-4-5"],
            "no key for anthropic",
        ),
        (["--allow-model", ""], "model must be"),
        (["--allow-model", "fast=simulator:x"], "write --alias fast=simulator:x"),
        (["--alias", "fast"], "takes NAME=MODEL"),
        (["--alias", "=simulator:x"], "takes NAME=MODEL"),
        (["--alias", "fast="], "takes NAME=MODEL"),
        (["--alias", "a=simulator:x", "--alias", "a=simulator:y"], "another model already"),
        (["--allow-model", "a", "--alias", "a=simulator:y"], "another model already"),
        (["--alias", "fast=anthropic:claude-sonnet-4-5"], "no key for anthropic"),
        (["--per-client", "many"], "--per-client: must be a whole number"),
        (["--per-client", "1.5"], "--per-client: must be a whole number"),
        (["--per-client", "0"], "per_client must be more than 0"),
        (["--max-body", "none"], "--max-body: must be a whole number (bytes)"),
        (["--body-timeout", "inf"], "--body-timeout: must be a number"),
        (["--retry-after", "-1"], "retry_after must be"),
        (["--rate-requests", "0"], "requests must be a number of at least 1"),
        (["--rate-per", "60"], "must limit something"),
        (["--workers", "0"], "--workers must be 1 or more"),
        (["--workers", "2"], "share: --conversations chats.db"),
        (
            ["--workers", "4", "--conversations", "x.db", "--per-client", "3"],
            "per_client is 3, which 4 workers can't share",
        ),
        (
            ["--workers", "4", "--conversations", "x.db", "--rate-concurrent", "2"],
            "concurrent is 2, which 4 workers can't share",
        ),
        (["--workers", "2", "--conversations", "redis://h"], "not a URL"),
        (["--config", "gw.toml", "--model", "simulator"], "--model: with --config"),
        (["--config", "gw.toml", "--alias", "a=b"], "--alias: with --config"),
        (["--config", "/nowhere/gw.toml"], "/nowhere/gw.toml: can't be read: No such file"),
        (["--check", "--per-client", "0"], "per_client must be more than 0"),
        (["--conversations", "redis://127.0.0.1:6379"], "not a URL"),
    ],
)
def test_what_cannot_be_served_is_told(arguments, said, monkeypatch, capsys) -> None:
    settings = {
        "LLMSTREAM_MODEL": "simulator",
        "LLMSTREAM_SERVE_KEYS": "",
        "ANTHROPIC_API_KEY": "",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    code = serve_here(*arguments)
    err = capsys.readouterr().err
    assert (code, said in err) == (2, True), err


@pytest.mark.parametrize(
    "keys", ["fifteen-letters", f"{KEY}, brief-one", f"{KEY}, two words in a key", "ann:abc"]
)
def test_keys_that_can_be_guessed_are_told_and_not_shown(keys, monkeypatch, capsys) -> None:
    monkeypatch.setenv("LLMSTREAM_MODEL", "simulator")
    monkeypatch.setenv("LLMSTREAM_SERVE_KEYS", keys)
    code = serve_here()
    err = capsys.readouterr().err
    assert (code, "LLMSTREAM_SERVE_KEYS[" in err) == (2, True), err
    assert not any(key.strip() in err for key in keys.split(","))


@pytest.mark.parametrize("port", ["99999", "-1"])
async def test_a_port_that_cannot_be_is_told(port) -> None:
    command = [sys.executable, "-m", "llmstream", "serve", "--port", port]
    env = {**os.environ, "LLMSTREAM_MODEL": "simulator"}
    process = await asyncio.create_subprocess_exec(
        *command, stderr=asyncio.subprocess.PIPE, env=env
    )
    _, err = await process.communicate()
    assert (process.returncode, "can't listen" in err.decode()) == (2, True), err


async def test_a_port_that_is_taken_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        command = [
            sys.executable,
            "-m",
            "llmstream",
            "serve",
            "--port",
            str(taken.getsockname()[1]),
        ]
        env = {**os.environ, "LLMSTREAM_MODEL": "simulator"}
        process = await asyncio.create_subprocess_exec(
            *command, stderr=asyncio.subprocess.PIPE, env=env
        )
        _, err = await process.communicate()
    assert (process.returncode, b"can't listen" in err) == (2, True), err


async def test_streams_that_outlast_the_grace_are_told_so_in_a_line_of_the_log(caplog) -> None:
    async def endless():
        yield text_delta("going on")
        await asyncio.Event().wait()

    async def endpoint(request):
        return respond(request, endless())

    listener = listen("127.0.0.1", 0)
    server = make_server(app_of(endpoint), max_message=1000, grace=0.05)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    client = await Client.ask(listener.getsockname()[1])
    await client.head()
    server.should_exit = True
    assert events_of(await client.body())[-1].type == "error"
    await serving
    assert any("stopping" in record.getMessage() for record in caplog.records)
    assert not [record for record in caplog.records if record.exc_info]


async def test_websockets_are_told_that_the_server_stops() -> None:
    """uvicorn does so at once: 1012 is "service restart"."""
    async with running(create_app(LLMClient(provider=SimulatorProvider(pace=0.05)))) as url:
        ids = json.loads(
            (await fetch(int(url.rpartition(":")[2]), "/api/chat/session", "POST", b"{}"))[2]
        )
        socket = await websockets.connect(f"{url.replace('http', 'ws')}/api/chat/stream")
        await socket.send(json.dumps({"query": "hi", **ids}))
        await socket.recv()
    await socket.wait_closed()
    assert socket.close_code == 1012


@pytest.mark.parametrize("refused", [True, False])
async def test_a_websocket_that_is_refused_is_no_mistake_and_one_that_is_forgotten_is(
    refused, caplog
) -> None:
    """uvicorn's log says of both that they never completed the handshake."""
    caplog.set_level(logging.ERROR, "uvicorn.error")

    async def forgetful(websocket):
        pass

    guarded = create_app(LLMClient("simulator"), access=Access(keys=[KEY]))
    app = guarded if refused else Starlette(routes=[WebSocketRoute("/api/chat/stream", forgetful)])
    async with running(app) as url:
        with pytest.raises(websockets.InvalidStatus) as said:
            await websockets.connect(f"{url.replace('http', 'ws')}/api/chat/stream")
    assert said.value.response.status_code == (401 if refused else 500)
    mistakes = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(mistakes) == (not refused)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_each_piece_is_sent_at_once(host) -> None:
    """Nagle's algorithm would hold it until the client has acknowledged the one before."""
    accepted = asyncio.get_running_loop().create_future()

    def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        own = writer.get_extra_info("socket")
        accepted.set_result(own.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0)
        writer.close()

    listener = listen(host, 0)
    assert listener.getsockname()[0] == host
    async with await asyncio.start_server(serve, sock=listener):
        _, writer = await asyncio.open_connection(*listener.getsockname()[:2])
        assert await accepted
        writer.close()


async def test_an_app_that_cannot_start_is_no_server() -> None:
    @asynccontextmanager
    async def lifespan(app):
        raise OSError("no database")
        yield

    with pytest.raises(RuntimeError, match="could not start"):
        async with running(Starlette(lifespan=lifespan)):
            pass


async def test_a_client_that_does_not_read_loses_its_connection_at_once() -> None:
    """uvicorn's own close would wait for it to read what is left."""
    closed = asyncio.Event()

    async def endless():
        while True:
            yield text_delta("x" * 1024)

    async def endpoint(request):
        try:
            await respond(request, endless(), write_timeout=0.2)(
                request.scope, request.receive, request._send
            )
        finally:
            closed.set()

    listener = listen("127.0.0.1", 0)
    server = make_server(app_of(endpoint), max_message=1000, grace=0.1)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:
        await asyncio.sleep(0.001)
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(listener.getsockname())
        client.sendall(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
        await asyncio.wait_for(closed.wait(), PATIENCE)
        async with asyncio.timeout(PATIENCE):
            while server.server_state.connections:
                await asyncio.sleep(0.01)
    server.should_exit = True
    await serving


@pytest.mark.parametrize("workers", [(), ("--workers", "2", "--conversations", "chats.db")])
def test_a_configuration_is_checked_without_serving(workers, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "gw.toml"
    path.write_text('[models.a]\nmodel = "simulator"\n[limits]\nper_client = 2\n')
    assert serve_here("--check", "--config", "gw.toml", *workers) == 0
    assert "gw.toml is fine: PooledClient(a)" in capsys.readouterr().err
    path.write_text('[models.a]\nmodle = "simulator"\n[limits]\nper_client = 0\n')
    assert serve_here("--check", "--config", "gw.toml", *workers) == 2
    assert capsys.readouterr().err.splitlines() == [
        'llmstream: gw.toml, line 1: a has no model: write model = "provider:model"',
        "llmstream: gw.toml, line 2: modle: there is no such key; did you mean model?",
        "llmstream: gw.toml, line 4: per_client must be more than 0, not 0",
    ]
    assert not (tmp_path / "chats.db").exists()


def test_without_its_extra_the_command_says_what_to_install() -> None:
    for name in ("starlette", "uvicorn"):
        code = f"import sys; sys.modules[{name!r}] = None\nfrom llmstream.cli import main\nsys.exit(main(['serve']))"
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False
        )
        assert (done.returncode, 'pip install "llmstream-core[server]"' in done.stderr) == (2, True)
