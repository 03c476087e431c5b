"""docs/versions.md has a reason for each lower bound of pyproject.toml."""

from __future__ import annotations

import re
from pathlib import Path

from tests.versions import _numbers, lower_bounds

PAGE = (Path(__file__).parent.parent / "docs" / "versions.md").read_text("utf-8")
ROWS = re.findall(r"^\| ([A-Za-z][\w.-]*) \| ([0-9.]+) \| (.+) \|$", PAGE, re.M)


def test_each_lower_bound_has_its_row_and_its_reason() -> None:
    assert {name: bound for name, bound, _ in ROWS} == lower_bounds()
    assert len({name for name, *_ in ROWS}) == len(ROWS)
    assert all(reason.endswith((".", ")")) and len(reason) > 15 for *_, reason in ROWS)


def test_versions_are_compared_by_their_numbers() -> None:
    assert _numbers("3") == _numbers("3.0.0") != _numbers("3.0.1")
