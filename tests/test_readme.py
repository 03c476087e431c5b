"""What README shows is true: its snippets run, and its table has every event."""

from __future__ import annotations

import ast
import inspect
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from llmstream import EventType, LLMClient
from llmstream.errors import ConfigurationError
from llmstream.providers import registry

README = (Path(__file__).parent.parent / "README.md").read_text()
PROGRAM, *SNIPPETS = re.findall(r"```python\n(.*?)```", README, re.S)


def test_the_program_runs_without_a_key_and_says_that_it_only_simulates() -> None:
    env = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
    env["LLMSTREAM_MODEL"] = "simulator"
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, env=env, check=True
    )
    assert "You said: what's up?" in done.stdout
    assert "stop Usage(" in done.stdout


@pytest.mark.parametrize("snippet", SNIPPETS, ids=range(len(SNIPPETS)))
async def test_the_snippet_runs(snippet: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for known in registry.listing():
        for variable in known.missing:
            monkeypatch.setenv(variable, "sk-test")
    if find_spec("xllamacpp") is None:
        with pytest.raises(ConfigurationError, match="xllamacpp"):
            LLMClient("local")
        snippet = re.sub(r'^LLMClient\("local"\).*$', "", snippet, flags=re.M)
    names: dict[str, Any] = {
        "LLMClient": LLMClient,
        "client": LLMClient("simulator"),
        "messages": [{"role": "user", "content": "hi"}],
    }
    code = compile(snippet, "README.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    result = eval(code, names)  # our own README
    if inspect.isawaitable(result):
        await result


async def test_the_snippet_for_tests_does_what_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    names: dict[str, Any] = {}
    snippet = next(snippet for snippet in SNIPPETS if "VirtualClock" in snippet)
    exec(snippet[: snippet.index("async with")], names)
    events = [e async for e in names["client"].chat_completion([{"role": "user", "content": "hi"}])]
    assert "".join(event.text for event in events) == "Hello"
    assert len(names["provider"].requests) == 2


def test_every_event_type_is_named() -> None:
    for kind in EventType:
        assert f"`{kind.name}`" in README


def test_what_a_stream_costs_is_what_was_measured() -> None:
    page = (Path(__file__).parent.parent / "docs" / "benchmarks.md").read_text()
    rows = re.findall(r"^\| (.*, vs \S+) \| (\S+) \| (\S+) \|$", README, re.M)
    assert len(rows) > 5
    for measure, *ratios in rows:
        assert re.search(
            rf"^\| {re.escape(measure)} \| {ratios[0]} \S+ \| {ratios[1]} ", page, re.M
        ), measure


def test_it_is_short_enough_to_be_read() -> None:
    assert README.count("\n") <= 200


@pytest.mark.slow
def test_the_program_is_right_for_mypy_and_a_wrong_one_is_not(tmp_path: Path) -> None:
    pytest.importorskip("mypy", reason="mypy is not installed (the extra `lint` has it)")
    options = ("--strict", "--config-file=", f"--cache-dir={tmp_path / 'cache'}")
    right, wrong = _programs(tmp_path)
    done = _check("mypy", *options, right, wrong)
    assert done.stdout.count(": error:") == 1, done.stdout
    assert 'wrong.py:9: error: "TextDelta" has no attribute "contents"' in done.stdout


@pytest.mark.slow
def test_the_program_is_right_for_pyright_and_a_wrong_one_is_not(tmp_path: Path) -> None:
    pytest.importorskip("pyright", reason="pyright is not installed (the extra `lint` has it)")
    right, wrong = _programs(tmp_path)
    done = _check("pyright", "--pythonpath", sys.executable, right, wrong)
    assert done.stdout.count(" - error:") == 1, done.stdout
    assert 'Cannot access attribute "contents" for class "TextDelta"' in done.stdout


def _programs(place: Path) -> tuple[str, str]:
    """README's program, and one that reads a field which isn't there."""
    right, wrong = place / "right.py", place / "wrong.py"
    right.write_text(PROGRAM)
    wrong.write_text(PROGRAM.replace("event.text_delta.content", "event.text_delta.contents"))
    return str(right), str(wrong)


def _check(checker: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    root = str(Path(__file__).parent.parent)
    env = {**os.environ, "PYTHONPATH": root, "MYPYPATH": root}
    command = [sys.executable, "-m", checker, *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=env, check=False)


def test_the_first_lines_name_the_distribution_which_isn_t_the_package_s_name() -> None:
    assert "`llmstream-core`" in "".join(README.splitlines(keepends=True)[:6])
    project = (Path(__file__).parent.parent / "pyproject.toml").read_text()
    assert 'name = "llmstream-core"' in project
