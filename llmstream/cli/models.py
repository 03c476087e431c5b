"""`llmstream models`: which providers are configured, and what the others lack. Never shows a key.

Beside the default model stands its context, where `llmstream.catalogue` knows it.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, fields
from typing import Any

from llmstream.catalogue import lookup
from llmstream.cli.arguments import Options
from llmstream.cli.screen import DIM, styled
from llmstream.cli.turn import UsageError
from llmstream.errors import ConfigurationError
from llmstream.providers.registry import Listing, default_model, listing
from llmstream.wire.json_fields import present


def models(options: Options) -> int:
    """Print the table, or with `--json` one line per provider."""
    try:
        chosen, model, warning = default_model()
    except ConfigurationError as problem:
        raise UsageError(str(problem)) from problem
    found = listing()
    if options.json:
        for each in found:
            row = {**asdict(each), "chosen": each.name == chosen, "facts": _facts(each)}
            line = json.dumps(row)
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
    contexts = [_tokens(_facts(each).get("context")) for each in found]
    width = max(len(each.name) for each in found)
    wide = max(map(len, models))
    room = max(map(len, contexts))
    for each, model, context in zip(found, models, contexts, strict=True):
        mark = "*" if each.name == chosen else " "
        row = f"{mark} {each.name:{width}}  {model:{wide}}  {context:>{room}}  {_state(each)}"
        shown = row if each.ready else styled(row, DIM, out)
        out.write(f"{shown.rstrip()}\n")


def _facts(each: Listing) -> dict[str, Any]:
    """What the catalogue knows of the default model, without its prices; empty for nothing."""
    found = lookup(f"{each.name}:{each.default_model}") if each.default_model else None
    if found is None:
        return {}
    known = {field.name: getattr(found, field.name) for field in fields(found)}
    inputs = None if found.inputs is None else sorted(found.inputs)
    return present(**{**known, "prices": None, "inputs": inputs})


def _tokens(count: int | None) -> str:
    """A context in thousands of tokens."""
    return "-" if count is None else f"{round(count / 1000)}k"


def _state(each: Listing) -> str:
    if each.ready:
        state = "ready"
    elif each.missing:
        state = f"set {' and '.join(each.missing)}"
    else:
        state = "not installed"
    return f"{state} · {each.note}" if each.note else state
