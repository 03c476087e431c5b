"""OpenCall: a tool call whose arguments are still coming."""

from __future__ import annotations

import json
from typing import Any

from llmstream.messages import ToolCall, parse_arguments
from llmstream.wire.json_fields import HalfText, as_string, compact, ends_in_half, mend
from llmstream.wire.object_end import ObjectEnd
from llmstream.wire.repetition import Retelling

_PLACEHOLDERS = frozenset({"", "{", "{}", "n", "nu", "nul", "null"})
"""Beginnings of arguments that may stand for those that follow: some servers send `{}` or `null` first."""
_REPLACED = {"{}{": "}", "null{": "ll"}
"""Beginnings of which the real arguments are what follows the placeholder, and how the placeholder ends."""


NO_NAMES = frozenset({"", "null"})
"""What some servers send for no name at all."""


_QUOTE = '"'
"""The beginning of arguments that are JSON in a JSON text, as some servers encode them twice."""
_MOST_QUOTES = 3
"""How many times they may be encoded."""


class OpenCall:
    """A tool call that is still being written, or that waits for the calls before it."""

    __slots__ = (
        "_beginning",
        "_end",
        "_fed",
        "_half",
        "_held",
        "_looked_at",
        "_retelling",
        "chunks",
        "done",
        "executed_by",
        "freeform",
        "has_left",
        "id",
        "index",
        "name",
        "named",
        "newer",
        "original",
        "provider_data",
        "size",
        "told",
        "twin",
        "twins",
    )

    def __init__(self, id: str, name: str) -> None:
        self.id = id
        self.name = name
        """Empty until it has come. A call that never gets one isn't a call."""
        self.named = False
        """The name is known to be whole."""
        self.index: int | None = None
        """The call's place among those that were announced; None: it wasn't announced yet."""
        self.chunks: list[str] = []
        self.size = 0
        """Characters of all chunks."""
        self.done = False
        """The provider said that the arguments are all there."""
        self.freeform = False
        """The arguments are any text, not JSON: whole when `done`."""
        self.original: OpenCall | None = None
        """The first call with the same id. This one may be it again, which is known when both are whole."""
        self.told: set[tuple[str, str]] = set()
        """Of an original: the contents of the calls under its id so far."""
        self.twins: list[OpenCall] = []
        """Earlier calls of this name in another form, each of which may be told here again."""
        self.twin: OpenCall | None = None
        """The call that told this one again."""
        self.has_left = False
        """The whole call was emitted."""
        self.executed_by: Any = "caller"
        self.provider_data: dict[str, Any] | None = None
        self.newer: str | None = None
        """The arguments again as a whole, with more in them. Nobody was told."""
        self._end: ObjectEnd | None = None  # of the arguments, if it was looked for
        self._fed = 0  # the chunks that it was looked for in
        self._looked_at = 0  # the size at which the arguments were last found incomplete
        self._beginning: str | None = ""  # one of `_PLACEHOLDERS`; None: the arguments have begun
        self._held: list[str] = []  # the chunks that it came in
        self._half = ""  # the first half of a character, whose other half may follow
        # What followed a piece that told again all before it. Which of it counts is known at the end.
        self._retelling: Retelling | None = None

    @property
    def has_begun(self) -> bool:
        """Whether some of the arguments have come, be it a placeholder."""
        return bool(self.chunks or self._beginning)

    @property
    def is_ready(self) -> bool:
        """Whether it may be announced: its name is whole, for its arguments have begun."""
        may_be_told = self.original is not None or bool(self.twins)
        return not may_be_told and bool(self.name) and bool(self.named or self.chunks)

    @property
    def arguments(self) -> str:
        """What has come of the arguments, a placeholder included."""
        return self.unquoted("".join((self.begun, *self._held)))

    @property
    def begun(self) -> str:
        """What has come of the arguments, without a placeholder."""
        if self.newer is not None:
            return self.newer
        begun = "".join(self.chunks)
        return begun if self._retelling is None else begun + self._retelling.rest()

    def add_name(self, piece: str) -> None:
        """The next piece of the name. One that begins with all of it tells the name again."""
        self.name = piece if piece.startswith(self.name) else self.name + piece

    def take(self, arguments: str) -> list[str]:
        """Add the next characters. Returns those that are surely arguments, which may be earlier ones too."""
        text = as_string(arguments)
        if self._half and self._begins_again(text):
            self._half = ""
        text = self._join_halves(text)
        return self._take(text) if text else []

    @property
    def is_retelling(self) -> bool:
        """Whether a piece has told again all before it. What it adds isn't among the chunks yet."""
        return self._retelling is not None

    def is_retold(self, arguments: str) -> bool:
        """Whether each piece tells again all before it, and this one does so, too."""
        return self._retelling is not None and self._retelling.is_told_by(arguments)

    def settle(self) -> list[str]:
        """No more will come: the characters that were held back."""
        held, self._held = self._held, []
        if self._beginning == _QUOTE:
            held = [self.unquoted("".join(held))]
        self._beginning = None
        retelling, self._retelling = self._retelling, None
        rest = retelling.rest() if retelling is not None else ""
        if rest:
            held.append(rest)
        if self._half:
            self._half = ""
            held.append("\ufffd")
        return self._keep(held)

    def is_whole(self) -> bool:
        """Whether the arguments are surely all there. If not, more may come, even after another call began.

        Arguments are parsed again only when they have doubled, so that all looks together take linear time.
        """
        if not self.name:
            return False
        if self.done:
            return True
        if self.freeform or self.size < 2 * self._looked_at:
            return False
        if self._parse() is not None:
            return True
        self._looked_at = self.size
        return False

    def repeats(self) -> bool:
        """Whether a call with this id had the same name and arguments. Asked once, when the arguments are whole."""
        if self._finds_twin():
            return True
        original = self.original
        if original is None:
            return False
        if not original.told:
            original.told.add(content_of(original.name, original.arguments))
        if not self.arguments.strip():
            return True  # its name and id again, and nothing else
        content = content_of(self.name, self.arguments)
        is_known = content in original.told
        original.told.add(content)
        return is_known

    def _finds_twin(self) -> bool:
        """Whether an earlier call asked for the same in another form, and wasn't told again yet."""
        content = content_of(self.name, self.arguments) if self.twins else None
        for twin in self.twins:
            if twin.twin is None and content_of(twin.name, twin.arguments) == content:
                twin.twin = self
                return True
        return False

    def finish(self, *, cut: bool) -> ToolCall:
        """The call as it is now. `cut`: empty arguments are missing, rather than none."""
        arguments = self.arguments
        parsed = parse_arguments(arguments)
        if self.freeform:
            whole = self.done
        else:
            missing = cut and not arguments.strip()
            whole = parsed is not None and not missing
        return ToolCall(
            self.id,
            self.name,
            arguments,
            input=parsed if whole else None,
            complete=whole,
            executed_by=self.executed_by,
            provider_data=self.provider_data,
        )

    def _take(self, text: str) -> list[str]:
        if self.freeform:
            return self._keep([text])
        if self._beginning is None:
            return self._take_more(text)
        if self._beginning == _QUOTE:
            self._held.append(text)
            return []
        stripped = "".join(text.split())
        if self._beginning and stripped.startswith(self._beginning):
            self._beginning, self._held = "", []  # it is told again
        beginning = self._beginning + stripped
        self._held.append(text)
        is_quoted = beginning.startswith(_QUOTE)
        if is_quoted or beginning in _PLACEHOLDERS:
            self._beginning = _QUOTE if is_quoted else beginning
            return []
        held, self._held = self._held, []
        for replaced, end in _REPLACED.items():
            if beginning.startswith(replaced):
                self._beginning = ""
                return self._take("".join(held).partition(end)[2])
        self._beginning = None
        return self._keep(held)

    def unquoted(self, text: str) -> str:
        """Arguments without the quotes of a server that encodes them twice."""
        inner: Any = text
        for _ in range(_MOST_QUOTES):
            if self.freeform or not isinstance(inner, str) or not inner.lstrip().startswith(_QUOTE):
                break
            inner = _loaded(inner)
        is_object = isinstance(inner, str) and parse_arguments(inner) is not None
        return inner if is_object else text

    def grows_to(self, arguments: str) -> bool:
        """Whether these are its arguments again, which were whole, with more in them."""
        if not self.name or self.freeform or not arguments.lstrip().startswith("{"):
            return False
        whole = parse_arguments(arguments)
        if not whole or not self._has_ended():
            return False
        told = parse_arguments(self.begun)
        return bool(told) and told != whole and has_grown(told, whole)

    def begin_again(self) -> list[str]:
        """The newer arguments take the place of those that came."""
        newer = self.newer or ""
        self.forget()
        return self._keep([newer])

    def _has_ended(self) -> bool:
        """Whether the arguments may be a whole object. All looks together take linear time."""
        if self._end is None:
            self._end = ObjectEnd()
        for chunk in self.chunks[self._fed :]:
            self._end.feed(chunk)
        self._fed = len(self.chunks)
        return self._end.ended

    def _take_more(self, text: str) -> list[str]:
        if self.newer is not None:
            self.newer = text if self.grows_to(text) else self.newer + text
        elif self._retelling is not None:
            self._retelling.add(text)
        elif self._begins_again(text):
            self._retelling = Retelling("".join(self.chunks), text)
        elif self.grows_to(text):
            self.newer = text
        else:
            return self._keep([text])
        return []

    def _begins_again(self, text: str) -> bool:
        """Whether a piece begins with all that came before it."""
        if self._retelling is not None:
            return self._retelling.is_told_by(text)
        return len(text) >= self.size > 0 and text.startswith("".join(self.chunks))

    def _keep(self, chunks: list[str]) -> list[str]:
        self.chunks += chunks
        self.size += sum(map(len, chunks))
        return chunks

    def _join_halves(self, text: str) -> str:
        halves = text.halves if isinstance(text, HalfText) else text
        if not self._half and halves is text:
            return text
        halves = self._half + halves
        self._half = halves[-1:] if ends_in_half(halves) else ""
        return mend(halves.removesuffix(self._half))

    def forget(self) -> None:
        """Drop the arguments: others take their place. Nothing of them may have been told."""
        self.chunks, self._held, self.size = [], [], 0
        self._beginning, self._half, self._looked_at = "", "", 0
        self._retelling = self.newer = self._end = None
        self._fed = 0

    def _parse(self) -> dict[str, Any] | None:
        """The arguments as an object; None for none, for blank ones, and for a placeholder."""
        arguments = "".join(self.chunks)
        return parse_arguments(arguments) if arguments.strip() else None


