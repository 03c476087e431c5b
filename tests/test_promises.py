"""Every promise names tests that exist."""

from __future__ import annotations

import re
import typing
from pathlib import Path

import pytest

from llmstream.errors import RETRYABLE, ErrorKind
from llmstream.wire.error_body import parse_error
from llmstream.wire.error_kinds import CODES

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "docs" / "promises.md").read_text("utf-8")
SECURITY = (TESTS.parent / "docs" / "security.md").read_text("utf-8")
ATTACKS = [
    line
    for line in SECURITY[
        SECURITY.index("## What a stranger") : SECURITY.index("## What we don")
    ].splitlines()
    if line.startswith("| ") and not line.startswith("| |")
]
PROMISES = PAGE[: PAGE.index("## What is tried again")]
ROWS = [
    line
    for line in PROMISES.splitlines()
    if line.startswith("| ") and not line.startswith("| promise")
]


@pytest.mark.parametrize("row", [*ROWS, *ATTACKS], ids=range(len(ROWS) + len(ATTACKS)))
def test_a_promise_names_tests_that_exist(row: str) -> None:
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", row)
    assert named, "no test keeps this promise"
    for file, test in named:
        assert re.search(rf"def {test}\(", (TESTS / file).read_text("utf-8")), (
            f"{file} has no {test}"
        )


def test_there_are_promises_about_everything() -> None:
    assert len(ROWS) >= 25
    assert len(ATTACKS) >= 25


def test_the_table_of_what_is_tried_again_is_the_one_in_force() -> None:
    told = dict(re.findall(r"^\| `(\w+)` \| .* \| (yes|no) \| (?:yes|no) \|$", PAGE, re.M))
    assert set(told) == set(typing.get_args(ErrorKind))
    assert {kind for kind, again in told.items() if again == "yes"} == RETRYABLE


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (code, row.kind)
        for row in CODES
        for code in row.codes
        if row.kind in ("quota", "rate_limit") and "/" not in code
    ],
)
def test_a_code_counts_before_the_status(code: str, kind: str) -> None:
    for status in (400, 403, 429, 500, None):
        assert parse_error({"error": {"message": "x", "code": code}}, status=status).kind == kind
