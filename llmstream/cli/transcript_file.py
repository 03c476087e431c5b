"""A conversation as a file: JSON that can be loaded again, or Markdown to be read."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from llmstream.checks import require
from llmstream.messages import Message


def save(path: str, model: str, messages: Sequence[Message], *, overwrite: bool) -> None:
    """Write `.json` (`model`, and `messages` for `Message.from_dict`) or `.md`. Raises ValueError, OSError."""
    target = _target(path, overwrite=overwrite)
    if target.suffix == ".json":
        data = {"model": model, "messages": [message.to_dict() for message in messages]}
        text = json.dumps(data, ensure_ascii=False, indent=2) + "\n"
    else:
        text = render_conversation(model, messages)
    mode = "w" if overwrite else "x"
    with open(  # a Path has no opener
        target, mode, encoding="utf-8", errors="backslashreplace", opener=_private
    ) as file:
        file.write(text)


def _private(path: str, flags: int) -> int:
    """Open a file that, if it is new, others on this machine can't read."""
    return os.open(path, flags, 0o600)


def _target(path: str, *, overwrite: bool) -> Path:
    """The file that may be written. Raises ValueError."""
    require(path, "give a file name that ends in .json or .md")
    try:
        target = Path(path).expanduser()
    except RuntimeError as problem:  # nobody has that name
        raise ValueError(str(problem)) from problem
    require(target.suffix in (".json", ".md"), "the file's name must end in .json or .md")
    if not target.exists():
        return target
    require(target.is_file(), f"{path} is not a file")  # opening a pipe would wait for its reader
    require(overwrite, f"{path} exists; /save! overwrites it")
    return target


def render_conversation(model: str, messages: Sequence[Message]) -> str:
    """The conversation as Markdown."""
    turns = (
        f"## {each.role.capitalize()}\n\n{(each.text or each.refusal).strip()}\n"
        for each in messages
    )
    return "\n".join((f"# Conversation with {model}\n", *turns))
