"""The real Codex CLI against `llmstream serve`: it is asked for something, runs a command for it, and ends well."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.web.dialects.served import Served, served

pytestmark = pytest.mark.sdk

PACKAGE = Path(__file__).parent / "codex"
PROGRAM = PACKAGE / "node_modules" / "@openai" / "codex" / "bin" / "codex.js"
TASK = "Run a command that writes proof.txt."


def require_codex() -> None:
    """Skip where it isn't installed."""
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    if not PROGRAM.is_file():
        pytest.skip(f"Codex is not installed: npm ci --prefix {PACKAGE.relative_to(Path.cwd())}")


async def run_codex(at: Served, folder: Path, **provider: Any) -> tuple[int, list[dict[str, Any]]]:
    """Its exit code, and the events that it reports."""
    home = folder / "home"
    work = folder / "work"
    for each in (home, work):
        each.mkdir()
    ours = {
        "name": "llmstream",
        "base_url": f"{at.url}/v1",
        "env_key": "SERVE_KEY",
        "request_max_retries": 0,
        "stream_max_retries": 0,
        **provider,
    }
    lines = [f'model = "{at.model("agent")}"', 'model_provider = "ours"', "[model_providers.ours]"]
    lines += [f"{name} = {json.dumps(value)}" for name, value in ours.items()]
    (home / "config.toml").write_text("\n".join(lines))
    process = await asyncio.create_subprocess_exec(
        *("node", str(PROGRAM), "exec", "--json", "--skip-git-repo-check"),
        *("--dangerously-bypass-approvals-and-sandbox", "--cd", str(work), TASK),
        env={**_offline(), "HOME": str(home), "CODEX_HOME": str(home), "SERVE_KEY": "k"},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), 90)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    events = [json.loads(line) for line in out.splitlines() if line.startswith(b"{")]
    assert events, err.decode()
    return process.returncode, events


def _offline() -> dict[str, str]:
    """An environment in which nothing but this machine can be reached."""
    nowhere = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), "http://127.0.0.1:9")
    return {"PATH": os.environ["PATH"], **nowhere, "NO_PROXY": "127.0.0.1"}


@pytest.mark.parametrize("provider", ["openai", "openai-responses", "anthropic"])
async def test_codex_runs_a_command_and_ends_well(provider: str, tmp_path: Path) -> None:
    require_codex()
    async with served(provider) as at:
        code, events = await run_codex(at, tmp_path)
        assert code == 0, events
        assert (tmp_path / "work" / "proof.txt").read_text() == "it ran\n"
        said = [each["item"] for each in events if each["type"] == "item.completed"]
        assert [item["text"] for item in said if item["type"] == "agent_message"] == [
            "Let me do that.",
            "It is done.",
        ]
        ended = next(each for each in events if each["type"] == "turn.completed")
        assert (ended["usage"]["input_tokens"], ended["usage"]["output_tokens"]) == (30, 4)
        first, second = at.upstream.bodies("agent")
        assert "exec_command" in json.dumps(first["tools"])
        assert "call-1" in json.dumps(second)
