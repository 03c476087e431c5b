"""A thousand clients at once, and what an event costs: the benchmark's figures, held to their bounds."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parent.parent / "bench" / "serving.py"


@pytest.mark.slow
def test_a_thousand_clients_are_served_and_an_event_costs_at_most_twice_starlettes_bare_bytes() -> (
    None
):
    done = subprocess.run(
        [sys.executable, BENCH, "2000", "1000"], capture_output=True, text=True, check=True
    )
    assert "1000 of 1000 got all of it" in done.stdout.splitlines()[-1], done.stdout
    found = re.search(r"^llmstream .* ([\d.]+) x Starlette", done.stdout, re.M)
    assert float(found[1]) <= 2.0, done.stdout
