"""What does a gateway add? Ours, beside no gateway, a bare pass-through in Starlette, and LiteLLM's proxy.

    python tests/bench/gateway.py [--rounds 3] [--quick] [--only LOAD …] [--litellm PROGRAM] [--write PAGE]

One process each, all at once, before one server (`server.py`): streams of 64 pieces, one every 20 ms, 1, 64 and 512 at
a time, and 512 requests of one piece, 64 at a time. Rounds are interleaved, ratios to the pass-through are taken within
a round, and the median is shown. CPU is the gateway process's own, from /proc.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import page
from run import serving

HERE = Path(__file__).parent
PACED, SHORT = "paced-64-20000", "flood-1-0"
MODELS = (PACED, SHORT)
FLOOR = "pass-through"
TICK = os.sysconf("SC_CLK_TCK")
READY = 60.0
"""Seconds that a gateway may take to start."""


@dataclass(frozen=True)
class Load:
    """How a gateway is asked."""

    name: str
    model: str
    clients: int
    options: tuple[str, ...] = ()

    @property
    def quick(self) -> Load:
        """A smaller one, that shows no more than that it runs."""
        return Load(self.name, self.model, min(self.clients, 8), self.options)


LOADS = (
    Load("1 stream", PACED, 1),
    Load("64 streams", PACED, 64),
    Load("64 streams, spread", PACED, 64, ("--spread", "1")),
    Load("512 streams", PACED, 512),
    Load("512 streams, spread", PACED, 512, ("--spread", "1")),
    Load("512 requests", SHORT, 512, ("--at-once", "64")),
)


@dataclass
class Gateway:
    """A gateway that runs. `pid` is None for none."""

    name: str
    url: str
    pid: int | None = None
    ready: float = 0.0
    """Seconds from its start to its first answer."""
    idle: float = 0.0
    """MB that it holds before it was asked."""
    samples: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def cpu(self) -> float:
        """Seconds that it has used, with its children."""
        if self.pid is None:
            return 0.0
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / TICK

    def memory(self) -> float:
        if self.pid is None:
            return 0.0
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    def measure(self, load: Load) -> None:
        """Ask it once in this way."""
        before = self.cpu()
        command = [
            sys.executable,
            HERE / "load.py",
            self.url,
            load.model,
            str(load.clients),
            *load.options,
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
        found = json.loads(done.stdout)
        found["cpu"] = 1000 * (self.cpu() - before) / load.clients
        found["memory"] = self.memory()
        self.samples.setdefault(load.name, []).append(found)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def commands(upstream: str, litellm: str | None) -> dict[str, tuple[list[str], dict[str, str]]]:
    """How each is started, with `{port}`; and what its environment says."""
    ours = [
        sys.executable,
        "-m",
        "llmstream",
        "serve",
        "--port",
        "{port}",
        "--model",
        f"openai:{SHORT}",
    ]
    ours += [each for model in MODELS for each in ("--alias", f"{model}=openai:{model}")]
    ours += ["--per-client", "10000", "--max-streams", "10000"]
    key = {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": upstream}
    found = {
        FLOOR: ([sys.executable, str(HERE / "pass_through.py"), "{port}", upstream], {}),
        "llmstream, aiohttp": (ours, {**key, "LLMSTREAM_TRANSPORT": "aiohttp"}),
        "llmstream, httpx2": (ours, {**key, "LLMSTREAM_TRANSPORT": "httpx2"}),
    }
    if litellm is not None:
        found["LiteLLM's proxy"] = (
            [litellm, "--config", _config(upstream), "--port", "{port}"],
            {**key, "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true"},
        )
    return found


def _config(upstream: str) -> str:
    listed = [
        {
            "model_name": model,
            "litellm_params": {"model": f"openai/{model}", "api_base": upstream, "api_key": "k"},
        }
        for model in MODELS
    ]
    path = Path(
        os.environ.get("TMPDIR", "/tmp"), f"litellm-{os.getpid()}.yaml"
    )  # only a name in it is ours
    path.write_text(json.dumps({"model_list": listed}))  # JSON is YAML
    return str(path)


@contextmanager
def started(name: str, command: list[str], environment: dict[str, str]) -> Iterator[Gateway]:
    """The gateway, once it answers."""
    port = free_port()
    line = [part.replace("{port}", str(port)) for part in command]
    began = time.perf_counter()
    with subprocess.Popen(
        line,
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            _wait(port, process)
            gateway = Gateway(name, f"http://127.0.0.1:{port}/v1/chat/completions", process.pid)
            gateway.ready = time.perf_counter() - began
            time.sleep(1)  # what it still does after its start isn't part of being idle
            gateway.idle = gateway.memory()
            yield gateway
        finally:
            process.kill()


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.perf_counter() + READY
    while time.perf_counter() < until:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args} ended with {process.returncode}")
        for path in ("healthz", "health/liveliness"):
            with suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=1).close()
                return
        time.sleep(0.01)
    raise RuntimeError(f"{process.args} doesn't answer")


def compare(gateways: list[Gateway], loads: list[Load], rounds: int) -> None:
    """Measure all of them in turn, so often."""
    for gateway in gateways:
        for model in {load.model: load for load in loads}.values():
            gateway.measure(model.quick)
    for gateway in gateways:
        gateway.samples.clear()
    for _ in range(rounds):
        for load in loads:
            for gateway in gateways:
                gateway.measure(load)
                print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)


def median(gateway: Gateway, load: Load, *names: str) -> float:
    return statistics.median(_get(sample, names) for sample in gateway.samples[load.name])


def ratio(gateway: Gateway, floor: Gateway, load: Load, *names: str) -> float:
    """The median of the rounds' ratios."""
    pairs = zip(gateway.samples[load.name], floor.samples[load.name], strict=True)
    return statistics.median(
        _get(one, names) / max(_get(other, names), 1e-9) for one, other in pairs
    )


