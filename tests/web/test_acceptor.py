"""Acceptor: servers that accept from the same socket take turns."""

from __future__ import annotations

import asyncio
import itertools
import socket

import pytest
import uvicorn
from starlette.responses import PlainTextResponse

from llmstream.web.acceptor import Acceptor
from tests.patience import PATIENCE
from tests.web.serving import app_of, fetch


class Waiting:
    """A server that was started, as far as an Acceptor needs it; each connection is counted and closed."""

    def __init__(self) -> None:
        self.taken: list[asyncio.BaseTransport] = []
        taken = self.taken

        class Counted(asyncio.Protocol):
            def __init__(self, **_) -> None:
                pass

            def connection_made(self, transport) -> None:
                taken.append(transport)

        config = uvicorn.Config("tests", http=Counted, log_config=None)
        config.load_app = lambda: None
        config.load()
        self.server = uvicorn.Server(config)
        self.server.lifespan = config.lifespan_class(config)


def in_loop(name: str):
    return pytest.importorskip(name).new_event_loop


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_of_a_burst_each_takes_its_part(loop) -> None:
    async def story() -> None:
        with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
            servers = [Waiting(), Waiting()]
            acceptors = [Acceptor(each.server, listener.dup(), now=lambda: 0.0) for each in servers]
            clients = [socket.create_connection(listener.getsockname()) for _ in range(20)]
            for acceptor in acceptors:
                acceptor.start()
            async with asyncio.timeout(PATIENCE):
                while sum(len(each.taken) for each in servers) < 20:
                    await asyncio.sleep(0)
            for acceptor in acceptors:
                acceptor.stop()
                acceptor.stop()
            assert [len(each.taken) for each in servers] == [10, 10]
            for transport in servers[0].taken:
                taken = transport.get_extra_info("socket")
                assert taken.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            for each in servers:
                for transport in each.taken:
                    transport.abort()
            for client in clients:
                client.close()
            await asyncio.sleep(0.01)

    with asyncio.Runner(loop_factory=in_loop(loop)) as runner:
        runner.run(story())


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize(("turn", "rounds"), [(0.0, 40), (0.001, 40), (0.05, 3)])
def test_what_waits_behind_a_busy_server_does_not_wait_for_a_turn_each(loop, turn, rounds) -> None:
    """After a turn of 50 ms a server takes 26: so long, nobody else was free."""
    clock = itertools.count()  # read twice a turn

    async def story() -> None:
        with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
            waiting = Waiting()
            clients = [socket.create_connection(listener.getsockname()) for _ in range(40)]
            acceptor = Acceptor(waiting.server, listener.dup(), now=lambda: turn * next(clock))
            acceptor.start()
            async with asyncio.timeout(PATIENCE):
                while len(waiting.taken) < 40:
                    await asyncio.sleep(0)
            acceptor.stop()
            turns = next(clock) // 2
            assert rounds <= turns <= rounds + 3  # in the last ones nothing may have come
            for transport in waiting.taken:
                transport.abort()
            for client in clients:
                client.close()
            await asyncio.sleep(0.01)

    with asyncio.Runner(loop_factory=in_loop(loop)) as runner:
        runner.run(story())


async def test_a_server_answers_what_it_takes_and_nothing_after_its_end() -> None:
    async def hello(_):
        return PlainTextResponse("hello")

    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    config = uvicorn.Config(app_of(hello), log_config=None, lifespan="off", access_log=False)
    server = uvicorn.Server(config)
    acceptor = Acceptor(server, listener)
    serving = asyncio.create_task(server.serve(sockets=[]))
    async with asyncio.timeout(PATIENCE):
        while not server.started:
            await asyncio.sleep(0.001)
    acceptor.start()
    assert [(await fetch(port))[2] for _ in range(3)] == [b"hello"] * 3
    acceptor.stop()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)
    server.should_exit = True
    await serving
