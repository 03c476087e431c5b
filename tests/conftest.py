"""Settings that every test shares: lanes, workers, memory, and a guard against keys in what a test writes.

`pytest` leaves the lanes out, and `pytest -m browser` runs one of them. A lane is a marker. Most tests get theirs by
the fixture that they use; the others say it with `pytest.mark`.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Generator
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

from tests import example_counts

if TYPE_CHECKING:
    from xdist.scheduler import LoadScopeScheduling
    from xdist.workermanage import WorkerController

example_counts.register()

# Programs that tests start load the same modules over and over: each is to be compiled once.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

CANARY = "llmstream-canary"
"""Part of every key that must not be seen. `test_canary.py` makes them."""

LANES_BY_FIXTURE = {"browser": "browser", "redis_port": "services"}
"""Fixtures that start a program, and the lane of the tests that use them."""

NEEDS = {
    "gateway": "starlette",
    "web": "starlette",
    "events/test_consumers.py": "starlette",
    "test_serving_page.py": "starlette",
    "test_options.py": "starlette",
    "test_exports.py": "starlette",
    "test_forks.py": "redis",
    "test_remote_limits.py": "redis",
    "test_media.py": "starlette",
    "test_batch_refusal.py": "starlette",
    "test_catalogue.py": "starlette",
    "test_seeds.py": "starlette",
    "conversations": "redis",
    "cli": "pexpect",
}
"""Tests that the extra `dev` can't run, and the package that they want. The extra `test` has all of them."""

CLOCKS = {
    "tests/providers/test_backpressure.py",
    "tests/providers/test_timeouts.py",
    "tests/router/test_strategies.py",
    "tests/test_closing.py",
    "tests/testing/test_check_provider.py",
    "tests/testing/test_conformance.py",
    "tests/web/page/test_speed.py",
    "tests/web/test_connections.py",
    "tests/web/test_leaving.py",
    "tests/web/test_proxy.py",
    "tests/wire/test_fuzz.py",
}
"""Files whose tests measure real time: one worker runs them, so that they never wait for one another."""

LONG = (
    "clocks",
    "tests/test_patterns.py",
    "tests/test_snippets.py",
    "tests/test_soak.py",
    "tests/test_examples.py",
    "tests/gateway/test_processes.py",
    "tests/web/test_many.py",
    "tests/web/test_siege.py",
)
"""Files of few tests that take long: they begin first, so that no worker waits for one of them at the end."""

LEFT_OUT = {path: package for path, package in NEEDS.items() if find_spec(package) is None}
collect_ignore = list(LEFT_OUT)


def pytest_report_header() -> list[str]:
    """Name the tests that can't be collected here."""
    return [f"left out: tests/{path} needs {package}" for path, package in LEFT_OUT.items()]


def pytest_itemcollected(item: pytest.Item) -> None:
    """Put a test that uses a lane's fixture into that lane."""
    for fixture, lane in LANES_BY_FIXTURE.items():
        if fixture in getattr(item, "fixturenames", ()):
            item.add_marker(lane)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep the tests and modules away from the garbage collector: each full collection would walk them all."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> LoadScopeScheduling:
    """With `-n 2`, give a worker whole files: their servers start once. Files with clocks count as one."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.split("::", 1)[0]
            return "clocks" if file in CLOCKS else file

        def _assign_work_unit(self, node: WorkerController) -> None:
            first = next((scope for scope in LONG if scope in self.workqueue), None)
            if first is not None:
                self.workqueue.move_to_end(first, last=False)
            super()._assign_work_unit(node)

    return ByFile(config, log)


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
