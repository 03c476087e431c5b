"""Shared metrics: the folder in which several workers count together, so that any of them can show all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from llmstream.web.metrics import FOLDER


@contextmanager
def shared_metrics() -> Iterator[None]:
    """Meanwhile processes that are forked count in one folder: the operator's own, or one that is deleted then."""
    if os.environ.get(FOLDER):
        yield
        return
    with TemporaryDirectory(prefix="llmstream-metrics-", ignore_cleanup_errors=True) as folder:
        os.environ[FOLDER] = folder
        try:
            yield
        finally:
            del os.environ[FOLDER]


def forget_process(pid: int) -> None:
    """Drop what a dead worker had under way. Its counts stay."""
    for path in Path(os.environ.get(FOLDER, os.devnull)).glob(f"gauge_live*_{pid}.db"):
        path.unlink(missing_ok=True)
