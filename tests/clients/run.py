"""Clients that nobody here wrote, against `llmstream serve` before a provider: each in an environment of its own.

    python tests/clients/run.py [NAME …] [--keep FOLDER]

Not a part of CI: each is installed from the package index, which takes half a minute to two. A client's program is
`NAME.py` or `NAME.mjs` here; it prints one JSON document: the `text` of an answer, and the input of a `call`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))

from tests.web.dialects.served import CALLS, TEXT, served  # noqa: E402  # the path is set above


@dataclass(frozen=True)
class Package:
    """What a client is installed from."""

    name: str
    packages: tuple[str, ...]
    is_node: bool = False

    def command(self, folder: Path) -> list[str]:
        """The command that runs its program, which is installed if it isn't in this folder yet."""
        noted = folder / "command.json"
        if not noted.exists():
            folder.mkdir(parents=True, exist_ok=True)
            noted.write_text(json.dumps(self.install(folder)))
        command: list[str] = json.loads(noted.read_text())
        return command

    def install(self, folder: Path) -> list[str]:
        """The command that runs its program, once it is installed."""
        if self.is_node:
            npm = [
                "npm",
                "install",
                "--silent",
                "--no-audit",
                "--no-fund",
                "--prefix",
                str(folder),
                *self.packages,
            ]
            subprocess.run(npm, check=True)
            program = folder / f"{self.name}.mjs"
            program.write_text(
                (HERE / program.name).read_text()
            )  # modules are found beside the program
            return ["node", str(program)]
        venv.create(folder, with_pip=True)
        python = str(folder / "bin" / "python")
        pip = [python, "-m", "pip", "install", "-q", *self.packages]
        subprocess.run(pip, check=True, stderr=subprocess.DEVNULL)
        return [python, str(HERE / f"{self.name}.py")]


CLIENTS = (
    Package("litellm_client", ("litellm",)),
    Package("langchain_client", ("langchain-openai", "langchain-anthropic")),
    Package("any_llm_client", ("any-llm-sdk[openai,anthropic]",)),
    Package("llm_client", ("llm",)),
    Package("instructor_client", ("instructor[anthropic]",)),
    Package("mirascope_client", ("mirascope[openai,anthropic]",)),
    Package("aider_client", ("aider-chat",)),
    Package("langchain_js", ("@langchain/openai", "@langchain/core"), is_node=True),
    Package("claude_code", ("@anthropic-ai/claude-code",), is_node=True),
)


async def run(clients: list[Package], keep: Path) -> int:
    """How many saw something wrong."""
    wrong = 0
    for provider in ("openai", "anthropic"):
        async with served(provider) as program:
            for client in clients:
                began = time.perf_counter()
                problem = await _try(client, keep / client.name, program.url, provider)
                took = time.perf_counter() - began
                print(
                    f"{client.name:20} before {provider:10} {problem or 'ok'} ({took:.0f} s)",
                    flush=True,
                )
                wrong += problem is not None
    return wrong


async def _try(client: Package, folder: Path, url: str, provider: str) -> str | None:
    """What went wrong; None if nothing did."""
    command = await asyncio.to_thread(client.command, folder)
    environment = {
        **os.environ,
        "OPENAI_API_KEY": "k",
        "ANTHROPIC_API_KEY": "k",
        "HOME": str(folder),
    }
    environment.pop("PYTHONPATH", None)
    process = await asyncio.create_subprocess_exec(
        *command,
        url,
        provider,
        env=environment,
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, told = await process.communicate()
    if process.returncode:
        return told.decode().strip().rpartition("\n")[2]
    seen: list[dict[str, Any]] = json.loads(out.decode().strip().rpartition("\n")[2])
    wanted = {"text": TEXT, "call": CALLS[0].input}
    flaws = [
        each
        for each in seen
        if any(each.get(name, value) != value for name, value in wanted.items())
    ]
    return json.dumps(flaws) if flaws or not seen else None


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*")
    parser.add_argument("--keep", type=Path, help="where the installed clients stay")
    given = parser.parse_args()
    clients = [client for client in CLIENTS if not given.names or client.name in given.names]
    with tempfile.TemporaryDirectory() as folder:
        sys.exit(min(1, asyncio.run(run(clients, given.keep or Path(folder)))))


if __name__ == "__main__":
    main()
