"""That the benchmark runs, checks what it gets and draws; and what can be said of growth without a clock."""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

HERE = Path(__file__).parent


@pytest.mark.slow
def test_the_command_measures_checks_and_writes(tmp_path):
    page = tmp_path / "page.md"
    options = [
        "--quick",
        "--rounds",
        "1",
        "--write",
        str(page),
        "--results",
        str(tmp_path / "results.json"),
    ]
    libraries = ["llmstream-openai-httpx2", "raw-httpx2", "litellm"]
    command = [sys.executable, str(HERE / "run.py"), "flood", *options, "--adapters", *libraries]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    samples = json.loads((tmp_path / "results.json").read_text())["samples"]["flood"]
    for library in libraries[:2]:  # a wrong text would have failed the sample
        assert samples[library][0]["us_per_chunk"] > 0, done.stderr
    text = page.read_text()
    assert "| CPU per chunk, OpenAI flood, vs raw-httpx2 |" in text
    assert "| llmstream-openai-httpx2 | llmstream-core" in text
    ET.parse(tmp_path / "page.svg")


@pytest.mark.slow
def test_gateways_are_measured_and_the_page_gets_their_table(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# Title\n\n## First\n\n## What was measured\n\n## Versions\n")
    options = ["--quick", "--rounds", "1", "--write", str(page), "--skip", "llmstream, httpx2"]
    command = [sys.executable, str(HERE / "gateway.py"), *options]
    only = ["--only", "64 streams", "512 requests"]
    subprocess.run([*command, *only], capture_output=True, text=True, timeout=180, check=True)
    text = page.read_text()
    assert "| no gateway | pass-through | llmstream, aiohttp |" in text
    for row in re.findall(r"^\| .*: wrong \|(.*)\|$", text, re.MULTILINE):
        assert set(row.split(" | ")) <= {"0", " 0", "0 ", " 0 "}, text
    titles = re.findall("^## (.*)$", text, re.MULTILINE)
    assert titles == ["First", "What a gateway adds", "What was measured", "Versions"]


def test_the_page_keeps_the_gateways_table_and_has_one(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(HERE))
    page, path = load("page"), tmp_path / "page.md"
    shown = (HERE.parents[1] / "docs" / "benchmarks.md").read_text()
    path.write_text(shown)
    for table in ("| one |", "| two |"):
        page.write_gateways(table, path)
    text = path.read_text()
    assert (text.count("| one |"), text.count("| two |")) == (0, 1)
    page.write(page.Results(), path)
    assert path.read_text().count("| two |") == 1


def test_a_wrong_text_fails_the_sample(monkeypatch):
    monkeypatch.syspath_prepend(str(HERE))
    client = load("client")

    async def shortened(model, messages, take):
        take(" The")

    run = client.Run(client.ADAPTERS["openai"], shortened, quick=True)
    with pytest.raises(ValueError, match="not the"):
        client.asyncio.run(run.request("flood", 2))


@pytest.mark.parametrize("format", ["openai-chat", "openai-responses", "anthropic-messages"])
@pytest.mark.parametrize("case", ["frame", "arguments"])
def test_decoding_is_linear_in_the_size(format, case):
    growth = load("growth")
    passed = []
    for size in (120_000, 240_000):  # above 100,000 characters, values are counted
        pieces, length = growth.CASES[case](format, size)
        passed.append(growth.passed(format, pieces, length) / length)
    assert (
        passed[1] < passed[0] * 1.02
    )  # the same for each byte; the last few percent are what stands around it


def load(name):
    spec = importlib.util.spec_from_file_location(f"bench_{name}", HERE / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
