"""Every fault in every API over every transport, as `tests/conformance.py` runs them for the published table."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from llmstream.errors import ErrorKind
from llmstream.testing import FAULTS
from tests.conformance import Cell, cells, run, transports

PAGE = Path(__file__).parent.parent.parent / "docs" / "conformance.md"
KNOWN: dict[tuple[str, str], str] = {}
"""Cells that are wrong today, by fault and transport, and why."""

pytestmark = pytest.mark.timeout(400)  # the first test waits for all


@pytest.fixture(scope="module")
def done(request: pytest.FixtureRequest) -> tuple[list[Cell], list[str]]:
    """All cells of the tests that were selected, run side by side; and what went wrong beside them."""
    own = [
        item
        for item in request.session.items
        if item.module is request.module and hasattr(item, "callspec")
    ]
    todo = cells([item.callspec.params["name"] for item in own])
    return todo, asyncio.run(run(todo))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "transport"),
    [
        pytest.param(
            *key,
            marks=[pytest.mark.xfail(reason=KNOWN[key], strict=True)] if key in KNOWN else [],
            id="-".join(key),
        )
        for key in ((name, transport) for name in FAULTS for transport in transports())
    ],
)
def test_a_fault_is_told_for_what_it_is(
    name: str, transport: str, done: tuple[list[Cell], list[str]]
) -> None:
    found = [cell for cell in done[0] if (cell.fault.name, cell.transport) == (name, transport)]
    assert found
    assert {cell.api: cell.problems for cell in found if cell.problems} == {}


@pytest.mark.slow
def test_nothing_was_raised_or_left_beside_them(done: tuple[list[Cell], list[str]]) -> None:
    assert done[1] == []


def test_the_page_lists_exactly_the_catalogue() -> None:
    rows = re.findall(r"^\| `([\w-]+)` \| (.*?) \|", PAGE.read_text(), re.M)
    listed = {name: description.replace("\\|", "|") for name, description in rows}
    assert listed == {fault.name: fault.description for fault in FAULTS.values()}, (
        "python tests/conformance.py --write docs/conformance.md"
    )


def test_the_page_calls_wrong_what_is_known_to_be() -> None:
    wrong = re.findall(r"^\| `([\w-]+)` \|.*WRONG", PAGE.read_text(), re.M)
    assert set(wrong) == {name for name, _ in KNOWN}


def test_every_fault_says_what_it_is_and_what_to_expect() -> None:
    outcomes = {"complete", *get_args(ErrorKind)}
    for fault in FAULTS.values():
        assert fault.description
        assert len(fault.description) < 120, fault.name
        assert fault.expect, fault.name
        assert all(set(expected) <= outcomes for expected in fault.expect.values()), fault.name
    assert len({fault.description for fault in FAULTS.values()}) == len(FAULTS)
    assert len(FAULTS) >= 200


def test_a_wrong_cell_is_found() -> None:
    """The checks can fail: a client that is not right by the catalogue has wrong cells."""
    cell = cells(["clean-end-without-an-end"])[0]
    wrong = Cell(replace(cell.fault, outcomes=("complete",), words=2), cell.api, cell.transport)
    asyncio.run(run([wrong]))
    assert any("truncated, not complete" in problem for problem in wrong.problems)
    assert any("text 'one two three', not 'one two'" in problem for problem in wrong.problems)
