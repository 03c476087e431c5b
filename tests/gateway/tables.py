"""Writes the generated tables of docs/serving.md: `python tests/gateway/tables.py`."""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":  # run as a script, the folders above are not on the path
    sys.path.insert(0, str(Path(__file__).parents[2]))

from llmstream.cli.arguments import RATE_PREFIX
from llmstream.gateway.limit_options import RATE_LIMITS, SERVER_LIMITS

PATH = Path(__file__).parents[2] / "docs" / "serving.md"
HEAD = "| flag | in a file | default | what |\n|---|---|---|---|\n"


def limits_table() -> str:
    """The limits, by their flags and by their keys in a configuration file."""
    rows = []
    for options, prefix, table in (
        (SERVER_LIMITS, "", "limits"),
        (RATE_LIMITS, RATE_PREFIX, "rate"),
    ):
        for option in options:
            flag = f"--{prefix}{option.name}".replace("_", "-")
            meaning = (
                f"{option.meaning}, in seconds" if option.unit == "SECONDS" else option.meaning
            )
            row = (f"`{flag}`", f"`{table}.{option.name}`", option.shown_default, meaning)
            rows.append(f"| {' | '.join(row)} |\n")
    return HEAD + "".join(rows)


def written(page: str) -> str:
    """The page with the tables of today."""
    before, head, rest = page.partition(HEAD)
    table_end = rest.index("\n\n") + 1
    return before + limits_table() + rest[table_end:] if head else page


if __name__ == "__main__":
    PATH.write_text(written(PATH.read_text("utf-8")), "utf-8")
