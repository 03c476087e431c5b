"""Values of a configuration file: read by their type, with a flaw for each that doesn't fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llmstream.errors import ConfigurationError
from llmstream.gateway.config_flaws import Flaw, advice, describe_type, near_miss
from llmstream.gateway.limit_options import (
    HTTP_LIMITS,
    KEPT_LIMITS,
    RATE_LIMITS,
    SERVER_LIMITS,
    LimitOption,
    Number,
)
from llmstream.gateway.settings import kept_limits
from llmstream.gateway.toml_lines import Path, TomlLines
from llmstream.limits import Rate
from llmstream.web import Limits
from llmstream.web.connections import Bounds


class ConfigValues:
    """Reads values of one document, and collects what is wrong with them."""

    def __init__(self, lines: TomlLines, workers: int) -> None:
        self.flaws: set[Flaw] = set()
        self._lines = lines
        self._workers = workers

    def refuse(self, path: Path, text: str) -> None:
        """Note a flaw at the line of this key."""
        self.flaws.add(Flaw(self._lines.find(path), text))

    def table(self, path: Path, parent: Mapping[str, Any]) -> dict[str, Any] | None:
        """The table at the end of a path: an empty one where there is nothing, None where it is something else."""
        name = str(path[-1])
        table = parent.get(name, {})
        if isinstance(table, dict):
            return table
        header = ".".join(map(str, path))
        self.refuse(path, f"{name} must be a table: write [{header}], and below it its keys")
        return None

    def check_keys(self, path: Path, table: Mapping[str, Any], known: Sequence[str]) -> None:
        """Refuse keys that don't exist."""
        for key in table.keys() - set(known):
            self.refuse((*path, key), f"{key}: there is no such key; {advice(key, known)}")

    def check_name(self, path: Path, what: str) -> None:
        """Refuse a name, at the end of its path, that nobody could read or type."""
        name = str(path[-1])
        if not name.strip() or not name.isprintable():
            self.refuse(path, f"{what} needs a name that can be read and typed")

    def check_model(self, path: Path, name: str, models: Mapping[str, Any]) -> bool:
        """Whether there is a model of this name in the file. Refuse one that there isn't."""
        if name in models:
            return True
        hint = near_miss(name, models) or 'name one of the file, or add it: [models."…"]'
        self.refuse(path, f"there is no model {name!r} in this file; {hint}")
        return False

    def texts(self, path: Path, table: Mapping[str, Any], wanted: str) -> list[str]:
        """A text, or several of them; none where nothing is given."""
        key = str(path[-1])
        if key not in table:
            return []
        given = table[key]
        texts = given if isinstance(given, list) else [given]
        if not texts or not all(map(_is_text, texts)):
            self.refuse(path, f"{key} must be {wanted}, not {describe_type(given)}")
            return []
        if len(set(texts)) < len(texts):
            self.refuse(path, f"{key} names the same one twice")
        return texts

    def truth(self, path: Path, table: Mapping[str, Any]) -> bool:
        """True or false; false where nothing is given."""
        key = str(path[-1])
        given = table.get(key, False)
        if not isinstance(given, bool):
            self.refuse(path, f"{key} must be true or false, not {describe_type(given)}")
        return given is True

    def limits(self, parent: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of `Limits` that the table `limits` sets."""
        return self._numbers(("limits",), parent, SERVER_LIMITS, Limits)

    def http(self, parent: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of `Bounds` that the table `http` sets."""
        return self._numbers(("http",), parent, HTTP_LIMITS, Bounds)

    def kept(self, parent: Mapping[str, Any]) -> dict[str, Any]:
        """The limits that the table `kept` sets of what is kept of conversations."""
        return self._numbers(("kept",), parent, KEPT_LIMITS, kept_limits)

    def rate(self, path: Path, parent: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of a `Rate`; an empty mapping if the table is missing or wrong."""
        count = len(self.flaws)
        fields = self._numbers(path, parent, RATE_LIMITS, _rate)
        if fields.keys() <= {"per"} and "rate" in parent and len(self.flaws) == count:
            self.refuse(path, "this rate limits nothing: add requests = 500, or leave it out")
        return fields if len(self.flaws) == count else {}

    def _numbers(
        self,
        path: Path,
        parent: Mapping[str, Any],
        options: Sequence[LimitOption],
        owner: Callable[..., object],
    ) -> dict[str, Any]:
        table = self.table(path, parent) or {}
        self.check_keys(path, table, [option.name for option in options])
        numbers: dict[str, Any] = {}
        for option in options:
            if option.name not in table:
                continue
            try:
                number = self._number(option, table[option.name], owner)
            except (ValueError, ConfigurationError) as problem:
                self.refuse((*path, option.name), str(problem).removeprefix("Rate: "))
            else:
                numbers[option.name] = number
        return {name: number for name, number in numbers.items() if not _is_unset(path, number)}

    def _number(self, option: LimitOption, value: object, owner: Callable[..., object]) -> Number:
        """The number that a value means. Raises ValueError, or what `owner` raises for it."""
        try:
            number = option.parse(value)
        except ValueError as problem:
            raise ValueError(f"{option.name} {problem}") from None
        owner(**{option.name: number})
        if option.is_divided and number is not None and number < self._workers:
            raise ValueError(
                f"{option.name} must be at least {self._workers}: each worker has its share of it"
            )
        return number


def _is_unset(path: Path, number: Number) -> bool:
    """In a rate "none" is the same as nothing."""
    return path[-1] == "rate" and number is None


def _rate(**fields: Any) -> Rate:
    """A rate with these fields, which may be no limits."""
    return Rate(**{"concurrent": 1, **fields})


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())
