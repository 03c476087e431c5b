"""The lower bounds of pyproject.toml, and whether an environment has exactly those: `python tests/versions.py`."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).parent.parent
_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^\]]*\])?\s*(?:>=|==)\s*([0-9][0-9.]*)")
_OURS = "llmstream-core"


def lower_bounds() -> dict[str, str]:
    """By package: of dependencies, extras and the build. Raises ValueError for one without a bound, or with two."""
    bounds: dict[str, str] = {}
    for text in _requirements():
        found = _REQUIREMENT.match(text)
        if found is None:
            raise ValueError(f"{text} has no lower bound")
        name, bound = found.groups()
        if bounds.setdefault(name, bound) != bound:
            raise ValueError(f"{name} has two lower bounds")
    return bounds


def out_of_reach() -> dict[str, str]:
    """Of the packages that are installed here, those that aren't at their lower bound, with what is installed."""
    found = {}
    for name, bound in lower_bounds().items():
        try:
            installed = version(name)
        except PackageNotFoundError:
            continue
        if _numbers(installed) != _numbers(bound):
            found[name] = f"{installed} in place of {bound}"
    return found


def _requirements() -> Iterator[str]:
    document = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    project = document["project"]
    lists = [document["build-system"]["requires"], project["dependencies"]]
    for requirements in (*lists, *project["optional-dependencies"].values()):
        yield from (text for text in requirements if not text.startswith(_OURS))


def _numbers(text: str) -> list[int]:
    """A version's numbers, without zeros at its end."""
    numbers = [int(number) for number in re.findall(r"\d+", text)]
    while numbers and not numbers[-1]:
        numbers.pop()
    return numbers


if __name__ == "__main__":
    wrong = out_of_reach()
    for name, told in sorted(wrong.items()):
        print(f"{name}: {told}: raise the bound to what can be installed")
    sys.exit(bool(wrong))
