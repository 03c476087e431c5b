"""Mutation score: `python tests/mutation.py [--processes 1]`, where mutmut (`pip install mutmut`) is installed too.

Works on a copy; takes some minutes. Counts the mutants of the SSE parser, the retry policy and the error mapping that
no test notices, and shows them. Fails below the score that is wanted.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
WANTED = 0.85
SOURCES = [
    "llmstream/wire/framing/sse.py",
    "llmstream/wire/error_body.py",
    "llmstream/wire/error_kinds.py",
    "llmstream/wire/finish_words.py",
    "llmstream/wire/retry_delay.py",
    "llmstream/retry.py",
]
TESTS = [
    "tests/wire/framing/test_sse.py",
    "tests/wire/test_error_body.py",
    "tests/wire/test_error_kinds.py",
    "tests/wire/test_finish_words.py",
    "tests/wire/test_retry_delay.py",
    "tests/test_retry.py",
    "tests/test_attempts.py",
]
SETTINGS = f"""
[tool.mutmut]
source_paths = ["llmstream"]
also_copy = ["tests"]
only_mutate = {SOURCES}
pytest_add_cli_args_test_selection = {TESTS}
"""


def mutmut(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "mutmut", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stdout[-4000:] + done.stderr[-4000:])
    return done.stdout


def main() -> int:
    parser = argparse.ArgumentParser(description="Count the mutants that no test notices.")
    parser.add_argument("--processes", default="1")
    processes = parser.parse_args().processes
    os.environ.pop("LLMSTREAM_WIRE", None)  # the score must not need the recordings
    counts: dict[str, Counter[str]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("llmstream", "tests"):
            shutil.copytree(
                ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__")
            )
        (folder / "pyproject.toml").write_text(
            (ROOT / "pyproject.toml").read_text("utf-8") + SETTINGS
        )
        mutmut(folder, "run", "--max-children", processes)
        for line in mutmut(folder, "results", "--all", "true").splitlines():
            mutant, _, result = line.strip().partition(": ")
            counts.setdefault(mutant.rpartition(".")[0], Counter())[result] += 1
            if result not in ("killed", "timeout"):
                print(mutmut(folder, "show", mutant))
    failed = False
    for module, results in counts.items():
        score = (results["killed"] + results["timeout"]) / results.total()
        failed = failed or score < WANTED
        print(f"{module}: {score:.1%} of {results.total()} mutants noticed")
    return 1 if failed or not counts else 0


if __name__ == "__main__":
    sys.exit(main())
