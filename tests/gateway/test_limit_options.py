"""The limits of the command line and of configuration files are those of the library."""

from __future__ import annotations

from dataclasses import MISSING, fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmstream.conversations import StoreLimits
from llmstream.conversations.stores.limits import MONTH, SERVED
from llmstream.gateway.limit_options import (
    HTTP_LIMITS,
    KEPT_LIMITS,
    RATE_LIMITS,
    SERVER_LIMITS,
    LimitOption,
    share_of,
)
from llmstream.gateway.settings import kept_limits
from llmstream.limits import Rate
from llmstream.web import Limits
from llmstream.web.connections import Bounds
from tests.gateway.tables import PATH, written


@pytest.mark.parametrize(
    ("options", "owner"), [(SERVER_LIMITS, Limits), (HTTP_LIMITS, Bounds), (RATE_LIMITS, Rate)]
)
def test_every_field_can_be_set_and_has_its_default(options, owner) -> None:
    known = {each.name: each.default for each in fields(owner)}
    assert MISSING not in known.values()
    assert {option.name: option.default for option in options} == known


def test_what_is_kept_is_bounded_by_default() -> None:
    known = {each.name: getattr(SERVED, each.name) for each in fields(SERVED)}
    assert {option.name: option.default for option in KEPT_LIMITS} == {"ttl": MONTH, **known}
    assert kept_limits() == (MONTH, SERVED)
    assert None not in known.values()
    none = dict.fromkeys(option.name for option in KEPT_LIMITS)
    assert kept_limits(**none) == (None, StoreLimits())


@pytest.mark.parametrize(
    ("options", "owner"), [(SERVER_LIMITS, Limits), (HTTP_LIMITS, Bounds), (RATE_LIMITS, Rate)]
)
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
    [
        "",
        "x",
        "nan",
        "inf",
        "-inf",
        "1e999",
        True,
        False,
        None,
        [],
        {},
        b"7",
        "7 8",
        float("nan"),
        10**400,
    ],
)
def test_what_is_not_a_number_is_refused(value) -> None:
    for option in (*SERVER_LIMITS, *HTTP_LIMITS, *RATE_LIMITS, *KEPT_LIMITS):
        with pytest.raises(ValueError, match=r"must be a (whole )?number \("):
            option.parse(value)


def test_a_count_is_whole() -> None:
    count = LimitOption("x", "NUMBER", "")
    assert (count.parse("8e6"), count.parse(8.0), count.parse("8_000")) == (8_000_000, 8, 8_000)
    with pytest.raises(ValueError, match='or "none" for no limit'):
        count.parse(1.5)


@given(st.integers(1, 64), st.integers(0, 10_000), st.integers(0, 10_000))
def test_the_shares_of_all_workers_are_the_whole(count, clients, streams) -> None:
    limits = Limits(per_client=count + clients, max_streams=count + streams, max_messages=1)
    shares = [share_of(limits, SERVER_LIMITS, index=index, count=count) for index in range(count)]
    assert sum(share.per_client for share in shares) == limits.per_client
    assert sum(share.max_streams for share in shares) == limits.max_streams
    assert {share.max_messages for share in shares} == {1}
    assert min(share.per_client for share in shares) >= 1


def test_what_can_t_be_shared_is_refused_and_no_limit_stays_none() -> None:
    with pytest.raises(ValueError, match="concurrent is 3, which 4 workers can't share"):
        share_of(Rate(concurrent=3), RATE_LIMITS, index=0, count=4)
    assert share_of(Limits(per_client=None), SERVER_LIMITS, index=0, count=4).per_client is None


def test_the_table_of_the_page_is_the_one_in_force() -> None:
    page = PATH.read_text("utf-8")
    assert "| flag | in a file |" in page
    assert written(page) == page, "run python tests/gateway/tables.py"
