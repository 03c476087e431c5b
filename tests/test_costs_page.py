"""docs/costs.md: its program runs, and its table names every fact."""

from __future__ import annotations

import re
import textwrap
from dataclasses import fields
from pathlib import Path

import pytest

from llmstream import LLMClient, catalogue
from llmstream.catalogue import ModelFacts

PAGE = (Path(__file__).parents[1] / "docs" / "costs.md").read_text("utf-8")


async def test_the_programs_print_a_cost_and_hold_a_limit(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(catalogue, "_registered", {})
    program = "\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
    names: dict[str, object] = {"LLMClient": LLMClient}
    exec(f"async def run():\n{textwrap.indent(program, '    ')}", names)  # our own page
    await names["run"]()  # type: ignore[operator]
    assert re.fullmatch(r"0\.000\d+ dollars\n", capsys.readouterr().out)


def test_every_fact_is_named() -> None:
    table = PAGE.partition("## Facts about a model")[2]
    named = re.findall(r"`(\w+)`", "".join(re.findall(r"^\|([^|]*)\|", table, re.M)))
    assert set(named) == {each.name for each in fields(ModelFacts)}
