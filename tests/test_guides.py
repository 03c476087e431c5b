"""The guides among the docs: each runs from its first snippet to its last, and its tables are whole."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from typing import Any, get_args

import pytest

from llmstream.errors import ErrorKind

DOCS = Path(__file__).parents[1] / "docs"
GUIDES = [
    "errors",
    "routing",
    *(pytest.param(name, marks=pytest.mark.slow) for name in ("conversations", "migrate", "sync")),
]


@pytest.mark.parametrize("name", GUIDES)
async def test_it_runs_as_it_is_read(name, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LLMSTREAM_MODEL", "simulator")
    page = DOCS.joinpath(f"{name}.md").read_text("utf-8")
    names: dict[str, Any] = {}
    for snippet in re.findall(r"^```python\n(.*?)^```$", page, re.S | re.M):
        code = compile(snippet, f"{name}.md", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        run = eval(code, names)
        if inspect.iscoroutine(run):
            await run
    assert capsys.readouterr().out


def test_each_kind_of_error_has_its_cause_and_its_remedy() -> None:
    page = DOCS.joinpath("errors.md").read_text("utf-8")
    assert re.findall(r"^\| `(\w+)` \| [^|]+ \| [^|]+ \|$", page, re.M) == [*get_args(ErrorKind)]


def test_no_link_between_pages_leads_nowhere() -> None:
    for page in [*DOCS.glob("*.md"), DOCS.parent / "README.md"]:
        for target in re.findall(r"\]\(([^):#]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
            assert page.parent.joinpath(target).exists(), f"{page.name}: {target}"
