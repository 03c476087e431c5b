"""docs/extending.md: the files that it lists exist and are all of them, and the code that it shows is real."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from llmstream import LLMClient
from llmstream.providers.compatible import VENDORS, Vendor
from llmstream.wire.formats import FORMATS
from llmstream.wire.openai_chat.request import ChatVariant
from tests.loopback import Loopback, answer

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "extending.md").read_text("utf-8")
SECTIONS = dict[str, str](re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S))
WITNESSES = {
    "A vendor": r"\bcerebras\b",
    "A format": r"wire\.anthropic_messages|\"anthropic_messages\"",
    "A dialect": r"\bAgUi\b|class Lines\b",
    "An event": r"EventType\.FILE\b|event\.file\b|case 'file'|^    FILE = ",
    "An option": r"\"verbosity\"|\bverbosity: str|request\.verbosity",
}
"""Something that was added once, and how a file shows that it had to know."""
OWN = ROOT / "llmstream" / "wire" / "anthropic_messages"
NEEDLESS = {
    "An option": {
        "llmstream/web/dialects/responses_echo.py",  # an answer of Responses repeats some options
    },
    "A format": {
        "llmstream/providers/anthropic.py",  # the provider that speaks it
        "llmstream/web/dialects/anthropic_messages.py",  # the dialect of its clients
        "llmstream/web/dialect_endpoints.py",  # a header of theirs
    },
}
"""Files that have the witness for another reason."""


def listed(section: str) -> list[str]:
    """The files in a section's tables."""
    return re.findall(r"^\| `([^`]+)` \| ", SECTIONS[section], re.M)


def files(path: str) -> list[Path]:
    """The files that a listed path stands for."""
    return sorted(ROOT.glob(path.replace("<format>", "*").replace("<name>", "*")))


def test_every_section_has_its_files() -> None:
    kinds = ["vendor", "format", "provider", "dialect", "event", "option"]
    assert [title.split()[1] for title in SECTIONS] == kinds
    assert all(listed(title) for title in SECTIONS)


@pytest.mark.parametrize("section", SECTIONS)
def test_the_files_exist(section: str) -> None:
    for path in listed(section):
        found = files(path)
        assert found, path
        if "<format>" in path:
            folders = {file.parent.name.replace("_", "-") for file in found}
            assert folders == set(FORMATS), path


@pytest.mark.parametrize("section", WITNESSES)
def test_they_are_all_that_had_to_know(section: str) -> None:
    """Whatever in llmstream/ knows what was added once is in the list for the next."""
    known = {str(file.relative_to(ROOT)) for path in listed(section) for file in files(path)}
    known |= NEEDLESS.get(section, set())
    if section == "A format":  # its own parts may know one another
        known |= {str(file.relative_to(ROOT)) for file in OWN.glob("*.py")}
    sources = [
        file
        for kind in ("py", "js", "html")
        for file in sorted((ROOT / "llmstream").rglob(f"*.{kind}"))
    ]
    having = {
        str(file.relative_to(ROOT))
        for file in sources
        if re.search(WITNESSES[section], file.read_text("utf-8"), re.M)
    }
    assert having
    assert having - known == set()


@pytest.mark.parametrize("section", SECTIONS)
def test_the_code_is_that_of_a_file(section: str) -> None:
    """It stands in a listed file, or in one of the toys, and other tests run it there."""
    toys = [ROOT / "tests" / "toy.py", ROOT / "tests" / "toy_dialect.py"]
    places = [*toys, *(file for path in listed(section) for file in files(path))]
    code = [_squeezed(file.read_text("utf-8")) for file in places]
    blocks = re.findall(r"```python\n(.*?)```", SECTIONS[section], re.S)
    assert blocks
    for block in blocks:
        assert any(_squeezed(block) in text for text in code), block


def _squeezed(code: str) -> str:
    """Without what the formatter decides."""
    return re.sub(r"\s+", "", code)


async def test_a_row_is_all_that_a_vendor_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Loopback(answer("openai-chat")) as server:
        variant = ChatVariant(max_tokens="max_completion_tokens")
        row = Vendor("acme", server.url("openai"), ("ACME_KEY",), "a-1", "its page", variant)
        monkeypatch.setitem(VENDORS, "acme", row)
        monkeypatch.setenv("ACME_KEY", "k-of-acme")
        async with LLMClient("acme") as client:
            said = await client.complete([{"role": "user", "content": "hi"}], max_tokens=5)
        (request,) = server.requests
    assert said.text == "Hello, world!"
    assert said.provider == "acme"
    assert request.headers["authorization"] == "Bearer k-of-acme"
    assert (request.body["model"], request.body["max_completion_tokens"]) == ("a-1", 5)
