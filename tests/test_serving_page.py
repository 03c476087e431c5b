"""What docs/serving.md shows is true. (Its nginx block is tested by web/test_proxy.py.)"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from llmstream import LLMClient
from llmstream.web import create_app
from llmstream.web.keys import hash_line, read_keys
from tests.web.serving import fetch, serving

PAGE = (Path(__file__).parent.parent / "docs" / "serving.md").read_text("utf-8")
SNIPPETS = re.findall(r"```python\n(.*?)```", PAGE, re.S)
COMMANDS = re.findall(r"```sh\n(.*?)\n```", PAGE, re.S)
(NEW_KEY,) = (command for command in COMMANDS if " keys new " in command)
SERVERS = [command for command in COMMANDS if command != NEW_KEY]
(CONFIG,) = re.findall(r"```toml\n(\[models\.fast\].*?)```", PAGE, re.S)


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """The models on the page need theirs when the app is made."""
    names = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "OPENAI_KEY_1", "OPENAI_KEY_2", "HOUSE_KEY")
    for name in names:
        monkeypatch.setenv(name, f"k-{name}")


@pytest.mark.parametrize("snippet", SNIPPETS, ids=range(len(SNIPPETS)))
def test_the_snippet_runs(snippet: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "keys.txt").write_text(hash_line("ann", "a-key-of-a-client"))
    names: dict[str, Any] = {"client": LLMClient("simulator")}
    exec(compile(snippet, "serving.md", "exec"), names)  # our own page
    assert callable(names["app"])


async def test_what_is_no_question_is_the_clients_mistake() -> None:
    names: dict[str, Any] = {"client": LLMClient("simulator")}
    exec(compile(SNIPPETS[0], "serving.md", "exec"), names)  # our own page
    async with serving(names["app"]) as port:
        for body, status in (
            (b'{"prompt": "hi"}', 200),
            (b'{"prompt": "hi", "stream": true}', 200),
            (b'{"prompt": ""}', 422),
            (b'{"messages": "hi"}', 422),
            (b"[]", 422),
            (b"nonsense", 422),
        ):
            assert (await fetch(port, "/chat", "POST", body, content_type="application/json"))[
                0
            ] == status, body


async def test_starlette_s_own_response_streams_the_text() -> None:
    names: dict[str, Any] = {"client": LLMClient("simulator")}
    exec(compile(SNIPPETS[1], "serving.md", "exec"), names)  # our own page
    async with serving(names["app"]) as port:
        status, headers, text = await fetch(port, "/ask?q=hi")
    assert (status, headers["content-type"]) == (200, "text/plain; charset=utf-8")
    assert b"You said: hi" in text


def test_the_command_makes_a_key(tmp_path: Path) -> None:
    root = str(Path(__file__).parent.parent)
    command = NEW_KEY.replace(".venv/bin/llmstream", f"{shlex.quote(sys.executable)} -m llmstream")
    made = subprocess.run(
        command,
        shell=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": root},
        capture_output=True,
        text=True,
        check=True,
    )
    key = made.stderr.split()[-1]
    assert read_keys(str(tmp_path / "keys.txt")).find(key) == "ann"


@pytest.mark.parametrize("command", SERVERS)
def test_the_command_serves(command: str, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("from llmstream.web import create_app\n\napp = create_app()\n")
    (tmp_path / "gateway.toml").write_text(CONFIG)
    (tmp_path / "keys.txt").write_text(hash_line("ann", "a-key-of-a-client"))
    words = shlex.split(command)
    settings = dict(word.split("=", 1) for word in words if re.match(r"[A-Z_]+=", word))
    program, *arguments = words[len(settings) :]
    root = str(Path(__file__).parent.parent)
    with subprocess.Popen(
        [sys.executable, "-m", program.removeprefix(".venv/bin/"), *arguments, "--port", "0"],
        cwd=tmp_path,
        env={**os.environ, **settings, "LLMSTREAM_MODEL": "simulator", "PYTHONPATH": root},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stderr is not None
            lines = (
                re.search(r"at http://[\d.]+:(\d+)/ to|running on http://[\d.]+:(\d+) ", line)
                for line in process.stderr
            )
            found = next(filter(None, lines))
            port = found[1] or found[2]
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=10) as answer:
                assert answer.status == 200
        finally:
            process.terminate()


def test_every_path_of_the_app_is_named() -> None:
    named = set(re.findall(r"`(?:GET|POST|WS) (/[^`]*)`", PAGE))
    routes = create_app(LLMClient("simulator")).routes
    there = {getattr(route, "path", "").replace(":path}", "}") for route in routes} | {"/metrics"}
    assert named <= there
    assert {path for path in there if "{" not in path} <= named
