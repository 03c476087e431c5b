"""Every example runs offline, as a program of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

FOLDER = Path(__file__).parent.parent / "examples"
EXAMPLES = sorted(FOLDER.glob("*.py"))
NEEDS = {"56_flask.py": "flask", "57_django.py": "django", "58_celery.py": "celery"}
"""What the tests' environment may be without."""


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_the_example_runs_offline(path: Path) -> None:
    if path.name in NEEDS:
        pytest.importorskip(NEEDS[path.name])
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


def test_the_notebook_runs_cell_by_cell(tmp_path: Path) -> None:
    """In a kernel of its own, whose event loop runs."""
    pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    run = (
        "import sys, nbformat, nbclient; notebook = nbformat.read(sys.argv[1], 4); "
        "nbclient.NotebookClient(notebook, timeout=60, kernel_name='python3').execute(); "
        "print(nbformat.writes(notebook))"
    )
    env = {**os.environ, "LLMSTREAM_MODEL": "simulator", "JUPYTER_RUNTIME_DIR": str(tmp_path)}
    command = [sys.executable, "-c", run, FOLDER / "59_notebook.ipynb"]
    done = subprocess.run(
        command, capture_output=True, text=True, env=env, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("You said: What's up?") == 1
    assert "MESSAGE_COMPLETE: stop" in done.stdout
