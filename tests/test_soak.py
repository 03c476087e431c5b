"""A small soak: what `tests/soak.py` does with 2,000 streams, with a hundred."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

SOAK = Path(__file__).with_name("soak.py")


@pytest.mark.skipif(sys.platform == "win32", reason="counts file descriptors")
@pytest.mark.parametrize("transport", ["httpx2", "aiohttp"])
def test_nothing_is_left_of_many_streams(transport):
    """However they end: no file descriptor, no task, no connection on the server's side, no memory to speak of."""
    command = [sys.executable, str(SOAK), "--streams=100", f"--transport={transport}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "round 1" in done.stdout
    assert "13 complete" in done.stdout
