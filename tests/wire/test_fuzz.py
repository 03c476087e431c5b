"""A short run of `tests/fuzz.py`: its promises hold for what it starts from, for some more, and in linear time."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
from hypothesis import HealthCheck, settings

from tests import fuzz
from tests.example_counts import examples

each_target = pytest.mark.parametrize("name", list(fuzz.TARGETS))


@each_target
def test_the_promises_hold_for_known_inputs(name):
    """What the long run starts from, and beginnings of it."""
    for data in fuzz.seeds(name):
        for end in range(len(data) % 7, len(data) + 1, 7):
            fuzz.TARGETS[name](data[:end])


@each_target
def test_the_promises_hold_for_other_inputs(name):
    """As many as take less than a second, the same each time."""
    settings(examples(100), suppress_health_check=[HealthCheck.too_slow])(
        fuzz.check_with_hypothesis(name)
    )()


def seconds(check, data):
    """In time of this process."""
    began = time.process_time()
    check(data)
    return time.process_time() - began


REPEATED = [
    *(
        b"data: x\n",
        b"data: {}\n\n",
        b"x\n",
        b"x",
        b"\r",
        b"\r\n",
        b": x\n\n",
        b"error",
        b"\xef\xbb\xbf",
        b"id: 1\n\n",
    ),
    *(
        b"<",
        b"<p",
        b"<script>",
        b"<p>x",
        b"[",
        b'{"error":',
        b'"',
        b"model ",
        b"exceed",
        b"exceed context",
        b"not valid",
    ),
    *(b"1", b"+1", b"Sat, ", b":", b"sk-canary", b"'", b"\\ud83d"),
]


LINEAR = [
    pytest.param(name, marks=[] if place % 6 == 0 else pytest.mark.slow)
    for place, name in enumerate(each for each in fuzz.TARGETS if not each.startswith("fields"))
]
"""Some are enough for each run; the lane `slow` has the others."""


@pytest.mark.parametrize("name", LINEAR)
def test_the_work_is_linear(name):
    """16 times as much of the same costs less than 100 times as much: a quadratic reader would take 256 times."""
    for grain in REPEATED:
        few, many = (b"\x07" + grain * (size // len(grain)) for size in (4_000, 64_000))
        check = fuzz.TARGETS[name]
        limit = 100 * max(min(seconds(check, few) for _ in range(3)), 0.0005)
        assert any(seconds(check, many) < limit for _ in range(3)), grain


@pytest.mark.slow
def test_the_command_runs():
    """The hypothesis engine, for which nothing needs to be installed."""
    command = [
        sys.executable,
        "tests/fuzz.py",
        "--seconds=0.1",
        "--engine=hypothesis",
        "retry-after",
        "redact",
    ]
    done = subprocess.run(command, cwd=fuzz.ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(" inputs") == 2
