"""Writes the generated tables of docs/serving.md: `python tests/gateway/tables.py`."""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":  # run as a script, the folders above are not on the path
    sys.path.insert(0, str(Path(__file__).parents[2]))

from llmstream.cli.arguments import LIMITS

PATH = Path(__file__).parents[2] / "docs" / "serving.md"
UNITS = {"BYTES": " bytes", "SECONDS": " s"}
HEAD = "| flag | in a file | default | what |\n|---|---|---|---|\n"


def limits_table() -> str:
    """The limits, by their flags and by their keys in a configuration file."""
    rows = []
    for options, prefix in LIMITS:
        table = prefix.rstrip("_") or "limits"
        for option in options:
            flag = f"--{prefix}{option.name}".replace("_", "-")
            unit = UNITS.get(option.unit, "") if option.default is not None else ""
            default = f"{option.shown_default}{unit}"
            row = (f"`{flag}`", f"`{table}.{option.name}`", default, option.meaning)
            rows.append(f"| {' | '.join(row)} |\n")
    return HEAD + "".join(rows)


def written(page: str) -> str:
    """The page with the tables of today."""
    before, head, rest = page.partition(HEAD)
    table_end = rest.index("\n\n") + 1
    return before + limits_table() + rest[table_end:] if head else page


if __name__ == "__main__":
    PATH.write_text(written(PATH.read_text("utf-8")), "utf-8")
