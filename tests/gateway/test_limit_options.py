"""The limits of the command line and of configuration files are those of the library."""

from __future__ import annotations

from dataclasses import MISSING, fields

import pytest

from llmstream.gateway.limit_options import RATE_LIMITS, SERVER_LIMITS, LimitOption
from llmstream.limits import Rate
from llmstream.web import Limits
from tests.gateway.tables import PATH, written


@pytest.mark.parametrize(("options", "owner"), [(SERVER_LIMITS, Limits), (RATE_LIMITS, Rate)])
def test_every_field_can_be_set_and_has_its_default(options, owner) -> None:
    known = {each.name: each.default for each in fields(owner)}
    assert MISSING not in known.values()
    assert {option.name: option.default for option in options} == known


@pytest.mark.parametrize(("options", "owner"), [(SERVER_LIMITS, Limits), (RATE_LIMITS, Rate)])
def test_what_is_parsed_is_what_the_field_takes(options, owner) -> None:
    for option in options:
        given = {"requests": 10} if owner is Rate else {}
        for text in ("7", "none") if option.may_be_none else ("7",):
            value = option.parse(text)
            assert type(value) is (
                type(None) if text == "none" else int if option.is_count else float
            )
            if value is not None or owner is Limits:
                owner(**{**given, option.name: value})


@pytest.mark.parametrize(
    "value",
    ["", "x", "nan", "inf", "-inf", "1e999", True, False, None, [], {}, b"7", "7 8", float("nan")],
)
def test_what_is_not_a_number_is_refused(value) -> None:
    for option in (*SERVER_LIMITS, *RATE_LIMITS):
        with pytest.raises(ValueError, match=r"must be a (whole )?number \("):
            option.parse(value)


def test_a_count_is_whole() -> None:
    count = LimitOption("x", "NUMBER", "")
    assert (count.parse("8e6"), count.parse(8.0), count.parse("8_000")) == (8_000_000, 8, 8_000)
    with pytest.raises(ValueError, match='or "none" for no limit'):
        count.parse(1.5)


def test_the_table_of_the_page_is_the_one_in_force() -> None:
    page = PATH.read_text("utf-8")
    assert "| flag | in a file |" in page
    assert written(page) == page, "run python tests/gateway/tables.py"