def has_grown(told: Any, whole: Any) -> bool:
    """Whether one value is what another became: all that it held, and more."""
    if isinstance(told, str) and isinstance(whole, str):
        return whole.startswith(told)
    if isinstance(told, list) and isinstance(whole, list):
        return len(told) <= len(whole) and all(map(has_grown, told, whole))
    if isinstance(told, dict) and isinstance(whole, dict):
        return all(name in whole and has_grown(told[name], whole[name]) for name in told)
    return bool(told == whole)


def _loaded(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def as_name(value: Any) -> str:
    """A call's name; empty for what some servers send for none. TypeError makes its frame a bad one."""
    name = as_string(value or "")
    return "" if name.strip() in NO_NAMES else name


def as_arguments(value: Any) -> str:
    """A call's arguments as text, which some servers send as an object; empty for None."""
    if value is None or isinstance(value, str):
        return value or ""
    return compact(value)


def may_become(call: OpenCall, arguments: str) -> bool:
    """Whether these whole arguments are more of what the call has: it has a placeholder, or it grows."""
    return not call.begun or call.grows_to(arguments)


def content_of(name: str, arguments: str) -> tuple[str, str]:
    """What a call asks for: the same for calls that differ in their ids and blanks alone."""
    parsed = parse_arguments(arguments)
    return name, arguments if parsed is None else json.dumps(parsed, sort_keys=True)
