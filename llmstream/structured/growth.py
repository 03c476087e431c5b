"""A typed value that grows with the JSON it is read from."""

from __future__ import annotations

from typing import Any, NamedTuple

from llmstream.structured.answer_type import WRAPPER, AnswerType
from llmstream.structured.json_in_prose import Preamble
from llmstream.structured.shapes import Shape, shape_of, wrapper
from llmstream.wire.partial_json import PartialJSON, Path


class FieldComplete(NamedTuple):
    """A part that is whole and follows its own type: checked, unlike `Partial.value` around it."""

    path: Path
    """Keys, as in the JSON, and indexes: `("steps", 0, "text")`."""
    value: Any


class Growing:
    """Feed it the answer's text; `value` is what has come, in the shape of the type asked for.

    Linear in the text: a part is checked once, when it is whole (a part of a part with each level that it is in), and
    everything that holds it grows in place.
    """

    def __init__(self, answer_type: AnswerType[Any]) -> None:
        self._shape = shape_of(Any if answer_type.adapter is None else answer_type.into)
        self._wrapped = answer_type.wrapped
        self._preamble = Preamble(lists=answer_type.wrapped)
        self._parser = PartialJSON()
        self._open: list[tuple[Shape, Any]] = []  # from the root to what is being written
        self._broken = False
        self.begun = False
        """There is a value to show."""
        self.rest = ""
        """What came behind the value with the last text, or behind what turned out to be none."""

    def feed(self, text: str) -> list[FieldComplete]:
        """Take the next characters; what became whole with them. Text that isn't JSON ends the growing, silently."""
        text = self._preamble.feed(text)
        self.rest = ""
        if self._broken:
            self.rest = text
        if not text or self._broken:
            return []
        try:
            self._parser.feed(text)
        except ValueError:
            self._broken = True  # the end of the answer will say so, with all of its text
            self.rest = text[self._parser.failed_at :]
        if not self._open:
            self._begin()
        parts = [self._take(done.path, done.value) for done in self._parser.completed if done.path]
        if not self.begun:
            self._show()
            holder = self._open[0][1]
            self.begun = WRAPPER in holder if self._wrapped else holder is not None
        return [part for part in parts if part is not None]

    @property
    def value(self) -> Any:
        """The value so far; None before there is one. The same objects each time, until they are whole."""
        if not self.begun:
            return None
        if not self._parser.complete:
            self._show()
        root = self._open[0][1]
        return root.get(WRAPPER) if self._wrapped else root

    def _begin(self) -> None:
        is_list = isinstance(self._parser.value, list)
        self._wrapped = self._wrapped and not is_list  # a list may come without the wrapper
        shape = wrapper(WRAPPER, self._shape.annotation) if self._wrapped else self._shape
        self._open.append((shape, shape.empty(is_list=is_list)))

    def _take(self, path: Path, value: Any) -> FieldComplete | None:
        """Put in a part that is whole."""
        del self._open[len(path) :]
        parent, holder = self._reach(path[:-1], is_list=isinstance(path[-1], int))
        shape = _child(parent, holder, path[-1])
        if shape is None:
            return None
        try:
            checked = shape.check(value)
        except ValueError:
            parent.put(holder, path[-1], value)
            return None
        parent.put(holder, path[-1], checked)
        if not self._wrapped:
            return FieldComplete(path, checked)
        return FieldComplete(path[1:], checked) if len(path) > 1 else None

    def _show(self) -> None:
        """Bring the value up to what is being written just now."""
        path, text = self._parser.path, self._parser.text
        if text is None:
            self._reach(path, is_list=self._parser.in_list)
            return
        parent, holder = self._reach(path[:-1], is_list=isinstance(path[-1], int))
        shape = _child(parent, holder, path[-1])
        if shape is not None and shape.shows_text:
            parent.put(holder, path[-1], text)

    def _reach(self, path: Path, *, is_list: bool) -> tuple[Shape, Any]:
        """The shape and the value at `path`, a list or an object; those on the way are begun if they aren't yet.

        The value is None if it can't be shown: its type doesn't have that key, or wants something else there.
        """
        while len(self._open) <= len(path):
            depth = len(self._open)
            key = path[depth - 1]
            has_indexes = is_list if depth == len(path) else isinstance(path[depth], int)
            self._open.append(self._begin_part(key, is_list=has_indexes))
        return self._open[len(path)]

    def _begin_part(self, key: str | int, *, is_list: bool) -> tuple[Shape, Any]:
        """Put an empty list or object into the innermost value that is open."""
        parent, holder = self._open[-1]
        shape = _child(parent, holder, key)
        if shape is None:
            return parent, None
        begun = shape.empty(is_list=is_list)
        if begun is not None:
            parent.put(holder, key, begun)
        return shape, begun


def _child(parent: Shape, holder: Any, key: str | int) -> Shape | None:
    """The shape of a part; None if nothing of its holder can be shown."""
    return None if holder is None else parent.child(key)
