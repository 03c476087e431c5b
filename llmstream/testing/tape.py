"""The file of a Cassette: requests and what came of them, as JSON that people can read and compare.

    {
     "llmstream": "cassette",
     "version": 1,
     "provider": "openai",
     "recordings": [
      {
       "request": {"model": …, "messages": […], …},
       "events": [
        {"at": 0.31, "type": "text_delta", "text_delta": {"content": "Hel"}},

Each event is a line of its own; `at` are the seconds for which the provider was waited for until then. A recording
whose reader left before the end has `"left": true`.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import indent
from typing import Any, Final
from uuid import uuid4

from llmstream.checks import as_object, require
from llmstream.errors import ConfigurationError
from llmstream.events.types import StreamEvent

VERSION: Final = 1
_MARK: Final = {"llmstream": "cassette", "version": VERSION}
_LOCK: Final = threading.Lock()


@dataclass(slots=True)
class Take:
    """One request, and the events that came of it, each with its moment."""

    request: dict[str, Any]
    events: list[dict[str, Any]]
    left: bool = False
    """Its reader left before the end."""


@dataclass(slots=True)
class Tape:
    """What a file holds."""

    head: dict[str, Any] = field(default_factory=dict)
    """Facts about the provider and its models."""
    takes: list[Take] = field(default_factory=list)


def read_tape(path: Path) -> Tape:
    """The file's content. Raises ConfigurationError for what isn't a cassette, OSError if it can't be read."""
    try:
        data = json.loads(path.read_text("utf-8"))
    except ValueError as problem:
        raise ConfigurationError(f"{path} isn't JSON, so it is no cassette: {problem}") from None
    mark = {name: as_object(data).get(name) for name in _MARK}
    require(mark == _MARK, f"{path} isn't a cassette of version {VERSION}", ConfigurationError)
    takes = data.pop("recordings", [])
    wanted = f"{path}: recordings must be a list"
    require(isinstance(takes, list), wanted, ConfigurationError)
    return Tape(data, [_take(path, number, take) for number, take in enumerate(takes, 1)])


def add_take(path: Path, head: Mapping[str, Any], take: Take) -> None:
    """Append to the file what was recorded, or make it. Others who write meanwhile lose nothing.

    The file is replaced as a whole, so nobody reads half of one. Raises OSError if it can't be written.
    """
    path = Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    with _alone(path.parent):
        tape = read_tape(path) if path.exists() else Tape()
        models = {**as_object(tape.head.get("models")), **as_object(head.get("models"))}
        tape.head = {**_MARK, **head, **tape.head, "models": models}
        tape.takes.append(take)
        draft = path.with_name(f".{path.name}.{uuid4().hex}")
        try:
            # Half a character becomes the escape that JSON has for it.
            draft.write_bytes(_render(tape).encode("utf-8", "backslashreplace"))
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)


# --- inside ------------------------------------------------------------------------------------------------


def _take(path: Path, number: int, data: Any) -> Take:
    """One recording of the file, once all its events can be read."""
    where = f"{path}: recording {number}"
    take = as_object(data)
    request, events = take.get("request"), take.get("events")
    if not (isinstance(request, dict) and isinstance(events, list)):
        raise ConfigurationError(f"{where} needs a request and events")
    for place, event in enumerate(events, 1):
        try:
            StreamEvent.from_dict(event)
            float(event["at"])
        except (KeyError, TypeError, ValueError, AttributeError) as problem:
            words = f"{where}: event {place} can't be read ({type(problem).__name__}: {problem})"
            raise ConfigurationError(words) from None
    return Take(request, events, left=take.get("left") is True)


def _render(tape: Tape) -> str:
    takes = ",\n".join(map(_render_take, tape.takes))
    head = json.dumps(tape.head, indent=1, ensure_ascii=False).removesuffix("\n}")
    return f'{head},\n "recordings": [\n{takes}\n ]\n}}\n'


def _render_take(take: Take) -> str:
    request = indent(json.dumps(take.request, indent=1, ensure_ascii=False), "   ").lstrip()
    events = ",\n".join(f"    {json.dumps(event, ensure_ascii=False)}" for event in take.events)
    left = ',\n   "left": true' if take.left else ""
    return f'  {{\n   "request": {request},\n   "events": [\n{events}\n   ]{left}\n  }}'


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep out the other threads, and where the system can, other processes that write in this folder."""
    with _LOCK:
        handle = _lock(folder)
        try:
            yield
        finally:
            if handle is not None:
                os.close(handle)


def _lock(folder: Path) -> int | None:
    """A handle that holds the folder's lock until it is closed; None where folders can't be locked."""
    with suppress(ImportError, OSError):
        from fcntl import LOCK_EX, flock

        handle = os.open(folder, os.O_RDONLY)
        flock(handle, LOCK_EX)
        return handle
    return None
