"""How many instructions does a chunk take? A count that other work on the machine does not change.

    python tests/bench/instructions.py [ADAPTER …] [--functions 25] [--chunks 5000]

Runs each library under valgrind's callgrind (https://valgrind.org/docs/manual/cl-manual.html), which counts from the
second answer of a process on: the flood of `client.py`, checked. `llmstream-openai-httpx2-log` and its like have the
log observer. `--functions` lists where they go, by C function of the interpreter and the extensions. Valgrind is about
fifty times slower than the machine, so the server is always ahead: every read is as full as it can be.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from adapters import ADAPTERS, COUNTED, OBSERVED, Adapter
from client import Run, history
from run import serving

DEFAULT = [
    "raw-httpx2",
    "raw-aiohttp",
    "llmstream-openai-httpx2",
    "llmstream-openai-aiohttp",
    "openai",
    "llmstream-openai-responses-httpx2",
    "openai-responses",
    "llmstream-anthropic-httpx2",
    "anthropic",
    "llmstream-gemini-httpx2",
    "llmstream-gemini-interactions-httpx2",
    "llmstream-bedrock-httpx2",
    "llmstream-ollama-httpx2",
    "llmstream-cohere-httpx2",
]
LIMIT = 900
"""Seconds for one library."""


def count(adapter: str, root: str, chunks: int, functions: int) -> float:
    """Instructions per chunk. Prints the functions they were spent in."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "counted.1")  # what was asked for; what comes after it is in another
        valgrind = [
            "valgrind",
            "--tool=callgrind",
            "--instr-atstart=no",
            f"--callgrind-out-file={folder}/counted",
        ]
        command = [
            *valgrind,
            sys.executable,
            __file__,
            adapter,
            "--sample",
            root,
            "--chunks",
            str(chunks),
        ]
        environment = {**os.environ, "PYTHONHASHSEED": "0"}
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=LIMIT, check=False, env=environment
        )
        total = (
            re.search(r"^(?:summary|totals): (\d+)", out.read_text(), re.M)
            if out.exists()
            else None
        )
        if done.returncode or total is None:
            raise RuntimeError(done.stderr[-2000:])
        if functions:
            show(out, chunks, functions)
        return int(total[1]) / chunks


def show(out: Path, chunks: int, functions: int) -> None:
    listed = subprocess.run(
        ["callgrind_annotate", out], capture_output=True, text=True, check=True
    ).stdout
    rows = re.findall(r"^ *([\d,]+) \([^)]*\)  .*?:(\S+)", listed, re.M)
    for spent, function in rows[:functions]:
        print(f"        {int(spent.replace(',', '')) / chunks:10,.0f}  {function}")


async def sample(adapter: Adapter, root: str, chunks: int) -> None:
    """Under valgrind: one answer to warm up, one that counts."""
    ask = await adapter.open(root)
    await ask("flood-50-0", history(1), lambda _: None)
    got: list[Any] = []
    control("--instr=on")
    await ask(f"flood-{chunks}-0", history(1), got.append)
    control("--dump")
    Run(adapter, ask, quick=False).check(got, chunks)


def control(option: str) -> None:
    subprocess.run(["callgrind_control", option, str(os.getpid())], check=True, capture_output=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("adapters", nargs="*", default=DEFAULT)
    parser.add_argument("--functions", type=int, default=0)
    parser.add_argument("--chunks", type=int, default=5000)
    parser.add_argument("--sample", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.sample:
        adapter = {**ADAPTERS, **OBSERVED, **COUNTED}[options.adapters[0]]
        asyncio.run(sample(adapter, options.sample, options.chunks))
        os._exit(0)
    with serving() as root:
        for adapter in options.adapters:
            print(
                f"{count(adapter, root, options.chunks, options.functions):12,.0f}  {adapter}",
                flush=True,
            )


if __name__ == "__main__":
    main()
