"""`llmstream serve` under signals: streams end whole, files are read again, workers are replaced."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from contextlib import asynccontextmanager

import pytest

from llmstream.gateway.readiness import Readiness
from llmstream.testing import FaultServer
from llmstream.testing.reply import ANSWER
from llmstream.web.keys import hash_line
from tests.gateway.programs import HeldReply, open_stream, program
from tests.patience import PATIENCE
from tests.web.serving import events_of, fetch

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers are found in /proc")


def config(server: FaultServer, name: str, more: str = "") -> str:
    return f"""
[models.{name}]
model = "openai:m-1"
key_env = "HOUSE_KEY"
base_url = "{server.url("openai")}"
{more}
"""


@asynccontextmanager
async def configured(tmp_path, *arguments: str, more: str = "", **environment: str):
    """A program before an upstream whose answers are held; the file, the program and the answers' release."""
    held = HeldReply()
    path = tmp_path / "gw.toml"
    async with FaultServer(held) as upstream:
        path.write_text(config(upstream, "first", more))
        environment["HOUSE_KEY"] = "k" * 20
        async with program("--config", str(path), *arguments, **environment) as server:
            yield path, upstream, server, held


async def is_whole(stream) -> bool:
    """Whether a stream comes to its end, with the whole answer."""
    events = events_of(stream.first + await asyncio.wait_for(stream.body(), PATIENCE))
    return events[-1].type == "message_complete" and events[-1].message.text == ANSWER


async def models(port: int) -> list[str]:
    status, _, body = await fetch(port, "/v1/models")
    assert status == 200, body
    return [model["id"] for model in json.loads(body)["data"]]


async def test_a_hang_up_reads_the_file_again_and_streams_go_on(tmp_path) -> None:
    async with configured(tmp_path) as (path, upstream, server, held):
        stream = await open_stream(server.port, "first")
        many = {f"x-{number}": "y" for number in range(20)}
        assert (await fetch(server.port, "/healthz", **many))[0] == 200
        path.write_text(config(upstream, "second", "[http]\nheaders = 20"))
        server.send(signal.SIGHUP)
        await server.said(r"gw\.toml is in use: PooledClient\(second\)")
        assert await models(server.port) == ["second"]
        assert (await fetch(server.port, "/healthz", **many))[0] == 431
        later = await open_stream(server.port, "second")

        path.write_text(config(upstream, "third", "modell = 1"))
        server.send(signal.SIGHUP)
        await server.said(r"gw\.toml, line 6: modell: there is no such key; did you mean model\?")
        await server.said("is not used: the settings of before stay")
        path.unlink()
        server.send(signal.SIGHUP)
        await server.said("can't be read: No such file")
        assert await models(server.port) == ["second"]

        server.send(signal.SIGTERM)
        await server.refuses()
        held.release.set()
        assert await is_whole(stream)
        assert await is_whole(later)
        assert await server.ended() == 0


def without(tmp_path, *packages: str) -> dict[str, str]:
    """The environment of a program that finds none of these packages."""
    lines = [f"sys.modules[{name!r}] = None" for name in packages]
    (tmp_path / "sitecustomize.py").write_text("\n".join(["import sys", *lines]))
    paths = filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")])
    return {"PYTHONPATH": os.pathsep.join(paths)}


@pytest.mark.parametrize(
    "missing", [(), pytest.param(("uvloop", "httptools"), marks=pytest.mark.slow)]
)
async def test_workers_share_a_port_and_are_replaced_and_end_in_order(missing, tmp_path) -> None:
    """One story, since each start costs a second."""
    kept = ("--workers", "2", "--conversations", str(tmp_path / "chats.db"), "--per-client", "65")
    environment = without(tmp_path, *missing)
    async with configured(tmp_path, *kept, **environment) as (path, upstream, server, held):
        await server.said("2 workers divide the limits: .* per_client 33, max_streams 1000")
        await server.is_ready()
        before = server.children()
        assert len(before) == 2

        os.kill(before[0], signal.SIGKILL)
        await server.said(rf"worker {before[0]} was ended by signal 9; another starts in 0\.5 s")
        await server.has_workers(2)  # `/readyz` may still have its answer of a second before
        await server.is_ready()
        after = server.children()
        assert (before[1] in after, before[0] in after, len(after)) == (True, False, 2)

        streams = [await open_stream(server.port, "first") for _ in range(3)]
        path.write_text(config(upstream, "second", "modell = 1"))
        server.send(signal.SIGHUP)
        await server.said("did you mean model")
        path.write_text(config(upstream, "second"))
        server.send(signal.SIGHUP)
        await server.said(r"gw\.toml is in use: PooledClient\(second\)")
        assert [await models(server.port) for _ in range(8)] == [["second"]] * 8

        # As Ctrl-C does it: to all of them.
        os.killpg(server.process.pid, signal.SIGINT)
        await server.refuses()
        held.release.set()
        assert all([await is_whole(stream) for stream in streams])
        assert await server.ended() == 0
        assert not [line for line in server.lines if "Traceback" in line]


