"""The real Codex CLI against `llmstream serve`: it is asked for something, runs a command for it, and ends well."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from llmstream import LLMClient, Usage
from llmstream.messages import ToolCall
from llmstream.web import create_app
from tests.web.dialects.served import AGENT, Upstream, served
from tests.web.serving import serving

pytestmark = pytest.mark.sdk

PACKAGE = Path(__file__).parent / "codex"
PROGRAM = PACKAGE / "node_modules" / "@openai" / "codex" / "bin" / "codex.js"
LONG = [
    [*AGENT[0], Usage(input_tokens=50_000, output_tokens=9)],
    ["Half of it is done."],
    AGENT[1],
]
"""The first answer says that the prompt was long, so the second is a summary."""
KEYS = {"SERVE_KEY": "k", "CODEX_API_KEY": "k", "OPENAI_API_KEY": "k"}
TASK = "Run a command that writes proof.txt."


def require_codex() -> None:
    """Skip where it isn't installed."""
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    if not PROGRAM.is_file():
        pytest.skip(f"Codex is not installed: npm ci --prefix {PACKAGE.relative_to(Path.cwd())}")


async def run_codex(
    url: str, model: str, folder: Path, **provider: Any
) -> tuple[int, list[dict[str, Any]]]:
    """Its exit code, and the events that it reports."""
    ours = {
        "name": "llmstream",
        "base_url": f"{url}/v1",
        "env_key": "SERVE_KEY",
        "request_max_retries": 0,
        "stream_max_retries": 0,
        **provider,
    }
    lines = [f'model = "{model}"', 'model_provider = "ours"', "[model_providers.ours]"]
    lines += [f"{name} = {json.dumps(value)}" for name, value in ours.items()]
    return await _run_codex(folder, "\n".join(lines))


async def _run_codex(folder: Path, config: str) -> tuple[int, list[dict[str, Any]]]:
    home = folder / "home"
    work = folder / "work"
    for each in (home, work):
        each.mkdir()
    (home / "config.toml").write_text(config)
    process = await asyncio.create_subprocess_exec(
        *("node", str(PROGRAM), "exec", "--json", "--skip-git-repo-check"),
        *("--dangerously-bypass-approvals-and-sandbox", "--cd", str(work), TASK),
        env={**_offline(), "HOME": str(home), "CODEX_HOME": str(home), **KEYS},
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
    begun = [*AGENT[0], Usage(input_tokens=10, output_tokens=2)]
    async with served(provider, agent=[begun, AGENT[1]]) as at:
        code, events = await run_codex(at.url, at.model("agent"), tmp_path)
        assert code == 0, events
        assert (tmp_path / "work" / "proof.txt").read_text() == "it ran\n"
        said = [each["item"] for each in events if each["type"] == "item.completed"]
        assert [item["text"] for item in said if item["type"] == "agent_message"] == [
            "Let me do that.",
            "It is done.",
        ]
        ended = next(each for each in events if each["type"] == "turn.completed")
        assert (ended["usage"]["input_tokens"], ended["usage"]["output_tokens"]) == (40, 6)
        first, second = at.upstream.bodies("agent")
        assert "exec_command" in json.dumps(first["tools"])
        assert "web_search" not in json.dumps(first["tools"]), "nobody allowed it"
        assert "call-1" in json.dumps(second)


@pytest.mark.parametrize("websocket", [True, False])
async def test_codex_takes_the_websocket_and_without_one_http(
    websocket: bool,  # noqa: FBT001
    tmp_path: Path,
) -> None:
    require_codex()
    upstream = Upstream("openai")
    asked: list[str] = []
    async with upstream.server as server:
        client = LLMClient("openai:agent", api_key="k", base_url=server.url("openai"))
        app = create_app(client, responses_websocket=websocket)

        async def noted(scope: Any, receive: Any, send: Any) -> None:
            if scope.get("path") == "/v1/responses":
                asked.append(scope["type"])
            await app(scope, receive, send)

        async with serving(noted) as port:
            code, events = await run_codex(
                f"http://127.0.0.1:{port}", "openai:agent", tmp_path, supports_websockets=True
            )
    assert code == 0, events
    assert (tmp_path / "work" / "proof.txt").read_text() == "it ran\n"
    assert ("http" in asked) == (not websocket)
    assert asked.count("websocket") == 1
    _, second = upstream.bodies("agent")
    assert [each["role"] for each in second["messages"]][-2:] == ["assistant", "tool"]


async def test_codex_compacts_a_conversation_that_grew_too_long(tmp_path: Path) -> None:
    """As OpenAI's own provider it asks the server for a compaction, and takes the one item that comes."""
    require_codex()
    upstream = Upstream("openai", agent=LONG)
    async with upstream.server as server:
        client = LLMClient("openai:agent", api_key="k", base_url=server.url("openai"))
        app = create_app(client, models={"gpt-5": "openai:agent"})
        async with serving(app) as port:
            config = [
                'model = "gpt-5"',
                "model_auto_compact_token_limit = 20000",
                f'openai_base_url = "http://127.0.0.1:{port}/v1"',
            ]
            code, events = await _run_codex(tmp_path, "\n".join(config))
    assert code == 0, events
    _, asked, last = upstream.bodies("agent")
    assert "Summarise this conversation" in json.dumps(asked["messages"][-1])
    told = json.dumps(last["messages"])
    assert "Half of it is done." in told
    assert "call-1" not in told


async def test_codex_gets_its_tools_in_namespaces_under_its_own_names(tmp_path: Path) -> None:
    """Of a call that it didn't know, it says so to the model."""
    require_codex()
    call = ToolCall("call-1", "multi_agent_v1__close_agent", '{"target":"nobody"}')
    async with served("openai", agent=[[call], AGENT[1]]) as at:
        code, events = await run_codex(at.url, at.model("agent"), tmp_path)
        assert code == 0, events
        first, second = at.upstream.bodies("agent")
    assert "multi_agent_v1__close_agent" in [tool["function"]["name"] for tool in first["tools"]]
    *_, said, result = second["messages"]
    assert said["tool_calls"][0]["function"]["name"] == "multi_agent_v1__close_agent"
    assert "nobody" in result["content"]
    assert "unsupported call" not in result["content"]
