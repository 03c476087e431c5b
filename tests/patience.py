"""How long tests wait for something that must come: long enough that, on any machine, it never comes after that."""

from __future__ import annotations

PATIENCE = 60.0
"""Seconds. A test that claims a speed measures it; all others wait with patience."""
