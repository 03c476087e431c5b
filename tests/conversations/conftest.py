"""A Redis server of our own, and each store there is."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis

from llmstream.conversations import MemoryStore, RedisStore, SQLiteStore, Store


def find_port() -> int:
    """A port that nobody has at this moment."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def run_redis(*arguments: str) -> Iterator[int]:
    """The port of a real server of its own that keeps nothing on disk."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed")
    port = find_port()
    command = [program, "--port", str(port), "--bind", "127.0.0.1"]
    command += ["--save", "", "--appendonly", "no", *arguments]
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(command, stdout=subprocess.PIPE, cwd=folder) as server,
    ):
        assert server.stdout is not None
        for line in server.stdout:
            if b"Ready to accept connections" in line:
                break
        else:
            pytest.fail("redis-server did not start")
        try:
            yield port
        finally:
            server.terminate()


@pytest.fixture(scope="session")
def redis_port() -> Iterator[int]:
    """The port of a real server, for all tests that leave it as it was."""
    with run_redis() as port:
        yield port


@pytest.fixture
async def redis(redis_port: int) -> AsyncIterator[Redis]:
    """An empty database."""
    async with Redis(port=redis_port) as client:
        await client.flushdb()
        yield client


@pytest.fixture(params=["memory", "sqlite", pytest.param("redis", marks=pytest.mark.services)])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """Each store, empty."""
    if request.param == "memory":
        yield MemoryStore()
        return
    if request.param == "redis":
        redis_port = request.getfixturevalue("redis_port")
        async with Redis(port=redis_port) as client:
            await client.flushdb()
            yield RedisStore(client)
        return
    sqlite = SQLiteStore(tmp_path / "conversations.db")
    yield sqlite
    await sqlite.aclose()
