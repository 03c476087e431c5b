"""The one way to a private name of another library, so that one which is gone is noticed and said once."""

from __future__ import annotations

from typing import Any

from llmstream.log import get_logger

logger = get_logger("llmstream.providers")

_warned: set[str] = set()


class UnknownInsideError(Exception):
    """Another library doesn't have a private part that we know."""

    def __init__(self, owner: Any, name: str) -> None:
        kind = owner if isinstance(owner, type) else type(owner)
        module = getattr(owner, "__name__", None) if kind.__name__ == "module" else kind.__module__
        super().__init__(f"{str(module).partition('.')[0]} has no {name} any more")


def look_up(owner: Any, name: str) -> Any:
    """A private attribute of another library's. Raises UnknownInsideError if it isn't there."""
    try:
        return getattr(owner, name)
    except AttributeError:
        raise UnknownInsideError(owner, name) from None


def step_aside(missing: UnknownInsideError, instead: str) -> None:
    """Warn that a trick is left out, once in a process."""
    text = str(missing)
    if text not in _warned:
        _warned.add(text)
        logger.warning("%s: %s. Please report this with the versions you use", text, instead)
