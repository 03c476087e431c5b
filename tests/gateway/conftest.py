"""No test leaves a socket behind."""

from __future__ import annotations

from tests.web.serving import clients_leave  # noqa: F401  # a fixture
