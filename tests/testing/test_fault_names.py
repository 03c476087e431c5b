"""A fault whose name is nearly right is answered with those that are meant."""

from __future__ import annotations

import pytest

from llmstream.testing import FaultServer


@pytest.mark.parametrize(
    ("given", "meant"),
    [("stall-after-content", "stall"), ("status-5299", "status-529"), ("reset", "reset-")],
)
def test_a_name_that_is_nearly_right_is_told_what_is_meant(given: str, meant: str) -> None:
    with pytest.raises(ValueError, match=f"there is no fault '{given}': do you mean .*{meant}"):
        FaultServer(given)


def test_any_other_is_told_where_they_are_listed() -> None:
    with pytest.raises(ValueError, match=r"there is no fault 'zzz'; llmstream\.testing\.FAULTS"):
        FaultServer("zzz")
