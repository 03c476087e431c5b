"""Settings every test shares, and a guard: no key of `test_canary.py` in what any test of the run writes."""

from __future__ import annotations

from collections.abc import Generator

import pytest
from hypothesis import settings

settings.register_profile("ci", deadline=None, derandomize=True, max_examples=100)
settings.load_profile("ci")

CANARY = "llmstream-canary"
"""Part of every key that must not be seen."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a test that wrote a canary key: to its output, to the error output or to a log."""
    report = yield
    leaks = [name for name, text in report.sections if CANARY in text]
    if leaks:
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid}: a canary key in {', '.join(leaks)}"
    return report
