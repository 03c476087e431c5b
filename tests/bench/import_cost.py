"""What does `import llmstream` cost, against `import openai`?

    python tests/bench/import_cost.py

CPU seconds (user and system) of cold processes, interleaved; the interpreter's own start is taken off both.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys

ROUNDS = 7
CASES = {
    "nothing": "",
    "llmstream": "import llmstream",
    "openai": "import openai",
    "anthropic": "import anthropic",
}


def cpu(code: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    for code in CASES.values():
        cpu(code)  # byte code and page cache
    samples: dict[str, list[float]] = {name: [] for name in CASES}
    for _ in range(ROUNDS):
        for name, code in CASES.items():
            samples[name].append(cpu(code))
    start = statistics.median(samples["nothing"])
    costs = {
        name: statistics.median(values) - start
        for name, values in samples.items()
        if name != "nothing"
    }
    for name, cost in costs.items():
        print(f"{name:10} {cost * 1000:8.1f} ms   {cost / costs['openai']:.3f} x openai")


if __name__ == "__main__":
    main()
