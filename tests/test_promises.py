"""Every promise names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "docs" / "promises.md").read_text("utf-8")
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith("| promise")]


@pytest.mark.parametrize("row", ROWS, ids=range(len(ROWS)))
def test_a_promise_names_tests_that_exist(row: str) -> None:
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", row)
    assert named, "no test keeps this promise"
    for file, test in named:
        assert re.search(rf"def {test}\(", (TESTS / file).read_text("utf-8")), f"{file} has no {test}"


def test_there_are_promises_about_everything() -> None:
    assert len(ROWS) >= 25