def _get(sample: dict[str, Any], names: tuple[str, ...]) -> float:
    value: Any = sample
    for name in names:
        value = value[name]
    return float(value)


def table(gateways: list[Gateway], loads: list[Load]) -> str:
    """The figures; in brackets the ratio to the pass-through."""
    floor = next((each for each in gateways if each.name == FLOOR), None)
    lines = ["| | " + " | ".join(each.name for each in gateways) + " |"]
    lines.append("|---|" + "--:|" * len(gateways))

    def row(title: str, value: Any, unit: str, *, compared: bool = True) -> None:
        cells = []
        for each in gateways:
            number, times = value(each)
            shown = (
                f"{number:,.3g} {unit}".strip() if number < 100 else f"{number:,.0f} {unit}".strip()
            )
            cells.append(
                f"{shown} ({times:.2f})" if compared and times and each is not floor else shown
            )
        lines.append(f"| {title} | " + " | ".join(cells) + " |")

    def of(load: Load, *names: str) -> Any:
        return lambda each: (
            median(each, load, *names),
            ratio(each, floor, load, *names) if floor is not None and each.pid is not None else 0,
        )

    for load in loads:
        what = "request" if load.model == SHORT else "stream"
        row(f"{load.name}: CPU per {what}", of(load, "cpu"), "ms")
        row(f"{load.name}: first piece p50", of(load, "first", "p50"), "ms")
        row(f"{load.name}: first piece p99", of(load, "first", "p99"), "ms")
        if load.model == PACED:
            row(f"{load.name}: gap p99", of(load, "gap", "p99"), "ms")
            row(f"{load.name}: with a gap over 200 ms", of(load, "stalled"), "", compared=False)
        else:
            row(f"{load.name}: seconds", of(load, "seconds"), "s")
        row(f"{load.name}: wrong", of(load, "wrong"), "", compared=False)
    row("memory after all", lambda each: (each.memory(), 0), "MB")
    row(
        "memory idle",
        lambda each: (each.idle, each.idle / floor.idle if floor is not None and each.pid else 0),
        "MB",
    )
    row("ready within", lambda each: (each.ready, 0), "s")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", nargs="*", help="names of loads")
    parser.add_argument("--litellm", help="the program of LiteLLM's proxy")
    parser.add_argument("--skip", nargs="*", default=[], help="names of gateways")
    parser.add_argument("--write", type=Path)
    given = parser.parse_args()
    loads = [load for load in LOADS if not given.only or load.name in given.only]
    if given.quick:
        loads = [load.quick for load in loads]
    with serving() as root, ExitStack() as running:
        upstream = f"{root}/v1"
        gateways = [Gateway("no gateway", f"{upstream}/chat/completions")]
        for name, (command, environment) in commands(upstream, given.litellm).items():
            if name not in given.skip:
                gateways.append(running.enter_context(started(name, command, environment)))
        compare(gateways, loads, given.rounds)
        shown = table(gateways, loads)
    print(shown)
    if given.write:
        page.write_gateways(shown, given.write)


if __name__ == "__main__":
    main()
