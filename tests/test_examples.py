"""Every example runs offline, as a program of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("*.py"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_the_example_runs_offline(path: Path) -> None:
    env = {**os.environ, "LLMSTREAM_MODEL": "simulator"}
    done = subprocess.run(
        [sys.executable, path], capture_output=True, text=True, env=env, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "MESSAGE_COMPLETE: stop" in done.stdout


def test_the_main_example_prints_as_the_answer_comes() -> None:
    env = {**os.environ, "LLMSTREAM_MODEL": "simulator"}
    command = [sys.executable, "-u", EXAMPLES[0].with_name("main.py"), "one", "two", "three"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=env) as process:
        assert process.stdout is not None
        reads = []
        while data := os.read(process.stdout.fileno(), 4096):
            reads.append(data)
    assert len(reads) > 5
    assert b"You said: one two three" in b"".join(reads)
