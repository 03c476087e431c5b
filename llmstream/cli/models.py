"""`llmstream models`: which providers are configured, and what the others lack. Never shows a key."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

from llmstream.cli.arguments import Options
from llmstream.cli.screen import DIM, styled
from llmstream.cli.turn import UsageError
from llmstream.errors import ConfigurationError
from llmstream.providers.registry import Listing, default_model, listing


def models(options: Options) -> int:
    """Print the table, or with `--json` one line per provider."""
    try:
        chosen, model, warning = default_model()
    except ConfigurationError as problem:
        raise UsageError(str(problem)) from problem
    found = listing()
    if options.json:
        for each in found:
            line = json.dumps({**asdict(each), "chosen": each.name == chosen})
            sys.stdout.write(f"{line}\n")
        return 0
    _print_table(found, chosen)
    name = f"{chosen}:{model}" if model else chosen
    why = f" ({warning})" if warning else ""
    sys.stderr.write(f"\n* {name} answers when no --model is given{why}\n")
    return 0


def _print_table(found: list[Listing], chosen: str) -> None:
    out = sys.stdout
    models = [each.default_model or "-" for each in found]
    width = max(len(each.name) for each in found)
    wide = max(map(len, models))
    for each, model in zip(found, models, strict=True):
        mark = "*" if each.name == chosen else " "
        row = f"{mark} {each.name:{width}}  {model:{wide}}  {_state(each)}"
        shown = row if each.ready else styled(row, DIM, out)
        out.write(f"{shown.rstrip()}\n")


def _state(each: Listing) -> str:
    if each.ready:
        state = "ready"
    elif each.missing:
        state = f"set {' and '.join(each.missing)}"
    else:
        state = "not installed"
    return f"{state} · {each.note}" if each.note else state
