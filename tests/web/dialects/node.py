"""Runs a client written in JavaScript against the gateway."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.web.dialects.gateway import Asked, serving

NPM = Path(__file__).parent / "npm"


@dataclass
class Played:
    """What the client saw in each scenario, and what the gateway was asked for in all of them."""

    seen: dict[str, Any]
    asks: list[Asked]
    stall_closed: bool


def require_node() -> None:
    """Skip where node or the packages are missing."""
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    if not (NPM / "node_modules").is_dir():
        pytest.skip(f"the clients are not installed: npm ci --prefix {NPM.relative_to(Path.cwd())}")


def play(script: str, *scenarios: str, **environment: str) -> Played:
    """Run `script` through `scenarios`. Skips where node or the packages are missing."""
    require_node()
    return asyncio.run(_play(script, scenarios, environment))


async def check_streams(streams: list[dict[str, str]]) -> list[dict[str, str | None]]:
    """What each client objects to in its text of each stream. Skips as `play` does."""
    require_node()
    return json.loads(await node("check.mjs", input=json.dumps(streams).encode()))


async def _play(script: str, scenarios: tuple[str, ...], environment: dict[str, str]) -> Played:
    async with serving() as gateway:
        out = await node(script, gateway.url, *scenarios, **environment)
        if "stall" in scenarios:
            await asyncio.wait_for(gateway.stall.closed.wait(), 5)
        return Played(json.loads(out), gateway.asks, gateway.stall.closed.is_set())


async def node(script: str, *arguments: str, input: bytes = b"", **environment: str) -> bytes:
    """What a script writes."""
    process = await asyncio.create_subprocess_exec(
        "node",
        str(NPM / script),
        *arguments,
        env={**os.environ, **environment},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(input), 60)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, err.decode()
    return out
