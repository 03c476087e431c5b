"""Every snippet of README and docs is right for type checkers, as it stands. (Other tests run them.)

The code of docs/extending.md stands in files, which are checked in its place.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FILES_OF_EXTENDING = [ROOT / "tests" / "toy.py", ROOT / "tests" / "toy_dialect.py"]
ONE_PROGRAM = {"conversations.md"}
"""Pages whose snippets go on from each other."""
AROUND = """from typing import Any

from llmstream import LLMClient

client = LLMClient("simulator")
messages: list[dict[str, Any]] = [{{"role": "user", "content": "hi"}}]


async def snippet() -> None:
{body}
"""
"""What a reader of a page has by then, and a function, since snippets await."""
COMMANDS = {
    "mypy": ("--strict", "--config-file="),
    "pyright": ("--pythonpath", sys.executable),
}
ERROR = re.compile(r"^.*: error: .*$|^.* - error: .*$", re.M)


def snippets() -> dict[str, str]:
    """All of them, by a name for a file."""
    found = {}
    for page in PAGES:
        if page.name == "extending.md":
            continue
        blocks = re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.S)
        if page.name in ONE_PROGRAM:
            blocks = ["\n".join(blocks)]
        for number, block in enumerate(blocks):
            found[f"{page.stem.lower()}_{number}"] = block
    return found


def as_module(snippet: str) -> str:
    return AROUND.format(body=textwrap.indent(snippet, "    "))


def errors(checker: str, place: Path, files: list[Path]) -> list[str]:
    """What a checker finds in these files."""
    pytest.importorskip(checker, reason=f"{checker} is not installed (the extra `lint` has it)")
    options = list(COMMANDS[checker])
    if checker == "mypy":
        options.append(f"--cache-dir={place / 'cache'}")
    env = {**os.environ, "PYTHONPATH": str(ROOT), "MYPYPATH": str(ROOT)}
    command = [sys.executable, "-m", checker, *options, *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False, cwd=place)
    found = ERROR.findall(done.stdout)
    assert bool(found) == bool(done.returncode), done.stdout + done.stderr
    return found


@pytest.mark.parametrize("checker", COMMANDS)
def test_every_snippet_is_right_and_a_wrong_one_is_not(checker: str, tmp_path: Path) -> None:
    files = []
    for name, snippet in snippets().items():
        files.append(tmp_path / f"{name}.py")
        files[-1].write_text(as_module(snippet), "utf-8")
    assert len(files) > 8
    wrong = tmp_path / "wrong.py"
    wrong.write_text(as_module("print((await client.complete(messages)).texts)"), "utf-8")
    found = errors(checker, tmp_path, [*files, wrong])
    assert len(found) == 1, found
    assert "wrong.py" in found[0]
    assert "texts" in found[0]


def test_the_code_of_extending_is_right(tmp_path: Path) -> None:
    assert errors("mypy", tmp_path, FILES_OF_EXTENDING) == []
