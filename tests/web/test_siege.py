"""The siege of `tests/siege.py` in a smaller form: what doesn't depend on the machine."""

from __future__ import annotations

import sys

import pytest

from tests.siege import Force, besiege


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="its figures are in /proc")
async def test_a_server_under_siege_serves_and_nothing_is_left_of_it() -> None:
    force = Force(silent=250, bodies=20, readers=10, keys=100, files=256, seconds=3.0)
    found = await besiege(force)
    assert found.during.failures == found.before.failures == []
    assert len(found.during.first_pieces) > 2
    assert found.memory < 100_000_000
    assert found.left == {}