@pytest.mark.slow
async def test_a_worker_that_takes_the_place_of_a_dead_one_has_the_settings_in_use(
    tmp_path,
) -> None:
    kept = ("--workers", "2", "--conversations", str(tmp_path / "chats.db"))
    async with configured(tmp_path, *kept) as (path, upstream, server, _):
        await server.is_ready()
        path.write_text(config(upstream, "second"))
        server.send(signal.SIGHUP)
        await server.said("is in use")
        path.write_text("nonsense")
        for child in server.children():
            os.kill(child, signal.SIGKILL)
        await server.said("another starts")
        await server.said("another starts")
        await server.is_ready()
        assert [await models(server.port) for _ in range(4)] == [["second"]] * 4


@pytest.mark.slow
async def test_metrics_are_of_all_workers_the_dead_ones_too(tmp_path) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    pytest.importorskip("prometheus_client")
    head = {"x_api_key": "llmstream-canary-reader"}
    kept = ("--workers", "2", "--conversations", str(tmp_path / "chats.db"), "--metrics", "ann")
    keys = {
        "LLMSTREAM_SERVE_KEYS": hash_line("ann", head["x_api_key"]),
        "TMPDIR": str(folder),
    }
    async with configured(tmp_path, *kept, **keys) as (_, _, server, _):
        await server.is_ready()

        async def counted() -> str:
            status, _, page = await fetch(server.port, "/metrics", **head)
            assert status == 200
            return "".join(re.findall(r'requests_total\{.*status="404"\} .*', page.decode()))

        for number in range(1, 9):
            await fetch(server.port, "/nowhere", **head)
            async with asyncio.timeout(PATIENCE):
                while not (await counted()).endswith(f" {number}.0"):  # counted once it is sent
                    await asyncio.sleep(0.01)
        for child in server.children():
            os.kill(child, signal.SIGKILL)
        await server.said("another starts")
        await server.said("another starts")
        await server.is_ready()
        assert (await counted()).endswith(" 8.0")
        assert [*folder.iterdir()]
        server.send(signal.SIGTERM)
        assert await server.ended() == 0
    assert not [*folder.iterdir()]


@pytest.mark.slow
async def test_readyz_is_of_all_workers(tmp_path) -> None:
    kept = ("--workers", "2", "--conversations", str(tmp_path / "chats.db"))
    async with configured(tmp_path, *kept) as (_, _, server, _):
        await server.is_ready()
        dead, alive = server.children()
        # So that nobody takes the dead one's place.
        server.send(signal.SIGSTOP)
        os.kill(dead, signal.SIGKILL)
        assert "1 of 2 workers answer" in await server.readiness(503)
        server.send(signal.SIGCONT)
        await server.is_ready()

        assert alive in server.children()
        os.kill(alive, signal.SIGSTOP)  # as one that hangs
        assert "1 of 2 workers answer" in await server.readiness(503)
        assert (await fetch(server.port, "/healthz"))[0] == 200
        os.kill(alive, signal.SIGCONT)
        await server.is_ready()


@pytest.mark.slow
async def test_workers_end_their_streams_when_the_supervisor_is_killed(tmp_path) -> None:
    kept = ("--workers", "2", "--conversations", str(tmp_path / "chats.db"))
    async with configured(tmp_path, *kept) as (_, _, server, held):
        await server.is_ready()
        stream = await open_stream(server.port, "first")
        server.send(signal.SIGKILL)
        await server.refuses()
        held.release.set()
        assert await is_whole(stream)
        assert await server.ended() == -signal.SIGKILL


@pytest.mark.slow
async def test_a_second_signal_ends_the_workers_at_once(tmp_path) -> None:
    kept = ("--workers", "2", "--conversations", str(tmp_path / "chats.db"))
    async with configured(tmp_path, *kept) as (_, _, server, _):
        await server.is_ready()
        stream = await open_stream(server.port, "first")
        server.send(signal.SIGTERM)
        await server.refuses()
        server.send(signal.SIGTERM)
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await asyncio.wait_for(stream.body(), PATIENCE)
        assert await server.ended() == 0


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
async def test_without_a_file_a_hang_up_ends_it_in_order(workers, tmp_path) -> None:
    kept = ("--workers", workers, "--conversations", str(tmp_path / "chats.db"))
    async with program(*kept, LLMSTREAM_MODEL="simulator") as server:
        await server.is_ready()
        stream = await open_stream(server.port, "simulator:echo")
        server.send(signal.SIGHUP)
        events = events_of(stream.first + await asyncio.wait_for(stream.body(), PATIENCE))
        assert events[-1].type == "message_complete"
        assert await server.ended() == 0


async def test_workers_that_cannot_start_end_the_program(tmp_path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import os\nos.register_at_fork(after_in_child=lambda: os._exit(3))\n"
    )
    paths = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    kept = ("--workers", "2", "--conversations", str(tmp_path / "chats.db"))
    async with program(*kept, LLMSTREAM_MODEL="simulator", PYTHONPATH=paths) as server:
        await server.said("ended with code 3 before any had started")
        assert await server.ended() == 1


def test_readiness_is_seen_by_all_processes() -> None:
    readiness = Readiness(2)
    assert readiness.missing() == "0 of 2 workers answer"
    readiness.beat(0)
    child = os.fork()
    if child == 0:
        readiness.beat(1)
        os._exit(0 if readiness.missing() is None else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert readiness.missing() is None
    readiness.clear(0)
    assert readiness.missing() == "1 of 2 workers answer"
